"""The tables: makes them, or brings them up to this release; and the outbox, for whoever wants one.

Owns `tables.sql` and `outbox.sql`, and the one connection that runs them. What is in them is the sink's.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from jobstream.connect.names import Database, slot
from jobstream.errors import JobstreamError

if TYPE_CHECKING:
    import psycopg

TABLES = Path(__file__).with_name("tables.sql")
OUTBOX = Path(__file__).with_name("outbox.sql")
CONNECT_S = 5
PAUSE_S = 0.2


class DatabaseFailed(JobstreamError):
    """The database does not answer, or refuses; a sentence with its address, without a password."""


def apply(database: Database, schema: str, *, with_outbox: bool = False, patience_s: float = 0) -> None:
    """Makes the schema and its tables where they are missing, and replaces functions and triggers.

    Safe to call at any time, also while the sink writes. The database itself must be there.

    Raises:
        DatabaseFailed: Not within `patience_s`, or it was refused.
    """
    insist_on_driver()
    import psycopg

    with _connect(database, patience_s) as connection:
        try:
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"set search_path to {schema}")
            for file in (TABLES, OUTBOX) if with_outbox else (TABLES,):
                connection.execute(file.read_bytes())
        except psycopg.Error as refused:
            raise DatabaseFailed(f"{database.shown} refuses the tables: {_said(refused)}") from None


def insist_on_driver() -> None:
    """Returns if there is a client of PostgreSQL's.

    Raises:
        DatabaseFailed: There is none.
    """
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise DatabaseFailed("this needs the extra sql (pip install 'jobstream[sql]')") from None


def make_database(server: Database, name: str, *, patience_s: float) -> None:
    """Makes a database on a server that was just made, if it is not there."""
    from psycopg import sql

    with _connect(server, patience_s, autocommit=True) as connection:
        known = connection.execute("select from pg_database where datname = %s", (name,)).fetchone()
        if known is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


def slots(database: Database) -> list[tuple[str, bool, int]]:
    """Of each slot that an outbox of this database may be read through: its name, whether somebody does now,
    and how many bytes of the database's log are kept for it.

    Raises:
        DatabaseFailed: It does not answer, or refuses.
    """
    insist_on_driver()
    import psycopg

    query = """
        select slot_name::text, active,
            coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint
        from pg_replication_slots where database = current_database() and slot_name like %s order by 1"""
    with _connect(database, 0) as connection:
        try:
            found = connection.execute(query, ("%" + slot("").replace("_", r"\_"),)).fetchall()
        except psycopg.Error as refused:
            raise DatabaseFailed(f"{database.shown} does not tell of its slots: {_said(refused)}") from None
    return [(str(name), bool(active), int(str(kept))) for name, active, kept in found]


def _connect(
    database: Database, patience_s: float, *, autocommit: bool = False
) -> "psycopg.Connection[tuple[object, ...]]":
    import psycopg

    ends_s = time.monotonic() + patience_s
    while True:
        try:
            return psycopg.connect(database.url, connect_timeout=CONNECT_S, autocommit=autocommit)
        except psycopg.Error as refused:
            if time.monotonic() > ends_s:
                raise DatabaseFailed(f"{database.shown} does not answer: {_said(refused)}") from None
        time.sleep(PAUSE_S)


def _said(error: "psycopg.Error") -> str:
    return " ".join(str(error).split())[:400]
