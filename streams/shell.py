"""The shell around the pure partitions of one worker: what ticks and makes queues, put together.

Owns the lives of the partitions: begun empty, restored, started, dropped. Must never decide anything about a
job, and knows no Faust: the host calls `assign`, `begin`, `recovered`, `decide` and `revoke`.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

from schemas.codec import encode
from schemas.defaults import WORKER_TOLD_S
from schemas.events import Worker
from schemas.settings import Settings, lanes
from schemas.topics import Topics
from streams.broker import Broker
from streams.cloudevents import headers_of
from streams.configs import Configs
from streams.crash import crash
from streams.duties import Duties
from streams.observer import Observer
from streams.partition import Partition
from streams.queues import Queues
from streams.record import Out, Record, Writes
from streams.ticker import Ticker

log = logging.getLogger("jobstream.streams")

Send = Callable[[Iterable[Out]], Awaitable[None]]
"""Writes records apart from those of a batch; returns when they are durable."""

SendEarly = Callable[[Iterable[Out]], None]
"""The same without waiting."""


def _reachable(web: str) -> str:
    """An address of pages as others reach it: one that means every address of the host becomes its name."""
    host, _, port = web.rpartition(":")
    return f"{socket.gethostname()}:{port}" if host.strip("[]") in {"0.0.0.0", "::"} else web  # noqa: S104  # read


class Shell:
    """One per worker."""

    def __init__(
        self,
        settings: Settings,
        send: Send,
        send_early: SendEarly,
        instance: str = "worker",
        observer: Observer | None = None,
    ) -> None:
        """`send` and `send_early` are the host's; `instance` is the worker's name in its group; `observer` is
        told of what is decided.
        """
        self._observer = observer
        self._headers_of = headers_of(settings.prefix) if settings.cloudevents == "yes" else None
        self.rebalances = 0
        """How often its partitions were assigned anew, and restored."""
        self.duties_before = Duties()
        """What was done for partitions that have gone since."""
        self.topics = Topics(settings.prefix, settings.partitions)
        self.partitions: dict[int, Partition] = {}
        self.queues = Queues(lanes=lanes(settings.ordered))
        self.recovered_line: str | None = None
        """What the last recovery said; None while the worker recovers."""
        self._send = send
        self._broker = Broker(settings.kafka, self.topics)
        self.ticker = Ticker(self.topics.timers, self.partitions, self._broker.ends, send_early)
        self._configs = Configs(settings.kafka, self.topics, self.partitions, send)
        self._tasks: list[asyncio.Task[None]] = []
        self._instance = instance
        self._web = _reachable(settings.web)
        self._assigned_at_s = time.monotonic()
        self._sent_again = 0

    async def start(self) -> None:
        """Makes sure that the topics are there, and starts the loops.

        Raises:
            BrokerProblem: no broker answers, or a topic has other partitions than the settings say.
        """
        for queue in await self._broker.prepare():
            self.queues.add(queue)
        self._run("the Ticker failed", self.ticker.tick_for_ever())
        self._run("following the config topic failed", self._configs.follow_for_ever())
        self._run("making queues failed", self.queues.make_for_ever(self._broker.make_queue))
        self._run("telling where the pages are failed", self._tell_for_ever())

    def _run(self, what: str, loop: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(loop, name=what)
        task.add_done_callback(_crash_if_failed)
        self._tasks.append(task)

    def assign(self, number: int) -> Partition:
        """This partition is ours from now on, and empty."""
        if not self.partitions:
            self._assigned_at_s = time.monotonic()
            self._sent_again = 0
        self.recovered_line = None
        self.ticker.forget(number)
        partition = Partition(number, self.topics, self.queues, self._observer, self._headers_of)
        self.partitions[number] = partition
        return partition

    def revoke(self, partition: Partition) -> None:
        """It is not ours any more."""
        self.recovered_line = None
        if self.partitions.get(partition.number) is partition:
            del self.partitions[partition.number]
            self.duties_before.add(partition.duties)

    async def begin(self, partition: Partition, doubtful: Mapping[str, range]) -> None:
        """Every row of a partition was restored: sends again what may not have left.

        Args:
            partition: it.
            doubtful: for each source topic, the offsets of records that are done, but what they led to may
                never have been sent; the next record of each is that at the end of its range.

        Raises:
            BadRow: a row can't be read.
        """
        again = partition.begin(
            {topic: offsets.stop for topic, offsets in doubtful.items()},
            {topic: offsets.start for topic, offsets in doubtful.items()},
        )
        await self._send(again.first)
        await self._send(again.then)
        self._sent_again += len(again.first) + len(again.then)

    async def recovered(self) -> None:
        """Every partition has begun, and records follow."""
        self.rebalances += 1
        await self.ticker.tick(list(self.partitions))  # the leases are listened for
        owned = list(self.partitions.values())
        now_ms, took_s = self.ticker.now_ms(), time.monotonic() - self._assigned_at_s
        rows = sum(len(partition.rows) for partition in owned)
        leases = sum(partition.rows.leases for partition in owned)
        overdue = sum(partition.rows.dues.count(now_ms) for partition in owned)
        self.recovered_line = (
            f"recovered partitions={len(owned)} rows={rows} leases={leases} overdue={overdue}"
            f" effects_sent_again={self._sent_again} in {took_s:.1f} s"
            if rows
            else f"nothing to recover, partitions={len(owned)}"
        )
        log.info("%s", self.recovered_line)
        await self._tell()

    async def _tell(self) -> None:
        """Writes where this worker's pages are, for doors that ask them."""
        worker = Worker(
            instance=self._instance,
            web=self._web,
            partitions=tuple(sorted(self.partitions)),
            at_ms=self.ticker.now_ms(),
        )
        await self._send([Out(self.topics.workers, 0, self._instance.encode(), encode(worker))])

    async def _tell_for_ever(self) -> None:
        while True:
            await asyncio.sleep(WORKER_TOLD_S)
            if self.recovered_line is not None:
                await self._tell()

    def decide(self, records: Iterable[Record]) -> Writes:
        """Applies records, and gives all that they lead to."""
        first: list[Out] = []
        then: list[Out] = []
        early: list[Out] = []
        for record in records:
            partition = self.partitions[record.partition]
            writes = partition.apply(record)
            first += writes.first
            then += writes.then
            early += writes.early
            if record.topic == self.topics.timers and partition.latest_tick is not None:
                self.ticker.applied(record, partition.latest_tick)
        return Writes(tuple(first), tuple(then), tuple(early))

    def confirmed(self, positions: Mapping[tuple[str, int], tuple[int, int]]) -> None:
        """What records led to is in the log: for each topic and partition, those from where to where."""
        for (topic, number), (_, end) in positions.items():
            if (partition := self.partitions.get(number)) is not None:
                partition.confirmed(topic, end)

    def stop(self) -> None:
        """Ends the loops."""
        for task in self._tasks:
            task.cancel()


def _crash_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        crash(task.get_name(), error)
