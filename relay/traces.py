"""The relay's part of a job's trace: the way of an attempt from its dispatch to the stream of its minion."""

from collections.abc import Callable

from relay.core.session import Lease
from schemas.events import Dispatch
from schemas.telemetry import spans
from schemas.telemetry.spans import NS_PER_MS, Span, Tracer


def trace_sent(tracer: Tracer, now_ms: Callable[[], int], lease: Lease, dispatch: Dispatch) -> None:
    """A job was put on its minion's stream: a span if its job is traced."""
    trace = tracer.of_job(dispatch.trace, dispatch.job, dispatch.created_at_ms, dispatch.function)
    if trace is None:
        return
    attributes: dict[str, str | int | float | bool] = {
        spans.SYSTEM: "kafka",
        spans.OPERATION: "receive",
        spans.DESTINATION: dispatch.queue,
        spans.DESTINATION_PARTITION: str(dispatch.partition),
        spans.MESSAGE: dispatch.job,
        spans.JOB: dispatch.job,
        spans.ATTEMPT: dispatch.attempt,
        spans.EPOCH: dispatch.epoch,
        spans.MINION: lease.session.minion,
        spans.SPILLED: lease.spilled,
    }
    tracer.add(
        Span(
            f"dispatch {dispatch.queue}",
            spans.CONSUMER,
            trace.part(dispatch.epoch, "dispatch"),
            trace.attempt(dispatch.epoch).span,
            dispatch.dispatched_at_ms * NS_PER_MS,
            now_ms() * NS_PER_MS,
            attributes,
        )
    )
