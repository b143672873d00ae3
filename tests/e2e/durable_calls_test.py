"""Durable calls: a job whose end is told over the connection that asked, also when its relay dies."""

import asyncio
import functools
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jobstream import Caller, CallFailed, Unique
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


def runs_in(folder: Path, job: str = "durable-3") -> list[Path]:
    """What the held job left, one file for each of its runs."""
    return list(folder.glob(f"{job}.*.*"))


def read(path: Path) -> str:
    """A file; nothing until it is there."""
    return path.read_text() if path.exists() else ""


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


async def test_what_is_known_or_asked_for_already_runs_once(caller: Caller, tmp_path: Path) -> None:
    """A hit of get_cache is a receipt marked cached, and so says the answer; who asks for what another job
    does, and who asks for the same job, hears of the one run.
    """
    for key, value, cached in (("a", "known", True), ("b", "ran for b", False)):
        answer = await caller.job("e2e.looked_up", {"key": key}, within=60)
        assert (answer.value, answer.cached) == (value, cached)
    held = {"folder": str(tmp_path)}
    first = asyncio.create_task(caller.job("e2e.held", held, id="durable-3", within=60, unique=Unique()))

    async def runs() -> bool:
        return bool(runs_in(tmp_path))

    await eventually_async(runs, 30)
    others = [
        asyncio.create_task(caller.job("e2e.held", held, id=id, within=60, unique=Unique()))
        for id in ("durable-3", "durable-4", "durable-5")
    ]
    await caller.job("e2e.echo", within=60)
    go(tmp_path)
    answers = await asyncio.gather(first, *others)
    assert len({answer.value for answer in answers}) == 1
    assert len(runs_in(tmp_path, "*")) == 1, "the one job ran once"
    with pytest.raises(BadRequest, match="must be among the arguments"):
        await caller.job("e2e.echo", {"value": 1}, unique=Unique(fields=("to",)), within=60)


async def is_told(access_log: Path) -> bool:
    """The relay's line on the durable call that failed has all that a line on a call has."""
    lines = map(json.loads, read(access_log).splitlines())
    found = [line for line in lines if line["event.action"] == "durable call"]
    assert len(found) == 1
    (line,) = found
    assert (line["event.outcome"], line["jobstream.outcome"]) == ("failure", "failed")
    assert (line["jobstream.function"], line["client.address"]) == ("e2e.hopeless", "tests")
    assert (line["jobstream.args.bytes"], line["jobstream.result.bytes"]) == (0, 0)
    assert line["jobstream.waited_ms"] >= 0
    assert line["jobstream.run_ms"] >= 0
    assert line["jobstream.minion"]
    return True


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
        "JOBSTREAM_ACCESS_LOG": str(tmp_path / "access.log"),
    }
    dying = Child.start([sys.executable, "-m", "relay"], log=tmp_path / "relay.log", env=environ)
    try:
        async with Caller([address], name="tests") as one:
            with pytest.raises(CallFailed):
                await one.job("e2e.hopeless", within=60)
            await eventually_async(functools.partial(is_told, tmp_path / "access.log"), 30)
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
