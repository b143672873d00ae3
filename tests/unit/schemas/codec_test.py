"""The codec: the bytes of every record, the three forms, and every way to be none of them."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form

import schemas
from schemas import defaults
from schemas.codec import OBJECT_MAGIC, Undecodable, decode, encode
from schemas.events import (
    ArgsRow,
    Command,
    Dispatch,
    Heartbeat,
    JobRequest,
    JobRow,
    Receipt,
    Schedule,
    ScheduleRow,
    Tick,
)
from schemas.wire import FINGERPRINTS, IDS
from schemas.words import Outcome, RejectCode
from tests.unit.schemas.samples import GOLDEN, TOP_RECORDS, golden, sample

AVRO = Path(schemas.__file__).parent / "avro"
SAMPLES = [sample(kind, full=full) for kind in TOP_RECORDS for full in (True, False)]
REQUESTS = (JobRequest, Command)


def refused(value: bytes, expect: tuple[type, ...]) -> Undecodable:
    """The refusal of a value."""
    with pytest.raises(Undecodable) as caught:
        decode(value, expect)
    return caught.value


@pytest.mark.parametrize("name", [kind.__name__ for kind in TOP_RECORDS])
def test_golden_bytes(name: str) -> None:
    """The bytes of a record never change: a full one and a bare one are frozen."""
    assert golden()[name] == json.loads(GOLDEN.read_text())[name]


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_round_trip(event: Any) -> None:
    """A record that is written is read as the same record, in both Avro forms."""
    value = encode(event)
    assert decode(value, (type(event),)) == event
    assert decode(OBJECT_MAGIC + FINGERPRINTS[type(event)] + value[5:], (type(event),)) == event


def test_wire_head() -> None:
    """A value begins with 0x00 and its four-byte schema id, as Confluent's deserializers want it."""
    assert encode(sample(Receipt, full=False))[:5] == b"\x00\x00\x00\x03\xf2"


def test_fingerprint_known_answer() -> None:
    """The fingerprint is CRC-64-AVRO in little endian: the specification's own example for "null"."""
    assert bytes.fromhex(fingerprint(to_parsing_canonical_form("null"), "CRC-64-AVRO")) == (
        0x63DD24E7CC258F8A
    ).to_bytes(8, "little")


@pytest.mark.parametrize("kind", TOP_RECORDS, ids=lambda kind: kind.__name__)
def test_fingerprints_are_those_of_the_avsc_files(kind: type) -> None:
    """The shipped fingerprint is that of the shipped schema."""
    schema = json.loads((AVRO / f"{kind.__name__}.avsc").read_text())
    assert FINGERPRINTS[kind].hex() == fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")


def test_words_are_written_as_strings() -> None:
    """A member of an enumeration is written as its word."""
    event = sample(Receipt, full=False)
    assert encode(Receipt(**{**vars(event), "outcome": Outcome.LOST})) == encode(
        Receipt(**{**vars(event), "outcome": "lost"})
    )


def test_json_is_recognised() -> None:
    """A value that begins with { is a request, command or schedule in JSON."""
    assert decode(b'{"function":"f"}', REQUESTS) == JobRequest(function="f")
    assert decode(b'{"command":"cancel","id":"x"}', REQUESTS) == Command(command="cancel", id="x")
    schedule = decode(b'{"id":"s","cron":"* * * * *","function":"f"}', (Schedule,))
    assert schedule == Schedule(id="s", cron="* * * * *", function="f")


@pytest.mark.parametrize(
    "value", [b"", b"\x00", b"\x00\x00\x00", b"\xc3\x01abc", b"[1]", b"hello", b"\xef\xbb\xbf{}"]
)
def test_unrecognised(value: bytes) -> None:
    """Bytes in none of the three forms are refused with what was found."""
    refusal = refused(value, REQUESTS)
    assert refusal.code == RejectCode.UNDECODABLE
    assert repr(value) in refusal.sentence


