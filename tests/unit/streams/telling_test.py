"""What a worker tells of what it decides: counts by queue and function, times, and one trace for each job."""

import json
from pathlib import Path

import pytest

from schemas.codec import encode
from schemas.events import JobRequest
from schemas.settings import Settings
from schemas.telemetry import catalogue, logs, spans
from schemas.telemetry.meter import Spread, value_of
from schemas.telemetry.process import Telemetry
from schemas.telemetry.spans import Span
from streams.cloudevents import headers_of
from streams.hotkeys import HotKeys
from streams.partition import Partition
from streams.telling import Telling
from tests.fakes.desk import KEYS, Desk

KEY = KEYS[0]
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTLP = "http://127.0.0.1:1"


class Told:
    """A desk, and what is told of it."""

    def __init__(self, **settings: str) -> None:
        self.telemetry = Telemetry(Settings(**{"otlp": OTLP, **settings}), "streams")  # type: ignore[arg-type]
        self.telling = Telling(self.telemetry)
        self.desk = Desk(observer=self.telling)

    def count(self, metric: catalogue.Metric, *labels: str) -> float:
        """One value."""
        return value_of(self.telemetry.meter.read(), metric, labels)

    def spans(self) -> dict[str, Span]:
        """The spans, by name and attempt."""
        assert self.telemetry.tracer is not None
        self.telemetry.tracer.settle()
        found = self.telemetry.tracer.take(100)
        return {f"{span.name} {span.attributes.get(spans.ATTEMPT, '')}".strip(): span for span in found}

    def run(self, id: str, outcome: str = "success", epoch: int = 1, **fields: object) -> None:
        """The receipt of an attempt that ran for 20 ms."""
        at_ms = self.desk.now_ms
        told = {"assigned_at_ms": at_ms + 5, "started_at_ms": at_ms + 7, "run_ms": 20, "minion": "m1"}
        self.desk.receipt(id, epoch, outcome, **told, **fields)


def test_counts_and_times() -> None:
    """Facts, retries by reason, times of attempts, jobs by partition; a repeated request counts once."""
    told = Told()
    told.desk.request(id="j1")
    told.desk.request(id="j1")
    told.run("j1", "failure", error_type="ValueError")
    labels = ("default", "mail.send")
    assert told.count(catalogue.FACTS, "admitted", *labels) == 1
    assert told.count(catalogue.FACTS, "deduplicated", *labels) == 1
    assert told.count(catalogue.RETRIES, *labels, "error") == 1
    told.desk.tick(told.desk.now_ms + 10_000)
    assert told.count(catalogue.TIMER_LATENESS) == 1
    told.run("j1", epoch=2)
    assert told.count(catalogue.RUN_TIME, *labels) == 2
    assert told.count(catalogue.SUBMIT_TO_START, *labels) == 1
    assert told.count(catalogue.PARTITION_JOBS, str(told.desk.number)) == 1
    run = next(each for each in told.telemetry.meter.read() if each.metric is catalogue.RUN_TIME)
    spread = run.values[labels]
    assert isinstance(spread, Spread)
    assert spread.total == pytest.approx(0.04)


def test_refusals_are_counted_by_code() -> None:
    """A record that is refused is one more of its code."""
    told = Told()
    told.desk.ask(KEY.encode(), function="f", nonsense=1)
    assert told.count(catalogue.REFUSED, "unknown_field") == 1


def test_what_is_answered_or_refused_is_a_fact_too() -> None:
    """A request that another job answers, and one that is refused with an id, are counted as such."""
    told = Told()
    told.desk.request(id="j1", unique="{}")
    told.desk.request(id="j2", unique="{}")
    told.desk.request(id="j3", priority="soon")
    assert told.count(catalogue.FACTS, "deduplicated", "default", "mail.send") == 1
    assert told.count(catalogue.FACTS, "rejected", "", "") == 1
    assert told.count(catalogue.REFUSED, "bad_field") == 1


@pytest.mark.parametrize(("measure", "facts", "times"), [("full", 1, 1), ("counters", 1, 0), ("off", 0, 0)])
def test_closeness(measure: str, facts: int, times: int) -> None:
    """A function may be measured in full, by counters alone, or not at all."""
    told = Told(measure=f"mail.send={measure}")
    told.desk.request(id="j1")
    told.run("j1")
    assert told.count(catalogue.FACTS, "succeeded", "default", "mail.send") == facts
    assert told.count(catalogue.RUN_TIME, "default", "mail.send") == times


def test_a_job_is_one_trace() -> None:
    """The job is below its submitter's span, each attempt below the job and linked to the one before; an
    error is told.
    """
    told = Told()
    told.desk.request(id="j1", trace=TRACE)
    told.run("j1", "failure", error_type="ValueError", error_message="no")
    told.desk.tick(told.desk.now_ms + 10_000)
    told.run("j1", epoch=2)
    found = told.spans()
    assert set(found) == {
        "attempt mail.send 1",
        "attempt mail.send 2",
        "receipt default",
        "job mail.send 2",
    }
    assert {f"{span.context.trace:032x}" for span in found.values()} == {TRACE[3:35]}
    job, first, second = (
        found[name] for name in ("job mail.send 2", "attempt mail.send 1", "attempt mail.send 2")
    )
    assert f"{job.parent:016x}" == TRACE[36:52]
    assert (first.parent, second.parent) == (job.context.span,) * 2
    assert (first.links, second.links) == ((), (first.context,))
    assert (first.error, second.error) == ("ValueError: no", None)
    assert found["receipt default"].parent == second.context.span
    assert job.start_ns <= first.start_ns < first.end_ns <= second.start_ns <= job.end_ns


