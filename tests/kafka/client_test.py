"""The client against a real broker. The service's side is played here: facts are written as it would write
them.
"""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from jobstream import Client, JobCancelled, JobDead, JobExpired, JobRejected, WaitTimedOut, function
from jobstream.client import open_default, waiting, whole
from jobstream.cluster import Broker
from jobstream.errors import BadRequest, CommandRefused, NotReachable, SubmitTimedOut, TopicsMissing
from jobstream.functions import Submission
from jobstream.topics import _admin, _create, apply
from schemas.codec import decode, encode
from schemas.events import Command, Fact, JobRequest, Schedule
from schemas.keys import home
from schemas.topics import Topics
from schemas.words import FactKind, Phase
from tests.waiting import eventually_async

PARTITIONS = 4


@pytest.fixture
def topics(bootstrap: str, prefix: str) -> Topics:
    """Topics of this test: those that a client touches, since making all of them takes long."""
    made = Topics(prefix, PARTITIONS)
    touched = (made.requests, made.schedules, made.facts)
    _create(_admin(bootstrap), [topic for topic in made.catalogue() if topic.name in touched])
    return made


@pytest.fixture
async def client(bootstrap: str, topics: Topics) -> AsyncIterator[Client]:
    """A client of these topics; nobody serves pages."""
    async with Client(f"kafka://{bootstrap}", prefix=topics.prefix, web="http://127.0.0.1:9") as one:
        yield one


class Service:
    """Writes facts."""

    def __init__(self, bootstrap: str, topics: Topics) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
        self._topic = topics.facts

    def tell(self, kind: FactKind, job: Any, **fields: Any) -> None:
        """Writes a fact about a job to its home, and returns when it is there."""
        said = {"job": job.id, "key": job.key, "partition": job.partition, "at_ms": 1} | fields
        value = encode(Fact(fact=kind, **said))
        self._producer.produce(self._topic, value, job.key.encode(), partition=job.partition)
        assert self._producer.flush(10) == 0


@pytest.fixture
def service(bootstrap: str, topics: Topics) -> Service:
    """The service's side."""
    return Service(bootstrap, topics)


def read(bootstrap: str, topic: str, partitions: int = PARTITIONS) -> list[tuple[int, bytes, bytes | None]]:
    """Partition, key and value of every record of a topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    found: list[tuple[int, bytes, bytes | None]] = []
    ended = 0
    while ended < partitions:
        message = consumer.poll(10)
        assert message is not None, "the broker went silent"
        if message.error() is not None:
            ended += 1
        else:
            found.append((message.partition() or 0, message.key() or b"", message.value()))
    consumer.close()
    return found


def requests(bootstrap: str, topics: Topics) -> list[JobRequest]:
    """Every request that was written."""
    return [decode(value or b"", (JobRequest,)) for _, _, value in read(bootstrap, topics.requests)]


async def test_a_job_is_in_kafka_when_submit_returns(client: Client, bootstrap: str, topics: Topics) -> None:
    """In the home of its key, with the key as the record's key, whatever a partitioner would have said."""
    jobs = [await client.submit("mail.send", {"to": "a"}, key=f"orders-{number}") for number in range(10)]
    jobs.append(await client.submit("mail.send"))
    found = {
        decode(value or b"", (JobRequest,)).id: (number, key)
        for number, key, value in read(bootstrap, topics.requests)
    }
    assert found == {job.id: (home(job.key, PARTITIONS), job.key.encode()) for job in jobs}
    assert [job.partition for job in jobs] == [home(job.key, PARTITIONS) for job in jobs]


async def test_many_are_submitted_in_one_go(client: Client, bootstrap: str, topics: Topics) -> None:
    """Handles come in the order of the submissions, and jobs of one key keep their order."""
    jobs = await client.submit_many(
        Submission(function="f", args=[number], key="one") for number in range(5_000)
    )
    assert len({job.id for job in jobs}) == 5_000
    found = requests(bootstrap, topics)
    assert [request.id for request in found] == [job.id for job in jobs]
    assert [json.loads(request.args or b"") for request in found] == [[number] for number in range(5_000)]


async def test_a_bad_one_among_many_is_told(client: Client) -> None:
    """The error of the one that cannot be is raised, at once."""
    with pytest.raises(BadRequest, match="function must match"):
        await client.submit_many([Submission(function="f"), Submission(function="no good")])


