"""Waiting in tests: for a condition, with a deadline, never for a time.

Owns the only sleeps of the test suite.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 3.0
"""Deadlines in tests are those of a quiet machine; a shared one is given so many times as long."""

_PAUSE_MIN_S = 0.005
_PAUSE_MAX_S = 0.1


def eventually(check: Callable[[], T], timeout_s: float = 10.0) -> T:
    """Call `check` until it returns something true, and return that.

    An AssertionError counts as "not yet"; any other exception ends the wait. Fails after `timeout_s` seconds,
    `PATIENCE` times, with the last answer or assertion, and with the source of the check.
    """
    for pause_s in _pauses(timeout_s):
        answer: T | AssertionError
        try:
            answer = check()
        except AssertionError as not_yet:
            answer = not_yet
        if answer and not isinstance(answer, AssertionError):
            return answer
        time.sleep(pause_s)
    raise AssertionError(_report(check, timeout_s, answer))


async def eventually_async(check: Callable[[], Awaitable[T]], timeout_s: float = 10.0) -> T:
    """As `eventually`, for a check that is a coroutine function; the event loop goes on meanwhile."""
    for pause_s in _pauses(timeout_s):
        answer: T | AssertionError
        try:
            answer = await check()
        except AssertionError as not_yet:
            answer = not_yet
        if answer and not isinstance(answer, AssertionError):
            return answer
        await asyncio.sleep(pause_s)
    raise AssertionError(_report(check, timeout_s, answer))


def _pauses(timeout_s: float) -> Iterator[float]:
    """Growing pauses until the deadline has passed; at least two, so that there is always a last look."""
    deadline = time.monotonic() + timeout_s * PATIENCE
    pause_s = _PAUSE_MIN_S
    yield pause_s
    while time.monotonic() < deadline:
        pause_s = min(2 * pause_s, _PAUSE_MAX_S)
        yield pause_s
    yield 0.0


def _report(check: Callable[[], object], timeout_s: float, answer: object) -> str:
    try:
        source = inspect.getsource(check).strip()
    except (OSError, TypeError):
        source = repr(check)
    last = (
        f"the last time it said: {answer}"
        if isinstance(answer, AssertionError)
        else f"the last answer was {answer!r}"
    )
    return f"not within {timeout_s * PATIENCE:g} s; {last}\n  waited for: {source}"
