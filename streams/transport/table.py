"""State per partition: born at assignment, restored from the changelog, dropped at revoke.

Owns the objects that keep a partition's rows. Replaces Faust's `Table` and its store, which write a changelog
record that nobody waits for at each `table[key] = value` (hazards H3, H4) and keep rows of partitions that
were revoked (H7). Must never write: changelog rows are part of what the agent hands to `batch.write`. Must
never keep anything of a partition that is not owned.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn, Protocol

import faust
from aiokafka.partitioner import DefaultPartitioner
from faust.stores.base import Store as FaustStore
from faust.types import TP

from streams.transport.snapshot import Shelf

log = logging.getLogger(__name__)

CHUNK_ROWS = 1_000

Row = tuple[bytes, bytes | None]
"""One changelog record: key, and value or None for a tombstone."""


class PartitionState(Protocol):
    """What keeps one partition of a table. Made by `partition_state(number)` at each assignment, also of a
    partition that this worker had before; all its methods are called in the app's event loop.
    """

    @property
    def rows(self) -> Mapping[Any, Any]:
        """For Faust's web views; the agent uses whatever else the object has."""

    def restore(self, records: Sequence[Row]) -> None:
        """A run of changelog records, in log order; thousands at a time."""

    def restored(self, doubtful: Mapping[str, range]) -> Awaitable[None] | None:
        """State is complete; records follow when this returns.

        `doubtful` has for each source topic the offsets of records that are done, but what they led to in
        `then` and `early` may never have been sent: it has to be sent again, best from here (`await
        writer_of(app).send(outs)`). Records from the end of the range on are delivered (again).
        """

    def revoked(self) -> None:
        """It is another worker's now, or about to be restored anew. All its batches were written before."""


class Rows:
    """The plainest `PartitionState`: a dict from key bytes to value bytes."""

    layout = "rows-1"

    def __init__(self, number: int) -> None:
        self.number = number
        self.rows: dict[bytes, bytes] = {}

    def restore(self, records: Sequence[Row]) -> None:
        """The last value of each key counts."""
        for key, value in records:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def restored(self, doubtful: Mapping[str, range]) -> Awaitable[None] | None:
        """A plain dict leads to nothing."""

    def revoked(self) -> None:
        """Nothing to let go."""

    def save(self) -> Iterator[bytes]:
        """The rows as pairs in hexadecimal, a thousand to a chunk."""
        names = iter(list(self.rows))
        while some := list(islice(names, CHUNK_ROWS)):
            pairs = [(key, row) for key in some if (row := self.rows.get(key)) is not None]
            if pairs:
                yield "\n".join(f"{key.hex()} {row.hex()}" for key, row in pairs).encode()

    def load(self, chunk: bytes) -> None:
        """The opposite."""
        for line in chunk.decode().split("\n"):
            key, _, value = line.partition(" ")
            self.rows[bytes.fromhex(key)] = bytes.fromhex(value)


class Store(FaustStore[Any, Any]):
    """The store behind the table: `{partition number: PartitionState}`, seen as one mapping by Faust's web
    views.
    """

    def __post_init__(self) -> None:
        self.partitions: dict[int, PartitionState] = {}
        self.data: Any = _Owned(self.partitions)

    def assign(self, numbers: set[int], make: Callable[[int], PartitionState]) -> None:
        """Starts anew: what a partition held before this generation is not trusted."""
        self.revoke()
        for number in sorted(numbers):
            self.partitions[number] = make(number)

    def revoke(self) -> None:
        """Lets go of everything."""
        for state in self.partitions.values():
            state.revoked()
        self.partitions.clear()

    def persisted_offset(self, tp: TP) -> None:
        """Nothing is kept outside of Kafka."""

    def apply_changelog_batch(self, batch: Any, to_key: Any, to_value: Any) -> NoReturn:
        """Never called: restore.py reads changelogs."""
        raise NotImplementedError

    async def backup_partition(self, *args: Any, **kwargs: Any) -> NoReturn:
        """There is nothing to back up: state is in Kafka."""
        raise NotImplementedError

    def restore_backup(self, *args: Any, **kwargs: Any) -> NoReturn:
        """As `backup_partition`."""
        raise NotImplementedError

    def reset_state(self) -> None:
        """Nothing outside of memory."""


