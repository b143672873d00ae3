"""The Keeper without a broker: when a snapshot is worth it, and when what was saved counts."""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest
from faust.types import TP

from streams.transport.keeper import TAIL_RECORDS, Keeper
from streams.transport.snapshot import Bounds, Shelf
from streams.transport.table import Rows
from tests.waiting import eventually_async

PLACE: Final = TP("state", 3)
END: Final = 3 * TAIL_RECORDS


class Changelogs:
    """What the broker would say."""

    end = END

    def bounds(self, changelogs: Iterable[TP]) -> dict[TP, Bounds]:
        """All alike."""
        return {tp: Bounds(0, self.end) for tp in changelogs}

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Of this incarnation."""
        return {topic: f"{topic}-1" for topic in topics}


class Desk:
    """A Keeper, its partition, and whether what was decided is confirmed."""

    def __init__(self, directory: Path) -> None:
        self.shelf = Shelf(directory)
        self.log = Changelogs()
        self.confirmed = asyncio.Event()
        self.confirmed.set()
        self.keeper = Keeper({"state": self.shelf}, self.log, self._wait)
        self.rows = Rows(3)
        self.rows.rows = {b"k": b"v", b"l": b""}

    async def _wait(self) -> None:
        await self.confirmed.wait()

    async def own(self) -> dict[TP, int]:
        """A restore; gives the positions from which the changelog is to be read."""
        found = await self.keeper.load({PLACE: self.rows}, self.log.bounds([PLACE]))
        self.keeper.restored({PLACE: self.rows})
        return found

    async def is_saving(self) -> bool:
        """True while there is something that is not finished."""
        return self.files == ["3.part"]

    @property
    def files(self) -> list[str]:
        """What lies on the shelf."""
        return sorted(path.name for path in self.shelf.path(3).parent.glob("*"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """With an empty shelf."""
    return Desk(tmp_path / "state")


async def test_what_was_saved_is_loaded(desk: Desk) -> None:
    """At the next restore, and the changelog is read from the position that was asked for before."""
    assert await desk.own() == {}
    await desk.keeper.look()
    rows, desk.rows = desk.rows.rows, Rows(3)
    assert await desk.own() == {PLACE: END}
    assert desk.rows.rows == rows


async def test_only_a_tail_that_has_grown_is_worth_it(desk: Desk) -> None:
    """Neither a short one, nor one that is short beside the rows."""
    desk.log.end = TAIL_RECORDS - 1
    await desk.own()
    await desk.keeper.look()
    assert desk.files == []
    desk.log.end = TAIL_RECORDS
    desk.rows.rows = {number.to_bytes(4, "big"): b"" for number in range(3 * TAIL_RECORDS)}
    await desk.keeper.look()
    assert desk.files == []
    desk.log.end = 2 * TAIL_RECORDS
    await desk.keeper.look()
    assert desk.files == ["3.snapshot"]
    taken = desk.shelf.path(3).stat().st_mtime_ns
    await desk.keeper.look()
    assert desk.shelf.path(3).stat().st_mtime_ns == taken


async def test_what_is_not_confirmed_does_not_count(desk: Desk) -> None:
    """The file has no name until all that was decided meanwhile is durable, and gets none if the partition is
    lost before.
    """
    await desk.own()
    desk.confirmed.clear()
    looking = asyncio.create_task(desk.keeper.look())
    await eventually_async(desk.is_saving)
    desk.keeper.forget()
    desk.confirmed.set()
    await looking
    assert desk.files == []


async def test_rows_that_cannot_be_saved_end_no_worker(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A snapshot is needed for nothing: that there is none is told, and nothing is left of it."""

    def save() -> Iterator[bytes]:
        yield b"6b 76"
        raise KeyError("k")

    await desk.own()
    monkeypatch.setattr(desk.rows, "save", save)
    await desk.keeper.look()
    assert desk.files == []
    assert "by a fault of ours" in caplog.text


async def test_a_partition_that_is_lost_meanwhile(desk: Desk) -> None:
    """Nothing is left of what was saved of it."""
    await desk.own()

    def save() -> Iterator[bytes]:
        yield b"6b 76"
        desk.keeper.forget()
        yield b"6c 76"

    desk.rows.save = save  # type: ignore[method-assign]
    await desk.keeper.look()
    assert desk.files == []


async def test_where_nothing_can_be_written_there_is_no_snapshot(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """And nothing else is the worse for it."""
    desk.shelf.path(3).parent.write_bytes(b"")
    assert await desk.own() == {}
    await desk.keeper.look()
    assert "no snapshot of state/3 was taken" in caplog.text


async def test_tables_without_a_directory(desk: Desk) -> None:
    """Have none, and need no word of the broker."""
    keeper = Keeper({}, desk.log, desk._wait)
    assert await keeper.load({PLACE: desk.rows}, {}) == {}
    keeper.restored({PLACE: desk.rows})
    await keeper.look()
    assert desk.files == []
