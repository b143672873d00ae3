"""The Ticker: writes the clock of each partition into its log, as a Tick, when something in it is due. Never
blindly.

Owns the tick records. Must never decide anything: a tick is a record like any other, and what is due by its
time, the broker's, is decided where it is read. So a change of owner neither loses nor repeats a firing.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from schemas.codec import encode
from schemas.events import Tick
from streams.partition import Partition
from streams.record import Out, Record

LOOK_S = 0.01
"""How often due times are looked at, seconds, when none is nearer: one may become known at any time."""

SOON_S = 0.001
"""How soon again at the earliest, seconds: when a time comes, or a tick is awaited."""

SKEWS_KEPT = 8

UNASKED = 1 << 62
"""An end that nothing reaches: the tick decides nothing about what a minion may have."""

Ends = Callable[[Sequence[int]], Awaitable[Mapping[int, tuple[int, int]]]]
"""Asks the broker for the end offsets of receipts and heartbeats, by partition."""

Write = Callable[[Iterable[Out]], None]
"""Sends records at once, apart from those of a batch, and waits for nothing: what is not confirmed ends the
process. One partition's tick must not wait for what another's tick led to.
"""


class Ticker:
    """One per worker. At most one tick of a partition is under way at a time."""

    def __init__(
        self,
        timers: str,
        partitions: Mapping[int, Partition],
        ends: Ends,
        write: Write,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`timers` is the topic; `partitions` the worker's own, live; `clock` gives epoch seconds."""
        self._timers = timers
        self._partitions = partitions
        self._ends = ends
        self._write = write
        self._clock = clock
        self._under_way: set[int] = set()
        self._skews_ms: deque[int] = deque([0], maxlen=SKEWS_KEPT)

    def now_ms(self) -> int:
        """The broker's time as far as this worker can tell, epoch ms.

        Its own clock, put right by the least lag of the last ticks: what is due is due by the broker's clock,
        and a worker that is ahead of it would tick in vain.
        """
        return int(self._clock() * 1000) + min(self._skews_ms)

    def applied(self, record: Record, tick: Tick) -> None:
        """A tick came back and was applied; the next one of its partition may go."""
        self._skews_ms.append(record.timestamp_ms - tick.at_ms)
        self._under_way.discard(record.partition)

    def forget(self, number: int) -> None:
        """The partition begins anew: a tick that was under way may never come back."""
        self._under_way.discard(number)

    async def tick_for_ever(self) -> None:
        """The loop."""
        while True:
            await asyncio.sleep(self._look_in_s())
            await self.look()

    def _look_in_s(self) -> float:
        """When something may be due next that no tick under way is about."""
        times = [
            due_ms
            for number, partition in self._partitions.items()
            if number not in self._under_way and (due_ms := partition.next_due_ms()) is not None
        ]
        wait_s = (min(times) - self.now_ms()) / 1000 if times else LOOK_S
        return min(max(wait_s, SOON_S), SOON_S * 2 if self._under_way else LOOK_S)

    async def look(self) -> None:
        """Writes a tick for every partition in which something is due now, unless one is under way.

        Only what a minion may have waits until the broker has said where the sources end.
        """
        now_ms = self.now_ms()
        owned = self._partitions.items()
        due = {number: one for number, one in owned if self._is_due(number, one, now_ms)}
        asking = [number for number, partition in due.items() if partition.is_minion_next()]
        self._send(dict.fromkeys(due.keys() - asking, (UNASKED, UNASKED)))
        if asking:
            await self.tick(asking)

    def _is_due(self, number: int, partition: Partition, now_ms: int) -> bool:
        if number in self._under_way:
            return False
        due_ms = partition.next_due_ms()
        return due_ms is not None and due_ms <= now_ms

    async def tick(self, numbers: Sequence[int]) -> None:
        """Sends the clocks of these partitions, with the ends of their sources."""
        self._send(await self._ends(numbers))

    def _send(self, ends: Mapping[int, tuple[int, int]]) -> None:
        outs = []
        for number, (receipts_end, heartbeats_end) in ends.items():
            tick = Tick(
                partition=number,
                at_ms=int(self._clock() * 1000),
                receipts_end=receipts_end,
                heartbeats_end=heartbeats_end,
            )
            outs.append(Out(self._timers, number, None, encode(tick)))
            self._under_way.add(number)
        if outs:
            self._write(outs)
