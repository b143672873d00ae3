"""Foreground calls from a caller over a relay to a minion and back, with real streams and no Kafka."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from jobstream import Caller, CallFailed, CallLost, CallNotTaken, CallTimedOut, Context, Minion, function
from jobstream.caller import Areas, OpenCall, Said, _Asked
from jobstream.errors import BadRequest, CallCancelled
from jobstream.functions import Request
from relay.core.session import Session
from relay.main import Relay
from schemas.proto.relay_pb2 import ROUTING_TIMEOUT, AreaStep, Ask, CallReply, CallRequest, CallsStatus
from schemas.settings import Settings
from tests.waiting import eventually_async

RAN: list[str] = []
GATES: dict[str, asyncio.Event] = {}


@function(name="add")
async def add(a: int, b: int = 1) -> int:
    """Adds."""
    RAN.append("add")
    return a + b


@function(name="plain")
def plain(ctx: Context) -> str:
    """Says where it runs, in a thread."""
    ctx.data(b"in a thread")
    return ctx.job_id


@function(name="fails")
async def fails() -> None:
    """Raises."""
    raise ValueError("on purpose")


@function(name="tells")
async def tells(ctx: Context) -> str:
    """Says all that can be said."""
    ctx.data({"part": 1})
    ctx.data(b"two")
    ctx.status(1, 3)
    ctx.warning("careful")
    return "end"


@function(name="waits", coalesce=True)
async def waits(ctx: Context, gate: str = "g") -> str:
    """Runs until its gate is opened."""
    RAN.append("waits")
    ctx.status(1, 2)
    await GATES.setdefault(gate, asyncio.Event()).wait()
    return gate


@function(name="kept", cache=30, cache_key=("user",))
async def kept(user: int, when: int) -> int:
    """Its answer is kept by the relay."""
    RAN.append("kept")
    return user + when


async def known(request: Request) -> str | None:
    """Knows some answers."""
    assert isinstance(request.args, dict)
    if request.args["key"] == "broken":
        raise OSError("no cache today")
    return "known" if request.args["key"] == "a" else None


@function(name="looked_up", get_cache=known)
async def looked_up(key: str) -> str:
    """Runs where get_cache knows nothing."""
    RAN.append(key)
    return "ran"


FUNCTIONS = (add, plain, fails, tells, waits, kept, looked_up)


@asynccontextmanager
async def relay() -> AsyncIterator[Relay]:
    """A relay without Kafka."""
    async with Relay(Settings(relay="127.0.0.1:0", calls_only="yes"), drain_s=0.2) as running:
        yield running


@asynccontextmanager
async def minion(at: Relay, **options: Any) -> AsyncIterator[Minion]:
    """A minion with all functions."""
    async with Minion(FUNCTIONS, relay=at.address, grace=0.2, **options) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh() -> None:
    RAN.clear()
    GATES.clear()


async def until(check: Callable[[], object]) -> None:
    """Waits for something, while all goes on."""

    async def looked() -> bool:
        return bool(check())

    await eventually_async(looked)


def at_edge(at: Relay) -> list[Session]:
    """The sessions of a relay."""
    assert at._alone is not None  # a relay of calls only
    return list(at._alone.edge.sessions.values())


async def calls_of(at: Relay) -> CallsStatus:
    """What a relay says of its calls."""
    assert at._alone is not None  # a relay of calls only
    return at._alone.status().calls


async def test_a_call_is_answered() -> None:
    """Arguments, result, who ran it and for how long; without arguments and with bytes too."""
    async with relay() as at, minion(at, name="w-1", areas=["east"]), Caller(at.address) as caller:
        answer = await caller.answer("add", {"a": 1}, areas=["east"])
        assert (answer.value, answer.minion, answer.area, answer.cached) == (2, "w-1", "east", False)
        assert answer.ran_ms < 10_000
        assert await caller.call(add, [1, 2]) == 3
        assert (await caller.call("plain", unique="u-1")) == "u-1"


async def test_what_is_said_meanwhile_comes_in_order() -> None:
    """Data, status and warnings, before the end, from the loop and from threads."""
    heard: list[Said] = []
    async with relay() as at, minion(at), Caller(at.address) as caller:
        assert await caller.call("tells", said=lambda said, _: heard.append(said)) == "end"
        assert heard == [
            Said("data", b'{"part": 1}'),
            Said("data", b"two"),
            Said("status", b"", 1, 3),
            Said("warning", b"careful"),
        ]
        heard.clear()
        await caller.call("plain", said=lambda said, _: heard.append(said))
        assert heard == [Said("data", b"in a thread")]


async def test_who_fails_to_listen_fails_alone() -> None:
    """What a caller's own function raises ends that call; others on the same stream go on."""

    def burst(_said: Said, _call: OpenCall) -> None:
        raise KeyError("my own")

    async with relay() as at, minion(at), Caller(at.address) as caller:
        beside = asyncio.ensure_future(caller.call("waits"))
        await until(lambda: "waits" in RAN)
        with pytest.raises(KeyError, match="my own"):
            await caller.call("tells", said=burst)
        GATES["g"].set()
        assert await beside == "g"


