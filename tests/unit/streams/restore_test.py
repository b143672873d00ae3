"""A crash at any point: rows come back from the log, and what may not have left is sent again."""

import pytest

from schemas import defaults
from schemas.words import Phase
from streams.rows import BadRow
from tests.fakes.desk import KEYS, Desk


def in_doubt(desk: Desk, topic: str) -> dict[str, int]:
    """The last record of this source is in doubt: its offset was not committed."""
    return {topic: desk.log.end(topic, desk.number) - 1}


def test_a_ready_job_in_doubt_is_dispatched_again() -> None:
    """The same epoch once more, so that whoever has seen it can drop it."""
    desk = Desk()
    live = desk.request(id="j1")
    assert desk.crash(in_doubt(desk, desk.topics.requests)).dispatches == live.dispatches


def test_what_is_committed_is_not_sent_again() -> None:
    """A row whose last record was committed awaits nothing that has not left."""
    desk = Desk()
    desk.request(id="j1")
    desk.receipt("j1")
    again = desk.crash()
    assert again.first == again.then == ()


def test_an_end_in_doubt_is_told_again() -> None:
    """The fact of an end is told from the row alone, with its result."""
    desk = Desk()
    desk.request(id="j1")
    live = desk.receipt("j1", result=b"7", result_type="application/json")
    (again,) = desk.crash(in_doubt(desk, desk.topics.receipts)).facts
    (told,) = live.facts
    for name in ("fact", "job", "key", "partition", "at_ms", "phase", "epoch", "result", "ended_at_ms"):
        assert getattr(again, name) == getattr(told, name), name


@pytest.mark.parametrize(
    ("outcome", "fact"), [("failure", "died"), ("cancelled", "cancelled"), ("success", "succeeded")]
)
def test_every_end_is_told_again(outcome: str, fact: str) -> None:
    """Whatever the end, its word and its reason come again."""
    desk = Desk()
    desk.request(id="j1", attempts_max=1)
    live = desk.receipt("j1", outcome=outcome, error_type="E", error_message="m")
    again = desk.crash(in_doubt(desk, desk.topics.receipts))
    assert again.told == live.told == [fact]
    assert again.facts[0].reason == live.facts[0].reason
    assert (again.facts[0].error_type, again.facts[0].error_message) == (
        (None, None) if outcome == "success" else ("E", "m")
    )
    assert again.letters == live.letters


def test_fires_in_doubt_are_sent_again() -> None:
    """The requests of a schedule's latest step are asked for again, with the same ids."""
    desk = Desk()
    desk.schedule(KEYS[0], {"cron": "* * * * *", "function": "f"})
    due_ms = desk.partition.next_due_ms()
    fired = desk.tick(due_ms)
    assert desk.crash(in_doubt(desk, desk.topics.timers)).then == fired.then
    assert desk.crash().then == ()


def test_a_tick_that_is_read_again() -> None:
    """A tick that was applied decides nothing twice: what it decided is in the rows."""
    desk = Desk()
    desk.request(id="j1", run_at_ms=desk.now_ms + 1_000)
    due_ms = desk.partition.next_due_ms()
    assert due_ms is not None
    desk.tick(due_ms)
    record = desk.log.records(desk.topics.timers)[-1]
    desk.partition = desk.restored()
    desk.partition.begin({**desk.ends(), desk.topics.timers: record.offset}, desk.ends())
    again = desk.apply(record)
    assert again.first == again.then == ()


def test_rows_come_back_as_they_were() -> None:
    """The restored rows, their counts and their due times equal the live ones, from the whole log and
    compacted.
    """
    desk = Desk()
    for number in range(5):
        desk.request(id=f"j{number}", args=b"x" * 2_000 * number)
    desk.request(id="later", run_at_ms=desk.now_ms + defaults.HOUR_MS)
    desk.schedule(KEYS[0], {"cron": "* * * * *", "function": "f"})
    desk.receipt("j1")
    desk.receipt("j2", outcome="failure")
    for compact in (False, True):
        other = desk.restored(compact=compact)
        other.begin(desk.ends(), desk.ends())
        assert other.jobs == desk.partition.jobs
        assert other.schedules == desk.partition.schedules
        assert other.rows.counts == desk.partition.rows.counts
        assert other.next_due_ms() == desk.partition.next_due_ms()
        for row in desk.partition.jobs.values():
            assert other.rows.args(row) == desk.partition.rows.args(row)


def test_dropped_rows_stay_dropped() -> None:
    """A tombstone in the log drops the row that came before it."""
    desk = Desk()
    desk.request(id="j1")
    desk.receipt("j1")
    desk.tick(desk.now_ms + defaults.JOB_RETENTION_MS + 1)
    other = desk.restored()
    other.begin(desk.ends(), desk.ends())
    assert not other.jobs


@pytest.mark.parametrize("bad", [(b"j:x", b"junk"), (b"z:x", b"\x00"), (b"", b"\x00"), (b"\xff\xff", b"x")])
def test_a_row_that_can_t_be_read(bad: tuple[bytes, bytes]) -> None:
    """A partition with a row of unknown form is not begun: a hole in the state is worse than a standstill."""
    desk = Desk()
    other = desk.restored()
    other.restore(*bad)
    with pytest.raises(BadRow, match="of partition 3 can't be read"):
        other.begin(desk.ends(), desk.ends())


def test_leases_are_counted() -> None:
    """The recovery line tells how many leases and overdue rows there are."""
    desk = Desk()
    desk.request(id="j1")
    desk.beat("j1")
    desk.request(id="j2", run_at_ms=desk.now_ms + 1_000)
    desk.crash()
    assert desk.partition.jobs["j1"].phase == Phase.LEASED
    assert (len(desk.partition.rows), desk.partition.rows.leases) == (2, 1)
    assert desk.partition.rows.dues.count(desk.now_ms) == 0
    assert desk.partition.rows.dues.count(desk.now_ms + 2_000) == 1
