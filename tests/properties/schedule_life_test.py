"""The lives of schedules, over any order of ticks, ends of jobs, pauses, triggers and new versions: every
fire has one fate, and what the policy promises holds after each step.
"""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from schemas import defaults
from schemas.words import Overlap
from streams.core import schedule
from streams.core.events import Source
from streams.core.schedule import ScheduleStep
from streams.core.schedule_facts import (
    FireFact,
    JobEnded,
    PauseAsked,
    ResumeAsked,
    ScheduleBuffered,
    ScheduleDropped,
    ScheduleEvent,
    ScheduleFired,
    TriggerAsked,
)
from streams.core.schedule_names import fire_id
from tests.plan import Planned

ONE_AT_A_TIME = frozenset(Overlap) - {Overlap.ALLOW_ALL}
STEPS_MAX = 40

actions = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.integers(1, 200)),
        st.tuples(st.just("tick"), st.just(60)),
        st.tuples(st.just("end"), st.sampled_from(["succeeded", "dead", "cancelled", "rejected"])),
        st.tuples(st.just("pause"), st.none()),
        st.tuples(st.just("resume"), st.none()),
        st.tuples(st.just("trigger"), st.none()),
        st.tuples(st.just("put"), st.sampled_from([*Overlap])),
    ),
    max_size=STEPS_MAX,
)


class Life:
    """One schedule, what became of each of its fires, and how it is checked after each step."""

    def __init__(self, overlap: Overlap, runs_max: int | None, *, pause_on_failure: bool) -> None:
        self.fields = {"runs_max": runs_max, "pause_on_failure": pause_on_failure}
        self.plan = Planned(cron="* * * * *", overlap=overlap, **self.fields)
        self.overlap = overlap
        self.fates: dict[int, list[type[FireFact]]] = {}
        self.alone = overlap in ONE_AT_A_TIME
        """No policy that lets jobs run beside each other was in force yet."""

    def act(self, what: str, value: object) -> None:
        """Something happens, if it makes sense now."""
        plan, place = self.plan, (self.plan.now_ms, Source.REQUESTS, self.plan.offset + 1)
        match what:
            case "tick":
                assert isinstance(value, int)
                plan.now_ms += value * 1000
                event: ScheduleEvent | None = schedule.due(plan.row, plan.now_ms, offset=plan.offset + 1)
            case "end":
                awaited = [*(plan.row.running or ()), *(plan.row.stopping or ())]
                job = fire_id("tick", awaited[0]) if awaited else "tick@never"
                event = JobEnded(*place, "tick", job, str(value), None)
            case "pause":
                event = PauseAsked(*place, "tick", None)
            case "resume":
                event = ResumeAsked(*place, "tick", None) if plan.row.paused else None
            case "trigger":
                event = TriggerAsked(*place, "tick", None, None)
            case _:
                event = plan.put_event(overlap=value, **self.fields)
                plan.offset -= 1
                self.overlap = Overlap(str(value))
                self.alone = self.alone and self.overlap in ONE_AT_A_TIME
        if event is not None:
            self.step(event)

    def step(self, event: ScheduleEvent) -> None:
        """One step, and its replay."""
        plan = self.plan
        plan.offset += 1
        step = schedule.step(plan.row, event)
        assert isinstance(step, ScheduleStep), step
        assert step.row is not None
        plan.row = step.row
        for fact in step.facts:
            if isinstance(fact, FireFact):
                for time_ms in fact.times_ms:
                    self.fates.setdefault(time_ms, []).append(type(fact))
        if step.durable:
            again = schedule.step(plan.row, event)
            assert isinstance(again, ScheduleStep)
            assert (again.row, again.facts, again.durable) == (plan.row, (), False)
            assert {*again.effects} >= {*step.effects} or len(plan.row.running or ()) >= 1_000
        self.check()

    def check(self) -> None:
        """What holds after every step."""
        row = self.plan.row
        for time_ms, fates in self.fates.items():
            assert fates in (
                [fates[0]],
                [ScheduleBuffered, ScheduleFired],
                [ScheduleBuffered, ScheduleDropped],
            ), (time_ms, fates)
        counts = Counter(fates[-1] for fates in self.fates.values())
        assert row.fires == counts[ScheduleFired]
        assert (row.buffer or ()) == tuple(
            time_ms for time_ms in row.buffer or () if self.fates[time_ms] == [ScheduleBuffered]
        )
        assert counts[ScheduleBuffered] == len(row.buffer or ())
        assert len(row.history or ()) <= defaults.SCHEDULE_HISTORY_MAX
        if self.alone:
            assert len(row.running or ()) <= 1
        if row.paused:
            assert row.next_fire_at_ms is None
        if row.runs_max is not None:
            assert (row.runs or 0) <= row.runs_max
        assert row.running or not row.buffer, "what waits, waits for something"


@given(st.sampled_from([*Overlap]), st.one_of(st.none(), st.integers(1, 6)), st.booleans(), actions)
def test_every_fire_has_one_fate(
    overlap: Overlap,
    runs_max: int | None,
    pause_on_failure: bool,  # noqa: FBT001
    todo: list[tuple[str, object]],
) -> None:
    """Fired, skipped, missed or dropped, or buffered and then one of two: never twice, never silently."""
    life = Life(overlap, runs_max, pause_on_failure=pause_on_failure)
    for what, value in todo:
        life.act(what, value)


@given(st.sampled_from([*Overlap]), st.lists(st.integers(1, 300), max_size=20))
def test_no_slot_is_left_out(overlap: Overlap, gaps_s: list[int]) -> None:
    """However the ticks come: the fates are those of every minute, in order."""
    life = Life(overlap, None, pause_on_failure=False)
    first_ms = life.plan.next_ms()
    assert first_ms is not None
    for gap_s in gaps_s:
        life.act("tick", gap_s)
    until_ms = life.plan.next_ms()
    assert until_ms is not None
    assert [*life.fates] == [*range(first_ms, until_ms, 60_000)]
