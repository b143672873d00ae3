"""What the workers of the benchmarks run: nothing, a look at the clock, or a wait. Must never do more."""

import asyncio
import os
import time

from jobstream import Context, function


@function(name="bench.noop")
async def noop(value: str) -> None:
    """Takes its arguments, and does nothing."""
    nothing(value)


@function(name="bench.stamp")
async def stamp() -> int:
    """Tells when it began, epoch ns of this machine's clock, which the benchmarks read too."""
    return clock_ns()


def nothing(value: str) -> None:
    """The work of `noop`, plain, as the other job queues take it."""
    assert value


def clock_ns() -> int:
    """The work of `stamp`, plain."""
    return time.time_ns()


@function(name="bench.hold")
async def hold(path: str, seconds: float, ctx: Context) -> None:
    """Writes to a file which job and attempt began when, and in which process; then waits."""
    line = f"{ctx.job_id} {ctx.attempt} {clock_ns()} {os.getpid()}\n".encode()
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line)
    os.close(file)
    await asyncio.sleep(seconds)
