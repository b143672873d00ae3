"""How soon what was held runs again: a minion killed; one of two relays killed together with its minion; one
of two relays killed whose minion lives.

Owns the measurement, on a cluster with two relays and its default settings. Every job notes when it began, in
a file. Each attempt that was cut off must begin again once, and no other may.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from jobstream.client import Client
from jobstream.cluster import Child, free_port
from jobstream.cluster.up import Cluster
from jobstream.minion import Wire
from jobstream.minion.status import ask
from tests.bench.ends import JobFailed
from tests.bench.figures import ROOT, Figure, Say, figure
from tests.bench.functions import clock_ns, hold, noop
from tests.waiting import eventually

NAMES: Final = ("minion_kill_s", "relay_and_minion_kill_s", "relay_kill_adopted_s")
JOBS: Final = 60
HOLD_S: Final = 8.0
PREFIX: Final = "bench."
STOP_S: Final = 5.0
WARM: Final = 50


@dataclass(frozen=True)
class Began:
    """One attempt that began."""

    job: str
    attempt: int
    at_ns: int
    pid: int


class Scene:
    """A cluster, a second relay, and whoever works there."""

    def __init__(self, cluster: Cluster, client: Client, folder: Path) -> None:
        self.cluster = cluster
        self.client = client
        self.folder = folder

    @contextmanager
    def relay(self, name: str) -> Iterator[tuple[str, Child]]:
        """A second relay: its address, and its process."""
        address = f"127.0.0.1:{free_port()}"
        environ = {
            "JOBSTREAM_BOOTSTRAP": self.cluster.bootstrap,
            "JOBSTREAM_PREFIX": PREFIX,
            "JOBSTREAM_RELAY": address,
        }
        command = [sys.executable, "-m", "relay"]
        child = Child.start(command, log=self.folder / f"{name}.log", cwd=ROOT, env={**os.environ, **environ})
        try:
            yield address, child
        finally:
            child.stop(STOP_S)

    @contextmanager
    def minion(self, name: str, relays: str) -> Iterator[Child]:
        """A minion with sessions at these relays."""
        command = [sys.executable, "-m", "jobstream.minion", "tests.bench.functions"]
        command += ["--relay", relays, "--name", name, "--grace", "0"]
        child = Child.start(command, log=self.folder / f"{name}.log", cwd=ROOT)
        try:
            yield child
        finally:
            child.stop(STOP_S)

    async def begin(self, name: str, *sessions: tuple[str, int]) -> Path:
        """Submits jobs that hold, and waits until all have begun; the file that tells. Before that each relay
        must have so many sessions.
        """
        for address, count in sessions:
            await asyncio.to_thread(_until_connected, address, count)
        warm = await self.client.submit_many(noop.request("x") for _ in range(WARM))
        await asyncio.gather(*(job.result() for job in warm))
        path = self.folder / name
        await self.client.submit_many(hold.request(str(path), HOLD_S) for _ in range(JOBS))
        await asyncio.to_thread(eventually, lambda: len(read(path)) == JOBS, 30)
        return path


def read(path: Path) -> list[Began]:
    """Every beginning that the file tells of."""
    if not path.exists():
        return []
    lines = (line.split() for line in path.read_text().splitlines())
    return [Began(job, int(attempt), int(at_ns), int(pid)) for job, attempt, at_ns, pid in lines]


async def measure(runs: int, say: Say) -> list[Figure]:
    """Each of the three, `runs` times on one cluster."""
    cases: dict[str, Callable[[Scene, str], Awaitable[float]]] = {
        NAMES[0]: minion_killed,
        NAMES[1]: relay_and_minion_killed,
        NAMES[2]: relay_killed,
    }
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    with tempfile.TemporaryDirectory(prefix="jobstream-bench-") as data, ExitStack() as stack:
        say("starting a cluster")
        cluster = stack.enter_context(
            Cluster.start(data=Path(data), prefix=PREFIX, free_ports=True, say=lambda _: None)
        )
        async with Client(
            f"kafka://{cluster.bootstrap}", prefix=PREFIX, web=f"http://{cluster.web}"
        ) as client:
            scene = Scene(cluster, client, Path(data))
            for run in range(1, runs + 1):
                for name, case in cases.items():
                    say(f"run {run} of {runs}: {name}")
                    found[name].append(await case(scene, f"{name}-{run}"))
                    say(f"{found[name][-1]:.2f} s")
    return [figure(name, "s", found[name], jobs=JOBS) for name in NAMES]


async def minion_killed(scene: Scene, name: str) -> float:
    """SIGKILL for one of two minions, until the last of its jobs has begun at the other."""
    relay = scene.cluster.relay
    with scene.minion(f"{name}-a", relay) as victim, scene.minion(f"{name}-b", relay):
        path = await scene.begin(name, (relay, 2))
        return await _again(path, victim.pid, (victim,))


async def relay_and_minion_killed(scene: Scene, name: str) -> float:
    """SIGKILL for one of two relays and its minion; the other pair goes on."""
    with (
        scene.relay(f"{name}-relay") as (address, relay),
        scene.minion(f"{name}-a", address) as victim,
        scene.minion(f"{name}-b", scene.cluster.relay),
    ):
        path = await scene.begin(name, (address, 1), (scene.cluster.relay, 1))
        return await _again(path, victim.pid, (relay, victim))


async def relay_killed(scene: Scene, name: str) -> float:
    """SIGKILL for one of two relays whose minion lives, and knows the other: until the other has its leases.
    No job may begin again.
    """
    with (
        scene.relay(f"{name}-relay") as (address, relay),
        scene.minion(f"{name}-a", f"{address},{scene.cluster.relay}"),
    ):
        path = await scene.begin(name, (address, 1), (scene.cluster.relay, 1))
        before = _leases(scene.cluster.relay)
        if before == JOBS:
            raise JobFailed("the relay that is killed must hold leases, and holds none")
        relay.send(signal.SIGKILL)
        killed_s = time.monotonic()
        await asyncio.to_thread(eventually, lambda: _leases(scene.cluster.relay) == JOBS, 20)
        took_s = time.monotonic() - killed_s
        await asyncio.sleep(HOLD_S)
        if len(read(path)) != JOBS:
            raise JobFailed(f"no job may begin again, got {len(read(path)) - JOBS} that did")
        return took_s


def _until_connected(address: str, count: int) -> None:
    """Waits until a relay has so many sessions, and reads its share of the partitions."""

    def ready() -> bool:
        try:
            status = ask(address, Wire())
        except grpc.RpcError:  # it does not listen yet
            return False
        return len(status.sessions) == count and bool(status.partitions)

    eventually(ready, 30)


def _leases(address: str) -> int:
    return int(ask(address, Wire()).leases)


async def _again(path: Path, victim: int, killed: tuple[Child, ...]) -> float:
    """Kills, and waits until all that the victim had begun elsewhere; seconds until the last of them."""
    cut = {each.job for each in read(path) if each.pid == victim}
    if not cut:
        raise JobFailed("the minion that is killed must hold jobs, and holds none")
    killed_ns = clock_ns()
    for child in killed:
        child.send(signal.SIGKILL)
    await asyncio.to_thread(eventually, lambda: len(read(path)) == JOBS + len(cut), 20)
    again = [each for each in read(path) if each.pid != victim and each.at_ns > killed_ns]
    if {each.job for each in again} != cut or len(again) != len(cut):
        raise JobFailed(f"{len(cut)} jobs must begin again once, got {len(again)}")
    took_s = (max(each.at_ns for each in again) - killed_ns) / 1e9
    await asyncio.sleep(HOLD_S)
    return took_s
