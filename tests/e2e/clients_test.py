"""Any Kafka client may ask for a job, cancel one, and read its end: those that are quick to try."""

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from jobstream import Client
from jobstream.cluster.child import Child
from jobstream.cluster.up import Cluster
from jobstream.errors import NotReachable, TopicsMissing
from schemas.codec import decode
from schemas.events import Reject
from tests.e2e.any_client import submits_and_reads_the_end
from tests.e2e.foreign import Foreign
from tests.waiting import eventually


@pytest.fixture(scope="module")
def minion(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One minion for all of them."""
    log = Path(tmp_path_factory.mktemp("minion")) / "minion.log"
    command = [sys.executable, "-m", "jobstream.minion", "tests.e2e.functions", "--relay", cluster.relay]
    running = Child.start(command, log=log)
    yield running
    running.kill()


def test_an_old_record_version_is_kept_and_told(cluster: Cluster) -> None:
    """A value with a schema id that is not ours is a reject with a sentence; what follows it is read."""
    requests, rejects = f"{cluster.prefix}requests", f"{cluster.prefix}rejects"
    producer = Producer({"bootstrap.servers": cluster.bootstrap})
    value = b"\x00" + (999).to_bytes(4, "big") + uuid.uuid4().bytes
    producer.produce(requests, value=value, partition=0)
    producer.flush(30)
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "none"})
    consumer.assign([TopicPartition(rejects, 0, OFFSET_BEGINNING)])

    def told() -> list[str]:
        found = [message.value() for message in consumer.consume(1_000, timeout=0.2) if not message.error()]
        return [
            reject.reason
            for reject in (decode(each, (Reject,)) for each in found if each)
            if reject.value == value
        ]

    assert "the schema id must be one of" in eventually(told, timeout_s=60)[0]
    consumer.close()


@pytest.mark.full
async def test_a_wrong_address_or_prefix_is_told_in_a_sentence(cluster: Cluster) -> None:
    """A client at the relay's port, or with a prefix that has no topics, ends with a sentence."""
    with pytest.raises(NotReachable, match=cluster.relay):
        async with Client(f"kafka://{cluster.relay}", prefix=cluster.prefix):
            pass
    with pytest.raises(TopicsMissing, match="nobody"):
        async with Client(f"kafka://{cluster.bootstrap}", prefix="nobody."):
            pass


CLIENTS = (
    Foreign("kcat"),  # CRC32
    Foreign("confluent", "fnv1a_random"),
    Foreign("aiokafka"),  # murmur2
    Foreign("kafka_python", "random"),
)


@pytest.mark.usefixtures("minion")
@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_it_submits_cancels_and_reads_the_end(
    client: Foreign, cluster: Cluster, request: pytest.FixtureRequest
) -> None:
    """Each job ends in the home of its key, once, wherever its records were written, and however often."""
    _needs(client, request)
    submits_and_reads_the_end(cluster, client)


HEAVY = (
    Foreign("kcat", "murmur2_random"),
    Foreign("kcat", "random"),
    Foreign("confluent"),  # CRC32
    Foreign("aiokafka", "random"),
    Foreign("kafka_python"),  # murmur2
    Foreign("go"),  # murmur2
    Foreign("go", "crc32"),
    Foreign("go", "fnv"),  # as the client Sarama
    Foreign("go", "any"),
    Foreign("java"),  # murmur2
    Foreign("java", "org.apache.kafka.clients.producer.RoundRobinPartitioner"),
)


@pytest.mark.full
@pytest.mark.timeout(500)
@pytest.mark.usefixtures("minion")
@pytest.mark.parametrize("client", HEAVY, ids=str)
def test_so_do_others(client: Foreign, cluster: Cluster, request: pytest.FixtureRequest) -> None:
    """The same with other partitioners, and for Go and Java, which read facts without Avro."""
    _needs(client, request)
    submits_and_reads_the_end(cluster, client)


def _needs(client: Foreign, request: pytest.FixtureRequest) -> None:
    if client.name == "kcat":
        request.getfixturevalue("kcat")
