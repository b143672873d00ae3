"""What the HTTP service can do, verbs can do: each route has one, and those that ask the service are run."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobstream.cli.app import app
from jobstream.cluster import free_port
from jobstream.errors import BadRequest, CommandRefused, JobUnknown, NotReachable
from relay.doors.http import serve as serving
from relay.doors.http.attempt import Attempt, sign
from relay.doors.http.serve import Listen
from schemas.times import parse_time
from tests.certificates import Authority
from tests.fakes.gateway import SECRET, Gateway
from tests.fakes.served import served
from tests.unit.cli.help_test import COMMANDS

NOW_MS = parse_time("2027-01-15T08:00:00Z")

VERBS = {
    "POST /job": "submit",
    "POST /jobs": "submit",  # with --lines
    "GET /jobs": "search",
    "POST /jobs/cancel": "cancel-many",
    "GET /job/{id}": "status",
    "DELETE /job/{id}": "cancel",
    "POST /job/{id}/cancel": "cancel",
    "POST /job/{id}/retry": "retry",
    "POST /job/{id}/reschedule": "reschedule",
    "GET /job/{id}/history": "history",
    "POST /job/{id}/receipt": "receipt",
    "POST /job/{id}/heartbeat": "heartbeat",
    "GET /dead-letters": "letters list",
    "GET /dead-letters/{id}": "letters show",
    "DELETE /dead-letters/{id}": "letters discard",
    "POST /dead-letters/discard": "letters discard",
    "POST /dead-letters/redrive": "redrive",
    "POST /dead-letters/{id}/redrive": "redrive",
    "GET /schedules": "schedules list",
    "GET /schedules/{id}": "schedules show",
    "PUT /schedules/{id}": "schedules create",
    "DELETE /schedules/{id}": "schedules remove",
    "POST /schedules/{id}/pause": "schedules pause",
    "POST /schedules/{id}/resume": "schedules resume",
    "POST /schedules/{id}/trigger": "schedules trigger",
    "POST /schedules/{id}/backfill": "schedules backfill",
    "POST /schedules/{id}/orphan": "schedules apply",
    "GET /queues": "queues",
    "POST /queues/{queue}/pause": "pause",
    "POST /queues/{queue}/resume": "resume",
    "GET /duties": "duties",
    "GET /facts": "facts",
    "GET /overview": "top",
    "POST /call/{function}": "call",
    "GET /healthz": "health",
    "GET /readyz": "health",
    "GET /metrics": "metrics",
}
"""The verb of each route."""


async def test_every_route_has_a_verb() -> None:
    """All of the OpenAPI document, and nothing that is not in it; each verb exists."""
    document = (await Gateway(now_ms=NOW_MS).ask("GET", "/openapi.json"))[1]
    routes = {f"{method.upper()} {path}" for path, on in document["paths"].items() for method in on}
    assert routes == set(VERBS)
    assert {f"jobstream {verb}" for verb in VERBS.values()} <= set(COMMANDS)


@pytest.fixture(params=["http", "https"])
async def gateway(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Gateway]:
    """A service that listens where the settings say, with a certificate that only they know, and without."""
    monkeypatch.setattr(serving, "STOP_S", 0.1)
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("JOBSTREAM_HTTP", address)
    files = ("", "")
    if request.param == "https":
        made = Authority(tmp_path).issue("127.0.0.1")
        files = (str(made.cert), str(made.key))
        monkeypatch.setenv("JOBSTREAM_HTTP_CERT", str(files[0]))
        monkeypatch.setenv("JOBSTREAM_HTTP_KEY", str(files[1]))
    one = Gateway(now_ms=NOW_MS)
    async with served(one.app, Listen(address, *files)):
        yield one


async def run(*words: str) -> str:
    """What a verb prints. Raises what it raises."""
    ended = await asyncio.to_thread(CliRunner().invoke, app, words, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.output


async def test_verbs_ask_their_routes(gateway: Gateway) -> None:
    """Each prints what the service answers, with and without TLS; the certificate of the settings will do."""
    for id in ("a", "b", "c"):
        await gateway.ask("POST", "/job", {"function": "f", "id": id, "queue": "mail", "tags": ["x"]})
    row = gateway.machine.job("a")
    assert row is not None
    attempt = Attempt("a", "a", 0, "mail", "f", 1, row.epoch, NOW_MS, 60_000, "push")
    given = ("--attempt-token", sign(attempt, SECRET))
    told = await run("heartbeat", "a", "--step", "half", "--done", "1", "--checkpoint", "7", *given)
    assert told == "id=a attempt=1\n"
    failed = ("failure", "--error", "no", "--error-type", "ValueError", "--final")
    assert json.loads(await run("receipt", "a", *failed, *given, "--json"))["outcome"] == "failure"
    assert [job["id"] for job in json.loads(await run("search", "--phase", "dead", "--json"))["jobs"]] == [
        "a"
    ]
    history = json.loads(await run("history", "a", "--json"))
    assert history["facts"][-1]["error_type"] == "ValueError"
    assert json.loads(await run("queues", "--json"))["queues"]["mail"] == {"dead": 1, "ready": 2, "lag": 3}
    assert {"timed_out", "recurring", "purge"} <= set((await run("duties")).split())
    assert json.loads(await run("letters", "show", "a"))["id"] == "a"
    assert "a" in await run("letters", "list")
    assert await run("letters", "discard", "a") == "1 of 1 discarded\n"
    assert await run("cancel-many", "--tag", "x") == "2 found: 2 cancelled\n"
    assert await run("health") == "alive=True ready=True\n"
    assert 'jobstream_gateway_requests_total{method="GET",route="/duties",status="200"} 1' in await run(
        "metrics"
    )


async def test_what_the_service_refuses_is_told_in_its_words(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the error of its kind; who does not answer is told by its address."""
    with pytest.raises(JobUnknown, match="there is no dead letter"):
        await run("letters", "show", "none")
    with pytest.raises(BadRequest, match="must say which"):
        await run("cancel-many")
    with pytest.raises(CommandRefused, match="token must be the one"):
        await run("receipt", "a", "success", "--attempt-token", "forged")
    gateway.desk.away = True
    with pytest.raises(NotReachable, match="Kafka does not answer"):
        await run("health")
    monkeypatch.delenv("JOBSTREAM_HTTP")
    with pytest.raises(NotReachable, match=r"does not answer at https?://127.0.0.1:1: "):
        await run("health", "--http", "127.0.0.1:1")
