"""What an event does to a job: facts, or a rejection. Reads the row and never changes it; may say no.

One function per event, in the order of `Event`. Each looks at the phase and at the numbers in the row,
never at a clock: the time is in the event. A decision that ends a job names the reason as a sentence.
"""

from typing import assert_never

from schemas import defaults
from schemas.events import Beat, JobRow, Receipt
from schemas.records import replace
from schemas.times import format_time
from schemas.words import (
    PHASES_TERMINAL,
    BeatKind,
    LanePolicy,
    Outcome,
    Phase,
    RejectCode,
    Verdict,
    WaitReason,
)
from streams.core import evolve, facts, retry
from streams.core.events import (
    Beaten,
    CancelAsked,
    DeadlinePassed,
    DispatchAged,
    Due,
    Ended,
    Event,
    ExpiryPassed,
    Occurrence,
    PurgeDue,
    RescheduleAsked,
    Restored,
    ResultDue,
    RetryAsked,
    Served,
    Silent,
    Source,
    Submitted,
    TimedOut,
    TurnCame,
)
from streams.core.facts import End, Fact, Withdrawal
from streams.core.rejection import Rejection

Decision = tuple[Fact, ...] | Rejection

OFFERED = frozenset({Phase.READY, Phase.LEASED})
"""A minion has the job, or may be given it at any moment."""

WAITING = frozenset({Phase.SCHEDULED, Phase.RETRYING})
"""The job waits for `due_at_ms`."""

# Types of the errors that the machine itself finds; a job's `non_retryable` may name them.
TIMEOUT = "Timeout"
SILENT = "Silent"
OVERSIZE = "Oversize"

OUTCOMES = frozenset(Outcome)
EXPIRED = "it was not started before its expiry"
OUT_OF_TIME = "its total deadline passed"


def decide(job: JobRow | None, event: Event) -> Decision:  # noqa: C901, PLR0912 - one line for each event
    """What the event does to the job (None: there is no such job). One fact, none, or a rejection."""
    if isinstance(event, Submitted):
        return _submitted(job, event)
    if job is None:
        return _unknown(event)
    match event:
        case Ended() | Beaten():
            return _word(job, event)
        case Due():
            return _due(job, event)
        case ResultDue():
            return _result_due(job, event)
        case PurgeDue():
            return _purge_due(job, event)
        case TimedOut():
            return _timed_out(job, event)
        case Silent():
            return _silent(job, event)
        case ExpiryPassed():
            return _expiry_passed(job, event)
        case DeadlinePassed():
            return _deadline_passed(job, event)
        case DispatchAged():
            return _dispatch_aged(job, event)
        case CancelAsked():
            return _cancel_asked(job, event)
        case RetryAsked():
            return _retry_asked(job, event)
        case RescheduleAsked():
            return _reschedule_asked(job, event)
        case TurnCame():
            return _turn_came(job, event)
        case Served():
            return _served(job, event)
        case Restored():
            return _restored(job, event)
        case _:
            assert_never(event)


# Requests and commands.


def _submitted(job: JobRow | None, event: Submitted) -> Decision:
    """Admission is insert-if-absent by id: an equal duplicate is answered with the job that exists."""
    spec, at = event.spec, _place(event)
    if job is not None:
        if job.spec.content_hash == spec.content_hash:
            return (facts.Deduplicated(*at),)
        return Rejection(
            RejectCode.ID_CONFLICT,
            f"request refused: job {spec.id} exists with other content (hash {job.spec.content_hash}, phase"
            f" {job.phase}), got hash {spec.content_hash}; use another id",
        )
    due_at_ms = event.at_ms if spec.run_at_ms is None else max(spec.run_at_ms, event.at_ms)
    if due_at_ms > event.at_ms or _reached(spec.expires_at_ms, event.at_ms):
        return (
            facts.Scheduled(*at, spec, due_at_ms, event.replaces),
        )  # one that has expired already is never offered
    if spec.lane is not None and not event.turn:
        return (facts.Lined(*at, spec, event.replaces),)
    return (facts.Admitted(*at, spec, event.replaces),)


def _cancel_asked(job: JobRow, event: CancelAsked) -> Decision:
    reason = _asked("cancelled", event)
    match job.phase:
        case Phase.SCHEDULED | Phase.RETRYING:
            return (facts.Cancelled(*_place(event), reason, None, _may_have_left(job, event)),)
        case Phase.READY:
            return (facts.Cancelled(*_place(event), reason, Withdrawal(Verdict.WITHDRAWN)),)
        case Phase.LEASED if event.terminate:
            return (facts.Cancelled(*_place(event), reason, Withdrawal(Verdict.WITHDRAWN)),)
        case Phase.LEASED:
            return (facts.CancelRequested(*_place(event), reason),)
        case Phase.DEAD if job.spec.lane == LanePolicy.WAITS:  # its lane waits for it, and may now go on
            return (facts.Cancelled(*_place(event), reason, None),)
        case _:
            return _not_now(job, "cancel", "only a job that has not ended can be cancelled")


