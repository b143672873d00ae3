"""From what was seen of a cluster to sentences: what is well, what could be better, what is wrong and what to
do about it.

Pure: what was seen is given, nothing is asked. Each finding says what was found and the one thing to do.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from schemas.words import Phase

CLOCK_MS_MAX: Final = 1_000
"""How far clocks may be apart before it is told."""

LAG_RECORDS_MAX: Final = 10_000
"""How far a streams worker may be behind before it is told."""

JOBS_MIN: Final = 100
"""With fewer jobs of a queue nothing is said about how they are spread."""

HOT_SHARE: Final = 0.3
"""A key with so many of a queue's jobs is told of."""

SKEW: Final = 3.0
"""A partition with so many times the mean of its jobs is told of."""

PARTITIONS_MIN: Final = 4
"""With fewer partitions skew says nothing."""

BUSY_SHARE: Final = 0.9
"""Minions that are busier than this, while jobs wait, are too few."""

SPILL_SHARE: Final = 0.5
"""More spill-over than this means that keys do not stay with their minions."""

IDLE_SHARE: Final = 0.5
"""A full minion is told of while the others of its queue have no more than this of their places taken."""

RUN_SHARE: Final = 0.5
"""A function with so much of all run time is told of, where minions are full."""

OLD_S: Final = 60.0
"""A ready job that has waited for so long is told of, even if something serves its queue."""


class Grade(StrEnum):
    """How bad it is."""

    OK = "ok"
    ADVICE = "advice"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    grade: Grade
    about: str
    sentence: str


@dataclass(frozen=True)
class Minion:
    """A minion as its relay sees it."""

    name: str
    queues: tuple[str, ...]
    leases: int
    capacity: int


@dataclass(frozen=True)
class RelaySeen:
    """A relay that answered."""

    address: str
    minions: tuple[Minion, ...] = ()
    assigned: int = 0
    spilled: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class WorkerSeen:
    """A streams worker that answered."""

    address: str
    ready: bool
    partitions: tuple[int, ...]
    now_ms: int
    """Broker's time as it knows it, epoch ms."""
    version: str = ""


@dataclass(frozen=True)
class Asked:
    """A job that was asked for lately."""

    queue: str
    key: str | None
    """None: it has none but its id."""
    partition: int


@dataclass(frozen=True)
class ConnectorSeen:
    """A connector of Kafka Connect's."""

    name: str
    runs: bool
    state: str
    why: str = ""
    """Why it does not, if it has failed."""
    behind: int = 0
    refused: int = 0


@dataclass(frozen=True)
class SlotSeen:
    """What a database keeps of its log for an outbox."""

    name: str
    read: bool
    """Whether somebody reads it now."""
    bytes: int


@dataclass
class Seen:
    """All that was seen; what could not be asked is in `silent`, with the reason."""

    partitions: int
    now_ms: int
    version: str
    brokers: int = 0
    topic_faults: Sequence[str] = ()
    schema_fault: str | None = None
    workers: list[WorkerSeen] = field(default_factory=list)
    relays: list[RelaySeen] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    """What did not answer, and why: `relay 127.0.0.1:7071`."""
    http: bool = False
    gearman: bool = False
    jobs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By queue and phase."""
    oldest_ready_s: Mapping[str, float] = field(default_factory=dict)
    unserved: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Jobs that wait since no minion has their function, by queue and function."""
    runs: Mapping[tuple[str, str], tuple[int, float]] = field(default_factory=dict)
    """How many attempts ran, and for how many seconds together, by queue and function."""
    source_lags: Mapping[str, int] = field(default_factory=dict)
    """Records that streams workers have before them, by topic."""
    asked: Sequence[Asked] = ()
    connectors: Sequence[ConnectorSeen] = ()
    slots: Sequence[SlotSeen] = ()


def findings(seen: Seen) -> list[Finding]:
    """What there is to say, in the order in which one would look."""
    return [
        *_broker(seen),
        *_schemas(seen),
        *_workers(seen),
        *_clocks(seen),
        *_versions(seen),
        *_relays(seen),
        *_doors(seen),
        *_gearman(seen),
        *_lags(seen),
        *_queues(seen),
        *_spread(seen),
        *_load(seen),
        *_minions(seen),
        *_runs(seen),
        *_tables(seen),
    ]


def _ok(about: str, sentence: str) -> Finding:
    return Finding(Grade.OK, about, sentence)


