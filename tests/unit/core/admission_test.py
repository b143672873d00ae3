"""From a request to a job's specification, or a sentence that says no: limits and contradictions."""

from hashlib import blake2b
from typing import Any

import pytest

from schemas import defaults
from schemas.events import Command, FunctionConfig, JobRequest, JobSpec, QueueConfig
from schemas.keys import home
from schemas.limits import given_fields
from schemas.names import derived_id
from schemas.records import replace
from schemas.words import RejectCode
from streams.core.admission import Address, Position, address, admit, content_hash
from streams.core.config import Config
from streams.core.rejection import Rejection

NOW_MS = 1_750_000_000_000
DAY_MS = 86_400_000
AT = Position("jobs.requests", 5, 42, NOW_MS)
PARTITIONS = 8


def admitted(record_key: bytes | None = None, **fields: Any) -> JobSpec:
    """The specification of a request that must be admitted."""
    spec = admit(JobRequest(**({"function": "mail.send"} | fields)), record_key, AT, PARTITIONS)
    assert isinstance(spec, JobSpec), spec
    return spec


def refused(record_key: bytes | None = None, **fields: Any) -> tuple[RejectCode, str]:
    """Why a request is not admitted."""
    refusal = admit(JobRequest(**({"function": "mail.send"} | fields)), record_key, AT, PARTITIONS)
    assert isinstance(refusal, Rejection), refusal
    return refusal.code, refusal.reason


def test_the_smallest_request_is_a_job_with_every_default() -> None:
    """A function is enough; the id is made from the position, the key is the id, the home is the key's."""
    id = derived_id("jobs.requests", 5, 42, NOW_MS)
    request = JobRequest(function="mail.send")
    assert admitted() == JobSpec(
        id=id,
        key=id,
        partition=home(id, PARTITIONS),
        function="mail.send",
        queue="default",
        args=None,
        args_apart=False,
        content_type="application/json",
        content_hash=content_hash(given_fields(request), id),
        created_at_ms=NOW_MS,
        timeout_ms=60_000,
        heartbeat_timeout_ms=4_000,
        retry_kind="exponential",
        retry_initial_ms=1_000,
        retry_factor=2.0,
        retry_cap_ms=300_000,
        retry_jitter=0.1,
        attempts_max=5,
        lost_max=3,
        priority="normal",
    )


def test_all_that_a_request_says_is_in_the_specification() -> None:
    """What is given goes before the defaults."""
    said: dict[str, Any] = {
        "id": "a",
        "key": "k",
        "queue": "slow",
        "args": b"x",
        "content_type": "text/plain",
        "run_at_ms": NOW_MS + 1,
        "expires_at_ms": NOW_MS + 2,
        "timeout_ms": 3,
        "heartbeat_timeout_ms": 4_001,
        "expected_ms": 5,
        "retry_kind": "linear",
        "retry_initial_ms": 6,
        "retry_factor": 7.0,
        "retry_cap_ms": 8,
        "retry_jitter": 0.9,
        "attempts_max": 10,
        "lost_max": 11,
        "non_retryable": ("KeyError",),
        "priority": "normal",
        "tags": ("red",),
        "scheduled_by": "s",
        "parent": "p",
        "trace": "00-1-2-01",
    }
    spec = admitted(**said, deadline_ms=DAY_MS)
    assert vars(spec).items() >= said.items()
    assert spec.ends_by_ms == NOW_MS + DAY_MS


# Keys and ids.


@pytest.mark.parametrize(
    ("record_key", "key", "id", "expected"),
    [
        (None, None, "job-1", "job-1"),
        (b"", None, "job-1", "job-1"),  # some clients write an empty key for none
        (b"outer", None, "job-1", "outer"),
        (None, "inner", "job-1", "inner"),
        (b"same", "same", "job-1", "same"),
    ],
)
def test_the_key_is_the_bodys_or_the_records_or_the_id(
    record_key: bytes | None, key: str | None, id: str, expected: str
) -> None:
    """A null record key is legal, and the home follows the key."""
    spec = admitted(record_key, key=key, id=id)
    assert (spec.id, spec.key, spec.partition) == (id, expected, home(expected, PARTITIONS))


