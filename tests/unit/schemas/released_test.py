"""Values in the forms of releases: they are read, and written as long as they lose nothing.

The tests make a copy of the schemas with two releases in it, change them as the next one may, and ask the
code that is generated from all three. Today's codec is that of the first release.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas.codec import OBJECT_MAGIC, encode
from schemas.events import Fact, JobRow, Tick
from schemas.wire import FINGERPRINTS, IDS
from tests.unit.schemas.samples import sample

ROOT = Path(schemas.__file__).parent
SECOND_TICK, THIRD_TICK, THIRD_ROW = 2_000, 2_001, 2_002

Run = Callable[[str], Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the next release is made: Tick got a field in each of the last two, an attempt in the last."""
    place = tmp_path_factory.mktemp("next")
    shutil.copytree(ROOT, place / "schemas", ignore=shutil.ignore_patterns("released"))
    python(place, "-m", "schemas.release", "0.1.0")
    add_field(place, "Tick", "Tick", "note", SECOND_TICK)
    python(place, "-m", "schemas.generate")
    python(place, "-m", "schemas.release", "0.10.0")
    add_field(place, "Tick", "Tick", "more", THIRD_TICK)
    add_field(place, "JobRow", "Attempt", "note", THIRD_ROW)
    python(place, "-m", "schemas.generate")
    return place


@pytest.fixture(scope="module")
def run(place: Path) -> Run:
    """Runs code there; what it says, from JSON."""
    start = (
        "import json; from schemas.codec import decode, encode; from schemas.events import JobRow, Tick;"
        "from schemas.records import replace\n"
    )
    return lambda code: json.loads(python(place, "-c", f"{start}print(json.dumps({code}))"))


def add_field(place: Path, file: str, record: str, field: str, number: int) -> None:
    """One more field at the end of a record, and so a new id for the file that it is in."""
    avsc, ids = place / "schemas/avro" / f"{file}.avsc", place / "schemas/ids.json"
    schema = json.loads(avsc.read_text())
    found = [schema] if schema["name"] == record else list(_inside(schema, record))
    for each in found:
        each["fields"].append({"name": field, "type": ["null", "string"], "default": None, "doc": "New."})
    avsc.write_text(json.dumps(schema))
    ids.write_text(json.dumps({**json.loads(ids.read_text()), file: number}))


def _inside(schema: dict[str, Any], record: str) -> list[dict[str, Any]]:
    types = [field["type"] for field in schema["fields"] if isinstance(field["type"], dict)]
    return [each["items"] for each in types if each.get("items", {}).get("name") == record]


def python(place: Path, *command: str) -> str:
    """What Python says there."""
    done = subprocess.run([sys.executable, *command], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_a_release_wrote_is_read(run: Run) -> None:
    """A value in the form of any release is read; what was added since is null."""
    row, tick = encode(sample(JobRow, full=True)), encode(sample(Tick, full=True))
    notes = run(f"[a.note for a in decode(bytes.fromhex('{row.hex()}'), (JobRow,)).attempts]")
    assert notes == [None, None]
    assert run(f"vars(decode(bytes.fromhex('{tick.hex()}'), (Tick,)))") == {
        **vars(sample(Tick, full=True)),
        "note": None,
        "more": None,
    }


def test_single_objects_of_a_release_are_read(run: Run) -> None:
    """So are values that name their schema by its fingerprint."""
    value = OBJECT_MAGIC + FINGERPRINTS[Tick] + encode(sample(Tick, full=True))[5:]
    assert run(f"decode(bytes.fromhex('{value.hex()}'), (Tick,)).at_ms") == sample(Tick, full=True).at_ms


def test_the_last_release_can_read_what_is_written(run: Run) -> None:
    """As long as nothing new is in a value, it is written byte for byte as the last release would."""
    row = encode(sample(JobRow, full=True)).hex()
    assert run(f"encode(decode(bytes.fromhex('{row}'), (JobRow,))).hex()") == row
    tick = encode(sample(Tick, full=True)).hex()
    plain = f"decode(bytes.fromhex('{tick}'), (Tick,))"
    assert schema_id(run(f"encode({plain}).hex()")) == SECOND_TICK
    assert schema_id(run(f"encode(replace({plain}, note='n')).hex()")) == SECOND_TICK


def test_nothing_is_lost_for_the_last_release(run: Run) -> None:
    """A value with something new, however deep, is written in the form of today."""
    tick = f"replace(decode(bytes.fromhex('{encode(sample(Tick, full=True)).hex()}'), (Tick,)), more='m')"
    assert schema_id(run(f"encode({tick}).hex()")) == THIRD_TICK
    assert run(f"decode(encode({tick}), (Tick,)) == {tick}") is True
    row = f"decode(bytes.fromhex('{encode(sample(JobRow, full=True)).hex()}'), (JobRow,))"
    noted = f"(lambda r: replace(r, attempts=(r.attempts[0], replace(r.attempts[1], note='n'))))({row})"
    assert schema_id(run(f"encode({noted}).hex()")) == THIRD_ROW
    assert run(f"decode(encode({noted}), (JobRow,)) == {noted}") is True


def test_the_next_release_is_in_order(place: Path) -> None:
    """What is generated is fresh, keeps the rules of compatibility and those of style."""
    python(place, "-m", "schemas.generate", "--check")
    python(place, "-m", "schemas.compat")
    for verb in (("check",), ("format", "--check")):
        config = ("--config", str(ROOT.parent / "pyproject.toml"))
        python(place, "-m", "ruff", *verb, *config, "schemas/wire.py", "schemas/events.py")


def test_a_change_without_a_new_id_is_told(place: Path, tmp_path: Path) -> None:
    """A form that was released and another one never share an id."""
    shutil.copytree(place / "schemas", tmp_path / "schemas")
    add_field(tmp_path, "Fact", "Fact", "note", IDS[Fact])
    done = subprocess.run(
        [sys.executable, "-m", "schemas.compat"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Fact must have a new id, got 1006: its schema changed (released: 0.1.0)" in done.stderr


def test_a_release_stays_as_it_is(place: Path) -> None:
    """The schemas of a release are not written twice."""
    done = subprocess.run(
        [sys.executable, "-m", "schemas.release", "0.1.0"],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "version must be a new one, got 0.1.0" in done.stderr


def schema_id(value: str) -> int:
    """The id that a value in hex begins with."""
    return int.from_bytes(bytes.fromhex(value)[1:5], "big")
