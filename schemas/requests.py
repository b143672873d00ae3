"""The JSON form of requests, commands and schedules: what any client can write by hand, and its refusals.

Must never let bad input out as anything but Undecodable. Checks types and forms; whether a name, number or
time is within its limits is admission's to say, since a request in Avro passes there too. snake_case only.
"""

import base64
import binascii
import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from schemas import defaults
from schemas.events import Command, JobRequest, Schedule
from schemas.times import TIME_MS_MAX, format_time, parse_time
from schemas.undecodable import Undecodable, shown
from schemas.words import RejectCode

INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1
SECONDS_BELOW_MS = 100_000_000_000  # an epoch time below this (March 1973) was meant in seconds
BYTES_TYPE = "application/octet-stream"
JSON_RECORDS = (JobRequest, Command, Schedule)
KNOWN_AS = {JobRequest: "request", Command: "command", Schedule: "schedule"}

Reader = Callable[[str, Any], Any]


def _refuse(code: RejectCode, sentence: str) -> NoReturn:
    raise Undecodable(code, sentence)


def _text(name: str, found: Any) -> str:
    if isinstance(found, str):
        return found
    _refuse(RejectCode.BAD_FIELD, f"{name} must be a string, got {shown(found)}")


def _whole(maximum: int) -> Reader:
    def read(name: str, found: Any) -> int:
        if type(found) is int and -maximum - 1 <= found <= maximum:
            return found
        _refuse(RejectCode.BAD_FIELD, f"{name} must be a whole number up to {maximum}, got {shown(found)}")

    return read


def _real(name: str, found: Any) -> float:
    if type(found) in (int, float) and abs(found) <= LONG_MAX:  # so no infinity
        return float(found)
    _refuse(RejectCode.BAD_FIELD, f"{name} must be a number, got {shown(found)}")


def _flag(name: str, found: Any) -> bool:
    if isinstance(found, bool):
        return found
    _refuse(RejectCode.BAD_FIELD, f"{name} must be true or false, got {shown(found)}")


def _texts(name: str, found: Any) -> tuple[str, ...]:
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        return tuple(found)
    _refuse(RejectCode.BAD_FIELD, f"{name} must be a list of strings, got {shown(found)}")


def _time(name: str, found: Any) -> int:
    if type(found) is int and -LONG_MAX <= found <= LONG_MAX:
        if found < SECONDS_BELOW_MS:
            _refuse(
                RejectCode.BAD_TIME, f"{name} must be epoch milliseconds, got {found}: is that in seconds?"
            )
        return found
    if not isinstance(found, str):
        _refuse(
            RejectCode.BAD_TIME, f"{name} must be an RFC 3339 time or epoch milliseconds, got {shown(found)}"
        )
    try:
        return parse_time(found)
    except ValueError as error:
        _refuse(RejectCode.BAD_TIME, f"{name}: {error}")


def _object(name: str, found: Any) -> str:
    if isinstance(found, dict):
        return _dumps(name, found)
    _refuse(RejectCode.BAD_FIELD, f"{name} must be an object, got {shown(found)}")


