"""A relay between a real broker and minions that speak the raw protocol: what goes in, what comes out, what
is kept.
"""

import asyncio
import contextlib
import itertools
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import grpc
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from jobstream.cli import relay_status
from jobstream.functions import function
from jobstream.minion import Minion, Wire, status
from relay import broker, server, writer
from relay.broker import RelayFailed
from relay.core import finished
from relay.main import Relay
from schemas.codec import decode, encode
from schemas.defaults import HEARTBEAT_TIMEOUT_MS
from schemas.events import Announcement, Beat, Control, Dispatch, Heartbeat, QueueConfig, Receipt, Reject
from schemas.keys import home
from schemas.proto.relay_pb2 import CANCELLED, FAILURE, Credit, FromMinion, Hello, Job, ReceiptBatch
from schemas.proto.relay_pb2 import Receipt as Said
from schemas.settings import Settings
from schemas.topics import Topics
from tests.fakes.minion import Ended, FakeMinion, held
from tests.waiting import eventually_async

PARTITIONS = 4
KEYS = [next(f"key-{n}" for n in range(99) if home(f"key-{n}", PARTITIONS) == p) for p in range(PARTITIONS)]
"""A key of each partition."""
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
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.receipts: list[Receipt] = []
        self.beats: list[Beat] = []
        self.announcements: list[Announcement] = []

    def make(self, queues: tuple[str, ...] = ("default",)) -> None:
        """Makes the topics that a relay needs, and begins to read what it writes."""
        names = [self.topics.receipts, self.topics.heartbeats, *map(self.topics.dispatch, queues)]
        new = [NewTopic(name, PARTITIONS, 1) for name in names]
        singles = (self.topics.control, self.topics.config, self.topics.rejects)
        new += [NewTopic(name, 1, 1) for name in singles]
        for done in self.admin.create_topics(new).values():
            done.result(timeout=30)
        self._consumer.assign(
            [
                TopicPartition(topic, partition, 0)
                for topic in (self.topics.receipts, self.topics.heartbeats)
                for partition in range(PARTITIONS)
            ]
        )

    def rejects(self, count: int) -> list[Reject]:
        """The first so many, as soon as they are there."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": f"{self.group}.rejects"})
        consumer.assign([TopicPartition(self.topics.rejects, 0, 0)])
        found = consumer.consume(count, 60)
        consumer.close()
        return [decode(message.value() or b"", (Reject,)) for message in found]

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

    def make_queue(self, queue: str) -> None:
        """Makes the topic of one more queue."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for done in admin.create_topics([NewTopic(self.topics.dispatch(queue), PARTITIONS, 1)]).values():
            done.result(timeout=30)

    def remove(self, *topics: str) -> None:
        """Removes topics."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for done in admin.delete_topics(list(topics)).values():
            done.result(timeout=30)

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

    def pause(self, queue: str, *, paused: bool) -> None:
        """Writes what an operator says about a queue."""
        value = encode(QueueConfig(queue=queue, paused=paused))
        self._producer.produce(self.topics.config, value, f"queue/{queue}", 0)
        assert self._producer.flush(10) == 0

    def read(self) -> None:
        """Reads what relays have written since."""
        for message in self._consumer.consume(1_000, 0.02):
            assert message.error() is None, message.error()
            event = decode(message.value() or b"", (Receipt, Heartbeat, Announcement))
            if isinstance(event, Announcement):
                self.announcements.append(event)
            elif isinstance(event, Receipt):
                assert message.partition() == event.partition == home(event.key, PARTITIONS)
                self.receipts.append(event)
            else:
                assert message.partition() == event.partition
                self.beats += event.beats

    async def receipt(self, job: str, timeout_s: float = 10.0) -> Receipt:
        """The first receipt of a job; fails if none comes."""

        def known() -> Receipt | None:
            return next((receipt for receipt in self.receipts if receipt.job == job), None)

        async def found() -> Receipt | None:
            if known() is None:
                self.read()
            return known()

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

    def finished(self, partition: int) -> int:
        """How many offsets beyond the committed one are known as finished."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group})
        try:
            place = TopicPartition(self.topics.dispatch("default"), partition)
            [found] = consumer.committed([place], timeout=10)
            return len(finished.read(found.metadata, found.offset)) if found.metadata else 0
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


def settings_of(log: Log, address: str = "127.0.0.1:0") -> Settings:
    """Settings of a relay on these topics."""
    return Settings(bootstrap=log.bootstrap, prefix=log.topics.prefix, partitions=PARTITIONS, relay=address)


