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
        attempt["outcome"] or ("runs" if attempt["assigned_at"] else "offered"),
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
    columns = (
        *("schedule", "state", "when", "zone", "function", "queue", "overlap", "next fire"),
        *("fires", "skipped", "missed", "note"),
    )
    rows = [
        (
            each["id"],
            each["state"],
            _when(each),
            each["timezone"],
            each["function"],
            each["queue"],
            each["overlap"],
            _clock(each["next_fire_at"]),
            each["fires"],
            each["skipped"],
            each["missed"],
            each["pause_note"] or each["note"],
        )
        for each in page["schedules"]
    ]
    show.table(None, columns, rows, right=("fires", "skipped", "missed"))


def show_schedule(found: Page) -> None:
    """One schedule: its rule, what is under way, and its history."""
    backfill = found["backfill"]
    runs = None if found["runs_max"] is None else f"{found['runs_left']} of {found['runs_max']} left"
    counts = [(name, found[name]) for name in ("fires", *SCHEDULE_COUNTS)]
    lines = (
        ("state", found["state"] + (f": {found['pause_note']}" if found["pause_note"] else "")),
        ("when", f"{_when(found)} in {found['timezone']}"),
        ("excluded", "; ".join(found["excluded"])),
        ("bounds", _bounds(found)),
        ("overlap", found["overlap"]),
        ("function", f"{found['function']} on queue {found['queue']}"),
        ("next fires", ", ".join(str(_clock(each)) for each in found["coming"])),
        ("running", ", ".join(found["running"])),
        ("waiting", ", ".join(found["buffered"])),
        ("backfill", f"after {backfill['after']} until {backfill['until']}" if backfill else ""),
        ("runs", runs),
        ("counts", ", ".join(f"{many} {name}" for name, many in counts if many)),
        ("declared by", found["declared_by"]),
        ("orphaned since", _clock(found["orphaned_at"])),
        ("note", found["note"]),
    )
    show.table(found["id"], ("", ""), [(name, value) for name, value in lines if value])
    history = [
        (_clock(each["at"]), each["what"], _fires(each), each["reason"] or "") for each in found["history"]
    ]
    show.table("history", ("at", "what", "fires", "why"), history)


SCHEDULE_COUNTS = ("missed", "skipped", "dropped", "succeeded", "failed", "cancelled")


def show_coming(found: Page) -> None:
    """The next fires of a simulation, a line each."""
    rows = [
        (each["local"], each["fire_at"], "" if each["due_at"] == each["fire_at"] else each["due_at"], mark)
        for each in found["fires"]
        for mark in ["; ".join(each["marks"])]
    ]
    show.table(None, ("local time", "UTC", "with jitter", "daylight saving"), rows)
    for remark in found["remarks"]:
        print(remark)


def _bounds(found: Page) -> str:
    first, last = _clock(found["start_at"]), _clock(found["end_at"])
    return f"{first or '...'} to {last or '...'}" if first or last else ""


def _when(each: Page) -> str:
    return "; ".join([*([each["cron"]] if each["cron"] else []), *each["crons"]])


def _fires(each: Page) -> str:
    if each["fire_at"] is None:
        return ""
    if each["fires"] == 1:
        return str(_clock(each["fire_at"]))
    return f"{each['fires']}: {_clock(each['fire_at'])} to {_clock(each['fire_until'])}"


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
