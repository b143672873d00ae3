"""The life of a schedule, rule by rule."""

from typing import Any

import pytest

from schemas import defaults
from schemas.events import JobRequest, Schedule, ScheduleRow
from schemas.records import replace
from schemas.times import format_time, parse_time
from schemas.words import RejectCode
from streams.core import admission, schedule, schedule_fold, schedule_rule
from streams.core.effect import Submit
from streams.core.events import RemoveAsked, Source
from streams.core.rejection import Rejection
from streams.core.schedule import ScheduleStep
from streams.core.schedule_facts import (
    FireDue,
    ScheduleAdvanced,
    ScheduleFired,
    ScheduleMissed,
    SchedulePut,
    ScheduleRemoved,
    ScheduleSaved,
)
from streams.core.schedule_names import ID_CHARS_MAX

NOON_MS = parse_time("2025-06-01T12:00:00Z")
MINUTE_MS = 60_000
EVERY_MINUTE = Schedule(id="tick", cron="* * * * *", function="beat", args=b"[1]", overlap="allow_all")
POSITION = admission.Position("jobs.requests", 0, 7, NOON_MS)


def put(row: ScheduleRow | None, at_ms: int = NOON_MS, **fields: Any) -> ScheduleStep | Rejection:
    """The step of writing the schedule of most tests, with these fields instead, on top of a row."""
    written = Schedule(**(vars(EVERY_MINUTE) | fields))
    offset = 0 if row is None else row.applied_schedules + 1
    return schedule.step(row, SchedulePut(at_ms, Source.SCHEDULES, offset, written, 3))


def saved(at_ms: int = NOON_MS, **fields: Any) -> ScheduleRow:
    """The row of a schedule that was written."""
    step = put(None, at_ms, **fields)
    assert isinstance(step, ScheduleStep), step
    assert step.row is not None
    return step.row


def tick(row: ScheduleRow, at_ms: int) -> ScheduleStep:
    """The step of a tick, which must find something due."""
    event = schedule.due(row, at_ms, offset=row.applied_timers + 1)
    assert event is not None
    step = schedule.step(row, event)
    assert isinstance(step, ScheduleStep), step
    return step


def fired(step: ScheduleStep) -> list[str]:
    """The ids of the jobs that a step asks for."""
    return [effect.request.id or "" for effect in step.effects if isinstance(effect, Submit)]


def test_a_saved_schedule_knows_its_next_fire() -> None:
    """The first fire is the first after the schedule was written, and nothing is asked for before."""
    step = put(None)
    assert isinstance(step, ScheduleStep)
    assert [type(fact) for fact in step.facts] == [ScheduleSaved]
    row = saved()
    assert (row.next_fire_at_ms, row.partition, row.created_at_ms) == (NOON_MS + MINUTE_MS, 3, NOON_MS)
    assert (row.key, row.catchup_window_ms) == ("tick", defaults.CATCHUP_WINDOW_MS)
    assert schedule.due(row, NOON_MS + MINUTE_MS - 1, offset=0) is None
    assert schedule.next_due_ms(row) == NOON_MS + MINUTE_MS


def test_a_fire_is_a_request_with_an_id_that_anyone_can_derive() -> None:
    """`<schedule>@<fire time>`, to the second in UTC, with what the schedule says a job shall be."""
    row = saved(timeout_ms=5_000, attempts_max=2, queue="often", key="k")
    step = tick(row, NOON_MS + MINUTE_MS + 250)
    assert step.effects == (
        Submit(
            JobRequest(
                id="tick@2025-06-01T12:01:00Z",
                function="beat",
                queue="often",
                key="k",
                args=b"[1]",
                timeout_ms=5_000,
                attempts_max=2,
                scheduled_by="tick",
            )
        ),
    )
    assert step.row is not None
    assert (step.row.fires, step.row.fired) == (1, (NOON_MS + MINUTE_MS,))
    (submit,) = step.effects
    assert isinstance(submit, Submit)
    assert not isinstance(admission.admit(submit.request, None, POSITION, 8), Rejection)


def test_the_next_fire_is_counted_from_the_last_and_not_from_now() -> None:
    """A tick that comes late moves nothing."""
    row = saved()
    for minute in range(1, 4):
        step = tick(row, NOON_MS + minute * MINUTE_MS + 17_000)
        assert step.row is not None
        row = step.row
        assert row.next_fire_at_ms == NOON_MS + (minute + 1) * MINUTE_MS


def test_fires_within_the_catchup_window_happen_in_order() -> None:
    """After an outage all that was missed by no more than the window is made up for."""
    step = tick(saved(), NOON_MS + 3 * MINUTE_MS)
    assert [type(fact) for fact in step.facts] == [ScheduleFired, ScheduleAdvanced]
    assert fired(step) == [f"tick@2025-06-01T12:0{minute}:00Z" for minute in (1, 2, 3)]


