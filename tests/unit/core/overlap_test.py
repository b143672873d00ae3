"""What becomes of a fire while a job of an earlier one has not ended, policy by policy; and what people do by
hand: pause, trigger, backfill.
"""

import pytest

from schemas import defaults
from schemas.events import Command
from schemas.words import RejectCode
from streams.core import schedule, schedule_fold
from streams.core.effect import Ask, Submit
from streams.core.events import RemoveAsked, Source
from streams.core.rejection import Rejection
from streams.core.schedule import ScheduleStep
from streams.core.schedule_facts import (
    BackfillAsked,
    BackfillDue,
    FireDue,
    JobEnded,
    OrphanAsked,
    PauseAsked,
    ResumeAsked,
    ScheduleAdvanced,
    ScheduleEvent,
    ScheduleRemoved,
    TriggerAsked,
)
from streams.core.schedule_names import fire_id, fire_time_ms
from tests.plan import NOON_MS, Planned

MINUTE_MS = 60_000


def test_a_schedule_skips_while_its_job_runs() -> None:
    """The default: one at a time, and what came meanwhile is skipped, counted, and told with its reason."""
    plan = Planned()
    assert plan.minute(1) == ["fired 12:01"]
    assert [*plan.minute(2), *plan.minute(3)] == ["skipped 12:02", "skipped 12:03"]
    assert plan.told == ["fired 12:01", "skipped 12:02", "skipped 12:03"]
    assert plan.row.skipped == 2
    plan.end("12:01")
    assert plan.minute(4) == ["fired 12:04"]
    assert plan.row.succeeded == 1
    history = [(each.what, each.fires, each.reason) for each in plan.row.history or ()]
    assert history[1:] == [
        ("schedule_fired", 1, None),
        ("schedule_skipped", 2, "tick@2025-06-01T12:01:00Z had not ended"),
        ("schedule_fired", 1, None),
    ]


def test_a_catch_up_obeys_the_policy_too() -> None:
    """After an outage of an hour one job runs, and 59 are skipped: in two facts."""
    plan = Planned()
    plan.minute(60)
    assert plan.told == ["fired 12:01", "skipped 12:02-13:00"]
    assert (plan.row.fires, plan.row.skipped) == (1, 59)


def test_buffer_one_lets_one_wait() -> None:
    """The next one waits, later ones are skipped; it fires when the first has ended."""
    plan = Planned(overlap="buffer_one")
    for minute in (1, 2, 3):
        plan.minute(minute)
    assert plan.told == ["fired 12:01", "buffered 12:02", "skipped 12:03"]
    assert plan.end("12:01") == ["fired 12:02"]
    assert (plan.row.buffer, plan.running) == (None, ["12:02"])
    assert plan.end("12:02") == []


def test_buffer_all_lets_all_wait_in_order_up_to_its_bound() -> None:
    """A thousand may wait; what comes then is dropped, and told."""
    plan = Planned(overlap="buffer_all", cron="* * * * * *")
    plan.seconds(1_003)
    assert plan.row.buffer is not None
    assert len(plan.row.buffer) == defaults.SCHEDULE_BUFFER_MAX
    assert (plan.row.dropped, plan.reason) == (2, "1000 fires wait already")
    first = plan.row.buffer[0]
    plan.ended(plan.row.running or ())
    assert plan.row.running == (first,)


def test_cancel_other_asks_the_running_one_to_stop_and_waits_for_it() -> None:
    """The newest fire waits; one that waited gives up its place; the word is sent once."""
    plan = Planned(overlap="cancel_other", key="k")
    plan.minute(1)
    plan.minute(2)
    assert plan.asked == [
        Command(
            command="cancel",
            id="tick@2025-06-01T12:01:00Z",
            key="k",
            reason="the next fire of its schedule has come",
            by="tick",
        )
    ]
    assert plan.told == ["fired 12:01", "buffered 12:02"]
    assert plan.minute(3) == ["dropped 12:02", "buffered 12:03"]
    assert plan.asked == []
    assert [type(effect) for effect in schedule.outstanding(plan.row)] == [Submit, Ask]
    assert plan.end("12:01", "cancelled") == ["fired 12:03"]
    assert (plan.row.cancelled, plan.row.stopping) == (1, None)


