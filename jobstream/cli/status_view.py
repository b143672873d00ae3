"""What the status pages say, as people like to read it. It prints and decides nothing."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from jobstream.cli import show
from schemas.words import PHASES_TERMINAL

Page = dict[str, Any]

ERROR_CHARS_SHOWN_MAX = 80
"""Of an error in a table."""


def show_job(job: Page) -> None:
    """One job: where it is, what comes, and its attempts."""
    show.pairs(_facts(job))
    if job["attempts"]:
        print()
        columns = ("attempt", "outcome", "minion", "waited", "to start", "step", "error")
        show.table(None, columns, map(_attempt, job["attempts"]), right=("attempt", "waited", "to start"))


def _facts(job: Page) -> list[tuple[str, Any]]:
    """Names and values worth a line; those that are None are not shown."""
    ends = [("ended", _clock(job["ended_at"])), ("because", job["end_reason"]), ("result", job.get("result"))]
    error = ": ".join(part for part in (job["error_type"], job["error_message"]) if part)
    coming = [f"{_clock(each['at'])} {each['what']}" for each in job["plan"]["coming"]]
    return [
        ("job", job["id"]),
        ("function", job["function"]),
        ("queue", job["queue"]),
        ("key", None if job["key"] == job["id"] else job["key"]),
        ("partition", job["partition"]),
        ("phase", job["phase"]),
        ("waits for", job["waiting_for"]),
        ("minion", job["plan"]["minion"]),
        ("located", job["located"]),
        ("slow", "it runs longer than expected, and is alive" if job["slow"] else None),
        ("frozen", f"not heard of since {_clock(job['frozen_since'])}" if job["frozen_since"] else None),
        ("asked to stop", job["cancel_requested"]),
        (
            "attempt",
            f"{job['attempt']} ({job['failed']} failed, {job['lost']} lost)" if job["attempt"] else None,
        ),
        ("last error", error or None),
        ("created", _clock(job["created_at"])),
        *ends,
        ("next", "; ".join(coming) or None),
        ("schedule", job["scheduled_by"]),
        ("tags", ", ".join(job["tags"]) or None),
    ]


def _attempt(attempt: Page) -> tuple[Any, ...]:
    error = ": ".join(part for part in (attempt["error_type"], attempt["error_message"]) if part)
    step = attempt["step"] or ""
    if attempt["done"] is not None:
        step += (
            f" {attempt['done']}/{attempt['total']}"
            if attempt["total"] is not None
            else f" {attempt['done']}"
        )
    return (
        attempt["attempt"],
        attempt["outcome"] or "runs",
        attempt["minion"],
        show.span(attempt["queue_wait_ms"]),
        show.span(attempt["dispatch_to_start_ms"]),
        step.strip(),
        error[:ERROR_CHARS_SHOWN_MAX],
    )


def show_jobs(page: Page) -> None:
    """The jobs of a queue, a line each."""
    columns = ("job", "function", "key", "phase", "attempt", "created", "about")
    show.table(None, columns, map(_job, page["jobs"]), right=("attempt",))


def _job(job: Page) -> tuple[Any, ...]:
    about = job.get("waiting_for") or job.get("located") or job.get("end_reason") or ""
    key = "" if job["key"] == job["id"] else job["key"]
    return (job["id"], job["function"], key, job["phase"], job["attempt"], _clock(job["created_at"]), about)


def show_counts(page: Page) -> None:
    """How many jobs are in each phase of each queue."""
    queues: dict[str, dict[str, int]] = page["queues"]
    phases = [phase for phase in show.PHASE_STYLES if any(phase in counts for counts in queues.values())]
    rows = [(queue, *(counts.get(phase, 0) for phase in phases)) for queue, counts in sorted(queues.items())]
    show.table(None, ("queue", *phases), rows, right=phases)


def show_schedules(page: Page) -> None:
    """Every schedule, a line each."""
    columns = ("schedule", "cron", "zone", "function", "queue", "next fire", "fires", "missed", "note")
    rows = [
        (
            each["id"],
            each["cron"],
            each["timezone"],
            each["function"],
            each["queue"],
            "paused" if each["paused"] else _clock(each["next_fire_at"]),
            each["fires"],
            each["missed"],
            each["note"],
        )
        for each in page["schedules"]
    ]
    show.table(None, columns, rows, right=("fires", "missed"))


def watch(look: Callable[[], Page], every_s: float) -> None:
    """Shows a job anew until it has ended."""
    from rich.console import Console

    console = Console()
    while True:
        found = look()
        console.clear()
        show_job(found)
        if found["phase"] in PHASES_TERMINAL:
            return
        time.sleep(every_s)


def _clock(moment: str | None) -> str | None:
    """A time of the pages in the reader's own zone."""
    if moment is None:
        return None
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")
