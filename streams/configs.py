"""Follows the config topic, and hands each entry to every partition of this worker, as a record of its own
requests. So what operators say is in the log of each partition, and decisions stay a function of that.

Owns a consumer without a group, which reads the topic from its beginning. Must never decide by an entry: a
partition does, when it has read its own record. An entry that cannot be is handed to partition 0 alone, which
refuses it once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from weakref import WeakKeyDictionary

from confluent_kafka import Consumer, Message, TopicPartition

from schemas.codec import Undecodable, decode, encode
from schemas.events import ConfigChanged, FunctionConfig, QueueConfig
from schemas.kafka import librdkafka
from schemas.topics import Topics
from streams.core.config import check
from streams.partition import Partition
from streams.record import Out

log = logging.getLogger("jobstream.streams")

POLL_S = 0.5
"""How long one look at the topic waits; partitions that are new here are told as late."""

BATCH_RECORDS_MAX = 1_000
REFUSING = 0
"""The partition that refuses what cannot be."""

Send = Callable[[Iterable[Out]], Awaitable[None]]
"""Writes records; returns when they are durable."""


class Configs:
    """One per worker."""

    def __init__(
        self, bootstrap: str, topics: Topics, partitions: Mapping[int, Partition], send: Send
    ) -> None:
        """`partitions` are the worker's own, live."""
        self._topics = topics
        self._partitions = partitions
        self._send = send
        self._entries: dict[str, ConfigChanged] = {}
        self._bad: set[str] = set()
        self._told: WeakKeyDictionary[Partition, dict[str, int]] = WeakKeyDictionary()
        self._consumer = Consumer(
            {
                **librdkafka(bootstrap),
                "client.id": "jobstream-streams-config",
                "group.id": f"{topics.config}.tail",  # the library wants one; nothing joins or commits
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": False,
            },
            logger=log,
        )

    async def follow_for_ever(self) -> None:
        """The loop; raises what `send` raises."""
        self._consumer.assign([TopicPartition(self._topics.config, 0, 0)])
        while True:
            for message in await asyncio.to_thread(self._look):
                self.take(message.offset() or 0, message.key() or b"", message.value())
            await self.spread()

    def _look(self) -> list[Message]:
        """What came since the last look. Blocks for a moment, or until something comes."""
        first = self._consumer.poll(POLL_S)
        messages = [] if first is None else [first, *self._consumer.consume(BATCH_RECORDS_MAX, 0)]
        for error in (message.error() for message in messages):
            if error is not None:
                log.warning("the config topic cannot be read at the moment: %s", error.str())
        return [message for message in messages if message.error() is None]

    def take(self, offset: int, key: bytes, value: bytes | None) -> None:
        """Notes a record of the topic; the last of a key counts."""
        entry = key.decode(errors="replace")
        self._entries[entry] = ConfigChanged(entry=entry, offset=offset, value=value)
        self._bad.discard(entry)
        if value is not None and (reason := _fault(entry, value)) is not None:
            self._bad.add(entry)
            log.warning("the config entry %.250s at offset %d is refused: %s", entry, offset, reason)

    async def spread(self) -> None:
        """Writes to every partition what it does not go by yet."""
        outs = [out for number, each in list(self._partitions.items()) for out in self._news(number, each)]
        if outs:
            await self._send(outs)

    def _news(self, number: int, partition: Partition) -> Iterable[Out]:
        """What a partition has not been told by this worker, nor by the one that had it before."""
        told = self._told.setdefault(partition, {})
        for entry, changed in self._entries.items():
            row = partition.rows.configs.get(entry)
            known = max(told.get(entry, -1), -1 if row is None else row.offset)
            if known < changed.offset and (entry not in self._bad or number == REFUSING):
                told[entry] = changed.offset
                yield Out(self._topics.requests, number, None, encode(changed))


def _fault(key: str, value: bytes) -> str | None:
    """Why an entry cannot be, None if it can."""
    try:
        refusal = check(key, decode(value, (QueueConfig, FunctionConfig)))
    except Undecodable as error:
        return error.sentence
    return None if refusal is None else refusal.reason
