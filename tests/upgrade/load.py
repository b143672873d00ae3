"""Clients and a relay that keep the streams workers of a prefix busy, whichever release those are of.

Owns two threads: one asks for jobs at a steady pace, one answers every dispatch with a receipt, as a relay
whose minions take no time. Every fifth job waits before its first attempt, every seventh fails once.
"""

import threading
import time
from collections import defaultdict
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from schemas.codec import decode, encode
from schemas.events import Dispatch, Fact, JobRequest, Receipt
from schemas.topics import Topics

PAUSE_S: Final = 0.01
DELAY_MS: Final = 1_500
RETRY_MS: Final = 200
POLL_S: Final = 0.1
BATCH: Final = 500


class Load:
    """Jobs asked for, and what was told of their ends."""

    def __init__(self, bootstrap: str, topics: Topics) -> None:
        self.asked: list[str] = []
        self.ends: defaultdict[str, set[tuple[str, int | None]]] = defaultdict(set)
        """By job: each end that was told of it, and when it was."""
        self.failure: BaseException | None = None
        """What ended one of the threads."""
        self._topics = topics
        self._asking, self._answering = threading.Event(), threading.Event()
        self._producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 1})
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "unused: partitions are assigned, and no offset is committed",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        read = (topics.dispatch("default"), topics.facts)
        self._consumer.assign(
            [TopicPartition(topic, number, 0) for topic in read for number in range(topics.partitions)]
        )
        self._threads = [
            threading.Thread(target=self._until, args=(self._asking, self._ask), daemon=True),
            threading.Thread(target=self._until, args=(self._answering, self._answer), daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_asking()
        self._answering.set()
        self._threads[1].join()
        self._consumer.close()

    def stop_asking(self) -> None:
        """No more jobs; those that were asked for go on."""
        self._asking.set()
        self._threads[0].join()
        assert self._producer.flush(10) == 0, "Kafka must have every request"

    @property
    def unfinished(self) -> int:
        """How many jobs have not ended."""
        assert self.failure is None, f"the load must go on, got {self.failure!r}"
        return len(self.asked) - len(self.ends)

    def _until(self, stop: threading.Event, act: Any) -> None:
        try:
            while not stop.is_set():
                act()
        except BaseException as error:  # noqa: BLE001  # told by `unfinished`, in the thread of the test
            self.failure = error

    def _ask(self) -> None:
        number = len(self.asked)
        request = JobRequest(
            id=f"job{number}",
            function="fails-once" if number % 7 == 0 else "work",
            args=b"x" * 200,
            run_at_ms=time.time_ns() // 1_000_000 + DELAY_MS if number % 5 == 0 else None,
            retry_initial_ms=RETRY_MS,
        )
        self._producer.produce(self._topics.requests, encode(request))
        self._producer.poll(0)
        self.asked.append(f"job{number}")
        self._asking.wait(PAUSE_S)

    def _answer(self) -> None:
        message: Any
        for message in self._consumer.consume(BATCH, POLL_S):
            if message.error():
                raise KafkaException(message.error())
            if message.topic() == self._topics.facts:
                self._hear(decode(message.value(), (Fact,)))
            else:
                self._receipt(decode(message.value(), (Dispatch,)))
        self._producer.poll(0)

    def _hear(self, fact: Fact) -> None:
        if fact.ended_at_ms is not None:
            self.ends[fact.job].add((fact.fact, fact.ended_at_ms))

    def _receipt(self, dispatch: Dispatch) -> None:
        fails = dispatch.function == "fails-once" and dispatch.attempt == 1
        receipt = Receipt(
            job=dispatch.job,
            key=dispatch.key,
            partition=dispatch.partition,
            attempt=dispatch.attempt,
            epoch=dispatch.epoch,
            outcome="failure" if fails else "success",
            at_ms=time.time_ns() // 1_000_000,
        )
        self._producer.produce(self._topics.receipts, encode(receipt), partition=dispatch.partition)
