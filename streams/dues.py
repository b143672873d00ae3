"""When the rows of one partition want to be looked at again: a heap with lazy deletion for what is near, and
lists by the minute for what is far.

Owns the index from time to row key. Must never decide anything: the row itself says when it is due and what
is due; an entry that the row no longer agrees with is forgotten, or moved to where the row now wants it.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Final, TypeVar

_Entry = TypeVar("_Entry")

SLOT_MS: Final = 60_000
"""What is far is kept by the minute: some 40 bytes a row, where an entry of the heap has 200."""

NEAR_MS: Final = 600_000
"""What is due so soon goes into the heap at once: also what is put off every second."""


BETWEEN: Final = b"\n"
"""Between the keys of a slot; no key has it."""


class Slot:
    """Rows that are due in one minute, in any order. Their keys are bytes of one text: a list of a million
    strings is looked through, string by string, at every full garbage collection.
    """

    __slots__ = ("dues_ms", "rows")

    def __init__(self) -> None:
        """None yet."""
        self.dues_ms = array("q")
        self.rows = bytearray()

    def add(self, row: str, due_ms: int) -> None:
        """One more."""
        self.dues_ms.append(due_ms)
        self.rows += row.encode() + BETWEEN

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Due time and key of each."""
        keys = self.rows[: -len(BETWEEN)].decode().split(BETWEEN.decode())
        return zip(self.dues_ms, keys, strict=True)


class Dues:
    """Row keys by due time, epoch ms.

    A row that puts its due time off leaves its old entry where it is, which moves when it reaches the top: an
    attempt that beats every second costs no push per beat. So there is one entry for most rows, and never a
    lost one. A minute is moved into the heap when no other row is due before it.
    """

    def __init__(
        self, due_of: Callable[[str], int | None], *, near_ms: int = NEAR_MS, slot_ms: int = SLOT_MS
    ) -> None:
        """`due_of(row key)` is when that row is due now, or None when it is not, or is gone."""
        self._due_of = due_of
        self._heap: list[tuple[int, str]] = []
        self._earliest: dict[str, int] = {}  # the heap's entry of each row that counts; others are stale
        self._slots: dict[int, Slot] = {}
        self._slot_numbers: list[int] = []  # a heap of the keys of _slots
        self._slot_ms = slot_ms
        self._near_ms = near_ms
        self._far_from_ms = 0

    def at(self, now_ms: int) -> None:
        """It is `now_ms` now, epoch ms: tells what is near."""
        self._far_from_ms = now_ms + self._near_ms

    def put(self, row: str, due_ms: int | None) -> None:
        """Row `row` is due at `due_ms`; None: it is not due at all."""
        known_ms = self._earliest.get(row)
        if due_ms is None:
            if known_ms is not None:
                del self._earliest[row]
        elif known_ms is None:
            if due_ms >= self._far_from_ms:
                self._put_far(row, due_ms)
            else:
                self._push(row, due_ms)
        elif due_ms < known_ms:
            self._push(row, due_ms)

    def next_ms(self) -> int | None:
        """When the next row is due, epoch ms; None if none is."""
        heap, numbers = self._heap, self._slot_numbers
        while heap or numbers:
            if numbers and (not heap or numbers[0] * self._slot_ms <= heap[0][0]):
                self._open()
            elif self._settle(*heap[0]):
                return heap[0][0]
        return None

    def first(self) -> str | None:
        """The row that is due next; None if none is."""
        return None if self.next_ms() is None else self._heap[0][1]

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
        self._heap.clear()
        self._earliest.clear()
        self._slots.clear()
        self._slot_numbers.clear()
        for due_ms, row in dues:
            self._put_far(row, due_ms)

    def count(self, until_ms: int, most: int | None = None) -> int:
        """How many rows may be due by `until_ms`, epoch ms, and no more than `most`; looks at no others."""
        return sum(1 for _ in islice(self.due(until_ms), most))

    def due(self, until_ms: int) -> Iterator[str]:
        """The keys of the rows that may be due by `until_ms`, epoch ms, in no order. What is not due is not
        looked at, but for the rest of a minute; nothing may be put or taken meanwhile.
        """
        earliest = self._earliest
        told: set[str] = set()
        for due_ms, row in _top(self._heap, lambda entry: entry[0] <= until_ms):
            if earliest.get(row) == due_ms and row not in told:
                told.add(row)
                yield row
        for number in _top(self._slot_numbers, lambda number: number * self._slot_ms <= until_ms):
            yield from (row for due_ms, row in self._slots[number] if due_ms <= until_ms)

    def _push(self, row: str, due_ms: int) -> None:
        self._earliest[row] = due_ms
        heappush(self._heap, (due_ms, row))

    def _put_far(self, row: str, due_ms: int) -> None:
        number = due_ms // self._slot_ms
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = Slot()
            heappush(self._slot_numbers, number)
        slot.add(row, due_ms)

    def _open(self) -> None:
        """Moves the first slot into the heap."""
        slot = self._slots.pop(heappop(self._slot_numbers))
        earliest, heap = self._earliest, self._heap
        many = len(slot.dues_ms) > len(heap)
        for due_ms, row in slot:
            known_ms = earliest.get(row)
            if known_ms is not None and known_ms <= due_ms:
                continue
            earliest[row] = due_ms
            if many:
                heap.append((due_ms, row))
            else:
                heappush(heap, (due_ms, row))
        if many:
            heapify(heap)

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


def _top(heap: list[_Entry], wanted: Callable[[_Entry], bool]) -> Iterator[_Entry]:
    """The entries of a heap that are wanted, where none is unless its parent is."""
    places = [0]
    while places:
        place = places.pop()
        if place < len(heap) and wanted(heap[place]):
            yield heap[place]
            places += (2 * place + 1, 2 * place + 2)
