"""From the JSON of an HTTP request to the records it asks for, and the sentences where that cannot be. Pure.

What is on Kafka is the record's own JSON form (`schemas.requests`); here people may also write camelCase,
`worker` for `function`, times and durations as they say them, `cron` beside the function, and a number for
`retry`. Must never let a field pass that it does not know.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from relay.doors.http.moment import SECONDS_BELOW, duration_ms, moment_ms, zone_of
from relay.doors.http.problem import Problem, refusal
from schemas import defaults
from schemas.events import Command, JobRequest, Schedule
from schemas.limits import Refused, check_request
from schemas.names import BadName, check_id, check_key
from schemas.requests import parse_object, read_object
from schemas.undecodable import Undecodable, shown
from schemas.unique import read_unique, unique_key
from schemas.words import CommandName, RejectCode

WAIT_S_MAX = 60.0
"""How long an answer may be waited for in one call."""

JOBS_MAX = 1_000
"""How many jobs one call may ask for."""

OVERLAPPING = frozenset({CommandName.TRIGGER_SCHEDULE, CommandName.BACKFILL_SCHEDULE})
"""Commands that may name how their fires overlap."""

Fresh = Callable[[], str]
"""Makes a new id."""

_HUMP = re.compile(r"(?<=[a-z0-9])[A-Z]")
_ALIASES = {"worker": "function", "start_before": "expires_at", "start_within": "expires_after"}
_TIMES = ("run_at", "expires_at")
_DURATIONS = {
    "timeout": "timeout_ms",
    "deadline": "deadline_ms",
    "heartbeat_timeout": "heartbeat_timeout_ms",
    "expected": "expected_ms",
    "catchup_window": "catchup_window_ms",
    "expires_after": "expires_after_ms",
    "retention": "retention_ms",
    "result_retention": "result_retention_ms",
}
_RETRY_DURATIONS = {"initial": "initial_ms", "cap": "cap_ms"}


@dataclass(frozen=True)
class Asked:
    """One body of `POST /job`, read."""

    what: JobRequest | Schedule
    wait_s: float | None
    """How long to wait for the job's end; None: not at all."""


