"""When a schedule fires: the times of any of its expressions, without those of its exclusions, between its
start and its end, each put off by its jitter.

Owns the `Plan`, what a schedule says about time, and its reading from what people wrote. A fire's time is the
one that its expression names (it makes the id of the job); when it is due is that time plus jitter, a hash of
the schedule's id and the time, always before the next fire's time: so fires keep their order, and a replay
gives the same. Pure: never asks for the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from heapq import merge
from zoneinfo import ZoneInfo

from schemas import defaults
from schemas.events import Schedule, ScheduleRow
from schemas.times import TIME_MS_MAX, format_time
from streams.core import cron
from streams.core.cron import BadCron, Expression

HASH_BYTES = 8
HORIZON_MS = cron.HORIZON_DAYS * defaults.DAY_MS


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule says about time, known to be good."""

    id: str
    """Of the schedule."""
    zone: ZoneInfo
    """In which times are shown."""
    named: tuple[Expression, ...]
    excluded: tuple[Expression, ...]
    start_at_ms: int | None
    end_at_ms: int | None
    jitter_ms: int

    def after(self, at_ms: int) -> Iterator[int]:
        """The fire times after this time, epoch ms, in order, each once.

        Ends with the schedule's end; if there is none for 50 years; or if the exclusions take out all of
        them for as long, or so many in a row that going on is no use (`EXCLUDED_FIRES_MAX`).
        """
        if self.start_at_ms is not None:
            at_ms = max(at_ms, self.start_at_ms - 1)
        last_ms, limit_ms, excluded = at_ms, at_ms + HORIZON_MS, 0
        times = self._merged(at_ms)
        while (time_ms := next(times, None)) is not None:
            if self.end_at_ms is not None and time_ms > self.end_at_ms:
                return
            if time_ms == last_ms:  # of two expressions
                continue
            last_ms = time_ms
            until_ms = self._excluded_until(time_ms)
            if until_ms is None:
                limit_ms, excluded = time_ms + HORIZON_MS, 0
                yield time_ms
                continue
            excluded += 1
            if excluded > defaults.EXCLUDED_FIRES_MAX or time_ms > limit_ms:
                return
            if (
                until_ms - time_ms > defaults.MINUTE_MS
            ):  # a whole day, say: what is in it need not be looked at
                times = self._merged(until_ms - 1)

    def due_ms(self, time_ms: int) -> int:
        """When the fire of this time shall happen, epoch ms: its jitter later, but before the next."""
        if not self.jitter_ms:
            return time_ms
        next_ms = next(self.after(time_ms), None)
        room_ms = self.jitter_ms if next_ms is None else min(self.jitter_ms, next_ms - time_ms - 1)
        digest = blake2b(f"{self.id}@{time_ms}".encode(), digest_size=HASH_BYTES).digest()
        return time_ms + int.from_bytes(digest, "big") % (room_ms + 1)

    def _merged(self, at_ms: int) -> Iterator[int]:
        if len(self.named) == 1:
            return self.named[0].after(at_ms)
        return merge(*(each.after(at_ms) for each in self.named))

    def _excluded_until(self, time_ms: int) -> int | None:
        ends = [until for each in self.excluded if (until := each.covers_until(time_ms)) is not None]
        return max(ends, default=None)


def read(written: Schedule | ScheduleRow) -> Plan:
    """The plan of a schedule, or of its row.

    Raises:
        BadCron: it is none; the sentence names the field.
    """
    return _plan(
        written.id,
        (*((written.cron,) if written.cron else ()), *(written.crons or ())),
        written.timezone,
        written.excluded or (),
        written.start_at_ms,
        written.end_at_ms,
        written.jitter_ms or 0,
    )


