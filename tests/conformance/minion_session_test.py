"""A minion keeps its word to its relay: credits, beats, receipts, and what it holds when a stream breaks."""

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from jobstream.context import Context
from jobstream.functions import function
from jobstream.minion import Minion, Wire
from jobstream.minion.session import AGAIN_CAP_S, AGAIN_FIRST_S, backoff_s
from schemas.defaults import RESUME_GRACE_MS
from schemas.proto.relay_pb2 import INTERRUPTED, SUCCESS, FromRelay
from tests.fakes.relay import FakeRelay, fake_relay
from tests.waiting import eventually

go = asyncio.Event()


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Each test has its own signal."""
    global go  # noqa: PLW0603  # an event belongs to one loop
    go = asyncio.Event()


@function(name="quick")
async def quick() -> str:
    """Returns at once."""
    return "done"


@function(name="waits")
async def waits(ctx: Context) -> str:
    """Waits for the test."""
    ctx.step("waiting")
    await go.wait()
    return "released"


@function(name="counts")
async def counts(ctx: Context) -> None:
    """Tells progress all the time."""
    done = 0
    while not go.is_set():
        done += 1
        ctx.progress(done, 10**9)
        await asyncio.sleep(0.01)


async def until(check: Callable[[], Any], timeout_s: float = 10.0) -> None:
    """Waits without holding up the loop."""
    await asyncio.to_thread(eventually, check, timeout_s)


async def test_hello() -> None:
    """A minion says who it is, what it can run, and how much of it."""
    async with (
        fake_relay() as relay,
        Minion(
            [quick, waits], relay=relay.address, name="m", concurrency=7, areas=["rack-1"], wire=Wire("t")
        ),
    ):
        session = await relay.session()
        hello = session.hello
        assert (hello.minion, hello.capacity, hello.token) == ("m", 7, "t")
        assert (list(hello.queues), list(hello.areas)) == (["default"], ["rack-1"])
        assert sorted(hello.functions) == ["quick", "waits"]
        assert hello.sdk.startswith("jobstream-python/")
        await until(lambda: session.credits == 7)


async def test_credits_come_back() -> None:
    """However many jobs run through it, a minion grants as many credits as it has free slots."""
    async with fake_relay() as relay, Minion([quick], relay=relay.address, concurrency=10):
        session = await relay.session()
        for _ in range(20):
            await session.give_many([relay.job("quick") for _ in range(10)])
        await until(lambda: len(session.receipts) == 200)
        await until(lambda: session.credits == 10)
        assert [each.number for each in session.receipts] == list(range(1, 201))


@pytest.mark.slow
async def test_a_long_attempt_beats() -> None:
    """An attempt beats once it has run a second, and once per interval from then; a short one never."""
    async with fake_relay() as relay, Minion([quick, waits], relay=relay.address):
        session = await relay.session()
        began_s = time.monotonic()
        job = await session.give("waits")
        short = await session.give("quick")
        await until(lambda: len([1 for _, beat in session.beats if not beat.progress]) >= 2)
        go.set()
        await session.receipt(job)
        alive = [at_s for at_s, beat in session.beats if not beat.progress]
        assert alive[0] - began_s >= 0.9
        assert 0.7 <= alive[1] - alive[0] <= 1.6
        assert {beat.job for _, beat in session.beats} == {job.id}
        assert short.id not in {beat.job for _, beat in session.beats}
        told = [beat for _, beat in session.beats if beat.progress]
        assert [beat.step for beat in told] == ["waiting"]
        assert session.beats[0][1].started_at_ms > 0


@pytest.mark.slow
async def test_progress_is_told_at_most_once_a_second() -> None:
    """A function that tells a hundred times a second is heard once a second, with its latest value."""
    async with fake_relay() as relay, Minion([counts], relay=relay.address):
        session = await relay.session()
        await session.give("counts")
        await until(lambda: len(session.beats) >= 4)
        go.set()
        times = [at_s for at_s, _ in session.beats]
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert min(gaps) > 0.8
        done = [beat.done for _, beat in session.beats]
        assert done == sorted(done)
        assert done[1] - done[0] > 10


async def test_an_idle_session_shows_that_it_lives() -> None:
    """A session without leases sends an empty batch of beats once per interval."""
    async with fake_relay(heartbeat_ms=200) as relay, Minion([quick], relay=relay.address):
        session = await relay.session()
        await until(lambda: len(session.batches) >= 2)
        assert set(session.batches) == {0}


@pytest.mark.slow
async def test_beats_of_many_leases_go_together() -> None:
    """The beats of a session's leases are merged into few messages, and spread over the interval."""
    async with fake_relay() as relay, Minion([waits], relay=relay.address, concurrency=500):
        session = await relay.session()
        await session.give_many([relay.job("waits") for _ in range(500)])
        await until(lambda: sum(not beat.progress for _, beat in session.beats) >= 1_000, 20)
        go.set()
        assert max(session.batches) > 10
        alive = [at_s for at_s, beat in session.beats if not beat.progress]
        busiest = max(sum(at <= other < at + 0.25 for other in alive) for at in alive[::50])
        assert busiest < 500 * 0.6, "a quarter of an interval has not most of its beats"


