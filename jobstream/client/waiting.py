"""Waits for the ends of jobs: which partitions of the facts are read, and from where. It owns no thread and
no socket.

A job's facts come after its submit, so reading from an end offset taken before the submit misses none. That
offset is
looked up in the background every few seconds, never per job: an older one only means more to read. Nothing
is read while nobody waits. It must never start a partition later than the first fact that a live watch may
need.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from jobstream.client.reader import FactReader
from jobstream.client.watch import Watch, Watches, result_of
from jobstream.errors import JobstreamError, JobUnknown, NotReachable, WaitTimedOut
from schemas.events import Fact

log = logging.getLogger(__name__)

ENDS_FRESH_S = 5.0
"""How old the noted end offsets may be before they are looked up again."""
IDLE_S = 30.0
"""How long a partition is read on after its last waiter left."""
UNKNOWN_GRACE_S = 2.0
"""How long a job that the service does not know yet may take to be admitted."""
AWAY_GRACE_S = 10.0
"""How long the status pages may be away before a waiter is told: a worker is replaced in that time."""
AWAY_POLL_S = 0.25
"""How often they are asked meanwhile."""

Fits = Callable[[Fact], bool]
"""Whether a fact answers a question."""
LookEnds = Callable[[], list[int]]
"""Asks Kafka for the end offset of each partition of the facts. Blocks. Raises NotReachable."""
LookUp = Callable[[Watch], Awaitable[Fact | None]]
"""Asks the service for the end of a job; None if it has not ended. Raises JobUnknown, NotReachable."""


class Waiting:
    """What one client waits for. Bound to the event loop it is made in."""

    def __init__(self, reader: FactReader, watches: Watches, look_ends: LookEnds, look_up: LookUp) -> None:
        self._reader = reader
        self._watches = watches
        self._look_ends = look_ends
        self._look_up = look_up
        self._loop = asyncio.get_running_loop()
        self._ends: list[int] = []
        self._ends_at = 0.0
        self._refresh: asyncio.Task[None] | None = None
        self._waiters: dict[int, int] = {}
        self._idle: dict[int, asyncio.TimerHandle] = {}
        self._resume: dict[int, int] = {}

    async def open(self) -> None:
        """Looks up the end offsets for the first time.

        Raises:
            NotReachable: Kafka does not answer.
        """
        await self._note_ends()

    async def close(self) -> None:
        """Forgets the timers and the task under way."""
        for timer in self._idle.values():
            timer.cancel()
        if self._refresh is not None and not self._refresh.done():
            self._refresh.cancel()
            await asyncio.wait([self._refresh])

    def since(self, partition: int) -> int:
        """An offset before every fact of a job that is submitted after this call."""
        old = self._loop.time() - self._ends_at > ENDS_FRESH_S
        if old and (self._refresh is None or self._refresh.done()):
            self._refresh = self._loop.create_task(self._freshen())
        return self._ends[partition]

    async def _freshen(self) -> None:
        try:
            await self._note_ends()
        except JobstreamError as error:
            log.info("ends_unknown why=%s", error)

    async def _note_ends(self) -> None:
        asked_at = self._loop.time()
        self._ends = await asyncio.to_thread(self._look_ends)
        self._ends_at = asked_at

    async def result(self, watch: Watch, timeout_s: float | None) -> Any:
        """Waits until the job has ended; its result.

        Raises:
            JobEnded: It ended otherwise than by success.
            JobUnknown: This client did not submit it, and the service does not know it.
            NotReachable: Its end lies before this client's time, and the status pages do not answer for 10 s.
            WaitTimedOut: It has not ended in `timeout_s` seconds.
        """
        if watch.end is None:
            self._hold(watch)
            try:
                async with asyncio.timeout(timeout_s):
                    await self._until_ended(watch)
            except TimeoutError:
                raise WaitTimedOut(
                    f"job {watch.id} had not ended after {timeout_s:g} s; it goes on all the same"
                ) from None
            finally:
                self._release(watch.partition)
        assert watch.end is not None
        return result_of(watch.end)

    async def _until_ended(self, watch: Watch) -> None:
        while watch.end is None:
            if watch.twin is not None:
                watch.end = await self._end_of_twin(watch, watch.twin)
            elif watch.foreign:
                await self._ask(watch)
            else:
                await self._news(watch, None)

    async def _end_of_twin(self, watch: Watch, id: str) -> Fact | None:
        """The end of the job that is the answer in place of another: its facts are in the same partition."""
        twin = self._twin_of(watch, id)
        await self._until_ended(twin)
        return twin.end

    def _twin_of(self, watch: Watch, id: str) -> Watch:
        return self._watches.open(id, watch.key, watch.partition, watch.since, foreign=True)

    async def _ask(self, watch: Watch) -> None:
        """Asks the service about a job whose end may lie before what is read."""
        watch.foreign = False
        try:
            end = await self._answer_of_the_pages(watch)
        except JobUnknown:
            await self._news(watch, UNKNOWN_GRACE_S)
            end = watch.end or await self._answer_of_the_pages(watch)
        watch.end = watch.end or end

    async def _answer_of_the_pages(self, watch: Watch) -> Fact | None:
        """Asks until there is an answer: a worker that is being started again answers soon, and a fact may
        come first.
        """
        until = self._loop.time() + AWAY_GRACE_S
        while watch.end is None:
            try:
                return await self._look_up(watch)
            except NotReachable:
                if self._loop.time() > until:
                    raise
                await self._news(watch, AWAY_POLL_S)
        return watch.end

    async def _news(self, watch: Watch, timeout_s: float | None) -> None:
        """Waits for a fact that ends the job, or for so long."""
        waiter = self._loop.create_future()
        watch.waiters.append(waiter)
        try:
            await asyncio.wait([waiter], timeout=timeout_s)
        finally:
            watch.waiters.remove(waiter)

    async def follow(self, watch: Watch) -> AsyncGenerator[Fact]:
        """Every fact of the job from now on, until its end. A job that has ended gives its last fact
        alone.
        """
        facts: asyncio.Queue[tuple[int, Fact]] = asyncio.Queue()
        watch.followers.append(facts)
        self._reader.want_everything(+1)
        self._hold(watch)
        try:
            if watch.foreign:
                await self._ask(watch)
            fact = watch.end
            if fact is not None:
                yield fact
            while fact is None or fact is not watch.end:
                if watch.twin is not None and watch.end is None:
                    async for told in self.follow(self._twin_of(watch, watch.twin)):
                        yield told
                    return
                _, fact = await facts.get()
                yield fact
        finally:
            self._release(watch.partition)
            self._reader.want_everything(-1)
            watch.followers.remove(facts)

    async def answer(
        self, watch: Watch, wanted: AbstractSet[str], writing: Awaitable[None], within_s: float
    ) -> Fact:
        """Writes something, and waits for the first fact among `wanted` that was written after it.

        Raises:
            NotReachable: Kafka does not answer.
            WaitTimedOut: None came in `within_s` seconds after it was written.
        """
        [fact] = await self.answers([watch], lambda fact: fact.fact in wanted, writing, within_s)
        if fact is None:
            raise WaitTimedOut(f"the service did not answer about {watch.id} within {within_s:g} s")
        return fact

    async def answers(
        self, watches: Sequence[Watch], fits: Fits, writing: Awaitable[None], within_s: float
    ) -> list[Fact | None]:
        """Writes something, and waits for the first fact about each watch that fits and was written after it.

        Returns:
            In the order of the watches; None for those that had none in `within_s` seconds after the write.

        Raises:
            NotReachable: Kafka does not answer.
        """
        queues: list[asyncio.Queue[tuple[int, Fact]]] = [asyncio.Queue() for _ in watches]
        for watch, facts in zip(watches, queues, strict=True):
            watch.followers.append(facts)
            self._hold(watch)
        self._reader.want_everything(+1)
        try:
            await self._note_ends()
            firsts = [self._ends[watch.partition] for watch in watches]
            await writing
            found: list[Fact | None] = [None] * len(watches)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    for index, (facts, first) in enumerate(zip(queues, firsts, strict=True)):
                        found[index] = await _first(facts, first, fits)
            return found
        finally:
            self._reader.want_everything(-1)
            for watch, facts in zip(watches, queues, strict=True):
                self._release(watch.partition)
                watch.followers.remove(facts)

    def _hold(self, watch: Watch) -> None:
        """Reads the watch's partition, from the first fact that this or another live watch may need."""
        partition = watch.partition
        idle = self._idle.pop(partition, None)
        if idle is not None:
            idle.cancel()
        elif partition not in self._waiters:
            first = min((other.since for other in self._watches.open_ended(partition)), default=watch.since)
            self._reader.begin(partition, max(first, self._resume.get(partition, 0)))
        self._waiters[partition] = self._waiters.get(partition, 0) + 1

    def _release(self, partition: int) -> None:
        self._waiters[partition] -= 1
        if self._waiters[partition] == 0:
            self._idle[partition] = self._loop.call_later(IDLE_S, self._drop, partition)

    def _drop(self, partition: int) -> None:
        """Nobody has waited for a while: what was read up to here is not read again."""
        del self._idle[partition], self._waiters[partition]
        position = self._reader.end(partition)
        if position is not None:
            self._resume[partition] = position


async def _first(facts: asyncio.Queue[tuple[int, Fact]], offset: int, fits: Fits) -> Fact:
    """The first fact from an offset on that fits."""
    while True:
        at, fact = await facts.get()
        if at >= offset and fits(fact):
            return fact
