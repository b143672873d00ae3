"""What can happen to a job from outside, as values. An event is a claim: `decide` may refuse it.

Every event says when it happened, by the broker's clock (`at_ms`), and where it stands in the log (`source`
and `offset`), so that a row can tell an event that it has already seen. Nothing here knows what an event
does.
"""

from dataclasses import dataclass
from enum import StrEnum

from schemas.events import Beat, JobSpec, Receipt


class Source(StrEnum):
    """The topic that an event was read from; a row keeps the last applied offset of each."""

    REQUESTS = "requests"
    RECEIPTS = "receipts"
    HEARTBEATS = "heartbeats"
    TIMERS = "timers"
    SCHEDULES = "schedules"


APPLIED = {source: f"applied_{source}" for source in Source}
"""For each source, the field of a row that holds the offset last applied to it."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What all events have: when, and where in the log."""

    at_ms: int
    """Broker's time of the record, epoch ms."""
    source: Source
    """Topic of the record."""
    offset: int
    """Offset of the record in the job's home partition of that topic."""


@dataclass(frozen=True, slots=True)
class Submitted(Occurrence):
    """A request was admitted; the job may exist already."""

    spec: JobSpec
    turn: bool = True
    """False: others of its lane go before it."""
    replaces: str | None = None
    """The job that was cancelled for it; None: none."""


@dataclass(frozen=True, slots=True)
class CancelAsked(Occurrence):
    """Someone wants the job not to run, or to stop."""

    job: str
    reason: str | None = None
    by: str | None = None
    terminate: bool = False
    """True: it ends at once, and what its function does is called off instead of waited for."""


@dataclass(frozen=True, slots=True)
class RetryAsked(Occurrence):
    """Someone wants the job to run now: again, or without waiting any longer."""

    job: str
    reason: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class RescheduleAsked(Occurrence):
    """Someone wants the job to run at another time."""

    job: str
    run_at_ms: int | None
    reason: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Beaten(Occurrence):
    """An attempt is alive. One heartbeat record holds at most one beat of a job."""

    beat: Beat
    relay: str
    written_at_ms: int
    """When the heartbeat was written, by the relay's clock, epoch ms: the clock of the beat's own times."""


@dataclass(frozen=True, slots=True)
class Ended(Occurrence):
    """A minion, or for it a relay, says how an attempt ended."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Due(Occurrence):
    """The time a scheduled or retrying job waited for has come."""


@dataclass(frozen=True, slots=True)
class TimedOut(Occurrence):
    """The lease is over and no receipt came, though every receipt written until now was applied."""


@dataclass(frozen=True, slots=True)
class Silent(Occurrence):
    """No beat came for `heartbeat_timeout_ms`, though every heartbeat written until now was applied."""


@dataclass(frozen=True, slots=True)
class ExpiryPassed(Occurrence):
    """The time after which the job must not be started has come, and it was not."""


@dataclass(frozen=True, slots=True)
class DeadlinePassed(Occurrence):
    """The total time for all attempts is used up."""


@dataclass(frozen=True, slots=True)
class DispatchAged(Occurrence):
    """The dispatch record of a ready job is so old that the topic may soon forget it."""


@dataclass(frozen=True, slots=True)
class ResultDue(Occurrence):
    """The retention of an ended job's result is over."""


@dataclass(frozen=True, slots=True)
class PurgeDue(Occurrence):
    """The retention of an ended job is over."""


@dataclass(frozen=True, slots=True)
class Restored(Occurrence):
    """The partition was without an owner, or without a broker, for a while: silence in it means nothing."""


@dataclass(frozen=True, slots=True)
class TurnCame(Occurrence):
    """The job's turn in its lane has come."""


@dataclass(frozen=True, slots=True)
class Served(Occurrence):
    """A relay that reads the job's partition has a minion with its function."""


@dataclass(frozen=True, slots=True)
class RemoveAsked(Occurrence):
    """Someone wants a schedule gone: a command, or a tombstone in the topic of schedules."""

    schedule: str


TimeEvent = (
    Due | TimedOut | Silent | ExpiryPassed | DeadlinePassed | DispatchAged | ResultDue | PurgeDue | Restored
)
"""What only time brings: made by `job.due`, and by the owner of a partition after a restore."""

Opening = TurnCame | Served
"""What a job waited for without a time: it comes of what happened to others, in the same record perhaps as
something that the job has seen already. So the row's own state says whether it still counts, not an offset.
"""

Event = Ended | Submitted | Beaten | CancelAsked | RetryAsked | RescheduleAsked | Opening | TimeEvent
"""Everything that can happen to a job."""
