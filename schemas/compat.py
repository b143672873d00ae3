"""Holds the schemas against every release: `python -m schemas.compat` exits 1 if a change breaks a reader.

A released record keeps its fields, in their order, with their types and defaults; a field may be added at the
end if it is `["null", T]` with default null; a record that changed has a new id, and no id changes hands.
schemas/released/<version> holds the avsc files and ids.json of that release, for ever: it is written by
`python -m schemas.release <version>`. Before the first release there is none.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from schemas.generate import records_in, releases

SCHEMAS = Path(__file__).parent

Schemas = Mapping[str, Mapping[str, Any]]


def faults(
    released: Schemas, released_ids: Mapping[str, int], now: Schemas, ids: Mapping[str, int]
) -> list[str]:
    """Each way in which the schemas (by file name) of now break what was released, as a sentence."""
    found = []
    for name, old in released.items():
        if name not in now:
            found.append(f"{name} must stay, for its values are still in topics")
            continue
        found += _record_faults(old, now[name])
        same = _shape(old) == _shape(now[name])
        if same and ids.get(name) != released_ids[name]:
            found.append(
                f"{name} must keep its id {released_ids[name]}, got {ids.get(name)}: it is unchanged"
            )
        if not same and ids.get(name) in released_ids.values():
            found.append(f"{name} must have a new id, got {ids.get(name)}: its schema changed")
    taken = {number: name for name, number in released_ids.items()}
    for name, number in ids.items():
        if taken.get(number, name) != name:
            found.append(f"{name} must have an id of its own, got {number}: it is {taken[number]}'s")
    return found


def _record_faults(old_schema: Mapping[str, Any], new_schema: Mapping[str, Any]) -> Iterable[str]:
    """What is wrong with a record or one inside of it."""
    new_records = {record["name"]: record for record in records_in(new_schema)}
    for old in records_in(old_schema):
        new = new_records.get(old["name"])
        if new is None:
            yield f"{old['name']} must stay where it is, for readers of today look for it"
            continue
        kept = new["fields"][: len(old["fields"])]
        if _fields_shape(kept) != _fields_shape(old["fields"]):
            was, got = _field_names(old["fields"]), _field_names(kept)
            yield f"{old['name']} must begin with its released fields, unchanged: {was}, got {got}"
        for field in new["fields"][len(old["fields"]) :]:
            match field["type"]:
                case ["null", _] if "default" in field and field["default"] is None:
                    continue
            yield f"{old['name']}.{field['name']} must be [null, T] with default null, got {field['type']}"


def _field_names(fields: list[Any]) -> str:
    return ", ".join(field["name"] for field in fields)


def _fields_shape(fields: list[Any]) -> list[Any]:
    """Fields without their docs; a record inside counts by its name, since it is looked at by itself."""
    return [[field["name"], _named(field["type"]), field.get("default", "none")] for field in fields]


def _named(avro_type: Any) -> Any:
    match avro_type:
        case {"type": "array", "items": items}:
            return ["array", _named(items)]
        case {"type": "record", "name": name}:
            return name
        case _:
            return avro_type


def _shape(schema: Mapping[str, Any]) -> list[Any]:
    return [[record["name"], _fields_shape(record["fields"])] for record in records_in(schema)]


def read_schemas(folder: Path) -> dict[str, Any]:
    """The avsc files of a folder by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.avsc"))}


def read_ids(folder: Path) -> dict[str, int]:
    """The ids.json of a folder; empty if there is none."""
    path = folder / "ids.json"
    ids: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    return ids


def main() -> int:
    """Prints each fault; returns the exit code."""
    now, ids = read_schemas(SCHEMAS / "avro"), read_ids(SCHEMAS)
    found = [
        f"{sentence} (released: {folder.name})"
        for folder in releases()
        for sentence in faults(read_schemas(folder), read_ids(folder), now, ids)
    ]
    for sentence in found:
        print(f"compat: {sentence}", file=sys.stderr)  # noqa: T201 - it is a command
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
