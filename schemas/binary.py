"""Avro's primitive values in bytes: the hand-written part under the generated wire.py.

Must stay what the Avro specification says under "Binary encoding"
(https://avro.apache.org/docs/1.12.0/specification/#binary-encoding), byte for byte; tests compare it with
fastavro. It exists because fastavro's schemaless calls were measured at two to six times the cost: they
validate an optional field to find its branch, and read a Python file object byte by byte.

Reading never allocates more than the value's own size, since every item takes at least one byte.
"""

import struct

DOUBLE = struct.Struct("<d")
INT_BITS = 32
LONG_BITS = 64
MORE = 128  # the bit of a byte that says that another one follows
LAST_MAX = MORE - 1
SHORT_MAX = 1 << 12  # numbers below it have their two bytes in SHORT
CACHE_MAX = 1_024  # entries
CACHED_BYTES = 4


class Broken(Exception):
    """The bytes are not what the schema says."""


def varint(raw: int) -> bytes:
    """A number from 0 as groups of seven bits, the lowest first."""
    out = bytearray()
    while raw > LAST_MAX:
        out.append(raw & LAST_MAX | MORE)
        raw >>= 7
    out.append(raw)
    return bytes(out)


SHORT = [varint(2 * number) for number in range(SHORT_MAX)]
"""The bytes of the numbers from 0 to SHORT_MAX."""
_LOW = [bytes((raw & 127 | 128, raw >> 7 | 128)) for raw in range(1 << 14)]
# Times of the same seconds differ in their lowest 14 bits alone; these two remember the rest, either way.
_high_bytes: dict[int, bytes] = {}
_high_numbers: dict[bytes, int] = {}


def number_bytes(number: int) -> bytes:
    """A number of 64 bits with sign, zigzag encoded. OverflowError outside of them."""
    if 0 <= number < SHORT_MAX:
        return SHORT[number]
    raw = 2 * number if number >= 0 else ~(2 * number)
    high = raw >> 14
    if not high:
        return varint(raw)
    high_bytes = _high_bytes.get(high)
    if high_bytes is None:
        if raw >> LONG_BITS:
            raise OverflowError(f"a number must fit into 64 bits, got {number}")
        if len(_high_bytes) >= CACHE_MAX:
            _high_bytes.clear()
        high_bytes = _high_bytes[high] = varint(high)
    return _LOW[raw & 0x3FFF] + high_bytes


def int_bytes(number: int) -> bytes:
    """A number of 32 bits with sign. OverflowError outside of them."""
    if (number if number >= 0 else ~number) >> (INT_BITS - 1):
        raise OverflowError(f"a number must fit into 32 bits, got {number}")
    return number_bytes(number)


def read_more(data: bytes, at: int, first: int) -> tuple[int, int]:
    """The raw number whose first byte was `first` (MORE is set) and that goes on at `at`, and its end."""
    second = data[at]
    if second < MORE:
        return first - 128 | second << 7, at + 1
    low = first & 127 | (second & 127) << 7
    tail = data[at + 1 : at + 1 + CACHED_BYTES]
    high = _high_numbers.get(tail)
    if high is not None:
        return low | high, at + 1 + CACHED_BYTES
    return _read_rest(data, at + 1, low)


def _read_rest(data: bytes, at: int, raw: int) -> tuple[int, int]:
    """Goes on after two bytes; remembers tails of CACHED_BYTES."""
    start, low, shift = at, raw, 14
    while shift < LONG_BITS:
        byte = data[at]
        at += 1
        raw |= (byte & 127) << shift
        shift += 7
        if byte < MORE:
            if raw >> LONG_BITS:
                break
            if at - start == CACHED_BYTES:
                if len(_high_numbers) >= CACHE_MAX:
                    _high_numbers.clear()
                _high_numbers[data[start:at]] = raw - low
            return raw, at
    raise Broken


def read_int(data: bytes, at: int, first: int) -> tuple[int, int]:
    """read_more for a number of 32 bits."""
    raw, at = read_more(data, at, first)
    if raw >> INT_BITS:
        raise Broken
    return raw, at


def read_length(data: bytes, at: int, raw: int) -> tuple[int, int]:
    """Twice the length of a string, where its first byte `raw` is not all of it, or says a negative one."""
    if raw > LAST_MAX:
        raw, at = read_more(data, at, raw)
    if raw & 1:
        raise Broken
    return raw, at


def read_count(data: bytes, at: int) -> tuple[int, int]:
    """How many items the next block of an array has; 0 ends it."""
    raw = data[at]
    at += 1
    if raw > LAST_MAX:
        raw, at = read_more(data, at, raw)
    if not raw & 1:
        return raw >> 1, at
    size = data[at]  # a negative count is followed by the block's size, of use only to readers that skip it
    at += 1
    if size > LAST_MAX:
        _, at = read_more(data, at, size)
    return (raw >> 1) + 1, at
