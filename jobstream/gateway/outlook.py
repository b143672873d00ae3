"""What the dashboard sees beyond the Door: relays over gRPC; settings, late facts and traces from Kafka.

Only reads. Owns one channel to each relay; consumers live as long as a question.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Self

import grpc
from confluent_kafka import Consumer, KafkaException, TopicPartition

from jobstream.client.config import read_entries
from jobstream.client.metadata import Metadata
from jobstream.gateway.tail import Tail
from jobstream.minion.wire import CannotConnect, wire_of
from schemas.codec import Undecodable, decode
from schemas.events import Fact, Receipt
from schemas.kafka import librdkafka
from schemas.proto.relay_pb2 import StatusReply, StatusRequest
from schemas.settings import DNS, Settings
from schemas.topics import Topics

if TYPE_CHECKING:
    from relay.doors.dashboard.outlook import Entries, RelayWord
    from relay.doors.http.desk import Told

STATUS = "/jobstream.Relay/Status"

ANSWER_S = 1.5
"""How long a relay may take to answer."""

TRACE_S = 1.5
"""How long is looked for a trace."""

TRACE_BEFORE_MS = 2_000
"""A receipt was written so long before its end was decided, at most."""

TRACE_RECORDS_MAX = 20_000
"""Receipts that are looked at for a trace."""

BATCH = 500
POLL_S = 0.1


class KafkaOutlook:
    """What `relay.doors.dashboard.outlook.Outlook` asks for. Use it as `async with KafkaOutlook(...)`."""

    def __init__(self, settings: Settings, topics: Topics) -> None:
        """Of these settings; `topics` with as many partitions as they have."""
        self._bootstrap = settings.kafka
        self._topics = topics
        self._metadata = Metadata(settings.kafka)
        self._addresses = [address.removeprefix(DNS) for address in settings.relay.split(",")]
        self._wire = wire_of(settings)
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def __aenter__(self) -> Self:
        """Opens a channel to each relay; none is connected before it is asked."""
        options = (("grpc.max_receive_message_length", -1), ("grpc.max_reconnect_backoff_ms", 2_000))
        self._channels = {address: self._wire.channel(address, options) for address in self._addresses}
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes them."""
        await asyncio.gather(*(channel.close(None) for channel in self._channels.values()))

    async def relays(self) -> "list[RelayWord]":
        """Every relay of the settings; one that does not answer says so."""
        return list(await asyncio.gather(*(self._relay(address) for address in self._addresses)))

    async def entries(self) -> "Entries":
        """What operators say. NotReachable, TopicsMissing."""
        return await asyncio.to_thread(read_entries, self._bootstrap, self._topics.config)

    async def lately(self, records: int) -> "AsyncGenerator[Told | None, None]":
        """Facts, beginning with about so many of the latest."""
        from relay.doors.http.desk import Told

        topics = self._topics
        ends = await asyncio.to_thread(self._metadata.ends, topics.facts, topics.partitions)
        back = records // topics.partitions
        start = {number: max(0, end - back) for number, end in enumerate(ends)}
        tail = Tail(self._bootstrap, topics.facts, Fact, start)
        try:
            async for each in tail.records():
                yield None if each is None else Told(*each)
        finally:
            await tail.close()

    async def trace(self, job: str, epoch: int, partition: int, at_ms: int) -> str | None:
        """The trace in the receipt of an attempt, if Kafka still has it."""
        return await asyncio.to_thread(self._trace, job, epoch, partition, at_ms)

    async def _relay(self, address: str) -> "RelayWord":
        from relay.doors.dashboard.outlook import RelayWord

        ask: Any = self._channels[address].unary_unary(
            STATUS,
            request_serializer=StatusRequest.SerializeToString,
            response_deserializer=StatusReply.FromString,
        )
        try:
            token = self._wire.shown()
            shown = (("authorization", f"Bearer {token}"),) if token else ()
            return RelayWord(address, await ask(StatusRequest(), timeout=ANSWER_S, metadata=shown))
        except CannotConnect as cannot:
            return RelayWord(address, None, str(cannot))
        except grpc.aio.AioRpcError as error:
            return RelayWord(address, None, f"{error.code().name}: {error.details()}")

    def _trace(self, job: str, epoch: int, partition: int, at_ms: int) -> str | None:
        consumer = Consumer(
            {
                **librdkafka(self._bootstrap),
                "client.id": "jobstream-gateway-trace",
                "group.id": "jobstream-gateway-trace",  # the library wants one; nothing joins or commits
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
                "allow.auto.create.topics": False,
                "log_level": 2,
            }
        )
        try:
            begins = [TopicPartition(self._topics.receipts, partition, at_ms - TRACE_BEFORE_MS)]
            consumer.assign(consumer.offsets_for_times(begins, timeout=TRACE_S))
            return _find_trace(consumer, job, epoch, at_ms)
        except KafkaException:
            return None  # it is told without
        finally:
            consumer.close()


def _find_trace(consumer: Consumer, job: str, epoch: int, at_ms: int) -> str | None:
    ends_s, looked, name = time.monotonic() + TRACE_S, 0, job.encode()
    while time.monotonic() < ends_s and looked < TRACE_RECORDS_MAX:
        for message in consumer.consume(BATCH, POLL_S):
            looked += 1
            value = message.value()
            if message.error() is not None or value is None:
                continue
            if message.timestamp()[1] > at_ms + TRACE_BEFORE_MS:
                return None
            receipt = _receipt(value) if name in value else None
            if receipt is not None and (receipt.job, receipt.epoch) == (job, epoch):
                return receipt.error_trace
    return None


def _receipt(value: bytes) -> Receipt | None:
    try:
        receipt: Receipt = decode(value, (Receipt,))
    except Undecodable:
        return None
    return receipt
