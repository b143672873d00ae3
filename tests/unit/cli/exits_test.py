"""The exit codes, and the one sentence on standard error."""

import sys

import pytest

from jobstream import errors
from jobstream.cli import main
from jobstream.cli.exits import Exit, exit_of
from jobstream.cluster.errors import PortTaken
from schemas.settings import BadSetting


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BadRequest("x"), Exit.USAGE),
        (errors.NotReachable("x"), Exit.UNREACHABLE),
        (errors.TopicsMissing("x"), Exit.UNREACHABLE),
        (errors.SubmitTimedOut("x", ("id",)), Exit.TIMED_OUT),
        (errors.WaitTimedOut("x"), Exit.TIMED_OUT),
        (errors.JobUnknown("x"), Exit.NO),
        (errors.JobExpired("id"), Exit.NO),
        (errors.CommandRefused("x"), Exit.NO),
        (errors.TopicRefused("x"), Exit.NO),
        (PortTaken("x"), Exit.NO),
        (BadSetting("x"), Exit.USAGE),
        (ValueError("x"), None),
    ],
)
def test_every_expected_error_has_a_code(error: Exception, code: Exit | None) -> None:
    """What can be expected ends with its own code; an error of the program itself has none."""
    assert exit_of(error) == code


def run(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    """Runs the command line in this process."""
    monkeypatch.setattr(sys, "argv", ["jobstream", *args])
    return main()


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (["submit"], Exit.USAGE, "jobstream submit: Missing argument 'function'"),
        (["submot"], Exit.USAGE, "jobstream: No such command 'submot'"),
        (
            ["submit", "f", "{x"],
            Exit.USAGE,
            "jobstream submit: Invalid value: arguments must be JSON, got '{x'",
        ),
        (["submit", "f", "7"], Exit.USAGE, "must be a JSON object or array, got '7'"),
        (
            ["submit", "f", "--delay", "soon"],
            Exit.USAGE,
            "Invalid value for '--delay': a duration must be like",
        ),
        (["submit", "f", "{}", "--lines"], Exit.USAGE, "give neither ARGS nor --id with it"),
        (["submit", "f", "--bootstrap", "nowhere"], Exit.USAGE, "bootstrap must be host:port, got 'nowhere'"),
        (["config", "--partitions", "0"], Exit.USAGE, "partitions must be a whole number from 1 to"),
        (["status", "x", "--web", "127.0.0.1:9"], Exit.UNREACHABLE, "the status pages do not answer at"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    code: Exit,
    sentence: str,
) -> None:
    """No traceback, nothing on standard output, one line on standard error."""
    assert run(monkeypatch, *args) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert err.count("\n") == 1


def test_errors_of_the_program_itself_are_shown_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not to be expected, and the traceback is wanted."""
    monkeypatch.setattr("schemas.settings.load", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, "config")


def test_config_says_where_each_setting_came_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flag comes before the environment, and that before the default."""
    monkeypatch.setenv("JOBSTREAM_PREFIX", "env.")
    monkeypatch.setenv("JOBSTREAM_WEB", "127.0.0.1:1")
    monkeypatch.delenv("JOBSTREAM_RELAY", raising=False)
    assert run(monkeypatch, "config", "--web", "127.0.0.1:2") == Exit.OK
    lines = {
        line.split()[0]: line.split()[1:3] for line in capsys.readouterr().out.splitlines() if line.strip()
    }
    assert lines["prefix"] == ["env.", "JOBSTREAM_PREFIX"]
    assert lines["web"][0] == "127.0.0.1:2"
    assert lines["relay"] == ["127.0.0.1:7071", "default"]


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The installed version, as a sentence or as JSON."""
    assert run(monkeypatch, "version") == Exit.OK
    assert capsys.readouterr().out.startswith("jobstream ")
    assert run(monkeypatch, "version", "--json") == Exit.OK
    assert '"version"' in capsys.readouterr().out
