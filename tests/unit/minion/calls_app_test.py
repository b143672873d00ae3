"""Foreground calls over HTTP: the app alone, with a relay and a minion behind it, and in servers of one's
own.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest
from fastapi import FastAPI

from jobstream import Caller, Context, Minion, function
from jobstream.calls_app import CallsApp
from jobstream.cluster import free_port
from jobstream.gateway.calls import beside, check_of
from relay.core.tokens import read_tokens
from relay.doors.http.metrics import Metrics
from relay.main import Relay
from schemas.settings import Settings
from schemas.telemetry import catalogue
from schemas.telemetry.meter import Meter, value_of
from tests.unit.minion.foreground_test import until

STOPPED: list[str] = []


@function(name="add")
async def add(a: int, b: int = 1) -> int:
    """Adds."""
    return a + b


@function(name="raw")
async def raw(payload: bytes) -> bytes:
    """Turns bytes round."""
    return payload[::-1]


@function(name="fails")
async def fails() -> None:
    """Raises."""
    raise ValueError("on purpose")


@function(name="tells")
async def tells(ctx: Context) -> str:
    """Says something before its end."""
    ctx.data("one")
    ctx.status(1, 2)
    return "end"


@function(name="waits")
async def waits() -> None:
    """Runs until it is stopped."""
    STOPPED.append("began")
    try:
        await asyncio.Event().wait()
    finally:
        STOPPED.append("stopped")


@function(name="shop.web")
async def web(method: str, path: str, query: str, headers: list[list[str]], **body: str) -> Any:
    """Serves a whole request."""
    if path == "/bad":
        return {"status": "many"}
    if path == "/bytes":
        return {"status": 201, "headers": [["x-one", "1"], ["connection", "close"]], "body_base64": "AP8="}
    return {
        "status": 418,
        "headers": {"X-Path": path},
        "body": {"saw": [method, path, query, body, dict(headers)["x-own"]]},
    }


FUNCTIONS = (add, raw, fails, tells, waits, web)


@asynccontextmanager
async def caller() -> AsyncIterator[Caller]:
    """A caller of a relay with a minion."""
    settings = Settings(relay="127.0.0.1:0", calls_only="yes")
    async with (
        Relay(settings, drain_s=0.2) as relay,
        Minion(FUNCTIONS, relay=relay.address, grace=0.2),
        Caller(relay.address) as found,
    ):
        await found.call("add", {"a": 1})
        yield found


def client(app: Any) -> httpx.AsyncClient:
    """Asks the app without a network."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def test_a_post_is_a_call() -> None:
    """The body is the arguments, the response the answer, and headers tell who served it and how long that
    took.
    """
    async with caller() as found, client(CallsApp(found)) as http:
        response = await http.post("/call/add?within=5&limit=10&area=east:0.05&priority=high", json={"a": 4})
        assert (response.status_code, response.json()) == (200, 5)
        assert {"jobstream-relay", "jobstream-minion", "jobstream-waited-ms", "jobstream-ran-ms"} <= set(
            response.headers
        )
        response = await http.post("/call/raw", content=b"\x00abc", headers={"content-type": "image/x"})
        assert (response.content, response.headers["content-type"]) == (
            b"cba\x00",
            "application/octet-stream",
        )