@pytest.fixture
async def relay(log: Log) -> AsyncIterator[Relay]:
    """A relay at a free port, drained at the end with little patience."""
    async with Relay(settings_of(log), drain_s=0.2) as relay:
        yield relay


async def until(check: Callable[[], bool]) -> None:
    """Waits until something is so."""

    async def checked() -> bool:
        return check()

    await eventually_async(checked)


async def test_a_dispatch_becomes_a_job_and_a_receipt(log: Log, relay: Relay) -> None:
    """A dispatch reaches the minion whole, its receipt the home partition; then its offset is committed."""
    dispatch = log.dispatch(args=b'{"x":1}', checkpoint=b"half", trace="00-abc", attempt=3, epoch=7)
    log.write(dispatch)
    async with FakeMinion(relay.address, "m1") as minion:
        await minion.grant(1)
        [job] = await minion.take()
        assert (job.id, job.epoch, job.attempt, job.key) == (dispatch.job, 7, 3, "k")
        assert (job.args, job.checkpoint, job.trace) == (b'{"x":1}', b"half", "00-abc")
        assert (job.timeout_ms, job.heartbeat_timeout_ms) == (60_000, HEARTBEAT_TIMEOUT_MS)
        number = await minion.answer(job, result=b"42", result_type="text/plain", started_at_ms=5, run_ms=2)
        receipt = await log.receipt(dispatch.job)
        assert (receipt.outcome, receipt.epoch, receipt.attempt, receipt.result) == ("success", 7, 3, b"42")
        assert (receipt.minion, receipt.session) == ("m1", minion.welcome.session)
        assert (receipt.assigned_at_ms, receipt.started_at_ms, receipt.run_ms) == (job.assigned_at_ms, 5, 2)
        await until(lambda: minion.stored == number)
        await log.until_committed(dispatch.partition, 1)


async def test_a_long_job_is_told_of_and_committed(log: Log, relay: Relay) -> None:
    """`started` and progress reach the home partition, and the offset is committed while the job
    still runs.
    """
    dispatch = log.dispatch()
    log.write(dispatch)
    async with FakeMinion(relay.address, "m1") as minion:
        await minion.grant(1)
        [job] = await minion.take()
        started = await log.beat(dispatch.job)
        assert (started.kind, started.minion) == ("started", "m1")
        assert started.deadline_ms == job.assigned_at_ms + dispatch.timeout_ms
        await log.until_committed(dispatch.partition, 1)
        await minion.beat([job], step="parse", done=3, total=9, progress=True)
        progress = await log.beat(dispatch.job, lambda beat: beat.kind == "progress")
        assert (progress.step, progress.done, progress.total) == ("parse", 3, 9)
        await log.beat(dispatch.job, lambda beat: beat.kind == "alive")
        assert log.receipts == []


async def test_no_more_jobs_than_credits(log: Log, relay: Relay) -> None:
    """Credits are spent one for each job; an answer alone brings no further job, a credit does."""
    dispatches = [log.dispatch(key=f"key-{number}") for number in range(20)]
    log.write(*dispatches)
    async with FakeMinion(relay.address, "m1", capacity=5) as minion:
        await minion.grant(3)
        first = await minion.take(3)
        await minion.answer(*first)
        for job in first:
            await log.receipt(job.id)
        assert minion.jobs.empty()
        await minion.grant(5)
        second = await minion.take(5)
        assert minion.jobs.empty()
        assert len({job.id for job in first + second}) == 8


async def has_credits(relay: Relay, count: int) -> bool:
    """True if the relay has taken so many from its minions: a job that is assigned before spills over."""
    reply = await asyncio.to_thread(status.ask, relay.address, Wire())
    return sum(session.credits for session in reply.sessions) == count


async def test_the_same_key_goes_to_the_same_minion(log: Log, relay: Relay) -> None:
    """Two minions share the keys; each job of a key goes to the one that had its first, and none
    is spilled.
    """
    keys = [f"key-{number}" for number in range(30)]
    async with FakeMinion(relay.address, "m1") as one, FakeMinion(relay.address, "m2") as two:
        await one.grant(100)
        await two.grant(100)
        homes: dict[str, str] = {}
        for _ in range(3):
            dispatches = [log.dispatch(key=key) for key in keys]
            log.write(*dispatches)
            await until(lambda: one.jobs.qsize() + two.jobs.qsize() == len(keys))
            for minion in (one, two):
                for job in await minion.take(minion.jobs.qsize()):
                    assert homes.setdefault(job.key, minion.said.minion) == minion.said.minion
                    await minion.answer(job)
            for dispatch in dispatches:
                assert not (await log.receipt(dispatch.job)).spilled
        assert set(homes.values()) == {"m1", "m2"}


