"""A minion's session as a worker of foreground calls: one capacity, shared with durable jobs.

Owns how the two share it. While both want a session, neither holds more than three quarters of its places
(of a single place they take turns), so that long work of one kind never shuts the other out.
"""

from typing import TYPE_CHECKING

from relay.core.call import Rule, Worker

if TYPE_CHECKING:
    from relay.core.session import Session

KEPT_SHARE = 4
"""One of so many places is kept for the other kind, at least one where there are two."""

WANTED_MS = 10_000
"""A kind that was given something by a session, or waited for it, wants it for so long."""


class SessionWorker(Worker):
    """What the calls' machine sees of a session."""

    def __init__(self, session: "Session", areas: frozenset[str], rules: dict[str, Rule]) -> None:
        super().__init__(session.minion, session.functions, areas, rules=rules)
        self._session = session

    def room(self) -> int:
        """How many more calls it takes now."""
        return self._session.room_for_calls()

    def spend(self) -> None:
        """A run was given to it."""
        self._session.credits -= 1


def most_of_one_kind(places: int) -> int:
    """How many of its places one kind may hold while the other wants some too."""
    return places - max(places // KEPT_SHARE, 1) if places > 1 else places
