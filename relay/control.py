"""Reads jobs.control or jobs.config from its beginning, and goes on reading: every relay knows every cancel,
and every pause.

Owns its consumer and thread. Assigns nothing to a group, commits nothing.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from relay import kafka_log
from relay.broker import ends

log = logging.getLogger("relay.control")

BATCH_RECORDS = 1_000
"""Records that are handed over at once."""

POLL_S = 0.1
"""How long the thread waits for a record at a time; it is woken by each."""

END_S = 2.0
"""How long the thread may take to end."""


class ControlTail:
    """The tail of the control topic. `take` is called on the event loop with batches of messages."""

    def __init__(
        self,
        config: Mapping[str, Any],
        topic: str,
        take: Callable[[Sequence[Message]], None],
        fail: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._topic = topic
        self._take = take
        self._fail = fail
        self._whole = asyncio.Event()
        self._stopping = threading.Event()
        self._consumer = Consumer(
            {
                **config,
                "group.id": f"{topic}.tail",  # required by the client, joined by nobody
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 100,  # the end of an empty topic is told by an empty fetch
                "topic.metadata.refresh.interval.ms": 1_000,
            },
            logger=kafka_log.log,
        )
        self._thread = threading.Thread(target=self._run, name="relay-control", daemon=True)
        self._thread.start()

    async def whole(self) -> None:
        """Returns when all that was in the topic at the start has been taken."""
        await self._whole.wait()

    @property
    def is_whole(self) -> bool:
        """Whether all that was in the topic at the start has been taken."""
        return self._whole.is_set()

    def abandon(self) -> None:
        """Lets the thread end, without waiting for it."""
        self._stopping.set()

    async def stop(self) -> None:
        """Ends the thread. One that waits for the broker ends with the process."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, END_S)

    # The thread.

    def _run(self) -> None:
        try:
            place = TopicPartition(self._topic, 0)
            # By number, since librdkafka takes half a second to look for the beginning at its start.
            low, high = ends(self._consumer, place)
            self._consumer.assign([TopicPartition(self._topic, 0, low)])
            if low == high:
                self._call(self._whole.set)
            while not self._stopping.is_set():
                first = self._consumer.poll(POLL_S)
                if first is not None:
                    self._hand_over([first, *self._consumer.consume(BATCH_RECORDS - 1, 0)])
            self._consumer.close()
        except BaseException as error:  # noqa: BLE001 - whatever ends the thread ends the relay
            self._call(self._fail, f"cannot read {self._topic}: {error}")

    def _hand_over(self, messages: list[Message]) -> None:
        records = [message for message in messages if message.error() is None]
        if records:
            self._call(self._take, records)
        for error in (message.error() for message in messages):
            if error is None:
                continue
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                self._call(self._whole.set)
            elif error.fatal():
                raise KafkaException(error)
            else:
                log.warning("control error=%s reason=%r", error.name(), error.str())

    def _call(self, what: Callable[..., Any], *args: Any) -> None:
        """Calls something on the event loop; when that has ended there is nothing left to tell."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *args)
