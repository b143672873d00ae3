"""The limits on what a request may ask: names, sizes, ranges, times. Pure: the time is handed in.

The state machine checks every request against them before it makes a job of it; a door does so before it
writes the request, so that who asks is told at once. Knows no job and no topic. Form is the codec's to check.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from schemas import defaults
from schemas.events import JobRequest
from schemas.names import BadName, check_function, check_id, check_queue
from schemas.words import PRIORITIES, Backoff, RejectCode

BARE = {field.name: field.default for field in fields(JobRequest) if field.default is not MISSING}
"""The fields that a request may leave out, with the values they then have."""

RANGES: dict[str, tuple[float, float, RejectCode]] = {
    "timeout_ms": (defaults.TIMEOUT_MS_MIN, defaults.TIMEOUT_MS_MAX, RejectCode.BAD_FIELD),
    "heartbeat_timeout_ms": (
        defaults.HEARTBEAT_TIMEOUT_MS_MIN,
        defaults.HEARTBEAT_TIMEOUT_MS_MAX,
        RejectCode.BAD_FIELD,
    ),
    "expected_ms": (1, defaults.TIMEOUT_MS_MAX, RejectCode.BAD_FIELD),
    "deadline_ms": (1, defaults.DEADLINE_MS_MAX, RejectCode.BAD_TIME),
    "expires_after_ms": (1, defaults.RUN_AT_AHEAD_MS_MAX, RejectCode.BAD_TIME),
    "retention_ms": (
        defaults.JOB_RETENTION_MS_MIN,
        defaults.JOB_RETENTION_MS_MAX,
        RejectCode.BAD_FIELD,
    ),
    "result_retention_ms": (0, defaults.JOB_RETENTION_MS_MAX, RejectCode.BAD_FIELD),
    "attempts_max": (1, defaults.ATTEMPTS_MAX_MAX, RejectCode.BAD_RETRY),
    "lost_max": (1, defaults.LOST_MAX_MAX, RejectCode.BAD_RETRY),
    "retry_initial_ms": (1, defaults.RETRY_INITIAL_MS_MAX, RejectCode.BAD_RETRY),
    "retry_factor": (defaults.RETRY_FACTOR_MIN, defaults.RETRY_FACTOR_MAX, RejectCode.BAD_RETRY),
    "retry_cap_ms": (1, defaults.RETRY_CAP_MS_MAX, RejectCode.BAD_RETRY),
    "retry_jitter": (0.0, defaults.RETRY_JITTER_MAX, RejectCode.BAD_RETRY),
}
"""The least and the most of each number in a request, both allowed, and how another is refused."""

LISTS = {
    "tags": (defaults.TAGS_MAX, defaults.TAG_CHARS_MAX),
    "non_retryable": (defaults.NON_RETRYABLE_MAX, defaults.ERROR_TYPE_CHARS_MAX),
}
"""How many strings a list of a request may have, and how long each may be, characters."""


class Refused(Exception):
    """A value that a limit or a pattern does not allow; `sentence` names the value found."""

    def __init__(self, code: RejectCode, sentence: str) -> None:
        super().__init__(code, sentence)
        self.code = code
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


def given_fields(request: JobRequest) -> dict[str, Any]:
    """The fields of a request that are not as if they had been left out."""
    return {name: value for name, value in vars(request).items() if value != BARE.get(name, MISSING)}


def check_request(request: JobRequest, at_ms: int) -> dict[str, Any]:
    """The fields that were given (`given_fields`), of a request for a job that is asked at `at_ms`.

    Refused if one of them is outside its limits.

    Not looked at: the id and the key, whose rules need the record that carries them, and a `schedule`.
    """
    _check_content(request)
    given = given_fields(request)
    check_given(given)
    _check_times(request, at_ms)
    return given


def _check_content(request: JobRequest) -> None:
    try:
        check_function(request.function)
        check_queue(request.queue)
        for id in (request.parent, request.scheduled_by):
            if id is not None:
                check_id(id)
    except BadName as error:
        raise Refused(RejectCode.BAD_NAME, str(error)) from error
    if request.args is not None and len(request.args) > defaults.ARGS_BYTES_MAX:
        reason = f"args must be at most {defaults.ARGS_BYTES_MAX} bytes, got {len(request.args)}"
        raise Refused(RejectCode.OVERSIZE, reason)
    check_text("content_type", request.content_type, defaults.CONTENT_TYPE_CHARS_MAX)
    if request.trace is not None:
        check_text("trace", request.trace, defaults.TRACE_CHARS_MAX)


def check_given(given: Mapping[str, Any]) -> None:
    """The numbers, lists and words that a request, or an operator for many, gives.

    Raises:
        Refused: One is outside its limits.
    """
    for name, value in given.items():
        if name in RANGES:
            least, most, code = RANGES[name]
            if not least <= value <= most:  # a NaN is in no range
                raise Refused(code, f"{name} must be from {least} to {most}, got {value}")
        elif name in LISTS:
            count_max, chars_max = LISTS[name]
            if len(value) > count_max:
                raise Refused(RejectCode.BAD_FIELD, f"{name} must be at most {count_max}, got {len(value)}")
            for text in value:
                check_text(name, text, chars_max)
        elif name == "retry_kind" and value not in set(Backoff):
            words = ", ".join(Backoff)
            raise Refused(RejectCode.BAD_RETRY, f"retry_kind must be one of {words}, got {value!r:.250}")
        elif name == "priority" and value not in PRIORITIES:
            reason = "priority must be from 1, the most urgent, to 5, or high, normal or low"
            raise Refused(RejectCode.BAD_FIELD, f"{reason}, got {value!r:.250}")


def _check_times(request: JobRequest, at_ms: int) -> None:
    """A time may lie in the past (at once, or expired already), but not absurdly far ahead, nor contradict
    another.
    """
    _check_ahead("run_at_ms", request.run_at_ms, at_ms, defaults.RUN_AT_AHEAD_MS_MAX)
    _check_ahead("expires_at_ms", request.expires_at_ms, at_ms, defaults.EXPIRES_AT_AHEAD_MS_MAX)
    if (
        request.run_at_ms is not None
        and request.expires_at_ms is not None
        and request.expires_at_ms <= request.run_at_ms
    ):
        reason = "expires_at_ms must be after run_at_ms"
        raise Refused(RejectCode.BAD_TIME, f"{reason}, got {request.expires_at_ms} and {request.run_at_ms}")
    wait_ms = 0 if request.run_at_ms is None else request.run_at_ms - at_ms
    if request.deadline_ms is not None and request.deadline_ms <= wait_ms:
        reason = "deadline_ms must be longer than the wait until run_at_ms"
        raise Refused(
            RejectCode.BAD_TIME, f"{reason}, got {request.deadline_ms} ms and a wait of {wait_ms} ms"
        )


def _check_ahead(name: str, time_ms: int | None, at_ms: int, most_ms: int) -> None:
    if time_ms is not None and time_ms - at_ms > most_ms:
        days, ahead = most_ms // defaults.DAY_MS, (time_ms - at_ms) // defaults.DAY_MS
        reason = f"{name} must be at most {days} days ahead, got {time_ms}, which is {ahead} days ahead"
        raise Refused(RejectCode.BAD_TIME, reason)


def check_text(name: str, text: str, chars_max: int) -> None:
    """A text for people: printable, and neither empty nor too long.

    Raises:
        Refused: It is not.
    """
    if not 1 <= len(text) <= chars_max or not text.isprintable():
        reason = f"{name} must be 1 to {chars_max} printable characters, got {text[:chars_max]!r}"
        raise Refused(RejectCode.BAD_FIELD, f"{reason} ({len(text)} characters)")