async def test_nothing_to_submit(client: Client) -> None:
    """An empty list is no error."""
    assert await client.submit_many([]) == []


async def test_a_result_comes_from_the_facts(client: Client, service: Service) -> None:
    """Without any service but Kafka; other facts of the job, and facts of others, are passed over."""
    other, job = await client.submit("f", key="k"), await client.submit("f", key="k")
    waiter = asyncio.create_task(job.result(timeout=30))
    service.tell(
        FactKind.SUCCEEDED, other, phase=Phase.SUCCEEDED, result=b"1", result_type="application/json"
    )
    service.tell(FactKind.ADMITTED, job, phase=Phase.READY)
    service.tell(FactKind.STARTED, job, phase=Phase.LEASED)
    service.tell(
        FactKind.SUCCEEDED, job, phase=Phase.SUCCEEDED, result=b'{"a": 1}', result_type="application/json"
    )
    assert await waiter == {"a": 1}
    assert await other.result(timeout=30) == 1


async def test_an_end_before_anybody_waits_is_not_missed(client: Client, service: Service) -> None:
    """The facts are read from before the submit, however late somebody asks."""
    jobs = [await client.submit("f", key=f"k{number}") for number in range(20)]
    for number, job in enumerate(jobs):
        body = str(number).encode()
        service.tell(
            FactKind.SUCCEEDED, job, phase=Phase.SUCCEEDED, result=body, result_type="application/json"
        )
    assert [await job.result(timeout=30) for job in jobs] == list(range(20))
    assert [await job.result(timeout=30) for job in jobs] == list(range(20))


