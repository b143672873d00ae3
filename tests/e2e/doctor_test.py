"""The doctor and `why`, on a cluster that runs."""

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

from jobstream import Client
from jobstream.client.metadata import Metadata
from jobstream.cluster.up import Cluster
from jobstream.doctor.look import samples_of
from jobstream.errors import NotReachable
from schemas.telemetry import catalogue
from schemas.topics import Topics
from tests.e2e.conftest import Start
from tests.e2e.functions import brief, echo, flaky
from tests.waiting import eventually, eventually_async

RUN_S = 60

PLANTED = 150
"""Jobs of a queue, two of three with one key."""


def run(cluster: Cluster, *verb: str) -> tuple[int, Any]:
    """A verb of the command line on this cluster: its exit code and its JSON."""
    where = ("--bootstrap", cluster.bootstrap, "--prefix", cluster.prefix, "--web", cluster.web, "--json")
    relay = ("--relay", cluster.relay) if verb[0] == "doctor" else ()
    done = subprocess.run(
        [sys.executable, "-m", "jobstream", *verb, *where, *relay],
        capture_output=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.stdout, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


async def test_the_doctor_looks_at_all(cluster: Cluster, client: Client, start: Start) -> None:
    """A cluster that runs: broker, topics, workers, relay, clocks and lag are well; a queue without a minion
    starves, and is named; so is a key that has most of a queue's jobs, which the workers' metrics show too.
    """
    start()
    start("--queue", "planted")
    assert await (await client.submit(echo.request(1))).result(timeout=RUN_S) == 1
    assert await (await client.submit(brief.request())).result(timeout=RUN_S) is None
    await client.submit(echo.submit_with(queue="nobody").request(1))
    planted = [
        echo.submit_with(queue="planted", key="customer-9" if number % 3 else f"k{number}").request(number)
        for number in range(PLANTED)
    ]
    for job in await client.submit_many(planted):
        await job.result(timeout=RUN_S)

    def starved() -> list[dict[str, str]]:
        found: list[dict[str, str]] = run(cluster, "doctor")[1]
        sentences = [each["sentence"] for each in found]
        assert any("queue nobody starves" in sentence for sentence in sentences), found
        hot = f"key customer-9 has 67% of the last {PLANTED} jobs of queue planted"
        assert any(sentence.startswith(hot) for sentence in sentences), sentences
        assert not any("queue planted" in each for each in sentences if "starves" in each), found
        assert any("of the time that functions ran" in sentence for sentence in sentences), sentences
        return found

    found: list[dict[str, str]] = eventually(starved, RUN_S)
    well = {each["about"] for each in found if each["grade"] == "ok"}
    assert {"broker", "topics", "schemas", "streams", "clocks", "versions", "relay", "lag"} <= well
    assert await asyncio.to_thread(hot_key_share, cluster) > 0.5


def hot_key_share(cluster: Cluster) -> float:
    """What the worker's metrics say of the planted queue."""
    with urllib.request.urlopen(f"http://{cluster.web}/metrics", timeout=RUN_S) as answer:
        samples = samples_of(answer.read().decode())
    (share,) = (
        value
        for name, labels, value in samples
        if name == catalogue.HOT_KEY.name and labels["queue"] == "planted"
    )
    return share


async def test_why_tells_the_story_of_a_job(cluster: Cluster, client: Client, start: Start) -> None:
    """Every step of a job that failed before it succeeded, in order, with its attempts, and how it stands."""
    start()
    job = await client.submit(flaky.request(1))
    await job.result(timeout=RUN_S)

    def told() -> list[dict[str, str]]:
        code, answer = run(cluster, "why", job.id)
        lines: list[dict[str, str]] = answer
        assert code == 0
        assert lines[-2]["what"].startswith("now: succeeded") or lines[-1]["what"].startswith(
            "now: succeeded"
        )
        return lines

    lines: list[dict[str, str]] = eventually(told, RUN_S)
    steps = [line["what"].partition(":")[0].partition(",")[0] for line in lines]
    assert steps[0] == "admitted"
    assert "attempt failed" in steps
    assert any(step.startswith("succeeded at attempt") for step in steps)
    assert run(cluster, "why", "no-such-job")[0] == 1


async def test_lag_follows_the_backlog(cluster: Cluster, client: Client, start: Start) -> None:
    """What an autoscaler reads, the lag of the relays' group in a queue's dispatch topic, is how many jobs
    wait there: all while no minion serves it, none when they are done.
    """
    topics, metadata = Topics(cluster.prefix), Metadata(cluster.bootstrap)

    def lag() -> int:
        try:
            return metadata.lags(f"{cluster.prefix}relay", topics.queue_of).get("backlog", -1)
        except NotReachable as being_made:
            raise AssertionError(str(being_made)) from None

    jobs = [await client.submit(echo.submit_with(queue="backlog").request(number)) for number in range(20)]
    await eventually_async(lambda: asyncio.to_thread(_is, lag, 20), RUN_S)
    start("--queue", "backlog")
    assert [await job.result(timeout=RUN_S) for job in jobs] == list(range(20))
    await eventually_async(lambda: asyncio.to_thread(_is, lag, 0), RUN_S)


def _is(look: Callable[[], int], wanted: int) -> bool:
    found = look()
    assert found == wanted, f"lag is {found}"
    return True
