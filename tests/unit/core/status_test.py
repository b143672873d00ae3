"""What people see of a job and of a schedule."""

import json
from typing import Any

import pytest

from schemas.events import QueueConfig, Schedule
from schemas.records import replace
from schemas.words import BeatKind, Outcome, Phase
from streams.core import schedule
from streams.core.config import Config
from streams.core.events import Source
from streams.core.schedule import ScheduleStep
from streams.core.schedule_facts import BackfillAsked, FireDue, PauseAsked, SchedulePut
from streams.core.status import (
    clock,
    frozen_since_ms,
    is_slow,
    job_status,
    located,
    schedule_state,
    schedule_status,
    waiting_for,
)
from tests.life import T0, Life, in_phase
from tests.plan import NOON_MS, Planned

DAY_MS = 86_400_000
# T0 is 22:13:20 UTC on 14 November 2023.


@pytest.mark.parametrize(
    ("phase", "sentence"),
    [
        (Phase.SCHEDULED, "delay until 22:13:30"),
        (Phase.READY, "a minion of queue default with the function mail.send"),
        (Phase.LEASED, None),
        (Phase.RETRYING, "retry until 22:13:21 (attempt 1 of 5 failed: ValueError: no)"),
        (Phase.SUCCEEDED, None),
        (Phase.DEAD, None),
        (Phase.CANCELLED, None),
        (Phase.EXPIRED, None),
    ],
)
def test_a_job_that_has_not_ended_and_does_not_run_says_why(phase: Phase, sentence: str | None) -> None:
    """A job that waits always says what for."""
    assert waiting_for(in_phase(phase).row, T0) == sentence


def test_a_snooze_an_unserved_job_and_a_retry_after_a_loss_say_so_too() -> None:
    """A lost lease uses up no attempt, so it makes one more possible."""
    life = in_phase(Phase.LEASED)
    life.end(Outcome.SNOOZE, snooze_ms=DAY_MS)
    assert waiting_for(life.row, T0) == "snooze until 2023-11-15 22:13:20"
    life = in_phase(Phase.READY)
    life.end(Outcome.UNSERVED)
    assert waiting_for(life.row, T0) == "no minion has mail.send"
    life = in_phase(Phase.READY)
    assert waiting_for(replace(life.row, wait_reason="queue"), T0) == "queue default, which is being made"
    held = replace(life.row, wait_reason="paused")
    assert waiting_for(held, T0) == "queue default is paused"
    paused = Config.of([QueueConfig(queue="default", paused=True, note="moving")])
    assert waiting_for(held, T0, paused) == "queue default is paused (moving)"
    assert waiting_for(life.row, T0, paused) == "queue default is paused (moving)"
    limits = frozenset({"function/mail.send", "function/other"})
    assert waiting_for(life.row, T0, limits=limits) == "limit function/mail.send"
    assert waiting_for(life.row, T0, limits=frozenset({"queue/other"})) == waiting_for(life.row, T0)
    assert waiting_for(life.row, T0, paused, limits) == "queue default is paused (moving)"
    life = in_phase(Phase.LEASED)
    assert waiting_for(life.row, T0, paused, limits) is None
    life.end(Outcome.LOST)
    life.end(Outcome.FAILURE)
    assert waiting_for(life.row, T0) == "retry until 22:13:21 (attempt 2 of 6 failed)"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({}, None),
        ({"step": "parse", "step_at_ms": T0}, "last located at parse at 22:13"),
        ({"step": "parse"}, "last located at parse"),
        ({"step": "parse", "step_at_ms": T0 - DAY_MS}, "last located at parse at 2023-11-13 22:13"),
        (
            {"step": "parse", "step_at_ms": T0, "done": 40, "total": 100},
            "last located at parse at 22:13, progress 40/100",
        ),
        ({"done": 40}, "progress 40"),
    ],
)
def test_an_attempt_says_where_it_was_last(said: dict[str, Any], sentence: str | None) -> None:
    """Step, time and progress, as far as they were told."""
    life = in_phase(Phase.LEASED)
    life.beat(BeatKind.PROGRESS, **said)
    assert located(life.row, T0) == sentence
    assert located(in_phase(Phase.SCHEDULED).row, T0) is None


