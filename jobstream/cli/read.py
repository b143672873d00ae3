"""Reads what people type: durations, times, arguments. Pure; what cannot be read is refused in one
sentence.
"""

import json
import re
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


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")  # noqa: PLR2004  # as much as a sentence bears
