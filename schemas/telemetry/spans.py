"""Traces: one for each job, put together from spans that several processes tell without speaking to each
other.

Owns the names of spans and of their attributes (OpenTelemetry's messaging conventions, which are still in
development), and which jobs are traced. Spans' ids are hashes of what they are about, so that a minion knows
the id of its attempt's span, which a streams worker tells when the attempt has ended. Must never make its
caller wait: spans are put aside, and dropped and counted above SPANS_MAX.

    the submitter's span   whoever sent `traceparent`; none: the job begins a trace of its own
      job f                admitted ... ended             streams, when it ends
        attempt f          dispatched ... decided         streams, for each; linked to the one before
          dispatch q       dispatched ... on its stream   relay
          run f            the function                   minion; what the function traces is below it
          receipt q        receipt ... decided            streams

    the caller's span      whoever sent `traceparent` with a foreground call
      call f               asked ... ended                relay; linked to the call whose run it shares
        run f              the function                   minion
"""

import hashlib
import itertools
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from schemas.telemetry.catalogue import OTHER

NS_PER_MS: Final = 1_000_000
"""Spans tell times in ns; everything else here tells them in ms."""

SPANS_MAX: Final = 20_000
"""Spans that may wait to be sent."""

TALLIES_MAX: Final = 1_000
"""Functions whose jobs are aggregated each by itself; further ones are together."""

OFF: Final = 0
EVERY: Final = 1
AGGREGATE: Final = -1

SAMPLED: Final = 0x01
"""Flag of a traceparent: its trace is recorded."""

FORM: Final = re.compile(
    r"\s*(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*|\s*)", re.ASCII | re.IGNORECASE
)
"""A traceparent: version, trace, span, flags, and what later versions have behind them."""

TRACE_BYTES: Final = 16
SPAN_BYTES: Final = 8

# Kinds of spans, as OpenTelemetry numbers them in OTLP.
INTERNAL: Final = 1
SERVER: Final = 2
PRODUCER: Final = 4
CONSUMER: Final = 5

# Attributes: OpenTelemetry's where it has them.
SYSTEM: Final = "messaging.system"
OPERATION: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
DESTINATION_PARTITION: Final = "messaging.destination.partition.id"
MESSAGE: Final = "messaging.message.id"
ERROR_TYPE: Final = "error.type"
JOB: Final = "jobstream.job.id"
KEY: Final = "jobstream.key"
FUNCTION: Final = "jobstream.function"
QUEUE: Final = "jobstream.queue"
ATTEMPT: Final = "jobstream.attempt"
EPOCH: Final = "jobstream.epoch"
OUTCOME: Final = "jobstream.outcome"
MINION: Final = "jobstream.minion"
RELAY: Final = "jobstream.relay"
SPILLED: Final = "jobstream.spilled"
DOOR: Final = "jobstream.door"
AREA: Final = "jobstream.area"
WAITED_MS: Final = "jobstream.waited_ms"
CACHED: Final = "jobstream.cached"
PARENT: Final = "jobstream.parent"
SCHEDULE: Final = "jobstream.schedule"
COUNT: Final = "jobstream.count"
ERRORS: Final = "jobstream.errors"
RUN_MIN_MS: Final = "jobstream.run_min_ms"
RUN_MAX_MS: Final = "jobstream.run_max_ms"
RUN_SUM_MS: Final = "jobstream.run_sum_ms"

Attributes = Mapping[str, str | int | float | bool]


class Context(NamedTuple):
    """Where a span is: its trace, and its own id."""

    trace: int
    span: int

    @property
    def traceparent(self) -> str:
        """As a W3C header, sampled."""
        return f"00-{self.trace:032x}-{self.span:016x}-01"

    @property
    def unsampled(self) -> str:
        """As a header that says: of this trace nothing is recorded."""
        return f"00-{self.trace:032x}-{self.span:016x}-00"


class Span(NamedTuple):
    """One span that has ended; times are epoch ns."""

    name: str
    kind: int
    context: Context
    parent: int
    """Id of its parent in the same trace; 0: none."""
    start_ns: int
    end_ns: int
    attributes: Attributes
    error: str | None = None
    """Why it failed; None if it did not."""
    links: tuple[Context, ...] = ()


class Tally:
    """The attempts of one function, added up by one thread and told of by another, without a lock: counts
    only grow, and what is told is what came since the last time.
    """

    __slots__ = ("count", "errors", "function", "max_ms", "min_ms", "queue", "since_ns", "sum_ms", "told")

    def __init__(self, queue: str, function: str, since_ns: int) -> None:
        self.queue, self.function, self.since_ns = queue, function, since_ns
        self.count = self.errors = self.sum_ms = self.max_ms = 0
        self.min_ms = -1
        self.told = (0, 0, 0)

    def add(self, run_ms: int, *, error: bool) -> None:
        """One more."""
        self.count += 1
        if error:
            self.errors += 1
        self.sum_ms += run_ms
        if run_ms > self.max_ms:  # max() would be a call for each attempt  # noqa: PLR1730
            self.max_ms = run_ms
        if run_ms < self.min_ms or self.min_ms < 0:
            self.min_ms = run_ms

    def settle(self, now_ns: int) -> "Span | None":
        """The span of what came since the last time; None if nothing did."""
        now = (self.count, self.errors, self.sum_ms)
        count, errors, sum_ms = (new - old for new, old in zip(now, self.told, strict=True))
        if not count:
            self.since_ns = now_ns
            return None
        attributes: Attributes = {
            FUNCTION: self.function,
            QUEUE: self.queue,
            COUNT: count,
            ERRORS: errors,
            RUN_MIN_MS: self.min_ms,
            RUN_MAX_MS: self.max_ms,
            RUN_SUM_MS: sum_ms,
        }
        context = Context(_fresh(TRACE_BYTES), _fresh(SPAN_BYTES))
        span = Span(f"runs {self.function}", INTERNAL, context, 0, self.since_ns, now_ns, attributes)
        self.told, self.since_ns, self.min_ms, self.max_ms = now, now_ns, -1, 0
        return span


