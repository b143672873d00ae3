"""A relay between a real broker and minions that speak the raw protocol: what goes in, what comes out, what
is kept.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from relay.main import Relay
from schemas.codec import decode, encode
from schemas.defaults import HEARTBEAT_TIMEOUT_MS
from schemas.events import Beat, Control, Dispatch, Heartbeat, Receipt
from schemas.keys import home
from schemas.settings import Settings
from schemas.topics import Topics
from tests.fakes.minion import FakeMinion
from tests.waiting import eventually_async

PARTITIONS = 4
NOW_MS = 1_800_000_000_000


class Log:
    """The topics of one test, as a state machine would see and write them."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.bootstrap = bootstrap
        self.topics = Topics(prefix, PARTITIONS)
        self.group = f"{prefix}relay"
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{prefix}test"})
        self._ids = itertools.count()
        self.receipts: list[Receipt] = []
        self.beats: list[Beat] = []

    def make(self, queues: tuple[str, ...] = ("default",)) -> None:
        """Makes the topics that a relay needs, and begins to read what it writes."""
        names = [self.topics.receipts, self.topics.heartbeats, *map(self.topics.dispatch, queues)]
        new = [NewTopic(name, PARTITIONS, 1) for name in names] + [NewTopic(self.topics.control, 1, 1)]
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for done in admin.create_topics(new).values():
            done.result(timeout=10)
        self._consumer.assign(
            [
                TopicPartition(topic, partition, 0)
                for topic in (self.topics.receipts, self.topics.heartbeats)
                for partition in range(PARTITIONS)
            ]
        )

    def dispatch(self, key: str = "k", **fields: object) -> Dispatch:
        """A dispatch of a job that no other has; written by `write`."""
        dispatch = Dispatch(
            job=f"job-{next(self._ids)}",
            key=key,
            partition=home(key, PARTITIONS),
            queue="default",
            function="f",
            attempt=1,
            epoch=1,
            args=b"{}",
            content_type="application/json",
            timeout_ms=60_000,
            heartbeat_timeout_ms=HEARTBEAT_TIMEOUT_MS,
            created_at_ms=NOW_MS,
            dispatched_at_ms=NOW_MS,
        )
        return replace(dispatch, **fields)  # type: ignore[arg-type]

    def write(self, *dispatches: Dispatch) -> None:
        """Writes dispatches to their topics and home partitions."""
        for dispatch in dispatches:
            topic = self.topics.dispatch(dispatch.queue)
            self._producer.produce(topic, encode(dispatch), dispatch.key, dispatch.partition)
        assert self._producer.flush(10) == 0

    def write_raw(self, topic: str, partition: int, value: bytes) -> None:
        """Writes any bytes."""
        self._producer.produce(topic, value, partition=partition)
        assert self._producer.flush(10) == 0

    def cancel(self, dispatch: Dispatch) -> None:
        """Writes what the state machine tells relays of a cancelled job."""
        control = Control(
            control="cancel",
            job=dispatch.job,
            epoch=dispatch.epoch,
            partition=dispatch.partition,
            at_ms=dispatch.dispatched_at_ms + 1,
        )
        self._producer.produce(self.topics.control, encode(control), dispatch.job, 0)
        assert self._producer.flush(10) == 0

    def read(self) -> None:
        """Reads what relays have written since."""
        for message in self._consumer.consume(1_000, 0.02):
            assert message.error() is None, message.error()
            event = decode(message.value() or b"", (Receipt, Heartbeat))
            if isinstance(event, Receipt):
                assert message.partition() == event.partition == home(event.key, PARTITIONS)
                self.receipts.append(event)
            else:
                assert message.partition() == event.partition
                self.beats += event.beats

    async def receipt(self, job: str, timeout_s: float = 10.0) -> Receipt:
        """The first receipt of a job; fails if none comes."""

        async def found() -> Receipt | None:
            self.read()
            return next((receipt for receipt in self.receipts if receipt.job == job), None)

        receipt = await eventually_async(found, timeout_s)
        assert receipt is not None
        return receipt

    async def beat(self, job: str, fits: Callable[[Beat], bool] = lambda _: True) -> Beat:
        """The first beat of a job that fits; fails if none comes."""

        async def found() -> Beat | None:
            self.read()
            return next((beat for beat in self.beats if beat.job == job and fits(beat)), None)

        beat = await eventually_async(found)
        assert beat is not None
        return beat

    def committed(self, queue: str = "default") -> dict[int, int]:
        """What the relays' group has committed, by partition; -1001: nothing."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group})
        try:
            topic = self.topics.dispatch(queue)
            places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
            return {place.partition: place.offset for place in consumer.committed(places, timeout=10)}
        finally:
            consumer.close()

    async def until_committed(self, partition: int, offset: int) -> None:
        """Waits until an offset is committed."""

        async def reached() -> bool:
            return await asyncio.to_thread(lambda: self.committed()[partition]) == offset

        await eventually_async(reached)

    def close(self) -> None:
        """Lets go of the broker."""
        self._consumer.close()


@pytest.fixture
def log(bootstrap: str, prefix: str) -> Iterator[Log]:
    """The topics of this test."""
    log = Log(bootstrap, prefix)
    log.make()
    yield log
    log.close()


@pytest.fixture
async def relay(log: Log) -> AsyncIterator[Relay]:
    """A relay at a free port, drained at the end with little patience."""
    settings = Settings(
        bootstrap=log.bootstrap, prefix=log.topics.prefix, partitions=PARTITIONS, relay="127.0.0.1:0"
    )
    async with Relay(settings, drain_s=0.2) as relay:
        yield relay


async def test_a_dispatch_becomes_a_job_and_a_receipt(log: Log, relay: Relay) -> None:
    """A dispatch reaches the minion whole, its receipt the home partition, and then its offset is
    committed.
    """
    dispatch = log.dispatch(args=b'{"x":1}', checkpoint=b"half", trace="00-abc", attempt=3, epoch=7)
    log.write(dispatch)
    async with FakeMinion(relay.address, "m1") as minion:
        await minion.grant(1)
        [job] = await minion.take()
        assert (job.id, job.epoch, job.attempt, job.key) == (dispatch.job, 7, 3, "k")
        assert (job.args, job.checkpoint, job.trace) == (b'{"x":1}', b"half", "00-abc")
        assert job.timeout_ms == 60_000
        number = await minion.answer(
            job, result=b"42", result_type="application/json", started_at_ms=5, run_ms=2
        )
        receipt = await log.receipt(dispatch.job)
        assert (receipt.outcome, receipt.epoch, receipt.attempt, receipt.result) == ("success", 7, 3, b"42")
        assert (receipt.minion, receipt.session) == ("m1", minion.welcome.session)
        assert (receipt.assigned_at_ms, receipt.started_at_ms, receipt.run_ms) == (job.assigned_at_ms, 5, 2)
        await eventually_async(lambda: _async(minion.stored == number))
        await log.until_committed(dispatch.partition, 1)


async def _async(value: bool) -> bool:  # noqa: FBT001
    return value
