"""Jobs in memory: what runs when, what is told, and that decisions are those of production."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from jobstream import (
    Context,
    Fail,
    JobCancelled,
    JobDead,
    JobRejected,
    NonRetryable,
    Retry,
    Snooze,
    Unique,
    WaitTimedOut,
    function,
    resource,
)
from jobstream.errors import BadArguments, BadRequest, CommandRefused, JobUnknown
from jobstream.testing import Jobs

START = datetime(2027, 1, 4, 9, tzinfo=UTC)
ran: list[tuple[str, int]] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


@function(name="t.double")
async def double(x: int) -> int:
    """Doubles."""
    return 2 * x


@function(name="t.plain", queue="plain")
def plain(text: str, ctx: Context) -> str:
    """A plain function that asks for another job, from a thread."""
    ctx.step("shout")
    job = asyncio.run(double.submit(x=len(text)))
    return f"{text.upper()} {job.id != ctx.job_id}"


@function(name="t.flaky", retry=Retry(attempts=3, initial=60, factor=2, jitter=0))
async def flaky(good: int, ctx: Context) -> int:
    """Fails until it is the good attempt."""
    ran.append((ctx.job_id, ctx.attempt))
    if ctx.attempt < good:
        raise ValueError(f"attempt {ctx.attempt}")
    return ctx.attempt


@function(name="t.many")
async def many(left: int) -> None:
    """Asks for the next one."""
    if left:
        await many.submit(left=left - 1)


@resource
async def t_store() -> AsyncIterator[list[str]]:
    """Something that functions share."""
    opened = ["opened"]
    yield opened
    opened.append("closed")


@function(name="t.stores")
async def stores(t_store: list[str]) -> list[str]:
    """Tells what it was given."""
    return list(t_store)


async def test_manual_runs_nothing_by_itself() -> None:
    """A job waits until the test runs it."""
    async with Jobs() as jobs:
        job = await double.submit(x=4)
        assert jobs.assert_submitted(double, {"x": 4}).phase == "ready"
        assert await jobs.drain() == 1
        assert await job.result() == 8
        assert jobs.submitted[0].facts == ["admitted", "started", "succeeded"]


async def test_inline_runs_before_the_submit_returns() -> None:
    """What a job submits is run too, from threads as well."""
    async with Jobs("inline") as jobs:
        job = await plain.submit(text="abc")
        assert await job.result() == "ABC True"
        assert [each.phase for each in jobs.submitted] == ["succeeded", "succeeded"]
        assert jobs.assert_submitted("t.double", {"x": 3}).phase == "succeeded"


async def test_drain_runs_when_somebody_waits() -> None:
    """A whole life is played by waiting for its end, its retries too, and the clock shows it."""
    async with Jobs("drain", start=START) as jobs:
        job = await flaky.submit(good=3)
        assert ran == []
        assert await job.result() == 3
        assert jobs.now == START + timedelta(minutes=3)


async def test_retries_come_by_the_clock() -> None:
    """A failed attempt waits for its backoff; the clock brings it back, and the last one is dead."""
    async with Jobs("inline", start=START) as jobs:
        job = await flaky.submit(good=9)
        (found,) = jobs.submitted
        assert (found.phase, found.attempt) == ("retrying", 1)
        await jobs.advance(59)
        assert found.attempt == 1
        await jobs.advance(1)
        assert found.attempt == 2
        await jobs.advance(timedelta(minutes=2))
        with pytest.raises(JobDead, match="after 3 attempts: ValueError: attempt 3"):
            await job.result()
        assert found.phase == "dead"
        assert "jobstream retry" in jobs.machine.dead[0].redrive


async def test_a_delay_and_a_schedule_by_the_clock() -> None:
    """A delayed job is ready at its time; a schedule fires at its own, with the fire time in the id."""
    async with Jobs("inline", start=START) as jobs:
        await double.submit_with(delay=3600)(x=1)
        await jobs.schedule("nightly", "0 2 * * *", double, {"x": 21}, timezone="Europe/Berlin")
        (later,) = jobs.submitted
        assert (later.phase, later.run_at) == ("scheduled", START + timedelta(hours=1))
        await jobs.advance(3600)
        assert later.phase == "succeeded"
        await jobs.advance(timedelta(days=1))
        (fired,) = jobs.find(double, {"x": 21})
        assert (fired.id, fired.scheduled_by) == ("nightly@2027-01-05T01:00:00Z", "nightly")
        assert (await jobs.schedules())["schedules"][0]["fires"] == 1


async def test_a_lost_attempt_runs_again() -> None:
    """The function ran, its end was never known: the job runs again with a higher epoch."""
    async with Jobs() as jobs:
        await flaky.submit(good=1)
        again = await jobs.run(lost=True)
        assert (again.phase, again.attempt) == ("ready", 2)
        await jobs.run(again)
        assert again.phase == "succeeded"
        assert [attempt for _, attempt in ran] == [1, 2]


async def test_snooze_fail_and_non_retryable_are_production_s() -> None:
    """A function's words for its end mean what they mean on a minion."""
    said: list[Exception] = [Snooze(30), Fail("later", retry_after=90), NonRetryable("never")]
    async with Jobs(start=START) as jobs:
        jobs.replace("t.says", lambda: (_ for _ in ()).throw(said.pop(0)))
        job = await jobs.submit("t.says")
        assert await jobs.finish() == 3
        assert jobs.now == START + timedelta(seconds=120)
        with pytest.raises(JobDead, match="NonRetryable: never"):
            await job.result()


