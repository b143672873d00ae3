"""One test per hook: what the transport relies on in Faust, aiokafka, librdkafka and the broker, tried for
real.

`streams.transport.selftest` sees at each start that the names are there; these tests see that they still mean
the same.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, cast

import aiokafka
import faust
import pytest
from aiokafka.abc import ConsumerRebalanceListener
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from faust.transport import by_url
from faust.types import TP

from streams import transport
from streams.transport.consumer import Consumer as BatchConsumer
from streams.transport.membership import group_metadata
from streams.transport.restore import Log, Restore, TableManager
from streams.transport.source import Fetched, Source
from tests.waiting import eventually_async

kafka = pytest.mark.kafka

BYTES: Any = {"key_type": bytes, "value_type": bytes}


@pytest.fixture
def app() -> Iterator[faust.App]:
    """An app on the transport that never starts."""
    own = faust.App(f"hooks-{uuid.uuid4().hex[:6]}", **transport.faust_settings("127.0.0.1:1"))
    yield own
    consumer: Any = own._consumer
    if consumer is not None:
        consumer._thread.thread_loop.close()


# Faust: what takes the place of what.


def test_the_scheme_finds_the_transport() -> None:
    """The entry point group `faust.transports`."""
    assert by_url("jobstream://127.0.0.1:9092") is transport.Transport


async def test_an_app_takes_our_classes(app: faust.App) -> None:
    """The settings Agent, Table and TableManager, and the transport's Consumer and Producer."""
    assert isinstance(app.consumer, BatchConsumer)
    assert isinstance(app.producer, transport.Transport.Producer)
    assert isinstance(app.tables, TableManager)
    assert isinstance(app.tables.recovery, Restore)
    assert isinstance(app.Table("t", partition_state=transport.Rows), transport.Table)


@pytest.mark.parametrize("mode", list(transport.Mode))
async def test_the_url_tells_the_mode(mode: transport.Mode) -> None:
    """Faust keeps the query of its broker URL, and of several hosts their order."""
    app: Any = faust.App("hooks", **transport.faust_settings("a:1,b:2", mode=mode))
    assert app.transport.mode is mode
    assert app.transport._librdkafka()["bootstrap.servers"] == "a:1,b:2"


async def test_a_stream_hands_on_what_is_no_event(app: faust.App) -> None:
    """The very object that was put into the channel's queue, without acknowledging anything."""
    seen: list[object] = []
    done = asyncio.Event()

    @app.agent(app.topic("a", **BYTES))
    async def look(batches: Any) -> None:
        async for batch in batches:
            seen.append(batch)
            done.set()

    app.flow_control.resume()
    actor = cast("Any", look).actor_from_stream(None)
    task = asyncio.ensure_future(actor)
    await asyncio.sleep(0)
    batch = object()
    actor.stream.channel.queue.put_nowait(batch)
    await asyncio.wait_for(done.wait(), 5)
    task.cancel()
    assert seen == [batch]
    assert not app.consumer.unacked


async def test_what_an_agent_raises_reaches_us_first(app: faust.App) -> None:
    """Before Faust marks the agent as crashed and starts it again."""
    told: list[BaseException] = []

    @app.agent(app.topic("a", **BYTES))
    async def fail(batches: Any) -> None:
        async for _ in batches:
            raise ValueError("no")

    async def note(_: Any, error: BaseException) -> None:
        told.append(error)
        raise asyncio.CancelledError

    agent = cast("Any", fail)
    assert agent._on_error.__module__ == "streams.transport.agent"
    agent._on_error = note
    app.flow_control.resume()
    actor = agent.actor_from_stream(None)
    actor.stream.channel.queue.put_nowait(object())
    with pytest.raises(asyncio.CancelledError):
        await agent._execute_actor(actor, actor)
    assert [str(error) for error in told] == ["no"]


async def test_clearing_the_flow_empties_the_channels(app: faust.App) -> None:
    """Faust drops what agents have not seen when a rebalance begins; we take it back just before."""
    channel = app.topic("a", **BYTES).clone(is_iterator=True)
    channel.queue.put_nowait(object())
    app.flow_control.clear()
    assert channel.queue.empty()


async def test_the_conductor_knows_who_reads_a_partition(app: faust.App) -> None:
    """`_tp_index`, filled when partitions are assigned."""
    topics: Any = app.topics
    channel = app.topic("a", "b", **BYTES).clone(is_iterator=True)
    topics.add(channel)
    await topics.on_partitions_assigned({TP("a", 0), TP("b", 0)})
    assert topics._tp_index[TP("a", 0)] == topics._tp_index[TP("b", 0)] == {channel}


# aiokafka and the broker.


@pytest.fixture
def topic(bootstrap: str, prefix: str) -> str:
    """A topic of two partitions."""
    name = f"{prefix}hooks"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.create_topics([NewTopic(name, 2, 1)]).values():
        done.result(30)
    return name


