"""The client over HTTP, at the whole HTTP service on the real state machine, without Kafka."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from jobstream import Client, JobCancelled, JobDead, JobRejected, Retry, Unique, WaitTimedOut
from jobstream.client.http import HttpClient, fact_of
from jobstream.errors import BadRequest, CommandRefused, JobUnknown, NotReachable
from jobstream.functions import Submission, function
from relay.doors.http.attempt import Attempt, sign
from relay.doors.http.told import told_fact
from schemas.events import Fact
from schemas.times import parse_time
from tests.fakes.gateway import SECRET, Gateway

NOW_MS = parse_time("2027-01-15T08:00:00Z")
LATER = 3_600


@function(name="t.declared", queue="declared")
def declared(x: int) -> int:
    """Declared."""
    return x


@pytest.fixture
def gateway() -> Gateway:
    """A service without tokens."""
    return Gateway(now_ms=NOW_MS)


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[HttpClient]:
    """A client of it."""
    transport = httpx.ASGITransport(gateway.app, raise_app_exceptions=False)
    async with HttpClient("http://127.0.0.1:8088/", transport=transport) as one:
        yield one


async def end(gateway: Gateway, id: str, **receipt: object) -> None:
    """A minion ends the first attempt of a job that has no key."""
    row = gateway.machine.job(id)
    assert row is not None
    spec = row.spec
    attempt = Attempt(id, spec.key, 0, spec.queue, spec.function, 1, row.epoch, NOW_MS, 60_000, "push")
    body = {"token": sign(attempt, SECRET), **receipt}
    assert (await gateway.ask("POST", f"/job/{id}/receipt", body))[0] == 200


async def test_a_job_from_ask_to_result(client: Client, gateway: Gateway) -> None:
    """One, by a name or a declared function, and many; a result, and a failure as an error."""
    job = await client.submit("t.f", {"to": "a"}, tags=["x"], key="k", retention=60)
    row = gateway.machine.job(job.id)
    assert row is not None
    assert (row.spec.args, row.spec.tags, row.spec.key, job.key) == (b'{"to":"a"}', ("x",), "k", "k")
    with pytest.raises(WaitTimedOut, match="had not ended after"):
        await job.result(0.01)
    await end(gateway, job.id, status="success", result=[7])
    assert await job.result(5) == [7]
    assert await client.wait(job.id) == [7]
    assert (await job.status())["phase"] == "succeeded"
    (one,) = await client.submit_many([declared.request(x=3)])
    assert (await one.status())["queue"] == "declared"
    many = await client.submit_many(Submission(function="t.f", args=[n]) for n in range(1_001))
    assert len({each.id for each in many}) == 1_001
    dead = await client.submit("t.f", id="dead", retry=Retry(attempts=1))
    await end(gateway, dead.id, status="failure", error={"type": "ValueError", "message": "no"})
    with pytest.raises(JobDead, match="ValueError: no"):
        await dead.result(5)
    bytes_ = await client.submit("t.f", b"\x00\xff")
    row = gateway.machine.job(bytes_.id)
    assert row is not None
    assert (row.spec.args, row.spec.content_type) == (b"\x00\xff", "application/octet-stream")


async def test_what_cannot_be_asked(client: Client, gateway: Gateway) -> None:
    """Each with the error of its kind, and the sentence of the service."""
    with pytest.raises(BadRequest, match="queue must match"):
        await client.submit("t.f", queue="UPPER")
    await client.submit("t.f", id="one")
    with pytest.raises(JobRejected, match="exists with other content"):
        await client.submit("t.f", [1], id="one")
    with pytest.raises(CommandRefused, match="exists with other content"):
        await client.submit_decided("t.f", [1], id="one")
    with pytest.raises(JobUnknown):
        await client.status("none")
    with pytest.raises(BadRequest, match="over kafka:// alone"):
        await client.configs()
    with pytest.raises(BadRequest, match="over kafka:// alone"):
        await client.configure("queue/a", attempts=2)
    gateway.desk.away = True
    with pytest.raises(Exception, match="may or may not be accepted"):
        await client.submit("t.f")


async def test_commands(client: Client) -> None:
    """What came of each, as the fact that told it; what makes no sense is refused with a code."""
    job = await client.submit("t.f", delay=LATER)
    at = datetime.fromtimestamp(NOW_MS / 1_000, UTC) + timedelta(hours=2)
    fact = await job.reschedule(at, within=5)
    assert fact is not None
    assert (fact.fact, fact.next_at_ms) == ("rescheduled", NOW_MS + 2 * LATER * 1_000)
    assert await job.cancel("enough") is None
    with pytest.raises(JobCancelled, match="enough"):
        await job.result(5)
    with pytest.raises(CommandRefused) as refused:
        await job.cancel(within=5)
    assert refused.value.code == "not_now"
    fact = await client.retry(job.id, within=5)
    assert fact is not None
    assert (fact.fact, fact.phase) == ("retried", "ready")


async def test_unique_jobs(client: Client) -> None:
    """Accepted, a duplicate, replaced."""
    args, only = {"to": "a"}, Unique(fields=("to",))
    first = await client.submit_decided("t.f", args, unique=only)
    again = await client.submit_decided("t.f", args, unique=only)
    newer = await client.submit_decided("t.f", args, unique=Unique(fields=("to",), then="replace"))
    assert [each.outcome for each in (first, again, newer)] == ["accepted", "duplicate", "replaced"]
    assert again.job.id == again.other == newer.other == first.job.id
    assert (await client.submit("t.f", args, unique=only)).id == newer.job.id


async def test_schedules(client: Client, gateway: Gateway) -> None:
    """Written, commanded, declared, orphaned, removed; a bad one is refused."""
    fact = await client.schedule("s", "@hourly", "t.f", options={"tags": ["t"], "priority": 1}, within=5)
    assert fact is not None
    assert (fact.fact, fact.next_at_ms) == ("schedule_saved", NOW_MS + LATER * 1_000)
    for ask, kind in (
        (client.pause_schedule, "schedule_paused"),
        (client.resume_schedule, "schedule_resumed"),
        (client.trigger_schedule, "schedule_fired"),
    ):
        fact = await ask("s", within=5)
        assert fact is not None
        assert fact.fact == kind
    since = datetime.fromtimestamp(NOW_MS / 1_000, UTC)
    fact = await client.backfill_schedule("s", since - timedelta(hours=3), since, within=5)
    assert fact is not None
    assert fact.fact == "schedule_backfilling"
    with pytest.raises(CommandRefused, match="bad day-of-month"):
        await client.schedule("s", "0 0 30 2 *", "t.f", within=5)
    await client.schedule("mine", "@daily", "t.f")
    (row,) = (row for row in gateway.machine.schedules() if row.id == "s")
    assert (row.tags, row.priority) == (("t",), "1")
    assert (await client.declare_schedules([], "shop")).orphaned == ()
    fact = await client.unschedule("s", within=5)
    assert fact is not None
    assert fact.fact == "schedule_removed"


async def test_dead_letters(client: Client, gateway: Gateway) -> None:
    """Read, redriven, discarded."""
    for id in ("a", "b"):
        await client.submit("t.f", {"to": id}, id=id)
        await end(gateway, id, status="failure", error="no", non_retryable=True)
        gateway.machine.now_ms += 1
    letters = await client.dead_letters(datetime.fromtimestamp(NOW_MS / 1_000 - 60, UTC))
    assert [(letter.job, letter.args, letter.reason[:9]) for letter in letters] == [
        ("a", b'{"to": "a"}', "attempt 1"),
        ("b", b'{"to": "b"}', "attempt 1"),
    ]
    assert (await client.redrive(letters[0])).id == "a"
    await client.discard(letters[1])
    assert await client.dead_letters(datetime.fromtimestamp(NOW_MS / 1_000 - 60, UTC)) == []


async def test_following(client: Client, gateway: Gateway) -> None:
    """Facts up to the end; a stream that ends before, or that is refused, is an error of its kind."""
    job = await client.submit("t.f")
    with pytest.raises(NotReachable, match="has ended its stream"):
        [fact async for fact in job.follow()]
    await end(gateway, job.id, status="success", result=1)
    assert [fact.fact async for fact in job.follow()] == ["succeeded"]
    with pytest.raises(CommandRefused, match="the stream is full"):
        await refused(gateway, 429, job.id)
    with pytest.raises(NotReachable, match="is no gateway"):
        await refused(gateway, None, job.id)


async def refused(gateway: Gateway, status: int | None, id: str) -> None:
    """Follows a job of a service that refuses streams with this status, or answers with a page."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/facts":
            await gateway.app(scope, receive, send)
            return
        body = b"<html>" if status is None else b'{"detail": "the stream is full"}'
        await send({"type": "http.response.start", "status": status or 502, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async with HttpClient("http://127.0.0.1:8088/", transport=httpx.ASGITransport(app)) as one:
        async for _ in one.job(id).follow():
            pass


async def test_looking(client: Client) -> None:
    """Lists, counts, a pause and its end."""
    job = await client.submit("t.f", queue="q")
    assert [each["id"] for each in (await client.list("q"))["jobs"]] == [job.id]
    assert (await client.counts())["queues"] == {"q": {"ready": 1}}
    entries = [await client.pause("q", note="x"), await client.resume("q")]
    assert [getattr(entry, "paused", None) for entry in entries] == [True, False]


async def test_addresses() -> None:
    """One class for all; what is Kafka's is refused, and nobody there is told when it is opened."""
    assert isinstance(Client("http://127.0.0.1:9"), HttpClient)
    assert not isinstance(Client("kafka://127.0.0.1:9"), HttpClient)
    with pytest.raises(BadRequest, match="prefix must be left out"):
        Client("http://127.0.0.1:9", prefix="x.")
    with pytest.raises(BadRequest, match="a token is for an address of HTTP"):
        Client("kafka://127.0.0.1:9", token="x")  # noqa: S106  # none
    client = Client("http://127.0.0.1:9")
    with pytest.raises(NotReachable, match=r"127\.0\.0\.1:9"):
        await client.open()
    with pytest.raises(BadRequest, match="must be open"):
        await client.submit("t.f")


def test_a_fact_comes_back_as_it_was() -> None:
    """From its JSON, as the stream of facts tells it."""
    for result, media in ((b"7", "application/json"), (b"\x00", "application/x"), (None, None)):
        fact = Fact(
            fact="succeeded",
            job="j",
            key="k",
            partition=3,
            at_ms=NOW_MS,
            created_at_ms=NOW_MS - 5,
            result=result,
            result_type=media,
        )
        assert fact_of(told_fact(fact)) == fact
