"""The verbs that ask the HTTP service, on a real cluster."""

import asyncio
import json
from typing import Any

import pytest

from jobstream import Client
from jobstream.cli import main
from jobstream.cluster.up import Cluster
from tests.e2e.conftest import Start

pytestmark = pytest.mark.full


async def run(cluster: Cluster, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """What a verb prints as JSON; the sentence it says where it fails."""
    import sys

    more = () if words[:2] == ("letters", "show") else ("--json",)
    argv = ["jobstream", *words, *more, "--http", cluster.http]
    before, sys.argv = sys.argv, argv
    try:
        found = await asyncio.to_thread(main)
    finally:
        sys.argv = before
    told = capsys.readouterr()
    assert found == code, told.err
    return told.err if code else json.loads(told.out)


async def test_operating_by_verbs(
    cluster: Cluster, client: Client, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found by filter, cancelled by filter, its history told; dead letters listed, shown, discarded."""
    start()
    jobs = [await client.submit("e2e.nobody", queue="verbs", delay=3_600, tags=["v"]) for _ in range(3)]
    dead = await client.submit("e2e.hopeless")
    with pytest.raises(Exception, match="the account does not exist"):
        await dead.result(60)
    found = await run(cluster, capsys, "search", "--queue", "verbs", "--tag", "v")
    assert {job["id"] for job in found["jobs"]} >= {job.id for job in jobs}
    found = await run(cluster, capsys, "cancel-many", "--queue", "verbs", "--reason", "enough")
    assert found["counts"] == {"cancelled": 3}
    assert "must say which" in await run(cluster, capsys, "cancel-many", code=2)
    found = await run(cluster, capsys, "history", jobs[0].id)
    assert [fact["fact"] for fact in found["facts"]] == ["admitted", "cancelled"]
    assert (await run(cluster, capsys, "queues"))["queues"]["verbs"]["cancelled"] >= 3
    duties = (await run(cluster, capsys, "duties"))["duties"]
    assert set(duties) == {"due", "timed_out", "recurring", "purge"}
    assert {duty["overdue"] >= 0 for duty in duties.values()} == {True}
    assert duties["due"]["checked_at"] is not None, "a worker ticks when it begins"
    found = await run(cluster, capsys, "letters", "list", "--function", "e2e.hopeless")
    assert dead.id in {letter["id"] for letter in found["letters"]}
    assert (await run(cluster, capsys, "letters", "show", dead.id))["id"] == dead.id
    assert (await run(cluster, capsys, "letters", "discard", dead.id))["counts"] == {"discarded": 1}
    assert "there is no dead letter" in await run(cluster, capsys, "letters", "show", dead.id, code=1)
