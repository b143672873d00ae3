"""Apache Kafka on this machine, without containers: one process that is broker and controller (KRaft).

Owns the broker's settings, its start, and its end. Listens on loopback only, and dies with the process that
started it. Must never say "ready" before a first use would succeed.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from jobstream.cluster.archive import Archive
from jobstream.cluster.artifacts import class_path
from jobstream.cluster.child import Child
from jobstream.cluster.java import Java, find_java
from jobstream.cluster.ports import LOOPBACK, claim_port, free_port
from jobstream.cluster.readiness import wait_until_it_serves, why_it_ended
from jobstream.cluster.settings import SETTINGS, as_properties
from jobstream.cluster.storage import Storage
from jobstream.cluster.template import formatted

HEAP_MB = 512
STOP_TIMEOUT_S = 30.0

_EXIT_SIGTERM = 143  # how a JVM ends that was asked to
_CRASH_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)


_LOGGING = [
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",  # else hundreds of lines of settings
]


def to_stderr(sentence: str) -> None:
    """The default for progress sentences."""
    sys.stderr.write(f"{sentence}\n")


class Broker:
    """A running broker. Use it as a context manager, or call `stop`.

    `bootstrap` is its address, `data` its directory, `log` its own words, `started_s` the seconds until it
    served.
    """

    def __init__(
        self, storage: Storage, child: Child, archive: Archive, port: int, tell: Callable[[str], None]
    ) -> None:
        self.port = port
        self.bootstrap = f"{LOOPBACK}:{port}"
        self.data = storage.path
        self.log = storage.log
        self.started_s = 0.0
        self._storage = storage
        self._child = child
        self._archive = archive
        self._tell = tell

    @classmethod
    def start(
        cls,
        data: Path | str,
        port: int = 0,
        *,
        heap_mb: int = HEAP_MB,
        settings: Mapping[str, str] | None = None,
        tell: Callable[[str], None] = to_stderr,
    ) -> Self:
        """Start a broker on `data` and wait until it serves; a new directory is made and formatted.

        `port` 0 picks a free one. `settings` go over SETTINGS. `tell` gets a sentence for whatever takes
        seconds: fetching Kafka or Java the first time. When this returns, topics can be made, and producers
        (idempotent and transactional ones too) and groups work without a retry. Raises ClusterError with one
        sentence for the person at the terminal, and ValueError for a port out of range.
        """
        began = time.monotonic()
        storage = Storage.claim(Path(data))
        try:
            port = claim_port(port)
            java, jars = find_java(tell), class_path(tell)
            storage.format(lambda: formatted(java, jars))
            archive = Archive(java, jars)
            _write_properties(storage, port, settings or {})
            child = _run(storage, java, jars, archive, heap_mb, port)
        except BaseException:
            storage.release()
            raise
        broker = cls(storage, child, archive, port, tell)
        broker.started_s = time.monotonic() - began
        return broker

    @property
    def pid(self) -> int:
        """The process id of the broker itself."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs (it may be stopped by a signal)."""
        return self._child.alive

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the broker's end; False when it still runs after `timeout_s` seconds."""
        return self._child.wait(timeout_s)

    def why(self) -> str:
        """The words of its log that best tell why it ended."""
        return why_it_ended(self._child)

    def send(self, signum: signal.Signals) -> None:
        """Send it a signal: SIGSTOP and SIGCONT make a frozen broker and wake it."""
        self._child.send(signum)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would; a new broker may start on its data. Safe to call again."""
        self._child.kill()
        self._storage.release()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop it in order, by force after `timeout_s` seconds. Safe to call again."""
        if self._child.alive:
            if self._archive.is_being_made:
                self._tell(
                    "Stopping Kafka; this once it takes some seconds, and the next starts are quicker ..."
                )
            self._child.send(signal.SIGCONT)  # a frozen process would not hear SIGTERM
            if self._child.stop(timeout_s) == _EXIT_SIGTERM:
                self._archive.keep()
        self._storage.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _write_properties(storage: Storage, port: int, overrides: Mapping[str, str]) -> None:
    controller = free_port(other=port)
    own = {
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "log.dirs": str(storage.partitions),
    }
    storage.configure(as_properties({**SETTINGS, **own, **overrides}))


def _run(storage: Storage, java: Java, jars: list[Path], archive: Archive, heap_mb: int, port: int) -> Child:
    """Start the process and wait until it serves; without the class archive if it crashed with it."""
    while True:
        storage.forget_log()
        child = Child.start(
            [
                java.executable,
                f"-Xmx{heap_mb}m",
                "-XX:+UseSerialGC",  # two cores: the collector's threads would only compete with the broker's
                "-XX:+ExitOnOutOfMemoryError",
                "-XX:-UsePerfData",
                *archive.flags(str(port)),
                *_LOGGING,
                "-cp",
                os.pathsep.join(map(str, jars)),
                "kafka.Kafka",
                str(storage.properties),
            ],
            log=storage.log,
            pass_fds=[storage.lock.fileno()],  # so that the claim lasts as long as the broker itself
        )
        try:
            storage.say_who(child.pid, f"{LOOPBACK}:{port}")
            wait_until_it_serves(child, port)
        except BaseException:
            child.kill()
            if child.exit_code in {-each for each in _CRASH_SIGNALS} and archive.drop():
                continue
            raise
        return child
