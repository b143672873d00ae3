"""A minion with several relays: a session at each, one capacity over all, and no lease lost with a relay."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from jobstream.errors import BadRequest
from jobstream.functions import function
from jobstream.minion import Minion
from jobstream.minion.shares import Shares
from schemas.proto.relay_pb2 import SUCCESS
from tests.fakes.relay import fake_relay
from tests.waiting import eventually

go = asyncio.Event()


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Each test has its own signal."""
    global go  # noqa: PLW0603  # an event belongs to one loop
    go = asyncio.Event()


@function(name="quick-two")
async def quick() -> str:
    """Returns at once."""
    return "done"


@function(name="waits-two")
async def waits() -> str:
    """Waits for the test."""
    await go.wait()
    return "released"


async def until(check: Callable[[], Any], timeout_s: float = 15.0) -> None:
    """Waits without holding up the loop."""
    await asyncio.to_thread(eventually, check, timeout_s)


async def test_a_session_at_each_relay_and_one_capacity() -> None:
    """All credits together are never more than the minion's concurrency, and each relay can give it jobs."""
    async with (
        fake_relay() as one,
        fake_relay() as two,
        Minion([quick], relay=f"{one.address},{two.address}", concurrency=10),
    ):
        a, b = await one.session(), await two.session()
        await until(lambda: a.credits == b.credits == 5)
        for session in (a, b):
            for _ in range(20):
                job = await session.give("quick-two")
                assert (await session.receipt(job)).outcome == SUCCESS
        assert a.credits + b.credits <= 10
        assert not one.breaches
        assert not two.breaches


async def test_credits_go_to_the_relay_that_needs_them() -> None:
    """One that gives many jobs gets nearly all; the other keeps enough to be heard."""
    async with (
        fake_relay() as one,
        fake_relay() as two,
        Minion([waits], relay=[one.address, two.address], concurrency=8),
    ):
        a, b = await one.session(), await two.session()
        await until(lambda: a.credits == b.credits == 4)
        for _ in range(7):
            await a.give("waits-two")
        go.set()
        assert not one.breaches
        assert b.credits <= 1


async def test_one_place_is_shared_by_turns() -> None:
    """A minion that runs one job at a time is found by either relay."""
    async with (
        fake_relay() as one,
        fake_relay() as two,
        Minion([quick], relay=[one.address, two.address], concurrency=1),
    ):
        a, b = await one.session(), await two.session()
        for session in (a, b, b, a):
            job = await session.give("quick-two")
            assert (await session.receipt(job)).outcome == SUCCESS
            assert a.credits + b.credits <= 1


async def test_leases_of_a_relay_that_dies_go_on_at_another() -> None:
    """What runs is told to it, and answered there; its own jobs are not disturbed."""
    async with fake_relay() as one, fake_relay() as two:
        async with Minion([waits], relay=[one.address, two.address], concurrency=4, name="m"):
            a, b = await one.session(), await two.session()
            here, there = await a.give("waits-two"), await b.give("waits-two")
            await one.stop()
            guest = await two.session(2)
            assert guest.hello.minion == "m"
            assert [(held.job, held.epoch) for held in guest.hello.held] == [(here.id, here.epoch)]
            assert not b.closed
            go.set()
            receipt = await guest.receipt(here)
            assert (receipt.outcome, receipt.lease.job) == (SUCCESS, here.id)
            assert (await b.receipt(there)).outcome == SUCCESS
            await until(lambda: guest.closed)
            await until(lambda: b.credits == 4)
        assert not two.breaches


async def test_receipts_that_a_dead_relay_did_not_store_go_to_another() -> None:
    """They say which lease they are of."""
    async with fake_relay() as one, fake_relay() as two:
        async with Minion([quick], relay=[one.address, two.address], concurrency=4):
            a, _ = await one.session(), await two.session()
            one.stores = False
            job = await a.give("quick-two")
            await a.receipt(job)
            await one.stop()
            guest = await two.session(2)
            receipt = await guest.receipt(job)
            assert (receipt.number, receipt.lease.job) == (1, job.id)
        assert not two.breaches


async def test_a_name_stands_for_all_its_addresses() -> None:
    """Here for one."""
    async with fake_relay() as relay:
        port = relay.address.rpartition(":")[2]
        async with Minion([quick], relay=f"dns:localhost:{port}", concurrency=2) as minion:
            await minion.opened()
            await relay.session()


@pytest.mark.parametrize("relay", ["", "a:1,", "dns:a", "a:1,b:99999"])
def test_addresses_that_cannot_be(relay: str) -> None:
    """Each must be one."""
    with pytest.raises(BadRequest, match="relay must be host:port"):
        Minion([quick], relay=relay)


def test_shares_never_exceed_the_capacity() -> None:
    """Whoever asks in whatever order, and a relay that left has nothing."""
    shares, asked = Shares(3), list[tuple[str, int]]()
    for name in ("a", "b"):
        shares.join(name, lambda up_to, name=name: asked.append((name, up_to)), lambda: None)  # type: ignore[misc]
        shares.tell(name, occupied=0, granted=0, is_open=True, busy_ms=0)
    assert (shares.claim("a", 0), shares.claim("b", 0)) == (1, 1)
    shares.tell("a", occupied=2, granted=0, is_open=True, busy_ms=0)
    assert not shares.is_full()
    assert shares.claim("a", 50) == 0
    assert asked == []
    assert shares.claim("a", 200) == 0
    assert asked == [("b", 1)]
    assert shares.claim("b", 200) == 0
    shares.recalled("b")
    shares.tell("b", occupied=0, granted=0, is_open=True, busy_ms=0)
    assert shares.claim("b", 201) == 0
    assert shares.claim("a", 201) == 1
    shares.leave("a")
    shares.tell("a", occupied=9, granted=9, is_open=True, busy_ms=0)
    assert shares.claim("a", 202) == 0
    assert shares.claim("b", 202) == 3
