"""Fetches the records of the partitions that the group gave us, with librdkafka and without being a member.

Owns the position in each source partition. Takes the place of Faust's fetching through aiokafka, whose Python
builds and parses a request over all partitions for each lone record (see Decisions in the README). Everything
that touches the consumer runs in one thread, one thing after the other, so an assignment never changes under
a fetch. Must never commit, and never hand out a record under another generation than the one that assigned
it.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from faust.types import TP

from streams.transport.batch import Record

log = logging.getLogger(__name__)

START_S: Final = 30.0
"""How long the brokers may take to answer at the start."""

POLL_S: Final = 0.1
"""How long one question for records may wait. A rebalance waits for it once; records do not."""

EMPTY_WAIT_MS: Final = 100
"""How long the broker may hold an empty answer back. It answers at once when there is a record, but a
partition that was not part of the question has to wait for the next one.
"""

FULL_WAIT_MS: Final = 5
"""How soon a partition whose prefetched records were too many is asked for again (librdkafka's default is 1
s).
"""

LEAD_MAX: Final = 50_000
"""Most offsets of a leading partition that others wait for: more than a former owner can have been ahead of
its commits (see `ledger.RECORDS_MAX`), with a transaction's marker for each record.
"""

PREFETCH_KIB_MAX: Final = 16 * 1024
PREFETCH_RECORDS: Final = 10_000
"""Bounds of what is fetched ahead: all partitions together, and of each."""


LATER: Final = 1 << 63
"""After every offset."""


class Fetched(NamedTuple):
    """What one fetch gave, by partition, and the generation it was assigned in."""

    generation: int
    records: Mapping[TP, Sequence[Record]]


class Source:
    """The records of the owned source partitions, in order within each."""

    def __init__(
        self, config: Mapping[str, Any], group: str, records_max: int, leading: str | None = None
    ) -> None:
        """`config` is librdkafka's: servers and security; `records_max` is the most that one fetch gives.
        When a generation begins, no record of another topic comes before those of `leading` at that time.
        """
        self._consumer = Consumer(
            {
                **config,
                "group.id": group,  # needed by librdkafka, which never joins it: nothing is subscribed
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "check.crcs": True,
                "fetch.wait.max.ms": EMPTY_WAIT_MS,
                "fetch.queue.backoff.ms": FULL_WAIT_MS,
                "queued.max.messages.kbytes": PREFETCH_KIB_MAX,
                "queued.min.messages": PREFETCH_RECORDS,
            }
        )
        self._records_max = records_max
        self._leading = leading
        self._behind: dict[TP, int] = {}  # where each leading partition must get to first
        self._following: list[TopicPartition] = []
        self._positions: dict[TP, int] = {}
        self._thread = ThreadPoolExecutor(1, "transport-source")
        self._generation: int | None = None

    async def warm_up(self) -> None:
        """Learns where the partitions are, which else costs the first records a second."""
        await self._in_thread(self._consumer.list_topics, None, START_S)

    async def begin(self, generation: int, offsets: Mapping[TP, int]) -> None:
        """Fetches these partitions from these offsets on."""
        await self._in_thread(self._assign, generation, offsets)

    def end(self) -> None:
        """Fetches nothing more; what was fetched ahead is dropped."""
        self._thread.submit(self._assign, None, {})

    async def fetch(self) -> Fetched | None:
        """All records that are there, up to the limit; waits up to POLL_S for the first."""
        fetched: Fetched | None = await self._in_thread(self._poll)
        return fetched

    def positions(self) -> dict[TP, int]:
        """The next offset of each partition that is being fetched: behind the last record that was handed
        out, or behind what is not for readers (markers, aborted records) if nothing else follows.
        """
        return dict(self._positions)

    async def ends(self) -> dict[TP, int]:
        """Where each partition that is fetched ends, as the last fetch told; those not known are left out."""
        found: dict[TP, int] = await self._in_thread(self._ends)
        return found

    def _ends(self) -> dict[TP, int]:
        found = {}
        for place in self._consumer.assignment():
            watermarks = self._consumer.get_watermark_offsets(place, cached=True)
            if watermarks is not None and watermarks[1] >= 0:
                found[TP(place.topic, place.partition)] = watermarks[1]
        return found

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._in_thread(self._consumer.close)
        self._thread.shutdown()

    async def _in_thread(self, call: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)

    def _assign(self, generation: int | None, offsets: Mapping[TP, int]) -> None:
        self._generation = generation
        leading = {tp: offset for tp, offset in offsets.items() if tp.topic == self._leading}
        self._behind = {tp: end for tp, offset in leading.items() if (end := self._lead(tp, offset)) > offset}
        self._following = [TopicPartition(*tp, at) for tp, at in offsets.items() if tp not in leading]
        self._consumer.assign([TopicPartition(*tp, offset) for tp, offset in leading.items()])
        self._positions = dict(leading)
        self._follow()

    def _lead(self, tp: TP, offset: int) -> int:
        watermarks = self._consumer.get_watermark_offsets(TopicPartition(*tp), START_S)
        if watermarks is None:
            raise TimeoutError(f"no broker told within {START_S:g} s where {tp.topic}/{tp.partition} ends")
        return min(watermarks[1], offset + LEAD_MAX)

    def _follow(self) -> None:
        """Fetches from all other topics too, when the leading one is where it has to be."""
        if self._following and not self._behind:
            self._consumer.incremental_assign(self._following)
            self._positions |= {TP(at.topic, at.partition): at.offset for at in self._following}
            self._following = []

    def _poll(self) -> Fetched | None:
        first = self._consumer.poll(POLL_S)
        if first is None or self._generation is None:
            return None
        records: dict[TP, list[Record]] = {}
        message: Any  # the stubs have None where a fetched message has none
        for message in (first, *self._consumer.consume(self._records_max - 1, 0)):
            topic, partition = message.topic(), message.partition()
            if message.error() is not None:
                if message.error().code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(message.error())
                self._behind.pop(TP(topic, partition), None)  # its last offsets are transaction markers
                self._positions[TP(topic, partition)] = message.offset()
                continue
            records.setdefault(TP(topic, partition), []).append(
                Record(
                    topic,
                    partition,
                    message.offset(),
                    message.timestamp()[1],
                    message.key(),
                    message.value(),
                    tuple(message.headers() or ()),
                )
            )
        for tp, run in records.items():
            self._positions[tp] = run[-1].offset + 1
            if run[-1].offset + 1 >= self._behind.get(tp, LATER):
                del self._behind[tp]
        self._follow()
        return Fetched(self._generation, records) if records else None
