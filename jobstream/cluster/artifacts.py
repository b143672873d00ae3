"""Fetches published jars (Kafka, Kafka Connect, its connectors) into the user's cache, once, and checks each.

Owns the locks (the exact jars, their order on the class path, and their SHA-256) and the copies in the cache.
A copy appears whole or not at all. Must never run anything it fetched.

For a new version, `python -m jobstream.cluster.artifacts kafka` (or `connect`, `connectors`) resolves the
coordinates again and prints a new lock.
"""

import hashlib
import logging
import os
import shutil
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobstream.cluster.cache import cache_directory, locked
from jobstream.cluster.errors import ArtifactsMissing

if TYPE_CHECKING:
    from jgo.maven import MavenContext

KAFKA_VERSION = "4.3.0"
_LOGGING = "org.slf4j:slf4j-simple:1.7.36"

_LOCKS = Path(__file__).parent
_FETCHERS = 8
_TRIES = 3
_TRY_PAUSE_S = 0.5
_HTTP_TIMEOUT_S = 20
_REASON_CHARS_MAX = 160
_REPORTS = 4  # progress sentences during a fetch


@dataclass(frozen=True)
class Jar:
    """One line of the lock: a Maven artifact and the SHA-256 of its jar, in hex."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name in the cache, as Maven names it."""
        return f"{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        return f"{self.sha256}  {self.group}:{self.artifact}:{self.version}"


@dataclass(frozen=True)
class Bundle:
    """Jars that belong together: a program's class path, or plugins that one class loader loads."""

    name: str
    """Of the lock's file, and with the version of the copy in the cache."""
    title: str
    version: str
    megabytes: int
    coordinates: tuple[str, ...]
    """What the lock was resolved from."""
    without: frozenset[str] = frozenset()
    """Artifacts that are left out of what these need: others provide them, or nothing of ours uses them."""

    @property
    def lock(self) -> Path:
        """The file with its jars."""
        return _LOCKS / f"{self.name}.lock"


KAFKA = Bundle(
    "kafka",
    "Apache Kafka",
    KAFKA_VERSION,
    45,
    (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", _LOGGING),
)
CONNECT = Bundle(
    "connect",
    "Kafka Connect",
    KAFKA_VERSION,
    33,
    (f"org.apache.kafka:connect-runtime:{KAFKA_VERSION}", _LOGGING),
)
DEBEZIUM_VERSION = "3.5.0.Final"
CONNECTORS = Bundle(
    "connectors",
    "Debezium's connectors, and Apicurio's Avro converter,",
    DEBEZIUM_VERSION,
    37,
    (
        "org.postgresql:postgresql:42.7.14",
        f"io.debezium:debezium-connector-jdbc:{DEBEZIUM_VERSION}",
        f"io.debezium:debezium-connector-postgres:{DEBEZIUM_VERSION}",
        "io.apicurio:apicurio-registry-utils-converter:2.6.13.Final",
    ),
    # Drivers of other databases; and what Connect itself has, of which a second copy does harm: with
    # two of Jackson's the worker ends with "BlackbirdModule not a subtype".
    frozenset(
        {
            "mysql-connector-j",
            "mariadb-java-client",
            "mssql-jdbc",
            "ojdbc11",
            "connect-api",
            "connect-json",
            "kafka-clients",
            "slf4j-api",
            "lz4-java",
            "snappy-java",
            "zstd-jni",
            "jakarta.ws.rs-api",
            "jackson-core",
            "jackson-databind",
            "jackson-annotations",
            "jackson-datatype-jdk8",
        }
    ),
)


def locked_jars(bundle: Bundle = KAFKA) -> list[Jar]:
    """The jars of a bundle, in class path order."""
    jars = []
    for line in bundle.lock.read_text().splitlines():
        if not line.startswith("#"):
            digest, coordinate = line.split()
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(group, artifact, version, digest))
    return jars


def class_path(tell: Callable[[str], None], bundle: Bundle = KAFKA) -> list[Path]:
    """A bundle's jars in the cache, fetched first if they are not there; instant and offline when they are.

    Of two processes that want them at once, one fetches and the other waits. `tell` gets progress sentences.
    Raises ArtifactsMissing when they can be had neither from the cache nor from the repository.
    """
    jars = locked_jars(bundle)
    home = cache_directory() / f"{bundle.name}-{bundle.version}"
    paths = [home / jar.file_name for jar in jars]
    if _complete(paths):
        return paths
    with locked("artifacts"):
        if not _complete(paths):
            _fetch_into(home, bundle, jars, tell)
    return paths


def _complete(paths: Iterable[Path]) -> bool:
    return all(path.is_file() and path.stat().st_size > 0 for path in paths)


