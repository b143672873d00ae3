"""What is written to topics for a fact or an effect: pure translations of a row, made when they are needed.

Decides nothing and knows no topic or partition but the home that the row names.
"""

import json
from dataclasses import fields
from typing import Any

from schemas import defaults
from schemas.events import (
    Attempt,
    Command,
    Control,
    DeadLetter,
    Dispatch,
    JobRequest,
    JobRow,
    JobSpec,
    Receipt,
    ScheduleRow,
)
from schemas.events import Fact as FactRecord
from schemas.records import replace
from schemas.requests import to_json
from schemas.times import format_time
from schemas.words import (
    ORDER_KEY,
    ORDER_KEY_AHEAD,
    PRIORITIES,
    CommandName,
    ControlName,
    FactKind,
    LanePolicy,
    Priority,
)
from streams.core import facts, schedule_fold
from streams.core.effect import TellRelays
from streams.core.events import Source
from streams.core.evolve import NEVER_RAN
from streams.core.facts import End, Fact
from streams.core.rejection import Rejection
from streams.core.schedule_facts import FireFact, ScheduleFact
from streams.core.schedule_names import fire_id

NOT_AGAIN = frozenset({"id", "args", "run_at_ms", "expires_at_ms"})
"""What a request for the same work at once leaves out."""

KINDS: dict[type[Fact], FactKind] = {
    facts.Admitted: FactKind.ADMITTED,
    facts.Scheduled: FactKind.ADMITTED,
    facts.Lined: FactKind.ADMITTED,
    facts.Parked: FactKind.PARKED,
    facts.Deduplicated: FactKind.DEDUPLICATED,
    facts.Readied: FactKind.READIED,
    facts.Retried: FactKind.RETRIED,
    facts.Rescheduled: FactKind.RESCHEDULED,
    facts.ResultDropped: FactKind.RESULT_DROPPED,
    facts.Started: FactKind.STARTED,
    facts.Progressed: FactKind.PROGRESSED,
    facts.Succeeded: FactKind.SUCCEEDED,
    facts.Failed: FactKind.FAILED,
    facts.Lost: FactKind.LOST,
    facts.Snoozed: FactKind.SNOOZED,
    facts.HandedBack: FactKind.HANDED_BACK,
    facts.Unserved: FactKind.HANDED_BACK,
    facts.CancelRequested: FactKind.CANCEL_REQUESTED,
    facts.Cancelled: FactKind.CANCELLED,
    facts.Died: FactKind.DIED,
    facts.Expired: FactKind.EXPIRED,
    facts.Purged: FactKind.PURGED,
}
"""The word of each fact that is told; the others are not."""

ATTEMPT = tuple(field.name for field in fields(Attempt))


def fact_record(before: JobRow | None, fact: Fact, after: JobRow | None) -> FactRecord:
    """The fact as it is told: what happened, and where the job stands now.

    Times and names are those of the attempt that the fact ended, else of the current one. `attempt` and
    `epoch` are the job's after the fact, so those of a lost attempt's successor.
    """
    row = after or before
    assert row is not None, "a fact is about a job"
    spec = row.spec
    return FactRecord(
        fact=KINDS[type(fact)],
        job=spec.id,
        key=spec.key,
        partition=spec.partition,
        at_ms=fact.at_ms,
        phase=None if after is None else after.phase,
        function=spec.function,
        queue=spec.queue,
        attempt=row.attempt if row.epoch else 0,
        epoch=row.epoch,
        created_at_ms=spec.created_at_ms,
        next_at_ms=row.due_at_ms,
        ended_at_ms=row.ended_at_ms,
        reason=_reason(row, fact),
        scheduled_by=spec.scheduled_by,
        parent=spec.parent,
        replaced=fact.replaced if isinstance(fact, NEW) else None,
        **_told(row, fact),
    )


def duplicate_record(spec: JobSpec, row: JobRow, at_ms: int) -> FactRecord:
    """What is told to who asked for a job that another one stands in the way of: that one is the answer, and
    if it has ended, how.

    Args:
        spec: what was asked for; there will be no such job.
        row: the job with the same unique key.
        at_ms: when it was decided, epoch ms.
    """
    answer = facts.Deduplicated(at_ms, Source.REQUESTS, row.applied_requests)
    told = fact_record(row, answer, row)
    return replace(told, job=spec.id, duplicate_of=row.spec.id, scheduled_by=None, parent=spec.parent)


