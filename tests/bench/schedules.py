"""How late the jobs of many schedules start.

Owns the measurement: from each fire's time, which is in the id of its job, until its function looks at the
clock, and until its request is in the log; once with the schedules spread over the seconds of a minute, and
once with all of them at the same second.
"""

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Final

from schemas.times import parse_time
from tests.bench.figures import Figure, Say, figure, percentile
from tests.bench.functions import stamp
from tests.bench.stage import Stage, stage

SCHEDULES: Final = 10_000
LEAD_S: Final = 20
"""From the first write until the minute in which they fire: time enough to save them all."""
MINUTE_S: Final = 60
BATCH: Final = 500
PATIENCE_S: Final = 180.0


async def spread(runs: int, say: Say) -> list[Figure]:
    """Lateness in `runs` runs on one cluster, with the schedules spread over the seconds of the minute."""
    return await _measure(runs, say, "schedule", spread=True)


async def burst(runs: int, say: Say) -> list[Figure]:
    """The same with all of them at the same second."""
    return await _measure(runs, say, "schedule_burst", spread=False)


def names(name: str) -> tuple[str, ...]:
    """What the figures of a measurement are called."""
    return tuple(f"{name}_{what}_ms_p{share}" for what in ("lateness", "fire") for share in (50, 99))


async def _measure(runs: int, say: Say, name: str, *, spread: bool) -> list[Figure]:
    found: dict[str, list[float]] = {each: [] for each in names(name)}
    async with stage(say) as made:
        for run in range(1, runs + 1):
            say(f"run {run} of {runs}: {SCHEDULES} schedules")
            starts_ms, fires_ms = await _run(made, SCHEDULES, spread=spread)
            for what, values in (("lateness", starts_ms), ("fire", fires_ms)):
                for share in (50, 99):
                    found[f"{name}_{what}_ms_p{share}"].append(percentile(values, share / 100))
    return [figure(each, "ms", values, schedules=SCHEDULES) for each, values in found.items()]


async def _run(made: Stage, schedules: int, *, spread: bool) -> tuple[list[float], list[float]]:
    """By how many ms each job began late, and by how many its request was written late."""
    start_s = (int(time.time()) + LEAD_S) // MINUTE_S * MINUTE_S + MINUTE_S
    start_at = datetime.fromtimestamp(start_s, UTC)
    made.ends.begin(schedules)

    async def put(number: int) -> None:
        second = f"{number % MINUTE_S} " if spread else ""
        await made.client.schedule(
            f"{start_s}-{number}", f"{second}* * * * *", stamp, start_at=start_at, runs_max=1
        )

    for first in range(0, schedules, BATCH):
        await asyncio.gather(*(put(number) for number in range(first, min(first + BATCH, schedules))))
    await made.reached(PATIENCE_S)
    facts = made.ends.facts()
    times_ms = {job: parse_time(job.rpartition("@")[2]) for job in facts}
    starts = [json.loads(fact.result or b"") / 1e6 - times_ms[job] for job, fact in facts.items()]
    return starts, [float((fact.created_at_ms or 0) - times_ms[job]) for job, fact in facts.items()]