def test_slow_is_past_its_expected_time_and_heard_of() -> None:
    """Since it began, or since it was assigned if the begin is not known."""
    for began in ({"started_at_ms": T0}, {}):
        life = Life()
        life.submit(expected_ms=10_000)
        life.start(**began)
        for _ in range(5):
            life.now_ms += 2_000
            life.beat()
        assert not is_slow(life.row, T0 + 10_000)
        assert is_slow(life.row, T0 + 10_001)
        assert not is_slow(life.row, T0 + 12_001), "it is frozen then, which is worse"
    life = in_phase(Phase.LEASED)
    assert not is_slow(life.row, T0 + 1), "nothing was expected"
    assert not is_slow(in_phase(Phase.READY).row, T0 + DAY_MS)


def test_frozen_is_not_heard_of_for_two_heartbeat_intervals() -> None:
    """Since the last beat; only what runs can freeze."""
    life = in_phase(Phase.LEASED)
    assert frozen_since_ms(life.row, T0 + 2_000) is None
    assert frozen_since_ms(life.row, T0 + 2_001) == T0
    assert frozen_since_ms(in_phase(Phase.READY).row, T0 + DAY_MS) is None


def test_the_status_of_a_running_job_is_ready_for_json_and_has_it_all() -> None:
    """Function, queue, partition, plan, policy, and per attempt the minion and the waits."""
    life = Life()
    life.submit(tags=("red",), expires_at_ms=T0 + DAY_MS)
    life.end(Outcome.LOST)
    life.now_ms += 100
    lease = {"assigned_at_ms": T0 + 30, "started_at_ms": T0 + 70, "spilled": True}
    life.start(**lease)
    life.beat(BeatKind.PROGRESS, step="parse", step_at_ms=T0 + 90, done=1, total=3, **lease)
    status = json.loads(json.dumps(job_status(life.row, T0 + 5_000)))
    assert {
        name: status[name] for name in ("id", "phase", "function", "queue", "key", "partition", "attempt")
    } == {
        "id": "job-1",
        "phase": "leased",
        "function": "mail.send",
        "queue": "default",
        "key": "key-1",
        "partition": 3,
        "attempt": 2,
    }
    assert status["located"] == "last located at parse at 22:13, progress 1/3"
    assert (status["step"], status["done"], status["total"]) == ("parse", 1, 3)
    assert (status["slow"], status["frozen_since"]) == (False, "2023-11-14T22:13:20.100Z")
    assert status["plan"]["minion"] == "m-1"
    assert status["plan"]["coming"] == [
        {"at": "2023-11-14T22:13:24.100Z", "what": "lost, if not heard of"},
        {"at": "2023-11-14T22:14:20.030Z", "what": "failed, if no receipt comes"},
    ]
    assert status["policy"]["expires_at"] == "2023-11-15T22:13:20.000Z"
    first, second = status["attempts"]
    assert (first["outcome"], first["minion"]) == ("lost", None)
    assert (second["minion"], second["spilled"], second["queue_wait_ms"]) == ("m-1", True, 30)
    assert second["dispatch_to_start_ms"] == 70
    assert (status["args"], status["result"], status["tags"]) == ({"to": "a@b.c"}, None, ["red"])


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_a_status(phase: Phase) -> None:
    """And all that is to come has words."""
    status = json.loads(json.dumps(job_status(in_phase(phase).row, T0 + 1)))
    assert status["phase"] == phase
    assert status["plan"]["coming"], "something is to come in every phase"
    assert (status["end_reason"] is not None) == (phase in {"dead", "cancelled", "expired"})


def test_a_cancel_that_waits_for_its_minion_is_shown() -> None:
    """While it runs; at the end it is the reason."""
    life = in_phase(Phase.LEASED)
    life.cancel("stop")
    assert job_status(life.row, T0)["cancel_requested"] == "stop"
    life.end(Outcome.CANCELLED)
    status = job_status(life.row, T0)
    assert (status["cancel_requested"], status["end_reason"]) == (None, "stop")


