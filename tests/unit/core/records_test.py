"""What is written to topics for a fact or an effect."""

import json
from typing import Any

import pytest

from schemas import codec
from schemas.events import Control, Dispatch, Fact, JobRequest, Schedule
from schemas.records import replace
from schemas.words import BeatKind, FactKind, Outcome, Phase, RejectCode
from streams.core import admission, facts, records, schedule, schedule_fold
from streams.core.effect import TellRelays
from streams.core.events import RemoveAsked, Source
from streams.core.facts import Fact as CoreFact
from streams.core.job import EPHEMERAL, Step
from streams.core.rejection import Rejection
from streams.core.schedule import ScheduleStep
from streams.core.schedule_facts import (
    BackfillAdvanced,
    FireDue,
    ScheduleAdvanced,
    ScheduleFact,
    ScheduleJobEnded,
    SchedulePut,
    ScheduleRemoved,
    ScheduleStopping,
)
from tests.life import T0, Life, in_phase


def told(life: Life, step: Step | Rejection | None) -> Fact:
    """The record of the one fact of a step."""
    assert isinstance(step, Step), step
    (fact,) = step.facts
    return records.fact_record(life.job, fact, step.job)


def given(record: Fact) -> dict[str, Any]:
    """What a record tells beyond what all of one job's facts tell."""
    common = {"job", "key", "partition", "function", "queue", "created_at_ms", "at_ms"}
    return {name: value for name, value in vars(record).items() if name not in common and value is not None}


def test_a_fact_says_whose_it_is_and_where_the_job_stands() -> None:
    """Every fact carries what a sink needs to file it."""
    life = Life()
    record = told(life, life.submit(scheduled_by="s", parent="p"))
    assert record == Fact(
        fact="admitted",
        job="job-1",
        key="key-1",
        partition=3,
        at_ms=T0,
        phase="ready",
        function="mail.send",
        queue="default",
        attempt=1,
        epoch=1,
        created_at_ms=T0,
        scheduled_by="s",
        parent="p",
    )
    assert codec.decode(codec.encode(record), (Fact,)) == record


def test_a_job_for_later_tells_when() -> None:
    """Before the first attempt there is no number of one."""
    life = Life()
    record = given(told(life, life.submit(run_at_ms=T0 + 5)))
    assert record == {
        "fact": "admitted",
        "phase": "scheduled",
        "attempt": 0,
        "epoch": 0,
        "next_at_ms": T0 + 5,
    }


def test_the_end_of_an_attempt_tells_how_it_went() -> None:
    """Queue wait, time to start, run time, who had it, where it was, and the result."""
    life = in_phase(Phase.READY)
    life.now_ms = T0 + 100
    who = {"minion": "m", "session": "s", "relay": "r", "step": "send", "done": 3, "total": 4}
    step = life.end(
        Outcome.SUCCESS,
        assigned_at_ms=T0 + 20,
        started_at_ms=T0 + 25,
        run_ms=60,
        result=b"1",
        result_type="t",
        **who,
    )
    assert given(told(life, step)) == who | {
        "fact": "succeeded",
        "phase": "succeeded",
        "attempt": 1,
        "epoch": 1,
        "ended_at_ms": T0 + 100,
        "queued_ms": 20,
        "start_ms": 5,
        "run_ms": 60,
        "result": b"1",
        "result_type": "t",
    }


def test_clocks_that_disagree_make_no_negative_times() -> None:
    """Assigned before it was dispatched, by another clock: nothing at the least."""
    life = in_phase(Phase.READY)
    record = told(life, life.end(Outcome.SUCCESS, assigned_at_ms=T0 - 500, started_at_ms=T0 - 700))
    assert (record.queued_ms, record.start_ms) == (0, 0)


