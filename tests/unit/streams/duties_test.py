"""The four duties: what time asked for, when it was last done, and what waits for it."""

from schemas.keys import home
from streams.duties import Duty, overdue
from tests.fakes.desk import HOME, PARTITIONS, START_MS, Desk

ID = next(id for id in (f"s-{number}" for number in range(500)) if home(id, PARTITIONS) == HOME)
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS


def test_each_duty_is_counted_when_it_is_done() -> None:
    """A delayed job, a lease that times out, a schedule that fires, a job that is forgotten."""
    desk = Desk()
    assert desk.partition.duties.checked_at_ms is None
    desk.tick()
    desk.request(id="delayed", run_at_ms=START_MS + MINUTE_MS)
    desk.request(id="slow", timeout_ms=1_000, heartbeat_timeout_ms=DAY_MS, attempts_max=1)
    desk.beat("slow")
    desk.request(id="done", retention_ms=MINUTE_MS)
    desk.receipt("done")
    desk.request(id="kept", result_retention_ms=MINUTE_MS)
    desk.receipt("kept", result=b"1")
    desk.schedule(ID, {"cron": "* * * * *", "function": "f"})
    duties, rows = desk.partition.duties, desk.partition.rows
    assert overdue(rows, desk.now_ms) == {}
    later_ms = desk.now_ms + 2 * MINUTE_MS
    assert overdue(rows, later_ms) == {Duty.DUE: 1, Duty.TIMED_OUT: 1, Duty.RECURRING: 1, Duty.PURGE: 2}
    desk.tick(later_ms)
    desk.tick(later_ms + 1)
    assert duties.done == {Duty.DUE: 1, Duty.TIMED_OUT: 1, Duty.RECURRING: 1, Duty.PURGE: 2}
    assert set(duties.last_at_ms) == set(Duty)
    assert duties.checked_at_ms == desk.now_ms
    assert overdue(rows, desk.now_ms) == {}
    desk.tick(desk.now_ms + 2 * DAY_MS)
    assert overdue(rows, desk.now_ms + DAY_MS)[Duty.RECURRING] == 1
