"""Writes receipts and heartbeats to their home partitions, and says which of them Kafka has.

Owns the producer and the thread that waits for its delivery reports. A record that Kafka does not confirm is
a failure of the relay: nothing is sent a second time by this module, nothing is dropped.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from relay import kafka_log
from relay.core.record import Record
from schemas.codec import encode
from schemas.defaults import MIB, RECORD_BYTES_MAX
from schemas.events import Announcement, Heartbeat, Receipt, Reject
from schemas.topics import Topics

log = logging.getLogger("relay.writer")

LINGER_MS = 0
"""A record waits for no others: an idle relay writes at once."""

IN_FLIGHT_MAX = 1
"""Requests under way to one broker. A busy relay groups, since what comes meanwhile waits for one request to
be answered, and no longer: librdkafka sends one partition in a request, and each costs both sides.
"""

DELIVERY_TIMEOUT_MS = 20_000
"""After this a record counts as failed: longer than the election of a leader."""

POLL_S = 0.1
"""How long the thread waits for a report at a time; it is woken by each."""

UNCONFIRMED_MAX = 50_000
"""Records under way; with so many the relay reads no more from its minions until half of them are confirmed.
"""

REJECTS_PARTITION = 0
"""The only one of that topic."""

UNCONFIRMED_BYTES_MAX = 64 * MIB
"""Their bytes."""


class Writer:
    """An idempotent producer. All methods belong to the event loop; `stored` and `fail` are called on it."""

    def __init__(
        self,
        config: Mapping[str, Any],
        topics: Topics,
        stored: Callable[[list[Record]], None],
        fail: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._topics: dict[type, str] = {
            Receipt: topics.receipts,
            Heartbeat: topics.heartbeats,
            Announcement: topics.heartbeats,
            Reject: topics.rejects,
        }
        self._stored = stored
        self._fail = fail
        self._unconfirmed = 0
        self._unconfirmed_bytes = 0
        self._open = asyncio.Event()
        self._open.set()
        self._settled = asyncio.Event()
        self._settled.set()
        self._confirmed: list[tuple[Record, int]] = []
        self._stopping = False
        self._producer = Producer(
            {
                **config,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": LINGER_MS,
                "max.in.flight.requests.per.connection": IN_FLIGHT_MAX,
                "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
                "message.max.bytes": RECORD_BYTES_MAX,
                "queue.buffering.max.messages": 4 * UNCONFIRMED_MAX,
                "error_cb": self._on_error,
            },
            logger=kafka_log.log,
        )
        self._thread = threading.Thread(target=self._poll, name="relay-writer", daemon=True)
        self._thread.start()

    def write(self, records: Iterable[Record]) -> None:
        """Hands records to Kafka, in this order within a partition; `stored` gets each when Kafka has it."""
        for record in records:
            event = record.event
            topic = self._topics[type(event)]
            partition = REJECTS_PARTITION if type(event) is Reject else event.partition
            value = encode(event)
            self._unconfirmed += 1
            self._unconfirmed_bytes += len(value)
            try:
                self._producer.produce(
                    topic,
                    value,
                    record.key,
                    partition,
                    partial(self._on_delivery, record, len(value)),
                )
            except (BufferError, KafkaException) as error:
                self._fail(f"a record for {topic}/{partition} was refused: {error}")
                return
        if self._unconfirmed:
            self._settled.clear()
            if self._unconfirmed >= UNCONFIRMED_MAX or self._unconfirmed_bytes >= UNCONFIRMED_BYTES_MAX:
                self._open.clear()

    @property
    def unconfirmed(self) -> int:
        """Records that Kafka has not confirmed yet."""
        return self._unconfirmed

    async def room(self) -> None:
        """Returns when more may be written."""
        if not self._open.is_set():
            await self._open.wait()

    async def settle(self, timeout_s: float) -> bool:
        """Waits until Kafka has all that was written; False if that takes longer."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True

    def abandon(self) -> None:
        """Lets the thread end, without waiting for it or for Kafka."""
        self._stopping = True

    async def stop(self, timeout_s: float) -> None:
        """Waits for what is under way, then ends the thread."""
        await self.settle(timeout_s)
        self._stopping = True
        await asyncio.to_thread(self._thread.join, timeout_s)

    # The thread.

    def _poll(self) -> None:
        while not self._stopping:
            self._producer.poll(POLL_S)
            if self._confirmed:
                confirmed, self._confirmed = self._confirmed, []
                self._call(self._on_confirmed, confirmed)

    def _on_delivery(self, record: Record, size_bytes: int, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._confirmed.append((record, size_bytes))
        elif isinstance(record.event, Reject):  # a poison record must not end relay after relay
            log.error("a reject was not kept: %s place=%s", error.str(), record.key)
            self._confirmed.append((record, size_bytes))
        else:
            event = record.event
            what = f"a {type(event).__name__} for partition {event.partition}"
            self._call(self._fail, f"Kafka did not take {what}: {error.str()}")

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._call(self._fail, f"the producer failed: {error.str()}")
        else:
            kafka_log.log.warning("producer error=%s reason=%r", error.name(), error.str())

    def _call(self, what: Callable[..., None], *args: Any) -> None:
        """Calls something on the event loop; when that has ended there is nothing left to tell."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *args)

    # The loop again.

    def _on_confirmed(self, confirmed: list[tuple[Record, int]]) -> None:
        self._unconfirmed -= len(confirmed)
        self._unconfirmed_bytes -= sum(size for _, size in confirmed)
        if not self._open.is_set() and (
            self._unconfirmed * 2 < UNCONFIRMED_MAX and self._unconfirmed_bytes * 2 < UNCONFIRMED_BYTES_MAX
        ):
            self._open.set()
        self._stored([record for record, _ in confirmed])
        if not self._unconfirmed:
            self._settled.set()