def _retry_asked(job: JobRow, event: RetryAsked) -> Decision:
    match job.phase:
        case Phase.SCHEDULED | Phase.RETRYING | Phase.DEAD | Phase.CANCELLED | Phase.EXPIRED:
            reason = _asked("retried", event)
            if job.spec.lane is not None:
                return (facts.Parked(*_place(event), None, reason),)
            return (facts.Retried(*_place(event), reason),)
        case Phase.SUCCEEDED:
            return _not_now(job, "retry", "a job that succeeded is never run again")
        case _:
            return _not_now(job, "retry", "it is offered to a minion or runs already")


def _reschedule_asked(job: JobRow, event: RescheduleAsked) -> Decision:
    if job.phase not in WAITING and job.phase != Phase.READY:
        return _not_now(job, "reschedule", "only a job that waits to be started can get another time")
    if event.run_at_ms is None:
        return Rejection(RejectCode.BAD_FIELD, f"reschedule of job {event.job} must have run_at, got none")
    due_at_ms = max(event.run_at_ms, event.at_ms)
    latest_ms = event.at_ms + defaults.RUN_AT_AHEAD_MS_MAX
    limits = {
        "its expiry": job.spec.expires_at_ms,
        "its total deadline": job.spec.ends_by_ms,
        f"{defaults.RUN_AT_AHEAD_MS_MAX // defaults.DAY_MS} days from now": latest_ms,
    }
    for name, limit_ms in limits.items():
        if limit_ms is not None and due_at_ms >= limit_ms:
            when = f"got {format_time(due_at_ms)}, not before {format_time(limit_ms)}"
            return Rejection(RejectCode.BAD_TIME, f"run_at of job {event.job} must be before {name}, {when}")
    return (facts.Rescheduled(*_place(event), _withdrawn(job), due_at_ms, _asked("rescheduled", event)),)


# What minions and relays tell.


def _word(job: JobRow, event: Ended | Beaten) -> Decision:
    """A word about the epoch that a waiting job gets next proves that its time came: the dispatch left before
    the row said so, and whoever decided it died. It counts as if that had been decided again first.
    """
    word = event.receipt if isinstance(event, Ended) else event.beat
    if word.epoch != job.epoch + 1 or not _waits_for_time(job):
        return _ended(job, event) if isinstance(event, Ended) else _beaten(job, event)
    assert job.due_at_ms is not None, "it waits for a time"
    came = facts.Readied(min(job.due_at_ms, event.at_ms), event.source, event.offset, None)
    ready = evolve.evolve(job, came, Phase.READY)
    assert ready is not None, "a job that waited is kept"
    told = _ended(ready, event) if isinstance(event, Ended) else _beaten(ready, event)
    return told if isinstance(told, Rejection) else (came, *told)


def _beaten(job: JobRow, event: Beaten) -> Decision:
    beat = event.beat
    if refusal := _stale(job, beat.epoch, "heartbeat"):
        return refusal
    if beat.checkpoint is not None and len(beat.checkpoint) > defaults.CHECKPOINT_BYTES_MAX:
        return Rejection(
            RejectCode.OVERSIZE,
            f"heartbeat of job {beat.job} refused: checkpoint must be at most"
            f" {defaults.CHECKPOINT_BYTES_MAX} bytes, got {len(beat.checkpoint)}",
        )
    if job.phase == Phase.READY:  # of whatever kind: the first one may have got lost
        held_ms = max(0, event.written_at_ms - beat.assigned_at_ms)  # both by the relay's clock
        lease_ends_at_ms = event.at_ms - held_ms + job.spec.timeout_ms
        return (facts.Started(*_place(event), beat, event.relay, lease_ends_at_ms),)
    if _tells_something(job, beat):
        return (facts.Progressed(*_place(event), beat, event.relay),)
    return (facts.Heard(*_place(event)),)


def _tells_something(job: JobRow, beat: Beat) -> bool:
    return (
        beat.kind == BeatKind.PROGRESS
        or beat.session != job.attempts[-1].session  # adopted: the minion came back on another session
        or (beat.started_at_ms is not None and job.attempts[-1].started_at_ms is None)
    )