def _fetch_into(home: Path, bundle: Bundle, jars: list[Jar], tell: Callable[[str], None]) -> None:
    started, what = time.monotonic(), f"{bundle.title} {bundle.version}"
    tell(f"Fetching {what} ({len(jars)} files, {bundle.megabytes} MB), once ...")
    try:
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=home.parent) as scratch:
            staged = Path(scratch) / "staged"
            staged.mkdir()
            _fetch_all(what, jars, Path(scratch), staged, tell)
            if home.exists():  # incomplete, or it would have been used
                shutil.rmtree(home)
            staged.rename(home)
    except OSError as error:
        raise ArtifactsMissing(
            f"{what} could not be stored in {home.parent} ({error.strerror or error});"
            " make room there, or name another directory in JOBSTREAM_CACHE"
        ) from error
    tell(f"Fetched {what} in {time.monotonic() - started:.1f} s, into {home}")


def _fetch_all(what: str, jars: list[Jar], scratch: Path, staged: Path, tell: Callable[[str], None]) -> None:
    maven = _maven(scratch / "repository")
    done, count = 0, threading.Lock()

    def fetch(jar: Jar) -> None:
        nonlocal done
        shutil.move(_fetch_checked(what, maven, jar), staged / jar.file_name)
        with count:
            done += 1
            if done * _REPORTS // len(jars) > (done - 1) * _REPORTS // len(jars):
                tell(f"  {done} of {len(jars)} files")

    with ThreadPoolExecutor(_FETCHERS, thread_name_prefix="fetch") as pool:
        jobs = [pool.submit(fetch, jar) for jar in jars]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _fetch_checked(what: str, maven: "MavenContext", jar: Jar) -> Path:
    """One jar, tried again on trouble; a jar whose content is not the locked one counts as trouble."""
    why = ""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_TRY_PAUSE_S * attempt)
        artifact = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        stored = maven.repo_cache / artifact.component.path_prefix / artifact.filename
        try:
            path = Path(artifact.resolve())
        except (OSError, RuntimeError) as error:  # OSError is also the base of every requests error
            why = textwrap.shorten(f"{type(error).__name__}: {error}", _REASON_CHARS_MAX)
            stored.unlink(missing_ok=True)  # half a file would pass for a whole one
            continue
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest == jar.sha256:
            return path
        why = f"its SHA-256 is {digest}, not {jar.sha256}"
        path.unlink()
    raise ArtifactsMissing(
        f"{jar.group}:{jar.artifact}:{jar.version} of {what} could not be fetched ({why});"
        " the first start needs the network, or a mirror named in JOBSTREAM_MAVEN,"
        " or a running broker named in JOBSTREAM_BOOTSTRAP"
    )


def _maven(repository: Path) -> "MavenContext":
    """A resolver that stores in `repository` and fetches from JOBSTREAM_MAVEN (a URL), else from Maven
    Central.
    """
    from jgo.maven import MavenContext

    logging.getLogger("jgo").setLevel(logging.ERROR)
    mirror = os.environ.get("JOBSTREAM_MAVEN")
    remotes = {"mirror": mirror.rstrip("/")} if mirror else None
    return MavenContext(repo_cache=repository, remote_repos=remotes, timeout=_HTTP_TIMEOUT_S)


def resolve_lock(bundle: Bundle) -> list[Jar]:
    """Resolve a bundle's coordinates through their poms and fetch every jar of run time: a new lock.

    Of an artifact that several of them need in different versions, the one that comes first is taken.
    """
    with tempfile.TemporaryDirectory() as scratch:
        maven = _maven(Path(scratch))
        found: dict[str, Jar] = {}
        for coordinate in bundle.coordinates:
            inputs, others = maven.resolver.resolve([maven.create_dependency(coordinate)])
            for each in [*inputs, *(each for each in others if each.scope in ("compile", "runtime"))]:
                if each.artifactId in found or each.artifactId in bundle.without:
                    continue
                digest = hashlib.sha256(Path(each.artifact.resolve()).read_bytes()).hexdigest()
                found[each.artifactId] = Jar(each.groupId, each.artifactId, each.version, digest)
    return sorted(found.values(), key=lambda jar: jar.file_name)


if __name__ == "__main__":
    chosen = {each.name: each for each in (KAFKA, CONNECT, CONNECTORS)}[sys.argv[1]]
    sys.stdout.write(
        f"# The jars of {chosen.title} {chosen.version} with their SHA-256, in class path order.\n"
    )
    sys.stdout.writelines(f"{jar}\n" for jar in resolve_lock(chosen))