class Tracer:
    """Which jobs are traced, and the spans of this process that wait to be sent."""

    def __init__(
        self,
        choices: Mapping[str, str],
        clock_ns: Callable[[], int] = time.time_ns,
        spans_max: int = SPANS_MAX,
    ) -> None:
        """`choices` by function, as `schemas.settings.traces` reads them; EVERY where nothing is said."""
        self._modes = {name: _mode(choice) for name, choice in choices.items()}
        self._default = self._modes.pop("*", EVERY)
        self._clock_ns = clock_ns
        self._spans_max = spans_max
        self._spans: deque[Span] = deque()
        self._tallies: dict[tuple[str, str], Tally] = {}
        self.dropped = 0
        """Spans that were dropped for want of room."""

    def mode(self, function: str) -> int:
        """EVERY, AGGREGATE, OFF, or N for one job in N."""
        return self._modes.get(function, self._default)

    def of_job(self, trace: str | None, job: str, created_at_ms: int, function: str) -> "JobTrace | None":
        """The trace of a job; None if it has none: its function's jobs are not traced, it is not the one in
        N, or its submitter said so.
        """
        mode = self.mode(function)
        if mode < EVERY:
            return None
        given = parse(trace)
        if given is not None and not given[1] & SAMPLED:
            return None
        seed = f"{job}/{created_at_ms}"
        if given is not None:
            trace_id, parent = given[0]
        else:
            trace_id, parent = _hash(seed, TRACE_BYTES), 0
        if mode > EVERY and trace_id % mode:
            return None
        return JobTrace(trace_id, parent, seed)

    def below(self, context: Context) -> Context:
        """A span of its own below another one."""
        return Context(context.trace, _fresh(SPAN_BYTES))

    def of_call(self, trace: str | None, function: str) -> "CallTrace | None":
        """A foreground call's span in its caller's trace, or in one of its own; not sampled if it is not the
        one in N. None if nothing is to be said of its trace here: its function is not traced, or its caller
        said so.
        """
        mode = self.mode(function)
        given = parse(trace)
        if mode < EVERY or (given is not None and not given[1] & SAMPLED):
            return None
        trace_id, parent = (_fresh(TRACE_BYTES), 0) if given is None else given[0]
        return CallTrace(Context(trace_id, _fresh(SPAN_BYTES)), parent, not trace_id % mode)

    def add(self, span: Span) -> None:
        """Puts a span aside. From any thread."""
        if len(self._spans) < self._spans_max:
            self._spans.append(span)
        else:
            self.dropped += 1

    def tally(self, queue: str, function: str) -> Tally:
        """Where the attempts of a function whose jobs are aggregated are added up; the same one each time,
        and one for all functions beyond TALLIES_MAX.
        """
        if (queue, function) not in self._tallies and len(self._tallies) >= TALLIES_MAX:
            queue = function = OTHER
        return self._tallies.setdefault((queue, function), Tally(queue, function, self._clock_ns()))

    def settle(self) -> None:
        """The interval is over: what every tally counted becomes a span."""
        for tally in list(self._tallies.values()):
            span = tally.settle(self._clock_ns())
            if span is not None:
                self.add(span)

    def take(self, most: int) -> list[Span]:
        """Takes spans out, the oldest first."""
        return [self._spans.popleft() for _ in itertools.islice(range(len(self._spans)), most)]


class CallTrace(NamedTuple):
    """A foreground call's span: whose it is, its caller's span (0: none), and whether it is recorded."""

    context: Context
    parent: int
    sampled: bool


class JobTrace(NamedTuple):
    """The trace of one job: the ids of its spans, the same for whoever asks."""

    trace: int
    parent: int
    """Span of whoever submitted it; 0: none."""
    seed: str

    def job(self) -> Context:
        """The span from the job's admission to its end."""
        return Context(self.trace, _hash(self.seed, SPAN_BYTES))

    def attempt(self, epoch: int) -> Context:
        """The span of an attempt."""
        return Context(self.trace, _hash(f"{self.seed}/{epoch}", SPAN_BYTES))

    def part(self, epoch: int, what: str) -> Context:
        """The span of a part of an attempt: run, dispatch, receipt."""
        return Context(self.trace, _hash(f"{self.seed}/{epoch}/{what}", SPAN_BYTES))


def parse(traceparent: str | None) -> tuple[Context, int] | None:
    """The context and the flags of a W3C traceparent; None if it is none (W3C Trace Context, section 3.2)."""
    found = FORM.fullmatch(traceparent or "")
    if found is None:
        return None
    trace, span, flags = (int(part, 16) for part in found.groups())
    return (Context(trace, span), flags) if trace and span else None


def _mode(choice: str) -> int:
    named = {"off": OFF, "every": EVERY, "aggregate": AGGREGATE}
    return named[choice] if choice in named else int(choice.partition("/")[2])


def _hash(text: str, size: int) -> int:
    """Never 0, which is no id."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=size).digest()) or 1


def _fresh(size: int) -> int:
    return int.from_bytes(secrets.token_bytes(size)) or 1
