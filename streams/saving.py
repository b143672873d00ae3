"""All rows of a partition as chunks of bytes for a local snapshot, and back without decoding most of them.

Owns what the chunks mean. Must never be all that a row depends on: the log has every row, and what is saved
here may be thrown away.

Cold rows go as they are kept, head and packed value, with the dictionaries and kinds that they name; so a
million are loaded in seconds. What is ready, leased, in a lane, unique, without a minion, a schedule or a
setting goes as it is in the log, and is looked at after a restore like what comes from there.
"""

import json
from collections.abc import Iterator
from itertools import islice
from struct import Struct
from typing import Final

from schemas.codec import encode
from streams.rows import ACTIVE, CONFIG_ROW, HEAD, JOB_ROW, KIND_CHARS, SCHEDULE_ROW, Rows

LAYOUT: Final = "jobs-6"
"""The name of this form. Another one for whatever an older or newer release would read wrongly."""

CHUNK_ROWS: Final = 200
"""Rows saved before other work of the event loop gets its turn: 2 ms if all are hot, else a tenth of it."""

FRAME: Final = Struct(">HI")
"""Before each row: how many bytes its key and its value have."""

DICTIONARY, KINDS, COLD, ARGS, PLAIN = b"d", b"k", b"c", b"a", b"p"
"""What a chunk holds, by its first byte."""


def save(rows: Rows) -> Iterator[bytes]:
    """Every row that there is now. What changes while this goes on may be saved as it was or as it is then:
    the changelog has such rows behind the position that was asked for before.
    """
    told = _Told(rows)
    jobs = rows.jobs
    names = iter([*jobs.cold, *(JOB_ROW + id for id in jobs.hot)])
    while some := list(islice(names, CHUNK_ROWS)):
        cold, plain = [], []
        for name in some:
            kept, row = jobs.cold.get(name), jobs.hot.get(name[KIND_CHARS:])
            if row is not None:
                plain.append(_frame(name, encode(row)))
            elif kept is not None and (jobs.kind_of(kept)[1] in ACTIVE or name[KIND_CHARS:] in jobs.linked):
                plain.append(_frame(name, rows.packing.unpack(kept, HEAD.size)))
            elif kept is not None:
                cold.append(_frame(name, kept))
        yield from told.news()
        yield from _chunk(COLD, cold)
        yield from _chunk(PLAIN, plain)
    ids = iter(list(rows.packed_args))
    while some := list(islice(ids, CHUNK_ROWS)):
        packed = [_frame(id, found) for id in some if (found := rows.packed_args.get(id)) is not None]
        yield from told.news()
        yield from _chunk(ARGS, packed)
    yield from _chunk(PLAIN, [_frame(SCHEDULE_ROW + id, encode(row)) for id, row in rows.schedules.items()])
    yield from _chunk(PLAIN, [_frame(CONFIG_ROW + key, encode(row)) for key, row in rows.configs.items()])


class _Told:
    """Which dictionaries and kinds the reader knows already."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._dictionaries = 0
        self._kinds = 0

    def news(self) -> list[bytes]:
        """Those that what was just collected may name. At once: others may come between two chunks."""
        dictionaries, kinds = self._rows.packing.dictionaries, self._rows.jobs.kinds
        news = [DICTIONARY + content for content in dictionaries[self._dictionaries :]]
        if kinds[self._kinds :]:
            news.append(KINDS + json.dumps(kinds[self._kinds :]).encode())
        self._dictionaries, self._kinds = len(dictionaries), len(kinds)
        return news


def load(rows: Rows, chunk: bytes) -> None:
    """Takes one chunk, in order, before anything of the changelog."""
    kind, content = chunk[:1], chunk[1:]
    if kind == DICTIONARY:
        rows.packing.adopt([content])
    elif kind == KINDS:
        for queue, phase in json.loads(content):
            rows.jobs.kind_number((queue, phase))
    elif kind == COLD:
        _load_cold(rows, content)
    elif kind == ARGS:
        rows.packed_args.update((key.decode(), value) for key, value in _frames(content))
    else:
        assert kind == PLAIN, f"a chunk must be of a known kind, got {kind!r}"
        for key, value in _frames(content):
            rows.restore(key, value)


def _load_cold(rows: Rows, content: bytes) -> None:
    jobs, put = rows.jobs, rows.dues.put
    for key, kept in _frames(content):
        name = key.decode()
        due_ms = jobs.load_cold(name, kept)
        if due_ms is not None:
            put(name, due_ms)


def _frame(key: str, value: bytes) -> bytes:
    name = key.encode()
    return FRAME.pack(len(name), len(value)) + name + value


def _chunk(kind: bytes, frames: list[bytes]) -> Iterator[bytes]:
    if frames:
        yield kind + b"".join(frames)


def _frames(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, unpack, size = 0, FRAME.unpack_from, FRAME.size
    while at < len(content):
        key_bytes, value_bytes = unpack(content, at)
        at += size
        yield content[at : at + key_bytes], content[at + key_bytes : (at := at + key_bytes + value_bytes)]
