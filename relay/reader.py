"""Reads the dispatch topics of the queues that minions serve, as a member of the relays' consumer group.

Owns the consumer and its thread. The thread only fetches and hands over; what a record means is decided on
the event loop. Offsets are committed only when told to, and never for partitions that were given up.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from relay import kafka_log
from relay.broker import committed, ends
from relay.core.finished import Finished, read
from relay.core.window import Window
from schemas.defaults import MIB
from schemas.topics import Topics

log = logging.getLogger("relay.reader")

READ_BACK_RECORDS = 1_000
"""Records before the committed offset of a new partition that are read to know what was finished lately."""

ADOPT_GRACE_MS = 500
"""Uncommitted records of a new partition may be held by minions of a relay that died, and wait so long for
them. Where nothing was ever committed nobody can hold any.
"""

HEARTBEAT_INTERVAL_MS = 500
"""How often the broker hears of a relay, and so how soon a relay hears of a rebalance."""

METADATA_REFRESH_MS = 1_000
"""How soon a topic that came into being is found."""

FETCH_WAIT_MAX_MS = 50
"""How long a fetch may wait at the broker for a record. One is under way at a time, so a partition that is
assigned or resumed meanwhile waits as long for its turn.
"""

POLL_INTERVAL_MAX_MS = 60_000
"""A relay whose event loop stands still for so long loses its partitions."""

BATCH_RECORDS = 500
"""Records that are handed over at once."""

BATCHES_MAX = 2
"""Batches that may wait for the event loop."""

POLL_S = 0.02
"""How long the thread waits for a record at a time; it is woken by each, but not by orders."""

LET_GO_S = 5.0
"""How long the event loop may take to let go of partitions, with all it has to write for that."""

LEAVE_S = LET_GO_S + 2.0
"""How long all of leaving the group may take."""

Place = tuple[str, int]
"""A topic and a partition of it."""


class Keeper(Protocol):
    """Who gets what the reader reads. All of it is called on the event loop."""

    def assigned(self, windows: Sequence[Window]) -> None:
        """These partitions are the relay's from now on; their records follow."""

    def let_go(self, places: Sequence[Place]) -> Coroutine[Any, Any, list[TopicPartition]]:
        """These partitions go to another relay: gives what may be committed for them at last."""

    def lost(self, places: Sequence[Place]) -> None:
        """These partitions went to another relay already; nothing may be committed for them."""

    def read(self, messages: Sequence[Message]) -> None:
        """Records, in the order of each partition."""


