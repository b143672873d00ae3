"""The JSON form of requests, commands and schedules: every field, and every way to be wrong."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas import defaults
from schemas.codec import Undecodable, decode
from schemas.events import Command, JobRequest, Schedule
from schemas.requests import to_json
from schemas.words import RejectCode

REQUESTS = (JobRequest, Command)
AT_MS = 1_767_268_800_000


def read(body: Any, expect: tuple[type, ...] = REQUESTS) -> Any:
    """What a body is read as."""
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode(value, expect)


def refused(body: Any, expect: tuple[type, ...] = REQUESTS) -> Undecodable:
    """The refusal of a body."""
    with pytest.raises(Undecodable) as caught:
        read(body, expect)
    return caught.value


def test_smallest_request() -> None:
    """A function and its arguments are enough."""
    request = read(b'{"function": "mail.send", "args": {"to": "a@b.c"}}')
    assert request == JobRequest(function="mail.send", args=b'{"to":"a@b.c"}')


def test_every_field() -> None:
    """Every field of a request has a place in JSON."""
    request = read(
        {
            "id": "job-1",
            "function": "mail.send",
            "queue": "mail",
            "key": "orders-17",
            "args": ["a", 1],
            "content_type": "application/json",
            "run_at": "2026-01-01T12:00:00Z",
            "expires_at": AT_MS + 5,
            "deadline_ms": 1,
            "timeout_ms": 2,
            "heartbeat_timeout_ms": 3,
            "expires_after_ms": 10,
            "retention_ms": 11,
            "result_retention_ms": 12,
            "expected_ms": 4,
            "retry": {
                "kind": "constant",
                "initial_ms": 5,
                "factor": 6,
                "cap_ms": 7,
                "jitter": 0.5,
                "attempts_max": 8,
                "lost_max": 9,
                "non_retryable": ["ValueError"],
            },
            "priority": "high",
            "tags": ["a", "b"],
            "unique": {"fields": ["to"]},
            "schedule": {"cron": "* * * * *", "timezone": "Europe/Berlin"},
            "scheduled_by": "s",
            "parent": "p",
            "trace": "00-1-2-01",
        }
    )
    assert request == JobRequest(
        id="job-1",
        function="mail.send",
        queue="mail",
        key="orders-17",
        args=b'["a",1]',
        run_at_ms=AT_MS,
        expires_at_ms=AT_MS + 5,
        deadline_ms=1,
        timeout_ms=2,
        heartbeat_timeout_ms=3,
        expires_after_ms=10,
        retention_ms=11,
        result_retention_ms=12,
        expected_ms=4,
        retry_kind="constant",
        retry_initial_ms=5,
        retry_factor=6.0,
        retry_cap_ms=7,
        retry_jitter=0.5,
        attempts_max=8,
        lost_max=9,
        non_retryable=("ValueError",),
        priority="high",
        tags=("a", "b"),
        unique='{"fields":["to"]}',
        schedule='{"cron":"* * * * *","timezone":"Europe/Berlin"}',
        scheduled_by="s",
        parent="p",
        trace="00-1-2-01",
    )
    assert read(to_json(request).encode()) == request
    not_default = [
        name for name, found in vars(request).items() if found != vars(JobRequest(function="f"))[name]
    ]
    assert set(not_default) == set(vars(request)) - {"content_type"}


def test_null_is_absent() -> None:
    """A field that is null is as if it were not there."""
    body = {
        "function": "f",
        "queue": None,
        "key": None,
        "args": None,
        "retry": None,
        "command": None,
        "tags": None,
    }
    assert read(body) == JobRequest(function="f")
    assert read({"function": "f", "retry": {"kind": None}}) == JobRequest(function="f")


@pytest.mark.parametrize("args", [{}, [], "text", 0, False, 1.5, {"a": [None, {"é": "😀"}]}])
def test_args_are_any_json(args: Any) -> None:
    """Args may be any JSON value, and are kept as UTF-8 without spaces."""
    found = read({"function": "f", "args": args}).args
    assert json.loads(found) == args
    assert found == json.dumps(args, ensure_ascii=False, separators=(",", ":")).encode()


def test_args_base64() -> None:
    """Bytes go as base64, with the type given, else as bytes without a form."""
    data = b"\x00\xff"
    body = {"function": "f", "args_base64": base64.b64encode(data).decode()}
    assert read(body) == JobRequest(function="f", args=data, content_type="application/octet-stream")
    assert read({**body, "content_type": "image/png"}).content_type == "image/png"
    assert "args_base64 must be base64" in refused({"function": "f", "args_base64": "YWJj*"}).sentence
    assert "args_base64 must be base64" in refused({"function": "f", "args_base64": "é"}).sentence
    assert "must be a string" in refused({"function": "f", "args_base64": 1}).sentence
    assert "at most one of args and args_base64" in refused({**body, "args": 1}).sentence
    assert (
        "content_type must be application/json"
        in refused({"function": "f", "args": 1, "content_type": "text/plain"}).sentence
    )


@pytest.mark.parametrize("body", [{}, {"key": "k"}, {"function": None}])
def test_neither_function_nor_command(body: dict[str, Any]) -> None:
    """A request without a function asks for nothing."""
    refusal = refused(body)
    assert refusal.code == RejectCode.BAD_FIELD
    assert refusal.sentence == "a request must have exactly one of function and command, got neither"


def test_both_function_and_command() -> None:
    """A value asks for a job or to change one, never both."""
    refusal = refused({"function": "f", "command": "cancel", "id": "x"})
    assert refusal.sentence == "a request must have exactly one of function and command, got both"


def test_camel_case_is_unknown() -> None:
    """A field in camelCase is unknown here: that is for the HTTP door. The sentence has a hint."""
    refusal = refused({"function": "f", "runAt": "2026-01-01T12:00:00Z"})
    assert refusal.code == RejectCode.UNKNOWN_FIELD
    assert refusal.sentence == "a request has no field 'runAt'; did you mean run_at?"


@pytest.mark.parametrize(
    ("body", "expect", "sentence"),
    [
        ({"function": "f", "zzz": 1}, REQUESTS, "a request has no field 'zzz'"),
        ({"function": "f", "retry": {"max": 1}}, REQUESTS, "a retry has no field 'max'"),
        ({"command": "cancel", "id": "x", "args": 1}, REQUESTS, "a command has no field 'args'"),
        (
            {"id": "s", "cron": "* * * * *", "function": "f", "tz": "UTC"},
            (Schedule,),
            "a schedule has no field 'tz'",
        ),
    ],
)
def test_unknown_fields(body: Any, expect: tuple[type, ...], sentence: str) -> None:
    """A field that is not known is named."""
    refusal = refused(body, expect)
    assert refusal.code == RejectCode.UNKNOWN_FIELD
    assert refusal.sentence.startswith(sentence)


@pytest.mark.parametrize("found", [True, 1.0, "1", [1], {}, 2**63, -(2**63) - 1])
def test_whole_numbers(found: Any) -> None:
    """Where a whole number is asked for, nothing else will do: no boolean, no fraction, no text."""
    refusal = refused({"function": "f", "timeout_ms": found})
    assert refusal.code == RejectCode.BAD_FIELD
    assert refusal.sentence.startswith("timeout_ms must be a whole number up to 9223372036854775807, got ")
    assert refused({"function": "f", "retry": {"attempts_max": 2**31}}).code == RejectCode.BAD_RETRY


@pytest.mark.parametrize("found", ["true", '"2"', "[]", "1e999", "-1e999", "1" + "0" * 400])
def test_numbers(found: str) -> None:
    """A factor is a finite number."""
    refusal = refused(f'{{"function":"f","retry":{{"factor":{found}}}}}'.encode())
    assert refusal.code == RejectCode.BAD_RETRY
    assert refusal.sentence.startswith("retry.factor must be a number, got ")


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_no_numbers(word: str) -> None:
    """What Python's JSON takes for numbers and JSON does not is refused, within args too."""
    assert refused(f'{{"function":"f","args":[{word}]}}'.encode()).code == RejectCode.UNDECODABLE
    assert refused(b'{"function":"f","args":[1e999]}').sentence.startswith("args must hold finite numbers")


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("function", 1),
        ("queue", ["q"]),
        ("key", 17),
        ("id", {}),
        ("priority", True),
        ("tags", "a"),
        ("tags", [1]),
        ("unique", "x"),
        ("schedule", "* * * * *"),
        ("retry", [1]),
        ("retry", {"non_retryable": "ValueError"}),
        ("retry", {"kind": 1}),
    ],
)
def test_wrong_types(field: str, found: Any) -> None:
    """A field of the wrong type is named, with what was found."""
    refusal = refused({"function": "f", field: found})
    assert refusal.code in (RejectCode.BAD_FIELD, RejectCode.BAD_RETRY)
    assert refusal.sentence.startswith(field)
    assert "got" in refusal.sentence


