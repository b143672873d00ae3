"""Every option of a job, and what makes one unique, said at every door: the job is the same one."""

import asyncio
import contextlib
import io
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from jobstream import Caller, Client, Retry, Unique
from jobstream.caller import Answer
from jobstream.cli import main
from jobstream.cluster.up import Cluster
from jobstream.functions import Options
from schemas.events import JobRequest
from schemas.names import new_id
from schemas.times import parse_time
from schemas.unique import read_unique, unique_key
from tests.waiting import eventually_async

pytestmark = pytest.mark.full

NOBODY = "e2e.nobody"
KNOWN_S = 30.0
HOUR_MS = 3_600_000

Ask = Callable[[str, dict[str, str], dict[str, Any]], Awaitable[None]]
"""Asks for a job with this id, these arguments, and this policy of uniqueness, in an hour."""


OPTIONS: Options = {
    "delay": 3_600,
    "expires_after": 7_200,
    "deadline": 10_800,
    "retry": Retry(attempts=4),
    "priority": 2,
    "tags": ["a", "b"],
    "retention": 5_400,
    "result_retention": 600,
}


def _only(unique: dict[str, Any]) -> Unique:
    """A policy as the SDK has it."""
    said: dict[str, Any] = {{"while": "only"}.get(name, name): told for name, told in unique.items()}
    return Unique(**said)


class Doors:
    """Each way to ask for a job, with the options as that door has them."""

    def __init__(
        self, cluster: Cluster, http: httpx.AsyncClient, clients: dict[str, Client], caller: Caller
    ) -> None:
        self.cluster = cluster
        self.http = http
        self.waiting: list[asyncio.Task[Answer]] = []
        self._caller = caller
        self.ways: dict[str, Ask] = {
            "POST /job": self._http,
            "POST /jobs": self._many,
            "the SDK over Kafka": self._sdk(clients["kafka"]),
            "the SDK over HTTP": self._sdk(clients["http"]),
            "the command line": self._cli,
            "JSON on Kafka": self._kafka,
            "a durable call over gRPC": self._call,
        }

    async def _http(self, id: str, args: dict[str, str], unique: dict[str, Any]) -> None:
        answer = await self.http.post("/job", json=self._body(id, args, unique))
        assert answer.status_code in {200, 201}, answer.text

    async def _many(self, id: str, args: dict[str, str], unique: dict[str, Any]) -> None:
        answer = await self.http.post("/jobs", json=[self._body(id, args, unique)])
        assert answer.status_code == 201, answer.text

    @staticmethod
    def _body(id: str, args: dict[str, str], unique: dict[str, Any]) -> dict[str, Any]:
        return {
            "worker": NOBODY,
            "id": id,
            "args": args,
            "delay": "1h",
            "startWithin": "2h",
            "deadline": "3h",
            "timeout": "30s",
            "retry": 4,
            "priority": 2,
            "tags": ["a", "b"],
            "retention": "90m",
            "resultRetention": 600,
            "unique": unique,
        }

    def _sdk(self, client: Client) -> Ask:
        async def ask(id: str, args: dict[str, str], unique: dict[str, Any]) -> None:
            options: Options = {**OPTIONS, "id": id, "timeout": 30, "unique": _only(unique)}
            await client.submit(NOBODY, args, **options)

        return ask

    async def _call(self, id: str, args: dict[str, str], unique: dict[str, Any]) -> None:
        """Its end is told in an hour; nobody waits so long."""
        call = self._caller.job(NOBODY, args, id=id, limit=30, unique=_only(unique), options=OPTIONS)
        self.waiting.append(asyncio.create_task(call))

    async def _cli(self, id: str, args: dict[str, str], unique: dict[str, Any]) -> None:
        flags = {
            "--id": id,
            "--delay": "1h",
            "--expires-after": "2h",
            "--deadline": "3h",
            "--timeout": "30s",
            "--attempts": "4",
            "--priority": "2",
            "--retention": "90m",
            "--result-retention": "600",
            "--bootstrap": self.cluster.bootstrap,
            "--prefix": self.cluster.prefix,
            **({"--unique-window": f"{unique['window']}s"} if "window" in unique else {}),
            **({"--unique": unique["while"]} if "while" in unique else {}),
        }
        words = [word for pair in flags.items() for word in pair] + ["--tag", "a", "--tag", "b"]
        words += [word for field in unique.get("fields", ()) for word in ("--unique-field", field)]
        words += ["--replace"] if unique.get("then") == "replace" else []
        before, sys.argv = sys.argv, ["jobstream", "submit", NOBODY, json.dumps(args), *words]
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                assert await asyncio.to_thread(main) == 0
        finally:
            sys.argv = before

    async def _kafka(self, id: str, args: dict[str, str], unique: dict[str, Any]) -> None:
        said = {{"window": "window_ms"}.get(name, name): told for name, told in unique.items()}
        said |= {"window_ms": unique["window"] * 1_000} if "window" in unique else {}
        now_ms = parse_time((await self.http.get("/queues")).json()["now"])
        value = {
            "function": NOBODY,
            "id": id,
            "args": args,
            "run_at": now_ms + HOUR_MS,
            "deadline_ms": 3 * HOUR_MS,
            "expires_after_ms": 2 * HOUR_MS,
            "timeout_ms": 30_000,
            "retry": {"attempts_max": 4},
            "priority": 2,
            "tags": ["a", "b"],
            "retention_ms": 5_400_000,
            "result_retention_ms": 600_000,
            "unique": said,
        }
        producer = Producer({"bootstrap.servers": self.cluster.bootstrap})
        producer.produce(f"{self.cluster.prefix}requests", json.dumps(value).encode())
        assert await asyncio.to_thread(producer.flush, 10) == 0

    async def outcome(self, id: str, args: dict[str, str], unique: dict[str, Any]) -> tuple[str, str | None]:
        """What became of a request, by its facts: accepted, a duplicate of, replaced."""
        said = {"fields": unique["fields"]} if "fields" in unique else {}
        request = JobRequest(function=NOBODY, args=json.dumps(args).encode())
        key = unique_key(request, read_unique(json.dumps(said)))

        async def told() -> dict[str, Any] | None:
            answer = await self.http.get(f"/job/{id}/history", params={"key": key})
            facts: list[dict[str, Any]] = answer.json().get("facts", [])
            return next((fact for fact in facts if fact["fact"] in {"admitted", "deduplicated"}), None)

        fact = await eventually_async(told, KNOWN_S)
        assert fact is not None
        if fact["fact"] == "deduplicated":
            return "duplicate", fact["duplicate_of"]
        return ("accepted", None) if fact.get("replaced") is None else ("replaced", fact["replaced"])


