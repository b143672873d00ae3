"""From a request to the specification of a job: key, id, defaults, limits, content hash. Or a sentence that
says no.

Reads only the request and where it stands in the log, so a replay gives the same. Knows nothing of jobs
that exist: whether an id is taken is the machine's business.
"""

import json
from dataclasses import MISSING, dataclass, fields
from hashlib import blake2b
from typing import Any

from schemas import defaults
from schemas.events import Command, JobRequest, JobSpec
from schemas.keys import home
from schemas.names import BadName, check_function, check_id, check_key, check_queue, derived_id
from schemas.words import Backoff, CommandName, Priority, RejectCode
from streams.core.rejection import Rejection

CONTENT_HASH_BYTES = 16

BARE = {field.name: field.default for field in fields(JobRequest) if field.default is not MISSING}
"""The fields that a request may leave out, with the values they then have."""

NO_CONTENT = frozenset({"id", "key", "args", "trace"})
"""Fields of a request that the first part of the content hash leaves out."""

RANGES: dict[str, tuple[float, float, RejectCode]] = {
    "timeout_ms": (defaults.TIMEOUT_MS_MIN, defaults.TIMEOUT_MS_MAX, RejectCode.BAD_FIELD),
    "heartbeat_timeout_ms": (
        defaults.HEARTBEAT_TIMEOUT_MS_MIN,
        defaults.HEARTBEAT_TIMEOUT_MS_MAX,
        RejectCode.BAD_FIELD,
    ),
    "expected_ms": (1, defaults.TIMEOUT_MS_MAX, RejectCode.BAD_FIELD),
    "deadline_ms": (1, defaults.DEADLINE_MS_MAX, RejectCode.BAD_TIME),
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

SPEC: dict[str, Any] = {
    "queue": defaults.QUEUE,
    "content_type": defaults.CONTENT_TYPE,
    "run_at_ms": None,
    "expires_at_ms": None,
    "timeout_ms": defaults.TIMEOUT_MS,
    "heartbeat_timeout_ms": defaults.HEARTBEAT_TIMEOUT_MS,
    "expected_ms": None,
    "retry_kind": defaults.RETRY_KIND,
    "retry_initial_ms": defaults.RETRY_INITIAL_MS,
    "retry_factor": defaults.RETRY_FACTOR,
    "retry_cap_ms": defaults.RETRY_CAP_MS,
    "retry_jitter": defaults.RETRY_JITTER,
    "attempts_max": defaults.ATTEMPTS_MAX,
    "lost_max": defaults.LOST_MAX,
    "non_retryable": (),
    "priority": Priority.NORMAL,
    "tags": (),
    "scheduled_by": None,
    "parent": None,
    "trace": None,
}
"""What a specification takes over from its request, and what stands in it otherwise."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where and when a record was written."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    """The record's time, by the broker's clock, epoch ms."""


@dataclass(frozen=True, slots=True)
class Address:
    """What a record is about, and where that lives."""

    id: str
    key: str
    partition: int
    """Home partition of the key."""


class Refused(Exception):
    """A value that a limit or a pattern does not allow; never leaves this module."""

    def __init__(self, code: RejectCode, reason: str) -> None:
        super().__init__(reason)
        self.rejection = Rejection(code, reason)


def admit(
    request: JobRequest, record_key: bytes | None, position: Position, partitions: int
) -> JobSpec | Rejection:
    """The job that the request asks for, or why there will be none.

    Large arguments (over `ARGS_INLINE_BYTES_MAX`) are not in the specification, which then says
    `args_apart`: the caller keeps the request's own. A request with a `schedule` asks for no job;
    `schedule.from_request` reads it.

    Args:
        request: the request as decoded; field types are right, nothing else is known of it.
        record_key: key of the record that carried it.
        position: where that record stands. A request without an id gets one made from it.
        partitions: how many partitions the prefix has.
    """
    assert request.schedule is None, f"a request with a schedule is no job, got {request.schedule!r}"
    given = _given(request)
    try:
        _check_unsupported(request)
        address = _address(request.id, request.key, record_key, position, partitions)
        _check_content(request)
        _check_given(given)
        _check_times(request, position.at_ms)
    except Refused as refused:
        return refused.rejection
    return _spec(request, given, address, position.at_ms)


def address(
    command: Command, record_key: bytes | None, position: Position, partitions: int
) -> Address | Rejection:
    """What a command is about and where that lives, or why it cannot be told.

    A schedule lives at the home of its id, whatever key its record has.
    """
    try:
        if command.command == CommandName.REMOVE_SCHEDULE:
            return _address(command.id, command.id, None, position, partitions)
        return _address(command.id, command.key, record_key, position, partitions)
    except Refused as refused:
        return refused.rejection


def content_hash(request: JobRequest, key: str) -> str:
    """Tells an equal duplicate from an unequal one: hex of BLAKE2b with 16 bytes over

    - compact JSON (sorted names, ASCII) of an object with `key` (the resolved one) and each field of the
        request that is not as if it had been left out, without `id`, `args` and `trace`;
    - a zero byte;
    - the arguments.

    So a field that is added to requests one day changes no hash of a request that does not use it, and a
    default that changes makes no duplicate unequal.
    """
    content = {name: value for name, value in _given(request).items() if name not in NO_CONTENT}
    content["key"] = key
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = blake2b(text.encode("ascii"), digest_size=CONTENT_HASH_BYTES)
    digest.update(b"\0")
    digest.update(request.args or b"")
    return digest.hexdigest()


def _given(request: JobRequest) -> dict[str, Any]:
    """The fields of a request that are not as if they had been left out."""
    return {name: value for name, value in vars(request).items() if value != BARE.get(name, MISSING)}


def _address(
    id: str | None, key: str | None, record_key: bytes | None, position: Position, partitions: int
) -> Address:
    """The id and the key, from where they are given; the record's key and the body's must not differ."""
    key = _key(key, record_key)
    try:
        if key is not None:
            check_key(key)
        if id is None:
            hint = None if key is None else home(key, partitions)
            id = derived_id(position.topic, position.partition, position.offset, position.at_ms, hint)
        check_id(id)
    except BadName as error:
        raise Refused(RejectCode.BAD_NAME, str(error)) from error
    key = id if key is None else key
    return Address(id, key, home(key, partitions))


def _key(key: str | None, record_key: bytes | None) -> str | None:
    """The body's key or the record's; an empty record key is none."""
    if not record_key:
        return key
    try:
        outer = record_key.decode()
    except UnicodeDecodeError as error:
        reason = f"the record's key must be UTF-8, got {record_key[: defaults.NAME_CHARS_MAX]!r}"
        raise Refused(RejectCode.BAD_NAME, reason) from error
    if key is not None and key != outer:
        reason = f"the record's key and the body's must not differ, got {outer!r:.250} and {key!r:.250}"
        raise Refused(RejectCode.KEY_CONFLICT, reason)
    return outer


def _check_unsupported(request: JobRequest) -> None:
    """Nothing that is asked for is silently ignored."""
    if request.unique is not None:
        reason = f"unique is not supported yet and must be left out, got {request.unique!r:.250}"
        raise Refused(RejectCode.BAD_FIELD, reason)
    if request.priority is not None and request.priority != Priority.NORMAL:
        words = ", ".join(Priority)
        known = request.priority in set(Priority)
        reason = "priority must be normal or left out, since bands are not served yet" if known else ""
        reason = reason or f"priority must be one of {words}"
        raise Refused(RejectCode.BAD_FIELD, f"{reason}, got {request.priority!r:.250}")


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
    _check_text("content_type", request.content_type, defaults.CONTENT_TYPE_CHARS_MAX)
    if request.trace is not None:
        _check_text("trace", request.trace, defaults.TRACE_CHARS_MAX)


def _check_given(given: dict[str, Any]) -> None:
    """The numbers, lists and words that were given."""
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
                _check_text(name, text, chars_max)
        elif name == "retry_kind" and value not in set(Backoff):
            words = ", ".join(Backoff)
            raise Refused(RejectCode.BAD_RETRY, f"retry_kind must be one of {words}, got {value!r:.250}")


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


def _check_text(name: str, text: str, chars_max: int) -> None:
    if not 1 <= len(text) <= chars_max or not text.isprintable():
        reason = f"{name} must be 1 to {chars_max} printable characters, got {text[:chars_max]!r}"
        raise Refused(RejectCode.BAD_FIELD, f"{reason} ({len(text)} characters)")


def _spec(request: JobRequest, given: dict[str, Any], address: Address, at_ms: int) -> JobSpec:
    """The request with every default filled in."""
    args = request.args
    apart = args is not None and len(args) > defaults.ARGS_INLINE_BYTES_MAX
    policy = SPEC | {name: value for name, value in given.items() if name in SPEC}
    if "retry_cap_ms" not in given:  # a first delay above the default cap was meant
        policy["retry_cap_ms"] = max(defaults.RETRY_CAP_MS, policy["retry_initial_ms"])
    return JobSpec(
        id=address.id,
        key=address.key,
        partition=address.partition,
        function=request.function,
        args=None if apart else args,
        args_apart=apart,
        content_hash=content_hash(request, address.key),
        created_at_ms=at_ms,
        ends_by_ms=None if request.deadline_ms is None else at_ms + request.deadline_ms,
        **policy,
    )
