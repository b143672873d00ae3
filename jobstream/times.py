"""Times as code says them, seconds or timedelta and datetime, in the milliseconds of records.

Reads no clock. What a time is for, and how long it may be, is its user's to say.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, overload

from jobstream.errors import BadRequest

Seconds = float | timedelta
"""A duration."""

SECONDS_BELOW: Final = 2**53 // 1_000
"""Milliseconds up to there are whole in a float, and fit every record: 285,000 years."""


def milliseconds(name: str, value: Seconds | None) -> int | None:
    """Seconds or a timedelta as whole milliseconds.

    Raises:
        BadRequest: Negative, not a number, or SECONDS_BELOW and more.
    """
    if value is None:
        return None
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < SECONDS_BELOW:
        raise BadRequest(f"{name} must be seconds or a timedelta, from 0 up, got {value!r}")
    return round(seconds * 1_000)


@overload
def epoch_ms(name: str, value: datetime) -> int: ...
@overload
def epoch_ms(name: str, value: datetime | None) -> int | None: ...
def epoch_ms(name: str, value: datetime | None) -> int | None:
    """A datetime as epoch milliseconds.

    Raises:
        BadRequest: It has no time zone.
    """
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise BadRequest(f"{name} must be a datetime with a time zone, got {value!r}")
    return round(value.astimezone(UTC).timestamp() * 1_000)


def milliseconds_within(name: str, value: Seconds | None, least_ms: int, most_ms: int) -> int | None:
    """The same, within limits.

    Raises:
        BadRequest: Outside of them, or no time at all.
    """
    found_ms = milliseconds(name, value)
    if found_ms is not None and not least_ms <= found_ms <= most_ms:
        raise BadRequest(f"{name} must be from {least_ms / 1_000} to {most_ms / 1_000:.0f} s, got {value!r}")
    return found_ms
