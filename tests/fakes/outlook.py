"""What the dashboard sees beyond the Door, without relays and Kafka: what a test puts there."""

from collections.abc import AsyncGenerator

from relay.doors.dashboard.outlook import Entries, RelayWord
from relay.doors.http.desk import Told
from schemas.events import Fact
from schemas.proto.relay_pb2 import StatusReply


class FakeOutlook:
    """An outlook that a test fills."""

    def __init__(self, facts: list[Fact]) -> None:
        """`facts` are those of the machine, and grow."""
        self.words = [RelayWord("127.0.0.1:7071", StatusReply(relay="edge-1:7071"))]
        self.settings: Entries = {}
        self.traces: dict[tuple[str, int], str] = {}
        self._facts = facts

    async def relays(self) -> list[RelayWord]:
        """What the test says."""
        return self.words

    async def entries(self) -> Entries:
        """What the test says."""
        return self.settings

    async def lately(self, records: int) -> AsyncGenerator[Told | None, None]:
        """The facts so far, then that there are none."""
        assert records > 0
        for offset, fact in enumerate(self._facts):
            yield Told(0, offset, fact)
        yield None

    async def trace(self, job: str, epoch: int, partition: int, at_ms: int) -> str | None:
        """What the test says."""
        assert (partition, at_ms) >= (0, 0)
        return self.traces.get((job, epoch))
