"""What must be so of every answer of the HTTP service, whatever was asked."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from schemathesis import Case
from schemathesis.checks import content_type_conformance, status_code_conformance

from tests.fakes.gateway import Gateway

ANSWER_S = 20.0
"""A connection without an answer by then hangs."""

CALL = "/call/{function}"
PROBLEM = "application/problem+json"


def document() -> dict[str, Any]:
    """What the service says of itself, before any runs."""
    return asyncio.run(_document())


async def _document() -> dict[str, Any]:
    gateway = Gateway(now_ms=0)
    found: dict[str, Any] = (await gateway.ask("GET", "/openapi.json"))[1]
    await gateway.http.aclose()
    return found


def check(case: Case[Any], **more: Any) -> None:
    """Asks, and holds the answer against the document: its status and its type are there; what is no success
    is a problem with one sentence; what fails is never the service, only a function that somebody called.
    """
    if isinstance(case.body, dict):
        case.body.pop("wait", None)  # nobody runs these jobs
    query = {name: value for name, value in (case.query or {}).items() if name != "wait"}
    case.query = {**query, "within": "0.02"} if case.path == CALL else query
    answer = case.call(timeout=ANSWER_S, **more)
    case.validate_response(answer, checks=[status_code_conformance, content_type_conformance])
    media = answer.headers["content-type"][0]
    if answer.status_code >= HTTPStatus.BAD_REQUEST:
        problem = json.loads(answer.content)
        assert media == PROBLEM
        assert problem["detail"]
        assert "\n" not in problem["detail"]
        assert answer.status_code != HTTPStatus.INTERNAL_SERVER_ERROR or problem["error_type"]
    elif media.startswith("application/json"):
        json.loads(answer.content)
