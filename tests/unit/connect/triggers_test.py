"""What facts make of jobs, attempts, schedules and dead letters, in a PostgreSQL without Kafka."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from jobstream.cluster import free_port
from jobstream.connect import names, postgres, rescue, tables
from jobstream.connect.applying import Keeper
from jobstream.connect.connectors import Place
from jobstream.connect.names import Database
from jobstream.connect.rest import Worker
from schemas.events import Fact
from schemas.topics import Topics
from tests.fakes.connect import fake_connect
from tests.waiting import eventually

pytestmark = pytest.mark.slow

START_S = 60.0
T0_MS = 1_795_000_000_000
Connection = psycopg.Connection[dict[str, Any]]
CONFLICT = "on conflict (partition, record_offset) do update set at_ms = excluded.at_ms"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a database with the tables. Made twice, as by an upgrade."""
    folder = Path(tempfile.mkdtemp(prefix="jobstream-sql-"))
    folder.chmod(0o755)  # a database of root's runs as another user
    port = free_port()
    database = Database.of(postgres.url(port))
    try:
        running = postgres.start(folder / "data", folder / "log", port)
    except postgres.PostgresMissing as missing:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(missing))
    try:
        tables.make_database(replace(database, name="postgres"), database.name, patience_s=START_S)
        for _ in range(2):
            tables.apply(database, "jobstream", with_outbox=True)
        yield database.url
    finally:
        running.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def connection(server: str) -> Iterator[Connection]:
    """A transaction that is taken back."""
    with psycopg.connect(server, row_factory=dict_row, options="-c search_path=jobstream") as one:
        yield one
        one.rollback()


def write(connection: Connection, *rows: dict[str, Any], table: str = "facts") -> None:
    """Writes rows in one statement, as the sink does."""
    names = sorted({name for row in rows for name in row})
    places = ", ".join(["(" + ", ".join(["%s"] * len(names)) + ")"] * len(rows))
    query = f"insert into {table} ({', '.join(names)}) values {places} {CONFLICT}"  # noqa: S608  # names of our own
    connection.execute(query.encode(), [row.get(name) for row in rows for name in names])


def fact(
    offset: int, word: str, phase: str | None, epoch: int = 0, attempt: int = 0, **more: Any
) -> dict[str, Any]:
    """A fact a second after the one before."""
    about = {"partition": 0, "record_offset": offset, "fact": word, "job": "a", "key": "k", "phase": phase}
    return {**about, "epoch": epoch, "attempt": attempt, "at_ms": T0_MS + offset * 1000, **more}


def one(connection: Connection, query: str) -> dict[str, Any]:
    """The only row of a query."""
    (row,) = connection.execute(query.encode()).fetchall()
    return row


LOST = (
    fact(1, "admitted", "ready", 1, 1),
    fact(2, "started", "leased", 1, 1, minion="m-1", queued_ms=4),
    fact(3, "lost", "ready", 2, 2, minion="m-1", error_type="Lost"),
    fact(4, "succeeded", "succeeded", 2, 2, minion="m-2", run_ms=50, result=b"1", ended_at_ms=T0_MS + 4000),
)


@pytest.mark.parametrize("together", [True, False], ids=["in one statement", "one by one"])
def test_a_lost_attempt_and_its_successor(connection: Connection, *, together: bool) -> None:
    """A fact that offers the job again names the next epoch, and ends the attempt before."""
    for rows in [LOST] if together else [(row,) for row in LOST]:
        write(connection, *rows)
    first, second = connection.execute("select * from attempts order by epoch").fetchall()
    assert (first["attempt"], first["outcome"], first["error_type"]) == (1, "lost", "Lost")
    assert first["minion"] == "m-1"
    assert (second["attempt"], second["outcome"], second["minion"]) == (2, "succeeded", "m-2")
    assert (second["ended_at"] - second["started_at"]).total_seconds() == 0.05
    assert (first["queued_ms"], second["offered_at"]) == (4, first["ended_at"])
    job = one(connection, "select * from jobs")
    assert (job["phase"], job["attempt"], job["minion"], job["result"]) == ("succeeded", 2, "m-2", b"1")
    assert job["error_type"] is None