async def test_ctx_wait_moves_the_clock() -> None:
    """Nothing sleeps: a wait is a move of the clock, and longer than the timeout is a timeout."""

    def waits(s: float, ctx: Context) -> bool:
        return ctx.wait(s)

    async with Jobs(start=START) as jobs:
        jobs.replace("t.waits", waits)
        short = await jobs.submit("t.waits", {"s": 10}, timeout=60)
        await jobs.run(short)
        assert await short.result() is False
        assert jobs.now == START + timedelta(seconds=10)
        long = await jobs.submit("t.waits", {"s": 61}, timeout=60, retry=Retry(attempts=1))
        await jobs.run(long)
        with pytest.raises(JobDead, match="Timeout"):
            await long.result()


async def test_an_async_function_is_stopped_at_its_timeout() -> None:
    """Its timeout is real, as on a minion."""

    async def hangs() -> None:
        await asyncio.Event().wait()

    async with Jobs() as jobs:
        jobs.replace("t.hangs", hangs)
        await jobs.submit("t.hangs", timeout=0.01)
        assert (await jobs.run()).phase == "retrying"
        assert "Timeout" in str((await jobs.status(jobs.submitted[0].id))["error_type"])


async def test_cancel_before_and_while_it_runs() -> None:
    """A job that waits is cancelled at once, one that runs is stopped."""
    begun = asyncio.Event()

    async def hangs() -> None:
        begun.set()
        await asyncio.Event().wait()

    async with Jobs() as jobs:
        jobs.replace("t.hangs", hangs)
        waiting, running = await jobs.submit("t.hangs"), await jobs.submit("t.hangs")
        fact = await waiting.cancel("enough", within=5)
        assert fact is not None
        assert fact.fact == "cancelled"
        task = asyncio.create_task(jobs.run(running))
        await begun.wait()
        assert (await running.status())["phase"] == "leased"
        await jobs.advance(3)
        await running.cancel("enough")
        assert (await task).phase == "cancelled"
        with pytest.raises(JobCancelled):
            await running.result()
        await jobs.retry(waiting)
        assert jobs.find(phase="ready")[0].id == waiting.id


async def test_what_runs_is_told_where_it_is() -> None:
    """Steps, progress and checkpoints of an attempt are in its status, and the next attempt finds them."""

    def counts(ctx: Context) -> object:
        if ctx.previous is None:
            ctx.step("half")
            ctx.progress(1, 2)
            ctx.checkpoint({"line": 7})
            raise OSError("disk")
        return ctx.previous_json()

    async with Jobs() as jobs:
        jobs.replace("t.counts", counts)
        job = await jobs.submit("t.counts")
        await jobs.run()
        status = await job.status()
        assert (status["step"], status["done"], status["total"]) == ("half", 1, 2)
        await jobs.finish()
        assert await job.result() == {"line": 7}


async def test_resources_are_given_or_opened() -> None:
    """A value of the test's own, else the declared resource, opened for the attempt."""
    async with Jobs("inline") as jobs:
        assert await (await stores.submit()).result() == ["opened"]
        jobs.resources["t_store"] = ["mine"]
        assert await (await stores.submit()).result() == ["mine"]


async def test_errors_can_be_propagated() -> None:
    """With propagate the test sees what the function raised, and it is recorded all the same."""
    async with Jobs("inline", propagate=True) as jobs:
        with pytest.raises(ValueError, match="attempt 1"):
            await flaky.submit(good=2)
        assert jobs.submitted[0].phase == "retrying"


async def test_assertions_say_what_was_submitted() -> None:
    """A failed assertion lists the jobs that there were, and why they wait."""
    async with Jobs() as jobs:
        jobs.assert_not_submitted(double)
        await double.submit_with(key="k-1", tags=["a"])(x=4)
        await jobs.submit("elsewhere", [1, 2])
        jobs.assert_submitted(double, key="k-1", tag="a")
        jobs.assert_submitted("elsewhere", [1, 2])
        with pytest.raises(AssertionError, match=r"with {'x': 5} .* got 0 of\n  t.double {'x': 4}"):
            jobs.assert_submitted(double, {"x": 5})
        with pytest.raises(AssertionError, match="no job"):
            jobs.assert_not_submitted("t.double")
        with pytest.raises(AssertionError, match=r"elsewhere .* no imported module declares it"):
            await jobs.finish()
        with pytest.raises(AssertionError, match=r"elsewhere .* no imported module declares it"):
            jobs.assert_all_succeeded()
        jobs.replace("elsewhere", lambda a, b: a + b)
        await jobs.finish()
        jobs.assert_all_succeeded()


