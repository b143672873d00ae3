"""What the window of a partition promises, whatever the order in which things happen."""

from hypothesis import given
from hypothesis import strategies as st

from relay.core import window as window_module
from relay.core.window import Progress, Window

GAPS = st.lists(st.integers(min_value=1, max_value=4), min_size=1, max_size=60)


@given(gaps=GAPS, data=st.data())
def test_the_commit_point_never_passes_an_unfinished_offset(gaps: list[int], data: st.DataObject) -> None:
    """Deliver and finish in any mixed order: the point is the first unfinished number, and never
    goes back.
    """
    offsets, offset = [], 10
    for gap in gaps:
        offset += gap
        offsets.append(offset)
    progress = Progress(10)
    delivered: list[int] = []
    undone: set[int] = set()
    last = progress.point
    waiting = list(offsets)
    while waiting or undone:
        if waiting and (not undone or data.draw(st.booleans())):
            number = waiting.pop(0)
            progress.deliver(number)
            delivered.append(number)
            undone.add(number)
        else:
            number = data.draw(st.sampled_from(sorted(undone)))
            undone.remove(number)
            progress.done(number)
        assert progress.point == (min(undone) if undone else delivered[-1] + 1)
        assert progress.point >= last, "a commit point never goes back"
        assert all(
            number <= progress.finished for number in delivered if number < min(undone, default=offset + 1)
        )
        last = progress.point


@given(
    start=st.integers(min_value=0, max_value=20),
    jobs=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.integers(1, 2)), max_size=40),
)
def test_an_equal_dispatch_is_run_once(start: int, jobs: list[tuple[str, int, int]]) -> None:
    """Of all records with one (job, epoch, admission), at most the first is run; none if it was read back as
    finished.
    """
    window = Window("jobs.dispatch.default", 0, start)
    seen: set[tuple[str, int, int]] = set()
    for offset, same in enumerate(jobs):
        fresh = window.deliver(offset, same)
        assert fresh == (offset >= start and same not in seen)
        seen.add(same)


@given(count=st.integers(min_value=0, max_value=60))
def test_the_newest_dispatches_are_remembered(count: int) -> None:
    """However many pass, the last SEEN_MAX are known again."""
    limit = window_module.SEEN_MAX
    window_module.SEEN_MAX = 8
    try:
        window = Window("jobs.dispatch.default", 0, 0)
        for offset in range(count):
            assert window.deliver(offset, (str(offset), 1, 1))
        for back in range(1, min(count, 8) + 1):
            assert not window.deliver(count + back, (str(count - back), 1, 1))
    finally:
        window_module.SEEN_MAX = limit


@given(start=st.integers(0, 5), offsets=st.lists(st.integers(0, 12), max_size=30))
def test_a_record_read_twice_is_taken_once(start: int, offsets: list[int]) -> None:
    """Offsets below the committed one, or below what was delivered, are nothing new."""
    window = Window("jobs.dispatch.default", 0, start)
    highest = start - 1
    for position, offset in enumerate(offsets):
        assert window.deliver(offset, (str(position), 1, 1)) == (offset > highest)
        highest = max(highest, offset)
