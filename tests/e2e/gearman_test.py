"""Background jobs through the relay's Gearman door: durable, and run by Gearman workers and minions alike."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from jobstream import Client
from jobstream.cluster.up import Cluster
from jobstream.errors import JobUnknown
from relay.doors.gearman.packets import P
from tests.e2e.conftest import Start
from tests.fakes.gearman import Peer
from tests.waiting import eventually_async

EARLY_MS = 50
"""The clocks of the client and of the broker may differ by so much."""


@pytest.fixture
async def peer(cluster: Cluster) -> AsyncIterator[Peer]:
    """A connection to the door."""
    found = await Peer.connect(int(cluster.gearman.rpartition(":")[2]))
    yield found
    found.close()


async def succeeded(client: Client, handle: bytes) -> dict[str, object]:
    """The status of a job when it has succeeded."""

    async def look() -> dict[str, object] | None:
        try:
            found = await client.status(handle.decode().removeprefix("J:"))
        except JobUnknown:
            return None  # its worker has not read it yet
        return found if found["phase"] == "succeeded" else None

    found = await eventually_async(look, 30)
    assert found is not None
    return found


async def test_a_background_job_on_a_gearman_worker(peer: Peer, cluster: Cluster, client: Client) -> None:
    """JOB_CREATED means that Kafka has it; a Gearman worker runs it, fails it once, and it is tried again."""
    worker = await Peer.connect(int(cluster.gearman.rpartition(":")[2]))
    await worker.works(b"e2e.gearman")
    peer.say(P.SUBMIT_JOB_BG, b"e2e.gearman", b"", b"hello")
    (handle,) = await peer.expect(P.JOB_CREATED, None)
    peer.say(P.GET_STATUS, handle)
    await peer.expect(P.STATUS_RES, handle, b"1", None, b"0", b"0")
    results = [(P.WORK_EXCEPTION, b"not yet"), (P.WORK_COMPLETE, b"done")]
    for word, data in results:
        worker.say(P.PRE_SLEEP)
        await worker.expect(P.NOOP)
        job = await worker.takes(b"hello")
        worker.say(word, job, data)
    status = await succeeded(client, handle)
    assert (status["attempt"], status["result_base64"]) == (2, "ZG9uZQ==")
    worker.close()
    peer.say(P.GET_STATUS, handle)
    await peer.expect(P.STATUS_RES, handle, b"0", b"0", b"0", b"0")


async def test_equal_background_jobs(peer: Peer, cluster: Cluster) -> None:
    """With `-` as unique id a second job with equal data is none until the first has ended."""
    for data in (b"same", b"same", b"other"):
        peer.say(P.SUBMIT_JOB_BG, b"e2e.once", b"-", data)
        await peer.expect(P.JOB_CREATED, None)
    worker = await Peer.connect(int(cluster.gearman.rpartition(":")[2]))
    await worker.works(b"e2e.once")
    taken = []
    for _ in range(2):
        worker.say(P.PRE_SLEEP)
        await worker.expect(P.NOOP)
        worker.say(P.GRAB_JOB)
        handle, _, data = await worker.expect(P.JOB_ASSIGN, None, None, None)
        taken.append(data)
        worker.say(P.WORK_COMPLETE, handle, b"")
    assert sorted(taken) == [b"other", b"same"]
    worker.say(P.GRAB_JOB)
    await worker.expect(P.NO_JOB)
    worker.close()


async def test_later_on_a_minion(peer: Peer, client: Client, start: Start) -> None:
    """SUBMIT_JOB_EPOCH and Gearsloth's function run no earlier than they say, here on a minion over gRPC,
    which gets JSON as its arguments.
    """
    start()
    at_s = int(time.time()) + 2
    peer.say(P.SUBMIT_JOB_EPOCH, b"e2e.echo", b"", b"%d" % at_s, b'{"value": "epoch"}')
    (by_epoch,) = await peer.expect(P.JOB_CREATED, None)
    task = b'{"func_name": "e2e.echo", "after": 1, "payload": "[7]"}'
    asked_ms = time.time() * 1000
    created = await peer.submits(b"submitJobDelayed", task)
    _, delayed = await peer.expect(P.WORK_COMPLETE, created, None)
    for handle, result, at_ms in ((by_epoch, "epoch", at_s * 1000), (delayed, 7, asked_ms + 1000)):
        status = await succeeded(client, handle)
        assert status["result"] == result
        ended_ms = datetime.fromisoformat(str(status["ended_at"])).timestamp() * 1000
        assert ended_ms >= at_ms - EARLY_MS


@pytest.mark.full
async def test_accepted_jobs_survive_their_relay(cluster: Cluster) -> None:
    """A relay is killed while background jobs are submitted: each that was answered by JOB_CREATED runs."""
    port = int(cluster.gearman.rpartition(":")[2])
    client = await Peer.connect(port)
    for number in range(1_000):
        client.say(P.SUBMIT_JOB_BG, b"e2e.survives", b"", b"%d" % number)
    accepted = 0
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            if accepted == 300:
                cluster.kill("relay")
            await client.expect(P.JOB_CREATED, None)
            accepted += 1
    client.close()
    assert accepted >= 300
    cluster.wait_until_ready("relay")
    worker = await eventually_async(lambda: connected(port), 30)
    await worker.works(b"e2e.survives")
    ran: set[bytes] = set()
    async with asyncio.timeout(90):
        while not ran >= {b"%d" % number for number in range(accepted)}:
            worker.say(P.PRE_SLEEP)
            await worker.expect(P.NOOP)
            while True:
                worker.say(P.GRAB_JOB)
                found, said = await worker.hear()
                if found is P.NO_JOB:
                    break
                if found is P.JOB_ASSIGN:
                    ran.add(said[2])
                    worker.say(P.WORK_COMPLETE, said[0], b"")
    worker.close()


async def connected(port: int) -> Peer:
    """A connection, once the door is there again."""
    try:
        return await Peer.connect(port)
    except OSError as error:
        raise AssertionError(str(error)) from None
