"""How a job's bytes become a call: arguments decoded, checked against the signature, context and resources
added.

Made once per function when the minion starts, so that a job costs a decode and two set comparisons. It must
never call the function with what the submitter named, but the minion fills.
"""

import inspect
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from jobstream.context import Attempt, Context
from jobstream.errors import BadArguments
from jobstream.functions import Function, Request

log = logging.getLogger(__name__)

_decode = json.JSONDecoder().decode
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Call:
    """A function with its resources, ready to be called for jobs.

    Attributes:
        function: The declared function.
        target: What is called.
    """

    def __init__(self, function: Function[..., Any], opened: Mapping[str, Any]) -> None:
        self.function = function
        self.target: Callable[..., Any] = function.call
        self._hidden = function.hidden()
        self._context_name = function.context_name
        self._resources = {name: opened[name] for name in self._hidden if name != self._context_name}
        parameters = [
            each for name, each in function.signature.parameters.items() if name not in self._hidden
        ]
        self._allowed = frozenset(each.name for each in parameters if each.kind not in _UNNAMED)
        self._required = frozenset(
            each.name for each in parameters if each.default is each.empty and each.kind not in _VARIADIC
        )
        self._takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)
        self._signature = function.callers_signature()
        self._rule = f"{function.name} must be called as {function.name}{self._signature}"
        self._positions = [
            name for name, each in function.signature.parameters.items() if each.kind in _POSITIONAL
        ]

    def arguments(self, attempt: Attempt, args: bytes, content_type: str) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments for one job.

        Raises:
            BadArguments: They cannot be decoded, or do not fit the signature.
        """
        value = decode_args(args, content_type)
        injected = dict(self._resources)
        if self._context_name is not None:
            injected[self._context_name] = Context(attempt)
        if isinstance(value, dict):
            self._check_names(value)
            injected.update(value)
            return [], injected
        return self._placed([] if value is None else value, injected)

    def known(self, attempt: Attempt, args: bytes, content_type: str) -> Any:
        """What the function's get_cache has for this job; None: nothing, or it failed."""
        if self.function.get_cache is None:
            return None
        try:
            found = self._asked(attempt, args, content_type)
        except Exception:  # a cache that fails is a miss, whatever it is
            log.warning("get_cache failed, and counts as a miss function=%s", attempt.function, exc_info=True)
            return None
        if not inspect.iscoroutine(found):
            return found
        found.close()
        log.warning(
            "get_cache gave a coroutine for a plain function, which is a miss function=%s", attempt.function
        )
        return None

    async def known_async(self, attempt: Attempt, args: bytes, content_type: str) -> Any:
        """The same, awaited where it must be."""
        try:
            found = self._asked(attempt, args, content_type)
            return await found if inspect.isawaitable(found) else found
        except Exception:
            log.warning("get_cache failed, and counts as a miss function=%s", attempt.function, exc_info=True)
            return None

    def _asked(self, attempt: Attempt, args: bytes, content_type: str) -> Any:
        assert self.function.get_cache is not None, "it is asked where there is one"
        value = decode_args(args, content_type)
        request = Request(attempt.function, value, attempt.job, foreground=attempt.foreground)
        return self.function.get_cache(request)

    def _check_names(self, value: dict[str, Any]) -> None:
        names = value.keys()
        strange = names & self._hidden if self._takes_any else names - self._allowed
        if self._required <= names and not strange:
            return
        missing, unknown = sorted(self._required - names), sorted(strange)
        found = [f"no {name!r}" for name in missing] + [f"an unknown {name!r}" for name in unknown]
        raise BadArguments(f"{self._rule}, got {', '.join(found)}")

    def _placed(self, values: list[Any], injected: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional values put around the injected parameters."""
        try:
            self._signature.bind(*values)
        except TypeError as error:
            raise BadArguments(f"{self._rule}, got: {error}") from None
        rest = iter(values)
        left = len(values)
        placed: list[Any] = []
        for name in self._positions:
            if left == 0:
                break
            if name in injected:
                placed.append(injected.pop(name))
            else:
                placed.append(next(rest))
                left -= 1
        return [*placed, *rest], injected


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_UNNAMED = (*_VARIADIC, inspect.Parameter.POSITIONAL_ONLY)


def decode_args(args: bytes, content_type: str) -> dict[str, Any] | list[Any] | None:
    """A job's arguments: keywords of a JSON object, positions of a JSON array; one argument of anything else.

    Raises:
        BadArguments: Said to be JSON, and is not.
    """
    if not args:
        return None
    if not is_json(content_type):
        return [args]
    try:
        value = _decode(args.decode())
    except (ValueError, RecursionError) as error:
        raise BadArguments(f"arguments of type {content_type} must be JSON in UTF-8, got: {error}") from None
    return value if isinstance(value, dict | list) or value is None else [value]


def is_json(content_type: str) -> bool:
    """True for application/json, with or without parameters, and for types that end in +json."""
    if content_type == "application/json":
        return True
    bare = content_type.partition(";")[0].strip().lower()
    return bare == "application/json" or bare.endswith("+json")
