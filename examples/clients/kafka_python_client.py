"""A client of Jobstream with kafka-python and fastavro; docs/clients.md tells what it says and reads.

    python kafka_python_client.py produce HOST:PORT TOPIC [random] < lines of key, tab, value
    python kafka_python_client.py facts HOST:PORT TOPIC [FACT.avsc]

Its default partitioner is Java's: murmur2 of the key.
"""

import io
import random
import sys
from pathlib import Path

import fastavro
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

WIRE_HEAD_BYTES = 5
FACT = Path(__file__).parents[2] / "schemas" / "avro" / "Fact.avsc"


def produce(bootstrap: str, topic: str, partitioner: str = "") -> None:
    """Writes each line of standard input, and returns when Kafka has all of them."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    anywhere = list(producer.partitions_for(topic)) if partitioner else [None]
    sent = []
    for line in sys.stdin:
        key, _, value = line.rstrip("\n").partition("\t")
        partition = random.choice(anywhere)
        sent.append(producer.send(topic, value.encode(), key.encode() or None, partition=partition))
    for each in sent:
        each.get(timeout=30)
    producer.close()


def facts(bootstrap: str, topic: str, schema: str | Path = FACT) -> None:
    """Prints what is in the topic so far: partition, fact, job, key, home."""
    parsed = fastavro.schema.load_schema(str(schema))
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", fetch_max_wait_ms=10
    )
    partitions = [TopicPartition(topic, each) for each in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    while any(consumer.position(each) < ends[each] for each in partitions):
        for messages in consumer.poll(timeout_ms=1_000).values():
            for message in messages:
                value = io.BytesIO(message.value[WIRE_HEAD_BYTES:])
                fact = fastavro.schemaless_reader(value, parsed, None)
                assert isinstance(fact, dict)
                shown = (fact["fact"], fact["job"], fact["key"], fact["partition"])
                print(message.partition, *shown, sep="\t")
    consumer.close()


if __name__ == "__main__":
    {"produce": produce, "facts": facts}[sys.argv[1]](*sys.argv[2:])
