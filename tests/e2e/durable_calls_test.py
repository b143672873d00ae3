"""Durable calls: a job whose end is told over the connection that asked, also when its relay dies."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jobstream import Caller, CallFailed
from jobstream.cluster import Child, free_port
from jobstream.cluster.up import Cluster
from jobstream.errors import BadRequest, WaitTimedOut
from tests.e2e.conftest import Start
from tests.waiting import eventually_async


@pytest.fixture
async def caller(cluster: Cluster, start: Start) -> AsyncIterator[Caller]:
    """A caller of the cluster's relay, with a minion behind it."""
    start()
    async with Caller(cluster.relay) as found:
        yield found


def runs_in(folder: Path) -> list[Path]:
    """What the held job left, one file for each of its runs."""
    return list(folder.glob("durable-3.*"))


def go(folder: Path) -> None:
    """Lets it go on."""
    (folder / "go").touch()


async def test_a_durable_call_is_a_job_and_its_end_comes_back(caller: Caller) -> None:
    """The same id again gives the end of the job that exists; who does not wait as long leaves it alone."""
    answer = await caller.job("e2e.echo", {"value": 7}, id="durable-1", within=60)
    assert answer.value == 7
    again = await caller.job("e2e.echo", {"value": 7}, id="durable-1", within=60)
    assert again.value == 7
    with pytest.raises(WaitTimedOut, match="job durable-2 had not ended within"):
        await caller.job("e2e.nobody", id="durable-2", within=0.5)
    with pytest.raises(BadRequest, match="id must match"):
        await caller.job("e2e.echo", id="no id", within=60)


@pytest.mark.full
@pytest.mark.usefixtures("caller")
async def test_a_durable_call_outlives_its_relay(cluster: Cluster, tmp_path: Path) -> None:
    """The relay that was asked is killed; the client waits on at another, and hears of the one job."""
    address = f"127.0.0.1:{free_port()}"
    environ = {
        **os.environ,
        "JOBSTREAM_BOOTSTRAP": cluster.bootstrap,
        "JOBSTREAM_PREFIX": cluster.prefix,
        "JOBSTREAM_RELAY": address,
    }
    dying = Child.start([sys.executable, "-m", "relay"], log=tmp_path / "relay.log", env=environ)
    try:
        async with Caller([address]) as one:
            with pytest.raises(CallFailed):
                await one.job("e2e.hopeless", within=60)
        async with Caller([cluster.relay, address]) as both:
            held = {"folder": str(tmp_path)}
            waiting = asyncio.create_task(both.job("e2e.held", held, id="durable-3", within=60))

            async def runs() -> bool:
                return bool(runs_in(tmp_path))

            await eventually_async(runs, 30)
            dying.kill()
            go(tmp_path)
            assert (await waiting).value
            assert len(runs_in(tmp_path)) == 1, "the one job ran once"
    finally:
        dying.kill()