def _advice(about: str, sentence: str) -> Finding:
    return Finding(Grade.ADVICE, about, sentence)


def _fault(about: str, sentence: str) -> Finding:
    return Finding(Grade.FAULT, about, sentence)


def _broker(seen: Seen) -> Iterator[Finding]:
    yield _ok("broker", f"Kafka answers, with {_many(seen.brokers, 'broker')}")
    for sentence in seen.topic_faults:
        yield _fault("topics", sentence)
    if not seen.topic_faults:
        yield _ok("topics", f"topics are as they shall be, with {seen.partitions} partitions")


def _schemas(seen: Seen) -> Iterator[Finding]:
    if seen.schema_fault is not None:
        yield _fault("schemas", seen.schema_fault)
    else:
        yield _ok("schemas", "the schemas of this version can be written and read")


def _workers(seen: Seen) -> Iterator[Finding]:
    yield from _silence(seen, "streams worker", "`jobstream streams` starts one")
    if not seen.workers:
        if not any(name.startswith("streams worker") for name in seen.silent):
            yield _fault(
                "streams", "no streams worker is known: nothing decides; `jobstream streams` starts one"
            )
        return
    for worker in seen.workers:
        if not worker.ready:
            yield _advice("streams", f"the worker at {worker.address} is recovering; ask again in a moment")
    owned = Counter(number for worker in seen.workers for number in worker.partitions)
    missing = sorted(set(range(seen.partitions)) - owned.keys())
    if missing and all(worker.ready for worker in seen.workers):
        yield _fault(
            "streams",
            f"nobody has the partitions {_some(missing)}: start the streams workers that are missing, or see"
            " whether one of them cannot be reached",
        )
    elif not missing:
        yield _ok("streams", f"{_many(len(seen.workers), 'worker')} decide, all partitions have an owner")


def _clocks(seen: Seen) -> Iterator[Finding]:
    apart_ms = {worker.address: worker.now_ms - seen.now_ms for worker in seen.workers}
    for address, ms in apart_ms.items():
        if abs(ms) > CLOCK_MS_MAX:
            ahead = "ahead of" if ms < 0 else "behind"
            yield _advice(
                "clocks",
                f"this machine's clock is {abs(ms) / 1000:.1f} s {ahead} the broker's, as the worker"
                f" at {address}"
                " knows it: let NTP set both, since times that clients give are theirs",
            )
    if apart_ms and all(abs(ms) <= CLOCK_MS_MAX for ms in apart_ms.values()):
        yield _ok("clocks", f"clocks are within {CLOCK_MS_MAX / 1000:g} s")


def _versions(seen: Seen) -> Iterator[Finding]:
    others = sorted({worker.version for worker in seen.workers if worker.version} - {seen.version})
    if others:
        yield _advice(
            "versions",
            f"workers run version {', '.join(others)}, this command is {seen.version}: finish the"
            " upgrade, workers"
            " before clients",
        )
    elif seen.workers:
        yield _ok("versions", f"workers and this command are version {seen.version}")


def _relays(seen: Seen) -> Iterator[Finding]:
    yield from _silence(seen, "relay", "`jobstream relay` starts one")
    minions = [minion for relay in seen.relays for minion in relay.minions]
    if not seen.relays:
        return
    if minions:
        yield _ok("relay", f"{_many(len(seen.relays), 'relay')} with {_many(len(minions), 'minion session')}")
    else:
        yield _advice("relay", "no minion is connected: `jobstream minion <module>` starts one")


def _doors(seen: Seen) -> Iterator[Finding]:
    if seen.http:
        yield _ok("http", "the HTTP service is ready")
    for name, why in seen.silent.items():
        if name.startswith("http"):
            yield _advice(
                "http", f"the {name} does not answer ({why}): `jobstream gateway` starts one, if wanted"
            )


def _gearman(seen: Seen) -> Iterator[Finding]:
    """The door for Gearman's clients and workers, where the settings name one."""
    if seen.gearman:
        yield _ok("gearman", "the Gearman door takes connections")
    for name, why in seen.silent.items():
        if name.startswith("Gearman"):
            yield _advice(
                "gearman",
                f"the {name} does not answer ({why}): a relay with the setting gearman has it, or"
                " `jobstream gearman` starts one",
            )


def _silence(seen: Seen, what: str, remedy: str) -> Iterator[Finding]:
    for name, why in seen.silent.items():
        if name.startswith(what):
            yield _fault(what.partition(" ")[0], f"the {name} does not answer ({why}): {remedy}")


