"""What ticks bring: only what is due, only as far as it is known, so many at a time."""

import pytest

from schemas import defaults
from schemas.events import Dispatch
from schemas.words import LanePolicy, Phase
from streams.partition import DUES_PER_TICK_MAX, OUTAGE_MS
from tests.fakes.desk import KEYS, Desk

SILENCE_MS = defaults.HEARTBEAT_TIMEOUT_MS


def leased(*ids: str, **fields: object) -> Desk:
    """A partition with leases, and a clock that has begun."""
    desk = Desk()
    desk.tick()
    for id in ids:
        desk.request(id=id, **fields)
        desk.beat(id)
    return desk


def test_a_delayed_job_waits_for_its_time() -> None:
    """A job with run_at is dispatched by the first tick at or after it, and by none before."""
    desk = Desk()
    run_at_ms = desk.now_ms + 60_000
    assert desk.request(id="j1", run_at_ms=run_at_ms).dispatches == []
    assert desk.partition.next_due_ms() == run_at_ms
    assert desk.tick(run_at_ms - 1).dispatches == []
    assert [dispatch.job for dispatch in desk.tick(run_at_ms).dispatches] == ["j1"]


@pytest.mark.parametrize("waits_for", ["its time", "its retry"])
def test_a_job_whose_row_is_in_the_log_is_dispatched_early_when_its_time_comes(waits_for: str) -> None:
    """While its row may be lost in a crash, its dispatch waits for the next one."""
    for confirmed in (True, False):
        desk = Desk()
        if waits_for == "its time":
            desk.request(id="j1", run_at_ms=desk.now_ms + 60_000)
        else:
            desk.request(id="j1")
            desk.confirm()
            desk.receipt("j1", outcome="failure", error_type="E")
        if confirmed:
            desk.confirm()
        due = desk.tick(desk.now_ms + 60_000)
        assert [dispatch.job for dispatch in due.dispatches] == ["j1"]
        assert len(due.of(Dispatch, due.early)) == confirmed
        assert len(due.of(Dispatch, due.then)) == (not confirmed)


def test_a_job_in_a_lane_is_not_dispatched_early() -> None:
    """Others decide whether its turn has come."""
    desk = Desk(lanes={"default": LanePolicy.GOES_ON})
    desk.request(id="j1", run_at_ms=desk.now_ms + 60_000)
    desk.confirm()
    due = desk.tick(desk.now_ms + 60_000)
    assert len(due.dispatches) == 1
    assert due.early == ()


def test_a_job_that_left_early_before_a_crash_goes_on_by_what_is_told_of_it() -> None:
    """The row of after its dispatch is lost, the word about it counts, and the tick does nothing more."""
    desk = Desk()
    desk.request(id="j1", run_at_ms=desk.now_ms + 60_000)
    receipt = desk.receipt("j1", epoch=1)
    assert receipt.told == ["readied", "succeeded"]
    assert receipt.dispatches == []
    again = desk.tick(desk.now_ms + 60_000)
    assert (again.told, again.dispatches) == ([], [])


def test_a_missing_receipt_is_a_failure() -> None:
    """A lease whose receipt did not come by its end is retried, and its minion is called off."""
    desk = leased("j1", timeout_ms=1_000)
    late = desk.tick(desk.now_ms + 1_100)
    assert late.told == ["failed"]
    assert late.facts[0].error_type == "Timeout"
    assert [control.epoch for control in late.controls] == [1]
    assert late.rows[0].phase == Phase.RETRYING


def test_silence_is_a_loss() -> None:
    """A lease that was not heard of for the heartbeat timeout is lost, and dispatched again at once."""
    desk = leased("j1")
    lost = desk.tick(desk.now_ms + SILENCE_MS)
    assert lost.told == ["lost"]
    assert [dispatch.epoch for dispatch in lost.dispatches] == [2]


def test_silence_is_not_decided_before_everything_was_heard() -> None:
    """A tick that says more was written than was applied decides nothing about leases; the next one does."""
    desk = leased("j1", "j2")
    end = desk.log.end(desk.topics.receipts, desk.number)
    silent_ms = desk.now_ms + SILENCE_MS
    unheard = desk.tick(silent_ms, receipts_end=end + 1)
    assert unheard.first == unheard.then == ()
    due_ms = desk.partition.next_due_ms()
    assert due_ms is not None
    assert due_ms <= silent_ms
    desk.receipt("j1")
    assert desk.tick(receipts_end=end + 1).told == ["lost"]


