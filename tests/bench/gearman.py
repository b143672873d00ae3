"""The Gearman door beside Debian's gearmand, in one run: the same client and workers in C
(`gearman_load.c`), calls per second, one call at a time, and background jobs accepted: durable ones here,
gearmand's in its sqlite queue.

Owns the servers and the compiled program, from start to end. What is measured is the server: nothing else
differs.
"""

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from jobstream.cluster import Child, free_port
from jobstream.cluster.up import Cluster
from schemas.settings import load
from tests.bench.figures import ROOT, Figure, Say, Unavailable, figure
from tests.waiting import eventually

SOURCE: Final = ROOT / "tests" / "bench" / "gearman_load.c"
NAMES: Final = (
    "gearman_calls_per_s",
    "gearmand_calls_per_s",
    "gearman_call_us_p50",
    "gearmand_call_us_p50",
    "gearman_background_per_s",
    "gearmand_background_sqlite_per_s",
)
CALLS: Final = 30_000
AT_ONCE: Final = 100
ONE_BY_ONE: Final = 3_000
WORKERS: Final = 2
BACKGROUND: Final = 20_000
SQLITE_JOBS: Final = 1_000
FUNCTION: Final = "echo"
START_S: Final = 20.0
STOP_S: Final = 5.0
RUN_S: Final = 120.0


async def measure(runs: int, say: Say) -> list[Figure]:
    """All figures; the servers take turns within each run."""
    return await asyncio.to_thread(_measure, runs, say)


def _measure(runs: int, say: Say) -> list[Figure]:
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    p99: dict[str, list[float]] = {"gearman": [], "gearmand": []}
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobstream-bench-")))
        load_program = _compiled(data)
        ports = {"gearman": free_port(), "gearmand": free_port()}
        stack.enter_context(_ours(data, ports["gearman"]))
        stack.enter_context(_gearmand(data, ports["gearmand"]))
        for name, port in ports.items():
            for number in range(WORKERS):
                stack.enter_context(
                    _child([load_program, "worker", str(port), FUNCTION], data / f"{name}-{number}.log")
                )
        for run in range(runs):
            for name, port in ports.items():
                say(f"run {run + 1}: {name}")
                _run(load_program, "many", port, CALLS // 10, AT_ONCE)
                found[f"{name}_calls_per_s"].append(_run(load_program, "many", port, CALLS, AT_ONCE)[0])
                p50, slow = _run(load_program, "one", port, ONE_BY_ONE)
                found[f"{name}_call_us_p50"].append(p50)
                p99[name].append(slow)
    for name in ("gearman", "gearmand"):
        say(f"{name}: p99 of one call {', '.join(f'{value:.0f}' for value in p99[name])} us")
    _background(runs, say, found)
    units = {name: "us" if "_us_" in name else "1/s" for name in NAMES}
    return [figure(name, units[name], values) for name, values in found.items() if values]


def _background(runs: int, say: Say, found: dict[str, list[float]]) -> None:
    """Background jobs that are accepted: here by Kafka, at gearmand by sqlite."""
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobstream-bench-")))
        program = _compiled(data)
        say("starting a cluster")
        settings = replace(load({"gearman": "127.0.0.1:0"})[0], data=str(data / "cluster"))
        cluster = stack.enter_context(Cluster.start(settings, free_ports=True, say=lambda _: None))
        door = int(cluster.gearman.rpartition(":")[2])
        other = free_port()
        sqlite = ["--queue-type", "libsqlite3", "--libsqlite3-db", str(data / "queue.db")]
        stack.enter_context(_gearmand(data, other, *sqlite))
        _run(program, "back", door, BACKGROUND // 10, AT_ONCE)
        for run in range(runs):
            say(f"run {run + 1}: background")
            found["gearman_background_per_s"].append(_run(program, "back", door, BACKGROUND, AT_ONCE)[0])
            found["gearmand_background_sqlite_per_s"].append(
                _run(program, "back", other, SQLITE_JOBS, AT_ONCE)[0]
            )


def _compiled(data: Path) -> str:
    """The program in C.

    Raises:
        Unavailable: Without a compiler, libgearman, or gearmand.
    """
    for name, package in (("gcc", "gcc"), ("gearmand", "gearman-job-server")):
        if shutil.which(name) is None:
            raise Unavailable(f"{name} is not installed (Debian package {package})")
    program = data / "gearman_load"
    command = ["gcc", "-O2", "-o", str(program), str(SOURCE), "-lgearman"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"libgearman is not there (Debian package libgearman-dev): {done.stderr[:200]}")
    return str(program)


def _run(program: str, mode: str, port: int, *numbers: int) -> list[float]:
    """What the program prints."""
    command = [program, mode, str(port), FUNCTION, *map(str, numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=RUN_S)
    return [float(word) for word in done.stdout.split()]


@contextmanager
def _child(command: list[str], log: Path) -> Iterator[Child]:
    child = Child.start(command, log=log)
    try:
        yield child
    finally:
        child.kill()


@contextmanager
def _ours(data: Path, port: int) -> Iterator[Child]:
    command = [str(Path(sys.executable).parent / "jobstream"), "gearman", "-p", str(port)]
    with _child(command, data / "door.log") as child:
        eventually(lambda: _answers(port), START_S)
        yield child


@contextmanager
def _gearmand(data: Path, port: int, *more: str) -> Iterator[Child]:
    """Debian's, with its defaults."""
    command = [shutil.which("gearmand") or "gearmand", "-p", str(port), "-L", "127.0.0.1", "-l", "none"]
    command += ["-P", str(data / f"{port}.pid"), *more]
    with _child(command, data / f"gearmand-{port}.log") as child:
        eventually(lambda: _answers(port), START_S)
        yield child


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
