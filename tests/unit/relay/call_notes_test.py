"""What is told of foreground calls: a line of the access log for each, one trace through all, and how long
they took.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from jobstream import Caller, CallFailed, CallNotTaken, Minion, function
from jobstream.calls_app import CallsApp
from relay.main import Relay
from schemas.proto.relay_pb2 import CallReply, CallRequest
from schemas.settings import Settings
from schemas.telemetry import catalogue, logs, spans
from schemas.telemetry.meter import value_of
from schemas.telemetry.process import Telemetry
from schemas.telemetry.spans import Span, parse

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GIVEN = f"00-{TRACE}-00f067aa0ba902b7-01"


@function(name="twice", cache=30)
async def twice(number: int) -> int:
    """Its answer is kept."""
    return 2 * number


HERE: dict[str, Caller] = {}


@function(name="outer")
async def outer(number: int) -> int:
    """Calls another one."""
    found: int = await HERE["caller"].call("twice", {"number": number})
    return found


@function(name="fails")
async def fails() -> None:
    """Raises."""
    raise ValueError("on purpose")


@asynccontextmanager
async def world(
    **settings: str,
) -> AsyncIterator[tuple[Relay, Caller, Telemetry]]:
    """A relay without Kafka, a minion in one area, and a caller; what the relay and the minion tell."""
    found = Settings(relay="127.0.0.1:0", calls_only="yes", **settings)  # type: ignore[arg-type]
    minions = Telemetry(found, "minion")
    async with (
        Relay(found, drain_s=0.2) as relay,
        Minion(
            [twice, fails, outer], relay=relay.address, grace=0.2, areas=["eu"], name="m-1", telemetry=minions
        ),
        Caller(relay.address, name="tests") as caller,
    ):
        with pytest.raises(CallFailed):  # the minion is there
            await caller.call("fails")
        yield relay, caller, minions


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A file that this process writes its access log to."""
    path = tmp_path / "lines.json"
    logs.begin(Settings(access_log=str(path)), "test")
    yield path
    logs.end()


def lines_of(place: Path, function: str) -> list[dict[str, Any]]:
    """The lines about calls of a function, once all are written."""
    logs.end()
    lines = [json.loads(line) for line in place.read_text().splitlines()]
    return [line for line in lines if line.get("jobstream.function") == function]


async def test_each_call_is_one_line(place: Path) -> None:
    """Over gRPC, one by one and on a stream, and over HTTP: function, area, caller, minion, waited, ran,
    bytes, outcome.
    """
    async with world() as (relay, caller, _), grpc.aio.insecure_channel(relay.address) as channel:
        assert await caller.call("twice", {"number": 4}, areas=["eu"], trace=GIVEN) == 8
        assert (await caller.answer("twice", {"number": 4})).cached
        method = channel.unary_unary(
            "/jobstream.Relay/Call",
            request_serializer=CallRequest.SerializeToString,
            response_deserializer=CallReply.FromString,
        )
        await method(CallRequest(function="twice", args=b'{"number":50}', caller="alone"))
        http = httpx.ASGITransport(app=CallsApp(caller), client=("198.51.100.7", 4711))
        async with httpx.AsyncClient(transport=http, base_url="http://localhost") as client:
            assert (await client.post("/call/twice", json={"number": 6})).json() == 12
        with pytest.raises(CallNotTaken):
            await caller.call("nobody", within=0.05)
        with pytest.raises(CallFailed):
            await caller.call("fails")
    streamed, known, alone, over_http = lines_of(place, "twice")
    assert streamed["event.dataset"] == "jobstream.access"
    assert (streamed["event.action"], streamed["event.outcome"]) == ("call", "success")
    assert (streamed["jobstream.outcome"], streamed["jobstream.area"]) == ("complete", "eu")
    assert (streamed["client.address"], streamed["jobstream.minion"]) == ("tests", "m-1")
    assert (streamed["jobstream.args.bytes"], streamed["jobstream.result.bytes"]) == (12, 1)
    assert streamed["jobstream.waited_ms"] >= 0
    assert streamed["jobstream.run_ms"] >= 0
    assert streamed["trace.id"] == TRACE
    assert (known["jobstream.cached"], "jobstream.minion" in known) == (True, False)
    assert (alone["client.address"], alone["jobstream.result.bytes"]) == ("alone", 3)
    assert over_http["client.address"] == "http:198.51.100.7:4711"
    outcomes = {line["jobstream.outcome"] for line in lines_of(place, "nobody")}
    assert outcomes == {"routing_timeout"}
    *_, failed = lines_of(place, "fails")
    assert (failed["event.outcome"], failed["error.type"]) == ("failure", "ValueError")


def spans_of(telemetry: Telemetry) -> list[Span]:
    """What was put aside of a function's spans."""
    assert telemetry.tracer is not None
    return [span for span in telemetry.tracer.take(100) if span.name.endswith("twice")]


async def test_a_call_is_one_trace() -> None:
    """The caller's span, below it the call's by the relay, below that the run's by the minion; a cached
    answer has no run. The relay counts how long its door took.
    """
    async with world(otlp="http://127.0.0.1:9") as (relay, caller, minions):
        await caller.call("twice", {"number": 1}, trace=GIVEN, areas=["eu"])
        assert (await caller.answer("twice", {"number": 1}, trace=GIVEN)).cached
        called, known = spans_of(relay.telemetry)
        (ran,) = spans_of(minions)
        read = relay.telemetry.meter.read()
    given = parse(GIVEN)
    assert given is not None
    assert {span.context.trace for span in (called, known, ran)} == {given[0].trace}
    assert (called.name, called.kind, called.parent) == ("call twice", spans.SERVER, given[0].span)
    assert (ran.name, ran.parent) == ("run twice", called.context.span)
    assert called.attributes[spans.MINION] == "m-1"
    assert called.attributes[spans.AREA] == "eu"
    assert known.attributes[spans.CACHED] is True
    assert value_of(read, catalogue.CALL_TIME, ("grpc", "twice")) == 2
    assert value_of(read, catalogue.CALL_WAIT, ("twice",)) == 1


async def test_a_call_within_a_function_is_below_its_run() -> None:
    """Without a word of the function."""
    async with world(otlp="http://127.0.0.1:9") as (relay, caller, minions):
        HERE["caller"] = caller
        assert await caller.call("outer", {"number": 2}, trace=GIVEN) == 4
        (inner,) = spans_of(relay.telemetry)
        assert minions.tracer is not None
        (outer,) = (span for span in minions.tracer.take(100) if span.name == "run outer")
    assert (inner.context.trace, inner.parent) == (int(TRACE, 16), outer.context.span)


async def test_calls_that_are_not_traced() -> None:
    """Neither relay nor minion tells of a call that its caller does not sample, or that its function's
    choice leaves out; one in N is the same for both.
    """
    async with world(otlp="http://127.0.0.1:9") as (relay, caller, minions):
        await caller.call("twice", {"number": 1}, trace=GIVEN[:-1] + "0")
        assert (spans_of(relay.telemetry), spans_of(minions)) == ([], [])
    async with world(otlp="http://127.0.0.1:9", trace="*=1/3") as (relay, caller, minions):
        for number in range(30):
            await caller.call("twice", {"number": number})
        called, ran = spans_of(relay.telemetry), spans_of(minions)
        assert len(called) < 30
        assert [span.parent for span in ran] == [span.context.span for span in called]
