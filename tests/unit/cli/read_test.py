"""What people type at the command line."""

from datetime import UTC, datetime

import pytest
import typer

from jobstream.cli import read


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("30s", 30), ("500ms", 0.5), ("5m", 300), ("2h", 7_200), ("1.5d", 129_600), (" 7 ", 7)],
)
def test_durations(text: str, seconds: float) -> None:
    """A number is seconds; units are ms, s, m, h and d."""
    assert read.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5x", "-3", "s", "1e3", "5 m"])
def test_other_durations_are_refused(text: str) -> None:
    """The sentence shows the forms there are, and what was found."""
    with pytest.raises(typer.BadParameter, match=r"a duration must be like .* got"):
        read.duration(text)


def test_times_need_a_zone() -> None:
    """RFC 3339 is read; a time that could be anywhere is refused."""
    assert read.moment("2027-01-31T09:00:00+01:00") == datetime(2027, 1, 31, 8, tzinfo=UTC)
    for text in ("2027-01-31T08:00:00", "tomorrow", ""):
        with pytest.raises(typer.BadParameter, match="a time must be like"):
            read.moment(text)


def test_arguments_are_json() -> None:
    """An object or an array; everything else is refused, long texts shortened."""
    assert read.arguments('{"to": "a"}') == {"to": "a"}
    assert read.arguments("[1, 2]") == [1, 2]
    with pytest.raises(typer.BadParameter, match="must be a JSON object or array, got '7'"):
        read.arguments("7")
    with pytest.raises(typer.BadParameter, match=r"must be JSON, got '\{x.*\.\.\.': "):
        read.arguments("{" + "x" * 1_000)