def test_what_is_written_again_changes_nothing(connection: Connection) -> None:
    """All of it again, and older facts alone: no row moves."""
    write(connection, *LOST)
    before = connection.execute("select * from jobs natural join attempts order by epoch").fetchall()
    write(connection, *LOST)
    write(connection, *LOST[:2])
    connection.execute("delete from facts")
    write(connection, *LOST[:2])
    assert connection.execute("select * from jobs natural join attempts order by epoch").fetchall() == before


def test_an_end_that_is_told_twice(connection: Connection) -> None:
    """A worker that crashed tells an end again, with less in it: what was known stays."""
    again = fact(5, "succeeded", "succeeded", 2, 2, ended_at_ms=T0_MS + 4000)
    write(connection, *LOST, again)
    write(connection, {**again, "record_offset": 6})
    attempt = one(connection, "select * from attempts where epoch = 2")
    assert (attempt["run_ms"], attempt["minion"], attempt["outcome"]) == (50, "m-2", "succeeded")
    assert one(connection, "select * from jobs")["result"] == b"1"


def test_what_the_service_forgets_stays(connection: Connection) -> None:
    """A job that was purged is in the table, with its last phase; a result whose time is over is not."""
    dropped, purged = fact(5, "result_dropped", "succeeded", 2, 2), fact(6, "purged", None, 2, 2)
    write(connection, *LOST, dropped, purged)
    job = one(connection, "select * from jobs")
    assert (job["phase"], job["result"]) == ("succeeded", None)
    assert job["purged_at"] is not None


def test_an_offer_that_nobody_ended(connection: Connection) -> None:
    """An offer that was made anew, without an end that is told, was taken back; refusals make no job."""
    rows = (
        fact(1, "admitted", "scheduled"),
        fact(2, "readied", "ready", 1, 1),
        fact(3, "readied", "ready", 2, 1),
        fact(4, "cancelled", "cancelled", 2, 1),
        fact(5, "rejected", None, job="other"),
        fact(6, "deduplicated", "cancelled", 2, 1, job="other"),
    )
    write(connection, *rows)
    outcomes = connection.execute("select epoch, outcome from attempts order by epoch").fetchall()
    assert [tuple(row.values()) for row in outcomes] == [(1, "taken_back"), (2, "cancelled")]
    assert one(connection, "select job from jobs")["job"] == "a"


@pytest.mark.parametrize("together", [True, False], ids=["in one statement", "one by one"])
def test_attempts_count_up(connection: Connection, *, together: bool) -> None:
    """Each retry is a row with its own number, and keeps the error it ended with."""
    story = (
        fact(1, "admitted", "ready", 1, 1),
        fact(2, "failed", "retrying", 1, 1, error_type="A", run_ms=1),
        fact(3, "readied", "ready", 2, 2),
        fact(4, "failed", "retrying", 2, 2, error_type="B", run_ms=1),
        fact(5, "readied", "ready", 3, 3),
        fact(6, "succeeded", "succeeded", 3, 3, run_ms=1),
    )
    for rows in [story] if together else [(row,) for row in story]:
        write(connection, *rows)
    found = connection.execute("select attempt, outcome, error_type from attempts order by epoch").fetchall()
    assert [tuple(row.values()) for row in found] == [
        (1, "failed", "A"),
        (2, "failed", "B"),
        (3, "succeeded", None),
    ]


def test_schedules_add_up(connection: Connection) -> None:
    """Fires are counted once each, whatever is written again; the state is the last one that was told."""
    rows = (
        fact(1, "schedule_saved", None, next_at_ms=T0_MS + 60_000),
        fact(2, "schedule_fired", None, fires=2, fire_until_ms=T0_MS, next_at_ms=T0_MS + 120_000),
        fact(3, "schedule_skipped", None, fires=1, next_at_ms=T0_MS + 120_000),
        fact(4, "schedule_paused", None),
    )
    write(connection, *rows[:2])
    connection.execute("delete from facts")
    write(connection, *rows)
    schedule = one(connection, "select * from schedules")
    assert (schedule["state"], schedule["fired"], schedule["skipped"]) == ("paused", 2, 1)
    assert connection.execute("select from jobs").fetchall() == []


def test_times_that_no_calendar_has(connection: Connection) -> None:
    """They are null: a trigger that failed would stop the sink."""
    early = {**fact(2, "purged", None), "at_ms": -1}
    write(connection, fact(1, "admitted", "ready", 1, 1, created_at_ms=2**62), early)
    assert one(connection, "select created_at from jobs")["created_at"] is None


