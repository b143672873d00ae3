"""What a relay writes to Kafka, with what becomes true once Kafka has it. Data only."""

from dataclasses import dataclass, field

from relay.core.session import Lease, Session
from relay.core.window import Window
from schemas.events import Announcement, Heartbeat, Receipt, Reject


@dataclass(slots=True, eq=False)
class Ending:
    """What is remembered of a lease or dispatch that a receipt ended, so that it does not begin again here.

    `places` are records of the same dispatch that were read after the end, and before it was durable.
    """

    at_ms: int
    created_at_ms: int  # when the job was admitted; 0: not known
    by_minion: bool
    stored: bool = False
    places: list[tuple[Window, int]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Record:
    """An event for its home partition, and what it finishes: hand-over of leases, a minion's receipt."""

    event: Receipt | Heartbeat | Announcement | Reject
    key: str | None
    leases: tuple[Lease, ...] = ()
    ending: Ending | None = None
    session: Session | None = None
    number: int = 0
