"""What a request may say of a job's time and what is kept of it: expiry, another time, retention."""

from typing import Any

import pytest

from schemas.events import Command, JobRequest, JobSpec
from schemas.words import Phase, RejectCode
from streams.core import commands, job, records
from streams.core.admission import Position, admit
from streams.core.config import Config
from streams.core.effect import TellRelays
from streams.core.events import RescheduleAsked, ResultDue, Source
from streams.core.job import Step
from streams.core.rejection import Rejection
from tests.life import T0, Life, in_phase

DAY_MS = 86_400_000
WHERE = Position("jobs.requests", 0, 7, T0)


def admitted(**fields: Any) -> JobSpec:
    """The specification of a request."""
    spec = admit(JobRequest(function="f", id="j", key="k", **fields), None, WHERE, 1, Config())
    assert isinstance(spec, JobSpec), spec
    return spec


@pytest.mark.parametrize(
    ("fields", "expires_at_ms"),
    [
        ({}, None),
        ({"expires_after_ms": 5_000}, T0 + 5_000),
        ({"expires_after_ms": 5_000, "run_at_ms": T0 - 60_000}, T0 + 5_000),
        ({"expires_after_ms": 5_000, "run_at_ms": T0 + 60_000}, T0 + 65_000),
        ({"expires_after_ms": 5_000, "expires_at_ms": T0 + 1_000}, T0 + 1_000),
        ({"expires_after_ms": 5_000, "expires_at_ms": T0 + 9_000}, T0 + 5_000),
    ],
)
def test_an_expiry_is_the_earlier_of_both_ways_to_say_it(
    fields: dict[str, Any], expires_at_ms: int | None
) -> None:
    """`expires_after_ms` counts from the time that the job waits for, or from its admission."""
    assert admitted(**fields).expires_at_ms == expires_at_ms


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("expires_after_ms", 0),
        ("retention_ms", 999),
        ("retention_ms", 401 * DAY_MS),
        ("result_retention_ms", -1),
    ],
)
def test_a_time_outside_its_limits_is_refused(name: str, value: int) -> None:
    """With the value found."""
    request: Any = {"function": "f", name: value}
    refused = admit(JobRequest(**request), None, WHERE, 1, Config())
    assert isinstance(refused, Rejection)
    assert refused.reason.startswith(f"{name} must be from ")
    assert refused.reason.endswith(f"got {value}")


def ended(**fields: Any) -> Life:
    """A job that succeeded."""
    life = Life()
    life.submit(**fields)
    life.start()
    life.succeed()
    return life


def test_a_job_is_kept_for_its_retention() -> None:
    """A day, or what it says; not less than the time for which it is unique."""
    assert ended().row.purge_at_ms == T0 + DAY_MS
    assert ended(retention_ms=5_000).row.purge_at_ms == T0 + 5_000
    assert ended(retention_ms=5_000, unique_until_ms=T0 + 9_000).row.purge_at_ms == T0 + 9_000


def test_a_result_is_kept_for_its_retention() -> None:
    """As long as the job, for a while, or not at all; the job is kept all the same."""
    assert job.next_due_ms(ended().row) == T0 + DAY_MS
    assert ended(result_retention_ms=0).row.result is None
    life = ended(result_retention_ms=1_000)
    assert life.row.result == b"1"
    assert job.next_due_ms(life.row) == T0 + 1_000
    step = life.tick(1_000)
    assert isinstance(step, Step)
    assert life.row.phase == Phase.SUCCEEDED
    assert [life.row.result, life.row.result_type] == [None, None]
    assert records.fact_record(None, step.facts[0], life.row).fact == "result_dropped"
    assert job.next_due_ms(life.row) == T0 + DAY_MS


def test_a_result_is_not_dropped_too_early() -> None:
    """A timer is a hint."""
    life = ended(result_retention_ms=1_000)
    refused = life.apply(ResultDue(*life.place(Source.TIMERS)))
    assert isinstance(refused, Rejection)
    assert refused.reason.startswith("dropping the result of job job-1 refused at")


def test_another_time_for_a_job_that_is_offered_calls_it_off() -> None:
    """It waits with the same attempt, and its dispatch must not run any more."""
    life = in_phase(Phase.READY)
    step = life.reschedule(60_000)
    assert isinstance(step, Step)
    assert step.effects == (TellRelays(1),)
    row = life.row
    assert (row.phase, row.due_at_ms, row.wait_reason, row.attempt) == ("scheduled", T0 + 60_000, "delay", 1)
    told = records.fact_record(None, step.facts[0], row)
    assert (told.fact, told.next_at_ms, told.reason) == (
        "rescheduled",
        row.due_at_ms,
        "rescheduled on request",
    )
    life.tick(60_000)
    assert (life.row.phase, life.row.epoch, life.row.attempt) == ("ready", 2, 1)


def test_another_time_for_a_job_that_waits() -> None:
    """Earlier or later; a time that has passed is now; after a failure the next attempt is meant."""
    life = in_phase(Phase.SCHEDULED)
    step = life.reschedule(-5)
    assert isinstance(step, Step)
    assert step.effects == ()
    assert records.fact_record(None, step.facts[0], life.row).fact == "rescheduled"
    assert life.row.due_at_ms == life.now_ms
    life = in_phase(Phase.RETRYING)
    life.reschedule(30_000)
    assert (life.row.phase, life.row.wait_reason, life.row.due_at_ms) == ("retrying", "retry", T0 + 30_000)
    life.tick(30_000)
    assert (life.row.phase, life.row.attempt) == ("ready", 2)


@pytest.mark.parametrize(
    ("fields", "ahead_ms", "code", "words"),
    [
        ({}, None, RejectCode.BAD_FIELD, "must have run_at, got none"),
        ({"expires_at_ms": T0 + 10}, 10, RejectCode.BAD_TIME, "must be before its expiry, got 2"),
        ({"ends_by_ms": T0 + 10}, 11, RejectCode.BAD_TIME, "must be before its total deadline, got 2"),
        ({}, 400 * DAY_MS, RejectCode.BAD_TIME, "must be before 400 days from now, got 2"),
    ],
)
def test_another_time_must_be_one_that_can_come(
    fields: dict[str, Any], ahead_ms: int | None, code: RejectCode, words: str
) -> None:
    """A job that could only expire is left as it was."""
    life = Life()
    life.submit(**fields)
    at_ms = None if ahead_ms is None else T0 + ahead_ms
    refused = life.apply(RescheduleAsked(*life.place(Source.REQUESTS), "job-1", at_ms))
    assert isinstance(refused, Rejection)
    assert refused.code == code
    assert words in refused.reason
    assert life.row.phase == Phase.READY


def test_the_command_names_the_time() -> None:
    """As it was written."""
    command = Command(command="reschedule", id="j", run_at_ms=5, reason="later", by="me")
    found = commands.to_job(command, (1, Source.REQUESTS, 2))
    assert found == RescheduleAsked(1, Source.REQUESTS, 2, "j", 5, "later", "me")
