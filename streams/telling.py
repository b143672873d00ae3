"""What a streams worker tells of what it decides: lines, counts, and the spans of jobs and attempts.

Owns what each fact means for a metric or a span. Must never decide anything, and never fail for what a fact
holds: it is called in the middle of a decision, once for each fact that is told.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from schemas.events import Attempt, Fact, JobRow, Receipt
from schemas.telemetry import catalogue, logs, spans
from schemas.telemetry.meter import Counter, Sample
from schemas.telemetry.process import FULL, OFF, Telemetry
from schemas.telemetry.spans import NS_PER_MS, Span, Tracer
from schemas.words import ENDS, FactKind, Outcome, Phase, RejectCode, Verdict
from streams.core import facts
from streams.core.facts import End
from streams.hotkeys import HotKeys

MS: Final = 1_000


_RETRIED: Final = {
    FactKind.FAILED: "error",
    FactKind.LOST: "lost",
    FactKind.SNOOZED: "snoozed",
    FactKind.HANDED_BACK: "handed_back",
}
"""Facts that another attempt follows, and why, where their end says no more."""

_ADMITTED: Final = FactKind.ADMITTED
"""By a name of this module: a member of an enumeration takes longer to find than all that is done with it."""

_ERRORS: Final = frozenset({FactKind.FAILED, FactKind.DIED, FactKind.LOST})
_TIMEOUTS: Final = frozenset({Verdict.TIMEOUT, Verdict.SILENT})
_GOOD: Final = frozenset({Outcome.SUCCESS, Outcome.SNOOZE, Outcome.INTERRUPTED, Outcome.PARKED})


_SHORT_MS: Final = 10_000
_BUCKET_OF_MS: Final = bytes(bisect_left(catalogue.SECONDS, ms / MS) for ms in range(_SHORT_MS))
"""The bucket of a time, by its ms: most are so short, and found quicker here than by bisection."""


class _Series:
    """Where the numbers of one queue and function are, found once."""

    __slots__ = (
        "counted",
        "facts",
        "keys",
        "queue_time",
        "run_time",
        "start_time",
        "submit_to_start",
        "tally",
        "timed",
        "traced",
    )

    def __init__(self, telling: "Telling", queue: str, function: str) -> None:
        closeness = telling.telemetry.closeness(function)
        self.counted, self.timed = closeness != OFF, closeness == FULL
        self.facts = _Facts(telling.facts, queue, function)
        self.keys = telling.hot_keys.of(queue)
        tracer = telling.telemetry.tracer
        mode = spans.OFF if tracer is None else tracer.mode(function)
        self.traced = mode >= spans.EVERY
        self.tally = tracer.tally(queue, function) if tracer and mode == spans.AGGREGATE else None
        if self.timed:
            labels, meter = (queue, function), telling.telemetry.meter
            self.submit_to_start = meter.histogram(catalogue.SUBMIT_TO_START).row(labels)
            self.queue_time = meter.histogram(catalogue.QUEUE_TIME).row(labels)
            self.start_time = meter.histogram(catalogue.START_TIME).row(labels)
            self.run_time = meter.histogram(catalogue.RUN_TIME).row(labels)


class _Facts(dict[str, list[float]]):
    """The counter of each fact of one queue and function, found when it happens first."""

    def __init__(self, counter: Counter, queue: str, function: str) -> None:
        super().__init__()
        self._counter, self._rest = counter, (queue, function)

    def __missing__(self, fact: str) -> list[float]:
        cell = self[fact] = self._counter.cell((fact, *self._rest))
        return cell


class Telling:
    """The observer of a worker. It is called for every fact, so what it counts is found once and kept."""

    def __init__(self, telemetry: Telemetry) -> None:
        """Counts in `telemetry`, and puts spans into it."""
        meter = telemetry.meter
        self.telemetry = telemetry
        self.facts = meter.counter(catalogue.FACTS)
        self.hot_keys = HotKeys()
        self._tracer = telemetry.tracer
        self._retries = meter.counter(catalogue.RETRIES)
        self._refused = meter.counter(catalogue.REFUSED)
        self._partitions = meter.counter(catalogue.PARTITION_JOBS)
        self._lateness = meter.histogram(catalogue.TIMER_LATENESS)
        self._series: dict[tuple[str | None, str | None], _Series] = {}
        self._rest: _Series | None = None
        self._cells: dict[int, list[float]] = {}

    def other_fact(self, told: Fact) -> None:
        """A fact about no job of the partition: about a schedule, or a request that was refused."""
        logs.fact(told)
        self.facts.add((told.fact, told.queue or "", told.function or ""))

    def refused(self, code: RejectCode) -> None:
        """A record was refused."""
        self._refused.add((code,))

    def fact(self, told: Fact, fact: facts.Fact, before: JobRow | None, after: JobRow | None) -> None:
        """A fact about a job."""
        logs.fact(told)
        series = self._series.get((told.queue, told.function)) or self._found(told.queue, told.function)
        if series.counted:
            self._count(series, told, fact, before, after)
        if series.tally is not None:
            if told.run_ms is not None:
                series.tally.add(told.run_ms, error=told.fact in _ERRORS)
        elif series.traced and self._tracer is not None and after is not None:
            self._trace(self._tracer, told, getattr(fact, "end", None), after)

    def _count(
        self,
        series: _Series,
        told: Fact,
        fact: facts.Fact,
        before: JobRow | None,
        after: JobRow | None,
    ) -> None:
        kind = told.fact
        series.facts[kind][0] += 1
        if kind == _ADMITTED:
            cell = self._cells.get(told.partition)
            if cell is None:
                cell = self._cells[told.partition] = self._partitions.cell((str(told.partition),))
            cell[0] += 1
            if series.keys is not None:
                series.keys.add(None if told.key == told.job else told.key)
        elif kind in _RETRIED and (end := getattr(fact, "end", None)) is not None:
            self._retries.add((told.queue or "", told.function or "", _why(told, end)))
        if series.timed:
            if told.run_ms is not None:
                _times(series, told, after)
            elif before is not None and type(fact) is facts.Readied:
                self._late(fact, before)

    def _found(self, queue: str | None, function: str | None) -> _Series:
        """Kept, as long as there is room; beyond it all functions are one."""
        if len(self._series) < catalogue.SERIES_MAX:
            series = self._series[queue, function] = _Series(self, queue or "", function or "")
            return series
        if self._rest is None:
            self._rest = _Series(self, catalogue.OTHER, catalogue.OTHER)
        return self._rest

    def _late(self, fact: facts.Readied, before: JobRow) -> None:
        if fact.end is None and before.due_at_ms is not None:
            self._lateness.observe((), max(0, fact.at_ms - before.due_at_ms) / MS)

    def shares(self) -> Iterator[Sample]:
        """The shares of the hottest keys."""
        for queue, share in self.hot_keys.shares().items():
            yield catalogue.HOT_KEY, (queue,), share

    # Traces.

    def _trace(self, tracer: Tracer, told: Fact, end: End | None, row: JobRow) -> None:
        spec = row.spec
        over = told.fact in ENDS
        if end is None and not over:
            return
        trace = tracer.of_job(spec.trace, spec.id, spec.created_at_ms, spec.function)
        if trace is None:
            return
        if end is not None and (found := _ended(row)) is not None:
            for span in _attempt_spans(trace, row, *found, end, told):
                tracer.add(span)
        if over:
            tracer.add(_job_span(trace, row))


def _times(series: _Series, told: Fact, row: JobRow | None) -> None:
    """The times of an attempt that ran and has ended: once for each job, so without a call for each."""
    waited_ms = None
    if row is not None and len(row.attempts) == 1:
        first, spec = row.attempts[0], row.spec
        if first.attempt == 1 and first.started_at_ms is not None:
            waited_ms = max(0, first.started_at_ms - max(spec.created_at_ms, spec.run_at_ms or 0))
    for numbers, ms in (
        (series.run_time, told.run_ms),
        (series.queue_time, told.queued_ms),
        (series.start_time, told.start_ms),
        (series.submit_to_start, waited_ms),
    ):
        if ms is not None:
            short = 0 <= ms < _SHORT_MS
            numbers[_BUCKET_OF_MS[ms] if short else bisect_left(catalogue.SECONDS, ms / MS)] += 1
            numbers[-1] += ms / MS


def _why(told: Fact, end: End) -> str:
    """Why there is another attempt, as one of few words."""
    if end.outcome in _TIMEOUTS or end.error_type == "Timeout":
        return "timeout"
    return _RETRIED[FactKind(told.fact)]


def _ended(row: JobRow) -> tuple[Attempt, Attempt | None] | None:
    """The attempt that has ended, and the one before it; None if it was taken back without a trace."""
    ended = [number for number, attempt in enumerate(row.attempts) if attempt.outcome is not None]
    if not ended:
        return None
    last = ended[-1]
    return row.attempts[last], row.attempts[last - 1] if last else None


def _attempt_spans(
    trace: spans.JobTrace, row: JobRow, attempt: Attempt, former: Attempt | None, end: End, told: Fact
) -> Iterator[Span]:
    """The span of an attempt, and of the way of its receipt."""
    spec, at_ms = row.spec, told.at_ms
    outcome = str(attempt.outcome)
    error = None if outcome in _GOOD else f"{attempt.error_type or outcome}: {attempt.error_message or ''}"
    attributes: dict[str, str | int | float | bool] = {
        spans.SYSTEM: "kafka",
        spans.JOB: spec.id,
        spans.FUNCTION: spec.function,
        spans.QUEUE: spec.queue,
        spans.ATTEMPT: attempt.attempt,
        spans.EPOCH: attempt.epoch,
        spans.OUTCOME: outcome,
    }
    named = {spans.MINION: attempt.minion, spans.RELAY: attempt.relay, spans.ERROR_TYPE: attempt.error_type}
    attributes |= {name: value for name, value in named.items() if value is not None}
    context = trace.attempt(attempt.epoch)
    yield Span(
        f"attempt {spec.function}",
        spans.INTERNAL,
        context,
        trace.job().span,
        attempt.dispatched_at_ms * NS_PER_MS,
        at_ms * NS_PER_MS,
        attributes,
        error,
        () if former is None else (trace.attempt(former.epoch),),
    )
    if isinstance(end, Receipt):
        yield Span(
            f"receipt {spec.queue}",
            spans.CONSUMER,
            trace.part(attempt.epoch, "receipt"),
            context.span,
            end.at_ms * NS_PER_MS,
            at_ms * NS_PER_MS,
            {spans.SYSTEM: "kafka", spans.OPERATION: "process", spans.JOB: spec.id},
        )


def _job_span(trace: spans.JobTrace, row: JobRow) -> Span:
    """The span of a job that has ended."""
    spec = row.spec
    attributes: dict[str, str | int | float | bool] = {
        spans.SYSTEM: "kafka",
        spans.OPERATION: "process",
        spans.DESTINATION: spec.queue,
        spans.DESTINATION_PARTITION: str(spec.partition),
        spans.MESSAGE: spec.id,
        spans.JOB: spec.id,
        spans.KEY: spec.key,
        spans.FUNCTION: spec.function,
        spans.QUEUE: spec.queue,
        spans.OUTCOME: row.phase,
        spans.ATTEMPT: row.attempt,
    }
    named = {spans.PARENT: spec.parent, spans.SCHEDULE: spec.scheduled_by, spans.ERROR_TYPE: row.error_type}
    attributes |= {name: value for name, value in named.items() if value is not None}
    bad = row.phase in {Phase.DEAD, Phase.EXPIRED}
    return Span(
        f"job {spec.function}",
        spans.CONSUMER,
        trace.job(),
        trace.parent,
        spec.created_at_ms * NS_PER_MS,
        (row.ended_at_ms or spec.created_at_ms) * NS_PER_MS,
        attributes,
        f"{row.phase}: {row.end_reason or row.error_message or ''}" if bad else None,
    )
