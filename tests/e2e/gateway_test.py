"""The HTTP service on a real cluster. Its rules are those of tests/unit/gateway."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobstream import wrap
from jobstream.cluster import free_port
from jobstream.cluster.child import Child
from jobstream.cluster.up import Cluster
from relay.doors.http.serve import Listen, serve
from tests.e2e.conftest import Start
from tests.waiting import eventually_async


@pytest.fixture
async def http(cluster: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the cluster's service."""
    async with httpx.AsyncClient(base_url=f"http://{cluster.http}", timeout=60) as one:
        yield one


async def ask(http: httpx.AsyncClient, path: str, body: Any) -> tuple[int, Any]:
    """The status and JSON of a post."""
    answer = await http.post(path, json=body)
    return answer.status_code, answer.json()


async def test_a_job_by_http_from_ask_to_result(http: httpx.AsyncClient, start: Start) -> None:
    """Asked for and waited for in one call, in two, and by one that asks late."""
    start()
    status, job = await ask(http, "/job", {"worker": "e2e.echo", "args": {"value": 7}, "wait": 50})
    assert (status, job["phase"], job["result"]) == (201, "succeeded", 7), job
    status, job = await ask(http, "/job", {"worker": "e2e.echo", "args": {"value": 8}, "key": "k"})
    assert (status, job["outcome"]) == (201, "accepted")
    for _ in range(2):
        found = (await http.get(f"/job/{job['id']}?wait=50")).json()
        assert (found["phase"], found["result"], found["key"]) == ("succeeded", 8, "k"), found
    listed = (await http.get("/jobs", params={"queue": "default", "limit": 1_000})).json()["jobs"]
    assert job["id"] in {each["id"] for each in listed}


async def test_an_id_is_taken_once(http: httpx.AsyncClient) -> None:
    """201, then 200 with the job that exists, 409 for another one; of many at once each has its answer."""
    first = {"function": "e2e.nobody", "id": "http-once", "delay": "1h"}
    asked = {**first, "delay": None, "runAt": "2026-12-31 10:00 PM", "timezone": "Europe/Berlin"}
    assert (await ask(http, "/job", asked))[0] == 201
    status, job = await ask(http, "/job", asked)
    assert (status, job["outcome"], job["phase"]) == (200, "duplicate", "scheduled"), job
    assert job["policy"]["run_at"] == "2026-12-31T21:00:00.000Z"
    assert (await ask(http, "/job", {**asked, "args": [1]}))[0] == 409
    both = [asked, {"function": "e2e.nobody", "delay": "1h", "id": "http-new"}]
    status, many = await ask(http, "/jobs", both)
    assert (status, [each["outcome"] for each in many["jobs"]]) == (201, ["duplicate", "accepted"])
    assert (await http.delete("/job/http-once")).json()["outcome"] == "cancelled"
    assert (await http.delete("/job/http-once")).status_code == 409


async def test_a_dead_job_by_http(http: httpx.AsyncClient, start: Start) -> None:
    """Its letter is read, its history told, it is redriven, and its letter is gone; queues have a lag."""
    start()
    _, job = await ask(http, "/job", {"function": "e2e.hopeless", "wait": 50})
    assert job["phase"] == "dead", job
    id = job["id"]
    found = (await http.get(f"/dead-letters/{id}")).json()
    assert found["errors"][0]["outcome"] == "failure", found
    listed = (await http.get("/dead-letters", params={"function": "e2e.hopeless"})).json()["letters"]
    assert id in {each["id"] for each in listed}
    history = (await http.get(f"/job/{id}/history")).json()
    kinds = [fact["fact"] for fact in history["facts"]]
    assert (kinds[0], kinds[-1], history["complete"]) == ("admitted", "died", True)
    _, told = await ask(http, "/dead-letters/redrive", {"ids": [id]})
    assert told["counts"] == {"redriven": 1}, told
    assert (await http.get(f"/job/{id}?wait=50")).json()["phase"] == "dead"
    _, told = await ask(http, "/dead-letters/discard", {"ids": [id]})
    assert told["counts"] == {"discarded": 1}, told
    assert (await http.get(f"/dead-letters/{id}")).status_code == 404
    lag = (await http.get("/queues")).json()["queues"]["default"]["lag"]
    assert lag >= 0


