"""The functions that the minions of the end-to-end tests run: each behaves in one way, on purpose."""

import asyncio
import os
import signal
import threading
from pathlib import Path

from jobstream import Context, NonRetryable, Retry, Snooze, function
from jobstream.functions import Request

QUICK = Retry(kind="constant", initial=0.1, jitter=0.0, attempts=3)


@function(name="e2e.echo")
async def echo(value: object = None) -> object:
    """Returns what it is given."""
    return value


@function(name="e2e.brief")
async def brief() -> None:
    """Takes a moment."""
    await asyncio.sleep(0.05)


@function(name="e2e.flaky", retry=QUICK)
async def flaky(fails: int, ctx: Context) -> int:
    """Fails `fails` times, then returns the number of its attempt."""
    if ctx.attempt <= fails:
        raise ConnectionError(f"attempt {ctx.attempt} finds nobody")
    return ctx.attempt


@function(name="e2e.hopeless", retry=QUICK)
async def hopeless() -> None:
    """Says that no further attempt will help."""
    raise NonRetryable("the account does not exist")


@function(name="e2e.deaf", retry=QUICK, timeout=1)
def deaf(ctx: Context) -> int:
    """Its first attempt waits for what never comes, and does not look whether it shall stop."""
    if ctx.attempt == 1:
        threading.Event().wait(30)
    return ctx.attempt


@function(name="e2e.frozen", retry=QUICK, timeout=60)
async def frozen(ctx: Context) -> int:
    """Its first attempt freezes the whole process, as SIGSTOP does."""
    if ctx.attempt == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    return ctx.attempt


@function(name="e2e.snoozing")
def snoozing(marker: str, ctx: Context) -> int:
    """Puts itself off once."""
    if not Path(marker).exists():
        Path(marker).touch()
        raise Snooze(0.2)
    return ctx.attempt


@function(name="e2e.held", retry=QUICK, timeout=60)
async def held(folder: str, ctx: Context) -> str:
    """Tells who runs it by a file in `folder`, and waits there for a file named `go`."""
    ctx.step("wait for go")
    ctx.progress(40, 100)
    here = Path(folder) / f"{ctx.job_id}.{ctx.epoch}.{os.getpid()}"
    here.touch()
    while not (Path(folder) / "go").exists():  # noqa: ASYNC110  # the test lets it go by a file
        await asyncio.sleep(0.02)
    return str(os.getpid())


def know(request: Request) -> str | None:
    """Has one answer."""
    assert isinstance(request.args, dict)
    return "known" if request.args["key"] == "a" else None


@function(name="e2e.looked_up", get_cache=know)
def looked_up(key: str) -> str:
    """Runs where nothing is known."""
    return f"ran for {key}"


@function(name="e2e.whoami")
async def whoami() -> int:
    """Returns the process that ran it."""
    return os.getpid()
