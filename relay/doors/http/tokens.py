"""Who may do what: bearer tokens with scopes and queues. Pure; whoever has the file reads it.

A file of tokens holds no token, only the SHA-256 of each, so that it may be read by whoever operates:

    [ci]
    sha256 = "<hex>"              # printf %s "$TOKEN" | sha256sum
    scopes = ["submit", "read"]   # submit, read, operate, admin; admin may do everything
    queues = ["mail"]             # all queues if left out
"""

import hashlib
import hmac
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from relay.doors.http.problem import Problem
from schemas.names import BadName, check_queue

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FIELDS = frozenset({"sha256", "scopes", "queues"})


class Scope(StrEnum):
    """What a token is for."""

    SUBMIT = "submit"  # ask for jobs
    READ = "read"  # look at jobs, queues, facts
    OPERATE = "operate"  # cancel, retry, redrive, schedules, receipts without the attempt's token
    ADMIN = "admin"  # everything, in every queue


class BadTokens(ValueError):
    """A file of tokens that cannot be; the text is a sentence."""


@dataclass(frozen=True)
class Grant:
    """What who asks may do."""

    name: str
    scopes: frozenset[Scope]
    queues: frozenset[str] | None = None
    """None: all of them."""

    def check(self, scope: Scope, queue: str | None = None) -> None:
        """Problem 403 unless it may do that, in that queue; None: in any or in all of them."""
        if Scope.ADMIN in self.scopes:
            return
        if scope not in self.scopes:
            has = ", ".join(sorted(self.scopes))
            raise Problem(HTTPStatus.FORBIDDEN, f"token {self.name} must have the scope {scope}, has {has}")
        if self.queues is not None and queue is not None and queue not in self.queues:
            has = ", ".join(sorted(self.queues))
            raise Problem(HTTPStatus.FORBIDDEN, f"token {self.name} is for the queues {has}, got {queue}")

    def sees(self, queue: str | None) -> bool:
        """Whether it may be told of a queue."""
        return Scope.ADMIN in self.scopes or self.queues is None or queue in self.queues


EVERYTHING = Grant("nobody", frozenset({Scope.ADMIN}))
"""For a service without tokens, which listens on loopback."""


class Tokens:
    """The tokens of a service; none: everybody may do everything."""

    def __init__(self, grants: Mapping[str, Grant]) -> None:
        """`grants` by the SHA-256 of their token, in hex."""
        self._grants = dict(grants)

    def __bool__(self) -> bool:
        return bool(self._grants)

    def grant(self, authorization: str | None) -> Grant:
        """What the header `Authorization` allows. Problem 401 without a token that is known."""
        if not self._grants:
            return EVERYTHING
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise _unauthorized("the header Authorization must be `Bearer <token>`")
        digest = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).hexdigest()
        found = [grant for known, grant in self._grants.items() if hmac.compare_digest(known, digest)]
        if not found:
            raise _unauthorized("the bearer token is not known here")
        return found[0]


def read_tokens(text: str) -> Tokens:
    """The tokens of a file. BadTokens with a sentence else."""
    try:
        file = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadTokens(f"the tokens must be TOML: {error}") from None
    grants: dict[str, Grant] = {}
    for name, entry in file.items():
        digest, grant = _read(name, entry)
        if digest in grants:
            raise BadTokens(f"tokens must differ, got the same for {grants[digest].name} and {name}")
        grants[digest] = grant
    if not grants:
        raise BadTokens("a file of tokens must have one at least, got none")
    return Tokens(grants)


def _read(name: str, entry: Any) -> tuple[str, Grant]:
    if not isinstance(entry, dict) or (unknown := entry.keys() - _FIELDS):
        found = f"the field {min(unknown)}" if isinstance(entry, dict) else repr(entry)
        raise BadTokens(f"token {name} must be a table with sha256, scopes and queues, got {found}")
    digest, scopes, queues = entry.get("sha256"), entry.get("scopes"), entry.get("queues")
    if not isinstance(digest, str) or _SHA256.fullmatch(digest) is None:
        raise BadTokens(f"sha256 of token {name} must be 64 digits in lowercase hex, got {digest!r:.80}")
    if not isinstance(scopes, list) or not scopes or not set(scopes) <= set(Scope):
        raise BadTokens(f"scopes of token {name} must be some of {', '.join(Scope)}, got {scopes!r:.80}")
    if queues is not None and not (isinstance(queues, list) and queues):
        raise BadTokens(f"queues of token {name} must be a list of names or left out, got {queues!r:.80}")
    try:
        for queue in queues or ():
            check_queue(queue)
    except BadName as error:
        raise BadTokens(f"token {name}: {error}") from None
    allowed = None if queues is None else frozenset(queues)
    return digest, Grant(name, frozenset(Scope(scope) for scope in scopes), allowed)


def _unauthorized(sentence: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, sentence, headers={"WWW-Authenticate": "Bearer"})