@pytest.fixture
def transactions(bootstrap: str, prefix: str) -> Iterator[Callable[[], Producer]]:
    """Makes transactional producers."""
    made: list[Producer] = []

    def make() -> Producer:
        made.append(
            Producer(
                {
                    "bootstrap.servers": bootstrap,
                    "transactional.id": f"{prefix}{len(made)}",
                    "retry.backoff.ms": 1,
                }
            )
        )
        made[-1].init_transactions(30)
        return made[-1]

    yield make
    for producer in made:
        producer.purge()


def produce(bootstrap: str, topic: str, *values: bytes, partition: int = 0) -> None:
    """Plain records."""
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for value in values:
        producer.produce(topic, value, b"k", partition)
    producer.flush()


async def _is(condition: bool) -> bool:  # noqa: FBT001
    return condition


class Pausing(ConsumerRebalanceListener):  # type: ignore[misc]
    """Pauses what is assigned, in the callback."""

    def __init__(self, consumer: aiokafka.AIOKafkaConsumer) -> None:
        self.consumer = consumer
        self.assigned = asyncio.Event()

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing."""

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Nothing may be fetched from here on."""
        self.consumer.pause(*assigned)
        self.assigned.set()


@kafka
async def test_a_member_whose_partitions_are_all_paused_fetches_nothing_and_stays(
    bootstrap: str, topic: str
) -> None:
    """Paused in the callback of the assignment, before aiokafka has asked for anything."""
    produce(bootstrap, topic, b"0", b"1")
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=topic,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        heartbeat_interval_ms=100,
    )
    await consumer.start()
    try:
        listener = Pausing(consumer)
        consumer.subscribe([topic], listener=listener)
        await asyncio.wait_for(listener.assigned.wait(), 30)
        coordinator = consumer._coordinator
        noted = asyncio.Event()
        do_heartbeat = type(coordinator)._do_heartbeat

        async def note() -> bool:
            answered: bool = await do_heartbeat(coordinator)
            if answered:
                noted.set()
            return answered

        coordinator._do_heartbeat = note
        await asyncio.wait_for(noted.wait(), 30)
        assert await consumer.getmany(timeout_ms=500) == {}
        assert (coordinator.generation, coordinator.group_id) == (1, topic)
        assert coordinator.member_id
    finally:
        await consumer.stop()


# librdkafka and the broker.


@kafka
async def test_a_source_begins_where_it_is_told_and_never_mixes_generations(
    bootstrap: str, topic: str
) -> None:
    """Nothing is fetched before it begins; what was fetched ahead for an earlier generation is dropped."""
    produce(bootstrap, topic, b"0", b"1", b"2")
    source = Source({"bootstrap.servers": bootstrap}, topic, records_max=2)
    assert await source.fetch() is None
    await source.begin(7, {TP(topic, 0): 0, TP(topic, 1): 0})
    first = await fetched(source)
    assert first.generation == 7
    assert [record.value for record in first.records[TP(topic, 0)]] in ([b"0"], [b"0", b"1"])
    source.end()
    assert await source.fetch() is None
    await source.begin(8, {TP(topic, 0): 1})
    again = await fetched(source)
    record = again.records[TP(topic, 0)][0]
    assert (again.generation, record.offset, record.value, record.key) == (8, 1, b"1", b"k")
    assert abs(record.timestamp_ms - time.time() * 1000) < 60_000
    await source.close()


@kafka
async def test_a_source_reads_no_aborted_record_and_begins_with_the_first_that_is_left(
    bootstrap: str, topic: str, transactions: Callable[[], Producer]
) -> None:
    """Read committed, and earliest where an offset is out of range."""
    producer = transactions()
    for value, end in ((b"no", producer.abort_transaction), (b"yes", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value, b"k", 0, headers=[("h", b"1")])
        producer.flush()
        end(30)
    source = Source({"bootstrap.servers": bootstrap}, topic, records_max=10)
    await source.begin(1, {TP(topic, 0): 1_000})
    [record] = (await fetched(source)).records[TP(topic, 0)]
    assert (record.value, record.headers) == (b"yes", (("h", b"1"),))
    await source.close()


@kafka
async def test_records_of_the_leading_topic_come_first(bootstrap: str, prefix: str, topic: str) -> None:
    """Those that were there when a generation began, before any of another topic."""
    other = f"{prefix}other"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(other, 2, 1)])[other].result(30)
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(20):
        producer.produce(other, b"follows", b"k", number % 2)
    for _ in range(20):
        producer.produce(topic, b"leads", b"k", 0)
    producer.flush()
    source = Source({"bootstrap.servers": bootstrap}, topic, records_max=3, leading=topic)
    await source.begin(1, {TP(name, number): 0 for name in (other, topic) for number in (0, 1)})
    seen: list[bytes | None] = []
    while len(seen) < 40:
        seen += [record.value for run in (await fetched(source)).records.values() for record in run]
    assert seen == [b"leads"] * 20 + [b"follows"] * 20
    producer.produce(topic, b"later", b"k", 1)
    producer.flush()
    assert [run[0].value for run in (await fetched(source)).records.values()] == [b"later"]
    await source.close()