def test_keys_that_contradict_are_refused() -> None:
    """Nobody can tell which one was meant."""
    assert refused(b"outer", key="inner") == (
        RejectCode.KEY_CONFLICT,
        "the record's key and the body's must not differ, got 'outer' and 'inner'",
    )


def test_an_id_made_for_a_request_with_a_key_hints_at_its_home() -> None:
    """The last two characters tell where to look, and a replay makes the same id."""
    assert admitted(b"k").id == derived_id("jobs.requests", 5, 42, NOW_MS, home("k", PARTITIONS))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"id": ""}, "id"),
        ({"id": "with space"}, "id"),
        ({"id": "-first"}, "id"),
        ({"id": "i" * 201}, "id"),
        ({"id": "naïve"}, "id"),
        ({"key": "k\n"}, "key"),
        ({"record_key": b"a b"}, "key"),
        ({"function": ""}, "function"),
        ({"function": "rm -rf"}, "function"),
        ({"queue": "Upper"}, "queue"),
        ({"queue": "q" * 64}, "queue"),
        ({"parent": "no no"}, "id"),
        ({"scheduled_by": "no no"}, "id"),
    ],
)
def test_a_name_outside_its_pattern_is_refused(fields: dict[str, Any], word: str) -> None:
    """The sentence has the pattern and the name found."""
    code, reason = refused(**fields)
    assert code == RejectCode.BAD_NAME
    assert reason.startswith(f"{word} must match ")
    assert ", got '" in reason


def test_a_record_key_that_is_no_text_is_refused() -> None:
    """Keys are UTF-8."""
    assert refused(b"\xff\x00") == (RejectCode.BAD_NAME, "the record's key must be UTF-8, got b'\\xff\\x00'")


# Limits.


@pytest.mark.parametrize(
    ("fields", "code", "sentence"),
    [
        ({"args": bytes(262_145)}, "oversize", "args must be at most 262144 bytes, got 262145"),
        ({"content_type": ""}, "bad_field", "content_type must be 1 to 200 printable characters, got ''"),
        (
            {"content_type": "c" * 201},
            "bad_field",
            "content_type must be 1 to 200 printable characters, got 'ccc",
        ),
        (
            {"trace": "\n"},
            "bad_field",
            "trace must be 1 to 200 printable characters, got '\\n' (1 characters)",
        ),
        ({"tags": ("",)}, "bad_field", "tags must be 1 to 100 printable characters, got ''"),
        ({"tags": ("\ud800",)}, "bad_field", "tags must be 1 to 100 printable characters"),
        ({"tags": ("t",) * 21}, "bad_field", "tags must be at most 20, got 21"),
        ({"non_retryable": ("e",) * 51}, "bad_field", "non_retryable must be at most 50, got 51"),
        ({"non_retryable": ("e" * 201,)}, "bad_field", "non_retryable must be 1 to 200 printable characters"),
        ({"timeout_ms": 0}, "bad_field", "timeout_ms must be from 1 to 604800000, got 0"),
        ({"timeout_ms": 604_800_001}, "bad_field", "timeout_ms must be from 1 to 604800000, got 604800001"),
        (
            {"heartbeat_timeout_ms": 1_999},
            "bad_field",
            "heartbeat_timeout_ms must be from 2000 to 86400000, got 1999",
        ),
        ({"expected_ms": 0}, "bad_field", "expected_ms must be from 1 to 604800000, got 0"),
        ({"deadline_ms": 0}, "bad_time", "deadline_ms must be from 1 to 34560000000, got 0"),
        ({"attempts_max": 0}, "bad_retry", "attempts_max must be from 1 to 1000, got 0"),
        ({"attempts_max": 1_001}, "bad_retry", "attempts_max must be from 1 to 1000, got 1001"),
        ({"lost_max": 0}, "bad_retry", "lost_max must be from 1 to 1000, got 0"),
        ({"retry_initial_ms": 0}, "bad_retry", "retry_initial_ms must be from 1 to 86400000, got 0"),
        ({"retry_factor": 0.9}, "bad_retry", "retry_factor must be from 1.0 to 100.0, got 0.9"),
        ({"retry_factor": float("nan")}, "bad_retry", "retry_factor must be from 1.0 to 100.0, got nan"),
        ({"retry_factor": float("inf")}, "bad_retry", "retry_factor must be from 1.0 to 100.0, got inf"),
        ({"retry_cap_ms": 0}, "bad_retry", "retry_cap_ms must be from 1 to 2592000000, got 0"),
        ({"retry_jitter": 1.1}, "bad_retry", "retry_jitter must be from 0.0 to 1.0, got 1.1"),
        (
            {"retry_kind": "square"},
            "bad_retry",
            "retry_kind must be one of constant, linear, exponential, polynomial, got 'square'",
        ),
        (
            {"priority": "urgent"},
            "bad_field",
            "priority must be from 1, the most urgent, to 5, or high, normal or low, got 'urgent'",
        ),
        ({"priority": "6"}, "bad_field", "got '6'"),
    ],
)
def test_a_value_beyond_its_limit_is_refused(fields: dict[str, Any], code: str, sentence: str) -> None:
    """The refusal names the field, its limits, and the value found."""
    found, reason = refused(**fields)
    assert found == code
    assert sentence in reason


