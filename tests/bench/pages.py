"""The dashboard beside many jobs: how long a page takes, and what open dashboards cost the workers.

Owns the measurement on a stage that is given; run alone it makes one: `python -m tests.bench.pages [JOBS]`.
"""

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx

from jobstream.cluster import Broker
from tests.bench.figures import Figure, figure
from tests.bench.stage import Stage, stage_on

NAMES: Final = (
    "dashboard_first_page_ms_1m",
    "dashboard_overview_ms_1m",
    "dashboard_jobs_ms_1m",
    "dashboard_50_open_streams_percent",
)
MANY: Final = 1_000_000
"""Jobs of a run alone."""
PAGES: Final = 20
OPEN: Final = 50
"""Dashboards that are open at once: half of them on the overview, the others on a list, each its own."""
SETTLE_S: Final = 3.0
SPAN_S: Final = 20.0
PATIENCE_S: Final = 60.0


async def measure(made: Stage) -> list[Figure]:
    """All of it."""
    made.cluster.kill("gateway")  # the first page of a service is that of one that has just begun
    await asyncio.to_thread(made.cluster.wait_until_ready, "gateway")
    async with httpx.AsyncClient(
        base_url=f"http://{made.cluster.http}/dashboard", timeout=PATIENCE_S
    ) as http:
        first = [await _page_ms(http, "/")]
        overview = [await _page_ms(http, "/") for _ in range(PAGES)]
        jobs = [await _page_ms(http, "/jobs") for _ in range(5)]
    percent, others, bytes_per_s = await _open(made)
    return [
        figure(NAMES[0], "ms", first),
        figure(NAMES[1], "ms", [statistics.median(overview)], most=max(overview)),
        figure(NAMES[2], "ms", [statistics.median(jobs)], most=max(jobs)),
        figure(NAMES[3], "%", [percent["streams"]], **others, bytes_per_s=bytes_per_s),
    ]


async def _page_ms(http: httpx.AsyncClient, path: str) -> float:
    began_s = time.perf_counter()
    answer = await http.get(path)
    assert answer.status_code == httpx.codes.OK, answer.text
    return (time.perf_counter() - began_s) * 1_000


async def _open(made: Stage) -> tuple[dict[str, float], dict[str, float], float]:
    """Percent of a core of each part with so many dashboards open, less what it takes without; bytes sent."""
    before = await _percent(made)
    received = [0]
    async with httpx.AsyncClient(
        base_url=f"http://{made.cluster.http}",
        timeout=PATIENCE_S,
        limits=httpx.Limits(max_connections=2 * OPEN),
    ) as http:
        tasks = [asyncio.create_task(_listen(http, number, received)) for number in range(OPEN)]
        await asyncio.sleep(SETTLE_S)
        began = received[0]
        during = await _percent(made)
        sent = (received[0] - began) / SPAN_S
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    more = {name: round(during[name] - before[name], 2) for name in during}
    return more, {f"{name}_percent": more[name] for name in ("gateway", "relay")}, round(sent)


async def _listen(http: httpx.AsyncClient, number: int, received: list[int]) -> None:
    at = "/dashboard/" if number % 2 == 0 else f"/dashboard/jobs?q=since:{number}h"
    with contextlib.suppress(httpx.HTTPError):
        async with http.stream("GET", "/dashboard/live", params={"at": at}) as stream:
            assert stream.status_code == httpx.codes.OK
            async for part in stream.aiter_bytes():
                received[0] += len(part)


async def _percent(made: Stage) -> dict[str, float]:
    """Percent of a core of each part, over a while in which nothing else is asked."""
    began = made.usage()
    await asyncio.sleep(SPAN_S)
    spent = made.usage().since(began)
    return {name: 100 * seconds / SPAN_S for name, seconds in spent.processes.items()}


async def alone(count: int) -> None:
    """On a stage of its own, with so many delayed jobs."""
    from tests.bench.pending import write

    def say(words: str) -> None:
        sys.stderr.write(f"{words}\n")

    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobstream-bench-")))
        broker = stack.enter_context(Broker.start(data / "kafka", tell=say))
        say(f"writing {count} delayed jobs")
        await write(broker.bootstrap, count)
        async with stage_on(say, data, bootstrap=broker.bootstrap) as made:
            for each in await measure(made):
                print(json.dumps(each.fields()), flush=True)


if __name__ == "__main__":
    asyncio.run(alone(int(sys.argv[1]) if len(sys.argv) > 1 else MANY))