async def fetched(source: Source) -> Fetched:
    """The next records."""
    async with asyncio.timeout(30):
        while (found := await source.fetch()) is None:
            pass
    return found


@kafka
def test_the_end_of_a_changelog_includes_open_transactions(
    bootstrap: str, topic: str, transactions: Callable[[], Producer]
) -> None:
    """A read_committed consumer alone would stop before them."""
    produce(bootstrap, topic, b"0")
    producer = transactions()
    producer.begin_transaction()
    producer.produce(topic, b"1", b"k", 0)
    producer.flush()
    log = Log({"bootstrap.servers": bootstrap}, topic)
    assert log.bounds([TP(topic, 0), TP(topic, 1)]) == {TP(topic, 0): (0, 2), TP(topic, 1): (0, 0)}
    producer.abort_transaction(30)
    log.close()


@kafka
def test_the_position_at_the_end_of_a_partition_counts_markers(
    bootstrap: str, topic: str, transactions: Callable[[], Producer]
) -> None:
    """The end event's offset; that of the last record would never reach the end."""
    producer = transactions()
    producer.begin_transaction()
    producer.produce(topic, b"0", b"k", 0)
    producer.commit_transaction(30)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": topic,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = [(message.error(), message.offset()) for message in _until_end(consumer)]
    consumer.close()
    assert found[0] == (None, 0)
    assert found[-1][1] == 2


def _until_end(consumer: Consumer) -> list[Any]:
    messages: list[Any] = []
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        messages += consumer.consume(100, 0.5)
        if messages and messages[-1].error() is not None:
            return messages
    raise TimeoutError("no end of the partition was told of")


@kafka
def test_committed_offsets_wait_for_an_undecided_transaction(
    bootstrap: str, topic: str, transactions: Callable[[], Producer]
) -> None:
    """Neither the offset before it nor the one in it is true until it is decided (KIP-447)."""
    producer = transactions()
    nobody = group_metadata(topic, -1, "")
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition(topic, 0, 7, metadata="settled=5")], nobody, 30)
    asking = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": topic, "isolation.level": "read_committed"}
    )
    with pytest.raises(KafkaException):
        asking.committed([TopicPartition(topic, 0)], 1.0)
    producer.commit_transaction(30)
    [found] = asking.committed([TopicPartition(topic, 0)], 30.0)
    asking.close()
    assert (found.offset, found.metadata) == (7, "settled=5")


@kafka
async def test_the_broker_fences_by_generation_and_member(
    bootstrap: str, topic: str, transactions: Callable[[], Producer]
) -> None:
    """Metadata made of aiokafka's membership commits; an old generation or another member does not; and a
    member that never joined is not fenced at all, which is why such metadata is never made.
    """
    consumer = aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=topic, enable_auto_commit=False
    )
    await consumer.start()
    try:
        await eventually_async(lambda: _is(bool(consumer.assignment())), 30)
        member, generation = consumer._coordinator.member_id, consumer._coordinator.generation

        def commit(metadata: bytes) -> int | None:
            producer = transactions()
            producer.begin_transaction()
            try:
                producer.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], metadata, 30)
                producer.commit_transaction(30)
            except KafkaException as error:
                producer.abort_transaction(30)
                return int(error.args[0].code())
            return None

        assert await asyncio.to_thread(commit, group_metadata(topic, generation, member)) is None
        old = await asyncio.to_thread(commit, group_metadata(topic, generation - 1, member))
        other = await asyncio.to_thread(commit, group_metadata(topic, generation, "somebody"))
        assert (old, other) == (KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID)
        assert await asyncio.to_thread(commit, group_metadata(topic, -1, "")) is None
    finally:
        await consumer.stop()


@kafka
def test_without_a_report_per_record_a_flush_tells_all(bootstrap: str, topic: str) -> None:
    """It returns 0 when everything was acknowledged; and what failed is reported nevertheless."""
    failed: list[str] = []
    producer = Producer(
        {"bootstrap.servers": bootstrap, "delivery.report.only.error": True, "message.max.bytes": 3_000_000}
    )
    for size in (100, 2_500_000):
        producer.produce(topic, b"x" * size, b"k", 0, lambda error, _: failed.append(str(error)))
    assert producer.flush(30) == 0
    assert len(failed) == 1
    assert re.search("too large", failed[0])
    assert Consumer({"bootstrap.servers": bootstrap, "group.id": topic}).get_watermark_offsets(
        TopicPartition(topic, 0), timeout=30
    ) == (0, 1)


@kafka
def test_a_second_producer_with_one_id_fences_the_first(bootstrap: str, prefix: str, topic: str) -> None:
    """And ends what the first left open."""
    config = {"bootstrap.servers": bootstrap, "transactional.id": f"{prefix}one"}
    first, second = Producer(config), Producer(config)
    first.init_transactions(30)
    first.begin_transaction()
    first.produce(topic, b"0", b"k", 0)
    first.flush()
    second.init_transactions(30)
    with pytest.raises(KafkaException) as fenced:
        first.commit_transaction(30)
    assert fenced.value.args[0].code() in (
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    )
