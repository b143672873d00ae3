"""What a fact makes of the row: the fold. Cannot say no, reads no clock, decides nothing.

One function per fact that has something of its own to say. The phase after a fact is not known here:
`job.evolve` takes it from the table of transitions and hands it in. Strings from outside are cut to what a
row may hold.
"""

from typing import assert_never

from schemas import defaults
from schemas.events import Attempt, Beat, JobRow, Receipt
from schemas.records import replace
from schemas.words import Outcome, Phase, Verdict, WaitReason
from streams.core import facts
from streams.core.events import APPLIED, Source
from streams.core.facts import Change, End, Fact, Turn

Fields = dict[str, object]
"""Fields of a row, or of an attempt, that a fact changes."""

FAILURES = frozenset({Outcome.FAILURE, Verdict.TIMEOUT})
LOSSES = frozenset({Outcome.LOST, Verdict.SILENT})
GIVEN_BACK = frozenset({Outcome.SNOOZE, Outcome.INTERRUPTED, Outcome.UNSERVED, Outcome.PARKED})
NEVER_RAN = frozenset({Outcome.UNSERVED, Outcome.PARKED})

TOLD = ("minion", "session", "assigned_at_ms", "started_at_ms", "step", "done", "total")
"""What beats and receipts tell of an attempt; what one leaves out stays as it was."""


def evolve(job: JobRow | None, fact: Fact, phase: Phase | None) -> JobRow | None:
    """The row after the fact, in the phase that the table says; None: there is no row any more."""
    if isinstance(fact, (facts.Admitted, facts.Scheduled, facts.Lined)):
        assert phase is not None, "a new job is in some phase"
        return _new(fact, phase)
    assert job is not None, f"{type(fact).__name__} needs a job"
    if isinstance(fact, facts.Purged):
        return None
    fields = _fields(job, fact)
    fields["phase"] = phase
    fields[APPLIED[fact.source]] = fact.offset
    return replace(job, **fields)


def _new(fact: facts.Admitted | facts.Scheduled | facts.Lined, phase: Phase) -> JobRow:
    """A job is dispatched as it is admitted, unless it has to wait."""
    assert fact.source == Source.REQUESTS, f"a job is asked for by a request, got one from {fact.source}"
    now = isinstance(fact, facts.Admitted)
    return JobRow(
        spec=fact.spec,
        phase=phase,
        attempt=1,
        epoch=1 if now else 0,
        failed=0,
        lost=0,
        snoozed=0,
        dispatched_at_ms=fact.at_ms if now else None,
        due_at_ms=fact.due_at_ms if isinstance(fact, facts.Scheduled) else None,
        wait_reason=_NEW[type(fact)],
        attempts=(_attempt(1, 1, fact),) if now else (),
        attempts_dropped=0,
        applied_requests=fact.offset,
        applied_receipts=-1,
        applied_heartbeats=-1,
        applied_timers=-1,
    )


_NEW = {facts.Admitted: None, facts.Scheduled: WaitReason.DELAY, facts.Lined: WaitReason.LANE}
"""Why a new job waits."""


def _fields(  # noqa: C901, PLR0912 - one line for each fact
    job: JobRow, fact: Turn
) -> Fields:
    """What the fact changes in a row, besides the phase and the applied offset."""
    match fact:
        case facts.Succeeded():
            return _succeeded(job, fact)
        case facts.Started():
            return _told(job, fact, fact.beat, fact.relay) | {"lease_ends_at_ms": fact.lease_ends_at_ms}
        case facts.Heard():
            return {"beat_at_ms": fact.at_ms}
        case facts.Progressed():
            return _told(job, fact, fact.beat, fact.relay)
        case facts.Readied():
            return _readied(job, fact)
        case facts.Failed():
            return _closed(job, fact, fact.end) | _waits(fact.due_at_ms, WaitReason.RETRY)
        case facts.Snoozed():
            return _closed(job, fact, fact.end) | _waits(fact.due_at_ms, WaitReason.SNOOZE)
        case facts.Unserved():
            return _closed(job, fact, fact.end) | _waits(fact.due_at_ms, WaitReason.UNSERVED)
        case facts.Parked():
            return _parked(job, fact)
        case facts.Lost():
            return _offered_again(job, fact, fact.end, job.attempt + 1)
        case facts.HandedBack():
            return _offered_again(job, fact, fact.end, job.attempt)
        case facts.Died() | facts.Cancelled() | facts.Expired():
            closed = {} if fact.end is None else _closed(job, fact, fact.end)
            return closed | _over(job, fact) | {"end_reason": fact.reason}
        case facts.CancelRequested():
            return {"cancel_reason": fact.reason}
        case facts.Retried():
            return _retried(job, fact)
        case facts.Rescheduled():
            closed = {} if fact.end is None else _closed(job, fact, fact.end)
            retrying = job.phase == Phase.RETRYING
            return closed | _waits(fact.due_at_ms, WaitReason.RETRY if retrying else WaitReason.DELAY)
        case facts.ResultDropped():
            return {"result": None, "result_type": None}
        case facts.Reprieved():
            return _reprieved(job, fact)
        case facts.Deduplicated():
            return {}
        case _:
            assert_never(fact)


