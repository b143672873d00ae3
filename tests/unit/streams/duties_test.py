"""The four duties: what time asked for, when it was last done, and what waits for it."""

from types import SimpleNamespace
from typing import Any

from schemas.keys import home
from schemas.telemetry import catalogue
from streams.duties import Duties, Duty, overdue
from streams.gauges import gauges
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


def test_the_duties_are_metrics() -> None:
    """When each was last looked at and last done, how much, what is overdue; also of partitions that went."""
    desk = Desk()
    desk.request(id="delayed", run_at_ms=START_MS + MINUTE_MS)
    desk.request(id="late", run_at_ms=START_MS + DAY_MS)
    desk.tick(START_MS + MINUTE_MS)
    gone = Duties()
    gone.checked(START_MS - DAY_MS)
    gone.did(None, START_MS - DAY_MS)
    shell: Any = SimpleNamespace(
        partitions={HOME: desk.partition},
        duties_before=gone,
        recovered_line="x",
        rebalances=1,
        ticker=SimpleNamespace(now_ms=lambda: START_MS + DAY_MS),
    )
    told = {(metric, labels): value for metric, labels, value in gauges(shell, ())}
    assert told[catalogue.DUTY_DONE, (Duty.DUE,)] == 1
    assert told[catalogue.DUTY_DONE, (Duty.RECURRING,)] == 1
    assert told[catalogue.DUTY_DONE, (Duty.PURGE,)] == 0
    assert {duty: told[catalogue.DUTY_OVERDUE, (duty,)] for duty in Duty} == {
        Duty.DUE: 1,
        Duty.TIMED_OUT: 0,
        Duty.RECURRING: 0,
        Duty.PURGE: 0,
    }
    assert told[catalogue.DUTY_RUN, (Duty.PURGE,)] == desk.now_ms / 1_000
    assert told[catalogue.DUTY_LAST, (Duty.DUE,)] == desk.now_ms / 1_000
    assert told[catalogue.DUTY_LAST, (Duty.RECURRING,)] == (START_MS - DAY_MS) / 1_000
    assert (catalogue.DUTY_LAST, (Duty.PURGE,)) not in told
