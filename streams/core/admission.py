"""From a request to the specification of a job: key, id, defaults, limits, content hash. Or a sentence that
says no.

Reads only the request and where it stands in the log, so a replay gives the same. Knows nothing of jobs
that exist: whether an id is taken is the machine's business.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from schemas import defaults
from schemas.events import Command, JobRequest, JobSpec
from schemas.keys import home
from schemas.limits import Refused, check_request
from schemas.names import BadName, check_id, check_key, derived_id
from schemas.records import replace
from schemas.unique import read_unique, unique_key
from schemas.words import SCHEDULE_COMMANDS, Priority, RejectCode
from streams.core.config import NOTHING_SAID, Config
from streams.core.rejection import Rejection

CONTENT_HASH_BYTES = 16

NO_CONTENT = frozenset({"id", "key", "args", "trace"})
"""Fields of a request that the first part of the content hash leaves out."""

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
    "retention_ms": None,
    "result_retention_ms": None,
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


def admit(
    request: JobRequest,
    record_key: bytes | None,
    position: Position,
    partitions: int,
    config: Config = NOTHING_SAID,
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
        config: what operators say, where the request says nothing itself.
    """
    assert request.schedule is None, f"a request with a schedule is no job, got {request.schedule!r}"
    try:
        unique = None if request.unique is None else read_unique(request.unique)
        only = None if unique is None else unique_key(request, unique)
        key = only if request.key is None and not record_key else request.key
        address = _address(request.id, key, record_key, position, partitions)
        given = check_request(request, position.at_ms)
    except Refused as refused:
        return Rejection(refused.code, refused.sentence)
    spec = _spec(request, given, config, address, position.at_ms)
    if unique is None:
        return spec
    until_ms = None if unique.window_ms is None else position.at_ms + unique.window_ms
    return replace(spec, unique=only, unique_until_ms=until_ms)


def address(
    command: Command, record_key: bytes | None, position: Position, partitions: int
) -> Address | Rejection:
    """What a command is about and where that lives, or why it cannot be told.

    A schedule lives at the home of its id, whatever key its record has.
    """
    try:
        if command.command in SCHEDULE_COMMANDS:
            return _address(command.id, command.id, None, position, partitions)
        return _address(command.id, command.key, record_key, position, partitions)
    except Refused as refused:
        return Rejection(refused.code, refused.sentence)


def content_hash(given: Mapping[str, Any], key: str) -> str:
    """Tells an equal duplicate from an unequal one: hex of BLAKE2b with 16 bytes over

    - compact JSON (sorted names, ASCII) of an object with `key` (the resolved one) and each of the given
        fields of the request (`schemas.limits.given_fields`), without `id`, `args` and `trace`;
    - a zero byte;
    - the arguments.

    So a field that is added to requests one day changes no hash of a request that does not use it, and a
    default that changes makes no duplicate unequal.
    """
    content = {name: value for name, value in given.items() if name not in NO_CONTENT}
    content["key"] = key
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = blake2b(text.encode("ascii"), digest_size=CONTENT_HASH_BYTES)
    digest.update(b"\0")
    digest.update(given.get("args") or b"")
    return digest.hexdigest()


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


def _spec(
    request: JobRequest, given: dict[str, Any], config: Config, address: Address, at_ms: int
) -> JobSpec:
    """The request with every default filled in: what operators say, then what is built in."""
    args = request.args
    apart = args is not None and len(args) > defaults.ARGS_INLINE_BYTES_MAX
    said = config.options(request.queue, request.function)
    policy = SPEC | said | {name: value for name, value in given.items() if name in SPEC}
    if "retry_cap_ms" not in said | given:  # a first delay above the default cap was meant
        policy["retry_cap_ms"] = max(defaults.RETRY_CAP_MS, policy["retry_initial_ms"])
    policy["expires_at_ms"] = _expires_at_ms(request, at_ms)
    return JobSpec(
        id=address.id,
        key=address.key,
        partition=address.partition,
        function=request.function,
        args=None if apart else args,
        args_apart=apart,
        content_hash=content_hash(given, address.key),
        created_at_ms=at_ms,
        ends_by_ms=None if request.deadline_ms is None else at_ms + request.deadline_ms,
        **policy,
    )


def _expires_at_ms(request: JobRequest, at_ms: int) -> int | None:
    """When it must have been started: the earlier of what it says in either way."""
    begins_ms = at_ms if request.run_at_ms is None else max(at_ms, request.run_at_ms)
    after_ms = None if request.expires_after_ms is None else begins_ms + request.expires_after_ms
    said = [time_ms for time_ms in (request.expires_at_ms, after_ms) if time_ms is not None]
    return min(said, default=None)
