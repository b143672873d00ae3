"""The whole way of a job, through real processes: Kafka, Faust, the relay, gRPC, minions, and back."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from jobstream import Client, JobDead
from jobstream.client import Job
from jobstream.cluster.child import Child
from jobstream.cluster.up import Cluster
from jobstream.errors import JobUnknown
from schemas.names import new_id
from tests.e2e.conftest import Start
from tests.e2e.functions import deaf, echo, flaky, frozen, held, hopeless, snoozing, whoami
from tests.waiting import eventually, eventually_async

RESULT_S = 60.0


def started(folder: Path, minion: Child) -> int:
    """Counts the attempts of `held` that a minion has begun."""
    return len(list(folder.glob(f"*.{minion.pid}")))


async def ended(job: Job) -> object:
    """Waits for a job's result, not for ever."""
    return await job.result(timeout=RESULT_S)


async def test_a_job_runs_and_its_result_comes_back(client: Client, start: Start) -> None:
    """A request becomes an attempt on a minion, its receipt the job's end; the status tells how it went."""
    start()
    job = await client.submit(echo.request({"to": "a@b.c"}))
    assert await ended(job) == {"to": "a@b.c"}
    status = await in_phase(job, "succeeded")
    assert status["phase"] == "succeeded"
    attempt = status["attempts"][-1]
    assert attempt["minion"].startswith("minion-")
    assert attempt["queue_wait_ms"] >= 0
    assert attempt["dispatch_to_start_ms"] >= 0


async def status_of(job: Job) -> dict[str, Any]:
    """What the pages say of a job; of one that was just submitted they may know nothing yet."""
    try:
        return await job.status()
    except JobUnknown as unknown:
        raise AssertionError(str(unknown)) from None


async def in_phase(job: Job, phase: str) -> dict[str, Any]:
    """Waits until the pages show a job in a phase; its status."""

    async def check() -> dict[str, Any]:
        status = await status_of(job)
        assert status["phase"] == phase
        return status

    return await eventually_async(check, timeout_s=20)


async def test_calling_feels_local(client: Client, start: Start) -> None:
    """A decorated function is submitted by its own name, through the client that is open."""
    start()
    job = await echo.submit(value="from here")
    assert await ended(job) == "from here"
    assert client.serves(asyncio.get_running_loop())


async def test_a_failing_job_is_tried_again(client: Client, start: Start) -> None:
    """Two failures, then a success at attempt 3; the status remembers each attempt and its error."""
    start()
    job = await client.submit(flaky.request(fails=2))
    assert await ended(job) == 3
    status = await in_phase(job, "succeeded")
    assert [attempt["outcome"] for attempt in status["attempts"]] == ["failure", "failure", "success"]
    assert status["attempts"][0]["error_type"] == "ConnectionError"


async def test_the_last_failure_is_a_dead_letter(client: Client, start: Start) -> None:
    """After attempts_max failures the job is dead, and its waiter is told the last error."""
    start()
    job = await client.submit(flaky.request(fails=9))
    with pytest.raises(JobDead, match="attempt 3 finds nobody") as refused:
        await ended(job)
    assert refused.value.attempts == 3


async def test_a_non_retryable_error_ends_the_job_at_once(client: Client, start: Start) -> None:
    """NonRetryable leaves no further attempt."""
    start()
    with pytest.raises(JobDead, match="the account does not exist") as refused:
        await ended(await client.submit(hopeless.request()))
    assert refused.value.attempts == 1


async def test_a_function_that_never_answers_times_out(client: Client, start: Start) -> None:
    """An attempt past its timeout counts as failed, and the next one succeeds."""
    start()
    assert await ended(await client.submit(deaf.request())) == 2


