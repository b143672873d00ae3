"""The Committer: writes what was decided, in order, and commits the offsets of what is durable.

Owns the order of effects on the log: rows and facts, then what makes something run, then the offsets, which
nothing else commits. Must never commit an offset whose writes are not confirmed, nor write on when one was
not.

What was decided while a write is under way goes out with the next: an idle worker answers at once, a busy one
groups.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import chain

from streams.record import Out, Record, Writes

PENDING_MAX = 2_000
"""Decided records that wait for their writes, after which deciding pauses."""

COMMIT_EVERY_S = 0.5
"""Offsets lag behind by no more than this: what a restart reads again."""

Place = tuple[str, int]
"""Topic and partition."""

Write = Callable[[Iterable[Out]], Awaitable[None]]
Commit = Callable[[Mapping[Place, int]], Awaitable[bool]]


class Committer:
    """One per worker. `put` is called in the order of decision, from one task."""

    def __init__(self, write: Write, commit: Commit) -> None:
        """`write` returns when its records are durable, or raises; `commit` takes next offsets."""
        self._write = write
        self._commit = commit
        self._pending: list[tuple[Record | None, Writes]] = []
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._committable: dict[Place, int] = {}
        self._committing = asyncio.Lock()

    async def put(self, record: Record | None, writes: Writes) -> None:
        """Takes over the writes of one record (None: of no record). Waits when too much is pending."""
        self._pending.append((record, writes))
        self._idle.clear()
        self._some.set()
        if len(self._pending) >= PENDING_MAX:
            self._room.clear()
            await self._room.wait()

    async def settle(self) -> None:
        """Returns when all that was put is durable, and its offsets are committed if the broker lets us."""
        await self._idle.wait()
        await self.commit()

    async def write_for_ever(self) -> None:
        """The loop that writes; raises what `write` raises."""
        while True:
            await self._some.wait()
            self._some.clear()
            group, self._pending = self._pending, []
            self._room.set()
            await self._write_stage(writes.first for _, writes in group)
            await self._write_stage(writes.then for _, writes in group)
            for record, _ in group:
                if record is not None:
                    self._committable[record.topic, record.partition] = record.offset + 1
            if not self._pending:
                self._idle.set()

    async def _write_stage(self, stages: Iterable[tuple[Out, ...]]) -> None:
        outs = list(chain.from_iterable(stages))
        if outs:
            await self._write(outs)

    async def commit_for_ever(self) -> None:
        """The loop that commits."""
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            await self.commit()

    async def commit(self) -> None:
        """Commits what is durable. What the broker refuses, as the group is changing, is read again later."""
        async with self._committing:
            if self._committable:
                offsets, self._committable = self._committable, {}
                await self._commit(offsets)
