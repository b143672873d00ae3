"""Fire times on real zones against computations that share no code with them.

The first is the definition itself, by brute force: every minute of UTC is shown on the clock of the zone, and
fires if the fields name what the clock shows. The second is croniter, which nobody here wrote, where no clock
changes.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from streams.core import cron, fires
from streams.core.fires import Plan

BEGIN = datetime(2017, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",  # its winter is the exception
    "America/New_York",
    "America/Sao_Paulo",  # midnight itself was skipped
    "Australia/Lord_Howe",  # half an hour
    "Africa/Casablanca",  # Ramadan
    "Asia/Tehran",
    "Pacific/Chatham",  # +12:45
]
EVERY_MINUTE = frozenset(range(60))
EVERY_HOUR = frozenset(range(24))
DAYS, MONTHS, WEEKDAYS = frozenset(range(1, 32)), frozenset(range(1, 13)), frozenset(range(7))
NAMED = {
    "30 2 * * *": (frozenset({30}), frozenset({2}), DAYS, MONTHS, WEEKDAYS),
    "*/15 * * * *": (frozenset({0, 15, 30, 45}), EVERY_HOUR, DAYS, MONTHS, WEEKDAYS),
    "0 0 * * *": (frozenset({0}), frozenset({0}), DAYS, MONTHS, WEEKDAYS),
    "5,35 0-3 * 3,4,10,11 SUN": (
        frozenset({5, 35}),
        frozenset({0, 1, 2, 3}),
        DAYS,
        frozenset({3, 4, 10, 11}),
        frozenset({6}),
    ),
    "45 1 25-31 * *": (frozenset({45}), frozenset({1}), frozenset(range(25, 32)), MONTHS, WEEKDAYS),
    "59 23 1-7 * MON": (frozenset({59}), frozenset({23}), frozenset(range(1, 8)), MONTHS, frozenset({0})),
}
"""Expressions, and the minutes, hours, days, months and weekdays (Monday is 0) that they name, by hand."""


def brute(zone: str, first: datetime, last: datetime) -> dict[str, list[int]]:
    """The fires of each expression, epoch ms, from one time to before another: every minute is looked at."""
    wall, found = ZoneInfo(zone), {expression: list[int]() for expression in NAMED}
    for at_s in range(int(first.timestamp()), int(last.timestamp()), 60):
        shown = datetime.fromtimestamp(at_s, wall)
        for expression, (minutes, hours, days, months, weekdays) in NAMED.items():
            if (
                shown.minute in minutes
                and shown.hour in hours
                and shown.day in days
                and shown.month in months
                and shown.weekday() in weekdays
            ):
                found[expression].append(at_s * 1000)
    return found


def ours(expression: str, zone: str, first: datetime, last: datetime) -> list[int]:
    """The same by the code that is tested."""
    begin_ms, end_ms = (int(at.timestamp()) * 1000 for at in (first, last))
    times = cron.read(expression, zone).after(begin_ms - 1)
    return list(_until(times, end_ms))


def _until(times: Iterator[int], end_ms: int) -> Iterator[int]:
    for time_ms in times:
        if time_ms >= end_ms:
            return
        yield time_ms


def changes(zone: str) -> list[datetime]:
    """The hours of ten years in which the zone's offset changes."""
    wall, found, at = ZoneInfo(zone), list[datetime](), BEGIN
    before = at.astimezone(wall).utcoffset()
    while at < END:
        at += timedelta(hours=1)
        after = at.astimezone(wall).utcoffset()
        if after != before:
            found.append(at)
        before = after
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_around_each_change_of_ten_years_fires_are_what_the_clock_shows(zone: str) -> None:
    """Two days around each: a missing time does not fire, a doubled one fires twice."""
    for change in changes(zone)[:20]:
        first, last = change - timedelta(hours=26), change + timedelta(hours=26)
        for expression, expected in brute(zone, first, last).items():
            assert ours(expression, zone, first, last) == expected, (expression, change)


@pytest.mark.full
@pytest.mark.parametrize("zone", ZONES)
def test_over_ten_years_fires_are_what_the_clock_shows(zone: str) -> None:
    """Every minute of them."""
    for expression, expected in brute(zone, BEGIN, END).items():
        assert expected, "there is something to compare"
        assert ours(expression, zone, BEGIN, END) == expected, expression