async def test_facts_go_on_where_a_listener_was_cut_off(http: httpx.AsyncClient) -> None:
    """Events of a job as they happen; with the id of the last, nothing is missed and nothing comes twice."""
    kinds: list[str] = []
    last = ""
    for path in ("/job", "/job/http-facts/cancel"):
        headers = {"Last-Event-ID": last} if last else {}
        async with http.stream("GET", "/facts?job=http-facts", headers=headers) as stream:
            assert stream.status_code == 200
            body = {"function": "e2e.nobody", "id": "http-facts", "delay": "1h"} if path == "/job" else {}
            lines = stream.aiter_lines()
            assert await anext(lines) == "retry: 1000"
            assert (await ask(http, path, body))[0] in {200, 201}
            event: dict[str, str] = {}
            async with asyncio.timeout(30):
                while "data" not in event:
                    name, _, value = (await anext(lines)).partition(": ")
                    event[name] = value
            kinds.append(json.loads(event["data"])["fact"])
            last = event["id"]
    assert kinds == ["admitted", "cancelled"]


async def test_while_no_worker_answers_it_is_503_and_nothing_is_lost(
    http: httpx.AsyncClient, cluster: Cluster
) -> None:
    """Jobs are taken all the same; what can't be told is not guessed."""
    cluster.kill("streams")
    status, job = await ask(http, "/job", {"function": "e2e.nobody", "delay": "1h"})
    assert status == 201
    looked = await http.get(f"/job/{job['id']}")
    assert looked.status_code in {200, 503}  # it may be back already
    if looked.status_code == 503:
        assert looked.headers["retry-after"] == "1"
    await asyncio.to_thread(cluster.wait_until_ready, "streams")

    async def there() -> bool:
        return (await http.get(f"/job/{job['id']}")).status_code == 200

    await eventually_async(there, timeout_s=60)
    assert (await http.get("/readyz")).status_code == 200


async def test_a_queue_is_paused_by_http(http: httpx.AsyncClient, start: Start) -> None:
    """Its jobs are taken and wait; with the end of the pause they run."""
    start("--queue", "paused-here")
    assert (await ask(http, "/queues/paused-here/pause", {"note": "a test"}))[1]["paused"] is True
    body = {"worker": "e2e.echo", "args": {"value": 3}, "queue": "paused-here", "id": "waits-paused"}
    assert (await ask(http, "/job", body))[0] == 201

    async def says_so() -> bool:
        return "paused" in str((await http.get("/job/waits-paused")).json().get("waiting_for"))

    await eventually_async(says_so, timeout_s=60)
    assert (await ask(http, "/queues/paused-here/resume", {}))[1]["paused"] is False
    assert (await http.get("/job/waits-paused?wait=50")).json()["result"] == 3


async def test_workers_are_found_by_what_they_write(http: httpx.AsyncClient, cluster: Cluster) -> None:
    """The service is told in Kafka where the pages are, not by its settings."""
    log = cluster.logs / "gateway.log"

    async def told() -> bool:
        return f"web={cluster.web} partitions=(0, 1" in log.read_text()

    await eventually_async(told, timeout_s=60)
    assert (await http.get("/readyz")).status_code == 200


async def test_lists_choose_by_more_than_queue_and_phase(http: httpx.AsyncClient) -> None:
    """By function, key, tag and time; what cannot be is told in a sentence."""
    body = {"function": "e2e.listed", "key": "list-key", "tags": ["list-tag"], "delay": "1h", "id": "listed"}
    assert (await ask(http, "/job", body))[0] == 201

    async def ids(**query: str) -> list[str]:
        answer = await http.get("/jobs", params=query)
        return [job["id"] for job in answer.json()["jobs"]]

    async def listed() -> bool:
        return await ids(function="e2e.listed") == ["listed"]

    await eventually_async(listed, timeout_s=30)
    assert await ids(tag="list-tag", key="list-key") == ["listed"]
    assert await ids(function="e2e.listed", until="2026-01-01T00:00:00Z") == []
    assert await ids(function="e2e.listed", since="2026-01-01T00:00:00Z", limit="1") == ["listed"]
    assert await ids(tag="list-tag", key="other") == []
    bad = await http.get("/jobs", params={"since": "yesterday"})
    assert (bad.status_code, "since: a time must be RFC 3339" in bad.json()["detail"]) == (400, True)


