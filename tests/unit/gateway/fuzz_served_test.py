"""Whatever the OpenAPI document allows, and what it forbids, is asked over sockets of the whole service, with
foreground calls, a relay and a minion behind it. None of it breaks, and none hangs.
"""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case

from jobstream import Caller, Minion, function
from jobstream.calls_app import CallsApp
from jobstream.cluster import free_port
from jobstream.gateway.calls import beside
from relay.doors.http.serve import Listen
from relay.main import Relay
from schemas.settings import Settings
from schemas.times import parse_time
from tests.fakes.gateway import Gateway
from tests.fakes.served import served
from tests.unit.gateway.questions import check, document

READY_S = 60.0


@function(name="0")
async def echo(**given: Any) -> Any:
    """Gives what it is given; a name that is tried early."""
    return given


async def _serve(address: str, ready: threading.Event, over: threading.Event) -> None:
    gateway = Gateway(now_ms=parse_time("2027-01-15T08:00:00Z"), trusting=frozenset({"0"}))
    alone = Settings(relay="127.0.0.1:0", calls_only="yes")
    async with (
        Relay(alone, drain_s=0.2) as relay,
        Minion([echo], relay=relay.address, grace=0.2),
        Caller(relay.address) as caller,
        served(beside(CallsApp(caller), gateway.door.metrics, gateway.app), Listen(address)),
    ):
        ready.set()
        await asyncio.to_thread(over.wait)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where a service listens."""
    address, ready, over = f"127.0.0.1:{free_port()}", threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(address, ready, over)))
    thread.start()
    try:
        assert ready.wait(READY_S)
        yield f"http://{address}"
    finally:
        over.set()
        thread.join()


schema = schemathesis.openapi.from_dict(document())


@pytest.mark.full
@schema.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_no_question_breaks_or_hangs_it(case: Case[Any], url: str) -> None:
    """Every answer comes, and is one that the document tells of."""
    check(case, base_url=url)
