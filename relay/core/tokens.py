"""Who may do what: bearer tokens and certificates, with scopes, queues and functions. Pure; whoever has the
file reads it.

A file of tokens holds no token, only the SHA-256 of each, so that it may be read by whoever operates:

    [ci]
    sha256 = "<hex>"              # printf %s "$TOKEN" | sha256sum
    scopes = ["submit", "read"]   # submit, read, operate, run, admin; admin may do everything
    queues = ["mail"]             # all queues if left out
    functions = ["mail.*"]        # all functions if left out; of `submit` and `run`

An entry with `certificate` in place of `sha256` is for whoever shows a certificate with that name.
"""

import hashlib
import hmac
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from schemas.names import BadName, check_function, check_queue

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FIELDS = frozenset({"sha256", "certificate", "scopes", "queues", "functions"})
_CERTIFICATE_CHARS_MAX = 253
_ANY = "*"
"""Ends a pattern of functions: whatever begins so."""


class Scope(StrEnum):
    """What a token is for."""

    SUBMIT = "submit"  # ask for jobs
    READ = "read"  # look at jobs, queues, facts
    OPERATE = "operate"  # cancel, retry, redrive, schedules, receipts without the attempt's token
    RUN = "run"  # be a minion: take jobs, see their arguments, say how they ended
    ADMIN = "admin"  # everything, in every queue


class BadTokens(ValueError):
    """A file of tokens that cannot be; the text is a sentence."""


class Denied(Exception):
    """Who asks may not. `known`: it is known who that is."""

    def __init__(self, sentence: str, *, known: bool) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.known = known


@dataclass(frozen=True)
class Grant:
    """What who asks may do."""

    name: str
    scopes: frozenset[Scope]
    queues: frozenset[str] | None = None
    """None: all of them."""
    functions: frozenset[str] | None = None
    """Names, and beginnings of names with a star behind; None: all of them."""

    @property
    def everything(self) -> bool:
        """Whether nothing is forbidden."""
        return Scope.ADMIN in self.scopes

    def check(self, scope: Scope, queue: str | None = None, function: str | None = None) -> None:
        """Denied unless it may do that, in that queue, with that function; None: in any or in all of them."""
        if self.everything:
            return
        if scope not in self.scopes:
            has = ", ".join(sorted(self.scopes))
            raise Denied(f"token {self.name} must have the scope {scope}, has {has}", known=True)
        if self.queues is not None and queue is not None and queue not in self.queues:
            has = ", ".join(sorted(self.queues))
            raise Denied(f"token {self.name} is for the queues {has}, got {queue:.80}", known=True)
        if self.functions is not None and function is not None and not self._has(function):
            has = ", ".join(sorted(self.functions))
            raise Denied(f"token {self.name} is for the functions {has}, got {function:.80}", known=True)

    def sees(self, queue: str | None) -> bool:
        """Whether it may be told of a queue."""
        return self.everything or self.queues is None or queue in self.queues

    def _has(self, function: str) -> bool:
        assert self.functions is not None
        return function in self.functions or any(
            pattern.endswith(_ANY) and function.startswith(pattern[:-1]) for pattern in self.functions
        )


EVERYTHING = Grant("nobody", frozenset({Scope.ADMIN}))
"""For a service without tokens, which listens on loopback."""


@dataclass(frozen=True)
class Credential:
    """What who asks shows, without the token itself: its SHA-256 in hex, empty if there is none, and the
    names in a certificate that was verified.
    """

    digest: str = field(default="", repr=False)
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, token: str, names: Iterable[str] = ()) -> Self:
        """From the token itself."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest() if token else ""
        return cls(digest, frozenset(names))


class Tokens:
    """The tokens of a service; none: everybody may do everything."""

    def __init__(self, grants: Mapping[str, Grant], certificates: Mapping[str, Grant] | None = None) -> None:
        """`grants` by the SHA-256 of their token, in hex; `certificates` by the names in them."""
        self._grants = dict(grants)
        self._certificates = dict(certificates or {})

    def __bool__(self) -> bool:
        return bool(self._grants or self._certificates)

    def grant(self, shown: Credential) -> Grant:
        """What a token allows, or, without one, a certificate. Denied if neither is known."""
        if not self:
            return EVERYTHING
        if not shown.digest:
            found = [self._certificates[name] for name in shown.names if name in self._certificates]
            if found:
                return found[0]
            names = ", ".join(sorted(shown.names))
            certificate = f"the certificate of {names:.100} is not known here, and " if names else ""
            raise Denied(f"{certificate}a token is wanted, got none", known=False)
        equal = [grant for known, grant in self._grants.items() if hmac.compare_digest(known, shown.digest)]
        if not equal:
            raise Denied("the token is not known here", known=False)
        return equal[0]


def read_tokens(text: str) -> Tokens:
    """The tokens of a file. BadTokens with a sentence else."""
    try:
        file = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadTokens(f"the tokens must be TOML: {error}") from None
    grants: dict[str, Grant] = {}
    certificates: dict[str, Grant] = {}
    for name, entry in file.items():
        grant = _read(name, entry)
        known, whose = (
            (grants, _digest(name, entry)) if "sha256" in entry else (certificates, _certificate(name, entry))
        )
        if whose in known:
            raise BadTokens(f"tokens must differ, got the same for {known[whose].name} and {name}")
        known[whose] = grant
    if not file:
        raise BadTokens("a file of tokens must have one at least, got none")
    return Tokens(grants, certificates)


def _digest(name: str, entry: Mapping[str, Any]) -> str:
    digest = entry["sha256"]
    if not isinstance(digest, str) or _SHA256.fullmatch(digest) is None:
        raise BadTokens(f"sha256 of token {name} must be 64 digits in lowercase hex, got {digest!r:.80}")
    if "certificate" in entry:
        raise BadTokens(f"token {name} must have sha256 or certificate, got both")
    return digest


def _certificate(name: str, entry: Mapping[str, Any]) -> str:
    found = entry.get("certificate")
    if not isinstance(found, str) or not 0 < len(found) <= _CERTIFICATE_CHARS_MAX:
        raise BadTokens(
            f"token {name} must have sha256, or certificate with a name that is in it, got {found!r:.80}"
        )
    return found


def _read(name: str, entry: Any) -> Grant:
    if not isinstance(entry, dict) or (unknown := entry.keys() - _FIELDS):
        found = f"the field {min(unknown)}" if isinstance(entry, dict) else repr(entry)
        raise BadTokens(
            f"token {name} must be a table with sha256, scopes, queues and functions, got {found}"
        )
    scopes = entry.get("scopes")
    if not isinstance(scopes, list) or not scopes or not set(map(str, scopes)) <= set(Scope):
        raise BadTokens(f"scopes of token {name} must be some of {', '.join(Scope)}, got {scopes!r:.80}")
    queues, functions = _names(name, entry, "queues"), _names(name, entry, "functions")
    try:
        for queue in queues or ():
            check_queue(queue)
        for function in functions or ():
            check_function(function.removesuffix(_ANY) or function)
    except BadName as error:
        raise BadTokens(f"token {name}: {error}") from None
    return Grant(name, frozenset(Scope(scope) for scope in scopes), queues, functions)


def _names(name: str, entry: Mapping[str, Any], what: str) -> frozenset[str] | None:
    found = entry.get(what)
    if found is None:
        return None
    if not isinstance(found, list) or not found or not all(isinstance(each, str) for each in found):
        raise BadTokens(f"{what} of token {name} must be a list of names or left out, got {found!r:.80}")
    return frozenset(found)
