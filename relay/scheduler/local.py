"""Minions as processes of the relay's own machine.

Owns a process from its start to its end: it is told to drain by SIGTERM, also when the relay dies, and killed
when it does not go.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from relay.scheduler.pools import LaunchFailed

RELAY_VARIABLE = "JOBSTREAM_RELAY"
"""Where a command finds the relay's address."""

NAME_VARIABLE = "JOBSTREAM_MINION"
"""Where a command finds the name that its minion shall have."""

TETHER = str(Path(__file__).parent.with_name("tether.py"))

PLACES = ("{relay}", "{minion}")
"""What is filled into a command's arguments: the relay's address, and the minion's name."""


def module_command(modules: Sequence[str], queues: Sequence[str], concurrency: int) -> tuple[str, ...]:
    """The command that runs the functions of modules in a minion."""
    served = [part for queue in sorted(queues) for part in ("--queue", queue)]
    more = ["--relay", "{relay}", "--name", "{minion}", "--concurrency", str(concurrency)]
    return (sys.executable, "-m", "jobstream.minion", *modules, *more, *served)


@dataclass(frozen=True)
class Local:
    """Starts a command for each minion. `{relay}` and `{minion}` in its arguments are filled in, and its
    environment has both.
    """

    command: Sequence[str]
    grace_s: float = 35.0
    """How long after SIGTERM it is killed: longer than what a minion takes to drain."""
    environ: Mapping[str, str] = field(default_factory=dict)

    async def run(self, name: str, relay: str, leave: asyncio.Event) -> str:
        """A process, until it has ended. LaunchFailed if it ended with anything but 0 without being told."""
        values = dict(zip(PLACES, (relay, name), strict=True))
        command = [_filled(part, values) for part in self.command]
        environ = {**os.environ, **self.environ, RELAY_VARIABLE: relay, NAME_VARIABLE: name}
        tether = [sys.executable, "-I", "-S", TETHER, str(int(signal.SIGTERM)), str(os.getpid())]
        try:
            # In a group of its own: a terminal's Ctrl-C is for the relay, which lets its minions go in order.
            child = await asyncio.create_subprocess_exec(
                *tether, *command, env=environ, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise LaunchFailed(f"no process can be started: {error}") from None
        try:
            return await self._ended(child, leave)
        finally:
            if child.returncode is None:  # nobody waits any longer: a second word has it hand back at once
                _signal(child, signal.SIGTERM)

    async def _ended(self, child: asyncio.subprocess.Process, leave: asyncio.Event) -> str:
        over = asyncio.ensure_future(child.wait())
        told = asyncio.ensure_future(leave.wait())
        try:
            await asyncio.wait({over, told}, return_when=asyncio.FIRST_COMPLETED)
            if not over.done():
                _signal(child, signal.SIGTERM)
                await asyncio.wait({over}, timeout=self.grace_s)
            if not over.done():
                _signal(child, signal.SIGKILL)
            code = await over
        finally:
            over.cancel()
            told.cancel()
        if leave.is_set():
            return f"it was told to go, exit code {code}"
        if code != 0:
            raise LaunchFailed(f"its process ended by itself, exit code {code}")
        return "its process ended by itself"


def _filled(part: str, values: Mapping[str, str]) -> str:
    for place, value in values.items():
        part = part.replace(place, value)
    return part


def _signal(child: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)
