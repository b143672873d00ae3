"""Times as people and JSON write them: RFC 3339 to epoch milliseconds and back. Reads no clock."""

import re
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)
TIME_MS_MAX = 253_402_300_799_999  # the last one of the year 9999
# RFC 3339 section 5.6; a space for the T is allowed by its note, the fraction may have any length.
RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,12})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_time(text: str) -> int:
    """Epoch milliseconds of an RFC 3339 time, parts of one cut off. ValueError with a sentence else."""
    match = RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(
            f"a time must be RFC 3339 with its offset, like 2026-01-31T12:00:00Z, got {text!r:.60}"
        )
    day, clock, fraction, offset = match.groups()
    zone = "+00:00" if offset in "Zz" else offset
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{zone}")
    except ValueError as error:
        raise ValueError(f"a time must be one that exists, got {text!r} ({error})") from None
    return (whole - EPOCH) // MS + int(((fraction or ".0")[1:] + "00")[:3])


def format_time(at_ms: int) -> str:
    """The RFC 3339 form in UTC with milliseconds. OverflowError outside the years 1 to 9999."""
    return (EPOCH + at_ms * MS).isoformat(timespec="milliseconds").replace("+00:00", "Z")
