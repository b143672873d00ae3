"""A real registry: the services register their schemas there, write its ids, and read them."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel,
    Schema,
    SchemaRegistryClient,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from jobstream.cluster.child import Child
from jobstream.cluster.up import Cluster
from schemas.codec import encode
from schemas.compat import faults
from schemas.events import JobRequest
from schemas.registry import shipped
from schemas.settings import load
from schemas.wire import IDS
from tests.apicurio import apicurio
from tests.waiting import eventually

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

JOB_S = 60
FULL = ConfigCompatibilityLevel.FULL_TRANSITIVE


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that runs."""
    with apicurio(tmp_path_factory.mktemp("apicurio")) as running:
        yield running


@pytest.fixture(scope="module")
def registry(url: str) -> Iterator[SchemaRegistryClient]:
    """Confluent's client of it."""
    with SchemaRegistryClient({"url": url}) as client:
        yield client


@pytest.fixture(scope="module")
def registered(url: str, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Streams, relay and a minion that are told of it."""
    data = tmp_path_factory.mktemp("registered")
    settings = replace(load()[0], registry=url)
    prefix = f"r{uuid.uuid4().hex[:6]}."
    with Cluster.start(
        settings, data=data, bootstrap=bootstrap, prefix=prefix, partitions=2, free_ports=True
    ) as up:
        command = [sys.executable, "-m", "jobstream.minion", "tests.e2e.functions", "--relay", up.relay]
        minion = Child.start(command, log=data / "minion.log")
        yield up
        minion.kill()


def submit(cluster: Cluster, url: str, value: str) -> Any:
    """Runs a job by the command line, which has the same registry, in a process of its own; its result."""
    environment = {
        "JOBSTREAM_REGISTRY": url,
        "JOBSTREAM_BOOTSTRAP": cluster.bootstrap,
        "JOBSTREAM_PREFIX": cluster.prefix,
        "JOBSTREAM_WEB": cluster.web,
    }
    command = [sys.executable, "-m", "jobstream", "submit", "e2e.echo", json.dumps({"value": value})]
    done = subprocess.run(
        [*command, "--wait", "--json"],
        check=False,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=2 * JOB_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def values(cluster: Cluster, topic: str) -> list[bytes]:
    """What is in a topic so far."""
    consumer = Consumer(
        {"bootstrap.servers": cluster.bootstrap, "group.id": "none", "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in range(2)])
    found, ended = [], 0
    while ended < 2:
        message = consumer.poll(30)
        assert message is not None
        if message.error():
            ended += 1
        elif value := message.value():
            found.append(value)
    consumer.close()
    return found


def succeeded(cluster: Cluster, job: str) -> bool:
    """Whether a fact says so."""
    said = [value for value in values(cluster, f"{cluster.prefix}facts") if job.encode() in value]
    return any(b"succeeded" in value for value in said)


def test_its_ids_are_written_and_read(registered: Cluster, url: str, registry: SchemaRegistryClient) -> None:
    """A job goes its whole way with ids of the registry; Confluent's deserializer reads all topics."""
    assert "through" in submit(registered, url, "through")
    deserializer = AvroDeserializer(registry)
    for topic in ("requests", "state", "dispatch.default", "receipts", "facts"):
        name = f"{registered.prefix}{topic}"
        found = eventually(partial(values, registered, name), timeout_s=JOB_S)
        for value in found:
            assert int.from_bytes(value[1:5], "big") < min(IDS.values())
            assert deserializer(value, SerializationContext(name, MessageField.VALUE))


def test_a_serializer_with_it_asks_for_a_job(registered: Cluster, registry: SchemaRegistryClient) -> None:
    """Confluent's serializer with the same registry writes a request, and the job ends."""
    topic = f"{registered.prefix}requests"
    schema = registry.get_latest_version(f"{topic}-value").schema
    serializer = AvroSerializer(registry, schema, conf={"auto.register.schemas": False})
    job = f"avro-{uuid.uuid4().hex[:8]}"
    request = {"id": job, "function": "e2e.echo", "args": b'{"value": 1}'}
    producer = Producer({"bootstrap.servers": registered.bootstrap})
    producer.produce(topic, serializer(request, SerializationContext(topic, MessageField.VALUE)))
    assert producer.flush(30) == 0
    eventually(lambda: succeeded(registered, job), timeout_s=JOB_S)


def test_shipped_ids_are_read_beside_them(registered: Cluster) -> None:
    """A client that writes Avro without the registry, as one of before, is served all the same."""
    job = f"shipped-{uuid.uuid4().hex[:8]}"
    producer = Producer({"bootstrap.servers": registered.bootstrap})
    request = JobRequest(id=job, function="e2e.echo", args=b'{"value": 1}')
    producer.produce(f"{registered.prefix}requests", encode(request))
    assert producer.flush(30) == 0
    eventually(lambda: succeeded(registered, job), timeout_s=JOB_S)


def evolved(schema: Any, change: str) -> Any:
    """A schema after a change that a person might make."""
    new: dict[str, Any] = json.loads(json.dumps(schema))
    match change:
        case "add optional":
            new["fields"].append({"name": "more", "type": ["null", "string"], "default": None})
        case "add needed":
            new["fields"].append({"name": "more", "type": "string"})
        case "retype":
            was = new["fields"][0]["type"]
            other = "double" if "double" not in was else "string"
            new["fields"][0]["type"] = ["null", other] if isinstance(was, list) else other
        case "rename":
            new["fields"][0]["name"] += "_new"
    return new


@pytest.mark.parametrize("change", ["add optional", "add needed", "retype", "rename"])
def test_our_check_agrees_with_the_registrys(
    change: str, registered: Cluster, registry: SchemaRegistryClient
) -> None:
    """What schemas.compat allows, the registry allows by the rule that the services gave it; what that
    refuses, we refuse.
    """
    assert registered.names
    for number, schema in shipped().items():
        name = schema["name"]
        assert registry.get_config(f"jobstream.{name}").compatibility_level == FULL
        new = evolved(schema, change)
        found = faults({name: schema}, {name: number}, {name: new}, {name: 9_000})
        allowed = registry.test_compatibility(f"jobstream.{name}", Schema(json.dumps(new), "AVRO"))
        assert allowed or found, f"{change} of {name}: the registry refuses what we allow"
        assert allowed or change != "add optional"
        assert bool(found) == (change != "add optional")


def test_services_wait_for_a_registry_that_is_down(bootstrap: str, tmp_path: Path) -> None:
    """Without its registry a relay ends with a sentence that names it, and nothing else."""
    done = subprocess.run(
        [sys.executable, "-c", DOWN],
        check=False,
        env=os.environ | {"JOBSTREAM_REGISTRY": "http://127.0.0.1:1", "JOBSTREAM_BOOTSTRAP": bootstrap},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 70
    assert "the schema registry http://127.0.0.1:1 did not answer within 60 s" in done.stderr
    assert "Traceback" not in done.stderr


DOWN = """
import itertools, types
from schemas import registered

times = itertools.count(0, 100)
registered.time = types.SimpleNamespace(monotonic=lambda: float(next(times)), sleep=lambda _: None)
from relay.main import main
main()
"""