class _Owned(Mapping[Any, Any]):
    """All rows of all owned partitions, for reading."""

    def __init__(self, partitions: Mapping[int, PartitionState]) -> None:
        self._partitions = partitions

    def __getitem__(self, key: Any) -> Any:
        for state in self._partitions.values():
            if key in state.rows:
                return state.rows[key]
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        for state in self._partitions.values():
            yield from state.rows

    def __len__(self) -> int:
        return sum(len(state.rows) for state in self._partitions.values())


class Table(faust.Table[Any, Any]):
    """Takes the place of `faust.Table` by the setting `Table`; `app.Table("name",
    partition_state=MyPartition, ...)`.
    """

    def __init__(
        self,
        *args: Any,
        partition_state: Callable[[int], PartitionState] = Rows,
        partition_of: Callable[[bytes], int] | None = None,
        snapshots: Path | None = None,
        **kwargs: Any,
    ) -> None:
        """`partition_of` tells the partition of a row from its key, for Faust's web views, which ask the
        worker that owns it; without it rows are where Kafka's default partitioner puts their keys.

        `snapshots` is a directory that no other worker uses at the same time: what the partitions hold is
        saved there from time to time, so that a restore reads only what came after. It may be deleted when no
        worker uses it. Its states must be `keeper.Saved` then.
        """
        super().__init__(*args, **kwargs)
        self._snapshots = snapshots
        self._partition_state = partition_state
        self._partition_of = partition_of

    def _new_store_by_url(self, url: Any) -> Store:
        return Store(url, self.app, self, table_name=self.name, loop=self.loop)

    def info(self) -> Mapping[str, Any]:
        """What a clone of it is made from."""
        return {
            **super().info(),
            "partition_state": self._partition_state,
            "partition_of": self._partition_of,
            "snapshots": self._snapshots,
        }

    @property
    def shelf(self) -> Shelf | None:
        """Where its snapshots are; None: there are none."""
        return None if self._snapshots is None else Shelf(self._snapshots / self.changelog_topic_name)

    def partition_of(self, key: bytes) -> int:
        """The partition that has the row of this key, if any has."""
        if self._partition_of is not None:
            return self._partition_of(key)
        count = self.app.consumer.topic_partitions(self.changelog_topic_name) or self.partitions
        assert count, f"table {self.name} must know its partitions before a row is looked for"
        return int(DefaultPartitioner()(key, range(count), range(count)))

    def partition(self, number: int) -> Any:
        """The object that keeps partition `number`.

        Raises:
            KeyError: this worker does not own it.
        """
        return self._kept.partitions[number]

    @property
    def owned(self) -> Mapping[int, Any]:
        """Every partition that this worker owns, restored or about to be."""
        return self._kept.partitions

    @property
    def _kept(self) -> Store:
        store: Any = self.data
        return store  # type: ignore[no-any-return]

    async def on_rebalance(
        self,
        assigned: set[TP],
        revoked: set[TP],  # noqa: ARG002
        newly_assigned: set[TP],  # noqa: ARG002
        generation_id: int = 0,  # noqa: ARG002
    ) -> None:
        """A new generation: every partition starts anew, also those that stay."""
        changelog = self.changelog_topic_name
        self._kept.assign({tp.partition for tp in assigned if tp.topic == changelog}, self._partition_state)

    def revoke(self) -> None:
        """The partitions are given away, or may be; called when the batches in flight are committed."""
        self._kept.revoke()

    def on_key_set(self, key: Any, value: Any) -> NoReturn:  # noqa: ARG002
        """Refuses."""
        raise TypeError(
            f"row {key!r} of table {self.name} must be written with batch.write(first=...), not by assignment"
        )

    def on_key_del(self, key: Any) -> NoReturn:
        """Refuses."""
        raise TypeError(
            f"row {key!r} of table {self.name} must be deleted by a tombstone in batch.write(first=...)"
        )
