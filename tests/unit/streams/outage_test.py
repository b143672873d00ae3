"""Nobody is there for ten minutes: what becomes of each slot of a one-minute cron, by every policy.

What must have happened is worked out here with numbers alone: slots are multiples of a minute.
"""

from collections import Counter

import pytest

from schemas.events import JobRequest
from schemas.keys import home
from schemas.words import Overlap
from tests.fakes.desk import HOME, PARTITIONS, START_MS, Desk, Written

MINUTE_MS = 60_000
OUTAGE_MS = 620_000
BEFORE = 3
"""Slots before the outage."""
WINDOWS_MS = (None, 30_000, 300_000)
TOLD = ("schedule_fired", "schedule_missed", "schedule_skipped", "schedule_buffered")
ID = next(id for id in (f"minute-{number}" for number in range(500)) if home(id, PARTITIONS) == HOME)
FIRST_MS = START_MS // MINUTE_MS * MINUTE_MS + MINUTE_MS


def slots(written: list[Written]) -> dict[str, list[int]]:
    """The slots that were told of, by what became of them."""
    found: dict[str, list[int]] = {kind: [] for kind in TOLD}
    for fact in (fact for each in written for fact in each.facts if fact.fact in TOLD):
        assert fact.fire_at_ms is not None
        assert fact.fire_until_ms is not None
        found[fact.fact] += range(fact.fire_at_ms, fact.fire_until_ms + 1, MINUTE_MS)
    return found


@pytest.mark.parametrize("window_ms", WINDOWS_MS)
@pytest.mark.parametrize("overlap", Overlap)
@pytest.mark.parametrize("crash", [False, True])
def test_each_slot_is_told_of_once_after_ten_minutes(
    overlap: Overlap, window_ms: int | None, *, crash: bool
) -> None:
    """Fired, skipped, buffered, or missed exactly by the catch-up window; a job for each that fired."""
    desk = Desk()
    rule = {"cron": "* * * * *", "function": "f", "overlap": overlap, "catchup_window_ms": window_ms}
    written = [desk.schedule(ID, rule)]
    written += [desk.tick(FIRST_MS + number * MINUTE_MS + 5) for number in range(BEFORE)]
    back_ms = desk.now_ms + OUTAGE_MS
    if crash:
        written.append(desk.crash())
    written.append(desk.tick(back_ms))
    written.append(desk.tick(back_ms + MINUTE_MS))
    told = slots(written)
    end_ms = desk.now_ms
    expected = list(range(FIRST_MS, end_ms + 1, MINUTE_MS))
    assert sorted(slot for found in told.values() for slot in found) == expected, "each slot once"
    late = [slot for slot in expected[BEFORE:] if window_ms is not None and back_ms - slot > window_ms]
    assert told["schedule_missed"] == late
    asked = Counter(request.id for each in written for request in each.of(JobRequest) if request.scheduled_by)
    assert len(asked) == len(told["schedule_fired"])
    if overlap == Overlap.ALLOW_ALL:
        assert told["schedule_fired"] == [slot for slot in expected if slot not in late]
    if overlap == Overlap.SKIP:
        assert told["schedule_fired"] == expected[:1], "its job has not ended"
