"""A client of Jobstream with confluent-kafka alone; docs/clients.md tells what it says and reads.

    python confluent_client.py produce HOST:PORT TOPIC [PARTITIONER] < lines of key, tab, value
    python confluent_client.py facts HOST:PORT TOPIC

Its default partitioner is librdkafka's: CRC32 of the key, any partition without one.
"""

import io
import sys

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

WIRE_HEAD_BYTES = 5
FACT = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Fact",
        "fields": [
            {"name": "fact", "type": "string"},
            {"name": "job", "type": "string"},
            {"name": "key", "type": "string"},
            {"name": "partition", "type": "int"},
            {"name": "at_ms", "type": "long"},
        ],
    }
)
"""The beginning of the record; what is behind it need not be read, since it stands at the end."""


def produce(bootstrap: str, topic: str, partitioner: str = "consistent_random") -> None:
    """Writes each line of standard input, and returns when Kafka has all of them."""
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": partitioner, "acks": "all"})
    for line in sys.stdin:
        key, _, value = line.rstrip("\n").partition("\t")
        producer.produce(topic, value=value.encode(), key=key.encode() or None)
    if left := producer.flush(30):
        sys.exit(f"{left} records were not confirmed")


def facts(bootstrap: str, topic: str) -> None:
    """Prints what is in the topic so far: partition, fact, job, key, home."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "facts",  # the library wants one; nothing joins or commits
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in partitions])
    ended = 0
    while ended < len(partitions):
        message = consumer.poll(10)
        if message is None:
            sys.exit("no answer within 10 s")
        if message.error():
            ended += 1  # the end of one partition
            continue
        value = message.value()
        assert value is not None
        fact = fastavro.schemaless_reader(io.BytesIO(value[WIRE_HEAD_BYTES:]), FACT, None)
        assert isinstance(fact, dict)
        print(message.partition(), fact["fact"], fact["job"], fact["key"], fact["partition"], sep="\t")
    consumer.close()


if __name__ == "__main__":
    {"produce": produce, "facts": facts}[sys.argv[1]](*sys.argv[2:])