def _ended(job: JobRow, event: Ended) -> Decision:
    """A receipt ends the lease, or the offer when it was quicker than the first beat."""
    receipt = event.receipt
    if refusal := _stale(job, receipt.epoch, "receipt"):
        return refusal
    if receipt.outcome not in OUTCOMES:
        reason = f"outcome must be one of {', '.join(Outcome)}, got {receipt.outcome!r:.250}"
        return Rejection(RejectCode.BAD_FIELD, f"receipt of job {receipt.job} refused: {reason}")
    if excess := _excess(receipt):
        receipt = replace(receipt, outcome=Outcome.FAILURE, non_retryable=True, checkpoint=None, **excess)
    if receipt.outcome == Outcome.SUCCESS:  # counts even if a cancel was asked: the work is done
        return (facts.Succeeded(*_place(event), receipt),)
    if receipt.outcome == Outcome.FAILURE:
        return _failed(job, event, receipt)
    if receipt.outcome == Outcome.LOST:
        return _lost(job, event, receipt)
    return _given_back(job, event, receipt)


def _failed(job: JobRow, event: Event, end: End) -> Decision:
    """A failure is retried after a delay, unless a limit, the policy or the error itself says no."""
    spec, at = job.spec, _place(event)
    failures = job.failed + 1
    if job.cancel_reason is not None:
        return (facts.Cancelled(*at, job.cancel_reason, end),)
    if end.error_type in spec.non_retryable or (isinstance(end, Receipt) and end.non_retryable):
        return (
            facts.Died(*at, f"attempt {job.attempt} failed with {end.error_type}, not to be retried", end),
        )
    if failures >= spec.attempts_max:
        return (facts.Died(*at, f"{failures} of {spec.attempts_max} attempts failed", end),)
    delay_ms = retry.delay_ms(spec, failures=failures, attempt=job.attempt)
    if isinstance(end, Receipt) and end.retry_after_ms is not None:
        delay_ms = _bounded(end.retry_after_ms, defaults.RETRY_AFTER_MS_MAX)
    due_at_ms = event.at_ms + delay_ms
    return _too_late(job, event, end, due_at_ms) or (facts.Failed(*at, end, due_at_ms),)


def _lost(job: JobRow, event: Event, end: End) -> Decision:
    """A lost lease is no fault of the function: tried again at once, up to a limit of its own."""
    lost = job.lost + 1
    if job.cancel_reason is not None:
        return (facts.Cancelled(*_place(event), job.cancel_reason, end),)
    if lost >= job.spec.lost_max:
        return (facts.Died(*_place(event), f"{lost} of {job.spec.lost_max} leases were lost", end),)
    again = facts.Lost if job.spec.lane is None else facts.Parked
    return _too_late(job, event, end, event.at_ms) or (again(*_place(event), end),)


def _given_back(job: JobRow, event: Ended, end: Receipt) -> Decision:
    """An attempt that ended with neither success nor failure counts against nothing."""
    at = _place(event)
    if job.cancel_reason is not None or end.outcome == Outcome.CANCELLED:
        return (facts.Cancelled(*at, job.cancel_reason or "cancelled by the function itself", end),)
    if end.outcome in (Outcome.INTERRUPTED, Outcome.PARKED):
        again = facts.HandedBack if job.spec.lane is None else facts.Parked
        return _too_late(job, event, end, event.at_ms) or (again(*at, end),)
    if end.outcome == Outcome.UNSERVED:
        due_at_ms = event.at_ms + defaults.UNSERVED_DELAY_MS
        return _too_late(job, event, end, due_at_ms) or (facts.Unserved(*at, end, due_at_ms),)
    due_at_ms = event.at_ms + _bounded(end.snooze_ms or 0, defaults.SNOOZE_MS_MAX)
    return _too_late(job, event, end, due_at_ms) or (facts.Snoozed(*at, end, due_at_ms),)


def _excess(receipt: Receipt) -> dict[str, object]:
    """The error of a receipt that a row could not hold; empty if there is none."""
    for name, value, limit in (
        ("result", receipt.result, defaults.RESULT_BYTES_MAX),
        ("checkpoint", receipt.checkpoint, defaults.CHECKPOINT_BYTES_MAX),
    ):
        if value is not None and len(value) > limit:
            sentence = f"{name} must be at most {limit} bytes, got {len(value)}"
            return {"error_type": OVERSIZE, "error_message": sentence}
    return {}


# What time brings. A time event is a hint: each is checked once more against the row.


