"""Structured lines: what they say, where they go, and that nobody ever waits for them."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Settings
from schemas.telemetry import logs
from tests.fakes.gateway import Gateway
from tests.tidy.source import ROOT
from tests.waiting import eventually

ABOUT = {"service.name": "jobstream-test"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A file that this process writes all its lines to."""
    path = tmp_path / "lines.json"
    logs.begin(Settings(access_log=str(path), facts_log=str(path)), "test")
    yield path
    logs.end()


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file, once all that waits is written."""
    logs.end()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_has_the_names_of_ecs(place: Path) -> None:
    """An access line says when, who, what, how it ended and how long it took, by ECS names."""
    logs.access("GET /jobs", logs.SUCCESS, 1_500_000, {logs.QUEUE: "mail", logs.USER: None})
    (line,) = read(place)
    assert line["@timestamp"].endswith("Z")
    assert line["ecs.version"] == "8.11.0"
    assert line["service.name"] == "jobstream-test"
    assert line["event.dataset"] == "jobstream.access"
    assert (line["event.action"], line["event.outcome"]) == ("GET /jobs", "success")
    assert (line["event.duration"], line["jobstream.queue"]) == (1_500_000, "mail")
    assert "user.name" not in line


async def test_one_id_goes_through_all_of_them(place: Path) -> None:
    """The call that asks for a job and the one that cancels it are lines with the same id; who changed
    something is in the audit.
    """
    gateway = Gateway(now_ms=1_800_000_000_000)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    body = {"function": "f", "run_at": 1_800_003_600_000}
    answer = await gateway.http.post("/job", json=body, headers=headers)
    id = answer.json()["id"]
    await gateway.ask("POST", f"/job/{id}/cancel", {})
    await gateway.ask("GET", "/nowhere")
    lines = read(place)
    told = [
        (line["event.dataset"], line["event.action"], line["event.outcome"])
        for line in lines
        if line.get("jobstream.job.id") == id
    ]
    assert sorted(told) == [
        ("jobstream.access", "POST /job", "success"),
        ("jobstream.access", "POST /job/{id:path}/cancel", "success"),
        ("jobstream.audit", "POST /job/{id:path}/cancel", "success"),
    ]
    asked = next(line for line in lines if line["event.action"] == "POST /job")
    assert (asked["trace.id"], asked["http.response.status_code"]) == (trace, 201)
    row = gateway.machine.job(id)
    assert row is not None
    assert row.spec.trace == headers["traceparent"]
    lost = next(line for line in lines if line["event.action"] == "GET none")
    assert (lost["event.outcome"], lost["http.response.status_code"]) == ("failure", 404)


def test_nobody_waits(tmp_path: Path) -> None:
    """Above the limit lines are dropped and counted; audit lines are kept."""
    lines = logs.Lines(str(tmp_path / "missing" / "file"), ABOUT, lines_max=0)
    line: logs.Line = (logs.AUDIT, 0, "pause", logs.SUCCESS, None, {})
    for _ in range(3):
        lines.add(line)
    assert lines.dropped == 3
    lines.add(line, must=True)
    assert lines.dropped == 3
    lines.stop()
    assert lines.dropped == 4  # that place cannot be written


def test_a_file_that_is_renamed_is_left_alone(tmp_path: Path) -> None:
    """After logrotate has renamed the file, lines go to a new one."""
    path = tmp_path / "lines.json"
    lines = logs.Lines(str(path), ABOUT)
    line: logs.Line = (logs.ACCESS, 0, "a", logs.SUCCESS, None, {})
    lines.add(line)
    eventually(path.exists, 30)
    path.rename(tmp_path / "lines.json.1")
    lines.add(line)
    lines.stop()
    assert len(path.read_text().splitlines()) == 1


def test_no_value_breaks_a_line(place: Path) -> None:
    """Newlines, quotes, half surrogates and endless texts stay one line of JSON."""
    bad = 'a\nb"\udc80' + "x" * 10_000
    logs.access(bad, logs.SUCCESS, None, {logs.REASON: bad, "o": object()})
    (line,) = read(place)
    assert line["event.reason"].startswith('a\nb"')
    assert len(line["event.reason"]) == logs.VALUE_CHARS_MAX


def test_what_cannot_be_written_costs_itself_alone(place: Path) -> None:
    """A value that cannot be told loses its line, which is counted; those before and after it are there."""

    class Bad:
        """Fails whoever looks at it."""

        def __str__(self) -> str:
            raise RuntimeError("no")

    for told in ("a", Bad(), "b"):
        logs.access("GET /jobs", logs.SUCCESS, None, {logs.REASON: told})
    eventually(lambda: logs.dropped() == 1, 30)
    assert [line["event.reason"] for line in read(place)] == ["a", "b"]


def test_an_audit_line_is_never_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Without a place for lines, what people change is told in the ordinary log."""
    logs.end()
    with caplog.at_level(logging.INFO, "jobstream.audit"):
        logs.audit("pause", logs.SUCCESS, {logs.QUEUE: "mail", logs.USER: "ops"})
    assert json.loads(caplog.messages[0])["user.name"] == "ops"


def test_ordinary_logs_are_such_lines_too() -> None:
    """With `log = "json"` an error in the log has its type, words and trace by their ECS names."""
    record = logging.LogRecord("relay", logging.ERROR, __file__, 1, "it %s", ("broke",), None)
    try:
        raise ValueError("because")  # noqa: TRY301
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    line = json.loads(logs.EcsFormatter(ABOUT).format(record))
    assert (line["message"], line["log.level"], line["log.logger"]) == ("it broke", "error", "relay")
    assert (line["error.type"], line["error.message"]) == ("ValueError", "because")
    assert "Traceback" in line["error.stack_trace"]


async def test_the_index_template_knows_every_field(place: Path) -> None:
    """Elasticsearch is told the type of each field that is ever written."""
    gateway = Gateway(now_ms=1_800_000_000_000)
    await gateway.ask("POST", "/job", {"function": "f"})
    template = json.loads((ROOT / "deploy" / "elastic" / "index-template.json").read_text())
    known = set(template["template"]["mappings"]["properties"])
    written = {name for line in read(place) for name in line}
    named = {
        value for value in vars(logs).values() if isinstance(value, str) and value.startswith("jobstream.")
    }
    assert written <= known
    assert named - {logs.ACCESS, logs.AUDIT, logs.FACTS, "jobstream.telemetry"} <= known


@pytest.mark.parametrize(
    ("traceparent", "id"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None),
        ("00-zz", None),
        ("", None),
        (None, None),
    ],
)
def test_the_trace_id_of_a_header(traceparent: str | None, id: str | None) -> None:
    """It is told as it came, and only if it is one."""
    assert logs.trace_id(traceparent) == id
