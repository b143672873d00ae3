"""What the world must now do for a job or a schedule, as values. `records` turns them into what is written.

Every effect can be derived again from the row alone (`job.outstanding`, `schedule.outstanding`): none lives
only in memory, and whoever receives one twice drops the second by (job, epoch) or by id.
"""

from dataclasses import dataclass

from schemas.events import Command, JobRequest


@dataclass(frozen=True, slots=True)
class DispatchJob:
    """Offer this epoch of the job to the minions of its queue."""

    epoch: int


@dataclass(frozen=True, slots=True)
class TellRelays:
    """Call this epoch off: do not assign it any more, and stop it where it runs."""

    epoch: int


@dataclass(frozen=True, slots=True)
class WriteDeadLetter:
    """Keep the job, its errors, and how to run it again, where people look for the dead."""

    reason: str


@dataclass(frozen=True, slots=True)
class Submit:
    """Ask for this job, at the home of its key."""

    request: JobRequest


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask to change a job, at the home of its key."""

    command: Command


@dataclass(frozen=True, slots=True)
class TellSchedule:
    """Tell the schedule of an ended job how it ended, at the home of the schedule."""


Effect = DispatchJob | TellRelays | WriteDeadLetter | TellSchedule | Submit | Ask
