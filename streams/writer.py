"""Writes records to Kafka and says when they are durable.

Owns the one producer of a worker. Must never guess: `write` returns only when every replica in sync has every
record, and raises as soon as one of them has failed; what then is in the log is unknown, and the process has
to end.
"""

import asyncio
import logging
import threading
from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.defaults import RECORD_BYTES_MAX
from streams.crash import crash
from streams.record import Out

log = logging.getLogger("jobstream.streams")

DELIVERY_TIMEOUT_MS = 20_000
"""After this a record counts as failed. Longer than a leader election, shorter than people's patience."""

POLL_S = 0.1
"""How long the poll thread waits for delivery reports at a time; it is woken by each."""

FULL_WAIT_S = 0.005
"""Pause when librdkafka's own queue is full."""

WARM_UP_S = 30.0
"""How long a broker may take to answer at the start."""


class WriteFailed(Exception):
    """A record was not confirmed. What of its batch is in the log is unknown."""


class Writer:
    """An idempotent producer (KIP-98: retries neither repeat nor reorder) with confirmation per batch."""

    def __init__(self, bootstrap: str, security: Mapping[str, str] | None = None) -> None:
        """`bootstrap` is host:port[,…]; `security` is passed to librdkafka as it is."""
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "client.id": "jobstream-streams",
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 0,  # a batch is handed over at once, so there is nothing to wait for
                "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
                "message.max.bytes": RECORD_BYTES_MAX,
                "error_cb": self._on_error,
                **(security or {}),
            }
        )
        self._stop = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="streams-writer", daemon=True)
        self._poller.start()

    async def warm_up(self) -> None:
        """Returns when the brokers and the topics are known, so that the first write does not wait for them.

        Raises:
            WriteFailed: no broker answered within `WARM_UP_S` seconds.
        """
        try:
            await asyncio.to_thread(self._producer.list_topics, timeout=WARM_UP_S)
        except KafkaException as error:
            raise WriteFailed(f"no broker answered within {WARM_UP_S:.0f} s: {error.args[0]}") from error

    async def write(self, outs: Iterable[Out]) -> None:
        """Returns when all of `outs` are durable (acks=all); those of one partition keep their order.

        Raises:
            WriteFailed: one of them was not confirmed within `DELIVERY_TIMEOUT_MS`, or was refused.
        """
        batch = _Batch(asyncio.get_running_loop())
        for out in outs:
            await self._produce(out, batch)
            batch.sent()
        batch.close()
        await batch.done

    async def _produce(self, out: Out, batch: "_Batch") -> None:
        while True:
            try:
                self._producer.produce(
                    out.topic,
                    value=out.value,
                    key=out.key,
                    partition=out.partition,
                    headers=list(out.headers) if out.headers else None,
                    on_delivery=batch.delivered,
                )
            except BufferError:
                await asyncio.sleep(FULL_WAIT_S)
            except KafkaException as error:
                raise WriteFailed(
                    f"a record for {out.topic}/{out.partition} was refused: {error.args[0]}"
                ) from error
            else:
                return

    def stop(self, timeout_s: float) -> None:
        """Waits up to `timeout_s` for what is under way, then lets go."""
        self._producer.flush(timeout_s)
        self._stop.set()
        self._poller.join(timeout_s)

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(POLL_S)

    @staticmethod
    def _on_error(error: KafkaError) -> None:
        if error.fatal():
            crash(f"the writer can't go on: {error.str()}")
        log.warning("kafka: %s", error.str())


class _Batch:
    """Counts the confirmations of one `write`. `delivered` runs in the poll thread, all else in the event
    loop.
    """

    __slots__ = ("_confirmed", "_expected", "_lock", "_loop", "_sent", "done")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._sent = 0  # of the event loop's thread
        self._confirmed = 0  # under the lock
        self._expected: int | None = None  # under the lock; None while more are to come
        self.done: asyncio.Future[None] = loop.create_future()

    def sent(self) -> None:
        self._sent += 1

    def close(self) -> None:
        """No more records come: the last confirmation ends it."""
        with self._lock:
            self._expected = self._sent
            if self._confirmed == self._expected:
                self._settle(None)

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        with self._lock:
            self._confirmed += 1
            if error is not None:
                self._settle(
                    f"a record for {message.topic()}/{message.partition()} was not confirmed: {error.str()}"
                )
            elif self._confirmed == self._expected:
                self._settle(None)

    def _settle(self, sentence: str | None) -> None:
        self._loop.call_soon_threadsafe(self._finish, sentence)

    def _finish(self, sentence: str | None) -> None:
        if self.done.done():
            return
        if sentence is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(WriteFailed(sentence))
