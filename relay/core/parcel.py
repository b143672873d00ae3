"""A dispatch on its way to a minion. Data only."""

from dataclasses import dataclass

from relay.core.assign import slot_of
from relay.core.window import Window
from schemas.events import Dispatch


@dataclass(slots=True, eq=False)
class Parcel:
    """A dispatch that has no lease yet, and the record it came in."""

    dispatch: Dispatch
    window: Window
    offset: int
    size_bytes: int
    arrived_ms: int
    slot: int
    order: int = 0
    gone: bool = False


def parcel_of(dispatch: Dispatch, window: Window, offset: int, size_bytes: int, now_ms: int) -> Parcel:
    """A dispatch as it arrived."""
    return Parcel(dispatch, window, offset, size_bytes, now_ms, slot_of(dispatch.key))
