"""The tables: makes them, or brings them up to this release; and the outbox, for whoever wants one.

Owns `tables.sql` and `outbox.sql`, and the one connection that runs them. What is in them is the sink's.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from jobstream.connect.names import Database
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
    import psycopg

    with _connect(database, patience_s) as connection:
        try:
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"set search_path to {schema}")
            for file in (TABLES, OUTBOX) if with_outbox else (TABLES,):
                connection.execute(file.read_bytes())
        except psycopg.Error as refused:
            raise DatabaseFailed(f"{database.shown} refuses the tables: {_said(refused)}") from None


def make_database(server: Database, name: str, *, patience_s: float) -> None:
    """Makes a database on a server that was just made, if it is not there."""
    from psycopg import sql

    with _connect(server, patience_s, autocommit=True) as connection:
        known = connection.execute("select from pg_database where datname = %s", (name,)).fetchone()
        if known is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


def _connect(
    database: Database, patience_s: float, *, autocommit: bool = False
) -> "psycopg.Connection[tuple[object, ...]]":
    try:
        import psycopg
    except ImportError:
        raise DatabaseFailed("this needs the extra sql (pip install 'jobstream[sql]')") from None
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
