"""Lanes: jobs of one key in their order, one at a time, whatever happens to each of them."""

import pytest

from schemas.events import JobRow
from schemas.records import replace
from schemas.words import FactKind, LanePolicy, Outcome, Phase, Verdict, WaitReason
from streams.core import facts
from streams.core.effect import DispatchJob, TellRelays
from streams.core.events import DispatchAged, Source
from streams.core.job import Step
from streams.core.lane import AHEAD, Lanes
from streams.core.records import dispatch_record, fact_record
from streams.core.rejection import Rejection
from streams.core.status import waiting_for
from tests.life import T0, Life, in_phase, spec

NAME = ("default", "key-1")


def member(life: Life, *, turn: bool = True, **fields: object) -> Life:
    """A job of a lane is asked for."""
    life.submit(turn=turn, **{"lane": LanePolicy.GOES_ON, **fields})
    return life


def come(life: Life, *, served: bool = False) -> Step:
    """Its turn, or a minion, comes."""
    step = life.served() if served else life.turn_came()
    assert isinstance(step, Step)
    return step


def told(step: object) -> list[type]:
    """The facts of a step."""
    assert isinstance(step, Step)
    return [type(fact) for fact in step.facts]


def test_a_job_whose_turn_has_not_come_waits_and_says_so() -> None:
    """It is dispatched when its turn comes, once."""
    life = member(Life(), turn=False)
    assert (life.row.phase, life.row.wait_reason, life.row.epoch) == (Phase.SCHEDULED, WaitReason.LANE, 0)
    assert waiting_for(life.row, T0) == "its turn: jobs of key key-1 in queue default run one at a time"
    step = come(life)
    assert step.effects == (DispatchJob(1),)
    assert (life.row.phase, life.row.attempt) == (Phase.READY, 1)
    assert told(come(life)) == []


@pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.INTERRUPTED, Outcome.PARKED])
def test_what_is_offered_again_waits_for_its_turn(outcome: Outcome) -> None:
    """Another job of the lane may be with a relay still."""
    life = member(Life())
    assert told(life.end(outcome)) == [facts.Parked]
    assert (life.row.wait_reason, life.row.due_at_ms) == (WaitReason.LANE, None)
    assert life.row.attempt == (2 if outcome == Outcome.LOST else 1)
    assert len(life.row.attempts) == (0 if outcome == Outcome.PARKED else 1)


def test_a_retry_waits_for_its_turn_when_its_time_has_come() -> None:
    """The delay first, then the lane."""
    life = member(Life())
    life.fail()
    assert told(life.tick(10_000)) == [facts.Parked]
    assert life.row.attempt == 2
    assert come(life).effects == (DispatchJob(2),)


def test_silence_parks_and_calls_off() -> None:
    """The minion that fell silent must not run on beside the next attempt."""
    life = member(Life())
    life.start()
    step = life.tick(5_000)
    assert isinstance(step, Step)
    assert step.effects == (TellRelays(1),)
    assert life.row.attempts[-1].outcome == Verdict.SILENT


def test_an_old_dispatch_is_parked() -> None:
    """Its new one is made when its turn comes."""
    life = member(Life())
    life.now_ms += 900 * 86_400_000
    assert told(life.apply(DispatchAged(*life.place(Source.TIMERS)))) == [facts.Parked]


def test_a_job_without_a_minion_waits_for_it_and_then_for_its_turn() -> None:
    """Also if both come at once."""
    life = member(Life())
    life.end(Outcome.UNSERVED)
    assert waiting_for(life.row, T0) == "no minion has mail.send"
    assert told(come(life, served=True)) == [facts.Parked]
    assert come(life).effects == (DispatchJob(2),)


def test_a_job_of_no_lane_is_dispatched_when_a_minion_comes() -> None:
    """No second passes before."""
    life = Life()
    life.submit()
    life.end(Outcome.UNSERVED)
    assert come(life, served=True).effects == (DispatchJob(2),)


def test_someone_who_asks_for_a_retry_waits_for_the_lane_too() -> None:
    """A dead job begins anew, in its place; the reason is told."""
    life = member(Life())
    life.fail(non_retryable=True)
    assert life.row.phase == Phase.DEAD
    step = life.retry(by="ops")
    assert told(step) == [facts.Parked]
    assert (life.row.failed, life.row.attempt, life.row.ended_at_ms) == (0, 1, None)
    assert isinstance(step, Step)
    record = fact_record(None, step.facts[0], life.row)
    assert (record.fact, record.reason) == (FactKind.PARKED, "retried by ops")


def test_a_parked_fact_says_what_for() -> None:
    """And what ended, if something did."""
    life = member(Life())
    step = life.end(Outcome.PARKED)
    assert isinstance(step, Step)
    assert fact_record(None, step.facts[0], life.row).reason == "its turn among the jobs of key key-1"


@pytest.mark.parametrize("policy", LanePolicy)
def test_a_dead_job_can_be_cancelled_where_its_lane_waits_for_it(policy: LanePolicy) -> None:
    """Elsewhere it holds nobody up."""
    life = member(Life(), lane=policy)
    life.fail(non_retryable=True)
    answer = life.cancel()
    if policy == LanePolicy.WAITS:
        assert told(answer) == [facts.Cancelled]
    else:
        assert isinstance(answer, Rejection)


def test_a_dispatch_says_whom_it_comes_after() -> None:
    """So that a relay that knows nothing of that one does not run it."""
    life = member(Life())
    row = replace(life.row, after_job="job-0", after_epoch=4)
    dispatch = dispatch_record(row, None)
    assert (dispatch.order, dispatch.after_job, dispatch.after_epoch) == ("key", "job-0", 4)
    ahead = member(Life(), lane=LanePolicy.AHEAD)
    assert dispatch_record(ahead.row, None).order == "key_ahead"


