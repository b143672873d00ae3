"""What can be done from a page: each with its question, what it needs to be told, and what it says it did.

Does nothing itself: the Door does, for who may. Owns the words.
"""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from relay.core.tokens import Grant
from relay.doors.dashboard.views import ROOT, job_url, schedule_url
from relay.doors.dashboard.words import clock
from relay.doors.http.door import Door
from relay.doors.http.letters import Letters
from relay.doors.http.moment import duration_ms
from schemas import defaults
from schemas.words import CommandName, Overlap, Settled

Form = Mapping[str, str]

LETTERS_MAX = 1_000
"""Dead letters that one action redrives."""


@dataclass(frozen=True)
class Field:
    """Something that the form asks for."""

    name: str
    label: str
    hint: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Action:
    """One thing that can be done."""

    name: str
    """In its address."""
    button: str
    question: str
    """With {target} in it."""
    effect: str
    """What will happen, as a sentence."""
    run: Callable[[Door, str, Form, Grant], Awaitable[str]]
    """Does it; what it did, as a sentence. Problem if it can't be."""
    back: Callable[[str, Form], str]
    """Where to go then."""
    fields: tuple[Field, ...] = ()
    danger: bool = False

    def url(self, target: str, query: Form) -> str:
        """Where it is asked, and done."""
        return f"{ROOT}/do/{self.name}/{target}" + (f"?{urlencode(query)}" if query else "")


REASON = Field("reason", "Reason", "for whoever looks at it later; may be left out")
OVERLAP = Field("overlap", "If a job of it runs", "as the schedule says, if left out", ("", *Overlap))


def _body(form: Form, *names: str) -> bytes:
    given = {name: form[name].strip() for name in names if form.get(name, "").strip()}
    return json.dumps(given).encode()


def _job(name: CommandName, done: Mapping[str, str]) -> Callable[[Door, str, Form, Grant], Awaitable[str]]:
    async def run(door: Door, id: str, form: Form, grant: Grant) -> str:
        told = (await door.command(name, id, _body(form, "reason"), form.get("key") or None, grant)).body
        return f"Job {id}: {done.get(told['outcome'], told['outcome'])}."

    return run


def _queue(*, paused: bool) -> Callable[[Door, str, Form, Grant], Awaitable[str]]:
    async def run(door: Door, queue: str, form: Form, grant: Grant) -> str:
        await door.pause(queue, _body(form, "note"), grant, paused=paused)
        return f"Queue {queue} is paused; what runs goes on." if paused else f"Queue {queue} goes on."

    return run


def _schedule(name: CommandName, *fields: str) -> Callable[[Door, str, Form, Grant], Awaitable[str]]:
    async def run(door: Door, id: str, form: Form, grant: Grant) -> str:
        told = (await door.command_schedule(name, id, _body(form, *fields), grant)).body
        return f"Schedule {id}: {_outcome(told)}."

    return run


async def _remove(door: Door, id: str, _: Form, grant: Grant) -> str:
    told = (await door.remove_schedule(id, grant)).body
    return f"Schedule {id}: {_outcome(told)}."


def _outcome(told: Mapping[str, Any]) -> str:
    outcome = str(told["outcome"]).removeprefix("schedule_")
    if outcome == "written":
        return "Kafka has the command; it is not decided yet"
    next_at = told.get("next_at")
    parts = [outcome, *([str(told["reason"])] if told.get("reason") else [])]
    return ": ".join(parts) + (f"; next fire {clock(next_at)} UTC" if next_at else "")


def _to_job(id: str, form: Form) -> str:
    return job_url(id, form.get("key"))


def _to_queues(_: str, __: Form) -> str:
    return f"{ROOT}/queues"


def _to_schedule(id: str, _: Form) -> str:
    return schedule_url(id)


async def _redrive_one(door: Door, id: str, _: Form, grant: Grant) -> str:
    told = (await Letters(door.desk).settle_one(Settled.REDRIVEN, id, grant)).body
    return f"Job {id}: {SETTLED.get(told['outcome'], told['outcome'])}" + (
        f", as the new job {told['job']}." if told.get("job") else "."
    )


