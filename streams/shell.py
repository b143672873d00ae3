"""The shell around the pure partitions of one worker: what writes, ticks and makes queues, put together.

Owns the lives of the partitions: begun empty, restored, started, dropped. Must never decide anything about a
job, and knows no Faust: the host calls `assign`, `begin`, `decide` and `settle`.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from schemas.settings import Settings
from schemas.topics import Topics
from streams.broker import Broker
from streams.committer import Commit, Committer, Place
from streams.crash import crash
from streams.partition import Partition
from streams.queues import Queues
from streams.record import Record
from streams.ticker import Ticker
from streams.writer import Writer

log = logging.getLogger("jobstream.streams")

STOP_S = 5.0
"""How long a worker that stops waits for its last writes."""


class Shell:
    """One per worker."""

    def __init__(self, settings: Settings, commit: Commit) -> None:
        """`commit` commits next offsets with the group membership of the host."""
        self.topics = Topics(settings.prefix, settings.partitions)
        self.partitions: dict[int, Partition] = {}
        self.queues = Queues()
        self.recovered_line: str | None = None
        """What the last recovery said; None while the worker recovers."""
        self._broker = Broker(settings.bootstrap, self.topics)
        self._writer = Writer(settings.bootstrap)
        self._committer = Committer(self._writer.write, commit)
        self.ticker = Ticker(self.topics.timers, self.partitions, self._broker.ends, self._writer.write)
        self._tasks: list[asyncio.Task[None]] = []
        self._assigned_at_s = time.monotonic()

    async def start(self) -> None:
        """Makes sure that the topics are there and the writer is warm, and starts the loops.

        Raises:
            BrokerProblem: no broker answers, or a topic has other partitions than the settings say.
            WriteFailed: no broker answers.
        """
        for queue in await self._broker.prepare():
            self.queues.add(queue)
        await self._writer.warm_up()  # after it, since it remembers how many partitions each topic has
        self._run("the Committer failed", self._committer.write_for_ever())
        self._run("committing offsets failed", self._committer.commit_for_ever())
        self._run("the Ticker failed", self.ticker.tick_for_ever())
        self._run(
            "making queues failed", self.queues.make_for_ever(self._broker.make_queue, self._queue_made)
        )

    def _run(self, what: str, loop: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(loop, name=what)
        task.add_done_callback(_crash_if_failed)
        self._tasks.append(task)

    def assign(self, numbers: Iterable[int]) -> None:
        """These partitions are ours from now on, and empty; all others are not."""
        self.recovered_line = None
        self._assigned_at_s = time.monotonic()
        self.ticker.forget()
        self.partitions.clear()
        for number in sorted(numbers):
            self.partitions[number] = Partition(number, self.topics, self.queues)

    async def begin(self, begins: Mapping[Place, int], committed: Mapping[Place, int | None]) -> None:
        """Every row was restored: the partitions go on at `begins`, and send again what may not have left.

        Args:
            begins: offset of the next record, by topic and partition.
            committed: committed offset, or None, by topic and partition: what lies before it was done with.
        """
        now_ms = self.ticker.now_ms()
        rows = leases = overdue = sent = 0
        for number, partition in list(self.partitions.items()):
            again = partition.begin(
                {topic: offset for (topic, of), offset in begins.items() if of == number},
                {topic: offset or 0 for (topic, of), offset in committed.items() if of == number},
            )
            await self._writer.write(again.first)
            await self._writer.write(again.then)
            rows += len(partition.rows)
            leases += partition.rows.leases
            overdue += partition.rows.dues.count(now_ms)
            sent += len(again.first) + len(again.then)
        # The writer is warm after it, and the leases are listened for.
        await self.ticker.tick(list(self.partitions))
        took_s = time.monotonic() - self._assigned_at_s
        self.recovered_line = (
            f"recovered partitions={len(self.partitions)} rows={rows} leases={leases} overdue={overdue}"
            f" effects_sent_again={sent} in {took_s:.1f} s"
            if rows
            else f"nothing to recover, partitions={len(self.partitions)}"
        )
        log.info("%s", self.recovered_line)

    async def decide(self, record: Record) -> None:
        """Applies one record and hands what it asks for to the Committer."""
        partition = self.partitions[record.partition]
        writes = partition.apply(record)
        if record.topic == self.topics.timers and partition.latest_tick is not None:
            self.ticker.applied(record, partition.latest_tick)
        await self._committer.put(record, writes)

    async def settle(self) -> None:
        """Returns when everything decided is durable and its offsets are committed."""
        await self._committer.settle()

    async def stop(self) -> None:
        """Settles, and lets go."""
        try:
            await asyncio.wait_for(self.settle(), STOP_S)
        except TimeoutError:
            log.warning(
                "the last writes were not confirmed within %.0f s; they are decided again at the next start",
                STOP_S,
            )
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self._writer.stop, STOP_S)

    async def _queue_made(self, queue: str) -> None:
        for number, partition in list(self.partitions.items()):
            if self.partitions.get(number) is partition:
                await self._committer.put(None, partition.queue_made(queue))


def _crash_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        crash(task.get_name(), error)
