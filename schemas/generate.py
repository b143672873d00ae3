"""Writes what is made from the schemas: events.py and wire.py from avro/*.avsc, relay_pb2 from relay.proto,
and docs/asyncapi.yaml from the records and the topics.

`python -m schemas.generate` writes; `--check` only tells (exit 1) which file is not what its source gives.
Needs the development tools (grpcio-tools, mypy-protobuf, pyyaml), so nothing else may import it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.wirecode import LINE_CHARS_MAX, Older, wire_code

SCHEMAS = Path(__file__).parent
AVRO = SCHEMAS / "avro"
PROTO = SCHEMAS / "proto"
ASYNCAPI = SCHEMAS.parent / "docs" / "asyncapi.yaml"
INDENT = "    "

PYTHON_TYPES = {
    "null": "None",
    "boolean": "bool",
    "int": "int",
    "long": "int",
    "double": "float",
    "string": "str",
    "bytes": "bytes",
}
HEADER = '''"""The records as frozen dataclasses, one for each record in avro/*.avsc. Generated: do not edit.

`python -m schemas.generate` writes this page from the avsc files. Arrays are tuples, an optional field is
`T | None`, `_ms` is milliseconds, defaults are those of the schema. Constructed by keyword only.
"""

from dataclasses import dataclass

from schemas.records import quick
'''


def python_type(avro_type: Any) -> str:
    """The annotation for an Avro type; only what our schemas use (no maps, enums, fixed or wide unions)."""
    match avro_type:
        case str():
            return PYTHON_TYPES[avro_type]
        case ["null", other]:
            return f"{python_type(other)} | None"
        case {"type": "array", "items": items}:
            return f"tuple[{python_type(items)}, ...]"
        case {"type": "record", "name": str(name)}:
            return name
        case _:
            raise ValueError(
                f"an Avro type must be a primitive, [null, T], an array or a record, got {avro_type!r}"
            )


def records_in(avro_type: Any) -> Iterator[dict[str, Any]]:
    """Every record in a type, the inner ones before those that hold them."""
    match avro_type:
        case list():
            for branch in avro_type:
                yield from records_in(branch)
        case {"type": "array", "items": items}:
            yield from records_in(items)
        case {"type": "record", "fields": fields}:
            for field in fields:
                yield from records_in(field["type"])
            yield avro_type
        case _:
            return


def docstring(text: str) -> str:
    """The text as an indented docstring within the line length."""
    quotes = '"""'
    room = LINE_CHARS_MAX - len(INDENT)
    lines = textwrap.wrap(quotes + text + quotes, width=room, break_long_words=False, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines), INDENT)


def default_code(field: dict[str, Any]) -> str:
    """The right side of a field's assignment, empty where the schema has no default."""
    if "default" not in field:
        return ""
    default = field["default"]
    value = f'"{default}"' if isinstance(default, str) else repr(() if default == [] else default)
    return f" = {value}"


def class_code(record: dict[str, Any]) -> str:
    """One dataclass."""
    lines = [
        "@quick",
        "@dataclass(frozen=True, kw_only=True)",
        f"class {record['name']}:",
        docstring(record["doc"]),
        "",
    ]
    for field in record["fields"]:
        lines.append(f"{INDENT}{field['name']}: {python_type(field['type'])}{default_code(field)}")
        lines.append(docstring(field["doc"]))
    return "\n".join(lines)


def all_records() -> list[dict[str, Any]]:
    """Every record of every avsc file, the inner ones before those that hold them."""
    found = [
        record for path in sorted(AVRO.glob("*.avsc")) for record in records_in(json.loads(path.read_text()))
    ]
    names = [record["name"] for record in found]
    assert len(set(names)) == len(names), f"a record is defined twice in {names}"
    return found


def events_code() -> str:
    """The whole of events.py."""
    records = all_records()
    names = "\n".join(f'{INDENT}"{name}",' for name in sorted(record["name"] for record in records))
    exported = f"__all__ = [\n{names}\n]"
    return "\n\n\n".join([f"{HEADER}\n{exported}", *map(class_code, records)]) + "\n"


def wire_page() -> str:
    """The whole of wire.py. Every avsc file has an id of its own in ids.json, for ever."""
    ids: dict[str, int] = json.loads((SCHEMAS / "ids.json").read_text())
    schemas = {path.stem: json.loads(path.read_text()) for path in sorted(AVRO.glob("*.avsc"))}
    assert sorted(ids) == sorted(schemas), f"ids.json must name {sorted(schemas)}, got {sorted(ids)}"
    assert len(set(ids.values())) == len(ids), f"ids must differ, got {ids}"
    fingerprints = {name: fingerprint_of(schema) for name, schema in schemas.items()}
    return wire_code(all_records(), ids, fingerprints, older_forms(ids))


def fingerprint_of(schema: Any) -> bytes:
    """CRC-64-AVRO of a schema, little endian."""
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def releases() -> list[Path]:
    """The folders of the releases, the oldest first."""
    folders = [path for path in (SCHEMAS / "released").glob("*") if path.is_dir()]
    return sorted(folders, key=lambda path: [int(part) for part in path.name.split(".")])


def older_forms(ids: dict[str, int]) -> list[Older]:
    """The forms that records had in releases and have no more, by schema id."""
    found: dict[int, Older] = {}
    for folder in releases():
        then: dict[str, int] = json.loads((folder / "ids.json").read_text())
        for name, number in then.items():
            if number != ids[name]:
                schema = json.loads((folder / f"{name}.avsc").read_text())
                last = folder == releases()[-1]
                found[number] = Older(
                    number, name, list(records_in(schema)), fingerprint_of(schema), last=last
                )
    return [found[number] for number in sorted(found)]


def compile_proto(folder: Path) -> None:
    """Writes relay_pb2.py and relay_pb2.pyi into the folder."""
    plugin = Path(sys.executable).with_name("protoc-gen-mypy")
    if not plugin.exists():
        raise SystemExit(f"generate: {plugin} is missing; make venv installs it (mypy-protobuf).")
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--plugin={plugin}", f"-I{PROTO}"]
    command += [f"--python_out={folder}", f"--mypy_out=quiet:{folder}", str(PROTO / "relay.proto")]
    subprocess.run(command, check=True)  # noqa: S603 - our own tool on our own file


def descriptor_line(stubs: Path) -> str:
    """The line of a relay_pb2.py that holds the compiled relay.proto; empty where there is none."""
    lines = stubs.read_text().splitlines() if stubs.exists() else []
    return next((line for line in lines if line.startswith("DESCRIPTOR = ")), "")


def asyncapi_page() -> str:
    """The whole of asyncapi.yaml. The topics and records must be generated before it is."""
    from schemas.asyncapi import document  # noqa: PLC0415  # needs records, which may yet have to be written

    head = "# All topics and records, for AsyncAPI's tools. Generated by `make generate`: do not edit.\n"
    return head + yaml.safe_dump(document(), sort_keys=False, width=LINE_CHARS_MAX, allow_unicode=True)


def stale() -> list[str]:
    """The generated files that are not what their sources give.

    relay_pb2.py is compared by the descriptor in it: the rest of its text is up to the tools' version.
    """
    pages = {"events.py": events_code(), "wire.py": wire_page()}
    found = [
        f"schemas/{name}"
        for name, code in pages.items()
        if not (SCHEMAS / name).exists() or (SCHEMAS / name).read_text() != code
    ]
    if ASYNCAPI.parent.is_dir() and (not ASYNCAPI.exists() or ASYNCAPI.read_text() != asyncapi_page()):
        found.append("docs/asyncapi.yaml")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compile_proto(folder)
        if descriptor_line(PROTO / "relay_pb2.py") != descriptor_line(folder / "relay_pb2.py"):
            found.append("schemas/proto/relay_pb2.py")
        types = PROTO / "relay_pb2.pyi"
        if not types.exists() or types.read_text() != (folder / "relay_pb2.pyi").read_text():
            found.append("schemas/proto/relay_pb2.pyi")
    return found


def main(arguments: list[str]) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m schemas.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    if parser.parse_args(arguments).check:
        files = stale()
        for name in files:
            print(f"generate: {name} is not what its source gives; run make generate", file=sys.stderr)  # noqa: T201
        return 1 if files else 0
    (SCHEMAS / "events.py").write_text(events_code())
    (SCHEMAS / "wire.py").write_text(wire_page())
    compile_proto(PROTO)
    if not ASYNCAPI.parent.is_dir():  # this package alone, without the project around it
        return 0
    again = [
        sys.executable,
        "-c",
        "from schemas import generate as g; g.ASYNCAPI.write_text(g.asyncapi_page())",
    ]
    subprocess.run(again, check=True)  # noqa: S603  # in a process that knows the records just written
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
