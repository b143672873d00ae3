"""What a relay tells the state machine about functions that have a minion and limits that are reached, and
when.

Owns the announcements: for each partition that the relay reads, the functions of that queue which its minions
have. What is new is told at once, and once more a moment later, since a job may be handed back
while its minion arrives, and its receipt be read after the announcement; all of it every ANNOUNCE_EVERY_MS.
Limits that jobs wait for are looked at every LIMITS_EVERY_MS, and told when they are others than before: they
are for people alone.
"""

from collections.abc import Iterator

from relay.core.record import Record
from relay.core.window import Window
from schemas.events import Announcement

ANNOUNCE_EVERY_MS = 10_000
"""How often all of it is told again: whoever missed it waits no longer."""

ANNOUNCE_AGAIN_MS = 1_000
"""How long after what is new it is told once more."""

LIMITS_EVERY_MS = 1_000
"""How often it is looked whether jobs wait for a limit, where there are limits."""

FUNCTIONS_PER_RECORD_MAX = 1_000
"""Functions in one announcement: at 200 characters each it stays far below the size of a record."""


class Served:
    """What was told of one partition."""

    __slots__ = ("due_ms", "functions", "limits")

    def __init__(self) -> None:
        self.functions: frozenset[str] = frozenset()
        self.limits: frozenset[str] = frozenset()
        self.due_ms = 0


class Serving:
    """Knows what was told of each partition."""

    def __init__(self, relay: str, *, limited: bool = False) -> None:
        """`limited`: the relay has limits."""
        self._relay = relay
        self._limited = limited
        self._looked_ms = 0
        self._told: dict[Window, Served] = {}

    def due(
        self,
        queue: str,
        window: Window,
        functions: frozenset[str],
        now_ms: int,
        limits: frozenset[str] = frozenset(),
    ) -> Iterator[Record]:
        """The announcements of a partition that are due now. `limits`: what its jobs wait for."""
        self._looked_ms = now_ms
        if window.closed or not functions:
            self._told.pop(window, None)
            return
        told = self._told.setdefault(window, Served())
        new = not functions <= told.functions
        if not new and now_ms < told.due_ms and limits == told.limits:
            told.functions = functions
            return
        told.functions = functions
        if new or now_ms >= told.due_ms:
            told.due_ms = now_ms + (ANNOUNCE_AGAIN_MS if new else ANNOUNCE_EVERY_MS)
        told.limits = limits
        names = sorted(functions)
        for start in range(0, len(names), FUNCTIONS_PER_RECORD_MAX):
            event = Announcement(
                partition=window.partition,
                relay=self._relay,
                at_ms=now_ms,
                queue=queue,
                functions=tuple(names[start : start + FUNCTIONS_PER_RECORD_MAX]),
                limits=tuple(sorted(limits)) or None,
            )
            yield Record(event, None)

    def next_ms(self) -> int | None:
        """When something is due next; None while nothing is told."""
        due_ms = min((told.due_ms for told in self._told.values()), default=None)
        if due_ms is None or not self._limited:
            return due_ms
        return min(due_ms, self._looked_ms + LIMITS_EVERY_MS)

    def forget(self, window: Window) -> None:
        """The partition is another relay's."""
        self._told.pop(window, None)