def test_limits_themselves_are_allowed() -> None:
    """The least and the most are within."""
    admitted(args=bytes(defaults.ARGS_BYTES_MAX), timeout_ms=1, attempts_max=1_000, retry_jitter=1.0)
    admitted(tags=("t" * 100,) * 20, retry_factor=1.0, run_at_ms=NOW_MS + 400 * DAY_MS, priority="normal")


@pytest.mark.parametrize(("size", "apart"), [(0, False), (1_024, False), (1_025, True)])
def test_large_arguments_lie_in_a_row_of_their_own(size: int, apart: bool) -> None:  # noqa: FBT001
    """Over 1 KiB they are not in the specification, which says so."""
    spec = admitted(args=bytes(size))
    assert (spec.args_apart, spec.args) == (apart, None if apart else bytes(size))


def test_a_first_delay_above_the_default_cap_raises_it() -> None:
    """Whoever asks for ten minutes at first does not mean five at most."""
    assert admitted(retry_initial_ms=600_000).retry_cap_ms == 600_000
    assert admitted(retry_initial_ms=600_000, retry_cap_ms=7).retry_cap_ms == 7


def test_what_a_request_says_comes_before_what_operators_say() -> None:
    """The request, then the function's entry, then the queue's, then what is built in."""
    said = Config.of(
        [
            QueueConfig(queue="default", timeout_ms=5_000, attempts_max=9, retry_cap_ms=90),
            FunctionConfig(function="mail.send", attempts_max=7, lost_max=6),
        ]
    )
    spec = admit(JobRequest(function="mail.send", lost_max=2), None, AT, PARTITIONS, said)
    assert isinstance(spec, JobSpec)
    found = (spec.lost_max, spec.attempts_max, spec.timeout_ms, spec.retry_cap_ms, spec.retry_factor)
    assert found == (2, 7, 5_000, 90, defaults.RETRY_FACTOR)
    assert spec.content_hash == admitted(lost_max=2).content_hash


# Times.


def test_a_run_at_a_thousand_years_off_is_refused() -> None:
    """Four hundred days is the most."""
    far_ms = NOW_MS + 365_000 * DAY_MS
    assert refused(run_at_ms=far_ms) == (
        RejectCode.BAD_TIME,
        f"run_at_ms must be at most 400 days ahead, got {far_ms}, which is 365000 days ahead",
    )
    assert refused(expires_at_ms=NOW_MS + 801 * DAY_MS)[0] == RejectCode.BAD_TIME


