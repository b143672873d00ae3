"""The Ticker: a tick when something is due, none otherwise, and never two at once for one partition."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import pytest

from schemas.codec import decode
from schemas.events import Tick
from streams.record import Out, Record
from streams.ticker import LOOK_S, SOON_S, UNASKED, Ticker
from tests.fakes.desk import HOME, START_MS, Desk

DELAY_MS = 60_000


class Bench:
    """A ticker over one partition with a delayed job, on a clock that the test sets."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.desk.request(id="j1", run_at_ms=START_MS + DELAY_MS)
        self.now_ms = float(START_MS)
        self.ticks: list[Tick] = []
        self.ends: Mapping[int, tuple[int, int]] | None = None
        self.ticker = Ticker(
            "jobs.timers", {HOME: self.desk.partition}, self.ask, self.write, lambda: self.now_ms / 1000
        )

    async def ask(self, numbers: Sequence[int]) -> Mapping[int, tuple[int, int]]:
        """The ends of the sources."""
        return dict.fromkeys(numbers, (5, 6)) if self.ends is None else self.ends

    def write(self, outs: Iterable[Out]) -> None:
        """Takes ticks."""
        for out in outs:
            assert (out.topic, out.partition) == ("jobs.timers", HOME)
            self.ticks.append(decode(out.value or b"", (Tick,)))

    def lease(self) -> None:
        """A job that a minion has, and which is due first."""
        self.desk.request(id="leased", timeout_ms=1_000)
        self.desk.beat("leased")

    async def look(self) -> None:
        """Lets the ticker look at the clock once."""
        await self.ticker.look()

    def applied(self, lag_ms: int = 0) -> None:
        """The last tick comes back, stamped by the broker so much later."""
        tick = self.ticks[-1]
        record = Record("jobs.timers", HOME, len(self.ticks), tick.at_ms + lag_ms, None, None)
        self.ticker.applied(record, tick)


async def test_no_tick_before_something_is_due() -> None:
    """An idle partition gets no ticks."""
    bench = Bench()
    await bench.look()
    bench.now_ms = START_MS + DELAY_MS - 1
    await bench.look()
    assert bench.ticks == []


async def test_a_tick_says_how_far_the_sources_went() -> None:
    """Where a lease may be over, it carries the ends of receipts and heartbeats, and the worker's time for
    people.
    """
    bench = Bench()
    bench.lease()
    bench.now_ms = START_MS + DELAY_MS
    await bench.look()
    assert bench.ticks == [Tick(partition=HOME, at_ms=START_MS + DELAY_MS, receipts_end=5, heartbeats_end=6)]


async def test_a_job_whose_time_comes_waits_for_no_answer() -> None:
    """No minion has it: its tick asks for no ends, and decides about no lease."""
    bench = Bench()
    bench.now_ms = START_MS + DELAY_MS
    bench.ends = {}
    await bench.look()
    (tick,) = bench.ticks
    assert tick.receipts_end == tick.heartbeats_end == UNASKED


async def test_it_looks_again_when_the_next_time_comes() -> None:
    """Not too late, and not in vain; sooner while a tick is under way."""
    bench = Bench()
    assert bench.ticker._look_in_s() == LOOK_S
    bench.now_ms = START_MS + DELAY_MS - 4
    assert bench.ticker._look_in_s() == pytest.approx(0.004)
    bench.now_ms = START_MS + DELAY_MS + 9
    assert bench.ticker._look_in_s() == SOON_S
    await bench.look()
    assert bench.ticker._look_in_s() == 2 * SOON_S


async def test_one_tick_at_a_time() -> None:
    """The next tick goes when the one before was applied, as long as something is due."""
    bench = Bench()
    bench.now_ms = START_MS + DELAY_MS
    await bench.look()
    await bench.look()
    assert len(bench.ticks) == 1
    bench.applied()
    await bench.look()
    assert len(bench.ticks) == 2


async def test_a_tick_that_may_be_lost_is_forgotten() -> None:
    """When a partition begins anew, its ticks go again."""
    bench = Bench()
    bench.now_ms = START_MS + DELAY_MS
    await bench.look()
    bench.ticker.forget(HOME)
    await bench.look()
    assert len(bench.ticks) == 2


async def test_no_tick_without_ends() -> None:
    """While the broker does not say where the sources end, no lease is over, and the next look asks again."""
    bench = Bench()
    bench.lease()
    bench.ends = {}
    bench.now_ms = START_MS + DELAY_MS
    await bench.look()
    assert bench.ticks == []
    bench.ends = None
    await bench.look()
    assert len(bench.ticks) == 1


async def test_a_worker_whose_clock_is_ahead() -> None:
    """What is due is due by the broker's clock: a worker that is a second ahead waits a second longer."""
    bench = Bench()
    bench.now_ms = START_MS + DELAY_MS
    await bench.look()
    for _ in range(20):
        bench.applied(lag_ms=-1_000)
    await bench.look()
    assert len(bench.ticks) == 1
    bench.now_ms += 1_000
    await bench.look()
    assert len(bench.ticks) == 2


async def test_a_worker_whose_clock_is_behind() -> None:
    """A worker that is a second behind ticks a second earlier by its own clock; one slow tick does not fool
    it.
    """
    bench = Bench()
    bench.ticker.applied(
        Record("jobs.timers", HOME, 0, START_MS + 9_000, None, None),
        Tick(partition=HOME, at_ms=START_MS, receipts_end=0, heartbeats_end=0),
    )
    for _ in range(20):
        bench.ticker.applied(
            Record("jobs.timers", HOME, 0, START_MS + 1_000, None, None),
            Tick(partition=HOME, at_ms=START_MS, receipts_end=0, heartbeats_end=0),
        )
    bench.now_ms = START_MS + DELAY_MS - 1_001
    await bench.look()
    assert bench.ticks == []
    bench.now_ms += 1
    await bench.look()
    assert len(bench.ticks) == 1


async def test_the_loop_looks_again_and_again() -> None:
    """The loop goes on looking until it is stopped."""
    bench = Bench()
    bench.now_ms = START_MS + DELAY_MS
    loop = asyncio.create_task(bench.ticker.tick_for_ever())
    async with asyncio.timeout(5):
        while not bench.ticks:  # noqa: ASYNC110  the ticker's own pause is what lets it go on
            await asyncio.sleep(0)
    loop.cancel()
