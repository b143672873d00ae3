"""Writes requests for jobs, for doors of the relay's own process, and says which of them Kafka has.

Owns a producer and the thread that waits for its delivery reports. A request that Kafka does not confirm
is told to who asked, and ends nothing: whether Kafka has it is then unknown, as with any client.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from relay import kafka_log
from schemas.codec import encode
from schemas.defaults import RECORD_BYTES_MAX
from schemas.events import JobRequest
from schemas.keys import home
from schemas.names import new_id
from schemas.topics import Topics

log = logging.getLogger("relay.requests")

LINGER_MS = 0
"""A request waits for no others; under load they gather behind those that are under way."""

DELIVERY_TIMEOUT_MS = 20_000
"""After this Kafka is said not to have taken it: longer than the election of a leader."""

QUEUE_MESSAGES_MAX = 100_000
"""Requests under way; above this they are refused at once."""

POLL_S = 0.1
"""How long the thread waits for a report at a time; it is woken by each."""

FLUSH_S = 5.0
"""How long the end waits for what is under way."""

Taken = Callable[[str | None], None]
"""Told, on the event loop, None once Kafka has the request, else why nobody can say that it has."""


class Refused(Exception):
    """The request was not handed to Kafka at all; the text is a sentence."""


class Requests:
    """An idempotent producer of requests. Its methods belong to the event loop that it is made in."""

    def __init__(self, config: Mapping[str, Any], topics: Topics) -> None:
        self._loop = asyncio.get_running_loop()
        self._topics = topics
        self._done: list[tuple[Taken, str | None]] = []
        self._stopping = False
        self._producer = Producer(
            {
                **config,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": LINGER_MS,
                "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
                "message.max.bytes": RECORD_BYTES_MAX,
                "queue.buffering.max.messages": QUEUE_MESSAGES_MAX,
                "error_cb": _on_error,
            },
            logger=kafka_log.log,
        )
        self._thread = threading.Thread(target=self._poll, name="relay-requests", daemon=True)
        self._thread.start()

    def new_id(self, key: str | None = None) -> str:
        """An id for a job, with its partition as a hint if it has a key of its own."""
        return new_id(None if key is None else home(key, self._topics.partitions))

    def write(self, request: JobRequest, taken: Taken) -> None:
        """Hands a request with an id to Kafka, at home; Refused if it takes no more."""
        key = request.key or request.id
        assert key is not None, "a request of a door has an id"
        try:
            self._producer.produce(
                self._topics.requests,
                encode(request),
                key.encode(),
                home(key, self._topics.partitions),
                partial(self._on_delivery, taken),
            )
        except BufferError:
            raise Refused(f"Kafka is behind: {QUEUE_MESSAGES_MAX} requests wait for it; try again") from None
        except KafkaException as error:
            raise Refused(f"Kafka refused the request: {error}") from None

    async def stop(self) -> None:
        """Waits for what is under way, for a while, then ends the thread."""
        await asyncio.to_thread(self._producer.flush, FLUSH_S)
        self.abandon()
        await asyncio.to_thread(self._thread.join, FLUSH_S)

    def abandon(self) -> None:
        """Lets the thread end, without waiting for it or for Kafka."""
        self._stopping = True

    # The thread.

    def _poll(self) -> None:
        while not self._stopping:
            self._producer.poll(POLL_S)
            if self._done:
                done, self._done = self._done, []
                if not self._loop.is_closed():
                    self._loop.call_soon_threadsafe(_tell, done)

    def _on_delivery(self, taken: Taken, error: KafkaError | None, _: Message) -> None:
        why = None if error is None else f"Kafka did not confirm the request: {error.str()}"
        self._done.append((taken, why))


def _tell(done: list[tuple[Taken, str | None]]) -> None:
    for taken, why in done:
        try:
            taken(why)
        except Exception:  # one who asked; the others wait for their own word
            log.exception("a fault of the relay's own, in what follows a request")


def _on_error(error: KafkaError) -> None:
    kafka_log.log.warning("producer error=%s reason=%r", error.name(), error.str())
