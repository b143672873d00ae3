"""What this client knows about the ends of the jobs it was asked about. Pure bookkeeping: no Kafka, no
thread, no loop but the futures it is given.

A Watch lives as long as somebody holds the job's handle or waits for it. Facts that matter to no watch are
dropped.
"""

import asyncio
import json
import weakref
from collections.abc import Iterator
from typing import Any

from jobstream.errors import JobCancelled, JobDead, JobExpired, JobRejected
from schemas.events import Fact
from schemas.words import ENDS, PHASES_TERMINAL, FactKind, Phase, RejectCode

SCHEDULE_FACTS = frozenset(kind for kind in FactKind if kind.startswith("schedule_"))
"""Facts about schedules; their key is that of the jobs that the schedule fires."""
NEWS = ENDS | {FactKind.REJECTED, FactKind.DEDUPLICATED, FactKind.RETRIED}
"""Facts that a waiter needs; all others matter only to followers."""


class Watch:
    """One job, or schedule, as seen from here."""

    __slots__ = (
        *("__weakref__", "end", "followers", "foreign", "id", "key", "partition", "since", "twin"),
        "waiters",
    )

    def __init__(self, id: str, key: str | None, partition: int, since: int, *, foreign: bool) -> None:
        self.id = id
        self.key = key
        """The job's; None for a schedule, whose facts have the key of its jobs."""
        self.partition = partition
        self.since = since
        """Offset in the partition's facts from which its facts may come."""
        self.foreign = foreign
        """True if this client did not submit it, so that its end may lie before `since`."""
        self.end: Fact | None = None
        self.twin: str | None = None
        """Another job with its unique key, which is the answer instead."""
        self.waiters: list[asyncio.Future[None]] = []
        self.followers: list[asyncio.Queue[tuple[int, Fact]]] = []

    def take(self, offset: int, fact: Fact) -> None:
        """Notes a fact of this job, and wakes who waits for it."""
        if offset < self.since:
            return
        for follower in self.followers:
            follower.put_nowait((offset, fact))
        if fact.fact == FactKind.RETRIED:
            self.end = None
        if fact.duplicate_of is not None:
            self.twin = fact.duplicate_of
        if ends(fact):
            self.end = fact
        elif fact.duplicate_of is None:
            return
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)


class Watches:
    """Every live watch, by home partition; it keeps none alive."""

    def __init__(self) -> None:
        self._by_home: dict[int, weakref.WeakValueDictionary[str, Watch]] = {}

    def open(self, id: str, key: str | None, partition: int, since: int, *, foreign: bool = False) -> Watch:
        """The watch of a job or, without a key, of a schedule: the one there is, else a new one."""
        home = self._by_home.setdefault(partition, weakref.WeakValueDictionary())
        watch = home.get(id)
        if watch is None:
            watch = home[id] = Watch(id, key, partition, since, foreign=foreign)
        return watch

    def find(self, fact: Fact) -> Watch | None:
        """The watch that `fact` is about, if anybody still cares. Safe from any thread."""
        home = self._by_home.get(fact.partition)
        watch = None if home is None else home.get(fact.job)
        if watch is None or watch.key is None or watch.key == fact.key or fact.fact in SCHEDULE_FACTS:
            return watch
        return None

    def open_ended(self, partition: int) -> Iterator[Watch]:
        """The watches of a partition whose end is not known."""
        home = self._by_home.get(partition)
        return iter(()) if home is None else (watch for watch in home.values() if watch.end is None)


def ends(fact: Fact) -> bool:
    """Whether a fact tells the end of its job: one that has just come, or of a job that was asked for
    twice.
    """
    match fact.fact:
        case FactKind.REJECTED:
            return refuses_request(fact)
        case FactKind.DEDUPLICATED:
            return fact.phase in PHASES_TERMINAL
        case kind:
            return kind in ENDS


def refuses_request(fact: Fact) -> bool:
    """Whether a `rejected` fact refuses the request itself, and not a late receipt or a command about the
    job.
    """
    return fact.error_type not in {
        RejectCode.WRONG_EPOCH,
        RejectCode.NOT_NOW,
        RejectCode.UNKNOWN_JOB,
        RejectCode.UNKNOWN_SCHEDULE,
    }


def result_of(end: Fact) -> Any:
    """The value that a job's end stands for.

    Returns:
        The function's result: decoded where it is JSON, the bytes as they are otherwise, None where there is
        none.

    Raises:
        JobDead: It failed for good.
        JobCancelled: It was cancelled.
        JobExpired: It was not started in time.
        JobRejected: It was never accepted.
    """
    if end.fact == FactKind.REJECTED:
        raise JobRejected(end.job, end.reason)
    match end.phase:
        case Phase.SUCCEEDED:
            return decode_result(end.result, end.result_type)
        case Phase.DEAD:
            raise JobDead(end.job, end.error_type, end.error_message or end.reason, end.attempt)
        case Phase.CANCELLED:
            raise JobCancelled(end.job, end.reason)
        case Phase.EXPIRED:
            raise JobExpired(end.job)
    raise AssertionError(f"not an end: {end.fact} in phase {end.phase}")


def decode_result(result: bytes | None, result_type: str | None) -> Any:
    """A result as the function returned it: JSON is decoded, other bytes stay bytes."""
    if result is None or result_type is None:
        return result
    if result_type.partition(";")[0].strip() == "application/json":
        return json.loads(result)
    return result
