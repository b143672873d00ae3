"""Durable calls: what is asked of Kafka, and what a job's facts mean to who waits; no broker."""

import asyncio

import pytest

from jobstream import Caller
from jobstream.errors import BadRequest
from relay import durable
from relay.durable import BadDurable, ends, reply_of_fact, request_of
from relay.main import Relay
from schemas.events import Fact
from schemas.proto.relay_pb2 import (
    CALL_CANCELLED,
    COMPLETE,
    FAILED,
    PRIORITY_HIGH,
    CallRequest,
)
from schemas.settings import Settings
from schemas.topics import Topics


def fact(kind: str, **fields: object) -> Fact:
    """A fact of a job."""
    return Fact(fact=kind, job="j", key="k", partition=0, at_ms=1, **fields)  # type: ignore[arg-type]


def test_what_is_asked() -> None:
    """A call becomes a request with its id, key and queue; what is left out is the service's default."""
    request = request_of(
        CallRequest(function="f", job="j-1", key="k", queue="mail", running_ms=5, priority=PRIORITY_HIGH)
    )
    assert (request.id, request.key, request.queue, request.timeout_ms) == ("j-1", "k", "mail", 5)
    assert (request.priority, request.args, request.content_type) == ("high", None, "application/json")
    with pytest.raises(BadDurable, match="queue must match"):
        request_of(CallRequest(function="f", job="j-1", queue="No"))
    with pytest.raises(BadDurable, match="arguments of a job must be at most 262144 bytes, got 262145"):
        request_of(CallRequest(function="f", job="j-1", args=bytes(262_145)))


@pytest.mark.parametrize(
    ("found", "over"),
    [
        (fact("admitted"), False),
        (fact("failed", phase="retrying"), False),
        (fact("succeeded", phase="succeeded"), True),
        (fact("died", phase="dead"), True),
        (fact("deduplicated", phase="leased"), False),
        (fact("deduplicated", phase="succeeded"), True),
        (fact("rejected", error_type="not_now"), False),
        (fact("rejected", error_type="oversize"), True),
    ],
)
def test_which_facts_end_the_waiting(found: Fact, *, over: bool) -> None:
    """Ends, ends of a job that was asked for twice, and refusals of the request itself."""
    assert ends(found) is over


class Broken:
    """A consumer that finds its place, and then fails."""

    def __init__(self, *_: object, **__: object) -> None:
        """Takes any settings."""

    def get_watermark_offsets(self, *_: object) -> tuple[int, int]:
        """Nothing is there."""
        return 0, 0

    def assign(self, _: object) -> None:
        """Does nothing."""

    def consume(self, *_: object) -> None:
        """Fails."""
        raise RuntimeError("it is broken")


async def test_who_waits_hears_when_the_facts_are_read_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows how the job ends, and its caller may ask again; the next call begins to read anew."""
    monkeypatch.setattr(durable, "Consumer", Broken)
    durables = durable.Durables({"bootstrap.servers": "127.0.0.1:9", "log_level": 0}, Topics("t.", 1))
    waits = durables._waiting["j"] = [asyncio.get_running_loop().create_future()]
    await durables._read()
    with pytest.raises(durable.CannotSay, match="it is broken"):
        async with asyncio.timeout(30):
            await waits[0]
    assert durables._reading is None
    durables.abandon()


def test_what_an_end_means() -> None:
    """A result, an error, or a cancellation."""
    reply = reply_of_fact(
        fact("deduplicated", phase="succeeded", result=b"1", result_type="application/json")
    )
    assert (reply.outcome, reply.result, reply.result_type) == (COMPLETE, b"1", "application/json")
    reply = reply_of_fact(fact("died", phase="dead", error_type="ValueError", error_message="no"))
    assert (reply.outcome, reply.error_type, reply.error_message) == (FAILED, "ValueError", "no")
    assert reply_of_fact(fact("cancelled", phase="cancelled")).outcome == CALL_CANCELLED
    reply = reply_of_fact(fact("rejected", error_type="oversize", reason="too large"))
    assert (reply.outcome, reply.error_message) == (FAILED, "too large")


async def test_a_relay_without_kafka_says_so() -> None:
    """And so does one for a name that cannot be."""
    settings = Settings(relay="127.0.0.1:0", calls_only="yes")
    async with Relay(settings, drain_s=0.2) as at, Caller(at.address) as caller:
        with pytest.raises(BadRequest, match="this relay has no Kafka, and no durable calls"):
            await caller.job("f", within=30)