@pytest.mark.parametrize(
    ("found", "at_ms"),
    [
        ("2026-01-01T12:00:00Z", AT_MS),
        ("2026-01-01t12:00:00.1z", AT_MS + 100),
        ("2026-01-01 14:30:00.123456789+02:30", AT_MS + 123),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
        ("3026-01-01T12:00:00-08:00", 33_324_206_400_000),
        (AT_MS, AT_MS),
        (2**63 - 1, 2**63 - 1),
    ],
)
def test_times(found: Any, at_ms: int) -> None:
    """A time is RFC 3339 or epoch milliseconds; how far ahead it may be is admission's to say."""
    assert read({"function": "f", "run_at": found}).run_at_ms == at_ms


@pytest.mark.parametrize(
    "found",
    [
        "tomorrow",
        "2026-01-01",
        "2026-01-01T12:00:00",
        "2026-02-30T12:00:00Z",
        "2026-01-01T25:00:00Z",
        "",
        "1767268800000",
        "٢٠٢٦-01-01T12:00:00Z",
        True,
        1.5,
        [],
        {},
        1_767_268_800,
        0,
        -1,
        2**63,
    ],
)
def test_bad_times(found: Any) -> None:
    """What is no time, and what looks like seconds, is refused by name."""
    refusal = refused({"function": "f", "run_at": found})
    assert refusal.code == RejectCode.BAD_TIME
    assert refusal.sentence.startswith("run_at")


