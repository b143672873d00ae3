"""What every client promises, whatever its address: the same tests over Kafka and over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from jobstream import Client, JobCancelled, JobDead, JobRejected, Unique, WaitTimedOut
from jobstream.cluster.up import Cluster
from jobstream.errors import BadRequest, CommandRefused, JobUnknown, NotReachable
from jobstream.functions import Submission
from schemas.names import new_id
from tests.e2e.conftest import Start
from tests.waiting import eventually_async

pytestmark = pytest.mark.full

SOON_S = 60.0
LATER = 3_600
NOBODY = "e2e.nobody"


@pytest.fixture(params=["kafka", "http"])
async def client(request: pytest.FixtureRequest, cluster: Cluster) -> AsyncIterator[Client]:
    """A client over each."""
    made = (
        Client(f"http://{cluster.http}")
        if request.param == "http"
        else Client(f"kafka://{cluster.bootstrap}", prefix=cluster.prefix, web=f"http://{cluster.web}")
    )
    async with made as one:
        yield one


async def test_a_job_from_ask_to_result(client: Client, start: Start) -> None:
    """One, many, by a handle and by an id; a failure is an error with its words."""
    start()
    job = await client.submit("e2e.echo", {"value": [1, "ä"]}, key="k")
    assert (await job.result(SOON_S), job.key) == ([1, "ä"], "k")
    assert await client.wait(job.id, timeout=SOON_S) == [1, "ä"]
    assert (await job.status())["phase"] == "succeeded"
    many = await client.submit_many(
        Submission(function="e2e.echo", args={"value": number}) for number in range(20)
    )
    assert [await each.result(SOON_S) for each in many] == list(range(20))
    dead = await client.submit("e2e.hopeless")
    with pytest.raises(JobDead, match="the account does not exist"):
        await dead.result(SOON_S)
    facts = [fact.fact async for fact in (await client.submit("e2e.echo", {"value": 1})).follow()]
    assert facts[-1] == "succeeded"


async def test_what_cannot_be_asked(client: Client) -> None:
    """Refused with a sentence, before anything is written; an id that is taken, at its end at the latest."""
    for options in ({"queue": "UPPER"}, {"unique": Unique(only="window")}):
        with pytest.raises((BadRequest, JobRejected)):
            await (await client.submit(NOBODY, **options)).result(5)
    id = new_id()
    job = await client.submit(NOBODY, id=id, delay=LATER)
    assert job.id == id
    with pytest.raises(WaitTimedOut):
        await job.result(0.2)
    with pytest.raises(JobRejected, match="exists with other content"):
        await (await client.submit(NOBODY, [1], id=id, delay=LATER)).result(SOON_S)
    with pytest.raises(JobUnknown):
        await client.status(f"no-such-{id}")
    await job.cancel(within=SOON_S)


async def test_commands(client: Client) -> None:
    """Cancelled once, run again, put off; what makes no sense is refused with a code."""
    job = await client.submit(NOBODY, delay=LATER)
    fact = await job.reschedule(datetime.now(UTC) + timedelta(hours=2), within=SOON_S)
    assert fact is not None
    assert fact.fact == "rescheduled"
    fact = await job.cancel("not wanted", within=SOON_S)
    assert fact is not None
    assert fact.fact == "cancelled"
    with pytest.raises(JobCancelled, match="not wanted"):
        await job.result(SOON_S)
    with pytest.raises(CommandRefused) as refused:
        await job.cancel(within=SOON_S)
    assert refused.value.code == "not_now"
    fact = await job.retry(within=SOON_S)
    assert fact is not None
    assert fact.fact == "retried"
    await job.cancel(within=SOON_S)


async def test_unique_jobs(client: Client) -> None:
    """Accepted, a duplicate, replaced: and whoever asks has the job that is the answer."""
    args, only = {"to": new_id()}, Unique(fields=("to",))
    first = await client.submit_decided(NOBODY, args, unique=only, delay=LATER)
    again = await client.submit_decided(NOBODY, args, unique=only, delay=LATER)
    newer = await client.submit_decided(
        NOBODY, args, unique=Unique(fields=("to",), then="replace"), delay=LATER
    )
    assert [each.outcome for each in (first, again, newer)] == ["accepted", "duplicate", "replaced"]
    assert again.job.id == again.other == newer.other == first.job.id
    with pytest.raises(JobCancelled, match="replaced by"):
        await first.job.result(SOON_S)
    await newer.job.cancel(within=SOON_S)


async def test_schedules(client: Client) -> None:
    """Written, paused, resumed, triggered, removed; a bad one is refused."""
    id = f"s-{new_id()}"
    fact = await client.schedule(id, "0 3 * * *", NOBODY, options={"tags": ["t"]}, within=SOON_S)
    assert fact is not None
    assert (fact.fact, fact.next_at_ms is not None) == ("schedule_saved", True)
    for ask, kind in (
        (client.pause_schedule, "schedule_paused"),
        (client.resume_schedule, "schedule_resumed"),
        (client.trigger_schedule, "schedule_fired"),
    ):
        fact = await ask(id, within=SOON_S)
        assert fact is not None
        assert fact.fact == kind
    assert id in {each["id"] for each in (await client.schedules())["schedules"]}
    declared = await client.declare_schedules([], f"nothing-{id}", within=SOON_S)
    assert (declared.declared, declared.orphaned) == ((), ())
    fact = await client.unschedule(id, within=SOON_S)
    assert fact is not None
    assert fact.fact == "schedule_removed"
    with pytest.raises(CommandRefused, match="bad day-of-month"):
        await client.schedule(id, "0 0 30 2 *", NOBODY, within=SOON_S)


async def test_dead_letters(client: Client, start: Start) -> None:
    """Read, redriven, discarded."""
    start()
    job = await client.submit("e2e.hopeless")
    with pytest.raises(JobDead):
        await job.result(SOON_S)

    async def letters() -> list[str]:
        return [letter.job for letter in await client.dead_letters(600)]

    assert job.id in await letters()
    (letter,) = (each for each in await client.dead_letters(600) if each.job == job.id)
    assert (await client.redrive(letter)).id == job.id

    async def died_again() -> bool:
        return any(
            each.job == job.id and each.at_ms > letter.at_ms for each in await client.dead_letters(600)
        )

    await eventually_async(died_again, SOON_S)
    (letter,) = (each for each in await client.dead_letters(600) if each.job == job.id)
    await client.discard(letter)
    assert job.id not in await letters()


async def test_looking(client: Client) -> None:
    """Lists and counts are the same over both; a queue stops and goes on."""
    job = await client.submit(NOBODY, queue="looked-at", delay=LATER)

    async def listed() -> bool:
        return job.id in {each["id"] for each in (await client.list("looked-at"))["jobs"]}

    await eventually_async(listed, SOON_S)
    assert (await client.counts())["queues"]["looked-at"]["scheduled"] >= 1
    entries = [await client.pause("looked-at", note="x"), await client.resume("looked-at")]
    assert [getattr(entry, "paused", None) for entry in entries] == [True, False]
    await job.cancel(within=SOON_S)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "kafka://127.0.0.1:9"])
async def test_nobody_is_there(url: str) -> None:
    """Told in one sentence, when it is opened."""
    with pytest.raises(NotReachable, match=r"127\.0\.0\.1:9"):
        await asyncio.wait_for(Client(url).open(), SOON_S)
