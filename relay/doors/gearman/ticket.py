"""What the door remembers of a call that came through it, and of a run that went out through it. Data
only.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.core.call import Call, Run

if TYPE_CHECKING:
    from relay.doors.gearman.connection import Connection


@dataclass(slots=True, eq=False)
class Entry:
    """A run as Gearman names it: by a handle. Calls that share the run share its handle."""

    handle: bytes
    run: Run
    unique: bytes
    """As it was sent; empty: none."""
    counted: bool
    """It came through this door, and counts for its quotas."""
    done: int = 0
    total: int = 0
    retries: int = 0
    """How often a worker vanished with it."""


@dataclass(slots=True, eq=False)
class Ticket:
    """One submitted foreground job, from its packet to its end."""

    client: "Connection"
    unique: bytes
    call: Call
    entry: Entry | None = None
    routed: bool = False
    """It came with a routing timeout, and is never given to a second worker."""
    excepted: bool = False
    """Its client has had a WORK_EXCEPTION, which is an end."""
    retries: int = 0
    """How often a worker vanished with it."""
