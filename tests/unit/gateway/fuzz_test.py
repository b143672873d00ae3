"""Whatever the OpenAPI document allows, and what it forbids, is asked: never an error of the service."""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error

from schemas.times import parse_time
from tests.fakes.gateway import Gateway

GATEWAY = Gateway(now_ms=parse_time("2027-01-15T08:00:00Z"), trusting=frozenset({"0"}))


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The service under the name that it goes by."""
    if scope["type"] == "http":
        others = [header for header in scope["headers"] if header[0].lower() != b"host"]
        scope = {**scope, "headers": [*others, (b"host", b"localhost")]}
    await GATEWAY.app(scope, receive, send)


schema = schemathesis.openapi.from_asgi("/openapi.json", app).exclude(path=["/facts", "/overview"])


def _document(answer: Any) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(answer.content)
    return parsed


@pytest.mark.full
@schema.parametrize()
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_question_breaks_it(case: Case[Any]) -> None:
    """Every answer is JSON or a problem document with one sentence, and none of them is 500."""
    if isinstance(case.body, dict):
        case.body.pop("wait", None)  # nobody runs these jobs
    if case.query:
        case.query.pop("wait", None)
    answer = case.call()
    case.validate_response(answer, checks=[not_a_server_error])
    media = answer.headers["content-type"][0]
    if answer.status_code >= 400:
        problem = _document(answer)
        assert media == "application/problem+json"
        assert problem["detail"]
        assert "\n" not in problem["detail"]
    elif media.startswith("application/json"):
        _document(answer)
