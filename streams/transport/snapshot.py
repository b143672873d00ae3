"""What a partition held at a position of its changelog, in a local file: a restore reads only the tail.

Owns the files and what makes one trustworthy. They are disposable: all that they save is time. Must never
give anything of a file of which one thing is doubtful: it is then as if there were none. What the chunks mean
is the business of whoever keeps the partition.

A file is the magic, a header (JSON, length first), chunks (length first), an end, and a checksum over all of
it. It is written beside its name and gets it when it is whole and everything in it is committed. No fsync: a
file that a power failure has torn is one more that is doubtful.
"""

import json
import logging
import struct
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

log = logging.getLogger(__name__)

MAGIC: Final = b"jobstream snapshot 1\n"
LENGTH: Final = struct.Struct(">I")
END: Final = LENGTH.pack(0xFFFFFFFF)
"""In place of the length of another chunk."""

CHECKSUM_BYTES: Final = 32
READ_BYTES: Final = 1024 * 1024
HEADER_BYTES_MAX: Final = 10_000
CHUNK_BYTES_MAX: Final = 0x40000000

AGE_S_MAX: Final = 12 * 3600.0
"""An older one is not used. The tail tells of rows that were dropped by tombstones, which compaction removes
after `delete.retention.ms`, by default 24 h: after that a dropped row would come back.
"""

UNFINISHED: Final = ".part"
SUFFIX: Final = ".snapshot"


class Identity(NamedTuple):
    """What a snapshot is of. All of it must be the same for another process to use it."""

    layout: str
    """The name of what the chunks mean."""
    topic: str
    """The changelog."""
    topic_id: str
    """Of this incarnation: a topic that was deleted and made again is another one."""
    partition: int


class Bounds(NamedTuple):
    """The offsets that the changelog has now."""

    first: int
    end: int


class Doubtful(Exception):
    """A snapshot that must not be used; the text says why."""


class Snapshot:
    """A file that can be trusted, open."""

    def __init__(self, file: IO[bytes], position: int) -> None:
        """`file` stands at the first chunk."""
        self._file = file
        self.position = position
        """Every changelog record before it is in the chunks, by its effect."""

    def chunks(self) -> Iterator[bytes]:
        """What was written, in order; the file is closed afterwards."""
        with self._file as file:
            while (length := file.read(LENGTH.size)) != END:
                yield file.read(*LENGTH.unpack(length))


class Draft:
    """A snapshot that is being written."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        """It will be at `path`.

        Raises:
            OSError: there it can't be written.
        """
        self._path = path
        self._unfinished = path.with_suffix(UNFINISHED)
        self._file = self._unfinished.open("wb")
        self._checksum = blake2b(digest_size=CHECKSUM_BYTES)
        self._write(MAGIC)
        self.add(json.dumps(header).encode())

    def add(self, chunk: bytes) -> None:
        """One more chunk.

        Raises:
            OSError: it can't be written.
        """
        assert len(chunk) < CHUNK_BYTES_MAX, f"a chunk must be small enough, got {len(chunk)} bytes"
        self._write(LENGTH.pack(len(chunk)))
        self._write(chunk)

    def _write(self, part: bytes) -> None:
        self._checksum.update(part)
        self._file.write(part)

    def finish(self) -> None:
        """Takes the place of the one before. Everything in it must be committed by now.

        Raises:
            OSError: it can't.
        """
        self._write(END)
        self._file.write(self._checksum.digest())
        self._file.close()
        self._unfinished.replace(self._path)

    def drop(self) -> None:
        """Forgets it."""
        self._file.close()
        self._unfinished.unlink(missing_ok=True)


class Shelf:
    """The snapshots of one table in one directory, which no other process uses."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives epoch seconds."""
        self._directory = directory
        self._clock = clock

    def path(self, partition: int) -> Path:
        """Where that of a partition is."""
        return self._directory / f"{partition}{SUFFIX}"

    def begin(self, identity: Identity, position: int) -> Draft:
        """Begins to write one. Every changelog record before `position` must have had its effect already.

        Raises:
            OSError: it can't be written.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        header = {**identity._asdict(), "position": position, "taken_at_s": self._clock()}
        return Draft(self.path(identity.partition), header)

    def take(self, identity: Identity, bounds: Bounds) -> Snapshot | None:
        """The snapshot of a partition; None if there is none, or none to trust. Reads all of it.

        A topic that lost the end of its log, and has grown again since, is not noticed.
        """
        path = self.path(identity.partition)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("snapshot %s is not used: %s", path, error.strerror)
            return None
        try:
            return Snapshot(file, self._check(file, identity, bounds))
        except (Doubtful, OSError) as error:
            log.warning("snapshot %s is not used: %s", path, error)
        except (ValueError, LookupError, TypeError, struct.error) as error:  # whole, but of another release
            log.warning("snapshot %s is not used: its header is another one: %r", path, error)
        file.close()
        return None

    def keep_only(self, partitions: set[int]) -> None:
        """Removes those of all other partitions, and what was left unfinished."""
        kept = {self.path(number) for number in partitions}
        for pattern in (f"*{SUFFIX}", f"*{UNFINISHED}"):
            for path in self._directory.glob(pattern):
                if path not in kept:
                    path.unlink(missing_ok=True)

    def _check(self, file: IO[bytes], identity: Identity, bounds: Bounds) -> int:
        _check_whole(file)
        file.seek(len(MAGIC))
        (length,) = LENGTH.unpack(file.read(LENGTH.size))
        header = json.loads(file.read(length))
        found = Identity(*(header[name] for name in Identity._fields))
        if found != identity:
            raise Doubtful(f"it must be of {identity}, got {found}")
        position: int = header["position"]
        if not bounds.first <= position <= bounds.end:
            raise Doubtful(f"its position must be from {bounds.first} to {bounds.end}, got {position}")
        age_s = self._clock() - header["taken_at_s"]
        if not 0 <= age_s <= AGE_S_MAX:
            raise Doubtful(f"its age must be from 0 to {AGE_S_MAX:g} s, got {age_s:.0f} s")
        return position


def _check_whole(file: IO[bytes]) -> None:
    """Raises Doubtful unless a file ends in the checksum of what comes before."""
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise Doubtful("it must begin as snapshots do")
    left = size - len(MAGIC) - CHECKSUM_BYTES
    checksum = blake2b(MAGIC, digest_size=CHECKSUM_BYTES)
    while left > 0 and (part := file.read(min(left, READ_BYTES))):
        checksum.update(part)
        left -= len(part)
    if left or file.read() != checksum.digest():
        raise Doubtful("its checksum must fit its content")
