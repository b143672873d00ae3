"""Durable calls: what is asked of Kafka, and what a job's facts mean to who waits; no broker."""

import asyncio
from dataclasses import replace

import pytest

from jobstream import Caller
from jobstream.errors import BadRequest
from relay import durable
from relay.durable import BadDurable, Durables, ends, reply_of_fact, request_of
from relay.main import Relay
from schemas.codec import encode
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

JSON = "application/json"


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


def test_options_that_have_no_field() -> None:
    """They are said as a request in JSON says them; what has a field, or is none, is refused by name."""
    request = request_of(
        CallRequest(function="f", job="j-1", options=b'{"tags": ["a"], "priority": 2, "deadline_ms": 60000}')
    )
    assert (request.tags, request.priority, request.deadline_ms) == (("a",), "2", 60_000)
    for options, sentence in (
        (b'{"timeout_ms": 5}', "options must not name timeout_ms, which has a field of its own"),
        (b'{"tag": "a"}', "options: .*tag"),
        (b"{", "options: the value starts as JSON"),
        (b"[1]", "options must be a JSON object"),
        (b'{"schedule": {"cron": "* * * * *"}}', "options must not name schedule"),
        (b" " * 16_385, "options of a job must be at most 16384 bytes, got 16385"),
    ):
        with pytest.raises(BadDurable, match=sentence):
            request_of(CallRequest(function="f", job="j-1", options=options))


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


def test_a_unique_job_is_asked_for_as_any_client_does() -> None:
    """By its policy; without a key what it must not do twice is its key, so that equal ones meet."""

    def asked(job: str, unique: str, key: str = "") -> CallRequest:
        args = b'{"to":1,"at":2}'
        return CallRequest(job=job, function="f", args=args, content_type=JSON, unique=unique, key=key)

    one = request_of(asked("j-1", unique='{"fields":["to"]}'))
    two = request_of(asked("j-2", unique='{"fields":["to"]}'))
    assert one.unique == '{"fields":["to"]}'
    assert one.key == two.key is not None
    assert request_of(asked("j-3", unique="{}", key="k")).key == "k"
    with pytest.raises(BadDurable, match="unique must be a JSON object, got 'soon'"):
        request_of(asked("j-4", unique="soon"))


class Record:
    """A record of facts."""

    def __init__(self, found: Fact) -> None:
        self._value = encode(found)

    def value(self) -> bytes:
        """Its bytes."""
        return self._value

    def error(self) -> None:
        """None."""


async def test_the_end_of_another_job_is_the_answer() -> None:
    """Who waits for jobs that another one stands in the way of hears of its end, and who waits for it too."""
    durables = Durables({}, Topics("p."))
    durables._waiting = {"a": [], "b": [], "j": []}
    for job in ("a", "b", "nobody's"):
        told = replace(fact("deduplicated", phase="leased", duplicate_of="j"), job=job)
        assert durables._ends_in(Record(told)) == []
    assert durables._ends_in(Record(fact("started", phase="leased"))) == []
    over = fact("succeeded", phase="succeeded", result=b"1")
    assert sorted(job for job, _ in durables._ends_in(Record(over))) == ["a", "b", "j"]
    assert [job for job, _ in durables._ends_in(Record(over))] == ["j"]


async def test_a_relay_without_kafka_says_so() -> None:
    """And so does one for a name that cannot be."""
    settings = Settings(relay="127.0.0.1:0", calls_only="yes")
    async with Relay(settings, drain_s=0.2) as at, Caller(at.address) as caller:
        with pytest.raises(BadRequest, match="this relay has no Kafka, and no durable calls"):
            await caller.job("f", within=30)
