"""Schedules in code: what a function declares, and the record that it becomes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import jobstream
from jobstream.client.pages import Pages
from jobstream.client.schedules import Declared, declared_records
from jobstream.errors import BadRequest, CommandRefused, NotReachable
from jobstream.functions import function
from jobstream.testing import Jobs
from schemas import events
from schemas.words import SCHEDULE_ANSWERS, SCHEDULE_COMMANDS, CommandName


def test_an_expression_is_enough() -> None:
    """The schedule is called like its function, and fires it without arguments."""

    @function(name="report.make", queue="slow", timeout=30, schedule="0 3 * * *")
    def make() -> None: ...

    assert declared_records([make], "app.jobs") == [
        events.Schedule(
            id="report.make",
            cron="0 3 * * *",
            function="report.make",
            queue="slow",
            timeout_ms=30_000,
            declared_by="app.jobs",
        )
    ]


def test_a_schedule_says_all_that_a_record_holds() -> None:
    """Durations and datetimes become milliseconds."""
    rule = jobstream.Schedule(
        ["0 3 * * *", "@every 90m"],
        timezone="Europe/Berlin",
        excluded="* * 25 12 *",
        start_at=datetime(2026, 1, 1, tzinfo=UTC),
        end_at=datetime(2027, 1, 1, tzinfo=UTC),
        jitter=timedelta(minutes=1),
        overlap="buffer_one",
        catchup_window=3_600,
        runs_max=5,
        pause_on_failure=True,
        paused=True,
        note="n",
        id="nightly",
        key="k",
        args={"days": 1},
    )

    @function(name="report.make", schedule=[rule, jobstream.Schedule("@daily", args=[7])])
    def make(days: int = 0) -> None: ...

    nightly, daily = declared_records([make], "app")
    assert nightly == events.Schedule(
        id="nightly",
        cron="0 3 * * *",
        crons=("@every 90m",),
        timezone="Europe/Berlin",
        excluded=("* * 25 12 *",),
        start_at_ms=1_767_225_600_000,
        end_at_ms=1_798_761_600_000,
        jitter_ms=60_000,
        overlap="buffer_one",
        catchup_window_ms=3_600_000,
        runs_max=5,
        pause_on_failure=True,
        paused=True,
        note="n",
        function="report.make",
        key="k",
        args=b'{"days":1}',
        declared_by="app",
    )
    assert (daily.id, daily.cron, daily.args) == ("report.make", "@daily", b'{"days":7}')


def test_bytes_are_arguments_too() -> None:
    """As they are, with their type."""

    @function(name="raw", schedule=jobstream.Schedule("@daily", args=b"\x00"))
    def raw(data: bytes) -> None: ...

    (record,) = declared_records([raw], "app")
    assert (record.args, record.content_type) == (b"\x00", "application/octet-stream")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (5, "'int' object is not iterable"),
        ([5], "schedule must be an expression, a Schedule, or several of them, got 5"),
        (jobstream.Schedule(()), "cron must be one expression or more, got ()"),
        (jobstream.Schedule((5,)), "cron must be one expression or several, got (5,)"),  # type: ignore[arg-type]
        (jobstream.Schedule("@daily", overlap="no"), "overlap must be one of skip,"),  # type: ignore[arg-type]
        (jobstream.Schedule("@daily", jitter=-1), "jitter must be seconds or a timedelta, from 0 up, got -1"),
        (
            jobstream.Schedule("@daily", start_at=datetime(2026, 1, 1)),  # noqa: DTZ001
            "start_at must be a datetime with a time zone",
        ),
    ],
)
def test_a_schedule_that_is_none_is_refused_where_it_is_declared(given: Any, sentence: str) -> None:
    """At import, not at the deployment."""
    with pytest.raises((BadRequest, TypeError)) as refused:
        function(name="f", schedule=given)(print)
    assert sentence in str(refused.value)


def test_two_schedules_of_one_id_are_refused() -> None:
    """Each would replace the other."""

    @function(name="f", schedule=[jobstream.Schedule("@daily"), jobstream.Schedule("@hourly")])
    def twice() -> None: ...

    with pytest.raises(BadRequest, match="schedules must have ids of their own, got f twice in app"):
        declared_records([twice], "app")

    @function(name="g", schedule=jobstream.Schedule("@daily", args=5))
    def wrong() -> None: ...

    with pytest.raises(BadRequest, match="args of a schedule must be a dict, a list or bytes, got int"):
        declared_records([wrong], "app")


def test_each_command_about_a_schedule_has_an_answer() -> None:
    """Removal has its own way, and the machine's own command has none."""
    others = {CommandName.REMOVE_SCHEDULE, CommandName.SCHEDULE_JOB_ENDED}
    assert {*SCHEDULE_ANSWERS} | others == SCHEDULE_COMMANDS


