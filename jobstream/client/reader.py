"""Reads facts for the waiters of one client. It owns a consumer without a group and the thread that drains
it.

It reads only the partitions it is told to, from the offsets it is told, and hands what matters to the event
loop, many facts in one call. It must never commit an offset, and never hand over what belongs to an aborted
transaction.
"""

import asyncio
import logging
import queue
import threading

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from jobstream.client.watch import NEWS, Watches
from schemas.codec import Undecodable, decode
from schemas.events import Fact
from schemas.kafka import librdkafka
from schemas.words import FactKind

log = logging.getLogger(__name__)

POLL_S = 0.01
"""How long the thread sleeps at most in one call: bounds how long begin(), end() and close() wait for it."""
FETCH_WAIT_MS = 50
"""How long the broker holds an empty answer; a partition that is added waits for it once."""
BATCH_RECORDS_MAX = 2_000
"""How many records are taken from librdkafka in one call."""
_KINDS = {kind.value.encode() for kind in FactKind}
_NEWS = {kind.value.encode() for kind in NEWS}
_WIRE_HEADER_BYTES = 5


class FactReader:
    """A consumer of the facts of some partitions. Bound to the event loop it is made in."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        watches: Watches,
    ) -> None:
        self._topic = topic
        self._watches = watches
        self._loop = asyncio.get_running_loop()
        self._everything = 0
        self._thread: threading.Thread | None = None
        self._closing = False
        self._changes: queue.SimpleQueue[tuple[int, int | None]] = queue.SimpleQueue()
        """What the thread shall read: calls of other threads wait for ever while one polls (confluent-kafka
        2.16), so it alone touches the consumer.
        """
        self._positions: dict[int, int] = {}
        """Where the thread has come to, by partition."""
        self._consumer = Consumer(
            {
                **librdkafka(bootstrap),
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
        )

    def begin(self, partition: int, offset: int) -> None:
        """Reads a partition from `offset` on; the thread starts with the first one."""
        self._changes.put((partition, offset))
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="jobstream-facts", daemon=True)
            self._thread.start()

    def end(self, partition: int) -> int | None:
        """Reads a partition no more; the offset it had come to, None if nothing had come yet."""
        self._changes.put((partition, None))
        return self._positions.pop(partition, None)

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
            self._change_assignment()
            first = self._consumer.poll(POLL_S)
            if first is None:
                continue
            messages = [first, *self._consumer.consume(BATCH_RECORDS_MAX, 0)]
            self._positions |= {
                each.partition() or 0: (each.offset() or 0) + 1 for each in messages if each.error() is None
            }
            facts = [
                (message.offset() or 0, fact)
                for message in messages
                if (fact := self._fact_of(message)) is not None
            ]
            if facts and not self._closing:
                self._loop.call_soon_threadsafe(self._hand_over, facts)

    def _change_assignment(self) -> None:
        """Takes over what begin() and end() asked for: only the thread that polls may touch the consumer."""
        while not self._changes.empty():
            partition, offset = self._changes.get()
            if offset is None:
                self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])
            else:
                self._consumer.incremental_assign([TopicPartition(self._topic, partition, offset)])

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


def _may_be_news(value: bytes) -> bool:
    """Looks at the first Avro field, the kind, without decoding the rest: most facts matter to no waiter.

    A value that does not look like a fact of ours is left to the codec.
    """
    start = _WIRE_HEADER_BYTES + 1
    kind = value[start : start + (value[_WIRE_HEADER_BYTES] >> 1)] if len(value) > start else b""
    return kind in _NEWS or kind not in _KINDS


def _on_error(error: KafkaError) -> None:
    log.info("kafka_says error=%s text=%s", error.name(), error.str())