async def test_ends_that_are_no_answer() -> None:
    """Each has its own error, with a sentence."""
    async with relay() as at, minion(at), Caller(at.address) as caller:
        with pytest.raises(CallFailed, match="ValueError: on purpose"):
            await caller.call("fails")
        with pytest.raises(CallFailed, match="BadArguments") as failed:
            await caller.call("add", {"c": 1})
        assert failed.value.non_retryable
        with pytest.raises(CallTimedOut, match="ran longer than the 50 ms that its caller gave it"):
            await caller.call("waits", limit=0.05)
        with pytest.raises(CallNotTaken, match="no worker took unknown"):
            await caller.call("unknown", within=0.2, first=0.05)
        with pytest.raises(BadRequest, match="a call must name at most 16 areas, got 17"):
            await caller.call("add", {"a": 1}, areas=[f"a{each}" for each in range(17)])


async def test_the_limit_is_changed_meanwhile() -> None:
    """A caller lengthens it after a status, so that the call outlives what it first gave it; or shortens
    it.
    """
    async with relay() as at, minion(at), Caller(at.address) as caller:
        longer = asyncio.create_task(
            caller.call("waits", {"gate": "a"}, limit=0.3, said=lambda _, call: call.limit(30))
        )
        await asyncio.wait({longer}, timeout=0.6)
        assert not longer.done()
        GATES["a"].set()
        assert await longer == "a"

        def shorten(_: Said, call: OpenCall) -> None:
            call.limit(0.05)

        with pytest.raises(CallTimedOut):
            await caller.call("waits", {"gate": "b"}, limit=30, said=shorten)


async def test_equal_calls_run_once() -> None:
    """All callers get the one answer: equal by unique id, or by arguments where the function says so."""
    async with relay() as at, minion(at), Caller(at.address) as one, Caller(at.address) as two:
        await one.call("add", {"a": 1})  # what the function says of its calls came with its minion
        RAN.clear()
        calls = [asyncio.create_task(caller.call("waits", {"gate": "g"})) for caller in (one, two, two)]
        await until(lambda: len(RAN) == 1 and "g" in GATES)
        other = asyncio.create_task(one.call("waits", {"gate": "h"}))
        await until(lambda: "h" in GATES)
        GATES["g"].set()
        GATES["h"].set()
        assert await asyncio.gather(*calls, other) == ["g", "g", "g", "h"]
        assert RAN == ["waits", "waits"]
        assert (await calls_of(at)).coalesced == 2


async def test_answers_are_kept_and_looked_up() -> None:
    """By the relay for as long as the function says; by the function's own get_cache, where an error is a
    miss.
    """
    async with relay() as at, minion(at), Caller(at.address) as caller:
        assert await caller.call("kept", {"user": 1, "when": 1}) == 2
        again = await caller.answer("kept", {"user": 1, "when": 7})
        assert (again.value, again.cached, RAN) == (2, True, ["kept"])
        for key, value, cached in (("a", "known", True), ("b", "ran", False), ("broken", "ran", False)):
            answer = await caller.answer("looked_up", {"key": key})
            assert (answer.value, answer.cached) == (value, cached)
        assert RAN == ["kept", "b", "broken"]


