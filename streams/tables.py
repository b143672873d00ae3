"""The job table as Faust sees it: a table whose rows lie in the worker's partitions.

Owns the bridge between the transport's restore and `streams.partition`. Must never write the changelog, which
the agent hands over with everything else, nor keep a row of a partition that was taken away.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import faust
from faust.app import router as faust_router
from faust.web import Request, Response, Web

from streams import saving
from streams.core.status import job_status, schedule_status
from streams.rows import JOB_ROW, SCHEDULE_ROW, split
from streams.shell import Shell
from streams.transport.table import Row


class JobPartition:
    """One partition of the table, for as long as this worker owns it: a `transport.PartitionState`."""

    layout = saving.LAYOUT

    def __init__(self, shell: Shell, number: int) -> None:
        """Empty; `shell` decides on it from now on."""
        self._shell = shell
        self._partition = shell.assign(number)
        self.rows: Mapping[Any, Any] = RowView(shell, number)
        """For Faust's own table pages."""

    def restore(self, records: Sequence[Row]) -> None:
        """Takes a run of the changelog."""
        for key, value in records:
            self._partition.restore(key, value)

    async def restored(self, doubtful: Mapping[str, range]) -> None:
        """Every row is there: reads them, and sends again what may not have left.

        Raises:
            BadRow: one can't be read; it ends the process, as a partition with holes must not be worked on.
        """
        await self._shell.begin(self._partition, doubtful)

    def revoked(self) -> None:
        """It is no longer ours."""
        self._shell.revoke(self._partition)

    def save(self) -> Iterator[bytes]:
        """Its rows, for a snapshot."""
        return saving.save(self._partition.rows)

    def load(self, chunk: bytes) -> None:
        """The opposite."""
        saving.load(self._partition.rows, chunk)


class RowView(Mapping[str, dict[str, object]]):
    """The rows of one partition as JSON-ready values, by `j:<job id>` and `s:<schedule id>`."""

    def __init__(self, shell: Shell, number: int) -> None:
        """Of partition `number`, while the worker has it."""
        self._shell = shell
        self._number = number

    def __getitem__(self, key: str | bytes) -> dict[str, object]:
        """One row.

        Raises:
            KeyError: there is none.
        """
        name = key.decode(errors="replace") if isinstance(key, bytes) else key
        kind, id = split(name)
        partition, now_ms = self._shell.partitions[self._number], self._shell.ticker.now_ms()
        if kind == JOB_ROW and id in partition.jobs:
            row = partition.jobs[id]
            limits = partition.limits(row.spec.queue, now_ms)
            return job_status(row, now_ms, partition.rows.args(row), partition.rows.config, limits)
        if kind == SCHEDULE_ROW and id in partition.schedules:
            return schedule_status(partition.schedules[id], now_ms)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """The keys of all rows."""
        partition = self._shell.partitions[self._number]
        yield from (JOB_ROW + id for id in partition.jobs)
        yield from (SCHEDULE_ROW + id for id in partition.schedules)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._shell.partitions[self._number].rows)


class Router(faust_router.Router):
    """Answers table pages from this worker's own rows.

    Faust looks for the owner of a row by the hash of the row's key; here a row is where its job's key says.
    """

    async def route_req(self, table_name: str, key: Any, web: Web, request: Request) -> Response:
        """Asks no other worker."""
        raise faust_router.SameNode  # type: ignore[attr-defined]


def add_table(app: faust.App, shell: Shell, snapshots: Path) -> None:
    """Gives the app the table of jobs and schedules. Its changelog is the state topic of the prefix, with as
    many partitions as every source; `snapshots` is a directory of this worker's own.
    """
    app.Table(
        "jobs",
        help="Jobs and schedules, by j:<job id> and s:<schedule id>.",
        partitions=shell.topics.partitions,
        changelog_topic=raw_topic(app, shell.topics.state),
        key_type=bytes,
        value_type=bytes,
        partition_state=lambda number: JobPartition(shell, number),
        snapshots=snapshots,
    )


def raw_topic(app: faust.App, *names: str) -> Any:
    """One channel over topics, of bytes as they are."""
    return app.topic(
        *names,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        allow_empty=True,
    )
