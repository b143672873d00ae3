"""How the data of a job is read: whether it is JSON, what stands for it as a unique id, and numbers in
packets. Pure.
"""

import hashlib
import json
from typing import Final

from schemas.defaults import CONTENT_TYPE

BYTES_TYPE: Final = "application/octet-stream"
DIGITS_MAX: Final = 15
"""Of a number in a packet."""

_JSON_ENDS: Final = {b"{": b"}", b"[": b"]"}


def content_type_of(data: bytes) -> str:
    """JSON for a JSON object or array, whose parts a function gets as its arguments; else bytes, which it
    gets as the only one.
    """
    if _JSON_ENDS.get(data[:1]) != data[-1:] or not data:
        return BYTES_TYPE
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return BYTES_TYPE
    return CONTENT_TYPE


def unique_of(unique: bytes, data: bytes) -> str:
    """What calls that shall share a run have in common; empty: nothing. `-` stands for the data itself."""
    if unique != b"-":
        return unique.decode(errors="surrogateescape")
    return "-" + hashlib.blake2b(data, digest_size=20).hexdigest() if data else ""


def number_of(text: bytes) -> int | None:
    """A whole number, 0 or more; parts of one are cut off, as many workers tell their progress in them.
    None: none.
    """
    if text.isdigit() and len(text) <= DIGITS_MAX:
        return int(text)
    whole, dot, part = text.partition(b".")
    if dot and whole.isdigit() and len(whole) <= DIGITS_MAX and (not part or part.isdigit()):
        return int(whole)
    return None
