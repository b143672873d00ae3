"""Cron expressions: what they are, what they are not, and daylight saving on real zones."""

from itertools import islice

import pytest

from schemas.times import format_time, parse_time
from streams.core.cron import WANTED, BadCron, Cron, read


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
        ("0 0 13 * FRI", ["2025-06-13T00:00Z", "2026-02-13T00:00Z"]),  # both, and not either of them
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
        # Berlin, 30 March 2025: from 02:00 (+1) to 03:00 (+2). 02:30 does not come.
        ("30 2 * * *", "Europe/Berlin", "2025-03-29T12:00:00Z", ["2025-03-31T00:30Z"]),
        (
            "*/30 1-3 * * *",
            "Europe/Berlin",
            "2025-03-30T00:29:00Z",
            ["2025-03-30T00:30Z", "2025-03-30T01:00Z"],
        ),
        ("0 30 2 * * *", "Europe/Berlin", "2025-03-29T12:00:00Z", ["2025-03-31T00:30Z"]),
        # 26 October 2025: from 03:00 (+2) back to 02:00 (+1). 02:30 comes twice.
        ("30 2 * * *", "Europe/Berlin", "2025-10-25T12:00:00Z", ["2025-10-26T00:30Z", "2025-10-26T01:30Z"]),
        ("30 2 * * *", "Europe/Berlin", "2025-10-26T01:10:00Z", ["2025-10-26T01:30Z", "2025-10-27T01:30Z"]),
        # New York, 9 March 2025; Lord Howe, 6 April 2025: half an hour back, from +11 to +10:30
        ("30 2 * * *", "America/New_York", "2025-03-08T12:00:00Z", ["2025-03-10T06:30Z"]),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2025-04-05T00:00:00Z",
            ["2025-04-05T14:45Z", "2025-04-05T15:15Z"],
        ),
        # Apia had no 30 December 2011, nor its noon
        ("0 12 * * *", "Pacific/Apia", "2011-12-29T21:00:00Z", ["2011-12-29T22:00Z", "2011-12-30T22:00Z"]),
        # St. John's changed a minute after midnight
        ("* 0 * * *", "America/St_Johns", "2010-03-14T03:00:00Z", ["2010-03-14T03:30Z", "2010-03-15T02:30Z"]),
        # Kathmandu is 5:45 ahead
        ("0 0 * * *", "Asia/Kathmandu", "2025-01-01T00:00:00Z", ["2025-01-01T18:15Z"]),
        # a zone of its own before the expression, a comment behind it
        ("CRON_TZ=Asia/Tokyo 0 9 * * * # in Tokyo", "UTC", "2025-01-01T01:00:00Z", ["2025-01-02T00:00Z"]),
        ("TZ=Asia/Tokyo @daily", "UTC", "2025-01-01T01:00:00Z", ["2025-01-01T15:00Z"]),
        # intervals know no zone
        ("@every 90m", "Europe/Berlin", "2025-01-01T00:00:00Z", ["2025-01-01T01:30Z", "2025-01-01T03:00Z"]),
        ("@every 1h30m/5m", "UTC", "2025-01-01T00:00:00Z", ["2025-01-01T00:05Z", "2025-01-01T01:35Z"]),
        ("@Every 1d", "UTC", "2025-01-01T00:00:00Z", ["2025-01-02T00:00Z", "2025-01-03T00:00Z"]),
        ("@every 20s/7s", "UTC", "2025-01-01T00:00:07Z", ["2025-01-01T00:00:27Z"]),
    ],
)
def test_a_fire_is_when_the_clock_on_the_wall_shows_its_time(
    expression: str, zone: str, after: str, expected: list[str]
) -> None:
    """A time that the clock skips does not fire, one that it shows twice fires twice."""
    assert fires(expression, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("", "{WANTED}, got '': wrong number of fields"),
        ("* * * *", "{WANTED}, got '* * * *': wrong number of fields"),
        ("60 * * * *", "{WANTED}, got '60 * * * *': bad minute"),
        ("0 24 * * *", "{WANTED}, got '0 24 * * *': bad hour"),
        ("0 0 32 * *", "{WANTED}, got '0 0 32 * *': bad day-of-month"),
        ("0 0 * 13 *", "{WANTED}, got '0 0 * 13 *': bad month"),
        ("0 0 * * FUN", "{WANTED}, got '0 0 * * FUN': bad day-of-week"),
        ("61 * * * * *", "{WANTED}, got '61 * * * * *': bad second"),
        ("*/0 * * * *", "{WANTED}, got '*/0 * * * *': bad minute"),
        ("0 0 30 2 *", "{WANTED}, got '0 0 30 2 *': bad day-of-month"),
        ("0 0 31 FEB *", "{WANTED}, got '0 0 31 FEB *': bad day-of-month"),
        ("* " * 101, "cron must be at most 200 characters, got 202"),
        ("@reboot", "@reboot"),
        ("@every", "cron must be @every with an interval such as 90m or 1h30m/5m, got '@every'"),
        ("@every 5x", "cron must be @every with an interval such as"),
        ("@every m5", "cron must be @every with an interval such as"),
        ("@every 5m/x", "cron must be @every with an interval such as"),
        ("@every 5m/s1", "cron must be @every with an interval such as"),
        ("@every 0s", "cron must be @every with an interval from 1s to 400d, got '@every 0s'"),
        ("@every 401d", "cron must be @every with an interval from 1s to 400d, got '@every 401d'"),
        ("@every 5m/5m", "cron must be @every with a phase shorter than the interval, got '@every 5m/5m'"),
        ("TZ=Mars/Olympus 0 0 * * *", "timezone must be an IANA time zone such as Europe/Berlin, got 'Mars"),
    ],
)
def test_an_expression_that_is_none_is_refused_by_field_and_value(expression: str, sentence: str) -> None:
    """The refusal names what is wrong and what was found."""
    with pytest.raises(BadCron) as refused:
        read(expression, "UTC")
    assert sentence.replace("{WANTED}", f"cron must be {WANTED}") in str(refused.value)


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


