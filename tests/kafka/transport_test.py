"""The transport on a real broker: what is promised in its package docstring, with processes that die and come
back.
"""

import random
import signal
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from streams.transport.crash import Exit
from tests.kafka.transport_harness import PARTITIONS, Harness, harness
from tests.waiting import eventually

MODES = ("transactional", "idempotent")
CRASHED = 99
"""What a worker's process ends with where the test told it to die."""


@pytest.fixture
def run(bootstrap: str, prefix: str) -> Iterator[Harness]:
    """Topics, workers and load of one test."""
    with harness(bootstrap, prefix) as own:
        yield own


@pytest.mark.parametrize("mode", MODES)
def test_every_record_is_applied_once_and_told_of_in_order(run: Harness, mode: str) -> None:
    """Without faults each input has one effect and one output, in order per key and source, and nothing is
    left uncommitted.
    """
    run.send(3000)
    worker = run.start(mode).ready(PARTITIONS)
    run.send(3000)
    verdict = run.all_told()
    assert worker.stop() == 0
    again = run.start(mode).ready(PARTITIONS)
    assert again.stop() == 0
    assert (verdict.applied_once, verdict.lost, verdict.in_order) == (True, 0, True)
    assert run.verdict().repeated == 0


@pytest.mark.parametrize("stage", ["decided", "written", "atomic", "confirmed"])
@pytest.mark.parametrize("mode", MODES)
def test_a_crash_between_stages_loses_nothing(run: Harness, mode: str, stage: str) -> None:
    """Wherever a process dies, its successor has every input applied once and told of; in transactions told
    of once, but for outputs of the `then` stage, which are sent again from the settled offset on.
    """
    run.send(1000, keys=0)
    crashed = run.start(mode, "slot", BREAK=f"{stage}:2", OUTPUTS="then", BATCH=100)
    assert crashed.ended() == CRASHED
    run.start(mode, "slot", OUTPUTS="then", BATCH=100).ready(PARTITIONS)
    verdict = run.all_told()
    assert (verdict.inputs, verdict.applied_once, verdict.lost) == (1000, True, 0)
    assert verdict.repeated <= 500


@pytest.mark.parametrize("mode", MODES)
def test_kill_and_restart_under_load(run: Harness, mode: str) -> None:
    """Killed three times at random moments, a worker in its slot goes on at once; transactions repeat nothing
    at all.
    """
    with run.load():
        for _ in range(3):
            worker = run.start(mode, "slot").ready(PARTITIONS)
            enough = run.sent + random.randint(200, 2000)
            eventually(lambda: run.sent > enough)  # noqa: B023
            worker.kill()
        run.start(mode, "slot").ready(PARTITIONS)
    verdict = run.all_told()
    assert (verdict.applied_once, verdict.lost, verdict.in_order) == (True, 0, True)
    if mode == "transactional":
        assert verdict.repeated == 0


@pytest.mark.parametrize("mode", MODES)
def test_workers_join_and_leave_under_load(run: Harness, mode: str) -> None:
    """A second worker joins, the first leaves, a third joins and is killed: one effect each; transactions one
    output each.
    """
    with run.load():
        first = run.start(mode).ready(PARTITIONS)
        run.start(mode).ready()
        assert first.stop() == 0
        third = run.start(mode).ready()
        third.kill()
    verdict = run.all_told()
    assert (verdict.applied_once, verdict.lost) == (True, 0)
    if mode == "transactional":
        assert verdict.repeated == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_paused_owner_writes_nothing_more(run: Harness, mode: str) -> None:
    """Stopped in the middle of deciding a batch for longer than its session, a worker wakes up, is fenced,
    and says so.
    """
    run.send(2000)
    paused = run.start(mode, SESSION_S=2, BATCH=50, DECIDE_S=0.05).ready(PARTITIONS)
    eventually(lambda: run.read("out"), 20)
    paused.signal(signal.SIGSTOP)
    run.start(mode, SESSION_S=2).ready(PARTITIONS)
    told = run.all_told()
    paused.signal(signal.SIGCONT)
    assert paused.ended() in (Exit.MEMBERSHIP, Exit.FENCED)
    assert paused.last_line
    assert run.verdict() == told
    assert (told.applied_once, told.lost) == (True, 0)


def test_two_processes_cannot_hold_one_slot(run: Harness) -> None:
    """The first of two workers that claim one slot is fenced by the second, and ends with a sentence."""
    first = run.start("transactional", "slot").ready(PARTITIONS)
    second = run.start("transactional", "slot")
    run.send(100)
    assert first.ended() in (Exit.FENCED, Exit.MEMBERSHIP), first.last_line
    assert "slot" in first.last_line or "group" in first.last_line
    second.ready(PARTITIONS)
    assert run.all_told().repeated == 0


def test_restored_state_equals_live_state(run: Harness) -> None:
    """What a partition holds after a restore is what it held when it was given away, to the byte."""
    run.send(3000)
    worker = run.start("transactional").ready(PARTITIONS)
    run.all_told()
    other = run.start("transactional").ready(1)
    live = {told["partition"]: told["hash"] for told in eventually(lambda: worker.heard("revoked"))}
    restored = {told["partition"]: told["hash"] for told in other.heard("restored")}
    assert len(live) == PARTITIONS
    assert restored
    assert all(live[number] == restored[number] for number in restored)


def test_rows_of_an_aborted_transaction_are_not_restored(run: Harness) -> None:
    """A restore ends although the changelog ends in an aborted transaction, and has none of its rows."""
    run.send(100)
    run.start("transactional").ready(PARTITIONS)
    run.all_told()
    run.workers[-1].stop()
    stranger = Producer({"bootstrap.servers": run.bootstrap, "transactional.id": f"{run.app}-stranger"})
    stranger.init_transactions(30)
    stranger.begin_transaction()
    for number in range(PARTITIONS):
        stranger.produce(run.topic("state"), b"[7,7,{}]", b"ghost", number)
    stranger.flush()
    restoring = run.start("transactional")
    stranger.abort_transaction(30)
    restoring.ready(PARTITIONS)
    assert sum(told["rows"] for told in restoring.heard("restored")) == 50


def test_an_agent_that_raises_ends_the_process_and_commits_nothing(run: Harness) -> None:
    """Records of a batch that an agent failed on come again, after one line and an exit code of its own."""
    run.send(100)
    run.start("transactional", "slot").ready(PARTITIONS)
    run.all_told()
    run.send_raw(b"poison")
    assert run.workers[-1].ended() == Exit.AGENT
    assert "poison" in run.workers[-1].last_line
    again = run.start("transactional", "slot")
    assert again.ended() == Exit.AGENT


@pytest.mark.parametrize("mode", MODES)
def test_sigterm_finishes_the_batch_in_flight(run: Harness, mode: str) -> None:
    """A clean stop waits for the agent and commits, so nothing is repeated afterwards."""
    run.send(500)
    worker = run.start(mode, BATCH=100, DECIDE_S=0.3).ready(PARTITIONS)
    eventually(lambda: run.read("out"), 20)
    assert worker.stop() == 0
    run.start(mode).ready(PARTITIONS)
    verdict = run.all_told()
    assert (verdict.applied_once, verdict.lost, verdict.repeated) == (True, 0, 0)
