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

RESOLUTION_S = 0.01
"""How often due times are looked at, seconds: about half of it is the mean lateness this adds."""

SKEWS_KEPT = 8

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
            await asyncio.sleep(RESOLUTION_S)
            await self.look()

    async def look(self) -> None:
        """Writes a tick for every partition in which something is due now, unless one is under way."""
        now_ms = self.now_ms()
        owned = self._partitions.items()
        due = [number for number, partition in owned if self._is_due(number, partition, now_ms)]
        if due:
            await self.tick(due)

    def _is_due(self, number: int, partition: Partition, now_ms: int) -> bool:
        if number in self._under_way:
            return False
        due_ms = partition.next_due_ms()
        return due_ms is not None and due_ms <= now_ms

    async def tick(self, numbers: Sequence[int]) -> None:
        """Sends the clocks of these partitions."""
        ends = await self._ends(numbers)
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
        self._write(outs)
