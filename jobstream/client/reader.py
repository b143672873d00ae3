"""Reads facts for the waiters of one client. It owns a consumer without a group and the thread that drains
it.

It reads only the partitions it is told to, from the offsets it is told, and hands what matters to the event
loop, many facts in one call. It must never commit an offset, and never hand over what belongs to an aborted
transaction.
"""

import asyncio
import logging
import threading
import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from jobstream.client.watch import NEWS, Watches
from jobstream.errors import NotReachable, TopicsMissing
from schemas.codec import Undecodable, decode
from schemas.events import Fact
from schemas.words import FactKind

log = logging.getLogger(__name__)

POLL_S = 0.1
"""How long the thread sleeps at most in one call: bounds the time that close() takes."""
FETCH_WAIT_MS = 50
"""How long the broker holds an empty answer; a partition that is added waits for it once."""
BATCH_RECORDS_MAX = 2_000
"""How many records are taken from librdkafka in one call."""
METADATA_S = 5.0
"""How long Kafka may take to answer a question."""
MOVING_S = 0.05
"""How long to wait before a partition is asked for again that is just getting a leader."""
LATEST = -1
"""The timestamp that ListOffsets reads as: the end."""

_KINDS = {kind.value.encode() for kind in FactKind}
_NEWS = {kind.value.encode() for kind in NEWS}
_WIRE_HEADER_BYTES = 5
_MOVING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
"""Errors of partitions that are just being made, or move."""


class FactReader:
    """A consumer of the facts of some partitions. Bound to the event loop it is made in."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        watches: Watches,
        *,
        options: dict[str, Any] | None = None,
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._watches = watches
        self._loop = asyncio.get_running_loop()
        self._everything = 0
        self._thread: threading.Thread | None = None
        self._closing = False
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "client.id": "jobstream-client",
                "group.id": "jobstream-client",  # the library wants one; nothing joins or commits
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": FETCH_WAIT_MS,
                "allow.auto.create.topics": False,
                "log_level": 2,
                "error_cb": _on_error,
            }
            | (options or {})
        )

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has. Blocks.

        Raises:
            NotReachable: Kafka does not answer.
            TopicsMissing: There is no such topic.
        """
        try:
            metadata = self._consumer.list_topics(topic, METADATA_S).topics[topic]
        except KafkaException as exception:
            raise self._unreachable(exception.args[0]) from None
        if metadata.error is not None or not metadata.partitions:
            raise TopicsMissing(
                f"there is no topic {topic} at {self._bootstrap}: `jobstream topics apply` makes it, and so"
                f" does `jobstream up`"
            )
        return len(metadata.partitions)

    def ends(self, count: int) -> list[int]:
        """The end offsets of the facts, by partition, of `count` partitions. Blocks.

        Raises:
            NotReachable: Kafka does not answer.
        """
        asked = [TopicPartition(self._topic, number, LATEST) for number in range(count)]
        ends_at = time.monotonic() + METADATA_S
        while True:
            try:
                found = self._consumer.offsets_for_times(asked, METADATA_S)
                errors = [partition.error for partition in found if partition.error is not None]
            except KafkaException as exception:
                errors = [exception.args[0]]
            if not errors:
                return [partition.offset for partition in sorted(found, key=lambda found: found.partition)]
            if errors[0].code() not in _MOVING or time.monotonic() > ends_at:
                raise self._unreachable(errors[0])
            time.sleep(MOVING_S)

    def begin(self, partition: int, offset: int) -> None:
        """Reads a partition from `offset` on; the thread starts with the first one."""
        self._consumer.incremental_assign([TopicPartition(self._topic, partition, offset)])
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="jobstream-facts", daemon=True)
            self._thread.start()

    def end(self, partition: int) -> int | None:
        """Reads a partition no more; the offset it had come to, None if nothing had come yet."""
        assigned = TopicPartition(self._topic, partition)
        position: int = self._consumer.position([assigned])[0].offset
        self._consumer.incremental_unassign([assigned])
        return position if position >= 0 else None

    def want_everything(self, change: int) -> None:
        """Counts who follows whole jobs: while there is one, facts that no waiter needs are handed over
        too.
        """
        self._everything += change

    def close(self) -> None:
        """Stops the thread and the consumer. Blocks, for a moment."""
        self._closing = True
        if self._thread is not None:
            self._thread.join()
        self._consumer.close()

    def _serve(self) -> None:
        """The thread. The first record of a batch is waited for, the others are those that are there
        already.
        """
        while not self._closing:
            first = self._consumer.poll(POLL_S)
            if first is None:
                continue
            messages = [first, *self._consumer.consume(BATCH_RECORDS_MAX, 0)]
            facts = [
                (message.offset() or 0, fact)
                for message in messages
                if (fact := self._fact_of(message)) is not None
            ]
            if facts and not self._closing:
                self._loop.call_soon_threadsafe(self._hand_over, facts)

    def _fact_of(self, message: Message) -> Fact | None:
        error = message.error()
        if error is not None:
            log.warning("facts_unreadable partition=%s error=%s", message.partition(), error.str())
            return None
        value = message.value()
        if value is None or not (self._everything or _may_be_news(value)):
            return None
        try:
            fact: Fact = decode(value, (Fact,))
        except Undecodable as undecodable:
            log.warning(
                "fact_undecodable partition=%s offset=%s why=%s",
                message.partition(),
                message.offset(),
                undecodable,
            )
            return None
        return fact if self._watches.find(fact) is not None else None

    def _hand_over(self, facts: list[tuple[int, Fact]]) -> None:
        for offset, fact in facts:
            watch = self._watches.find(fact)
            if watch is not None:
                watch.take(offset, fact)

    def _unreachable(self, error: KafkaError) -> NotReachable:
        return NotReachable(f"Kafka does not answer at {self._bootstrap}: {error.str()}")


def _may_be_news(value: bytes) -> bool:
    """Looks at the first Avro field, the kind, without decoding the rest: most facts matter to no waiter.

    A value that does not look like a fact of ours is left to the codec.
    """
    start = _WIRE_HEADER_BYTES + 1
    kind = value[start : start + (value[_WIRE_HEADER_BYTES] >> 1)] if len(value) > start else b""
    return kind in _NEWS or kind not in _KINDS


def _on_error(error: KafkaError) -> None:
    log.info("kafka_says error=%s text=%s", error.name(), error.str())