async def test_a_whole_request_is_relayed() -> None:
    """Method, path, query, headers and body go to the function; its status, headers and body come back."""
    async with caller() as found, client(CallsApp(found, routes={"/shop": "shop.web"})) as http:
        response = await http.put("/relay/shop.web/cart/7?x=1", content="text", headers={"X-Own": "mine"})
        assert (response.status_code, response.headers["x-path"]) == (418, "/cart/7")
        assert response.json() == {"saw": ["PUT", "/cart/7", "x=1", {"body": "text"}, "mine"]}
        response = await http.get("/shop/here", headers={"X-Own": "mine"})
        assert response.json()["saw"][1] == "/shop/here"
        response = await http.get("/relay/shop.web/bytes")
        assert (response.status_code, response.content, response.headers["x-one"]) == (201, b"\x00\xff", "1")
        assert "connection" not in response.headers
        response = await http.get("/relay/shop.web/bad")
        assert response.status_code == 502
        assert "status must be a number from 200 to 599, got 'many'" in response.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("POST", "/call/fails", 500, "ValueError: on purpose"),
        ("POST", "/call/nobody?within=0.05", 503, "no worker took nobody"),
        ("POST", "/call/waits?limit=0.05", 504, "ran longer than the 50 ms"),
        ("POST", "/call/add?within=soon", 400, "within must be seconds, got 'soon'"),
        ("POST", "/call/add?when=1", 400, "the query may say again, area, limit"),
        ("POST", "/call/add?priority=best", 400, "priority must be high, normal or low, got 'best'"),
        ("POST", "/call/add?limit=1e300", 400, "limit must be seconds or a timedelta, from 0 up, got 1e+300"),
        ("POST", "/call/add?limit=1e6", 400, "limit must be from 0.001 to 604800 s, got 1000000.0"),
        ("POST", "/call/add?limit=nan", 400, "limit must be seconds or a timedelta, from 0 up, got nan"),
        ("POST", "/call/add?limit=0", 400, "limit must be from 0.001 to 604800 s, got 0.0"),
        ("POST", "/call/add?area=eu:1e9", 400, "the time of area 'eu' must be from 0.0 to 3600 s"),
        ("POST", "/call/add?" + "&".join(f"area=a{each}" for each in range(1_000)), 400, "at most 16 areas"),
        ("GET", "/call/add", 405, "a call must be a POST, got GET"),
        ("GET", "/else", 404, "there is no /else"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem(method: str, path: str, status: int, words: str) -> None:
    """Each with its status and a sentence, as RFC 9457 has it."""
    async with caller() as found, client(CallsApp(found)) as http:
        response = await http.request(method, path)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert words in response.json()["detail"]


async def test_a_body_that_is_too_large() -> None:
    """It is refused before anybody is called."""
    async with caller() as found, client(CallsApp(found)) as http:
        response = await http.post("/call/raw", content=bytes(4 * 1024 * 1024 + 1))
        assert response.status_code == 413


async def test_what_is_said_meanwhile_comes_as_events() -> None:
    """With `Accept: text/event-stream`: data, status, and the end."""
    async with caller() as found, client(CallsApp(found)) as http:
        response = await http.post("/call/tells", headers={"accept": "text/event-stream"})
        assert response.text == (
            'event: data\ndata: "one"\n\n'
            'event: status\ndata: {"done":1,"total":2}\n\n'
            'event: end\ndata: "end"\n\n'
        )


async def test_a_client_that_hangs_up_stops_its_call() -> None:
    """The function is told."""
    STOPPED.clear()
    async with caller() as found:
        gone = asyncio.Event()
        messages = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            raise AssertionError(f"nobody is there to be told {message}")

        scope = {"type": "http", "method": "POST", "path": "/call/waits", "query_string": b"", "headers": []}
        asking = asyncio.create_task(CallsApp(found)(scope, receive, send))
        await until(lambda: STOPPED == ["began"])
        gone.set()
        await asking
        await until(lambda: STOPPED == ["began", "stopped"])


async def test_beside_the_service_its_tokens_hold() -> None:
    """Without the right token nothing is called, and the token itself reaches no function."""
    tokens = read_tokens('[ci]\nsha256 = "' + "0" * 64 + '"\nscopes = ["submit"]\n')

    async def service(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async with caller() as found:
        calls = CallsApp(found, check=check_of(lambda: tokens, loopback_only=True))
        meter = Meter()
        async with client(beside(calls, Metrics(meter), service)) as http:
            assert (await http.get("/jobs")).status_code == 204
            assert (await http.post("/call/add", json={"a": 1})).status_code == 401
            assert (await http.post("/call/add", headers={"host": "evil.example"})).status_code == 421
        read = meter.read()
        for status in ("401", "421"):
            assert value_of(read, catalogue.HTTP_REQUESTS, ("POST", "/call/{function}", status)) == 1
        assert value_of(read, catalogue.HTTP_TIME, ("/call/{function}",)) == 2


async def test_a_relay_and_calls_in_servers_of_ones_own() -> None:
    """The relay takes part in a gRPC server that is there, the calls in an ASGI app that is."""
    address = f"127.0.0.1:{free_port()}"
    server = grpc.aio.server()
    server.add_insecure_port(address)
    settings = Settings(relay=address, calls_only="yes")
    async with Relay(settings, drain_s=0.2, into=server):
        await server.start()
        async with Minion(FUNCTIONS, relay=address, grace=0.2), Caller(address) as found:
            app = FastAPI()
            app.mount("/jobs", CallsApp(found))
            async with client(app) as http:
                response = await http.post("/jobs/call/add", content=json.dumps({"a": 1, "b": 2}))
                assert (response.status_code, response.json()) == (200, 3)
    await server.stop(None)