def test_fires_beyond_the_catchup_window_are_counted_and_told() -> None:
    """A window of two minutes, an outage of ten: seven are missed, and the one just at its edge is not."""
    step = tick(saved(catchup_window_ms=2 * MINUTE_MS), NOON_MS + 10 * MINUTE_MS)
    missed, happened, _ = step.facts
    assert isinstance(missed, ScheduleMissed)
    assert isinstance(happened, ScheduleFired)
    assert (len(missed.times_ms), missed.reason) == (
        7,
        "missed by more than the catch-up window of 120000 ms",
    )
    assert fired(step) == [f"tick@2025-06-01T12:{minute}:00Z" for minute in ("08", "09", "10")]
    assert step.row is not None
    assert (step.row.missed, step.row.fires, step.row.next_fire_at_ms) == (7, 3, NOON_MS + 11 * MINUTE_MS)


def test_an_outage_longer_than_one_step_can_hold_is_made_up_for_step_by_step() -> None:
    """No step handles more than CATCHUP_FIRES_MAX times; the next is due at once."""
    row, steps = saved(cron="* * * * * *", catchup_window_ms=3_600_000), 0
    now_ms = NOON_MS + 2_500_000
    while schedule.due(row, now_ms, offset=row.applied_timers + 1):
        step = tick(row, now_ms)
        assert step.row is not None
        row, steps = step.row, steps + 1
        assert len(row.fired) <= defaults.CATCHUP_FIRES_MAX
    assert (steps, row.fires, row.next_fire_at_ms) == (3, 2_500, now_ms + 1_000)


def test_all_missed_is_a_fact_without_effects() -> None:
    """What was missed by policy is not asked for."""
    row = saved(cron="0 13 * * *", catchup_window_ms=10_000)
    step = tick(row, NOON_MS + 90 * MINUTE_MS)
    assert [type(fact) for fact in step.facts] == [ScheduleMissed, ScheduleAdvanced]
    assert step.effects == ()


def test_a_paused_schedule_has_no_fire_and_catches_up_for_none() -> None:
    """Paused time does not count as an outage."""
    row = saved(paused=True)
    assert row.next_fire_at_ms is None
    assert schedule.due(row, NOON_MS + 10**9, offset=0) is None
    step = put(row, NOON_MS + 60 * MINUTE_MS)
    assert isinstance(step, ScheduleStep)
    assert step.row is not None
    assert step.row.next_fire_at_ms == NOON_MS + 61 * MINUTE_MS
    paused = put(step.row, NOON_MS + 60 * MINUTE_MS, paused=True)
    assert isinstance(paused, ScheduleStep)
    assert paused.row is not None
    assert paused.row.next_fire_at_ms is None


def test_a_change_of_the_expression_or_zone_begins_anew_and_another_does_not() -> None:
    """The counters and the age stay; the next fire stays unless its rule changed."""
    row = tick(saved(cron="0 13 * * *"), NOON_MS + 60 * MINUTE_MS).row
    assert row is not None
    for fields, next_fire in (
        ({"cron": "0 13 * * *", "note": "new words", "args": b"[2]"}, "2025-06-02T13:00:00.000Z"),
        ({"cron": "0 13 * * *", "timezone": "Europe/Berlin"}, "2025-06-02T11:00:00.000Z"),
        ({"cron": "0 15 * * *"}, "2025-06-01T15:00:00.000Z"),
    ):
        step = put(row, NOON_MS + 120 * MINUTE_MS, **fields)
        assert isinstance(step, ScheduleStep)
        assert step.row is not None
        assert format_time(step.row.next_fire_at_ms or 0) == next_fire
        assert (step.row.fires, step.row.created_at_ms, step.row.fired) == (1, NOON_MS, ())
        assert step.effects == ()


def test_a_removed_schedule_is_gone() -> None:
    """Removal drops the row; another is refused."""
    step = schedule.step(saved(), RemoveAsked(NOON_MS, Source.REQUESTS, 0, "tick"))
    assert isinstance(step, ScheduleStep)
    assert (step.row, [type(fact) for fact in step.facts], step.effects) == (None, [ScheduleRemoved], ())
    assert schedule.step(None, RemoveAsked(NOON_MS, Source.REQUESTS, 1, "tick")) == Rejection(
        RejectCode.UNKNOWN_SCHEDULE, "removal refused: schedule tick is not known in this partition"
    )


