"""A minion alone, fed by a relay without Kafka; `minion` measures. Owns the names of the figures."""

from typing import Final

from tests.bench import minion
from tests.bench.figures import Figure, Say, figure

CONCURRENCY: Final = 100
SECONDS: Final = 3


async def measure(runs: int, say: Say) -> list[Figure]:
    """Jobs per second and CPU per job of one minion that is given all it can take."""
    rates, costs = [], []
    for run in range(1, runs + 1):
        say(f"run {run} of {runs}: {SECONDS} s")
        seconds, cost_us = await minion.measure("echo", CONCURRENCY, SECONDS)
        rates.append(sum(seconds) / len(seconds))
        costs.append(cost_us)
    return [
        figure("minion_jobs_per_s", "jobs/s", rates, concurrency=CONCURRENCY),
        figure("minion_cpu_us_per_job", "us", costs, concurrency=CONCURRENCY),
    ]
