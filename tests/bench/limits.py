"""What Kafka alone does on this broker: the physical limits that the other figures are held against.

Owns topics of its own on a broker that it is given.
"""

import statistics
import time
import uuid
from typing import Final

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.defaults import PARTITIONS
from tests.bench.figures import percentile

RECORDS: Final = 200_000
RECORD_BYTES: Final = 200
HOPS: Final = 200
POLL_EVERY: Final = 1_000
WAIT_S: Final = 30.0


def produce_per_s(bootstrap: str) -> float:
    """Records per second that one librdkafka producer gets confirmed, acks=all and idempotent, with its
    defaults.
    """
    topic = _topic(bootstrap, PARTITIONS)
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "queue.buffering.max.messages": RECORDS + 1,
        }
    )
    producer.list_topics(topic, WAIT_S)
    value = b"x" * RECORD_BYTES
    began_s = time.monotonic()
    for number in range(RECORDS):
        producer.produce(topic, value, partition=number % PARTITIONS)
        if number % POLL_EVERY == 0:
            producer.poll(0)
    left = producer.flush(WAIT_S)
    assert left == 0, f"Kafka must confirm all within {WAIT_S:g} s, got {left} records left"
    return RECORDS / (time.monotonic() - began_s)


def hop_ms(bootstrap: str) -> tuple[float, float]:
    """From produce to consume of one record on an idle broker, ms: median and 99th percentile."""
    topic = _topic(bootstrap, 1)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0})
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    took_ms = []
    for _ in range(HOPS + 1):
        began_s = time.monotonic()
        producer.produce(topic, b"x" * RECORD_BYTES, partition=0)
        producer.poll(0)
        message = consumer.poll(WAIT_S)
        assert message is not None, f"a record must come within {WAIT_S:g} s, got none"
        assert message.error() is None, f"the broker must give the record, got {message.error()}"
        took_ms.append((time.monotonic() - began_s) * 1e3)
    consumer.close()
    del took_ms[0]  # the first one waits for metadata
    return statistics.median(took_ms), percentile(took_ms, 0.99)


def _topic(bootstrap: str, partitions: int) -> str:
    name = f"limit-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        done.result(WAIT_S)
    return name