NEW = (facts.Admitted, facts.Scheduled, facts.Lined)
"""Facts with which a job begins."""


def _reason(row: JobRow, fact: Fact) -> str | None:
    match fact:
        case facts.Cancelled() | facts.Died() | facts.Expired() | facts.CancelRequested():
            return fact.reason
        case facts.Retried() | facts.Rescheduled():
            return fact.reason
        case facts.Parked():
            return fact.reason or f"its turn among the jobs of key {row.spec.key}"
        case facts.Unserved():
            return f"no connected minion has the function {row.spec.function}"
        case facts.Deduplicated():
            return row.end_reason
        case _:
            return None


def _told(row: JobRow, fact: Fact) -> dict[str, Any]:
    """What a fact tells of an attempt, of an error, and of the result."""
    match fact:
        case facts.Succeeded():
            return _attempt(row.attempts[-1], fact.end.run_ms) | _result(row)
        case facts.Started() | facts.Progressed():
            return _attempt(row.attempts[-1], None)
        case facts.Failed() | facts.Lost() | facts.Snoozed() | facts.HandedBack() | facts.Unserved():
            return _ended(row, fact.end)
        case facts.Parked() | facts.Cancelled() | facts.Died() | facts.Expired() if fact.end is not None:
            return _ended(row, fact.end)
        case facts.Rescheduled() if fact.end is not None:
            return _ended(row, fact.end)
        case facts.Died() | facts.Deduplicated():
            return _error(row) | _result(row)  # whoever asked twice, or comes late, has the answer
        case _:
            return {}


def _ended(row: JobRow, end: End) -> dict[str, Any]:
    """The attempt that ended: the last with an outcome, unless it never ran."""
    error = {"error_type": end.error_type, "error_message": end.error_message}
    if end.outcome in NEVER_RAN:
        return error
    last = row.attempts[-1]
    ended = last if last.outcome is not None else row.attempts[-2]
    run_ms = end.run_ms if isinstance(end, Receipt) else None
    return _attempt(ended, run_ms) | {"error_type": ended.error_type, "error_message": ended.error_message}


def _attempt(attempt: Attempt, run_ms: int | None) -> dict[str, Any]:
    return {
        "queued_ms": between_ms(attempt.dispatched_at_ms, attempt.assigned_at_ms),
        "start_ms": between_ms(attempt.assigned_at_ms, attempt.started_at_ms),
        "run_ms": run_ms,
        "minion": attempt.minion,
        "session": attempt.session,
        "relay": attempt.relay,
        "step": attempt.step,
        "done": attempt.done,
        "total": attempt.total,
    }


def _error(row: JobRow) -> dict[str, Any]:
    return {"error_type": row.error_type, "error_message": row.error_message}


def _result(row: JobRow) -> dict[str, Any]:
    return {"result": row.result, "result_type": row.result_type, "cached": row.cached}


def between_ms(from_ms: int | None, to_ms: int | None) -> int | None:
    """From one time to another by two clocks, ms: None if one is not known, and never less than nothing."""
    return None if from_ms is None or to_ms is None else max(0, to_ms - from_ms)


def schedule_fact_record(
    before: ScheduleRow | None, fact: ScheduleFact, after: ScheduleRow | None
) -> FactRecord:
    """A schedule's fact as it is told; its job is the schedule. `after` is the row after the whole step."""
    row = after or before
    assert row is not None, "a fact is about a schedule"
    about: dict[str, Any] = {}
    if isinstance(fact, FireFact):
        about = {
            "fire_at_ms": fact.times_ms[0],
            "fire_until_ms": fact.times_ms[-1],
            "fires": len(fact.times_ms),
        }
    return FactRecord(
        fact=schedule_fold.KINDS[type(fact)],
        job=row.id,
        key=row.key,
        partition=row.partition,
        at_ms=fact.at_ms,
        function=row.function,
        queue=row.queue,
        created_at_ms=row.created_at_ms,
        next_at_ms=None if after is None else row.next_fire_at_ms,
        reason=_schedule_reason(row, fact),
        **about,
    )


def _schedule_reason(row: ScheduleRow, fact: ScheduleFact) -> str | None:
    """Which fires, by the ids of their jobs, and why."""
    reason = schedule_fold.reason_of(row, fact)
    if not isinstance(fact, FireFact):
        return reason
    first, last = (fire_id(row.id, time_ms) for time_ms in (fact.times_ms[0], fact.times_ms[-1]))
    which = first if len(fact.times_ms) == 1 else f"{len(fact.times_ms)} fires, {first} to {last}"
    return which if reason is None else f"{which}: {reason}"