def test_a_replay_changes_nothing_and_sends_the_latest_fires_again() -> None:
    """What a crash may have lost is in the row; the ids are the same, so nothing runs twice."""
    before = saved()
    step = tick(before, NOON_MS + 2 * MINUTE_MS)
    assert step.row is not None
    event = FireDue(NOON_MS + 2 * MINUTE_MS, Source.TIMERS, 0)
    assert schedule.step(step.row, event) == ScheduleStep(step.row, (), step.effects, durable=False)
    assert schedule.outstanding(step.row) == step.effects
    assert schedule.due(step.row, NOON_MS + 9 * MINUTE_MS, offset=0) is None


@pytest.mark.parametrize("at_ms", [NOON_MS, NOON_MS + MINUTE_MS - 1])
def test_a_fire_that_is_not_due_is_refused(at_ms: int) -> None:
    """A timer is a hint; the row decides."""
    for row in (saved(), saved(paused=True)):
        step = schedule.step(row, FireDue(at_ms, Source.TIMERS, 0))
        assert isinstance(step, Rejection)
        assert (
            step.reason
            == f"fire of schedule tick refused at {at_ms} ms: the next is due at {row.next_fire_at_ms}"
        )
    unknown = schedule.step(None, FireDue(at_ms, Source.TIMERS, 0))
    assert isinstance(unknown, Rejection)
    assert unknown.code == RejectCode.UNKNOWN_SCHEDULE


def test_a_zone_that_this_machine_does_not_know_stops_the_schedule_and_says_so() -> None:
    """A row made elsewhere, by other zone data: one fact, no loop."""
    step = tick(replace(saved(), timezone="Europe/Atlantis"), NOON_MS + MINUTE_MS)
    missed, _ = step.facts
    assert isinstance(missed, ScheduleMissed)
    assert str(missed.reason).startswith("the schedule has stopped: timezone must be an IANA time zone")
    assert step.row is not None
    assert step.row.next_fire_at_ms is None
    again = put(replace(step.row, timezone="UTC"), NOON_MS + MINUTE_MS)
    assert isinstance(again, ScheduleStep)
    assert again.row is not None
    assert again.row.next_fire_at_ms == NOON_MS + 2 * MINUTE_MS, "written again it goes on"


def test_a_schedule_whose_fires_end_has_no_next() -> None:
    """An expression may have had its last fire for as far as anyone looks."""
    row = saved()
    step = schedule_fold.evolve(row, ScheduleAdvanced(NOON_MS, Source.TIMERS, 5, None, None))
    assert step is not None
    assert schedule.next_due_ms(step) is None
    assert schedule.due(step, NOON_MS + 10**9, offset=9) is None


@pytest.mark.parametrize(
    ("fields", "code", "sentence"),
    [
        (
            {"cron": "61 * * * *"},
            "bad_schedule",
            "got '61 * * * *': bad minute",
        ),
        (
            {"timezone": "Mars"},
            "bad_schedule",
            "timezone must be an IANA time zone such as Europe/Berlin, got 'Mars'",
        ),
        ({"catchup_window_ms": 9_999}, "bad_schedule", "catchup_window_ms must be from 10000 to"),
        ({"note": "n" * 1_001}, "bad_schedule", "note must be at most 1000 characters, got 1001"),
        ({"id": "i" * 176}, "bad_name", "id of a schedule must be at most 175 characters, got 176"),
        ({"id": "a b"}, "bad_name", "id must match"),
        ({"runs_max": 0}, "bad_schedule", "runs_max must be from 1 to 1000000000, got 0"),
        ({"overlap": "never"}, "bad_schedule", "overlap must be one of skip, buffer_one, buffer_all, can"),
        ({"declared_by": "n" * 1_001}, "bad_schedule", "declared_by must be at most 1000 characters"),
        ({"end_at_ms": NOON_MS - 1}, "bad_schedule", "end_at must leave a fire after 2025-06-01T12:00:00"),
        ({"function": ""}, "bad_name", "function must match"),
        ({"queue": "A"}, "bad_name", "queue must match"),
        ({"key": "-"}, "bad_name", "key must match"),
        ({"args": bytes(262_145)}, "oversize", "args must be at most 262144 bytes, got 262145"),
        ({"timeout_ms": 0}, "bad_field", "timeout_ms must be from 1 to"),
        ({"attempts_max": 0}, "bad_retry", "attempts_max must be from 1 to 1000, got 0"),
    ],
)
def test_a_schedule_that_could_not_fire_is_refused(fields: dict[str, Any], code: str, sentence: str) -> None:
    """The refusal names field and value, and comes when it is written rather than when it fires."""
    refused = put(None, **fields)
    assert isinstance(refused, Rejection)
    assert refused.code == code
    assert sentence in refused.reason


