"""How many jobs of a function or queue may run at once on this relay.

Owns the counts. A relay's limits are its own: with several relays each allows as many.
"""

from collections import Counter
from collections.abc import Mapping


class Limits:
    """Limits by `queue/<name>` and `function/<name>`, the keys of the configuration's entries."""

    def __init__(self, limits: Mapping[str, int] | None = None) -> None:
        self._limits = dict(limits or {})
        self._running: Counter[str] = Counter()
        self.freed = False
        """True if a place became free where none was; whoever looks for more work sets it back."""

    def __bool__(self) -> bool:
        """True if there is any."""
        return bool(self._limits)

    def room(self, queue: str, function: str) -> bool:
        """True if one more such job may run."""
        return not self._limits or self.reached(queue, function) is None

    def reached(self, queue: str, function: str) -> str | None:
        """The limit that such a job waits for; None: it waits for none."""
        for key in (f"queue/{queue}", f"function/{function}"):
            if key in self._limits and self._running[key] >= self._limits[key]:
                return key
        return None

    def begin(self, queue: str, function: str) -> None:
        """Such a job runs, also if that is one too many: its minion has it already."""
        for key in self._keys(queue, function):
            self._running[key] += 1

    def end(self, queue: str, function: str) -> None:
        """Such a job runs no more."""
        for key in self._keys(queue, function):
            self._running[key] -= 1
            self.freed = True

    def _keys(self, queue: str, function: str) -> list[str]:
        if not self._limits:
            return []
        return [key for key in (f"queue/{queue}", f"function/{function}") if key in self._limits]
