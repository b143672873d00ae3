"""What the minions of the benchmarks run: nothing, or a look at the clock. Must never do more."""

import time

from jobstream import function


@function(name="bench.noop")
async def noop(value: str) -> None:
    """Takes its arguments, and does nothing."""
    assert value


@function(name="bench.stamp")
async def stamp() -> int:
    """Tells when it began, epoch ns of this machine's clock, which the benchmarks read too."""
    return time.time_ns()
