"""How late delayed jobs start.

Owns the measurement: from the moment that each job asked for until its function looks at the clock, both of
this machine.
"""

import json
import time
from dataclasses import replace
from typing import Final

from tests.bench.figures import Figure, Say, figure, percentile
from tests.bench.functions import stamp
from tests.bench.stage import Stage, stage

JOBS: Final = 1_000
LEAD_MS: Final = 2_000
"""From the submit until the first one is due: time enough to accept them all."""
SPREAD_MS: Final = 5_000
"""From the first one until the last: 200 a second, so that it is lateness and not throughput that shows."""
PATIENCE_S: Final = 60.0


async def measure(runs: int, say: Say, jobs: int = JOBS) -> list[Figure]:
    """Median and 99th percentile of the lateness in `runs` runs on one cluster."""
    medians, tails = [], []
    others: list[float] = []
    async with stage(say) as made:
        for run in range(1, runs + 1):
            say(f"run {run} of {runs}: {jobs} delayed jobs")
            before = made.usage()
            late = await late_ms(made, jobs)
            others.append(round(made.usage().since(before).others_percent, 1))
            medians.append(percentile(late, 0.5))
            tails.append(percentile(late, 0.99))
    more = {"jobs": jobs, "spread_ms": SPREAD_MS, "others_cpu_percent": others}
    return [
        figure("timer_lateness_ms_p50", "ms", medians, **more),
        figure("timer_lateness_ms_p99", "ms", tails, **more),
    ]


async def late_ms(made: Stage, jobs: int) -> list[float]:
    """Milliseconds by which each job was late."""
    first_ms = time.time_ns() // 1_000_000 + LEAD_MS
    due_ms = [first_ms + SPREAD_MS * number // jobs for number in range(jobs)]
    made.ends.begin(jobs)
    asked = await made.client.submit_many(replace(stamp.request(), run_at_ms=at_ms) for at_ms in due_ms)
    await made.reached(PATIENCE_S)
    facts = made.ends.facts()
    return [
        json.loads(facts[job.id].result or b"") / 1e6 - at_ms
        for job, at_ms in zip(asked, due_ms, strict=True)
    ]