def _lags(seen: Seen) -> Iterator[Finding]:
    behind = {topic: lag for topic, lag in seen.source_lags.items() if lag > LAG_RECORDS_MAX}
    for topic, lag in behind.items():
        yield _advice(
            "lag",
            f"streams workers have {lag} records of {topic} before them: add workers, up to one for each"
            f" partition ({seen.partitions}), or wait if they have just started",
        )
    if seen.source_lags and not behind:
        yield _ok(
            "lag", f"streams workers keep up, with {sum(seen.source_lags.values())} records before them"
        )


def _queues(seen: Seen) -> Iterator[Finding]:
    served = {queue for relay in seen.relays for minion in relay.minions for queue in minion.queues}
    for queue, phases in sorted(seen.jobs.items()):
        ready, dead = phases.get(Phase.READY, 0), phases.get(Phase.DEAD, 0)
        oldest_s = seen.oldest_ready_s.get(queue, 0)
        if ready and queue not in served and not seen.silent.keys() & _relay_names(seen):
            yield _fault(
                "queues",
                f"queue {queue} starves: {_many(ready, 'job')} wait for {oldest_s:.0f} s or less, and"
                " no minion"
                f" serves it; start one with `--queue {queue}`",
            )
        elif ready and oldest_s > OLD_S:
            yield _advice(
                "queues",
                f"queue {queue} is slow: {_many(ready, 'job')} wait, the oldest for {oldest_s:.0f} s;"
                " add minions,"
                " or look for a pause or a limit with `jobstream relay status`",
            )
        if dead:
            yield _advice(
                "queues",
                f"queue {queue} has {_many(dead, 'dead job')}: `jobstream list {queue} --phase dead`"
                " shows them,"
                " `jobstream redrive` runs them again",
            )
    for (queue, function), many in sorted(seen.unserved.items()):
        yield _fault(
            "queues",
            f"{_many(many, 'job')} of {function} in queue {queue} wait, and no connected minion has"
            " that function:"
            " deploy a minion with it",
        )


def _tables(seen: Seen) -> Iterator[Finding]:
    for name, why in seen.silent.items():
        if name.startswith("Connect"):
            yield _advice(
                "tables",
                f"{why}; no job waits for it, but tables get older: `jobstream connect up` starts it",
            )
    for each in seen.connectors:
        if not each.runs:
            why = each.why or f"it is {each.state}"
            yield _fault(
                "tables",
                f"the connector {each.name} does not run ({why}): `jobstream connect apply --keep` starts"
                " tasks again that fail, and helps the sink over records that the database refuses",
            )
        if each.behind > LAG_RECORDS_MAX:
            yield _advice(
                "tables", f"the tables are {each.behind} records behind: see how the database does, or wait"
            )
        if each.refused:
            yield _advice(
                "tables",
                f"{_many(each.refused, 'record')} of the log could not become rows: they are in the topic"
                " connect.refused of the prefix, with the reason in their headers",
            )
    for slot in seen.slots:
        if not slot.read:
            yield _advice(
                "tables",
                f"nobody reads the slot {slot.name}, for which the database keeps {slot.bytes >> 20} MiB of"
                " its log, and will keep all that comes: start Connect again, or drop the slot (docs/sql.md)",
            )
    if seen.connectors and all(each.runs for each in seen.connectors):
        behind = sum(each.behind for each in seen.connectors)
        yield _ok("tables", f"the log becomes tables, with {_many(behind, 'record')} to go")


def _relay_names(seen: Seen) -> set[str]:
    """Relays that did not answer: what their minions serve is not known."""
    return {name for name in seen.silent if name.startswith("relay")}


