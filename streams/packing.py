"""Values made small while nobody needs them: zstd with a dictionary learnt from the values themselves.

Owns the compressed form of rows in memory. Must never be what anything durable depends on: the form is this
process's own, and what a snapshot keeps of it goes with its dictionaries.

A row of some 300 bytes alone hardly gets smaller. What rows of one partition have in common is learnt from
the first ones, and again when there are many more, since work changes. Every form names its dictionary.
"""

from collections.abc import Sequence
from typing import Final

import zstandard

LEARN_ROWS: Final = 400
"""From how many values a dictionary is learnt; takes some 5 ms."""

LEARN_AGAIN: Final = 8
"""Another one is learnt when so many times as many values have been packed."""

LEARN_BYTES_MAX: Final = 4_096
"""Larger values have enough of their own, and are not learnt from."""

DICTIONARY_BYTES: Final = 8_192
DICTIONARIES_MAX: Final = 255
"""One byte names the dictionary; 0 is none."""

LEVEL: Final = 1


class Packing:
    """Packs and unpacks the values of one partition."""

    def __init__(self) -> None:
        """No dictionary yet."""
        self.dictionaries: list[bytes] = []
        """As learnt, in order: the first one has the number 1."""
        self._pack = zstandard.ZstdCompressor(LEVEL, write_checksum=False).compress
        self._number = b"\x00"
        self._unpack = [zstandard.ZstdDecompressor().decompress]
        self._packed = 0
        self._learn_from: list[bytes] | None = []
        self._learn_at = 0

    def pack(self, value: bytes) -> bytes:
        """The packed form of a value."""
        self._packed += 1
        if self._learn_from is not None:
            self._learn(self._learn_from, value)
        elif self._packed >= self._learn_at and len(self.dictionaries) < DICTIONARIES_MAX:
            self._learn_from = []
        return self._number + self._pack(value)

    def unpack(self, packed: bytes, start: int = 0) -> bytes:
        """The value; its form begins at `start`.

        Raises:
            IndexError, zstandard.ZstdError: it was not packed here.
        """
        return self._unpack[packed[start]](memoryview(packed)[start + 1 :])

    def adopt(self, dictionaries: Sequence[bytes]) -> None:
        """Goes on with the dictionaries of another packing, after those that it has."""
        for content in dictionaries:
            self._use(content)
        self._learn_from = None
        self._learn_at = LEARN_ROWS * LEARN_AGAIN

    def _learn(self, values: list[bytes], value: bytes) -> None:
        if len(value) > LEARN_BYTES_MAX:
            return
        values.append(value)
        if len(values) < LEARN_ROWS:
            return
        self._learn_from = None
        self._learn_at = self._packed * LEARN_AGAIN
        try:
            self._use(zstandard.train_dictionary(DICTIONARY_BYTES, [*values]).as_bytes())
        except zstandard.ZstdError:  # they have nothing in common, or are all but empty
            return

    def _use(self, content: bytes) -> None:
        dictionary = zstandard.ZstdCompressionDict(content)
        dictionary.precompute_compress(level=LEVEL)
        self._pack = zstandard.ZstdCompressor(
            LEVEL, dict_data=dictionary, write_checksum=False, write_dict_id=False
        ).compress
        self._unpack.append(zstandard.ZstdDecompressor(dict_data=dictionary).decompress)
        self.dictionaries.append(content)
        self._number = bytes((len(self.dictionaries),))
