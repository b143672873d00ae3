"""Fetches Apache Kafka's published jars into the user's cache, once, and checks every one of them.

Owns `kafka.lock` (the exact jars, their order on the class path, and their SHA-256) and the copy in the
cache. The copy appears whole or not at all. Must never run anything it fetched.

For a new Kafka version, `python -m jobstream.cluster.artifacts` resolves the coordinates again and prints a
new lock.
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
COORDINATES = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")

_LOCK = Path(__file__).with_name("kafka.lock")
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


def locked_jars() -> list[Jar]:
    """The jars of the broker, in class path order."""
    jars = []
    for line in _LOCK.read_text().splitlines():
        if not line.startswith("#"):
            digest, coordinate = line.split()
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(group, artifact, version, digest))
    return jars


def class_path(tell: Callable[[str], None]) -> list[Path]:
    """The broker's jars in the cache, fetched first if they are not there; instant and offline when they are.

    Of two processes that want them at once, one fetches and the other waits. `tell` gets progress sentences.
    Raises ArtifactsMissing when they can be had neither from the cache nor from the repository.
    """
    jars = locked_jars()
    home = cache_directory() / f"kafka-{KAFKA_VERSION}"
    paths = [home / jar.file_name for jar in jars]
    if _complete(paths):
        return paths
    with locked("artifacts"):
        if not _complete(paths):
            _fetch_into(home, jars, tell)
    return paths


def _complete(paths: Iterable[Path]) -> bool:
    return all(path.is_file() and path.stat().st_size > 0 for path in paths)


def _fetch_into(home: Path, jars: list[Jar], tell: Callable[[str], None]) -> None:
    started = time.monotonic()
    tell(f"Fetching Apache Kafka {KAFKA_VERSION} ({len(jars)} files, 45 MB), once ...")
    try:
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=home.parent) as scratch:
            staged = Path(scratch) / "staged"
            staged.mkdir()
            _fetch_all(jars, Path(scratch), staged, tell)
            if home.exists():  # incomplete, or it would have been used
                shutil.rmtree(home)
            staged.rename(home)
    except OSError as error:
        raise ArtifactsMissing(
            f"Apache Kafka {KAFKA_VERSION} could not be stored in {home.parent} ({error.strerror or error});"
            " make room there, or name another directory in JOBSTREAM_CACHE"
        ) from error
    tell(f"Fetched Apache Kafka {KAFKA_VERSION} in {time.monotonic() - started:.1f} s, into {home}")


def _fetch_all(jars: list[Jar], scratch: Path, staged: Path, tell: Callable[[str], None]) -> None:
    maven = _maven(scratch / "repository")
    done, count = 0, threading.Lock()

    def fetch(jar: Jar) -> None:
        nonlocal done
        shutil.move(_fetch_checked(maven, jar), staged / jar.file_name)
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


def _fetch_checked(maven: "MavenContext", jar: Jar) -> Path:
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
        f"{jar.group}:{jar.artifact}:{jar.version} of Apache Kafka could not be fetched ({why});"
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


def resolve_lock() -> list[Jar]:
    """Resolve COORDINATES through their poms and fetch every jar of run time: the content of a new lock."""
    with tempfile.TemporaryDirectory() as scratch:
        maven = _maven(Path(scratch))
        inputs, others = maven.resolver.resolve([maven.create_dependency(c) for c in COORDINATES])
        found = []
        for dependency in [*inputs, *(each for each in others if each.scope in ("compile", "runtime"))]:
            digest = hashlib.sha256(Path(dependency.artifact.resolve()).read_bytes()).hexdigest()
            found.append(Jar(dependency.groupId, dependency.artifactId, dependency.version, digest))
    return sorted(found, key=lambda jar: jar.file_name)


if __name__ == "__main__":
    sys.stdout.write(f"# The jars of Apache Kafka {KAFKA_VERSION} with their SHA-256, in class path order.\n")
    sys.stdout.writelines(f"{jar}\n" for jar in resolve_lock())
