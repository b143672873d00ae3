"""Foreground calls over a relay, beside raw gRPC ping-pong in the same run: one at a time, and 64 callers
at once.

Owns three processes besides its own, which is the caller: a relay without Kafka, a minion with one
function, and a bare gRPC server that sends back what it gets. RSS of the relay is looked at before and
after many calls.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc

from jobstream import Caller
from jobstream.cluster import Child, free_port
from tests.bench.figures import ROOT, Figure, Say, figure
from tests.bench.usage import Usage

NAMES: Final = (
    "call_ms_p50",
    "call_ms_p99",
    "grpc_ping_ms_p50",
    "grpc_ping_ms_p99",
    "calls_per_s",
    "relay_cpu_us_per_call",
    "relay_rss_mib_growth",
)
FUNCTION: Final = "echo"
ARGS: Final = b"x" * 200
ONE_BY_ONE: Final = 3_000
CALLERS: Final = 64
AT_ONCE: Final = 20_000
RSS_CALLS: Final = 60_000
WARM_CALLS: Final = 500
START_S: Final = 30.0
STOP_S: Final = 5.0
PING: Final = "/ping.Ping/Ping"


async def measure(runs: int, say: Say) -> list[Figure]:
    """All figures; call and ping take turns within each run."""
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    async with AsyncExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobstream-bench-")))
        relay, ping_port, pids = _start(stack, data)
        caller = await stack.enter_async_context(Caller(relay))
        ping = await stack.enter_async_context(_pinging(f"127.0.0.1:{ping_port}"))

        async def call() -> None:
            await caller.call(FUNCTION, ARGS, within=START_S)

        await _many(call, WARM_CALLS)
        await _many(ping, WARM_CALLS)
        before_mib = 0.0
        for run in range(runs):
            say(f"run {run + 1}")
            for name, once in (("call", call), ("grpc_ping", ping)):
                p50, p99 = await _one_by_one(once)
                found[f"{name}_ms_p50"].append(p50)
                found[f"{name}_ms_p99"].append(p99)
            usage, began_s = Usage.now(pids), time.perf_counter()
            await _many(call, AT_ONCE)
            took_s, spent = time.perf_counter() - began_s, Usage.now(pids).since(usage)
            found["calls_per_s"].append(AT_ONCE / took_s)
            found["relay_cpu_us_per_call"].append(1e6 * spent.processes["relay"] / AT_ONCE)
            before_mib = before_mib or _rss_mib(pids["relay"])
        say(f"{RSS_CALLS} more calls")
        await _many(call, RSS_CALLS)
        found["relay_rss_mib_growth"].append(_rss_mib(pids["relay"]) - before_mib)
    units = {name: name.split("_")[1] if "_ms_" not in name else "ms" for name in NAMES}
    units.update(calls_per_s="1/s", relay_cpu_us_per_call="us", relay_rss_mib_growth="MiB")
    return [figure(name, units[name], values) for name, values in found.items()]


async def _one_by_one(once: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    took_ms = []
    for _ in range(ONE_BY_ONE):
        began_s = time.perf_counter()
        await once()
        took_ms.append((time.perf_counter() - began_s) * 1_000)
    return statistics.median(took_ms), statistics.quantiles(took_ms, n=100)[98]


async def _many(once: Callable[[], Awaitable[object]], count: int) -> None:
    async def caller() -> None:
        for _ in range(count // CALLERS):
            await once()

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


def _start(stack: AsyncExitStack, data: Path) -> tuple[str, int, dict[str, int]]:
    """A relay, a minion and a server to ping: the relay's address, the ping's port, their processes."""
    relay, ping_port = f"127.0.0.1:{free_port()}", free_port()
    commands = {
        "relay": ([sys.executable, "-m", "relay"], {"JOBSTREAM_RELAY": relay, "JOBSTREAM_CALLS_ONLY": "yes"}),
        "minion": (
            [sys.executable, "-m", "jobstream.minion", "tests.bench.calls_functions"],
            {"JOBSTREAM_RELAY": relay},
        ),
        "ping": ([sys.executable, "-m", "tests.bench.calls_functions", str(ping_port)], {}),
    }
    pids = {}
    for name, (command, environ) in commands.items():
        env = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
        child = Child.start(command, log=data / f"{name}.log", cwd=ROOT, env=env)
        stack.callback(child.stop, STOP_S)
        pids[name] = child.pid
    return relay, ping_port, pids


@asynccontextmanager
async def _pinging(address: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Raw ping-pong on one stream: bytes there and back, nothing else."""
    async with grpc.aio.insecure_channel(address) as channel:
        async with asyncio.timeout(START_S):
            await channel.channel_ready()
        stream = _stream(channel)

        lock = asyncio.Lock()

        async def once() -> object:
            async with lock:
                await stream.write(ARGS)
                return await stream.read()

        yield once
        stream.cancel()


def _stream(channel: Any) -> Any:
    """Bytes both ways."""
    return channel.stream_stream(PING)()


def _rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1_024
    raise AssertionError(f"process {pid} must tell its memory")