async def test_what_can_never_be_is_refused() -> None:
    """Bad modes, clocks and names are told in a sentence, and a clock never goes back."""
    with pytest.raises(BadRequest, match="mode must be manual, inline or drain, got 'eager'"):
        Jobs("eager")  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="time zone"):
        Jobs(start=datetime(2027, 1, 1))  # noqa: DTZ001
    async with Jobs(start=START) as jobs:
        with pytest.raises(BadRequest, match="not be before"):
            await jobs.advance_to(START - timedelta(1))
        with pytest.raises(JobUnknown):
            await jobs.run("nobody")
        with pytest.raises(AssertionError, match="a job must be ready"):
            await jobs.run()
        with pytest.raises(BadArguments):
            await double.submit(y=1)
        await double.submit_with(delay=5)(x=1)
        with pytest.raises(AssertionError, match="which is scheduled and waits for delay until 09:00:05"):
            await jobs.run(jobs.submitted[0])


async def test_a_job_that_nobody_runs_is_told() -> None:
    """A wait in manual mode ends with the reason."""
    async with Jobs() as jobs:
        job = await double.submit(x=1)
        with pytest.raises(WaitTimedOut, match="had not ended"):
            await job.result(0.01)
        task = asyncio.create_task(_result(jobs))
        await jobs.drain()
        assert await task == 4


async def _result(jobs: Jobs) -> object:
    job = await jobs.submit(double, {"x": 2})
    await jobs.drain()
    return await job.result()


async def test_the_service_s_rejections_are_told() -> None:
    """A request that the service refuses is no job, and whoever waits for it is told why."""
    async with Jobs() as jobs:
        await double.submit_with(id="one")(x=1)
        same = await double.submit_with(id="one")(x=1)
        assert len(jobs.submitted) == 1
        await jobs.drain()
        assert await same.result() == 2
        refused = await jobs.submit(double, {"x": 1}, expires_at=START + timedelta(days=9_999))
        with pytest.raises(JobRejected, match="must be at most 800 days ahead"):
            await refused.result()
        assert "800 days" in jobs.rejected[0]


