"""The tables have what the records have, and the connectors are told what keeps the rows right."""

import json
import re
from dataclasses import replace

import pytest

from jobstream.connect import connectors, names
from jobstream.connect.connectors import Place
from jobstream.connect.names import Database
from jobstream.connect.rest import cause
from jobstream.connect.tables import TABLES
from schemas.settings import BadSetting
from schemas.topics import Topics
from tests.tidy.source import ROOT

GIVEN = "${env:X}"
TYPES = {"string": "text", "long": "bigint", "int": "integer", "bytes": "bytea", "boolean": "boolean"}
PLACE = Place(
    Topics("shop."),
    Database.of("postgresql://me:s3cret@db-1:5433/shop?sslmode=require"),
    "jobs",
    "http://registry:8080/apis/ccompat/v7",
)


def columns(table: str) -> dict[str, str]:
    """The columns of a table with their types, as tables.sql makes it."""
    text = TABLES.read_text().split(f"create table if not exists {table} (\n")[1].split("\n)")[0]
    found = re.findall(r"^    (\w+) +(\w+)", text, re.MULTILINE)
    return {column: kind for column, kind in found if column not in ("at", "primary")}


def kind(field: dict[str, object]) -> str:
    """The type of the column of a field."""
    found = field["type"]
    return TYPES[next(each for each in found if each != "null") if isinstance(found, list) else str(found)]


@pytest.mark.parametrize(("table", "record"), [("facts", "Fact"), ("dead_letters", "DeadLetter")])
def test_columns_are_fields(table: str, record: str) -> None:
    """A column has a field's name and its type. One for a field that came later is made by the sink."""
    schema = json.loads((ROOT / "schemas" / "avro" / f"{record}.avsc").read_text())
    wanted = {field["name"]: kind(field) for field in schema["fields"]}
    assert columns(table).items() <= ({"record_offset": "bigint"} | wanted).items()


def test_the_sink_reads_what_was_committed_and_writes_by_place() -> None:
    """What a transaction took back is not read, nothing is skipped, a row's key is its place in the log."""
    told = connectors.sink(PLACE)
    assert told["consumer.override.isolation.level"] == "read_committed"
    assert told["consumer.override.auto.offset.reset"] == "earliest"
    assert told["topics"] == "shop.facts,shop.dead"
    assert (told["insert.mode"], told["primary.key.fields"]) == ("upsert", "partition,record_offset")
    assert told["errors.deadletterqueue.topic.name"] == "shop.connect.refused"
    assert told["collection.name.format"] == "jobs.${topic}"


def test_the_database_as_java_and_as_libpq_name_it() -> None:
    """One URL leads to both addresses; where it is told, its password is not."""
    told = connectors.sink(PLACE)
    assert told["connection.url"].startswith(
        "jdbc:postgresql://db-1:5433/shop?sslmode=require&currentSchema=jobs&"
    )
    assert (told["connection.username"], told["connection.password"]) == ("me", "s3cret")
    assert PLACE.database.url == "postgresql://me:s3cret@db-1:5433/shop?sslmode=require"
    assert "s3cret" not in PLACE.database.shown


def test_a_password_that_connect_fills_in() -> None:
    """It reaches the connector as it was given, and libpq not at all."""
    given = "${env:PGPASSWORD}"
    database = Database.of(f"postgresql://me:{given}@db-1/shop")
    assert database.password == given
    assert database.url == "postgresql://me@db-1:5432/shop"


@pytest.mark.parametrize(
    "url", ["db-1:5432", "mysql://me@db/x", "postgresql://me:s3cret@db", "postgresql://h:99999/x"]
)
def test_what_is_no_database(url: str) -> None:
    """It is refused with a sentence, and without its password."""
    with pytest.raises(BadSetting, match="database must be postgresql://") as refused:
        Database.of(url)
    assert "s3cret" not in str(refused.value)


def test_connectors_are_told_where_the_password_is() -> None:
    """Their settings are in Kafka, and Connect shows them to whoever asks."""
    for place, told in ((PLACE, "s3cret"), (replace(PLACE, password=GIVEN), GIVEN)):
        assert connectors.sink(place)["connection.password"] == told
        assert connectors.outbox(place)["database.password"] == told


def test_a_schema_needs_no_quotes() -> None:
    """A name that would need quotes is refused."""
    assert names.schema("jobs_2") == "jobs_2"
    with pytest.raises(BadSetting, match="schema must match"):
        names.schema("jobs; drop table jobs")


@pytest.mark.parametrize(
    ("registry", "asked"),
    [
        ("http://registry:8080/apis/ccompat/v7", "http://registry:8080/apis/registry/v2"),
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081/apis/registry/v2"),
        ("http://127.0.0.1:8088/registry/", "http://127.0.0.1:8088/registry/apis/registry/v2"),
    ],
)
def test_where_the_converter_asks(registry: str, asked: str) -> None:
    """Apicurio's converter asks Apicurio's own API, of Apicurio or of our registry."""
    told = connectors.sink(Place(PLACE.topics, PLACE.database, PLACE.schema, registry))
    assert told["value.converter.apicurio.registry.url"] == asked


def test_confluents_converter_asks_confluents_registry() -> None:
    """Whoever has that converter may use it."""
    place = Place(PLACE.topics, PLACE.database, PLACE.schema, "http://registry:8081", confluent=True)
    told = connectors.sink(place)
    assert told["value.converter"] == "io.confluent.connect.avro.AvroConverter"
    assert told["value.converter.schema.registry.url"] == "http://registry:8081"


def test_the_root_of_a_trace() -> None:
    """Of a Java trace, people want the last cause, and not its frames."""
    trace = (
        "a.B: no\n\tat a.B.c(B.java:1)\nCaused by: org.postgresql.PSQLException: full\n\tat x\n\t... 3 more\n"
    )
    assert cause(trace) == "org.postgresql.PSQLException: full"
    assert cause("a.B: no\n\tat x") == "a.B: no"
    assert cause("") == ""
