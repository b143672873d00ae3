"""The overview: one value made of what workers, relays, settings and facts say. Pure.

Its shape is what `GET /overview` answers, the pages show and `jobstream top` draws. What cannot be told is
None, never 0.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from relay.doors.dashboard.outlook import Entries, RelayWord
from relay.doors.dashboard.pulse import BIN_S, Pulse, Series
from schemas.events import QueueConfig
from schemas.times import format_time
from schemas.words import Phase

SILENT_MS = 3_000
"""Silence after which a session is shown as quiet; well-kept ones say something every second."""

Sees = Callable[[str | None], bool]
"""Whether who asks may be told of a queue."""

Told = dict[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """What the workers, the relays and the settings said at one time."""

    at_ms: int = 0
    queues: dict[str, dict[str, int]] | None = None
    """Jobs by queue and phase; None: it can't be told."""
    away: str | None = None
    """Why it can't be told."""
    away_since_ms: int | None = None
    workers: tuple[Told, ...] = ()
    relays: tuple[RelayWord, ...] = ()
    entries: Entries = field(default_factory=dict)


def overview(snapshot: Snapshot, pulse: Pulse, sees: Sees) -> Told:
    """All of it, for who may see these queues."""
    now_ms = snapshot.at_ms
    total = pulse.total(sees)
    queues = [_queue(snapshot, pulse, name) for name in sorted(_queues(snapshot, pulse)) if sees(name)]
    phases: dict[str, int | None] = {
        str(phase): _sum(queue["phases"] and queue["phases"][phase] for queue in queues) for phase in Phase
    }
    if snapshot.queues is None:
        phases = dict.fromkeys(phases)
    return {
        "now": format_time(now_ms),
        "away": snapshot.away,
        "away_since": None if snapshot.away_since_ms is None else format_time(snapshot.away_since_ms),
        "phases": phases,
        **_lately(total, now_ms),
        "bin_s": BIN_S,
        "bars": total.bars(now_ms // 1_000),
        "queues": queues,
        "functions": _functions(snapshot, pulse, sees),
        "errors": [_error(each) for each in pulse.errors(sees)],
        "minions": _minions(snapshot, sees),
        "relays": [_relay(word) for word in snapshot.relays],
        "workers": list(snapshot.workers),
    }


def _queues(snapshot: Snapshot, pulse: Pulse) -> set[str]:
    """Every queue that anybody names."""
    served = {
        queue
        for word in snapshot.relays
        if word.status
        for each in word.status.sessions
        for queue in each.queues
    }
    set_up = {entry.queue for entry in snapshot.entries.values() if isinstance(entry, QueueConfig)}
    return {*(snapshot.queues or ()), *pulse.queues, *served, *set_up}


def _queue(snapshot: Snapshot, pulse: Pulse, name: str) -> Told:
    now_ms = snapshot.at_ms
    series = pulse.queues.get(name) or Series()
    entry = snapshot.entries.get(f"queue/{name}")
    phases = None
    if snapshot.queues is not None:
        found = snapshot.queues.get(name, {})
        phases = {str(phase): found.get(str(phase), 0) for phase in Phase}
    return {
        "queue": name,
        "paused": isinstance(entry, QueueConfig) and bool(entry.paused),
        "note": entry.note if entry is not None else None,
        "phases": phases,
        "minions": sum(
            name in each.queues for word in snapshot.relays if word.status for each in word.status.sessions
        ),
        **_lately(series, now_ms),
        "bars": series.bars(now_ms // 1_000),
    }


def _functions(snapshot: Snapshot, pulse: Pulse, sees: Sees) -> list[Told]:
    """Functions by queue: those that ran lately, run, or wait; the busiest first."""
    waiting: dict[tuple[str, str], int] = {}
    running: dict[tuple[str, str], int] = {}
    for status in [word.status for word in snapshot.relays if word.status]:
        for waits in status.waiting:
            what = (waits.queue, waits.function)
            waiting[what] = waiting.get(what, 0) + waits.waiting
        for runs in status.running:
            what = (runs.queue, runs.function)
            running[what] = running.get(what, 0) + runs.running
    known = not any(word.away for word in snapshot.relays) and bool(snapshot.relays)
    names = {*pulse.functions, *waiting, *running}
    rows = []
    for queue, function in sorted(names):
        if not sees(queue):
            continue
        series = pulse.functions.get((queue, function)) or Series()
        what = (queue, function)
        rows.append(
            {
                "function": function,
                "queue": queue,
                "waiting": waiting.get(what, 0) if known else None,
                "running": running.get(what, 0) if known else None,
                **_lately(series, snapshot.at_ms),
                "bars": series.bars(snapshot.at_ms // 1_000),
            }
        )
    return sorted(rows, key=lambda row: (-row["done_per_s"] - row["failed_per_s"], row["function"]))


def _lately(series: Series, now_ms: int) -> Told:
    rates = series.rates(now_ms // 1_000)
    return {
        "in_per_s": rates["admitted"],
        "done_per_s": rates["succeeded"],
        "failed_per_s": rates["failed"],
        **series.percentiles(now_ms),
    }


def _error(each: Told) -> Told:
    told = {name: value for name, value in each.items() if name != "at_ms"}
    return {**told, "at": format_time(each["at_ms"])}


def _minions(snapshot: Snapshot, sees: Sees) -> list[Told]:
    """Sessions of all relays, by the minion's name."""
    rows = []
    for word in snapshot.relays:
        if word.status is None:
            continue
        for each in word.status.sessions:
            if not any(sees(queue) for queue in each.queues):
                continue
            heard_ms = max(0, word.status.now_ms - each.heard_at_ms)
            rows.append(
                {
                    "minion": each.minion,
                    "session": each.session,
                    "relay": word.status.relay,
                    "phase": "quiet" if heard_ms > SILENT_MS and each.phase == "ready" else each.phase,
                    "queues": list(each.queues),
                    "functions": each.functions,
                    "function_names": list(each.function_names),
                    "capacity": each.capacity,
                    "credits": each.credits,
                    "leases": each.leases,
                    "heard_ms": heard_ms,
                    "opened_at": format_time(each.opened_at_ms),
                    "sdk": each.sdk,
                }
            )
    return sorted(rows, key=lambda row: (row["minion"], row["relay"]))


def _relay(word: RelayWord) -> Told:
    status = word.status
    if status is None:
        return {"address": word.address, "away": word.away}
    return {
        "address": word.address,
        "away": None,
        "relay": status.relay,
        "draining": status.draining,
        "sessions": len(status.sessions),
        "leases": status.leases,
        "waiting": sum(each.waiting for each in status.waiting),
        "partitions": len(status.partitions),
        "unfinished": sum(each.unfinished_span for each in status.partitions),
        "assigned": status.assigned,
        "spilled": status.spilled,
    }


def _sum(numbers: Iterable[int | None]) -> int:
    return sum(number or 0 for number in numbers)
