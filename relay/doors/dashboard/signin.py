"""Who sits at the browser: a cookie that stands for a token, and a word in each form that only
our pages know.

The cookie has no token in it, only its SHA-256, an end, and a signature; a token that is taken out of the
file is worth nothing at once. Pure but for the clock and chance that are given.
"""

import base64
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from relay.core.tokens import EVERYTHING, Credential, Denied, Grant, Tokens
from relay.doors.http.problem import Problem

COOKIE = "jobstream_session"
SAID = "jobstream_said"
"""Carries what an action did to the page that comes next."""

SESSION_S = 12 * 3_600
"""How long a sign-in lasts."""

SAID_S = 30
SAID_CHARS_MAX = 1_000

OPEN = "open"
"""Whom the cookie stands for where there are no tokens."""

_COOKIE = re.compile(r"(open|[0-9a-f]{64})\.([0-9a-f]{16})\.(\d{1,12})\.([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True)
class Visitor:
    """Who asks, and the word that their forms must bring."""

    grant: Grant
    cookie: str
    word: str
    signed_in: bool
    """By a token; False where nobody needs one."""


class SignIn:
    """Makes and reads the cookies."""

    def __init__(self, tokens: Callable[[], Tokens], secret: bytes, now_s: Callable[[], int]) -> None:
        """`tokens` are those in force when asked; `secret` signs; `now_s` is the clock, epoch seconds."""
        self._tokens = tokens
        self._key = hmac.digest(secret, b"jobstream dashboard", "sha256")
        self._now_s = now_s

    @property
    def needed(self) -> bool:
        """Whether a token is needed to look."""
        return bool(self._tokens())

    def by_token(self, token: str) -> Visitor:
        """Signs in. Denied if the token is not known."""
        shown = Credential.of(token.strip())
        self._tokens().grant(shown)
        return self._made(shown.digest)

    def anybody(self) -> Visitor:
        """A visitor of a service without tokens."""
        assert not self.needed
        return self._made(OPEN)

    def of(self, cookie: str | None) -> Visitor | None:
        """Whom a cookie stands for; None if it is none of ours, is over, or its token is known no more."""
        match = _COOKIE.fullmatch(cookie or "")
        if match is None or cookie is None:
            return None
        subject, _, ends_s, signature = match.groups()
        if not hmac.compare_digest(signature, self._signed(cookie.rpartition(".")[0])):
            return None
        grant = self._grant(subject)
        if grant is None or int(ends_s) < self._now_s():
            return None
        return Visitor(grant, cookie, self._signed(f"form {cookie}"), subject != OPEN)

    def check_word(self, visitor: Visitor, word: str) -> None:
        """Problem 403 unless a form comes from a page of this visitor."""
        if not hmac.compare_digest(visitor.word.encode(), word.encode("utf-8", "replace")):
            sentence = (
                "the form is not from a page of yours, or too old; go back, load the page again and repeat"
            )
            raise Problem(HTTPStatus.FORBIDDEN, sentence, "bad_form")

    def say(self, sentence: str) -> str:
        """The value of a cookie that carries a sentence to the next page."""
        text = base64.urlsafe_b64encode(sentence[:SAID_CHARS_MAX].encode("utf-8", "replace")).decode()
        return f"{text}.{self._signed(f'said {text}')}"

    def said(self, cookie: str | None) -> str | None:
        """The sentence in it; None if there is none that we wrote."""
        text, _, signature = (cookie or "").partition(".")
        if not text or not hmac.compare_digest(
            signature.encode("utf-8", "replace"), self._signed(f"said {text}").encode()
        ):
            return None
        return base64.urlsafe_b64decode(text).decode("utf-8", "replace")

    def _grant(self, subject: str) -> Grant | None:
        if subject == OPEN:
            return None if self.needed else EVERYTHING
        try:
            return self._tokens().grant(Credential(subject)) if self.needed else None
        except Denied:
            return None

    def _made(self, subject: str) -> Visitor:
        text = f"{subject}.{secrets.token_hex(8)}.{self._now_s() + SESSION_S}"
        visitor = self.of(f"{text}.{self._signed(text)}")
        assert visitor is not None
        return visitor

    def _signed(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "surrogateescape"), "sha256").hexdigest()
