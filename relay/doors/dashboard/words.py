"""Numbers, times and bytes as people read them. Pure; what comes out is text, which the pages escape."""

import base64
import binascii
import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

from schemas.times import parse_time

NONE = "–"  # noqa: RUF001  # as wide as a digit
"""What stands where nothing can be told; never 0."""

SHOWN_CHARS_MAX = 16_000
"""Of a value on a page; the rest can be fetched."""

SHOWN_BYTES_MAX = 512
"""Of bytes that are no text, in hex."""

HEX_PER_LINE = 16

THOUSAND = 1_000
TEN = 10
HUNDRED = 100

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
STEPS = ((DAY_S, "d", HOUR_S, "h"), (HOUR_S, "h", MINUTE_S, "m"), (MINUTE_S, "m", 1, "s"))


def count(number: float | None) -> str:
    """A count: 7, 12,345, 1.20 M."""
    if number is None:
        return NONE
    if number >= TEN * THOUSAND * THOUSAND:
        return f"{number / THOUSAND**2:.1f} M"
    return f"{number:,.0f}"


def rate(number: float | None) -> str:
    """A rate per second: 0, 0.3, 12.5, 1,204."""
    if number is None:
        return NONE
    if number == 0:
        return "0"
    return f"{number:.1f}" if number < HUNDRED else f"{number:,.0f}"


def took(ms: float | None) -> str:
    """A duration: 7 ms, 1.25 s, 3m 20s, 2h 5m, 4d 3h."""
    if ms is None:
        return NONE
    if abs(ms) < THOUSAND:
        return f"{ms:.0f} ms"
    seconds = ms / THOUSAND
    if abs(seconds) < TEN:
        return f"{seconds:.2f} s"
    if abs(seconds) < MINUTE_S:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for large, name, small, small_name in STEPS:
        if whole >= large:
            rest = whole % large // small
            return f"{whole // large}{name}" + (f" {rest}{small_name}" if rest else "")
    return f"{whole}s"


def ago(time: str | None, now: str) -> str:
    """How long ago, or how soon: 3 s ago, in 5m 2s."""
    if time is None:
        return NONE
    ms = parse_time(now) - parse_time(time)
    if abs(ms) < THOUSAND:
        return "now"
    words = took(abs(ms) // THOUSAND * THOUSAND).replace(".00 s", " s").replace(".0 s", " s")
    return f"{words} ago" if ms > 0 else f"in {words}"


def clock(time: str | None, now: str | None = None) -> str:
    """A time in UTC: 12:03:05, with its date if that is not today's."""
    if time is None:
        return NONE
    at = _moment(time)
    words = at.strftime("%H:%M:%S")
    return words if now is not None and _moment(now).date() == at.date() else f"{at:%Y-%m-%d} {words}"


def size(count_: int) -> str:
    """Bytes: 17 B, 3.1 KiB."""
    for unit, many in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count_ >= many:
            return f"{count_ / many:.1f} {unit}"
    return f"{count_} B"


def percent(done: float | None, total: float | None) -> int | None:
    """Progress, 0 to 100; None where the end is not known."""
    if not total or done is None:
        return None
    return max(0, min(HUNDRED, round(HUNDRED * done / total)))


def plain(text: object) -> str:
    """Text with its control characters made visible: none turns a line around, hides, or moves the cursor."""
    return "".join(_visible(char) for char in str(text))


def payload(status: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The arguments or the result of a job, ready to be shown: kind, text, how large, whether it is cut.

    None if there are none. Bytes that are no JSON come in hex, text as text.
    """
    if f"{name}_base64" in status:
        return _of_bytes(status[f"{name}_base64"], status.get(f"{name}_type"))
    value = status.get(name)
    if value is None and name == "result":
        return None
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2)
        whole = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
    except (RecursionError, ValueError):
        return {"kind": "JSON", "text": "nested too deeply to be shown", "size": None, "cut": True}
    return {
        "kind": "JSON",
        "text": _shown(text),
        "size": size(whole),
        "cut": len(text) > SHOWN_CHARS_MAX,
    }


def raw(status: dict[str, Any], name: str) -> bytes | None:
    """The arguments or the result of a job as bytes; None if there are none."""
    if f"{name}_base64" in status:
        return base64.b64decode(status[f"{name}_base64"])
    return None if status.get(name) is None else as_json(status[name])


def as_json(value: Any) -> bytes:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _of_bytes(encoded: str, media: str | None) -> dict[str, Any]:
    try:
        found = base64.b64decode(encoded)
    except (ValueError, binascii.Error):
        found = encoded.encode()
    told = {"size": size(len(found)), "kind": media or "bytes"}
    try:
        text = found.decode()
    except UnicodeDecodeError:
        lines = "\n".join(
            _hex(found, start) for start in range(0, min(len(found), SHOWN_BYTES_MAX), HEX_PER_LINE)
        )
        return {**told, "text": lines, "cut": len(found) > SHOWN_BYTES_MAX}
    return {**told, "text": _shown(text), "cut": len(text) > SHOWN_CHARS_MAX}


def _hex(found: bytes, start: int) -> str:
    part = found[start : start + HEX_PER_LINE]
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)  # noqa: PLR2004  # printable ASCII
    return f"{start:06x}  {part.hex(' '):<{HEX_PER_LINE * 3}} {text}"


def _shown(text: str) -> str:
    """As much as is shown; no more is looked at, since a page is made again and again."""
    text = plain(text[: SHOWN_CHARS_MAX + 1])
    return text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "\n…"


def _visible(char: str) -> str:
    if char in "\n\t" or char.isprintable() or char == "\u00a0":
        return char
    if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return f"\\u{ord(char):04x}" if ord(char) < 1 << 16 else f"\\U{ord(char):08x}"
    return char


def _moment(time: str) -> datetime:
    return datetime.fromtimestamp(parse_time(time) / THOUSAND, UTC)
