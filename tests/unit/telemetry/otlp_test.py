"""What is sent to a collector, and that a bad one costs nothing but what it was to be sent."""

import time

import pytest

from jobstream.cluster import free_port
from schemas.telemetry import catalogue
from schemas.telemetry.meter import Meter
from schemas.telemetry.otlp import Push
from schemas.telemetry.spans import CONSUMER, INTERNAL, Context, Span, Tracer
from tests.fakes.collector import Mood, collector
from tests.waiting import eventually

SPAN = Span(
    "run f", CONSUMER, Context(1, 2), 3, 10, 20, {"jobstream.job.id": "j"}, "it broke", (Context(1, 9),)
)


@pytest.fixture
def meter() -> Meter:
    """Something that was counted."""
    made = Meter()
    made.counter(catalogue.FACTS).add(("admitted", "q", "f"), 3)
    made.histogram(catalogue.RUN_TIME).observe(("q", "f"), 0.2)
    made.watch(lambda: [(catalogue.ROWS, (), 7), (catalogue.READY, (), True)])
    return made


def test_what_a_collector_gets(meter: Meter) -> None:
    """Counters as sums, gauges, histograms with their bounds; spans with their parents, links and errors; and
    at the end, what is left.
    """
    tracer = Tracer({})
    with collector() as kept:
        push = Push(kept.url, {"service.name": "test"}, meter.read, tracer)
        tracer.add(SPAN)
        push.stop(30)
        assert (push.spans_lost, push.exports_lost) == (0, 0)
        (span,) = kept.spans
        assert (span.name, span.span_id.hex(), span.parent_span_id.hex()) == (
            "run f",
            "0000000000000002",
            "0000000000000003",
        )
        assert (span.kind, span.status.message, span.links[0].span_id.hex()) == (
            CONSUMER,
            "it broke",
            "0000000000000009",
        )
        facts = kept.metrics["jobstream_facts"]
        assert (facts.sum.is_monotonic, facts.sum.data_points[0].as_int) == (True, 3)
        assert kept.metrics["jobstream_rows"].gauge.data_points[0].as_double == 7
        assert kept.metrics["jobstream_ready"].gauge.data_points[0].as_double == 1
        times = kept.metrics["jobstream_run"]
        assert times.histogram.data_points[0].count == 1
        assert tuple(times.histogram.data_points[0].explicit_bounds) == catalogue.SECONDS


@pytest.mark.parametrize("mood", [Mood.SLOW, Mood.GARBAGE, Mood.REFUSES])
def test_a_bad_collector_costs_only_telemetry(meter: Meter, mood: Mood) -> None:
    """However it answers, nobody waits for it, and what it did not take is counted."""
    tracer = Tracer({}, spans_max=100)
    with collector(mood) as kept:
        push = Push(kept.url, {}, meter.read, tracer)
        tracer.add(SPAN)
        eventually(lambda: kept.asked > 0, 30)
        began_s = time.monotonic()
        for number in range(10_000):
            tracer.add(Span("s", INTERNAL, Context(1, number + 1), 0, 0, 1, {}))
        assert time.monotonic() - began_s < 5
        assert tracer.dropped > 9_000
        kept.over.set()
        push.stop(30)
        assert push.spans_lost >= 1
        assert push.exports_lost >= 1


def test_no_collector_at_all(meter: Meter) -> None:
    """Nobody listens there: the same."""
    tracer = Tracer({})
    push = Push(f"http://127.0.0.1:{free_port()}", {}, meter.read, tracer)
    tracer.add(SPAN)
    push.stop(30)
    assert push.spans_lost == 1
    assert push.exports_lost == 1