async def test_a_caller_that_vanishes_stops_its_call() -> None:
    """The function is told, and its place is free again."""
    async with relay() as at, minion(at, concurrency=1):
        caller = Caller(at.address)
        call = asyncio.create_task(caller.call("waits"))
        await until(lambda: RAN)
        await caller.close()
        with pytest.raises(CallLost):
            await call
        async with Caller(at.address) as other:
            assert await other.call("add", {"a": 1}) == 2
            cancelled = asyncio.create_task(other.call("waits"))
            await until(lambda: len(RAN) == 3)
            cancelled.cancel()
            assert await other.call("add", {"a": 1}) == 2


async def test_a_minion_that_vanishes_loses_its_call() -> None:
    """Its caller hears of it at once; one that says that it does no harm gets its answer from another
    minion.
    """
    async with relay() as at, Caller(at.address) as caller:
        async with minion(at, name="w-1"):
            lost = asyncio.create_task(caller.call("waits", {"gate": "x"}))
            again = asyncio.create_task(caller.call("waits", {"gate": "y"}, again=True))
            await until(lambda: len(RAN) == 2)
        with pytest.raises(CallLost, match="w-1 went away before the call ended"):
            await lost
        async with minion(at, name="w-2"):
            await until(lambda: len(RAN) == 3)
            GATES["y"].set()
            assert await again == "y"


async def test_relays_that_are_away_or_have_nobody_are_passed_by() -> None:
    """One address that nobody listens at, one relay without minions: the third has it within the short
    times.
    """
    async with relay() as empty, relay() as at, minion(at):
        async with Caller(["127.0.0.1:1", empty.address, at.address]) as caller:
            for _ in range(4):
                assert await caller.call("add", {"a": 1}, first=0.1) == 2
        assert RAN == ["add"] * 4


async def test_a_minion_that_comes_late_is_waited_for() -> None:
    """Looking is done again for longer, until there is somebody."""
    async with relay() as at, Caller(at.address) as caller:
        call = asyncio.create_task(caller.answer("add", {"a": 1}, first=0.05, within=30))
        await until(lambda: bool(at._alone and at._alone.edge.calls.outcomes))
        async with minion(at):
            assert (await call).tries > 1


async def test_the_verb_prints_the_answer() -> None:
    """`jobstream call` and what `relay status` says of calls, with their exit codes."""
    async with relay() as at, minion(at, name="w-1"):

        async def typed(*words: str) -> tuple[int, str, str]:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "jobstream", *words, "--relay", at.address),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await process.communicate()
            assert process.returncode is not None
            return process.returncode, out.decode(), err.decode()

        code, out, err = await typed("call", "tells", "--verbose")
        assert (code, out) == (0, '"end"\n')
        assert "status: 1 of 3\nwarning: careful\nminion w-1, relay " in err
        code, _, err = await typed("call", "nobody", "--within", "100ms")
        assert code == 4
        assert "no worker took nobody within" in err
        code, out, _ = await typed("relay", "status")
        assert "calls 2: 0 run, 0 wait, 0 shared a run, 0 answers known, 1 complete, 1 routing_timeout" in out
        assert "unserved nobody: no worker here has it, asked for" in out


Single = Callable[[CallRequest], Awaitable[CallReply]]


@asynccontextmanager
async def single(at: Relay) -> AsyncIterator[Single]:
    """The method for one call at a time."""
    async with grpc.aio.insecure_channel(at.address) as channel:
        yield channel.unary_unary(
            "/jobstream.Relay/Call",
            request_serializer=CallRequest.SerializeToString,
            response_deserializer=CallReply.FromString,
        )


async def test_a_single_call_needs_no_stream() -> None:
    """The unary method answers with an outcome, or with a status and a sentence for what cannot be."""
    async with relay() as at, minion(at), single(at) as method:
        reply = await method(CallRequest(function="add", args=json.dumps({"a": 4}).encode()))
        assert json.loads(reply.result) == 5
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await method(CallRequest(function="add", routing_ms=31_536_000_000))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.details() == "routing timeout must be 0 to 3600000 ms, got 31536000000"
        with pytest.raises(grpc.aio.AioRpcError, match="a durable call must be on a stream"):
            await method(CallRequest(function="add", durable=True))
        missing = await method(CallRequest(function="nobody", routing_ms=20))
        assert missing.error_message.startswith("no worker took nobody within")
        status = await calls_of(at)
        assert [each.function for each in status.unserved] == ["nobody"]


