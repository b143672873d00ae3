"""What time asks of a worker, in four duties, and how each was done: for those who watch over it.

Owns the counts and times. Must never decide anything, nor be asked by what does.
"""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from itertools import islice
from typing import Final

from schemas.words import PHASES_TERMINAL, Phase
from streams.core.events import Due, PurgeDue, Restored, ResultDue, TimeEvent
from streams.rows import SCHEDULE_ROW, Rows, split

LOOKED_AT_MAX: Final = 20_000
"""Overdue rows of a partition that are looked at; more are not counted."""


class Duty(StrEnum):
    """What there is to do when a time has come."""

    DUE = "due"  # jobs whose time to run, or to run again, has come
    TIMED_OUT = "timed_out"  # leases without a receipt or a beat, expiries, deadlines, old dispatches
    RECURRING = "recurring"  # fires of schedules
    PURGE = "purge"  # jobs and results whose retention is over


class Duties:
    """How the duties of one partition were done since it began."""

    def __init__(self) -> None:
        self.checked_at_ms: int | None = None
        """When it was last looked what is due, broker's time, epoch ms."""
        self.done: Counter[Duty] = Counter()
        """How many rows were decided."""
        self.last_at_ms: dict[Duty, int] = {}
        """When the last of each was, broker's time, epoch ms."""

    def checked(self, at_ms: int) -> None:
        """It was looked what is due."""
        self.checked_at_ms = at_ms

    def did(self, event: TimeEvent | None, at_ms: int) -> None:
        """Something was decided: about a job, or (None) about a schedule."""
        if isinstance(event, Restored):
            return
        duty = duty_of(event)
        self.done[duty] += 1
        self.last_at_ms[duty] = at_ms

    def add(self, other: "Duties") -> None:
        """Counts what another one did too."""
        self.done += other.done
        for duty, at_ms in other.last_at_ms.items():
            self.last_at_ms[duty] = max(at_ms, self.last_at_ms.get(duty, at_ms))
        times_ms = [at_ms for at_ms in (self.checked_at_ms, other.checked_at_ms) if at_ms is not None]
        self.checked_at_ms = max(times_ms, default=None)


def duty_of(event: TimeEvent | None) -> Duty:
    """The duty that a thing that time brings belongs to; None is the fire of a schedule."""
    match event:
        case None:
            return Duty.RECURRING
        case Due():
            return Duty.DUE
        case ResultDue() | PurgeDue():
            return Duty.PURGE
        case _:
            return Duty.TIMED_OUT


def overdue(rows: Rows, now_ms: int) -> Counter[Duty]:
    """How many rows are due and not yet decided, by duty; of LOOKED_AT_MAX at most. Looks at none unless the
    first of them is due.
    """
    next_ms = rows.dues.next_ms()
    if next_ms is None or next_ms > now_ms:
        return Counter()
    return Counter(_of_row(rows, key) for key in islice(_due_keys(rows, now_ms), LOOKED_AT_MAX))


def _due_keys(rows: Rows, now_ms: int) -> Iterable[str]:
    return (
        key for key in rows.dues.due(now_ms) if (at_ms := rows.due_ms(key)) is not None and at_ms <= now_ms
    )


def _of_row(rows: Rows, key: str) -> Duty:
    kind, id = split(key)
    if kind == SCHEDULE_ROW:
        return Duty.RECURRING
    phase = rows.jobs.phase_of(id)
    if phase in PHASES_TERMINAL:
        return Duty.PURGE
    return Duty.DUE if phase in {Phase.SCHEDULED, Phase.RETRYING} else Duty.TIMED_OUT
