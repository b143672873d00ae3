"""One whole cluster for the end-to-end tests, and minions as real processes. Owns every process it starts."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from jobstream import Client
from jobstream.cluster.child import Child
from jobstream.cluster.up import Cluster
from schemas.settings import load

_numbers = count(1)


@pytest.fixture(scope="session")
def cluster(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Streams, relay with its Gearman door, and topics on the broker of the run, on free ports."""
    with Cluster.start(
        replace(load()[0], gearman="127.0.0.1:0", limits="queue/narrow=1"),
        data=tmp_path_factory.mktemp("cluster"),
        bootstrap=bootstrap,
        prefix="e2e.",
        free_ports=True,
    ) as up:
        yield up


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Client]:
    """A client of the cluster."""
    async with Client(
        f"kafka://{cluster.bootstrap}", prefix=cluster.prefix, web=f"http://{cluster.web}"
    ) as one:
        yield one


Start = Callable[..., Child]


@pytest.fixture
def start(cluster: Cluster, tmp_path: Path) -> Iterator[Start]:
    """Starts a minion; all are ended with the test."""
    minions: list[Child] = []

    def start_minion(*more: str) -> Child:
        name = f"minion-{next(_numbers)}"
        command = [sys.executable, "-m", "jobstream.minion", "tests.e2e.functions", "--relay", cluster.relay]
        minions.append(Child.start([*command, "--name", name, *more], log=tmp_path / f"{name}.log"))
        return minions[-1]

    yield start_minion
    for minion in minions:
        minion.kill()
