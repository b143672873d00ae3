"""Kafka as the HTTP service uses it: writes with acks=all, decisions and ends by their facts, facts as they
are written. Made of the parts of the client.

It must never say that something is written before all replicas in sync have it.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from jobstream.client import whole
from jobstream.client.config import PARTITION as CONFIG_PARTITION
from jobstream.client.config import changed, read_entries
from jobstream.client.letters import read_letters
from jobstream.client.metadata import Metadata
from jobstream.client.reader import FactReader
from jobstream.client.status import end_of
from jobstream.client.waiting import Waiting
from jobstream.client.watch import Watch, Watches
from jobstream.client.writer import NotWritten, Record, Writer
from jobstream.errors import JobEnded, JobUnknown, SubmitFailed, SubmitTimedOut, WaitTimedOut
from jobstream.gateway.tail import Tail
from schemas.codec import Undecodable, decode, encode
from schemas.events import DeadLetter, Fact
from schemas.settings import Settings
from schemas.topics import Topics

if TYPE_CHECKING:
    from relay.doors.http.desk import Ask, Fits, Told

BY = "gateway"
"""Who changes settings, in their entries."""

WRITE_S = 10.0
"""How long Kafka may take to confirm a record, over all tries."""

HISTORY_RECORDS_MAX = 500_000
"""Facts of a partition that are looked through for those of one job: some seconds."""

HISTORY_SLACK_MS = 60_000
"""How far the clocks of those who write facts may be apart."""

LookUp = Callable[[str, str | None], Awaitable[dict[str, Any]]]
"""Asks the workers for a job, by its id and key. Raises JobUnknown, NotReachable."""


class KafkaDesk:
    """What `relay.doors.http.desk.Desk` asks for. Use it as `async with KafkaDesk(...) as desk`."""

    def __init__(self, settings: Settings, look_up: LookUp) -> None:
        """Of these settings; `look_up` tells of jobs whose end lies before what is read."""
        self._bootstrap = settings.kafka
        self._prefix = settings.prefix
        self._ask_workers = look_up
        self._watches = Watches()
        self._opened: tuple[Topics, FactReader, Waiting, Writer, Metadata] | None = None

    async def __aenter__(self) -> Self:
        """Connects. NotReachable if Kafka does not answer, TopicsMissing if the topics are not there."""
        metadata = Metadata(self._bootstrap)
        partitions = await asyncio.to_thread(metadata.partitions, Topics(self._prefix).requests)
        topics = Topics(self._prefix, partitions)
        reader = FactReader(self._bootstrap, topics.facts, self._watches)
        waiting = Waiting(
            reader, self._watches, partial(metadata.ends, topics.facts, partitions), self._look_up
        )
        try:
            await waiting.open()
        except BaseException:
            await asyncio.to_thread(reader.close)
            raise
        writer = Writer(self._bootstrap, options={"client.id": "jobstream-gateway"})
        await asyncio.to_thread(writer.warm, topics.requests)
        self._opened = topics, reader, waiting, writer, metadata
        return self

    async def __aexit__(self, *_: object) -> None:
        """Waits a little for what is under way, and lets go."""
        assert self._opened is not None
        reader, waiting, writer = self._opened[1:4]
        await waiting.close()
        await asyncio.to_thread(writer.close)
        await asyncio.to_thread(reader.close)

    @property
    def topics(self) -> Topics:
        """The topics of the prefix, with as many partitions as they have."""
        return self._parts[0]

    async def write(self, asks: "Sequence[Ask]") -> None:
        """Returns when all replicas in sync have every record.

        Raises:
            SubmitFailed: Kafka refused one for good.
            SubmitTimedOut: It did not confirm in time.
        """
        records = [Record(ask.topic, ask.partition, ask.record_key.encode(), ask.value) for ask in asks]
        try:
            await self._parts[3].write(records, WRITE_S)
        except NotWritten as error:
            ids = tuple(ask.id for ask in asks if ask.value in error.values)
            named = ids[0] if len(ids) == 1 else f"{ids[0]} and {len(ids) - 1} more"
            if error.refused:
                raise SubmitFailed(f"Kafka refused what was asked of {named}: {error}", ids) from None
            raise SubmitTimedOut(
                f"Kafka did not confirm what was asked of {named} in {WRITE_S:g} s ({error}): ask again with"
                " the same id",
                ids,
            ) from None

    async def decide(self, asks: "Sequence[Ask]", fits: "Fits", within_s: float) -> list[Fact | None]:
        """Writes, and waits for the first later fact about each that fits; None: not in time."""
        watches = [self._watch(ask) for ask in asks]
        return await self._parts[2].answers(watches, fits, self.write(asks), within_s)

    async def run(self, ask: "Ask", within_s: float) -> bool:
        """Writes a request for a job, and waits for its end; whether that came in time."""
        watch = self._watch(ask)
        await self.write([ask])
        return await self._came(watch, within_s)

    async def ended(self, id: str, key: str, partition: int, within_s: float) -> bool:
        """Waits for the end of a job that somebody asked for; whether that came in time."""
        since = self._parts[2].since(partition)
        watch = self._watches.open(id, key, partition, since, foreign=True)
        return await self._came(watch, within_s)

    async def facts(self, start: dict[int, int]) -> "AsyncIterator[Told | None]":
        """Facts as they are written, from these offsets by partition; the others' from now on."""
        from relay.doors.http.desk import Told

        topics, metadata = self._parts[0], self._parts[4]
        if len(start) < topics.partitions:
            ends = await asyncio.to_thread(metadata.ends, topics.facts, topics.partitions)
            for number, end in enumerate(ends):
                start.setdefault(number, end)
        tail = Tail(self._bootstrap, topics.facts, Fact, start)
        try:
            async for found in tail.records():
                yield None if found is None else Told(*found)
        finally:
            await tail.close()

    async def history(
        self, id: str, partition: int, since_ms: int, until_ms: int | None
    ) -> tuple[list[Fact], bool]:
        """The facts about a job that were written in this time, in order; and whether that is all of them."""
        return await asyncio.to_thread(self._history, id, partition, since_ms, until_ms)

    def _history(
        self, id: str, partition: int, since_ms: int, until_ms: int | None
    ) -> tuple[list[Fact], bool]:
        found: list[Fact] = []
        named = id.encode()
        topic = self.topics.facts
        messages = whole.read(self._bootstrap, topic, [partition], max(0, since_ms - HISTORY_SLACK_MS))
        for number, message in enumerate(messages):
            if until_ms is not None and message.timestamp()[1] > until_ms + HISTORY_SLACK_MS:
                break
            if number >= HISTORY_RECORDS_MAX:
                return found, False
            value = message.value()
            if value is not None and named in value:
                with contextlib.suppress(Undecodable):
                    fact: Fact = decode(value, (Fact,))
                    if fact.job == id:
                        found.append(fact)
        return found, True

    async def dead_letters(self, since_ms: int) -> list[DeadLetter]:
        """The last letter of each job that died since then and that nobody has settled, the oldest first."""
        topics = self.topics
        return await asyncio.to_thread(
            read_letters, self._bootstrap, topics.dead, topics.partitions, since_ms
        )

    async def lags(self) -> Mapping[str, int]:
        """How many dispatches of each queue the relays have not done with."""
        return await asyncio.to_thread(self._parts[4].lags, f"{self._prefix}relay", self.topics.queue_of)

    async def pause(self, queue: str, note: str | None, *, paused: bool) -> int:
        """Pauses a queue, or ends that; the version of its settings once Kafka has it."""
        from relay.doors.http.desk import Ask

        key, topic = f"queue/{queue}", self.topics.config
        entries = await asyncio.to_thread(read_entries, self._bootstrap, topic)
        entry = changed(key, entries.get(key), {"paused": paused, "note": note}, BY)
        await self.write([Ask(topic, CONFIG_PARTITION, key, encode(entry), key, None)])
        return entry.version

    async def check(self) -> None:
        """Returns if Kafka answers. NotReachable, TopicsMissing."""
        await asyncio.to_thread(self._parts[4].partitions, self.topics.requests)

    @property
    def _parts(self) -> tuple[Topics, FactReader, Waiting, Writer, Metadata]:
        assert self._opened is not None, "a desk is open while it is used"
        return self._opened

    def _watch(self, ask: "Ask") -> Watch:
        since = self._parts[2].since(ask.partition)
        return self._watches.open(ask.id, ask.job_key, ask.partition, since)

    async def _came(self, watch: Watch, within_s: float) -> bool:
        began_s = time.monotonic()
        try:
            await self._parts[2].result(watch, within_s)
        except JobEnded:
            return True
        except (WaitTimedOut, JobUnknown):
            return time.monotonic() - began_s < within_s and watch.end is not None
        return True

    async def _look_up(self, watch: Watch) -> Fact | None:
        return end_of(await self._ask_workers(watch.id, watch.key))
