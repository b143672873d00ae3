"""Records to bytes and back. All that is written is in the Confluent wire format: 0x00, schema id, Avro.

Three forms are read, told apart by their first bytes: Confluent wire format; Avro single-object encoding
(0xC3 0x01 and the schema's CRC-64-AVRO fingerprint); JSON (`{`) for requests, commands and schedules. Only
schemas we ship are read, none of them recursive; sizes are checked first; only Undecodable is ever raised.
"""

import struct
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, overload

from schemas.binary import Broken
from schemas.defaults import VALUE_BYTES_MAX
from schemas.requests import from_json
from schemas.undecodable import Undecodable, shown
from schemas.wire import FINGERPRINTS, IDS, OLDER, READERS, RELEASED, WRITERS
from schemas.words import RejectCode

__all__ = ["Undecodable", "adopt", "decode", "encode"]

WIRE_MAGIC = b"\x00"
WIRE_HEAD_BYTES = 5
OBJECT_MAGIC = b"\xc3\x01"
OBJECT_HEAD_BYTES = 10

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
Known = tuple[type, Callable[[bytes, int], tuple[Any, int]], int]


def _head(number: int) -> bytes:
    """How a value of this schema id begins."""
    return WIRE_MAGIC + struct.pack(">I", number)


_WRITERS = {kind: (_head(IDS[kind]), write) for kind, write in WRITERS.items()}
_RELEASED = {kind: (_head(number), fits, write) for kind, (number, fits, write) in RELEASED.items()}
_BY_WIRE_HEAD: dict[bytes, Known] = {
    **{_head(number): (kind, read, number) for number, (kind, read, _) in OLDER.items()},
    **{_head(IDS[kind]): (kind, read, IDS[kind]) for kind, read in READERS.items()},
}
_BY_OBJECT_HEAD: dict[bytes, Known] = {
    **{OBJECT_MAGIC + mark: (kind, read, number) for number, (kind, read, mark) in OLDER.items()},
    **{OBJECT_MAGIC + FINGERPRINTS[kind]: (kind, read, IDS[kind]) for kind, read in READERS.items()},
}


def adopt(ids: Mapping[int, int], taken: Collection[int] = ()) -> None:
    """From now on values are written with other ids: those of a registry, by shipped id. Both kinds are read.

    `taken` are shipped ids that mean another schema there, and are read no more. To be called before the
    first value is read; on ValueError, of two meanings of an id, nothing was changed.
    """
    known = {int.from_bytes(head[1:], "big"): each for head, each in _BY_WIRE_HEAD.items()}
    for number, adopted in ids.items():
        if known.get(adopted, known[number]) != known[number]:
            raise ValueError(
                f"the registry's ids must not be shipped ones of other schemas, got {adopted} for"
                f" {known[number][0].__name__}, which is {known[adopted][0].__name__}'s"
            )
    for kind, (_, write) in list(_WRITERS.items()):
        _WRITERS[kind] = (_head(ids[IDS[kind]]), write)
    for kind, (number, fits, write) in RELEASED.items():
        _RELEASED[kind] = (_head(ids[number]), fits, write)
    for number in taken:
        _BY_WIRE_HEAD.pop(_head(number), None)
    _BY_WIRE_HEAD.update({_head(adopted): known[number] for number, adopted in ids.items()})


def encode(event: object) -> bytes:
    """The bytes of a record that has a topic (one with an avsc file). KeyError for anything else.

    In the form that the last release can read, as long as the record has nothing that this form has no place
    for: so a prefix can be worked on by processes of both, and by the last release again.
    A field of the wrong type is a TypeError or AttributeError, an over-long record an AssertionError: our own
    faults, since limits are held where the parts come in.
    """
    head, write = _WRITERS[type(event)]
    if _RELEASED and (released := _RELEASED.get(type(event))) is not None and released[1](event):
        head, _, write = released
    out = bytearray(head)
    write(out, event)
    assert len(out) <= VALUE_BYTES_MAX, f"a {type(event).__name__} must be small enough, got {len(out)} bytes"
    return bytes(out)


@overload
def decode(value: bytes, expect: tuple[type[A]]) -> A: ...
@overload
def decode(value: bytes, expect: tuple[type[A], type[B]]) -> A | B: ...
@overload
def decode(value: bytes, expect: tuple[type[A], type[B], type[C]]) -> A | B | C: ...
@overload
def decode(value: bytes, expect: tuple[type, ...]) -> Any: ...
def decode(value: bytes, expect: tuple[type, ...]) -> Any:
    """The record in a value, one of the types expected. Undecodable, with code and sentence, for all else."""
    if len(value) > VALUE_BYTES_MAX:
        sentence = f"a value must have at most {VALUE_BYTES_MAX} bytes, got {len(value)}"
        raise Undecodable(RejectCode.OVERSIZE, sentence)
    known = _BY_WIRE_HEAD.get(value[:WIRE_HEAD_BYTES])
    if known is not None:
        return _read(value, WIRE_HEAD_BYTES, known, expect)
    if value[:1] == b"{":
        return from_json(value, expect)
    known = _BY_OBJECT_HEAD.get(value[:OBJECT_HEAD_BYTES])
    if known is not None:
        return _read(value, OBJECT_HEAD_BYTES, known, expect)
    raise _unknown(value)


def _read(value: bytes, start: int, known: Known, expect: tuple[type, ...]) -> Any:
    kind, read, number = known
    if kind not in expect:
        names = " or ".join(each.__name__ for each in expect)
        raise Undecodable(RejectCode.UNEXPECTED_TYPE, f"the value must be a {names}, got a {kind.__name__}")
    try:
        event, end = read(value, start)
        if end == len(value):
            return event
        fault = "it goes on behind its end" if end < len(value) else "it breaks off"
    except (Broken, struct.error):
        fault = "a byte is none that can be there"
    except IndexError:
        fault = "it breaks off"
    except UnicodeDecodeError as error:
        fault = f"a string is not UTF-8 ({error.reason})"
    sentence = f"the value must be a {kind.__name__} of schema {number}, got {len(value)} bytes: {fault}"
    raise Undecodable(RejectCode.UNDECODABLE, sentence)


def _unknown(value: bytes) -> Undecodable:
    """Why none of the forms fits."""
    if value[:1] == WIRE_MAGIC and len(value) >= WIRE_HEAD_BYTES:
        number = int.from_bytes(value[1:WIRE_HEAD_BYTES], "big")
        known = [*IDS.values(), *OLDER]
        sentence = f"the schema id must be one of {min(known)} to {max(known)}, got {number}"
        return Undecodable(RejectCode.UNKNOWN_SCHEMA, sentence)
    if value[:2] == OBJECT_MAGIC and len(value) >= OBJECT_HEAD_BYTES:
        found = value[2:OBJECT_HEAD_BYTES].hex()
        sentence = f"the schema fingerprint must be one of ours, got {found} (little endian)"
        return Undecodable(RejectCode.UNKNOWN_SCHEMA, sentence)
    forms = "Avro in the Confluent wire format (0x00), single-object Avro (0xc3 0x01) or a JSON object ({)"
    return Undecodable(RejectCode.UNDECODABLE, f"a value must be {forms}, got {shown(value)}")
