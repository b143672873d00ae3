"""A whole prefix in one thread, on a virtual clock, driven by one seed: log, worker, relay, minions, clients,
crashes.

Owns the order in which things happen, and every fault: the worker may crash between any two records it
writes, the relay forgets what it had, records come twice, minions fall silent, hang, or come back from the
dead. All decisions are made by the real `Partition`; the same seed gives the same history, byte for byte.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from schemas.codec import decode, encode
from schemas.events import (
    ArgsRow,
    Command,
    ConfigChanged,
    ConfigRow,
    JobRequest,
    JobRow,
    QueueConfig,
    Schedule,
    ScheduleRow,
    Tick,
)
from schemas.keys import home
from schemas.records import replace
from schemas.topics import Topics
from schemas.words import Overlap
from streams.partition import Partition
from streams.queues import Queues
from streams.record import Out, Record, Writes
from tests.fakes.log import FakeLog, Place
from tests.simulation.edge import Edge

PARTITIONS = 3
START_MS = 1_790_000_000_000
JOBS = 24
QUEUES = ("default", "mail")
STEPS_MAX = 60_000
LOOK_MS_MAX = 1_000
"""Longest time in which nothing is looked at."""
CALM_AFTER_MS = 40_000
"""From then on nothing fails any more, so that everything must come to an end."""
CRASHES_MAX = 12
CRASH, CRASH_AFTER_EARLY = 0.02, 0.1
"""How often a worker dies: between any two writes, and when something has left before its row."""
BATCH_MAX = 6
HANDED_MAX = 4
"""Batches that may be with the writer."""
LATE_RECORDS_MAX = 40
"""Records that a worker decided whose writes are late."""

SCHEDULE = "minutely"
FIRE_MS = 5_000
BAD = (b"\xff", b"{", b'{"function":"a b","id":"bad"}', b"", b"\x00\x00\x00\x00\x09")
BAD_MIN = 3


Event = TypeVar("Event")


class Crash(Exception):
    """The worker died."""


@dataclass
class Asked:
    """What a client asked for."""

    id: str
    key: str


@dataclass
class Handed:
    """What one batch led to, while it is with the writer."""

    before: Mapping[Place, int]
    """Where the batch began."""
    after: Mapping[Place, int]
    """Where it ended."""
    writes: list[Writes]

    def outs(self, stage: str) -> list[Out]:
        """All that belongs to a stage."""
        return [out for writes in self.writes for out in getattr(writes, stage)]


@dataclass
class Worker:
    """A streams worker as its host runs it: restore, begin, decide in batches, write what was decided
    meanwhile as one group in two stages, commit. What is early leaves when it is decided.
    """

    world: "World"
    partitions: dict[int, Partition] = field(default_factory=dict)
    positions: dict[Place, int] = field(default_factory=dict)
    ticking: set[int] = field(default_factory=set)
    leading: dict[Place, int] = field(default_factory=dict)
    """Requests that were there when it started: nothing else is read before them."""
    handed: list[Handed] = field(default_factory=list)

    def start(self) -> None:
        """Restores every partition, and sends what is in doubt."""
        world, rng = self.world, self.world.rng
        committed = world.committed
        for number in range(PARTITIONS):
            partition = Partition(number, world.topics, world.queues)
            read = rng.choice([world.log.records, world.log.compacted])
            for record in read(world.topics.state, number):
                partition.restore(record.key or b"", record.value)
            offsets = {topic: committed.get((topic, number), 0) for topic in world.sources}
            self.positions |= {(topic, number): offset for topic, offset in offsets.items()}
            settled = {topic: world.settled.get((topic, number), at) for topic, at in offsets.items()}
            again = partition.begin(offsets, settled)
            self.send(again.first)
            self.send(again.then)
            self.partitions[number] = partition
            self.leading[world.topics.requests, number] = world.log.end(world.topics.requests, number)

    def send(self, outs: Iterable[Out]) -> None:
        """Writes records that are not one; may die in between."""
        outs = list(outs)
        if self.world.may_crash():
            self.world.append(self.world.torn(outs))
            raise Crash
        self.world.append(outs)

    def decide(self) -> None:
        """Takes some records from any sources, decides them, and hands over what they lead to."""
        if len(self.handed) < HANDED_MAX:
            handed = self.decided(self.world.rng.randint(1, BATCH_MAX))
            early = handed.outs("early")
            self.send(early)
            if early and self.world.may_crash(CRASH_AFTER_EARLY):
                raise Crash
            self.handed.append(handed)

    def decided(self, most: int) -> Handed:
        """What so many records lead to, or fewer if there are no more."""
        world = self.world
        before, writes = dict(self.positions), list[Writes]()
        while len(writes) < most and (record := self.next_record()) is not None:
            self.positions[record.topic, record.partition] += 1
            world.decided.append(record)
            writes.append(self.partitions[record.partition].apply(record))
            if record.topic == world.topics.timers:
                self.ticking.discard(record.partition)
        return Handed(before, dict(self.positions), writes)

    def write(self) -> None:
        """Writes all that was handed over as one group, and commits: with what it writes, or some time after
        it.
        """
        if not self.handed:
            return
        world, group, self.handed = self.world, self.handed, []
        first, then = ([out for handed in group for out in handed.outs(stage)] for stage in ("first", "then"))
        if not world.is_transactional:
            self.send(first)
        elif world.may_crash():
            raise Crash
        else:
            world.append(first)
            world.committed.update(group[-1].after)
            world.settled.update(group[0].before)
        self.send(then)
        if not world.is_transactional and world.rng.random() < 0.5:
            world.committed.update(group[-1].after)
        for (topic, number), offset in group[-1].after.items():
            self.partitions[number].confirmed(topic, offset)

    def next_record(self) -> Record | None:
        """The next record of some source that has one."""
        behind = [place for place, end in self.leading.items() if self.positions[place] < end]
        some = [
            record
            for place in behind or self.positions
            if (record := self.world.log.read(*place, self.positions[place])) is not None
        ]
        return self.world.rng.choice(some) if some else None

    def tick(self) -> None:
        """What the Ticker does."""
        world = self.world
        for number, partition in self.partitions.items():
            due_ms = partition.next_due_ms()
            if number in self.ticking or due_ms is None or due_ms > world.now_ms:
                continue
            tick = Tick(
                partition=number,
                at_ms=world.now_ms,
                receipts_end=world.log.end(world.topics.receipts, number),
                heartbeats_end=world.log.end(world.topics.heartbeats, number),
            )
            self.ticking.add(number)
            world.append([Out(world.topics.timers, number, None, encode(tick))])

    def make_queues(self) -> None:
        """What is wanted comes into being, some time."""
        for queue in list(self.world.queues._wanted):
            self.world.queues.add(queue)


class World:
    """Everything there is. `run` plays one history to its end."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.topics = Topics("jobs.", PARTITIONS)
        self.log = FakeLog()
        self.now_ms = START_MS
        self.is_transactional = seed % 4 in {1, 2}
        self.committed: dict[Place, int] = {}
        self.settled: dict[Place, int] = {}
        """Before this everything has left, in the transactional mode."""
        self.queues = Queues(("default",))
        self.sources = (
            self.topics.requests,
            self.topics.receipts,
            self.topics.heartbeats,
            self.topics.timers,
            self.topics.schedules,
        )
        self.used = QUEUES
        self.asked: dict[str, Asked] = {}
        self.decided: list[Record] = []
        """Every record that was decided, in that order; again after a crash."""
        self.bad = 0
        self.crashes = 0
        self.configs = 0
        self.paused: list[str] = []
        self.edge = Edge(self)
        self.worker = Worker(self)
        self.late: list[Out] = []
        """What a worker was about to send when it fell asleep."""

    # Faults.

    @property
    def calm(self) -> bool:
        """True when nothing fails any more."""
        return self.now_ms - START_MS > CALM_AFTER_MS

    def may_crash(self, chance: float = CRASH) -> bool:
        """True if the worker dies here."""
        if self.calm or self.crashes >= CRASHES_MAX or self.rng.random() > chance:
            return False
        self.crashes += 1
        return True

    def torn(self, outs: list[Out]) -> Iterator[Out]:
        """What of a batch reached the broker: of each partition the first few, for these keep an order."""
        reached: dict[Place, int] = {}
        sizes: dict[Place, int] = {}
        for out in outs:
            place = (out.topic, out.partition)
            sizes[place] = sizes.get(place, 0) + 1
        for place, size in sizes.items():
            reached[place] = self.rng.randint(0, size)
        for out in outs:
            place = (out.topic, out.partition)
            if reached[place] > 0:
                reached[place] -= 1
                yield out

    # What happens.

    def append(self, outs: Iterable[Out]) -> None:
        """Writes to the log, at this moment."""
        for out in outs:
            self.log.append(out, self.now_ms)

    def run(self) -> None:
        """Plays until every job has ended, or too long."""
        self.restart()
        overlap = [*Overlap][self.seed % len(Overlap)]
        key = None if self.seed % 2 else "fires"  # its jobs live elsewhere than it, perhaps
        plan = Schedule(id=SCHEDULE, cron="*/5 * * * * *", function="work", overlap=overlap, key=key)
        place = self.rng.randrange(PARTITIONS)
        self.append([Out(self.topics.schedules, place, SCHEDULE.encode(), encode(plan))])
        for _ in range(STEPS_MAX):
            try:
                if not self.step():
                    return
            except Crash:
                self.restart()
        raise AssertionError(f"no end after {STEPS_MAX} steps: {self.unfinished()}")

    def restart(self) -> None:
        """A worker starts, as often as it takes. The one before died; or it slept, and what it was about to
        send early comes when it wakes up.
        """
        if self.worker.partitions and self.rng.random() < 0.5:
            self.late += self.worker.decided(LATE_RECORDS_MAX).outs("early")
        while True:
            self.worker = Worker(self)
            try:
                self.worker.start()
            except Crash:
                continue
            return

    def wake(self) -> None:
        """What a worker sent that has lost its partitions arrives: the broker refuses none of it."""
        self.append(self.late)
        self.late = []

    def step(self) -> bool:
        """One thing happens; False when nothing is left to happen."""
        actions = [
            self.edge.step,
            self.worker.decide,
            self.worker.decide,
            self.worker.tick,
            self.worker.write,
        ]
        if self.late:
            actions.append(self.wake)
        if not self.asking_done:
            actions.append(self.ask)
        if self.queues._wanted:
            actions.append(self.worker.make_queues)
        if self.paused and self.calm:
            self.operate(self.paused.pop(), paused=False)
        before = self.log.written
        pending = self.worker.next_record() is not None or bool(self.worker.handed) or self.edge.busy
        self.rng.choice(actions)()
        if self.log.written == before and not pending:
            return self.wait()
        self.now_ms += self.rng.randint(0, 20)
        return True

    def wait(self) -> bool:
        """Nothing can happen now: the time goes on to when something can; False when that is never."""
        if self.calm and self.asking_done and not self.worker.handed and not self.unfinished():
            return False
        dues = [partition.next_due_ms() for partition in self.worker.partitions.values()]
        times = [time_ms for time_ms in (*dues, self.edge.next_ms()) if time_ms is not None]
        self.now_ms = min([self.now_ms + LOOK_MS_MAX, *(max(time_ms, self.now_ms + 1) for time_ms in times)])
        return True

    @property
    def asking_done(self) -> bool:
        """True when the clients have asked for all they want."""
        return len(self.asked) >= JOBS and self.bad >= BAD_MIN

    def unfinished(self) -> list[str]:
        """Jobs that were asked for and have not ended."""
        found = []
        for asked in self.asked.values():
            row = self.worker.partitions[home(asked.key, PARTITIONS)].jobs.get(asked.id)
            if row is None or row.ended_at_ms is None:
                found.append(f"{asked.id} {row.phase if row else 'not there'}")
        return found + [id for id, row in self.rows.items() if row.ended_at_ms is None]

    # Clients.

    def ask(self) -> None:
        """A client writes something to the topic of requests, to whatever partition its library chooses."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.05:
            queue = rng.choice(QUEUES)
            self.operate(queue, paused=queue not in self.paused)
        elif kind < 0.1 or len(self.asked) >= JOBS:
            self.bad += 1
            self.put_request(None, rng.choice(BAD))
        elif kind < 0.25 and self.asked:
            self.command()
        elif kind < 0.3 and self.asked:
            self.duplicate()
        else:
            self.job()

    def operate(self, queue: str, *, paused: bool) -> None:
        """An operator pauses a queue or ends that, and a worker tells every partition; sometimes twice."""
        self.paused = [other for other in self.paused if other != queue] + [queue] * paused
        self.configs += 1
        entry = QueueConfig(queue=queue, paused=paused, timeout_ms=self.rng.choice([None, 3_000]))
        changed = ConfigChanged(entry=f"queue/{queue}", offset=self.configs, value=encode(entry))
        for number in range(PARTITIONS):
            for _ in range(self.rng.choice([1, 1, 2])):
                self.append([Out(self.topics.requests, number, None, encode(changed))])

    def job(self) -> None:
        """Asks for a job."""
        rng = self.rng
        number = len(self.asked)
        key = rng.choice([f"key{rng.randint(0, 5)}", None])
        id = f"job{number}"
        self.asked[id] = Asked(id, key or id)
        request = JobRequest(
            id=id,
            key=key,
            function="work",
            queue=rng.choice(QUEUES),
            args=b"x" * rng.choice([0, 10, 2_000]),
            run_at_ms=rng.choice([None, None, self.now_ms + rng.randint(0, 30_000)]),
            deadline_ms=rng.choice([None, None, None, 40_000]),
            timeout_ms=rng.choice([2_000, 10_000]),
            attempts_max=rng.randint(1, 4),
            lost_max=rng.randint(1, 4),
            retry_initial_ms=rng.choice([1, 500, 3_000]),
        )
        if rng.random() < 0.2:
            starts_ms = self.now_ms if request.run_at_ms is None else request.run_at_ms
            request = replace(request, expires_at_ms=starts_ms + rng.choice([300, 30_000]))
        record_key = rng.choice([None, None if key is None else key.encode()])
        self.put_request(record_key, encode(request))
        if rng.random() < 0.1:  # a produce that timed out is tried again
            self.put_request(record_key, encode(request))

    def command(self) -> None:
        """Asks to cancel or retry a job, with its key or by its id alone."""
        asked = self.rng.choice(list(self.asked.values()))
        command = self.rng.choice(["cancel", "retry", "reschedule"])
        at_ms = self.now_ms + self.rng.randint(0, 10_000) if command == "reschedule" else None
        self.put_request(None, encode(Command(command=command, id=asked.id, key=asked.key, run_at_ms=at_ms)))

    def duplicate(self) -> None:
        """Asks for another job with an id that is taken."""
        asked = self.rng.choice(list(self.asked.values()))
        value = json.dumps({"id": asked.id, "key": asked.key, "function": "other"}).encode()
        self.put_request(None, value)

    def put_request(self, key: bytes | None, value: bytes) -> None:
        """To any partition: nothing relies on a partitioner."""
        self.append([Out(self.topics.requests, self.rng.randrange(PARTITIONS), key, value)])

    # What can be read from the log.

    def decoded(self, topic: str, kind: type[Event]) -> list[Event]:
        """The records of one type in a topic."""
        found = [
            decode(record.value, (kind, JobRow, ArgsRow, ScheduleRow, ConfigRow))
            for record in self.log.records(topic)
            if record.value is not None
        ]
        return [event for event in found if isinstance(event, kind)]

    @property
    def rows(self) -> dict[str, JobRow]:
        """The rows of all jobs."""
        return {
            id: row for partition in self.worker.partitions.values() for id, row in partition.jobs.items()
        }