async def test_what_code_declares_is_in_force_and_what_it_no_longer_does_is_orphaned() -> None:
    """Neither silently kept nor dropped; what others declared or wrote is left alone."""

    @function(name="a", schedule="@daily")
    def first() -> None: ...

    @function(name="b", schedule="@hourly")
    def second() -> None: ...

    async with Jobs() as jobs:
        await jobs.schedule("by-hand", "@daily", "c")
        assert await jobs.declare_schedules([first], "other") == Declared(("a",), ())
        assert await jobs.declare_schedules([first, second], "app") == Declared(("a", "b"), ())
        assert await jobs.declare_schedules([first], "app") == Declared(("a",), ("b",))
        states = {each["id"]: each["state"] for each in (await jobs.schedules())["schedules"]}
        assert states == {"a": "active", "b": "orphaned", "by-hand": "active"}
        await jobs.declare_schedules([second], "app")
        states = {each["id"]: each["state"] for each in (await jobs.schedules())["schedules"]}
        assert states == {"a": "orphaned", "b": "active", "by-hand": "active"}


class Worker(Pages):
    """The pages of one worker of several, which has these schedules."""

    def __init__(self, partitions: list[int], *schedules: dict[str, Any]) -> None:
        super().__init__("http://nowhere")
        self.answer = {"partitions": partitions, "schedules": list(schedules)}

    def schedules(self, id: str | None = None) -> dict[str, Any]:
        """What it has."""
        assert id is None
        return self.answer


class Several(Jobs):
    """Jobs whose schedules several workers have."""

    workers: tuple[Worker, ...] = ()

    def _every_page(self) -> tuple[Worker, ...]:
        return self.workers


async def test_orphans_are_looked_for_at_every_worker() -> None:
    """One that another worker has is found; while a partition cannot be told of, nothing is orphaned."""
    async with Several() as jobs:
        await jobs.schedule("gone", "@daily", "c")
        jobs.workers = (Worker([]), Worker([0], {"id": "gone", "declared_by": "app"}))
        assert await jobs.declare_schedules([], "app") == Declared((), ("gone",))
        jobs.workers = (Worker([], {"id": "gone", "declared_by": "app"}),)
        with pytest.raises(NotReachable, match="the schedules of 0 of 1 partitions can be told of"):
            await jobs.declare_schedules([], "app")


async def test_a_client_pauses_resumes_triggers_and_backfills() -> None:
    """Each is told as a fact; what makes no sense is refused with the service's sentence."""
    start = datetime(2026, 5, 1, 12, tzinfo=UTC)
    async with Jobs(start=start) as jobs:
        await jobs.schedule("hourly", "0 * * * *", "c", overlap="allow_all")
        paused = await jobs.pause_schedule("hourly", "moving house", within=5)
        assert paused is not None
        assert (paused.fact, paused.reason) == ("schedule_paused", "moving house")
        fired = await jobs.trigger_schedule("hourly", reason="by hand", within=5)
        assert fired is not None
        assert (fired.fact, fired.fires) == ("schedule_fired", 1)
        day = timedelta(days=1)
        told = await jobs.backfill_schedule("hourly", start - day, start, overlap="allow_all", within=5)
        assert told is not None
        assert told.reason is not None
        assert told.reason.startswith("24 fires after 2026-04-30T12:00:00.000Z until 2026-05-01T12:00:00")
        resumed = await jobs.resume_schedule("hourly", within=5)
        assert resumed is not None
        assert resumed.next_at_ms == int((start + timedelta(hours=1)).timestamp()) * 1_000
        with pytest.raises(CommandRefused, match="resume of schedule hourly refused: it is not paused"):
            await jobs.resume_schedule("hourly", within=5)
        (page,) = (await jobs.schedules())["schedules"]
        assert (page["fires"], page["state"]) == (25, "active")