def test_commands() -> None:
    """A command has an id, and may have a key, a reason and who asks."""
    body = {"command": "cancel", "id": "x", "key": "k", "reason": "why", "by": "me"}
    command = read(body)
    assert command == Command(command="cancel", id="x", key="k", reason="why", by="me")
    assert read(to_json(command).encode()) == command
    assert refused({"command": "cancel"}).sentence.startswith("a command must have the field id, got ")


def test_schedules() -> None:
    """A schedule has an id, a cron expression and a function, and may have all the rest."""
    body = {
        "id": "s",
        "cron": "*/5 * * * *",
        "timezone": "Europe/Berlin",
        "function": "f",
        "queue": "q",
        "key": "k",
        "args": {"a": 1},
        "content_type": "application/json",
        "timeout_ms": 1,
        "attempts_max": 2,
        "catchup_window_ms": 3,
        "paused": True,
        "note": "n",
    }
    schedule = read(body, (Schedule,))
    assert schedule == Schedule(
        id="s",
        cron="*/5 * * * *",
        timezone="Europe/Berlin",
        function="f",
        queue="q",
        key="k",
        args=b'{"a":1}',
        timeout_ms=1,
        attempts_max=2,
        catchup_window_ms=3,
        paused=True,
        note="n",
    )
    assert read(to_json(schedule).encode(), (Schedule,)) == schedule
    for name in ("id", "function"):
        missing = {field: found for field, found in body.items() if field != name}
        assert f"must have the field {name}" in refused(missing, (Schedule,)).sentence
    assert refused({**body, "paused": 1}, (Schedule,)).sentence == "paused must be true or false, got 1"


