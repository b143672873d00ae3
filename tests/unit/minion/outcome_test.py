"""What ends are called: results and errors as receipts."""

import asyncio
import math
from typing import Any

import pytest

from jobstream.context import Attempt, Context, Stop
from jobstream.errors import (
    BadArguments,
    BadResult,
    Cancelled,
    Fail,
    JobstreamError,
    NonRetryable,
    ResultTooLarge,
    Snooze,
)
from jobstream.functions import Retry
from jobstream.minion import outcome
from schemas import defaults
from schemas.proto.relay_pb2 import CANCELLED, FAILURE, INTERRUPTED, SNOOZE, SUCCESS, Receipt


def attempt() -> Attempt:
    """An attempt that runs, has named a step, told progress and left a checkpoint."""
    made = Attempt(job="a", epoch=3)
    made.start()
    context = Context(made)
    context.step("parse")
    context.progress(4, 9)
    context.checkpoint(b"here")
    return made


def raised(error: BaseException, retry: Retry | None = None) -> Receipt:
    """The receipt of an error that a function raised."""
    try:
        raise error  # noqa: TRY301  # a trace comes from raising
    except BaseException as caught:  # noqa: BLE001  # any error at all
        return outcome.of_error(attempt(), caught, retry)


@pytest.mark.parametrize(
    ("value", "result", "result_type"),
    [
        (None, b"", ""),
        (0, b"0", "application/json"),
        ({"a": [1, "é"]}, '{"a":[1,"é"]}'.encode(), "application/json"),
        (b"\x00\xff", b"\x00\xff", "application/octet-stream"),
        (bytearray(b"x"), b"x", "application/octet-stream"),
        (memoryview(b"y"), b"y", "application/octet-stream"),
    ],
)
def test_results(value: Any, result: bytes, result_type: str) -> None:
    """JSON values as JSON, bytes as they are, None as no result; always with where the function was."""
    receipt = outcome.success(attempt(), value)
    assert (receipt.job, receipt.epoch, receipt.outcome) == ("a", 3, SUCCESS)
    assert (receipt.result, receipt.result_type) == (result, result_type)
    assert (receipt.step, receipt.done, receipt.total, receipt.checkpoint) == ("parse", 4, 9, b"here")
    assert receipt.started_at_ms > 0


def test_results_that_fit_no_receipt() -> None:
    """What is no JSON, and what is too large, is an error with the value found."""
    loop: list[Any] = []
    loop.append(loop)
    for value in (object(), {1: {2, 3}}, math.nan, loop):
        with pytest.raises(BadResult, match="a result must be a JSON value or bytes, got "):
            outcome.success(attempt(), value)
    with pytest.raises(ResultTooLarge, match=f"at most {defaults.RESULT_BYTES_MAX} bytes, got 262145 bytes"):
        outcome.success(attempt(), bytes(defaults.RESULT_BYTES_MAX + 1))
    assert (
        len(outcome.success(attempt(), bytes(defaults.RESULT_BYTES_MAX)).result) == defaults.RESULT_BYTES_MAX
    )


def test_an_error() -> None:
    """An error is told by its type, its words and its trace."""
    receipt = raised(ValueError("no such row"))
    assert (receipt.outcome, receipt.error_type, receipt.error_message) == (
        FAILURE,
        "ValueError",
        "no such row",
    )
    assert receipt.error_trace.endswith("ValueError: no such row\n")
    assert not receipt.non_retryable
    assert receipt.retry_after_ms == 0
    assert receipt.step == "parse"


@pytest.mark.parametrize(
    ("error", "retry", "final"),
    [
        (NonRetryable("x"), None, True),
        (BadArguments("x"), None, True),
        (ResultTooLarge("x"), None, True),
        (KeyError("x"), Retry(non_retryable=(LookupError,)), True),  # a class means those derived from it too
        (KeyError("x"), Retry(non_retryable=("KeyError",)), True),
        (KeyError("x"), Retry(non_retryable=("LookupError",)), False),  # a name means itself
        (KeyError("x"), Retry(), False),
    ],
)
def test_errors_for_good(error: Exception, retry: Retry | None, final: bool) -> None:  # noqa: FBT001
    """Some errors allow no further attempt: by their class, or by the function's policy."""
    assert raised(error, retry).non_retryable is final


