"""Containers of the test run: the broker in one, for machines where the embedded one cannot run but Docker
can, and the Docker Engine itself where a test is about containers.

Owns that container's settings, which are the embedded broker's where they matter to tests, and an engine that
it started. Listens on loopback only.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobstream.cluster import KAFKA_VERSION, SETTINGS, free_port
from tests.waiting import eventually

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
START_TIMEOUT_S = 120.0
DOCKER_TIMEOUT_S = 20.0
ROOT = Path(__file__).parent.parent
ENGINE_START_S = 120.0
ENGINE_WAS_THERE = 3
IMAGES_S = 400.0
OBSERVING_IMAGES = ("jobstream-collector:dev", "jobstream-traces:dev", "jobstream-prometheus:dev")


class NoContainer(Exception):
    """Docker is not there, does not answer, or cannot run the image."""


@contextmanager
def engine() -> Iterator[None]:
    """A Docker Engine that answers, started for the test run if need be, and the images that none can pull.

    Raises NoContainer with the reason if there can be none.
    """
    started = _script("docker", "start", timeout_s=ENGINE_START_S)
    if started.returncode not in (0, ENGINE_WAS_THERE):
        raise NoContainer(started.stderr.strip() or f"docker start ended with {started.returncode}")
    try:
        made = _script("images", timeout_s=IMAGES_S)
        if made.returncode:
            raise NoContainer(f"the images cannot be made: {made.stderr.strip()[-400:]}")
        yield
    finally:
        if started.returncode == 0:
            _script("docker", "stop", timeout_s=ENGINE_START_S)


def observing_images() -> None:
    """The images of the profile `observe`, where none can be pulled: all but Grafana's.

    Raises NoContainer unless they were made: that takes minutes of Go's compiler, so no test does it.
    """
    for image in OBSERVING_IMAGES:
        if subprocess.run(["docker", "image", "inspect", image], check=False, capture_output=True).returncode:
            raise NoContainer(f"{image} is not there: `.ci/images observe` makes it, in some minutes")


def _script(*command: str, timeout_s: float) -> "subprocess.CompletedProcess[str]":
    """One of the project's own scripts; its output in a file, since a daemon would keep a pipe open."""
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(
            [ROOT / ".ci" / command[0], *command[1:]],
            check=False,
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
        )
        said.seek(0)
        return subprocess.CompletedProcess(command, done.returncode, "", said.read())


@contextmanager
def kafka_container() -> Iterator[str]:
    """The address of Apache Kafka's own image, running. Raises NoContainer with the reason if it cannot."""
    _ask_docker()
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient
    from docker.errors import DockerException
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    # Its reaper is an image too, and not to be had everywhere; what starts here is stopped here.
    testcontainers_config.ryuk_disabled = True
    port = free_port()
    settings = {
        **SETTINGS,
        "listeners": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.quorum.voters": "1@localhost:9093",
    }
    container = DockerContainer(IMAGE)
    # Its own with_bind_ports knows no address, and would publish the port to the network.
    bindings: dict[str, Any] = container.ports
    bindings[f"{port}/tcp"] = ("127.0.0.1", port)
    for name, value in settings.items():
        container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    try:
        container.start()
    except DockerException as error:
        raise NoContainer(f"{IMAGE} does not start: {error}") from error
    try:
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0})

        def answers() -> bool:
            try:
                return bool(admin.list_topics(timeout=5).brokers)
            except KafkaException:  # Docker takes connections to the port before the broker does
                return False

        eventually(answers, START_TIMEOUT_S)
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
