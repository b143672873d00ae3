"""How a job's bytes become a call, and what a submission may say: both sides check one signature."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from jobstream import resources
from jobstream.context import Attempt, Context
from jobstream.errors import BadArguments
from jobstream.functions import Function, function
from jobstream.minion.calls import Call

TREE = {"oak": 1}


@resources.resource
def calls_tree() -> Any:
    """A resource that is never opened here."""
    yield TREE


def call(target: Callable[..., Any], value: Any, content_type: str = "application/json") -> Any:
    """Calls a function with a job's arguments, as a minion does."""
    declared = target if isinstance(target, Function) else function(name="f")(target)
    made = Call(declared, {"calls_tree": TREE})
    args = value if isinstance(value, bytes) else json.dumps(value).encode()
    positional, named = made.arguments(Attempt(job="a"), args, content_type)
    return made.target(*positional, **named)


def plain(a: int, b: int = 2) -> Any:
    """Two arguments."""
    return a, b


def with_context(a: int, ctx: Context, b: int = 2) -> Any:
    """The context stands between."""
    return a, b, ctx.job_id


def with_both(ctx: Context, a: int, calls_tree: Any, *rest: int) -> Any:
    """Context and resource stand among positions."""
    return ctx.job_id, a, calls_tree, rest


def named_context(anything: Context, a: int) -> Any:
    """The annotation says which one is the context."""
    return anything.job_id, a


def keywords(**more: Any) -> Any:
    """Any keywords."""
    return more


def keywords_with_context(ctx: Context, **more: Any) -> Any:
    """Any keywords, and a context."""
    return ctx.job_id, more


def positional_only(a: int, /, b: int) -> Any:
    """One position."""
    return a, b


def position_and_name(a: int, /, *, b: int) -> Any:
    """Neither way alone says it."""
    return a, b


def nothing() -> str:
    """No arguments."""
    return "called"


@pytest.mark.parametrize(
    ("target", "value", "expected"),
    [
        (plain, {"a": 1}, (1, 2)),
        (plain, [1, 3], (1, 3)),
        (plain, 7, (7, 2)),  # any other JSON value is one argument
        (with_context, {"a": 1}, (1, 2, "a")),
        (with_context, [1], (1, 2, "a")),
        (with_context, [1, 3], (1, 3, "a")),
        (with_both, [1, 8, 9], ("a", 1, TREE, (8, 9))),
        (with_both, {"a": 1}, ("a", 1, TREE, ())),
        (named_context, {"a": 1}, ("a", 1)),
        (keywords, {"x": 1, "y": 2}, {"x": 1, "y": 2}),
        (keywords_with_context, {"x": 1}, ("a", {"x": 1})),
        (positional_only, [1, 2], (1, 2)),
        (nothing, {}, "called"),
        (nothing, [], "called"),
        (nothing, b"", "called"),
        (nothing, b"null", "called"),
    ],
)
def test_calls(target: Callable[..., Any], value: Any, expected: Any) -> None:
    """Objects are keywords, arrays are positions, and the minion fills the rest."""
    assert call(target, value) == expected


def test_other_types_are_one_argument() -> None:
    """What is not JSON is given to the function as it came."""
    assert call(plain, b"\x00\x01", "application/octet-stream") == (b"\x00\x01", 2)
    assert call(plain, b'{"a": 5}', "Application/JSON; charset=utf-8") == (5, 2)
    assert call(plain, b'{"a": 5}', "application/vnd.orders+json") == (5, 2)


@pytest.mark.parametrize(
    ("target", "value", "sentence"),
    [
        (plain, {}, r"f must be called as f\(a: int, b: int = 2\) -> Any, got no 'a'"),
        (plain, {"a": 1, "c": 2}, "got an unknown 'c'"),
        (plain, [1, 2, 3], "got: too many positional arguments"),
        (plain, b"", "got: missing a required argument: 'a'"),
        (plain, b"{", "arguments of type application/json must be JSON in UTF-8, got: "),
        (plain, b"\xff", "must be JSON in UTF-8, got: "),
        (plain, b"[" * 100_000, "must be JSON in UTF-8, got: "),
        (with_context, {"a": 1, "ctx": 2}, "got an unknown 'ctx'"),
        (keywords_with_context, {"ctx": 1}, "got an unknown 'ctx'"),
        (with_both, {"a": 1, "calls_tree": {}}, "got an unknown 'calls_tree'"),
        (positional_only, {"a": 1, "b": 2}, "got an unknown 'a'"),
    ],
)
def test_misfits(target: Callable[..., Any], value: Any, sentence: str) -> None:
    """What does not fit is refused before the function is called; what the minion fills cannot be sent."""
    with pytest.raises(BadArguments, match=sentence):
        call(target, value)


@pytest.mark.parametrize(
    ("target", "args", "kwargs", "sent", "result"),
    [
        (plain, (1,), {}, {"a": 1}, (1, 2)),
        (plain, (1, 3), {}, {"a": 1, "b": 3}, (1, 3)),
        (plain, (), {"b": 1, "a": 2}, {"a": 2, "b": 1}, (2, 1)),
        (with_context, (1,), {"b": 3}, {"a": 1, "b": 3}, (1, 3, "a")),
        (with_both, (1,), {}, {"a": 1}, ("a", 1, TREE, ())),
        (with_both, (1, 2, 3), {}, [1, 2, 3], ("a", 1, TREE, (2, 3))),
        (positional_only, (1, 2), {}, [1, 2], (1, 2)),
        (keywords, (), {"x": 1}, {"x": 1}, {"x": 1}),
        (nothing, (), {}, None, "called"),
        (plain, (b"raw",), {}, b"raw", (b"raw", 2)),
    ],
)
def test_what_is_sent_is_what_is_called(
    target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], sent: Any, result: Any
) -> None:
    """Arguments are sent by name where names suffice, and the call they make is the one that was written."""
    submission = function(name="f")(target).request(*args, **kwargs)
    assert submission.args == sent
    assert call(target, b"" if sent is None else sent, submission.content_type) == result


@pytest.mark.parametrize(
    ("target", "args", "kwargs", "sentence"),
    [
        (
            plain,
            (),
            {},
            r"f must be called as f\(a: int, b: int = 2\) -> Any, got: missing a required argument: 'a'",
        ),
        (plain, (1,), {"c": 1}, "got: got an unexpected keyword argument 'c'"),
        (with_context, (1,), {"ctx": 1}, "f must not be given 'ctx': the minion fills it"),
        (with_both, (1,), {"calls_tree": 1}, "f must not be given 'calls_tree': the minion fills it"),
        (
            position_and_name,
            (1,),
            {"b": 1},
            "by position only, so it must be submitted with positional or with",
        ),
        (plain, (object(),), {}, "arguments must be JSON values, or one bytes value alone, got: "),
        (plain, (float("nan"),), {}, "arguments must be JSON values"),
        (plain, ("x" * 300_000,), {}, "arguments must be at most 262144 bytes, got 300008 bytes"),
    ],
)
def test_misfits_are_told_at_submit(
    target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], sentence: str
) -> None:
    """A submission that the minion would refuse is refused where it is written."""
    with pytest.raises(BadArguments, match=sentence):
        function(name="f")(target).request(*args, **kwargs)
