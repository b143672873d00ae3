"""Ids and names: their patterns, how ours are made, and what an id tells about where its job is.

new_id alone reads a clock and a random source; all else is pure.
"""

import hashlib
import os
import re
import time

from ulid import ULID

from schemas.keys import home

NAME = r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,199}"  # ids, keys, functions
QUEUE = r"[a-z0-9][a-z0-9-]{0,62}"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID_CHARS = 26
HINT_CHARS = 2
HINTS = len(CROCKFORD) ** HINT_CHARS  # partitions that a hint can name
TIMESTAMP_MS_MAX = 2**48 - 1
DIGEST_BYTES = 10
RANDOM_BYTES = 10

_NAME = re.compile(NAME, re.ASCII)
_QUEUE = re.compile(QUEUE, re.ASCII)
_ULID = re.compile(f"[0-7][{CROCKFORD}]{{25}}")
_VALUES = {char: value for value, char in enumerate(CROCKFORD)}


class BadName(ValueError):
    """A name outside its pattern; the text is a sentence with the name found."""


def _check(what: str, pattern: re.Pattern[str], found: object) -> None:
    if not isinstance(found, str) or pattern.fullmatch(found) is None:
        raise BadName(f"{what} must match {pattern.pattern}, got {found!r:.250}")


def check_id(found: str) -> None:
    """BadName unless it can be the id of a job or a schedule. Any such name may be one, not ULIDs alone."""
    _check("id", _NAME, found)


def check_key(found: str) -> None:
    """BadName unless it can be a partition key."""
    _check("key", _NAME, found)


def check_function(found: str) -> None:
    """BadName unless it can be a function."""
    _check("function", _NAME, found)


def check_queue(found: str) -> None:
    """BadName unless it can be a queue."""
    _check("queue", _QUEUE, found)


def new_id(partition: int | None = None) -> str:
    """A new ULID; with a partition (the home of the job's key) its last two characters are that, as a hint.

    For a job without a key take None: its home is that of the id itself.
    """
    if partition is None:
        return str(ULID())
    # The library's ULIDs of one millisecond count up in their last characters, which the hint replaces: here
    # the randomness is drawn anew for each, so that 70 bits of it remain.
    time_ms = time.time_ns() // 1_000_000
    return _hinted(str(ULID(time_ms.to_bytes(6, "big") + os.urandom(RANDOM_BYTES))), partition)


def derived_id(topic: str, partition: int, offset: int, timestamp_ms: int, hint: int | None = None) -> str:
    """The id of a request that came without one: a ULID made of its position, the same in every replay."""
    time_ms = min(max(timestamp_ms, 0), TIMESTAMP_MS_MAX)
    digest = hashlib.sha256(f"{topic}\n{partition}\n{offset}".encode()).digest()[:DIGEST_BYTES]
    id = str(ULID(time_ms.to_bytes(6, "big") + digest))
    return id if hint is None else _hinted(id, hint)


def likely_homes(id: str, partitions: int) -> tuple[int, ...]:
    """Where a job is most likely, given its id alone: the partition of its hint, then the id's own home.

    Only a hint: ids of others, and jobs with a key, may be anywhere.
    """
    own = home(id, partitions)
    if _ULID.fullmatch(id) is None:
        return (own,)
    hint = _VALUES[id[-2]] * len(CROCKFORD) + _VALUES[id[-1]]
    return (own,) if hint >= partitions or hint == own else (hint, own)


def _hinted(id: str, partition: int) -> str:
    if not 0 <= partition < HINTS:
        raise ValueError(f"partition must be from 0 to {HINTS - 1}, got {partition}")
    high, low = divmod(partition, len(CROCKFORD))
    return id[: ULID_CHARS - HINT_CHARS] + CROCKFORD[high] + CROCKFORD[low]