async def test_a_minion_that_dies_gives_its_jobs_back(log: Log, relay: Relay) -> None:
    """After the grace each of its leases is lost, by name; the other minion goes on and gets the
    next epoch.
    """
    dispatches = [log.dispatch(key=f"key-{number}") for number in range(10)]
    async with FakeMinion(relay.address, "m1") as one, FakeMinion(relay.address, "m2") as two:
        await one.grant(100)
        await two.grant(100)
        log.write(*dispatches)
        await until(lambda: one.jobs.qsize() + two.jobs.qsize() == len(dispatches))
        lost = await one.take(one.jobs.qsize())
        kept = await two.take(two.jobs.qsize())
        died_s = time.monotonic()
        await one.cut()
        for job in lost:
            receipt = await log.receipt(job.id)
            assert (receipt.outcome, receipt.minion) == ("lost", "m1")
        assert time.monotonic() - died_s < 2
        again = [replace(dispatch, epoch=2, attempt=2) for dispatch in dispatches]
        log.write(*[dispatch for dispatch in again if dispatch.job in {job.id for job in lost}])
        retried = await two.take(len(lost))
        assert {job.id for job in retried} == {job.id for job in lost}
        await two.answer(*kept)
        for job in kept:
            assert (await log.receipt(job.id)).outcome == "success"


async def test_a_minion_that_returns_keeps_its_jobs(log: Log, relay: Relay) -> None:
    """A hello within the grace takes the lease over; the answer on the new session is the only receipt."""
    dispatch = log.dispatch()
    log.write(dispatch)
    async with FakeMinion(relay.address, "m1") as minion:
        await minion.grant(1)
        [job] = await minion.take()
        await minion.cut()
    async with FakeMinion(relay.address, "m1", held=[held(job)]) as again:
        await log.beat(
            dispatch.job, lambda beat: beat.session == again.welcome.session and beat.kind == "alive"
        )
        await again.answer(job, lease=True)
        receipt = await log.receipt(dispatch.job)
        assert (receipt.outcome, receipt.session) == ("success", again.welcome.session)
        assert again.drops == []
    assert len(log.receipts) == 1


async def test_a_minion_that_returns_too_late_drops_its_jobs(log: Log, relay: Relay) -> None:
    """What was declared lost is not given back: the minion is told to drop it."""
    dispatch = log.dispatch()
    log.write(dispatch)
    async with FakeMinion(relay.address, "m1") as minion:
        await minion.grant(1)
        [job] = await minion.take()
    assert (await log.receipt(dispatch.job)).outcome == "lost"
    async with FakeMinion(relay.address, "m1", held=[held(job)]) as again:
        await until(lambda: len(again.drops) == 1)
        assert [lease.job for lease in again.drops[0].leases] == [dispatch.job]


async def test_a_paused_queue_s_jobs_wait(log: Log) -> None:
    """Jobs of a queue that was paused before the relay began are not run until that is over."""
    log.pause("default", paused=True)
    first, second = log.dispatch(KEYS[0]), log.dispatch(KEYS[1])
    log.write(first)
    async with Relay(settings_of(log), drain_s=0.2) as relay, FakeMinion(relay.address, "m1") as minion:
        await minion.grant(5)
        log.write(second)
        bridge = relay._bridge
        assert bridge is not None
        await until(lambda: set(bridge.edge.router.parcels) == {first.job, second.job})
        assert minion.jobs.empty()
        log.pause("default", paused=False)
        assert {job.id for job in await minion.take(2)} == {first.job, second.job}