def test_a_letter_is_kept_once(connection: Connection) -> None:
    """A death that is told again is no second letter; what became of it is written to the first."""
    letter = {
        "partition": 0,
        "job": "a",
        "key": "k",
        "function": "f",
        "queue": "q",
        "at_ms": 5,
        "reason": "r",
    }
    letter |= {"attempts": 1, "content_type": "c", "request": "{}", "errors": "[]", "redrive": "x"}
    for offset, settled in ((1, None), (2, None), (3, "redriven"), (1, None), (3, "redriven")):
        write(connection, {**letter, "record_offset": offset, "settled": settled}, table="dead_letters")
    kept = one(connection, "select record_offset, settled from dead_letters")
    assert kept == {"record_offset": 1, "settled": "redriven"}


def test_an_outbox_row_is_a_request(connection: Connection) -> None:
    """Its id is the job's, its key may be missing, and null arguments stay."""
    ask = "insert into outbox (function, args, options) values ('f', %s, %s)"
    connection.execute(ask, ('{"a": null}', '{"queue": "q"}'))
    row = one(connection, "select * from outbox")
    assert row["payload"] == {"id": str(row["id"]), "function": "f", "args": {"a": None}, "queue": "q"}
    assert row["aggregateid"] == str(row["id"])


def test_what_the_database_refuses(connection: Connection) -> None:
    """A record whose text has a NUL is refused with a reason, and the rows beside it are written."""
    told = Fact(fact="admitted", job="a", key="k", partition=0, at_ms=T0_MS, phase="ready")
    records = [told, replace(told, error_message="a\0b"), replace(told, job="b" * 200)]
    said = [rescue._refusal(connection, "facts", each, offset) for offset, each in enumerate(records)]
    assert [bool(why) for why in said] == [False, True, False]
    assert "NUL" in said[1]
    written = connection.execute("select record_offset from facts order by 1").fetchall()
    assert [row["record_offset"] for row in written] == [0, 2]


def test_what_is_written_for_the_sink_needs_no_column_that_it_would_make(connection: Connection) -> None:
    """A field that came later has one when the sink writes its first value."""
    connection.execute("alter table facts drop column replaced")
    told = Fact(fact="admitted", job="a", key="k", partition=0, at_ms=T0_MS, phase="ready")
    assert rescue._refusal(connection, "facts", told, 7) == ""
    assert one(connection, "select attempt from facts where record_offset = 7") == {"attempt": 0}


def test_a_sink_that_was_stopped_to_be_helped_goes_on(server: str) -> None:
    """Also if the worker dies meanwhile: it comes back with the sink stopped, and nobody else resumes it."""
    place = Place(Topics("x."), Database.of(server), "jobstream", "http://127.0.0.1:1")
    with fake_connect() as connect:
        keeper = Keeper(Worker(connect.address), place, "127.0.0.1:1", (names.sink("x."),), lambda _: None)
        connect.task = "FAILED"
        keeper.look()
        assert connect.told == ["restart"]
        connect.task, connect.away_after = "FAILED", "stop"

        def died() -> bool:
            keeper.look()
            return connect.away

        eventually(died)
        assert connect.state == "STOPPED"
        connect.away, connect.away_after = False, ""
        keeper.look()
    assert connect.told == ["restart", "stop", "resume"]
    assert (connect.state, connect.task) == ("RUNNING", "RUNNING")


def test_a_sink_is_not_stopped_while_the_database_is_away() -> None:
    """There is nothing to help it over then, and it takes longest to come back."""
    away = Database.of(postgres.url(free_port()))
    place = Place(Topics("x."), away, "jobstream", "http://127.0.0.1:1")
    with fake_connect() as connect, pytest.raises(psycopg.OperationalError):
        rescue.help_over(Worker(connect.address), place, "127.0.0.1:1")
    assert connect.told == []


def test_slots_of_outboxes_are_seen(server: str) -> None:
    """Which are read by nobody, and what the database keeps for them; not those of others."""
    with psycopg.connect(server, autocommit=True) as connection:
        for name in ("shop_outbox", "shopxoutbox"):
            connection.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", (name,))
        connection.execute("select pg_switch_wal()")
        [(name, read, kept)] = tables.slots(Database.of(server))
    assert (name, read) == ("shop_outbox", False)
    assert kept > 0
