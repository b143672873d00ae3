"""The codec over all values: what is written is read, fastavro agrees byte for byte, and no bytes do harm."""

import dataclasses
import io
import json
import types
import typing
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import schemas
from schemas import binary, events, requests
from schemas.codec import WIRE_HEAD_BYTES, Undecodable, decode, encode
from schemas.events import Command, JobRequest, Schedule
from schemas.generate import records_in
from schemas.keys import home
from schemas.names import derived_id, likely_homes
from schemas.requests import to_json
from schemas.times import format_time, parse_time
from schemas.wire import IDS

AVRO = Path(schemas.__file__).parent / "avro"
TOP_RECORDS = sorted(IDS, key=lambda kind: kind.__name__)
REQUESTS = (JobRequest, Command)
SCHEMAS = {
    kind: fastavro.parse_schema(json.loads((AVRO / f"{kind.__name__}.avsc").read_text()))
    for kind in TOP_RECORDS
}
LONGS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-9000, 9000), st.integers(10**12, 2 * 10**12))
INTS = st.integers(-(2**31), 2**31 - 1) | st.integers(-9000, 9000)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: LONGS,
    str: st.text(max_size=30),
    bytes: st.binary(max_size=30),
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
}


NARROW = {  # Avro has an int of 32 bits beside the long of 64, Python has one int
    (record["name"], field["name"])
    for path in AVRO.glob("*.avsc")
    for record in records_in(json.loads(path.read_text()))
    for field in record["fields"]
    if field["type"] in ("int", ["null", "int"], {"type": "array", "items": "int"})
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation."""
    if isinstance(hint, types.UnionType):
        return st.none() | values(typing.get_args(hint)[0])
    if typing.get_origin(hint) is tuple:
        return st.lists(values(typing.get_args(hint)[0]), max_size=3).map(tuple)
    return records(hint) if dataclasses.is_dataclass(hint) else PLAIN[hint]


def records(kind: Any) -> st.SearchStrategy[Any]:
    """Records of a kind."""
    hints = typing.get_type_hints(kind)
    fields = {name: values(hint) for name, hint in hints.items()}
    for name in (name for record, name in NARROW if record == kind.__name__):
        if typing.get_origin(hints[name]) is tuple:
            fields[name] = st.lists(INTS, max_size=3).map(tuple)
        else:
            fields[name] = INTS if hints[name] is int else st.none() | INTS
    return st.builds(lambda given: kind(**given), st.fixed_dictionaries(fields))


def plain(event: Any) -> Any:
    """A record as fastavro takes it, with its records and tuples inside as dicts and lists."""
    if dataclasses.is_dataclass(event):
        return {name: plain(found) for name, found in vars(event).items()}
    return [plain(item) for item in event] if isinstance(event, tuple) else event


ANY_RECORD = st.one_of([records(kind) for kind in TOP_RECORDS])


@given(ANY_RECORD)
def test_round_trip(event: Any) -> None:
    """Every record that can be made is read as it was written."""
    read: Any = decode(encode(event), (type(event),))
    assert read == event
    assert vars(read).keys() == vars(event).keys()


@given(ANY_RECORD)
def test_fastavro_agrees(event: Any) -> None:
    """The generated form is Avro: fastavro writes the same bytes, and reads the same record."""
    ours = encode(event)[WIRE_HEAD_BYTES:]
    theirs = io.BytesIO()
    fastavro.schemaless_writer(theirs, SCHEMAS[type(event)], plain(event))
    assert ours == theirs.getvalue()
    assert fastavro.schemaless_reader(io.BytesIO(ours), SCHEMAS[type(event)], None) == plain(event)


def check_harmless(value: bytes, expect: tuple[type, ...]) -> None:
    """Fails for anything but a record that was expected, or Undecodable with a short sentence."""
    try:
        event = decode(value, expect)
    except Undecodable as caught:
        refusal = caught
    else:
        assert type(event) in expect
        encode(event)
        return
    assert len(refusal.sentence) < 600


EXPECTED = st.sampled_from([REQUESTS, (Schedule,), *[(kind,) for kind in TOP_RECORDS]])


@given(st.binary(max_size=200), EXPECTED)
@example(b"", REQUESTS)
@example(b'{"function":"f","args":"\\ud800"}', REQUESTS)
def test_arbitrary_bytes(value: bytes, expect: tuple[type, ...]) -> None:
    """No bytes do anything but be refused."""
    for start in (b"", b"\x00\x00\x00\x03", b"\xc3\x01", b"{"):
        check_harmless(start + value, expect)


@given(st.sampled_from(TOP_RECORDS), st.binary(max_size=200))
def test_arbitrary_bodies(kind: type, body: bytes) -> None:
    """No bytes behind a schema id that is ours do anything but be refused, or be what they happen to be."""
    check_harmless(b"\x00" + IDS[kind].to_bytes(4, "big") + body, (kind,))


@given(ANY_RECORD, st.data())
def test_mutated_values(event: Any, data: st.DataObject) -> None:
    """A value with bytes changed, put in or taken out is refused, or read as a whole record."""
    value = bytearray(encode(event))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(len(value) - 1, 0)))
        until = data.draw(st.integers(at, min(at + 3, len(value))))
        value[at:until] = data.draw(st.binary(max_size=3))
    check_harmless(bytes(value), (type(event),))


@given(ANY_RECORD, st.data())
def test_one_byte_less(event: Any, data: st.DataObject) -> None:
    """A value that breaks off is never read."""
    value = encode(event)
    size = data.draw(st.integers(0, len(value) - 1))
    with pytest.raises(Undecodable):
        decode(value[:size], (type(event),))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
FORMS = [requests._REQUEST, requests._COMMAND, requests._SCHEDULE, requests._ARGS, ["retry"]]
FIELDS = st.sampled_from(sorted({name for form in FORMS for name in form}))


@given(st.dictionaries(FIELDS | st.text(max_size=5), JSON, max_size=6), EXPECTED)
def test_arbitrary_json(body: dict[str, Any], expect: tuple[type, ...]) -> None:
    """No JSON object does anything but be refused, or be a record that can be written in Avro."""
    check_harmless(json.dumps(body).encode(), expect)
    check_harmless(json.dumps({"function": "f", **body}).encode(), expect)


@given(JSON)
def test_json_args(args: Any) -> None:
    """Args that are JSON arrive as they were sent, but for null, which is none."""
    value = json.dumps({"function": "f", "args": args}).encode()
    try:
        request = decode(value, REQUESTS)
    except Undecodable:
        assume(False)
    assert isinstance(request, JobRequest)
    assert request.args is None if args is None else json.loads(request.args or b"") == args


TIMES = st.none() | st.integers(-62_135_596_800_000, 253_402_300_799_999) | st.integers(10**15, 2**63 - 1)
RULES = st.none() | st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3).map(
    lambda rule: json.dumps(rule, ensure_ascii=False, separators=(",", ":"))
)


@given(records(JobRequest), TIMES, TIMES, RULES, RULES)
def test_json_form_round_trip(
    event: JobRequest,
    run_at_ms: int | None,
    expires_at_ms: int | None,
    unique: str | None,
    schedule: str | None,
) -> None:
    """A request in its JSON form is the same request."""
    changes = {"run_at_ms": run_at_ms, "expires_at_ms": expires_at_ms, "unique": unique, "schedule": schedule}
    unlimited = dict.fromkeys(("retry_factor", "retry_jitter"))  # JSON has no infinity
    request = JobRequest(**{**vars(event), **changes, **unlimited})
    assume(request.args is not None or request.content_type == "application/json")
    assert decode(to_json(request).encode(), REQUESTS) == request


@given(st.integers(0, 253_402_300_799_999))
def test_times_round_trip(at_ms: int) -> None:
    """A time is written as it is read."""
    assert parse_time(format_time(at_ms)) == at_ms


@given(LONGS)
def test_numbers(number: int) -> None:
    """A number takes the bytes that the specification's zigzag gives it, and is read back from them."""
    raw = (number << 1) ^ (number >> 63)
    written = binary.number_bytes(number)
    assert written == binary.varint(raw)
    if raw > binary.LAST_MAX:
        for _ in range(2):  # the second time from the memory of the first
            assert binary.read_more(written, 1, written[0]) == (raw, len(written))


@given(st.text(max_size=30), st.integers(1, 512))
def test_homes(key: str, partitions: int) -> None:
    """A home is one of the partitions."""
    assert 0 <= home(key, partitions) < partitions


@given(
    st.integers(0, 511),
    st.integers(0, 2**62),
    st.integers(-1, 2**62),
    st.integers(0, 511),
    st.integers(1, 512),
)
def test_derived_ids_lead_home(partition: int, offset: int, at_ms: int, hint: int, partitions: int) -> None:
    """An id with a hint leads to its partition first, wherever there are that many."""
    homes = likely_homes(derived_id("jobs.requests", partition, offset, at_ms, hint), partitions)
    assert all(0 <= likely < partitions for likely in homes)
    assert hint >= partitions or hint in homes


def test_every_record_is_covered() -> None:
    """The records of these tests are all that there are."""
    assert {getattr(events, name) for name in events.__all__} >= set(TOP_RECORDS)
