"""Minions on the relay's own event loop, brought when there is work: for tests and examples.

Owns nothing but the minions it starts. Must not be used where jobs matter: a function that blocks the loop
holds up the relay and everybody's jobs.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jobstream.functions import Function
from jobstream.minion import Minion
from jobstream.minion.minion import by_name

if TYPE_CHECKING:
    from relay.scheduler import Pools

IDLE_MS = 200
"""How long a minion that is not needed stays."""


class Here:
    """Launches minions in this process."""

    def __init__(self, functions: Iterable[Function[..., Any]], concurrency: int) -> None:
        self._functions = list(functions)
        self._concurrency = concurrency

    async def run(self, name: str, relay: str, leave: asyncio.Event) -> str:
        """A minion, until it is told to leave and has handed over."""
        async with Minion(self._functions, relay=relay, name=name, concurrency=self._concurrency):
            await leave.wait()
        return "it was told to go"


def in_process(
    functions: Iterable[Function[..., Any]], *, most: int = 1, concurrency: int = 10, idle_ms: int = IDLE_MS
) -> "Pools":
    """A scheduler that runs functions in this process, in up to `most` minions, while there are jobs."""
    from relay.core.pool import Plan
    from relay.scheduler import Kind, Pools

    found = by_name(functions)
    plan = Plan(
        name="here",
        queues=frozenset(each.queue for each in found.values()),
        functions=frozenset(found),
        most=most,
        jobs_each=concurrency,
        idle_ms=idle_ms,
    )
    return Pools([Kind(plan, Here(found.values(), concurrency))])