def parse_body(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Problem else."""
    body = body.strip()
    if not body.startswith(b"{"):
        found = shown(body.decode("utf-8", "replace")) if body else "nothing"
        raise refusal(RejectCode.UNDECODABLE, f"the body must be a JSON object, got {found}")
    return _mended(lambda: parse_object(body))


def read_ask(body: Mapping[str, Any], now_ms: int, fresh: Fresh, path: str = "") -> Asked:
    """What a body of `POST /job` asks for. Problem with a sentence, which begins with `path`.

    Args:
        body: The JSON object.
        now_ms: The present, epoch ms.
        fresh: Makes the id of a schedule that is given none.
        path: Where in the whole body it is.
    """
    try:
        return _read(snaked(body), now_ms, fresh)
    except (Undecodable, Refused) as refused:
        raise refusal(refused.code, path + refused.sentence) from None
    except BadName as error:
        raise refusal(RejectCode.BAD_NAME, f"{path}{error}") from None
    except ValueError as error:
        raise refusal(RejectCode.BAD_FIELD, f"{path}{error}") from None
    except Problem as problem:
        raise Problem(problem.status, path + problem.sentence, problem.code) from None


def read_asks(body: bytes, now_ms: int, fresh: Fresh) -> list[JobRequest]:
    """The requests of a body of `POST /jobs`: `{"jobs": [...]}` or the array alone."""
    text = body.strip()
    given = parse_body(b'{"jobs":' + text + b"}" if text.startswith(b"[") else text)
    jobs = given.pop("jobs", None)
    if given:
        raise refusal(RejectCode.UNKNOWN_FIELD, f"the body has no field {_first(given)}; jobs alone")
    if not isinstance(jobs, list) or not 1 <= len(jobs) <= JOBS_MAX:
        found = len(jobs) if isinstance(jobs, list) else shown(jobs)
        raise refusal(RejectCode.BAD_FIELD, f"jobs must be an array of 1 to {JOBS_MAX} jobs, got {found}")
    return [_one_of_many(job, now_ms, fresh, f"jobs[{index}]: ") for index, job in enumerate(jobs)]


def read_schedule_command(name: CommandName, id: str, body: bytes, now_ms: int, by: str) -> Command:
    """What a schedule is asked, as the state machine takes it; times may be written as people write them.

    Raises:
        Problem: A field that the command does not have, or one that is not right.
    """
    try:
        given = snaked(parse_body(body) if body.strip() else {})
        fields = _command_fields(name, given, now_ms)
    except Refused as refused:
        raise refusal(refused.code, refused.sentence) from None
    return Command(command=name, id=id, by=by, **fields)


def read_reschedule(body: bytes, now_ms: int) -> tuple[int, str | None]:
    """The time that a job is to run at instead, epoch ms, and why. Problem if it cannot be."""
    try:
        return _reschedule(snaked(parse_body(body)), now_ms)
    except Refused as refused:
        raise refusal(refused.code, refused.sentence) from None
    except ValueError as error:
        raise refusal(RejectCode.BAD_FIELD, str(error)) from None


def _reschedule(given: dict[str, Any], now_ms: int) -> tuple[int, str | None]:
    zone, delay = given.pop("timezone", None), given.pop("delay", None)
    if zone is not None:
        zone_of("timezone", zone)
    at = given.pop("run_at", None)
    if (at is None) == (delay is None):
        got = "neither" if at is None else "both"
        raise Refused(RejectCode.BAD_TIME, f"the body must have one of run_at and delay, got {got}")
    at_ms = _at("run_at", at, zone, now_ms) if delay is None else now_ms + duration_ms("delay", delay)
    reason = given.pop("reason", None)
    most = defaults.REASON_CHARS_MAX
    if reason is not None and not (isinstance(reason, str) and len(reason) <= most):
        what = f"reason must be a text of {most} characters, got {shown(reason)}"
        raise Refused(RejectCode.BAD_FIELD, what)
    if given:
        raise Refused(RejectCode.UNKNOWN_FIELD, f"reschedule has no field {_first(given)}")
    return at_ms, reason


def _command_fields(name: CommandName, given: dict[str, Any], now_ms: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for time in ("since", "until") if name == CommandName.BACKFILL_SCHEDULE else ():
        if time not in given:
            raise Refused(RejectCode.BAD_FIELD, f"a backfill must have since and until, got no {time}")
        fields[f"{time}_at_ms"] = _at(time, given.pop(time), None, now_ms)
    texts = ("reason", "overlap") if name in OVERLAPPING else ("reason",)
    for text in texts:
        found = fields[text] = given.pop(text, None)
        most = defaults.REASON_CHARS_MAX
        if found is not None and not (isinstance(found, str) and len(found) <= most):
            raise Refused(
                RejectCode.BAD_FIELD, f"{text} must be a text of {most} characters, got {shown(found)}"
            )
    if given:
        raise Refused(RejectCode.UNKNOWN_FIELD, f"{name} has no field {_first(given)}")
    return fields


def wait_s(found: object) -> float | None:
    """The seconds of a `wait`, from a body or an address. Problem if they cannot be."""
    if found is None or found is False:
        return None
    if found is True:
        return WAIT_S_MAX
    text = float(found) if isinstance(found, str) and re.fullmatch(r"\d{1,4}(\.\d{1,3})?", found) else found
    try:
        seconds = duration_ms("wait", text) / 1_000
    except ValueError as error:
        raise refusal(RejectCode.BAD_FIELD, str(error)) from None
    if seconds > WAIT_S_MAX:
        raise refusal(RejectCode.BAD_FIELD, f"wait must be at most {WAIT_S_MAX:g} seconds, got {seconds:g}")
    return seconds


def snaked(given: Mapping[str, Any]) -> dict[str, Any]:
    """An object with its names in snake_case, whatever case they came in; what it holds is left alone.

    Raises:
        Refused: A name is there twice.
    """
    named: dict[str, Any] = {}
    for name, found in given.items():
        snake = _HUMP.sub(lambda hump: f"_{hump[0].lower()}", name)
        snake = _ALIASES.get(snake, snake)
        if snake in named:
            raise Refused(RejectCode.BAD_FIELD, f"{snake} must be given once, got it also as {shown(name)}")
        named[snake] = found
    return named


def _one_of_many(job: object, now_ms: int, fresh: Fresh, path: str) -> JobRequest:
    if not isinstance(job, dict):
        raise refusal(RejectCode.BAD_FIELD, f"{path}a job must be an object, got {shown(job)}")
    asked = read_ask(job, now_ms, fresh, path)
    if asked.wait_s is not None:
        raise refusal(RejectCode.BAD_FIELD, f"{path}wait is for one job alone, got {asked.wait_s:g} s")
    if isinstance(asked.what, Schedule):
        raise refusal(RejectCode.BAD_FIELD, f"{path}a schedule must be asked for alone, got {asked.what.id}")
    return asked.what


def _read(body: dict[str, Any], now_ms: int, fresh: Fresh) -> Asked:
    wait = wait_s(body.pop("wait", None))
    if "command" in body:
        raise Refused(RejectCode.UNKNOWN_FIELD, "a job has no field 'command'; its paths do that")
    rule = body.pop("schedule", None)
    if isinstance(rule, Mapping):
        body |= {name: found for name, found in snaked(rule).items() if found is not None}
    elif rule is not None:
        raise Refused(RejectCode.BAD_FIELD, f"schedule must be an object, got {shown(rule)}")
    if body.get("cron") is not None or body.get("crons") is not None:
        if wait is not None:
            raise Refused(RejectCode.BAD_FIELD, f"a schedule has no end to wait for, got wait {wait:g} s")
        return Asked(_schedule(body, fresh), None)
    return Asked(_request(body, now_ms), wait)


def _request(body: dict[str, Any], now_ms: int) -> JobRequest:
    zone = body.pop("timezone", None)
    if zone is not None:
        zone_of("timezone", zone)
    for name in _TIMES:
        if body.get(name) is not None:
            body[name] = _at(name, body[name], zone, now_ms)
    delay = body.pop("delay", None)
    if delay is not None:
        if body.get("run_at") is not None:
            raise Refused(RejectCode.BAD_TIME, f"run_at or delay must be given, got both ({shown(delay)})")
        body["run_at"] = now_ms + duration_ms("delay", delay)
    _durations(body, _DURATIONS)
    _retry(body)
    _unique(body)
    request = read_object(body, (JobRequest,))
    assert isinstance(request, JobRequest)
    check_request(request, now_ms)
    if request.unique is not None:
        unique_key(request, read_unique(request.unique))
    _check_place(request.id, request.key)
    return request


def _schedule(body: dict[str, Any], fresh: Fresh) -> Schedule:
    _durations(body, _DURATIONS)
    _retry(body)
    if body.get("id") is None:
        body["id"] = fresh()
    schedule = read_object(body, (Schedule,))
    assert isinstance(schedule, Schedule)
    _check_place(schedule.id, schedule.key)
    return schedule


def _at(name: str, found: object, zone: str | None, now_ms: int) -> int:
    """A time; one in the past means at once, however long ago it was."""
    try:
        return max(moment_ms(name, found, zone, now_ms), SECONDS_BELOW)
    except ValueError as error:
        raise Refused(RejectCode.BAD_TIME, str(error)) from None


def _durations(body: dict[str, Any], names: Mapping[str, str]) -> None:
    """Puts durations as people write them in the place of those in milliseconds."""
    for name, field in names.items():
        found = body.pop(name, None)
        if found is None:
            continue
        if body.get(field) is not None:
            raise Refused(RejectCode.BAD_FIELD, f"{name} and {field} are the same, got both ({shown(found)})")
        body[field] = duration_ms(name, found)


def _retry(body: dict[str, Any]) -> None:
    """`retry` as a number of attempts, as false, or as an object."""
    retry = body.get("retry")
    if retry is False:
        body["retry"] = {"attempts_max": 1}
    elif isinstance(retry, int) and not isinstance(retry, bool):
        body["retry"] = {"attempts_max": retry}
    elif isinstance(retry, Mapping):
        given = snaked(retry)
        if "attempts" in given and "attempts_max" not in given:
            given["attempts_max"] = given.pop("attempts")
        _durations(given, _RETRY_DURATIONS)
        body["retry"] = given


def _unique(body: dict[str, Any]) -> None:
    """`unique` as true, or as an object whose window is a duration as people write it."""
    unique = body.get("unique")
    if unique is True:
        body["unique"] = {}
    elif unique is False:
        del body["unique"]
    elif isinstance(unique, Mapping):
        given = snaked(unique)
        _durations(given, {"window": "window_ms"})
        body["unique"] = given


def _first(given: Mapping[str, Any]) -> str:
    return shown(next(iter(given)))


def _check_place(id: str | None, key: str | None) -> None:
    if id is not None:
        check_id(id)
    if key is not None:
        check_key(key)


def _mended(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return read()
    except Undecodable as undecodable:
        raise refusal(undecodable.code, undecodable.sentence) from None
