"""Cron expressions: what they are, what they are not, and daylight saving on real zones."""

from datetime import UTC, datetime
from itertools import islice

import pytest

from schemas.times import format_time, parse_time
from streams.core.cron import BadCron, read


def fires(expression: str, zone: str, after: str, count: int) -> list[str]:
    """The next fires as times in UTC, to the minute where that says all."""
    found = islice(read(expression, zone).after(parse_time(after)), count)
    return [format_time(fire_ms).replace(":00.000Z", "Z").replace(".000Z", "Z") for fire_ms in found]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", ["2025-01-01T00:01Z", "2025-01-01T00:02Z"]),
        ("*/15 8-9 * * *", ["2025-01-01T08:00Z", "2025-01-01T08:15Z"]),
        ("0 12 * * MON-FRI", ["2025-01-01T12:00Z", "2025-01-02T12:00Z"]),
        ("0 0 13 * FRI", ["2025-01-03T00:00Z", "2025-01-10T00:00Z"]),  # either, as neither is a wildcard
        ("0 0 L * *", ["2025-01-31T00:00Z", "2025-02-28T00:00Z"]),
        ("0 0 * * MON#2", ["2025-01-13T00:00Z", "2025-02-10T00:00Z"]),
        ("0 0 29 2 *", ["2028-02-29T00:00Z", "2032-02-29T00:00Z"]),
        ("*/20 * * * * *", ["2025-01-01T00:00:20Z", "2025-01-01T00:00:40Z"]),
        ("30 0 0 1 1 *", ["2025-01-01T00:00:30Z", "2026-01-01T00:00:30Z"]),
        ("@hourly", ["2025-01-01T01:00Z", "2025-01-01T02:00Z"]),
        ("@daily", ["2025-01-02T00:00Z", "2025-01-03T00:00Z"]),
        ("@Midnight", ["2025-01-02T00:00Z", "2025-01-03T00:00Z"]),
        ("@weekly", ["2025-01-05T00:00Z", "2025-01-12T00:00Z"]),
        ("@monthly", ["2025-02-01T00:00Z", "2025-03-01T00:00Z"]),
        ("@yearly", ["2026-01-01T00:00Z", "2027-01-01T00:00Z"]),
        ("@annually", ["2026-01-01T00:00Z", "2027-01-01T00:00Z"]),
    ],
)
def test_an_expression_fires_strictly_after_the_time_asked_for(expression: str, expected: list[str]) -> None:
    """Five fields, six with the second first, names, steps and macros; never at the time itself."""
    assert fires(expression, "UTC", "2025-01-01T00:00:00Z", 2) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        # Berlin, 30 March 2025: from 02:00 (+1) to 03:00 (+2). A daily job happens, after the gap.
        ("30 2 * * *", "Europe/Berlin", "2025-03-29T12:00:00Z", ["2025-03-30T01:00Z", "2025-03-31T00:30Z"]),
        # both times of the gap are one fire
        ("0,30 2 * * *", "Europe/Berlin", "2025-03-29T12:00:00Z", ["2025-03-30T01:00Z", "2025-03-31T00:00Z"]),
        # by the clock on the wall 02:30 does not come
        ("*/30 2 * * *", "Europe/Berlin", "2025-03-29T12:00:00Z", ["2025-03-31T00:00Z", "2025-03-31T00:30Z"]),
        ("0 30 2 * * *", "Europe/Berlin", "2025-03-29T12:00:00Z", ["2025-03-31T00:30Z", "2025-04-01T00:30Z"]),
        # 26 October 2025: from 03:00 (+2) back to 02:00 (+1). A daily job happens once, the first time.
        ("30 2 * * *", "Europe/Berlin", "2025-10-25T12:00:00Z", ["2025-10-26T00:30Z", "2025-10-27T01:30Z"]),
        # by the clock on the wall 02:30 comes twice
        ("0 30 2 * * *", "Europe/Berlin", "2025-10-25T12:00:00Z", ["2025-10-26T00:30Z", "2025-10-26T01:30Z"]),
        ("30 * * * *", "Europe/Berlin", "2025-10-26T00:00:00Z", ["2025-10-26T00:30Z", "2025-10-26T01:30Z"]),
        # asked in the middle of the doubled hour, a daily job has been
        ("30 2 * * *", "Europe/Berlin", "2025-10-26T01:10:00Z", ["2025-10-27T01:30Z"]),
        # New York, 9 March 2025; Lord Howe, 6 April 2025: half an hour back, from +11 to +10:30
        (
            "30 2 * * *",
            "America/New_York",
            "2025-03-08T12:00:00Z",
            ["2025-03-09T07:00Z", "2025-03-10T06:30Z"],
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2025-04-05T00:00:00Z",
            ["2025-04-05T14:45Z", "2025-04-06T15:15Z"],
        ),
        # Apia had no 30 December 2011: that day's noon is the end of the gap, midnight of the 31st (+14)
        ("0 12 * * *", "Pacific/Apia", "2011-12-29T23:00:00Z", ["2011-12-30T10:00Z", "2011-12-30T22:00Z"]),
        # Kathmandu is 5:45 ahead
        ("0 0 * * *", "Asia/Kathmandu", "2025-01-01T00:00:00Z", ["2025-01-01T18:15Z"]),
    ],
)
def test_daylight_saving_neither_loses_nor_doubles_a_daily_job(
    expression: str, zone: str, after: str, expected: list[str]
) -> None:
    """Five fields with a fixed minute and hour fire once a day; all others go by the clock on the wall."""
    assert fires(expression, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("", "cron must be five or six fields or a macro, got '': wrong number of fields"),
        ("* * * *", "cron must be five or six fields or a macro, got '* * * *': wrong number of fields"),
        ("60 * * * *", "cron must be five or six fields or a macro, got '60 * * * *': bad minute"),
        ("0 24 * * *", "cron must be five or six fields or a macro, got '0 24 * * *': bad hour"),
        ("0 0 32 * *", "cron must be five or six fields or a macro, got '0 0 32 * *': bad day-of-month"),
        ("0 0 * 13 *", "cron must be five or six fields or a macro, got '0 0 * 13 *': bad month"),
        ("0 0 * * FUN", "cron must be five or six fields or a macro, got '0 0 * * FUN': bad day-of-week"),
        ("61 * * * * *", "cron must be five or six fields or a macro, got '61 * * * * *': bad second"),
        ("*/0 * * * *", "cron must be five or six fields or a macro, got '*/0 * * * *': bad minute"),
        ("0 0 30 2 *", "cron must be five or six fields or a macro, got '0 0 30 2 *': bad day-of-month"),
        ("0 0 31 FEB *", "cron must be five or six fields or a macro, got '0 0 31 FEB *': bad day-of-month"),
        ("* " * 101, "cron must be at most 200 characters, got 202"),
        ("@reboot", "@reboot"),
        ("@every 5m", "@every 5m"),
    ],
)
def test_an_expression_that_is_none_is_refused_by_field_and_value(expression: str, sentence: str) -> None:
    """The refusal names what is wrong and what was found."""
    with pytest.raises(BadCron) as refused:
        read(expression, "UTC")
    assert sentence in str(refused.value)


def test_an_expression_that_never_fires_is_refused() -> None:
    """The last weekday of a month is no Sunday, and its first day no second Monday."""
    for expression in ("0 0 LW * */7", "0 0 */40 * MON#2"):
        with pytest.raises(BadCron) as refused:
            read(expression, "Europe/Berlin")
        assert str(refused.value) == f"cron must fire at some time, got '{expression}', which never does"


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "Mars/Olympus",
        "America",
        "../etc/passwd",
        "/etc/localtime",
        "localtime",
        "posix/UTC",
        "right/UTC",
        "Z" * 999,
        "Europe/Berlin\0",
    ],
)
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    """Only IANA's names: no path, no folder, nothing that differs from machine to machine."""
    with pytest.raises(BadCron, match="timezone must be an IANA time zone such as Europe/Berlin, got "):
        read("@daily", zone)


def test_a_year_of_fires_in_a_zone_with_daylight_saving_has_one_each_day() -> None:
    """Counted, not reasoned: 365 fires in 365 days."""
    start = datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1000
    end = datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000
    for zone in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"):
        found = list(islice(read("30 2 * * *", zone).after(int(start)), 400))
        assert len([fire_ms for fire_ms in found if fire_ms <= end]) == 365
