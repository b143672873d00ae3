"""When a schedule fires: several expressions, exclusions, bounds, and what a simulation shows."""

from itertools import islice
from typing import Any

import pytest

from schemas.events import Schedule
from schemas.times import format_time, parse_time
from streams.core import fires
from streams.core.cron import BadCron
from tests.plan import NOON_MS, Planned

NEW_YEAR_MS = parse_time("2025-01-01T00:00:00Z")


def plan(**fields: Any) -> fires.Plan:
    """The plan of a schedule, checked."""
    found = fires.read(Schedule(**({"id": "s", "cron": "", "function": "f"} | fields)))
    fires.check(found, NEW_YEAR_MS)
    return found


def times(count: int, after_ms: int = NEW_YEAR_MS, **fields: Any) -> list[str]:
    """The next fires, to the second."""
    return [format_time(time_ms)[:19] for time_ms in islice(plan(**fields).after(after_ms), count)]


def test_a_schedule_fires_at_the_times_of_any_of_its_expressions() -> None:
    """Once where two name the same; each may have its own zone."""
    assert times(4, crons=("0 9 * * *", "CRON_TZ=Asia/Tokyo 0 18 * * *", "@every 12h")) == [
        "2025-01-01T09:00:00",
        "2025-01-01T12:00:00",
        "2025-01-02T00:00:00",
        "2025-01-02T09:00:00",
    ]


def test_what_is_excluded_does_not_fire() -> None:
    """Five fields of an exclusion are the whole minute; exclusions may overlap."""
    assert times(2, cron="30 0 9 * * *", excluded=("* 9 2 1 *", "0 9 * * THU")) == [
        "2025-01-01T09:00:30",
        "2025-01-03T09:00:30",
    ]
    christmas = parse_time("2025-12-24T23:59:59Z")
    assert times(1, christmas, cron="* * * * * *", excluded=("* * 25,26 12 *",)) == ["2025-12-27T00:00:00"]


def test_a_start_and_an_end_bound_the_fires() -> None:
    """Both included."""
    first, last = parse_time("2025-03-01T00:00:00Z"), parse_time("2025-03-02T00:00:00Z")
    assert times(9, cron="@daily", start_at_ms=first, end_at_ms=last) == [
        "2025-03-01T00:00:00",
        "2025-03-02T00:00:00",
    ]


def test_fires_end_with_the_calendar() -> None:
    """Nobody schedules for the year 9990."""
    assert times(3, parse_time("9988-03-01T00:00:00Z"), cron="0 0 29 2 *") == []


def test_a_schedule_that_has_ended_may_be_written_again() -> None:
    """A deployment says the same every time."""
    end_ms = NOON_MS + 90_000
    ended = Planned(end_at_ms=end_ms)
    ended.minute(1)
    ended.now_ms = end_ms + 1
    assert ended.next_ms() is None
    ended.put(end_at_ms=end_ms, note="again")
    assert (ended.row.note, ended.next_ms()) == ("again", None)


