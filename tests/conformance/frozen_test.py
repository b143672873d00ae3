"""Peers that are there and do nothing: a relay finds them within 15 s, with the limits in force, and takes
back what they hold.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import pytest

from tests.fakes.edge import EdgeRelay, edge_relay
from tests.fakes.minion import FakeMinion
from tests.waiting import PATIENCE, eventually_async

FOUND_S = 15.0
SLOW_S = 10.0
"""What a machine that does other things besides may add."""
COMMAND = (sys.executable, "-m", "jobstream.minion", "tests.conformance.subject", "--concurrency", "4")
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def minion_process(relay: EdgeRelay, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A real minion, connected."""
    command = (*COMMAND, "--name", name, "--relay", relay.address)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL)
    try:
        await until(lambda: has(relay, name))
        yield process
    finally:
        process.kill()
        await process.wait()


class Proxy:
    """Stands between, and can stop passing bytes without closing anything: what a cut cable looks like."""

    def __init__(self, relay: EdgeRelay) -> None:
        self._relay = relay
        self._passing = asyncio.Event()
        self._passing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.address = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(
            *self._tasks, *(each.wait_closed() for each in self._writers), return_exceptions=True
        )

    def cut(self) -> None:
        """Passes nothing from now on."""
        self._passing.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._relay.address.split(":")
        there = await asyncio.open_connection(host, int(port))
        self._writers += [writer, there[1]]
        for one, other in ((reader, there[1]), (there[0], writer)):
            self._tasks.add(asyncio.create_task(self._pass(one, other)))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while found := await reader.read(65_536):
                await self._passing.wait()
                writer.write(found)


async def until(check: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Waits until something is so."""

    async def found() -> bool:
        return check()

    await eventually_async(found, timeout_s)


def has(relay: EdgeRelay, name: str) -> bool:
    """Whether the relay has a session of the minion."""
    return any(session.minion == name for session in relay.edge.sessions.values())


async def found_out(relay: EdgeRelay, name: str, began_s: float) -> None:
    """The session is gone in time."""
    await until(lambda: not has(relay, name), (FOUND_S + SLOW_S) / PATIENCE)
    took_s = time.monotonic() - began_s
    assert took_s < FOUND_S + SLOW_S, f"{name} was found after {took_s:.1f} s"


def ends(relay: EdgeRelay, function: str) -> list[str]:
    """How jobs of a function ended."""
    jobs = {receipt.job: str(receipt.outcome) for receipt in relay.receipts}
    return [outcome for job, outcome in jobs.items() if job.startswith(function)]


async def frozen_with_a_lease(relay: EdgeRelay) -> None:
    """SIGSTOP in the middle of a job."""
    async with minion_process(relay, "frozen") as process:
        await until(
            lambda: all(each.credits for each in relay.edge.sessions.values() if each.minion == "frozen")
        )
        relay.dispatch(job="wait-1", function="wait")
        await until(lambda: "wait-1" in relay.edge.leases)
        process.send_signal(signal.SIGSTOP)
        await found_out(relay, "frozen", time.monotonic())
        await until(lambda: ends(relay, "wait") == ["lost"])


async def frozen_and_idle(relay: EdgeRelay) -> None:
    """SIGSTOP with nothing to do: only the pings go unanswered."""
    async with minion_process(relay, "frozen-idle") as process:
        process.send_signal(signal.SIGSTOP)
        await found_out(relay, "frozen-idle", time.monotonic())


async def cut_off_with_a_lease(relay: EdgeRelay) -> None:
    """No byte arrives any more, either way, and nobody closes the connection."""
    async with Proxy(relay) as proxy, FakeMinion(proxy.address, "cut-off", functions=["cut"]) as minion:
        await minion.grant(1)
        relay.dispatch(job="cut-1", function="cut")
        await minion.take()
        proxy.cut()
        await found_out(relay, "cut-off", time.monotonic())
        await until(lambda: ends(relay, "cut") == ["lost"])


async def cut_off_and_idle(relay: EdgeRelay) -> None:
    """The same with nothing to do."""
    async with Proxy(relay) as proxy, FakeMinion(proxy.address, "cut-off-idle", functions=["none"]):
        proxy.cut()
        await found_out(relay, "cut-off-idle", time.monotonic())


async def never_reads(relay: EdgeRelay) -> None:
    """It shows that it lives, and takes nothing off its stream."""
    async with FakeMinion(relay.address, "deaf", functions=["deaf"], deaf=True) as minion:
        await minion.grant(100)
        for number in range(60):
            relay.dispatch(job=f"deaf-{number}", function="deaf", args=bytes(200_000))
        began_s = time.monotonic()
        beating = asyncio.create_task(beat(minion))
        await found_out(relay, "deaf", began_s)
        beating.cancel()
        await until(lambda: len(ends(relay, "deaf")) == 60)
        assert set(ends(relay, "deaf")) <= {"lost", "interrupted"}


async def beat(minion: FakeMinion) -> None:
    """As a minion that is well."""
    while True:
        await minion.beat()
        await asyncio.sleep(0.5)


@pytest.mark.full
async def test_peers_that_do_nothing_are_found() -> None:
    """Frozen, cut off or deaf, with leases or without; a minion beside them goes on all the while."""
    async with edge_relay() as relay, FakeMinion(relay.address, "steady", functions=["steady"]) as steady:
        await steady.grant(1)
        await asyncio.gather(
            frozen_with_a_lease(relay),
            frozen_and_idle(relay),
            cut_off_with_a_lease(relay),
            cut_off_and_idle(relay),
            never_reads(relay),
        )
        relay.dispatch(job="steady-1", function="steady")
        [job] = await steady.take()
        await steady.answer(job)
        await until(lambda: ends(relay, "steady") == ["success"])
