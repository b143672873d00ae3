"""Writes records to Kafka and says when Kafka has them. It owns the producer and the thread that serves its
reports.

Every record goes to the partition it names: no partitioner is asked. A record that Kafka did not confirm in
time is produced again, the same bytes, until a total time is over; the ids in the records make the repeat
harmless. It must never say that a record is written before all replicas in sync have it.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.kafka import librdkafka

log = logging.getLogger(__name__)

LINGER_MS = 0
"""How long librdkafka waits for company before it sends. Any wait at all costs 1.5 ms at the median here,
since it
is rounded up, and makes no batch larger: while one is under way the next one gathers.
"""
TRY_MS = 5_000
"""How long one try of a record may take before it is produced again."""
QUEUE_MESSAGES_MAX = 20_000
"""How many records may wait in librdkafka, so that none gets old there; a writer that is faster than Kafka
waits.
"""
QUEUE_KIB_MAX = 64 * 1024
"""The same in KiB."""
RECORD_BYTES_MAX = 1024 * 1024
"""Largest record, as the broker's default has it; the limits on arguments are far below."""
POLL_S = 0.1
"""How long the thread sleeps at most in one call: bounds the time that close() takes."""
PAUSE_S = 0.01
"""How long a writer waits before it looks at a full queue again."""
AGAIN_S = 0.2
"""How long it waits before it produces again what came back at once."""
METADATA_S = 5.0
"""How long Kafka may take to say where partitions are."""
FLUSH_S = 5.0
"""How long close() waits for what is under way."""
LOG_LEVEL = 2
"""Syslog level of what librdkafka writes to stderr itself: critical only; the rest comes as errors."""
CHUNK_RECORDS = 500
"""How many records are produced before the event loop gets a turn."""

