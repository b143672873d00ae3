"""Reads a topic once, up to where it ends now: dead letters, settings, histories. Owns a consumer for as
long as that takes.

It joins no group and commits nothing. Blocks; callers with an event loop use a thread.
"""

import time
from collections.abc import Iterable, Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from jobstream.errors import NotReachable, TopicsMissing
from schemas.kafka import librdkafka

READ_S = 60.0
"""How long the whole reading may take."""
POLL_S = 0.2
ANSWER_S = 5.0
BATCH_RECORDS_MAX = 500

_MISSING = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION})  # noqa: SLF001  # its name


def read(
    bootstrap: str, topic: str, partitions: Iterable[int], since_ms: int = 0, latest: int | None = None
) -> Iterator[Message]:
    """Every record of these partitions that was written since a time, epoch ms; partitions come mixed, each
    in order. `latest`: no more than about so many of each, the last ones.

    Raises:
        NotReachable: Kafka does not answer, or not in time.
        TopicsMissing: There is no such topic.
    """
    consumer = Consumer(
        {
            **librdkafka(bootstrap),
            "client.id": "jobstream-client",
            "group.id": "jobstream-client",  # the library wants one; nothing joins or commits
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,  # the end of an empty partition is told by an empty fetch
            "allow.auto.create.topics": False,
            "log_level": 2,
        }
    )
    try:
        begins = [TopicPartition(topic, number, since_ms) for number in partitions]
        begins = consumer.offsets_for_times(begins, timeout=ANSWER_S)
        if latest is not None:
            for begin in begins:
                _, end = consumer.get_watermark_offsets(begin, timeout=ANSWER_S)
                begin.offset = end if begin.offset < 0 else max(begin.offset, end - latest)
        consumer.assign(begins)
        yield from _messages(consumer, topic, {begin.partition for begin in begins})
    except KafkaException as exception:
        error: KafkaError = exception.args[0]
        if error.code() in _MISSING:
            raise TopicsMissing(
                f"there is no topic {topic} at {bootstrap}: `jobstream topics apply` makes it"
            ) from None
        raise NotReachable(f"{topic} at {bootstrap} cannot be read: {error.str()}") from None
    finally:
        consumer.close()


def _messages(consumer: Consumer, topic: str, left: set[int]) -> Iterator[Message]:
    ends_at = time.monotonic() + READ_S
    while left:
        if time.monotonic() > ends_at:
            raise NotReachable(f"reading {topic} took longer than {READ_S:g} s")
        for message in consumer.consume(BATCH_RECORDS_MAX, POLL_S):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its name
                left.discard(message.partition() or 0)
            else:
                raise KafkaException(error)
