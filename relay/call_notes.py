"""What is told of foreground calls: a line of the access log for each, its span, and how long it took.

Owns what the end of a call means for a line, a metric or a span; durable calls, whose jobs tell the rest
themselves, have the line and the time. Must never make a caller wait.
"""

import time
from collections.abc import Mapping
from typing import Final

from relay.core.call import Call, CallOutcome, End
from schemas.proto import relay_pb2
from schemas.proto.relay_pb2 import CallReply, CallRequest
from schemas.telemetry import catalogue, logs, spans
from schemas.telemetry.process import FULL, Telemetry
from schemas.telemetry.spans import NS_PER_MS, Span, parse

ACTION: Final = "call"
"""What a line of the access log says was done."""

DURABLE: Final = "durable call"

DURABLE_DOOR: Final = "durable"
"""The door of a durable call, among the metrics."""

AREA: Final = "jobstream.area"
OUTCOME: Final = "jobstream.outcome"
ARGS_BYTES: Final = "jobstream.args.bytes"
RESULT_BYTES: Final = "jobstream.result.bytes"
WAITED_MS: Final = "jobstream.waited_ms"
UNIQUE: Final = "jobstream.unique"
CACHED: Final = "jobstream.cached"

MS_PER_S: Final = 1_000
NS_PER_S: Final = 1_000_000_000

_LOGGED: Final = {CallOutcome.COMPLETE: logs.SUCCESS, CallOutcome.LOST: logs.UNKNOWN}

_JOB_OUTCOMES: Final = {
    relay_pb2.COMPLETE: CallOutcome.COMPLETE,
    relay_pb2.CALL_CANCELLED: CallOutcome.CANCELLED,
    relay_pb2.CALL_LOST: CallOutcome.LOST,
}


class CallNotes:
    """Of one relay."""

    def __init__(self, relay: str = "", telemetry: Telemetry | None = None) -> None:
        """`telemetry`: None for lines alone."""
        self._relay = relay
        self._tracer = None if telemetry is None else telemetry.tracer
        self._closeness = None if telemetry is None else telemetry.closeness
        if telemetry is not None:
            self._times = telemetry.meter.histogram(catalogue.CALL_TIME)
            self._waits = telemetry.meter.histogram(catalogue.CALL_WAIT)

    def comes(self, call: Call) -> None:
        """A call is about to be asked. If it is traced, its run will be below its own span."""
        if self._tracer is None:
            return
        trace = self._tracer.of_call(call.trace or None, call.function)
        if trace is None:
            return
        context, parent, sampled = trace
        call.trace = context.traceparent if sampled else context.unsampled
        call.span = (context, parent, time.time_ns()) if sampled else None

    def ended(self, call: Call, end: End) -> None:
        """A call is over."""
        if self._closeness is not None:
            self._measure(call, end)
        if logs.has_access_log():
            self._note(call, end)
        if call.span is not None and self._tracer is not None:
            self._tracer.add(_span(call, end, self._relay))

    def job_ended(self, asked: CallRequest, caller: str, reply: CallReply, took_ns: int) -> None:
        """A durable call is over, here at least; its job has facts and spans of its own."""
        outcome = _JOB_OUTCOMES.get(reply.outcome, CallOutcome.FAILED)
        if self._closeness is not None and self._closeness(asked.function) == FULL:
            self._times.observe((DURABLE_DOOR, asked.function), took_ns / NS_PER_S)
        if not logs.has_access_log():
            return
        took_ms = took_ns // NS_PER_MS
        fields: Mapping[str, object] = {
            logs.FUNCTION: asked.function,
            logs.JOB: asked.job,
            logs.QUEUE: asked.queue or None,
            OUTCOME: outcome,
            logs.DOOR: "grpc",
            logs.CLIENT: asked.caller or caller,
            logs.MINION: reply.minion or None,
            WAITED_MS: max(took_ms - reply.ran_ms, 0),
            logs.RUN_MS: reply.ran_ms,
            ARGS_BYTES: len(asked.args),
            RESULT_BYTES: len(reply.result),
            CACHED: reply.cached or None,
            logs.RELAY: self._relay or None,
            logs.TRACE: logs.trace_id(asked.trace),
            logs.ERROR_TYPE: reply.error_type or None,
            logs.REASON: reply.error_message or None,
        }
        logs.access(DURABLE, _LOGGED.get(outcome, logs.FAILURE), took_ns, fields)

    def _measure(self, call: Call, end: End) -> None:
        """Of what was answered; others have no function but in name."""
        assert self._closeness is not None
        if not (call.worker or end.cached) or self._closeness(call.function) != FULL:
            return
        self._times.observe((call.door, call.function), (call.waited_ms + call.ran_ms) / MS_PER_S)
        if call.worker:
            self._waits.observe((call.function,), call.waited_ms / MS_PER_S)

    def _note(self, call: Call, end: End) -> None:
        """A line of the access log."""
        fields = {
            logs.FUNCTION: call.function,
            OUTCOME: end.outcome,
            logs.DOOR: call.door,
            logs.CLIENT: call.caller or None,
            logs.MINION: call.worker or None,
            AREA: call.area or None,
            WAITED_MS: call.waited_ms,
            logs.RUN_MS: call.ran_ms,
            ARGS_BYTES: len(call.args),
            RESULT_BYTES: len(end.result),
            UNIQUE: call.unique or None,
            CACHED: end.cached or None,
            logs.RELAY: self._relay or None,
            logs.TRACE: logs.trace_id(call.trace),
            logs.ERROR_TYPE: end.error_type or None,
            logs.REASON: end.error_message or None,
        }
        took_ns = (call.waited_ms + call.ran_ms) * NS_PER_MS
        logs.access(ACTION, _LOGGED.get(end.outcome, logs.FAILURE), took_ns, fields)


def _span(call: Call, end: End, relay: str) -> Span:
    """From the moment a call was asked to its end. One that joined another's run is linked to that one."""
    assert call.span is not None
    context, parent, start_ns = call.span
    attributes: dict[str, str | int | float | bool] = {
        spans.FUNCTION: call.function,
        spans.OUTCOME: str(end.outcome),
        spans.RELAY: relay,
        spans.DOOR: call.door,
        spans.WAITED_MS: call.waited_ms,
    }
    if call.worker:
        attributes[spans.MINION] = call.worker
    if call.area:
        attributes[spans.AREA] = call.area
    if end.cached:
        attributes[spans.CACHED] = True
    error = None
    if end.outcome is not CallOutcome.COMPLETE:
        error = f"{end.error_type or end.outcome}: {end.error_message}"
        attributes[spans.ERROR_TYPE] = end.error_type or str(end.outcome)
    run = None if call.run is None or call.run.trace == call.trace else parse(call.run.trace)
    links = () if run is None else (run[0],)
    name = f"call {call.function}"
    return Span(name, spans.SERVER, context, parent, start_ns, time.time_ns(), attributes, error, links)
