"""A fact as JSON, for events and histories. Pure."""

import base64
import json

from schemas.events import Fact
from schemas.times import format_time


def told_fact(fact: Fact) -> dict[str, object]:
    """A fact as JSON: what it does not tell is left out."""
    shown: dict[str, object] = {}
    for name, value in vars(fact).items():
        if value is None:
            continue
        if name.endswith("_at_ms") or name == "at_ms":
            shown[name.removesuffix("_ms")] = format_time(value)
        elif name == "result":
            shown |= _result(value, fact.result_type)
        elif name != "result_type":
            shown[name] = value
    return shown


def _result(result: bytes, media: str | None) -> dict[str, object]:
    if media == "application/json":
        try:
            return {"result": json.loads(result)}
        except ValueError:
            pass
    return {"result_base64": base64.b64encode(result).decode(), "result_type": media}
