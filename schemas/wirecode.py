"""Makes the Python code of wire.py: for each record one function that writes it and one that reads it.

A part of generate.py; pure: schemas in, source text out. Straight-line code without a schema walk is what
makes it faster than fastavro's compiled but general code (README.md has the figures).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HEADER = '''"""The binary form of each record, written and read without a schema walk. Generated: do not edit.

`python -m schemas.generate` writes this page from the avsc files and ids.json. codec.py is its only user: it
makes one error of all that these functions raise, and checks that the value ends where its record ends.
A reader fills the frozen record's own dict: faster than its constructor, and smaller than a new dict.
"""
# ruff: noqa: C901, D103, N802, PLR0912, PLR0915, PLR2004

from collections.abc import Callable
from typing import Any

from schemas.binary import (
    DOUBLE,
    SHORT,
    Broken,
    int_bytes,
    number_bytes,
    read_count,
    read_int,
    read_length,
    read_more,
)
from schemas.events import (
    {names},
)

_new = object.__new__
_double_bytes = DOUBLE.pack
_read_double = DOUBLE.unpack_from'''
# The variable that holds an optional value while it is written: one for each type, so that mypy can follow.
HOLDERS = {
    "string": "text",
    "bytes": "data",
    "int": "number",
    "long": "number",
    "double": "real",
    "boolean": "flag",
}
LINE_CHARS_MAX = 110
Lines = list[str]


def indented(lines: Lines) -> Lines:
    """The lines one step to the right."""
    return ["    " + line for line in lines]


def holder_of(avro_type: Any) -> str:
    """The variable for a value of the type: for an array one that is named by its items."""
    match avro_type:
        case {"type": "array", "items": {"name": str(name)}}:
            return f"{name.lower()}s"
        case {"type": "array", "items": str(items)}:
            return f"{HOLDERS[items]}s"
        case _:
            return HOLDERS[avro_type]


def write_lines(avro_type: Any, value: str, mark: str = "") -> Lines:
    """Code that appends the value (an expression) to `out`; `mark` ends the names of an older form."""
    match avro_type:
        case "string" | "bytes":
            taken = f"{value}.encode()" if avro_type == "string" else value
            size = "out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)"
            return [f"part = {taken}", size, "out += part"]
        case "int" | "long":
            rest = "int_bytes" if avro_type == "int" else "number_bytes"
            return [f"out += SHORT[whole] if 0 <= (whole := {value}) < 4096 else {rest}(whole)"]
        case "double":
            return [f"out += _double_bytes({value})"]
        case "boolean":
            return [f"out.append(1 if {value} else 0)"]
        case ["null", inner]:
            holder = holder_of(inner)
            written = indented(["out.append(2)", *write_lines(inner, holder, mark)])
            return [f"if ({holder} := {value}) is None:", "    out.append(0)", "else:", *written]
        case {"type": "array", "items": items}:
            holder = items["name"].lower() if isinstance(items, dict) else "each_" + HOLDERS[items]
            loop = [f"for {holder} in {value}:", *indented(write_lines(items, holder, mark))]
            return [
                f"if {value}:",
                f"    out += number_bytes(len({value}))",
                *indented(loop),
                "out.append(0)",
            ]
        case {"type": "record", "name": str(name)}:
            return [f"write_{name}{mark}(out, {value})"]
        case _:
            raise ValueError(f"an Avro type must be one that our schemas use, got {avro_type!r}")


def read_lines(avro_type: Any, target: str, mark: str = "") -> Lines:
    """Code that reads the value at `at` into the target (a variable or item) and moves `at` behind it."""
    raw = ["raw = data[at]", "at += 1"]
    match avro_type:
        case "string" | "bytes":
            decoded = ".decode()" if avro_type == "string" else ""
            size = ["if raw & 129:", "    raw, at = read_length(data, at, raw)", "end = at + (raw >> 1)"]
            return [*raw, *size, f"{target} = data[at:end]{decoded}", "at = end"]
        case "int" | "long":
            rest = "read_int" if avro_type == "int" else "read_more"
            more = ["if raw > 127:", f"    raw, at = {rest}(data, at, raw)"]
            return [*raw, *more, f"{target} = ~(raw >> 1) if raw & 1 else raw >> 1"]
        case "double":
            return [f"{target} = _read_double(data, at)[0]", "at += 8"]
        case "boolean":
            return [*raw, "if raw > 1:", "    raise Broken", f"{target} = raw == 1"]
        case ["null", inner]:
            some = ["elif raw == 2:", *indented(read_lines(inner, target, mark))]
            return [*raw, "if raw == 0:", f"    {target} = None", *some, "else:", "    raise Broken"]
        case {"type": "array", "items": items}:
            each = items["name"].lower() if isinstance(items, dict) else "each_" + HOLDERS[items]
            item = [*read_lines(items, each, mark), f"found.append({each})"]
            blocks = ["for _ in range(count):", *indented(item), "count, at = read_count(data, at)"]
            start = ["found = []", "count, at = read_count(data, at)", "while count:"]
            return [*start, *indented(blocks), f"{target} = tuple(found)"]
        case {"type": "record", "name": str(record)}:
            return [f"{target}, at = read_{record}{mark}(data, at)"]
        case _:
            raise ValueError(f"an Avro type must be one that our schemas use, got {avro_type!r}")


def writer_code(record: dict[str, Any], mark: str = "") -> str:
    """The function that writes a record."""
    name = record["name"]
    lines = [
        line
        for field in record["fields"]
        for line in write_lines(field["type"], f"event.{field['name']}", mark)
    ]
    return "\n".join([f"def write_{name}{mark}(out: bytearray, event: {name}) -> None:", *indented(lines)])


def reader_code(record: dict[str, Any], mark: str = "", added: list[str] | None = None) -> str:
    """The function that reads a record; fields added to it later are null."""
    name = record["name"]
    lines = [
        line
        for field in record["fields"]
        for line in read_lines(field["type"], f'row["{field["name"]}"]', mark)
    ]
    lines += [f'row["{field}"] = None' for field in added or ()]
    start = f"def read_{name}{mark}(data: bytes, at: int) -> tuple[{name}, int]:"
    lists = ["found: list[Any]"] if any("found = []" in line for line in lines) else []
    made = [f"event = _new({name})", "row: dict[str, Any] = event.__dict__", *lists]
    return "\n".join([start, *indented([*made, *lines, "return event, at"])])


def fits_code(record: dict[str, Any], mark: str, added: list[str], grown: set[str]) -> str:
    """The function that tells whether a record loses nothing in its older form; `grown` are the records
    inside it that have such a function too.
    """
    terms = [f"event.{field} is None" for field in added]
    for field in record["fields"]:
        match field["type"]:
            case {"type": "array", "items": {"name": str(inner)}} if inner in grown:
                terms.append(f"all(fits_{inner}{mark}(each) for each in event.{field['name']})")
            case {"type": "record", "name": str(inner)} if inner in grown:
                terms.append(f"fits_{inner}{mark}(event.{field['name']})")
    line = "    return " + " and ".join(terms)
    if len(line) > LINE_CHARS_MAX:
        line = "\n".join(
            ["    return (", f"        {terms[0]}", *(f"        and {term}" for term in terms[1:]), "    )"]
        )
    return f"def fits_{record['name']}{mark}(event: {record['name']}) -> bool:\n{line}"


def inner_names(record: dict[str, Any]) -> set[str]:
    """The records that a record holds directly."""
    types = [field["type"] for field in record["fields"]]
    items = [each.get("items", each) for each in types if isinstance(each, dict)]
    return {each["name"] for each in items if isinstance(each, dict)}


@dataclass(frozen=True)
class Older:
    """The form that a record with an id had in a release, before it changed."""

    number: int
    """Its schema id."""
    name: str
    records: list[dict[str, Any]]
    """It and those in it, the inner ones first."""
    fingerprint: bytes
    last: bool
    """True if the last release wrote it so: readers of that release know no later form."""

    @property
    def mark(self) -> str:
        """How the names of its functions end."""
        return f"_{self.number}"

    def code(self, now: dict[str, list[str]]) -> list[str]:
        """Its functions; `now` has the fields that each record has today."""
        made = []
        grown: set[str] = set()
        for record in self.records:
            name, had = record["name"], {field["name"] for field in record["fields"]}
            added = [field for field in now[name] if field not in had]
            made.append(reader_code(record, self.mark, added))
            if not self.last:
                continue
            made.append(writer_code(record, self.mark))
            if added or inner_names(record) & grown:
                made.append(fits_code(record, self.mark, added, grown))
                grown.add(name)
        return made


def bytes_code(value: bytes) -> str:
    """The bytes as an expression."""
    return f'bytes.fromhex("{value.hex()}")'


def table_code(name: str, annotation: str, doc: str, rows: dict[str, str]) -> str:
    """A dictionary by record class or schema id."""
    if not rows:
        return f'{name}: {annotation} = {{}}\n"""{doc}"""'
    lines = "\n".join(f"    {key}: {value}," for key, value in rows.items())
    return f'{name}: {annotation} = {{\n{lines}\n}}\n"""{doc}"""'


def wire_code(
    records: list[dict[str, Any]],
    ids: dict[str, int],
    fingerprints: dict[str, bytes],
    older: list[Older],
) -> str:
    """The whole of wire.py: every record in the order given, then the forms that those with an id had in
    releases, and the tables.
    """
    header = HEADER.format(names=",\n    ".join(sorted(record["name"] for record in records)))
    functions = [code(record) for record in records for code in (writer_code, reader_code)]
    now = {record["name"]: [field["name"] for field in record["fields"]] for record in records}
    functions += [code for each in older for code in each.code(now)]
    writers = {name: f"write_{name}" for name in ids}
    readers = {name: f"read_{name}" for name in ids}
    numbers = {name: str(number) for name, number in ids.items()}
    prints = {name: bytes_code(fingerprints[name]) for name in ids}
    tables = [
        table_code(
            "WRITERS", "dict[type, Callable[[bytearray, Any], None]]", "Append a record to out.", writers
        ),
        table_code(
            "READERS",
            "dict[type, Callable[[bytes, int], tuple[Any, int]]]",
            "Read a record, and its end.",
            readers,
        ),
        table_code("IDS", "dict[type, int]", "Schema ids in the Confluent wire format.", numbers),
        table_code("FINGERPRINTS", "dict[type, bytes]", "CRC-64-AVRO of the schemas, little endian.", prints),
        *older_tables(older),
    ]
    return "\n\n\n".join([header, *functions]) + "\n\n\n" + "\n".join(tables) + "\n"


def older_tables(older: list[Older]) -> list[str]:
    """The tables of the forms that releases had."""
    read = {
        str(
            each.number
        ): f'({each.name}, read_{each.name}{each.mark}, bytes.fromhex("{each.fingerprint.hex()}"))'
        for each in older
    }
    written = {
        each.name: f"({each.number}, fits_{each.name}{each.mark}, write_{each.name}{each.mark})"
        for each in older
        if each.last
    }
    return [
        table_code(
            "OLDER",
            "dict[int, tuple[type, Callable[[bytes, int], tuple[Any, int]], bytes]]",
            "By schema id: forms that records had in releases; their readers and fingerprints.",
            read,
        ),
        table_code(
            "RELEASED",
            "dict[type, tuple[int, Callable[[Any], bool], Callable[[bytearray, Any], None]]]",
            "The last release's form of what changed since: schema id, whether it loses nothing, writer.",
            written,
        ),
    ]
