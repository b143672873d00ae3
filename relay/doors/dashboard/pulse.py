"""What happened lately, counted from facts: how many per second, how long they took, what failed.

Pure. Keeps a window of some minutes and nothing older; it is for eyes, and nothing is decided by it. Counts
of jobs that there are now are the workers' to tell, not this module's.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeVar

from schemas.events import Fact
from schemas.words import FactKind

WINDOW_S = 300
"""How far back it counts."""

BIN_S = 5
"""Seconds that a bar of a chart stands for."""

BINS = WINDOW_S // BIN_S

RATE_S = 10
"""Whole seconds that a rate is the mean of."""

SAMPLES_MAX = 400
"""Durations of one series that its percentiles are taken of: the latest."""

SERIES_MAX = 1_000
"""Queues, and functions, that are counted apart; beyond it those heard of longest ago are forgotten."""

FAILURES_MAX = 500
"""Failures that are remembered: the latest of each job."""

KINDS = ("admitted", "succeeded", "failed", "died")

COUNTED = {
    FactKind.ADMITTED: ("admitted",),
    FactKind.SUCCEEDED: ("succeeded",),
    FactKind.FAILED: ("failed",),
    FactKind.LOST: ("failed",),
    FactKind.DIED: ("failed", "died"),
}
"""Facts that are counted, and as what."""

FAILURES = frozenset({FactKind.FAILED, FactKind.LOST, FactKind.DIED})
OVER = frozenset({FactKind.SUCCEEDED, FactKind.CANCELLED, FactKind.PURGED})

Name = TypeVar("Name", str, tuple[str, str])


@dataclass(frozen=True)
class Failure:
    """The latest thing that went wrong with a job."""

    job: str
    key: str
    queue: str
    function: str
    attempt: int
    at_ms: int
    phase: str
    error_type: str
    error_message: str


@dataclass
class Series:
    """One queue, one function, or all of it."""

    seconds: dict[int, list[int]] = field(default_factory=dict)
    """Counts by kind, by second."""
    waits: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))
    """From dispatch to the function's begin: at_ms, ms."""
    runs: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))
    """How long functions ran: at_ms, ms."""

    def count(self, kinds: Iterable[str], at_s: int) -> None:
        """One more of each of these."""
        counts = self.seconds.get(at_s)
        if counts is None:
            counts = self.seconds[at_s] = [0] * len(KINDS)
        for kind in kinds:
            counts[KINDS.index(kind)] += 1

    def forget(self, before_s: int) -> None:
        """Drops what is older than the window."""
        for at_s in [at_s for at_s in self.seconds if at_s < before_s]:
            del self.seconds[at_s]

    def rates(self, now_s: int) -> dict[str, float]:
        """Per second, over the last whole seconds."""
        lately = [self.seconds.get(now_s - back, ()) for back in range(1, RATE_S + 1)]
        return {
            kind: sum(counts[place] for counts in lately if counts) / RATE_S
            for place, kind in enumerate(KINDS)
        }

    def bars(self, now_s: int) -> dict[str, list[int]]:
        """Counts by kind in each bin of the window, the oldest first; the last one is whole."""
        bars = {kind: [0] * BINS for kind in KINDS}
        ends_s = now_s - now_s % BIN_S
        for at_s, counts in self.seconds.items():
            bin_ = BINS - 1 - (ends_s - 1 - at_s) // BIN_S
            if 0 <= bin_ < BINS:
                for kind, count in zip(KINDS, counts, strict=True):
                    bars[kind][bin_] += count
        return bars

    def percentiles(self, now_ms: int) -> dict[str, int | None]:
        """Of the waits and runs of the window, in ms; None where there was none."""
        oldest_ms = now_ms - WINDOW_S * 1_000
        told: dict[str, int | None] = {}
        for name, samples in (("wait", self.waits), ("run", self.runs)):
            found = sorted(ms for at_ms, ms in samples if at_ms >= oldest_ms)
            for percent in (50, 95):
                place = (len(found) - 1) * percent // 100
                told[f"{name}_p{percent}_ms"] = found[place] if found else None
        return told


