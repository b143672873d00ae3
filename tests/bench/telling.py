"""What telling costs: the CPU time of a streams worker's decisions about no-op jobs, told in several ways.

`python -m tests.bench.telling`. Everything is in one process and in turns, some records at a time, so that a
busy machine hits all ways alike; of each way and each such part the least of its rounds counts. No Kafka, so
it is a share of the deciding alone: of all that a job costs, the broker and the other processes included, it
is a fraction of that.
"""

import gc
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from schemas.codec import encode
from schemas.events import JobRequest, Receipt
from schemas.keys import home
from schemas.settings import Settings
from schemas.telemetry.process import Telemetry
from schemas.topics import Topics
from streams.partition import Partition
from streams.queues import Queues
from streams.record import Record
from streams.telling import Telling

JOBS = 1_000
ROUNDS = 9
PART = 50
"""Records that are decided in one way before it is another's turn: some milliseconds."""

PARTITIONS = 1
START_MS = 1_800_000_000_000

OTLP = "http://127.0.0.1:1"
"""Nothing is sent in this measurement: the sending has a thread of its own."""

WAYS = {
    "nothing": None,
    "off": Settings(measure="*=off"),
    "metrics": Settings(),
    "aggregate": Settings(otlp=OTLP, trace="*=aggregate"),
    "one in 100": Settings(otlp=OTLP, trace="*=1/100"),
    "every job": Settings(otlp=OTLP),
}


@dataclass(frozen=True)
class Cost:
    """What one way costs."""

    way: str
    us_per_job: float
    share: float
    """More than telling nothing, as a share of that."""


def records() -> list[Record]:
    """A request and a receipt for each job, as a worker reads them."""
    topics = Topics("jobs.", PARTITIONS)
    made = []
    for number in range(JOBS):
        id, at_ms = f"job-{number}", START_MS + number
        request = JobRequest(id=id, key=id, function="noop", args=b"x" * 200)
        made.append(Record(topics.requests, home(id, PARTITIONS), number, at_ms, None, encode(request), ()))
    for number in range(JOBS):
        id, at_ms = f"job-{number}", START_MS + JOBS + number
        receipt = Receipt(
            job=id,
            key=id,
            partition=0,
            epoch=1,
            attempt=1,
            outcome="success",
            at_ms=at_ms,
            minion="m1",
            session="s1",
            relay="r1",
            assigned_at_ms=at_ms - 5,
            started_at_ms=at_ms - 4,
            run_ms=3,
        )
        made.append(Record(topics.receipts, 0, number, at_ms, id.encode(), encode(receipt), ()))
    return made


def fresh(way: str) -> Partition:
    """A partition that has decided nothing yet, told in one way."""
    settings = WAYS[way]
    telling = None if settings is None else Telling(Telemetry(settings, "streams"))
    partition = Partition(0, Topics("jobs.", PARTITIONS), Queues(("default",)), telling)
    begins = dict.fromkeys(partition.positions(), 0)
    partition.begin(begins, begins)
    return partition


def one_round(ways: tuple[str, ...], given: list[Record], number: int) -> dict[str, list[float]]:
    """CPU seconds of deciding all of it, part by part, by way; who begins is another one in each round."""
    at = number % len(ways)
    partitions = {way: fresh(way) for way in ways[at:] + ways[:at]}
    took_s: dict[str, list[float]] = {way: [] for way in ways}
    gc.collect()
    for begin in range(0, len(given), PART):
        part = given[begin : begin + PART]
        for way, partition in partitions.items():
            apply = partition.apply
            began_s = time.process_time()
            for record in part:
                apply(record)
            took_s[way].append(time.process_time() - began_s)
    assert all(partition.rows.counts["default", "succeeded"] == JOBS for partition in partitions.values())
    return took_s


def measure(ways: Iterable[str] = tuple(WAYS)) -> Iterator[Cost]:
    """Each of these ways, the cheapest of its rounds for each part; `nothing` must be among them."""
    ways = tuple(ways)
    given = records()
    gc.disable()
    try:
        rounds = [one_round(ways, given, number) for number in range(ROUNDS)]
    finally:
        gc.enable()
    least_s = {way: sum(map(min, zip(*(each[way] for each in rounds), strict=True))) for way in ways}
    for way, took_s in least_s.items():
        yield Cost(way, took_s / JOBS * 1e6, took_s / least_s["nothing"] - 1)


if __name__ == "__main__":
    for cost in measure():
        print(f"{cost.way:12} {cost.us_per_job:7.1f} us a job  {cost.share:+.1%}")
