"""A data directory as Kafka's own tool formats it, made once per Kafka version and kept in the cache.

Owns that template; every new data directory is a copy of it, which saves the start of a JVM. Must never be
changed by a broker.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from jobstream.cluster.artifacts import KAFKA_VERSION
from jobstream.cluster.cache import cache_directory, locked
from jobstream.cluster.errors import BrokerFailed
from jobstream.cluster.java import Java
from jobstream.cluster.ports import LOOPBACK
from jobstream.cluster.settings import SETTINGS, as_properties

_FORMAT_TIMEOUT_S = 60.0
_CLUSTER_ID = "jobstreamjobstreamjobQ"  # replaced in every copy


def formatted(java: Java, jars: Sequence[Path]) -> Path:
    """The template's directory, made first if it is not there. Raises BrokerFailed with the tool's words."""
    template = cache_directory() / f"formatted-{KAFKA_VERSION}"
    with locked("formatted"):
        if not template.exists():
            draft = template.with_name(f"{template.name}.draft")
            draft.mkdir(exist_ok=True)
            _format(draft, java, jars)
            draft.rename(template)
    return template


def _format(directory: Path, java: Java, jars: Sequence[Path]) -> None:
    properties = directory / "server.properties"
    needed = {
        "listeners": "PLAINTEXT://:0,CONTROLLER://:1",
        "controller.quorum.voters": f"1@{LOOPBACK}:1",
        "log.dirs": str(directory),
    }
    properties.write_text(as_properties({**SETTINGS, **needed}))
    tool = [java.executable, "-cp", os.pathsep.join(map(str, jars)), "kafka.tools.StorageTool"]
    done = subprocess.run(
        [*tool, "format", "--ignore-formatted", "--cluster-id", _CLUSTER_ID, "--config", str(properties)],
        capture_output=True,
        text=True,
        timeout=_FORMAT_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise BrokerFailed(
            f"Kafka could not format a data directory: {done.stderr.strip() or done.stdout.strip()}"
        )
