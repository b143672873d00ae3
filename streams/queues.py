"""Which queues exist, and the task that brings a queue into being when a job first names it.

Owns the knowledge of which dispatch topics are there. Must never make a decision wait: a job whose queue is
not there yet is ready, waits and says so, and is dispatched when its topic exists.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping

from schemas.defaults import QUEUES_MAX
from schemas.words import LanePolicy

log = logging.getLogger("jobstream.streams")

RETRY_S = 2.0
"""Pause after a topic could not be made."""

Make = Callable[[str], Awaitable[None]]
"""Makes the dispatch topic of a queue; returns when it is there, raises `QueueNotMade`."""


class QueueNotMade(Exception):
    """The broker refused or did not answer."""


class Queues:
    """The queues of a prefix, as one worker knows them."""

    def __init__(self, existing: Iterable[str] = (), lanes: Mapping[str, LanePolicy] | None = None) -> None:
        """`existing` are those whose dispatch topic is there, `lanes` those with key order."""
        self._existing = set(existing)
        self._lanes = dict(lanes or {})
        self._wanted: dict[str, None] = {}  # in the order in which they were asked for
        self._asked = asyncio.Event()

    def exists(self, queue: str) -> bool:
        """True if dispatches to it can be written."""
        return queue in self._existing

    def has_room(self, queue: str) -> bool:
        """True if the queue exists, was asked for, or may come into being."""
        return (
            queue in self._existing
            or queue in self._wanted
            or len(self._existing) + len(self._wanted) < QUEUES_MAX
        )

    def lane_policy(self, queue: str) -> LanePolicy | None:
        """What the queue's lanes do when a job dies; None: its jobs have no order."""
        return self._lanes.get(queue)

    def add(self, queue: str) -> None:
        """A queue exists."""
        self._wanted.pop(queue, None)
        self._existing.add(queue)

    def want(self, queue: str) -> None:
        """Asks for a queue; it comes into being some moments later."""
        if queue not in self._existing and queue not in self._wanted:
            self._wanted[queue] = None
            self._asked.set()

    async def make_for_ever(self, make: Make, retry_s: float = RETRY_S) -> None:
        """The loop that makes what is wanted."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            for queue in list(self._wanted):
                try:
                    await make(queue)
                except QueueNotMade as error:
                    log.warning("queue %s could not be made, its jobs wait: %s", queue, error)
                    asyncio.get_running_loop().call_later(retry_s, self._asked.set)
                else:
                    self.add(queue)
                    log.info("queue %s exists now", queue)
