"""One full and one bare sample of every record, made from its fields alone.

`python -m tests.unit.schemas.samples` writes golden.json anew: only for a change of the wire that is meant.
"""

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any

from schemas import events
from schemas.codec import encode
from schemas.wire import IDS

GOLDEN = Path(__file__).with_name("golden.json")
RECORDS = [getattr(events, name) for name in events.__all__]
TOP_RECORDS = sorted(IDS, key=lambda kind: kind.__name__)
TIME_MS = 1_735_689_600_123


def sample(kind: Any, *, full: bool) -> Any:
    """A record with every field filled in, or with as few as it may have."""
    fields = {}
    for index, field in enumerate(dataclasses.fields(kind)):
        if full or field.default is dataclasses.MISSING:
            fields[field.name] = _value(field.name, index, typing.get_type_hints(kind)[field.name], full=full)
    return kind(**fields)


def _value(name: str, index: int, hint: Any, *, full: bool) -> Any:
    if isinstance(hint, types.UnionType):
        return _value(name, index, typing.get_args(hint)[0], full=full)
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        return tuple(_value(name, index + step, inner, full=full) for step in (0, 1)) if full else ()
    if dataclasses.is_dataclass(hint):
        return sample(hint, full=full)
    if hint is int:
        return (
            TIME_MS + index if name.endswith("at_ms") else (-1 if name.startswith("applied") else index * 777)
        )
    values: dict[Any, Any] = {
        str: f"{name} é",
        bytes: name.encode() + b"\0\xff",
        bool: True,
        float: index / 2,
    }
    return values[hint]


def golden() -> dict[str, dict[str, str]]:
    """The bytes of both samples of every record that has an id."""
    return {
        kind.__name__: {
            "full": encode(sample(kind, full=True)).hex(),
            "bare": encode(sample(kind, full=False)).hex(),
        }
        for kind in TOP_RECORDS
    }


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), indent=2) + "\n")
