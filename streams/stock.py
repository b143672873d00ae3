"""What stock Faust 0.15.3 needs before it may carry the state machine: four small subclasses, and why.

Owns the repairs of Faust that this host cannot do without; a transport of our own makes all of them needless.
Must hold no word of jobs.

- Recovery resumes the source partitions before it seeks them to the committed offset, and then empties the
  queues
  (`FlowControlEvent.resume` clears them): records fetched in between are never delivered. Here it seeks
  first, then clears, then resumes.
- A fetch for the changelog that is under way when recovery ends finds its set of partitions empty, takes that
  for "all",
  and throws the source records away; where no offset was ever committed the seek afterwards moves nothing,
  and they are lost until a restart. Here every source partition is put where it must begin.
- Recovery goes on from the last changelog offset it restored in an earlier generation, and keeps the rows of
  that time.
  Here each generation starts from the log.
- Callbacks of a finished recovery may fail without anyone noticing. Here that ends the process.
- Table pages ask the worker that has the hash of the row's key, and fail where no producer of Faust's own was
  used.
- The consumer is read_uncommitted outside Faust's own exactly-once mode: a request of an aborted transaction
  would run.
"""

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

FETCH_WAIT_MS_MAX = 250
"""A partition that was emptied while a fetch waits is asked for again when that fetch returns: stock's 1500
ms would be how long one record can be overlooked.
"""


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
        """Puts every source partition to its committed offset, or to its first record where none was
        committed.
        """
        consumer = cast("Any", self.app.consumer)
        committed = await consumer.seek_to_committed()
        first = await consumer.earliest_offsets(*sources)
        self.committed = {tp: committed.get(tp) for tp in sources}
        self.begins = {tp: max(self.committed[tp] or 0, first[tp]) for tp in sources}
        await consumer.seek_wait(self.begins)

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
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS_MAX
        return consumer


class _Consumer(driver.Consumer):
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