async def test_cancels(log: Log) -> None:
    """What was cancelled before the relay began or while it waits is not run; a running job is
    told to stop.
    """
    early, waiting, running = (log.dispatch(key) for key in KEYS[:3])
    log.write(early)
    log.cancel(early)
    async with Relay(settings_of(log), drain_s=0.2) as relay, FakeMinion(relay.address, "m1") as minion:
        await minion.grant(1)
        log.write(running)
        [job] = await minion.take()
        assert job.id == running.job
        log.write(waiting)
        await log.until_committed(early.partition, 1)
        log.cancel(waiting)
        log.cancel(running)
        await until(lambda: [cancel.job for cancel in minion.cancels] == [running.job])
        await minion.answer(job, outcome=CANCELLED)
        assert (await log.receipt(running.job)).outcome == "cancelled"
        await log.until_committed(waiting.partition, 1)
        await minion.grant(5)
        last = log.dispatch(KEYS[3])
        log.write(last)
        assert [job.id for job in await minion.take()] == [last.job]


async def test_a_drain_hands_everything_over(log: Log) -> None:
    """A relay that stops tells its minions, loses none of their leases, and the next one adopts
    and answers them.
    """
    dispatch, later = log.dispatch(), log.dispatch()
    log.write(dispatch)
    async with Relay(settings_of(log), drain_s=0.5) as first:
        minion = await FakeMinion(first.address, "m1").__aenter__()
        await minion.grant(2)
        [job] = await minion.take()
    assert len(minion.drains) == 1
    ended = await minion.end()
    assert (ended.code, ended.details) == (grpc.StatusCode.UNAVAILABLE, "the relay went away")
    await minion.cut()
    assert log.committed()[dispatch.partition] == 1
    log.write(later)
    async with (
        Relay(settings_of(log), drain_s=0.2) as second,
        FakeMinion(second.address, "m1", held=[held(job)]) as again,
    ):
        adopted = await log.beat(job.id, lambda beat: beat.session == again.welcome.session)
        assert adopted.kind == "started"
        await again.answer(job, lease=True)
        await again.grant(1)
        assert [one.id for one in await again.take()] == [later.job]
        assert (await log.receipt(dispatch.job)).outcome == "success"
    assert [receipt.outcome for receipt in log.receipts if receipt.job == dispatch.job] == ["success"]


async def test_a_receipt_may_come_to_the_next_relay(log: Log) -> None:
    """A minion that ended while no relay was there sends its receipt with the lease, and it counts."""
    dispatch = log.dispatch()
    log.write(dispatch)
    async with Relay(settings_of(log), drain_s=0) as first, FakeMinion(first.address, "m1") as minion:
        await minion.grant(1)
        [job] = await minion.take()
    async with Relay(settings_of(log), drain_s=0.2) as second, FakeMinion(second.address, "m1") as again:
        number = await again.answer(job, lease=True)
        receipt = await log.receipt(dispatch.job)
        assert (receipt.outcome, receipt.assigned_at_ms) == ("success", job.assigned_at_ms)
        await until(lambda: again.stored == number)


async def test_a_dispatch_that_was_sent_again_is_run_once(log: Log) -> None:
    """An equal (job, epoch) is dropped, also by a relay that only read the first one back."""
    dispatch, other = log.dispatch(), log.dispatch()
    log.write(dispatch, dispatch)
    async with Relay(settings_of(log), drain_s=0.2) as first, FakeMinion(first.address, "m1") as minion:
        await minion.grant(5)
        [job] = await minion.take()
        await minion.answer(job)
        await log.until_committed(dispatch.partition, 2)
        assert minion.jobs.empty()
    log.write(dispatch, other)
    async with Relay(settings_of(log), drain_s=0.2) as second, FakeMinion(second.address, "m1") as minion:
        await minion.grant(5)
        assert [job.id for job in await minion.take()] == [other.job]
        assert minion.jobs.empty()


async def test_a_dispatch_that_cannot_be_read(log: Log, relay: Relay) -> None:
    """Bytes that are no dispatch, and one for a partition that is none, are kept among the rejects with the
    reason; the next one is run.
    """
    topic, dispatch = log.topics.dispatch("default"), log.dispatch()
    log.write_raw(topic, dispatch.partition, b"garbage")
    log.write_raw(topic, dispatch.partition, b"")
    log.write_raw(topic, dispatch.partition, encode(replace(dispatch, partition=99)))
    log.write(dispatch)
    async with FakeMinion(relay.address, "m1") as minion:
        await minion.grant(5)
        [job] = await minion.take()
        assert job.id == dispatch.job
        await minion.answer(job)
        await log.until_committed(dispatch.partition, 4)
    rejects = log.rejects(3)
    assert [(each.topic, each.partition, each.offset) for each in rejects] == [
        (topic, dispatch.partition, offset) for offset in range(3)
    ]
    assert [each.code for each in rejects] == ["undecodable", "undecodable", "bad_field"]
    assert [each.value_bytes for each in rejects][:2] == [7, 0]
    assert rejects[2].reason == f"partition must be below {PARTITIONS}, got 99"


