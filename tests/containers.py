"""The broker of the test run in a container, for machines where the embedded one cannot run but Docker can.

Owns that container's settings, which are the embedded broker's where they matter to tests. Listens on
loopback only.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from jobstream.cluster import KAFKA_VERSION, SETTINGS, free_port
from tests.waiting import eventually

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
START_TIMEOUT_S = 120.0
DOCKER_TIMEOUT_S = 20.0


class NoContainer(Exception):
    """Docker is not there, does not answer, or cannot run the image."""


@contextmanager
def kafka_container() -> Iterator[str]:
    """The address of Apache Kafka's own image, running. Raises NoContainer with the reason if it cannot."""
    _ask_docker()
    from confluent_kafka.admin import AdminClient
    from docker.errors import DockerException
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
    try:
        container.start()
    except DockerException as error:
        raise NoContainer(f"{IMAGE} does not start: {error}") from error
    try:
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0})
        eventually(lambda: admin.list_topics(timeout=5).brokers, START_TIMEOUT_S)
        yield f"127.0.0.1:{port}"
    finally:
        container.stop()


def _ask_docker() -> None:
    """Asked by its command, since the Python client leaks a socket for every answer that does not come."""
    try:
        subprocess.run(
            ["docker", "info"], check=True, capture_output=True, text=True, timeout=DOCKER_TIMEOUT_S
        )
    except FileNotFoundError:
        raise NoContainer("there is no docker command") from None
    except subprocess.TimeoutExpired:
        raise NoContainer(f"docker did not answer in {DOCKER_TIMEOUT_S} s") from None
    except subprocess.CalledProcessError as error:
        raise NoContainer(error.stderr.strip() or f"docker info ended with {error.returncode}") from None
