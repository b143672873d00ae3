"""What the verbs about schedules show, from status pages and computed here."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from jobstream.cli import simulation, status_view
from jobstream.cli.app import app
from streams.core.schedule_facts import BackfillAsked, PauseAsked
from streams.core.status import schedule_status
from tests.plan import NOON_MS, Planned


def page(plan: Planned) -> dict[str, Any]:
    """The status page of a schedule, as it comes over HTTP."""
    found: dict[str, Any] = json.loads(json.dumps(schedule_status(plan.row, plan.now_ms)))
    return found


def test_show_tells_what_became_of_the_latest_fires_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    """The rule, what is under way, the counts, and the history with reasons."""
    plan = Planned(
        overlap="buffer_one",
        crons=("@every 1h",),
        excluded=("* * 25 12 *",),
        end_at_ms=NOON_MS + 10**9,
        runs_max=9,
        note="hourly",
    )
    plan.minute(3)
    plan.do(BackfillAsked, "tick", NOON_MS - 120_000, NOON_MS, None, None)
    status_view.show_schedule(page(plan))
    shown = " ".join(capsys.readouterr().out.split())
    for part in (
        "* * * * *; @every 1h in UTC",
        "* * 25 12 *",
        "running tick@2025-06-01T12:01:00Z",
        "waiting tick@2025-06-01T12:02:00Z",
        "8 of 9 left",
        "1 fires, 1 skipped",
        "hourly",
        "waits for the end of tick@2025-06-01T12:01:00Z",
        "backfilling",
    ):
        assert part in shown
    plan.do(PauseAsked, "tick", "moving house")
    status_view.show_schedules({"schedules": [page(plan)]})
    listed = " ".join(capsys.readouterr().out.split())
    assert "paused" in listed
    assert "moving house" in listed


def test_a_simulation_of_a_schedule_that_exists_is_that_of_its_rule() -> None:
    """From its status page alone."""
    plan = Planned(start_at_ms=NOON_MS + 600_000, jitter_ms=1_000, excluded=("*/2 * * * *",))
    found = simulation.of_page(page(plan))
    assert (found.cron, found.excluded, found.jitter_ms) == ("* * * * *", ("*/2 * * * *",), 1_000)
    assert found.start_at_ms == NOON_MS + 600_000


def test_simulate_marks_daylight_saving() -> None:
    """The next fires, and the one that does not come."""
    typed = ["schedules", "simulate", "30 2 * * *", "--timezone", "Europe/Berlin", "-n", "2"]
    done = CliRunner().invoke(app, [*typed, "--after", "2026-03-28T00:00:00Z", "--json"])
    assert done.exit_code == 0, done.output
    shown = json.loads(done.output)
    assert [each["local"] for each in shown["fires"]] == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-30T02:30:00+02:00",
    ]
    assert shown["fires"][1]["marks"] == ["no fire at 2026-03-29 02:30: the clock goes forward past it"]
    people = CliRunner().invoke(app, [*typed, "0 0 13 * FRI", "--after", "2026-03-28T00:00:00Z"])
    assert "day of month and day of week must both match" in people.output


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ([], "simulate takes expressions, or --id"),
        (["@daily", "--id", "nightly"], "simulate takes expressions, or --id"),
        (["0 0 30 2 *"], "bad day-of-month"),
        (["@daily", "-n", "0"], "count must be from 1 to 1000, got 0"),
        (["@daily", "--exclude", "@daily"], "excluded must leave a fire"),
        (["@daily", "--timezone", "Mars"], "timezone must be an IANA time zone"),
    ],
)
def test_a_simulation_of_nothing_is_refused_by_name(typed: list[str], sentence: str) -> None:
    """With the field and the value."""
    done = CliRunner().invoke(app, ["schedules", "simulate", *typed])
    assert done.exit_code != 0
    assert sentence in " ".join((done.output + str(done.exception)).replace("│", " ").split())
