"""What a fact makes of the row: the fold. Cannot say no, reads no clock, decides nothing.

One function per fact that has something of its own to say. The phase after a fact is not known here:
`job.evolve` takes it from the table of transitions and hands it in. Strings from outside are cut to what a
row may hold.
"""

from typing import TypeVar, assert_never

from schemas import defaults
from schemas.events import Attempt, Beat, JobRow, JobSpec, Receipt
from schemas.records import replace
from schemas.words import Outcome, Phase, Verdict, WaitReason
from streams.core import facts
from streams.core.events import APPLIED
from streams.core.facts import Change, End, Fact

T = TypeVar("T")

Fields = dict[str, object]
"""Fields of a row that a fact changes."""

NO_LEASE: Fields = {"lease_ends_at_ms": None, "beat_at_ms": None, "step_at_ms": None}
NO_WAIT: Fields = {"due_at_ms": None, "wait_reason": None}
NO_END: Fields = {"ended_at_ms": None, "purge_at_ms": None, "end_reason": None, "cancel_reason": None}

FAILURES = frozenset({Outcome.FAILURE, Verdict.TIMEOUT})
LOSSES = frozenset({Outcome.LOST, Verdict.SILENT})
GIVEN_BACK = frozenset({Outcome.SNOOZE, Outcome.INTERRUPTED, Outcome.UNSERVED})


def evolve(job: JobRow | None, fact: Fact, phase: Phase | None) -> JobRow | None:
    """The row after the fact, in the phase that the table says; None: there is no row any more."""
    if isinstance(fact, facts.Admitted):
        return _admitted(fact, phase)
    if isinstance(fact, facts.Scheduled):
        return _scheduled(fact, phase)
    assert job is not None, f"{type(fact).__name__} needs a job"
    if isinstance(fact, facts.Purged):
        return None
    return replace(job, phase=phase, **{APPLIED[fact.source]: fact.offset}, **_fields(job, fact))


def _fields(job: JobRow, fact: Fact) -> Fields:  # noqa: C901, PLR0912 - one line for each fact
    """What the fact changes in a row, besides the phase and the applied offset."""
    match fact:
        case facts.Succeeded():
            return _succeeded(job, fact)
        case facts.Started():
            return _started(job, fact)
        case facts.Heard():
            return {"beat_at_ms": fact.at_ms}
        case facts.Progressed():
            return _progressed(job, fact)
        case facts.Readied():
            return _readied(job, fact)
        case facts.Failed():
            return _closed(job, fact, fact.end) | _waits(fact.due_at_ms, WaitReason.RETRY)
        case facts.Snoozed():
            return _closed(job, fact, fact.end) | _waits(fact.due_at_ms, WaitReason.SNOOZE)
        case facts.Unserved():
            return _closed(job, fact, fact.end) | _waits(fact.due_at_ms, WaitReason.UNSERVED)
        case facts.Lost():
            return _offered_again(job, fact, fact.end, job.attempt + 1)
        case facts.HandedBack():
            return _offered_again(job, fact, fact.end, job.attempt)
        case facts.Died() | facts.Cancelled() | facts.Expired():
            return _closed(job, fact, fact.end) | _over(fact, fact.reason)
        case facts.CancelRequested():
            return {"cancel_reason": fact.reason}
        case facts.Retried():
            return _retried(job, fact)
        case facts.Reprieved():
            return _reprieved(job, fact)
        case facts.Deduplicated():
            return {}
        case facts.Admitted() | facts.Scheduled() | facts.Purged():
            raise AssertionError(f"{type(fact).__name__} changes no row: it makes or ends one")
        case _:
            assert_never(fact)


# The life of a row.


def _admitted(fact: facts.Admitted, phase: Phase | None) -> JobRow:
    row = _new(fact.spec)
    return replace(row, phase=phase, **{APPLIED[fact.source]: fact.offset}, **_offered(row, fact, 1))


