"""What a benchmark finds, and how that is written down: one JSON line for each figure in `build/bench.jsonl`.

Owns the fields of those lines. Must never leave out what is needed to judge a figure: every run's value, the
machine, the versions, and how busy the machine was with other things.
"""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from jobstream.cluster import KAFKA_VERSION

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "build" / "bench.jsonl"
PACKAGES: Final = ("faust-streaming", "aiokafka", "confluent-kafka", "fastavro", "grpcio", "protobuf")
"""Whose versions decide the figures."""
KIB_PER_GIB: Final = 1024 * 1024
DIGITS: Final = 3

Say = Callable[[str], None]


class Unavailable(Exception):
    """A benchmark cannot run on this machine, since something is not installed; the sentence says what."""


@dataclass(frozen=True)
class Figure:
    """One thing that was measured, once in each run."""

    name: str
    unit: str
    values: tuple[float, ...]
    """In the order of the runs."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What belongs to it: sizes of the work, parts of the sum, the limit it is held against."""

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.values)

    def fields(self) -> dict[str, Any]:
        """The figure as its JSON line has it, without the machine."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": round(self.median, DIGITS),
            "min": round(min(self.values), DIGITS),
            "max": round(max(self.values), DIGITS),
            "runs": len(self.values),
            "values": [round(value, DIGITS) for value in self.values],
            **self.more,
        }


def figure(name: str, unit: str, values: Sequence[float], **more: Any) -> Figure:
    """A figure of the values of its runs."""
    assert values, f"{name} must have a value at least, got none"
    return Figure(name, unit, tuple(values), more)


def over(one: Figure, other: Figure) -> Figure:
    """The ratio of two figures, run by run; of those that both have."""
    values = [a / b for a, b in zip(one.values, other.values, strict=False)]
    return figure(f"{one.name}_over_{other.name}", "times", values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def surroundings() -> dict[str, Any]:
    """The machine, the versions, and the code, as every line carries them."""
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--", "schemas", "streams", "relay", "jobstream")),
        "cores": os.cpu_count(),
        "cpu": _after_colon("/proc/cpuinfo", "model name") or platform.processor(),
        "memory_gib": round(int(_after_colon("/proc/meminfo", "MemTotal").split()[0]) / KIB_PER_GIB, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "versions": {name: version(name) for name in PACKAGES},
    }


def append(figures: Sequence[Figure], around: Mapping[str, Any], load_1m: float) -> None:
    """Adds one line for each figure to the file.

    Args:
        figures: Of one benchmark.
        around: What surroundings() said.
        load_1m: Load average of the last minute before the benchmark began.
    """
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("a") as lines:
        for each in figures:
            lines.write(json.dumps({**each.fields(), "load_1m_before": round(load_1m, 2), **around}) + "\n")


def _git(*command: str) -> str:
    """What git says; nothing where there is no checkout."""
    try:
        done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def _after_colon(path: str, name: str) -> str:
    """The value of the first line of that name in a file of /proc."""
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
