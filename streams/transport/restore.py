"""From an assignment to complete state: committed offsets, the changelog in bulk, then the first record.

Owns the time between "partitions assigned" and "records are delivered". Replaces Faust's `Recovery` (stock
restores one Event at a time, may apply a record to the wrong table (hazard H9), swallows failures (H10), and
finds the end by counting records, which never ends where transaction markers have offsets). Hooks: the
setting `TableManager`, its property `recovery`, the service tasks `_restart_recovery` and
`_slurp_changelogs`.

The order is what makes it right, and must not be changed:

1. committed offsets, stable ones: an offset in a transaction that is not decided is waited for. From here on
   no transaction of a former owner can commit offsets: the broker checks the generation.
2. the end of the changelog, open transactions included. Rows of every transaction decided in 1 lie before it.
3. the changelog to that end, by position, read_committed: rows of aborted transactions are skipped. From its
   beginning, or from where a local snapshot ends that can be trusted.
4. `restored(doubtful)` of each partition, then records from the offsets of 1.

Must never deliver from an offset that is newer than the rows, and never go on after a failure: it ends the
process.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec
from faust.tables.manager import TableManager as FaustTableManager
from faust.tables.recovery import Recovery
from faust.types import TP
from mode import Service
from mode.utils.futures import maybe_async

from streams.transport import keeper
from streams.transport.crash import Exit, die
from streams.transport.keeper import Keeper
from streams.transport.offsets import Committed, committed
from streams.transport.snapshot import Bounds
from streams.transport.table import PartitionState, Row
from streams.transport.writer import end_transactions

log = logging.getLogger(__name__)

ASK_S: Final = 30.0
"""How long the broker may take for an answer about offsets."""

CHUNK_RECORDS: Final = 10_000
"""Records handed to the partitions at a time: some tens of milliseconds of work between two looks at other
things.
"""

POLL_S: Final = 0.1
"""How soon a restore that is no longer wanted is noticed."""

OPEN_S: Final = 1.0
"""How long an open transaction is waited for before it is asked whose it is; a broker aborts one only after
its timeout, and looks for such every 10 s.
"""

STUCK_S: Final = 30.0
"""How long a restore may hear nothing of what it has to read. An open transaction is over long before; a
restart asks with new connections. Seen after a broker was restarted under load.
"""

_PASSING: Final = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
}
"""What a broker says of a topic that it does not know yet, or whose leader is new."""

END_WAIT_MS: Final = 10
"""How long the broker may hold the empty answer back that tells of the end of a changelog."""


class Stuck(Exception):
    """A restore does not get on; the text says where it stands."""


class Log:
    """Reads committed offsets and changelogs with librdkafka, without being a member of the group. Blocks:
    not for the event loop.

    aiokafka can't do either: its OffsetFetch has no `require_stable` (after a transaction it may answer with
    the offset before it), and its end offsets are those of its isolation level, so before open transactions.
    """

    def __init__(self, config: Mapping[str, Any], group: str) -> None:
        self._config = dict(config)
        self._group = group
        self._admin = AdminClient(self._config)
        self._consumer = Consumer(
            self._config
            | {
                "group.id": group,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": END_WAIT_MS,
                "fetch.queue.backoff.ms": END_WAIT_MS,  # by default a full queue makes a partition wait 1 s
            }
        )

    def warm_up(self) -> None:
        """Learns where the partitions are, which else costs the first read a second."""
        self._consumer.list_topics(timeout=ASK_S)

    def committed(self, sources: Iterable[TP]) -> dict[TP, Committed]:
        """Where each source partition goes on, by its stable committed offset."""
        places = [TopicPartition(tp.topic, tp.partition) for tp in sources]
        answers = self._consumer.committed(places, ASK_S) if places else []
        firsts = self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        found: dict[TP, Committed] = {}
        for answer in answers:
            tp = TP(answer.topic, answer.partition)
            found[tp] = committed(answer, firsts[tp])
        return found

    def bounds(self, changelogs: Iterable[TP]) -> dict[TP, Bounds]:
        """The first and the end offset of each changelog partition, what open transactions wrote included."""
        places = [TopicPartition(tp.topic, tp.partition) for tp in changelogs]
        firsts = self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        ends = self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {tp: Bounds(first, ends[tp]) for tp, first in firsts.items()}

    def stable_ends(self, sources: Iterable[TP]) -> dict[TP, int]:
        """Up to where each source partition can be read: before the first transaction that is open.

        Raises:
            KafkaException: no broker answers, or one has no leader now.
        """
        places = [TopicPartition(tp.topic, tp.partition) for tp in sources]
        return self._offsets_now(places, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)  # type: ignore[no-untyped-call]

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Which incarnation of each topic this is (KIP-516)."""
        asked = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=ASK_S)
        return {topic: str(answer.result().topic_id) for topic, answer in asked.items()}

    def _offsets(self, places: Sequence[TopicPartition], which: Any) -> dict[TP, int]:
        """Asks again while a topic of this very moment is not known everywhere, or a leader is elected."""
        deadline_s = time.monotonic() + ASK_S
        while True:
            try:
                return self._offsets_now(places, which)
            except KafkaException as error:
                if error.args[0].code() not in _PASSING or time.monotonic() > deadline_s:
                    raise
                time.sleep(POLL_S)
                with contextlib.suppress(KafkaException):  # librdkafka keeps the epoch of before
                    self._admin.list_topics(timeout=ASK_S)

    def _offsets_now(
        self,
        places: Sequence[TopicPartition],
        which: Any,
        isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
    ) -> dict[TP, int]:
        if not places:
            return {}
        answers = self._admin.list_offsets(
            dict.fromkeys(places, which), isolation_level=isolation, request_timeout=ASK_S
        )
        return {TP(place.topic, place.partition): answer.result().offset for place, answer in answers.items()}

    def read(
        self, parts: Mapping[TP, Bounds], writers: Iterable[str], unwanted: threading.Event
    ) -> Iterable[dict[TP, list[Row]]]:
        """Every committed row of these parts, in log order per partition, in chunks; stops early when
        `unwanted` is set.

        A transaction that is open before an end can't commit any more (see the module), but has to be over
        before what follows it is readable. If that takes longer than OPEN_S and its writer, one of `writers`,
        is no longer a member of the group, it is ended from here.

        Raises:
            Stuck: nothing came for STUCK_S.
            KafkaException: a partition cannot be read.
        """
        missing = {tp for tp, part in parts.items() if part.end > part.first}
        ends = {tp: parts[tp].end for tp in missing}
        self._consumer.assign([TopicPartition(tp.topic, tp.partition, parts[tp].first) for tp in missing])
        suspects = set(writers)
        heard_at_s = moved_at_s = time.monotonic()
        while missing and not unwanted.is_set():
            waited_for = len(missing)
            chunk = self._chunk(ends, missing)
            yield chunk
            if chunk or len(missing) < waited_for:
                heard_at_s = moved_at_s = time.monotonic()
            elif time.monotonic() - moved_at_s > STUCK_S:
                raise Stuck(f"nothing came of {self._standing(ends, missing)} in {STUCK_S:g} s")
            elif suspects and time.monotonic() - heard_at_s > OPEN_S:
                heard_at_s = time.monotonic()
                for writer in suspects - self._members():
                    end_transactions(self._config, self._group, writer)
                    suspects.discard(writer)
        self._consumer.unassign()

    def _standing(self, ends: Mapping[TP, int], missing: Iterable[TP]) -> str:
        """Where the partitions are read and have to be read to, in words."""
        places = [TopicPartition(tp.topic, tp.partition) for tp in sorted(missing)]
        return ", ".join(
            f"{at.topic}/{at.partition} at {at.offset} of {ends[TP(at.topic, at.partition)]}"
            for at in self._consumer.position(places)
        )

    def _members(self) -> set[str]:
        """The client ids of the group's members: those are alive, and end their transactions themselves."""
        asked = self._admin.describe_consumer_groups([self._group], request_timeout=ASK_S)
        return {member.client_id for member in asked[self._group].result().members}

    def _chunk(self, ends: Mapping[TP, int], missing: set[TP]) -> dict[TP, list[Row]]:
        rows: dict[tuple[str, int], list[Row]] = defaultdict(list)
        positions: dict[tuple[str, int], int] = {}
        message: Any  # the stubs have None where a fetched message has none
        for message in self._consumer.consume(CHUNK_RECORDS, POLL_S):
            place, error = (message.topic(), message.partition()), message.error()
            if error is None:
                rows[place].append((message.key(), message.value()))
                positions[place] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                positions[place] = message.offset()  # counts transaction markers, which no record tells of
            else:
                raise KafkaException(error)
        missing.difference_update([TP(*place) for place, at in positions.items() if at >= ends[TP(*place)]])
        return {TP(*place): run for place, run in rows.items()}

    def close(self) -> None:
        """Lets go of the connections."""
        self._consumer.close()


