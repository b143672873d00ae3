"""The job table as Faust sees it: a table whose rows lie in the worker's partitions, and a store that
restores them.

Owns the bridge between Faust's recovery and `streams.partition`. Must never write the changelog (the
Committer does, with everything else), nor keep a row of a partition that was taken away.
"""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any, cast

import faust
from faust.stores.base import Store
from faust.types import TP, EventT
from yarl import URL

from schemas.topics import Topics
from streams.core.status import job_status, schedule_status
from streams.crash import crash
from streams.rows import JOB_ROW, SCHEDULE_ROW, split
from streams.shell import Shell
from streams.stock import TableManager


class PartitionStore(Store[Any, Any]):
    """The rows of the assigned partitions, in memory, per partition. All of them go when partitions move."""

    def __init__(self, *arguments: Any, shell: Shell, **options: Any) -> None:
        """`shell` has the partitions; the rest is Faust's."""
        self.shell = shell
        super().__init__(*arguments, **options)

    async def on_rebalance(
        self,
        assigned: AbstractSet[TP],
        revoked: AbstractSet[TP],
        newly_assigned: AbstractSet[TP],
        generation_id: int = 0,
    ) -> None:
        """Drops every partition and begins the assigned ones anew: a generation starts from the log.

        A partition that this worker seems to have kept may have had another owner in between.
        """
        state = self.shell.topics.state
        self.shell.assign({tp.partition for tp in assigned if tp.topic == state})

    def apply_changelog_batch(
        self, batch: Iterable[EventT[Any]], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        """Restores rows. Faust would log an exception and go on without them; here it ends the process."""
        try:
            for event in batch:
                message = event.message
                self.shell.partitions[message.partition].restore(message.key or b"", message.value)
        except Exception as error:  # noqa: BLE001  whatever it is, a partition with holes must not be worked on
            crash("a row of the job table can't be restored", error)

    async def on_recovery_completed(self, active_tps: AbstractSet[TP], standby_tps: AbstractSet[TP]) -> None:
        """Every row is there: lets the partitions begin where their topics go on."""
        recovery = cast("TableManager", self.app.tables).recovery
        await self.shell.begin(
            {(tp.topic, tp.partition): offset for tp, offset in recovery.begins.items()},
            {(tp.topic, tp.partition): offset for tp, offset in recovery.committed.items()},
        )

    def persisted_offset(self, tp: TP) -> int | None:
        """None: nothing is kept on disk."""
        return None

    def reset_state(self) -> None:
        """Nothing is kept on disk."""

    async def backup_partition(
        self, tp: TP | int, flush: bool = True, purge: bool = False, keep: int = 1
    ) -> None:
        """Nothing is kept on disk."""

    def restore_backup(self, tp: TP | int, latest: bool = True, backup_id: int = 0) -> None:
        """Nothing is kept on disk."""

    def __getitem__(self, key: str | bytes) -> dict[str, object]:
        """One row for Faust's own table pages, as JSON-ready values; its key is `j:<job id>` or `s:<schedule
        id>`.
        """
        name = key.decode(errors="replace") if isinstance(key, bytes) else key
        kind, id = split(name)
        now_ms = self.shell.ticker.now_ms()
        for partition in self.shell.partitions.values():
            if kind == JOB_ROW and id in partition.jobs:
                row = partition.jobs[id]
                return job_status(row, now_ms, partition.rows.args(row))
            if kind == SCHEDULE_ROW and id in partition.schedules:
                return schedule_status(partition.schedules[id], now_ms)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """The keys of all rows."""
        for partition in self.shell.partitions.values():
            yield from (JOB_ROW + id for id in partition.jobs)
            yield from (SCHEDULE_ROW + id for id in partition.schedules)

    def __len__(self) -> int:
        """How many rows there are."""
        return sum(len(partition.rows) for partition in self.shell.partitions.values())

    def __contains__(self, key: object) -> bool:
        """True if there is such a row."""
        return isinstance(key, str | bytes) and self._has(key)

    def _has(self, key: str | bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True


class JobTable(faust.Table[Any, Any]):
    """The table of jobs and schedules. Records change its rows, and the Committer writes them."""

    def __init__(self, app: faust.App, shell: Shell, topics: Topics, **options: Any) -> None:
        """Its changelog is the state topic of the prefix, with as many partitions as every source."""
        self.shell = shell
        super().__init__(
            app,
            name="jobs",
            help="Jobs and schedules, by j:<job id> and s:<schedule id>.",
            partitions=topics.partitions,
            changelog_topic=raw_topic(app, topics.state),
            key_type=bytes,
            value_type=bytes,
            **options,
        )

    def _new_store_by_url(self, url: str | URL) -> PartitionStore:
        return PartitionStore(url, self.app, self, table_name=self.name, shell=self.shell)


def raw_topic(app: faust.App, *names: str) -> Any:
    """One channel over topics, of bytes as they are.

    Faust decodes nothing (its decode errors skip the record), and acknowledges nothing: the Committer commits
    what is durable. Stock Faust acknowledges an event that it skips because a rebalance began.
    """
    return app.topic(
        *names,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        acks=False,
        allow_empty=True,
    )
