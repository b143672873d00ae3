"""Trace context between us and the OpenTelemetry API, where a program has loaded it: what is current there
goes with a job, and a function runs inside its attempt's span. Nothing is loaded that the program has not.
"""

import sys
from typing import Any

from schemas.telemetry.spans import parse

API = "opentelemetry.trace"
"""Loaded by every program that traces anything with OpenTelemetry."""


def traceparent() -> str | None:
    """The current span of the calling context as a W3C header; None if there is none."""
    api: Any = sys.modules.get(API)
    if api is None:
        return None
    found = api.get_current_span().get_span_context()
    if not found.is_valid:
        return None
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{int(found.trace_flags):02x}"


def enter(header: str) -> None:
    """Makes the span that the header names current in the calling context, for good; nothing if it names
    none.
    """
    api: Any = sys.modules.get(API)
    found = parse(header)
    if api is None or found is None:
        return
    from opentelemetry.context import attach  # noqa: PLC0415  # a part of what is loaded

    (trace_id, span_id), flags = found
    span = api.SpanContext(trace_id, span_id, is_remote=True, trace_flags=api.TraceFlags(flags))
    attach(api.set_span_in_context(api.NonRecordingSpan(span)))