@lru_cache(maxsize=16_384)
def _plan(  # it is a record, spread out to be a key of the cache
    id: str,
    crons: tuple[str, ...],
    timezone: str,
    excluded: tuple[str, ...],
    start_at_ms: int | None,
    end_at_ms: int | None,
    jitter_ms: int,
) -> Plan:
    for name, expressions in (("crons", crons), ("excluded", excluded)):
        if len(expressions) > defaults.CRONS_MAX:
            raise BadCron(f"{name} must be at most {defaults.CRONS_MAX} expressions, got {len(expressions)}")
    if not crons:
        raise BadCron("cron must be at least one expression such as 0 3 * * * or @every 15m, got none")
    for name, found_ms in (("start_at", start_at_ms), ("end_at", end_at_ms)):
        if found_ms is not None and not 0 <= found_ms <= TIME_MS_MAX:
            raise BadCron(f"{name} must be a time from 1970 to 9999, got {found_ms} ms")
    if start_at_ms is not None and end_at_ms is not None and start_at_ms > end_at_ms:
        found = f"got {format_time(start_at_ms)} and {format_time(end_at_ms)}"
        raise BadCron(f"start_at must not be after end_at, {found}")
    if not 0 <= jitter_ms <= defaults.JITTER_MS_MAX:
        raise BadCron(f"jitter_ms must be from 0 to {defaults.JITTER_MS_MAX}, got {jitter_ms}")
    named = tuple(cron.read(text, timezone) for text in crons)
    try:
        taken = tuple(cron.read(text, timezone, whole_minute=True) for text in excluded)
    except BadCron as error:
        raise BadCron(f"excluded: {error}") from error
    return Plan(id, cron.read_zone(timezone), named, taken, start_at_ms, end_at_ms, jitter_ms)


def check(plan: Plan, at_ms: int) -> None:
    """That a plan fires at some time after this one, epoch ms.

    Raises:
        BadCron: it never does; the sentence names the field that takes its fires away.
    """
    if next(plan.after(at_ms), None) is not None:
        return
    if plan.end_at_ms is not None and next(_without_end(plan).after(at_ms), None) is not None:
        found = f"got {format_time(plan.end_at_ms)}"
        raise BadCron(
            f"end_at must leave a fire after {format_time(at_ms)}, {found}, before which there is none"
        )
    raise BadCron(
        "excluded must leave a fire,"
        f" got expressions that take out the next {defaults.EXCLUDED_FIRES_MAX} or all of them"
    )


def _without_end(plan: Plan) -> Plan:
    return Plan(plan.id, plan.zone, plan.named, plan.excluded, plan.start_at_ms, None, plan.jitter_ms)


# What people are shown.


@dataclass(frozen=True, slots=True)
class Coming:
    """A fire to come."""

    time_ms: int
    """Its time, epoch ms."""
    due_ms: int
    """When it will happen: its time plus jitter."""
    wall: datetime
    """Its time on the wall of the schedule's zone, with the offset."""
    marks: tuple[str, ...]
    """What daylight saving does to it, and to those before it that do not happen; as sentences."""


def simulate(plan: Plan, at_ms: int, count: int) -> tuple[Coming, ...]:
    """The next fires after a time, epoch ms: so many, or all there are; with marks where the clock changes.

    Raises:
        ValueError: the count is none that may be asked for.
    """
    if not 1 <= count <= defaults.SIMULATED_FIRES_MAX:
        raise ValueError(f"count must be from 1 to {defaults.SIMULATED_FIRES_MAX}, got {count}")
    found: list[Coming] = []
    for time_ms in plan.after(at_ms):
        marks = (*_missing(plan, found[-1].time_ms if found else at_ms, time_ms), *_doubled(plan, time_ms))
        wall = datetime.fromtimestamp(time_ms // 1000, plan.zone)
        found.append(Coming(time_ms, plan.due_ms(time_ms), wall, marks))
        if len(found) == count:
            break
    return tuple(found)


def _missing(plan: Plan, after_ms: int, until_ms: int) -> Iterator[str]:
    """Of the wall times that daylight saving skips between two fires, the first of each change."""
    told = set[int]()
    for expression in plan.named:
        for missing in expression.missing(after_ms, until_ms):
            if missing.at_ms not in told:
                told.add(missing.at_ms)
                yield f"no fire at {missing.wall:%Y-%m-%d %H:%M}: the clock goes forward past it"


def _doubled(plan: Plan, time_ms: int) -> Iterator[str]:
    """If the clock shows the fire's wall time twice: which of the two it is."""
    wall = datetime.fromtimestamp(time_ms // 1000, plan.zone)
    first, second = (wall.replace(fold=fold).utcoffset() for fold in (0, 1))
    assert first is not None, "a zone has an offset at any time"
    assert second is not None, "a zone has an offset at any time"
    if first - second > timedelta(0) and any(isinstance(each, cron.Cron) for each in plan.named):
        yield f"{'second' if wall.fold else 'first'} of two: the clock goes back and shows {wall:%H:%M} twice"


def remarks(plan: Plan) -> tuple[str, ...]:
    """What people who know another cron may not expect of the expressions, as sentences."""
    both = any(isinstance(each, cron.Cron) and each.names_both_days for each in plan.named)
    if not both:
        return ()
    return ("day of month and day of week must both match; two expressions say that either may",)