def test_what_no_minion_has_is_decided_all_the_same() -> None:
    """A delayed job does not wait for receipts that are still to come."""
    desk = leased("j1")
    desk.request(id="j2", run_at_ms=desk.now_ms + SILENCE_MS)
    written = desk.tick(desk.now_ms + SILENCE_MS + 10, receipts_end=99)
    assert [dispatch.job for dispatch in written.dispatches] == ["j2"]


def test_a_beat_puts_silence_off() -> None:
    """Each beat gives another heartbeat timeout."""
    desk = leased("j1")
    began_ms = desk.now_ms
    desk.now_ms += SILENCE_MS - 100
    desk.beat("j1", kind="alive")
    assert desk.tick(began_ms + SILENCE_MS + 10).told == []
    assert desk.partition.next_due_ms() == desk.partition.jobs["j1"].beat_at_ms + SILENCE_MS  # type: ignore[operator]


def test_leases_get_a_fresh_timeout_after_a_restore() -> None:
    """Nobody listened while the partition had no owner: the first tick gives every lease one heartbeat
    timeout more.
    """
    desk = leased("j1")
    desk.crash()
    back_ms = desk.now_ms + 5 * SILENCE_MS
    assert desk.tick(back_ms).told == []
    assert desk.tick(back_ms + SILENCE_MS - 1).told == []
    assert desk.tick(back_ms + SILENCE_MS + 1).told == ["lost"]


def test_the_first_tick_after_a_restore_finds_no_silence() -> None:
    """However short the partition was without an owner, its first tick only begins to listen."""
    desk = leased("j1")
    desk.crash()
    assert desk.tick(desk.now_ms + SILENCE_MS + 100).told == []


def test_leases_get_a_fresh_timeout_after_an_outage() -> None:
    """A silence that is found out far too late was an outage of the broker or of ours, and is no silence."""
    desk = leased("j1")
    late_ms = desk.now_ms + SILENCE_MS + OUTAGE_MS + 1
    assert desk.tick(late_ms).told == []
    assert desk.tick(late_ms + SILENCE_MS + 1).told == ["lost"]


def test_a_tick_decides_so_many() -> None:
    """What is due beyond the bound is still due, and comes with the next tick."""
    desk = Desk()
    run_at_ms = desk.now_ms + defaults.HOUR_MS
    count = DUES_PER_TICK_MAX + 20
    for number in range(count):
        desk.request(id=f"j{number}", run_at_ms=run_at_ms)
    assert len(desk.tick(run_at_ms).dispatches) == DUES_PER_TICK_MAX
    assert desk.partition.next_due_ms() == run_at_ms
    assert len(desk.tick().dispatches) == count - DUES_PER_TICK_MAX


def test_leases_that_cannot_be_decided_hold_up_nothing() -> None:
    """Overdue leases whose receipts are still to come do not use up what a tick may decide."""
    desk = leased(*(f"j{number}" for number in range(DUES_PER_TICK_MAX + 10)))
    desk.request(id="delayed", run_at_ms=desk.now_ms + SILENCE_MS)
    written = desk.tick(desk.now_ms + SILENCE_MS + 50, receipts_end=1)
    assert [dispatch.job for dispatch in written.dispatches] == ["delayed"]


def test_a_schedule_catches_up_in_bounded_steps() -> None:
    """A schedule that missed more fires than one step takes goes on with the next tick, never within one."""
    desk = Desk()
    desk.schedule(KEYS[0], {"cron": "* * * * * *", "function": "f", "overlap": "allow_all"})
    at_ms = desk.now_ms + (defaults.CATCHUP_FIRES_MAX + 500) * 1_000
    first = desk.tick(at_ms)
    assert len(first.then) == defaults.CATCHUP_FIRES_MAX
    assert len(desk.tick(at_ms + 1).then) in range(499, 502)


def test_an_ended_job_is_forgotten() -> None:
    """After its retention a job's row is dropped, and told so."""
    desk = Desk()
    desk.request(id="j1")
    desk.receipt("j1")
    purged = desk.tick(desk.now_ms + defaults.JOB_RETENTION_MS + 1)
    assert [(out.key, out.value) for out in purged.first if out.topic == "jobs.state"] == [(b"j:j1", None)]
    assert purged.told == ["purged"]
    assert desk.partition.next_due_ms() is None
    assert not desk.partition.rows.counts
