"""What becomes of a fire while jobs of earlier fires have not ended: fired, skipped, buffered, or one of the
two with the others asked to end.

A `Placing` places the fires of one step, one after the other, each on top of those before it, and gives the
facts. It lives for one decision and changes no row. The policies are those of `schemas.words.Overlap`.
"""

from collections.abc import Iterable

from schemas import defaults
from schemas.events import ScheduleRow
from schemas.words import Overlap
from streams.core.events import Occurrence
from streams.core.schedule_facts import (
    FireFact,
    ScheduleBuffered,
    ScheduleDropped,
    ScheduleFact,
    ScheduleFired,
    ScheduleMissed,
    ScheduleSkipped,
    ScheduleStopping,
)
from streams.core.schedule_names import fire_id, is_triggered

USED_UP = "its runs are used up"


class Placing:
    """The fires of one step of a schedule."""

    def __init__(self, row: ScheduleRow, event: Occurrence) -> None:
        """Begins with what the row says is under way."""
        self.facts: list[ScheduleFact] = []
        """What has happened so far, in order; fires that the same became of, in one fact."""
        self.running = list(row.running or ())
        self.buffer = list(row.buffer or ())
        self._row = row
        self._at = (event.at_ms, event.source, event.offset)
        self._left = None if row.runs_max is None else max(0, row.runs_max - (row.runs or 0))

    @property
    def used_up(self) -> bool:
        """True if no further fire of the schedule's own may happen."""
        return self._left == 0

    def place(self, time_ms: int, policy: Overlap, reason: str | None = None) -> None:
        """One fire whose time has come, or that someone asked for.

        Args:
            time_ms: its time, epoch ms.
            policy: how it overlaps.
            reason: why it happens, if not by the schedule's own times.
        """
        if not self.running or policy == Overlap.ALLOW_ALL:
            self.fire(time_ms, reason)
            return
        other = fire_id(self._row.id, self.running[-1])
        match policy:
            case Overlap.SKIP:
                self._add(ScheduleSkipped, time_ms, f"{other} had not ended")
            case Overlap.BUFFER_ONE if self.buffer:
                waiting = fire_id(self._row.id, self.buffer[0])
                self._add(ScheduleSkipped, time_ms, f"{other} had not ended, and {waiting} waits already")
            case Overlap.BUFFER_ONE | Overlap.BUFFER_ALL:
                self._wait(time_ms, f"waits for the end of {other}")
            case Overlap.CANCEL_OTHER:
                self.drop(self.buffer, f"{fire_id(self._row.id, time_ms)} takes its place")
                self._stop(terminated=False)
                self._wait(time_ms, f"waits for the end of {other}, which was asked to stop")
            case _:
                self._stop(terminated=True)
                self.fire(time_ms, f"{other} was ended for it")

    def fire(self, time_ms: int, reason: str | None, *, counts: bool = True) -> None:
        """One fire happens. It counts against the limit of runs if it is one of the schedule's own."""
        counted = counts and not is_triggered(time_ms)
        self.running.append(time_ms)
        self._add(ScheduleFired, time_ms, reason, counted=counted)
        if counted and self._left is not None:
            self._left -= 1
            if self.used_up:
                self.drop([waiting for waiting in self.buffer if not is_triggered(waiting)], USED_UP)

    def miss(self, times_ms: Iterable[int], reason: str) -> None:
        """Fires that were missed."""
        for time_ms in times_ms:
            self._add(ScheduleMissed, time_ms, reason)

    def drop(self, times_ms: Iterable[int], reason: str) -> None:
        """Fires that waited and will not happen."""
        for time_ms in tuple(times_ms):
            self.buffer.remove(time_ms)
            self._add(ScheduleDropped, time_ms, reason)

    def ended(self, time_ms: int) -> None:
        """The job of a fire has ended."""
        if time_ms in self.running:
            self.running.remove(time_ms)

    def release(self) -> None:
        """Fires the first that waits, if nothing runs any more."""
        if not self.running and self.buffer:
            self.fire(self.buffer.pop(0), "the job before has ended")

    def _wait(self, time_ms: int, reason: str) -> None:
        if len(self.buffer) >= defaults.SCHEDULE_BUFFER_MAX:
            full = f"{defaults.SCHEDULE_BUFFER_MAX} fires wait already"
            self._add(ScheduleDropped, time_ms, full)
            return
        self.buffer.append(time_ms)
        self._add(ScheduleBuffered, time_ms, reason)

    def _stop(self, *, terminated: bool) -> None:
        asked = () if terminated else self._row.stopping or ()
        if times_ms := tuple(time_ms for time_ms in self.running if time_ms not in asked):
            self.facts.append(ScheduleStopping(*self._at, times_ms, terminated))
        if terminated:
            self.running.clear()

    def _add(self, kind: type[FireFact], time_ms: int, reason: str | None, *, counted: bool = False) -> None:
        """A fire that something became of: one more of the fact before, if that is the same."""
        times_ms: tuple[int, ...] = (time_ms,)
        count = int(counted)
        last = self.facts[-1] if self.facts else None
        if isinstance(last, FireFact) and type(last) is kind and last.reason == reason:
            times_ms, count = (*last.times_ms, time_ms), count + last.counted
            self.facts.pop()
        self.facts.append(kind(*self._at, times_ms, reason, count))
