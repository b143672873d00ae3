"""Snapshots: what is written comes back, and nothing of a file that is doubtful."""

import logging
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.transport.snapshot import AGE_S_MAX, UNFINISHED, Bounds, Draft, Identity, Shelf

OURS: Final = Identity("rows-1", "jobs.state", "Tn1cZ9b0RhWq", 3)
POSITION: Final = 500
LOG: Final = Bounds(0, 1_000)
CHUNKS: Final = [b"one", b"", b"\xff" * 4, b"x" * 5_000]


class Clock:
    """A clock to set."""

    def __init__(self) -> None:
        self.now_s = 1_790_000_000.0

    def __call__(self) -> float:
        """The time, epoch seconds."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """Stands still."""
    return Clock()


@pytest.fixture
def shelf(tmp_path: Path, clock: Clock) -> Shelf:
    """With one snapshot, at POSITION."""
    shelf = Shelf(tmp_path / "new" / "snapshots", clock)
    write(shelf, CHUNKS)
    return shelf


def write(shelf: Shelf, chunks: list[bytes], identity: Identity = OURS) -> None:
    """One more, whole."""
    draft = shelf.begin(identity, POSITION)
    for chunk in chunks:
        draft.add(chunk)
    draft.finish()


def taken(shelf: Shelf, identity: Identity = OURS, bounds: Bounds = LOG) -> list[bytes] | None:
    """The chunks of a snapshot that can be trusted."""
    snapshot = shelf.take(identity, bounds)
    if snapshot is None:
        return None
    assert snapshot.position == POSITION
    return list(snapshot.chunks())


def test_what_is_written_comes_back(shelf: Shelf) -> None:
    """Chunk by chunk, as often as it is asked for."""
    assert taken(shelf) == CHUNKS
    assert taken(shelf) == CHUNKS


def test_the_next_one_takes_its_place_when_it_is_whole(shelf: Shelf) -> None:
    """Until then, and if it is dropped, the one before is there."""
    draft = shelf.begin(OURS, POSITION)
    draft.add(b"new")
    assert taken(shelf) == CHUNKS
    draft.drop()
    assert taken(shelf) == CHUNKS
    write(shelf, [b"new"])
    assert taken(shelf) == [b"new"]


@pytest.mark.parametrize(
    "asked",
    [
        OURS._replace(layout="rows-2"),
        OURS._replace(topic="test.state"),
        OURS._replace(topic_id="another incarnation"),
    ],
)
def test_one_of_something_else_is_ignored(
    shelf: Shelf, asked: Identity, caplog: pytest.LogCaptureFixture
) -> None:
    """Another prefix, topic or layout, and the log says so."""
    with caplog.at_level(logging.WARNING):
        assert taken(shelf, asked) is None
    assert "is not used: it must be of" in caplog.text


def test_one_under_the_name_of_another_partition_is_ignored(shelf: Shelf) -> None:
    """Its content says what it is of, not its name."""
    shelf.path(OURS.partition).rename(shelf.path(4))
    assert taken(shelf, OURS._replace(partition=4)) is None
    assert taken(shelf) is None


@pytest.mark.parametrize(
    "header", [{}, [], {**OURS._asdict(), "position": "500", "taken_at_s": 1_790_000_000.0}]
)
def test_one_with_another_header_is_ignored(shelf: Shelf, header: Any) -> None:
    """Whole, but of a release that writes it otherwise."""
    Draft(shelf.path(OURS.partition), header).finish()
    assert taken(shelf) is None


@pytest.mark.parametrize("bounds", [Bounds(0, POSITION - 1), Bounds(POSITION + 1, 1_000), Bounds(0, 0)])
def test_one_outside_of_the_log_is_ignored(shelf: Shelf, bounds: Bounds) -> None:
    """A log that ends before its position, or begins behind it, is not the one it was taken of."""
    assert taken(shelf, bounds=bounds) is None
    assert taken(shelf, bounds=Bounds(POSITION, POSITION)) == CHUNKS


@pytest.mark.parametrize("age_s", [-1.0, AGE_S_MAX + 1])
def test_one_of_another_time_is_ignored(shelf: Shelf, clock: Clock, age_s: float) -> None:
    """What was dropped meanwhile may have left no trace in the tail; a time to come is no time."""
    clock.now_s += age_s
    assert taken(shelf) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_other_byte_makes_it_doubtful(shelf: Shelf, data: st.DataObject) -> None:
    """Whichever byte is another, wherever the file ends, whatever follows its end."""
    path = shelf.path(OURS.partition)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    for content in (bytes(changed), whole[:at], whole + whole[at:], b""):
        path.write_bytes(content)
        assert taken(shelf) is None
    path.write_bytes(whole)
    assert taken(shelf) == CHUNKS


def test_only_what_is_owned_is_kept(shelf: Shelf) -> None:
    """Those of other partitions go, and what a dead process left unfinished."""
    write(shelf, [b"other"], OURS._replace(partition=4))
    shelf.path(OURS.partition).with_suffix(UNFINISHED).write_bytes(b"left")
    shelf.keep_only({4})
    assert taken(shelf) is None
    assert taken(shelf, OURS._replace(partition=4)) == [b"other"]
    assert [path.name for path in shelf.path(4).parent.iterdir()] == ["4.snapshot"]


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    """Where nothing can be read or written there is no snapshot; writing says so, reading does not mind."""
    (tmp_path / "file").write_bytes(b"")
    shelf = Shelf(tmp_path / "file")
    assert taken(shelf) is None
    shelf.keep_only(set())
    with pytest.raises(OSError, match="exist"):
        shelf.begin(OURS, POSITION)
