"""A scheduler of one's own in twenty lines: a minion process while there is work, none when there is not.

jobstream relay --scheduler own_scheduler:OneMinion      # in this folder
"""

import asyncio
import sys

from relay.scheduler import Scheduler

COMMAND = (sys.executable, "-m", "jobstream.minion", "function_host", "--relay")


class OneMinion(Scheduler):
    """Starts a minion with the first job, and ends it about a second after the last."""

    offers = {"default": ["thumb.make"]}  # noqa: RUF012
    jobs = 0
    minion: asyncio.Task[None] | None = None

    async def open(self, relay: str) -> None:
        self.relay = relay

    def inbound(self, queue: str, function: str, areas: tuple[str, ...], count: int) -> None:
        self.jobs += count
        if self.minion is None or self.minion.done():
            self.minion = asyncio.create_task(self.serve())

    def done(self, queue: str, function: str, areas: tuple[str, ...], count: int) -> None:
        self.jobs -= count

    timedout = done  # they wait elsewhere, and come again when a minion connects

    async def serve(self) -> None:
        while self.jobs:
            process = await asyncio.create_subprocess_exec(*COMMAND, self.relay)
            while self.jobs and process.returncode is None:
                await asyncio.sleep(1)
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def close(self) -> None:
        self.jobs = 0
        if self.minion is not None:
            await self.minion
