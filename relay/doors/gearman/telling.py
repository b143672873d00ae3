"""What a Gearman door tells of what its workers run: counts, times, and the span of each run that is traced.

Owns what minions tell for themselves, under the same names: Gearman's workers know of no metrics and no
traces. Must never fail a job, nor make one wait.
"""

from collections.abc import Iterator
from typing import Final

from relay.core.call import CallOutcome, End, Run
from relay.core.session import Lease
from schemas.events import Dispatch
from schemas.proto.relay_pb2 import SUCCESS, Receipt
from schemas.telemetry import catalogue, spans
from schemas.telemetry.attempts import Attempts
from schemas.telemetry.meter import Sample
from schemas.telemetry.process import Telemetry
from schemas.telemetry.spans import NS_PER_MS, Context, JobTrace, Span

# Outcomes, as minions name them.
GOOD: Final = "success"
BAD: Final = "failure"
LEFT: Final = "left"
"""Nobody waits for it any more."""


class Telling:
    """Of one door."""

    def __init__(self, telemetry: Telemetry) -> None:
        """Counts in `telemetry`, and puts spans into it."""
        meter = telemetry.meter
        self._tracer = telemetry.tracer
        self._attempts = Attempts(telemetry)
        self._kept = meter.histogram(catalogue.GEARMAN_KEEP)
        self._connections = 0
        meter.watch(self._look)

    def connected(self, connections: int) -> None:
        """So many are there now."""
        self._connections = connections

    def kept(self, took_s: float) -> None:
        """Kafka has a background job, so long after it was asked for."""
        self._kept.observe((), took_s)

    def of_job(self, dispatch: Dispatch) -> JobTrace | None:
        """The trace of a durable job; None if it has none."""
        if self._tracer is None:
            return None
        return self._tracer.of_job(dispatch.trace, dispatch.job, dispatch.created_at_ms, dispatch.function)

    def job_ended(self, lease: Lease, receipt: Receipt, trace: JobTrace | None) -> None:
        """A worker has run a durable job."""
        good = receipt.outcome == SUCCESS
        self._attempts.ended(lease.function, GOOD if good else BAD, receipt.run_ms)
        if trace is None:
            return
        error = None if good else f"{receipt.error_type}: {receipt.error_message}"
        attributes: dict[str, str | int | float | bool] = {
            spans.JOB: lease.job,
            spans.FUNCTION: lease.function,
            spans.QUEUE: lease.queue,
            spans.ATTEMPT: lease.attempt,
            spans.EPOCH: lease.epoch,
            spans.OUTCOME: GOOD if good else BAD,
            spans.MINION: lease.session.minion,
        }
        if not good:
            attributes[spans.ERROR_TYPE] = receipt.error_type
        context, parent = trace.part(lease.epoch, "run"), trace.attempt(lease.epoch).span
        self._ran(lease.function, context, parent, receipt.started_at_ms, receipt.run_ms, attributes, error)

    def call_ended(self, run: Run, end: End | None, now_ms: int) -> None:
        """A worker has run a call; None: it was told to leave it."""
        ran_ms = max(now_ms - run.assigned_at_ms, 0)
        good = end is not None and end.outcome is CallOutcome.COMPLETE
        outcome = LEFT if end is None else GOOD if good else BAD
        self._attempts.ended(run.function, outcome, ran_ms)
        found = spans.parse(run.trace) if self._tracer is not None else None
        if self._tracer is None or found is None or not found[1] & spans.SAMPLED:
            return
        call = found[0]
        attributes: dict[str, str | int | float | bool] = {
            spans.FUNCTION: run.function,
            spans.OUTCOME: outcome,
        }
        if run.worker is not None:
            attributes[spans.MINION] = run.worker.name
        error = None
        if end is not None and not good:
            attributes[spans.ERROR_TYPE] = end.error_type or str(end.outcome)
            error = f"{end.error_type or end.outcome}: {end.error_message}"
        context = self._tracer.below(call)
        self._ran(run.function, context, call.span, run.assigned_at_ms, ran_ms, attributes, error)

    def _ran(
        self,
        function: str,
        context: Context,
        parent: int,
        began_ms: int,
        ran_ms: int,
        attributes: spans.Attributes,
        error: str | None,
    ) -> None:
        assert self._tracer is not None, "there is a trace where something is traced"
        start_ns = began_ms * NS_PER_MS
        end_ns = start_ns + ran_ms * NS_PER_MS
        name = f"run {function}"
        self._tracer.add(Span(name, spans.CONSUMER, context, parent, start_ns, end_ns, attributes, error))

    def _look(self) -> Iterator[Sample]:
        yield catalogue.GEARMAN_CONNECTIONS, (), self._connections
