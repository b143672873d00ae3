"""The Gearman door within a relay: on its calls and, where it has Kafka, on its durable jobs too.

Owns what the door needs beside the relay's own: the producer of requests, and who tells how far jobs are.
It ends with its relay.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self

from relay.core.edge import Edge
from relay.core.session import Lease, Session
from relay.doors.gearman.door import Door
from relay.doors.gearman.kafka import KafkaDesk
from relay.doors.gearman.serve import open_door, release
from relay.requests import Requests
from relay.standings import Standings
from relay.switchboard import Switchboard
from schemas.events import Dispatch
from schemas.settings import Settings
from schemas.telemetry.process import Telemetry
from schemas.topics import Topics

log = logging.getLogger("relay.gearman")


class Core(Protocol):
    """What a relay is to the door: its bridge to Kafka, or what stands in its place without Kafka."""

    wake: Callable[[Session], None]

    @property
    def sent(self) -> Callable[[Lease, Dispatch], None] | None:
        """Is told of each job that a worker is given; None: nobody wants to know."""

    @property
    def board(self) -> Switchboard:
        """The calls of all its doors."""

    @property
    def edge(self) -> Edge:
        """Who decides about durable jobs."""

    @property
    def clock(self) -> Callable[[], int]:
        """Tells the time, ms."""

    def pump(self) -> None:
        """Takes out of the edge what the last call put there."""

    def follow(self) -> None:
        """Reads the queues that sessions serve."""


class RelayedDoor:
    """A door that listens: `await RelayedDoor.open(...)`, and `stop` in the end."""

    def __init__(self, door: Door, kafka: tuple[Requests, Standings] | None, address: str) -> None:
        self.door = door
        self.address = address
        """host:port where it listens, the port in force where 0 was asked for."""
        self._kafka = kafka

    @classmethod
    async def open(
        cls,
        settings: Settings,
        core: Core,
        kafka: tuple[Mapping[str, Any], Topics] | None,
        telemetry: Telemetry | None = None,
    ) -> Self:
        """Listens where the setting `gearman` says; CannotListen if it cannot.

        Args:
            settings: `gearman` is not empty.
            core: The relay's.
            kafka: The settings of its clients, and its topics; None: it has none, and foreground jobs only.
            telemetry: Counts and traces what its workers run; None: nothing does.
        """
        clients = None if kafka is None else (Requests(*kafka), Standings(*kafka, core.clock))
        door = Door(
            core.board,
            desk=None if clients is None else KafkaDesk(*clients, core.clock),
            bridge=None if kafka is None else core,
            timeouts_required=settings.gearman_timeouts == "yes",
            version=release(),
            telemetry=telemetry,
        )
        try:
            address = await open_door(door, settings.gearman, settings)
        except BaseException:
            _abandon(clients)
            raise
        log.info("gearman door started address=%s kafka=%s", address, "no" if kafka is None else "yes")
        return cls(door, clients, address)

    async def stop(self, reason: str) -> None:
        """Ends all connections and listens no more; what was asked of Kafka is waited for."""
        if self._kafka is not None:
            for each in self._kafka:
                await each.stop()
        await self.door.stop(reason)

    async def abandon(self, reason: str) -> None:
        """Ends at once."""
        _abandon(self._kafka)
        await self.door.stop(reason)


def _abandon(clients: tuple[Requests, Standings] | None) -> None:
    for each in clients or ():
        each.abandon()