async def test_jobs_that_never_end_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that asks for ever more jobs ends a drain with a sentence."""
    monkeypatch.setattr("jobstream.testing.jobs.ATTEMPTS_MAX", 20)
    async with Jobs() as jobs:
        await many.submit(left=100)
        with pytest.raises(AssertionError, match="jobs must end, got 20 attempts"):
            await jobs.drain()


async def test_many_are_submitted_and_counted() -> None:
    """submit_many, list and counts are answered from memory."""
    async with Jobs() as jobs:
        await jobs.submit_many(double.request(x=number) for number in range(5))
        await jobs.drain()
        assert (await jobs.counts())["phases"] == {"succeeded": 5}
        assert (await jobs.list("default", phase="succeeded", limit=2))["total"] == 5


def test_the_latest_jobs_take_what_is_submitted() -> None:
    """Two in a row on loops of their own: each has its own jobs."""
    for x in (1, 2):
        jobs = Jobs("inline")
        jobs.install()
        assert asyncio.run(_double(x)) == 2 * x
        assert len(jobs.submitted) == 1
        jobs.uninstall()


async def _double(x: int) -> object:
    return await (await double.submit(x=x)).result()


async def test_a_dead_job_is_redriven() -> None:
    """The job itself while it is kept, a new one by its letter after that, and never twice."""
    async with Jobs(start=START) as jobs:
        jobs.replace("t.dies", lambda: 1 // 0)
        job = await jobs.submit("t.dies", retry=Retry(attempts=1), key="k")
        await jobs.finish()
        (letter,) = await jobs.dead_letters(60)
        assert (await jobs.redrive(letter)).id == job.id
        with pytest.raises(CommandRefused, match="it is offered to a minion") as refused:
            await jobs.redrive(letter)
        assert refused.value.code == "not_now"
        await jobs.finish()
        await jobs.advance(timedelta(days=2))
        assert await jobs.dead_letters(60) == []
        (letter,) = await jobs.dead_letters(START)
        for _ in range(2):
            again = await jobs.redrive(letter)
            assert again.id == f"{job.id}@redriven-{letter.at_ms}"
        jobs.replace("t.dies", lambda: 7)
        await jobs.finish()
        assert await again.result() == 7
        assert len(jobs.submitted) == 2


async def test_a_paused_queue_s_jobs_wait_and_say_so() -> None:
    """Those that come, and those that were ready; what is in force is taken over by new jobs alone."""
    async with Jobs(start=START) as jobs:
        before = await double.submit(x=1)
        paused = await jobs.pause("default", note="moving")
        assert paused.version == 1
        after = await double.submit(x=2)
        assert await jobs.drain() == 0
        for job in (before, after):
            assert (await job.status())["waiting_for"] == "queue default is paused (moving)"
        with pytest.raises(AssertionError, match="waits for queue default is paused"):
            await jobs.run(after)
        assert (await jobs.resume("default")).version == 2
        assert await jobs.drain() == 2
        assert [await before.result(), await after.result()] == [2, 4]


async def test_settings_of_queues_and_functions_count_for_new_jobs() -> None:
    """The request, then the function's entry, then the queue's, then what is built in."""
    async with Jobs(start=START) as jobs:
        await jobs.configure("queue/default", timeout=7, attempts=2)
        await jobs.configure("function/t.double", attempts=4, note="slow")
        await jobs.configure("function/t.double", lost=9)
        policy = (await (await double.submit(x=1)).status())["policy"]
        assert (policy["timeout_ms"], policy["attempts_max"], policy["lost_max"]) == (7_000, 4, 9)
        own = await double.submit_with(timeout=3)(x=1)
        assert (await own.status())["policy"]["timeout_ms"] == 3_000
        assert set(await jobs.configs()) == {"queue/default", "function/t.double"}
        for key, given, words in (
            ("mail", {"timeout": 1}, "queue/<name> or function/<name>"),
            ("queue/mail", {"retries": 1}, "a setting must be one of timeout"),
            ("queue/mail", {"attempts": "3"}, "attempts must be a whole number"),
            ("queue/mail", {"timeout": 0}, "timeout_ms must be from 1"),
            ("queue/Mail", {}, "Mail"),
        ):
            with pytest.raises(BadRequest, match=words):
                await jobs.configure(key, **given)


async def test_a_unique_job_is_asked_for_once() -> None:
    """Who asks again waits for the job that exists; who asks what became of it is told."""
    only = Unique(fields=("x",))
    async with Jobs(mode="manual") as jobs:
        first = await jobs.submit("t.f", {"x": 1, "y": 1}, unique=only)
        again = await jobs.submit("t.f", {"x": 1, "y": 2}, unique=only)
        decided = await jobs.submit_decided("t.f", {"x": 1, "y": 3}, unique=only)
        assert (decided.outcome, decided.other, decided.job.id) == ("duplicate", first.id, first.id)
        jobs.replace("t.f", lambda x, y: x * 10 + y)
        await jobs.finish(first.id)
        assert [await job.result() for job in (first, again, decided.job)] == [11, 11, 11]
        late = await jobs.submit_decided("t.f", {"x": 1, "y": 4}, unique=only, delay=60)
        assert (late.outcome, late.other) == ("accepted", None)
        new = await jobs.submit_decided("t.f", {"x": 1, "y": 5}, unique=Unique(fields=("x",), then="replace"))
        assert (new.outcome, new.other) == ("replaced", late.job.id)
        with pytest.raises(JobCancelled):
            await late.job.result()
        with pytest.raises(BadRequest, match=r"unique\.fields must be among the arguments"):
            await jobs.submit("t.f", {"y": 4}, unique=only)


async def test_a_duplicate_follows_the_job_that_is_the_answer() -> None:
    """Fact by fact, to its end."""
    async with Jobs(mode="manual") as jobs:
        first = await jobs.submit("t.f", unique=Unique())
        jobs.replace("t.f", lambda: 5)
        again = await jobs.submit("t.f", unique=Unique())
        await jobs.finish(first.id)
        told = [fact async for fact in again.follow()]
        assert (told[-1].fact, told[-1].job) == ("succeeded", first.id)


async def test_a_job_gets_another_time_and_is_forgotten_early() -> None:
    """As asked: a minute later, for as long as it said."""
    async with Jobs(start=START) as jobs:
        jobs.replace("t.f", lambda: 7)
        job = await jobs.submit("t.f", delay=30, retention=60, result_retention=5, priority=1)
        fact = await jobs.reschedule(job, START + timedelta(minutes=2), within=1)
        assert fact is not None
        assert fact.fact == "rescheduled"
        await jobs.advance(timedelta(seconds=110))
        assert (await job.status())["phase"] == "scheduled"
        await jobs.advance(timedelta(seconds=11))
        await jobs.finish()
        assert (await job.status())["result"] == 7
        await jobs.advance(timedelta(seconds=10))
        assert (await job.status())["result"] is None
        await jobs.advance(timedelta(seconds=60))
        with pytest.raises(JobUnknown):
            await job.status()
