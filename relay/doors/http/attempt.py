"""The token of an attempt: what a function behind a URL is given, so that its receipt can be believed. Pure.

It names the lease and carries a signature (HMAC-SHA256) of who gave it, so any gateway with the same secret
takes the receipt and none keeps a list. Another attempt's token is out of date by its epoch; that is the
state machine's to find.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from http import HTTPStatus

from relay.doors.http.problem import Problem

TOKEN_CHARS_MAX = 2_000


@dataclass(frozen=True)
class Attempt:
    """One lease of a job."""

    job: str
    key: str
    partition: int
    queue: str
    function: str
    attempt: int
    epoch: int
    assigned_at_ms: int
    timeout_ms: int
    minion: str


def sign(attempt: Attempt, secret: bytes) -> str:
    """The token of an attempt."""
    body = json.dumps(list(asdict(attempt).values()), separators=(",", ":")).encode()
    return f"{_packed(body)}.{_packed(_signature(body, secret))}"


def verify(token: str, job: str, secret: bytes) -> Attempt:
    """The attempt that a token names. Problem 403 unless we gave it, for this job."""
    body, _, signature = token[:TOKEN_CHARS_MAX].partition(".")
    try:
        raw = _unpacked(body)
        if hmac.compare_digest(_unpacked(signature), _signature(raw, secret)):
            attempt = Attempt(*json.loads(raw))
            if attempt.job == job:
                return attempt
    except (ValueError, TypeError, binascii.Error):
        pass
    raise Problem(HTTPStatus.FORBIDDEN, f"token must be the one that came with an attempt of job {job:.200}")


def _signature(body: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, body, hashlib.sha256).digest()


def _packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unpacked(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
