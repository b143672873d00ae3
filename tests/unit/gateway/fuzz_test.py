"""Whatever the OpenAPI document allows, and what it forbids, is asked of every route: each answer is one that
the document tells of, and none is an error of the service.
"""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case

from schemas.times import parse_time
from tests.fakes.gateway import Gateway
from tests.unit.gateway.questions import CALL, check

JOBS_MAX = 300
"""A service with more of them is replaced: each list would take longer than the one before."""


def _new() -> Gateway:
    return Gateway(now_ms=parse_time("2027-01-15T08:00:00Z"), trusting=frozenset({"0"}))


GATEWAYS = [_new()]
SLOW = list(HealthCheck)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The service under the name that it goes by."""
    if scope["type"] == "http":
        others = [header for header in scope["headers"] if header[0].lower() != b"host"]
        scope = {**scope, "headers": [*others, (b"host", b"localhost")]}
        if len(GATEWAYS[0].machine.jobs()) > JOBS_MAX:
            GATEWAYS[0] = _new()
    await GATEWAYS[0].app(scope, receive, send)


schema = schemathesis.openapi.from_asgi("/openapi.json", app).exclude(path=CALL)  # another door's


@schema.parametrize()
@settings(max_examples=2, derandomize=True, deadline=None, suppress_health_check=SLOW, database=None)
def test_no_question_breaks_it(case: Case[Any]) -> None:
    """Some of each route, the same ones every time."""
    check(case)


@pytest.mark.full
@schema.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
def test_none_of_very_many_questions_breaks_it(case: Case[Any]) -> None:
    """Others every time."""
    check(case)
