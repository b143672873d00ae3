"""The embedded broker: it serves at once, keeps its data, dies with its parent, and is alone on its data."""

import logging
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from jobstream.cluster import AlreadyRunning, Broker, BrokerFailed, PortTaken
from tests.waiting import eventually

STATE_LISTEN = "0A"  # in /proc/net/tcp


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of this module's own, since its tests freeze it and look at its process."""
    with Broker.start(tmp_path_factory.mktemp("cluster") / "kafka") as broker:
        yield broker


def make_topic(bootstrap: str, topic: str) -> None:
    """Makes a topic of one partition."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(timeout=30)


def write(bootstrap: str, topic: str, value: bytes, logger: logging.Logger | None = None) -> None:
    """Writes one record with an idempotent producer, which tells `logger` about its producer id."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "debug": "eos"}, logger=logger
    )
    delivered: list[object] = []
    producer.produce(topic, value, on_delivery=lambda error, _: delivered.append(error))
    assert producer.flush(10) == 0
    assert delivered == [None]


def read(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    """Reads the first `count` values of a topic as a member of a group."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    values: list[bytes | None] = []

    def enough() -> bool:
        values.extend(message.value() for message in consumer.consume(count, 0.1))
        return len(values) >= count

    try:
        eventually(enough)
    finally:
        consumer.close()
    return values


def test_first_use_needs_no_retry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A broker that says ready has its coordinators loaded: the first idempotent producer gets its id at
    once.
    """
    with Broker.start(tmp_path / "kafka") as broker, caplog.at_level(logging.DEBUG):
        make_topic(broker.bootstrap, "first")
        write(broker.bootstrap, "first", b"1", logging.getLogger("first-use"))
        assert read(broker.bootstrap, "first", 1) == [b"1"]
    assert "Acquired" in caplog.text
    assert "in progress" not in caplog.text


@pytest.mark.parametrize("end", [Broker.stop, Broker.kill])
def test_data_outlives_the_broker(tmp_path: Path, end: Callable[[Broker], None]) -> None:
    """What was written is there again after an orderly stop and after SIGKILL, on the same port."""
    first = Broker.start(tmp_path / "kafka")
    make_topic(first.bootstrap, "kept")
    write(first.bootstrap, "kept", b"before")
    end(first)
    assert not first.alive
    with Broker.start(tmp_path / "kafka", first.port) as second:
        assert second.bootstrap == first.bootstrap
        write(second.bootstrap, "kept", b"after")
        assert read(second.bootstrap, "kept", 2) == [b"before", b"after"]


def test_topics_are_not_made_by_accident(broker: Broker) -> None:
    """Naming a topic that is not there does not make it."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.list_topics("nobody-made-this", timeout=30)
    assert "nobody-made-this" not in admin.list_topics(timeout=30).topics


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_listens_on_loopback_only(broker: Broker) -> None:
    """No socket of the broker's listens on any address but 127.0.0.1."""
    process = Path(f"/proc/{broker.pid}")
    links = []
    for each in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # a running broker closes files while they are being listed
            links.append(str(each.readlink()))
    own = {found[1] for link in links if (found := re.fullmatch(r"socket:\[(\d+)\]", link))}
    rows = [
        row.split()
        for table in ("tcp", "tcp6")
        for row in (process / "net" / table).read_text().splitlines()[1:]
    ]
    addresses = {row[1].split(":")[0] for row in rows if row[3] == STATE_LISTEN and row[9] in own}
    # 127.0.0.1, as tcp and as tcp6 (mapped) write it
    assert addresses
    assert addresses <= {"0100007F", "0000000000000000FFFF00000100007F"}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    """When the process that started it is killed by SIGKILL, it ends, and another may start at once."""
    script = """
import sys
from jobstream.cluster import Broker
print(Broker.start(sys.argv[1]).pid, flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", script, str(tmp_path / "kafka")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    with Broker.start(tmp_path / "kafka") as second:
        assert second.pid != pid


def test_a_frozen_broker_can_be_stopped(tmp_path: Path) -> None:
    """Stopping a broker that SIGSTOP froze wakes it, so that it ends in order."""
    broker = Broker.start(tmp_path / "kafka")
    broker.send(signal.SIGSTOP)
    broker.stop()
    assert not broker.alive
    assert (broker.data / "log" / ".kafka_cleanshutdown").exists()


def test_one_broker_per_data_directory(broker: Broker) -> None:
    """A second broker on the same data is refused with the first one's process id and address."""
    with pytest.raises(
        AlreadyRunning, match=rf"pid {broker.pid}, {broker.bootstrap}\) already works in {broker.data}"
    ):
        Broker.start(broker.data)


def test_a_taken_port_is_named(broker: Broker, tmp_path: Path) -> None:
    """A port that somebody listens on is refused by number, before anything is started."""
    with pytest.raises(PortTaken, match=f"port {broker.port} on 127.0.0.1 is taken"):
        Broker.start(tmp_path / "kafka", broker.port)


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A setting that Kafka refuses ends in Kafka's own reason and the place of its log."""
    with pytest.raises(BrokerFailed, match=r"num\.io\.threads: Value must be at least 1.*broker\.log"):
        Broker.start(tmp_path / "kafka", settings={"num.io.threads": "-1"})