def test_the_longest_id_still_fires() -> None:
    """The id of a fire is within the pattern, whatever the schedule's."""
    step = tick(saved(id="i" * ID_CHARS_MAX), NOON_MS + MINUTE_MS)
    assert isinstance(step.effects[0], Submit)
    assert not isinstance(admission.admit(step.effects[0].request, None, POSITION, 8), Rejection)


# Requests with a schedule.


OPTIONS: dict[str, Any] = {
    "timeout_ms": 9,
    "heartbeat_timeout_ms": 5_000,
    "expected_ms": 8,
    "deadline_ms": 90_000,
    "expires_after_ms": 60_000,
    "priority": "1",
    "tags": ("a", "b"),
    "attempts_max": 2,
    "lost_max": 4,
    "retry_kind": "linear",
    "retry_initial_ms": 7,
    "retry_factor": 1.5,
    "retry_cap_ms": 70,
    "retry_jitter": 0.5,
    "non_retryable": ("ValueError",),
    "retention_ms": 5_000,
    "result_retention_ms": 0,
}


def test_a_fire_carries_every_option_of_its_schedule() -> None:
    """Retry policy, expiry, deadline, priority, tags, retention: as a request would have them."""
    row = saved(**OPTIONS)
    request = schedule_rule.fire_request(row, NOON_MS)
    assert {name: getattr(request, name) for name in OPTIONS} == OPTIONS
    bare = schedule_rule.fire_request(saved(), NOON_MS)
    assert bare == JobRequest(
        id=bare.id, key=row.key, function=row.function, scheduled_by=row.id, args=bare.args
    )


def test_a_request_with_a_rule_carries_them_too() -> None:
    """And so does the schedule that is written again at its home."""
    found = from_request(**OPTIONS)
    assert isinstance(found, Schedule)
    assert {name: getattr(found, name) for name in OPTIONS} == OPTIONS
    assert schedule_rule.fired_fields(found).items() >= OPTIONS.items()


def from_request(**fields: Any) -> Schedule | Rejection:
    """What a request with a schedule rule makes."""
    said: dict[str, Any] = {"id": "nightly", "function": "report.make", "schedule": '{"cron":"0 3 * * *"}'}
    return schedule_rule.from_request(JobRequest(**(said | fields)), None, POSITION, 8)


def test_a_request_with_a_rule_is_a_schedule_whose_fires_are_the_request() -> None:
    """The request's id is the schedule's; the rule's fields are the schedule's own."""
    rule = '{"cron":"@daily","timezone":"Asia/Tokyo","catchup_window_ms":60000,"paused":true,"note":"n"}'
    assert from_request(
        schedule=rule, queue="slow", key="k", args=b"{}", timeout_ms=9, attempts_max=1
    ) == Schedule(
        id="nightly",
        cron="@daily",
        timezone="Asia/Tokyo",
        catchup_window_ms=60_000,
        paused=True,
        note="n",
        function="report.make",
        queue="slow",
        key="k",
        args=b"{}",
        timeout_ms=9,
        attempts_max=1,
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"id": None}, "a request with a schedule must have an id: the schedule's"),
        (
            {"expires_at_ms": 5, "unique": "{}"},
            "a request with a schedule cannot have expires_at_ms, unique: a fire would not carry it",
        ),
        (
            {"schedule": "daily"},
            'schedule must be a JSON object such as {"cron": "0 3 * * *"}, got \'daily\'',
        ),
        ({"schedule": "[" * 100_000}, "schedule must be a JSON object such as"),
        ({"schedule": "{}"}, "a schedule rule must have cron or crons, got {}"),
        ({"schedule": '{"cron":"@daily","zone":"UTC"}'}, "a schedule rule has no field 'zone'"),
        ({"schedule": '{"cron":5}'}, "schedule.cron must be a string, got 5"),
        (
            {"schedule": '{"cron":"@daily","catchup_window_ms":true}'},
            "schedule.catchup_window_ms must be a whole number up to 9223372036854775807, got True",
        ),
        ({"function": "no no"}, "function must match"),
    ],
)
def test_a_rule_that_is_none_is_refused(fields: dict[str, Any], sentence: str) -> None:
    """Nothing of the request is silently ignored."""
    refused = from_request(**fields)
    assert isinstance(refused, Rejection)
    assert sentence in refused.reason


def test_a_whole_schedule_may_lose_events_and_never_doubles() -> None:
    """Any two steps of a schedule ask for different jobs, unless the second is a replay."""
    row, ids = saved(cron="*/7 * * * * *"), list[str]()
    for second in range(1, 600, 13):
        now_ms = NOON_MS + second * 1_000
        if schedule.due(row, now_ms, offset=row.applied_timers + 1):
            step = tick(row, now_ms)
            assert step.row is not None
            row, ids = step.row, ids + fired(step)
    assert len(ids) == len(set(ids)) == row.fires
