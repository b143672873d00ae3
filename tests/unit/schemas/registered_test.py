"""Ids from a registry: what is adopted, and every way in which a registry may be of no use."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from jobstream.registry import CannotListen, serving
from schemas.registered import RegistryFailed, adopt, known_by, shown
from schemas.registry import shipped
from schemas.settings import BadSetting, Settings, resolve
from schemas.topics import Topics

SETTINGS = Settings(registry="http://registry:8081", partitions=2)


@dataclass
class Fake:
    """A registry in memory that gives ids from `first` on; it may know other schemas, or refuse one."""

    first: int = 1
    known: dict[int, Any] = field(default_factory=dict)
    refuses: str = ""
    subjects: list[str] = field(default_factory=list)
    rules: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """One request."""
        if path == "/subjects":
            return 200, [*self.subjects]
        if method == "PUT":
            self.rules[path.rpartition("/")[2]] = body["compatibility"]
            return 200, body
        if method == "GET":
            schema = self.known.get(int(path.rpartition("/")[2]))
            return (404, {}) if schema is None else (200, {"schema": json.dumps(schema)})
        if self.refuses and self.refuses in path:
            return 409, {"message": "incompatible"}
        self.subjects.append(path.split("/")[2])
        schema = json.loads(body["schema"])
        ids = {json.dumps(each): number for number, each in self.known.items()}
        number = ids.get(json.dumps(schema), self.first + len(self.known))
        self.known[number] = schema
        return 200, {"id": number}


def test_every_schema_gets_an_id() -> None:
    """Each shipped id has one of the registry's, and the same again when asked again."""
    fake = Fake()
    ids, taken = known_by(SETTINGS, fake)
    assert ids.keys() == shipped().keys()
    assert len(set(ids.values())) == len(ids)
    assert not taken
    assert known_by(SETTINGS, fake) == (ids, taken)


def test_a_new_subject_gets_our_rule_and_an_old_one_keeps_its_own() -> None:
    """Of a topic with records of two kinds there is none, since they never agree."""
    fake = Fake(subjects=["jobstream.Fact", "jobs.facts-value"])
    known_by(SETTINGS, fake)
    assert set(fake.rules.values()) == {"FULL_TRANSITIVE"}
    assert {"jobstream.JobRequest", "jobs.dead-value"} <= fake.rules.keys()
    assert {"jobstream.Fact", "jobs.facts-value", "jobs.requests-value"}.isdisjoint(fake.rules)
    fake.rules.clear()
    known_by(SETTINGS, fake)
    assert fake.rules == {}


def test_a_refusal_is_told_with_the_subject() -> None:
    """A registry that finds a schema incompatible says so, and nothing is adopted."""
    with pytest.raises(RegistryFailed, match=r"must give jobstream.JobRow an id, got 409"):
        known_by(SETTINGS, Fake(refuses="JobRow"))


def test_an_id_that_means_another_schema_is_refused() -> None:
    """A registry that gives an id under which it has something else would make values unreadable."""

    class Liar(Fake):
        def __call__(self, method: str, path: str, body: Any) -> tuple[int, Any]:
            if method == "GET":
                return 200, {"schema": '"string"'}
            return super().__call__(method, path, body)

    with pytest.raises(RegistryFailed, match="but has another schema under it"):
        known_by(SETTINGS, Liar())


def test_shipped_ids_that_mean_another_schema_there_are_found() -> None:
    """They are given up, since a value with one would be read as what it is not."""
    assert known_by(SETTINGS, Fake(first=5_000, known={1004: "string"}))[1] == {1004}


ADOPTED = """
from schemas import codec
from schemas.events import Tick, Fact
from schemas.wire import IDS
tick = Tick(partition=1, at_ms=2, receipts_end=3, heartbeats_end=4)
"""


def run(code: str) -> str:
    """Runs code in a process of its own, since a process adopts once."""
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_adopted_ids_are_written_and_both_are_read() -> None:
    """Values of before, and of clients without a registry, stay readable."""
    code = f"""{ADOPTED}
before = codec.encode(tick)
codec.adopt({{number: number - 990 for number in IDS.values()}})
after = codec.encode(tick)
assert after[:5] == b"\\x00" + (IDS[Tick] - 990).to_bytes(4, "big"), after
assert codec.decode(before, (Tick,)) == codec.decode(after, (Tick,)) == tick
print("ok")
"""
    assert run(code) == "ok"


def test_taken_ids_are_read_no_more() -> None:
    """A shipped id that means another schema to the registry is unknown."""
    code = f"""{ADOPTED}
before = codec.encode(tick)
codec.adopt({{number: number + 5000 for number in IDS.values()}}, {{IDS[Tick]}})
try:
    codec.decode(before, (Tick,))
except codec.Undecodable as refusal:
    print(refusal.code)
"""
    assert run(code) == "unknown_schema"


def test_an_id_of_two_meanings_is_refused() -> None:
    """A registry may have given a shipped id to another of our records; nothing is changed then."""
    code = f"""{ADOPTED}
before = codec.encode(tick)
try:
    codec.adopt({{number: IDS[Fact] if number == IDS[Tick] else number + 5000 for number in IDS.values()}})
except ValueError as clash:
    print(clash, codec.encode(tick) == before)
"""
    assert run(code) == (
        "the registry's ids must not be shipped ones of other schemas,"
        " got 1006 for Tick, which is Fact's True"
    )


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of somebody who takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_registry_that_does_not_answer_is_told(silent: str) -> None:
    """Slow is told as down is, by its address, without its password."""
    with pytest.raises(RegistryFailed, match=f"{silent} did not answer within 0.2 s"):
        adopt(Settings(registry=silent), patience_s=0.2)
    with pytest.raises(RegistryFailed, match=r"http://127.0.0.1:1 did not answer within 0.1 s: .*refused"):
        adopt(Settings(registry="http://me:secret@127.0.0.1:1"), patience_s=0.1)
    assert shown("https://me:secret@host/path/") == "https://host/path"


def test_without_a_registry_nothing_happens() -> None:
    """No connection is tried."""
    adopt(Settings(), patience_s=0)


@pytest.mark.parametrize("found", ["registry:8081", "ftp://host", "http://", "http://host?x=1"])
def test_a_registry_must_be_a_url(found: str) -> None:
    """A setting that is none is refused with its value."""
    with pytest.raises(BadSetting, match="registry must be the address of a schema registry"):
        resolve({"registry": found}, {}, None)


def test_our_own_is_one_to_register_with() -> None:
    """The ids of `jobstream registry` are the shipped ones; its port cannot be had twice."""
    with serving(Topics(), "127.0.0.1:0") as address:
        script = f"""
from schemas import codec, registered
from schemas.settings import Settings
from schemas.wire import IDS
registered.adopt(Settings(registry="http://{address}/"), patience_s=10)
registered.adopt(Settings(registry="http://{address}/"), patience_s=10)
print(all(codec._WRITERS[kind][0][1:] == number.to_bytes(4, "big") for kind, number in IDS.items()))
try:
    registered.adopt(Settings(registry="http://other:1"), patience_s=0)
except registered.RegistryFailed as refusal:
    print(refusal)
"""
        assert run(script) == f"True\na process has one registry, got http://other:1 after http://{address}"
        with pytest.raises(CannotListen, match="the registry cannot listen"), serving(Topics(), address):
            pass
