"""When one expression fires: a cron expression in a time zone, or an interval with a phase.

Cronsim reads the fields; which instants match them is found here, by one rule without exceptions: **an
instant matches if the clock on the wall of the zone shows, at that instant, a time that the fields name.**
What follows from it:

- A local time that daylight saving skips does not fire; one that the clock shows twice fires twice.
- Fields are five (minute, hour, day of month, month, day of week) or six (second first), with names of months
  and days, ranges, lists and steps, `L` for the last day of the month, `LW` for its last weekday, `MON#2`
  for its second Monday, `5L` for its last Friday; or a macro (`@hourly` and friends).
- All fields must match: day of month *and* day of week, where Vixie cron takes either once both are given.
  For either, a schedule has two expressions.
- `CRON_TZ=Europe/Berlin ` before an expression is its own zone, ` #...` after it a comment.
- `@every 90m` fires at multiples of the interval since the epoch, `@every 90m/5m` five minutes after them:
  whole seconds, made of d, h, m and s.

Pure: never asks for the time. Zones are those of the machine's, else of the tzdata package.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from schemas import defaults

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

MACHINE_ZONES = frozenset({"localtime", "posixrules", "Factory"})
"""Files beside the zones that mean another thing on each machine, or none."""

MACHINE_ZONE_FOLDERS = ("posix/", "right/")
"""Copies of the zones that not every machine has; one of them counts leap seconds."""

HORIZON_DAYS = 50 * 366
"""How far ahead a fire is looked for: 29 February on a given weekday may be 40 years away."""

DAYS = 31
"""Days of the longest month."""

DAY_S, HOUR_S, MINUTE_S = 86_400, 3_600, 60

OFFSET_S_MAX = DAY_S
"""No zone is a day or more from UTC."""

LAST_S = int(datetime(9990, 1, 1, tzinfo=UTC).timestamp())
"""Nothing is looked for after this: the calendar of the standard library ends soon."""

ZONE_PREFIXES = ("CRON_TZ=", "TZ=")
EVERY = re.compile(r"@every\s+([0-9dhms]+)(?:/([0-9dhms]+))?", re.IGNORECASE)
SPAN = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,8})h)?(?:(\d{1,9})m)?(?:(\d{1,10})s)?", re.IGNORECASE)
COMMENT = re.compile(r"\s#.*", re.DOTALL)

WANTED = "five or six fields, @every with an interval, or one of " + ", ".join(MACROS)


class BadCron(ValueError):
    """An expression or a time zone that cannot be used; says which, and the value found."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of one local day in which the zone's offset does not change: wall time is instant plus offset."""

    begin_s: int
    """Its first instant, epoch seconds."""
    end_s: int
    """The first instant after it."""
    offset_s: int
    """Local time minus UTC."""

    @property
    def day(self) -> date:
        """The local day that it is of."""
        return (EPOCH + timedelta(seconds=self.begin_s + self.offset_s)).date()