class Pulse:
    """All that is counted."""

    def __init__(self) -> None:
        self.queues: OrderedDict[str, Series] = OrderedDict()
        self.functions: OrderedDict[tuple[str, str], Series] = OrderedDict()
        """By queue and function."""
        self.failures: OrderedDict[tuple[str, str], Failure] = OrderedDict()
        """By job and key, as they were read: partitions come mixed, so in no order of time."""

    def take(self, fact: Fact) -> None:
        """Counts a fact. Those of schedules have no function and count for nothing."""
        if fact.function is None or fact.queue is None:
            return
        kinds = COUNTED.get(fact.fact)  # type: ignore[call-overload]  # a word equals its member
        if kinds is not None:
            self._count(kinds, fact, fact.queue, fact.function)
        if fact.fact in FAILURES:
            self._failed(fact, fact.queue, fact.function)
        elif fact.fact in OVER:
            self.failures.pop((fact.job, fact.key), None)

    def forget(self, now_ms: int) -> None:
        """Drops what the window has left."""
        before_s = now_ms // 1_000 - WINDOW_S - BIN_S
        for series in (*self.queues.values(), *self.functions.values()):
            series.forget(before_s)
        for what in [what for what, each in self.failures.items() if each.at_ms < before_s * 1_000]:
            del self.failures[what]

    def total(self, sees: Callable[[str], bool]) -> Series:
        """All queues that somebody may see, as one."""
        seen = [series for queue, series in self.queues.items() if sees(queue)]
        if len(seen) == 1:
            return seen[0]
        sum_ = Series()
        for series in seen:
            sum_.waits.extend(series.waits)
            sum_.runs.extend(series.runs)
            for at_s, counts in series.seconds.items():
                before = sum_.seconds.get(at_s)
                sum_.seconds[at_s] = (
                    counts if before is None else [a + b for a, b in zip(before, counts, strict=True)]
                )
        return sum_

    def errors(self, sees: Callable[[str], bool]) -> list[dict[str, object]]:
        """What fails, the latest first: by function and type of error, each with its latest job."""
        seen = sorted((each for each in self.failures.values() if sees(each.queue)), key=attrgetter("at_ms"))
        counts = Counter((each.queue, each.function, each.error_type) for each in seen)
        latest = {(each.queue, each.function, each.error_type): each for each in seen}  # the last one stays
        found = sorted(latest.items(), key=lambda each: each[1].at_ms, reverse=True)
        return [{**vars(failure), "count": counts[what]} for what, failure in found]

    def _count(self, kinds: tuple[str, ...], fact: Fact, queue: str, function: str) -> None:
        at_s = fact.at_ms // 1_000
        wait_ms = None if fact.queued_ms is None else fact.queued_ms + (fact.start_ms or 0)
        for series in (_of(self.queues, queue), _of(self.functions, (queue, function))):
            series.count(kinds, at_s)
            if fact.run_ms is not None:
                series.runs.append((fact.at_ms, fact.run_ms))
            if fact.run_ms is not None and wait_ms is not None:
                series.waits.append((fact.at_ms, wait_ms))

    def _failed(self, fact: Fact, queue: str, function: str) -> None:
        failure = Failure(
            job=fact.job,
            key=fact.key,
            queue=queue,
            function=function,
            attempt=fact.attempt,
            at_ms=fact.at_ms,
            phase=fact.phase or "",
            error_type=fact.error_type or str(fact.fact),
            error_message=fact.error_message or fact.reason or "",
        )
        self.failures.pop((fact.job, fact.key), None)
        self.failures[fact.job, fact.key] = failure
        if len(self.failures) > FAILURES_MAX:
            self.failures.popitem(last=False)


def _of(kept: OrderedDict[Name, Series], name: Name) -> Series:
    series = kept.get(name)
    if series is None:
        series = kept[name] = Series()
        if len(kept) > SERIES_MAX:
            kept.popitem(last=False)
    return series