def test_unknown_schema_id() -> None:
    """A schema id that is not ours is named, whatever follows it."""
    refusal = refused(b"\x00\x00\x00\x00\x07rest", REQUESTS)
    assert refusal.code == RejectCode.UNKNOWN_SCHEMA
    assert refusal.sentence == "the schema id must be one of 1001 to 1020, got 7"


def test_unknown_fingerprint() -> None:
    """A fingerprint that is not ours, as that of another version of a record would be, is named."""
    refusal = refused(OBJECT_MAGIC + bytes(range(8)) + b"rest", REQUESTS)
    assert refusal.code == RejectCode.UNKNOWN_SCHEMA
    assert "got 0001020304050607" in refusal.sentence


def test_unexpected_type() -> None:
    """A record that has no place in a topic is refused there, though it is one of ours."""
    refusal = refused(encode(sample(Tick, full=True)), REQUESTS)
    assert refusal.code == RejectCode.UNEXPECTED_TYPE
    assert refusal.sentence == "the value must be a JobRequest or Command, got a Tick"
    assert refused(b"{}", (Receipt,)).code == RejectCode.UNEXPECTED_TYPE


def test_oversize() -> None:
    """A value above the limit is refused by its size, before anything looks into it."""
    value = b"\x00" * (defaults.VALUE_BYTES_MAX + 1)
    refusal = refused(value, REQUESTS)
    assert refusal.code == RejectCode.OVERSIZE
    assert refusal.sentence == f"a value must have at most {defaults.VALUE_BYTES_MAX} bytes, got {len(value)}"
    with pytest.raises(AssertionError, match="must be small enough"):
        encode(ArgsRow(job="j", args=value))


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_truncated(event: Any) -> None:
    """A value that breaks off anywhere is refused."""
    value = encode(event)
    for size in range(len(value)):
        assert refused(value[:size], (type(event),)).code == RejectCode.UNDECODABLE


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_trailing_bytes(event: Any) -> None:
    """A value that goes on behind its end is refused: it was written with another schema."""
    refusal = refused(encode(event) + b"\x00", (type(event),))
    assert refusal.code == RejectCode.UNDECODABLE
    assert "goes on" in refusal.sentence


def test_broken_bytes() -> None:
    """Numbers of more than 64 bits, negative lengths, unknown branches and bad UTF-8 are refused."""
    head = encode(sample(ArgsRow, full=False))[:5]
    for body in (
        b"\xff" * 11,
        b"\xff" * 9 + b"\x02",
        b"\x01\x00",
        b"\x04\xff\xfe\x00",
        b"\x80\x80\x80\x80\x10",
    ):
        assert refused(head + body, (ArgsRow,)).code == RejectCode.UNDECODABLE
    branch = encode(sample(Command, full=False))[:-1] + b"\x04"
    assert refused(branch, (Command,)).code == RejectCode.UNDECODABLE


def test_numbers_keep_to_their_bits() -> None:
    """An int has 32 bits and a long 64, the sign included; a bit more is refused."""
    tick = encode(Tick(partition=2**31 - 1, at_ms=0, receipts_end=0, heartbeats_end=0))
    assert decode(tick, (Tick,)).partition == 2**31 - 1
    assert refused(tick.replace(b"\x0f", b"\x1f"), (Tick,)).code == RejectCode.UNDECODABLE
    head, rest = tick[:5] + b"\x00", b"\x00\x00"
    assert decode(head + b"\xff" * 9 + b"\x01" + rest, (Tick,)).at_ms == -(2**63)
    for long in (b"\xff" * 9 + b"\x02", b"\xff" * 10 + b"\x00"):
        assert refused(head + long + rest, (Tick,)).code == RejectCode.UNDECODABLE


