"""A worker is stuck if it has records to read and does not move, and only then."""

from faust.types import TP

from streams.transport.progress import LOOK_S, STUCK_S, Progress

A0, A1 = TP("a", 0), TP("a", 1)


class Watched:
    """Progress, looked at as often as in a worker."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.progress = Progress(lambda: self.now_s)

    def look(self, positions: dict[TP, int], ends: dict[TP, int]) -> str | None:
        """One look more."""
        self.now_s += LOOK_S
        return self.progress.look(positions, ends)

    def looks(self, positions: dict[TP, int], ends: dict[TP, int]) -> list[str | None]:
        """As many as being stuck takes, and one more."""
        return [self.look(positions, ends) for _ in range(int(STUCK_S / LOOK_S) + 1)]


def test_one_partition_that_stands_still_before_records_is_told_of() -> None:
    """With its place and its lag; the others may be well."""
    said = Watched().looks({A0: 7, A1: 3}, {A0: 9, A1: 3})
    assert said[:-1] == [None] * (len(said) - 1)
    assert said[-1] == "a/0 has records from offset 7 to 9, and none came in 20 s"


def test_nothing_to_read_is_no_standstill() -> None:
    """At the end, or where nobody knows of an end, a partition may stay for ever."""
    assert set(Watched().looks({A0: 7, A1: 3}, {A0: 7})) == {None}


def test_what_moves_is_not_stuck() -> None:
    """However slowly, and however far it is behind."""
    watched = Watched()
    assert {watched.look({A0: at}, {A0: 1_000}) for at in range(20)} == {None}


def test_a_standstill_begins_anew_after_the_end_was_reached() -> None:
    """Records that came just now have not been waited for."""
    watched = Watched()
    watched.looks({A0: 7}, {A0: 7})
    assert watched.look({A0: 7}, {A0: 8}) is None
    assert watched.look({A0: 8}, {A0: 8}) is None
    assert set(watched.looks({A0: 8}, {A0: 9})[:-1]) == {None}


def test_what_was_forgotten_does_not_count() -> None:
    """After a time in which nothing was read, or nobody could be asked."""
    watched = Watched()
    watched.looks({A0: 7}, {A0: 9})
    watched.progress.forget()
    assert watched.look({A0: 7}, {A0: 9}) is None