async def test_a_broken_stream_is_resumed() -> None:
    """After a break the minion is back at once, says what it holds, and goes on."""
    async with fake_relay() as relay, Minion([waits], relay=relay.address, concurrency=3):
        first = await relay.session()
        job = await first.give("waits", key="k", queue="q", attempt=2, partition=5)
        await first.beat(job)
        broke_s = time.monotonic()
        first.abort()
        second = await relay.session(2)
        assert time.monotonic() - broke_s < 1.0, "about 50 ms, on a machine with nothing else to do"
        (held,) = second.hello.held
        assert (held.job, held.epoch, held.key, held.queue) == (job.id, 1, "k", "q")
        assert (held.partition, held.attempt, held.function) == (5, 2, "waits")
        assert (held.assigned_at_ms, held.timeout_ms) == (job.assigned_at_ms, 60_000)
        assert held.started_at_ms > 0
        await until(lambda: second.credits == 2)
        beat = await second.beat(job)
        assert beat.step == "waiting"
        go.set()
        receipt = await second.receipt(job)
        assert (receipt.outcome, receipt.lease.key) == (SUCCESS, "k")


async def test_receipts_are_sent_until_they_are_stored() -> None:
    """Receipts that no relay confirmed go to the next session under their numbers, with their leases; then no
    more.
    """
    async with fake_relay() as relay, Minion([quick], relay=relay.address):
        relay.stores = False
        first = await relay.session()
        jobs = [await first.give("quick") for _ in range(4)]
        for job in jobs:
            await first.receipt(job)
        first.store(1)
        await first.give("quick", id="last")
        await until(lambda: len(first.receipts) == 5)
        first.abort()
        second = await relay.session(2)
        await until(lambda: len(second.receipts) == 4)
        assert [each.number for each in second.receipts] == [2, 3, 4, 5]
        assert [each.lease.job for each in second.receipts] == [job.id for job in jobs[1:]] + ["last"]
        second.store()
        relay.stores = True
        await second.receipt(await second.give("quick"))
        second.abort()
        third = await relay.session(3)
        await third.receipt(await third.give("quick"))
        assert [each.number for each in third.receipts] == [7]


async def test_a_job_that_ends_while_there_is_no_relay() -> None:
    """A function that ends during an outage is told of when the relay is back."""
    async with fake_relay() as relay, Minion([waits], relay=relay.address):
        first = await relay.session()
        job = await first.give("waits")
        await first.beat(job)
        await relay.stop()
        go.set()
        await asyncio.sleep(0)
        await relay.start()
        second = await relay.session(2)
        receipt = await second.receipt(job)
        assert receipt.outcome == SUCCESS
        assert receipt.HasField("lease")


async def test_a_relay_that_comes_later() -> None:
    """A minion that starts first waits for its relay."""
    relay = FakeRelay()
    await relay.start()
    await relay.stop()
    async with Minion([quick], relay=relay.address) as minion:
        with pytest.raises(TimeoutError, match="gave no session within"):
            await minion.opened(0.2)
        await relay.start()
        session = await relay.session(timeout_s=20)
        assert await minion.opened() == session.id
        await session.receipt(await session.give("quick"))
    await relay.stop()


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL]
)
async def test_a_relay_that_refuses(code: grpc.StatusCode) -> None:
    """However a relay ends a stream, the minion tries again."""
    async with fake_relay() as relay, Minion([quick], relay=relay.address):
        first = await relay.session()
        first.abort(code)
        second = await relay.session(2)
        await second.receipt(await second.give("quick"))