def _due(job: JobRow, event: Due) -> Decision:
    if job.phase not in WAITING:
        return _not_now(job, "due", "only a scheduled or retrying job waits for a time")
    if not _reached(job.due_at_ms, event.at_ms):
        return _too_early(job, "due", job.due_at_ms, event)
    return _ready(job, event)


def _timed_out(job: JobRow, event: TimedOut) -> Decision:
    if job.phase != Phase.LEASED:
        return _not_now(job, "timeout", "only a leased job has a lease to end")
    if not _reached(job.lease_ends_at_ms, event.at_ms):
        return _too_early(job, "timeout", job.lease_ends_at_ms, event)
    sentence = f"no receipt within {job.spec.timeout_ms} ms"
    return _failed(job, event, Withdrawal(Verdict.TIMEOUT, TIMEOUT, sentence))


def _silent(job: JobRow, event: Silent) -> Decision:
    if job.phase != Phase.LEASED:
        return _not_now(job, "silence", "only a leased job is listened for")
    silent_at_ms = (job.beat_at_ms or 0) + job.spec.heartbeat_timeout_ms
    if event.at_ms < silent_at_ms:
        return _too_early(job, "silence", silent_at_ms, event)
    sentence = f"no heartbeat for {job.spec.heartbeat_timeout_ms} ms"
    return _lost(job, event, Withdrawal(Verdict.SILENT, SILENT, sentence))


def _expiry_passed(job: JobRow, event: ExpiryPassed) -> Decision:
    if job.phase not in WAITING and job.phase != Phase.READY:
        return _not_now(job, "expiry", "only a job that waits to be started expires")
    if not _reached(job.spec.expires_at_ms, event.at_ms):
        return _too_early(job, "expiry", job.spec.expires_at_ms, event)
    return (facts.Expired(*_place(event), EXPIRED, _withdrawn(job), _may_have_left(job, event)),)


def _deadline_passed(job: JobRow, event: DeadlinePassed) -> Decision:
    if job.phase in PHASES_TERMINAL:
        return _not_now(job, "total deadline", "it has ended")
    if not _reached(job.spec.ends_by_ms, event.at_ms):
        return _too_early(job, "total deadline", job.spec.ends_by_ms, event)
    if job.cancel_reason is not None:
        return (facts.Cancelled(*_place(event), job.cancel_reason, _withdrawn(job)),)
    return (facts.Died(*_place(event), OUT_OF_TIME, _withdrawn(job), _may_have_left(job, event)),)


def _dispatch_aged(job: JobRow, event: DispatchAged) -> Decision:
    if job.phase != Phase.READY:
        return _not_now(job, "new dispatch", "only a ready job has a dispatch that can get old")
    old_at_ms = (job.dispatched_at_ms or 0) + defaults.DISPATCH_AGE_MS_MAX
    if event.at_ms < old_at_ms:
        return _too_early(job, "new dispatch", old_at_ms, event)
    again = facts.Readied if job.spec.lane is None else facts.Parked
    return (again(*_place(event), _withdrawn(job)),)


def _result_due(job: JobRow, event: ResultDue) -> Decision:
    result_at_ms = evolve.result_until_ms(job)
    if result_at_ms is None:
        return _not_now(job, "dropping the result", "it has none that is kept for a time")
    if not _reached(result_at_ms, event.at_ms):
        return _too_early(job, "dropping the result", result_at_ms, event)
    return (facts.ResultDropped(*_place(event)),)


def _purge_due(job: JobRow, event: PurgeDue) -> Decision:
    if job.phase not in PHASES_TERMINAL:
        return _not_now(job, "purge", "it has not ended")
    if not _reached(job.purge_at_ms, event.at_ms):
        return _too_early(job, "purge", job.purge_at_ms, event)
    return (facts.Purged(*_place(event)),)


# What a job waited for without a time. It may have gone on since: then nothing happens.


def _turn_came(job: JobRow, event: TurnCame) -> Decision:
    if job.phase != Phase.SCHEDULED or job.wait_reason != WaitReason.LANE:
        return ()
    return _too_late(job, event, None, event.at_ms) or (facts.Readied(*_place(event), None),)


def _served(job: JobRow, event: Served) -> Decision:
    if job.phase != Phase.SCHEDULED or job.wait_reason != WaitReason.UNSERVED:
        return ()
    return _ready(job, event)


def _restored(job: JobRow, event: Restored) -> Decision:
    if job.phase == Phase.LEASED:
        return (facts.Reprieved(*_place(event)),)
    return ()


# What several of them ask.