async def test_reading_stops_when_nobody_waits_and_goes_on_later(
    client: Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition nobody waits for is let go; jobs that were submitted before or after are found all the
    same.
    """
    monkeypatch.setattr(waiting, "IDLE_S", 0.0)
    first, second = await client.submit("f", key="k"), await client.submit("f", key="k")
    service.tell(FactKind.EXPIRED, first, phase=Phase.EXPIRED)
    with pytest.raises(JobExpired):
        await first.result(timeout=30)
    parts = client._open.waiting
    await eventually_async(lambda: _true(not parts._waiters))
    service.tell(FactKind.SUCCEEDED, second, phase=Phase.SUCCEEDED)
    third = await client.submit("f", key="k")
    service.tell(FactKind.SUCCEEDED, third, phase=Phase.SUCCEEDED)
    assert await third.result(timeout=30) is None
    assert await second.result(timeout=30) is None


async def _true(value: bool) -> bool:  # noqa: FBT001
    return value


async def test_each_end_is_told_in_its_own_way(client: Client, service: Service) -> None:
    """Dead, cancelled, expired and rejected jobs raise an error each; a wait that takes too long another."""
    dead, cancelled, rejected, slow = [await client.submit("f") for _ in range(4)]
    service.tell(
        FactKind.DIED, dead, phase=Phase.DEAD, attempt=5, error_type="ValueError", error_message="no"
    )
    service.tell(FactKind.CANCELLED, cancelled, phase=Phase.CANCELLED, reason="too late")
    service.tell(FactKind.REJECTED, rejected, error_type="bad_time", reason="run_at must be sooner")
    with pytest.raises(JobDead, match="dead after 5 attempts: ValueError: no"):
        await dead.result(timeout=30)
    with pytest.raises(JobCancelled, match="too late"):
        await cancelled.result(timeout=30)
    with pytest.raises(JobRejected, match="run_at must be sooner"):
        await rejected.result(timeout=30)
    with pytest.raises(WaitTimedOut, match=f"job {slow.id} had not ended after 0.2 s"):
        await slow.result(timeout=0.2)


async def test_a_duplicate_gets_the_answer_of_the_first(client: Client, service: Service) -> None:
    """Asked for again under its id, a job that ended long ago answers with its result."""
    job = await client.submit("f", id="orders-17-mail")
    service.tell(
        FactKind.DEDUPLICATED, job, phase=Phase.SUCCEEDED, result=b"7", result_type="application/json"
    )
    assert await job.result(timeout=30) == 7


async def test_following_shows_every_step(client: Client, service: Service) -> None:
    """Each fact of the job in order, until its end."""
    job = await client.submit("f", key="k")
    kinds = [FactKind.ADMITTED, FactKind.STARTED, FactKind.PROGRESSED, FactKind.SUCCEEDED]
    for kind in kinds:
        service.tell(kind, job, phase=Phase.SUCCEEDED)
    async with asyncio.timeout(10):
        assert [fact.fact async for fact in job.follow()] == kinds
        assert [fact.fact async for fact in job.follow()] == [FactKind.SUCCEEDED]


@function(name="mail.send", queue="mails")
async def send(to: str) -> None:
    """A function for these tests."""


async def test_a_decorated_function_goes_through_the_client_that_is_open(
    client: Client, bootstrap: str, topics: Topics
) -> None:
    """`.submit` needs no client by name; from another event loop it finds the client as well."""
    job = await send.submit(to="a@b.c")
    other = await asyncio.to_thread(lambda: asyncio.run(_submit_elsewhere()))
    found = {request.id: request for request in requests(bootstrap, topics)}
    assert found.keys() == {job.id, other}
    assert {request.queue for request in found.values()} == {"mails"}
    assert client.serves(asyncio.get_running_loop())


async def _submit_elsewhere() -> str:
    job = await send.submit(to="b@c.d")
    return str(job.id)


def test_code_without_a_client_has_a_default_one(
    bootstrap: str, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made from the settings in force; one event loop after the other has its own, and none needs to be
    closed.
    """
    monkeypatch.setenv("JOBSTREAM_BOOTSTRAP", bootstrap)
    monkeypatch.setenv("JOBSTREAM_PREFIX", topics.prefix)
    ids = {asyncio.run(_submit_elsewhere()) for _ in range(3)}
    assert {request.id for request in requests(bootstrap, topics)} == ids
    asyncio.run(_close_default())


async def _close_default() -> None:
    await (await open_default()).close()


async def test_commands_are_written_to_the_jobs_home(client: Client, bootstrap: str, topics: Topics) -> None:
    """Cancel and retry of a handle, with the reason; nothing is waited for unless asked."""
    job = await client.submit("f", key="k")
    assert await job.cancel("too late") is None
    assert await job.retry() is None
    values = [
        value or b"" for number, _, value in read(bootstrap, topics.requests) if number == job.partition
    ]
    _, cancel, retry = [decode(value, (JobRequest, Command)) for value in values]
    assert isinstance(cancel, Command)
    assert isinstance(retry, Command)
    assert (cancel.command, cancel.id, cancel.key, cancel.reason) == ("cancel", job.id, "k", "too late")
    assert (retry.command, retry.id) == ("retry", job.id)


async def test_the_answer_to_a_command_can_be_waited_for(client: Client, service: Service) -> None:
    """Only what was written after the command counts; a refusal is an error; silence ends in time."""
    job = await client.submit("f", key="k")
    service.tell(FactKind.CANCEL_REQUESTED, job, phase=Phase.LEASED, reason="an older one")

    async def answer(kind: FactKind, **fields: Any) -> Fact | None:
        requests_end = await _requests_end(client)
        asked = asyncio.create_task(job.cancel(within=10))
        await eventually_async(lambda: _grew(client, requests_end))
        service.tell(kind, job, **fields)
        return await asked

    fact = await answer(FactKind.CANCELLED, phase=Phase.CANCELLED, reason="now")
    assert fact is not None
    assert (fact.fact, fact.reason) == ("cancelled", "now")
    with pytest.raises(CommandRefused, match="it has ended"):
        await answer(FactKind.REJECTED, error_type="not_now", reason="it has ended")
    with pytest.raises(WaitTimedOut, match="did not answer about"):
        await job.retry(within=0.2)


async def _requests_end(client: Client) -> int:
    return sum(await asyncio.to_thread(_request_ends, client))


def _request_ends(client: Client) -> list[int]:
    from jobstream.client.metadata import Metadata

    return Metadata(client._bootstrap).ends(client._topics.requests, PARTITIONS)


async def _grew(client: Client, before: int) -> bool:
    return await _requests_end(client) > before


async def test_a_schedule_is_written_by_its_id(client: Client, bootstrap: str, topics: Topics) -> None:
    """Create and remove go to the compacted topic, at the home of the id: the latest word is what counts."""
    await client.schedule(
        "nightly", "30 2 * * *", "report.make", {"days": 1}, timezone="Europe/Berlin", note="hello"
    )
    await client.unschedule("nightly")
    (first, key, value), (second, _, nothing) = read(bootstrap, topics.schedules)
    assert first == second == home("nightly", PARTITIONS)
    assert (key, nothing) == (b"nightly", None)
    schedule = decode(value or b"", (Schedule,))
    assert (schedule.cron, schedule.timezone, schedule.note) == ("30 2 * * *", "Europe/Berlin", "hello")


async def test_a_job_of_somebody_else_needs_the_pages(client: Client) -> None:
    """Its end may lie before this client's time, so the pages are asked, and it is told that they do not
    answer.
    """
    with pytest.raises(NotReachable, match="the status pages do not answer"):
        await client.wait("orders-17-mail", timeout=10)
    with pytest.raises(NotReachable, match="the status pages do not answer"):
        await client.cancel("orders-17-mail")


async def test_a_client_that_is_not_open_says_so(bootstrap: str, topics: Topics) -> None:
    """Before and after its time it is no use, and says how to use it."""
    client = Client(f"kafka://{bootstrap}", prefix=topics.prefix)
    with pytest.raises(BadRequest, match="async with Client"):
        await client.submit("f")
    async with client:
        await client.submit("f")
    with pytest.raises(BadRequest, match="async with Client"):
        await client.submit("f")


async def test_what_is_not_there_is_told_at_once(bootstrap: str, prefix: str) -> None:
    """A broker that does not answer and topics that are not there are a sentence each, within seconds."""
    with pytest.raises(TopicsMissing, match=f"there is no topic {prefix}requests at {bootstrap}"):
        await Client(f"kafka://{bootstrap}", prefix=prefix).open()
    with pytest.raises(NotReachable, match=r"Kafka does not answer at 127\.0\.0\.1:9: "):
        await Client("kafka://127.0.0.1:9", prefix=prefix).open()


@pytest.fixture
def frail(tmp_path: Path) -> Iterator[Broker]:
    """A broker of this test's own, that can be frozen."""
    with Broker.start(tmp_path / "kafka") as broker:
        yield broker


async def test_a_produce_that_timed_out_is_tried_again_with_the_same_id(
    frail: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker that is frozen for longer than a try costs time, not the job, and never makes it two."""
    topics = Topics("t.", 1)
    apply(frail.bootstrap, topics)
    async with Client(f"kafka://{frail.bootstrap}", prefix="t.", submit_timeout=12) as client:
        await client.submit("f")
        frail.send(signal.SIGSTOP)
        submitting = asyncio.create_task(client.submit("f", id="mine"))
        await eventually_async(lambda: _true("write_again" in caplog.text), timeout_s=10)
        frail.send(signal.SIGCONT)
        job = await submitting
    assert job.id == "mine"
    values = [value or b"" for _, _, value in read(frail.bootstrap, topics.requests, 1)]
    ids = [decode(value, (JobRequest,)).id for value in values]
    assert ids.count("mine") >= 1
    assert set(ids[1:]) == {"mine"}


async def test_a_submit_that_is_never_confirmed_ends_in_time(frail: Broker) -> None:
    """It says which jobs may or may not be accepted."""
    apply(frail.bootstrap, Topics("t.", 1))
    async with Client(f"kafka://{frail.bootstrap}", prefix="t.", submit_timeout=1.5) as client:
        await client.submit("f")
        frail.send(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(
            SubmitTimedOut, match=r"did not confirm one and 2 more .* may or may not be accepted"
        ) as raised:
            await client.submit_many(Submission(function="f", id=id) for id in ("one", "two", "three"))
        assert time.monotonic() - began < 5
        assert set(raised.value.ids) == {"one", "two", "three"}
        frail.send(signal.SIGCONT)
        await client.submit("f")


async def test_the_latest_records_alone(bootstrap: str, topics: Topics) -> None:
    """However much is in a topic, its end can be read quickly; what is older is left out too."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    for number in range(20):
        producer.produce(topics.facts, b"%d" % number, partition=number % 2)
    assert producer.flush(30) == 0

    def latest(since_ms: int) -> list[int]:
        found = whole.read(bootstrap, topics.facts, range(PARTITIONS), since_ms, latest=3)
        return sorted(int(message.value() or b"") for message in found)

    assert await asyncio.to_thread(latest, 0) == [14, 15, 16, 17, 18, 19]
    assert await asyncio.to_thread(latest, time.time_ns() // 1_000_000 + 3_600_000) == []
