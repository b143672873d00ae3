"""A client of Jobstream with aiokafka alone, without Avro; docs/clients.md tells what it says and reads.

    python aiokafka_client.py produce HOST:PORT TOPIC [random] < lines of key, tab, value
    python aiokafka_client.py facts HOST:PORT TOPIC

Its default partitioner is Java's: murmur2 of the key.
"""

import asyncio
import io
import random
import sys
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

WIRE_HEAD_BYTES = 5


def anywhere(_key: bytes | None, partitions: Sequence[int], _available: Sequence[int]) -> int:
    """A partitioner that does not look at the key."""
    return random.choice(partitions)


async def produce(bootstrap: str, topic: str, partitioner: str = "") -> None:
    """Writes each line of standard input, and returns when Kafka has all of them."""
    other = {"partitioner": anywhere} if partitioner else {}
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", **other) as producer:
        sent = []
        for line in sys.stdin.read().splitlines():
            key, _, value = line.partition("\t")
            sent.append(await producer.send(topic, value=value.encode(), key=key.encode() or None))
        await asyncio.gather(*sent)


async def facts(bootstrap: str, topic: str) -> None:
    """Prints what is in the topic so far: partition, fact, job, key, home."""
    consumer = AIOKafkaConsumer(
        topic,  # all of its partitions, since there is no group
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=10,
    )
    async with consumer:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        for partition, end in ends.items():
            while await consumer.position(partition) < end:
                for message in (await consumer.getmany(partition, timeout_ms=1_000)).get(partition, ()):
                    rest = io.BytesIO(message.value[WIRE_HEAD_BYTES:])
                    print(message.partition, text(rest), text(rest), text(rest), number(rest), sep="\t")


def number(rest: io.BytesIO) -> int:
    """Avro's int and long: seven bits a byte, the lowest first; then zigzag."""
    raw = shift = 0
    while True:
        byte = rest.read(1)[0]
        raw |= (byte & 127) << shift
        shift += 7
        if byte < 128:  # noqa: PLR2004 - the bit that says that another byte follows
            return raw >> 1 ^ -(raw & 1)


def text(rest: io.BytesIO) -> str:
    """Avro's string: its length in bytes, then UTF-8."""
    return rest.read(number(rest)).decode()


if __name__ == "__main__":
    asyncio.run({"produce": produce, "facts": facts}[sys.argv[1]](*sys.argv[2:]))
