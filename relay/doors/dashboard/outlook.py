"""What the dashboard needs of the rest of the world beyond the Door. Interfaces and values alone."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Protocol

from relay.doors.http.desk import Told
from schemas.events import FunctionConfig, QueueConfig
from schemas.proto.relay_pb2 import StatusReply

Entries = Mapping[str, QueueConfig | FunctionConfig]
"""What operators say, by `queue/<name>` and `function/<name>`."""


@dataclass(frozen=True)
class RelayWord:
    """What a relay tells of itself, or why it does not."""

    address: str
    status: StatusReply | None
    away: str | None = None


class Outlook(Protocol):
    """Relays, settings and the log, as the dashboard looks at them. Only reads."""

    async def relays(self) -> list[RelayWord]:
        """Every relay that is known; one that does not answer is among them, and says so."""

    async def entries(self) -> Entries:
        """What operators say about queues and functions. Raises what the desk raises."""

    def lately(self, records: int) -> AsyncGenerator[Told | None, None]:
        """Facts, beginning with about so many of the latest; None when there was none for a while."""

    async def trace(self, job: str, epoch: int, partition: int, at_ms: int) -> str | None:
        """The stack trace of the receipt that ended an attempt at about this time; None if none is kept."""