async def test_a_frozen_minion_loses_its_job_to_another(client: Client, start: Start) -> None:
    """A minion that is stopped answers nothing: its lease is lost, and the job runs elsewhere.

    What it says after it was woken is refused, and changes nothing.
    """
    first = start()
    job = await client.submit(frozen.request())
    eventually(lambda: Path(f"/proc/{first.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    start()
    assert await ended(job) == 2
    first.send(signal.SIGCONT)
    other = await client.submit(echo.request("after"))
    assert await ended(other) == "after"
    assert (await job.status())["phase"] == "succeeded"


async def test_a_snooze_counts_as_no_attempt(client: Client, start: Start, tmp_path: Path) -> None:
    """A job that puts itself off runs again later, as the same attempt."""
    start()
    job = await client.submit(snoozing.request(marker=str(tmp_path / "snoozed")))
    assert await ended(job) == 1


async def test_a_delayed_job_does_not_run_early(client: Client, start: Start) -> None:
    """A job with a delay says what it waits for, and runs when its time has come, not before."""
    start()
    begun = time.time()
    job = await client.submit(echo.submit_with(delay=1.5).request("late"))
    status = await in_phase(job, "scheduled")
    assert "delay until" in status["waiting_for"]
    assert await ended(job) == "late"
    assert time.time() - begun >= 1.5


async def test_a_schedule_fires_every_second(client: Client, start: Start) -> None:
    """A cron schedule with seconds makes one job for each, named by its fire time, until it is removed."""
    start()
    saved = await client.schedule("e2e-chime", "* * * * * *", echo, {"value": "tick"}, within=20)
    assert saved is not None
    assert saved.next_at_ms is not None

    async def fired() -> list[str]:
        jobs = (await client.list("default", limit=1_000))["jobs"]
        return sorted(
            job["id"] for job in jobs if job["id"].startswith("e2e-chime@") and job["phase"] == "succeeded"
        )

    async def three() -> list[str]:
        ids = await fired()
        assert len(ids) >= 3
        return ids

    ids = await eventually_async(three, timeout_s=15)
    assert len(set(ids)) == len(ids)
    await client.unschedule("e2e-chime", within=20)


async def test_a_waiting_job_can_be_cancelled(client: Client) -> None:
    """A delayed job that is cancelled never runs."""
    job = await client.submit(echo.submit_with(delay=600).request("never"))
    fact = await job.cancel("changed my mind", within=20)
    assert fact is not None
    assert fact.fact == "cancelled"
    assert (await in_phase(job, "cancelled"))["phase"] == "cancelled"


async def test_a_running_job_is_asked_to_stop(client: Client, start: Start, tmp_path: Path) -> None:
    """The cancel of a running attempt reaches its function, and its receipt ends the job as cancelled."""
    start()
    job = await client.submit(held.request(folder=str(tmp_path)))
    await in_phase(job, "leased")
    await job.cancel("not needed", within=20)
    status = await in_phase(job, "cancelled")
    assert status["attempts"][-1]["step"] == "wait for go"


async def test_the_status_of_a_running_job_says_where_it_is(
    client: Client, start: Start, tmp_path: Path
) -> None:
    """Steps and progress reach the status pages by heartbeats."""
    start()
    job = await client.submit(held.request(folder=str(tmp_path)))

    async def located() -> dict[str, Any]:
        status = await status_of(job)
        assert status["located"]
        return status

    status = await eventually_async(located, timeout_s=20)
    assert "wait for go" in str(status["located"])
    assert "40/100" in str(status["located"])
    (tmp_path / "go").touch()
    await ended(job)


async def test_a_job_that_waits_for_a_limit_says_so(client: Client, start: Start, tmp_path: Path) -> None:
    """The relay tells the state machine which of its limits is reached."""
    start("--queue", "narrow")
    narrow = held.submit_with(queue="narrow")
    jobs = [await client.submit(narrow.request(folder=str(tmp_path))) for _ in range(2)]

    async def one_waits() -> bool:
        found = [(await status_of(job))["waiting_for"] for job in jobs]
        return sorted(found, key=str) == [None, "limit queue/narrow"]

    await eventually_async(one_waits, timeout_s=30)
    (tmp_path / "go").touch()
    for job in jobs:
        await ended(job)


async def test_a_killed_minion_gives_its_jobs_back_at_once(
    client: Client, start: Start, tmp_path: Path
) -> None:
    """SIGKILL of a minion: what it held runs elsewhere within seconds, and nothing is lost."""
    victim = start("--concurrency", "4")
    jobs = [await client.submit(held.request(folder=str(tmp_path))) for _ in range(4)]
    eventually(lambda: started(tmp_path, victim) == 4, timeout_s=20)
    other = start("--concurrency", "4")
    await _takes_jobs(client, other.pid)
    killed = time.monotonic()
    victim.kill()
    eventually(lambda: started(tmp_path, other) == 4, timeout_s=20)
    gap_s = time.monotonic() - killed
    (tmp_path / "go").touch()
    assert {await ended(job) for job in jobs} == {str(other.pid)}
    print(f"jobs of a killed minion ran elsewhere after {gap_s:.2f} s")
    assert gap_s < 5


async def _takes_jobs(client: Client, pid: int) -> None:
    """Waits until the process serves jobs."""

    async def serves() -> bool:
        return await ended(await client.submit(whoami.request())) == pid

    await eventually_async(serves, timeout_s=20)


async def test_a_stopped_minion_hands_its_jobs_back(client: Client, start: Start, tmp_path: Path) -> None:
    """SIGQUIT hands back what runs: it runs elsewhere as the same attempt, since that counts as none."""
    leaving = start()
    job = await client.submit(held.request(folder=str(tmp_path)))
    eventually(lambda: started(tmp_path, leaving), timeout_s=20)
    leaving.send(signal.SIGQUIT)
    assert leaving.wait(30)
    assert leaving.exit_code == 0
    other = start()
    eventually(lambda: started(tmp_path, other), timeout_s=20)
    (tmp_path / "go").touch()
    assert await ended(job) == str(other.pid)
    status = await in_phase(job, "succeeded")
    assert [each["attempt"] for each in status["attempts"]] == [1, 1]
    assert status["attempts"][0]["outcome"] == "interrupted"


async def test_jobs_of_one_key_go_to_one_minion(client: Client, start: Start) -> None:
    """The same key meets the same minion while that lives and has credit."""
    minions = [start(), start(), start()]
    for minion in minions:
        await _takes_jobs(client, minion.pid)
    jobs = [await client.submit(whoami.submit_with(key="orders-17").request()) for _ in range(20)]
    assert len({await ended(job) for job in jobs}) == 1


async def test_a_killed_relay_costs_nothing(
    cluster: Cluster, client: Client, start: Start, tmp_path: Path
) -> None:
    """Kill -9 of the relay: minions go on, the next relay adopts what they hold, and every job ends once."""
    minion = start("--concurrency", "8")
    jobs = [await client.submit(held.request(folder=str(tmp_path))) for _ in range(4)]
    eventually(lambda: started(tmp_path, minion) == 4, timeout_s=20)
    cluster.kill("relay")
    after = [await client.submit(echo.request(number)) for number in range(20)]
    assert [await ended(job) for job in after] == list(range(20))
    (tmp_path / "go").touch()
    assert {await ended(job) for job in jobs} == {str(minion.pid)}
    assert started(tmp_path, minion) == 4


async def test_a_killed_worker_goes_on_where_it_was(cluster: Cluster, client: Client, start: Start) -> None:
    """Kill -9 of the Faust worker under load: it restores its table from the log, and every job ends."""
    start()
    jobs = await client.submit_many(echo.request(number) for number in range(300))
    assert await ended(jobs[0]) == 0
    cluster.kill("streams")
    assert [await ended(job) for job in jobs] == list(range(300))


@pytest.mark.skipif(shutil.which("kcat") is None and not os.environ.get("CI"), reason="kcat is not installed")
async def test_plain_kcat_submits_a_job(cluster: Cluster, client: Client, start: Start) -> None:
    """A JSON line by kcat, with its own partitioner and no key, is routed home and runs."""
    start()
    job_id = new_id()
    request = json.dumps({"id": job_id, "function": "e2e.echo", "args": {"value": "from kcat"}})
    command = ["kcat", "-b", cluster.bootstrap, "-P", "-t", f"{cluster.prefix}requests"]
    await asyncio.to_thread(subprocess.run, command, input=f"{request}\n", text=True, check=True, timeout=30)
    assert await client.wait(job_id, key=job_id, timeout=RESULT_S) == "from kcat"
