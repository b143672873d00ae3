"""docker-compose.yml: it parses, its parts hang together, and it opens nothing to the network."""

from typing import Any

import pytest
import yaml

from jobstream.cluster import KAFKA_VERSION
from tests.tidy.source import ROOT


@pytest.fixture
def compose() -> dict[str, Any]:
    """The parsed file."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_the_parts(compose: dict[str, Any]) -> None:
    """The same parts as the cluster without containers, on the same Kafka."""
    services = compose["services"]
    assert set(services) >= {"kafka", "topics", "streams", "relay", "minion"}
    assert f"apache/kafka:{KAFKA_VERSION}" in services["kafka"]["image"]


def test_parts_wait_for_parts_that_exist(compose: dict[str, Any]) -> None:
    """Whatever a part waits for is a part too."""
    services = compose["services"]
    assert {each for service in services.values() for each in service.get("depends_on", {})} <= set(services)


def test_published_on_loopback_only(compose: dict[str, Any]) -> None:
    """No port is published on any address but 127.0.0.1."""
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not str(port).startswith("127.0.0.1:")] == []


def test_builds_take_a_base_image(compose: dict[str, Any]) -> None:
    """Every image of ours is built from deploy/Dockerfile, whose base can be given."""
    builds = [service["build"] for service in compose["services"].values() if "build" in service]
    assert builds
    for build in builds:
        assert "BASE" in build["args"]
        assert (ROOT / build["context"] / build["dockerfile"]).is_file()
    assert "ARG BASE" in (ROOT / "deploy" / "Dockerfile").read_text()
