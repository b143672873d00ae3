"""A relay without Kafka: the real machine behind the real gRPC server, and a log in memory that takes every
record at once.

Owns no rule of its own. It stands where the bridge stands, so that what strangers may send over the wire
can be tried a thousand times without a broker.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from relay.clock import Clock
from relay.core.beats import TICK_MS
from relay.core.edge import Edge
from relay.core.session import Lease, Session
from relay.core.window import Window
from relay.lock import Lock
from relay.server import Server
from relay.switchboard import Switchboard
from schemas.defaults import HEARTBEAT_TIMEOUT_MS
from schemas.events import Dispatch, Receipt
from schemas.proto.relay_pb2 import StatusReply
from schemas.settings import Settings


class EdgeRelay:
    """What the server has for a bridge.

    Attributes:
        receipts: What would be in Kafka, oldest first.
        faults: Errors of the relay's own; each of them would end it.
        remarks: What it would tell in its log.
        address: Where it listens.
    """

    def __init__(self, settings: Settings, limits: dict[str, int] | None = None) -> None:
        self.clock = Clock()
        self.edge = Edge("relay-1", 1, self.clock(), limits)
        self.board = Switchboard(self.edge.calls, self.clock, "relay-1", self.edge.traffic)
        self.board.after = self.pump
        self.sent: Callable[[Lease, Dispatch], None] | None = None
        self.wake: Callable[[Session], None] = lambda _: None
        self.receipts: list[Receipt] = []
        self.faults: list[BaseException] = []
        self.remarks: list[str] = []
        self.address = ""
        self.lock = Lock(settings)
        self.server = Server(self, self.lock)  # type: ignore[arg-type]  # has all that the server wants of it
        self._window = Window("t.dispatch.default", 0, 0, queue="default")
        self._numbers = itertools.count()

    async def room(self) -> None:
        """There always is."""

    def fault(self, error: BaseException) -> None:
        """Keeps it."""
        self.faults.append(error)
        logging.getLogger("relay").error("fault", exc_info=error)

    def follow(self) -> None:
        """There is nothing to be read."""

    async def find_out(self) -> None:
        """There is nothing to find out before the status is told."""

    def status(self) -> StatusReply:
        """What the machine says of itself."""
        return self.edge.status([self._window], self.clock())

    def pump(self) -> None:
        """Takes records as if Kafka had them, until there are no more; wakes sessions."""
        edge = self.edge
        self.board.give_out()
        while edge.records:
            records, edge.records = edge.records, []
            for record in records:
                if isinstance(record.event, Receipt):
                    self.receipts.append(record.event)
                edge.stored(record)
            edge.go_on(self.clock())
        woken, edge.woken = edge.woken, set()
        for session in woken:
            self.wake(session)
        self.remarks += edge.remarks
        edge.remarks = []

    def dispatch(self, **fields: Any) -> Dispatch:
        """A job for a minion, as if it had been read; a new one with a key of its own unless said
        otherwise.
        """
        number = next(self._numbers)
        dispatch = Dispatch(
            job=f"job-{number}",
            key=f"key-{number}",
            partition=0,
            queue="default",
            function="f",
            attempt=1,
            epoch=1,
            args=b"{}",
            content_type="application/json",
            timeout_ms=60_000,
            heartbeat_timeout_ms=HEARTBEAT_TIMEOUT_MS,
            created_at_ms=self.clock(),
            dispatched_at_ms=self.clock(),
        )
        dispatch = replace(dispatch, **fields)
        self.edge.dispatched(self._window, number, dispatch, 100, self.clock())
        self.pump()
        return dispatch

    async def tick(self) -> None:
        """The Ticker."""
        while True:
            await asyncio.sleep(TICK_MS / 1000)
            self.edge.tick(self.clock())
            self.pump()


@asynccontextmanager
async def edge_relay(
    settings: Settings | None = None, limits: dict[str, int] | None = None
) -> AsyncIterator[EdgeRelay]:
    """One that listens on loopback; at the end no error of its own must have happened."""
    relay = EdgeRelay(Settings(relay="127.0.0.1:0") if settings is None else settings, limits)
    port = await relay.server.start("127.0.0.1:0")
    relay.address = f"127.0.0.1:{port}"
    ticking = asyncio.create_task(relay.tick())
    try:
        yield relay
    finally:
        ticking.cancel()
        await relay.server.stop("the test is over")
    assert not relay.faults, relay.faults