async def test_a_function_that_cancels_itself() -> None:
    """Its caller hears that it was cancelled."""

    @function(name="cancels")
    async def cancels() -> None:
        from jobstream.errors import Cancelled

        raise Cancelled("not today")

    async with relay() as at, Minion([cancels], relay=at.address, grace=0.2), Caller(at.address) as caller:
        with pytest.raises(CallCancelled, match="not today"):
            await caller.call("cancels")


async def test_areas_and_the_rest() -> None:
    """Minions of several areas: a call goes to the first of its areas that has one, waits for none of it
    longer than it says, and then takes anybody; the answer says where it ran and how long it took.
    """
    async with (
        relay() as at,
        minion(at, name="near", areas=["eu", "eu-1"]),
        minion(at, name="far", areas=["us", "us-1"]),
        Caller(at.address) as caller,
    ):
        await until(lambda: len(at_edge(at)) == 2)
        wishes: tuple[tuple[Areas, str, str], ...] = (
            (["us"], "far", "us"),
            (["eu-1", "us"], "near", "eu-1"),
            ([("asia", 0.1), "us-1"], "far", "us-1"),
        )
        for areas, name, area in wishes:
            answer = await caller.answer("add", {"a": 1}, areas=areas, first=0.3)
            assert (answer.minion, answer.area) == (name, area)
        answer = await caller.answer("add", {"a": 1}, areas=[("asia", 0.1), ("mars", 0.05)])
        assert answer.area == ""
        assert answer.waited_ms >= 100 + 50
        assert answer.tries == 1


async def test_areas_take_the_whole_routing_timeout_each() -> None:
    """One area doubles what a call is looked for, two triple it; its end says how long that was."""
    async with relay() as at, single(at) as method:
        for areas, least_ms in ((0, 60), (1, 120), (2, 180)):
            steps = [AreaStep(area=f"a{number}") for number in range(areas)]
            reply = await method(CallRequest(function="nobody", routing_ms=60, areas=steps))
            assert (reply.outcome, reply.waited_ms >= least_ms) == (ROUTING_TIMEOUT, True)
            assert f"within {reply.waited_ms} ms, and none will" in reply.error_message
        assert (await method(CallRequest(function="nobody", routing_ms=0))).waited_ms < 60


BAD = [
    (CallRequest(function="add", routing_ms=31_536_000_000), "routing timeout must be 0 to 3600000 ms"),
    (CallRequest(function="add", routing_ms=-1), "routing timeout must be 0 to 3600000 ms, got -1"),
    (CallRequest(function="add", running_ms=-1), "running limit must be 1 to 604800000 ms, got -1"),
    (CallRequest(function="add", args=bytes(4_194_305)), "at most 4194304 bytes, got 4194305"),
    (
        CallRequest(function="add", areas=[AreaStep(area=f"a{number}") for number in range(1_000)]),
        "a call must name at most 16 areas, got 1000",
    ),
    (CallRequest(function=""), "function of a call must have 1 to 200 characters, got 0"),
    (CallRequest(function="f" * 201), "function of a call must have 1 to 200 characters, got 201"),
]


async def test_bad_input_is_a_status_with_a_sentence_and_nobody_else_feels_it() -> None:
    """One by one and on a stream, beside a call that runs meanwhile on that same stream."""
    async with relay() as at, minion(at), single(at) as method, Caller(at.address) as caller:
        running = asyncio.create_task(caller.call("waits", {"gate": "g"}))
        await until(lambda: "g" in GATES)
        (line,) = caller._lines
        for number, (bad, sentence) in enumerate(BAD, 1_000):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await method(bad)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert sentence in (refused.value.details() or "")
            asked = line._asked[number] = _Asked(asyncio.get_running_loop().create_future(), None)
            line._asks.append(Ask(call=number, request=bad))
            line._something.set()
            with pytest.raises(BadRequest, match=re.escape(sentence)):
                await asked.ended
        GATES["g"].set()
        assert await running == "g"
