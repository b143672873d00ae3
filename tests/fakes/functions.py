"""Functions for minions that are processes of their own, and for functions that run in processes."""

import asyncio
import ctypes
import os
import signal
import sys
import threading
from typing import Any

from jobstream.context import Context
from jobstream.errors import NonRetryable
from jobstream.functions import function


def deaf(seconds: float) -> None:
    """Blocks the thread for so long, whatever happens."""
    threading.Event().wait(seconds)


@function(name="echo")
async def echo(value: Any = None) -> Any:
    """Gives back what it is given."""
    return value


@function(name="echo-in-thread")
def echo_in_thread(value: Any = None) -> Any:
    """Gives back what it is given."""
    return value


@function(name="linger")
async def linger(ctx: Context, seconds: float = 60.0) -> str:
    """Names a step, and sleeps."""
    ctx.step("lingering")
    await asyncio.sleep(seconds)
    return "lingered"


@function(name="block")
async def block(seconds: float = 60.0) -> None:
    """Does what no async function should: blocks its event loop."""
    deaf(seconds)


@function(name="where", run="processes")
def where(ctx: Context) -> dict[str, Any]:
    """Tells where it runs, and what it knows of its attempt."""
    return {"pid": os.getpid(), "job": ctx.job_id, "epoch": ctx.epoch, "previous": ctx.previous_json()}


@function(name="tell", run="processes")
def tell(ctx: Context) -> str:
    """Tells of itself, and waits until it is asked to stop."""
    ctx.step("digging")
    ctx.progress(3, 10)
    ctx.checkpoint({"row": 3})
    ctx.wait(30)
    ctx.raise_if_cancelled()
    return "nobody asked"


@function(name="crash", run="processes")
def crash() -> None:
    """Takes its process down."""
    os.kill(os.getpid(), signal.SIGKILL)


@function(name="leave", run="processes")
def leave() -> None:
    """Asks Python to end."""
    sys.exit(3)


@function(name="refuse", run="processes")
def refuse() -> None:
    """Fails for good."""
    raise NonRetryable("not this one")


@function(name="sleep-in-process", run="processes")
def sleep_in_process(seconds: float) -> int:
    """Sleeps, deaf to everything."""
    deaf(seconds)
    return os.getpid()


@function(name="hog-in-process", run="processes", heartbeat=0.1)
def hog_in_process(seconds: int) -> int:
    """Keeps Python's global lock for so long, as code in C may."""
    return int(ctypes.PyDLL(None).sleep(seconds))


@function(name="sleep-in-thread")
def sleep_in_thread(seconds: float) -> str:
    """Sleeps, deaf to everything."""
    deaf(seconds)
    return "slept"
