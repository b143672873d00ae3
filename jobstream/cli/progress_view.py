"""Shows on standard error how jobs that are waited for get on, where a person looks on. Standard output
stays clean.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobstream.errors import JobEnded

if TYPE_CHECKING:
    from jobstream.client import Job
    from schemas.events import Fact


def is_wanted(*, json: bool) -> bool:
    """Whether a person looks on."""
    return not json and sys.stderr.isatty()


async def watch(jobs: Sequence["Job"], within_s: float) -> None:
    """Shows one job's steps, or how many of several have ended, until all have or the time is over."""
    shown = _watch_one(jobs[0]) if len(jobs) == 1 else _watch_many(jobs)
    try:
        async with asyncio.timeout(within_s):
            await shown
    except TimeoutError:
        return  # whoever asks for the results says so


async def _watch_one(job: "Job") -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("submitted", total=None)
        async for fact in job.follow():
            progress.update(task, description=told(fact), completed=fact.done or 0, total=fact.total)


async def _watch_many(jobs: Sequence["Job"]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("jobs ended", total=len(jobs))
        for ending in asyncio.as_completed([_ended(job) for job in jobs]):
            await ending
            progress.advance(task)


async def _ended(job: "Job") -> None:
    try:
        await job.result()
    except JobEnded:
        return  # an end all the same


def told(fact: "Fact") -> str:
    """Where a job is after a fact, in a few words."""
    if fact.fact == "progressed" and fact.step is not None:
        return f"{fact.phase}: {fact.step}"
    if fact.fact == "failed":
        return f"attempt {fact.attempt} failed: {fact.error_type}"
    return fact.fact.replace("_", " ")