async def test_rejects_that_cannot_be_kept_hold_nobody_up(log: Log, relay: Relay) -> None:
    """They are told in the log alone: a poison record must not end relay after relay."""
    dispatch = log.dispatch()
    small = ConfigEntry("max.message.bytes", "100", incremental_operation=AlterConfigOpType.SET)
    place = ConfigResource(ResourceType.TOPIC, log.topics.rejects, incremental_configs=[small])
    for done in log.admin.incremental_alter_configs([place]).values():
        done.result(30)
    log.write_raw(log.topics.dispatch("default"), dispatch.partition, b"garbage")
    log.write(dispatch)
    async with FakeMinion(relay.address, "m1") as minion:
        await minion.grant(5)
        [job] = await minion.take()
        await minion.answer(job)
        await log.until_committed(dispatch.partition, 2)


async def test_a_function_that_nobody_has(log: Log, relay: Relay) -> None:
    """It is handed back as unserved, and its queue goes on."""
    lonely, served = log.dispatch(function="g"), log.dispatch()
    log.write(lonely, served)
    async with FakeMinion(relay.address, "m1") as minion:
        await minion.grant(5)
        assert [job.id for job in await minion.take()] == [served.job]
        assert (await log.receipt(lonely.job)).outcome == "unserved"


async def test_functions_that_have_a_minion_are_announced(log: Log, relay: Relay) -> None:
    """To every partition that the relay reads, as soon as they have one."""
    async with FakeMinion(relay.address, "m1", functions=["f", "g"]):

        async def told() -> bool:
            log.read()
            found = {one.partition for one in log.announcements if one.functions == ("f", "g")}
            return found == set(range(PARTITIONS))

        assert await eventually_async(told)


async def test_jobs_of_a_key_run_in_order(log: Log, relay: Relay) -> None:
    """One at a time, each when the one before has succeeded; after a failure the rest comes back."""
    lane = [log.dispatch(order="key")]
    for _ in range(3):
        lane.append(log.dispatch(order="key", after_job=lane[-1].job, after_epoch=1))
    log.write(*lane)
    async with FakeMinion(relay.address, "m1") as minion:
        await minion.grant(10)
        for dispatch in lane[:2]:
            [job] = await minion.take()
            assert job.id == dispatch.job
            assert minion.jobs.empty()
            await minion.answer(job)
        [job] = await minion.take()
        await minion.answer(job, outcome=FAILURE)
        assert (await log.receipt(lane[3].job)).outcome == "parked"
        await log.until_committed(lane[0].partition, 4)


async def test_what_finished_beyond_a_gap_is_not_run_again(log: Log) -> None:
    """A relay is killed while an old dispatch still waits; the next one runs that, and none that had
    finished.
    """
    waits = log.dispatch(function="g")
    log.write(waits, *[log.dispatch() for _ in range(20)])
    with relay_process(log) as (dead, address):
        async with FakeMinion(address, "m2", functions=["g"]), FakeMinion(address, "m1") as m1:
            await m1.grant(50)
            await m1.answer(*await m1.take(20))

            async def committed() -> bool:
                return await asyncio.to_thread(log.finished, waits.partition) == 20

            assert await eventually_async(committed)
            dead.kill()
    assert log.committed()[waits.partition] in (0, -1001)
    later = log.dispatch()
    log.write(later)
    async with (
        Relay(settings_of(log), drain_s=0.2) as relay,
        FakeMinion(relay.address, "m1") as m1,
        FakeMinion(relay.address, "m2", functions=["g"]) as m2,
    ):
        await m1.grant(50)
        await m2.grant(1)
        assert [job.id for job in await m2.take(timeout_s=30)] == [waits.job]
        assert [job.id for job in await m1.take()] == [later.job]


