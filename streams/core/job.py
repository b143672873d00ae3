"""The life of a job: every phase, every transition, and what each asks of the world.

A job is one row. Something happens (an *event*), the machine decides what that means (*facts*, or a
*rejection* which changes nothing), and the facts are folded into the row:

    decide(job | None, event) -> facts | Rejection     may say no; reads only
    evolve(job | None, fact)  -> job | None            cannot say no; asserts
    effects(job, fact)        -> effects               what the world must now do, as values
    due(job, at_ms)           -> event | None          the only use of time
    step                      =  decide, fold evolve, collect effects

**Phases.** A job that may run is `ready`: its dispatch is on the way to a minion. When a minion tells that
it runs it, it is `leased`; a quick one goes from ready to its end by its receipt alone. A job that must not
run yet waits: `scheduled` when no failure is the cause (a delay, a snooze, its turn in a lane, no minion
that has its function), `retrying` after a failure. It ends as `succeeded`, `dead` (no further attempt),
`cancelled` or `expired` (not started in time), is kept for a retention, and is forgotten. `succeeded` is
final; the other ends can be run again if someone asks.

**What ends a lease.** A receipt: success, failure, snooze, cancelled, interrupted (the minion drains),
unserved (no minion has the function), or lost, which a relay says for a minion whose session broke. Or
silence: no receipt by the end of the lease counts as a failure, no beat for the heartbeat timeout counts as
a loss. Silence is decided only when everything that was written before it has been applied (`heard`), and
after an outage every lease is reprieved once. Or the total deadline, or a cancel that found it still
unassigned. Whatever ends an attempt without its minion saying so calls it off at the relays.

**Lanes.** A job of a queue with key order is dispatched when its turn comes (`lane`): where another job
would be dispatched it is parked, and `TurnCame` makes it ready.

**Counting.** A failure counts in `failed` against `attempts_max`, a loss in `lost` against `lost_max`; both
make a new attempt. A snooze, a hand-back and an unserved offer count against nothing and repeat the
attempt.

**Epochs.** Each decision to dispatch mints a new epoch; a dispatch that is sent again repeats its epoch. A
receipt or beat of another epoch, or of one that has ended, is refused, so an attempt that came back from
the dead harms nothing. The epoch reaches the function as its fencing token.

**Dispatched before the row says so.** When the time of a waiting job has come and its row is durable as it
is, its next epoch may be dispatched at once: a crash before the new row leaves a waiting row, and a dispatch
of the epoch that this row gets next whatever comes of it. A word about that epoch proves that the time came,
and counts. If something else comes first, nothing contradicts it: a cancel, an expiry or a deadline after the
time calls that epoch off, a retry of an ended job passes it over, and after a new time it still counts.

**Replays.** The row keeps the last applied offset of each source. An event that was applied changes
nothing, and returns what is `outstanding`: the effects that the row still awaits, derived from the row
alone. So a crash between the row and its effects loses none, and whoever gets one twice drops it by (job,
epoch).

**Time** is in the events. `next_due_ms` says when a row must be looked at again, `due` what has come by
then: at most one event for each row and tick, and none of them leaves another that is due at the same
instant.

Everything about phases is on this page; `decide`, `evolve`, `facts` and `events` have one entry for each
word of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas import defaults
from schemas.events import JobRow
from schemas.records import replace
from schemas.words import PHASES_TERMINAL, Phase, Verdict, WaitReason
from streams.core import evolve as fold
from streams.core.decide import OFFERED, decide
from streams.core.effect import DispatchJob, Effect, TellRelays, TellSchedule, WriteDeadLetter
from streams.core.events import (
    APPLIED,
    DeadlinePassed,
    DispatchAged,
    Due,
    Event,
    ExpiryPassed,
    Opening,
    PurgeDue,
    ResultDue,
    Silent,
    Source,
    TimedOut,
    TimeEvent,
)
from streams.core.facts import (
    Admitted,
    Cancelled,
    CancelRequested,
    Deduplicated,
    Died,
    Expired,
    Fact,
    Failed,
    HandedBack,
    Heard,
    Lined,
    Lost,
    Parked,
    Progressed,
    Purged,
    Readied,
    Reprieved,
    Rescheduled,
    ResultDropped,
    Retried,
    Scheduled,
    Snoozed,
    Started,
    Succeeded,
    Unserved,
)
from streams.core.rejection import Rejection

SCHEDULED, READY, LEASED = Phase.SCHEDULED, Phase.READY, Phase.LEASED
SUCCEEDED, RETRYING, DEAD = Phase.SUCCEEDED, Phase.RETRYING, Phase.DEAD
CANCELLED, EXPIRED = Phase.CANCELLED, Phase.EXPIRED

TRANSITIONS: Final[Mapping[str | None, Mapping[type[Fact], Phase | None]]] = {
    None: {  # no row
        Admitted: READY,
        Scheduled: SCHEDULED,
        Lined: SCHEDULED,
    },
    SCHEDULED: {  # waits for its time; nothing failed
        Readied: READY,
        Retried: READY,
        Rescheduled: SCHEDULED,
        Parked: SCHEDULED,
        Cancelled: CANCELLED,
        Expired: EXPIRED,
        Died: DEAD,
        Deduplicated: SCHEDULED,
    },
    READY: {  # dispatched; no minion has said that it runs it
        Started: LEASED,
        Succeeded: SUCCEEDED,
        Failed: RETRYING,
        Lost: READY,
        HandedBack: READY,
        Readied: READY,
        Snoozed: SCHEDULED,
        Unserved: SCHEDULED,
        Parked: SCHEDULED,
        Rescheduled: SCHEDULED,
        Cancelled: CANCELLED,
        Expired: EXPIRED,
        Died: DEAD,
        Deduplicated: READY,
    },
    LEASED: {  # a minion runs it
        Succeeded: SUCCEEDED,
        Failed: RETRYING,
        Lost: READY,
        HandedBack: READY,
        Snoozed: SCHEDULED,
        Unserved: SCHEDULED,
        Parked: SCHEDULED,
        Heard: LEASED,
        Progressed: LEASED,
        Reprieved: LEASED,
        CancelRequested: LEASED,
        Cancelled: CANCELLED,
        Expired: EXPIRED,
        Died: DEAD,
        Deduplicated: LEASED,
    },
    RETRYING: {  # waits for its next attempt after a failure
        Readied: READY,
        Retried: READY,
        Rescheduled: RETRYING,
        Parked: SCHEDULED,
        Cancelled: CANCELLED,
        Expired: EXPIRED,
        Died: DEAD,
        Deduplicated: RETRYING,
    },
    SUCCEEDED: {  # done, for good
        Deduplicated: SUCCEEDED,
        ResultDropped: SUCCEEDED,
        Purged: None,
    },
    DEAD: {  # no further attempt, unless someone asks
        Retried: READY,
        Parked: SCHEDULED,
        Cancelled: CANCELLED,
        Deduplicated: DEAD,
        Purged: None,
    },
    CANCELLED: {  # ended because someone asked
        Retried: READY,
        Parked: SCHEDULED,
        Deduplicated: CANCELLED,
        Purged: None,
    },
    EXPIRED: {  # not started in time
        Retried: READY,
        Parked: SCHEDULED,
        Deduplicated: EXPIRED,
        Purged: None,
    },
}
"""The phase after each fact that is possible in a phase. What is not in the table cannot happen."""

EPHEMERAL: Final = frozenset({Heard, Reprieved})
"""Facts that change the row in memory alone: losing them costs no more than listening a little longer."""

CALLED_OFF: Final = frozenset({Verdict.TIMEOUT, Verdict.SILENT, Verdict.WITHDRAWN})
"""How attempts end that a minion may still run."""


TELLING: Final = (Succeeded, Cancelled, Died, Expired, Deduplicated)
"""Facts after which a job that has ended tells its schedule so: the last, since who asks again may not have
heard.
"""


@dataclass(frozen=True, slots=True)
class Step:
    """What one event did."""

    job: JobRow | None
    """The row after it; None: there is no row (any more)."""
    facts: tuple[Fact, ...]
    """What happened; empty if nothing did."""
    effects: tuple[Effect, ...]
    """What the world must now do, once the row is durable."""
    durable: bool
    """True if the row (or its absence) must be written, and the facts told."""


def step(job: JobRow | None, event: Event) -> Step | Rejection:
    """What the event does to the job. On a rejection nothing changes; a replay brings the outstanding
    effects back.
    """
    opening = isinstance(event, Opening)
    if job is not None and not opening and is_applied(job, event.source, event.offset):
        return Step(job, (), outstanding(job), durable=False)
    facts = decide(job, event)
    if isinstance(facts, Rejection):
        return facts
    found: tuple[Effect, ...] = ()
    durable = False
    for fact in facts:
        job = evolve(job, fact)
        found += effects(job, fact)
        durable = durable or type(fact) not in EPHEMERAL
    if len(facts) > 1:  # what a word told was dispatched need not be dispatched again
        found = tuple(effect for effect in found if not _is_over(job, effect))
    return Step(job, facts, found, durable)


def _is_over(job: JobRow | None, effect: Effect) -> bool:
    """True for a dispatch of an epoch that is with a minion, or behind the job."""
    if not isinstance(effect, DispatchJob):
        return False
    return job is None or job.phase != Phase.READY or job.epoch != effect.epoch


def is_applied(job: JobRow, source: Source, offset: int) -> bool:
    """True if the row has seen this record of the source, or a later one."""
    applied: int = getattr(job, APPLIED[source])
    return offset <= applied


def evolve(job: JobRow | None, fact: Fact) -> JobRow | None:
    """The row after the fact.

    Raises:
        AssertionError: the table has no such transition, so the fact is not one that `decide` found for
            this row.
    """
    phase = None if job is None else job.phase
    possible = TRANSITIONS[phase]
    assert type(fact) in possible, f"{type(fact).__name__} is no transition from {phase}"
    return fold.evolve(job, fact, possible[type(fact)])


def effects(job: JobRow | None, fact: Fact) -> tuple[Effect, ...]:
    """What the world must do because of the fact; `job` is the row after it."""
    if job is None:
        return ()
    told = _tell_schedule(job) if isinstance(fact, TELLING) else ()
    return (*_effects(job, fact), *told)


def _effects(job: JobRow, fact: Fact) -> tuple[Effect, ...]:
    match fact:
        case Admitted() | Retried() | HandedBack():
            return (DispatchJob(job.epoch),)
        case Lost() | Readied():
            called_off = _call_off(job) if fact.end is not None else ()
            return (DispatchJob(job.epoch), *called_off)
        case Failed() | Parked() | Rescheduled():
            return _call_off(job) if fact.end is not None else ()
        case Cancelled() | Expired():
            return _ended_effects(job, fact)
        case Died():
            return (WriteDeadLetter(fact.reason), *_ended_effects(job, fact))
        case CancelRequested():
            return (TellRelays(job.epoch),)
        case _:
            return ()


def _ended_effects(job: JobRow, fact: Cancelled | Expired | Died) -> tuple[Effect, ...]:
    """Calls off what a minion may have, or may be given still."""
    if fact.left:
        return (TellRelays(job.epoch + 1),)
    return _call_off(job) if fact.end is not None else ()


def outstanding(job: JobRow) -> tuple[Effect, ...]:
    """What the row still awaits from the world, from the row alone: what is sent again after a crash. Never
    less than the effects of the step that made the row; a little more does no harm.
    """
    return (*_outstanding(job), *_tell_schedule(job))


def _outstanding(job: JobRow) -> tuple[Effect, ...]:
    match job.phase:
        case Phase.READY:
            return (DispatchJob(job.epoch), *_call_off(job))
        case Phase.LEASED:
            return () if job.cancel_reason is None else (TellRelays(job.epoch),)
        case Phase.DEAD:
            return (WriteDeadLetter(job.end_reason or ""), *_call_off(job), TellRelays(job.epoch + 1))
        case Phase.CANCELLED | Phase.EXPIRED:  # it may have waited when it ended
            return (*_call_off(job), TellRelays(job.epoch + 1))
        case Phase.SUCCEEDED:
            return ()
        case _:
            return _call_off(job)


def _tell_schedule(job: JobRow) -> tuple[Effect, ...]:
    """A schedule that fired the job waits for its end; once more does no harm."""
    over = job.phase in PHASES_TERMINAL and job.spec.scheduled_by is not None
    return (TellSchedule(),) if over else ()


def _call_off(job: JobRow) -> tuple[Effect, ...]:
    """Calls off the attempt that ended last, if its minion may still run it."""
    for attempt in reversed(job.attempts[-2:]):  # the last, or the one before an attempt that is offered
        if attempt.outcome is not None:
            return (TellRelays(attempt.epoch),) if attempt.outcome in CALLED_OFF else ()
    return ()


HELD: Final = frozenset({WaitReason.QUEUE, WaitReason.PAUSED})
"""Why a ready job was not dispatched."""


def is_held(job: JobRow) -> bool:
    """True if the job is ready, but was not dispatched: its queue does not exist yet, or is paused."""
    return job.phase == Phase.READY and job.wait_reason in HELD


def held(job: JobRow, reason: WaitReason) -> JobRow:
    """The ready job, whose dispatch has to wait. Its epoch is minted; nobody has seen it."""
    assert job.phase == Phase.READY, f"only a ready job is held, got {job.phase}"
    assert reason in HELD, f"a job is held by its queue, got {reason}"
    return replace(job, wait_reason=reason)


def released(job: JobRow, at_ms: int, offset: int) -> JobRow:
    """The held job, dispatched now.

    Args:
        job: the row.
        at_ms: broker's time of the tick that found that it may go, epoch ms.
        offset: offset of that tick, which is noted: the dispatch is in doubt until the tick is settled.
    """
    assert is_held(job), f"only a held job is released, got {job.phase} waiting for {job.wait_reason}"
    attempts = (*job.attempts[:-1], replace(job.attempts[-1], dispatched_at_ms=at_ms))
    return replace(job, wait_reason=None, dispatched_at_ms=at_ms, attempts=attempts, applied_timers=offset)


def next_due_ms(job: JobRow) -> int | None:
    """When time may next bring something to the job, epoch ms; None: never."""
    return min((time_ms for time_ms, _ in times(job) if time_ms is not None), default=None)


def due(job: JobRow, at_ms: int, *, offset: int, heard: bool = True) -> TimeEvent | None:
    """The most urgent thing that time has brought to the job by `at_ms`, or None: at most one for each
    tick.

    Args:
        job: the row.
        at_ms: broker's time of the tick, epoch ms.
        offset: offset of the tick.
        heard: True if every receipt and heartbeat written before the tick has been applied. While it is
            False, nothing is decided about a job that a minion may have: its receipt may be among those
            still to come.
    """
    if is_applied(job, Source.TIMERS, offset) or (job.phase in OFFERED and not heard):
        return None
    for time_ms, event in times(job):
        if time_ms is not None and time_ms <= at_ms:
            return event(at_ms, Source.TIMERS, offset)
    return None


def times(job: JobRow) -> tuple[tuple[int | None, type[TimeEvent]], ...]:
    """All that time may bring in the phase, the most urgent first: what ends the job goes before what ends
    an attempt, and of the ways in which a lease ends, the one that comes first.
    """
    deadline = (job.spec.ends_by_ms, DeadlinePassed)
    match job.phase:
        case Phase.READY:
            assert job.dispatched_at_ms is not None, "a ready job was dispatched"
            aged_at_ms = None if is_held(job) else job.dispatched_at_ms + defaults.DISPATCH_AGE_MS_MAX
            return (deadline, (job.spec.expires_at_ms, ExpiryPassed), (aged_at_ms, DispatchAged))
        case Phase.LEASED:
            assert job.lease_ends_at_ms is not None, "a leased job has a lease"
            assert job.beat_at_ms is not None, "a leased job was heard of"
            over = (job.lease_ends_at_ms, TimedOut)
            silent = (job.beat_at_ms + job.spec.heartbeat_timeout_ms, Silent)
            return (deadline, over, silent) if over[0] <= silent[0] else (deadline, silent, over)
        case Phase.SCHEDULED | Phase.RETRYING:
            return (deadline, (job.spec.expires_at_ms, ExpiryPassed), (job.due_at_ms, Due))
        case _:
            return ((job.purge_at_ms, PurgeDue), (fold.result_until_ms(job), ResultDue))