def test_terminate_other_ends_the_running_one_and_starts() -> None:
    """At once; the end that comes later starts nothing."""
    plan = Planned(overlap="terminate_other")
    plan.minute(1)
    assert plan.minute(2) == ["fired 12:02"]
    assert [(each.command, each.id) for each in plan.asked] == [("terminate", "tick@2025-06-01T12:01:00Z")]
    assert plan.running == ["12:02"]
    assert [
        effect.command.command for effect in schedule.outstanding(plan.row) if isinstance(effect, Ask)
    ] == ["terminate"]
    assert plan.end("12:01", "cancelled") == []
    assert (plan.running, plan.row.stopping) == (["12:02"], None)


def test_allow_all_starts_all_and_forgets_the_oldest_in_the_end() -> None:
    """The row holds so many jobs whose end is awaited."""
    plan = Planned(overlap="allow_all", cron="* * * * * *")
    plan.seconds(1_500)
    assert plan.row.running is not None
    assert (plan.row.fires, len(plan.row.running)) == (1_500, defaults.SCHEDULE_RUNNING_MAX)
    assert plan.row.running[-1] == NOON_MS + 1_500_000


@pytest.mark.parametrize(
    "job",
    ["other@2025-06-01T12:01:00Z", "tick@soon", "tick@2025-06-01T11:00:00Z", "tick@2025-06-01T12:02:00Z"],
)
def test_a_job_that_is_not_awaited_changes_nothing(job: str) -> None:
    """It is no job of this schedule, or has reported before, or the schedule is gone."""
    plan = Planned()
    plan.minute(1)
    for row in (plan.row, None):
        step = schedule.step(row, JobEnded(plan.now_ms, Source.REQUESTS, 9, "tick", job, "dead", None))
        assert isinstance(step, ScheduleStep)
        assert (step.row, step.facts, step.durable) == (row, (), False)


def test_a_limited_schedule_finishes() -> None:
    """So many fires of its own; what waited for more is dropped; a trigger still works and does not count."""
    plan = Planned(overlap="buffer_all", runs_max=2)
    for minute in (1, 2, 3):
        plan.minute(minute)
    assert plan.end("12:01") == ["fired 12:02", "dropped 12:03"]
    assert plan.reason == "its runs are used up"
    plan.end("12:02")
    late = Planned(runs_max=2, overlap="allow_all")
    late.minute(5)
    assert late.told == ["fired 12:01-12:02"]
    assert late.next_ms() is None
    late.do(TriggerAsked, "tick", None, None)
    assert (late.row.fires, late.row.runs) == (3, 2)
    late.put(runs_max=2, note="new words")
    assert late.next_ms() is None
    late.put(runs_max=2, cron="*/2 * * * *")
    assert late.next_ms() is None
    late.put(runs_max=3, cron="*/2 * * * *")
    assert late.next_ms() == NOON_MS + 6 * MINUTE_MS
    assert late.row.runs is None


def test_a_pause_keeps_its_note_and_drops_what_waits() -> None:
    """Nothing is caught up for it; a resume goes on from now."""
    plan = Planned(overlap="buffer_one")
    plan.minute(1)
    plan.minute(2)
    assert plan.do(PauseAsked, "tick", "the printer is on fire") == ["dropped 12:02", "paused"]
    assert (plan.pause(), plan.next_ms()) == ((True, "the printer is on fire"), None)
    plan.now_ms += 60 * MINUTE_MS
    plan.put(declared_by="app")
    assert plan.pause() == (True, "the printer is on fire"), "a declaration does not undo a pause"
    assert plan.do(ResumeAsked, "tick", None) == ["resumed"]
    assert plan.pause() == (False, None)
    assert plan.next_ms() == plan.now_ms + MINUTE_MS
    refused = plan.refused(ResumeAsked, "tick", None)
    assert refused.reason == "resume of schedule tick refused: it is not paused"
    plan.do(PauseAsked, "tick", None)
    assert plan.pause() == (True, "paused on request")
    plan.put()
    assert plan.pause() == (False, None), "what somebody writes by hand does"


