"""The scheduler that keeps pools of minions: of each kind as many as the work needs, within its limits.

Owns the tasks of the minions it started. How many there shall be is Pool's to decide (relay/core/pool.py),
how one comes to be is a Launcher's. It must never start what it was not told to, and leaves none behind that
it can end.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from relay.core.pool import Plan, Pool
from relay.scheduler.hooks import Scheduler
from schemas.names import new_id
from schemas.settings import BadSetting

log = logging.getLogger("relay.scheduler")

CLOSE_S = 10.0
"""How long minions may take to leave when the relay goes away. Then they are told once more, and left alone.
"""


class LaunchFailed(Exception):
    """A minion could not be started, or ended badly; the sentence says how."""

    def __init__(self, sentence: str, again_after_s: float = 0.0) -> None:
        """`again_after_s`: nothing should be tried sooner, as whoever runs it has asked."""
        super().__init__(sentence)
        self.again_after_s = again_after_s


class Launcher(Protocol):
    """How a minion of one kind comes to be."""

    async def run(self, name: str, relay: str, leave: asyncio.Event) -> str:
        """Starts a minion of this name for the relay at this address, and returns when it is gone, with a
        word on how. When `leave` is set it shall hand over and go.

        A task that is cancelled ends it at once. Raises LaunchFailed.
        """


@dataclass(frozen=True)
class Kind:
    """One pool: how many, and how."""

    plan: Plan
    launcher: Launcher


class Pools(Scheduler):
    """Pools of minions. Each function of each queue belongs to one of them; BadSetting if not."""

    def __init__(self, kinds: Iterable[Kind], relay: str = "") -> None:
        """`relay` is where minions find the relay, host:port; empty: where it listens."""
        self._keepers = [_Keeper(kind) for kind in kinds]
        self._relay = relay
        self._by_function: dict[tuple[str, str], _Keeper] = {}
        for keeper in self._keepers:
            plan = keeper.pool.plan
            for place in ((queue, function) for queue in plan.queues for function in plan.functions):
                other = self._by_function.setdefault(place, keeper)
                if other is not keeper:
                    raise BadSetting(
                        f"function {place[1]} of queue {place[0]} must be of one pool, "
                        f"got {other.pool.plan.name} and {plan.name}"
                    )
        self.offers = _offers(keeper.pool.plan for keeper in self._keepers)
        self.answer_s = max((k.pool.plan.answer_ms / 1_000 for k in self._keepers), default=self.answer_s)

    async def open(self, relay: str) -> None:
        """Starts the least that there must be."""
        for keeper in self._keepers:
            keeper.open(self._relay or relay)

    async def close(self) -> None:
        """Lets all go, and waits for them."""
        await asyncio.gather(*(keeper.close() for keeper in self._keepers))

    def inbound(self, queue: str, function: str, areas: tuple[str, ...], count: int) -> None:
        """More work for a pool."""
        del areas  # a pool is in one place
        if keeper := self._by_function.get((queue, function)):
            keeper.pool.inbound(count)
            keeper.look_soon()

    def done(self, queue: str, function: str, areas: tuple[str, ...], count: int) -> None:
        """Less work for a pool."""
        del areas
        if keeper := self._by_function.get((queue, function)):
            keeper.pool.done(count)
            keeper.look_soon()

    def timedout(self, queue: str, function: str, areas: tuple[str, ...], count: int) -> None:
        """A pool that has not brought what it should have."""
        del areas
        if keeper := self._by_function.get((queue, function)):
            given_up = keeper.pool.timedout(count, _now_ms())
            if given_up:
                log.warning(
                    "minions have not connected in time pool=%s minions=%d", keeper.pool.plan.name, given_up
                )
            keeper.look_soon()

    def counts(self) -> Mapping[str, int]:
        """How many minions of each pool were started and are not gone."""
        return {keeper.pool.plan.name: len(keeper.pool.instances) for keeper in self._keepers}


class _Keeper:
    """The minions of one pool."""

    def __init__(self, kind: Kind) -> None:
        self.pool = Pool(kind.plan)
        self._launcher = kind.launcher
        self._relay = ""
        self._tasks: dict[int, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._looking: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None

    def open(self, relay: str) -> None:
        self._relay = relay
        self._look()

    async def close(self) -> None:
        self.pool.close()
        self._look()
        if self._timer is not None:
            self._timer.cancel()
        tasks = [task for task, _ in self._tasks.values()]
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=CLOSE_S)
            for task in left:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._looking is not None:
            self._looking.cancel()

    def look_soon(self) -> None:
        """Looks at the pool once for all that happens in this turn of the loop."""
        if self._looking is None and self._relay:
            self._looking = asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looking = None
        now_ms = _now_ms()
        turn = self.pool.turn(now_ms)
        for number in turn.start:
            leave = asyncio.Event()
            self._tasks[number] = asyncio.create_task(self._run(number, leave)), leave
        for number in turn.stop:
            self._tasks[number][1].set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_ms = self.pool.next_ms(now_ms)
        if next_ms is not None:
            self._timer = asyncio.get_running_loop().call_later((next_ms - now_ms) / 1_000, self._look)

    async def _run(self, number: int, leave: asyncio.Event) -> None:
        pool = self.pool
        name = f"{pool.plan.name}-{new_id()}"
        began_ms = _now_ms()
        crashed, again_after_s = False, 0.0
        log.info("minion is started pool=%s minion=%s open=%d", pool.plan.name, name, pool.open)
        try:
            how = await self._launcher.run(name, self._relay, leave)
            log.info("minion is gone: %s minion=%s lived_ms=%d", how, name, _now_ms() - began_ms)
        except LaunchFailed as failed:
            crashed, again_after_s = True, failed.again_after_s
            log.warning("minion is gone: %s minion=%s lived_ms=%d", failed, name, _now_ms() - began_ms)
        except Exception:
            crashed = True
            log.exception("minion could not be started pool=%s minion=%s", pool.plan.name, name)
        finally:
            del self._tasks[number]
            pool.ended(number, _now_ms(), crashed=crashed, again_after_ms=int(again_after_s * 1_000))
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing is left to be looked at
                self.look_soon()


def _offers(plans: Iterable[Plan]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for plan in plans:
        for queue in plan.queues:
            found[queue] = found.get(queue, frozenset()) | plan.functions
    return found


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
