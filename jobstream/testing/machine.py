"""Every decision about jobs, in this process: the real state machine on one partition, a log that is a list,
and a clock that moves by hand.

Owns the log and the clock. It decides nothing: `streams.partition` does, as in production, so retries,
delays, schedules and rejections are the real ones. It must never run a function, nor read a clock.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from schemas.codec import decode, encode
from schemas.defaults import QUEUES_MAX
from schemas.events import (
    ConfigChanged,
    Control,
    DeadLetter,
    Dispatch,
    Fact,
    JobRow,
    Reject,
    ScheduleRow,
    Tick,
)
from schemas.topics import Topics
from schemas.words import FactKind

if TYPE_CHECKING:
    from streams.core.config import Config
    from streams.queues import Queues
    from streams.record import Out

HOME = 0
"""The one partition there is."""


class EveryQueue:
    """Queues that exist as soon as they are named, as many as a service would make."""

    def __init__(self) -> None:
        self._named: set[str] = set()

    def exists(self, queue: str) -> bool:
        """True: its topic was made at once."""
        self._named.add(queue)
        return True

    def has_room(self, queue: str) -> bool:
        """True while no more queues are named than may come into being."""
        return queue in self._named or len(self._named) < QUEUES_MAX

    def lane_policy(self, _: str) -> None:
        """None: no queue has key order here."""


class Machine:
    """One partition, its log, its clock. Every method may be called from any thread.

    Attributes:
        now_ms: The time, epoch ms.
        ready: Dispatches that no one has begun, by (job, epoch), in the order in which they came.
        dead: Dead letters.
        rejects: What was refused.
        entries: Keys and values of the config topic.
        on_fact: Told of each fact with its offset.
        on_call_off: Told of each epoch that must not run (any more).
    """

    def __init__(self, topics: Topics, now_ms: int) -> None:
        from streams.partition import Partition

        self.topics = topics
        self.now_ms = now_ms
        self.ready: dict[tuple[str, int], Dispatch] = {}
        self.dead: list[DeadLetter] = []
        self.rejects: list[Reject] = []
        self.entries: list[tuple[bytes, bytes | None]] = []
        self.on_fact: Callable[[int, Fact], None] = _nobody
        self.on_call_off: Callable[[Control], None] = _nobody
        self._lock = threading.RLock()
        self._order: dict[str, None] = {}
        self._partition: Partition = Partition(HOME, topics, cast("Queues", EveryQueue()))
        self._sources = (
            topics.requests,
            topics.receipts,
            topics.heartbeats,
            topics.timers,
            topics.schedules,
        )
        self._ends = dict.fromkeys((*self._sources, topics.facts), 0)
        begins = dict.fromkeys(self._sources, 0)
        self._partition.begin(begins, begins)
        self.tick()

    def write(self, topic: str, value: bytes | None, key: bytes | None = None) -> None:
        """Appends a record, and does all that it leads to."""
        from streams.record import Out, Record

        with self._lock:
            if topic == self.topics.config:
                self._config_changed(key or b"", value)
                return
            outs = deque([Out(topic, HOME, key, value)])
            while outs:
                out = outs.popleft()
                if out.topic not in self._sources:
                    self._take(out)
                    continue
                offset = self._append(out.topic)
                record = Record(out.topic, HOME, offset, self.now_ms, out.key, out.value, out.headers)
                writes = self._partition.apply(record)
                outs.extend((*writes.early, *writes.first, *writes.then))

    def _config_changed(self, key: bytes, value: bytes | None) -> None:
        """What a worker does about a record of the config topic."""
        self.entries.append((key, value))
        event = ConfigChanged(entry=key.decode(), offset=len(self.entries), value=value)
        self.write(self.topics.requests, encode(event))
        self.tick()  # which dispatches what was held and may go now

    @property
    def config(self) -> "Config":
        """What operators say."""
        return self._partition.rows.config

    def _append(self, topic: str) -> int:
        offset = self._ends[topic]
        self._ends[topic] = offset + 1
        return offset

    def _take(self, out: "Out") -> None:
        """What leaves the machine: to minions, relays and clients. Rows stay where they are."""
        topics = self.topics
        if out.value is None or out.topic == topics.state:
            return
        if out.topic == topics.facts:
            fact = decode(out.value, (Fact,))
            if fact.fact == FactKind.ADMITTED:
                self._order[fact.job] = None
            self.on_fact(self._append(topics.facts), fact)
        elif out.topic == topics.control:
            self.on_call_off(decode(out.value, (Control,)))
        elif out.topic == topics.rejects:
            self.rejects.append(decode(out.value, (Reject,)))
        elif out.topic == topics.dead:
            self.dead.append(decode(out.value, (DeadLetter,)))
        else:
            dispatch = decode(out.value, (Dispatch,))
            self.ready[dispatch.job, dispatch.epoch] = dispatch

    def facts_end(self) -> int:
        """Offset of the next fact."""
        return self._ends[self.topics.facts]

    # Time.

    def next_due_ms(self) -> int | None:
        """When time brings something next, epoch ms; None: never."""
        with self._lock:
            return self._partition.next_due_ms()

    def tick(self) -> None:
        """Writes the clock into the log: what is due is decided."""
        with self._lock:
            tick = Tick(
                partition=HOME,
                at_ms=self.now_ms,
                receipts_end=self._ends[self.topics.receipts],
                heartbeats_end=self._ends[self.topics.heartbeats],
            )
            self.write(self.topics.timers, encode(tick))

    # Rows.

    def job(self, id: str) -> JobRow | None:
        """The row of a job; None if none is kept."""
        return self._partition.jobs.get(id)

    def args(self, row: JobRow) -> bytes | None:
        """A job's arguments, wherever they are kept."""
        return self._partition.rows.args(row)

    def jobs(self) -> list[JobRow]:
        """Every job that is kept, in the order in which they came."""
        with self._lock:
            return [self._partition.jobs[id] for id in self._order if id in self._partition.jobs]

    def schedules(self) -> list[ScheduleRow]:
        """Every schedule."""
        with self._lock:
            return list(self._partition.schedules.values())


def _nobody(*_: object) -> None:
    """Nobody listens yet."""
