"""All that is known of one job, in the order in which it happened, in words.

Pure: facts and the status page are given. Never shows arguments or results.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from schemas.events import Fact
from schemas.times import format_time
from schemas.words import FactKind

SHOWN_CHARS_MAX = 200
"""Of an error's words."""


def lines(facts: Iterable[Fact], status: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """When and what, of each fact; then how it stands now, by its status page if there is one."""
    last: Fact | None = None
    for fact in facts:
        yield format_time(fact.at_ms), _told(fact)
        last = fact
    if status is not None:
        yield status["now"], "now: " + "; ".join(_now(status))
        for coming in status["plan"]["coming"]:
            yield coming["at"], f"to come: {coming['what']}"
    elif last is not None:
        yield "", f"now: {last.phase or 'forgotten'}, as the last fact says; no page shows the job (any more)"


def _told(fact: Fact) -> str:
    """A fact as a sentence."""
    words = _WORDS.get(FactKind(fact.fact)) if fact.fact in set(FactKind) else None
    told = fact.fact.replace("_", " ") if words is None else words(fact)
    more = [part for part in (_attempt(fact), _error(fact), fact.reason and f"because {fact.reason}") if part]
    return "; ".join([told, *more])


def _admitted(fact: Fact) -> str:
    where = (
        f"partition {fact.partition}"
        if fact.key == fact.job
        else f"key {fact.key}, partition {fact.partition}"
    )
    by = f", by schedule {fact.scheduled_by}" if fact.scheduled_by else ""
    by += f", by job {fact.parent}" if fact.parent else ""
    waits = (
        f", to run at {format_time(fact.next_at_ms)}" if fact.phase == "scheduled" and fact.next_at_ms else ""
    )
    return f"admitted: {fact.function} in queue {fact.queue}, {where}{by}{waits}"


def _failed(fact: Fact) -> str:
    again = f", tried again at {format_time(fact.next_at_ms)}" if fact.next_at_ms else ""
    return f"attempt failed{again}"


def _progressed(fact: Fact) -> str:
    done = "" if fact.done is None else f" {fact.done}" + ("" if fact.total is None else f"/{fact.total}")
    return f"progress: {fact.step or ''}{done}".rstrip()


_WORDS: dict[FactKind, Callable[[Fact], str]] = {
    FactKind.ADMITTED: _admitted,
    FactKind.READIED: lambda fact: f"its time came: dispatched, epoch {fact.epoch}",
    FactKind.STARTED: lambda fact: f"started, attempt {fact.attempt}, epoch {fact.epoch}",
    FactKind.PROGRESSED: _progressed,
    FactKind.SUCCEEDED: lambda fact: f"succeeded at attempt {fact.attempt}",
    FactKind.FAILED: _failed,
    FactKind.LOST: lambda _: "attempt lost: its minion or relay was not heard of any more; dispatched again",
    FactKind.SNOOZED: lambda fact: f"put off by the function, until {_at(fact.next_at_ms)}",
    FactKind.HANDED_BACK: lambda fact: f"handed back without a result, phase {fact.phase}",
    FactKind.PARKED: lambda _: "waits for its turn among the jobs of its key",
    FactKind.DIED: lambda fact: (
        f"dead after attempt {fact.attempt}; `jobstream redrive {fact.job}` runs it again"
    ),
    FactKind.CANCEL_REQUESTED: lambda _: "asked to stop",
    FactKind.CANCELLED: lambda _: "cancelled",
    FactKind.EXPIRED: lambda _: "expired: it had not started in time",
    FactKind.RETRIED: lambda fact: f"run again by request, epoch {fact.epoch}",
    FactKind.PURGED: lambda _: "forgotten: its row is gone",
    FactKind.DEDUPLICATED: lambda _: "asked for once more; the job that exists was the answer",
    FactKind.REJECTED: lambda fact: f"something about it was refused ({fact.error_type})",
}


def _at(at_ms: int | None) -> str:
    return "an unknown time" if at_ms is None else format_time(at_ms)


def _attempt(fact: Fact) -> str:
    parts = [
        fact.minion and f"minion {fact.minion}",
        fact.relay and f"relay {fact.relay}",
        None if fact.queued_ms is None else f"{fact.queued_ms} ms in the queue",
        None if fact.start_ms is None else f"{fact.start_ms} ms to start",
        None if fact.run_ms is None else f"ran {fact.run_ms} ms",
    ]
    return ", ".join(part for part in parts if part)


def _error(fact: Fact) -> str:
    if fact.error_type is None or fact.fact == FactKind.REJECTED:
        return ""
    return f"{fact.error_type}: {fact.error_message or ''}"[:SHOWN_CHARS_MAX].rstrip(": ")


def _now(status: Mapping[str, Any]) -> Iterator[str]:
    yield str(status["phase"])
    if status["waiting_for"]:
        yield f"waits for {status['waiting_for']}"
    if status["located"]:
        yield str(status["located"])
    if status["slow"]:
        yield "runs longer than expected, and is alive"
    if status["frozen_since"]:
        yield f"not heard of since {status['frozen_since']}"
    if status["cancel_requested"]:
        yield f"asked to stop: {status['cancel_requested']}"
    yield f"{status['failed']} failed and {status['lost']} lost attempts"
