"""A relay without Kafka: foreground calls only, nothing kept, nothing to wait for at its start.

Owns what `bridge.py` owns where there is Kafka, as far as it is needed: the edge, the switchboard, and the
time. Must never be given a lease: whoever brings one is told to go to another relay.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from relay.clock import Clock
from relay.core.beats import TICK_MS
from relay.core.edge import Edge
from relay.core.session import Session
from relay.core.traffic import Traffic
from relay.gauges import gauges
from relay.scheduler.hooks import Scheduler, offers_of, tell
from relay.switchboard import Switchboard
from schemas.proto.relay_pb2 import StatusReply
from schemas.telemetry.meter import Sample
from schemas.telemetry.process import Telemetry

log = logging.getLogger("relay.alone")

NO_PARTITIONS = 0
"""What an edge is told that has no topics."""


class Alone:
    """Stands where Bridge would. `wake` is called with sessions that have something to send."""

    def __init__(
        self,
        relay: str,
        fail: Callable[[str], None],
        limits: Mapping[str, int] | None = None,
        scheduler: Scheduler | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`fail` is told that the relay cannot go on; `scheduler` of the traffic, None: nobody is.
        `telemetry` counts and traces; None: nothing does.
        """
        self.clock = Clock()
        self.sent = None
        """Nobody wants to know of jobs on streams: there are none."""
        self._fail = fail
        self._scheduler = scheduler
        traffic = None if scheduler is None else Traffic(offers_of(scheduler))
        self.edge = Edge(relay, NO_PARTITIONS, self.clock(), limits, traffic)
        self.board = Switchboard(self.edge.calls, self.clock, relay, self.edge.traffic, telemetry)
        self.board.after = self.pump
        self.board.fault = self.fault
        self.wake: Callable[[Session], None] = lambda _: None
        self._stirred = asyncio.Event()
        self._ticking = asyncio.create_task(self._tick())

    def look(self) -> Iterable[Sample]:
        """What is measured when someone asks."""
        return gauges(self.edge, (), {}, self.clock())

    async def room(self) -> None:
        """Nothing is written, so there is always room."""

    def follow(self) -> None:
        """There are no queues to read."""

    def fault(self, error: BaseException) -> None:
        """Ends the relay by an error of its own."""
        log.error("a fault of the relay's own", exc_info=error)
        self._fail(f"a fault of its own: {type(error).__name__}: {error}")

    def pump(self) -> None:
        """Takes out of the edge what the last call put there. To be called after every call into it."""
        edge = self.edge
        self.board.give_out()
        if edge.woken:
            woken, edge.woken = edge.woken, set()
            for session in woken:
                self.wake(session)
        if edge.remarks:
            remarks, edge.remarks = edge.remarks, []
            for remark in remarks:
                log.warning(remark)
        if edge.traffic.pending and self._scheduler is not None:
            tell(self._scheduler, edge.traffic.take())
        if not self._stirred.is_set() and edge.busy():
            self._stirred.set()

    async def find_out(self) -> None:
        """There is nothing to find out before the status is told."""

    def status(self) -> StatusReply:
        """What the relay does now."""
        return self.edge.status((), self.clock())

    def stop(self) -> None:
        """Ends its tasks."""
        self.board.close()
        self._ticking.cancel()

    async def _tick(self) -> None:
        """The Ticker: as long as there is something to wait for."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            await asyncio.sleep(TICK_MS / 1000)
            try:
                self.edge.tick(self.clock())
                self.pump()
            except Exception as error:  # noqa: BLE001 - whatever it is, the relay ends by it
                self.fault(error)
