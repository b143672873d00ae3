"""The data directory of one broker: claimed by a lock, checked for room, formatted for KRaft.

Owns the directory's layout. Only one broker at a time works in it. Must never touch a directory that holds
anything else.

    broker.lock         held by the broker's process; says which one
    broker.log          what it said since its last start
    server.properties   written anew at every start
    log/                Kafka's own: meta.properties, bootstrap.checkpoint, the partitions
"""

import base64
import fcntl
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from jobstream.cluster.errors import AlreadyRunning, DataUnusable

DISK_FREE_BYTES_MIN = 256 * 1024 * 1024

_NODE_ID = 1
_DYING_TIMEOUT_S = 10.0
_POLL_S = 0.02
_CHECKPOINT = "bootstrap.checkpoint"
_META = "meta.properties"


@dataclass(frozen=True)
class Storage:
    """A data directory that this process has claimed; `release` gives it back."""

    path: Path
    lock: BinaryIO

    @classmethod
    def claim(cls, path: Path) -> Self:
        """Make the directory if needed, and claim it.

        Raises DataUnusable when it cannot be made or written, is full, or holds other things; AlreadyRunning,
        with the process id and the address, when a broker works in it.
        """
        path = path.expanduser().absolute()
        try:
            path.mkdir(parents=True, exist_ok=True)
            foreign = {each.name for each in path.iterdir()} - {
                "broker.lock",
                "broker.log",
                "server.properties",
                "log",
            }
            if foreign:
                raise DataUnusable(
                    f"the data directory must be empty or a broker's, but {path} holds {min(foreign)!r};"
                    " name another directory"
                )
            lock = (path / "broker.lock").open("a+b")
        except OSError as error:
            raise DataUnusable(
                f"the data directory {path} cannot be used ({error.strerror}); name one that can be written"
            ) from error
        storage = cls(path, lock)
        try:
            storage._claim()
        except BaseException:
            lock.close()
            raise
        return storage

    @property
    def log(self) -> Path:
        """Where the broker's own words go."""
        return self.path / "broker.log"

    @property
    def properties(self) -> Path:
        """The broker's configuration file."""
        return self.path / "server.properties"

    @property
    def partitions(self) -> Path:
        """Kafka's `log.dirs`."""
        return self.path / "log"

    def say_who(self, pid: int, bootstrap: str) -> None:
        """Write into the lock which broker holds it, for whoever finds it taken."""
        self.lock.truncate(0)
        self.lock.write(json.dumps({"pid": pid, "bootstrap": bootstrap, "parent": os.getpid()}).encode())
        self.lock.flush()

    def format(self, template: Callable[[], Path]) -> None:
        """Format the directory for KRaft, unless it is: Kafka's two files, copied from a formatted directory.

        `template` gives that directory and is only called when needed. The ids of cluster and directory are
        new. `meta.properties` comes last, so that an interrupted format is none.
        """
        meta = self.partitions / _META
        if meta.exists():
            return
        source = template()
        try:
            self.partitions.mkdir(exist_ok=True)
            shutil.copyfile(source / _CHECKPOINT, self.partitions / _CHECKPOINT)
            draft = self.partitions / f"{_META}.draft"
            draft.write_text(
                f"version=1\nnode.id={_NODE_ID}\ncluster.id={_kafka_uuid()}\ndirectory.id={_kafka_uuid()}\n"
            )
            draft.rename(meta)
        except OSError as error:
            raise DataUnusable(
                f"the data directory {self.path} cannot be formatted ({error.strerror})"
            ) from error

    def configure(self, properties: str) -> None:
        """Write the broker's configuration file."""
        try:
            self.properties.write_text(properties)
        except OSError as error:
            raise DataUnusable(f"{self.properties} cannot be written ({error.strerror})") from error

    def forget_log(self) -> None:
        """Remove the words of the last broker."""
        self.log.unlink(missing_ok=True)

    def release(self) -> None:
        """Give the directory back; a broker that still runs in it keeps its own hold. Safe to call again."""
        self.lock.close()

    def _lock_or_wait_for_a_dying_one(self) -> None:
        deadline = time.monotonic() + _DYING_TIMEOUT_S
        while True:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.lock.seek(0)
                if not _is_dying(self.lock.read()) or time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)
            else:
                return

    def _claim(self) -> None:
        try:
            self._lock_or_wait_for_a_dying_one()
        except BlockingIOError:
            self.lock.seek(0)
            raise AlreadyRunning(
                f"{_holder(self.lock.read())} already works in {self.path}; stop it, or use it"
            ) from None
        free = shutil.disk_usage(self.path).free
        if free < DISK_FREE_BYTES_MIN:
            raise DataUnusable(
                f"the disk of {self.path} must have {DISK_FREE_BYTES_MIN >> 20} MiB free, has {free >> 20};"
                " make room, or name another directory"
            )
        if not os.access(self.path, os.W_OK):
            raise DataUnusable(f"the data directory {self.path} is not writable; name one that is")


def _is_dying(content: bytes) -> bool:
    """Whether the lock's process is gone, or about to be; a killed JVM takes a second or two.

    A broker whose parent has ended is about to be, since the kernel kills it with its parent (`tether`).
    """
    if sys.platform != "linux":
        return False
    try:
        who = json.loads(content)
        pid, parent = int(who["pid"]), int(who["parent"])
    except (ValueError, KeyError):
        return False
    try:
        state, parent_now = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in {"Z", "X"} or int(parent_now) != parent


def _holder(content: bytes) -> str:
    try:
        who = json.loads(content)
        return f"a broker (pid {who['pid']}, {who['bootstrap']})"
    except (ValueError, KeyError):
        return "a broker that is just starting"


def _kafka_uuid() -> str:
    """16 random bytes in URL-safe base64 without padding, not beginning with a dash, as Kafka's own Uuid."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text
