"""A log in memory that behaves as Kafka does towards one reader: topics, partitions, offsets, the broker's
clock.

A fake for tests that must control time and faults. It keeps Kafka's contract: order within a partition, dense
offsets, the time of a record set when it is appended. It has no transactions, no retention, and compacts only
when asked.
"""

from collections import defaultdict
from collections.abc import Iterable

from streams.record import Out, Record

Place = tuple[str, int]
"""Topic and partition."""


class FakeLog:
    """Topics with as many partitions as anyone writes to."""

    def __init__(self) -> None:
        self._records: dict[Place, list[Record]] = defaultdict(list)
        self.written = 0
        """How many records were ever appended."""

    def append(self, out: Out, at_ms: int) -> Record:
        """Appends a record; its time is `at_ms`, the broker's."""
        records = self._records[out.topic, out.partition]
        record = Record(out.topic, out.partition, len(records), at_ms, out.key, out.value, out.headers)
        records.append(record)
        self.written += 1
        return record

    def append_all(self, outs: Iterable[Out], at_ms: int) -> None:
        """Appends records in order."""
        for out in outs:
            self.append(out, at_ms)

    def end(self, topic: str, partition: int) -> int:
        """Offset of the next record of a partition."""
        return len(self._records[topic, partition])

    def read(self, topic: str, partition: int, offset: int) -> Record | None:
        """The record at an offset; None if none was written there yet."""
        records = self._records[topic, partition]
        return records[offset] if offset < len(records) else None

    def records(self, topic: str, partition: int | None = None) -> list[Record]:
        """All records of a topic or of one partition of it, in the order of partitions and offsets."""
        return [
            record
            for (name, number), records in sorted(self._records.items())
            if name == topic and partition in {None, number}
            for record in records
        ]

    def compacted(self, topic: str, partition: int) -> list[Record]:
        """What compaction may leave of a partition: the last record of each key, in order."""
        last = {record.key: record for record in self._records[topic, partition]}
        return sorted(last.values(), key=lambda record: record.offset)