async def test_a_message_of_a_later_version() -> None:
    """A message of a later version in the middle of a session is passed over."""
    async with fake_relay() as relay, Minion([quick], relay=relay.address):
        session = await relay.session()
        session.send(FromRelay())
        await session.receipt(await session.give("quick"))
        assert len(relay.sessions) == 1


def test_backoff() -> None:
    """The waits between tries grow to a cap and are never alike; the first is well within a relay's grace."""
    assert backoff_s(0, 1.0) == AGAIN_FIRST_S
    assert AGAIN_FIRST_S * 1_000 < RESUME_GRACE_MS / 4
    assert backoff_s(0, 0.0) == AGAIN_FIRST_S / 2
    assert [backoff_s(tries, 1.0) for tries in range(4)] == [AGAIN_FIRST_S * 2**tries for tries in range(4)]
    assert backoff_s(1_000, 1.0) == AGAIN_CAP_S


async def test_a_relay_that_drains() -> None:
    """The minion finishes what it holds, sends the receipts, leaves by itself, and connects again."""
    async with fake_relay() as relay, Minion([quick, waits], relay=relay.address, concurrency=5):
        first = await relay.session()
        job = await first.give("waits")
        await first.beat(job)
        before = first.credits
        first.drain()
        other = await first.give("quick")
        await first.receipt(other)
        assert not first.closed
        go.set()
        await first.receipt(job)
        second = await relay.session(2)
        assert first.credits == before - 1
        assert list(second.hello.held) == []
        await second.receipt(await second.give("quick"))


async def test_a_minion_that_drains() -> None:
    """It tells the relay, sends late jobs back, finishes what runs, leaves when all receipts are stored."""
    async with fake_relay() as relay:
        async with Minion([waits, quick], relay=relay.address, grace=20) as minion:
            session = await relay.session()
            job = await session.give("waits")
            await session.beat(job)
            minion.drain()
            await until(lambda: session.draining == 20_000)
            late = relay.job("quick")
            session.push([late])
            assert (await session.receipt(late)).outcome == INTERRUPTED
            relay.stores = False
            go.set()
            assert (await session.receipt(job)).outcome == SUCCESS
            waiting = asyncio.create_task(minion.drained())
            await asyncio.sleep(0)
            assert not waiting.done()
            session.store()
            assert await waiting == 0
        assert len(relay.sessions) == 1


async def test_a_grace_that_ends() -> None:
    """What still runs at the end of the grace is handed back with its last step, and cancelled."""
    async with fake_relay() as relay, Minion([waits], relay=relay.address, grace=0.3) as minion:
        session = await relay.session()
        job = await session.give("waits")
        await session.beat(job)
        minion.drain()
        receipt = await session.receipt(job)
        assert (receipt.outcome, receipt.step) == (INTERRUPTED, "waiting")
        assert await minion.drained() == 0


async def test_asking_twice_hands_back_at_once() -> None:
    """A second request without grace does not wait for the first one's."""
    async with fake_relay() as relay, Minion([waits], relay=relay.address, grace=60) as minion:
        session = await relay.session()
        job = await session.give("waits")
        await session.beat(job)
        minion.drain()
        await until(lambda: session.draining == 60_000)
        minion.drain(0)
        assert (await session.receipt(job)).outcome == INTERRUPTED


@pytest.mark.slow
async def test_a_drain_without_a_relay() -> None:
    """A minion that cannot reach its relay leaves all the same, and says how many receipts it takes along."""
    async with fake_relay() as relay, Minion([quick], relay=relay.address, grace=1) as minion:
        relay.stores = False
        session = await relay.session()
        await session.receipt(await session.give("quick"))
        await relay.stop()
        minion.drain()
        assert await minion.drained() == 1


async def test_a_block_that_raises_does_not_wait() -> None:
    """An error inside `async with Minion` hands back at once."""
    async with fake_relay() as relay:

        async def fail() -> None:
            async with Minion([waits], relay=relay.address, grace=60):
                session = await relay.session()
                await session.beat(await session.give("waits", id="j"))
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        assert relay.receipts["j", 1][0].outcome == INTERRUPTED
