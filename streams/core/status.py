"""A job or a schedule as people see it: a row and a time, told in words and numbers.

For eyes alone: nothing decides by it. The answer is ready for JSON; every time is given as RFC 3339 in UTC,
and the times within sentences are UTC too.
"""

import base64
import json
from datetime import UTC, datetime
from itertools import islice

from schemas import defaults
from schemas.events import Attempt, Happening, JobRow, ScheduleRow
from schemas.times import format_time
from schemas.words import Phase, WaitReason
from streams.core import events, fires
from streams.core.config import NOTHING_SAID, Config
from streams.core.cron import BadCron
from streams.core.job import times
from streams.core.records import between_ms
from streams.core.schedule_names import fire_id
from streams.core.schedule_rule import FIRED

Status = dict[str, object]
"""A status, ready for JSON."""

SCHEDULE_COUNTERS = ("skipped", "dropped", "succeeded", "failed", "cancelled")
"""What a schedule's row counts, beside its fires and those missed."""

COMING: dict[type[events.TimeEvent], str] = {
    events.Due: "ready",
    events.ExpiryPassed: "expired, if not started",
    events.DeadlinePassed: "dead, if not ended",
    events.DispatchAged: "dispatched anew, if not started",
    events.TimedOut: "failed, if no receipt comes",
    events.Silent: "lost, if not heard of",
    events.ResultDue: "its result forgotten",
    events.PurgeDue: "forgotten",
}
"""What each thing that only time brings will make of the job."""

POLICY = (
    "timeout_ms",
    "heartbeat_timeout_ms",
    "expected_ms",
    "attempts_max",
    "lost_max",
    "retry_kind",
    "retry_initial_ms",
    "retry_factor",
    "retry_cap_ms",
    "retry_jitter",
    "priority",
    "retention_ms",
    "result_retention_ms",
)
ATTEMPT = (
    "attempt",
    "epoch",
    "minion",
    "session",
    "relay",
    "spilled",
    "outcome",
    "error_type",
    "error_message",
    "step",
    "done",
    "total",
)
FIRES_SHOWN_MAX = 10
NO_OPTION = frozenset({"function", "queue", "args", "content_type"})
OPTIONS = tuple(name for name in FIRED if name not in NO_OPTION)
"""What a schedule says of how its jobs run."""

FROZEN_AFTER_MS = 2 * defaults.HEARTBEAT_MS
"""Silence after which a running attempt is shown as frozen; its lease is lost only at the heartbeat
timeout.
"""


def job_status(
    job: JobRow,
    now_ms: int,
    args: bytes | None = None,
    config: Config = NOTHING_SAID,
    limits: frozenset[str] = frozenset(),
) -> Status:
    """All there is to say about a job at `now_ms`, epoch ms.

    Args:
        job: the row.
        now_ms: the time it is asked for.
        args: the arguments, where they are kept apart from the row.
        config: what operators say about its queue.
        limits: those that jobs of its queue wait for, as their relay says.
    """
    spec = job.spec
    latest = _latest(job)
    return {
        "id": spec.id,
        "phase": job.phase,
        "now": format_time(now_ms),
        "waiting_for": waiting_for(job, now_ms, config, limits),
        "function": spec.function,
        "queue": spec.queue,
        "key": spec.key,
        "partition": spec.partition,
        "attempt": job.attempt if job.epoch else 0,
        "epoch": job.epoch,
        "failed": job.failed,
        "lost": job.lost,
        "put_off": job.snoozed,
        "created_at": _time(spec.created_at_ms),
        "ended_at": _time(job.ended_at_ms),
        "located": located(job, now_ms),
        "step": latest and latest.step,
        "done": latest and latest.done,
        "total": latest and latest.total,
        "slow": is_slow(job, now_ms),
        "frozen_since": _time(frozen_since_ms(job, now_ms)),
        "cancel_requested": job.cancel_reason if job.phase == Phase.LEASED else None,
        "end_reason": job.end_reason,
        "error_type": job.error_type,
        "error_message": job.error_message,
        "plan": _plan(job),
        "policy": _policy(job),
        "attempts": [_attempt(attempt) for attempt in job.attempts],
        "attempts_dropped": job.attempts_dropped,
        "tags": list(spec.tags),
        "scheduled_by": spec.scheduled_by,
        "parent": spec.parent,
        **_bytes("args", spec.args if args is None else args, spec.content_type),
        "cached": job.cached,
        **_bytes("result", job.result, job.result_type),
    }


