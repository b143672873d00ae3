"""From the JSON of a receipt or a heartbeat to its record. Pure.

`POST /job/:id/receipt {status, error, result}`: `failure` may be called `error`, an error may be a text or an
object; more is accepted only if it is known.
"""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from relay.doors.http.attempt import Attempt
from relay.doors.http.moment import duration_ms
from relay.doors.http.problem import refusal
from relay.doors.http.shapes import snaked
from schemas import defaults
from schemas.events import Beat, Receipt
from schemas.limits import Refused
from schemas.undecodable import shown
from schemas.words import BeatKind, Outcome, RejectCode

STATUSES = {
    "success": Outcome.SUCCESS,
    "succeeded": Outcome.SUCCESS,
    "failure": Outcome.FAILURE,
    "failed": Outcome.FAILURE,
    "error": Outcome.FAILURE,
    "snooze": Outcome.SNOOZE,
    "cancelled": Outcome.CANCELLED,
}
"""The words for how an attempt ended."""

RECEIPT_FIELDS = ("status", "error", "result", "token", "retry_after", "non_retryable", "snooze")
BEAT_FIELDS = ("token", "step", "done", "total", "checkpoint")
_ERROR_FIELDS = ("type", "message", "trace")
_COUNT_MAX = 2**63 - 1


def read_receipt(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Receipt that a body fills. Problem with a sentence else."""
    given = _known("receipt", body, RECEIPT_FIELDS)
    status = given.get("status")
    outcome = STATUSES.get(status) if isinstance(status, str) else None
    if outcome is None:
        raise _bad(f"status must be one of {', '.join(STATUSES)}, got {shown(status)}")
    fields: dict[str, Any] = {"outcome": outcome}
    if given.get("result") is not None:
        fields |= {"result": _dumped("result", given["result"]), "result_type": defaults.CONTENT_TYPE}
        if len(fields["result"]) > defaults.RESULT_BYTES_MAX:
            size = len(fields["result"])
            raise refusal(
                RejectCode.OVERSIZE, f"result must be at most {defaults.RESULT_BYTES_MAX} bytes, got {size}"
            )
    if outcome == Outcome.FAILURE:
        fields |= _error(given.get("error")) | {"non_retryable": _flag(given, "non_retryable")}
        fields |= _delay(given, "retry_after", "retry_after_ms")
    elif given.get("error") is not None:
        raise _bad(f"error is for a failure, got it with status {status}")
    if outcome == Outcome.SNOOZE:
        fields |= _delay(given, "snooze", "snooze_ms")
    return fields


def receipt_of(attempt: Attempt, fields: Mapping[str, Any], at_ms: int, door: str) -> Receipt:
    """The receipt of an attempt; `door` is who passes it on."""
    return Receipt(
        job=attempt.job,
        key=attempt.key,
        partition=attempt.partition,
        attempt=attempt.attempt,
        epoch=attempt.epoch,
        at_ms=at_ms,
        minion=attempt.minion,
        relay=door,
        assigned_at_ms=attempt.assigned_at_ms,
        **fields,
    )


def read_beat(body: Mapping[str, Any], attempt: Attempt, at_ms: int) -> Beat:
    """What a heartbeat tells of an attempt. Problem with a sentence else."""
    given = _known("heartbeat", body, BEAT_FIELDS)
    step = given.get("step")
    if step is not None and not isinstance(step, str):
        raise _bad(f"step must be a string, got {shown(step)}")
    checkpoint = given.get("checkpoint")
    told = any(given.get(name) is not None for name in BEAT_FIELDS if name != "token")
    state = None if checkpoint is None else _dumped("checkpoint", checkpoint)
    if state is not None and len(state) > defaults.CHECKPOINT_BYTES_MAX:
        raise refusal(
            RejectCode.OVERSIZE,
            f"checkpoint must be at most {defaults.CHECKPOINT_BYTES_MAX} bytes, got {len(state)}",
        )
    return Beat(
        job=attempt.job,
        key=attempt.key,
        epoch=attempt.epoch,
        attempt=attempt.attempt,
        kind=BeatKind.PROGRESS if told else BeatKind.ALIVE,
        minion=attempt.minion,
        session=attempt.minion,
        assigned_at_ms=attempt.assigned_at_ms,
        deadline_ms=attempt.assigned_at_ms + attempt.timeout_ms,
        step=None if step is None else step[: defaults.STEP_CHARS_MAX],
        step_at_ms=None if step is None else at_ms,
        done=_count(given, "done"),
        total=_count(given, "total"),
        checkpoint=state,
    )


def _known(record: str, body: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    try:
        given = snaked(body)
    except Refused as refused:
        raise refusal(refused.code, refused.sentence) from None
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
            raise refusal(RejectCode.UNKNOWN_FIELD, f"a {record} has no field {shown(name)}{hint}")
    return given


def _error(found: object) -> dict[str, Any]:
    """The fields of an error that is a text, an object, or not told."""
    if found is None or isinstance(found, str):
        message = found or "no error was told"
        return {"error_type": "Error", "error_message": message[: defaults.ERROR_MESSAGE_CHARS_MAX]}
    if not isinstance(found, Mapping) or not found.keys() <= set(_ERROR_FIELDS):
        raise _bad(f"error must be a text, or an object of type, message and trace, got {shown(found)}")
    for name, value in found.items():
        if value is not None and not isinstance(value, str):
            raise _bad(f"error.{name} must be a string, got {shown(value)}")
    trace = found.get("trace")
    return {
        "error_type": (found.get("type") or "Error")[: defaults.ERROR_TYPE_CHARS_MAX],
        "error_message": (found.get("message") or "no message")[: defaults.ERROR_MESSAGE_CHARS_MAX],
        "error_trace": None if trace is None else trace[: defaults.ERROR_TRACE_CHARS_MAX],
    }


def _delay(given: Mapping[str, Any], name: str, field: str) -> dict[str, int]:
    if given.get(name) is None:
        return {}
    try:
        return {field: duration_ms(name, given[name])}
    except ValueError as error:
        raise _bad(str(error)) from None


def _flag(given: Mapping[str, Any], name: str) -> bool:
    found = given.get(name)
    if found is None or isinstance(found, bool):
        return bool(found)
    raise _bad(f"{name} must be true or false, got {shown(found)}")


def _count(given: Mapping[str, Any], name: str) -> int | None:
    found = given.get(name)
    if found is None or (type(found) is int and 0 <= found <= _COUNT_MAX):
        return found
    raise _bad(f"{name} must be a whole number from 0, got {shown(found)}")


def _dumped(name: str, found: Any) -> bytes:
    try:
        return json.dumps(found, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        raise _bad(
            f"{name} must be JSON with finite numbers and whole characters, got {shown(found)}"
        ) from None


def _bad(sentence: str) -> Exception:
    return refusal(RejectCode.BAD_FIELD, sentence)
