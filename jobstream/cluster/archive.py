"""The broker's classes, parsed and linked once and kept in the cache: the next start takes half the time.

Owns the archives (JVM class data sharing, JEP 350; from Java 25 on the AOT cache, JEP 514). One belongs to a
build of the virtual machine and a class path. The first broker makes it while it ends. An archive is a gift,
never a need: whatever is wrong with it, the broker starts without.
"""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from jobstream.cluster.cache import cache_directory
from jobstream.cluster.java import Java

_AOT_JAVA_MIN = 25
_STALE_DRAFT_S = 3600


class Archive:
    """The archive of one Java build and class path: used when it is there, made when it is not."""

    def __init__(self, java: Java, class_path: Sequence[Path]) -> None:
        key = hashlib.sha256("\n".join([java.build, java.executable, *map(str, class_path)]).encode())
        self._aot = java.version >= _AOT_JAVA_MIN
        self._path = cache_directory() / f"classes-{key.hexdigest()[:16]}.jsa"
        self._draft: Path | None = None

    def flags(self, owner: str) -> list[str]:
        """The JVM flags that use the archive, or make it; `owner` tells concurrent brokers' drafts apart."""
        if self._path.exists():
            self._draft = None
            return [f"-XX:{'AOTCache' if self._aot else 'SharedArchiveFile'}={self._path}"]
        self._forget_stale_drafts()
        self._draft = self._path.with_suffix(f".{owner}.draft")
        return [f"-XX:{'AOTCacheOutput' if self._aot else 'ArchiveClassesAtExit'}={self._draft}"]

    @property
    def is_being_made(self) -> bool:
        """Whether the running broker will write it when it ends, which takes seconds."""
        return self._draft is not None

    def keep(self) -> None:
        """After an orderly end: what the broker wrote becomes the archive, if it wrote any."""
        if self._draft and self._draft.exists():
            self._draft.rename(self._path)

    def drop(self) -> bool:
        """After a broker died with it: throw it away. False when none was in use."""
        used = self._draft is None and self._path.exists()
        if used:
            self._path.unlink(missing_ok=True)
        return used

    def _forget_stale_drafts(self) -> None:
        for draft in self._path.parent.glob(f"{self._path.stem}.*.draft"):
            if time.time() - draft.stat().st_mtime > _STALE_DRAFT_S:
                draft.unlink(missing_ok=True)