def test_a_put_that_pauses_drops_what_waits() -> None:
    """As the command does."""
    plan = Planned(overlap="buffer_one")
    plan.minute(1)
    plan.minute(2)
    assert plan.put(paused=True, overlap="buffer_one") == ["dropped 12:02", "saved"]


@pytest.mark.parametrize(("phase", "pauses"), [("dead", True), ("expired", True), ("rejected", True)])
def test_a_failure_pauses_a_schedule_that_asks_for_it(phase: str, pauses: bool) -> None:  # noqa: FBT001
    """After the whole chain of attempts, with the reason in the note; the backfill ends too."""
    plan = Planned(pause_on_failure=True, overlap="buffer_one")
    plan.minute(30)
    plan.do(BackfillAsked, "tick", NOON_MS, NOON_MS + 5 * MINUTE_MS, None, None)
    assert plan.end("12:01", phase, "5 of 5 attempts failed") == ["dropped 12:02", "paused"]
    assert plan.row.paused == pauses
    assert plan.row.pause_note == (
        f"paused by itself, since tick@2025-06-01T12:01:00Z ended as {phase}: 5 of 5 attempts failed"
    )
    assert (plan.row.failed, plan.row.backfill_at_ms) == (1, None)


@pytest.mark.parametrize("phase", ["succeeded", "cancelled"])
def test_a_job_that_was_cancelled_is_no_failure(phase: str) -> None:
    """Somebody wanted it so."""
    plan = Planned(pause_on_failure=True)
    plan.minute(1)
    assert plan.end("12:01", phase) == []
    assert plan.pause() == (False, None)
    plan.minute(2)
    plan.end("12:02", "dead")
    assert plan.row.pause_note == "paused by itself, since tick@2025-06-01T12:02:00Z ended as dead"


def test_a_triggered_fire_has_a_time_of_its_own() -> None:
    """To the millisecond and never a whole second, so that no two fires share an id; paused or not."""
    plan = Planned(paused=True, overlap="allow_all")
    for _ in range(3):
        plan.do(TriggerAsked, "tick", None, "by hand")
    running = plan.row.running or ()
    assert running == (NOON_MS + 1, NOON_MS + 2, NOON_MS + 3)
    ids = [fire_id("tick", time_ms) for time_ms in running]
    assert ids[0] == "tick@2025-06-01T12:00:00.001Z"
    assert [fire_time_ms("tick", id) for id in ids] == [*running]
    assert plan.reason == "triggered: by hand"


def test_a_trigger_obeys_the_policy_unless_it_says_otherwise() -> None:
    """Whoever wants one more all the same says allow_all."""
    plan = Planned()
    plan.minute(1)
    assert plan.do(TriggerAsked, "tick", None, None) == ["skipped 12:01"]
    assert plan.do(TriggerAsked, "tick", "allow_all", None) == ["fired 12:01"]
    assert plan.do(TriggerAsked, "tick", "buffer_one", None) == ["buffered 12:01"]
    assert plan.row.triggered_at_ms == NOON_MS + MINUTE_MS + 3
    assert plan.refused(TriggerAsked, "tick", "never", None).reason == (
        "overlap must be one of skip, buffer_one, buffer_all, cancel_other, terminate_other, allow_all,"
        " got 'never'"
    )


