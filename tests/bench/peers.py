"""Celery and Dramatiq with Redis on the work that ours is measured with: jobs per second, CPU, submit to
start.

Owns the measurement; the settings are in `celery_app` and `dramatiq_app`. One worker, the same no-op with the
same arguments, one client in this process, all on this machine, as with ours. Jobs are submitted one by one,
since neither has a call for many.
"""

import asyncio
import importlib
import os
import random
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from jobstream.cluster import Child
from tests.bench.figures import ROOT, Figure, Say, Unavailable, figure, percentile
from tests.bench.latency import PAUSE_S
from tests.bench.redis_server import redis_server
from tests.bench.stage import ARGS
from tests.bench.usage import Spent, Usage, of_session

JOBS: Final = 5_000
"""Fewer than ours gets: what counts is a rate, and this takes them longer."""
WARM_UP_JOBS: Final = 500
LATENCY_JOBS: Final = 300
PATIENCE_S: Final = 120.0
POLL_S: Final = 0.01
STOP_S: Final = 10.0


@dataclass(frozen=True)
class Stage:
    """A Redis server, and a worker that has run some jobs already."""

    client: Any
    results: Any
    """The database with the results."""
    redis: Child
    worker: Child

    def usage(self) -> Usage:
        """CPU time of every process that takes part, those that the worker forked included."""
        pids = {f"worker {pid}": pid for pid in of_session(self.worker.pid)}
        return Usage.now({**pids, "redis": self.redis.pid, "client": os.getpid()})


def measures(peer: str) -> Callable[[int, Say], Coroutine[Any, Any, list[Figure]]]:
    """The measurement of one of them, `celery` or `dramatiq`."""

    async def measure(runs: int, say: Say) -> list[Figure]:
        return await _measure(peer, runs, say)

    return measure


async def _measure(peer: str, runs: int, say: Say) -> list[Figure]:
    """Throughput, cost and latency in `runs` runs on one server."""
    rates, costs, medians, tails = [], [], [], []
    others: list[float] = []
    async with _stage(peer, say) as made:
        for run in range(1, runs + 1):
            say(f"run {run} of {runs}: {JOBS} jobs")
            seconds, spent = await _run(made, JOBS)
            rates.append(JOBS / seconds)
            costs.append(sum(spent.per(JOBS).values()))
            others.append(round(spent.others_percent, 1))
            say(f"run {run} of {runs}: {LATENCY_JOBS} jobs, one at a time")
            waits_ms = [await _one(made) for _ in range(LATENCY_JOBS)]
            medians.append(percentile(waits_ms, 0.5))
            tails.append(percentile(waits_ms, 0.99))
    app = _module(peer)
    more = {"peer_versions": {name: version(name) for name in app.PACKAGES}, "others_cpu_percent": others}
    return [
        figure(f"{peer}_jobs_per_s", "jobs/s", rates, jobs=JOBS, **more),
        figure(f"{peer}_cpu_us_per_job", "us", costs, jobs=JOBS, **more),
        figure(f"{peer}_submit_to_start_ms_p50", "ms", medians, jobs=LATENCY_JOBS, **more),
        figure(f"{peer}_submit_to_start_ms_p99", "ms", tails, jobs=LATENCY_JOBS, **more),
    ]


@asynccontextmanager
async def _stage(peer: str, say: Say) -> AsyncIterator[Stage]:
    """Sets everything up; in the end all of it is gone."""
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobstream-bench-")))
        say("starting Redis and a worker")
        redis, url = stack.enter_context(redis_server(data))
        app = _module(peer)
        worker = Child.start(app.worker(url), log=data / "worker.log", cwd=ROOT)
        stack.callback(_end, worker)
        client = app.Client(url)
        stack.callback(client.close)
        made = Stage(client, _database(url, app.RESULTS), redis, worker)
        say("warming up")
        try:
            await _run(made, WARM_UP_JOBS)
        except TimeoutError:
            raise RuntimeError(f"{peer} did not run its first jobs: {worker.tail()}") from None
        yield made


def _end(worker: Child) -> None:
    """Asks the worker to end, and ends what it may have left behind."""
    worker.stop(STOP_S)
    for pid in of_session(worker.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def _run(made: Stage, jobs: int) -> tuple[float, Spent]:
    """Seconds and CPU of so many jobs: from the first submit until the last result is kept."""
    made.results.flushdb()
    before = made.usage()
    began_s = time.monotonic()
    for _ in range(jobs):
        made.client.noop(ARGS)
    async with asyncio.timeout(PATIENCE_S):
        while made.results.dbsize() < jobs:  # noqa: ASYNC110  # it is Redis that knows
            await asyncio.sleep(POLL_S)
    seconds = time.monotonic() - began_s
    spent = made.usage().since(before)
    failed = made.client.failed()
    assert failed == 0, f"every job must succeed, got {failed} that did not"
    return seconds, spent


async def _one(made: Stage) -> float:
    """Milliseconds that one job waits for its start; nothing else wants the event loop meanwhile."""
    await asyncio.sleep(random.uniform(*PAUSE_S))
    asked_ns = time.time_ns()
    return float((made.client.started_ns(PATIENCE_S) - asked_ns) / 1e6)


def _module(peer: str) -> Any:
    """The module with the settings; it is loaded late, since its packages are an extra."""
    try:
        return importlib.import_module(f"tests.bench.{peer}_app")
    except ImportError as error:
        raise Unavailable(f"{error}; make bench installs the extra `bench`") from error


def _database(url: str, number: int) -> Any:
    from redis import Redis

    return Redis.from_url(f"{url}/{number}")
