"""CPU time of processes and of the whole machine between two moments, from /proc (Linux). Pure reading."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
CORES: Final = os.cpu_count() or 1
_IDLE_FIELDS: Final = (3, 4)
"""Of the line `cpu` of /proc/stat: idle and iowait (proc(5))."""
_SESSION_FIELD: Final = 3
_USER_FIELD, _SYSTEM_FIELD = 11, 12
"""Of /proc/<pid>/stat behind the name: session, utime and stime (proc(5))."""


@dataclass(frozen=True)
class Usage:
    """CPU seconds used so far, at one moment."""

    at_s: float
    processes: Mapping[str, float]
    machine_s: float
    """Of all processes of the machine."""

    @classmethod
    def now(cls, pids: Mapping[str, int]) -> Self:
        """Looks at these processes, by the names they shall have."""
        seconds = {name: _process_s(pid) for name, pid in pids.items()}
        return cls(time.monotonic(), seconds, _machine_s())

    def since(self, earlier: Self) -> "Spent":
        """What was used between the two moments."""
        used = {name: seconds - earlier.processes.get(name, 0.0) for name, seconds in self.processes.items()}
        offered_s = (self.at_s - earlier.at_s) * CORES
        others_s = max(0.0, self.machine_s - earlier.machine_s - sum(used.values()))
        return Spent(used, 100 * others_s / offered_s)


@dataclass(frozen=True)
class Spent:
    """CPU seconds by process, and how busy the machine was with what is not ours."""

    processes: Mapping[str, float]
    others_percent: float
    """Share of all cores that others used; figures of a run where it is high are too low."""

    def per(self, count: int) -> dict[str, float]:
        """CPU microseconds by process for each of `count` things."""
        return {name: round(seconds / count * 1e6, 1) for name, seconds in self.processes.items()}


def of_session(leader: int) -> tuple[int, ...]:
    """The processes of the session that this process leads: itself, and what was forked from it."""
    return tuple(pid for pid in _pids() if _session(pid) == leader)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _session(pid: int) -> int | None:
    """None if the process has ended meanwhile."""
    try:
        return int(_fields(pid)[_SESSION_FIELD])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _process_s(pid: int) -> float:
    fields = _fields(pid)
    return (int(fields[_USER_FIELD]) + int(fields[_SYSTEM_FIELD])) / TICKS_PER_S


def _machine_s() -> float:
    ticks = [int(field) for field in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
    return sum(each for place, each in enumerate(ticks) if place not in _IDLE_FIELDS) / TICKS_PER_S
