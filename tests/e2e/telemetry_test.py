"""A job's trace and what processes measure, through real processes and over OTLP, to a collector."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobstream import Client
from jobstream.cluster.child import Child
from jobstream.cluster.up import Cluster
from schemas.telemetry import catalogue
from schemas.telemetry.otlp import otlp_name
from tests.e2e.functions import flaky
from tests.fakes.collector import Collector, collector
from tests.waiting import eventually_async

pytestmark = pytest.mark.full

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
TOLD_S = 60.0


@pytest.fixture
def told() -> Iterator[Collector]:
    """A collector."""
    with collector() as kept:
        yield kept


@pytest.fixture
def traced(
    told: Collector, bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """A cluster whose processes send to it."""
    monkeypatch.setenv("JOBSTREAM_OTLP", told.url)
    with Cluster.start(data=tmp_path, bootstrap=bootstrap, prefix="told.", free_ports=True) as up:
        yield up


async def test_a_job_is_one_trace_through_all_processes(
    told: Collector, traced: Cluster, tmp_path: Path
) -> None:
    """A job that fails once and then succeeds: its spans come from three processes, are in the submitter's
    trace, and hang together; each process's metrics come too.
    """
    command = [sys.executable, "-m", "jobstream", "minion", "tests.e2e.functions", "--relay", traced.relay]
    minion = Child.start(command, log=tmp_path / "minion.log")
    try:
        async with Client(
            f"kafka://{traced.bootstrap}", prefix=traced.prefix, web=f"http://{traced.web}"
        ) as client:
            job = await client.submit(replace(flaky.request(1), trace=f"00-{TRACE}-{SPAN}-01"))
            assert await job.result(timeout=TOLD_S) == 2
        wanted = ["attempt e2e.flaky"] * 2 + ["dispatch default"] * 2 + ["job e2e.flaky"]
        wanted += ["receipt default"] * 2 + ["run e2e.flaky"] * 2

        async def complete() -> bool:
            assert told.names() == wanted, told.names()
            for metric in (catalogue.FACTS, catalogue.ASSIGNED, catalogue.ATTEMPTS, catalogue.HTTP_STREAMS):
                assert otlp_name(metric) in told.metrics
            return True

        await eventually_async(complete, TOLD_S)
    finally:
        minion.kill()
    check(told.spans)


def check(spans: list[Any]) -> None:
    """They are one tree in the submitter's trace."""
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    by_id = {span.span_id: span for span in spans}
    (job,) = (span for span in spans if span.name.startswith("job"))
    assert job.parent_span_id.hex() == SPAN
    attempts = [span for span in spans if span.name.startswith("attempt")]
    assert {attempt.parent_span_id for attempt in attempts} == {job.span_id}
    first, second = sorted(attempts, key=lambda span: span.start_time_unix_nano)
    assert [link.span_id for link in second.links] == [first.span_id]
    assert first.status.message.startswith("ConnectionError")
    for span in spans:
        if span not in (job, first, second):
            assert by_id[span.parent_span_id] in (first, second)