def test_a_lost_attempt_is_told_with_its_minion_and_its_successors_number() -> None:
    """The fact is about what was lost; attempt and epoch are what comes now."""
    life = in_phase(Phase.LEASED)
    record = told(life, life.tick(4_000))
    assert given(record) == {
        "fact": "lost",
        "phase": "ready",
        "attempt": 2,
        "epoch": 2,
        "minion": "m-1",
        "session": "s-1",
        "relay": "r-1",
        "queued_ms": 0,
        "error_type": "Silent",
        "error_message": "no heartbeat for 4000 ms",
    }


def test_an_unserved_job_says_what_it_waits_for() -> None:
    """There was no attempt to tell of."""
    life = in_phase(Phase.READY)
    assert given(told(life, life.end(Outcome.UNSERVED))) == {
        "fact": "handed_back",
        "phase": "scheduled",
        "attempt": 1,
        "epoch": 1,
        "next_at_ms": T0 + 300_000,
        "reason": "no connected minion has the function mail.send",
    }


def test_progress_is_told_as_it_comes() -> None:
    """Watchers see step and numbers while the attempt runs."""
    life = in_phase(Phase.LEASED)
    record = told(life, life.beat(BeatKind.PROGRESS, step="parse", done=4, total=9))
    assert (record.fact, record.step, record.done, record.total) == ("progressed", "parse", 4, 9)


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.DEAD, Phase.CANCELLED, Phase.EXPIRED])
def test_a_duplicate_of_an_ended_job_is_answered_with_its_end(phase: Phase) -> None:
    """Whoever asks twice has the answer, though the end was told before."""
    life = in_phase(phase)
    record, row = told(life, life.submit()), life.row
    assert record.fact == FactKind.DEDUPLICATED
    assert (record.phase, record.ended_at_ms) == (phase, T0)
    assert (record.result, record.result_type) == (row.result, row.result_type)
    assert (record.error_type, record.reason) == (row.error_type, row.end_reason)


@pytest.mark.parametrize(
    ("phase", "act", "kind", "reason"),
    [
        (Phase.READY, lambda life: life.cancel("why"), "cancelled", "why"),
        (Phase.LEASED, lambda life: life.cancel("why"), "cancel_requested", "why"),
        (Phase.RETRYING, lambda life: life.cancel("why"), "cancelled", "why"),
        (Phase.DEAD, lambda life: life.retry("again"), "retried", "again"),
        (Phase.RETRYING, lambda life: life.tick(1_000), "readied", None),
        (Phase.SCHEDULED, lambda life: life.tick(20_000), "expired", "it was not started before its expiry"),
        (Phase.LEASED, lambda life: life.end(Outcome.SNOOZE), "snoozed", None),
        (Phase.LEASED, lambda life: life.end(Outcome.INTERRUPTED), "handed_back", None),
        (Phase.LEASED, lambda life: life.fail(), "failed", None),
        (Phase.READY, lambda life: life.start(), "started", None),
    ],
)
def test_facts_say_why_where_there_is_more_to_say(
    phase: Phase, act: Any, kind: str, reason: str | None
) -> None:
    """One word for machines, a sentence for people."""
    life = in_phase(phase)
    record = told(life, act(life))
    assert (record.fact, record.reason) == (kind, reason)


def test_a_death_while_waiting_tells_the_last_error() -> None:
    """A deadline that passed is the reason; what went wrong before is the error."""
    life = in_phase(Phase.RETRYING)
    life.job = replace(life.row, spec=replace(life.row.spec, ends_by_ms=T0 + 500))
    record = told(life, life.tick(500))
    assert (record.fact, record.error_type, record.reason) == (
        "died",
        "ValueError",
        "its total deadline passed",
    )


def test_a_purge_is_told_of_a_row_that_is_gone() -> None:
    """The last fact of a job has no phase."""
    life = in_phase(Phase.SUCCEEDED)
    row = life.row
    life.now_ms += 90_000_000
    step = life.tick()
    assert isinstance(step, Step)
    record = records.fact_record(row, step.facts[0], None)
    assert (record.fact, record.phase, record.job) == ("purged", None, "job-1")


