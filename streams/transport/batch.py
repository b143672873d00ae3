"""One fetch, as the agent sees it: records in, one atomic write out.

Owns the shape of what crosses between the agent and the transport. Must never write, commit or decide by
itself: it hands over, once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from faust.types import TP

from streams.transport.membership import Membership

Header = tuple[str, bytes]


class Record(NamedTuple):
    """One record as it was read. `timestamp_ms` is epoch ms: the broker's time where the topic has
    LogAppendTime.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()


class Out(NamedTuple):
    """One record to write, always to an explicit partition; any tuple of these five will do.

    A `value` of None is a tombstone.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()


class Writes(NamedTuple):
    """What is to be written for one batch, by stage; see `Batch.write`."""

    first: Iterable[tuple[Any, ...]] = ()
    then: Iterable[tuple[Any, ...]] = ()
    early: Iterable[tuple[Any, ...]] = ()


class Position(NamedTuple):
    """How far a batch takes one source partition: it began `start` and the next record to read is `end`."""

    start: int
    end: int


class Batch:
    """All records of one fetch, in order per partition, of the topics of one agent.

    Iterate it for the records, or `by_partition()` for runs of one topic partition. Every batch must be
    written.
    """

    __slots__ = ("_hand_over", "membership", "positions", "records", "written_future")

    def __init__(
        self,
        records: Mapping[TP, Sequence[Record]],
        positions: Mapping[TP, Position],
        membership: Membership,
        hand_over: Callable[["Batch", Writes], Awaitable[None]],
    ) -> None:
        self.records = records
        self.positions = positions
        self.membership = membership
        self._hand_over = hand_over
        self.written_future: asyncio.Future[None] | None = None

    def __iter__(self) -> Iterator[Record]:
        """Every record, partition by partition, in order within each."""
        for run in self.records.values():
            yield from run

    def __len__(self) -> int:
        """The number of records."""
        return sum(map(len, self.records.values()))

    def by_partition(self) -> Iterable[tuple[TP, Sequence[Record]]]:
        """The records of each topic partition, in order."""
        return self.records.items()

    async def write(
        self,
        first: Iterable[tuple[Any, ...]] = (),
        then: Iterable[tuple[Any, ...]] = (),
        early: Iterable[tuple[Any, ...]] = (),
    ) -> None:
        """Hands over what this batch leads to; its records are then done. To be called exactly once.

        Args: first: changelog rows, facts: durable, in both modes, before anything of `then` is sent. In the
            transactional mode
                they become visible together with the offsets.
            then: what makes something run; it is sent outside of any transaction, so no reader waits for one.
            early: sent at once, before `first`, outside of any transaction; for what does no harm if it is
                sent twice, or for a batch that is never committed.

        Returns when the writer has it, not when it is durable: the next batch is decided meanwhile. What
        fails ends the process. After a crash the records are delivered again, unless their offsets were
        committed; `then` and `early` of committed records may be lost, so the owner of a partition is told
        after a restore which are in doubt.
        """
        await self._hand_over(self, Writes(first, then, early))

    def when_written(self, tell: Callable[[], object]) -> None:
        """Calls `tell` when everything of this batch is confirmed; it must have been handed over."""
        self._written().add_done_callback(lambda _: tell())

    async def written(self) -> None:
        """Returns when everything of this batch is confirmed: `first`, `then`, `early`, and in transactions
        the offsets.
        """
        await self._written()

    def _written(self) -> "asyncio.Future[None]":
        if self.written_future is None:
            raise RuntimeError(
                f"a batch of {len(self)} records must be written before its end can be waited for"
            )
        return self.written_future
