"""The record that a submission becomes."""

import json
from typing import Any

import pytest

from jobstream.client.client import _submission
from jobstream.client.request import Place, place_of, request_record
from jobstream.errors import BadRequest, JobstreamError
from jobstream.functions import Retry, Submission, function
from schemas.codec import decode
from schemas.events import JobRequest
from schemas.keys import home
from schemas.names import likely_homes

PLACE = Place("job-1", "key-1", 3)
NOW_MS = 1_700_000_000_000


def request(submission: Submission) -> JobRequest:
    """The request in the record of a submission."""
    return decode(request_record(submission, PLACE, "jobs.requests", NOW_MS).value or b"", (JobRequest,))


def test_the_home_of_a_job_is_that_of_its_key() -> None:
    """With a key, the id that is made names the home as a hint; without one, the id is the key."""
    keyed = place_of(None, "orders-17", 8)
    assert keyed.partition == home("orders-17", 8)
    assert likely_homes(keyed.id, 8)[0] == keyed.partition
    bare = place_of(None, None, 8)
    assert (bare.key, bare.partition) == (bare.id, home(bare.id, 8))
    assert place_of("mine", None, 8) == ("mine", "mine", home("mine", 8))


@pytest.mark.parametrize(("id", "key"), [("a b", None), ("", None), (None, "ä"), ("x" * 201, "k")])
def test_names_outside_their_pattern_are_refused(id: str | None, key: str | None) -> None:
    """An id or key that the service would refuse is refused before anything is written."""
    with pytest.raises(BadRequest, match="must match"):
        place_of(id, key, 8)


def test_a_record_is_whole() -> None:
    """Topic, partition and key are explicit; the value holds id, key and arguments."""
    made = Submission(function="mail.send", args={"to": "a@b.c"}, tags=("vip",), timeout_ms=5_000)
    record = request_record(made, PLACE, "jobs.requests", NOW_MS)
    assert (record.topic, record.partition, record.key) == ("jobs.requests", 3, b"key-1")
    found = request(made)
    assert (found.id, found.key, found.function, found.queue) == ("job-1", "key-1", "mail.send", "default")
    assert json.loads(found.args or b"") == {"to": "a@b.c"}
    assert (found.tags, found.timeout_ms, found.run_at_ms) == (("vip",), 5_000, None)


def test_a_delay_counts_from_the_submission() -> None:
    """It becomes a time; with a time beside it, it is refused."""
    assert request(Submission(function="f", delay_ms=1_500)).run_at_ms == NOW_MS + 1_500
    with pytest.raises(BadRequest, match="run_at or delay, got both"):
        request(Submission(function="f", delay_ms=1_500, run_at_ms=1))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"function": "send mail"}, "function must match"),
        ({"function": "f", "queue": "Mails"}, "queue must match"),
        ({"function": "f", "args": {"x": object()}}, "arguments must be JSON values"),
        ({"function": "f", "args": ["x" * 300_000]}, "arguments must be at most 262144 bytes, got 300004"),
    ],
)
def test_what_the_service_would_refuse_is_refused_here(fields: dict[str, Any], sentence: str) -> None:
    """Names, arguments that are no JSON, and sizes need no service to be refused."""
    with pytest.raises(JobstreamError, match=sentence):
        request(Submission(**fields))


@function(name="mail.send", queue="mails", timeout=5, retry=Retry(attempts=2))
async def send(to: str, copies: int = 1) -> None:
    """A function for these tests."""


def test_the_ways_to_say_what_to_run() -> None:
    """A name with arguments, a decorated function with its own options, or a whole Submission."""
    named = _submission("mail.send", {"to": "a"}, {"queue": "other", "delay": 2})
    assert (named.function, named.queue, named.args, named.delay_ms) == (
        "mail.send",
        "other",
        {"to": "a"},
        2_000,
    )
    declared = _submission(send, {"to": "a"}, {"key": "k"})
    assert (declared.queue, declared.timeout_ms, declared.attempts_max, declared.key) == (
        "mails",
        5_000,
        2,
        "k",
    )
    assert _submission(send, ["a", 3], {}).args == {"to": "a", "copies": 3}
    assert _submission("f", ("a", 3), {}).args == ["a", 3]
    assert _submission("f", b"\x00", {}).content_type == "application/octet-stream"
    assert _submission(named, None, {}) is named


@pytest.mark.parametrize(
    ("asked", "args", "options", "sentence"),
    [
        (Submission(function="f"), {"a": 1}, {}, "a Submission must come alone"),
        (Submission(function="f"), None, {"key": "k"}, "a Submission must come alone"),
        ("f", "text", {}, "args must be a dict of keyword arguments, .* got str"),
        ("f", 7, {}, "got int"),
        ("f", None, {"retries": 3}, "options must be among .*, got retries"),
        (send, {"from": "x"}, {}, "must be called as"),
    ],
)
def test_what_makes_no_sense_is_refused(asked: Any, args: Any, options: Any, sentence: str) -> None:
    """Options that there are not and arguments that do not fit are told in a sentence."""
    with pytest.raises(JobstreamError, match=sentence):
        _submission(asked, args, options)
