"""Prints answers: JSON for machines, tables for people. It knows what looks good and nothing of jobs."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

PHASE_STYLES = {
    "scheduled": "cyan",
    "ready": "blue",
    "leased": "yellow",
    "retrying": "magenta",
    "succeeded": "green",
    "dead": "red",
    "cancelled": "bright_black",
    "expired": "bright_black",
}


def as_json(value: Any) -> None:
    """One JSON value on standard output; indented where a person reads it."""
    indent = 2 if sys.stdout.isatty() else None
    print(json.dumps(value, ensure_ascii=False, indent=indent, default=_unknown))


def _unknown(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def talk(sentence: str) -> None:
    """A sentence about what goes on, on standard error."""
    print(sentence, file=sys.stderr)


def table(
    title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[str] = ()
) -> None:
    """A table on standard output; `right` names the columns of numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(text(cell), PHASE_STYLES.get(text(cell), "")) for cell in row))
    Console(soft_wrap=False, width=None if sys.stdout.isatty() else 200).print(made)


def pairs(found: Iterable[tuple[str, Any]]) -> None:
    """Names and values, one a line; what is None is left out."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(show_header=False, box=None, pad_edge=False)
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    for name, value in found:
        if value is not None:
            made.add_row(name, Text(text(value), PHASE_STYLES.get(text(value), "")))
    Console(width=None if sys.stdout.isatty() else 200).print(made)


def text(value: Any) -> str:
    """A value as a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def clock(epoch_ms: int | None) -> str:
    """A time as people read it, in their own zone."""
    if epoch_ms is None:
        return ""
    return datetime.fromtimestamp(epoch_ms / 1_000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(ms: float | None) -> str:
    """A duration as people read it."""
    if ms is None:
        return ""
    if ms < 1_000:  # noqa: PLR2004  # below a second
        return f"{ms:.0f} ms"
    seconds = ms / 1_000
    if seconds < 120:  # noqa: PLR2004  # below two minutes
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"