# Who is in a lane, and whose turn it is.


class Key:
    """The jobs of one lane."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobRow] = {}
        self.lanes = Lanes(self.jobs)

    def put(self, id: str, **fields: object) -> JobRow:
        """A job is now so."""
        before = self.jobs.get(id)
        if before is None:
            life = member(Life(), id=id, turn=False)
            before_row, row = None, replace(life.row, **fields)
        else:
            before_row, row = before, replace(before, **fields)
        row = self.lanes.placed(row)
        self.jobs[id] = row
        self.lanes.keep(before_row, row)
        return row

    def ready(self, id: str) -> None:
        """It is dispatched."""
        self.put(id, phase=Phase.READY, wait_reason=None, epoch=self.jobs[id].epoch + 1)

    def ends(self, id: str) -> None:
        """It succeeded."""
        self.put(id, phase=Phase.SUCCEEDED, wait_reason=None)


def test_jobs_are_opened_in_order_each_after_the_one_before() -> None:
    """Up to AHEAD of them at once."""
    key = Key()
    for number in range(AHEAD + 2):
        key.put(f"j{number}")
    opened = []
    while (opening := key.lanes.opening(NAME)) is not None:
        opened.append(opening)
        key.ready(opening[0])
    assert opened[:2] == [("j0", None), ("j1", ("j0", 1))]
    assert len(opened) == AHEAD
    key.ends("j0")
    assert key.lanes.opening(NAME) == (f"j{AHEAD}", (f"j{AHEAD - 1}", 1))


def test_a_lane_begins_anew_only_when_none_of_it_is_with_a_relay() -> None:
    """A job that came back waits for those that were dispatched behind it."""
    key = Key()
    for id in ("j0", "j1", "j2"):
        key.put(id)
        key.ready(id)
    key.put("j0", phase=Phase.SCHEDULED, wait_reason=WaitReason.LANE)
    assert key.lanes.opening(NAME) is None
    key.put("j1", phase=Phase.SCHEDULED, wait_reason=WaitReason.LANE)
    assert key.lanes.opening(NAME) is None
    key.put("j2", phase=Phase.SCHEDULED, wait_reason=WaitReason.LANE)
    assert key.lanes.opening(NAME) == ("j0", None)


def test_a_lane_waits_for_a_job_that_waits() -> None:
    """Its retry, its snooze: the others stay behind it."""
    key = Key()
    key.put("j0", phase=Phase.RETRYING, wait_reason=WaitReason.RETRY)
    key.put("j1")
    assert key.lanes.opening(NAME) is None
    assert key.lanes.turn(NAME) == (False, None)


def test_a_new_job_is_dispatched_at_once_behind_others_that_are() -> None:
    """Or as the first of its lane."""
    key = Key()
    assert key.lanes.turn(NAME) == (True, None)
    key.put("j0")
    key.ready("j0")
    assert key.lanes.turn(NAME) == (True, ("j0", 1))
    for number in range(1, AHEAD):
        key.put(f"j{number}")
        key.ready(f"j{number}")
    assert key.lanes.turn(NAME) == (False, None)


@pytest.mark.parametrize(("policy", "waits"), [(LanePolicy.WAITS, True), (LanePolicy.GOES_ON, False)])
def test_a_dead_job_holds_its_lane_up_only_by_policy(policy: LanePolicy, *, waits: bool) -> None:
    """The queue says which."""
    key = Key()
    key.put("j0", spec=spec(id="j0", lane=policy), phase=Phase.DEAD, wait_reason=None)
    key.put("j1")
    assert (key.lanes.opening(NAME) is None) == waits


def test_a_delayed_job_joins_when_its_time_comes() -> None:
    """It holds nobody up before, and is behind those that came meanwhile."""
    key = Key()
    assert key.put("j0", wait_reason=WaitReason.DELAY).lane_place is None
    key.put("j1")
    assert key.put("j0", wait_reason=WaitReason.LANE).lane_place == 2
    assert key.lanes.opening(NAME) == ("j1", None)
    assert key.put("j0", phase=Phase.CANCELLED).lane_place is None


def test_a_restart_finds_the_same_lanes() -> None:
    """In the order of places, whatever the order of rows."""
    key = Key()
    for id in ("j2", "j0", "j1"):
        key.put(id)
    shuffled = {id: key.jobs[id] for id in ("j0", "j1", "j2")}
    lanes = Lanes(shuffled)
    for row in (*shuffled.values(), in_phase(Phase.READY).row):
        lanes.restore(row)
    assert lanes.begin() == [NAME]
    assert lanes.opening(NAME) == ("j2", None)
    assert lanes.placed(replace(shuffled["j0"], lane_place=None)).lane_place == 4
    assert lanes.opening(("default", "other")) is None


def test_a_job_that_ends_without_having_been_in_a_lane_is_no_matter() -> None:
    """A delayed one that is cancelled, for instance."""
    key = Key()
    row = key.put("j0", wait_reason=WaitReason.DELAY)
    key.lanes.keep(row, None)
    key.put("j1")
    key.put("j2")
    key.ends("j1")
    assert key.lanes.opening(NAME) == ("j2", None)
    key.ends("j2")
    assert key.lanes.turn(NAME) == (True, None)
    life = Life()
    life.submit()
    key.lanes.keep(None, life.row)
    assert key.lanes.placed(life.row) is life.row
    assert key.lanes.opening(NAME) is None
