"""Schedules on a real broker while their owner is killed: each slot fires once, or what became of it is told.

What must have happened is worked out here with numbers alone: the slots of these schedules are multiples of
seconds since the epoch.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.events import Fact
from schemas.times import parse_time
from tests.kafka.streams_harness import PARTITIONS, Log, Start, Worker
from tests.waiting import eventually

MINUTE_S = 60
OUTAGE_S = int(os.environ.get("OUTAGE_S", "25"))
"""How long nobody is there: 620 for the ten minutes that people speak of."""
WINDOW_MS = 10_000
RULES: dict[str, tuple[int, dict[str, str | int]]] = {
    "minute": (60, {"cron": "* * * * *", "overlap": "allow_all"}),
    "minute-skip": (60, {"cron": "* * * * *"}),
    "minute-one": (60, {"cron": "* * * * *", "overlap": "buffer_one"}),
    "minute-short": (60, {"cron": "* * * * *", "overlap": "buffer_all", "catchup_window_ms": 300_000}),
    "two": (2, {"cron": "*/2 * * * * *", "overlap": "allow_all"}),
    "short": (1, {"cron": "* * * * * *", "overlap": "allow_all", "catchup_window_ms": WINDOW_MS}),
    "skip": (2, {"cron": "@every 2s"}),
    "wait": (5, {"cron": "@every 5s", "overlap": "buffer_all"}),
}
"""How many seconds apart the slots of each kind are, and its schedule."""
EACH = 4
"""Schedules of each kind, so that all partitions have some."""
TOLD = ("schedule_fired", "schedule_missed", "schedule_skipped", "schedule_buffered")


@pytest.fixture
def log(bootstrap: str, prefix: str) -> Log:
    """The topics of this test."""
    return Log(bootstrap, prefix)


@pytest.fixture
def start(bootstrap: str, prefix: str, tmp_path: Path) -> Iterator[Start]:
    """Starts workers; none of them outlives the test."""
    workers = []

    def begin() -> Worker:
        worker = Worker(bootstrap, prefix, tmp_path, partitions=PARTITIONS)
        workers.append(worker)
        return worker.start()

    yield begin
    for worker in workers:
        worker.close()


def slots(fact: Fact, every_s: int) -> range:
    """The slots that a fact about fires is about, epoch seconds."""
    assert fact.fire_at_ms is not None
    assert fact.fire_until_ms is not None
    found = range(fact.fire_at_ms // 1000, fact.fire_until_ms // 1000 + 1, every_s)
    assert len(found) == fact.fires
    return found


def wait(seconds: float) -> None:
    """Lets so much time pass: it is what this test is about."""
    end_s = time.time() + seconds
    eventually(lambda: time.time() >= end_s, seconds + 10)


def until_second(second: float) -> None:
    """Waits for that second of a minute."""
    wait((second - time.time()) % MINUTE_S)


@pytest.mark.full
@pytest.mark.timeout(400 + OUTAGE_S)
def test_every_slot_fires_once_or_is_told_while_the_owner_is_killed(start: Start, log: Log) -> None:
    """Killed twice in the middle of a minute, twice across its boundary, once gone for a while: each slot is
    told of once, its job is asked for once, and exactly what the catch-up window says is missed.
    """
    worker = start()
    ids = {f"{kind}-{number}": kind for kind in RULES for number in range(EACH)}
    for id, kind in ids.items():
        body = {"id": id, "function": "f", **RULES[kind][1]}
        log.write(log.topics.schedules, json.dumps(body).encode(), id.encode())
    eventually(lambda: len(worker.page("schedules")["schedules"]) == len(ids))
    for down_s, second in ((0, 30.0), (0, 31.5), (OUTAGE_S, 59.7), (0, 59.9)):
        until_second(second)
        worker.kill()
        wait(down_s)
        worker.start()
    until_second(5)
    end_s = int(time.time()) - 2
    eventually(lambda: all(handled(log, id, kind, end_s) for id, kind in ids.items()))
    check(log.facts(), ids, end_s)


def handled(log: Log, id: str, kind: str, end_s: int) -> bool:
    """True if the schedule has told of every slot up to that second."""
    found = [slots(fact, RULES[kind][0])[-1] for fact in log.facts() if fact.job == id and fact.fact in TOLD]
    return bool(found) and max(found) > end_s - RULES[kind][0]


def check(facts: list[Fact], ids: dict[str, str], end_s: int) -> None:
    """Each slot was told of once, and the jobs are those of the fired ones."""
    admitted = Counter(fact.job for fact in facts if fact.fact == "admitted")
    assert {*admitted.values()} == {1}, "no job is admitted twice"
    missed_of = Counter[str]()
    for id, kind in ids.items():
        every_s = RULES[kind][0]
        (saved,) = [fact for fact in facts if fact.job == id and fact.fact == "schedule_saved"]
        told = [fact for fact in facts if fact.job == id and fact.fact in TOLD]
        first_s = saved.at_ms // 1000 // every_s * every_s + every_s
        expected = [slot for slot in range(first_s, end_s + 1) if slot % every_s == 0]
        found = sorted(slot for fact in told for slot in slots(fact, every_s) if slot <= end_s)
        assert found == expected, f"{id}: each slot once"
        fired = {slot for fact in told if fact.fact == "schedule_fired" for slot in slots(fact, every_s)}
        asked = {parse_time(job.partition("@")[2]) // 1000 for job in admitted if job.startswith(f"{id}@")}
        assert {slot for slot in fired if slot <= end_s} <= asked <= fired, f"{id}: a job for each fire"
        for fact in told:
            late_ms = [fact.at_ms - slot * 1000 for slot in slots(fact, every_s)]
            if fact.fact == "schedule_missed":
                missed_of[kind] += len(late_ms)
                assert min(late_ms) > window_ms(kind)
            else:
                assert max(late_ms) <= window_ms(kind)
    too_late = {kind for kind, (every_s, _) in RULES.items() if window_ms(kind) < (OUTAGE_S - every_s) * 1000}
    assert {*missed_of} == too_late, "only what comes too late for its window is missed"
    print(f"missed {dict(missed_of)}, told {dict(Counter(fact.fact for fact in facts if fact.fact in TOLD))}")


def window_ms(kind: str) -> int:
    """The catch-up window of a kind."""
    return int(RULES[kind][1].get("catchup_window_ms", 365 * 24 * 3_600_000))
