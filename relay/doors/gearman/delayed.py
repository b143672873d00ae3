"""`submitJobDelayed`, as Gearsloth takes it: a job whose data asks for another job, later.

Pure: reads both of Gearsloth's forms, a JSON object and the older binary one, and says what they ask for.

Source: the README of Gearsloth, "Task format specification", and its binary form: time, function and payload
with a NUL between each.
"""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

FUNCTION = b"submitJobDelayed"
"""The function whose jobs the door takes itself."""

BINARY_ARGUMENTS = 3
SECOND_MS = 1000


class BadTask(ValueError):
    """A task that cannot be; the text is a sentence with the value found."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a task asks for."""

    function: str
    run_at_ms: int
    payload: bytes


def read(data: bytes, now_ms: int) -> Task:
    """The task in the data of a job.

    `after` (seconds) goes before `at`; without either the job is due at once. `controller` is not taken, for
    retries are the state machine's here. Retry fields of Gearsloth's runner mean nothing here and are passed
    over.

    Raises:
        BadTask: it is none.
    """
    if data[:1] == b"{" or b"\0" not in data:
        return _of_json(data, now_ms)
    at, function, *payload = data.split(b"\0", BINARY_ARGUMENTS - 1)
    return Task(_function(_text(function)), _at(_text(at)), payload[0] if payload else b"")


def _of_json(data: bytes, now_ms: int) -> Task:
    try:
        task = json.loads(data)
    except (ValueError, RecursionError):
        raise BadTask(f"a task must be a JSON object, got {data[:100]!r}") from None
    if not isinstance(task, dict):
        raise BadTask(f"a task must be a JSON object, got {data[:100]!r}")
    if task.get("controller") is not None:
        raise BadTask(
            f"controller must be left out, since retries are the service's, got {task['controller']!r:.100}"
        )
    function = _function(task.get("func_name"))
    return Task(function, _due(task, now_ms), _payload(task.get("payload")))


def _due(task: dict[str, Any], now_ms: int) -> int:
    after, at = task.get("after"), task.get("at")
    if after is not None:
        return now_ms + round(_seconds("after", after) * SECOND_MS)
    return now_ms if at is None else _at(at)


def _seconds(name: str, found: object) -> float:
    try:
        seconds = float(found) if isinstance(found, int | float | str) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        raise BadTask(f"{name} must be seconds, 0 or more, got {found!r:.100}")
    return seconds


def _at(found: object) -> int:
    """A time as Gearsloth's clients write it: ISO 8601, RFC 2822, or epoch ms; without a zone it is UTC."""
    try:
        if isinstance(found, int | float) and not isinstance(found, bool):
            return round(found)
        moment = _moment(str(found))
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * SECOND_MS)
    except (ValueError, OverflowError, TypeError):
        raise BadTask(f"at must be a time such as 2030-01-31T12:00:00Z, got {found!r:.100}") from None


def _moment(found: str) -> datetime:
    try:
        return datetime.fromisoformat(found)
    except ValueError:
        return parsedate_to_datetime(found)


def _function(found: object) -> str:
    if not isinstance(found, str) or not found:
        raise BadTask(f"func_name must be the name of a function, got {found!r:.100}")
    return found


def _payload(found: object) -> bytes:
    if found is None:
        return b""
    return (found if isinstance(found, str) else json.dumps(found, separators=(",", ":"))).encode()


def _text(found: bytes) -> str:
    try:
        return found.decode()
    except UnicodeDecodeError:
        raise BadTask(f"a task must be UTF-8, got {found[:100]!r}") from None
