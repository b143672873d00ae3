"""Functions that leave a line for each of their runs, so that a test sees what ran twice."""

import asyncio
import os
from pathlib import Path

from jobstream import Context, function

SLOW_S = 1.0


def _mark(name: str) -> None:
    with Path(os.environ["RUNS"]).open("a") as file:
        file.write(f"{name}\n")


@function(name="mark")
async def mark(name: str) -> str:
    """Runs for a moment."""
    _mark(name)
    await asyncio.sleep(0.005)
    return name


@function(name="slow", run="threads")
def slow(name: str, ctx: Context) -> str:
    """Runs for a second, and keeps a place."""
    _mark(name)
    ctx.wait(SLOW_S)
    return name
