"""From an assignment to state that is complete: committed offsets, the changelog in bulk, then the first record.

Owns the time between "partitions assigned" and "records are delivered". Replaces Faust's `Recovery` (stock restores one Event
at a time, may apply a record to the wrong table (hazard H9), swallows failures (H10), and finds the end by counting
records, which never ends where transaction markers have offsets). Hooks: the setting `TableManager`, its property
`recovery`, the service tasks `_restart_recovery` and `_slurp_changelogs`.

The order is what makes it right, and must not be changed:

1. committed offsets, stable ones: an offset in a transaction that is not decided is waited for. From here on no
   transaction of a former owner can commit offsets: the broker checks the generation.
2. the end of the changelog, open transactions included. Rows of every transaction decided in 1 lie before it.
3. the changelog from its beginning to that end, by position, read_committed: rows of aborted transactions are skipped.
4. `restored(settled)` of each partition, then records from the offsets of 1.

Must never deliver from an offset that is newer than the rows, and never go on after a failure: it ends the process.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from faust.tables.manager import TableManager as FaustTableManager
from faust.tables.recovery import Recovery
from faust.types import TP
from mode import Service
from mode.utils.futures import maybe_async

from streams.transport.crash import Exit, die
from streams.transport.table import PartitionState, Row
from streams.transport.writer import SETTLED

log = logging.getLogger(__name__)

ASK_S: Final = 30.0
"""How long the broker may take for an answer about offsets."""

CHUNK_RECORDS: Final = 10_000
"""Records handed to the partitions at a time: some tens of milliseconds of work between two looks at other things."""

POLL_S: Final = 0.1
"""How soon a restore that is no longer wanted is noticed."""

END_WAIT_MS: Final = 10
"""How long the broker may hold the empty answer back that tells of the end of a changelog."""


class Committed(NamedTuple):
    """Where a source partition goes on. `offset` is None where nothing was ever committed; for `settled` see table.py."""

    offset: int | None
    settled: int


class Log:
    """Reads committed offsets and changelogs with librdkafka, without being a member of the group. Blocks: not for the event loop.

    aiokafka can't do either: its OffsetFetch has no `require_stable` (after a transaction it may answer with the offset
    before it), and its end offsets are those of its isolation level, so before open transactions.
    """

    def __init__(self, config: Mapping[str, Any], group: str) -> None:
        self._admin = AdminClient(dict(config))
        self._consumer = Consumer(
            dict(config)
            | {
                "group.id": group,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": END_WAIT_MS,
            }
        )

    def committed(self, sources: Iterable[TP]) -> dict[TP, Committed]:
        """The stable committed offset of each source partition."""
        answer = self._consumer.committed([TopicPartition(tp.topic, tp.partition) for tp in sources], ASK_S)
        return {TP(place.topic, place.partition): _committed(place) for place in answer}

    def ends(self, changelogs: Iterable[TP]) -> dict[TP, int]:
        """The end offset of each changelog partition, what open transactions wrote included."""
        wanted = {TopicPartition(tp.topic, tp.partition): OffsetSpec.latest() for tp in changelogs}
        if not wanted:
            return {}
        answers = self._admin.list_offsets(
            wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=ASK_S
        )
        return {TP(place.topic, place.partition): answer.result().offset for place, answer in answers.items()}

    def read(self, ends: Mapping[TP, int], unwanted: threading.Event) -> Iterable[dict[TP, list[Row]]]:
        """Every committed row before `ends`, in log order per partition, in chunks; stops early when `unwanted` is set."""
        missing = {tp for tp, end in ends.items() if end > 0}
        self._consumer.assign([TopicPartition(tp.topic, tp.partition, OFFSET_BEGINNING) for tp in missing])
        while missing and not unwanted.is_set():
            yield self._chunk(ends, missing)
        self._consumer.unassign()

    def _chunk(self, ends: Mapping[TP, int], missing: set[TP]) -> dict[TP, list[Row]]:
        rows: dict[TP, list[Row]] = {}
        for message in self._consumer.consume(CHUNK_RECORDS, POLL_S):
            tp = TP(message.topic(), message.partition())
            error = message.error()
            if error is None:
                rows.setdefault(tp, []).append((message.key(), message.value()))
                position = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # its offset is the position, transaction markers included
                position = message.offset()
            else:
                raise KafkaException(error)
            if position >= ends[tp]:
                missing.discard(tp)
        return rows

    def close(self) -> None:
        self._consumer.close()


def _committed(place: TopicPartition) -> Committed:
    if place.error is not None:
        raise KafkaException(place.error)
    if place.offset < 0:
        return Committed(None, 0)
    told = place.metadata or ""
    return Committed(place.offset, int(told.removeprefix(SETTLED)) if told.startswith(SETTLED) else place.offset)


class Restore(Recovery):
    """What Faust knows as `app.tables.recovery`; one restore per generation."""

    _current: asyncio.Future[None] | None = None

    @Service.task
    async def _restart_recovery(self) -> None:
        """One generation after the other."""
        while not await self.wait_for_stopped(self.signal_recovery_start):
            self.signal_recovery_start.clear()
            if self._current is not None:
                self._current.cancel()
                await asyncio.wait([self._current])  # there is one reader, and it is still busy for the former generation
            self._current = self.add_future(self._restore(self._generation_id))

    def on_partitions_revoked(self, revoked: set[TP]) -> None:  # noqa: ARG002
        """What is being restored is no longer ours."""
        if self._current is not None:
            self._current.cancel()

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Nothing: no changelog record comes by way of the agents' consumer."""

    @Service.task
    async def _publish_stats(self) -> None:
        """Nothing: it counts what stock recovery counts."""

    def flush_buffers(self) -> None:
        """Nothing is buffered."""

    async def _restore(self, generation: int) -> None:
        started_at_s = time.monotonic()
        assigned = self.app.consumer.assignment()
        changelogs = {tp for tp in assigned if self._is_changelog_tp(tp)}
        self._set_recovery_started()
        unwanted = threading.Event()
        try:
            committed = await asyncio.to_thread(self._log.committed, assigned - changelogs)
            ends = await asyncio.to_thread(self._log.ends, changelogs)
            rows = await self._read(ends, unwanted)
            for tp in changelogs:
                await maybe_async(self._state(tp).restored(_settled(committed, tp.partition)))
            await self._begin(generation, committed)
        except KafkaException as error:
            die(Exit.RESTORE, f"the state of {sorted(changelogs)} could not be read", error)
        except Exception as error:  # noqa: BLE001  # the owner of a partition could not take its rows
            log.exception("restore failed")
            die(Exit.RESTORE, f"the state of {sorted(changelogs)} could not be restored", error)
        finally:
            unwanted.set()
        log.info("restored partitions=%d rows=%d in %.2f s", len(changelogs), rows, time.monotonic() - started_at_s)

    async def _read(self, ends: Mapping[TP, int], unwanted: threading.Event) -> int:
        """Rows are read in a thread and applied in the event loop, one chunk ahead."""
        chunks = iter(self._log.read(ends, unwanted))
        count = 0
        coming = asyncio.create_task(asyncio.to_thread(next, chunks, None))
        try:
            while (chunk := await coming) is not None:
                coming = asyncio.create_task(asyncio.to_thread(next, chunks, None))
                for tp, rows in chunk.items():
                    self._state(tp).restore(rows)
                    count += len(rows)
        finally:
            unwanted.set()
            await asyncio.wait([coming])  # the reader serves one restore at a time
        return count

    def _state(self, changelog: TP) -> PartitionState:
        state: PartitionState = self.tables._changelogs[changelog.topic].partition(changelog.partition)
        return state

    async def _begin(self, generation: int, committed: Mapping[TP, Committed]) -> None:
        if self.app.consumer_generation_id != generation:
            return
        await self.app.on_rebalance_complete.send()
        self._set_recovery_ended()
        if not await self.app.consumer.begin(generation, {tp: at.offset for tp, at in committed.items()}):
            return
        self.completed.set()
        await self.app._fetcher.maybe_start()
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        self.app.on_rebalance_end()

    @property
    def _log(self) -> Log:
        changelog_reader: Log = self.app.transport.log
        return changelog_reader


def _settled(committed: Mapping[TP, Committed], partition: int) -> dict[str, int]:
    return {tp.topic: at.settled for tp, at in committed.items() if tp.partition == partition}


class TableManager(FaustTableManager):
    """Takes the place of Faust's by the setting `TableManager`."""

    async def on_start(self) -> None:
        """As in Faust, without its second of sleep."""
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> Restore:
        if self._recovery is None:
            self._recovery = Restore(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery  # type: ignore[return-value]
