"""What stock Faust 0.15.3 needs before it may carry the state machine: four small subclasses, and why.

Owns the repairs of Faust that this host cannot do without; a transport of our own makes all of them needless.
Must hold no word of jobs.

- Recovery resumes the source partitions before it seeks them to the committed offset, and then empties the
  queues (`FlowControlEvent.resume` clears them): records fetched in between are never delivered. Here it
  seeks first, then clears, then resumes.
- A fetch that is under way when recovery ends, or since before the rebalance, finds that its set of
  partitions has become empty, takes that for "all", and throws source records away. After the seek that
  loses them until a restart, and before it too where no offset was committed yet. Here a fetch keeps to
  what it was asked for, none is under way during the seek, and every source partition is put where it must
  begin.
- Recovery goes on from the last changelog offset it restored in an earlier generation, and keeps the rows
  of that time. Here each generation starts from the log.
- Callbacks of a finished recovery may fail without anyone noticing. Here that ends the process.
- Table pages ask the worker that has the hash of the row's key, and fail where no producer of Faust's is
  used.
- The consumer is read_uncommitted outside Faust's own exactly-once mode: a request of an aborted
  transaction would run.
"""

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, cast

import faust
from faust.app import router as stock_router
from faust.tables.manager import TableManager as StockTableManager
from faust.tables.recovery import Recovery as StockRecovery
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.web import Request, Response, Web

from streams.crash import crash

FETCH_WAIT_MS_MAX = 25
"""A partition that was emptied while a fetch waits is asked for again when that fetch returns: so long can a
record be overlooked; stock has 1500 ms.
"""

FETCH_S = 0.1
"""How long one fetch may wait for records, and a seek for the fetch; what comes is handed over at once."""


class Recovery(StockRecovery):
    """Restores every assigned partition from the start of its changelog, then hands over without a gap."""

    committed: Mapping[TP, int | None]
    """Committed offset of each source partition of this generation; None: none yet."""
    begins: Mapping[TP, int]
    """Offset at which each begins: the committed one, or the first there is."""

    async def on_rebalance(
        self,
        assigned: AbstractSet[TP],
        revoked: AbstractSet[TP],
        newly_assigned: AbstractSet[TP],
        generation_id: int = 0,
    ) -> None:
        """Forgets how far an earlier generation had read."""
        self.active_offsets.clear()
        await super().on_rebalance(set(assigned), set(revoked), set(newly_assigned), generation_id)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Seeks, lets the tables finish, and only then lets records flow."""
        app, consumer = self.app, self.app.consumer
        self._set_recovery_ended()
        await app.on_rebalance_complete.send()
        sources = {tp for tp in consumer.assignment() if not self._is_changelog_tp(tp)}
        await self._wait(self._seek(sources), timeout=app.conf.broker_request_timeout)
        if app.consumer_generation_id != generation_id:
            return  # another rebalance is under way, and has its own recovery
        for table in self.tables.values():
            await self._finish(table)
        if app.consumer_generation_id != generation_id:
            return
        app.flow_control.resume()
        consumer.resume_partitions(sources)
        consumer.resume_flow()
        self.completed.set()
        await cast("Any", app)._fetcher.maybe_start()
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        app.on_rebalance_end()

    async def _seek(self, sources: AbstractSet[TP]) -> None:
        """Puts every source partition to its committed offset, or to its first record where there is none."""
        thread = cast("_Consumer", self.app.consumer)._thread
        self.committed, self.begins = await thread.begin(sources)

    async def _finish(self, table: Any) -> None:
        try:
            await table.on_recovery_completed(self.actives_for_table[table], self.standbys_for_table[table])
        except Exception as error:  # noqa: BLE001  whatever it is, a half-restored partition must not be worked on
            crash(f"the recovery of table {table.name!r} failed", error)


class TableManager(StockTableManager):
    """Faust's own, with the recovery above."""

    @property
    def recovery(self) -> Recovery:
        """The recovery service of this manager."""
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return cast("Recovery", self._recovery)


class Router(stock_router.Router):
    """Answers table pages from this worker's own rows.

    Faust looks for the owner of a row by the hash of the row's key; here a row is where its job's key says.
    """

    async def route_req(self, table_name: str, key: Any, web: Web, request: Request) -> Response:
        """Asks no other worker."""
        raise stock_router.SameNode  # type: ignore[attr-defined]


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    """Runs in a thread of its own, with its own event loop."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._fetching = asyncio.Lock()

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: AbstractSet[TP],
        timeout: float | None = None,  # noqa: ASYNC109  Faust's own
        max_records: int | None = None,
    ) -> Any:
        async with self._fetching:
            wanted = set(active_partitions)  # a copy: Faust changes its own while this waits
            if not wanted:
                return {}
            return await super()._fetch_records(consumer, wanted, FETCH_S, max_records)

    async def begin(self, sources: AbstractSet[TP]) -> tuple[dict[TP, int | None], dict[TP, int]]:
        """Seeks while no fetch is under way; returns what is committed, and where each partition begins."""
        found: tuple[dict[TP, int | None], dict[TP, int]] = await self.call_thread(self._begin, sources)
        return found

    async def _begin(self, sources: AbstractSet[TP]) -> tuple[dict[TP, int | None], dict[TP, int]]:
        consumer = self._ensure_consumer()
        async with self._fetching:
            first = await consumer.beginning_offsets(sources)
            committed = {tp: await consumer.committed(tp) for tp in sources}
            begins = {tp: max(committed[tp] or 0, first[tp]) for tp in sources}
            await self._seek_wait(consumer, begins)
        return committed, begins

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS_MAX
        return consumer


class _Consumer(driver.Consumer):
    _thread: _ConsumerThread

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class _Transport(driver.Transport):
    Consumer = _Consumer


class App(faust.App):
    """A Faust app on the repaired transport, without a directory of its own."""

    def _new_transport(self) -> _Transport:
        return _Transport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Nothing is kept on disk."""
