"""What the workers of the benchmarks run: nothing, or a look at the clock. Must never do more."""

import time

from jobstream import function


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
