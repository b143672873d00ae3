"""The index of due times against a plain dict, over any sequence of changes."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streams.dues import SLOT_MS, Dues

ROWS = st.sampled_from(["a", "b", "c", "d", "e"])
TIMES = st.integers(0, 50)


class DuesLikeADict(RuleBasedStateMachine):
    """Whatever is put, put off, brought forward or taken, near or far: it is known what the rows want."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: dict[str, int] = {}
        self.dues = Dues(self.wanted.get, near_ms=5, slot_ms=10)

    @rule(now_ms=TIMES)
    def at(self, now_ms: int) -> None:
        """Time goes on, or seems to go back."""
        self.dues.at(now_ms)

    @rule(row=ROWS, due_ms=st.none() | TIMES)
    def put(self, row: str, due_ms: int | None) -> None:
        """A row changes, and wants to be looked at then, or not at all."""
        if due_ms is None:
            self.wanted.pop(row, None)
        else:
            self.wanted[row] = due_ms
        self.dues.put(row, due_ms)

    @rule(until_ms=TIMES)
    def take(self, until_ms: int) -> None:
        """The earliest row that is due is given, and known no more."""
        row = self.dues.take(until_ms)
        due = [due_ms for due_ms in self.wanted.values() if due_ms <= until_ms]
        if not due:
            assert row is None
        else:
            assert row is not None
            assert self.wanted.pop(row) == min(due)

    @rule()
    def fill(self) -> None:
        """All due times at once replace what was there."""
        self.dues.fill((due_ms, row) for row, due_ms in self.wanted.items())

    @invariant()
    def next_is_the_earliest(self) -> None:
        """The next due time is that of the row that wants it first."""
        assert self.dues.next_ms() == min(self.wanted.values(), default=None)

    @invariant()
    def none_is_forgotten(self) -> None:
        """It counts at least the rows that want to be looked at; more, where an entry is stale."""
        for until_ms in (10, 25, 50):
            due = {row for row, due_ms in self.wanted.items() if due_ms <= until_ms}
            assert due <= set(self.dues.due(until_ms))
            assert self.dues.count(until_ms) >= len(due)
            assert self.dues.count(until_ms, 1) == bool(self.dues.count(until_ms))


TestDuesLikeADict = DuesLikeADict.TestCase


@given(st.lists(TIMES, max_size=200))
def test_putting_off_costs_no_entry(times: list[int]) -> None:
    """A row that is put off again and again has one entry, not one for each time."""
    wanted: dict[str, int] = {}
    dues = Dues(wanted.get)
    dues.at(0)
    for due_ms in sorted(times):
        wanted["a"] = due_ms
        dues.put("a", due_ms)
    assert len(dues._heap) <= 1


def test_what_is_far_is_not_in_the_heap() -> None:
    """Of a hundred days no more than the first minute is in the heap, whoever asks for the next one."""
    wanted = {f"r{number}": number * SLOT_MS // 4 for number in range(100 * 24 * 60)}
    dues = Dues(wanted.get)
    for row, due_ms in wanted.items():
        dues.put(row, due_ms)
    assert dues.next_ms() == 0
    assert len(dues._heap) == 4


def test_what_is_not_due_is_not_looked_at() -> None:
    """Among a hundred thousand rows that are near, those few that are due are found without the others."""

    class Watched(dict[str, int]):
        """Counts how often it is asked."""

        asked = 0

        def get(self, row: str, default: int | None = None) -> int | None:  # type: ignore[override]
            self.asked += 1
            return super().get(row, default)

    dues = Dues(lambda _: None)
    dues.at(0)
    for number in range(100_000):
        dues.put(f"r{number}", number)
    dues._earliest = watched = Watched(dues._earliest)
    assert dues.count(9) == 10
    assert dues.count(99_999, 7) == 7
    assert watched.asked < 50
