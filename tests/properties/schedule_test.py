"""Schedules over random expressions, zones and ticks: no fire is lost, doubled, or moved by a late look."""

from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice

from hypothesis import assume, given
from hypothesis import strategies as st

from schemas import defaults
from schemas.events import Schedule, ScheduleRow
from streams.core import cron, schedule
from streams.core.cron import BadCron
from streams.core.effect import Submit
from streams.core.events import Source
from streams.core.schedule import ScheduleStep
from streams.core.schedule_facts import SchedulePut
from streams.core.schedule_names import fire_id

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Casablanca",
]
BEGIN_MS = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1000
END_MS = int(datetime(2037, 1, 1, tzinfo=UTC).timestamp()) * 1000


def field(least: int, most: int) -> st.SearchStrategy[str]:
    """One field of an expression."""
    numbers = st.integers(least, most).map(str)
    return st.one_of(
        st.just("*"),
        numbers,
        st.sampled_from(["*/2", "*/7", "*/15"]),
        st.lists(numbers, min_size=2, max_size=3).map(",".join),
        st.tuples(st.integers(least, most), st.integers(least, most)).map(
            lambda two: f"{min(two)}-{max(two)}"
        ),
    )


fives = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7)).map(" ".join)
sixes = st.tuples(field(0, 59), fives).map(" ".join)
expressions = st.one_of(fives, sixes, st.sampled_from([*cron.MACROS, "30 2 * * *", "0,30 1-3 * * *"]))
times = st.integers(BEGIN_MS, END_MS)


def read(expression: str, zone: str) -> cron.Expression:
    """The expression, if it is one that ever fires."""
    try:
        return cron.read(expression, zone)
    except BadCron:
        assume(False)
        raise


@given(expressions, st.sampled_from(ZONES), times)
def test_fires_grow_and_do_not_depend_on_where_one_begins_to_count(
    expression: str, zone: str, at_ms: int
) -> None:
    """Asked again from any fire, or from just before one, an expression gives the same fires."""
    found = read(expression, zone)
    fires = list(islice(found.after(at_ms), 6))
    assert fires == sorted(set(fires))
    assert all(fire_ms > at_ms and fire_ms % 1_000 == 0 for fire_ms in fires)
    for place, fire_ms in enumerate(fires[:-1]):
        assert next(found.after(fire_ms)) == fires[place + 1]
        assert next(found.after(fire_ms - 1)) == fire_ms


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_an_expression_or_refused(expression: str, zone: str) -> None:
    """Nothing but BadCron comes of what people write."""
    for one, other in ((expression, "UTC"), ("* * * * *", zone)):
        with suppress(BadCron):
            next(cron.read(one, other).after(BEGIN_MS))


@given(
    expressions,
    st.sampled_from(ZONES),
    times,
    st.lists(st.integers(0, 3 * 3_600_000), max_size=20),
    st.sampled_from([10_000, 60_000, 3_600_000]),
    st.integers(0, 20),
)
def test_every_fire_happens_once_or_is_missed_by_the_rule(
    expression: str, zone: str, begin_ms: int, gaps_ms: list[int], window_ms: int, replayed: int
) -> None:
    """Whatever the ticks: fires and misses together are the fires of the expression, each once, in order."""
    fires = read(expression, zone)
    written = Schedule(
        id="s", cron=expression, timezone=zone, function="f", catchup_window_ms=window_ms, overlap="allow_all"
    )
    put = schedule.step(None, SchedulePut(begin_ms, Source.SCHEDULES, 0, written, 0))
    assert isinstance(put, ScheduleStep)
    assert put.row is not None
    row: ScheduleRow = put.row
    now_ms, asked = begin_ms, list[str]()
    for offset, gap_ms in enumerate(gaps_ms):
        now_ms += gap_ms
        event = schedule.due(row, now_ms, offset=offset)
        if event is None:
            continue
        step = schedule.step(row, event)
        assert isinstance(step, ScheduleStep)
        assert step.row is not None
        row = step.row
        asked += [effect.request.id or "" for effect in step.effects if isinstance(effect, Submit)]
        if offset == replayed:
            again = schedule.step(row, event)
            assert isinstance(again, ScheduleStep)
            assert (again.row, again.facts, again.durable) == (row, (), False)
            assert {*again.effects} >= {*step.effects[-defaults.SCHEDULE_RUNNING_MAX :]}
    assert len(asked) == len(set(asked)) == row.fires
    assert asked == sorted(asked)
    until = row.next_fire_at_ms if row.next_fire_at_ms is not None else END_MS * 2
    expected = [t for t in islice(fires.after(begin_ms), row.fires + row.missed + 1) if t < until]
    assert len(expected) == row.fires + row.missed, "none is lost, none is made up"
    assert set(asked) <= {fire_id("s", fire_ms) for fire_ms in expected}
    assert len(row.fired) <= defaults.CATCHUP_FIRES_MAX
