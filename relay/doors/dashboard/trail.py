"""The audit trail as far as this process remembers it: who changed what, and what came of it.

The log has every line of it (dataset `jobstream.audit`); this is the end of it, for a page.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.telemetry import logs
from schemas.times import format_time

CHANGES_MAX = 500
"""Changes that are remembered."""


@dataclass(frozen=True)
class Change:
    """One line of it."""

    at: str
    who: str
    where: str
    """The address it came from."""
    what: str
    """Method and route."""
    target: str
    outcome: str


class Trail:
    """The latest changes."""

    def __init__(self) -> None:
        self._changes: deque[Change] = deque(maxlen=CHANGES_MAX)

    def add(self, at_ms: int, what: str, outcome: str, fields: Mapping[str, object]) -> None:
        """One more, as its line in the log has it."""
        target = next(
            (str(fields[name]) for name in (logs.JOB, logs.SCHEDULE, logs.QUEUE) if fields.get(name)), ""
        )
        self._changes.append(
            Change(
                at=format_time(at_ms),
                who=str(fields.get(logs.USER) or "nobody"),
                where=str(fields.get(logs.CLIENT) or ""),
                what=what,
                target=target,
                outcome=outcome,
            )
        )

    def lately(self) -> list[Change]:
        """The newest first."""
        return list(reversed(self._changes))