# One fact each.


def _succeeded(job: JobRow, fact: facts.Succeeded) -> Fields:
    fields = _closed(job, fact, fact.end)
    fields |= _over(job, fact)
    if job.spec.result_retention_ms != 0:
        fields["result"] = fact.end.result
        fields["result_type"] = _cut(fact.end.result_type, defaults.CONTENT_TYPE_CHARS_MAX)
    fields["cached"] = fact.end.cached
    fields["error_type"] = fields["error_message"] = fields["checkpoint"] = None
    return fields


def _readied(job: JobRow, fact: facts.Readied) -> Fields:
    """A job that failed begins its next attempt; one that was put off, or whose dispatch got old, goes on
    with the one it had.
    """
    if fact.end is not None:
        return _offered_again(job, fact, fact.end, job.attempt)
    attempt = job.attempt + 1 if job.phase == Phase.RETRYING else job.attempt
    return _offered(job, job.attempts, fact, attempt)


def _retried(job: JobRow, fact: facts.Retried) -> Fields:
    """Someone asked: an ended job begins anew with fresh counters, a waiting one waits no longer. An expiry
    that has passed is lifted, and a total deadline that has passed is given once more from now.

    The epoch that follows the end is passed over: if the job ended while it waited, a dispatch of that epoch
    may have left, and relays drop what they have seen.
    """
    anew = job.ended_at_ms is not None
    attempt = 1 if anew else job.attempt + (job.phase == Phase.RETRYING)
    fields = _offered(job, job.attempts, fact, attempt, job.epoch + (2 if anew else 1))
    return fields | _begun_anew(job, fact)


def _parked(job: JobRow, fact: facts.Parked) -> Fields:
    """It waits for its turn: for the attempt that the fact would otherwise begin."""
    fields = {} if fact.end is None else _closed(job, fact, fact.end)
    failed = job.phase == Phase.RETRYING or (fact.end is not None and fact.end.outcome in LOSSES)
    fields |= {"attempt": job.attempt + failed, "due_at_ms": None, "wait_reason": WaitReason.LANE}
    if fact.reason is not None:  # someone asked
        fields |= _begun_anew(job, fact)
    if job.ended_at_ms is not None:
        fields["attempt"] = 1
    return fields


def _begun_anew(job: JobRow, fact: facts.Retried | facts.Parked) -> Fields:
    """Fresh counters for a job that had ended; an expiry that has passed is lifted, and a total deadline that
    has passed is given once more from now.
    """
    spec = job.spec
    anew = job.ended_at_ms is not None
    fields: Fields = {}
    if anew:
        fields |= {"failed": 0, "lost": 0, "snoozed": 0, "cancel_reason": None}
        fields |= {"ended_at_ms": None, "purge_at_ms": None, "end_reason": None}
    if spec.expires_at_ms is not None and spec.expires_at_ms <= fact.at_ms:
        spec = replace(spec, expires_at_ms=None)
    if spec.ends_by_ms is not None and (anew or spec.ends_by_ms <= fact.at_ms):
        spec = replace(spec, ends_by_ms=fact.at_ms + spec.ends_by_ms - spec.created_at_ms)
    return fields | {"spec": spec}


def _reprieved(job: JobRow, fact: facts.Reprieved) -> Fields:
    """As if it had been heard of now, and with as much time left for its receipt."""
    earliest_ms = fact.at_ms + job.spec.heartbeat_timeout_ms
    assert job.lease_ends_at_ms is not None, "a leased job has a lease"
    return {"beat_at_ms": fact.at_ms, "lease_ends_at_ms": max(job.lease_ends_at_ms, earliest_ms)}


# What several of them do.


def _attempt(attempt: int, epoch: int, fact: Change) -> Attempt:
    return Attempt(attempt=attempt, epoch=epoch, dispatched_at_ms=fact.at_ms, spilled=False)