def test_every_fact_that_is_written_has_a_word() -> None:
    """Only what is ephemeral goes without."""
    assert set(records.KINDS) | EPHEMERAL == set(CoreFact.__args__)
    untold = {ScheduleAdvanced, ScheduleStopping, ScheduleJobEnded, BackfillAdvanced}
    assert set(schedule_fold.KINDS) | untold == set(ScheduleFact.__args__)


# What effects become.


def test_a_schedule_is_told_how_its_job_ended_or_why_there_is_none() -> None:
    """A command of the machine's own, about the job."""
    life = Life()
    life.submit(scheduled_by="tick", attempts_max=1)
    life.fail("ValueError")
    report = records.report_command(life.row)
    assert (report.command, report.id, report.job) == ("schedule_job_ended", "tick", "job-1")
    assert (report.phase, report.reason) == ("dead", "1 of 1 attempts failed")
    refused = records.refusal_command("tick", "job-1", Rejection(RejectCode.QUEUES_FULL, "r" * 2_000))
    assert (refused.id, refused.job, refused.phase, refused.reason) == (
        "tick",
        "job-1",
        "rejected",
        "r" * 1_000,
    )
    with pytest.raises(AssertionError, match="job job-1 was fired by no schedule"):
        records.report_command(in_phase(Phase.DEAD).row)


def test_a_dispatch_carries_all_that_a_minion_needs() -> None:
    """The current epoch, with the arguments wherever they were kept, and the checkpoint of an earlier
    attempt.
    """
    life = in_phase(Phase.LEASED)
    life.end(Outcome.INTERRUPTED, checkpoint=b"half")
    assert records.dispatch_record(life.row, b"args") == Dispatch(
        job="job-1",
        key="key-1",
        partition=3,
        queue="default",
        function="mail.send",
        attempt=1,
        epoch=2,
        args=b"args",
        content_type="application/json",
        timeout_ms=60_000,
        heartbeat_timeout_ms=4_000,
        created_at_ms=T0,
        dispatched_at_ms=T0,
        checkpoint=b"half",
    )


def test_only_what_is_dispatched_has_a_dispatch_and_only_the_ended_a_letter() -> None:
    """Asked for anything else it is a fault of ours."""
    with pytest.raises(AssertionError, match="job job-1 is not dispatched, but retrying"):
        records.dispatch_record(in_phase(Phase.RETRYING).row, None)
    with pytest.raises(AssertionError, match="job job-1 has not ended, but is retrying"):
        records.dead_letter_record(in_phase(Phase.RETRYING).row, None)


def test_relays_are_told_the_epoch_that_is_called_off() -> None:
    """Which may not be the current one."""
    control = records.control_record(in_phase(Phase.READY).row, TellRelays(7), T0 + 5)
    assert control == Control(control="cancel", job="job-1", epoch=7, partition=3, at_ms=T0 + 5)


def test_a_dead_letter_tells_what_happened_and_how_to_run_it_again() -> None:
    """Every error, the arguments, the request as the topic of requests takes it, and a sentence."""
    life = Life()
    life.submit(attempts_max=2, ends_by_ms=T0 + 60_000)
    life.fail("ValueError")
    life.tick(1_000)
    life.end(Outcome.LOST)
    life.fail("OSError")
    letter = records.dead_letter_record(life.row, b"args")
    assert (letter.job, letter.key, letter.partition) == ("job-1", "key-1", 3)
    assert (letter.function, letter.queue, letter.content_type) == (
        "mail.send",
        "default",
        "application/json",
    )
    assert (letter.reason, letter.attempts, letter.args) == ("2 of 2 attempts failed", 3, b"args")
    assert letter.at_ms == T0 + 1_000
    errors = [
        (error["attempt"], error["outcome"], error.get("error_type")) for error in json.loads(letter.errors)
    ]
    assert errors == [(1, "failure", "ValueError"), (2, "lost", None), (3, "failure", "OSError")]
    assert letter.redrive == (
        'until 2023-11-15T22:13:21.000Z write {"command": "retry", "id": "job-1", "key": "key-1"} to the'
        " topic of requests, or use `jobstream retry job-1`; later write the request to it, with its args"
    )
    request = codec.decode(letter.request.encode(), (JobRequest,))
    again = admission.admit(
        replace(request, args=life.row.spec.args), None, admission.Position("r", 0, 0, T0), 8
    )
    same = vars(again).items() & vars(replace(life.row.spec, tags=(), non_retryable=())).items()
    assert set(vars(again)) - {name for name, _ in same} == {"id", "partition", "content_hash"}


