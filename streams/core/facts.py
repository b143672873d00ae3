"""What has happened to a job, as values in the past tense: the only thing that changes a row.

A fact is complete: `evolve` needs nothing but the row and the fact, and cannot say no. Which facts are
possible in which phase, and the phase after each, is the table in `job`. A fact holds no decision and no
effect.

A fact about the end of an attempt carries its `End`: the receipt, or the machine's own `Verdict` where no
receipt told.
"""

from dataclasses import dataclass

from schemas.events import Beat, JobSpec, Receipt
from schemas.words import Verdict
from streams.core.events import Source


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An attempt that the machine itself ended: the relay must call it off, and a late receipt is refused."""

    outcome: Verdict
    error_type: str | None = None
    error_message: str | None = None


End = Receipt | Withdrawal
"""How an attempt ended."""


@dataclass(frozen=True, slots=True)
class Change:
    """What all facts have: the time and the place in the log of the event behind them."""

    at_ms: int
    source: Source
    offset: int


@dataclass(frozen=True, slots=True)
class Admitted(Change):
    """A new job, dispatched at once."""

    spec: JobSpec
    replaced: str | None = None


@dataclass(frozen=True, slots=True)
class Scheduled(Change):
    """A new job that waits for its time."""

    spec: JobSpec
    due_at_ms: int
    replaced: str | None = None


@dataclass(frozen=True, slots=True)
class Lined(Change):
    """A new job that waits for its turn in its lane."""

    spec: JobSpec
    replaced: str | None = None


@dataclass(frozen=True, slots=True)
class Parked(Change):
    """It waits for its turn in its lane, which comes when no other job of the lane is with a relay."""

    end: End | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Deduplicated(Change):
    """The same request came once more; the job that exists is the answer."""


@dataclass(frozen=True, slots=True)
class Readied(Change):
    """Dispatched with a new epoch: its time has come, or its dispatch record got old and was withdrawn."""

    end: Withdrawal | None


@dataclass(frozen=True, slots=True)
class Retried(Change):
    """Dispatched with a new epoch because someone asked; an ended job begins anew."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rescheduled(Change):
    """It waits for another time because someone asked."""

    end: Withdrawal | None
    due_at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Started(Change):
    """A minion has it, and the lease runs."""

    beat: Beat
    relay: str
    lease_ends_at_ms: int


@dataclass(frozen=True, slots=True)
class Progressed(Change):
    """The attempt told something new: its step, its progress, a checkpoint, or another session that holds
    it.
    """

    beat: Beat
    relay: str


@dataclass(frozen=True, slots=True)
class Heard(Change):
    """The attempt is alive and tells nothing new. Not written anywhere."""


@dataclass(frozen=True, slots=True)
class Reprieved(Change):
    """The lease got one more heartbeat timeout, since nobody could be heard for a while. Not written
    anywhere.
    """


@dataclass(frozen=True, slots=True)
class Succeeded(Change):
    """The attempt returned; the job is done."""

    end: Receipt


@dataclass(frozen=True, slots=True)
class Failed(Change):
    """The attempt failed, or ran out of time; there will be another."""

    end: End
    due_at_ms: int


@dataclass(frozen=True, slots=True)
class Lost(Change):
    """The session broke or fell silent; dispatched again at once."""

    end: End


@dataclass(frozen=True, slots=True)
class Snoozed(Change):
    """The function asked to be put off."""

    end: Receipt
    due_at_ms: int


@dataclass(frozen=True, slots=True)
class HandedBack(Change):
    """The minion is going away and gave the job back; dispatched again at once."""

    end: Receipt


@dataclass(frozen=True, slots=True)
class Unserved(Change):
    """No minion has the function; offered again when one comes, or at last at `due_at_ms`."""

    end: Receipt
    due_at_ms: int


@dataclass(frozen=True, slots=True)
class CancelRequested(Change):
    """The running attempt was asked to stop."""

    reason: str


@dataclass(frozen=True, slots=True)
class Cancelled(Change):
    """Ended because someone asked."""

    reason: str
    end: End | None
    left: bool = False
    """True if it waited, and a dispatch of the next epoch may have left already: that is called off."""


@dataclass(frozen=True, slots=True)
class Died(Change):
    """Ended without success; there will be no further attempt unless someone asks."""

    reason: str
    end: End | None
    left: bool = False
    """True if it waited, and a dispatch of the next epoch may have left already: that is called off."""


@dataclass(frozen=True, slots=True)
class Expired(Change):
    """Ended because it was not started in time."""

    reason: str
    end: End | None
    left: bool = False
    """True if it waited, and a dispatch of the next epoch may have left already: that is called off."""


@dataclass(frozen=True, slots=True)
class ResultDropped(Change):
    """Its result is forgotten; the job is kept."""


@dataclass(frozen=True, slots=True)
class Purged(Change):
    """Forgotten: the row is dropped."""


Turn = (
    Succeeded
    | Started
    | Heard
    | Progressed
    | Readied
    | Failed
    | Lost
    | HandedBack
    | Snoozed
    | Unserved
    | Parked
    | Deduplicated
    | Retried
    | Rescheduled
    | ResultDropped
    | CancelRequested
    | Cancelled
    | Died
    | Expired
    | Reprieved
)
"""What changes a job that was there before and is after."""

Fact = Admitted | Scheduled | Lined | Turn | Purged
"""Everything that a step can do to a job."""
