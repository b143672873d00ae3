"""A schedule that a test plays with: it writes it, lets time pass and jobs end, and notes what is told."""

from typing import Any

from schemas.events import Command, Schedule, ScheduleRow
from schemas.times import format_time, parse_time
from streams.core import schedule, schedule_fold
from streams.core.effect import Ask
from streams.core.events import Source
from streams.core.rejection import Rejection
from streams.core.schedule import ScheduleStep
from streams.core.schedule_facts import FireFact, JobEnded, ScheduleEvent, SchedulePut
from streams.core.schedule_names import fire_id

NOON_MS = parse_time("2025-06-01T12:00:00Z")
MINUTE_MS = 60_000


class Planned:
    """The schedule `tick`, every minute from noon, unless fields say otherwise."""

    def __init__(self, **fields: Any) -> None:
        self.now_ms = NOON_MS
        self.offset = -1
        self.told = list[str]()
        """What was told of fires, since it was written: `fired 12:01`, `skipped 12:02-12:05`."""
        self.asked = list[Command]()
        """What the latest step asked of jobs."""
        self.reason: str | None = None
        """Of the last fact about fires."""
        self._fields = fields
        step = schedule.step(None, self.put_event())
        assert isinstance(step, ScheduleStep), step
        assert step.row is not None
        self.row: ScheduleRow = step.row

    @property
    def running(self) -> list[str]:
        """The fires whose end is awaited."""
        return [_clock(time_ms) for time_ms in self.row.running or ()]

    def next_ms(self) -> int | None:
        """The time of the next fire, epoch ms."""
        return self.row.next_fire_at_ms

    def pause(self) -> tuple[bool, str | None]:
        """Whether it is paused, and why."""
        return self.row.paused, self.row.pause_note

    def orphaned_ms(self) -> int | None:
        """Since when no code declares it any more, epoch ms."""
        return self.row.orphaned_at_ms

    def put_event(self, **fields: Any) -> SchedulePut:
        """The schedule as it was first written, with these fields instead."""
        default = {"id": "tick", "cron": "* * * * *", "function": "beat"}
        self.offset += 1
        written = Schedule(**(default | self._fields | fields))
        return SchedulePut(self.now_ms, Source.SCHEDULES, self.offset, written, 3)

    def put(self, **fields: Any) -> list[str]:
        """Writes it, with these fields instead; what was told."""
        self._fields = {}
        return self._step(self.put_event(**fields))

    def minute(self, minute: int) -> list[str]:
        """A tick so many minutes after noon."""
        self.now_ms = NOON_MS + minute * MINUTE_MS
        return self.tick()

    def seconds(self, seconds: int) -> None:
        """As many ticks as it takes so many seconds after noon."""
        self.now_ms = NOON_MS + seconds * 1000
        while schedule.due(self.row, self.now_ms, offset=self.offset + 1):
            self.tick()

    def tick(self) -> list[str]:
        """A tick, which must find something due."""
        self.offset += 1
        event = schedule.due(self.row, self.now_ms, offset=self.offset)
        assert event is not None
        return self._step(event)

    def end(self, clock: str, phase: str = "succeeded", reason: str | None = None) -> list[str]:
        """The job of the fire at that time of the day has ended."""
        job = fire_id("tick", parse_time(f"2025-06-01T{clock}:00Z"))
        return self.do(JobEnded, "tick", job, phase, reason)

    def ended(self, times_ms: tuple[int, ...]) -> None:
        """The jobs of these fires have succeeded."""
        for time_ms in times_ms:
            self.do(JobEnded, "tick", fire_id("tick", time_ms), "succeeded", None)

    def do(self, kind: type[ScheduleEvent], *fields: Any) -> list[str]:
        """Something happens; what was told."""
        self.offset += 1
        return self._step(kind(self.now_ms, Source.REQUESTS, self.offset, *fields))

    def refused(self, kind: type[ScheduleEvent], *fields: Any) -> Rejection:
        """Something is asked for that is refused."""
        refused = schedule.step(self.row, kind(self.now_ms, Source.REQUESTS, self.offset + 1, *fields))
        assert isinstance(refused, Rejection), refused
        return refused

    def _step(self, event: ScheduleEvent) -> list[str]:
        step = schedule.step(self.row, event)
        assert isinstance(step, ScheduleStep), step
        assert step.row is not None
        self.row = step.row
        self.asked = [effect.command for effect in step.effects if isinstance(effect, Ask)]
        assert {*step.effects} <= {*schedule.outstanding(self.row)} or len(self.row.running or ()) >= 1_000
        told = list[str]()
        for fact in step.facts:
            if isinstance(fact, FireFact):
                self.reason = fact.reason
            if type(fact) in schedule_fold.KINDS:
                told.append(_word(fact))
        self.told += told
        return told


def _word(fact: Any) -> str:
    word = schedule_fold.KINDS[type(fact)].removeprefix("schedule_")
    if not isinstance(fact, FireFact):
        return word
    first, last = _clock(fact.times_ms[0]), _clock(fact.times_ms[-1])
    return f"{word} {first}" if len(fact.times_ms) == 1 else f"{word} {first}-{last}"


def _clock(time_ms: int) -> str:
    return format_time(time_ms)[11:16]
