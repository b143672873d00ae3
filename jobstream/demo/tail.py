"""Reads the topic of facts from its beginning, in a thread, into a tally. Owns its consumer.

It is what any program outside of Jobstream could do to watch jobs; it must use nothing but the topic.
"""

import threading
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from jobstream.demo.tally import Tally
from schemas.codec import decode
from schemas.events import Fact
from schemas.kafka import librdkafka

POLL_S = 0.05
BATCH = 1_000
"""How many facts are read at once."""


class FactTail:
    """Facts of all partitions, added to `tally` as they come; take `lock` to look at it."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.tally = Tally()
        self.lock = threading.Lock()
        self._stopping = threading.Event()
        self._consumer = Consumer(
            {
                **librdkafka(bootstrap),
                "group.id": "unused: partitions are assigned, and no offset is committed",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        self._thread = threading.Thread(target=self._run, name="facts", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            messages = self._consumer.consume(BATCH, POLL_S)
            with self.lock:
                for message in messages:
                    if message.error():
                        raise KafkaException(message.error())
                    self.tally.add(decode(message.value() or b"", (Fact,)))