async def test_a_relay_says_what_it_does(log: Log, relay: Relay) -> None:
    """Over gRPC, beside its minions: sessions, leases, what waits and for what."""
    async with FakeMinion(relay.address, "m1") as minion:
        await minion.grant(2)
        lonely = log.dispatch(function="g")
        log.write(log.dispatch(), lonely)
        await minion.take()

        async def told() -> list[str]:
            reply = await asyncio.to_thread(status.ask, relay.address, Wire())
            return list(relay_status.lines(reply)) if reply.waiting else []

        said = await eventually_async(told)
        assert said[0].endswith("runs: 1 leases, 1 jobs given, 0.0% spilled over, 0 keys in order")
        assert said[1].startswith(
            "minion m1 ready: 1 of 100 leases, 1 credits, 1 functions, queues default, session "
        )
        assert said[2] == "waiting 1 of g in default: no minion has g"
        partition = f"partition default/{lonely.partition}: finished up to "
        assert any(line.startswith(partition) and "1 waiting, " in line for line in said)
        assert any(line.startswith(partition) and line.endswith(" behind") for line in said)


async def test_a_minion_outlives_one_of_its_relays(log: Log) -> None:
    """A relay is killed while jobs of it run: the minion brings them to the other one, and none is lost."""
    go = asyncio.Event()

    async def work() -> str:
        """Waits for the test."""
        await go.wait()
        return "done"

    functions = [function(name="f")(work)]
    with relay_process(log) as (dead, address):
        async with (
            Relay(settings_of(log), drain_s=0.2) as other,
            Minion(functions, relay=[address, other.address], concurrency=8, name="m1"),
        ):

            async def both_read() -> bool:
                log.read()
                newest = {one.partition: one.relay for one in log.announcements}
                return len(newest) == PARTITIONS and len(set(newest.values())) == 2

            assert await eventually_async(both_read, 30)
            dispatches = [log.dispatch(key, function="f") for key in KEYS]
            log.write(*dispatches)
            for dispatch in dispatches:
                await log.beat(dispatch.job)
            dead.kill()
            for dispatch in dispatches:
                await log.beat(dispatch.job, lambda beat: beat.session in other_sessions(other))
            go.set()
            for dispatch in dispatches:
                assert (await log.receipt(dispatch.job, 30)).outcome == "success"


def other_sessions(relay: Relay) -> set[str]:
    """The sessions that a relay has."""
    assert relay._bridge is not None
    return set(relay._bridge.edge.sessions)


async def test_a_queue_that_comes_later(log: Log, relay: Relay) -> None:
    """A minion may serve a queue that does not exist yet; its jobs come once it does."""
    async with FakeMinion(relay.address, "m1", queues=["default", "late"]) as minion:
        await minion.grant(5)
        here, there = log.dispatch(), log.dispatch(queue="late")
        log.write(here)
        assert [job.id for job in await minion.take()] == [here.job]
        log.make_queue("late")
        log.write(there)
        assert [job.id for job in await minion.take()] == [there.job]


async def test_two_relays_share_the_work(log: Log) -> None:
    """Partitions move to a relay that joins, what runs goes on, and every job is run once and
    answered once.
    """
    dispatches = [log.dispatch(key=f"key-{number}") for number in range(60)]
    async with Relay(settings_of(log), drain_s=0.2) as one, FakeMinion(one.address, "m1") as m1:
        await m1.grant(100)
        log.write(*dispatches[:20])
        jobs = await m1.take(20)
        async with Relay(settings_of(log), drain_s=0.2) as two, FakeMinion(two.address, "m2") as m2:
            await m2.grant(100)
            await m1.answer(*jobs)
            for dispatch in dispatches[20:]:
                log.write(dispatch)
            seen: list[str] = []

            def all_seen() -> bool:
                seen.extend(
                    minion.jobs.get_nowait().id for minion in (m1, m2) for _ in range(minion.jobs.qsize())
                )
                return len(seen) == 40

            await until(all_seen)
            assert sorted(seen) == sorted(dispatch.job for dispatch in dispatches[20:])
        for job in jobs:
            assert (await log.receipt(job.id)).outcome == "success"