def _dumps(name: str, found: Any) -> str:
    try:
        return json.dumps(found, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        _refuse(RejectCode.BAD_FIELD, f"{name} must hold finite numbers, got {shown(found)}")


def _priority(name: str, found: Any) -> str:
    return str(found) if type(found) is int else _text(name, found)


_INT, _LONG = _whole(INT_MAX), _whole(LONG_MAX)
_RETRY: dict[str, tuple[str, Reader]] = {
    "kind": ("retry_kind", _text),
    "initial_ms": ("retry_initial_ms", _LONG),
    "factor": ("retry_factor", _real),
    "cap_ms": ("retry_cap_ms", _LONG),
    "jitter": ("retry_jitter", _real),
    "attempts_max": ("attempts_max", _INT),
    "lost_max": ("lost_max", _INT),
    "non_retryable": ("non_retryable", _texts),
}
_REQUEST: dict[str, tuple[str, Reader]] = {
    "id": ("id", _text),
    "function": ("function", _text),
    "queue": ("queue", _text),
    "key": ("key", _text),
    "content_type": ("content_type", _text),
    "run_at": ("run_at_ms", _time),
    "expires_at": ("expires_at_ms", _time),
    "expires_after_ms": ("expires_after_ms", _LONG),
    "deadline_ms": ("deadline_ms", _LONG),
    "timeout_ms": ("timeout_ms", _LONG),
    "heartbeat_timeout_ms": ("heartbeat_timeout_ms", _LONG),
    "expected_ms": ("expected_ms", _LONG),
    "retention_ms": ("retention_ms", _LONG),
    "result_retention_ms": ("result_retention_ms", _LONG),
    "priority": ("priority", _priority),
    "tags": ("tags", _texts),
    "unique": ("unique", _object),
    "schedule": ("schedule", _object),
    "scheduled_by": ("scheduled_by", _text),
    "parent": ("parent", _text),
    "trace": ("trace", _text),
}
_COMMAND: dict[str, tuple[str, Reader]] = {
    **{name: (name, _text) for name in ("command", "id", "key", "reason", "by")},
    "since": ("since_at_ms", _time),
    "until": ("until_at_ms", _time),
    "run_at": ("run_at_ms", _time),
    "overlap": ("overlap", _text),
    "job": ("job", _text),
    "phase": ("phase", _text),
}
_RULE: dict[str, tuple[str, Reader]] = {
    "cron": ("cron", _text),
    "crons": ("crons", _texts),
    "excluded": ("excluded", _texts),
    "timezone": ("timezone", _text),
    "start_at": ("start_at_ms", _time),
    "end_at": ("end_at_ms", _time),
    "jitter_ms": ("jitter_ms", _LONG),
    "overlap": ("overlap", _text),
    "catchup_window_ms": ("catchup_window_ms", _LONG),
    "runs_max": ("runs_max", _LONG),
    "paused": ("paused", _flag),
    "pause_on_failure": ("pause_on_failure", _flag),
    "note": ("note", _text),
    "declared_by": ("declared_by", _text),
}
_OPTIONS = (
    "deadline_ms",
    "timeout_ms",
    "heartbeat_timeout_ms",
    "expected_ms",
    "expires_after_ms",
    "retention_ms",
    "result_retention_ms",
    "priority",
    "tags",
)
"""What a schedule says of its jobs as a request would, beside the retry policy."""
_SCHEDULE: dict[str, tuple[str, Reader]] = {
    "id": ("id", _text),
    "function": ("function", _text),
    "queue": ("queue", _text),
    "key": ("key", _text),
    "content_type": ("content_type", _text),
    "attempts_max": ("attempts_max", _INT),
    **{name: _REQUEST[name] for name in _OPTIONS},
    **_RULE,
}
_ARGS = ("args", "args_base64")


def from_json(value: bytes, expect: tuple[type, ...]) -> JobRequest | Command | Schedule:
    """The record that a JSON value is, one of those expected. Undecodable with a sentence else."""
    if not any(kind in expect for kind in JSON_RECORDS):
        names = " or ".join(kind.__name__ for kind in expect)
        _refuse(RejectCode.UNEXPECTED_TYPE, f"a {names} must be in Avro, got JSON")
    body = parse_object(value)
    try:
        return read_object(body, expect)
    except Undecodable as refusal:
        claimed = body.get("id")
        raise Undecodable(
            refusal.code, refusal.sentence, claimed if isinstance(claimed, str) else None
        ) from None


def to_json(event: JobRequest | Command | Schedule, *, with_args: bool = True) -> str:
    """The JSON form of a record; read again it is the same record, if its args are kept.

    Fields at their default are left out. Args of type JSON that are no JSON go as args_base64.
    """
    forms = {JobRequest: _REQUEST, Command: _COMMAND, Schedule: _SCHEDULE}
    body = _written(event, forms[type(event)])
    if not isinstance(event, Command) and (retry := _written(event, _RETRY)):
        if isinstance(event, Schedule):
            retry.pop("attempts_max", None)  # which schedules have had beside their other fields for longer
        if retry:
            body["retry"] = retry
    if not isinstance(event, Command):
        if event.args is None or not with_args:
            body.pop("content_type", None)
            if event.content_type != defaults.CONTENT_TYPE:
                body["content_type"] = event.content_type
        else:
            body.update(_written_args(event.args, event.content_type))
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def schedule_rule(text: str) -> dict[str, Any]:
    """The fields of a Schedule that the schedule rule of a request, a JSON object, names. Undecodable with a
    sentence if it is none.
    """
    try:
        rule = json.loads(text)
    except (ValueError, RecursionError):
        rule = None
    if not isinstance(rule, dict):
        example = '{"cron": "0 3 * * *"}'
        _refuse(
            RejectCode.BAD_SCHEDULE, f"schedule must be a JSON object such as {example}, got {shown(text)}"
        )
    given = {name: found for name, found in rule.items() if found is not None}
    _check_names("schedule rule", given, [*_RULE])
    _check_cron("schedule rule", given)
    try:
        return {"cron": ""} | _fields("schedule.", given, _RULE)
    except Undecodable as refusal:
        raise Undecodable(RejectCode.BAD_SCHEDULE, refusal.sentence) from None


def rule_json(schedule: Schedule) -> str:
    """The schedule rule of a request that would make this schedule, beside what its fires are."""
    return json.dumps(_written(schedule, _RULE), ensure_ascii=False, separators=(",", ":"))


def parse_object(value: bytes) -> dict[str, Any]:
    """The JSON object that `value` is, which starts with `{`, within the depth allowed. Undecodable else."""
    try:
        body = json.loads(value.decode(), parse_constant=_no_number)
    except RecursionError:
        _refuse(
            RejectCode.UNDECODABLE, f"JSON must not be nested deeper than {defaults.JSON_DEPTH_MAX} levels"
        )
    except UnicodeDecodeError as error:
        _refuse(
            RejectCode.UNDECODABLE, f"JSON must be UTF-8, got byte {value[error.start]:#04x} at {error.start}"
        )
    except ValueError as error:
        _refuse(
            RejectCode.UNDECODABLE,
            f"the value starts as JSON and must go on as it, got {shown(value)}: {error}",
        )
    assert isinstance(body, dict), "a JSON value that starts with { is an object"
    if value.count(b"{") + value.count(b"[") > defaults.JSON_DEPTH_MAX and _deep(body):
        _refuse(
            RejectCode.UNDECODABLE, f"JSON must not be nested deeper than {defaults.JSON_DEPTH_MAX} levels"
        )
    if b"\\u" in value:
        _check_unicode(body)
    return body


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON")


def _deep(body: Any) -> bool:
    """True if objects and arrays are nested deeper than allowed; goes level by level, without recursion."""
    level = [body]
    for _ in range(defaults.JSON_DEPTH_MAX):
        inner: list[Any] = []
        for item in level:
            inner += item.values() if isinstance(item, dict) else item
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _check_unicode(body: dict[str, Any]) -> None:
    """Refuses half a surrogate pair, which JSON can write and UTF-8 cannot."""
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        _refuse(RejectCode.UNDECODABLE, f"JSON must hold whole characters, got half of a pair: \\u{code:04x}")


def read_object(body: dict[str, Any], expect: tuple[type, ...]) -> JobRequest | Command | Schedule:
    """The record that a parsed JSON object is, one of those expected. Undecodable with a sentence else."""
    given = {name: found for name, found in body.items() if found is not None}
    if JobRequest not in expect and Command not in expect:
        return _schedule(given)
    if ("function" in given) == ("command" in given):
        got = "both" if "function" in given else "neither"
        _refuse(RejectCode.BAD_FIELD, f"a request must have exactly one of function and command, got {got}")
    kind = JobRequest if "function" in given else Command
    if kind not in expect:
        _refuse(RejectCode.UNEXPECTED_TYPE, f"a {KNOWN_AS[kind]} has no place here: {shown(given)}")
    return _request(given) if kind is JobRequest else _command(given)


def _request(given: dict[str, Any]) -> JobRequest:
    _check_names("request", given, [*_REQUEST, *_ARGS, "retry"])
    return JobRequest(**_fields("", given, _REQUEST), **_policy(given), **_args(given))


def _policy(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of `retry`."""
    retry = given.get("retry", {})
    if not isinstance(retry, dict):
        _refuse(RejectCode.BAD_RETRY, f"retry must be an object, got {shown(retry)}")
    retry = {name: found for name, found in retry.items() if found is not None}
    _check_names("retry", retry, [*_RETRY])
    try:
        return _fields("retry.", retry, _RETRY)
    except Undecodable as refusal:
        raise Undecodable(RejectCode.BAD_RETRY, refusal.sentence) from None


def _command(given: dict[str, Any]) -> Command:
    _check_names("command", given, [*_COMMAND])
    _check_needed("command", given, ["id"])
    return Command(**_fields("", given, _COMMAND))


def _schedule(given: dict[str, Any]) -> Schedule:
    _check_names("schedule", given, [*_SCHEDULE, *_ARGS, "retry"])
    _check_needed("schedule", given, ["id", "function"])
    _check_cron("schedule", given)
    fields, policy = _fields("", given, _SCHEDULE), _policy(given)
    if fields.keys() & policy.keys():
        _refuse(RejectCode.BAD_RETRY, "attempts_max must be given once, got it also in retry")
    return Schedule(**{"cron": ""} | fields | policy, **_args(given))


def _check_cron(record: str, given: Mapping[str, Any]) -> None:
    if "cron" not in given and "crons" not in given:
        _refuse(RejectCode.BAD_SCHEDULE, f"a {record} must have cron or crons, got {shown(dict(given))}")


def _check_names(record: str, given: Mapping[str, Any], known: list[str]) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
            hint = f"; did you mean {near[0]}?" if near else ""
            _refuse(RejectCode.UNKNOWN_FIELD, f"a {record} has no field {shown(name)}{hint}")


def _check_needed(record: str, given: Mapping[str, Any], needed: list[str]) -> None:
    for name in needed:
        if name not in given:
            _refuse(RejectCode.BAD_FIELD, f"a {record} must have the field {name}, got {shown(dict(given))}")


def _fields(path: str, given: Mapping[str, Any], form: dict[str, tuple[str, Reader]]) -> dict[str, Any]:
    return {
        field: read(path + name, given[name])
        for name, (field, read) in form.items()
        if given.get(name) is not None
    }


def _args(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as bytes with their type."""
    if "args" in given and "args_base64" in given:
        _refuse(RejectCode.BAD_FIELD, "a request must have at most one of args and args_base64, got both")
    if "args" in given:
        if (media := given.get("content_type", defaults.CONTENT_TYPE)) != defaults.CONTENT_TYPE:
            _refuse(
                RejectCode.BAD_FIELD,
                f"content_type must be {defaults.CONTENT_TYPE} with args, got {shown(media)}: "
                "give other bytes as args_base64",
            )
        return {"args": _dumps("args", given["args"]).encode()}
    if "args_base64" not in given:
        return {}
    media = {} if "content_type" in given else {"content_type": BYTES_TYPE}
    try:
        return {"args": base64.b64decode(_text("args_base64", given["args_base64"]), validate=True), **media}
    except (binascii.Error, ValueError) as error:
        _refuse(
            RejectCode.BAD_FIELD, f"args_base64 must be base64, got {shown(given['args_base64'])}: {error}"
        )


def _written(event: JobRequest | Command | Schedule, form: dict[str, tuple[str, Reader]]) -> dict[str, Any]:
    """The fields of the form that are not at their default, as JSON values."""
    blank = type(event).__dataclass_fields__
    body: dict[str, Any] = {}
    for name, (field, read) in form.items():
        found = getattr(event, field)
        if found == blank[field].default:
            continue
        if read is _time:
            body[name] = format_time(found) if found <= TIME_MS_MAX else found
        elif read is _object:
            body[name] = json.loads(found)
        else:
            body[name] = list(found) if isinstance(found, tuple) else found
    return body


def _written_args(args: bytes, content_type: str) -> dict[str, Any]:
    """Args and their type as JSON fields: as they are if they are JSON in the form that reading gives."""
    if content_type == defaults.CONTENT_TYPE:
        try:
            parsed = json.loads(args, parse_constant=_no_number)
            if parsed is not None and _dumps("args", parsed).encode() == args:
                return {"args": parsed}
        except (ValueError, RecursionError, Undecodable):
            pass
    return {"args_base64": base64.b64encode(args).decode(), "content_type": content_type}
