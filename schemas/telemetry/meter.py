"""Counts, in plain numbers: what a process measures of itself, until someone asks.

Owns the limit of series. Must cost next to nothing where it counts: an addition is a look-up and a sum (some
150 ns), a histogram's a bisection more. What is not counted but looked up (how many jobs wait) is asked for
only when someone reads.
"""

import asyncio
import contextlib
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Final

from schemas.telemetry import catalogue
from schemas.telemetry.catalogue import OTHER, Kind, Metric

LOOK_S: Final = 5.0
"""How long an event loop may take to answer a look; then there is none this time."""

Labels = tuple[str, ...]
Sample = tuple[Metric, Labels, float]
"""What a look gives: a metric, the values of its labels, and its value now."""

Look = Callable[[], Iterable[Sample]]


@dataclass(frozen=True)
class Spread:
    """One series of a histogram: how many were at most each bound, more than the last, and their sum."""

    counts: tuple[int, ...]
    total: float


@dataclass
class Family:
    """All series of one metric at one moment."""

    metric: Metric
    values: dict[Labels, float | Spread] = field(default_factory=dict)


class Counter:
    """A counter of a meter. Additions from several threads are safe as far as the interpreter's lock goes."""

    __slots__ = ("_overflow", "cells", "metric")

    def __init__(self, metric: Metric, overflow: Callable[[Metric], None]) -> None:
        self.metric = metric
        self.cells: dict[Labels, list[float]] = {}
        self._overflow = overflow

    def add(self, labels: Labels = (), by: float = 1) -> None:
        """So many more."""
        cell = self.cells.get(labels)
        if cell is None:
            cell = self.cell(labels)
        cell[0] += by

    def cell(self, labels: Labels) -> list[float]:
        """The one number of a series, for who adds to it by himself, often; beyond the limit that of all
        others.
        """
        if labels not in self.cells:
            labels = _admitted(self.metric, labels, len(self.cells), self._overflow)
        return self.cells.setdefault(labels, [0])


class Histogram:
    """A histogram of a meter."""

    __slots__ = ("_buckets", "_overflow", "metric", "series")

    def __init__(self, metric: Metric, overflow: Callable[[Metric], None]) -> None:
        self.metric = metric
        self.series: dict[Labels, list[float]] = {}
        """A count for each bucket and for what is above, and the sum at the end."""
        self._buckets = metric.buckets
        self._overflow = overflow

    def observe(self, labels: Labels, value: float) -> None:
        """One more, of this size, in the metric's unit."""
        row = self.series.get(labels)
        if row is None:
            row = self.row(labels)
        row[bisect_left(self._buckets, value)] += 1
        row[-1] += value

    def row(self, labels: Labels) -> list[float]:
        """The numbers of a series, for who adds to them by himself, often: a count for each bucket, one for
        what is above, and the sum. Beyond the limit those of all others.
        """
        if labels not in self.series:
            labels = _admitted(self.metric, labels, len(self.series), self._overflow)
        return self.series.setdefault(labels, [0] * (len(self._buckets) + 2))


def _admitted(metric: Metric, labels: Labels, known: int, overflow: Callable[[Metric], None]) -> Labels:
    """The labels under which a new series is counted."""
    assert len(labels) == len(metric.labels), f"{metric.name} has the labels {metric.labels}, got {labels}"
    if known < metric.series_max:
        return labels
    overflow(metric)
    return (OTHER,) * len(labels)


class Meter:
    """All that one process counts, and whom it asks for the rest."""

    def __init__(self) -> None:
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._looks: list[tuple[Look, asyncio.AbstractEventLoop | None]] = []
        self._lock = threading.Lock()
        self.late = 0
        """Looks that were not answered in time."""

    def counter(self, metric: Metric) -> Counter:
        """The counter of a metric; the same one each time."""
        assert metric.kind is Kind.COUNTER, f"{metric.name} is a {metric.kind}"
        return self._counters.setdefault(metric.name, Counter(metric, self._overflow))

    def histogram(self, metric: Metric) -> Histogram:
        """The histogram of a metric; the same one each time."""
        assert metric.kind is Kind.HISTOGRAM, f"{metric.name} is a {metric.kind}"
        return self._histograms.setdefault(metric.name, Histogram(metric, self._overflow))

    def watch(self, look: Look, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Calls `look` whenever someone reads: on this event loop if one is given, else on the reader's
        thread. It gives gauges, and counters that are counted elsewhere.
        """
        with self._lock:
            self._looks.append((look, loop))

    def _overflow(self, metric: Metric) -> None:
        self.counter(catalogue.SERIES_DROPPED).add((metric.name,))

    def read(self) -> list[Family]:
        """All there is, by name. From any thread; waits up to LOOK_S for each look."""
        with self._lock:
            looks = list(self._looks)
        families: dict[str, Family] = {}
        for look, loop in looks:
            for metric, labels, value in self._ask(look, loop):
                self._looked_up(families.setdefault(metric.name, Family(metric)), labels, float(value))
        for counter in list(self._counters.values()):
            family = families.setdefault(counter.metric.name, Family(counter.metric))
            family.values.update({labels: cell[0] for labels, cell in list(counter.cells.items())})
        for histogram in list(self._histograms.values()):
            family = families.setdefault(histogram.metric.name, Family(histogram.metric))
            for labels, row in list(histogram.series.items()):
                family.values[labels] = Spread(tuple(int(each) for each in row[:-1]), row[-1])
        return [families[name] for name in sorted(families)]

    def _looked_up(self, family: Family, labels: Labels, value: float) -> None:
        """One more series, or beyond the limit a part of the one for all the rest."""
        values, metric = family.values, family.metric
        if labels in values or len(values) < metric.series_max:
            values[labels] = value
            return
        self._overflow(metric)
        rest = (OTHER,) * len(labels)
        known = values.get(rest, 0.0)
        assert not isinstance(known, Spread), f"{metric.name} is looked up, and is a {metric.kind}"
        values[rest] = known + value if metric.unit == "1" else max(known, value)

    def _ask(self, look: Look, loop: asyncio.AbstractEventLoop | None) -> list[Sample]:
        if loop is None or _here(loop):
            return list(look())

        async def on_loop() -> list[Sample]:
            return list(look())

        asked = on_loop()
        with contextlib.suppress(TimeoutError, CancelledError, RuntimeError):
            return asyncio.run_coroutine_threadsafe(asked, loop).result(LOOK_S)
        with contextlib.suppress(ValueError):  # it runs just now, and will end by itself
            asked.close()
        self.late += 1
        return []


def _here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def value_of(families: Iterable[Family], metric: Metric, labels: Labels = ()) -> float:
    """One value among those read; 0 if it is not there. Of a histogram, how many there were."""
    for family in families:
        if family.metric.name == metric.name and labels in family.values:
            found = family.values[labels]
            return sum(found.counts) if isinstance(found, Spread) else found
    return 0


def numbers(families: Iterable[Family]) -> Iterator[Sample]:
    """Every series that is one number."""
    for family in families:
        for labels, value in family.values.items():
            if not isinstance(value, Spread):
                yield family.metric, labels, value