def _offered(
    job: JobRow, attempts: tuple[Attempt, ...], fact: Change, attempt: int, epoch: int | None = None
) -> Fields:
    """A new epoch, the next unless another is given, and its attempt behind those that have ended."""
    epoch, dropped = epoch or job.epoch + 1, job.attempts_dropped
    if len(attempts) >= defaults.ATTEMPTS_REMEMBERED_MAX:
        attempts, dropped = attempts[1:], dropped + 1
    return {
        "attempt": attempt,
        "epoch": epoch,
        "dispatched_at_ms": fact.at_ms,
        "due_at_ms": None,
        "wait_reason": None,
        "attempts": (*attempts, _attempt(attempt, epoch, fact)),
        "attempts_dropped": dropped,
    }


def _offered_again(job: JobRow, fact: Change, end: End, attempt: int) -> Fields:
    """The attempt ended, and the next is offered in the same step."""
    ended = (*job.attempts[:-1], _ended(job.attempts[-1], fact, end))
    return _closed(job, fact, end) | _offered(job, ended, fact, attempt)


def _waits(due_at_ms: int, reason: WaitReason) -> Fields:
    return {"due_at_ms": due_at_ms, "wait_reason": reason}


def result_until_ms(job: JobRow) -> int | None:
    """When the result of an ended job is to be forgotten, epoch ms; None: with the job, or there is none."""
    retention_ms = job.spec.result_retention_ms
    if retention_ms is None or job.result is None or job.ended_at_ms is None:
        return None
    return job.ended_at_ms + retention_ms


def _over(job: JobRow, fact: Change) -> Fields:
    """The end of a job: nothing is to come but its purge, not before others may ask for what it was unique
    in.
    """
    spec = job.spec
    retention_ms = defaults.JOB_RETENTION_MS if spec.retention_ms is None else spec.retention_ms
    purge_at_ms = max(fact.at_ms + retention_ms, spec.unique_until_ms or 0)
    return {"due_at_ms": None, "wait_reason": None, "ended_at_ms": fact.at_ms, "purge_at_ms": purge_at_ms}


def _told(job: JobRow, fact: Change, beat: Beat, relay: str) -> Fields:
    """What a beat tells of the current attempt."""
    said = _said(beat) | {"relay": relay, "spilled": beat.spilled}
    return {
        "attempts": (*job.attempts[:-1], replace(job.attempts[-1], **said)),
        "beat_at_ms": fact.at_ms,
        "step_at_ms": job.step_at_ms if beat.step_at_ms is None else beat.step_at_ms,
        "checkpoint": job.checkpoint if beat.checkpoint is None else beat.checkpoint,
    }


def _closed(job: JobRow, fact: Change, end: End) -> Fields:
    """The end of the current attempt and of its lease. An offer that found no minion is not remembered."""
    outcome = end.outcome
    before = job.attempts[:-1]
    fields: Fields = {
        "attempts": before if outcome in NEVER_RAN else (*before, _ended(job.attempts[-1], fact, end)),
        "dispatched_at_ms": None,
        "lease_ends_at_ms": None,
        "beat_at_ms": None,
        "step_at_ms": None,
    }
    if outcome in FAILURES:
        fields["failed"] = job.failed + 1
        fields["error_type"] = fields["error_message"] = None  # an error without words hides the one before
    elif outcome in LOSSES:
        fields["lost"] = job.lost + 1
    elif outcome in GIVEN_BACK:
        fields["snoozed"] = job.snoozed + 1
    if end.error_type is not None:
        fields["error_type"] = _cut(end.error_type, defaults.ERROR_TYPE_CHARS_MAX)
        fields["error_message"] = _cut(end.error_message, defaults.ERROR_MESSAGE_CHARS_MAX)
    if isinstance(end, Receipt) and end.checkpoint is not None:
        fields["checkpoint"] = end.checkpoint
    return fields


def _ended(attempt: Attempt, fact: Change, end: End) -> Attempt:
    """The attempt with its end, and what its receipt tells of it."""
    said: Fields = {"ended_at_ms": fact.at_ms, "outcome": end.outcome}
    if end.error_type is not None:
        said["error_type"] = _cut(end.error_type, defaults.ERROR_TYPE_CHARS_MAX)
        said["error_message"] = _cut(end.error_message, defaults.ERROR_MESSAGE_CHARS_MAX)
    if isinstance(end, Receipt):
        said |= _said(end)
        said["spilled"] = end.spilled or attempt.spilled
        if end.relay is not None:
            said["relay"] = end.relay
    return replace(attempt, **said)


def _said(teller: Beat | Receipt) -> Fields:
    """What a beat or a receipt tells of its attempt, without what it leaves out."""
    told = vars(teller)
    said: Fields = {name: told[name] for name in TOLD if told[name] is not None}
    if teller.step is not None:
        said["step"] = _cut(teller.step, defaults.STEP_CHARS_MAX)
    return said


def _cut(text: str | None, chars_max: int) -> str | None:
    return text if text is None else text[:chars_max]
