"""Declared functions: plain callables with a name, options, and a way to submit them."""

import asyncio
import inspect
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobstream import functions
from jobstream.context import Attempt, Context, running
from jobstream.errors import BadFunction, BadRequest
from jobstream.functions import Retry, Submission, function, set_submitter
from schemas import defaults

LATER: Any = "later"


@function
async def greet(name: str, ctx: Context) -> str:
    """Greets."""
    ctx.step("greeting")
    return f"hello {name}"


@function(
    name="mail.send",
    queue="mail",
    timeout=timedelta(minutes=2),
    expected=3,
    retry=Retry(
        kind="linear", initial=0.5, cap=timedelta(minutes=1), attempts=7, non_retryable=(KeyError, "a.B")
    ),
)
def send(to: str, subject: str = "") -> int:
    """Sends."""
    return len(to) + len(subject)


async def test_a_declared_function_is_a_plain_callable() -> None:
    """Its unit test calls it, and everything that looks at functions finds the function."""
    assert await greet("you", ctx=Context()) == "hello you"
    assert send("a@b", subject="c") == 4
    assert (send.__doc__, send.__module__, inspect.unwrap(send)) == ("Sends.", __name__, send.call)
    assert inspect.signature(send) == inspect.signature(send.call)
    assert repr(send) == "<jobstream function mail.send>"


def test_names() -> None:
    """The name is given, or the module's and the function's own."""
    assert send.name == "mail.send"
    assert greet.name == f"{__name__}.greet"


def test_kinds() -> None:
    """Async functions run on the loop, plain ones in threads unless they say processes."""
    assert (greet.run, send.run) == ("async", "threads")
    assert function(name="f", run="processes")(top).run == "processes"


def top() -> None:
    """A function at the top of its module."""


@function(name="pickled")
def pickled() -> None:
    """A function that is found by its module and name."""


def test_functions_are_pickled_by_name() -> None:
    """A declared function crosses into a process as any function does, by its name."""
    assert pickle.loads(pickle.dumps(pickled)) is pickled  # noqa: S301  # our own bytes


def generator() -> Any:
    """No function of a job."""
    yield 1


async def many() -> Any:
    """Neither."""
    yield 1


async def coroutine() -> None:
    """An async function."""


def two(a: Context, b: Context) -> None:
    """One context too many."""


def hidden(ctx: Context, /) -> None:
    """A context that cannot be named."""


@pytest.mark.parametrize(
    ("target", "options", "sentence"),
    [
        (generator, {}, "must return its result, got the generator generator"),
        (many, {}, "must return its result, got the generator many"),
        (two, {"name": "f"}, "one Context at most, got a, b"),
        (hidden, {"name": "f"}, "that can be given by name, got 'ctx'"),
        (top, {"name": "no spaces"}, "top cannot be declared .*got 'no spaces'"),
        (top, {"name": "f", "queue": "Upper"}, "top cannot be declared .*got 'Upper'"),
        (top, {"name": "f", "run": "async"}, "got 'async' for a plain function"),
        (coroutine, {"name": "f", "run": "threads"}, "got 'threads' for an async function"),
        (top, {"name": "f", "run": "cloud"}, "run must be 'async', 'threads' or 'processes', got 'cloud'"),
        (lambda: 1, {}, "cannot be declared .* got "),
        (top, {"name": "f", "get_cache": coroutine}, "must be of an async function, got the plain f"),
    ],
)
def test_what_cannot_be_declared(target: Any, options: dict[str, Any], sentence: str) -> None:
    """A declaration that could not work is refused where it stands."""
    with pytest.raises(BadFunction, match=sentence):
        function(**options)(target)


def test_inner_functions_do_not_run_in_processes() -> None:
    """A process could not find a function inside another."""

    def inner() -> None:
        """Inside."""

    with pytest.raises(BadFunction, match=r"must stand at the top of its module, got .*inner"):
        function(name="f", run="processes")(inner)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"timeout": 0}, "timeout must be from 0.001 to 604800 s, got 0"),
        ({"timeout": float("inf")}, "timeout must be seconds or a timedelta, from 0 up, got inf"),
        ({"expected": -1}, "expected must be seconds or a timedelta, from 0 up, got -1"),
        ({"heartbeat": "sometimes"}, "heartbeat must be 'auto', 'off' or seconds, got 'sometimes'"),
        ({"heartbeat": 0.01}, "heartbeat must be from 0.1 to 21600 s, got 0.01"),
        ({"retry": Retry(attempts=0)}, "attempts must be from 1 to 1000, got 0"),
        ({"retry": Retry(factor=0.5)}, "factor must be from 1.0 to 100.0, got 0.5"),
        (
            {"retry": Retry(kind=LATER)},
            "kind must be constant, linear, exponential or polynomial, got 'later'",
        ),
        ({"retry": Retry(initial=True)}, "initial must be seconds or a timedelta, from 0 up, got True"),
    ],
)
def test_options_are_checked(options: dict[str, Any], sentence: str) -> None:
    """Options outside their limits are refused where they stand, with the value found."""
    with pytest.raises(BadRequest, match=sentence):
        function(name="f", **options)(top)


