"""Where the streams workers' pages are: what `jobs.workers` says, as it changes."""

import asyncio
import contextlib
import logging
import time
from typing import Self

from jobstream.gateway.tail import Tail
from schemas.defaults import WORKER_GONE_MS
from schemas.events import Worker

log = logging.getLogger("gateway.workers")


class Workers:
    """The workers that are there. Use it as `async with Workers(...) as workers`."""

    def __init__(self, bootstrap: str, topic: str, fallback: tuple[str, ...]) -> None:
        """`fallback` are addresses to ask while none is known."""
        self._bootstrap = bootstrap
        self._topic = topic
        self._fallback = fallback
        self._known: dict[str, Worker] = {}
        self._owners: dict[int, str] = {}
        """Who said last that it has a partition."""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begins to read."""
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Reads no more."""
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def addresses(self) -> tuple[str, ...]:
        """host:port of the pages of each worker that said so lately, and that has a partition which nobody
        has said to have since: one that froze is not waited for once others have taken over.
        """
        oldest_ms = time.time_ns() // 1_000_000 - WORKER_GONE_MS
        owners = (self._known[instance] for instance in self._owners.values())
        return tuple({owner.web: None for owner in owners if owner.at_ms > oldest_ms}) or self._fallback

    async def _read(self) -> None:
        tail = Tail(self._bootstrap, self._topic, Worker, {0: 0})
        try:
            async for found in tail.records():
                if found is not None:
                    self._take(found[2])
        finally:
            await tail.close()

    def _take(self, worker: Worker) -> None:
        before = self._known.get(worker.instance)
        self._known[worker.instance] = worker
        for number in [number for number, owner in self._owners.items() if owner == worker.instance]:
            del self._owners[number]
        self._owners |= dict.fromkeys(worker.partitions, worker.instance)
        if before is None or (before.web, before.partitions) != (worker.web, worker.partitions):
            log.info(
                "worker instance=%s web=%s partitions=%s", worker.instance, worker.web, worker.partitions
            )
