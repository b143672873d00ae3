"""What the service needs of the rest of the world: Kafka behind a `Desk`, the streams workers behind `Pages`.

Interfaces and values alone. Whoever composes the service brings their own; the service never knows which.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.events import DeadLetter, Fact
from schemas.topics import Topics


@dataclass(frozen=True)
class Ask:
    """One record for Kafka, and the job or schedule that it is about."""

    topic: str
    partition: int
    record_key: str
    value: bytes | None
    """None removes what the key stands for."""
    id: str
    job_key: str | None
    """Partition key of the job; None for a schedule."""


Fits = Callable[[Fact], bool]
"""Whether a fact answers a question."""


@dataclass(frozen=True)
class Told:
    """A fact, and where it is written."""

    partition: int
    offset: int
    fact: Fact


class Desk(Protocol):
    """Kafka, as the service uses it. Its errors are those that `create_app` is told of."""

    @property
    def topics(self) -> Topics:
        """The topics of the prefix, with as many partitions as they have."""

    async def write(self, asks: Sequence[Ask]) -> None:
        """Returns when all replicas in sync have every record."""

    async def decide(self, asks: Sequence[Ask], fits: Fits, within_s: float) -> list[Fact | None]:
        """Writes, and waits for the first later fact about each that fits; None: not in time."""

    async def run(self, ask: Ask, within_s: float) -> bool:
        """Writes a request for a job, and waits for its end; whether that came in time."""

    async def ended(self, id: str, key: str, partition: int, within_s: float) -> bool:
        """Waits for the end of a job that somebody asked for; whether that came in time."""

    def facts(self, start: dict[int, int]) -> AsyncIterator[Told | None]:
        """Facts as they are written, from these offsets by partition; the others' from now on.

        Before the first, `start` is given the offsets of those others too. None comes when there was none for
        a while, so that a listener that is gone is noticed.
        """

    async def history(
        self, id: str, partition: int, since_ms: int, until_ms: int | None
    ) -> tuple[list[Fact], bool]:
        """The facts about a job that were written in this time, in order; and whether that is all of them."""

    async def dead_letters(self, since_ms: int) -> list[DeadLetter]:
        """The last letter of each job that died since then and that nobody has settled, the oldest first."""

    async def lags(self) -> Mapping[str, int]:
        """How many dispatches of each queue the relays have not done with."""

    async def pause(self, queue: str, note: str | None, *, paused: bool) -> int:
        """Pauses a queue, or ends that; the version of its settings once Kafka has it."""

    async def check(self) -> None:
        """Returns if Kafka answers; raises else."""


Answer = dict[str, Any]


class Pages(Protocol):
    """What the streams workers show of their rows. Problem: 404, 400, or 503 while they can't tell."""

    async def job(self, id: str, key: str | None) -> Answer:
        """One job."""

    async def jobs(self, query: Mapping[str, str]) -> Answer:
        """Jobs, the newest first; `query` as the workers' page takes it."""

    async def counts(self) -> Answer:
        """How many jobs there are in each phase of each queue."""

    async def duties(self) -> Answer:
        """How what time asks was done, by duty."""

    async def schedules(self) -> Answer:
        """Every schedule."""

    async def schedule(self, id: str) -> Answer:
        """One schedule with its fires to come, in the form of all of them. Problem 404 if there is none."""

    async def workers(self) -> list[Answer]:
        """Each worker with what it says of its health; one that does not answer says why, as `away`."""

    async def check(self) -> None:
        """Returns if every partition has a worker that can tell of it."""