async def _redrive_many(door: Door, _: str, form: Form, grant: Grant) -> str:
    body = {name: form[name] for name in ("queue", "function", "error") if form.get(name)}
    since_ms = time.time_ns() // 1_000_000 - duration_ms("since", form.get("since") or "1d")
    asked = {**body, "since": since_ms, "all": True, "limit": LETTERS_MAX}
    told = (await Letters(door.desk).settle_many(Settled.REDRIVEN, json.dumps(asked).encode(), grant)).body
    counts = ", ".join(f"{count} {SETTLED.get(what, what)}" for what, count in told["counts"].items())
    left = told["found"] - sum(told["counts"].values())
    return f"Dead letters: {counts or 'none fits'}." + (f" {left} are left; redrive again." if left else "")


def _to_dead(_: str, form: Form) -> str:
    kept = {name: form[name] for name in ("queue", "function", "error", "since") if form.get(name)}
    return f"{ROOT}/dead" + (f"?{urlencode(kept)}" if kept else "")


SETTLED = {
    "redriven": "runs again",
    "written": "Kafka has the command; it is not decided yet",
    "skipped": "skipped, it is not dead any more",
    "failed": "refused",
}
WRITTEN = {"written": "Kafka has the command; it is not decided yet"}

ACTIONS = {
    action.name: action
    for action in (
        Action(
            "cancel-job",
            "Cancel job",
            "Cancel job {target}?",
            "It will not run; if it runs, its minion is told to stop it.",
            _job(
                CommandName.CANCEL,
                WRITTEN | {"cancelled": "cancelled", "cancel_requested": "its minion was told to stop it"},
            ),
            _to_job,
            (REASON,),
            danger=True,
        ),
        Action(
            "retry-job",
            "Run now",
            "Run job {target} now?",
            "It is dispatched at once, with as many attempts as it had at first.",
            _job(CommandName.RETRY, WRITTEN | {"retried": "runs again"}),
            _to_job,
            (REASON,),
        ),
        Action(
            "redrive",
            "Redrive",
            "Run the work of dead job {target} again?",
            "The job itself runs again while it is kept; later a new job asks for the same.",
            _redrive_one,
            _to_dead,
        ),
        Action(
            "redrive-many",
            "Redrive all that fit",
            "Run again what died: {target}?",
            f"Every letter that fits, {LETTERS_MAX:,} at once; those that run or ended since are skipped.",
            _redrive_many,
            _to_dead,
        ),
        Action(
            "pause-queue",
            "Pause",
            "Pause queue {target}?",
            "Its jobs are taken and wait; those that run go on.",
            _queue(paused=True),
            _to_queues,
            (
                Field(
                    "note",
                    "Note",
                    f"shown with every job that waits; up to {defaults.REASON_CHARS_MAX} letters",
                ),
            ),
        ),
        Action(
            "resume-queue",
            "Resume",
            "Resume queue {target}?",
            "The jobs that waited are given to minions.",
            _queue(paused=False),
            _to_queues,
        ),
        Action(
            "pause-schedule",
            "Pause",
            "Pause schedule {target}?",
            "It fires no more until it is resumed; jobs that it fired go on.",
            _schedule(CommandName.PAUSE_SCHEDULE, "reason"),
            _to_schedule,
            (REASON,),
        ),
        Action(
            "resume-schedule",
            "Resume",
            "Resume schedule {target}?",
            "It fires again from now on; what it missed stays missed.",
            _schedule(CommandName.RESUME_SCHEDULE, "reason"),
            _to_schedule,
            (REASON,),
        ),
        Action(
            "trigger-schedule",
            "Fire now",
            "Fire schedule {target} once, now?",
            "One more job beside those of its times.",
            _schedule(CommandName.TRIGGER_SCHEDULE, "reason", "overlap"),
            _to_schedule,
            (OVERLAP, REASON),
        ),
        Action(
            "backfill-schedule",
            "Backfill",
            "Fire the past times of schedule {target}?",
            "A job for each of its times after the first moment, up to and with the last.",
            _schedule(CommandName.BACKFILL_SCHEDULE, "since", "until", "reason", "overlap"),
            _to_schedule,
            (
                Field("since", "After", "2026-11-01 00:00, in UTC", required=True),
                Field("until", "Until", "2026-11-02 00:00, in UTC", required=True),
                OVERLAP,
                REASON,
            ),
        ),
        Action(
            "remove-schedule",
            "Remove",
            "Remove schedule {target}?",
            "It fires no more and is forgotten; jobs that it fired go on.",
            _remove,
            lambda _, __: f"{ROOT}/schedules",
            danger=True,
        ),
    )
}
"""By name."""