def _scheduled(fact: facts.Scheduled, phase: Phase | None) -> JobRow:
    waits = _waits(fact.due_at_ms, WaitReason.DELAY)
    return replace(_new(fact.spec), phase=phase, **{APPLIED[fact.source]: fact.offset}, **waits)


def _readied(job: JobRow, fact: facts.Readied) -> Fields:
    """A job that failed begins its next attempt; one that was put off goes on with the one it had."""
    attempt = job.attempt + 1 if job.phase == Phase.RETRYING else job.attempt
    return _offered(job, fact, attempt) | NO_WAIT


def _retried(job: JobRow, fact: facts.Retried) -> Fields:
    """Someone asked: an ended job begins anew with fresh counters, a waiting one waits no longer. An expiry
    that has passed is lifted, and a total deadline that has passed is given once more from now.
    """
    spec = job.spec
    anew = job.ended_at_ms is not None
    attempt = 1 if anew else job.attempt + (job.phase == Phase.RETRYING)
    fields = _offered(job, fact, attempt) | NO_WAIT
    if anew:
        fields |= NO_END | {"failed": 0, "lost": 0, "snoozed": 0}
    if spec.expires_at_ms is not None and spec.expires_at_ms <= fact.at_ms:
        spec = replace(spec, expires_at_ms=None)
    if spec.ends_by_ms is not None and (anew or spec.ends_by_ms <= fact.at_ms):
        spec = replace(spec, ends_by_ms=fact.at_ms + spec.ends_by_ms - spec.created_at_ms)
    return fields | {"spec": spec}


def _started(job: JobRow, fact: facts.Started) -> Fields:
    fields = _told(job, fact.beat, fact.relay)
    return fields | {"lease_ends_at_ms": fact.lease_ends_at_ms, "beat_at_ms": fact.at_ms}


def _progressed(job: JobRow, fact: facts.Progressed) -> Fields:
    return _told(job, fact.beat, fact.relay) | {"beat_at_ms": fact.at_ms}


def _reprieved(job: JobRow, fact: facts.Reprieved) -> Fields:
    """As if it had been heard of now, and with as much time left for its receipt."""
    earliest_ms = fact.at_ms + job.spec.heartbeat_timeout_ms
    assert job.lease_ends_at_ms is not None, "a leased job has a lease"
    return {"beat_at_ms": fact.at_ms, "lease_ends_at_ms": max(job.lease_ends_at_ms, earliest_ms)}


def _succeeded(job: JobRow, fact: facts.Succeeded) -> Fields:
    receipt = fact.end
    fields = _closed(job, fact, receipt)
    fields |= {"ended_at_ms": fact.at_ms, "purge_at_ms": fact.at_ms + defaults.JOB_RETENTION_MS}
    fields |= {
        "result": receipt.result,
        "result_type": _cut(receipt.result_type, defaults.CONTENT_TYPE_CHARS_MAX),
    }
    return fields | {"error_type": None, "error_message": None, "checkpoint": None}


# What several of them do.


def _new(spec: JobSpec) -> JobRow:
    """A row before anything happened to it; its phase is set by the fact that makes it."""
    return JobRow(
        spec=spec,
        phase=Phase.SCHEDULED,
        attempt=1,
        epoch=0,
        failed=0,
        lost=0,
        snoozed=0,
        attempts_dropped=0,
        applied_requests=-1,
        applied_receipts=-1,
        applied_heartbeats=-1,
        applied_timers=-1,
    )


def _offered(job: JobRow, fact: Change, attempt: int) -> Fields:
    """A new epoch: the only place that makes one. An attempt that no minion took is not remembered."""
    epoch = job.epoch + 1
    attempts, dropped = job.attempts, job.attempts_dropped
    if attempts and attempts[-1].outcome is None:
        attempts = attempts[:-1]
    if len(attempts) >= defaults.ATTEMPTS_REMEMBERED_MAX:
        attempts, dropped = attempts[1:], dropped + 1
    current = Attempt(attempt=attempt, epoch=epoch, dispatched_at_ms=fact.at_ms, spilled=False)
    return {
        "attempt": attempt,
        "epoch": epoch,
        "dispatched_at_ms": fact.at_ms,
        "attempts": (*attempts, current),
        "attempts_dropped": dropped,
    }


