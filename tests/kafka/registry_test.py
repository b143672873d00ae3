"""Confluent's own client, serializer and deserializer against the registry that we serve, on every topic."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from jobstream.registry import serving
from jobstream.topics import apply
from schemas.codec import decode, encode
from schemas.events import JobRequest
from schemas.topics import Topics
from schemas.wire import IDS
from tests.unit.schemas.samples import sample


@pytest.fixture
def topics(prefix: str) -> Topics:
    """The topics of a test."""
    return Topics(prefix, 1)


@pytest.fixture
def registry(topics: Topics) -> Iterator[SchemaRegistryClient]:
    """Confluent's client of the registry that we serve."""
    with (
        serving(topics, "127.0.0.1:0") as address,
        SchemaRegistryClient({"url": f"http://{address}"}) as client,
    ):
        yield client


def plain(record: Any) -> Any:
    """A record as a deserializer gives it: dicts and lists."""
    if dataclasses.is_dataclass(record):
        return {each.name: plain(getattr(record, each.name)) for each in dataclasses.fields(record)}
    return [plain(each) for each in record] if isinstance(record, tuple) else record


def test_every_topic_is_read(bootstrap: str, topics: Topics, registry: SchemaRegistryClient) -> None:
    """What the service writes to any topic, a deserializer reads with the address of the registry alone."""
    apply(bootstrap, topics)
    written = {
        (topic.name, each.__name__, full): sample(each, full=full)
        for topic in topics.catalogue()
        for each in topic.values
        for full in (True, False)
    }
    producer = Producer({"bootstrap.servers": bootstrap})
    for (topic, kind, full), record in written.items():
        producer.produce(topic, encode(record), f"{kind} {full}", partition=0)
    assert producer.flush(30) == 0
    deserializer = AvroDeserializer(registry)
    read: dict[tuple[str, str, bool], object] = {}
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none"})
    consumer.assign(
        [TopicPartition(topic, 0, OFFSET_BEGINNING) for topic in {topic for topic, _, _ in written}]
    )
    while len(read) < len(written):
        message = consumer.poll(30)
        assert message is not None
        assert not message.error()
        topic, (kind, how) = message.topic() or "", (message.key() or b"").decode().split()
        context = SerializationContext(topic, MessageField.VALUE)
        read[topic, kind, how == "True"] = deserializer(message.value(), context)
    consumer.close()
    assert read == {place: plain(record) for place, record in written.items()}


@pytest.mark.parametrize(
    "how",
    [
        {},  # it registers, as it does by default
        {"auto.register.schemas": False},
        {"auto.register.schemas": False, "use.latest.version": True},
    ],
)
def test_a_serializer_writes_requests(
    how: dict[str, Any], topics: Topics, registry: SchemaRegistryClient
) -> None:
    """Confluent's serializer finds the schema in each of its ways, and the service reads what it writes."""
    schema = registry.get_latest_version(f"{topics.requests}-value").schema
    serializer = AvroSerializer(registry, schema, conf=how)
    request = {"function": "mail.send", "args": b"{}"}
    value = serializer(request, SerializationContext(topics.requests, MessageField.VALUE))
    assert value is not None
    assert value[1:5] == IDS[JobRequest].to_bytes(4, "big")
    assert decode(value, (JobRequest,)) == JobRequest(function="mail.send", args=b"{}")


def test_a_serializer_with_another_schema_is_refused(topics: Topics, registry: SchemaRegistryClient) -> None:
    """Nobody's own idea of a request gets an id, so it cannot be written by mistake."""
    other = '{"type": "record", "name": "JobRequest", "fields": [{"name": "function", "type": "string"}]}'
    serializer = AvroSerializer(registry, other)
    with pytest.raises(SchemaRegistryError, match="read-only"):
        serializer({"function": "x"}, SerializationContext(topics.requests, MessageField.VALUE))
