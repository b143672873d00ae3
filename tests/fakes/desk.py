"""One partition at a desk: a test writes a record to it and reads what it wrote, decoded.

Owns the clock and the offsets of that partition; there is no broker. Rows and all else go to a FakeLog, from
which the partition can be restored as after a crash.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.codec import decode, encode
from schemas.events import (
    Announcement,
    ArgsRow,
    Beat,
    Command,
    ConfigChanged,
    ConfigRow,
    Control,
    DeadLetter,
    Dispatch,
    Fact,
    FunctionConfig,
    Heartbeat,
    JobRequest,
    JobRow,
    QueueConfig,
    Receipt,
    Reject,
    Schedule,
    ScheduleRow,
    Tick,
)
from schemas.keys import home
from schemas.topics import Topics
from schemas.words import LanePolicy
from streams.core.config import key_of
from streams.observer import Observer
from streams.partition import Partition
from streams.queues import Queues
from streams.record import Header, Out, Record, Writes
from tests.fakes.log import FakeLog

PARTITIONS = 8
HOME = 3
START_MS = 1_790_000_000_000
WRITTEN = (
    JobRow,
    ArgsRow,
    ScheduleRow,
    ConfigRow,
    Fact,
    Dispatch,
    Control,
    DeadLetter,
    Reject,
    JobRequest,
    Command,
)

KEYS = [key for key in (f"k{number}" for number in range(500)) if home(key, PARTITIONS) == HOME]
"""Keys whose home is the partition at the desk."""
FOREIGN = next(key for key in (f"k{number}" for number in range(500)) if home(key, PARTITIONS) != HOME)
"""A key whose home it is not."""


@dataclass(frozen=True)
class Written:
    """What one record asked to write, decoded; `early`, `first` and `then` are the stages."""

    topics: Topics
    first: tuple[Out, ...]
    then: tuple[Out, ...]
    early: tuple[Out, ...]

    def of(self, kind: type, outs: Iterable[Out] | None = None) -> list[Any]:
        """The records of one type, in order."""
        found = [
            decode(out.value, WRITTEN)
            for out in (self.early + self.first + self.then if outs is None else outs)
            if out.value is not None
        ]
        return [event for event in found if type(event) is kind]

    @property
    def rows(self) -> list[JobRow]:
        """Rows of jobs."""
        return self.of(JobRow)

    @property
    def facts(self) -> list[Fact]:
        """Facts of both stages."""
        return self.of(Fact)

    @property
    def told(self) -> list[str]:
        """The words of the facts."""
        return [fact.fact for fact in self.facts]

    @property
    def dispatches(self) -> list[Dispatch]:
        """Dispatches."""
        return self.of(Dispatch)

    @property
    def controls(self) -> list[Control]:
        """Words to the relays."""
        return self.of(Control)

    @property
    def letters(self) -> list[DeadLetter]:
        """Dead letters."""
        return self.of(DeadLetter)

    @property
    def rejects(self) -> list[Reject]:
        """Refusals."""
        return self.of(Reject)

    @property
    def reject(self) -> Reject:
        """The only refusal."""
        (reject,) = self.rejects
        return reject


class Desk:
    """A partition, its clock and its log."""

    def __init__(
        self,
        queues: Iterable[str] = ("default",),
        *,
        number: int = HOME,
        lanes: Mapping[str, LanePolicy] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.topics = Topics("jobs.", PARTITIONS)
        self.number = number
        self.log = FakeLog()
        self.queues = Queues(queues, lanes)
        self.now_ms = START_MS
        self.configs = -1
        self.partition = Partition(number, self.topics, self.queues, observer)
        self.sources = (
            self.topics.requests,
            self.topics.receipts,
            self.topics.heartbeats,
            self.topics.timers,
            self.topics.schedules,
        )
        self.partition.begin(self.ends(), self.ends())

    def ends(self) -> dict[str, int]:
        """The end of each source."""
        return {topic: self.log.end(topic, self.number) for topic in self.sources}

    def confirm(self) -> None:
        """All that was applied is in the log, as far as the partition knows."""
        for topic, end in self.ends().items():
            self.partition.confirmed(topic, end)

    def write(
        self, topic: str, key: bytes | None, value: bytes | None, headers: tuple[Header, ...] = ()
    ) -> Record:
        """Appends a record to a source, and applies nothing."""
        self.now_ms += 1
        return self.log.append(Out(topic, self.number, key, value, headers), self.now_ms)

    def apply(self, record: Record) -> Written:
        """Applies a record, and writes what it asks for."""
        return self._keep(self.partition.apply(record))

    def _keep(self, writes: Writes) -> Written:
        self.log.append_all([*writes.early, *writes.first, *writes.then], self.now_ms)
        return Written(self.topics, *writes)

    def put(
        self, topic: str, key: bytes | None, value: bytes | None, headers: tuple[Header, ...] = ()
    ) -> Written:
        """Appends a record to a source and applies it."""
        return self.apply(self.write(topic, key, value, headers))

    def ask(self, key: bytes | None = None, /, **fields: Any) -> Written:
        """A request in JSON, as a person would write it."""
        return self.put(self.topics.requests, key, json.dumps(fields).encode())

    def request(self, **fields: Any) -> Written:
        """A request in Avro."""
        request = JobRequest(**{"function": "mail.send", "key": KEYS[0], **fields})
        return self.put(self.topics.requests, None, encode(request))

    def command(self, command: str, id: str, **fields: Any) -> Written:
        """A command in Avro."""
        return self.put(
            self.topics.requests, None, encode(Command(command=command, id=id, **{"key": KEYS[0], **fields}))
        )

    def receipt(self, job: str, epoch: int = 1, outcome: str = "success", **fields: Any) -> Written:
        """A receipt of the job's current attempt."""
        row = self.partition.jobs.get(job)
        given = {
            "key": KEYS[0],
            "partition": self.number,
            "attempt": row.attempt if row else 1,
            "at_ms": self.now_ms,
            "minion": "m1",
            "session": "s1",
            "relay": "r1",
            "assigned_at_ms": self.now_ms - 2,
            "started_at_ms": self.now_ms - 1,
            "run_ms": 1,
        }
        receipt = Receipt(job=job, epoch=epoch, outcome=outcome, **{**given, **fields})
        return self.put(self.topics.receipts, None, encode(receipt))

    def beat(self, *jobs: str, epoch: int = 1, kind: str = "started", **fields: Any) -> Written:
        """A heartbeat of one relay about these jobs."""
        beats = tuple(
            Beat(
                job=job,
                key=KEYS[0],
                epoch=epoch,
                attempt=1,
                kind=kind,
                minion="m1",
                session="s1",
                assigned_at_ms=self.now_ms,
                deadline_ms=self.now_ms + 60_000,
                **fields,
            )
            for job in jobs
        )
        heartbeat = Heartbeat(partition=self.number, relay="r1", at_ms=self.now_ms, beats=beats)
        return self.put(self.topics.heartbeats, None, encode(heartbeat))

    def announce(self, *functions: str, queue: str = "default", **fields: Any) -> Written:
        """A relay tells which functions it can run."""
        given = {"partition": self.number, "relay": "r1", "at_ms": self.now_ms, "queue": queue}
        announcement = Announcement(functions=functions, **{**given, **fields})
        return self.put(self.topics.heartbeats, None, encode(announcement))

    def schedule(self, id: str, value: Mapping[str, Any] | None) -> Written:
        """What a person writes to the topic of schedules."""
        body = None if value is None else json.dumps({"id": id, **value}).encode()
        return self.put(self.topics.schedules, id.encode(), body)

    def avro_schedule(self, **fields: Any) -> Written:
        """The same in Avro."""
        schedule = Schedule(**fields)
        return self.put(self.topics.schedules, schedule.id.encode(), encode(schedule))

    def config(self, entry: QueueConfig | FunctionConfig | str, offset: int | None = None) -> Written:
        """What a worker writes when an operator wrote this entry, or removed the one with this key."""
        self.configs = self.configs + 1 if offset is None else offset
        key, value = (entry, None) if isinstance(entry, str) else (key_of(entry), encode(entry))
        changed = ConfigChanged(entry=key, offset=self.configs, value=value)
        return self.put(self.topics.requests, None, encode(changed))

    def tick(self, at_ms: int | None = None, **fields: Any) -> Written:
        """The clock, at `at_ms` or now; by default everything written before it was applied."""
        self.now_ms = self.now_ms if at_ms is None else max(self.now_ms, at_ms - 1)
        ends = {
            "receipts_end": self.log.end(self.topics.receipts, self.number),
            "heartbeats_end": self.log.end(self.topics.heartbeats, self.number),
        }
        tick = Tick(**{"partition": self.number, "at_ms": self.now_ms, **ends, **fields})
        return self.put(self.topics.timers, None, encode(tick))

    def queue_made(self, queue: str) -> Written:
        """A queue comes into being, and the tick that this asks for comes."""
        self.queues.add(queue)
        return self.tick()

    def restored(self, *, compact: bool = False) -> Partition:
        """Another partition with the rows that are in the log, not begun yet."""
        other = Partition(self.number, self.topics, self.queues)
        read = self.log.compacted if compact else self.log.records
        for record in read(self.topics.state, self.number):
            assert record.key is not None
            other.restore(record.key, record.value)
        return other

    def crash(self, settled: Mapping[str, int] | None = None) -> Written:
        """Forgets the partition and restores it; what was applied from `settled` on (default: nothing) is in
        doubt.
        """
        self.partition = self.restored()
        ends = self.ends()
        return self._keep(self.partition.begin(ends, {**ends, **(settled or {})}))
