"""A Kafka Connect worker on this machine, from its published jars, as a process that dies with ours.

Owns its settings, its folder of plugins, and its class path. Which connectors it runs is in Kafka; here
nothing knows them.
"""

import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from jobstream.cluster.artifacts import CONNECT, CONNECTORS, class_path
from jobstream.cluster.child import Child
from jobstream.cluster.java import find_java
from jobstream.cluster.settings import as_properties
from jobstream.connect import names
from jobstream.connect.security import for_worker

HEAP_MB = 384
PRIVATE = 0o600
SESSION_MS = 6_000
FLUSH_MS = 1_000
"""How often offsets are committed: what is written again after a crash is at most so old."""
MAIN = "org.apache.kafka.connect.cli.ConnectDistributed"
PLUGINS = "jobstream"
"""The folder under the plugin path."""
_CONVERTER = "io.apicurio.registry.utils.converter.AvroConverter"
_SERVICES = "META-INF/services/org.apache.kafka.connect.storage.Converter"

Say = Callable[[str], None]


def settings(bootstrap: str, prefix: str, address: str, plugins: Path) -> Mapping[str, str]:
    """The settings of a worker that listens at `address` (host:port).

    Raises:
        BadSetting: Java's clients cannot talk to Kafka as these brokers want it.
    """
    own = names.group(prefix)
    host, _, port = address.rpartition(":")
    return {
        **for_worker(bootstrap),
        "group.id": own,
        "listeners": f"http://{address}",
        "rest.advertised.host.name": host,
        "rest.advertised.port": port,
        **{f"{what}.storage.topic": f"{own}.{what}s" for what in ("config", "offset")},
        "status.storage.topic": f"{own}.statuses",
        **{f"{what}.storage.replication.factor": "-1" for what in ("config", "offset", "status")},
        # One sink and one source: more partitions would only take longer to read at the start.
        **{f"{what}.storage.partitions": "1" for what in ("offset", "status")},
        **{
            f"{what}.converter": "org.apache.kafka.connect.storage.StringConverter"
            for what in ("key", "value")
        },
        "plugin.path": str(plugins),
        "plugin.discovery": "service_load",  # to look into each class of each jar takes seconds
        "connector.client.config.override.policy": "All",
        "offset.flush.interval.ms": str(FLUSH_MS),
        # A worker that was killed is missed soon, and one that comes back gets its tasks at once.
        "session.timeout.ms": str(SESSION_MS),
        "heartbeat.interval.ms": str(SESSION_MS // 4),
        "scheduled.rebalance.max.delay.ms": "0",
        "task.shutdown.graceful.timeout.ms": "3000",
        # So that `${env:PGPASSWORD}` may stand for a password.
        "config.providers": "env",
        "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
    }


def fetch(tell: Say) -> None:
    """Fetches whatever a worker needs, if it is not there: a minute at most, once.

    Raises:
        ClusterError: There is no Java, or its jars cannot be had.
    """
    find_java(tell)
    for bundle in (CONNECT, CONNECTORS):
        class_path(tell, bundle)


def lay_out(folder: Path, tell: Say) -> Path:
    """Puts the plugins into a folder of their own under `folder`, as Connect wants it; returns `folder`.

    Apicurio's converter has no line in the list that Connect looks plugins up in (KIP-898); a jar with that
    line beside it is as good.

    Raises:
        ArtifactsMissing: They can be had neither from the cache nor from the repository.
    """
    jars = class_path(tell, CONNECTORS)
    home = folder / PLUGINS
    if sorted(path.name for path in home.glob("*.jar")) == sorted(
        [*(jar.name for jar in jars), "services.jar"]
    ):
        return folder
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for jar in jars:
        shutil.copyfile(jar, home / jar.name)
    with zipfile.ZipFile(home / "services.jar", "w") as services:
        services.writestr(_SERVICES, f"{_CONVERTER}\n")
    return folder


def lay_out_image(folder: Path, home: Path, bootstrap: str, prefix: str, address: str, tell: Say) -> None:
    """Puts all that an image of a worker needs into a folder, which the image has at `home`.

    Raises:
        ArtifactsMissing: Something of it can be had neither from the cache nor from the repository.
    """
    lay_out(folder / "plugins", tell)
    (folder / "runtime").mkdir(exist_ok=True)
    for jar in class_path(tell, CONNECT):
        shutil.copyfile(jar, folder / "runtime" / jar.name)
    told = settings(bootstrap, prefix, address, home / "plugins")
    _write(folder / "worker.properties", told)


def start(
    data: Path,
    log: Path,
    bootstrap: str,
    prefix: str,
    address: str,
    tell: Say,
    secrets: Mapping[str, str],
) -> Child:
    """Starts a worker with its files under `data`; it does not answer yet. `secrets` are variables of its
    environment, which connectors may ask for.

    Raises:
        ClusterError: There is no Java, or its jars cannot be had.
    """
    java, jars = find_java(tell), class_path(tell, CONNECT)
    plugins = lay_out(data / "plugins", tell)
    properties = data / "worker.properties"
    _write(properties, settings(bootstrap, prefix, address, plugins))
    command = [
        java.executable,
        f"-Xmx{HEAP_MB}m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
        "-cp",
        os.pathsep.join(map(str, jars)),
        MAIN,
        str(properties),
    ]
    return Child.start(command, log=log, env={**os.environ, **secrets})


def _write(file: Path, told: Mapping[str, str]) -> None:
    """Its settings, for its user alone: the password of Kafka may be among them."""
    file.unlink(missing_ok=True)
    with os.fdopen(
        os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w", encoding="ascii"
    ) as out:
        out.write(as_properties(told))
