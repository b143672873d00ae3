"""Which offsets beyond the commit point are finished, as the text that is committed with it.

Owns the form of that text, and its limit. The form: `f1:` and base64 of a deflated or plain (`d` or `p`)
list of numbers, seven bits to a byte with the lowest first: from the commit point on, by turns how many
offsets are unfinished and how many are finished. What does not fit is left out at the far end, and would be
run again.
"""

import base64
import binascii
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

METADATA_BYTES_MAX = 4_096
"""What Kafka keeps beside an offset (`offset.metadata.max.bytes`, default)."""

METADATA_BYTES_FULL = METADATA_BYTES_MAX * 3 // 4
"""At so many no new work is taken from the partition, until it is less."""

NUMBERS_BYTES_MAX = 1 << 20
"""Of the list when it is read back: what an honest one can have, many times over."""

HEAD = "f1:"

BITS_PER_BYTE = 7
BITS, MORE = 0x7F, 0x80
"""Of a byte of a number: its bits, and the one that says that more bytes follow."""

OFFSET_BITS = 63
"""Of an offset."""


def told(point: int, unfinished: Iterable[int], end: int) -> str:
    """The text for a partition whose commit point is `point`, of which these offsets (each at least `point`)
    and none else below `end` are unfinished; empty if nothing beyond a gap is finished.
    """
    runs = _runs(point, sorted(unfinished), end)
    while runs:
        text = _text(runs)
        if len(text) <= METADATA_BYTES_MAX:
            return text
        runs = runs[: len(runs) // 4 * 2]
    return ""


def _runs(point: int, unfinished: Sequence[int], end: int) -> list[int]:
    """By turns how many are unfinished and how many are finished; it ends with finished ones."""
    runs: list[int] = []
    at = point
    for index, offset in enumerate(unfinished):
        if index == 0 or offset > at:
            if index:
                runs.append(offset - at)
            runs.append(1)
        else:
            runs[-1] += 1
        at = offset + 1
    if runs and end > at:
        runs.append(end - at)
    return runs[: len(runs) // 2 * 2]


def _text(runs: Iterable[int]) -> str:
    plain = b"".join(map(_number, runs))
    deflated = zlib.compress(plain, 6)
    packed = b"d" + deflated if len(deflated) < len(plain) else b"p" + plain
    return HEAD + base64.b64encode(packed).decode()


def _number(value: int) -> bytes:
    found = bytearray()
    while value > BITS:
        found.append(value & BITS | MORE)
        value >>= BITS_PER_BYTE
    found.append(value)
    return bytes(found)


class Finished:
    """Offsets that were finished before."""

    def __init__(self, ranges: Sequence[tuple[int, int]] = ()) -> None:
        """`ranges` are first offsets and those after the last, growing."""
        self._starts = [first for first, _ in ranges]
        self._ends = [end for _, end in ranges]

    def __contains__(self, offset: int) -> bool:
        index = bisect_right(self._starts, offset) - 1
        return index >= 0 and offset < self._ends[index]

    def __len__(self) -> int:
        """How many there are."""
        return sum(self._ends) - sum(self._starts)

    def missing(self, start: int) -> Iterator[int]:
        """The offsets from `start` on, below the end, that are not finished."""
        at = start
        for first, end in zip(self._starts, self._ends, strict=True):
            yield from range(at, first)
            at = max(at, end)

    @property
    def end(self) -> int:
        """The offset after the last of them; 0 if there is none."""
        return self._ends[-1] if self._ends else 0


def read(text: str, point: int) -> Finished:
    """What the text that was committed with `point` says.

    Raises:
        ValueError: it is not in the form.
    """
    if not text.startswith(HEAD):
        raise ValueError(f"it must begin with {HEAD}, got {text[:20]!r}")
    try:
        packed = base64.b64decode(text[len(HEAD) :], validate=True)
        plain = packed[1:]
        if packed[:1] == b"d":
            inflate = zlib.decompressobj()
            plain = inflate.decompress(plain, NUMBERS_BYTES_MAX)
            if not inflate.eof:
                raise ValueError(f"its list must end within {NUMBERS_BYTES_MAX} bytes")
        elif packed[:1] != b"p":
            raise ValueError(f"its list must be plain or deflated, got {packed[:1]!r}")
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"its list can't be read: {error}") from None
    runs = _numbers(plain)
    if len(runs) % 2 or not all(runs):
        raise ValueError(f"its list must be pairs of numbers above 0, got {len(runs)} numbers")
    ranges: list[tuple[int, int]] = []
    at = point
    for unfinished, finished in zip(runs[::2], runs[1::2], strict=True):
        ranges.append((at + unfinished, at + unfinished + finished))
        at += unfinished + finished
    return Finished(ranges)


def _numbers(plain: bytes) -> list[int]:
    found: list[int] = []
    value = shift = 0
    for byte in plain:
        value |= (byte & BITS) << shift
        shift += BITS_PER_BYTE
        if byte < MORE:
            found.append(value)
            value = shift = 0
        elif shift >= OFFSET_BITS:
            raise ValueError("its list must have numbers below 2**63")
    if shift:
        raise ValueError("its list must end with a whole number")
    return found