def test_errors_name_their_module() -> None:
    """Errors of Python and of Jobstream are bare, all others name their module."""
    assert raised(Fail("x")).error_type == "Fail"
    assert raised(asyncio.QueueFull()).error_type == "asyncio.queues.QueueFull"


def test_asking_for_a_delay() -> None:
    """An error may say when to try again; at once is a millisecond, since 0 stands for the policy."""
    assert raised(Fail("x", retry_after=2.5)).retry_after_ms == 2_500
    assert raised(Fail("x", retry_after=0)).retry_after_ms == 1
    assert raised(Fail("x", retry_after=math.inf)).retry_after_ms == defaults.RETRY_AFTER_MS_MAX


def test_snoozing() -> None:
    """A snooze is no failure, and keeps what the function has told."""
    receipt = raised(Snooze(90))
    assert (receipt.outcome, receipt.snooze_ms, receipt.error_type) == (SNOOZE, 90_000, "")
    assert receipt.checkpoint == b"here"


@pytest.mark.parametrize("value", [-1, math.nan])
def test_delays_must_make_sense(value: float) -> None:
    """A delay that is no time is refused where it is written."""
    with pytest.raises(JobstreamError, match="must be seconds from 0 up, got"):
        Fail("x", retry_after=value)
    with pytest.raises(JobstreamError, match="must be seconds from 0 up, got"):
        Snooze(value)


def test_cancelling() -> None:
    """A function that stops when asked to is cancelled; one that cancels itself unasked has failed."""
    asked = attempt()
    asked.ask_to_stop(Stop.CANCELLED, "no longer needed")
    assert outcome.of_error(asked, asyncio.CancelledError()).outcome == CANCELLED
    assert outcome.of_error(asked, asyncio.CancelledError()).error_message == "no longer needed"
    assert outcome.of_error(asked, ValueError()).outcome == FAILURE
    assert raised(Cancelled("done with it")).outcome == CANCELLED
    own = raised(asyncio.CancelledError())
    assert (own.outcome, own.error_type) == (FAILURE, "asyncio.exceptions.CancelledError")
    assert own.error_message == "the function's own code cancelled it"


def test_handing_back() -> None:
    """An attempt that is handed back says where it was."""
    receipt = outcome.interrupted(attempt())
    assert (receipt.outcome, receipt.step, receipt.done) == (INTERRUPTED, "parse", 4)
    never = outcome.interrupted(Attempt())
    assert (never.started_at_ms, never.run_ms) == (0, 0)


def test_timing_out() -> None:
    """A timeout says how long was allowed, and where the function was, if it had begun at all."""
    receipt = outcome.timed_out(attempt(), "stack")
    assert (receipt.outcome, receipt.error_type, receipt.error_trace) == (FAILURE, "Timeout", "stack")
    assert receipt.error_message == "the attempt ran longer than its timeout of 60 s"
    assert "had not begun" in outcome.timed_out(Attempt(timeout_ms=1_500), "").error_message


def test_words_and_traces_are_cut() -> None:
    """An error's words keep their begin, its trace keeps its end."""
    receipt = raised(ValueError("w" * 50_000))
    assert receipt.error_message == "w" * defaults.ERROR_MESSAGE_CHARS_MAX
    assert len(receipt.error_trace) == defaults.ERROR_TRACE_CHARS_MAX
    assert receipt.error_trace.startswith("… (cut) …")


class Unprintable(Exception):
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_unprintable_errors() -> None:
    """An error that cannot even be printed still makes a receipt, and so does one with half a character."""
    assert "RuntimeError" in raised(Unprintable()).error_message
    assert raised(ValueError("\ud800")).error_message == "?"
