"""What the door remembers of a call that came through it, and of a run that went out through it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.core.call import Call, Run, Word
from relay.core.session import Lease

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
    lease: Lease | None = None
    """Of a durable job; None: it is a call."""


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

    def told(self, _: Call, word: Word) -> None:
        """Something is said of the job."""
        self.client.door.told(self, word)

    def over(self, call: Call) -> None:
        """The job ended."""
        if call is self.call:
            self.client.door.over(self)
