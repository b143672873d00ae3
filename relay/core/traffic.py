"""What a scheduler of minions is told: jobs that came in, that are done, and that nobody took in time.

Owns the count of each, in the order they happened, until the shell takes them away; and the rule that each
`inbound` is followed by exactly one `done` or `timedout`. Never starts anything, and never looks at a clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

ANSWER_MS = 30_000
"""How long a function that a scheduler offers may have no minion before what waits for it is handed back."""


class Hook(StrEnum):
    """The three calls of a scheduler."""

    INBOUND = "inbound"
    DONE = "done"
    TIMEDOUT = "timedout"


@dataclass(slots=True)
class Told:
    """So many equal calls in a row."""

    hook: Hook
    queue: str
    function: str
    areas: tuple[str, ...]
    count: int = 1


@dataclass(frozen=True, slots=True)
class Offers:
    """The functions, by queue, for which a scheduler brings minions when there is work for them."""

    functions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    answer_ms: int = ANSWER_MS

    def has(self, queue: str, function: str) -> bool:
        """True if minions can be brought for it."""
        return function in self.functions.get(queue, ())


class Traffic:
    """The seam between whatever brings work to a relay and the scheduler of its minions.

    A door calls `inbound` for a job or call before it looks for a minion, also if one has room; then exactly
    one of: `timedout`, if no minion took it in the time that it had, and `done` in every other case, however
    it ended (answered, failed, lost, cancelled, hung up). All three return at once; the scheduler is called
    when the shell takes `told` away, which Bridge.pump does after each call into the edge. A door of its own
    that has a Bridge calls `bridge.edge.traffic.inbound(...)` and then `bridge.pump()`.

    Without a scheduler nothing is kept.
    """

    __slots__ = ("_told", "offers", "watched")

    def __init__(self, offers: Offers | None = None) -> None:
        """`offers` are those of the scheduler; None: there is none."""
        self.watched = offers is not None
        self.offers = offers or Offers()
        self._told: list[Told] = []

    def inbound(self, queue: str, function: str, areas: Iterable[str] = (), count: int = 1) -> None:
        """Work for a function came, and is about to be given to a minion. `areas` are where it should run,
        nearest first; empty: anywhere.
        """
        if self.watched:
            self._tell(Hook.INBOUND, queue, function, tuple(areas), count)

    def done(self, queue: str, function: str, areas: Iterable[str] = (), count: int = 1) -> None:
        """Work that was inbound is no longer waited for."""
        if self.watched:
            self._tell(Hook.DONE, queue, function, tuple(areas), count)

    def timedout(self, queue: str, function: str, areas: Iterable[str] = (), count: int = 1) -> None:
        """Work that was inbound was given up, since no minion took it in time."""
        if self.watched:
            self._tell(Hook.TIMEDOUT, queue, function, tuple(areas), count)

    def take(self) -> list[Told]:
        """What happened since the last time."""
        told, self._told = self._told, []
        return told

    @property
    def pending(self) -> bool:
        """True if there is something to take."""
        return bool(self._told)

    def _tell(self, hook: Hook, queue: str, function: str, areas: tuple[str, ...], count: int) -> None:
        if self._told:
            last = self._told[-1]
            if last.hook is hook and (last.queue, last.function, last.areas) == (queue, function, areas):
                last.count += count
                return
        self._told.append(Told(hook, queue, function, areas, count))