def _offered_again(job: JobRow, fact: Change, end: End, attempt: int) -> Fields:
    """The attempt ended, and the next is offered in the same step."""
    closed = _closed(job, fact, end)
    return closed | _offered(replace(job, **closed), fact, attempt)


def _waits(due_at_ms: int, reason: WaitReason) -> Fields:
    return {"due_at_ms": due_at_ms, "wait_reason": reason}


def _over(fact: Change, reason: str) -> Fields:
    """The end of a job that did not succeed."""
    purge_at_ms = fact.at_ms + defaults.JOB_RETENTION_MS
    return NO_WAIT | {"ended_at_ms": fact.at_ms, "purge_at_ms": purge_at_ms, "end_reason": reason}


def _told(job: JobRow, beat: Beat, relay: str) -> Fields:
    """What a beat says of the current attempt; what it leaves out stays as it was."""
    current = job.attempts[-1]
    told = replace(
        current,
        minion=beat.minion,
        session=beat.session,
        relay=relay,
        spilled=beat.spilled,
        assigned_at_ms=beat.assigned_at_ms,
        started_at_ms=_either(beat.started_at_ms, current.started_at_ms),
        step=_cut(_either(beat.step, current.step), defaults.STEP_CHARS_MAX),
        done=_either(beat.done, current.done),
        total=_either(beat.total, current.total),
    )
    return {
        "attempts": (*job.attempts[:-1], told),
        "step_at_ms": _either(beat.step_at_ms, job.step_at_ms),
        "checkpoint": _either(beat.checkpoint, job.checkpoint),
    }


def _closed(job: JobRow, fact: Change, end: End | None) -> Fields:
    """The end of the current attempt; nothing if the job was waiting for its next."""
    if end is None:
        return {}
    outcome = end.outcome
    ended = _told_by_receipt(job.attempts[-1], end) if isinstance(end, Receipt) else job.attempts[-1]
    error_type = _cut(end.error_type, defaults.ERROR_TYPE_CHARS_MAX)
    error_message = _cut(end.error_message, defaults.ERROR_MESSAGE_CHARS_MAX)
    ended = replace(
        ended, ended_at_ms=fact.at_ms, outcome=outcome, error_type=error_type, error_message=error_message
    )
    before = job.attempts[:-1]
    fields: Fields = NO_LEASE | {
        "dispatched_at_ms": None,
        "attempts": before if outcome == Outcome.UNSERVED else (*before, ended),  # that one never ran
        "failed": job.failed + (outcome in FAILURES),
        "lost": job.lost + (outcome in LOSSES),
        "snoozed": job.snoozed + (outcome in GIVEN_BACK),
    }
    if error_type is not None:
        fields |= {"error_type": error_type, "error_message": error_message}
    if isinstance(end, Receipt) and end.checkpoint is not None:
        fields["checkpoint"] = end.checkpoint
    return fields


def _told_by_receipt(current: Attempt, receipt: Receipt) -> Attempt:
    """The attempt with what its receipt says; what it leaves out stays as it was."""
    return replace(
        current,
        minion=_either(receipt.minion, current.minion),
        session=_either(receipt.session, current.session),
        relay=_either(receipt.relay, current.relay),
        spilled=receipt.spilled or current.spilled,
        assigned_at_ms=_either(receipt.assigned_at_ms, current.assigned_at_ms),
        started_at_ms=_either(receipt.started_at_ms, current.started_at_ms),
        step=_cut(_either(receipt.step, current.step), defaults.STEP_CHARS_MAX),
        done=_either(receipt.done, current.done),
        total=_either(receipt.total, current.total),
    )


def _either(new: T | None, old: T | None) -> T | None:
    return old if new is None else new


def _cut(text: str | None, chars_max: int) -> str | None:
    return text if text is None else text[:chars_max]