def hopeless(value: int) -> int:
    """Fails."""
    raise ValueError(f"{value} is too much")


@pytest.fixture
async def pushing(cluster: Cluster, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A second service, which pushes to functions of this test and to the example under Node."""
    ports = {name: free_port() for name in ("double", "hopeless", "later", "js", "http")}
    stop = asyncio.Event()

    async def later(scope: Any, receive: Any, send: Any) -> None:
        """Takes the job with 202; its receipt comes on its own."""
        if scope["type"] == "lifespan":
            return
        job = json.loads((await receive())["body"])
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        async with httpx.AsyncClient() as http:
            beat = await http.post(job["heartbeat"], json={"token": job["token"], "step": "half"})
            done = {"status": "success", "result": "later", "token": job["token"]}
            assert (beat.status_code, (await http.post(job["receipt"], json=done)).status_code) == (200, 200)

    async def stopped() -> None:
        await stop.wait()

    apps: dict[str, Any] = {
        "double": wrap(lambda value: 2 * value),
        "hopeless": wrap(hopeless),
        "later": later,
    }
    serving = [
        asyncio.create_task(serve(app, Listen(f"127.0.0.1:{ports[name]}"), stopped))
        for name, app in apps.items()
    ]
    functions = tmp_path / "push.toml"
    functions.write_text(
        "".join(f'["push.{name}"]\nurl = "http://127.0.0.1:{ports[name]}/"\n' for name in (*apps, "js"))
    )
    children = []
    if shutil.which("node"):
        example = str(Path(__file__).parents[2] / "examples" / "wrap.mjs")
        children.append(Child.start(["node", example, str(ports["js"])], log=tmp_path / "node.log"))
    settings = {**vars(cluster.settings), "http": f"127.0.0.1:{ports['http']}", "http_push": str(functions)}
    env = {**os.environ, **{f"JOBSTREAM_{name.upper()}": str(value) for name, value in settings.items()}}
    command = [sys.executable, "-m", "jobstream", "gateway"]
    children.append(Child.start(command, log=tmp_path / "gateway.log", env=env))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports['http']}", timeout=60) as http:

        async def ready() -> bool:
            with contextlib.suppress(httpx.ConnectError):
                return (await http.get("/readyz")).status_code == 200
            return False

        await eventually_async(ready, timeout_s=60)
        yield http
    for child in children:
        child.stop(10)
    stop.set()
    await asyncio.gather(*serving)


async def test_functions_behind_urls(pushing: httpx.AsyncClient) -> None:
    """Called with their job; they answer by their receipt or their response, in Python and in JavaScript."""

    async def run(name: str, value: Any, **more: Any) -> Any:
        body = {"worker": f"push.{name}", "args": {"value": value}, "wait": 50, **more}
        return (await ask(pushing, "/job", body))[1]

    doubled = await run("double", 21)
    assert (doubled["phase"], doubled["result"]) == ("succeeded", 42), doubled
    later = await run("later", 1)
    assert (later["phase"], later["result"]) == ("succeeded", "later"), later
    dead = await run("hopeless", 3, retry=False)
    assert (dead["phase"], dead["error_type"], dead["error_message"]) == (
        "dead",
        "ValueError",
        "3 is too much",
    )
    if shutil.which("node"):
        assert (await run("js", 4))["result"] == 8
        wrong = await run("js", "four", retry=False)
        assert (wrong["error_type"], wrong["error_message"]) == (
            "TypeError",
            "value must be a number, got four",
        )