def _spread(seen: Seen) -> Iterator[Finding]:
    by_queue: dict[str, list[Asked]] = {}
    for asked in seen.asked:
        by_queue.setdefault(asked.queue, []).append(asked)
    hot = False
    for queue, jobs in sorted(by_queue.items()):
        keys = Counter(job.key for job in jobs if job.key is not None)
        if len(jobs) < JOBS_MIN or not keys:
            continue
        key, many = keys.most_common(1)[0]
        if many >= HOT_SHARE * len(jobs):
            hot = True
            yield _advice(
                "keys",
                f"key {key} has {many / len(jobs):.0%} of the last {len(jobs)} jobs of queue {queue}:"
                " they are the"
                " work of one partition and, first of all, one minion; give jobs that need not be"
                " together keys of"
                " their own, or none",
            )
    partitions = Counter(job.partition for job in seen.asked)
    if hot or len(seen.asked) < JOBS_MIN or seen.partitions < PARTITIONS_MIN:
        return
    number, many = partitions.most_common(1)[0]
    mean = len(seen.asked) / seen.partitions
    if many > SKEW * mean:
        yield _advice(
            "keys",
            f"partition {number} has {many} of the last {len(seen.asked)} jobs, {many / mean:.1f}"
            " times the mean:"
            " there are too few keys; add something to them that differs",
        )
    else:
        yield _ok("keys", f"the last {len(seen.asked)} jobs are spread over {len(partitions)} partitions")


def _places(seen: Seen) -> tuple[int, int]:
    """How many places of minions are taken, and how many there are."""
    minions = [minion for relay in seen.relays for minion in relay.minions]
    return sum(minion.leases for minion in minions), sum(minion.capacity for minion in minions)


def _are_full(seen: Seen) -> bool:
    """Whether jobs wait since hardly any place is free."""
    leases, capacity = _places(seen)
    return bool(capacity and leases >= BUSY_SHARE * capacity and any(relay.waiting for relay in seen.relays))


def _load(seen: Seen) -> Iterator[Finding]:
    leases, capacity = _places(seen)
    waiting = sum(relay.waiting for relay in seen.relays)
    if _are_full(seen):
        yield _advice(
            "minions",
            f"minions are full ({leases} of {capacity} places taken) and {_many(waiting, 'job')} wait"
            " at relays:"
            " add minions, or raise their concurrency if they are idle while they wait",
        )
    elif capacity:
        yield _ok(
            "minions", f"{leases} of {capacity} places are taken, {_many(waiting, 'job')} wait at relays"
        )
    assigned, spilled = (
        sum(relay.assigned for relay in seen.relays),
        sum(relay.spilled for relay in seen.relays),
    )
    if assigned >= JOBS_MIN and spilled > SPILL_SHARE * assigned:
        yield _advice(
            "minions",
            f"{spilled / assigned:.0%} of jobs went to another minion than their key's, since that"
            " had no room:"
            " if functions keep things by key, give each minion more concurrency",
        )


def _minions(seen: Seen) -> Iterator[Finding]:
    """Skew over the minions of a queue."""
    by_queue: dict[str, list[Minion]] = {}
    for minion in (minion for relay in seen.relays for minion in relay.minions):
        for queue in minion.queues:
            by_queue.setdefault(queue, []).append(minion)
    told: set[str] = set()
    for queue, minions in sorted(by_queue.items()):
        fullest = max(minions, key=lambda minion: minion.leases / max(minion.capacity, 1))
        others = [minion for minion in minions if minion.name != fullest.name]
        places = sum(minion.capacity for minion in others)
        taken = sum(minion.leases for minion in others)
        full = fullest.leases >= BUSY_SHARE * fullest.capacity
        if places and full and taken <= IDLE_SHARE * places and fullest.name not in told:
            told.add(fullest.name)
            yield _advice(
                "minions",
                f"minion {fullest.name} is full ({fullest.leases} of {fullest.capacity} places taken) while"
                f" the others of queue {queue} have {taken} of {places} taken: its keys have more of the jobs"
                " than others; more keys spread them, and more concurrency makes it room",
            )


def _runs(seen: Seen) -> Iterator[Finding]:
    """How run time divides over queues and functions."""
    total_s = sum(ran_s for _, ran_s in seen.runs.values())
    if not total_s:
        return
    (queue, function), (count, ran_s) = max(seen.runs.items(), key=lambda each: each[1][1])
    most = (
        f"{function} of queue {queue} has {ran_s / total_s:.0%} of the time that functions ran,"
        f" {ran_s / max(count, 1):.3g} s each"
    )
    if _are_full(seen) and len(seen.runs) > 1 and ran_s >= RUN_SHARE * total_s:
        yield _advice(
            "minions", f"{most}, and minions are full: a queue and minions of its own let the others run"
        )
    else:
        yield _ok("minions", most)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _some(numbers: Iterable[int]) -> str:
    found = list(numbers)
    return ", ".join(map(str, found[:10])) + (f" and {len(found) - 10} more" if len(found) > 10 else "")  # noqa: PLR2004  # as many as are read
