"""The functions that the demo's minions run; a minion loads this module by name.

Owns what each of them does to its attempt: most measure a file, some fail, freeze or take their time, on
purpose. Must not know how the demo watches them: it learns everything from facts, like anybody.
"""

import os
import signal
import time

from jobstream import Context, Retry, function
from jobstream.demo.measure import as_json, library, measure, package, sources

QUICK = Retry(kind="constant", initial=0.3, attempts=3)
"""Retries soon enough to be watched."""


@function(name="demo.measure", queue="demo", retry=QUICK, timeout=30, expected=5)
def measure_file(path: str, fails: int = 0, *, ctx: Context) -> dict[str, int]:
    """Measures one file of the standard library; its first `fails` attempts fail."""
    if ctx.attempt <= fails:
        raise OSError(f"attempt {ctx.attempt} of {path} fails on purpose")
    return as_json(measure(library() / path))


@function(name="demo.hello", queue="demo")
async def hello(name: str) -> str:
    """Answers at once."""
    return f"hello {name}"


@function(name="demo.chime", queue="demo")
async def chime() -> None:
    """Does nothing, on every stroke of its schedule."""


@function(name="demo.broken", queue="demo", retry=QUICK)
async def broken() -> None:
    """Fails at every attempt, until it is dead."""
    raise ValueError("this function always fails")


@function(name="demo.silent", queue="demo", retry=QUICK, timeout=30)
def silent(*, ctx: Context) -> str:
    """Never answers at first: it freezes the process that runs it, as a machine does that swaps to death."""
    if ctx.attempt == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    return f"answered at attempt {ctx.attempt}"


@function(name="demo.survey", queue="demo", timeout=60, expected=30)
def survey(seconds: float, *, ctx: Context) -> int:
    """Counts the library's packages slowly, and tells where it is: heartbeats carry steps and progress."""
    ctx.step("list")
    root = library()
    files = sources(root)
    ctx.step("count")
    packages = set[str]()
    for done, path in enumerate(files, start=1):
        packages.add(package(root, path))
        if done % 100 == 0:
            ctx.progress(done, len(files))
            ctx.raise_if_cancelled()
            time.sleep(seconds * 100 / len(files))
    ctx.step("report")
    return len(packages)