def field(least: int, most: int) -> st.SearchStrategy[str]:
    """One field that both read alike."""
    numbers = st.integers(least, most).map(str)
    ranges = st.lists(st.integers(least, most), min_size=2, max_size=2, unique=True).map(sorted)
    return st.one_of(
        st.just("*"),
        numbers,
        st.sampled_from(["*/2", "*/5", "*/7"]),
        st.lists(numbers, min_size=2, max_size=3, unique=True).map(",".join),
        ranges.map(lambda two: f"{two[0]}-{two[1]}"),
    )


expressions = st.one_of(
    st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join),
    st.sampled_from(["0 0 L * *", "0 9 * * 1#2", "0 9 * * L5", "15 3 29 2 *", "0 0 31 * *", "0 0 13 * 5"]),
)


@given(expressions, st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)))  # noqa: DTZ001
def test_without_daylight_saving_fires_are_those_of_croniter(expression: str, begin: datetime) -> None:
    """In UTC, with all fields required, as croniter does when it is told so."""
    at = begin.replace(tzinfo=UTC)
    other = croniter(expression, at, day_or=False, max_years_between_matches=60)
    expected = [int(other.get_next(float)) * 1000 for _ in range(4)]
    mine = cron.read(expression.replace("L5", "5L"), "UTC").after(int(at.timestamp() * 1000))
    assert list(islice(mine, 4)) == expected


@given(
    st.lists(expressions, min_size=1, max_size=3),
    st.lists(st.sampled_from(["* * * * SUN", "* 0-11 * * *", "*/2 * * * *", "* * 24-26 * *"]), max_size=2),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2018, 1, 1), datetime(2024, 1, 1)),  # noqa: DTZ001
)
def test_several_expressions_without_exclusions_are_sets(
    named: list[str], excluded: list[str], zone: str, begin: datetime
) -> None:
    """The union of what is named, without what is excluded, in order; worked out with sets, for 2 days."""
    begin_ms = int(begin.replace(tzinfo=UTC).timestamp()) * 1000
    end_ms = begin_ms + 2 * 86_400_000
    named = [each.replace("L5", "5L") for each in named]
    plan = Plan(
        "s",
        ZoneInfo(zone),
        tuple(cron.read(each, zone) for each in named),
        tuple(cron.read(each, zone, whole_minute=True) for each in excluded),
        None,
        None,
        0,
    )
    every = {at for each in named for at in _until(cron.read(each, zone).after(begin_ms), end_ms)}
    gone = {at for each in excluded for at in _until(cron.read(each, zone).after(begin_ms), end_ms)}
    assert list(_until(plan.after(begin_ms), end_ms)) == sorted(every - gone)


@given(st.integers(1, 86_400_000), st.sampled_from(ZONES), st.integers(0, 10**6))
def test_jitter_keeps_the_order_and_is_never_early(jitter_ms: int, zone: str, day: int) -> None:
    """Each fire between its time and the next one's, and the same whenever it is asked for."""
    plan = Plan("s", ZoneInfo(zone), (cron.read("*/10 * * * *", zone),), (), None, None, jitter_ms)
    begin_ms = int(BEGIN.timestamp() * 1000) + day * 600_000
    times = list(islice(plan.after(begin_ms), 5))
    dues = [plan.due_ms(time_ms) for time_ms in times]
    assert dues == sorted(set(dues)) == [plan.due_ms(time_ms) for time_ms in times]
    for time_ms, due_ms, next_ms in zip(times, dues, times[1:], strict=False):
        assert time_ms <= due_ms <= time_ms + jitter_ms
        assert due_ms < next_ms


@pytest.mark.parametrize("zone", ZONES)
def test_a_simulation_marks_each_change(zone: str) -> None:
    """As many marks as the brute force finds times that are shown twice."""
    for change in changes(zone)[:6]:
        first, last = change - timedelta(hours=26), change + timedelta(hours=26)
        plan = Plan("s", ZoneInfo(zone), (cron.read("*/15 * * * *", zone),), (), None, None, 0)
        coming = fires.simulate(plan, int(first.timestamp() * 1000) - 1, 208)
        shown = [
            datetime.fromtimestamp(each.time_ms // 1000, plan.zone).replace(tzinfo=None) for each in coming
        ]
        twice = [wall for wall in shown if shown.count(wall) == 2]
        marked = [each.wall for each in coming if any("of two" in mark for mark in each.marks)]
        assert [wall.replace(tzinfo=None, fold=0) for wall in marked] == [w.replace(fold=0) for w in twice]
        forward = any("goes forward" in mark for each in coming for mark in each.marks)
        assert forward == (not twice), last
