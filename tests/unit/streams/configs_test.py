"""Entries of the config topic on their way into each partition of a worker."""

from schemas.codec import decode, encode
from schemas.events import ConfigChanged, FunctionConfig, QueueConfig
from schemas.topics import Topics
from streams.configs import Configs
from streams.partition import Partition
from streams.queues import Queues
from streams.record import Out, Record

TOPICS = Topics("jobs.", 3)
NOBODY = "127.0.0.1:9"


class Worker:
    """Two partitions, and what is written to them."""

    def __init__(self) -> None:
        self.sent: list[Out] = []
        self.partitions = {number: self.begun(number) for number in (0, 2)}
        self.configs = Configs(NOBODY, TOPICS, self.partitions, self.send)

    def begun(self, number: int) -> Partition:
        """A partition without rows."""
        partition = Partition(number, TOPICS, Queues())
        nothing = dict.fromkeys(
            (TOPICS.requests, TOPICS.receipts, TOPICS.heartbeats, TOPICS.timers, TOPICS.schedules), 0
        )
        partition.begin(nothing, nothing)
        return partition

    async def send(self, outs: object) -> None:
        """Keeps what is sent."""
        self.sent += outs  # type: ignore[arg-type]

    async def told(self) -> list[tuple[int, str, int]]:
        """What each partition is told now: its number, the entry and the offset."""
        self.sent.clear()
        await self.configs.spread()
        assert {out.topic for out in self.sent} <= {TOPICS.requests}
        found = [(out.partition, decode(out.value or b"", (ConfigChanged,))) for out in self.sent]
        return [(number, changed.entry, changed.offset) for number, changed in found]


async def test_every_partition_is_told_once() -> None:
    """Each entry by its latest record, and a partition that comes later too."""
    worker = Worker()
    worker.configs.take(0, b"queue/mail", encode(QueueConfig(queue="mail")))
    worker.configs.take(3, b"queue/mail", encode(QueueConfig(queue="mail", paused=True)))
    worker.configs.take(4, b"function/f", encode(FunctionConfig(function="f")))
    assert await worker.told() == [
        (0, "queue/mail", 3),
        (0, "function/f", 4),
        (2, "queue/mail", 3),
        (2, "function/f", 4),
    ]
    assert await worker.told() == []
    worker.partitions[1] = worker.begun(1)
    assert await worker.told() == [(1, "queue/mail", 3), (1, "function/f", 4)]
    worker.configs.take(5, b"queue/mail", None)
    assert await worker.told() == [(0, "queue/mail", 5), (2, "queue/mail", 5), (1, "queue/mail", 5)]


async def test_what_a_partition_goes_by_already_is_not_told_again() -> None:
    """The worker that had it before has told it."""
    worker = Worker()
    changed = ConfigChanged(entry="queue/mail", offset=3, value=encode(QueueConfig(queue="mail")))
    worker.partitions[2].apply(Record(TOPICS.requests, 2, 0, 1_790_000_000_000, None, encode(changed)))
    worker.configs.take(3, b"queue/mail", changed.value)
    assert await worker.told() == [(0, "queue/mail", 3)]


async def test_what_cannot_be_is_refused_once() -> None:
    """By partition 0, so that there is one reject; a later record mends it for all."""
    worker = Worker()
    worker.configs.take(0, b"queue/post", encode(QueueConfig(queue="mail")))
    worker.configs.take(1, b"queue/mail", b"what?")
    assert await worker.told() == [(0, "queue/post", 0), (0, "queue/mail", 1)]
    worker.configs.take(2, b"queue/mail", encode(QueueConfig(queue="mail")))
    assert await worker.told() == [(0, "queue/mail", 2), (2, "queue/mail", 2)]