def _ready(job: JobRow, event: Occurrence) -> tuple[Fact, ...]:
    """A job that waited may run: now, or when its turn in its lane comes."""
    again = facts.Readied if job.spec.lane is None else facts.Parked
    return _too_late(job, event, None, event.at_ms) or (again(*_place(event), None),)


def _place(event: Occurrence) -> tuple[int, Source, int]:
    """The time and place that a fact takes over from its event."""
    return event.at_ms, event.source, event.offset


def _reached(time_ms: int | None, at_ms: int) -> bool:
    """True if there is such a time and it has come."""
    return time_ms is not None and time_ms <= at_ms


def _bounded(delay_ms: int, limit_ms: int) -> int:
    """A delay that somebody else asks for, ms: at least 1, at most the limit."""
    return min(max(retry.DELAY_MS_MIN, delay_ms), limit_ms)


def _asked(done: str, event: CancelAsked | RetryAsked | RescheduleAsked) -> str:
    """Why, in the asker's words; else who did it, else that it was asked for."""
    reason = event.reason or (f"{done} by {event.by}" if event.by else f"{done} on request")
    return reason[: defaults.REASON_CHARS_MAX]


def _waits_for_time(job: JobRow) -> bool:
    """True if time alone makes it ready. When that comes it may be dispatched before its row says so; one of
    a lane is not.
    """
    return job.phase in WAITING and job.due_at_ms is not None and job.spec.lane is None


def _may_have_left(job: JobRow, event: Occurrence) -> bool:
    """True if a dispatch of the next epoch may be on its way though the row does not say so: the time has
    come, and whoever saw that may have died.
    """
    return _waits_for_time(job) and _reached(job.due_at_ms, event.at_ms)


def _withdrawn(job: JobRow) -> Withdrawal | None:
    """The end of an attempt that a minion has or may be given: it must be called off."""
    return Withdrawal(Verdict.WITHDRAWN) if job.phase in OFFERED else None


def _too_late(job: JobRow, event: Occurrence, end: End | None, next_ms: int) -> tuple[Fact, ...]:
    """The end of a job whose next attempt could only come too late: nothing waits for that; else empty."""
    spec = job.spec
    ended = (
        ""
        if end is None
        else f"attempt {job.attempt} ended with {end.outcome}, and the next would come after "
    )
    if _reached(spec.ends_by_ms, next_ms):
        reason = f"{ended}the total deadline" if ended else OUT_OF_TIME
        return (facts.Died(*_place(event), reason, end, _may_have_left(job, event)),)
    if _reached(spec.expires_at_ms, next_ms):
        reason = f"{ended}the expiry" if ended else EXPIRED
        return (facts.Expired(*_place(event), reason, end, _may_have_left(job, event)),)
    return ()


def _stale(job: JobRow, epoch: int, what: str) -> Rejection | None:
    """The refusal of a word about an attempt that is not the current one, or has ended; None if it counts."""
    if epoch == job.epoch and job.phase in OFFERED:
        return None
    code = RejectCode.NOT_NOW if epoch == job.epoch else RejectCode.WRONG_EPOCH
    return Rejection(
        code,
        f"{what} of epoch {epoch} refused: job {job.spec.id} is in epoch {job.epoch}, phase {job.phase}",
    )


def _not_now(job: JobRow, what: str, why: str) -> Rejection:
    return Rejection(
        RejectCode.NOT_NOW,
        f"{what} of job {job.spec.id} refused in phase {job.phase}, epoch {job.epoch}: {why}",
    )


def _too_early(job: JobRow, what: str, time_ms: int | None, event: Occurrence) -> Rejection:
    when = "it has no such time" if time_ms is None else f"its time is {time_ms} ms"
    return Rejection(
        RejectCode.NOT_NOW,
        f"{what} of job {job.spec.id} refused at {event.at_ms} ms, phase {job.phase}: {when}",
    )


def _unknown(event: Event) -> Rejection:
    match event:
        case Ended():
            subject = f"receipt of epoch {event.receipt.epoch} refused: job {event.receipt.job}"
        case Beaten():
            subject = f"heartbeat of epoch {event.beat.epoch} refused: job {event.beat.job}"
        case CancelAsked():
            subject = f"cancel refused: job {event.job}"
        case RetryAsked():
            subject = f"retry refused: job {event.job}"
        case RescheduleAsked():
            subject = f"reschedule refused: job {event.job}"
        case _:
            subject = f"{type(event).__name__} refused: the job"
    return Rejection(
        RejectCode.UNKNOWN_JOB, f"{subject} is not known in this partition; ended jobs are forgotten"
    )
