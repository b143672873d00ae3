"""Keys: the hash is Kafka's, and a home is where a Java producer would write."""

import pytest

from schemas.keys import home, murmur2

# From Kafka's own test of its hash (clients, UtilsTest.testMurmur2).
KNOWN = [
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]


@pytest.mark.parametrize(("data", "hashed"), KNOWN)
def test_murmur2_known_answers(data: bytes, hashed: int) -> None:
    """The hash is that of Kafka's Java client, sign included."""
    assert murmur2(data) == hashed


@pytest.mark.parametrize(("data", "hashed"), KNOWN)
def test_home_is_where_java_writes(data: bytes, hashed: int) -> None:
    """A home is the hash without its sign bit, modulo the partitions; 2147483647 is Java's mask."""
    for partitions in (1, 3, 8, 32, 512):
        assert home(data.decode(), partitions) == (hashed & 2147483647) % partitions


def test_homes_are_even() -> None:
    """Keys spread over the partitions: none has half as many again as its share."""
    counts = [0] * 8
    for number in range(8_000):
        counts[home(f"orders-{number}", 8)] += 1
    assert max(counts) < 1_500


def test_keys_of_any_script() -> None:
    """A key is hashed as UTF-8."""
    assert home("é", 1_000_000) == (murmur2(b"\xc3\xa9") & 2147483647) % 1_000_000


def test_no_partitions() -> None:
    """There is no home without partitions."""
    with pytest.raises(ValueError, match="partitions must be at least 1, got 0"):
        home("k", 0)