def test_jitter_before_nothing_has_all_its_room() -> None:
    """The last fire of all is before no other."""
    end_ms = parse_time("2025-01-02T00:00:00Z")
    found = plan(cron="@daily", end_at_ms=end_ms, jitter_ms=1_000)
    assert 0 <= found.due_ms(end_ms) - end_ms <= 1_000
    assert plan(cron="@daily").due_ms(end_ms) == end_ms


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "cron must be at least one expression such as 0 3 * * * or @every 15m, got none"),
        ({"crons": ("@daily",) * 21}, "crons must be at most 20 expressions, got 21"),
        ({"cron": "@daily", "excluded": ("@daily",) * 21}, "excluded must be at most 20 expressions, got 21"),
        ({"cron": "@daily", "excluded": ("x",)}, "excluded: cron must be five or six fields"),
        ({"cron": "@daily", "jitter_ms": 86_400_001}, "jitter_ms must be from 0 to 86400000, got 86400001"),
        ({"cron": "@daily", "jitter_ms": -1}, "jitter_ms must be from 0 to 86400000, got -1"),
        (
            {"cron": "@daily", "start_at_ms": NEW_YEAR_MS + 1, "end_at_ms": NEW_YEAR_MS},
            "start_at must not be after end_at, got 2025-01-01T00:00:00.001Z and 2025-01-01T00:00:00.000Z",
        ),
        ({"cron": "@daily", "start_at_ms": -1}, "start_at must be a time from 1970 to 9999, got -1 ms"),
        ({"cron": "@daily", "end_at_ms": 2**60}, f"end_at must be a time from 1970 to 9999, got {2**60} ms"),
        (
            {"cron": "@daily", "end_at_ms": NEW_YEAR_MS},
            "end_at must leave a fire after 2025-01-01T00:00:00.000Z, got 2025-01-01T00:00:00.000Z, before",
        ),
        ({"cron": "@daily", "excluded": ("0 0 * * *",)}, "excluded must leave a fire, got expressions that"),
        (
            {"cron": "* * * * * *", "excluded": ("*/2 * * * * *", "1-59/2 * * * * *")},
            "excluded must leave a fire, got expressions that take out the next 5000 or all of them",
        ),
        (
            {"cron": "@daily", "excluded": ("@daily",), "end_at_ms": NEW_YEAR_MS + 10**9},
            "excluded must leave a fire, got expressions that take out",
        ),
    ],
)
def test_a_plan_that_is_none_is_refused_by_its_field(fields: dict[str, Any], sentence: str) -> None:
    """Impossible times, too many expressions, and exclusions that leave nothing."""
    with pytest.raises(BadCron) as refused:
        plan(**fields)
    assert sentence in str(refused.value)


def test_a_simulation_shows_the_wall_and_what_daylight_saving_does() -> None:
    """Marked at the fire that follows a skipped one, and at both of a doubled one."""
    berlin = plan(cron="30 2 * * *", timezone="Europe/Berlin")
    spring = fires.simulate(berlin, parse_time("2025-03-29T00:00:00Z"), 2)
    assert [(each.wall.isoformat(), each.marks) for each in spring] == [
        ("2025-03-29T02:30:00+01:00", ()),
        (
            "2025-03-31T02:30:00+02:00",
            ("no fire at 2025-03-30 02:30: the clock goes forward past it",),
        ),
    ]
    autumn = fires.simulate(berlin, parse_time("2025-10-26T00:00:00Z"), 2)
    assert [each.marks for each in autumn] == [
        ("first of two: the clock goes back and shows 02:30 twice",),
        ("second of two: the clock goes back and shows 02:30 twice",),
    ]
    minutes = plan(crons=("*/10 * * * *", "*/15 * * * *"), timezone="Europe/Berlin")
    forward = [each.marks for each in fires.simulate(minutes, parse_time("2025-03-30T00:50:00Z"), 3)]
    assert forward == [("no fire at 2025-03-30 02:00: the clock goes forward past it",), (), ()]
    interval = plan(crons=("@every 30m",), timezone="Europe/Berlin")
    assert {each.marks for each in fires.simulate(interval, parse_time("2025-10-26T00:00:00Z"), 9)} == {()}


def test_a_simulation_ends_with_the_fires_and_is_bounded() -> None:
    """All there are; at most a thousand."""
    ends = plan(cron="@daily", end_at_ms=NEW_YEAR_MS + 3 * 86_400_000, jitter_ms=5)
    coming = fires.simulate(ends, NEW_YEAR_MS, 1_000)
    assert [each.due_ms for each in coming] == [ends.due_ms(each.time_ms) for each in coming]
    assert len(coming) == 3
    for count in (0, 1_001):
        with pytest.raises(ValueError, match=f"count must be from 1 to 1000, got {count}"):
            fires.simulate(ends, NEW_YEAR_MS, count)


@pytest.mark.parametrize(
    ("crons", "remarked"),
    [
        (("0 0 13 * FRI",), True),
        (("0 0 * * FRI",), False),
        (("0 0 13 * *", "@every 1h"), False),
        (("0 0 1 * 0-6",), False),
    ],
)
def test_what_another_cron_takes_for_either_is_remarked(crons: tuple[str, ...], remarked: bool) -> None:  # noqa: FBT001
    """Both days restricted: both must match here."""
    assert bool(fires.remarks(plan(crons=crons))) == remarked
