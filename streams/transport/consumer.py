"""Membership and delivery: aiokafka stays the group member, Faust's assignor places partitions, batches come
out.

Owns what is delivered to agents and when. Replaces, in Faust's aiokafka driver:

- `Consumer._drain_messages`: one batch per fetch instead of an Event, a Message and an ack per record.
- `Consumer.force_commit`, `wait_empty`, `stop_flow`: what is committed is what the ledger says is confirmed;
  a revoke or a stop waits for the batches in flight and then commits (stock looks at should_stop and does not
  wait on SIGTERM).
- `RebalanceListener.on_partitions_assigned`: the membership of this generation is noted, and everything is
  paused in aiokafka, which fetches nothing: source.py and restore.py do.
- `Consumer.perform_seek`: stock resumes source partitions *before* it seeks them to the committed offsets, so
  records are delivered twice or dropped. Here a generation begins once, with explicit offsets, when its state
  is restored.

Must never deliver a record of a generation that has not begun or is over.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from confluent_kafka import KafkaException
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service

from streams.transport import progress
from streams.transport.batch import Batch, Position
from streams.transport.crash import Exit, die
from streams.transport.ledger import Ledger
from streams.transport.membership import NO_GENERATION, Membership
from streams.transport.offsets import metadata
from streams.transport.progress import Progress
from streams.transport.source import Fetched
from streams.transport.writer import Mode

log = logging.getLogger(__name__)

SLOW_S: Final = 30.0
"""An agent that keeps a batch for so long is told of in the log."""

STUCK_S: Final = 120.0
"""An agent that keeps a batch for so long does not come back: the worker ends, and a restart goes on."""


class _RebalanceListener(driver.ConsumerRebalanceListener):
    """aiokafka's callbacks; they run in the consumer's thread."""

    _thread: "_ConsumerThread"

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        try:
            self._thread.joined(assigned)
            await super().on_partitions_assigned(assigned)
        except Exception as error:  # noqa: BLE001  # aiokafka would log it and go on
            die(Exit.MEMBERSHIP, "an assignment could not be taken over", error)


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread and event loop in which aiokafka lives. Its methods run there."""

    membership: Membership | None = None

    def joined(self, assigned: Iterable[TopicPartition]) -> None:
        """A new generation: who we are in it; and aiokafka fetches nothing of it."""
        consumer = self._ensure_consumer()
        consumer.pause(*assigned)
        conf = self.app.conf
        self.membership = Membership(
            consumer._coordinator, conf.consumer_group_instance_id, conf.broker_session_timeout
        )
        self._watch_heartbeats(consumer._coordinator, self.membership)

    @staticmethod
    def _watch_heartbeats(coordinator: Any, membership: Membership) -> None:
        """Notes when the last heartbeat was sent that the broker answered, which aiokafka keeps to itself.

        Ends a worker whose slot was taken: aiokafka would join again and take it back, and so on for ever.
        """
        do_heartbeat = type(coordinator)._do_heartbeat

        async def noted() -> bool:
            sent_at_s = time.monotonic()  # a process may be stopped until it reads the answer
            answered: bool = await do_heartbeat(coordinator)
            if answered:
                membership.heartbeat_at_s = sent_at_s
            elif membership.instance is not None and coordinator.generation == NO_GENERATION:
                die(Exit.FENCED, f"the slot {membership.instance} was taken by another process, or timed out")
            return answered

        coordinator._do_heartbeat = noted

    async def commit_confirmed(self, confirmed: Mapping[TP, int]) -> bool:
        """Commits as this member of this generation. False if the group has moved on: the records come again
        then.
        """
        writer = self.app.conf.broker_client_id
        offsets = {
            driver.ensure_aiokafka_TP(tp): (offset, metadata(offset, writer))
            for tp, offset in confirmed.items()
        }
        try:
            await self._ensure_consumer().commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            log.info("%d offsets were not committed, their records come again: %s", len(offsets), error)
            return False
        except KafkaError as error:
            die(Exit.MEMBERSHIP, f"offsets of {len(offsets)} partitions could not be committed", error)
        return True