@pytest.mark.parametrize(
    ("expression", "whole_minute", "at", "until"),
    [
        ("* * 25 12 *", True, "2025-12-25T08:00:00Z", "2025-12-25T23:00:00.000Z"),  # midnight in Berlin
        ("* 9-17 * * *", True, "2025-01-01T08:20:30Z", "2025-01-01T09:00:00.000Z"),
        ("30 9 * * *", True, "2025-01-01T08:30:10Z", "2025-01-01T08:31:00.000Z"),
        ("30 9 * * *", False, "2025-01-01T08:30:00Z", "2025-01-01T08:30:01.000Z"),
        ("30 9 * * *", False, "2025-01-01T08:30:10Z", None),
        ("* * 26 10 *", True, "2025-10-26T00:30:00Z", "2025-10-26T01:00:00.000Z"),  # the clock goes back
        ("@every 10s", True, "2025-01-01T00:00:10Z", "2025-01-01T00:00:11.000Z"),
        ("@every 10s", True, "2025-01-01T00:00:11Z", None),
    ],
)
def test_an_instant_that_matches_tells_how_long_all_do(
    expression: str,
    whole_minute: bool,  # noqa: FBT001
    at: str,
    until: str | None,
) -> None:
    """To the end of its second, minute, hour or day: whoever leaves them out need not look at each."""
    found = read(expression, "Europe/Berlin", whole_minute=whole_minute).covers_until(parse_time(at))
    assert (None if found is None else format_time(found)) == until


def test_the_times_that_the_clock_skips_can_be_told() -> None:
    """Those that an expression names, and no others; Apia skipped a whole day."""
    spring, after = parse_time("2025-03-29T12:00:00Z"), parse_time("2025-04-01T00:00:00Z")

    def walls(expression: str, zone: str = "Europe/Berlin") -> list[str]:
        return [f"{each.wall:%d %H:%M}" for each in read(expression, zone).missing(spring, after)]

    assert walls("*/20 2-3 * * *") == ["30 02:00", "30 02:20", "30 02:40"]
    assert walls("0 2 31 * *") == walls("@every 1h") == walls("0 5 * * *") == walls("0 2 * * *", "UTC") == []
    dateline = read("0 */12 30 * *", "Pacific/Apia")
    assert isinstance(dateline, Cron)
    days = (parse_time("2011-12-28T00:00:00Z"), parse_time("2012-01-01T00:00:00Z"))
    assert [f"{each.wall:%d %H:%M}" for each in dateline.missing(*days)] == ["30 00:00", "30 12:00"]


def test_nothing_is_looked_for_beyond_the_calendar() -> None:
    """The standard library knows no year 10,000."""
    late = parse_time("9989-12-31T23:59:00Z")
    assert list(islice(read("* * * * *", "Europe/Berlin").after(late + 10**9), 2)) == []
    assert len(list(islice(read("@every 1m", "UTC").after(late - 1), 9))) == 2
    assert len(list(islice(read("0 0 29 2 *", "Asia/Tokyo").after(late - 10**11), 2))) == 1