def test_a_submission_says_what_the_function_says() -> None:
    """Options of the declaration go into every submission."""
    assert send.request("a@b.c") == Submission(
        function="mail.send",
        args={"to": "a@b.c"},
        queue="mail",
        timeout_ms=120_000,
        expected_ms=3_000,
        retry_kind="linear",
        retry_initial_ms=500,
        retry_cap_ms=60_000,
        attempts_max=7,
        non_retryable=("KeyError", "a.B"),
    )


def test_a_submission_may_say_otherwise() -> None:
    """Options of one submission go over those of the function."""
    at = datetime(2030, 1, 1, tzinfo=UTC)
    made = send.submit_with(
        id="a", queue="q", key="k", run_at=at, timeout=1, retry=Retry(attempts=2), tags=["x"], priority="high"
    ).request("t")
    assert (made.id, made.queue, made.key, made.run_at_ms) == ("a", "q", "k", 1_893_456_000_000)
    assert (made.timeout_ms, made.attempts_max, made.retry_kind, made.tags) == (1_000, 2, "linear", ("x",))
    assert send.submit_with(delay=timedelta(seconds=2)).request("t").delay_ms == 2_000


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"queu": "x"}, "options must be among deadline, delay, .*, got queu"),
        ({"run_at": datetime(2030, 1, 1)}, "run_at must be a datetime with a time zone, got"),  # noqa: DTZ001
        ({"timeout": 10**9}, "timeout must be from 0.001 to 604800 s, got 1000000000"),
        ({"delay": -1}, "delay must be seconds or a timedelta, from 0 up, got -1"),
    ],
)
def test_options_of_a_submission_are_checked(options: Any, sentence: str) -> None:
    """An option that there is not, or a value outside its limits, is refused before anything is written."""
    with pytest.raises(BadRequest, match=sentence):
        send.submit_with(**options)


@pytest.mark.parametrize(
    ("heartbeat", "timeout", "silence_ms"),
    [
        ("auto", None, None),
        (5, None, 20_000),
        (0.1, None, defaults.HEARTBEAT_TIMEOUT_MS_MIN),
        ("off", None, defaults.TIMEOUT_MS),
        ("off", 600, 600_000),
        ("off", 7 * 86_400, defaults.HEARTBEAT_TIMEOUT_MS_MAX),
    ],
)
def test_silence_follows_the_heartbeat(heartbeat: Any, timeout: float | None, silence_ms: int | None) -> None:
    """A function that beats rarely asks for a silence that is as much longer; one without beats, for its
    timeout.
    """
    made = function(name="f", heartbeat=heartbeat, timeout=timeout)(top)
    assert made.request().heartbeat_timeout_ms == silence_ms


def test_a_job_that_asks_for_a_job_is_its_parent() -> None:
    """A submission from within an attempt names its job, and hands its trace on."""
    with running(Attempt(job="outer", trace="00-1-2-01")):
        made = greet.request("you")
    assert (made.parent, made.trace) == ("outer", "00-1-2-01")
    assert greet.request("you").parent is None


async def test_submitting_uses_the_client_that_is_open() -> None:
    """`.submit` hands the submission to the submitter that was installed last, and returns what it gives."""
    seen: list[Submission] = []

    async def submitter(submission: Submission) -> str:
        seen.append(submission)
        return "handle"

    take_back = set_submitter(submitter)
    try:
        assert await greet.submit("you") == "handle"
        assert await send.submit_with(key="k")("t") == "handle"
    finally:
        take_back()
    assert [(each.function, each.args, each.key) for each in seen] == [
        (greet.name, {"name": "you"}, None),
        ("mail.send", {"to": "t"}, "k"),
    ]


async def test_the_contexts_client_comes_first() -> None:
    """Of two open clients a task uses its own; code whose context knows none uses the latest."""

    async def first(_: Submission) -> str:
        return "first"

    async def second(_: Submission) -> str:
        return "second"

    take_first = set_submitter(first)
    take_second = set_submitter(second)
    try:
        assert await greet.submit("you") == "second"
        functions._submitter.set(first)
        assert await greet.submit("you") == "first"
        functions._submitter.set(None)
        assert await greet.submit("you") == "second"
        take_second()
        assert await greet.submit("you") == "first"
    finally:
        take_first()
        take_second()


def test_a_client_of_a_closed_loop_is_gone() -> None:
    """A submitter whose event loop is closed is not used any more."""

    async def submitter(_: Submission) -> str:
        return "handle"

    async def install() -> None:
        set_submitter(submitter)
        assert functions._latest() is submitter

    asyncio.run(install())
    assert functions._latest() is None
    functions._installed.clear()
