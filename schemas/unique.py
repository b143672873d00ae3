"""What makes a job unique: the policy that a request names, and the key that it comes to. Pure.

Two requests of one function, queue and key with equal arguments (or equal chosen fields of them) are the same
work. Must never look at what else there is: whether another job has the key is the state machine's to say.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from schemas import defaults
from schemas.events import JobRequest
from schemas.limits import Refused
from schemas.undecodable import shown
from schemas.words import RejectCode

KEY_BYTES = 16
FIELDS_MAX = 20
"""Names of arguments that one policy chooses."""


class While(StrEnum):
    """When another job of the same key stands in the way."""

    QUEUED = "queued"  # it waits to be started
    RUNNING = "running"  # a minion has it
    BOTH = "both"  # it has not ended
    WINDOW = "window"  # it was asked for less than window_ms ago, whatever became of it


class Then(StrEnum):
    """What becomes of a request that another job stands in the way of."""

    DUPLICATE = "duplicate"  # that job is the answer
    REPLACE = "replace"  # that job is cancelled for it, unless it has been started


@dataclass(frozen=True, slots=True)
class Unique:
    """A policy, read."""

    while_: While = While.BOTH
    window_ms: int | None = None
    fields: tuple[str, ...] = ()
    """Names of the arguments that count; none: all arguments."""
    then: Then = Then.DUPLICATE


NAMES = ("while", "window_ms", "fields", "then")


def read_unique(text: str) -> Unique:
    """The policy that a request's `unique`, a JSON object, says. Refused with a sentence if it cannot be."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise _bad(f"unique must be a JSON object, got {shown(text)}")
    given = {name: found for name, found in given.items() if found is not None}
    for name in given:
        if name not in NAMES:
            raise _bad(f"unique has no field {shown(name)}; there are {', '.join(NAMES)}")
    window_ms = _window_ms(given.get("window_ms"))
    while_ = given.get("while", While.BOTH if window_ms is None else While.WINDOW)
    if while_ not in set(While):
        raise _bad(f"unique.while must be one of {', '.join(While)}, got {shown(while_)}")
    if (while_ == While.WINDOW) != (window_ms is not None):
        raise _bad(f"unique.window_ms must be given with while window alone, got {window_ms} with {while_}")
    then = given.get("then", Then.DUPLICATE)
    if then not in set(Then):
        raise _bad(f"unique.then must be one of {', '.join(Then)}, got {shown(then)}")
    return Unique(While(while_), window_ms, _names(given.get("fields", [])), Then(then))


def unique_key(request: JobRequest, unique: Unique) -> str:
    """What the request must not do twice: 32 hex digits of BLAKE2b over function, queue and arguments.

    The key of a request that names none is this: so equal ones meet in one partition.

    Raises:
        Refused: Fields are chosen of arguments that are no JSON object, or that does not have one of them.
    """
    digest = blake2b(digest_size=KEY_BYTES)
    for part in (request.function.encode(), request.queue.encode(), _content(request, unique.fields)):
        digest.update(len(part).to_bytes(4))
        digest.update(part)
    return digest.hexdigest()


def _content(request: JobRequest, fields: tuple[str, ...]) -> bytes:
    args = request.args or b""
    parsed: Any = None
    if args and request.content_type == defaults.CONTENT_TYPE:
        try:
            parsed = json.loads(args)
        except (ValueError, RecursionError):
            parsed = None
    if fields:
        if not isinstance(parsed, dict):
            found = shown(args.decode(errors="replace"))
            raise _bad(f"unique.fields must be names of a JSON object of arguments, got {found}")
        for name in fields:
            if name not in parsed:
                raise _bad(f"unique.fields must be among the arguments {shown([*parsed])}, got {shown(name)}")
        parsed = {name: parsed[name] for name in fields}
    if parsed is None:
        return args
    return json.dumps(parsed, sort_keys=True, separators=(",", ":")).encode()


def _window_ms(found: Any) -> int | None:
    if found is None:
        return None
    most = defaults.UNIQUE_WINDOW_MS_MAX
    if type(found) is not int or not 1 <= found <= most:
        raise _bad(f"unique.window_ms must be a whole number from 1 to {most}, got {shown(found)}")
    return found


def _names(found: Any) -> tuple[str, ...]:
    if (
        not isinstance(found, list)
        or len(found) > FIELDS_MAX
        or not all(isinstance(name, str) and name for name in found)
    ):
        raise _bad(f"unique.fields must be a list of at most {FIELDS_MAX} names, got {shown(found)}")
    return tuple(sorted(set(found)))


def _bad(sentence: str) -> Refused:
    return Refused(RejectCode.BAD_FIELD, sentence)