BAD = {
    "garbage": (
        b"\xff\xff\xff",
        grpc.StatusCode.INVALID_ARGUMENT,
        "a message must be a FromMinion, got 3 bytes",
    ),
    "a credit first": (
        FromMinion(credit=Credit(more=1)).SerializeToString(),
        grpc.StatusCode.INVALID_ARGUMENT,
        "the first message must be hello, got credit",
    ),
    "nothing": (b"", grpc.StatusCode.INVALID_ARGUMENT, "the first message must be hello, got None"),
    "another version": (
        FromMinion(hello=Hello(protocol=9)).SerializeToString(),
        grpc.StatusCode.FAILED_PRECONDITION,
        "protocol must be 1, got 9",
    ),
    "no functions": (
        FromMinion(hello=Hello(protocol=1, minion="m", queues=["default"], capacity=1)).SerializeToString(),
        grpc.StatusCode.INVALID_ARGUMENT,
        "functions in hello must be 1 to 10000, got 0",
    ),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_stream_that_begins_badly(log: Log, relay: Relay, case: str) -> None:
    """It ends with a status and a sentence, and a minion beside it goes on."""
    raw, code, sentence = BAD[case]
    dispatch = log.dispatch()
    async with FakeMinion(relay.address, "m1") as minion:
        with pytest.raises(Ended, match=sentence) as caught:
            await FakeMinion(relay.address, "bad", raw=raw).__aenter__()
        assert caught.value.code == code
        await minion.grant(1)
        log.write(dispatch)
        assert [job.id for job in await minion.take()] == [dispatch.job]


WORSE = {
    "a second hello": (
        FromMinion(hello=Hello(protocol=1)),
        "hello must be the first message only, got another",
    ),
    "too many credits": (
        FromMinion(credit=Credit(more=101)),
        "unspent credits must be at most the capacity of 100",
    ),
    "an outcome that is none": (
        FromMinion(receipts=ReceiptBatch(receipts=[Said(number=1, job="j", epoch=1)])),
        "the outcome in the receipt of 'j' must be one of",
    ),
    "an empty message": (
        FromMinion(),
        "a message must be a hello, credit, receipts, beats, draining, recall or runs, got none",
    ),
}


@pytest.mark.parametrize("case", WORSE)
async def test_a_stream_that_goes_wrong(log: Log, relay: Relay, case: str) -> None:
    """It ends with INVALID_ARGUMENT and a sentence, its leases are lost, and a minion beside it goes on."""
    message, sentence = WORSE[case]
    dispatch = log.dispatch()
    async with FakeMinion(relay.address, "m1") as minion:
        async with FakeMinion(relay.address, "bad") as bad:
            await bad.grant(1)
            log.write(dispatch)
            await bad.take()
            await bad.send_raw(message.SerializeToString())
            ended = await bad.end()
            assert ended.code == grpc.StatusCode.INVALID_ARGUMENT
            assert sentence in ended.details
        assert (await log.receipt(dispatch.job)).outcome == "lost"
        await minion.grant(1)
        log.write(replace(dispatch, epoch=2))
        assert [job.id for job in await minion.take()] == [dispatch.job]


async def test_a_message_that_is_too_large(log: Log, relay: Relay) -> None:
    """It is refused by its size alone, and a minion beside it goes on."""
    async with FakeMinion(relay.address, "m1") as minion:
        async with FakeMinion(relay.address, "bad") as bad:
            await bad.send_raw(bytes(server.MESSAGE_BYTES_MAX + 1))
            assert (await bad.end()).code == grpc.StatusCode.RESOURCE_EXHAUSTED
        await minion.grant(1)
        log.write(log.dispatch())
        await minion.take()


async def test_a_stream_that_says_nothing(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended when the time for a hello is over."""
    monkeypatch.setattr(server, "HELLO_S", 0.2)
    with pytest.raises(Ended, match=r"hello must come within 0.2 s, got nothing") as caught:
        await FakeMinion(relay.address, "mute", mute=True).__aenter__()
    assert caught.value.code == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_client_that_speaks_no_grpc(log: Log, relay: Relay) -> None:
    """Bytes that are no HTTP/2 get the connection closed, and a minion beside it goes on."""
    host, port = relay.address.split(":")
    async with FakeMinion(relay.address, "m1") as minion:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n" + bytes(1_000))
        async with asyncio.timeout(10):
            while await reader.read(1_000):
                pass
        writer.close()
        await minion.grant(1)
        log.write(log.dispatch())
        await minion.take()


async def test_a_receipt_of_nobodys_lease_is_acknowledged(log: Log, relay: Relay) -> None:
    """It is told in the log of the relay and otherwise ignored; the session goes on."""
    async with FakeMinion(relay.address, "m1") as minion:
        number = await minion.answer(Job(id="stray", epoch=1))
        await until(lambda: minion.stored == number)
        await minion.grant(1)
        log.write(log.dispatch())
        await minion.take()


async def test_a_silent_minion_loses_its_jobs(log: Log, relay: Relay) -> None:
    """A minion that holds a lease and says nothing for heartbeat_timeout_ms is shown out, with the reason."""
    dispatch = log.dispatch()
    log.write(dispatch)
    async with FakeMinion(relay.address, "m1") as minion:
        await minion.grant(1)
        await minion.take()
        ended = await minion.end()
        assert ended.code == grpc.StatusCode.DEADLINE_EXCEEDED
        assert "minion m1 was silent for" in ended.details
        assert (await log.receipt(dispatch.job)).outcome == "lost"


async def test_a_minion_that_never_reads_is_shown_out(
    log: Log, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows that it lives but takes nothing off its stream: the stream is closed, and what it
    got is lost.
    """
    monkeypatch.setattr(server, "WRITE_MAX_MS", 1_000)
    minion = FakeMinion(relay.address, "m1", deaf=True)
    async with minion:
        await minion.grant(100)
        log.write(*[log.dispatch(args=bytes(200_000)) for _ in range(60)])

        async def shown_out() -> bool:
            await minion.beat()
            log.read()
            return len({receipt.job for receipt in log.receipts}) == 60

        await eventually_async(shown_out, timeout_s=20)
    assert {receipt.outcome for receipt in log.receipts} <= {"lost", "interrupted"}


async def test_a_relay_without_its_topics(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which topics it misses, and how they are made."""
    monkeypatch.setattr(broker, "TOPICS_S", 0.5)
    settings = Settings(bootstrap=bootstrap, prefix="nowhere.", relay="127.0.0.1:0")
    with pytest.raises(
        RelayFailed, match=r"has no topic nowhere.receipts.*`jobstream topics apply` makes them"
    ):
        await Relay(settings).__aenter__()


async def test_a_broker_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, with what the client says of it."""
    monkeypatch.setattr(broker, "TOPICS_S", 0.5)
    with pytest.raises(RelayFailed, match=r"no broker answers at 127.0.0.1:9: "):
        await Relay(Settings(bootstrap="127.0.0.1:9", relay="127.0.0.1:0")).__aenter__()


def environ_of(log: Log) -> dict[str, str]:
    """What a relay process needs to know."""
    return {
        **os.environ,
        "JOBSTREAM_BOOTSTRAP": log.bootstrap,
        "JOBSTREAM_PREFIX": log.topics.prefix,
        "JOBSTREAM_RELAY": "127.0.0.1:0",
    }


@contextlib.contextmanager
def relay_process(log: Log) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A relay as a process of its own, to be killed, and where it listens."""
    command = [sys.executable, "-m", "relay"]
    with subprocess.Popen(command, env=environ_of(log), stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        line = next(line for line in child.stderr if "relay started" in line)
        rest = threading.Thread(target=child.stderr.read)
        rest.start()
        try:
            found = re.search(r"address=(\S+)", line)
            assert found is not None
            yield child, found[1]
        finally:
            child.kill()
            rest.join()


def test_a_relay_process(log: Log) -> None:
    """`python -m relay` says that it started, drains at SIGTERM with exit code 0, and 78 for a
    setting that can't be.
    """
    environ, command = environ_of(log), [sys.executable, "-m", "relay"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert any("relay started" in line for line in child.stderr)
        child.terminate()
        assert "relay stopped leases_left=0" in child.stderr.read()
        assert child.wait(30) == 0
    bad = subprocess.run(
        command,
        env={**environ, "JOBSTREAM_RELAY": "nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bad.returncode == 78
    assert "relay must be host:port, got 'nowhere'" in bad.stderr


async def test_an_address_that_is_taken(log: Log, relay: Relay) -> None:
    """A second relay at the same address is told so, and the first one goes on."""
    with pytest.raises(RelayFailed, match=f"cannot listen at {relay.address}"):
        await Relay(settings_of(log, relay.address)).__aenter__()
    async with FakeMinion(relay.address, "m1"):
        pass


async def test_a_relay_whose_records_are_refused_ends(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """When Kafka does not take a receipt the relay says so and commits nothing: a restart goes on
    from the log.
    """
    monkeypatch.setattr(writer, "DELIVERY_TIMEOUT_MS", 1_000)
    dispatch = log.dispatch()
    async with Relay(settings_of(log)) as relay, FakeMinion(relay.address, "m1") as minion:
        await minion.grant(1)
        log.write(dispatch)
        [job] = await minion.take()
        log.remove(log.topics.receipts, log.topics.heartbeats)
        await minion.answer(job)
        async with asyncio.timeout(20):
            assert "Kafka did not take a" in await relay.failed()
    assert log.committed()[dispatch.partition] < 1