@dataclass(frozen=True, slots=True)
class Missing:
    """A wall time that an expression names and daylight saving skips."""

    at_ms: int
    """The instant at which the clock goes forward, epoch ms."""
    wall: datetime
    """What the clock never shows then; without a zone."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Multiples of an interval since the epoch, plus a phase."""

    every_s: int
    phase_s: int

    def after(self, at_ms: int) -> Iterator[int]:
        """The fires after this time, epoch ms, in order."""
        fire_s = (at_ms // 1000 - self.phase_s) // self.every_s * self.every_s + self.phase_s
        while fire_s < LAST_S:
            fire_s += self.every_s
            yield fire_s * 1000

    def covers_until(self, fire_ms: int) -> int | None:
        """As `Cron.covers_until`."""
        return fire_ms + 1000 if (fire_ms // 1000 - self.phase_s) % self.every_s == 0 else None

    def missing(self, _after_ms: int, _until_ms: int) -> Iterator[Missing]:
        """None: an interval looks at no clock on any wall."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression in a time zone, known to be good."""

    fields: CronSim
    """The fields as Cronsim read them; it is never asked for a time."""
    zone: ZoneInfo
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]

    @property
    def names_both_days(self) -> bool:
        """True if both day of month and day of week leave something out."""
        return len(self.fields.days) < DAYS and not self.fields.weekdays.issuperset(range(1, 7))

    def after(self, at_ms: int) -> Iterator[int]:
        """The fires after this time, epoch ms, in order, each once; ends if there is none for 50 years."""
        at_s = at_ms // 1000 + 1
        while (stretch := self._next_stretch(at_s)) is not None:
            midnight_s = -stretch.offset_s + (stretch.day - EPOCH.date()).days * DAY_S
            first = stretch.begin_s - midnight_s
            for time_s in self._times_of_day(first, stretch.end_s - midnight_s):
                yield (midnight_s + time_s) * 1000
            at_s = stretch.end_s

    def covers_until(self, fire_ms: int) -> int | None:
        """If the instant matches, the end of the longest time from it on, epoch ms, in which all others are
        known to match too: of its day, its hour, its minute, or its second. None if it does not match.
        """
        at_s = fire_ms // 1000
        wall = datetime.fromtimestamp(at_s, self.zone)
        if not (
            wall.second in self.seconds
            and wall.minute in self.minutes
            and wall.hour in self.hours
            and self._is_day(wall.date())
        ):
            return None
        if len(self.seconds) < 60:  # noqa: PLR2004  # seconds of a minute
            return (at_s + 1) * 1000
        stretch = self._stretch(at_s)
        size_s = MINUTE_S
        if len(self.minutes) == 60:  # noqa: PLR2004  # minutes of an hour
            size_s = DAY_S if len(self.hours) == 24 else HOUR_S  # noqa: PLR2004  # hours of a day
        end_s = at_s + size_s - (at_s + stretch.offset_s) % size_s
        return min(end_s, stretch.end_s) * 1000

    def missing(self, after_ms: int, until_ms: int) -> Iterator[Missing]:
        """The wall times that it names and that the clock skips between the two instants, epoch ms."""
        at_s, until_s = after_ms // 1000 + 1, until_ms // 1000
        before = self._stretch(at_s)
        while before.end_s <= until_s:
            stretch = self._stretch(before.end_s)
            skipped_s = range(before.end_s + before.offset_s, before.end_s + stretch.offset_s)
            for wall_s in self._walls(skipped_s):
                yield Missing(before.end_s * 1000, EPOCH + timedelta(seconds=wall_s))
            before = stretch

    def _walls(self, walls_s: range) -> Iterator[int]:
        """The wall times that it names in a range of them, as seconds since the epoch's wall."""
        at_s = walls_s.start
        while at_s < walls_s.stop:
            midnight_s = at_s // DAY_S * DAY_S
            if self._is_day((EPOCH + timedelta(seconds=at_s)).date()):
                until_s = min(walls_s.stop, midnight_s + DAY_S) - midnight_s
                yield from (midnight_s + s for s in self._times_of_day(at_s - midnight_s, until_s))
            at_s = midnight_s + DAY_S

    def _times_of_day(self, begin_s: int, end_s: int) -> Iterator[int]:
        """The times of a day that it names from `begin_s` to before `end_s`, seconds from midnight."""
        for hour in self.hours[bisect_left(self.hours, begin_s // HOUR_S) :]:
            hour_s = hour * HOUR_S
            if hour_s >= end_s:
                return
            for minute in self.minutes[bisect_left(self.minutes, (begin_s - hour_s) // MINUTE_S) :]:
                minute_s = hour_s + minute * MINUTE_S
                for second in self.seconds[bisect_left(self.seconds, begin_s - minute_s) :]:
                    if minute_s + second >= end_s:
                        return
                    yield minute_s + second

    def _is_day(self, day: date) -> bool:
        fields = self.fields
        return day.month in fields.months and fields.match_dom(day) and fields.match_dow(day)

    def _next_stretch(self, at_s: int) -> Stretch | None:
        """The first stretch of a day that it names which is not over at `at_s`, cut so that it begins no
        earlier; None if there is none before the horizon.
        """
        limit_s = min(at_s + HORIZON_DAYS * DAY_S, LAST_S)
        while at_s < limit_s:
            stretch = self._stretch(at_s)
            day = stretch.day
            if self._is_day(day):
                return stretch
            named = self._next_day(day, limit_s)
            if named is None:
                return None
            named_s = (named - EPOCH.date()).days * DAY_S
            at_s = max(stretch.end_s, named_s - OFFSET_S_MAX)  # its midnight anywhere is later than that
        return None

    def _next_day(self, day: date, limit_s: int) -> date | None:
        """The next day that it names by the calendar."""
        last = (EPOCH + timedelta(seconds=limit_s)).date()
        day += timedelta(days=1)
        while day <= last:
            if day.month not in self.fields.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            elif self._is_day(day):
                return day
            else:
                day += timedelta(days=1)
        return None

    def _stretch(self, at_s: int) -> Stretch:
        """The stretch that an instant is in, from that instant on."""
        offset_s = _offset_s(self.zone, at_s)
        end_s = at_s + DAY_S - (at_s + offset_s) % DAY_S
        if _offset_s(self.zone, end_s - 1) != offset_s:
            end_s = _change_s(self.zone, at_s, end_s - 1, offset_s)
        return Stretch(at_s, end_s, offset_s)


Expression = Cron | Interval

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # of walls, which have no zone


@lru_cache(maxsize=4_096)
def read(text: str, timezone: str, *, whole_minute: bool = False) -> Expression:
    """The expression, in its own zone or in this one.

    Args:
        text: what was written.
        timezone: the zone of an expression that names none.
        whole_minute: five fields mean every second of the minute, as in an exclusion.

    Raises:
        BadCron: the expression or the zone is none, or the expression can never fire.
    """
    if len(text) > defaults.CRON_CHARS_MAX:
        raise BadCron(f"cron must be at most {defaults.CRON_CHARS_MAX} characters, got {len(text)}")
    zone = read_zone(timezone)
    expression = COMMENT.sub("", text).strip()
    for prefix in ZONE_PREFIXES:
        if expression.startswith(prefix):
            own, _, expression = expression.removeprefix(prefix).partition(" ")
            zone, expression = read_zone(own), expression.strip()
    if expression[:6].lower() == "@every":
        return _interval(text, expression)
    if expression.startswith("@"):
        if expression.lower() not in MACROS:
            raise BadCron(f"cron must be {WANTED}, got {text!r}")
        expression = MACROS[expression.lower()]
    return _cron(text, expression, zone, whole_minute=whole_minute)


def read_zone(timezone: str) -> ZoneInfo:
    """The zone of that name.

    Raises:
        BadCron: there is none.
    """
    if timezone not in MACHINE_ZONES and not timezone.startswith(MACHINE_ZONE_FOLDERS):
        try:
            return ZoneInfo(timezone)
        except (KeyError, ValueError, OSError):  # unknown, no path that may be, a folder
            pass
    raise BadCron(f"timezone must be an IANA time zone such as Europe/Berlin, got {timezone[:100]!r}")


def _cron(text: str, expression: str, zone: ZoneInfo, *, whole_minute: bool) -> Cron:
    try:
        fields = CronSim(expression, datetime.fromtimestamp(0, UTC))
    except CronSimError as error:
        wrong = str(error)[:1].lower() + str(error)[1:]
        raise BadCron(f"cron must be {WANTED}, got {text!r}: {wrong}") from error
    every_second = whole_minute and len(expression.split()) == 5  # noqa: PLR2004  # fields without seconds
    seconds = range(60) if every_second else sorted(fields.seconds)
    found = Cron(fields, zone, tuple(seconds), tuple(sorted(fields.minutes)), tuple(sorted(fields.hours)))
    if next(found.after(0), None) is None:
        raise BadCron(f"cron must fire at some time, got {text!r}, which never does")
    return found


def _interval(text: str, expression: str) -> Interval:
    match = EVERY.fullmatch(expression)
    spans = (
        (None, None) if match is None else tuple(None if s is None else _span_s(s) for s in match.groups())
    )
    every_s, phase_s = spans
    if match is None or every_s is None or (match.group(2) is not None and phase_s is None):
        raise BadCron(f"cron must be @every with an interval such as 90m or 1h30m/5m, got {text!r}")
    if not 1 <= every_s <= defaults.INTERVAL_MS_MAX // 1000:
        days = defaults.INTERVAL_MS_MAX // defaults.DAY_MS
        raise BadCron(f"cron must be @every with an interval from 1s to {days}d, got {text!r}")
    if phase_s is not None and phase_s >= every_s:
        raise BadCron(f"cron must be @every with a phase shorter than the interval, got {text!r}")
    return Interval(every_s, phase_s or 0)


def _span_s(text: str) -> int | None:
    """Seconds of a span such as 1h30m; None if it is none."""
    match = SPAN.fullmatch(text)
    if match is None:
        return None
    sizes_s = (DAY_S, HOUR_S, MINUTE_S, 1)
    return sum(int(count or 0) * size_s for count, size_s in zip(match.groups(), sizes_s, strict=True))


def _offset_s(zone: ZoneInfo, at_s: int) -> int:
    """Local time minus UTC at an instant."""
    offset = datetime.fromtimestamp(at_s, zone).utcoffset()
    assert offset is not None, "a zone has an offset at any time"
    return offset // timedelta(seconds=1)


def _change_s(zone: ZoneInfo, old_s: int, new_s: int, offset_s: int) -> int:
    """The first instant with another offset: between `old_s`, which has this one, and `new_s`, which has
    not. A zone changes at most once in a part of a day.
    """
    while new_s - old_s > 1:
        middle_s = (old_s + new_s) // 2
        if _offset_s(zone, middle_s) == offset_s:
            old_s = middle_s
        else:
            new_s = middle_s
    return new_s