def test_times_in_the_past_are_no_error() -> None:
    """A request may have lain in the log: it runs at once, or has expired."""
    spec = admitted(run_at_ms=NOW_MS - DAY_MS, expires_at_ms=NOW_MS - 1)
    assert (spec.run_at_ms, spec.expires_at_ms) == (NOW_MS - DAY_MS, NOW_MS - 1)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"expires_at_ms": NOW_MS + 5},
            f"expires_at_ms must be after run_at_ms, got {NOW_MS + 5} and {NOW_MS + 5}",
        ),
        (
            {"deadline_ms": 5},
            "deadline_ms must be longer than the wait until run_at_ms, got 5 ms and a wait of 5 ms",
        ),
    ],
)
def test_times_that_contradict_are_refused(fields: dict[str, Any], sentence: str) -> None:
    """A job that must end before it may begin was not meant."""
    assert refused(run_at_ms=NOW_MS + 5, **fields) == (RejectCode.BAD_TIME, sentence)


# The content hash.


def test_the_hash_of_a_known_request_never_changes() -> None:
    """Rows of years ago are compared with requests of today."""
    golden = {
        b'{"function":"mail.send","key":"k"}\0': "200878660730039bd2f5c45aac187c0f",
        b'{"attempts_max":3,"function":"f","key":"k","queue":"q","retry_factor":2.0,"tags":["\\u00e4","b"]}'
        b"\0"
        b"\x00\xff": "69d65f9e86b7c0da28ebd25fe9c673a6",
    }
    requests = (
        JobRequest(function="mail.send"),
        JobRequest(
            function="f", queue="q", args=b"\x00\xff", tags=("ä", "b"), retry_factor=2.0, attempts_max=3
        ),
    )
    for request, (hashed, digest) in zip(requests, golden.items(), strict=True):
        assert (
            content_hash(given_fields(request), "k") == blake2b(hashed, digest_size=16).hexdigest() == digest
        )


def _hash(with_key: str = "k", /, **asked: Any) -> str:
    return content_hash(given_fields(JobRequest(**asked)), with_key)


@pytest.mark.parametrize(
    "same",
    [
        {"id": "other"},
        {"trace": "00-1-2-01"},
        {"queue": "default"},
        {"content_type": "application/json"},
        {"tags": ()},
        {"key": "k"},  # given or resolved
        {"args": b""},
    ],
)
def test_requests_that_ask_for_the_same_have_the_same_hash(same: dict[str, Any]) -> None:
    """Neither the id nor the trace is content, nor is a default that is written out."""
    assert _hash(function="f", **same) == _hash(function="f")


@pytest.mark.parametrize(
    "other", [{"function": "g"}, {"queue": "q"}, {"args": b"{}"}, {"timeout_ms": 60_000}, {"tags": ("a",)}]
)
def test_requests_that_ask_for_something_else_have_another_hash(other: dict[str, Any]) -> None:
    """Any other field is content, and so is the key."""
    one = _hash(function="f")
    assert _hash(**({"function": "f"} | other)) != one
    assert _hash("k2", function="f") != one


def test_a_request_written_again_to_its_home_has_the_same_hash() -> None:
    """With its id and key fixed, and at another position, it is an equal duplicate of itself."""
    spec = admitted(b"k", tags=("a",))
    routed = JobRequest(function="mail.send", id=spec.id, key=spec.key, tags=("a",))
    again = admit(routed, b"k", Position("jobs.requests", spec.partition, 999, NOW_MS + 3), PARTITIONS)
    assert again == replace(spec, created_at_ms=NOW_MS + 3)


def test_a_request_with_a_schedule_is_no_job() -> None:
    """Whoever calls must tell them apart."""
    with pytest.raises(AssertionError, match="a request with a schedule is no job"):
        admit(JobRequest(function="f", schedule="{}"), None, AT, PARTITIONS)


# Commands.


def test_a_command_finds_the_home_of_its_job() -> None:
    """By the job's key where it is given, else by its id."""
    command = Command(command="cancel", id="job-1")
    assert address(command, None, AT, PARTITIONS) == Address("job-1", "job-1", home("job-1", PARTITIONS))
    assert address(command, b"k", AT, PARTITIONS) == Address("job-1", "k", home("k", PARTITIONS))
    remove = Command(command="remove_schedule", id="s")
    assert address(remove, b"k", AT, PARTITIONS) == Address("s", "s", home("s", PARTITIONS))
    conflict = address(replace(command, key="k"), b"j", AT, PARTITIONS)
    assert isinstance(conflict, Rejection)
    assert conflict.code == RejectCode.KEY_CONFLICT
