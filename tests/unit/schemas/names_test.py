"""Names and ids: what they may be, how ours are made, and what they tell."""

import pytest
from ulid import ULID

from schemas.keys import home
from schemas.names import (
    BadName,
    check_function,
    check_id,
    check_key,
    check_queue,
    derived_id,
    likely_homes,
    new_id,
)

CHECKS = {"id": check_id, "key": check_key, "function": check_function}


@pytest.mark.parametrize("what", CHECKS)
@pytest.mark.parametrize(
    "name", ["a", "0", "mail.send", "orders-17", "a:b@c/d_e", "Z" * 200, "01JAV0000000000000000000AA"]
)
def test_names(what: str, name: str) -> None:
    """Ids, keys and functions share one pattern, in which a ULID is one name of many."""
    CHECKS[what](name)


@pytest.mark.parametrize("what", CHECKS)
@pytest.mark.parametrize("name", ["", ".a", "-a", "a b", "é", "a\n", "a" * 201, "a\0", "a#b", None, 1, b"a"])
def test_bad_names(what: str, name: str) -> None:
    """What is outside the pattern is refused with the pattern and what was found."""
    with pytest.raises(BadName, match=rf"^{what} must match \[A-Za-z0-9\].*, got "):
        CHECKS[what](name)


@pytest.mark.parametrize("name", ["a", "default", "mail-2", "0", "a" * 63])
def test_queues(name: str) -> None:
    """A queue's name is lower case, digits and hyphens: a part of a topic's name."""
    check_queue(name)


@pytest.mark.parametrize("name", ["", "-a", "A", "a.b", "a_b", "a" * 64, "a\n", "é", None])
def test_bad_queues(name: str) -> None:
    """What is outside the pattern is refused."""
    with pytest.raises(BadName, match=r"^queue must match"):
        check_queue(name)


def test_sentences_stay_short() -> None:
    """A name of a megabyte is not told whole."""
    with pytest.raises(BadName) as caught:
        check_id("x" * 1_000_000)
    assert len(str(caught.value)) < 400


def test_new_ids() -> None:
    """A new id is a ULID of now, unlike any other."""
    ids = {new_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    for id in ids:
        check_id(id)
        assert str(ULID.from_str(id)) == id


@pytest.mark.parametrize("partition", [0, 1, 31, 32, 511, 1023])
def test_hints(partition: int) -> None:
    """The last two characters of an id are the partition it was made for."""
    id = new_id(partition)
    assert str(ULID.from_str(id)) == id
    assert likely_homes(id, 1_024)[0] == partition


def test_hinted_ids_of_one_instant_differ() -> None:
    """A hint replaces the characters in which ULIDs of one millisecond count up, and yet none repeats."""
    assert len({new_id(3) for _ in range(10_000)}) == 10_000


def test_no_hint_for_what_is_no_partition() -> None:
    """A hint has room for 1,024 partitions."""
    for partition in (-1, 1_024):
        with pytest.raises(ValueError, match="partition must be from 0 to 1023"):
            new_id(partition)


def test_likely_homes() -> None:
    """An id alone leads to its hint, then to its own home; a foreign id only to its own home."""
    assert likely_homes("order-1", 8) == (home("order-1", 8),)
    id = derived_id("jobs.requests", 0, 0, 0, hint=5)
    own = home(id, 8)
    assert likely_homes(id, 8) == ((5, own) if own != 5 else (5,))
    assert likely_homes(id, 4) == (home(id, 4),)


def test_derived_ids() -> None:
    """An id derived from a position is a ULID of its time, the same each time, and that position's alone."""
    id = derived_id("jobs.requests", 3, 17, 1_735_689_600_123)
    assert id == "01JGFJJZ3VMQRPET8N9GZX9BZ3"
    assert ULID.from_str(id).milliseconds == 1_735_689_600_123
    others = {
        derived_id("jobs.requests", 3, 18, 1_735_689_600_123),
        derived_id("jobs.requests", 4, 17, 1_735_689_600_123),
        derived_id("jobs.request", 3, 17, 1_735_689_600_123),
        derived_id("jobs.requests", 31, 7, 1_735_689_600_123),
        derived_id("jobs.requests", 3, 17, 1_735_689_600_124),
    }
    assert len(others | {id}) == 6


@pytest.mark.parametrize("timestamp_ms", [-1, 0, 2**48 - 1, 2**48, 2**63 - 1])
def test_derived_ids_of_any_time(timestamp_ms: int) -> None:
    """A record without a time, or with one of the far future, has an id all the same."""
    check_id(derived_id("t", 0, 0, timestamp_ms))
