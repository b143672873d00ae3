"""What an attempt's end is called: results and errors as receipts. No IO; limits are kept here.

Every function takes the attempt and gives a Receipt without a number. It must never put arguments into one.
"""

import asyncio
import traceback
from typing import Any

from jobstream.context import Attempt, Stop
from jobstream.errors import (
    BadArguments,
    BadResult,
    Cancelled,
    Fail,
    NonRetryable,
    ResultTooLarge,
    Snooze,
    Timeout,
)
from jobstream.functions import BYTES_TYPE, Retry, encode_json, error_name
from schemas import defaults
from schemas.proto.relay_pb2 import CANCELLED, FAILURE, INTERRUPTED, SNOOZE, SUCCESS, Receipt

_JSON_TYPE = defaults.CONTENT_TYPE
_CUT = "… (cut) …\n"


def success(attempt: Attempt, value: Any) -> Receipt:
    """The function returned.

    Raises:
        BadResult: What it returned fits in no receipt.
    """
    receipt = Receipt(
        job=attempt.job,
        epoch=attempt.epoch,
        outcome=SUCCESS,
        started_at_ms=attempt.started_at_ms,
        run_ms=attempt.run_ms(),
    )
    if value is not None:
        most_bytes = defaults.CALL_BYTES_MAX if attempt.foreground else defaults.RESULT_BYTES_MAX
        receipt.result, receipt.result_type = _encoded(value, most_bytes)
    return _located(receipt, attempt)


def _encoded(value: Any, most_bytes: int) -> tuple[bytes, str]:
    if isinstance(value, bytes | bytearray | memoryview):
        found, media_type = bytes(value), BYTES_TYPE
    else:
        try:
            found, media_type = encode_json(value), _JSON_TYPE
        except (TypeError, ValueError, RecursionError) as error:
            raise BadResult(
                f"a result must be a JSON value or bytes, got {type(value).__name__}: {error}"
            ) from error
    if len(found) > most_bytes:
        raise ResultTooLarge(
            f"a result must be at most {most_bytes} bytes, got {len(found)} bytes; "
            f"store it elsewhere and return where it is"
        )
    return found, media_type


def cached(attempt: Attempt, value: Any) -> Receipt:
    """The function's get_cache had the answer.

    Raises:
        BadResult: What it gave fits in no receipt.
    """
    receipt = success(attempt, value)
    receipt.cached = True
    return receipt


def of_error(attempt: Attempt, error: BaseException, retry: Retry | None = None) -> Receipt:
    """The function raised, or could not be called."""
    if isinstance(error, Snooze):
        return _ended(attempt, SNOOZE, snooze_ms=_delay_ms(error.delay, defaults.SNOOZE_MS_MAX))
    if isinstance(error, Cancelled) or (
        isinstance(error, asyncio.CancelledError) and attempt.stop is Stop.CANCELLED
    ):
        return _ended(attempt, CANCELLED, error_message=str(error) or attempt.stop_reason)
    final = isinstance(error, NonRetryable | BadArguments | BadResult) or (
        retry is not None and retry.refuses(error)
    )
    after = error.retry_after if isinstance(error, Fail) else None
    return _ended(
        attempt,
        FAILURE,
        error_type=error_name(type(error)),
        error_message=_words(error),
        error_trace="" if isinstance(error, BadArguments) else _trace(error),
        non_retryable=final,
        retry_after_ms=0 if after is None else max(1, _delay_ms(after, defaults.RETRY_AFTER_MS_MAX)),
    )


def timed_out(attempt: Attempt, where: str) -> Receipt:
    """The attempt ran out of time; `where` is the stack of the function at that moment."""
    seconds = attempt.timeout_ms / 1_000
    words = f"the attempt ran longer than its timeout of {seconds:g} s"
    if not attempt.started_at_ms:
        words = f"the function had not begun when its timeout of {seconds:g} s was over"
    return _ended(
        attempt, FAILURE, error_type=error_name(Timeout), error_message=words, error_trace=_cut_trace(where)
    )


def interrupted(attempt: Attempt) -> Receipt:
    """The minion hands the job back; that counts as no attempt."""
    return _ended(attempt, INTERRUPTED)


def cancelled(attempt: Attempt) -> Receipt:
    """The attempt was cancelled before the function began, or its process was ended for it."""
    return _ended(attempt, CANCELLED, error_message=attempt.stop_reason)


def _ended(attempt: Attempt, outcome: Any, **fields: Any) -> Receipt:
    receipt = Receipt(
        job=attempt.job,
        epoch=attempt.epoch,
        outcome=outcome,
        started_at_ms=attempt.started_at_ms,
        run_ms=attempt.run_ms(),
        **fields,
    )
    receipt.error_message = receipt.error_message[: defaults.ERROR_MESSAGE_CHARS_MAX]
    return _located(receipt, attempt)


def _located(receipt: Receipt, attempt: Attempt) -> Receipt:
    """Adds where the function was and what it left."""
    if attempt.step is not None:
        receipt.step = attempt.step[0]
    if attempt.progress is not None:
        receipt.done, receipt.total = attempt.progress
    if attempt.checkpoint is not None:
        receipt.checkpoint = attempt.checkpoint
    return receipt


def _delay_ms(seconds: float, most_ms: int) -> int:
    return min(round(min(seconds, most_ms) * 1_000), most_ms)


def _words(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError) and not error.args:
        return "the function's own code cancelled it"
    try:
        return str(error).encode(errors="replace").decode()
    except Exception as broken:  # noqa: BLE001  # an error that cannot be printed is still an error
        return f"an error whose text cannot be had: {type(broken).__name__}"


def _trace(error: BaseException) -> str:
    """The error's trace, from the function's own frames on."""
    inner = error.__traceback__.tb_next if error.__traceback__ is not None else None
    try:
        return _cut_trace("".join(traceback.format_exception(type(error), error, inner)))
    except Exception:  # noqa: BLE001  # as above
        return _cut_trace("".join(traceback.format_tb(inner)))


def _cut_trace(text: str) -> str:
    """The end of a trace that is too long: the innermost frames are there."""
    text = text.encode(errors="replace").decode()
    if len(text) <= defaults.ERROR_TRACE_CHARS_MAX:
        return text
    return _CUT + text[-(defaults.ERROR_TRACE_CHARS_MAX - len(_CUT)) :]
