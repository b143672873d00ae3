"""How large a share the most frequent key has among the latest jobs of each queue: a key that has most of the
jobs is one minion's and one partition's work, however many there are.

Pure, and of fixed size: it keeps some keys of each queue with counts that are at most too low (Misra and
Gries, 1982), and halves all counts now and then, so that old jobs count for less.
"""

from typing import Final

KEYS_KEPT: Final = 16
"""Of each queue. A share is at most 1/KEYS_KEPT too low."""

QUEUES_MAX: Final = 200

HALVED_AT: Final = 5_000
"""Jobs of a queue after which all its counts are halved."""

JOBS_MIN: Final = 100
"""With fewer jobs a share says nothing."""


class Keys:
    """The keys of one queue."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.total = 0

    def add(self, key: str | None) -> None:
        """One more job; `key` is None if it has none but its id."""
        self.total += 1
        if key is not None:
            counts = self.counts
            if key in counts:
                counts[key] += 1
            elif len(counts) < KEYS_KEPT:
                counts[key] = 1
            else:
                self.counts = {each: many - 1 for each, many in counts.items() if many > 1}
        if self.total >= HALVED_AT:
            self._halve()

    def _halve(self) -> None:
        self.total //= 2
        self.counts = {each: many // 2 for each, many in self.counts.items() if many > 1}


class HotKeys:
    """One per worker."""

    def __init__(self) -> None:
        self._queues: dict[str, Keys] = {}

    def of(self, queue: str) -> Keys | None:
        """The keys of a queue, the same each time; None if there are too many queues already."""
        keys = self._queues.get(queue)
        if keys is None and len(self._queues) < QUEUES_MAX:
            keys = self._queues[queue] = Keys()
        return keys

    def shares(self) -> dict[str, float]:
        """By queue, the share of its most frequent key, 0 to 1; queues with enough jobs only."""
        return {
            queue: max(keys.counts.values(), default=0) / keys.total
            for queue, keys in list(self._queues.items())
            if keys.total >= JOBS_MIN
        }
