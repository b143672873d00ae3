"""Foreground calls bring minions as jobs do: from none to some, and back to none, without Kafka."""

import asyncio

import pytest

from jobstream.caller import Caller
from jobstream.errors import CallNotTaken
from jobstream.functions import function
from jobstream.testing.fleet import in_process
from relay.main import Relay
from relay.scheduler import Scheduler
from schemas.settings import Settings
from tests.waiting import eventually_async

SETTINGS = Settings(calls_only="yes", relay="127.0.0.1:0")


@function(name="double")
async def double(number: int) -> int:
    """Takes its time."""
    await asyncio.sleep(0.01)
    return 2 * number


class Noting(Scheduler):
    """Brings nobody, and notes what it is told."""

    offers = {"default": ["double"]}  # noqa: RUF012

    def __init__(self) -> None:
        self.told: list[tuple[str, str, tuple[str, ...], int]] = []

    def inbound(self, queue: str, function: str, areas: tuple[str, ...], count: int) -> None:
        """Notes it."""
        assert queue == "default"
        self.told.append(("inbound", function, areas, count))

    def timedout(self, queue: str, function: str, areas: tuple[str, ...], count: int) -> None:
        """Notes it."""
        assert queue == "default"
        self.told.append(("timedout", function, areas, count))


async def test_calls_bring_minions_and_let_them_go() -> None:
    """Twenty at once, though nobody was there when they came."""
    pools = in_process([double], most=2)
    async with Relay(SETTINGS, drain_s=0.5, scheduler=pools) as relay, Caller(relay.address) as caller:
        results = await asyncio.gather(*(caller.call(double, {"number": number}) for number in range(20)))
        assert results == [2 * number for number in range(20)]

        async def nobody() -> bool:
            return not any(pools.counts().values())

        await eventually_async(nobody)


async def test_a_call_that_nobody_takes_is_told_as_timed_out() -> None:
    """With where it should have run."""
    scheduler = Noting()
    async with Relay(SETTINGS, drain_s=0.5, scheduler=scheduler) as relay, Caller(relay.address) as caller:
        with pytest.raises(CallNotTaken):
            await caller.call(double, {"number": 1}, within=0.1)

        async def told() -> bool:
            return len(scheduler.told) > 1

        await eventually_async(told)
    assert scheduler.told[0] == ("inbound", "double", (), 1)
    assert scheduler.told[1] == ("timedout", "double", (), 1)
