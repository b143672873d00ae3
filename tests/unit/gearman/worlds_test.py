"""Both worlds at one relay, with the parts that people use: functions of a minion are called by Debian's
Gearman client, and Debian's worker answers a Caller.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from jobstream import Caller, CallFailed, Context, Minion, function
from relay.broker import RelayFailed
from relay.doors.gearman.packets import P
from relay.main import Relay
from schemas.settings import Settings
from tests.fakes.gearman import Peer
from tests.waiting import eventually_async

RUN_S = 60.0


@function(name="greet")
async def greet(name: str, ctx: Context) -> dict[str, str]:
    """Tells a status, then greets."""
    ctx.status(1, 2)
    return {"greeting": f"hello {name}"}


@function(name="size")
async def size(data: bytes) -> bytes:
    """Data that is no JSON is one argument of bytes."""
    return b"%d" % len(data)


@function(name="broken")
async def broken() -> None:
    """Raises."""
    raise ValueError("it is broken")


def settings(**more: str) -> Settings:
    """Of a relay without Kafka, with a Gearman door."""
    return Settings(relay="127.0.0.1:0", calls_only="yes", **{"gearman": "127.0.0.1:0", **more})  # type: ignore[arg-type]


@asynccontextmanager
async def relay() -> AsyncIterator[tuple[Relay, str]]:
    """A relay, and the port of its Gearman door."""
    async with Relay(settings(), drain_s=1.0) as up:
        yield up, up.gearman.rpartition(":")[2]


@asynccontextmanager
async def minion(up: Relay) -> AsyncIterator[None]:
    """A minion with the functions of this module, once the relay knows it."""
    async with Minion([greet, size, broken], relay=up.address, name="m1"):
        peer = await Peer.connect(int(up.gearman.rpartition(":")[2]))

        async def there() -> bool:
            return len(await peer.ask_list("status")) == 3

        try:
            await eventually_async(there)
            yield
        finally:
            peer.close()


async def gearman(port: str, *arguments: str) -> tuple[int, str]:
    """Debian's client."""
    program = await asyncio.create_subprocess_exec(
        *("gearman", "-h", "127.0.0.1", "-p", port, *arguments), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(RUN_S):
        out, _ = await program.communicate()
    assert program.returncode is not None
    return program.returncode, out.decode()


async def test_debians_client_calls_functions(gearman_tools: str) -> None:
    """JSON data becomes arguments, other data one of bytes; results come back as they are, and failures."""
    assert gearman_tools
    async with relay() as (up, port), minion(up):
        code, said = await gearman(port, "-f", "greet", '{"name": "you"}')
        assert (code, said.replace("50% Complete", "").strip()) == (0, '{"greeting":"hello you"}')
        assert await gearman(port, "-f", "size", "12345") == (0, "5")
        assert (await gearman(port, "-f", "broken", "-s"))[0] == 1


async def test_a_failure_in_words() -> None:
    """A client that asked for exceptions is told what a function raised."""
    async with relay() as (up, port), minion(up):
        client = await Peer.connect(int(port))
        client.say(P.OPTION_REQ, b"exceptions")
        await client.expect(P.OPTION_RES, b"exceptions")
        handle = await client.submits(b"broken")
        await client.expect(P.WORK_EXCEPTION, handle, b"it is broken")
        client.close()


async def test_debians_worker_answers_a_caller(gearman_tools: str) -> None:
    """A caller over gRPC gets what a Gearman worker says, its failures too."""
    assert gearman_tools
    async with relay() as (up, port):
        workers = [
            await asyncio.create_subprocess_exec(
                *("gearman", "-h", "127.0.0.1", "-p", port, "-w", "-f", name, "--", *command),
                stderr=asyncio.subprocess.DEVNULL,
            )
            for name, command in (("shout", ("tr", "a-z", "A-Z")), ("fail", ("false",)))
        ]
        try:
            async with Caller(up.address) as caller:
                assert await caller.call("shout", b"hello") == b"HELLO"
                with pytest.raises(CallFailed):
                    await caller.call("fail", b"")
        finally:
            for worker in workers:
                if worker.returncode is None:
                    worker.kill()
                await worker.wait()


async def test_a_door_that_cannot_be() -> None:
    """A door beyond loopback wants to be opened by a word, and a port that is taken is told."""
    with pytest.raises(RelayFailed, match="must listen on loopback, or be opened by gearman_open=yes"):
        async with Relay(settings(gearman="0.0.0.0:0")):
            pass
    async with relay() as (_, port):
        with pytest.raises(RelayFailed, match="cannot listen at"):
            async with Relay(settings(gearman=f"127.0.0.1:{port}")):
                pass