_REFUSALS = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_RECORD,
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001  # the library's way to name its local errors
        KafkaError._AUTHENTICATION,  # noqa: SLF001
    }
)
"""Errors that another try cannot mend."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record for one partition."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None


class NotWritten(Exception):
    """Some records were not confirmed.

    Attributes:
        values: Values of the records that were not.
        refused: True if Kafka said no for good, so that none of them was written; False if nobody knows.
    """

    def __init__(self, sentence: str, values: frozenset[bytes | None], *, refused: bool) -> None:
        super().__init__(sentence)
        self.values = values
        self.refused = refused


@dataclass(eq=False)
class _Batch:
    """Records that one caller waits for.

    `reported` is written by the serving thread alone and `expected` by the event loop alone; each writes its
    own, then reads the other's, so at least one of them sees that the batch is complete.
    """

    producer: Producer
    future: asyncio.Future[None]
    done: list["_Batch"]
    expected: int = -1
    reported: int = 0
    failed: list[tuple[KafkaError, Record]] = field(default_factory=list)
    untaken: list[tuple[KafkaError, Record]] = field(default_factory=list)

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """Counts a report of librdkafka."""
        if error is not None:
            topic, partition, key = message.topic(), message.partition(), message.key()
            assert topic is not None
            assert partition is not None
            assert key is not None
            self.failed.append((error, Record(topic, partition, key, message.value())))
        self.reported += 1
        if self.reported == self.expected:
            self.done.append(self)

    async def ended(self) -> list[tuple[KafkaError, Record]]:
        """Waits for the last report; the records that did not get through."""
        if self.reported < self.expected:
            await self.future
        return self.failed + self.untaken


class Writer:
    """An idempotent producer whose confirmations can be awaited. Bound to the event loop it is made in."""

    def __init__(
        self, bootstrap: str, *, try_ms: int = TRY_MS, options: dict[str, Any] | None = None
    ) -> None:
        self._options: dict[str, Any] = {
            **librdkafka(bootstrap),
            "client.id": "jobstream-client",
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": LINGER_MS,
            "message.timeout.ms": try_ms,
            "queue.buffering.max.messages": QUEUE_MESSAGES_MAX,
            "queue.buffering.max.kbytes": QUEUE_KIB_MAX,
            "message.max.bytes": RECORD_BYTES_MAX,
            "error_cb": _on_error,
            "log_level": LOG_LEVEL,
        } | (options or {})
        self._try_s = try_ms / 1000
        self._loop = asyncio.get_running_loop()
        self._producer = Producer(self._options)
        self._retired: list[Producer] = []
        self._done: list[_Batch] = []
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="jobstream-writer", daemon=True)
        self._thread.start()

    async def write(self, records: Sequence[Record], within_s: float) -> None:
        """Returns when Kafka has every one of `records`, on all replicas in sync.

        Args:
            records: What to write, in order per partition unless a record must be produced again.
            within_s: Total time over all tries, in seconds; the first try is made in any case.

        Raises:
            NotWritten: The time is over, or Kafka said no for good.
        """
        ends_at = self._loop.time() + within_s
        await self._confirm(await self._try(records, ends_at), ends_at)

    async def begin(self, records: Sequence[Record], within_s: float) -> asyncio.Task[None]:
        """Like write, but returns when librdkafka has the records; the task ends when Kafka has them.

        So whoever writes much can make the next records while these are under way, and their order is kept.
        """
        ends_at = self._loop.time() + within_s
        return self._loop.create_task(self._confirm(await self._try(records, ends_at), ends_at))

    async def _confirm(self, batch: "_Batch", ends_at: float) -> None:
        """Waits for the reports, and tries again what may be tried again."""
        while failed := await batch.ended():
            error = failed[0][0]
            refusals = [(error, record) for error, record in failed if error.code() in _REFUSALS]
            if refusals:
                values = frozenset(record.value for _, record in refusals)
                raise NotWritten(refusals[0][0].str(), values, refused=True)
            records = [record for _, record in failed]
            if self._loop.time() + AGAIN_S + self._try_s > ends_at or self._closing:
                raise NotWritten(error.str(), frozenset(record.value for record in records), refused=False)
            log.warning("write_again records=%d error=%s", len(records), error.name())
            self._replace_if_fatal(error, batch.producer)
            await asyncio.sleep(AGAIN_S)
            batch = await self._try(records, ends_at)

    async def _try(self, records: Sequence[Record], ends_at: float) -> "_Batch":
        """Produces `records` once. librdkafka reports each within the time of a try."""
        batch = _Batch(self._producer, self._loop.create_future(), self._done)
        for index, record in enumerate(records, start=1):
            error = await self._produce(record, batch, ends_at)
            if error is not None:
                batch.untaken.append((error, record))
            if index % CHUNK_RECORDS == 0:
                await asyncio.sleep(0)
        batch.expected = len(records) - len(batch.untaken)
        return batch

    async def _produce(self, record: Record, batch: _Batch, ends_at: float) -> KafkaError | None:
        """Hands a record to librdkafka, waiting while its queue is full; the error if it was not taken."""
        while True:
            try:
                batch.producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    partition=record.partition,
                    on_delivery=batch.delivered,
                )
            except BufferError:
                if self._loop.time() > ends_at:
                    return KafkaError(KafkaError._QUEUE_FULL)  # noqa: SLF001
                await asyncio.sleep(PAUSE_S)
            except KafkaException as exception:
                error: KafkaError = exception.args[0]
                return error
            else:
                return None

    def _replace_if_fatal(self, error: KafkaError, producer: Producer) -> None:
        """A producer that met a fatal error writes no more: a new one takes its place, the old one still
        reports.
        """
        fatal = error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001
        if fatal and producer is self._producer:
            log.warning("producer_replaced error=%s", error.str())
            self._retired.append(producer)
            self._producer = Producer(self._options)

    def _serve(self) -> None:
        """The thread: serves delivery reports, and hands complete batches to the event loop in one call."""
        while not self._closing:
            self._producer.poll(POLL_S)
            for producer in self._retired:
                producer.poll(0)
            self._hand_over()
        self._producer.flush(FLUSH_S)
        self._producer.purge()
        self._producer.poll(0)
        self._hand_over()

    def _hand_over(self) -> None:
        if self._done:
            batches = self._done[:]
            self._done.clear()
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever waited
                self._loop.call_soon_threadsafe(_settle, batches)

    def warm(self, topic: str) -> None:
        """Learns where the partitions of a topic are, so that the first write need not wait for it.
        Blocks.
        """
        self._producer.list_topics(topic, METADATA_S)

    def close(self) -> None:
        """Waits a little for what is under way, then stops the thread; what is left comes back as not
        written.
        """
        self._closing = True
        self._thread.join()


def _settle(batches: list[_Batch]) -> None:
    for batch in batches:
        if not batch.future.done():
            batch.future.set_result(None)


def _on_error(error: KafkaError) -> None:
    log.info("kafka_says error=%s text=%s", error.name(), error.str())