def test_array_bombs() -> None:
    """A few bytes that announce billions of items cost nothing: every item must be there."""
    start = time.perf_counter()
    for kind in (Heartbeat, ScheduleRow, JobRequest, JobRow):
        head = encode(sample(kind, full=False))[:5]
        for count in (b"\xfe\xff\xff\xff\x0f", b"\xfe" + b"\xff" * 8 + b"\x01", b"\xff" * 9 + b"\x01"):
            for prefix in (b"", b"\x00", b"\x00\x00\x00"):
                assert refused(head + prefix + count, (kind,)).code == RejectCode.UNDECODABLE
    assert time.perf_counter() - start < 1


def test_array_blocks() -> None:
    """Arrays in several blocks, and blocks with their size, are read: Avro allows both."""
    event = ScheduleRow(**{**vars(sample(ScheduleRow, full=False)), "fired": (1, 2)})
    value = encode(event)
    at = value.index(b"\x04\x02\x04\x00")  # a block of two, the two, the end
    for blocks in (b"\x02\x02\x02\x04\x00", b"\x03\x04\x02\x04\x00"):
        assert decode(value[:at] + blocks + value[at + 4 :], (ScheduleRow,)) == event


def _types(avro_type: Any, path: tuple[str, ...]) -> list[tuple[Any, tuple[str, ...]]]:
    """Every type in a type, with the records around it."""
    found = [(avro_type, path)]
    match avro_type:
        case list():
            for branch in avro_type:
                found += _types(branch, path)
        case {"type": "array", "items": items}:
            found += _types(items, path)
        case {"type": "record", "name": name, "fields": fields}:
            for field in fields:
                found += _types(field["type"], (*path, name))
    return found


@pytest.mark.parametrize("path", sorted(AVRO.glob("*.avsc")), ids=lambda path: path.stem)
def test_schemas_are_harmless(path: Path) -> None:
    """No schema is recursive, has a map, or an array of nothing; every record and field has a doc."""
    schema = json.loads(path.read_text())
    assert schema["name"] == path.stem
    primitives = {"null", "boolean", "int", "long", "double", "string", "bytes"}
    for avro_type, around in _types(schema, ()):
        match avro_type:
            case str():
                assert avro_type in primitives
            case list():
                assert avro_type[0] == "null"
                assert len(avro_type) == 2
            case {"type": "array", "items": items}:
                assert items != "null"
            case {"type": "record", "name": name, "doc": doc, "fields": fields}:
                assert name not in around
                assert doc
                assert fields
                assert all(field["doc"].endswith(".") for field in fields)
            case _:
                pytest.fail(f"{avro_type} has no place in a schema of ours")


LATER = ["ConfigChanged", "ConfigRow", "FunctionConfig", "QueueConfig", "Worker", "Announcement"]


@pytest.mark.parametrize("name", sorted(kind.__name__ for kind in TOP_RECORDS))
def test_ids_are_fixed(name: str) -> None:
    """Schema ids are for ever: the first ones by their names, those that came later one after the other."""
    names = sorted({kind.__name__ for kind in TOP_RECORDS} - set(LATER)) + LATER
    assert {kind.__name__: number for kind, number in IDS.items()}[name] == 1001 + names.index(name)


@pytest.mark.parametrize(
    "fault",
    [{"job": None}, {"epoch": "1"}, {"epoch": 1.5}, {"args": "text"}, {"epoch": 2**63}, {"attempt": 2**31}],
)
def test_our_own_faults_are_loud(fault: dict[str, Any]) -> None:
    """A field of the wrong type is never written as something else."""
    event = sample(Dispatch, full=True)
    with pytest.raises((TypeError, AttributeError, OverflowError)):
        encode(Dispatch(**{**vars(event), **fault}))


def test_refusals_can_be_told() -> None:
    """A refusal has a code, a sentence, the id where there is one, and a text with both."""
    refusal = refused(b'{"function":"f","id":"abc","nope":1}', REQUESTS)
    assert (refusal.code, refusal.id) == (RejectCode.UNKNOWN_FIELD, "abc")
    assert str(refusal) == f"unknown_field: {refusal.sentence}"
