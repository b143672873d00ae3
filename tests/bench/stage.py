"""What the benchmarks of whole jobs play on: a cluster on free ports, minions, a client, and who watches.

Owns their lives, and the warming up. Everything has its default settings. Data is in a temporary directory,
removed at the end.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jobstream.client import Client
from jobstream.cluster import Child
from jobstream.cluster.up import Cluster
from schemas.topics import Topics
from tests.bench.ends import Ends
from tests.bench.figures import ROOT, Say
from tests.bench.functions import noop
from tests.bench.usage import Usage

PREFIX: Final = "bench."
MINIONS: Final = 1
WARM_UP_JOBS: Final = 1_000
"""So that topics of queues are made, connections open, and code paths known before the clock runs."""
WARM_UP_S: Final = 60.0
MINION_STOP_S: Final = 5.0
ARGS: Final = "x" * 188
"""With its name around it 200 bytes of JSON."""


@dataclass(frozen=True)
class Stage:
    """A cluster that runs, and has run some jobs already."""

    cluster: Cluster
    client: Client
    ends: Ends
    minions: Mapping[str, Child]

    def usage(self) -> Usage:
        """CPU time of every process that takes part: this one is the client, and watches the facts."""
        pids = {name: self.cluster.pid(name) for name in self.cluster.names}
        pids |= {name: minion.pid for name, minion in self.minions.items()}
        return Usage.now({**pids, "client": os.getpid()})

    async def reached(self, timeout_s: float) -> float:
        """As Ends.reached, while the client's event loop goes on."""
        return await asyncio.to_thread(self.ends.reached, timeout_s)


@asynccontextmanager
async def stage(say: Say, minions: int = MINIONS) -> AsyncIterator[Stage]:
    """Sets everything up; in the end all of it is gone."""
    with tempfile.TemporaryDirectory(prefix="jobstream-bench-") as data:
        async with stage_on(say, Path(data), minions=minions) as made:
            yield made


@asynccontextmanager
async def stage_on(
    say: Say, data: Path, *, bootstrap: str | None = None, minions: int = MINIONS
) -> AsyncIterator[Stage]:
    """The same with its data in a directory that is there already, and on a broker that runs, if one is
    given.
    """
    with ExitStack() as stack:
        say("starting a cluster")
        cluster = stack.enter_context(
            Cluster.start(data=data, bootstrap=bootstrap, prefix=PREFIX, free_ports=True, say=lambda _: None)
        )
        fleet = {f"minion-{number}": _minion(cluster, number, stack) for number in range(1, minions + 1)}
        ends = stack.enter_context(Ends(cluster.bootstrap, Topics(PREFIX).facts))
        async with Client(
            f"kafka://{cluster.bootstrap}", prefix=PREFIX, web=f"http://{cluster.web}"
        ) as client:
            made = Stage(cluster, client, ends, fleet)
            say("warming up")
            ends.begin(WARM_UP_JOBS)
            await client.submit_many(noop.request(ARGS) for _ in range(WARM_UP_JOBS))
            await made.reached(WARM_UP_S)
            yield made


def _minion(cluster: Cluster, number: int, stack: ExitStack) -> Child:
    command = [sys.executable, "-m", "jobstream.minion", "tests.bench.functions"]
    command += ["--relay", cluster.relay, "--name", f"minion-{number}"]
    minion = Child.start(command, log=cluster.logs / f"minion-{number}.log", cwd=ROOT)
    stack.callback(minion.stop, MINION_STOP_S)
    return minion
