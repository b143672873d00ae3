"""What a minion tells of the attempts that it runs: counts, and the span of each that is traced.

Owns what an end means for a metric or a span. Must never fail an attempt, nor make one wait.
"""

from collections.abc import Iterator

from jobstream.minion.lease import Lease
from schemas.proto.relay_pb2 import FAILURE, Outcome, Receipt
from schemas.telemetry import catalogue, context, spans
from schemas.telemetry.attempts import Attempts
from schemas.telemetry.meter import Sample
from schemas.telemetry.process import Telemetry
from schemas.telemetry.spans import NS_PER_MS, JobTrace, Span

LEFT = "left"
"""The outcome of an attempt whose lease had ended before its function did."""


class Telling:
    """Of one minion. Its methods are called on whatever thread runs the attempt."""

    def __init__(self, telemetry: Telemetry, slots: int) -> None:
        """`slots`: how many attempts may run at once."""
        meter = telemetry.meter
        self._tracer = telemetry.tracer
        self._attempts = Attempts(telemetry)
        self._slots = slots
        self._came = self._left = 0
        meter.watch(self._look)

    def comes(self, lease: Lease) -> None:
        """An attempt was given to this minion. If it is traced, what it submits and traces is below its own
        span.
        """
        self._came += 1
        trace = self._trace(lease)
        if trace is not None:
            lease.submitter_trace, lease.trace = lease.trace, trace.part(lease.epoch, "run").traceparent

    def begins(self, lease: Lease) -> None:
        """Its function begins, in the calling context."""
        if lease.trace:
            context.enter(lease.trace)

    def ended(self, lease: Lease, receipt: Receipt | None) -> None:
        """Its function has left; None: after its lease had ended."""
        self._left += 1
        outcome = LEFT if receipt is None else Outcome.Name(receipt.outcome).lower()
        run_ms = lease.run_ms() if receipt is None else receipt.run_ms
        self._attempts.ended(lease.function, outcome, run_ms)
        if self._tracer is not None and receipt is not None and receipt.started_at_ms:
            trace = self._trace(lease)
            if trace is not None:
                self._tracer.add(_span(trace, lease, receipt, outcome))

    def _trace(self, lease: Lease) -> JobTrace | None:
        if self._tracer is None:
            return None
        given = lease.trace if lease.submitter_trace is None else lease.submitter_trace
        return self._tracer.of_job(given or None, lease.job, lease.created_at_ms, lease.function)

    def _look(self) -> Iterator[Sample]:
        yield catalogue.RUNNING, (), max(0, self._came - self._left)
        yield catalogue.ROOM, (), self._slots


def _span(trace: JobTrace, lease: Lease, receipt: Receipt, outcome: str) -> Span:
    """The span of a function's run."""
    start_ns = receipt.started_at_ms * NS_PER_MS
    attributes: dict[str, str | int | float | bool] = {
        spans.JOB: lease.job,
        spans.FUNCTION: lease.function,
        spans.QUEUE: lease.queue,
        spans.ATTEMPT: lease.attempt,
        spans.EPOCH: lease.epoch,
        spans.OUTCOME: outcome,
    }
    error = None
    if receipt.outcome == FAILURE:
        attributes[spans.ERROR_TYPE] = receipt.error_type
        error = f"{receipt.error_type}: {receipt.error_message}"
    return Span(
        f"run {lease.function}",
        spans.CONSUMER,
        trace.part(lease.epoch, "run"),
        trace.parent if lease.foreground else trace.attempt(lease.epoch).span,  # a call's own span
        start_ns,
        start_ns + receipt.run_ms * NS_PER_MS,
        attributes,
        error,
    )
