"""Unique jobs in a partition: what becomes of the second request, also across restarts and snapshots."""

import pytest

from schemas.events import QueueConfig
from schemas.words import LanePolicy
from streams import saving
from streams.partition import Partition
from tests.fakes.desk import Desk

BOTH = "{}"
REPLACE = '{"then":"replace"}'


def test_the_second_request_is_told_of_the_first() -> None:
    """A fact about the id that was asked for, with the job that is the answer; there is no second job."""
    desk = Desk()
    first = desk.request(id="a", unique=BOTH)
    assert first.early == (), "its dispatch depends on other rows"
    second = desk.request(id="b", unique=BOTH)
    (fact,) = second.facts
    assert (fact.fact, fact.job, fact.duplicate_of, fact.phase) == ("deduplicated", "b", "a", "ready")
    assert (second.rows, second.dispatches) == ([], [])
    assert "b" not in desk.partition.jobs
    assert desk.request(id="c", unique=BOTH, args=b"[2]").told == ["admitted"]


def test_an_id_that_is_known_is_answered_with_its_own_job() -> None:
    """The same request once more is no conflict with itself."""
    desk = Desk()
    desk.request(id="a", unique=BOTH)
    (fact,) = desk.request(id="a", unique=BOTH).facts
    assert (fact.fact, fact.job, fact.duplicate_of) == ("deduplicated", "a", None)


def test_one_that_has_ended_in_its_window_tells_how() -> None:
    """Whoever asks for it again has the result."""
    desk = Desk()
    window = '{"window_ms":60000}'
    desk.request(id="a", unique=window)
    desk.receipt("a", result=b"7", result_type="application/json")
    (fact,) = desk.request(id="b", unique=window).facts
    assert (fact.phase, fact.result, fact.duplicate_of) == ("succeeded", b"7", "a")
    assert desk.request(id="c", unique=BOTH).told == ["admitted"]


def test_a_job_that_waits_is_replaced() -> None:
    """It is cancelled, with the reason, and the new one says so; one that runs is the answer instead."""
    desk = Desk()
    desk.request(id="a", unique=REPLACE)
    second = desk.request(id="b", unique=REPLACE)
    assert [(fact.fact, fact.job, fact.replaced) for fact in second.facts] == [
        ("admitted", "b", "a"),
        ("cancelled", "a", None),
    ] or [(fact.fact, fact.job, fact.replaced) for fact in second.facts] == [
        ("cancelled", "a", None),
        ("admitted", "b", "a"),
    ]
    assert desk.partition.jobs["a"].end_reason == "replaced by b"
    assert [(control.job, control.epoch) for control in second.controls] == [("a", 1)]
    desk.beat("b")
    (fact,) = desk.request(id="c", unique=REPLACE).facts
    assert (fact.fact, fact.duplicate_of) == ("deduplicated", "b")
    later = desk.request(id="d", unique=REPLACE, args=b"[2]", run_at_ms=desk.now_ms + 60_000)
    assert later.told == ["admitted"]
    (told,) = (fact for fact in desk.request(id="e", unique=REPLACE, args=b"[2]").facts if fact.job == "e")
    assert told.replaced == "d"


def test_in_a_lane_the_new_job_does_not_come_after_the_one_it_replaces() -> None:
    """That one will never succeed: the new one comes after whoever was before it, or begins the lane."""
    desk = Desk(lanes={"default": LanePolicy.GOES_ON})
    desk.request(id="a", unique=REPLACE)
    (alone,) = desk.request(id="b", unique=REPLACE).dispatches
    assert (alone.job, alone.after_job) == ("b", None)
    desk.request(id="c", unique=REPLACE, args=b"[2]")
    (behind,) = desk.request(id="d", unique=REPLACE, args=b"[2]").dispatches
    assert (behind.job, behind.after_job) == ("d", "b")


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_restart_knows_what_is_unique(*, snapshot: bool) -> None:
    """From the log, and from a snapshot, where what waits for long lies packed."""
    desk = Desk(lanes={"default": LanePolicy.GOES_ON})
    desk.request(id="a", unique=BOTH, run_at_ms=desk.now_ms + 3_600_000)
    for number in range(20):
        desk.request(id=f"j{number}", args=b"[3]")
    if snapshot:
        other = Partition(desk.number, desk.topics, desk.queues)
        for chunk in saving.save(desk.partition.rows):
            saving.load(other.rows, chunk)
        other.begin(desk.ends(), desk.ends())
        desk.partition = other
    else:
        desk.crash()
    (fact,) = desk.request(id="b", unique=BOTH).facts
    assert fact.duplicate_of == "a"
    for number in range(20):
        desk.receipt(f"j{number}")
    assert {desk.partition.jobs[f"j{number}"].phase for number in range(20)} == {"succeeded"}


def test_a_queue_in_order_takes_no_priority() -> None:
    """Its order is another; an operator's word for all jobs of a function does not count there."""
    desk = Desk(lanes={"default": LanePolicy.GOES_ON})
    refused = desk.request(id="a", priority="high").reject
    assert refused.reason == "priority must be left out in queue default, whose jobs run in order, got high"
    desk.config(QueueConfig(queue="default", version=1, priority="1"))
    (dispatch,) = desk.request(id="b").dispatches
    assert dispatch.priority is None


def test_a_dispatch_tells_its_priority() -> None:
    """As a number; null where it is as usual."""
    desk = Desk()
    found = {
        said: desk.request(id=f"j-{said}", priority=said).dispatches[0].priority
        for said in ("1", "5", "high", "normal", "low", "3")
    }
    assert found == {"1": 1, "5": 5, "high": 2, "normal": None, "low": 4, "3": 3}
