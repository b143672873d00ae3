"""What the demo makes of facts, and how it tells right from wrong."""

from typing import Any

from jobstream.demo.main import wrong
from jobstream.demo.measure import Measure
from jobstream.demo.report import by_package, last_line
from jobstream.demo.tally import Tally, percentile
from schemas.events import Fact
from schemas.words import FactKind, Phase


def fact(kind: FactKind, phase: Phase | None, job: str = "a", **more: Any) -> Fact:
    """A fact about a job of one function."""
    fields: dict[str, Any] = {
        "key": job,
        "partition": 0,
        "at_ms": 1,
        "function": "f",
        "attempt": 1,
        "epoch": 1,
    }
    return Fact(fact=kind, job=job, phase=phase, **fields | more)


def test_a_job_ends_in_its_last_phase() -> None:
    """The phase of the last fact counts; results and waits come with the success."""
    tally = Tally()
    tally.add(fact(FactKind.ADMITTED, Phase.READY))
    assert tally.ended() == 0
    tally.add(fact(FactKind.SUCCEEDED, Phase.SUCCEEDED, result=b'{"lines": 3}', queued_ms=4, start_ms=1))
    assert tally.ended("f") == 1
    assert tally.results("f") == {"a": {"lines": 3}}
    assert tally.stories["a"].start_ms == 5


def test_a_fact_written_twice_counts_once() -> None:
    """A replay writes a fact again; another epoch's is another."""
    tally = Tally()
    for epoch in (1, 1, 2):
        tally.add(fact(FactKind.FAILED, Phase.RETRYING, epoch=epoch))
    assert tally.facts(FactKind.FAILED) == 2


def test_a_lost_job_is_told() -> None:
    """A job that did not end, or results that differ, make the demo fail."""
    tally = Tally()
    tally.add(fact(FactKind.ADMITTED, Phase.READY))
    assert "jobs were lost" in wrong(tally, {}, {}, lost=1)
    found = wrong(tally, {"os": Measure(lines=1)}, {"os": Measure(lines=2)}, lost=0)
    assert "the results of the jobs differ from what was measured directly" in found


def test_the_last_line() -> None:
    """The last line counts jobs by their ends."""
    tally = Tally()
    for job, phase in (("a", Phase.SUCCEEDED), ("b", Phase.DEAD), ("c", Phase.CANCELLED)):
        tally.add(fact(FactKind.ADMITTED, phase, job=job))
    assert last_line(tally, 0) == "demo: 3 jobs, 1 succeeded, 1 dead, 1 cancelled, 0 lost"


def test_measures_add_up_by_package() -> None:
    """Counts add up, the depth is the largest."""
    measures = {"a": Measure(lines=1, depth_max=2), "b": Measure(lines=2, depth_max=5), "c": Measure(lines=4)}
    assert by_package(measures, {"a": "os", "b": "os", "c": "re"}) == {
        "os": Measure(lines=3, depth_max=5),
        "re": Measure(lines=4),
    }


def test_percentiles() -> None:
    """Nearest rank, and 0 of nothing."""
    assert percentile([], 0.5) == 0
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(list(range(100)), 0.99) == 99
