"""From a key to its home partition. Pure; must never change: it would move every job of a prefix.

murmur2 is Kafka's own (org.apache.kafka.common.utils.Utils.murmur2), so that a Java producer with its default
partitioner already writes to the home. Nothing relies on that: what lands elsewhere is written to its home.
"""

import struct
from functools import lru_cache

SEED = 0x9747B28C
FACTOR = 0x5BD1E995
WORD = 0xFFFFFFFF
WORD_BYTES = 4
POSITIVE = 0x7FFFFFFF
HOMES_REMEMBERED = 16_384  # keys


def murmur2(data: bytes) -> int:
    """The 32-bit hash as Java gives it, with its sign."""
    size = len(data)
    words = size // WORD_BYTES
    hashed = SEED ^ size
    for word in struct.unpack_from(f"<{words}I", data):
        mixed = word * FACTOR & WORD
        mixed = (mixed ^ mixed >> 24) * FACTOR & WORD
        hashed = (hashed * FACTOR & WORD) ^ mixed
    rest = data[words * WORD_BYTES :]
    if rest:
        hashed = (hashed ^ int.from_bytes(rest, "little")) * FACTOR & WORD
    hashed = (hashed ^ hashed >> 13) * FACTOR & WORD
    hashed ^= hashed >> 15
    return hashed - (hashed >> 31 << 32)


@lru_cache(maxsize=HOMES_REMEMBERED)
def home(key: str, partitions: int) -> int:
    """The home partition of a key: murmur2 of its UTF-8 without the sign bit, modulo the partitions."""
    if partitions < 1:
        raise ValueError(f"partitions must be at least 1, got {partitions}")
    return (murmur2(key.encode()) & POSITIVE) % partitions