@pytest.mark.parametrize(
    ("content_type", "args", "shown"),
    [
        ("application/json", b'{"a":[1]}', {"args": {"a": [1]}}),
        ("application/json", b"{", {"args_base64": "ew==", "args_type": "application/json"}),
        ("application/json", b"[" * 100_000, {"args_type": "application/json"}),
        ("application/octet-stream", b"1", {"args_base64": "MQ==", "args_type": "application/octet-stream"}),
        ("application/json", None, {"args": None}),
    ],
)
def test_bytes_are_shown_as_json_where_they_are_json(
    content_type: str, args: bytes | None, shown: dict[str, Any]
) -> None:
    """Else as base64, under a name that says so."""
    life = Life()
    life.submit(args=None, content_type=content_type)
    assert job_status(life.row, T0, args=args).items() >= shown.items()


def test_a_time_of_another_day_has_its_date() -> None:
    """Today is that of the one who asks, in UTC."""
    assert clock(T0, T0) == "22:13:20"
    assert clock(T0, T0 + 2 * 3_600_000) == "2023-11-14 22:13:20"
    assert clock(T0, T0, seconds=False) == "22:13"


def test_the_status_of_a_schedule_is_ready_for_json() -> None:
    """Rule, next fire, what it fires, and how it went."""
    written = Schedule(id="tick", cron="* * * * *", function="beat", args=b"[1]", note="often")
    put = schedule.step(None, SchedulePut(T0, Source.SCHEDULES, 0, written, 3))
    assert isinstance(put, ScheduleStep)
    step = schedule.step(put.row, FireDue(T0 + 60_000, Source.TIMERS, 0))
    assert isinstance(step, ScheduleStep)
    assert step.row is not None
    status = json.loads(json.dumps(schedule_status(step.row, T0 + 61_000)))
    assert (status["id"], status["cron"], status["timezone"], status["note"]) == (
        "tick",
        "* * * * *",
        "UTC",
        "often",
    )
    assert status["last_fires"] == ["2023-11-14T22:14:00.000Z"]
    assert status["next_fire_at"] == "2023-11-14T22:15:00.000Z"
    assert (status["fires"], status["missed"], status["args"]) == (1, 0, [1])
    assert schedule_status(replace(step.row, next_fire_at_ms=None), T0)["next_fire_at"] is None


def test_the_status_of_a_schedule_tells_its_state_and_what_is_under_way() -> None:
    """One word, the jobs it waits for, those that wait, the backfill, and the history with reasons."""
    plan = Planned(overlap="buffer_one", runs_max=5)
    plan.minute(1)
    plan.minute(2)
    plan.do(BackfillAsked, "tick", NOON_MS - 120_000, NOON_MS, None, None)
    status = json.loads(json.dumps(schedule_status(plan.row, plan.now_ms)))
    assert status["state"] == "active"
    assert (status["running"], status["buffered"]) == (
        ["tick@2025-06-01T12:01:00Z"],
        ["tick@2025-06-01T12:02:00Z"],
    )
    assert status["backfill"] == {
        "after": "2025-06-01T11:58:00.000Z",
        "until": "2025-06-01T12:00:00.000Z",
        "overlap": "buffer_all",
    }
    assert status["coming"][:2] == ["2025-06-01T12:03:00.000Z", "2025-06-01T12:04:00.000Z"]
    assert [each["what"] for each in status["history"]] == ["saved", "fired", "buffered", "backfilling"]
    assert status["history"][2] == {
        "at": "2025-06-01T12:02:00.000Z",
        "what": "buffered",
        "fire_at": "2025-06-01T12:02:00.000Z",
        "fire_until": "2025-06-01T12:02:00.000Z",
        "fires": 1,
        "reason": "waits for the end of tick@2025-06-01T12:01:00Z",
    }
    assert (status["runs_max"], status["runs_left"]) == (5, 4)
    plan.do(PauseAsked, "tick", None)
    assert schedule_status(plan.row, plan.now_ms)["state"] == "paused"
    assert schedule_status(plan.row, plan.now_ms)["coming"] == []
    finished = replace(plan.row, paused=False)
    assert schedule_state(finished) == "finished"
    assert schedule_state(replace(plan.row, orphaned_at_ms=1)) == "orphaned"
    elsewhere = replace(Planned().row, timezone="Mars/Olympus")
    assert schedule_status(elsewhere, T0)["coming"] == ["2025-06-01T12:01:00.000Z"]
