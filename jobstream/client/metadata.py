"""Asks Kafka how many partitions a topic has, and where they end. It only reads, and creates no topic by
asking.

It has a connection of its own: on that of a consumer each question would wait behind a fetch, and would never
be asked at all while another thread polls that consumer (confluent-kafka 2.16).
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from jobstream.errors import NotReachable, TopicsMissing
from schemas.kafka import librdkafka

ANSWER_S = 5.0
"""How long Kafka may take to answer a question."""
MOVING_S = 0.05
"""How long to wait before a partition is asked for again that is just getting a leader."""

_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library's
_EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_MOVING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
"""Errors of partitions that are just being made, or move."""


class Metadata:
    """What Kafka says of its topics. Every call blocks."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = AdminClient(
            {
                **librdkafka(bootstrap),
                "client.id": "jobstream-client",
                "log_level": 2,  # the rest comes as errors
            }
        )

    def brokers(self) -> int:
        """How many brokers there are.

        Raises:
            NotReachable: Kafka does not answer.
        """
        try:
            return len(self._admin.list_topics(timeout=ANSWER_S).brokers)
        except KafkaException as exception:
            raise self._unreachable(exception.args[0]) from None

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has.

        Raises:
            NotReachable: Kafka does not answer.
            TopicsMissing: There is no such topic.
        """
        answers = self._admin.describe_topics(TopicCollection([topic]), request_timeout=ANSWER_S)
        try:
            return len(answers[topic].result().partitions)
        except KafkaException as exception:
            error: KafkaError = exception.args[0]
            if error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise self._unreachable(error) from None
            raise TopicsMissing(
                f"there is no topic {topic} at {self._bootstrap}: `jobstream topics apply` makes it, and so"
                f" does `jobstream up`"
            ) from None

    def ends(self, topic: str, partitions: int) -> list[int]:
        """The end offset of each partition of a topic.

        Raises:
            NotReachable: Kafka does not answer.
        """
        asked = {TopicPartition(topic, number): _LATEST for number in range(partitions)}
        ends_at = time.monotonic() + ANSWER_S
        while True:
            answers = self._admin.list_offsets(asked, request_timeout=ANSWER_S)
            try:
                found = {partition.partition: answer.result().offset for partition, answer in answers.items()}
                return [found[number] for number in range(partitions)]
            except KafkaException as exception:
                error: KafkaError = exception.args[0]
                if error.code() not in _MOVING or time.monotonic() > ends_at:
                    raise self._unreachable(error) from None
            time.sleep(MOVING_S)
            with contextlib.suppress(KafkaException):  # else librdkafka goes on with the leader's old epoch
                self._admin.list_topics(timeout=ANSWER_S)

    def lags(self, group: str, name_of: Callable[[str], str | None]) -> Mapping[str, int]:
        """How many records a group has before it in each of its topics, by the name that `name_of` gives to a
        topic; topics without one are left out.

        Raises:
            NotReachable: Kafka does not answer.
        """
        try:
            topics = self._admin.list_topics(timeout=ANSWER_S).topics
            parts = [
                TopicPartition(topic, number)
                for topic, about in topics.items()
                if name_of(topic) is not None
                for number in about.partitions
            ]
            if not parts:
                return {}
            asked = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
            committed = {
                (part.topic, part.partition): part.offset
                for part in asked[group].result(ANSWER_S).topic_partitions
            }
            ends, begins = self._offsets(parts, _LATEST), self._offsets(parts, _EARLIEST)
        except KafkaException as exception:
            raise self._unreachable(exception.args[0]) from None
        lags: Counter[str] = Counter()
        for place, end in ends.items():
            name = name_of(place[0])
            assert name is not None, "only topics with a name were asked for"
            lags[name] += max(0, end - max(committed.get(place, 0), begins[place]))
        return lags

    def _offsets(self, parts: list[TopicPartition], spec: OffsetSpec) -> dict[tuple[str, int], int]:
        """Asks again while a partition is just being made, or gets a leader."""
        asked: dict[TopicPartition, Any] = dict.fromkeys(parts, spec)
        ends_at = time.monotonic() + ANSWER_S
        while True:
            answers = self._admin.list_offsets(asked, request_timeout=ANSWER_S)
            try:
                return {
                    (part.topic, part.partition): answer.result(ANSWER_S).offset
                    for part, answer in answers.items()
                }
            except KafkaException as exception:
                if exception.args[0].code() not in _MOVING or time.monotonic() > ends_at:
                    raise
            time.sleep(MOVING_S)
            with contextlib.suppress(KafkaException):  # else librdkafka goes on with the leader's old epoch
                self._admin.list_topics(timeout=ANSWER_S)

    def _unreachable(self, error: KafkaError) -> NotReachable:
        return NotReachable(
            f"Kafka does not answer at {self._bootstrap}: {error.str()} (`jobstream up` starts one here)"
        )