def test_a_backfill_runs_one_after_the_other() -> None:
    """The fires after one time until another; each waits for the end of the one before."""
    plan = Planned(cron="0 * * * *")
    plan.now_ms += 30_000
    since_ms = NOON_MS - 3 * 60 * MINUTE_MS
    told = plan.do(BackfillAsked, "tick", since_ms, NOON_MS, None, "the disk was full")
    assert told == ["backfilling", "fired 10:00"]
    assert (plan.row.history or ())[1].reason == (
        "3 fires after 2025-06-01T09:00:00.000Z until 2025-06-01T12:00:00.000Z, buffer_all: the disk was full"
    )
    assert plan.refused(BackfillAsked, "tick", since_ms, NOON_MS, None, None).reason == (
        "backfill of schedule tick refused: one until 2025-06-01T12:00:00.000Z is under way"
    )
    assert schedule.next_due_ms(plan.row) == NOON_MS + 60 * MINUTE_MS
    assert plan.end("10:00") == ["fired 11:00"]
    assert plan.end("11:00", "dead") == ["fired 12:00"]
    assert (plan.row.backfill_at_ms, plan.row.backfill_until_ms, plan.row.backfill_overlap) == (None,) * 3
    assert plan.end("12:00") == []
    assert (plan.row.fires, plan.row.runs) == (3, 0)


def test_a_backfill_waits_for_the_job_that_runs() -> None:
    """It begins when that has ended."""
    plan = Planned()
    plan.minute(1)
    assert plan.do(BackfillAsked, "tick", NOON_MS - 5 * MINUTE_MS, NOON_MS, None, None) == ["backfilling"]
    assert plan.end("12:01") == ["fired 11:56"]


def test_a_backfill_of_all_at_once_takes_as_many_ticks_as_it_needs() -> None:
    """A thousand fires in one step; the rest is due at once."""
    plan = Planned(cron="* * * * * *", paused=True)
    told = plan.do(BackfillAsked, "tick", NOON_MS - 2_500_000, NOON_MS, "allow_all", None)
    assert told == ["backfilling", "fired 11:18-11:35"]
    assert (schedule.next_due_ms(plan.row) or 0) < plan.now_ms
    ticks = 0
    while schedule.due(plan.row, plan.now_ms, offset=plan.offset + 1):
        plan.tick()
        ticks += 1
    assert (ticks, plan.row.fires, plan.row.backfill_at_ms) == (2, 2_500, None)


@pytest.mark.parametrize(
    ("since_ms", "until_ms", "overlap", "sentence"),
    [
        (NOON_MS - 1, NOON_MS, "skip", "overlap of a backfill must be buffer_all or allow_all, got 'skip'"),
        (
            None,
            NOON_MS,
            None,
            "since and until of a backfill must be two times of the past in order, got None",
        ),
        (NOON_MS - 1, None, None, "since and until of a backfill must be two times of the past in order"),
        (NOON_MS, NOON_MS, None, "since and until of a backfill must be two times of the past in order"),
        (NOON_MS, NOON_MS + 1, None, "since and until of a backfill must be two times of the past in order"),
        (-5, NOON_MS, None, "since and until of a backfill must be two times of the past in order"),
        (
            NOON_MS - 365 * 86_400_000,
            NOON_MS,
            None,
            "a backfill must be 1 to 10000 fires, got more than 10000 from since 2024-06-01T12:00:00.000Z",
        ),
        (NOON_MS - 3, NOON_MS - 2, None, "a backfill must be 1 to 10000 fires, got none from since"),
    ],
)
def test_a_backfill_that_makes_no_sense_is_refused(
    since_ms: int | None, until_ms: int | None, overlap: str | None, sentence: str
) -> None:
    """One that fires every second for a year of backfill is refused, not run."""
    plan = Planned(cron="* * * * * *")
    refused = plan.refused(BackfillAsked, "tick", since_ms, until_ms, overlap, None)
    assert refused.reason.startswith(sentence)