class Consumer(driver.Consumer):
    """What Faust knows as `app.consumer`; lives in the app's event loop."""

    RebalanceListener = _RebalanceListener
    app: Any
    transport: Any
    _thread: _ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ledger = Ledger(self.transport.writer)
        self._source = self.transport.source
        self._queued: list[tuple[Batch, asyncio.Queue[Batch]]] = []
        self._membership: Membership | None = None
        self._stops = 0
        self._committing = asyncio.Lock()
        self._begun = asyncio.Event()

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def begin(self, generation: int, offsets: Mapping[TP, int]) -> bool:
        """State is restored: records are delivered, from these offsets on. False if the group moved on."""
        membership, stops = self._thread.membership, self._stops
        if membership is None or membership.generation != generation:
            return False
        self.ledger.confirmed()  # what is left from before belongs to the former generation
        self.resume_flow()
        self.app.flow_control.resume()
        await self._source.begin(generation, offsets)
        if self._stops != stops:
            return False
        self._membership = membership
        self._begun.set()
        return True

    def stop_flow(self) -> None:
        """Nothing is delivered any more, and what agents have not seen is taken back: a revoke, or a stop."""
        super().stop_flow()
        self._stops += 1
        self._membership = None
        self._begun.clear()
        self._source.end()
        for batch, channel in self._queued:
            if not channel.empty():
                channel.get_nowait()
                self.ledger.take_back(batch)
        self._queued.clear()

    async def _drain_messages(self, fetcher: Any) -> None:
        """Asks for all there is each time the agent has handed its batch over: an idle worker answers at
        once, and what came in while a busy one was deciding becomes its next batch.
        """
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._begun.wait()
                await self._agents_ready()
                fetched = await self._source.fetch()
                if fetched is not None:
                    self._deliver(fetched)
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise
        except Exception as error:  # noqa: BLE001  # a worker that stops fetching must not look alive
            die(Exit.FETCH, "records could not be fetched", error)

    @Service.task
    async def _watch_progress(self) -> None:
        """Ends a worker that has records to read and does not get on."""
        watch = Progress()
        while not self.should_stop:
            await self.sleep(progress.LOOK_S)
            positions = self._source.positions() if self._begun.is_set() and self.ledger.is_idle() else {}
            try:
                ends = await asyncio.to_thread(self.transport.log.stable_ends, positions)
            except KafkaException as error:
                log.debug("the ends of topics can't be asked for: %s", error)
                watch.forget()
                continue
            if (sentence := watch.look(positions, ends)) is not None and self._begun.is_set():
                die(Exit.FETCH, sentence)

    async def _agents_ready(self) -> None:
        kept_s = 0.0
        while kept_s < STUCK_S:
            try:
                async with asyncio.timeout(SLOW_S):
                    await self.ledger.turn()
                self._queued.clear()
                return
            except TimeoutError:
                kept_s += SLOW_S
                log.warning("an agent has kept its batch for %g s; every batch must be written", kept_s)
        die(Exit.AGENT, f"an agent has not written its batch for {STUCK_S:g} s")

    def _deliver(self, fetched: Fetched) -> None:
        membership = self._membership
        if membership is None or membership.generation != fetched.generation:
            return
        by_channel: dict[Any, list[TP]] = {}
        for tp in fetched.records:
            by_channel.setdefault(self._channel_of(tp), []).append(tp)
        for channel, tps in by_channel.items():
            records = {tp: fetched.records[tp] for tp in tps}
            positions = {tp: Position(run[0].offset, run[-1].offset + 1) for tp, run in records.items()}
            batch = self.ledger.deliver(records, positions, membership)
            channel.queue.put_nowait(batch)
            self._queued.append((batch, channel.queue))

    def _channel_of(self, tp: TP) -> Any:
        channels = self.app.topics._tp_index[tp]
        if len(channels) != 1:
            die(Exit.AGENT, f"{tp.topic} must be read by exactly one agent, {len(channels)} read it")
        return next(iter(channels))

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Called before each join, with all partitions: Faust's assignor is eager."""
        await super().on_partitions_revoked(revoked)
        for table in self.app.tables.values():
            table.revoke()

    async def wait_empty(self) -> None:
        """Waits for the batches in flight, then commits: the last thing done with partitions before they are
        given away. In transactions it says that nothing is in doubt any more, which can't be said before: a
        commit that overtakes the next transaction's would take its offsets back.
        """
        await self.ledger.settled()
        await self._commit_confirmed()

    async def on_stop(self) -> None:
        """A clean leave."""
        await self.wait_empty()
        await self._source.close()
        self.transport._topic_waiters.clear()

    async def force_commit(
        self,
        topics: Any = None,  # noqa: ARG002
        start_new_transaction: bool = True,  # noqa: ARG002, FBT001, FBT002
    ) -> bool:
        """Commits what is confirmed; in transactions that has happened already. Called every
        `broker_commit_interval`.
        """
        return self.transport.mode is Mode.IDEMPOTENT and await self._commit_confirmed()

    async def _commit_confirmed(self) -> bool:
        async with self._committing:
            confirmed = self.ledger.confirmed()
            return bool(confirmed) and bool(await self._in_thread(self._thread.commit_confirmed(confirmed)))

    def close(self) -> None:
        """Nothing: stock closes aiokafka from the wrong loop when it is told to stop within a rebalance;
        `stop` closes it.
        """

    async def perform_seek(self) -> None:
        """Nothing: a generation begins with explicit offsets."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: it looks at acks, which batches have none of, and calls paused partitions stuck."""

    async def _in_thread(self, coroutine: Any) -> Any:
        """Runs a coroutine in the consumer's thread, without the queue of Faust's `call_thread`."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._thread.thread_loop)
        return await asyncio.wrap_future(future)
