"""The HTTP service while partitions move between real workers: it waits, or says 503 with Retry-After; it
never leaves a job out, tells one twice, or shows what was before.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobstream.cluster import free_port
from jobstream.cluster.child import Child
from tests.kafka.streams_harness import PARTITIONS, Start, Worker
from tests.waiting import eventually_async

pytestmark = [pytest.mark.full, pytest.mark.kafka]

JOBS = [f"moved-{number}" for number in range(40)]
MOVED_S = 40.0


@pytest.fixture
def start(bootstrap: str, prefix: str, tmp_path: Path) -> Iterator[Start]:
    """Starts workers; none of them outlives the test."""
    workers = []

    def begin() -> Worker:
        workers.append(Worker(bootstrap, prefix, tmp_path))
        return workers[-1].start()

    yield begin
    for worker in workers:
        worker.close()


@contextlib.asynccontextmanager
async def serving(bootstrap: str, prefix: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway in a process of its own."""
    address = f"127.0.0.1:{free_port()}"
    settings = {"BOOTSTRAP": bootstrap, "PREFIX": prefix, "PARTITIONS": str(PARTITIONS), "HTTP": address}
    env = {**os.environ, **{f"JOBSTREAM_{name}": value for name, value in settings.items()}}
    child = Child.start([sys.executable, "-m", "jobstream", "gateway"], log=tmp_path / "gateway.log", env=env)
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as one:
            yield one
    finally:
        child.stop(10)


class Watcher:
    """Asks again and again, and holds each answer against what is known to be so."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.cancelled: set[str] = set()
        """Jobs whose cancellation was answered; before that they are scheduled."""
        self.answers: Counter[int] = Counter()
        self.wrong: list[str] = []

    async def watch(self) -> None:
        """Until it is cancelled: one job after the other, the list, the counts."""
        while True:
            for id in JOBS:
                await self._job(id)
            await self._all()

    async def _job(self, id: str) -> None:
        phases = {"cancelled"} if id in self.cancelled else {"scheduled", "cancelled"}
        answer = await self._ask(f"/job/{id}")
        if answer is not None and answer["phase"] not in phases:
            self.wrong.append(f"{id} is {answer['phase']}, not {phases}")

    async def _all(self) -> None:
        least = len(self.cancelled)
        page = await self._ask("/jobs?limit=1000")
        if page is not None:
            found = [job["id"] for job in page["jobs"]]
            done = sum(job["phase"] == "cancelled" for job in page["jobs"])
            if sorted(found) != sorted(JOBS) or done < least:
                self.wrong.append(f"the list has {len(found)} jobs, {done} of {least} cancelled")
        told = await self._ask("/queues")
        if told is not None:
            counts = told["queues"]["default"]
            if counts.get("scheduled", 0) + counts.get("cancelled", 0) != len(JOBS):
                self.wrong.append(f"the counts are {counts}")

    async def _ask(self, path: str) -> Any:
        """The answer; None if it can't be told now."""
        answer = await self._http.get(path)
        self.answers[answer.status_code] += 1
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "retry-after" in answer.headers:
            return None
        if answer.status_code != httpx.codes.OK:
            self.wrong.append(f"{path}: {answer.status_code} {answer.text:.200}")
            return None
        return answer.json()


async def test_while_partitions_move(start: Start, bootstrap: str, prefix: str, tmp_path: Path) -> None:
    """A second worker takes half; one freezes, loses its partitions, and wakes up with what it knew; one is
    killed. All the while every answer is whole and of now, or 503.
    """
    one = await asyncio.to_thread(start)
    async with serving(bootstrap, prefix, tmp_path) as http:
        await _move(http, one, start)


async def _move(http: httpx.AsyncClient, one: Worker, start: Start) -> None:
    await eventually_async(lambda: _ready(http), MOVED_S)
    asked = [{"function": "f", "id": id, "delay": "1h"} for id in JOBS]
    assert (await http.post("/jobs", json=asked)).status_code == 201
    watcher = Watcher(http)
    watching = asyncio.create_task(watcher.watch())

    async def cancel(ids: list[str]) -> None:
        for id in ids:

            async def done(id: str = id) -> bool:
                answer = await http.post(f"/job/{id}/cancel")
                return answer.status_code in {200, 409}  # 409: a former try was done after all

            await eventually_async(done, MOVED_S)
            watcher.cancelled.add(id)

    two = await asyncio.to_thread(start)
    await cancel(JOBS[:10])
    one.process.send_signal(signal.SIGSTOP)
    await eventually_async(lambda: _has(two, range(PARTITIONS)), MOVED_S)
    await cancel(JOBS[10:20])
    one.process.send_signal(signal.SIGCONT)
    await cancel(JOBS[20:30])
    await eventually_async(lambda: _gone_or_back(one), MOVED_S)
    one.kill()
    await eventually_async(lambda: _has(two, range(PARTITIONS)), MOVED_S)
    await cancel(JOBS[30:])
    await eventually_async(lambda: _ready(http), MOVED_S)
    seen = watcher.answers[200]
    await eventually_async(lambda: _more(watcher, seen + len(JOBS)), MOVED_S)
    watching.cancel()
    assert watcher.wrong == []
    assert set(watcher.answers) <= {200, 503}


async def _ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


async def _has(worker: Worker, partitions: range) -> bool:
    return await asyncio.to_thread(lambda: worker.partitions) == list(partitions)


async def _gone_or_back(worker: Worker) -> bool:
    """It ended since others took over, or has its share again."""
    ended = worker.process.poll() is not None
    return ended or 0 < len(await asyncio.to_thread(lambda: worker.partitions)) < PARTITIONS


async def _more(watcher: Watcher, answers: int) -> bool:
    assert watcher.wrong == []
    return watcher.answers[200] >= answers
