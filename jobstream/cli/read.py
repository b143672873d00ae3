"""Reads what people type: durations, times, arguments. Pure; what cannot be read is refused in one
sentence.
"""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import typer

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?")


def duration(text: str) -> float:
    """Seconds: `30`, `30s`, `500ms`, `5m`, `2h`, `1.5d`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"a duration must be like 30, 500ms, 30s, 5m, 2h or 1d, got {text!r}")
    return float(match[1]) * _UNITS_S[match[2] or "s"]


def moment(text: str) -> datetime:
    """A time with its zone, as RFC 3339 has it: `2027-01-31T08:00:00Z`."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise typer.BadParameter(
            f"a time must be like 2027-01-31T08:00:00Z or 2027-01-31T09:00:00+01:00, got {text!r}"
        )
    return found


def arguments(text: str) -> Any:
    """The arguments of a function: a JSON object (by name) or array (by position)."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"arguments must be JSON, got {_short(text)}: {error}") from None
    if not isinstance(found, dict | list):
        raise typer.BadParameter(f"arguments must be a JSON object or array, got {_short(text)}")
    return found


def value(text: str) -> Any:
    """Any JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"a value must be JSON, got {_short(text)}: {error}") from None


def retry(text: str) -> Any:
    """A retry policy: `kind=constant,initial=5s,cap=1m,factor=2,jitter=0,lost=3,never=ValueError`."""
    from jobstream.functions import Retry

    fields: dict[str, Any] = {}
    never: list[str] = []
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in _RETRY or not value:
            words = ", ".join(_RETRY)
            raise typer.BadParameter(
                f"a retry policy must be like kind=linear,cap=5m with {words}, got {part!r}"
            )
        if name == "never":
            never.append(value)
        else:
            fields[name] = _RETRY[name](value)
    return Retry(**fields, non_retryable=tuple(never))


def _number(kind: type[int | float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            return kind(text)
        except ValueError:
            raise typer.BadParameter(f"a retry policy must have numbers, got {text!r}") from None

    return read


_RETRY: dict[str, Callable[[str], Any]] = {
    "kind": str,
    "initial": duration,
    "cap": duration,
    "factor": _number(float),
    "jitter": _number(float),
    "attempts": _number(int),
    "lost": _number(int),
    "never": str,
}
"""What a retry policy may say; `never` names an error that is not retried, and may be repeated."""


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")  # noqa: PLR2004  # as much as a sentence bears
