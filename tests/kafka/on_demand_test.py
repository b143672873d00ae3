"""Minions on demand: from none to a burst and back to none, with processes, with function hosts that nobody
here wrote, and with a scheduler of one's own; and what a burst costs where calls are billed.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import pytest

from jobstream.cluster import free_port
from jobstream.functions import function
from jobstream.testing.fleet import in_process
from relay.core.pool import Plan
from relay.main import Relay
from relay.scheduler import Kind, LaunchFailed, Pools, Scheduler
from relay.scheduler.hooks import find
from relay.scheduler.invoked import Invoked
from relay.scheduler.settings import scheduler_of
from schemas.events import Dispatch
from schemas.proto.relay_pb2 import StatusReply
from tests.fakes.lambda_service import lambda_service
from tests.kafka.relay_test import Log, settings_of
from tests.tidy.source import ROOT
from tests.waiting import eventually, eventually_async

FUNCTION = "thumb.make"
JOB_MS = 10
EXAMPLES = ROOT / "examples"
ENVIRON = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{EXAMPLES}"}
POOLS = """
[thumbs]
modules = ["function_host"]
functions = ["thumb.make"]
concurrency = 10
max = 2
idle_ms = 500
"""
PLAN = Plan("p", frozenset({"default"}), frozenset({FUNCTION}), most=2, jobs_each=200, idle_ms=500)
URL_PLAN = replace(PLAN, leaves=True)
"""Calls of a URL end when they are idle by themselves."""


@function(name=FUNCTION)
async def make(ms: int) -> None:
    """The function of the example, for minions of this process."""
    await asyncio.sleep(ms / 1_000)


@pytest.fixture
def log(bootstrap: str, prefix: str) -> Iterator[Log]:
    """The topics of this test."""
    log = Log(bootstrap, prefix)
    log.make()
    yield log
    log.close()


def jobs(log: Log, count: int, ms: int = JOB_MS) -> list[Dispatch]:
    """Dispatches of jobs that take so long."""
    args = f'{{"ms": {ms}}}'.encode()
    return [log.dispatch(key=f"key-{number}", function=FUNCTION, args=args) for number in range(count)]


@dataclass
class Ends:
    """What became of jobs; a job that was handed back is dispatched again, as the state machine does."""

    log: Log
    may_be_lost: bool = False
    seen: int = 0
    again: int = 0

    def succeeded(self, wanted: list[Dispatch]) -> bool:
        """True when all of them did; nothing else may happen to them but a hand-back."""
        self.log.read()
        by_id = {dispatch.job: dispatch for dispatch in wanted}
        for receipt in self.log.receipts[self.seen :]:
            if receipt.outcome != "success" and receipt.job in by_id:
                assert receipt.outcome == "interrupted" or self.may_be_lost, receipt
                self.again += 1
                self.log.write(replace(by_id[receipt.job], epoch=receipt.epoch + 1))
        self.seen = len(self.log.receipts)
        return by_id.keys() <= {each.job for each in self.log.receipts if each.outcome == "success"}

    async def wait(self, wanted: list[Dispatch], timeout_s: float = 30.0) -> None:
        """Until all of them succeeded."""

        async def check() -> bool:
            return self.succeeded(wanted)

        await eventually_async(check, timeout_s)


@asynccontextmanager
async def relay_with(log: Log, scheduler: Scheduler) -> AsyncIterator[Relay]:
    """A relay whose minions the scheduler brings."""
    async with Relay(settings_of(log), drain_s=0.5, scheduler=scheduler) as relay:
        yield relay


def status(relay: Relay) -> StatusReply:
    """What the relay does now."""
    assert relay._bridge is not None
    return relay._bridge.status()


async def until_nobody(relay: Relay, pools: Pools | None = None) -> None:
    """Until the last minion is gone."""

    async def check() -> bool:
        return not status(relay).sessions and (pools is None or not any(pools.counts().values()))

    await eventually_async(check, 20)


@contextmanager
def functions_framework() -> Iterator[str]:
    """The example behind Google's function host; the URL."""
    port = free_port()
    command = [sys.executable, "-m", "functions_framework", "--source", str(EXAMPLES / "function_host.py")]
    command += ["--target", "handler", "--host", "127.0.0.1", "--port", str(port)]
    host = subprocess.Popen(command, env=ENVIRON, start_new_session=True)
    try:
        eventually(lambda: _listens(port), 30)
        yield f"http://127.0.0.1:{port}/"
    finally:
        host.terminate()
        host.wait()


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Billed:
    """A launcher whose calls are billed in whole 100 ms, from the relay's side."""

    def __init__(self, launcher: Invoked) -> None:
        self.launcher = launcher
        self.billed_ms = self.calls = 0

    async def run(self, name: str, relay: str, leave: asyncio.Event) -> str:
        """One call."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            return await self.launcher.run(name, relay, leave)
        finally:
            self.calls += 1
            self.billed_ms += -(-int((loop.time() - began_s) * 1_000) // 100) * 100


def called(url: str, plan: Plan, concurrency: int = 10, limit_s: float = 60.0) -> Invoked:
    """A launcher for a URL."""
    return Invoked(url, concurrency, ("default",), (FUNCTION,), plan.idle_ms / 1_000, limit_s)


async def test_a_scheduler_in_this_process(log: Log) -> None:
    """Minions come with the work, and go when it is done; jobs that came before them wait."""
    pools = in_process([make], most=2)
    async with relay_with(log, pools) as relay:
        assert not status(relay).sessions
        burst = jobs(log, 30)
        log.write(*burst)
        await Ends(log).wait(burst)
        assert status(relay).assigned == len(burst)
        await until_nobody(relay, pools)


async def test_a_pool_that_cannot_start_hands_back_and_goes_on_trying(log: Log) -> None:
    """The job is handed back by name when nobody came in time; when minions can start, they do."""
    works = asyncio.Event()
    inner = in_process([make])._keepers[0]._launcher

    class Sometimes:
        async def run(self, name: str, relay: str, leave: asyncio.Event) -> str:
            if not works.is_set():
                raise LaunchFailed("not yet")
            return await inner.run(name, relay, leave)

    pools = Pools([Kind(replace(PLAN, answer_ms=500), Sometimes())])
    async with relay_with(log, pools) as relay:
        [job] = jobs(log, 1)
        log.write(job)
        assert (await log.receipt(job.job)).outcome == "unserved"
        works.set()

        async def somebody() -> bool:
            return bool(status(relay).sessions)

        await eventually_async(somebody, 20)
        later = replace(job, epoch=2)
        log.write(later)

        async def served() -> bool:
            log.read()
            return any(receipt.outcome == "success" for receipt in log.receipts)

        await eventually_async(served)


@pytest.mark.full
async def test_a_pool_of_processes(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """From no process to some, and back to none; one that is killed gives its jobs back, and is replaced."""
    monkeypatch.setenv("PYTHONPATH", ENVIRON["PYTHONPATH"])
    pools = scheduler_of(settings_of(log), tomllib.loads(POOLS))
    assert isinstance(pools, Pools)
    async with relay_with(log, pools) as relay:
        burst = jobs(log, 100)
        log.write(*burst)
        ends = Ends(log, may_be_lost=True)
        await ends.wait(burst)
        assert pools.counts() == {"thumbs": 2}
        assert ends.again == 0
        victim = int(log.receipts[-1].result or b"")
        long = jobs(log, 20, ms=500)
        log.write(*long)

        async def both_are_busy() -> bool:
            return all(session.leases for session in status(relay).sessions)

        await eventually_async(both_are_busy)
        os.kill(victim, signal.SIGKILL)
        await ends.wait(long)
        assert ends.again > 0
        await until_nobody(relay, pools)


@pytest.mark.full
async def test_ones_own_scheduler(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of twenty lines does what it says."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setenv("PYTHONPATH", ENVIRON["PYTHONPATH"])
    async with relay_with(log, find("own_scheduler:OneMinion")) as relay:
        burst = jobs(log, 20)
        log.write(*burst)
        await Ends(log).wait(burst)
        await until_nobody(relay)


@pytest.mark.full
async def test_functions_framework(log: Log) -> None:
    """Jobs of 10 ms are served by few long calls, from none and back to none, at an eighth of the bill."""
    with functions_framework() as url:
        billed = Billed(called(url, URL_PLAN))
        pools = Pools([Kind(URL_PLAN, billed)])
        async with relay_with(log, pools) as relay:
            for _ in range(2):
                burst = jobs(log, 300)
                log.write(*burst)
                await Ends(log).wait(burst)
                await until_nobody(relay, pools)
            assert billed.calls <= 6
            assert billed.billed_ms * 8 <= 600 * 100


@pytest.mark.full
async def test_lambda(log: Log) -> None:
    """The same on Lambda's own runtime, whose containers are frozen between two calls."""
    with lambda_service("function_host.lambda_handler", ENVIRON, 60) as service:
        pools = Pools([Kind(URL_PLAN, called(service.url, URL_PLAN))])
        async with relay_with(log, pools) as relay:
            for _ in range(2):
                burst = jobs(log, 300)
                log.write(*burst)
                await Ends(log).wait(burst)
                await until_nobody(relay, pools)
            assert service.starts <= PLAN.most, "containers are used again"
            assert service.calls <= 6
            assert service.killed == 0
            assert service.billed_ms * 8 <= 600 * 100


@pytest.mark.full
async def test_a_call_leaves_before_its_time_is_up(log: Log) -> None:
    """Work for longer than a call may last: one call hands over to the next, none is killed, none lost."""
    limit_s = 3.0
    plan = replace(URL_PLAN, most=1, life_ms=int(limit_s * 600))
    with lambda_service("function_host.lambda_handler", ENVIRON, limit_s) as service:
        pools = Pools([Kind(plan, called(service.url, plan, concurrency=4, limit_s=limit_s))])
        async with relay_with(log, pools) as relay:
            # 120 jobs of 200 ms, four at a time, take six seconds: three calls at least.
            burst = jobs(log, 120, ms=200)
            log.write(*burst)
            ends = Ends(log)
            await ends.wait(burst)
            await until_nobody(relay, pools)
        assert service.calls >= 3
        assert service.killed == 0
