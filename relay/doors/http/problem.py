"""How the service says no: one sentence with the value found, as RFC 9457 problem details. Pure."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

MEDIA = "application/problem+json"

BAD_CODES = {"oversize": HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "id_conflict": HTTPStatus.CONFLICT}
"""Statuses of refusals that are not simply a bad request, by the code of the refusal."""


class Problem(Exception):
    """An answer that is no success.

    Attributes:
        status: The HTTP status.
        sentence: For people.
        code: One word for machines.
        more: Further members of the answer.
        headers: Of the answer.
    """

    def __init__(
        self,
        status: int,
        sentence: str,
        code: str | None = None,
        *,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.code = code or HTTPStatus(status).name.lower()
        self.more = dict(more or {})
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """The problem document."""
        document = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.sentence,
            **self.more,
        }
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def refusal(code: str, sentence: str, **more: Any) -> Problem:
    """The problem that a refusal of the state machine, or of its limits, is."""
    return Problem(BAD_CODES.get(code, HTTPStatus.BAD_REQUEST), sentence, str(code), more=more)


def unavailable(sentence: str, after_s: int = 1) -> Problem:
    """Something is not there at the moment; asking again after some seconds may help."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, sentence, "unavailable", headers={"Retry-After": str(after_s)}
    )
