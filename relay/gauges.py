"""What a relay looks up when someone asks for its metrics: sessions, leases, what waits and how far behind it
is. Only reads.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from relay.core.calls import Calls
from relay.core.edge import Edge
from relay.core.window import Window
from schemas.telemetry import catalogue
from schemas.telemetry.meter import Sample

MS = 1_000


def gauges(
    edge: Edge, windows: Iterable[Window], ends: Mapping[tuple[str, int], int], now_ms: int
) -> Iterator[Sample]:
    """All of them. `ends`: where partitions end, by topic and number; those not known are left out."""
    yield catalogue.SESSIONS, (), len(edge.sessions)
    yield catalogue.RELAY_LEASES, (), len(edge.leases)
    yield catalogue.ASSIGNED, (), edge.assigned
    yield catalogue.SPILLED, (), edge.spilled
    for outcome, many in edge.outcomes.items():
        yield catalogue.RECEIPTS, (str(outcome),), many
    yield from _minions(edge)
    yield from call_gauges(edge.calls, now_ms)
    waiting: Counter[tuple[str, str]] = Counter()
    for each in edge.router.status():
        waiting[each.queue, each.function] += each.waiting
    for named, many in waiting.items():
        yield catalogue.WAITING, named, many
    for queue, since_ms in edge.router.oldest().items():
        yield catalogue.OLDEST_WAITING, (queue,), max(0, now_ms - since_ms) / MS
    paused = 0
    for window in windows:
        paused += window.paused
        end = ends.get((window.topic, window.partition))
        if end is not None:
            lag = max(0, end - window.point)
            yield catalogue.RELAY_LAG, (window.queue, str(window.partition)), lag
    yield catalogue.RELAY_PAUSED, (), paused


def call_gauges(calls: Calls, now_ms: int) -> Iterator[Sample]:
    """Foreground calls."""
    for outcome, many in calls.outcomes.items():
        yield catalogue.CALLS, (str(outcome),), many
    yield catalogue.CALLS_SHARED, (), calls.coalesced
    yield catalogue.CALLS_KNOWN, (), calls.cached
    yield catalogue.CALLS_RUNNING, (), calls.running
    yield catalogue.CALLS_WAITING, (), len(calls.runs) - calls.running
    for each in calls.unserved.values():
        yield catalogue.CALLS_UNSERVED, (each.function,), max(0, now_ms - each.since_ms) / MS


def _minions(edge: Edge) -> Iterator[Sample]:
    """By the minion's name: a minion that just came back may have two sessions for a moment."""
    leases: Counter[str] = Counter()
    held: Counter[str] = Counter()
    credit: Counter[str] = Counter()
    capacity: dict[str, int] = {}
    for session in edge.sessions.values():
        leases[session.minion] += len(session.leases)
        held[session.minion] += session.held()
        credit[session.minion] += session.credits
        capacity[session.minion] = max(session.capacity, capacity.get(session.minion, 0))
    for minion, most in capacity.items():
        yield catalogue.MINION_LEASES, (minion,), leases[minion]
        yield catalogue.MINION_CREDITS, (minion,), credit[minion]
        yield catalogue.MINION_CAPACITY, (minion,), most
        yield catalogue.MINION_BUSY, (minion,), held[minion] / most