def waiting_for(
    job: JobRow, now_ms: int, config: Config = NOTHING_SAID, limits: frozenset[str] = frozenset()
) -> str | None:
    """Why a job that has not ended is not running, as a sentence; None if it runs or has ended. `limits` as
    of `job_status`.
    """
    queue = job.spec.queue
    limited = limits & {f"queue/{queue}", f"function/{job.spec.function}"}
    until = clock(now_ms if job.due_at_ms is None else job.due_at_ms, now_ms)
    match job.phase, job.wait_reason:
        case Phase.READY, reason if reason == WaitReason.PAUSED or config.paused(queue):
            note = config.queues[queue].note if config.paused(queue) else None
            return f"queue {queue} is paused" + (f" ({note})" if note else "")
        case Phase.READY, WaitReason.QUEUE:
            return f"queue {queue}, which is being made"
        case Phase.READY, _ if limited:
            return f"limit {max(limited)}"
        case Phase.READY, _:
            return f"a minion of queue {queue} with the function {job.spec.function}"
        case Phase.RETRYING, _:
            allowed = job.spec.attempts_max + job.lost  # a lost lease uses up none of them
            failed = f"attempt {job.attempt} of {allowed} failed"
            words = ": ".join(part for part in (failed, job.error_type, job.error_message) if part)
            return f"retry until {until} ({words})"
        case Phase.SCHEDULED, WaitReason.UNSERVED:
            return f"no minion has {job.spec.function}"
        case Phase.SCHEDULED, WaitReason.LANE:
            return f"its turn: jobs of key {job.spec.key} in queue {job.spec.queue} run one at a time"
        case Phase.SCHEDULED, reason:
            return f"{reason} until {until}"
        case _:
            return None


def located(job: JobRow, now_ms: int) -> str | None:
    """Where the latest attempt said that it is, as a sentence; None if it never said."""
    attempt = _latest(job)
    if attempt is None:
        return None
    parts = []
    if attempt.step is not None:
        since = "" if job.step_at_ms is None else f" at {clock(job.step_at_ms, now_ms, seconds=False)}"
        parts.append(f"last located at {attempt.step}{since}")
    if attempt.done is not None:
        parts.append(f"progress {attempt.done}" + ("" if attempt.total is None else f"/{attempt.total}"))
    return ", ".join(parts) or None


def is_slow(job: JobRow, now_ms: int) -> bool:
    """True if the attempt runs longer than expected, and is heard of all the same."""
    if job.phase != Phase.LEASED or job.spec.expected_ms is None or frozen_since_ms(job, now_ms) is not None:
        return False
    attempt = job.attempts[-1]
    began_ms = attempt.assigned_at_ms if attempt.started_at_ms is None else attempt.started_at_ms
    return began_ms is not None and now_ms - began_ms > job.spec.expected_ms


def frozen_since_ms(job: JobRow, now_ms: int) -> int | None:
    """When a running attempt was last heard of, epoch ms, if that is too long ago; None if all is well."""
    if job.phase != Phase.LEASED or job.beat_at_ms is None or now_ms - job.beat_at_ms <= FROZEN_AFTER_MS:
        return None
    return job.beat_at_ms


def schedule_status(row: ScheduleRow, now_ms: int, *, coming: bool = True) -> Status:
    """All there is to say about a schedule at `now_ms`, epoch ms; without the fires to come, which have to be
    worked out, if there are many to tell about.
    """
    return {
        "id": row.id,
        "now": format_time(now_ms),
        "state": schedule_state(row),
        "cron": row.cron,
        "crons": list(row.crons or ()),
        "excluded": list(row.excluded or ()),
        "timezone": row.timezone,
        "start_at": _time(row.start_at_ms),
        "end_at": _time(row.end_at_ms),
        "jitter_ms": row.jitter_ms or 0,
        "overlap": row.overlap or defaults.OVERLAP,
        "paused": row.paused,
        "pause_note": row.pause_note,
        "pause_on_failure": bool(row.pause_on_failure),
        "next_fire_at": _time(row.next_fire_at_ms),
        "next_due_at": _time(row.next_fire_at_ms if row.next_due_at_ms is None else row.next_due_at_ms),
        "coming": [_time(time_ms) for time_ms in _coming(row)] if coming else None,
        "last_fires": [_time(time_ms) for time_ms in row.fired[-FIRES_SHOWN_MAX:]],
        "fires": row.fires,
        "missed": row.missed,
        **{name: getattr(row, name) or 0 for name in SCHEDULE_COUNTERS},
        "runs_max": row.runs_max,
        "runs_left": None if row.runs_max is None else max(0, row.runs_max - (row.runs or 0)),
        "running": [fire_id(row.id, time_ms) for time_ms in row.running or ()],
        "stopping": [fire_id(row.id, time_ms) for time_ms in row.stopping or ()],
        "buffered": [fire_id(row.id, time_ms) for time_ms in row.buffer or ()],
        "backfill": _backfill(row),
        "history": [_happening(each) for each in row.history or ()],
        "function": row.function,
        "queue": row.queue,
        "key": row.key,
        "partition": row.partition,
        "timeout_ms": row.timeout_ms,
        "attempts_max": row.attempts_max,
        "catchup_window_ms": row.catchup_window_ms,
        "options": {name: found for name in OPTIONS if (found := getattr(row, name)) is not None},
        "created_at": _time(row.created_at_ms),
        "declared_by": row.declared_by,
        "orphaned_at": _time(row.orphaned_at_ms),
        "note": row.note,
        **_bytes("args", row.args, row.content_type),
    }


