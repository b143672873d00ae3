"""State per partition, and what Faust sees of it."""

from typing import Any

import faust
import pytest
from faust.types import TP

from streams import transport
from streams.transport import Rows


class Noted(Rows):
    """Tells when it goes."""

    gone: list[int] = []  # noqa: RUF012

    def revoked(self) -> None:
        """Notes it."""
        self.gone.append(self.number)


@pytest.fixture
def table() -> Any:
    """A table of an app that never starts."""
    Noted.gone.clear()
    app = faust.App("unit", **transport.faust_settings("127.0.0.1:1"))
    raw: Any = {"key_type": bytes, "value_type": bytes}
    return app.Table("state", changelog_topic=app.topic("state", **raw), partition_state=Noted)


async def assign(table: Any, *numbers: int) -> None:
    """What Faust does in a rebalance."""
    assigned = {TP(topic, number) for topic in ("state", "source") for number in numbers}
    await table.on_rebalance(assigned, set(), set(), 1)


async def test_each_generation_starts_every_partition_anew(table: Any) -> None:
    """Also one that stays: another worker may have had it in between."""
    await assign(table, 0, 1)
    kept = table.partition(1)
    kept.restore([(b"k", b"v"), (b"k", b"w"), (b"x", b"1"), (b"x", None)])
    assert kept.rows == {b"k": b"w"}
    await assign(table, 1, 2)
    assert Noted.gone == [0, 1]
    assert set(table.owned) == {1, 2}
    assert table.partition(1).rows == {}


async def test_nothing_is_kept_of_a_partition_that_is_not_owned(table: Any) -> None:
    """Asking for it is a KeyError."""
    await assign(table, 0)
    table.revoke()
    assert Noted.gone == [0]
    with pytest.raises(KeyError):
        table.partition(0)


async def test_faust_sees_one_mapping(table: Any) -> None:
    """Its web views read rows by key, wherever they are."""
    await assign(table, 0, 1)
    table.partition(0).restore([(b"a", b"1")])
    table.partition(1).restore([(b"b", b"2")])
    assert dict(table.items()) == {b"a": b"1", b"b": b"2"}
    assert (table[b"b"], len(table), b"c" in table) == (b"2", 2, False)
    with pytest.raises(KeyError):
        table[b"c"]


async def test_a_row_is_looked_for_where_its_partition_is(table: Any) -> None:
    """By Kafka's default partitioner, or as the table was told; Faust's router asks the producer."""
    app = table.app
    told: Any = app.Table(
        "told", changelog_topic=app.topic("told", key_type=bytes), partition_of=lambda key: key[0]
    )
    table.partitions = 8
    try:
        assert app.producer.key_partition("state", b"21") == TP(
            "state", 4
        )  # murmur2 of Kafka's own tests: -973932308
        assert app.producer.key_partition("told", b"\x05") == TP("told", 5)
        assert told.clone().partition_of(b"\x06") == 6
    finally:
        app.consumer._thread.thread_loop.close()


async def test_rows_cannot_be_written_by_assignment(table: Any) -> None:
    """Nobody would wait for such a changelog record."""
    await assign(table, 0)
    with pytest.raises(TypeError, match=r"must be written with batch\.write"):
        table[b"k"] = b"v"
    with pytest.raises(TypeError, match="tombstone"):
        del table[b"k"]