class Reader:
    """The group member. Its methods belong to the event loop, those with an underscore to its thread.

    The consumer is used by the thread alone: a call into it from elsewhere while it polls was seen to hang,
    with the interpreter's lock held. So what the loop wants of it is an order that the thread carries out
    between two polls.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        topics: Topics,
        session_timeout_ms: int,
        keeper: Keeper,
        fail: Callable[[str], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._topics = topics
        self._keeper = keeper
        self._fail = fail
        self._now_ms = now_ms
        self._stopping = threading.Event()
        self._abandoned = False
        self._orders: deque[Callable[[], object]] = deque()
        self._under_way = threading.Semaphore(BATCHES_MAX)
        self._unknown: set[str] = set()
        self.rebalances = 0
        """How often partitions came or went."""
        self.ends: dict[Place, int] = {}
        """Where the partitions end, as the fetch before the last `look` told."""
        self._consumer = Consumer(
            {
                **config,
                "group.id": f"{topics.prefix}relay",
                "partition.assignment.strategy": "cooperative-sticky",
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "allow.auto.create.topics": False,
                "session.timeout.ms": session_timeout_ms,
                "heartbeat.interval.ms": HEARTBEAT_INTERVAL_MS,
                "max.poll.interval.ms": POLL_INTERVAL_MAX_MS,
                "topic.metadata.refresh.interval.ms": METADATA_REFRESH_MS,
                "queued.max.messages.kbytes": 16 * MIB // 1024,
                "fetch.queue.backoff.ms": 5,
                "fetch.wait.max.ms": FETCH_WAIT_MAX_MS,
                "error_cb": self._on_error,
                "on_commit": self._on_commit,
            },
            logger=kafka_log.log,
        )
        self._thread = threading.Thread(target=self._run, name="relay-reader", daemon=True)
        self._thread.start()

    def subscribe(self, topics: Iterable[str]) -> None:
        """Reads exactly these topics from now on; those that do not exist yet, when they do."""
        self._orders.append(partial(self._subscribe, sorted(topics)))

    def pause(self, windows: Iterable[Window]) -> None:
        """Fetches no more of these partitions for now."""
        self._orders.append(partial(self._consumer.pause, _places(windows)))

    def resume(self, windows: Iterable[Window]) -> None:
        """Fetches them again."""
        self._orders.append(partial(self._consumer.resume, _places(windows)))

    def commit(self, offsets: list[TopicPartition]) -> None:
        """Commits in the background; a commit that fails is only told, since the next one makes up for it."""
        self._orders.append(partial(self._consumer.commit, offsets=offsets, asynchronous=True))

    def look(self) -> None:
        """Asks where the partitions end: for the next time someone wants to know."""
        self._orders.append(self._look)

    def abandon(self) -> None:
        """Lets the thread end where it is: nothing more is committed, and the broker finds out by itself."""
        self._abandoned = True
        self._stopping.set()

    async def stop(self) -> bool:
        """Lets go of all partitions, commits, and leaves the group; False if Kafka does not answer to that:
        librdkafka waits minutes for a broker that is there and says nothing.
        """
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, LEAVE_S)
        return not self._thread.is_alive()

    # The thread.

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                while self._orders:
                    self._orders.popleft()()
                first = self._consumer.poll(POLL_S)
                if first is not None:
                    self._hand_over([first, *self._consumer.consume(BATCH_RECORDS - 1, 0)])
            if not self._abandoned:
                self._consumer.close()
        except BaseException as error:  # noqa: BLE001 - whatever ends the thread ends the relay
            self._call(self._fail, f"the consumer failed: {error}")

    def _look(self) -> None:
        found = {}
        for place in self._consumer.assignment():
            marks = self._consumer.get_watermark_offsets(place, cached=True)
            if marks is not None and marks[1] >= 0:
                found[place.topic, place.partition] = marks[1]
        self.ends = found

    def _subscribe(self, topics: list[str]) -> None:
        if topics:
            self._consumer.subscribe(
                topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
        else:
            self._consumer.unsubscribe()

    def _hand_over(self, messages: list[Message]) -> None:
        records = [message for message in messages if self._is_record(message)]
        if not records:
            return
        while not self._under_way.acquire(timeout=1):
            if self._stopping.is_set():
                return
        self._call(self._take, records)

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            topic = message.topic() or ""
            if topic not in self._unknown:
                self._unknown.add(topic)
                log.info("waits for a topic that does not exist yet topic=%s", topic)
        elif error.fatal() or error.code() == KafkaError._MAX_POLL_EXCEEDED:  # noqa: SLF001 - its public name
            raise KafkaException(error)
        else:
            log.warning("consumer error=%s reason=%r", error.name(), error.str())
        return False

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.rebalances += 1
        found = [self._window(consumer, place) for place in committed(consumer, partitions)]
        self._call(self._keeper.assigned, [window for window, _ in found])
        consumer.incremental_assign(
            [TopicPartition(window.topic, window.partition, read_from) for window, read_from in found]
        )

    def _window(self, consumer: Consumer, found: TopicPartition) -> tuple[Window, int]:
        """The window of a new partition, from its committed offset on, and where to begin to read.

        A topic that was made anew, and so ends before what is committed, is read from its start.
        """
        low, high = ends(consumer, found)
        start = low if found.offset == OFFSET_INVALID else max(found.offset, low)
        if start > high:
            log.warning(
                "committed beyond the end, reads from the start topic=%s partition=%d committed=%d end=%d",
                found.topic,
                found.partition,
                start,
                high,
            )
            start = low
        held = found.offset != OFFSET_INVALID and start < high
        hold_until_ms = self._now_ms() + ADOPT_GRACE_MS if held else 0
        window = Window(
            found.topic,
            found.partition,
            start,
            queue=self._topics.queue_of(found.topic) or "",
            end_at_start=high,
            hold_until_ms=hold_until_ms,
            finished=_finished(found) if start == found.offset else None,
        )
        return window, max(start - READ_BACK_RECORDS, low)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.rebalances += 1
        places = [(one.topic, one.partition) for one in partitions]
        waiting = asyncio.run_coroutine_threadsafe(self._keeper.let_go(places), self._loop)
        try:
            offsets = waiting.result(LET_GO_S)
            if offsets:
                consumer.commit(offsets=offsets, asynchronous=False)
        except (TimeoutError, KafkaException) as error:
            log.warning(
                "partitions given up without a last commit partitions=%d reason=%r", len(places), str(error)
            )

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._call(self._keeper.lost, [(one.topic, one.partition) for one in partitions])

    def _on_commit(self, error: KafkaError | None, _: list[TopicPartition]) -> None:
        if error is not None and error.code() != KafkaError._NO_OFFSET:  # noqa: SLF001 - its public name
            log.warning("commit failed error=%s reason=%r", error.name(), error.str())

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._call(self._fail, f"the consumer failed: {error.str()}")
        else:
            kafka_log.log.warning("consumer error=%s reason=%r", error.name(), error.str())

    def _call(self, what: Callable[..., None], *args: Any) -> None:
        """Calls something on the event loop; when that has ended there is nothing left to tell."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *args)

    # The loop again.

    def _take(self, records: list[Message]) -> None:
        self._under_way.release()
        self._keeper.read(records)


def _finished(found: TopicPartition) -> Finished | None:
    """What was finished beyond the committed offset; None if nothing, or if that can't be read."""
    if not found.metadata:
        return None
    try:
        return read(found.metadata, found.offset)
    except ValueError as error:
        log.warning(
            "what was finished beyond the offset is not known: %s topic=%s partition=%d",
            error,
            found.topic,
            found.partition,
        )
        return None


def _places(windows: Iterable[Window]) -> list[TopicPartition]:
    return [TopicPartition(window.topic, window.partition) for window in windows]
