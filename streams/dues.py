"""When the rows of one partition want to be looked at again: a heap with lazy deletion.

Owns the index from time to row id. Must never decide anything: the row itself says when it is due and what is
due; an entry that the row no longer agrees with is forgotten, or moved to where the row now wants it.
"""

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush


class Dues:
    """Row ids by due time, epoch ms.

    A row that puts its due time off leaves its old entry where it is, which moves when it reaches the top: an
    attempt that beats every second costs no push per beat. So there is one entry for most rows, and never a
    lost one.
    """

    def __init__(self, due_of: Callable[[str], int | None]) -> None:
        """`due_of(row id)` is when that row is due now, or None when it is not, or is gone."""
        self._due_of = due_of
        self._heap: list[tuple[int, str]] = []
        self._earliest: dict[str, int] = {}  # the entry of each row that counts; others are stale

    def __len__(self) -> int:
        """How many rows have a due time."""
        return len(self._earliest)

    def put(self, row: str, due_ms: int | None) -> None:
        """Row `row` is due at `due_ms`; None: it is not due at all."""
        known_ms = self._earliest.get(row)
        if due_ms is None:
            if known_ms is not None:
                del self._earliest[row]
        elif known_ms is None or due_ms < known_ms:
            self._earliest[row] = due_ms
            heappush(self._heap, (due_ms, row))

    def next_ms(self) -> int | None:
        """When the next row is due, epoch ms; None if none is."""
        heap = self._heap
        while heap:
            due_ms, row = heap[0]
            if self._settle(due_ms, row):
                return due_ms
        return None

    def take(self, until_ms: int) -> str | None:
        """The row that is due first, if it is due by `until_ms`, epoch ms.

        It is not known as due afterwards: whoever takes it must `put` it again, or it will not come back.
        """
        due_ms = self.next_ms()
        if due_ms is None or due_ms > until_ms:
            return None
        row = heappop(self._heap)[1]
        del self._earliest[row]
        return row

    def fill(self, dues: Iterable[tuple[int, str]]) -> None:
        """Takes the due times of many rows at once, in place of all it had."""
        self._heap = list(dues)
        self._earliest = {row: due_ms for due_ms, row in self._heap}
        heapify(self._heap)

    def count(self, until_ms: int) -> int:
        """How many rows may be due by `until_ms`, epoch ms; looks at each."""
        return sum(due_ms <= until_ms for due_ms in self._earliest.values())

    def _settle(self, due_ms: int, row: str) -> bool:
        """True if the top entry is what its row wants; else drops it, or moves it to where it should be."""
        if self._earliest.get(row) != due_ms:
            heappop(self._heap)
            return False
        wanted_ms = self._due_of(row)
        if wanted_ms == due_ms:
            return True
        heappop(self._heap)
        del self._earliest[row]
        self.put(row, wanted_ms)
        return False
