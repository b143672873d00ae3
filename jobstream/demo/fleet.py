"""The demo's minions: real processes of this machine, started, killed, and found frozen. Owns their lives.

Must never touch a process that it did not start.
"""

import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from jobstream.cluster.child import Child

STOP_S = 10.0
"""How long a minion may take to drain at the end, seconds."""
FROZEN_STATE = "T"
"""What the kernel calls a process that was stopped by a signal (proc(5))."""


class Fleet:
    """A few minions that run the demo's functions."""

    def __init__(self, relay: str, logs: Path, concurrency: int) -> None:
        self._relay = relay
        self._logs = logs
        self._concurrency = concurrency
        self._minions: dict[str, Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str) -> None:
        """Start a minion; its output goes to a file of its name."""
        command = [sys.executable, "-m", "jobstream.minion", "jobstream.demo.functions"]
        command += ["--relay", self._relay, "--name", name, "--concurrency", str(self._concurrency)]
        self._minions[name] = Child.start(command, log=self._logs / f"{name}.log")

    def kill(self, name: str) -> None:
        """Kill a minion with SIGKILL, in the middle of whatever it does."""
        self._minions.pop(name).kill()

    def frozen(self) -> list[str]:
        """Return the names of the minions that are stopped now, as the kernel sees them."""
        return [name for name, minion in self._minions.items() if _state(minion.pid) == FROZEN_STATE]

    def thaw(self) -> None:
        """Let minions go on that froze; what they still have to say is out of date, and does no harm."""
        for minion in self._minions.values():
            minion.send(signal.SIGCONT)

    def stop(self) -> None:
        """Ask all to drain, and end what does not."""
        self.thaw()
        for minion in self._minions.values():
            minion.send(signal.SIGTERM)
        for minion in self._minions.values():
            minion.stop(STOP_S)
        self._minions.clear()


def _state(pid: int) -> str:
    """Return the state letter of a process, or nothing where it cannot be read (proc(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
