"""From submit to start of jobs on an idle system, one at a time.

Owns the measurement: from before the client's submit until the function looks at the clock, both of this
machine. So it holds what a user waits for: the client, Kafka, the streams worker, the relay, the minion.
"""

import asyncio
import random
import time
from typing import Final

from tests.bench.figures import Figure, Say, figure, percentile
from tests.bench.functions import stamp
from tests.bench.limits import hop_ms
from tests.bench.stage import Stage, stage

JOBS: Final = 300
PAUSE_S: Final = (0.005, 0.025)
"""Between a job's end and the next submit, at random, so that no beat of the system is met or missed."""
PATIENCE_S: Final = 30.0


async def measure(runs: int, say: Say, jobs: int = JOBS) -> list[Figure]:
    """Median and 99th percentile in `runs` runs on one cluster, each beside one hop through Kafka alone."""
    medians, tails, hops, hop_tails = [], [], [], []
    others: list[float] = []
    async with stage(say) as made:
        for run in range(1, runs + 1):
            say(f"run {run} of {runs}: one hop through Kafka alone")
            hop, hop_tail = hop_ms(made.cluster.bootstrap)
            hops.append(hop)
            hop_tails.append(hop_tail)
            say(f"run {run} of {runs}: {jobs} jobs, one at a time")
            before = made.usage()
            waits_ms = [await _one(made) for _ in range(jobs)]
            others.append(round(made.usage().since(before).others_percent, 1))
            medians.append(percentile(waits_ms, 0.5))
            tails.append(percentile(waits_ms, 0.99))
    more = {"jobs": jobs, "others_cpu_percent": others}
    return [
        figure("submit_to_start_ms_p50", "ms", medians, **more),
        figure("submit_to_start_ms_p99", "ms", tails, **more),
        figure("kafka_hop_ms_p50", "ms", hops),
        figure("kafka_hop_ms_p99", "ms", hop_tails),
    ]


async def _one(made: Stage) -> float:
    """Milliseconds that one job waits for its start."""
    await asyncio.sleep(random.uniform(*PAUSE_S))
    asked_ns = time.time_ns()
    job = await made.client.submit(stamp.request())
    began_ns = int(await job.result(timeout=PATIENCE_S))
    return (began_ns - asked_ns) / 1e6
