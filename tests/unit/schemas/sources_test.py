"""What is generated is fresh, and what the docs of the schemas say is so."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas import compat, generate, words
from schemas.events import Beat, Fact, JobRow, Receipt

ROOT = Path(schemas.__file__).parent
SCHEMAS = compat.read_schemas(ROOT / "avro")
IDS = compat.read_ids(ROOT)


def doc_of(kind: type, field: str) -> str:
    """The doc of a field."""
    for schema in SCHEMAS.values():
        for record in generate.records_in(schema):
            if record["name"] == kind.__name__:
                return next(str(each["doc"]) for each in record["fields"] if each["name"] == field)
    raise AssertionError(kind)


def test_generated_files_are_fresh() -> None:
    """events.py, wire.py and the stubs are what their sources give."""
    assert generate.stale() == []


def test_check_tells_a_stale_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not what its source gives is named, and the exit code says so."""
    monkeypatch.setattr(generate, "SCHEMAS", tmp_path)
    (tmp_path / "ids.json").write_text(json.dumps(IDS))
    assert generate.main(["--check"]) == 1
    (tmp_path / "events.py").write_text(generate.events_code())
    assert generate.stale() == ["schemas/wire.py"]


@pytest.mark.parametrize(
    ("enumeration", "kind", "field"),
    [
        (words.Phase, JobRow, "phase"),
        (words.Outcome, Receipt, "outcome"),
        (words.FactKind, Fact, "fact"),
        (words.WaitReason, JobRow, "wait_reason"),
        (words.BeatKind, Beat, "kind"),
    ],
)
def test_docs_name_every_word(enumeration: Any, kind: type, field: str) -> None:
    """The doc of a field with words names each of them, and so do the words."""
    said = set(re.findall(r"[a-z_]+", doc_of(kind, field)))
    assert {str(word) for word in enumeration} <= said


def test_imports_nothing_heavy() -> None:
    """The codec needs neither Faust nor Kafka nor gRPC nor Avro's own library."""
    code = "import sys, schemas.codec, schemas.topics, schemas.settings; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    names = done.stdout.split()
    loaded = {name.split(".")[0] for name in names} | {name for name in names if name == "google.protobuf"}
    assert not loaded & {
        "faust",
        "confluent_kafka",
        "aiokafka",
        "grpc",
        "google.protobuf",
        "fastavro",
        "asyncio",
        "jobstream",
    }


def changed(name: str) -> tuple[dict[str, Any], list[Any]]:
    """All schemas, to be changed, and the fields of one."""
    now = copy.deepcopy(SCHEMAS)
    return now, now[name]["fields"]


def faults(now: dict[str, Any], ids: dict[str, int] | None = None) -> list[str]:
    """What the check says to these schemas, if those of today were released."""
    return compat.faults(SCHEMAS, IDS, now, ids or {**IDS, "Tick": 2_000})


def test_the_schemas_are_compatible() -> None:
    """Today's schemas break nobody who has those of the last release; the same schemas, nobody at all."""
    assert compat.main() == 0
    assert compat.faults(SCHEMAS, IDS, SCHEMAS, IDS) == []


def test_a_field_may_be_added() -> None:
    """An optional field at the end, with a new id, is what a change may be; so is another doc."""
    now, fields = changed("Tick")
    fields.append({"name": "note", "type": ["null", "string"], "default": None, "doc": "New."})
    fields[0]["doc"] = "Other."
    assert faults(now) == []
    assert faults(now, IDS) == ["Tick must have a new id, got 1014: its schema changed"]


@pytest.mark.parametrize(
    "added",
    [
        {"name": "note", "type": "string"},
        {"name": "note", "type": ["null", "string"]},
        {"name": "note", "type": "string", "default": ""},
        {"name": "note", "type": ["string", "null"], "default": ""},
    ],
)
def test_an_added_field_must_be_optional(added: dict[str, Any]) -> None:
    """A field that is added has a null default: sinks with filled tables take nothing else."""
    now, fields = changed("Tick")
    fields.append(added)
    assert faults(now) == [f"Tick.note must be [null, T] with default null, got {added['type']}"]


def test_released_fields_stay() -> None:
    """A released field is not removed, moved, renamed, or given another type or default."""
    for change in ("remove", "move", "rename", "retype"):
        now, fields = changed("Tick")
        match change:
            case "remove":
                del fields[0]
            case "move":
                fields.append(fields.pop(0))
            case "rename":
                fields[0]["name"] = "other"
            case "retype":
                fields[0]["type"] = "long"
        assert any(
            fault.startswith("Tick must begin with its released fields, unchanged") for fault in faults(now)
        )


def test_inner_records_are_held_too() -> None:
    """A record inside another is held to the same rules."""
    now, fields = changed("Heartbeat")
    beats = next(field for field in fields if field["name"] == "beats")["type"]["items"]["fields"]
    beats.append({"name": "note", "type": "string"})
    found = faults(now, {**IDS, "Heartbeat": 2_000})
    assert found == ["Beat.note must be [null, T] with default null, got string"]


def test_ids_do_not_change_hands() -> None:
    """An id is one schema's, for ever; a record is not dropped."""
    now = {name: schema for name, schema in SCHEMAS.items() if name != "Tick"}
    assert faults(now, IDS) == ["Tick must stay, for its values are still in topics"]
    swapped = {**IDS, "Tick": IDS["Fact"]}
    assert any("Tick must keep its id" in fault for fault in faults(SCHEMAS, swapped))
    assert any("it is Fact's" in fault for fault in faults(SCHEMAS, swapped))