def test_a_job_has_one_span_whatever_comes_after_its_end() -> None:
    """Its result is dropped before the job itself: that ends nothing."""
    told = Told()
    told.desk.request(id="j1", result_retention_ms=60_000)
    told.run("j1", result=b"7", result_type="application/json")
    told.desk.tick(told.desk.now_ms + 61_000)
    assert told.count(catalogue.FACTS, "result_dropped", "default", "mail.send") == 1
    assert told.telemetry.tracer is not None
    told.telemetry.tracer.settle()
    assert [span.name for span in told.telemetry.tracer.take(100)].count("job mail.send") == 1


def test_a_job_without_a_submitters_trace_has_its_own() -> None:
    """Its span is the root; a dead one is an error."""
    told = Told()
    told.desk.request(id="j1", attempts_max=1)
    told.run("j1", "failure", error_type="ValueError")
    job = told.spans()["job mail.send 1"]
    assert job.parent == 0
    assert job.error is not None
    assert job.error.startswith("dead")


def test_traces_can_be_aggregated_or_off() -> None:
    """One span for all attempts of an interval; none at all; and without a collector nothing is kept."""
    told = Told(trace="*=aggregate")
    for number in range(10):
        told.desk.request(id=f"j{number}")
        told.run(f"j{number}")
    (span,) = told.spans().values()
    assert (span.name, span.attributes[spans.COUNT]) == ("runs mail.send", 10)
    told = Told(trace="*=off")
    told.desk.request(id="j1")
    told.run("j1")
    assert told.spans() == {}
    assert Telemetry(Settings(), "streams").tracer is None


def test_facts_are_lines_with_the_jobs_id(tmp_path: Path) -> None:
    """Where `facts_log` says so; the time is when it was decided."""
    path = tmp_path / "facts.json"
    logs.begin(Settings(facts_log=str(path)), "streams")
    told = Told()
    told.desk.request(id="j1")
    told.run("j1", "failure", error_type="ValueError")
    logs.end()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["event.action"], line["event.outcome"], line["jobstream.job.id"]) for line in lines] == [
        ("admitted", "success", "j1"),
        ("failed", "failure", "j1"),
    ]
    assert (lines[1]["error.type"], lines[1]["jobstream.run_ms"]) == ("ValueError", 20)


def test_what_is_sent_again_is_not_told_again() -> None:
    """After a crash effects are sent again, but nothing new has happened."""
    told = Told()
    told.desk.request(id="j1")
    told.run("j1")
    before = told.count(catalogue.FACTS, "succeeded", "default", "mail.send")
    told.desk.crash({told.desk.topics.requests: 0})
    assert told.count(catalogue.FACTS, "succeeded", "default", "mail.send") == before == 1


def add(keys: HotKeys, queue: str, key: str | None) -> None:
    """One more job of a queue."""
    found = keys.of(queue)
    assert found is not None
    found.add(key)


def test_functions_are_bounded() -> None:
    """Beyond the limit all functions are one, and nothing is kept for each fact."""
    told = Told()
    for number in range(catalogue.SERIES_MAX + 50):
        told.desk.request(id=f"j{number}", function=f"f{number}")
    assert told.count(catalogue.FACTS, *[catalogue.OTHER] * 3) == 50
    assert len(told.telling._series) == catalogue.SERIES_MAX


def test_a_hot_key_is_found() -> None:
    """A key that half of a queue's jobs have shows as a half, among many keys and jobs without any."""
    keys = HotKeys()
    for number in range(1_000):
        add(keys, "q", "hot" if number % 2 else f"k{number}")
        add(keys, "even", f"k{number % 200}")
        add(keys, "none", None)
    add(keys, "few", "hot")
    shares = keys.shares()
    assert 0.4 < shares["q"] <= 0.5
    assert shares["even"] < 0.1
    assert shares["none"] == 0
    assert "few" not in shares


def test_facts_as_cloud_events() -> None:
    """Where it is wanted each fact has the headers of the binary mode, and one that is told again the same
    id; elsewhere it has none.
    """
    desk = Desk()
    partition = Partition(desk.number, desk.topics, desk.queues, None, headers_of("jobs."))
    begins = dict.fromkeys(partition.positions(), 0)
    partition.begin(begins, begins)
    request = encode(JobRequest(id="j1", key=KEY, function="f"))
    writes = partition.apply(desk.write(desk.topics.requests, None, request))
    (out,) = [out for out in writes.first if out.topic == desk.topics.facts]
    headers = dict(out.headers)
    assert headers["ce_type"] == b"jobstream.admitted"
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_subject"] == b"j1"
    assert headers["ce_source"] == f"/jobstream/jobs./{desk.number}".encode()
    assert headers["ce_id"].startswith(b"j1/")
    assert headers["ce_time"].endswith(b"Z")
    told = [out for out in desk.request(id="j2").first if out.topic == desk.topics.facts]
    assert [out.headers for out in told] == [()]