def test_only_what_is_expected() -> None:
    """A command where only requests belong is refused, and the other way round."""
    assert refused({"command": "cancel", "id": "x"}, (JobRequest,)).code == RejectCode.UNEXPECTED_TYPE
    assert refused({"function": "f"}, (Command,)).code == RejectCode.UNEXPECTED_TYPE


@pytest.mark.parametrize(
    "value", [b"{", b'{"function":}', b'{"function":"f"} x', b'{"a":"\xff"}', b"{'function':'f'}"]
)
def test_broken_json(value: bytes) -> None:
    """What begins as JSON and does not go on as it is undecodable, with the place."""
    assert refused(value).code == RejectCode.UNDECODABLE


def test_half_a_surrogate_pair() -> None:
    """A half of a pair can be written in JSON and nowhere else: refused; a whole one is a character."""
    assert "got half of a pair" in refused(b'{"function":"f","key":"\\ud83d"}').sentence
    assert "got half of a pair" in refused(b'{"function":"f","args":{"\\udc00":1}}').sentence
    assert read(b'{"function":"f","tags":["\\ud83d\\ude00"]}').tags == ("😀",)


def test_nesting() -> None:
    """Nesting is bounded, however it is written; many values side by side are not nested."""
    limit = defaults.JSON_DEPTH_MAX

    def nested(levels: int) -> bytes:
        return b'{"function":"f","args":' + b"[" * levels + b"]" * levels + b"}"

    assert read(nested(limit - 1)).function == "f"
    for levels in (limit, 1_000, 200_000):
        assert "must not be nested deeper than 64" in refused(nested(levels)).sentence
    assert refused(b'{"a":' * 100_000).code == RejectCode.UNDECODABLE
    assert read({"function": "f", "args": [[]] * 1_000}).args is not None
    assert read({"function": "f", "args": "[" * 1_000}).args is not None


def test_repeated_fields() -> None:
    """Of a field that is there twice the last one holds, as in every JSON parser."""
    assert read(b'{"function":"f","function":"g"}').function == "g"


def test_long_values_are_cut_in_sentences() -> None:
    """A sentence stays short, whatever was sent."""
    for body in ({"function": "f", "timeout_ms": "x" * 100_000}, {"x" * 100_000: 1, "function": "f"}):
        assert len(refused(body).sentence) < 300
    assert len(refused(b'{"' + b"x" * 100_000).sentence) < 400


def test_json_without_args() -> None:
    """A dead letter keeps the request in JSON without its args, but with their type."""
    request = JobRequest(function="f", args=b"\x00", content_type="image/png", key="k")
    assert json.loads(to_json(request, with_args=False)) == {
        "function": "f",
        "key": "k",
        "content_type": "image/png",
    }


@pytest.mark.parametrize(
    "args", [b"", b"no json", b'{"a": 1}', b"null", b"NaN", b"[" * 5_000, b'"\xff"', b'"\\ud800"']
)
def test_args_that_json_would_change(args: bytes) -> None:
    """Args that JSON would not give back byte for byte go as base64."""
    request = JobRequest(function="f", args=args)
    assert "args_base64" in json.loads(to_json(request))
    assert read(to_json(request).encode()) == request


def test_the_page_shows_every_field() -> None:
    """The request with all fields in the room's README is read, and has all fields."""
    page = (Path(schemas.__file__).parent / "README.md").read_text()
    example = page.split("```json\n")[1].split("```")[0]
    assert all(found is not None for found in vars(read(example.encode())).values())
