"""A minion inside one call of a function host: when it leaves, and what it leaves behind."""

import asyncio
import base64
import json
from typing import Any

import pytest

from jobstream.errors import BadRequest
from jobstream.functions import function
from jobstream.minion import NotConnected, invoked
from schemas.proto.relay_pb2 import INTERRUPTED, SUCCESS
from tests.fakes.relay import FakeRelay, fake_relay


@function(name="quick")
async def quick() -> str:
    """Returns at once."""
    return "done"


@function(name="endless")
async def endless() -> None:
    """Never ends by itself."""
    await asyncio.Event().wait()


def call(relay: FakeRelay, **said: Any) -> "asyncio.Future[dict[str, Any]]":
    """A call as the relay makes it, in a thread as a host runs it."""
    request = {"relay": relay.address, "minion": "pool-1", "concurrency": 2, "idle_ms": 100, **said}
    return asyncio.ensure_future(asyncio.to_thread(invoked, request, [quick, endless]))


async def test_it_serves_many_jobs_and_leaves_when_idle() -> None:
    """The answer says how many; the relay was told before the stream ended."""
    async with fake_relay() as relay:
        answer = call(relay)
        session = await relay.session()
        assert (session.hello.minion, session.hello.capacity) == ("pool-1", 2)
        for _ in range(5):
            assert (await session.receipt(await session.give("quick"))).outcome == SUCCESS
        served = await answer
        assert (served["jobs"], served["why"]) == (5, "idle")
        assert session.draining is not None


async def test_it_leaves_before_its_time_is_up_and_hands_back() -> None:
    """What still runs then is handed back, stored, and counts against nothing."""
    async with fake_relay() as relay:
        answer = call(relay, limit_ms=1_500, idle_ms=60_000)
        session = await relay.session()
        job = await session.give("endless")
        assert (await session.receipt(job)).outcome == INTERRUPTED
        served = await answer
        assert (served["jobs"], served["why"]) == (1, "time is up")
        assert served["ms"] < 1_500


async def test_a_relay_that_is_not_there_is_told() -> None:
    """The host answers with an error, so that the relay tries again later and not at once."""
    request = {"relay": "127.0.0.1:1", "minion": "pool-1", "limit_ms": 500}
    with pytest.raises(NotConnected, match=r"the relay at 127\.0\.0\.1:1 gave no session"):
        await asyncio.to_thread(invoked, request, [quick])


async def test_an_event_has_the_request_in_its_body() -> None:
    """As Lambda hands on what came to a function's URL."""
    async with fake_relay() as relay:
        body = json.dumps({"relay": relay.address, "minion": "pool-2", "idle_ms": 0})
        event = {"isBase64Encoded": True, "body": base64.b64encode(body.encode()).decode()}
        served = await asyncio.to_thread(invoked, event, [quick])
        assert served["jobs"] == 0
        assert relay.sessions[0].hello.minion == "pool-2"


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({}, "relay of a request must be a text, got None"),
        ({"relay": "127.0.0.1:1"}, "minion of a request must be a text, got None"),
        (
            {"relay": "127.0.0.1:1", "minion": "m", "idle_ms": "2"},
            "idle_ms of a request must be milliseconds",
        ),
        ({"body": "{"}, "the body of a request must be JSON, got '{'"),
        ({"body": "[]"}, "a request must be a JSON object with relay and minion, got []"),
        ({"relay": "nowhere", "minion": "m"}, "relay must be host:port, got 'nowhere'"),
    ],
)
def test_a_request_that_is_none_is_refused(request_: dict[str, Any], sentence: str) -> None:
    """With the value found, and nothing is started."""
    with pytest.raises(BadRequest) as refused:
        invoked(request_, [quick])
    assert sentence in str(refused.value)
