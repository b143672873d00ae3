"""What things are called: connectors, their topics, and the database's address. Pure."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, unquote, urlsplit

from schemas.settings import BadSetting

SCHEMA = "jobstream"
"""The schema of the database that has the tables, unless another is named."""
SCHEMA_PATTERN = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
PLACEHOLDER = "${"
"""What a password begins with that Connect fills in itself (KIP-297)."""
FROM_ENVIRONMENT = "${env:PGPASSWORD}"
"""The password in the environment of the worker, where libpq has it too."""


def sink(prefix: str) -> str:
    """The connector that writes facts and dead letters into tables."""
    return f"{prefix}sql"


def outbox(prefix: str) -> str:
    """The connector that reads requests from a table."""
    return f"{prefix}outbox"


def refused(prefix: str) -> str:
    """The topic of records that the sink could not take, with the reason in their headers."""
    return f"{prefix}connect.refused"


def heartbeats(prefix: str) -> str:
    """What the topic of the outbox connector's signs of life begins with."""
    return f"{prefix}connect.heartbeats"


def slot(schema: str) -> str:
    """The outbox connector's slot and publication in the database."""
    return f"{schema}_outbox"


def group(prefix: str) -> str:
    """The group of the Connect workers, and what their own topics begin with."""
    return f"{prefix}connect"


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database as its URL names it (libpq's connection URIs)."""

    host: str
    port: int
    name: str
    user: str
    password: str
    query: str
    """Parameters, as `sslmode=require`."""

    @classmethod
    def of(cls, url: str) -> Self:
        """Reads `postgresql://user:password@host:port/name?parameters`.

        Raises:
            BadSetting: It is none.
        """
        parts = urlsplit(url)
        try:
            port = parts.port or 5432
        except ValueError:
            port = 0
        name = unquote(parts.path.removeprefix("/"))
        if parts.scheme not in ("postgresql", "postgres") or not (parts.hostname and port and name):
            told = re.sub(r"//[^@/]*@", "//...@", url)
            raise BadSetting(f"database must be postgresql://user:password@host:port/name, got {told!r:.200}")
        user, password = unquote(parts.username or name), unquote(parts.password or "")
        return cls(parts.hostname, port, name, user, password, parts.query)

    @property
    def jdbc(self) -> str:
        """The address for a Java driver, without the user and the password."""
        return f"jdbc:postgresql://{self._place}"

    @property
    def url(self) -> str:
        """The address for libpq. A password that Connect fills in is left to PGPASSWORD or .pgpass."""
        password = (
            ""
            if self.password.startswith(PLACEHOLDER) or not self.password
            else f":{quote(self.password, '')}"
        )
        return f"postgresql://{quote(self.user, '')}{password}@{self._place}"

    @property
    def shown(self) -> str:
        """The address as it may be told."""
        return f"postgresql://{quote(self.user, '')}@{self._place}"

    @property
    def _place(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        query = f"?{self.query}" if self.query else ""
        return f"{host}:{self.port}/{quote(self.name, '')}{query}"


def schema(found: str) -> str:
    """A name of a schema that needs no quotes.

    Raises:
        BadSetting: It cannot be one.
    """
    if SCHEMA_PATTERN.fullmatch(found) is None:
        raise BadSetting(f"schema must match {SCHEMA_PATTERN.pattern}, got {found!r:.100}")
    return found
