"""Tokens over HTTP: the header that brings one, and the problem for who may not. Pure."""

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
