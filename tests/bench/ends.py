"""Watches jobs end, from the topic of facts, at so little cost that it does not count. Owns its consumer and
the thread that drains it.

It looks at the first Avro field alone, the kind of the fact, and keeps the bytes; whoever needs more decodes
them when the clock no longer runs.
"""

import threading
import time
from types import TracebackType
from typing import Final, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.codec import decode
from schemas.events import Fact
from schemas.words import FactKind

POLL_S: Final = 0.02
BATCH: Final = 10_000
FETCH_WAIT_MS: Final = 20
_HEADER_BYTES: Final = 5
_ENDS: Final = {
    bytes([len(kind) << 1]) + kind.encode()
    for kind in (FactKind.SUCCEEDED, FactKind.DIED, FactKind.CANCELLED, FactKind.EXPIRED, FactKind.REJECTED)
}
"""How the first field of a final fact is written: length, zigzag, then the word (Avro 1.12, strings)."""


class JobFailed(Exception):
    """A job of a benchmark ended otherwise than well, or not at all; its figures would mean nothing."""


class Ends:
    """The final facts that come after `begin`."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._facts: list[bytes] = []
        self._wanted = 0
        self._reached = threading.Event()
        self._reached_s = 0.0
        self._stopping = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "unused: partitions are assigned, and no offset is committed",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": FETCH_WAIT_MS,
            }
        )
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        self._thread = threading.Thread(target=self._run, name="ends", daemon=True)

    def begin(self, wanted: int) -> None:
        """Forgets what was seen, and waits for so many ends from now on; before the jobs are asked for."""
        self._facts = []
        self._reached.clear()
        self._wanted = wanted

    def reached(self, timeout_s: float) -> float:
        """Waits until all wanted ends have come; when the last one came, in seconds of time.monotonic.

        Raises:
            JobFailed: They did not come in time.
        """
        if not self._reached.wait(timeout_s):
            raise JobFailed(f"{len(self._facts)} of {self._wanted} jobs ended within {timeout_s:g} s")
        return self._reached_s

    def facts(self) -> dict[str, Fact]:
        """The final facts by job.

        Raises:
            JobFailed: One of them is no success, or a job is told of twice.
        """
        facts: dict[str, Fact] = {}
        for value in self._facts:
            fact = decode(value, (Fact,))
            if fact.fact != FactKind.SUCCEEDED or fact.job in facts:
                raise JobFailed(
                    f"each job must succeed once, got {fact.fact} of {fact.job}: {fact.error_message}"
                )
            facts[fact.job] = fact
        return facts

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
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                value = message.value() or b""
                if value[_HEADER_BYTES : _HEADER_BYTES + 1 + (value[_HEADER_BYTES] >> 1)] in _ENDS:
                    self._facts.append(value)
            if self._wanted and len(self._facts) >= self._wanted and not self._reached.is_set():
                self._reached_s = time.monotonic()
                self._reached.set()
