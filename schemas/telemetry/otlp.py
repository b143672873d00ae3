"""Sends metrics and spans to a collector over OTLP (HTTP, protobuf), with OpenTelemetry's own exporters.

Owns one thread. Must never hold up anything: a collector that is absent, slow, or answers nonsense costs what
was to be sent, which is counted. Headers and certificates are those of the environment that OpenTelemetry
documents (OTEL_EXPORTER_OTLP_HEADERS, ...).
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from schemas.telemetry.catalogue import Kind, Metric
from schemas.telemetry.meter import Family, Spread
from schemas.telemetry.spans import Context, Span, Tracer

log = logging.getLogger("jobstream.telemetry")

SPANS_EVERY_S: Final = 1.0
METRICS_EVERY_S: Final = 10.0
"""How often is sent. Aggregates cover as long."""

SPANS_AT_ONCE: Final = 512

BATCHES_AT_ONCE: Final = 20
"""Batches of spans sent before it looks at anything else."""

SEND_S: Final = 3.0
"""How long one request may take, tries and pauses included."""

SCOPE: Final = "jobstream"

OTHERS_LOG: Final = "opentelemetry"
"""The exporters' own logger, which would repeat itself: what fails is told once by ours."""


class NoExporter(Exception):
    """What is needed to send is not installed; the text is a sentence."""


class Push:
    """Sends what a process measures and traces until it is stopped."""

    def __init__(
        self,
        url: str,
        about: Mapping[str, str | int],
        read: Callable[[], Sequence[Family]],
        tracer: Tracer,
    ) -> None:
        """Begins at once.

        Raises:
            NoExporter: the extra `telemetry` is not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http import metric_exporter, trace_exporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        except ModuleNotFoundError as missing:
            raise NoExporter(
                f"otlp needs the extra telemetry, which is not installed ({missing.name} is missing):"
                " pip install 'jobstream[telemetry]'"
            ) from None
        logging.getLogger(OTHERS_LOG).setLevel(logging.CRITICAL)
        base = url.rstrip("/")
        self._spans = trace_exporter.OTLPSpanExporter(f"{base}/v1/traces", timeout=SEND_S)
        self._metrics = metric_exporter.OTLPMetricExporter(f"{base}/v1/metrics", timeout=SEND_S)
        self._resource = Resource(dict(about))
        self._url = url
        self._read = read
        self._tracer = tracer
        self._began_ns = time.time_ns()
        self._stopping = threading.Event()
        self._failing = False
        self.spans_lost = 0
        """Spans that the collector did not take."""
        self.exports_lost = 0
        """Times that it did not take the metrics."""
        self._thread = threading.Thread(target=self._run, name="jobstream-otlp", daemon=True)
        self._thread.start()

    def stop(self, within_s: float = SEND_S) -> None:
        """Sends what is left, for so long at most, and ends the thread."""
        self._stopping.set()
        self._thread.join(within_s)
        self._spans.shutdown()  # type: ignore[no-untyped-call]  # its types forgot it
        self._metrics.shutdown()

    def _run(self) -> None:
        due_s = time.monotonic() + METRICS_EVERY_S
        while not self._stopping.wait(SPANS_EVERY_S):
            self._send_spans()
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + METRICS_EVERY_S
                self._tracer.settle()
                self._send_metrics()
        self._tracer.settle()
        self._send_spans()
        self._send_metrics()

    def _send_spans(self) -> None:
        for _ in range(BATCHES_AT_ONCE):
            spans = self._tracer.take(SPANS_AT_ONCE)
            if not spans:
                return
            if not self._sent(partial(self._export_spans, spans)):
                self.spans_lost += len(spans)

    def _export_spans(self, spans: Sequence[Span]) -> Any:
        return self._spans.export([_readable(self._resource, span) for span in spans])

    def _send_metrics(self) -> None:
        if not self._sent(self._export_metrics):
            self.exports_lost += 1

    def _export_metrics(self) -> Any:
        return self._metrics.export(self._points(self._read()))

    def _sent(self, send: Callable[[], Any]) -> bool:
        """True if the collector took it; what goes wrong is told when it begins and when it ends."""
        try:
            sent, why = send().name == "SUCCESS", "it did not take what was sent"
        except Exception as error:  # noqa: BLE001  # whatever a collector does to us must end here
            sent, why = False, f"{type(error).__name__}: {error}"
        if sent and self._failing:
            log.info("telemetry is sent again url=%s", self._url)
        elif not sent and not self._failing:
            log.warning("telemetry is lost until the collector takes it url=%s reason=%r", self._url, why)
        self._failing = not sent
        return bool(sent)

    def _points(self, families: Iterable[Family]) -> Any:
        from opentelemetry.sdk.metrics import export  # noqa: PLC0415
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415

        now_ns = time.time_ns()
        metrics = [
            export.Metric(otlp_name(each.metric), each.metric.doc, each.metric.unit, self._data(each, now_ns))
            for each in families
        ]
        scope = export.ScopeMetrics(InstrumentationScope(SCOPE), metrics, "")
        return export.MetricsData([export.ResourceMetrics(self._resource, [scope], "")])

    def _data(self, family: Family, now_ns: int) -> Any:
        from opentelemetry.sdk.metrics import export  # noqa: PLC0415

        names, ever = family.metric.labels, export.AggregationTemporality.CUMULATIVE
        if family.metric.kind is Kind.HISTOGRAM:
            spreads = [
                export.HistogramDataPoint(
                    dict(zip(names, labels, strict=True)),
                    self._began_ns,
                    now_ns,
                    sum(value.counts),
                    value.total,
                    value.counts,
                    family.metric.buckets,
                    float("nan"),
                    float("nan"),
                )
                for labels, value in family.values.items()
                if isinstance(value, Spread)
            ]
            return export.Histogram(spreads, ever)
        points = [
            export.NumberDataPoint(dict(zip(names, labels, strict=True)), self._began_ns, now_ns, value)
            for labels, value in family.values.items()
            if not isinstance(value, Spread)
        ]
        return (
            export.Gauge(points)
            if family.metric.kind is Kind.GAUGE
            else export.Sum(points, ever, is_monotonic=True)
        )


def otlp_name(metric: Metric) -> str:
    """A metric's name without what a collector's Prometheus exporter adds by itself: unit and `_total`."""
    name = metric.name.removesuffix("_total")
    return name.removesuffix("_seconds") if metric.unit == "s" else name


def _readable(resource: Any, span: Span) -> Any:
    """A span as the exporter wants it."""
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415

    def context(of: Context) -> trace.SpanContext:
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        return trace.SpanContext(of.trace, of.span, is_remote=True, trace_flags=flags)

    failed = span.error is not None
    return ReadableSpan(
        span.name,
        context(span.context),
        context(Context(span.context.trace, span.parent)) if span.parent else None,
        resource,
        dict(span.attributes),
        links=[trace.Link(context(each)) for each in span.links],
        kind=trace.SpanKind(span.kind - 1),  # OTLP has one more, for unspecified
        status=trace.Status(trace.StatusCode.ERROR, span.error) if failed else trace.Status(),
        start_time=span.start_ns,
        end_time=max(span.end_ns, span.start_ns),
        instrumentation_scope=InstrumentationScope(SCOPE),
    )