@pytest.fixture
async def doors(cluster: Cluster) -> AsyncIterator[Doors]:
    """All of them, of the cluster."""
    async with (
        httpx.AsyncClient(base_url=f"http://{cluster.http}", timeout=60) as http,
        Client(f"kafka://{cluster.bootstrap}", prefix=cluster.prefix, web=f"http://{cluster.web}") as kafka,
        Client(f"http://{cluster.http}") as over_http,
        Caller(cluster.relay) as caller,
    ):
        doors = Doors(cluster, http, {"kafka": kafka, "http": over_http}, caller)
        yield doors
        for task in doors.waiting:
            task.cancel()
        await asyncio.gather(*doors.waiting, return_exceptions=True)


async def test_options_are_the_same_at_every_door(doors: Doors) -> None:
    """Expiry, deadline, timeout, attempts, priority, tags, retentions: only the times are others."""
    seen: dict[str, dict[str, Any]] = {}
    for name, ask in doors.ways.items():
        id = new_id()
        await ask(id, {"to": id}, {"while": "both", "fields": ["to"]})

        async def known(id: str = id) -> dict[str, Any] | None:
            answer = await doors.http.get(f"/job/{id}")
            return answer.json() if answer.status_code == 200 else None

        job = await eventually_async(known, KNOWN_S)
        assert job is not None
        policy = job["policy"]
        created_ms, run_at_ms = parse_time(job["created_at"]), parse_time(policy["run_at"])
        assert abs(run_at_ms - created_ms - HOUR_MS) < 60_000, name
        assert parse_time(policy.pop("expires_at")) == run_at_ms + 2 * HOUR_MS, name
        assert abs(parse_time(policy.pop("ends_by")) - created_ms - 3 * HOUR_MS) < 60_000, name
        del policy["run_at"]
        seen[name] = {"policy": policy, "tags": job["tags"], "args": sorted(job["args"])}
        await doors.http.post(f"/job/{id}/cancel")
    first = seen["POST /job"]
    told = {
        name: first["policy"][name] for name in ("timeout_ms", "attempts_max", "priority", "retention_ms")
    }
    assert told == {"timeout_ms": 30_000, "attempts_max": 4, "priority": "2", "retention_ms": 5_400_000}
    assert (first["policy"]["result_retention_ms"], first["tags"]) == (600_000, ["a", "b"])
    assert seen == dict.fromkeys(doors.ways, first)


@pytest.mark.parametrize(
    "unique",
    [{"while": "queued"}, {"while": "both", "fields": ["to"]}, {"window": 600}],
    ids=["queued", "both, by a field", "window"],
)
async def test_what_is_unique_is_so_whatever_the_door(doors: Doors, unique: dict[str, Any]) -> None:
    """The first is accepted; each other door is told of that one, and each may replace the one before."""
    args, latest = {"to": new_id()}, new_id()
    await doors.ways["JSON on Kafka"](latest, args, unique)
    assert await doors.outcome(latest, args, unique) == ("accepted", None)
    for name, ask in doors.ways.items():
        twin, successor = new_id(), new_id()
        await ask(twin, args, unique)
        assert await doors.outcome(twin, args, unique) == ("duplicate", latest), name
        await ask(successor, args, {**unique, "then": "replace"})
        assert await doors.outcome(successor, args, unique) == ("replaced", latest), name
        latest = successor
    await doors.http.post(f"/job/{latest}/cancel")


async def test_while_running_a_job_that_waits_is_in_nobody_s_way(doors: Doors) -> None:
    """Whichever door asks: it is told so by what runs alone."""
    args = {"to": new_id()}
    for name, ask in doors.ways.items():
        id = new_id()
        await ask(id, args, {"while": "running"})
        assert await doors.outcome(id, args, {}) == ("accepted", None), name
        await doors.http.post(f"/job/{id}/cancel")
