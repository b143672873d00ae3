"""What telling costs: the CPU time of a streams worker's decisions about no-op jobs, told in several ways.

`python -m tests.bench.telling`. Everything is in one process and in turns, so that a busy machine hits all
ways alike; of each the least of its rounds counts. No Kafka, so it is a share of the deciding alone: of all
that a job costs, the broker and the other processes included, it is a fraction of that.
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


def once(way: str, given: list[Record]) -> float:
    """CPU seconds of deciding all of it, told in one way."""
    settings = WAYS[way]
    telling = None if settings is None else Telling(Telemetry(settings, "streams"))
    topics = Topics("jobs.", PARTITIONS)
    partition = Partition(0, topics, Queues(("default",)), telling)
    begins = dict.fromkeys(partition.positions(), 0)
    partition.begin(begins, begins)
    apply = partition.apply
    gc.collect()
    began_s = time.process_time()
    for record in given:
        apply(record)
    took_s = time.process_time() - began_s
    assert partition.rows.counts["default", "succeeded"] == JOBS
    return took_s


def measure(ways: Iterable[str] = tuple(WAYS)) -> Iterator[Cost]:
    """Each of these ways, the cheapest of its rounds; `nothing` must be among them."""
    ways = tuple(ways)
    given = records()
    gc.disable()
    try:
        rounds = [{way: once(way, given) for way in ways} for _ in range(ROUNDS)]
    finally:
        gc.enable()
    least_s = {way: min(each[way] for each in rounds) for way in ways}
    for way, took_s in least_s.items():
        yield Cost(way, took_s / JOBS * 1e6, took_s / least_s["nothing"] - 1)


if __name__ == "__main__":
    for cost in measure():
        print(f"{cost.way:12} {cost.us_per_job:7.1f} us a job  {cost.share:+.1%}")