def test_a_backfill_that_is_not_due_is_refused() -> None:
    """A timer is a hint; the row decides."""
    for at in (Planned(), Planned(paused=True)):
        refused = at.refused(BackfillDue)
        assert refused.reason == "backfill of schedule tick refused: there is nothing to do for it now"


def test_what_no_code_declares_any_more_is_shown_and_goes_on() -> None:
    """Once; until it is declared or written again."""
    plan = Planned(declared_by="app.jobs")
    assert plan.do(OrphanAsked, "tick", None) == ["orphaned"]
    assert plan.do(OrphanAsked, "tick", None) == []
    assert plan.orphaned_ms() == NOON_MS
    assert plan.minute(1) == ["fired 12:01"]
    plan.put(declared_by="app.jobs")
    assert plan.orphaned_ms() is None
    by_hand = Planned().refused(OrphanAsked, "tick", None)
    assert by_hand.reason == "orphaning of schedule tick refused: no code declared it"


def test_jobs_of_another_key_are_not_waited_for() -> None:
    """They live in another partition than the schedule would ask for them in."""
    plan = Planned()
    plan.minute(1)
    plan.put(key="elsewhere")
    assert (plan.row.running, schedule.outstanding(plan.row)) == (None, ())
    plan.minute(2)
    plan.put(key="elsewhere", note="n")
    assert plan.running == ["12:02"]


def test_the_history_in_the_row_is_bounded() -> None:
    """The topic of facts has all of it."""
    plan = Planned(overlap="allow_all")
    for minute in range(1, 40):
        plan.minute(minute)
    history = plan.row.history or ()
    assert len(history) == defaults.SCHEDULE_HISTORY_MAX
    assert history[-1].fire_at_ms == plan.now_ms


def test_a_schedule_that_is_not_there_refuses_by_name() -> None:
    """Whatever is asked of it."""
    place = (NOON_MS, Source.REQUESTS, 1)
    events: list[ScheduleEvent] = [
        PauseAsked(*place, "x", None),
        ResumeAsked(*place, "x", None),
        TriggerAsked(*place, "x", None, None),
        BackfillAsked(*place, "x", 1, 2, None, None),
        OrphanAsked(*place, "x", None),
    ]
    for event in events:
        assert schedule.step(None, event) == Rejection(
            RejectCode.UNKNOWN_SCHEDULE, "command refused: schedule x is not known in this partition"
        )
    due = schedule.step(None, BackfillDue(*place))
    assert isinstance(due, Rejection)
    assert due.reason == "backfill refused: its schedule is not known in this partition"


def test_jitter_puts_a_fire_off_and_keeps_its_name() -> None:
    """The id has the time that the expression names, whenever the fire happens."""
    plan = Planned(jitter_ms=30_000)
    due_ms = schedule.next_due_ms(plan.row)
    assert due_ms is not None
    assert NOON_MS + MINUTE_MS < due_ms <= NOON_MS + MINUTE_MS + 30_000
    assert schedule.due(plan.row, due_ms - 1, offset=9) is None
    plan.now_ms = due_ms
    assert plan.tick() == ["fired 12:01"]
    plan.do(PauseAsked, "tick", None)
    assert plan.row.next_due_at_ms is None


def test_every_fact_has_a_fold_and_every_event_a_decision() -> None:
    """Those that make or drop a row have their own."""
    row = Planned().row
    with pytest.raises(AssertionError, match="needs a schedule"):
        schedule_fold.evolve(None, ScheduleAdvanced(0, Source.TIMERS, 0, None, None))
    assert schedule_fold.evolve(row, ScheduleRemoved(0, Source.TIMERS, 0)) is None
    decided = {
        *(FireDue, JobEnded, PauseAsked, ResumeAsked, TriggerAsked),
        *(BackfillAsked, BackfillDue, OrphanAsked, RemoveAsked),
    }
    assert {*ScheduleEvent.__args__} - decided == {type(Planned().put_event())}
