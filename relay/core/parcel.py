"""A dispatch on its way to a minion, and when its turn is. Data only.

Priorities age by themselves: each step down is worth `AGE_MS` of waiting. So what is more urgent goes first
among what came about together, and nothing waits for more than four steps longer than what came after it.
"""

from dataclasses import dataclass
from typing import Final

from relay.core.assign import slot_of
from relay.core.window import Window
from schemas.defaults import PRIORITY
from schemas.events import Dispatch

AGE_MS: Final = 15_000
"""So much longer waits a dispatch than one that is a step more urgent and came at the same time, at most."""

Order = tuple[int, int]
"""When its turn is, ms, and among equals the number of its arrival."""


@dataclass(slots=True, eq=False)
class Parcel:
    """A dispatch that has no lease yet, and the record it came in."""

    dispatch: Dispatch
    window: Window
    offset: int
    size_bytes: int
    arrived_ms: int
    slot: int
    order: Order = (0, 0)
    gone: bool = False

    @property
    def priority(self) -> int:
        """From 1, the most urgent, to 5."""
        return self.dispatch.priority or PRIORITY

    def number(self, number: int) -> None:
        """It waits from now on, as the `number`th that does."""
        self.order = (self.arrived_ms + (self.priority - 1) * AGE_MS, number)

    def __lt__(self, other: "Parcel") -> bool:
        return self.order < other.order


def parcel_of(dispatch: Dispatch, window: Window, offset: int, size_bytes: int, now_ms: int) -> Parcel:
    """A dispatch as it arrived."""
    return Parcel(dispatch, window, offset, size_bytes, now_ms, slot_of(dispatch.key))