def report_command(job: JobRow) -> Command:
    """What a job that has ended tells the schedule that fired it."""
    assert job.spec.scheduled_by is not None, f"job {job.spec.id} was fired by no schedule"
    return Command(
        command=CommandName.SCHEDULE_JOB_ENDED,
        id=job.spec.scheduled_by,
        job=job.spec.id,
        phase=job.phase,
        reason=job.end_reason,
    )


def refusal_command(schedule: str, job: str, refusal: Rejection) -> Command:
    """What a schedule is told of a job that was refused: there is none whose end it could wait for."""
    return Command(
        command=CommandName.SCHEDULE_JOB_ENDED,
        id=schedule,
        job=job,
        phase=FactKind.REJECTED,
        reason=refusal.reason[: defaults.REASON_CHARS_MAX],
    )


def dispatch_record(job: JobRow, args: bytes | None) -> Dispatch:
    """The current epoch of a ready job, for the relays.

    Args:
        job: the row.
        args: the arguments, wherever they are kept.
    """
    spec = job.spec
    assert job.dispatched_at_ms is not None, f"job {spec.id} is not dispatched, but {job.phase}"
    return Dispatch(
        job=spec.id,
        key=spec.key,
        partition=spec.partition,
        queue=spec.queue,
        function=spec.function,
        attempt=job.attempt,
        epoch=job.epoch,
        args=args,
        content_type=spec.content_type,
        timeout_ms=spec.timeout_ms,
        heartbeat_timeout_ms=spec.heartbeat_timeout_ms,
        expires_at_ms=spec.expires_at_ms,
        created_at_ms=spec.created_at_ms,
        dispatched_at_ms=job.dispatched_at_ms,
        checkpoint=job.checkpoint,
        trace=spec.trace,
        order=_order(spec.lane),
        after_job=job.after_job,
        after_epoch=job.after_epoch,
        priority=None if spec.priority == Priority.NORMAL else PRIORITIES[spec.priority],
    )


def _order(lane: str | None) -> str | None:
    """What its relay goes by."""
    if lane is None:
        return None
    return ORDER_KEY_AHEAD if lane == LanePolicy.AHEAD else ORDER_KEY


def control_record(job: JobRow, effect: TellRelays, at_ms: int) -> Control:
    """The word to all relays that an epoch is called off."""
    return Control(
        control=ControlName.CANCEL,
        job=job.spec.id,
        epoch=effect.epoch,
        partition=job.spec.partition,
        at_ms=at_ms,
    )


def dead_letter_record(job: JobRow, args: bytes | None) -> DeadLetter:
    """A dead job with all that is needed to understand it and to run it again.

    Args:
        job: the row of the dead job.
        args: its arguments, wherever they are kept.
    """
    spec = job.spec
    assert job.ended_at_ms is not None, f"job {spec.id} has not ended, but is {job.phase}"
    assert job.purge_at_ms is not None, "a job that has ended is kept for a while"
    attempts = [
        {name: found for name in ATTEMPT if (found := getattr(attempt, name)) is not None}
        for attempt in job.attempts
    ]
    return DeadLetter(
        job=spec.id,
        key=spec.key,
        partition=spec.partition,
        function=spec.function,
        queue=spec.queue,
        at_ms=job.ended_at_ms,
        reason=job.end_reason or "",
        attempts=job.failed + job.lost,
        args=args,
        content_type=spec.content_type,
        request=to_json(request(spec), with_args=False),
        errors=json.dumps(attempts, separators=(",", ":")),
        redrive=_redrive(spec, job.purge_at_ms),
    )


def request(spec: JobSpec) -> JobRequest:
    """The request that would ask for the same work at once, as a job of its own, without the arguments."""
    default = JobRequest(function=spec.function)
    same = {
        name: value for name, value in vars(spec).items() if name in vars(default) and name not in NOT_AGAIN
    }
    deadline_ms = None if spec.ends_by_ms is None else spec.ends_by_ms - spec.created_at_ms
    return JobRequest(**same, deadline_ms=deadline_ms)


def _redrive(spec: JobSpec, until_ms: int) -> str:
    command = json.dumps({"command": CommandName.RETRY, "id": spec.id, "key": spec.key})
    return (
        f"until {format_time(until_ms)} write {command} to the topic of requests,"
        f" or use `jobstream retry {spec.id}`; later write the request to it, with its args"
    )