class Restore(Recovery):
    """What Faust knows as `app.tables.recovery`; one restore per generation."""

    app: Any
    tables: Any
    signal_recovery_start: Any

    wanted = 0
    """Offsets that the restore under way, or the last one, has to read; some have no record."""
    read = 0
    """Records that it has read."""

    _current: asyncio.Future[None] | None = None
    _made_keeper: Keeper | None = None

    @property
    def _keeper(self) -> Keeper:
        if self._made_keeper is None:
            tables = self.tables._changelogs.items()
            shelves = {topic: table.shelf for topic, table in tables if table.shelf is not None}
            self._made_keeper = Keeper(shelves, self._log, self._confirmed)
        return self._made_keeper

    async def _confirmed(self) -> None:
        """All that was decided until now is durable: handed over by the agent, and then confirmed."""
        await self.app.consumer.ledger.turn()
        await self.app.transport.writer.send(())

    @Service.task
    async def _keep_snapshots(self) -> None:
        while not self.should_stop:
            await self.sleep(keeper.LOOK_S)
            try:
                await self._keeper.look()
            except KafkaException as error:
                log.warning("the ends of changelogs can't be asked for, snapshots wait: %s", error)

    @Service.task
    async def _restart_recovery(self) -> None:
        """One generation after the other."""
        while not await self.wait_for_stopped(self.signal_recovery_start):
            self.signal_recovery_start.clear()
            if self._current is not None:  # there is one reader, and it may still be busy for the former one
                self._current.cancel()
                await asyncio.wait([self._current])
            self._current = self.add_future(self._restore(self._generation_id))

    def on_partitions_revoked(self, revoked: set[TP]) -> None:  # noqa: ARG002
        """What is being restored, or saved, is no longer ours."""
        self._keeper.forget()
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
            sources = await asyncio.to_thread(self._log.committed, assigned - changelogs)
            bounds = await asyncio.to_thread(self._log.bounds, changelogs)
            states = {tp: self._state(tp) for tp in changelogs}
            saved = await self._keeper.load(states, bounds)
            tails = {tp: Bounds(saved.get(tp, first), end) for tp, (first, end) in bounds.items()}
            self.wanted, self.read = sum(part.end - part.first for part in tails.values()), 0
            writers = {at.writer for at in sources.values() if at.writer}
            rows = await self._apply(self._log.read(tails, writers, unwanted), unwanted)
            for tp, state in states.items():
                await maybe_async(state.restored(_doubtful(sources, tp.partition)))
            self._keeper.restored(states)
            await self._begin(generation, sources)
        except (KafkaException, Stuck) as error:
            die(Exit.RESTORE, f"the state of {sorted(changelogs)} could not be read", error)
        except Exception as error:  # the owner of a partition could not take its rows
            log.exception("restore failed")
            die(Exit.RESTORE, f"the state of {sorted(changelogs)} could not be restored", error)
        finally:
            unwanted.set()
        took_s = time.monotonic() - started_at_s
        log.info(
            "restored partitions=%d snapshots=%d changelog=%d in %.2f s",
            len(bounds),
            len(saved),
            rows,
            took_s,
        )

    async def _apply(self, log_chunks: Iterable[dict[TP, list[Row]]], unwanted: threading.Event) -> int:
        """Rows are read in a thread and applied in the event loop, one chunk ahead."""
        chunks = iter(log_chunks)
        count = 0
        coming = asyncio.create_task(asyncio.to_thread(next, chunks, None))
        try:
            while (chunk := await coming) is not None:
                coming = asyncio.create_task(asyncio.to_thread(next, chunks, None))
                for tp, rows in chunk.items():
                    self._state(tp).restore(rows)
                    count += len(rows)
                self.read = count
        finally:
            unwanted.set()
            await asyncio.wait([coming])  # the reader serves one restore at a time
        return count

    def _state(self, changelog: TP) -> PartitionState:
        state: PartitionState = self.tables._changelogs[changelog.topic].partition(changelog.partition)
        return state

    async def _begin(self, generation: int, sources: Mapping[TP, Committed]) -> None:
        if self.app.consumer_generation_id != generation:
            return
        await self.app.on_rebalance_complete.send()
        self._set_recovery_ended()
        if not await self.app.consumer.begin(generation, {tp: at.offset for tp, at in sources.items()}):
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


def _doubtful(sources: Mapping[TP, Committed], partition: int) -> dict[str, range]:
    return {tp.topic: at.doubtful for tp, at in sources.items() if tp.partition == partition}


class TableManager(FaustTableManager):
    """Takes the place of Faust's by the setting `TableManager`."""

    async def on_start(self) -> None:
        """As in Faust, without its second of sleep."""
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> Restore:
        """What restores."""
        if self._recovery is None:
            self._recovery = Restore(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery  # type: ignore[return-value]
