"""Records of one kind as they are written, for one listener. Owns a consumer and the thread that polls it.

What the listener does not take stops the reading: nothing piles up, nothing is left out. Never commits.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Generic, TypeVar

from confluent_kafka import Consumer, KafkaError, TopicPartition

from jobstream.errors import NotReachable
from schemas.codec import Undecodable, decode
from schemas.kafka import librdkafka

log = logging.getLogger("gateway.tail")

POLL_S = 0.1
"""How long the thread sleeps at most in one call: bounds how long close() takes."""

QUIET_S = 10.0
"""After how long without a record the listener is told that there was none."""

BATCH_RECORDS_MAX = 500
BATCHES_MAX = 4
"""Batches that wait for the listener."""

FETCH_KIB_MAX = 1_024
"""What librdkafka reads ahead."""

T = TypeVar("T")


class Tail(Generic[T]):
    """Reads from given offsets on. Bound to the event loop it is made in."""

    def __init__(self, bootstrap: str, topic: str, kind: type[T], start: Mapping[int, int]) -> None:
        """Reads records of `kind`; what is no such record is passed over, with a line in the log."""
        self._kind = kind
        self._loop = asyncio.get_running_loop()
        self._batches: asyncio.Queue[list[tuple[int, int, T]] | NotReachable] = asyncio.Queue()
        self._room = threading.Semaphore(BATCHES_MAX)
        self._closing = False
        self._consumer = Consumer(
            {
                **librdkafka(bootstrap),
                "client.id": "jobstream-gateway-tail",
                "group.id": "jobstream-gateway-tail",  # the library wants one; nothing joins or commits
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
                "queued.max.messages.kbytes": FETCH_KIB_MAX,
                "allow.auto.create.topics": False,
                "log_level": 2,
                "error_cb": _on_error,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, offset) for number, offset in start.items()])
        self._thread = threading.Thread(target=self._serve, name="jobstream-tail", daemon=True)
        self._thread.start()

    async def records(self) -> AsyncIterator[tuple[int, int, T] | None]:
        """Records with partition and offset, in order by partition; None after a while without any.

        Raises:
            NotReachable: They are read no longer.
        """
        while True:
            try:
                async with asyncio.timeout(QUIET_S):
                    batch = await self._batches.get()
            except TimeoutError:
                yield None
                continue
            if isinstance(batch, NotReachable):
                raise batch
            for found in batch:
                yield found
            self._room.release()

    async def close(self) -> None:
        """Stops the thread and the consumer."""
        self._closing = True
        self._room.release()
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        try:
            self._read()
        except Exception as error:  # whatever it is, nobody shall listen to a thread that has ended
            log.exception("a topic can't be read any longer")
            self._put(NotReachable(f"facts can't be read any longer: {error}"))
        self._consumer.close()

    def _read(self) -> None:
        while not self._closing:
            messages = self._consumer.consume(BATCH_RECORDS_MAX, POLL_S)
            found = [
                (message.partition() or 0, message.offset() or 0, record)
                for message in messages
                if message.error() is None and (record := self._record_of(message.value())) is not None
            ]
            if found:
                self._room.acquire()
                self._put(found)

    def _put(self, what: list[tuple[int, int, T]] | NotReachable) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it who listened
            self._loop.call_soon_threadsafe(self._batches.put_nowait, what)

    def _record_of(self, value: bytes | None) -> T | None:
        if value is None:
            return None
        try:
            record: T = decode(value, (self._kind,))
        except Undecodable as undecodable:
            log.warning("undecodable why=%s", undecodable)
            return None
        return record


def _on_error(error: KafkaError) -> None:
    log.info("kafka_says error=%s text=%s", error.name(), error.str())
