"""Tokens over HTTP: the header that brings one, and the problem for who may not. Pure."""

from collections.abc import Callable
from http import HTTPStatus

from relay.core.tokens import Credential, Denied, Grant, Tokens
from relay.doors.http.problem import Problem


def grant_of(tokens: Tokens, authorization: str | None) -> Grant:
    """What the header `Authorization` allows. Denied without a token that is known."""
    kind, _, token = (authorization or "").partition(" ")
    if tokens and (kind.lower() != "bearer" or not token.strip()):
        raise Denied("the header Authorization must be `Bearer <token>`", known=False)
    return tokens.grant(Credential.of(token.strip()))


def problem_of(denied: Denied) -> Problem:
    """401 for who is not known, 403 for who may not do that."""
    if denied.known:
        return Problem(HTTPStatus.FORBIDDEN, denied.sentence)
    return Problem(HTTPStatus.UNAUTHORIZED, denied.sentence, headers={"WWW-Authenticate": "Bearer"})


class Lasting:
    """Whether who asked may go on as it began, for answers that go on for long: false once its token was
    taken away or means something else.
    """

    def __init__(self, tokens: Callable[[], Tokens], find: Callable[[], Grant | None]) -> None:
        """`find` is what who asked may do by the tokens in force, None if it is not known; it may raise
        Denied.
        """
        self._tokens = tokens
        self._find = find
        self._seen = tokens()
        self.grant = find()
        """What it may do."""

    def __call__(self) -> bool:
        """As of now. Looks closer only when the tokens were exchanged, so it may be asked often."""
        tokens = self._tokens()
        if tokens is not self._seen:
            try:
                if self._find() != self.grant:
                    return False
            except Denied:
                return False
            self._seen = tokens
        return True
