"""What is finished beyond a gap is known again after a restart, as far as it fits beside the offset."""

import base64
import contextlib
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.finished import METADATA_BYTES_MAX, Finished, read, told
from relay.core.window import Window

POINT = 1_000


@given(st.sets(st.integers(POINT + 1, POINT + 300)), st.integers(0, 50))
def test_what_was_told_is_read_again(unfinished: set[int], beyond: int) -> None:
    """Every offset is what it was, from the commit point to the end."""
    unfinished.add(POINT)
    end = max(unfinished) + 1 + beyond
    text = told(POINT, unfinished, end)
    found = read(text, POINT) if text else Finished()
    assert {offset for offset in range(POINT - 5, end + 5) if offset in found} == {
        offset for offset in range(POINT, end) if offset not in unfinished
    } - (set() if text else set(range(POINT, end)))
    assert text or len(unfinished) == end - POINT
    assert set(found.missing(POINT)) == {offset for offset in unfinished if offset < found.end}


def test_what_does_not_fit_is_left_out_at_the_far_end() -> None:
    """The text never exceeds its limit, and says nothing that is not so."""
    chance = random.Random(1)
    end = POINT + 60_000
    unfinished = {POINT, *(offset for offset in range(POINT, end) if chance.random() < 0.5)}
    text = told(POINT, unfinished, end)
    assert 0 < len(text) <= METADATA_BYTES_MAX
    found = read(text, POINT)
    assert len(found) > 3_000
    assert not any(offset in found for offset in unfinished)


@given(st.text(max_size=60) | st.text("0123456789abcdefABCDEF+/=", max_size=60).map("f1:".__add__))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whoever wrote it."""
    with contextlib.suppress(ValueError):
        read(text, POINT)


def test_a_text_that_swells_is_refused() -> None:
    """A few bytes that deflate made of very many."""
    bomb = b"d" + zlib.compress(b"\x01" * (1 << 22))
    with pytest.raises(ValueError, match="its list must end within"):
        read("f1:" + base64.b64encode(bomb).decode(), POINT)
    with pytest.raises(ValueError, match="whole number"):
        read("f1:" + base64.b64encode(b"p\x80").decode(), POINT)
    with pytest.raises(ValueError, match="below 2"):
        read("f1:" + base64.b64encode(b"p" + b"\x80" * 12).decode(), POINT)


def _window(start: int, finished: Finished | None = None) -> Window:
    return Window("t.dispatch.default", 0, start, finished=finished)


def test_a_window_goes_on_where_the_one_before_it_was() -> None:
    """What was finished is not run again, though it comes again; also after a second crash."""
    window = _window(10)
    for offset in range(10, 20):
        assert window.deliver(offset, (f"j{offset}", 1, 0))
    for offset in (10, 12, 13, 17):
        window.done(offset)
    assert window.commit() == (11, told(11, {11, 14, 15, 16, 18, 19}, 20))
    assert window.commit() is None
    text = told(11, {11, 14, 15, 16, 18, 19}, 20)
    for delivered in (15, 20):
        again = _window(11, read(text, 11))
        runs = [offset for offset in range(11, delivered) if again.deliver(offset, (f"j{offset}", 1, 0))]
        assert runs == [offset for offset in (11, 14, 15, 16, 18, 19) if offset < delivered]
        again.done(14)
        point, text_again = again.commit() or (0, "")
        assert point == 11
        assert [offset for offset in range(11, 20) if offset in read(text_again, 11)] == [12, 13, 14, 17]
    again.done(11)
    assert again.commit() == (15, told(15, {15, 16, 18, 19}, 20))


def test_a_window_takes_no_more_when_its_text_is_nearly_full() -> None:
    """It goes on when more is finished."""
    window = _window(0)
    chance = random.Random(2)
    for offset in range(30_000):
        window.deliver(offset, (f"j{offset}", 1, 0))
        if offset and chance.random() < 0.5:
            window.done(offset)
    window.commit()
    assert window.crowded(0)
    for offset in range(30_000):
        window.done(offset)
    assert window.commit() == (30_000, "")
    assert window.roomy(0)
