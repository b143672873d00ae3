"""A log of a release in one file: what was decided, in that order, the state topic, and the rows that follow.

Owns the form of the file: lines of JSON, compressed, one for each history; bytes as base64. It holds the
bytes as that release wrote them, so its form must never depend on today's schemas.
"""

import gzip
import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from schemas.codec import decode
from schemas.events import ArgsRow, ConfigRow, JobRow, ScheduleRow
from schemas.topics import Topics
from streams.partition import Partition
from streams.queues import Queues
from streams.record import Record

LOGS: Final = Path(__file__).with_name("logs")
PREFIX: Final = "jobs."
ROWS: Final = (JobRow, ArgsRow, ScheduleRow, ConfigRow)
MEMORY_ONLY: Final = ("applied_heartbeats", "applied_timers")
"""Fields of a job that has ended that may differ: what changed its row in memory alone is not in the log."""

Row = dict[str, Any]


@dataclass(frozen=True)
class History:
    """One life of a prefix, from nothing until every job has ended."""

    name: str
    partitions: int
    queues: list[str]
    decided: list[list[Any]]
    """Records of the sources in the order in which they were decided: fields of Record."""
    state: list[list[Any]]
    """Records of the state topic in the order of each partition."""
    versions: str
    """Digest of every row that was ever written, as it is read."""
    rows: dict[str, Row]
    """Those that are there at the end, by key."""


def packed(records: Iterable[Record]) -> list[list[Any]]:
    """Records as the file has them; topics without their prefix."""
    return [
        [
            record.topic.removeprefix(PREFIX),
            record.partition,
            record.offset,
            record.timestamp_ms,
            _text(record.key),
            _text(record.value),
            [[name, _text(value)] for name, value in record.headers],
        ]
        for record in records
    ]


def unpacked(lines: Iterable[Sequence[Any]]) -> list[Record]:
    """The same again."""
    return [
        Record(
            PREFIX + topic,
            partition,
            offset,
            timestamp_ms,
            _bytes(key),
            _bytes(value),
            tuple((name, b64decode(text)) for name, text in headers),
        )
        for topic, partition, offset, timestamp_ms, key, value, headers in lines
    ]


def write(path: Path, histories: Iterable[History]) -> None:
    """Writes a file; the same histories give the same bytes."""
    lines = "".join(json.dumps(asdict(each), separators=(",", ":")) + "\n" for each in histories)
    path.write_bytes(gzip.compress(lines.encode(), mtime=0))


def read(path: Path) -> list[History]:
    """Reads a file."""
    return [History(**json.loads(line)) for line in gzip.decompress(path.read_bytes()).splitlines()]


def versions(state: Iterable[Record]) -> str:
    """Digest of every version of every row, as today's code reads it."""
    digest = hashlib.sha256()
    for record in state:
        row = None if record.value is None else plain(decode(record.value, ROWS))
        digest.update(json.dumps([(record.key or b"").decode(), row], sort_keys=True).encode())
    return digest.hexdigest()


def restored(history: History) -> dict[str, Row]:
    """The rows that a worker has that begins with the state topic."""
    found: dict[str, Row] = {}
    for partition in partitions(history):
        for record in unpacked(history.state):
            if record.partition == partition.number:
                partition.restore(record.key or b"", record.value)
        partition.begin(*_nowhere(history))
        found |= rows(partition)
    return found


def replayed(history: History) -> dict[str, Row]:
    """The rows that a worker has that decides every record again, from the first."""
    made = partitions(history)
    for partition in made:
        partition.begin(*_nowhere(history))
    for record in unpacked(history.decided):
        made[record.partition].apply(record)
    return {key: row for partition in made for key, row in rows(partition).items()}


def partitions(history: History) -> list[Partition]:
    """Empty ones."""
    topics, queues = Topics(PREFIX, history.partitions), Queues(tuple(history.queues))
    return [Partition(number, topics, queues) for number in range(history.partitions)]


def rows(partition: Partition) -> dict[str, Row]:
    """The rows of a partition by key, as a file has them."""
    jobs = {f"j:{id}": _without_memory(plain(row)) for id, row in partition.jobs.items()}
    return jobs | {f"s:{id}": plain(row) for id, row in partition.schedules.items()}


def plain(record: Any) -> Any:
    """A record as JSON has it, without what is null: so a field that a later release adds changes nothing."""
    if isinstance(record, bytes):
        return _text(record)
    if isinstance(record, tuple):
        return [plain(each) for each in record]
    if hasattr(record, "__dataclass_fields__"):
        return {name: plain(value) for name, value in vars(record).items() if value is not None}
    return record


def _without_memory(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in MEMORY_ONLY}


def _nowhere(history: History) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Before the first record of every source."""
    topics = Topics(PREFIX, history.partitions)
    sources = (topics.requests, topics.receipts, topics.heartbeats, topics.timers, topics.schedules)
    return dict.fromkeys(sources, 0), dict.fromkeys(sources, 0)


def _text(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
