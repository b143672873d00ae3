"""Times and durations as people write them, to milliseconds. Pure: the present is handed in.

ISO 8601, clocks with AM and PM, months by name, `now`, `in 5 minutes`. What could mean two days
(01/02/2020) is refused. A time without a zone of its own is read in the one given; of a time that a change
of clocks skips or repeats, the first reading counts (PEP 495, fold 0).
"""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.times import EPOCH, MS

SECONDS_BELOW = 100_000_000_000
"""A number below this was meant in seconds."""

DURATION_MS_MAX = 10_000 * 24 * 60 * 60 * 1_000

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_WORDS = {
    "ms": "ms|millis|milliseconds?",
    "s": "s|secs?|seconds?",
    "m": "m|mins?|minutes?",
    "h": "h|hrs?|hours?",
    "d": "d|days?",
    "w": "w|weeks?",
}
_PART = re.compile(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]+)\s*,?", re.IGNORECASE | re.ASCII)
_UNIT = {unit: re.compile(words, re.IGNORECASE) for unit, words in _WORDS.items()}

_FINE = r"(?::(?P<s>\d\d)(?:[.,](?P<f>\d{1,9}))?)?"
_CLOCK = rf"(?P<h>\d{{1,2}})(?::(?P<m>\d\d){_FINE})?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
_ZONE = r"\s*(?P<zone>[Zz]|[+-]\d\d:?\d\d|[A-Za-z]+(?:/[A-Za-z0-9_+-]+)*)?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<mon>[A-Za-z]{3,9})\.?"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?"
_DAYS = (
    r"(?P<y>\d{4})-(?P<mm>\d\d)-(?P<d>\d\d)",
    r"(?P<y>\d{4})/(?P<mm>\d\d)/(?P<d>\d\d)",
    rf"{_WEEKDAY}(?P<d>\d{{1,2}})\s+{_MONTH}\s+(?P<y>\d{{4}})",
    rf"{_WEEKDAY}{_MONTH}\s+(?P<d>\d{{1,2}}),?\s+(?P<y>\d{{4}})",
)
_FORMS = [
    re.compile(rf"{day}(?:(?:[Tt]|,?\s+(?:at\s+)?){_CLOCK})?{_ZONE}", re.IGNORECASE | re.ASCII)
    for day in _DAYS
]
_NOON = 12
_LIKE = "like 2026-01-31T12:00:00Z or 2026-01-31 12:00:00 PM"
_TEXT_CHARS_MAX = 100


def moment_ms(name: str, found: object, zone: str | None, now_ms: int) -> int:
    """Epoch ms of a time as someone wrote it. ValueError with a sentence that names it as `name`.

    Args:
        name: Of the field.
        found: A text, or epoch milliseconds.
        zone: IANA name of the zone of a text that names none; UTC if that is None.
        now_ms: The present.
    """
    if isinstance(found, int) and not isinstance(found, bool):
        if not SECONDS_BELOW <= found < 2**53:
            raise ValueError(f"{name} must be epoch milliseconds, got {found}: is that in seconds?")
        return found
    if not isinstance(found, str):
        raise ValueError(  # noqa: TRY004  # every wrong value is one kind of error
            f"{name} must be a time {_LIKE}, or epoch milliseconds, got {found!r:.80}"
        )
    text = found.strip()
    if text.lower() == "now":
        return now_ms
    if text[:3].lower() == "in ":
        return now_ms + duration_ms(name, text[3:])
    return _calendar_ms(name, text, zone)


def duration_ms(name: str, found: object) -> int:
    """Milliseconds of a duration: a number is in seconds, a text has units. ValueError with a sentence."""
    if isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found <= DURATION_MS_MAX:
        return round(found * 1_000)
    if isinstance(found, str) and len(found) <= _TEXT_CHARS_MAX:
        total_ms, at = 0.0, 0
        while match := _PART.match(found, at):
            unit = next((unit for unit, words in _UNIT.items() if words.fullmatch(match[2])), None)
            if unit is None:
                break
            total_ms, at = total_ms + float(match[1]) * UNITS_MS[unit], match.end()
        if at and not found[at:].strip() and total_ms <= DURATION_MS_MAX:
            return round(total_ms)
    raise ValueError(f"{name} must be seconds, or a duration like 500ms, 30s or 1h 30m, got {found!r:.80}")


def zone_of(name: str, found: object) -> ZoneInfo:
    """The time zone of an IANA name. ValueError with a sentence."""
    try:
        if isinstance(found, str) and found:
            return ZoneInfo(found)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise ValueError(f"{name} must be a time zone like Europe/Berlin, got {found!r:.80}")


def _calendar_ms(name: str, text: str, zone: str | None) -> int:
    match = None
    if len(text) <= _TEXT_CHARS_MAX:
        match = next((found for form in _FORMS if (found := form.fullmatch(text))), None)
    if match is None:
        why = "; write the year first" if re.match(r"\d{1,2}[/.]\d{1,2}[/.]\d{2,4}", text) else ""
        raise ValueError(f"{name} must be a time {_LIKE}, got {text!r:.80}{why}")
    try:
        local = datetime(  # noqa: DTZ001  # its zone comes with the next step
            int(match["y"]),
            _month(match.groupdict()),
            int(match["d"]),
            _hour(match["h"], match["half"]),
            int(match["m"] or 0),
            int(match["s"] or 0),
            int(((match["f"] or "") + "000000")[:6]),
        )
        return (_placed(name, local, match["zone"], zone) - EPOCH) // MS
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be a time that exists, got {text!r:.80} ({error})") from None


def _month(found: dict[str, str | None]) -> int:
    if found.get("mm"):
        return int(found["mm"] or 0)
    word = (found["mon"] or "")[:3].lower()
    if word not in _MONTHS:
        raise ValueError(f"{found['mon']} is no month")
    return _MONTHS.index(word) + 1


def _hour(found: str | None, half: str | None) -> int:
    """The hour from 0 to 23. Where a clock of 24 hours is marked AM or PM all the same, its hour stands."""
    hour = int(found or 0)
    if half is None or hour > _NOON:
        return hour
    if hour == 0:
        raise ValueError("0 o'clock has no AM or PM")
    return hour % _NOON + (_NOON if half[0] in "pP" else 0)


def _placed(name: str, local: datetime, own: str | None, zone: str | None) -> datetime:
    if own is None:
        return local.replace(tzinfo=UTC if zone is None else zone_of("timezone", zone)).astimezone(UTC)
    if own in "Zz" or own.upper() in {"UTC", "GMT"}:
        return local.replace(tzinfo=UTC)
    if own[0] in "+-":
        hours, minutes = int(own[1:3]), int(own[-2:])
        shift = timedelta(hours=hours, minutes=minutes)
        return (local - shift if own[0] == "+" else local + shift).replace(tzinfo=UTC)
    return local.replace(tzinfo=zone_of(name, own)).astimezone(UTC)
