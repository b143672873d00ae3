"""What can happen to a schedule, and what then has happened, as values: the words of `schedule`.

A fact is complete: the fold needs nothing but the row and the fact. Fires are named by their times, epoch ms;
the time of a triggered fire is no whole second, that of any other is. Holds no decision.
"""

from dataclasses import dataclass

from schemas.events import Schedule
from schemas.words import Overlap
from streams.core.events import Occurrence, RemoveAsked
from streams.core.facts import Change

# What can happen.


@dataclass(frozen=True, slots=True)
class SchedulePut(Occurrence):
    """Someone wrote a schedule: a new one, or another version of one that exists."""

    schedule: Schedule
    partition: int


@dataclass(frozen=True, slots=True)
class FireDue(Occurrence):
    """The next fire's time has come."""


@dataclass(frozen=True, slots=True)
class BackfillDue(Occurrence):
    """There is room for more fires of the backfill."""


@dataclass(frozen=True, slots=True)
class PauseAsked(Occurrence):
    """Someone wants no more fires for now."""

    schedule: str
    note: str | None


@dataclass(frozen=True, slots=True)
class ResumeAsked(Occurrence):
    """Someone wants fires again."""

    schedule: str
    note: str | None


@dataclass(frozen=True, slots=True)
class TriggerAsked(Occurrence):
    """Someone wants one more fire, now."""

    schedule: str
    overlap: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class BackfillAsked(Occurrence):
    """Someone wants the fires of a range in the past."""

    schedule: str
    since_at_ms: int | None
    until_at_ms: int | None
    overlap: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class OrphanAsked(Occurrence):
    """The code that declared the schedule does so no more."""

    schedule: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class JobEnded(Occurrence):
    """A job of the schedule has ended, or was refused."""

    schedule: str
    job: str
    phase: str
    reason: str | None


ScheduleEvent = (
    FireDue
    | JobEnded
    | SchedulePut
    | PauseAsked
    | ResumeAsked
    | TriggerAsked
    | BackfillAsked
    | BackfillDue
    | OrphanAsked
    | RemoveAsked
)


# What has happened.


@dataclass(frozen=True, slots=True)
class ScheduleSaved(Change):
    """The schedule is in force as written."""

    schedule: Schedule
    partition: int
    paused: bool
    next_fire_at_ms: int | None
    next_due_at_ms: int | None


@dataclass(frozen=True, slots=True)
class ScheduleAdvanced(Change):
    """The next fire is another one. Not told by itself."""

    next_fire_at_ms: int | None
    next_due_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Fires(Change):
    """What became of some fires."""

    times_ms: tuple[int, ...]
    """Their times, epoch ms, in order; never empty."""
    reason: str | None
    counted: int = 0
    """How many of them count against `runs_max`: of fired ones only."""


@dataclass(frozen=True, slots=True)
class ScheduleFired(Fires):
    """Their jobs are asked for."""


@dataclass(frozen=True, slots=True)
class ScheduleMissed(Fires):
    """They were missed by more than the catch-up window, and will not happen."""


@dataclass(frozen=True, slots=True)
class ScheduleSkipped(Fires):
    """They will not happen, since a job of an earlier one has not ended."""


@dataclass(frozen=True, slots=True)
class ScheduleBuffered(Fires):
    """They wait for the end of the jobs before."""


@dataclass(frozen=True, slots=True)
class ScheduleDropped(Fires):
    """They waited, or should have, and will not happen."""


FireFact = ScheduleFired | ScheduleMissed | ScheduleSkipped | ScheduleBuffered | ScheduleDropped
"""What may become of a fire."""


@dataclass(frozen=True, slots=True)
class ScheduleStopping(Change):
    """The jobs of these fires were asked to end. Not told by itself."""

    times_ms: tuple[int, ...]
    terminated: bool
    """True: they end at once, and are not waited for."""


@dataclass(frozen=True, slots=True)
class ScheduleJobEnded(Change):
    """The job of this fire has ended. Not told by itself, since the job's own fact is."""

    time_ms: int
    phase: str


@dataclass(frozen=True, slots=True)
class SchedulePaused(Change):
    """No more fires for now."""

    reason: str


@dataclass(frozen=True, slots=True)
class ScheduleResumed(Change):
    """Fires again, from now on."""

    reason: str


@dataclass(frozen=True, slots=True)
class ScheduleBackfilling(Change):
    """The fires of a range are made up for from now on."""

    since_at_ms: int
    until_at_ms: int
    overlap: Overlap
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class BackfillAdvanced(Change):
    """So much of the range is made up for. Not told by itself."""

    at_ms_done: int | None
    """The time of the last fire that was; None: all of it."""


@dataclass(frozen=True, slots=True)
class ScheduleOrphaned(Change):
    """The code that declared it does so no more; it goes on."""

    reason: str


@dataclass(frozen=True, slots=True)
class ScheduleRemoved(Change):
    """The schedule is no more; jobs that it fired go on."""


TurnFact = (
    FireFact
    | ScheduleAdvanced
    | ScheduleStopping
    | ScheduleJobEnded
    | SchedulePaused
    | ScheduleResumed
    | ScheduleBackfilling
    | BackfillAdvanced
    | ScheduleOrphaned
)
"""What changes a schedule that was there before and is after."""

ScheduleFact = ScheduleSaved | TurnFact | ScheduleRemoved
"""Everything that a step can do to a schedule."""
