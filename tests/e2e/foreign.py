"""Other people's clients, as programs that know nothing of us: each writes lines and reads facts.

Owns how each is started. What they say is theirs; what is expected of the service is in the tests.
"""

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from jobstream.cluster.artifacts import class_path
from jobstream.cluster.java import find_java
from schemas.codec import decode
from schemas.events import Fact
from tests.containers import ROOT

EXAMPLES = ROOT / "examples" / "clients"
RUN_S = 100.0
BUILD_S = 400.0
KCAT_SEPARATOR = "\t"

Line = tuple[str | None, str]
"""A record's key, or none, and its value."""


@dataclass(frozen=True)
class Told:
    """One fact as a foreign client read it: where it lay, and what it said."""

    partition: int
    fact: str
    job: str
    key: str
    home: int


@dataclass(frozen=True)
class Foreign:
    """A client: how it is called, and how it chooses partitions."""

    name: str
    partitioner: str | None = None
    """In the client's own word; None for its default."""

    def __str__(self) -> str:
        return f"{self.name}-{self.partitioner or 'default'}".replace(" ", "-")

    def produce(self, bootstrap: str, topic: str, lines: Sequence[Line]) -> None:
        """Writes records, and returns when Kafka has all of them."""
        text = "".join(f"{key or ''}\t{value}\n" for key, value in lines)
        if self.name == "kcat":
            more = ["-X", f"topic.partitioner={self.partitioner}"] if self.partitioner else []
            run(["kcat", "-b", bootstrap, "-P", "-t", topic, "-Z", "-K", "\t", *more], text)
        else:
            run([*program(self.name), "produce", bootstrap, topic, *filter(None, [self.partitioner])], text)

    def facts(self, bootstrap: str, topic: str) -> list[Told]:
        """What the client reads of a topic of facts, up to its end."""
        if self.name == "kcat":
            return kcat_facts(bootstrap, topic)
        lines = run([*program(self.name), "facts", bootstrap, topic]).decode().splitlines()
        return [
            Told(int(partition), fact, job, key, int(home))
            for partition, fact, job, key, home in (line.split("\t") for line in lines)
        ]

    def by(self, partitioner: str) -> "Foreign":
        """The same client with another partitioner."""
        return replace(self, partitioner=partitioner)


def kcat_facts(bootstrap: str, topic: str) -> list[Told]:
    """Kcat prints the bytes as they are: here their length stands before them."""
    out = run(["kcat", "-b", bootstrap, "-C", "-t", topic, "-e", "-q", "-f", "%p %S %s"])
    told = []
    while out:
        partition, size, rest = out.split(b" ", 2)
        value, out = rest[: int(size)], rest[int(size) :]
        fact = decode(value, (Fact,))
        told.append(Told(int(partition), fact.fact, fact.job, fact.key, fact.partition))
    return told


def run(command: Sequence[str | Path], text: str = "", *, timeout_s: float = RUN_S) -> bytes:
    """Runs a program; what it printed. Its words are in the failure if it ends with an error."""
    done = subprocess.run(
        command, check=False, input=text.encode(), capture_output=True, timeout=timeout_s, cwd=EXAMPLES
    )
    assert done.returncode == 0, f"{command}: {done.stderr.decode()[-2000:]}"
    return done.stdout


@functools.cache
def program(name: str) -> list[str]:
    """The command of an example client, built if need be; skips where its language is not there."""
    match name:
        case "go":
            return [built_go()]
        case "java":
            java = find_java(print).executable
            modules = subprocess.run([java, "--list-modules"], check=True, capture_output=True, text=True)
            if "jdk.compiler" not in modules.stdout:
                pytest.skip(f"{java} has no compiler")
            jars = os.pathsep.join(map(str, class_path(print)))
            quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
            compiled = tempfile.mkdtemp(prefix="jobstream-java-client-")
            atexit.register(shutil.rmtree, compiled, ignore_errors=True)
            javac = [java, "-m", "jdk.compiler/com.sun.tools.javac.Main", "-cp", jars, "-d", compiled]
            run([*javac, EXAMPLES / "Client.java"])
            return [java, "-XX:TieredStopAtLevel=1", quiet, "-cp", f"{compiled}{os.pathsep}{jars}", "Client"]
        case _:
            return [sys.executable, str(EXAMPLES / f"{name}_client.py")]


def built_go() -> str:
    """The client in Go as a program, built once."""
    if shutil.which("go") is None:
        pytest.skip("there is no Go here")
    binary = Path(tempfile.gettempdir()) / f"jobstream-go-client-{os.getuid()}"
    done = subprocess.run(
        ["go", "build", "-o", str(binary), "."],
        check=False,
        cwd=EXAMPLES / "go",
        capture_output=True,
        text=True,
        timeout=BUILD_S,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return str(binary)


def request(job: str, **fields: object) -> str:
    """A request in JSON, as people write it."""
    return json.dumps({"id": job, "function": "e2e.echo", "args": {"value": job}, **fields})


def cancel(job: str, key: str | None = None) -> str:
    """A command in JSON."""
    return json.dumps({"command": "cancel", "id": job, **({"key": key} if key else {})})