def schedule_state(row: ScheduleRow) -> str:
    """How a schedule stands, in one word. An orphaned one goes on; that is said first, since it wants a
    decision.
    """
    if row.orphaned_at_ms is not None:
        return "orphaned"
    if row.paused:
        return "paused"
    return "active" if row.next_fire_at_ms is not None else "finished"


def _coming(row: ScheduleRow) -> list[int]:
    """The next fire times, epoch ms: few, for people."""
    if row.next_fire_at_ms is None:
        return []
    try:
        after = fires.read(row).after(row.next_fire_at_ms)
    except BadCron:  # this machine knows other zones than the one that saved it
        return [row.next_fire_at_ms]
    return [row.next_fire_at_ms, *islice(after, FIRES_SHOWN_MAX - 1)]


def _backfill(row: ScheduleRow) -> Status | None:
    if row.backfill_at_ms is None:
        return None
    return {
        "after": _time(row.backfill_at_ms),
        "until": _time(row.backfill_until_ms),
        "overlap": row.backfill_overlap,
    }


def _happening(each: Happening) -> Status:
    return {
        "at": _time(each.at_ms),
        "what": each.what.removeprefix("schedule_"),
        "fire_at": _time(each.fire_at_ms),
        "fire_until": _time(each.fire_until_ms),
        "fires": each.fires,
        "reason": each.reason,
    }


def clock(time_ms: int, now_ms: int, *, seconds: bool = True) -> str:
    """A time in UTC as people say it: without the date if that is today's."""
    time, now = (datetime.fromtimestamp(at_ms / 1000, UTC) for at_ms in (time_ms, now_ms))
    words = time.strftime("%H:%M:%S" if seconds else "%H:%M")
    return words if time.date() == now.date() else f"{time.date()} {words}"


def _plan(job: JobRow) -> Status:
    """Where the job runs, and what time will bring if nothing else happens."""
    attempt = _latest(job)
    coming = sorted((time_ms, COMING[event]) for time_ms, event in times(job) if time_ms is not None)
    return {
        "function": job.spec.function,
        "queue": job.spec.queue,
        "partition": job.spec.partition,
        "minion": attempt.minion if attempt is not None and job.phase == Phase.LEASED else None,
        "dispatched_at": _time(job.dispatched_at_ms),
        "due_at": _time(job.due_at_ms),
        "lease_ends_at": _time(job.lease_ends_at_ms),
        "coming": [{"at": _time(time_ms), "what": what} for time_ms, what in coming],
    }


def _policy(job: JobRow) -> Status:
    spec = job.spec
    return {
        "run_at": _time(spec.run_at_ms),
        "expires_at": _time(spec.expires_at_ms),
        "ends_by": _time(spec.ends_by_ms),
        **{name: getattr(spec, name) for name in POLICY},
        "non_retryable": list(spec.non_retryable),
    }


def _attempt(attempt: Attempt) -> Status:
    return {
        **{name: getattr(attempt, name) for name in ATTEMPT},
        "dispatched_at": _time(attempt.dispatched_at_ms),
        "assigned_at": _time(attempt.assigned_at_ms),
        "started_at": _time(attempt.started_at_ms),
        "ended_at": _time(attempt.ended_at_ms),
        "queue_wait_ms": between_ms(attempt.dispatched_at_ms, attempt.assigned_at_ms),
        "dispatch_to_start_ms": between_ms(attempt.dispatched_at_ms, attempt.started_at_ms),
    }


def _latest(job: JobRow) -> Attempt | None:
    return job.attempts[-1] if job.attempts else None


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else format_time(time_ms)


def _bytes(name: str, value: bytes | None, content_type: str | None) -> Status:
    """Bytes as the JSON value that they are, else as base64 under a name that says so."""
    if value is not None and content_type == defaults.CONTENT_TYPE:
        try:
            return {name: json.loads(value)}
        except (ValueError, RecursionError):
            pass
    encoded = None if value is None else base64.b64encode(value).decode()
    return {f"{name}_base64": encoded, f"{name}_type": content_type} if encoded is not None else {name: None}
