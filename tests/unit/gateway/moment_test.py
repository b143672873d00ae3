"""Times and durations as people write them."""

import pytest

from relay.doors.http.moment import duration_ms, moment_ms
from schemas.times import format_time, parse_time

NOW_MS = parse_time("2027-01-15T08:00:00Z")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2020-01-01 10:00:00 AM", "2020-01-01T10:00:00.000Z"),
        ("2020-01-01 12:00 pm", "2020-01-01T12:00:00.000Z"),
        ("2020-01-01 12 a.m.", "2020-01-01T00:00:00.000Z"),
        ("2020-01-01", "2020-01-01T00:00:00.000Z"),
        ("2020/01/01 15:30", "2020-01-01T15:30:00.000Z"),
        ("2020-01-01T10:00:00.123456Z", "2020-01-01T10:00:00.123Z"),
        ("2020-01-01T10:00:00+05:30", "2020-01-01T04:30:00.000Z"),
        ("2020-01-01 10:00 Europe/Berlin", "2020-01-01T09:00:00.000Z"),
        ("Jan 5, 2027 at 3:30 pm", "2027-01-05T15:30:00.000Z"),
        ("Wed, 01 Jan 2020 10:00:00 GMT", "2020-01-01T10:00:00.000Z"),
        ("now", "2027-01-15T08:00:00.000Z"),
        ("in 1h 30m", "2027-01-15T09:30:00.000Z"),
        (1_800_000_000_000, "2027-01-15T08:00:00.000Z"),
    ],
)
def test_a_time_in_many_ways(written: object, meant: str) -> None:
    """ISO 8601, AM and PM, months by name, words, epoch milliseconds: without a zone it is UTC."""
    assert format_time(moment_ms("run_at", written, None, NOW_MS)) == meant


def test_a_time_without_a_zone_is_read_in_the_one_given() -> None:
    """Of an hour that the clocks skip, or have twice, the first reading counts."""
    read = [
        format_time(moment_ms("run_at", text, "Europe/Berlin", NOW_MS))
        for text in ("2026-07-01 10:00", "2026-03-29 02:30", "2026-10-25 02:30")
    ]
    assert read == ["2026-07-01T08:00:00.000Z", "2026-03-29T01:30:00.000Z", "2026-10-25T00:30:00.000Z"]


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("01/02/2020", "run_at must be a time like .*, got '01/02/2020'; write the year first"),
        ("2026-02-30", "run_at must be a time that exists, got '2026-02-30'"),
        ("2026-01-01 0:00 AM", "0 o'clock has no AM or PM"),
        ("5 Foo 2026", "Foo is no month"),
        ("2026-01-01 10:00 Mars/Base", "a time zone like Europe/Berlin, got 'Mars/Base'"),
        ("x" * 1000, "run_at must be a time like"),
        (1_800_000_000, "got 1800000000: is that in seconds"),
        (True, "run_at must be a time"),
        (None, "run_at must be a time"),
    ],
)
def test_what_is_no_time_is_told(written: object, sentence: str) -> None:
    """One sentence with the value found."""
    with pytest.raises(ValueError, match=sentence):
        moment_ms("run_at", written, None, NOW_MS)


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        (30, 30_000),
        (0.5, 500),
        ("500ms", 500),
        ("30s", 30_000),
        ("1h 30m", 5_400_000),
        ("2 days", 172_800_000),
    ],
)
def test_a_duration_is_seconds_or_has_units(written: object, ms: int) -> None:
    """A bare number is in seconds."""
    assert duration_ms("timeout", written) == ms


@pytest.mark.parametrize(
    "written", ["", "5", "5 parsecs", "-5s", -1, float("nan"), float("inf"), True, None, []]
)
def test_what_is_no_duration_is_told(written: object) -> None:
    """One sentence with the value found."""
    with pytest.raises(ValueError, match=r"timeout must be seconds, or a duration like .*, got "):
        duration_ms("timeout", written)