# Schedules.


def test_facts_of_a_schedule_say_what_came_of_it() -> None:
    """Saved, fired once or more often, missed, removed; the job of such a fact is the schedule."""
    noon_ms = 1_748_779_200_000
    late = "missed by more than the catch-up window of 120000 ms"
    written = Schedule(
        id="tick", cron="* * * * *", function="beat", catchup_window_ms=120_000, overlap="allow_all"
    )

    def put(paused: bool) -> ScheduleStep:  # noqa: FBT001
        event = SchedulePut(noon_ms, Source.SCHEDULES, 0, replace(written, paused=paused), 3)
        step = schedule.step(None, event)
        assert isinstance(step, ScheduleStep)
        return step

    def tick(minutes: int) -> ScheduleStep:
        step = schedule.step(put(paused=False).row, FireDue(noon_ms + minutes * 60_000, Source.TIMERS, 0))
        assert isinstance(step, ScheduleStep)
        return step

    def tell(step: ScheduleStep) -> list[tuple[str, str | None]]:
        facts_told = [fact for fact in step.facts if type(fact) in schedule_fold.KINDS]
        told = [records.schedule_fact_record(put(paused=False).row, fact, step.row) for fact in facts_told]
        assert {record.job for record in told} == {"tick"}
        return [(record.fact, record.reason) for record in told]

    removed = schedule.step(put(paused=False).row, RemoveAsked(noon_ms, Source.REQUESTS, 0, "tick"))
    assert isinstance(removed, ScheduleStep)
    fire = tick(1)
    assert records.schedule_fact_record(None, fire.facts[0], fire.row) == Fact(
        fact="schedule_fired",
        job="tick",
        key="tick",
        partition=3,
        at_ms=noon_ms + 60_000,
        function="beat",
        queue="default",
        created_at_ms=noon_ms,
        next_at_ms=noon_ms + 120_000,
        reason="tick@2025-06-01T12:01:00Z",
        fire_at_ms=noon_ms + 60_000,
        fire_until_ms=noon_ms + 60_000,
        fires=1,
    )
    assert records.schedule_fact_record(fire.row, removed.facts[0], None).next_at_ms is None
    assert tell(put(paused=False)) == [("schedule_saved", "* * * * * in UTC")]
    assert tell(put(paused=True)) == [("schedule_saved", "* * * * * in UTC, paused")]
    assert tell(tick(1)) == [("schedule_fired", "tick@2025-06-01T12:01:00Z")]
    assert tell(tick(5)) == [
        (
            "schedule_missed",
            f"2 fires, tick@2025-06-01T12:01:00Z to tick@2025-06-01T12:02:00Z: {late}",
        ),
        ("schedule_fired", "3 fires, tick@2025-06-01T12:03:00Z to tick@2025-06-01T12:05:00Z"),
    ]
    assert tell(removed) == [("schedule_removed", None)]


def test_a_fact_without_a_row_is_a_fault() -> None:
    """Somebody forgot the row that the fact is about."""
    with pytest.raises(AssertionError, match="a fact is about a job"):
        records.fact_record(None, facts.Purged(T0, Source.TIMERS, 0), None)
    with pytest.raises(AssertionError, match="a fact is about a schedule"):
        records.schedule_fact_record(None, ScheduleRemoved(T0, Source.TIMERS, 0), None)
