"""Durable no-op jobs end to end: how many a second, and what one costs over all processes.

Owns the measurement. The clock runs from the first submit until the last final fact was read from Kafka.
"""

import time
from collections import defaultdict
from typing import Final

from tests.bench.figures import Figure, Say, figure
from tests.bench.functions import noop
from tests.bench.limits import produce_per_s
from tests.bench.stage import ARGS, MINIONS, Stage, stage
from tests.bench.usage import Spent

JOBS: Final = 20_000
PATIENCE_S: Final = 300.0


async def measure(runs: int, say: Say, jobs: int = JOBS, minions: int = MINIONS) -> list[Figure]:
    """Throughput and cost in `runs` runs on one cluster, each beside what Kafka alone does at that time."""
    rates, costs, limits = [], [], []
    others: list[float] = []
    parts: defaultdict[str, list[float]] = defaultdict(list)
    async with stage(say, minions) as made:
        for run in range(1, runs + 1):
            say(f"run {run} of {runs}: Kafka alone")
            limits.append(produce_per_s(made.cluster.bootstrap))
            say(f"run {run} of {runs}: {jobs} jobs")
            seconds, spent = await _run(made, jobs)
            rates.append(jobs / seconds)
            costs.append(sum(spent.per(jobs).values()))
            others.append(round(spent.others_percent, 1))
            for name, cost_us in spent.per(jobs).items():
                parts[name].append(cost_us)
    ratios = [round(rate / limit, 5) for rate, limit in zip(rates, limits, strict=True)]
    more = {"jobs": jobs, "minions": minions, "others_cpu_percent": others}
    return [
        figure("jobs_per_s", "jobs/s", rates, ratio_to_librdkafka=ratios, **more),
        figure("cpu_us_per_job", "us", costs, by_process=dict(parts), **more),
        figure("librdkafka_produce_per_s", "records/s", limits),
    ]


async def _run(made: Stage, jobs: int) -> tuple[float, Spent]:
    """Seconds and CPU of so many jobs."""
    made.ends.begin(jobs)
    before = made.usage()
    began_s = time.monotonic()
    await made.client.submit_many(noop.request(ARGS) for _ in range(jobs))
    reached_s = await made.reached(PATIENCE_S)
    spent = made.usage().since(before)
    told = len(made.ends.facts())
    assert told == jobs, f"every job must end, got {told} of {jobs}"
    return reached_s - began_s, spent
