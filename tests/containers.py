"""The broker of the test run in a container, for machines where the embedded one cannot run but Docker can.

Owns that container's settings, which are the embedded broker's where they matter to tests. Listens on
loopback only.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from jobstream.cluster import KAFKA_VERSION, SETTINGS, free_port
from tests.waiting import eventually

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
START_TIMEOUT_S = 120.0


@contextmanager
def kafka_container() -> Iterator[str]:
    """The address of Apache Kafka's own image, running. Raises whatever the Docker client says when there is
    none.
    """
    from confluent_kafka.admin import AdminClient
    from testcontainers.core.container import DockerContainer

    port = free_port()
    settings = {
        **SETTINGS,
        "listeners": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.quorum.voters": "1@localhost:9093",
    }
    container = DockerContainer(IMAGE).with_kwargs(ports={f"{port}/tcp": ("127.0.0.1", port)})
    for name, value in settings.items():
        container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    with container:
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0})
        eventually(lambda: admin.list_topics(timeout=5).brokers, START_TIMEOUT_S)
        yield f"127.0.0.1:{port}"
