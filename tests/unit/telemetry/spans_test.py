"""Which jobs are traced, by ids that every process finds by itself, and what becomes of untaken spans."""

import pytest

from schemas.settings import traces
from schemas.telemetry.spans import EVERY, INTERNAL, TALLIES_MAX, Context, Span, Tracer, parse

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SPAN = Span("s", INTERNAL, Context(1, 2), 0, 0, 1, {})


def test_ids_are_the_same_everywhere() -> None:
    """Two processes that never spoke find the same ids for the same attempt, and others for another."""
    one, two = Tracer({}).of_job(None, "j", 5, "f"), Tracer({}).of_job(None, "j", 5, "f")
    assert one is not None
    assert one == two
    again = Tracer({}).of_job(None, "j", 6, "f")  # an id that was used again after a purge
    assert again is not None
    spans = {one.job(), one.attempt(1), one.attempt(2), one.part(1, "run"), one.part(1, "receipt")}
    assert len({span.span for span in spans}) == 5
    assert {span.trace for span in spans} == {one.trace}
    assert again.trace != one.trace
    assert parse(one.job().traceparent) == (one.job(), 1)


def test_a_trace_that_came_is_gone_on_with() -> None:
    """The job is in its submitter's trace, below its span; one that is not sampled is not traced."""
    trace = Tracer({}).of_job(GIVEN, "j", 5, "f")
    assert trace is not None
    assert f"{trace.trace:032x}" == GIVEN[3:35]
    assert f"{trace.parent:016x}" == GIVEN[36:52]
    assert Tracer({}).of_job(GIVEN[:-1] + "0", "j", 5, "f") is None


@pytest.mark.parametrize(
    "bad",
    [
        *("", "00", "00-xyz-1-01", GIVEN.replace("4", "g"), "ff" + GIVEN[2:], "00-" + "0" * 32 + GIVEN[35:]),
        *("00-0x" + GIVEN[5:], "00-+" + GIVEN[4:], GIVEN.replace("4b", "4_"), GIVEN[:-2] + "\u0661\u0661"),
    ],
)
def test_what_is_no_traceparent_is_ignored(bad: str) -> None:
    """The job begins a trace of its own."""
    assert parse(bad) is None
    assert Tracer({}).of_job(bad, "j", 5, "f") == Tracer({}).of_job(None, "j", 5, "f")


def test_choices() -> None:
    """A function's word, else the one for all others, else every job."""
    tracer = Tracer(traces("a=off,b=1/10,c=aggregate,*=every"))
    assert tracer.of_job(None, "j", 1, "a") is None
    assert tracer.of_job(None, "j", 1, "c") is None
    assert tracer.of_job(None, "j", 1, "d") is not None
    assert Tracer({}).mode("x") == EVERY
    sampled = sum(tracer.of_job(None, f"j{number}", 1, "b") is not None for number in range(2_000))
    assert 120 < sampled < 280


def test_spans_nobody_takes_are_dropped_and_counted() -> None:
    """Above the limit a span costs nothing but a number."""
    tracer = Tracer({}, spans_max=3)
    for _ in range(5):
        tracer.add(SPAN)
    assert tracer.dropped == 2
    assert len(tracer.take(2)) == 2
    assert len(tracer.take(2)) == 1
    assert tracer.take(2) == []


def test_an_aggregate_is_one_span() -> None:
    """A million small jobs are one span for each interval: count, errors, least, most, sum."""
    now_ns = 10
    tracer = Tracer(traces("*=aggregate"), clock_ns=lambda: now_ns)
    for run_ms in (5, 1, 9):
        tracer.tally("q", "f").add(run_ms, error=run_ms == 9)
    now_ns = 30
    tracer.settle()
    tracer.settle()
    (span,) = tracer.take(10)
    assert (span.name, span.start_ns, span.end_ns) == ("runs f", 10, 30)
    told = {name.removeprefix("jobstream."): value for name, value in span.attributes.items()}
    assert told == {
        "function": "f",
        "queue": "q",
        "count": 3,
        "errors": 1,
        "run_min_ms": 1,
        "run_max_ms": 9,
        "run_sum_ms": 15,
    }


def test_an_aggregate_tells_what_is_new() -> None:
    """The next interval begins where the last one ended, with counts of its own; functions are bounded."""
    now_ns = 10
    tracer = Tracer(traces("*=aggregate"), clock_ns=lambda: now_ns)
    for run_ms in (5, 3):
        tracer.tally("q", "f").add(run_ms, error=False)
        now_ns += 10
        tracer.settle()
    first, second = tracer.take(10)
    assert (first.end_ns, second.start_ns, second.end_ns) == (20, 20, 30)
    assert (second.attributes["jobstream.count"], second.attributes["jobstream.run_max_ms"]) == (1, 3)
    tallies = {id(tracer.tally("q", f"f{number}")) for number in range(TALLIES_MAX + 50)}
    assert len(tallies) <= TALLIES_MAX + 1
