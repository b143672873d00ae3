"""What operators say, in a partition's decisions: settings for jobs to come, and queues that are paused."""

import pytest

from schemas.codec import encode
from schemas.events import ConfigChanged, ConfigRow, FunctionConfig, QueueConfig
from schemas.words import Phase, RejectCode, WaitReason
from streams.partition import DUES_PER_TICK_MAX
from tests.fakes.desk import Desk

PAUSED = QueueConfig(queue="default", paused=True, version=1)
RESUMED = QueueConfig(queue="default", version=2)


def test_settings_count_for_jobs_that_come_later() -> None:
    """They are a row, so they hold after a crash too; a job keeps what it was admitted with."""
    desk = Desk()
    desk.request(id="j1")
    written = desk.config(FunctionConfig(function="mail.send", attempts_max=2))
    assert written.of(ConfigRow)[0].entry == "function/mail.send"
    assert desk.request(id="j2").rows[0].spec.attempts_max == 2
    assert desk.request(id="j3", attempts_max=7).rows[0].spec.attempts_max == 7
    assert desk.partition.jobs["j1"].spec.attempts_max == 5
    desk.crash()
    assert desk.request(id="j4").rows[0].spec.attempts_max == 2
    desk.config("function/mail.send")
    assert desk.request(id="j5").rows[0].spec.attempts_max == 5
    desk.crash()
    assert desk.request(id="j6").rows[0].spec.attempts_max == 5


def test_a_late_word_about_an_old_entry_changes_nothing() -> None:
    """Another worker may write what it read long ago: the order of the config topic counts."""
    desk = Desk()
    desk.config(PAUSED, 7)
    assert desk.config(RESUMED, 6).of(ConfigRow) == []
    assert desk.config(RESUMED, 7).of(ConfigRow) == []
    assert desk.partition.rows.config.paused("default")
    desk.config(RESUMED, 8)
    assert not desk.partition.rows.config.paused("default")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (ConfigChanged(entry="queue/mail", offset=1, value=encode(PAUSED)), RejectCode.KEY_CONFLICT),
        (ConfigChanged(entry="queue/default", offset=1, value=b"{}"), RejectCode.UNEXPECTED_TYPE),
        (ConfigChanged(entry="queue/default", offset=1, value=b"\0\0"), RejectCode.UNDECODABLE),
    ],
)
def test_an_entry_that_cannot_be_is_refused(changed: ConfigChanged, code: RejectCode) -> None:
    """With its reason, and what was in force stays."""
    desk = Desk()
    desk.config(FunctionConfig(function="mail.send", attempts_max=2), 0)
    refused = desk.put(desk.topics.requests, None, encode(changed))
    assert (refused.reject.code, refused.rows) == (code, [])
    assert desk.request(id="j").rows[0].spec.attempts_max == 2


def test_a_paused_queue_s_jobs_wait_and_say_so() -> None:
    """A job that comes while its queue is paused is ready and not dispatched, and goes when that is over."""
    desk = Desk()
    desk.config(PAUSED)
    asked = desk.request(id="j1")
    assert asked.dispatches == []
    assert (asked.rows[0].phase, asked.rows[0].wait_reason) == (Phase.READY, WaitReason.PAUSED)
    assert desk.tick().dispatches == []
    assert desk.partition.next_due_ms() != 0
    assert desk.config(RESUMED).dispatches == []
    assert desk.partition.next_due_ms() == 0
    late = desk.tick()
    assert [(dispatch.job, dispatch.epoch) for dispatch in late.dispatches] == [("j1", 1)]
    assert (late.rows[0].wait_reason, late.rows[0].dispatched_at_ms) == (None, desk.now_ms)
    assert late.dispatches[0].dispatched_at_ms == desk.now_ms
    assert desk.partition.next_due_ms() != 0


def test_other_queues_go_on() -> None:
    """A pause is of one queue."""
    desk = Desk(("default", "mail"))
    desk.config(PAUSED)
    assert len(desk.request(id="j1", queue="mail").dispatches) == 1


def test_what_runs_goes_on_and_its_retry_waits() -> None:
    """A receipt of a running attempt counts; the next attempt is held."""
    desk = Desk()
    desk.request(id="j1", retry_initial_ms=10, retry_jitter=0.0)
    desk.beat("j1")
    desk.config(PAUSED)
    desk.receipt("j1", outcome="failure")
    due = desk.tick(desk.now_ms + 20)
    assert due.dispatches == []
    assert due.rows[0].wait_reason == WaitReason.PAUSED
    desk.config(RESUMED)
    assert [dispatch.epoch for dispatch in desk.tick().dispatches] == [2]


def test_a_held_job_survives_a_crash_and_can_be_cancelled() -> None:
    """The wait is in its row; while it lasts whatever happens to the job counts."""
    desk = Desk()
    desk.config(PAUSED)
    for id in ("j1", "j2"):
        desk.request(id=id)
    assert desk.crash().dispatches == []
    desk.command("cancel", "j2")
    desk.config(RESUMED)
    desk.crash()
    assert desk.partition.next_due_ms() == 0
    ends = desk.ends()
    assert [dispatch.job for dispatch in desk.tick().dispatches] == ["j1"]
    assert [dispatch.job for dispatch in desk.crash(ends).dispatches] == ["j1"]
    assert desk.crash().dispatches == []


def test_a_dispatch_in_doubt_is_sent_again_though_its_queue_is_paused_now() -> None:
    """It may have left before the pause: the relay holds it then, and the row says that it was dispatched."""
    desk = Desk()
    before = desk.ends()
    desk.request(id="j1")
    desk.config(PAUSED)
    assert [dispatch.epoch for dispatch in desk.crash(before).dispatches] == [1]
    assert desk.partition.jobs["j1"].wait_reason is None
    again = desk.request(id="j1")
    assert again.told == ["deduplicated"]


def test_a_long_pause_ends_in_steps() -> None:
    """So many at a tick, so that no step grows without limit; none is forgotten or dispatched twice."""
    desk = Desk()
    desk.config(PAUSED)
    for number in range(DUES_PER_TICK_MAX + 3):
        desk.request(id=f"j{number}")
    desk.config(RESUMED)
    assert len(desk.tick().dispatches) == DUES_PER_TICK_MAX
    assert desk.partition.next_due_ms() == 0
    assert len(desk.tick().dispatches) == 3
    assert desk.tick().dispatches == []


def test_a_job_of_a_new_queue_that_is_paused_waits_for_both() -> None:
    """Its topic is made meanwhile."""
    desk = Desk()
    desk.config(QueueConfig(queue="mail", paused=True))
    asked = desk.request(id="j1", queue="mail")
    assert asked.rows[0].wait_reason == WaitReason.PAUSED
    assert desk.queue_made("mail").dispatches == []
    desk.config(QueueConfig(queue="mail"))
    assert len(desk.tick().dispatches) == 1
