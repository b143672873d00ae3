"""Minions as processes: started with what they need to know, told to drain, and never left alone."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from relay.scheduler.local import TETHER, Local
from relay.scheduler.pools import LaunchFailed
from tests.waiting import eventually

TELLS = (
    "import os; told = os.environ['JOBSTREAM_RELAY'], os.environ['JOBSTREAM_MINION'];"
    "print(*told, file=open({0!r}, 'w'))"
)
DRAINS = (
    "import signal, sys, threading; over = threading.Event();"
    "signal.signal(signal.SIGTERM, lambda *_: over.set()); open({0!r}, 'w').write('ready'); over.wait();"
    "open({0!r}, 'w').write('drained')"
)
PARENT = (
    "import os, subprocess, sys;"
    "subprocess.Popen([sys.executable, sys.argv[1], sys.argv[2], str(os.getpid()), *sys.argv[3:]]); input()"
)


def program(text: str, path: Path) -> list[str]:
    """A command that runs the text, which writes to the file."""
    return [sys.executable, "-c", text.format(str(path))]


async def test_it_is_told_where_and_who(tmp_path: Path) -> None:
    """In its arguments and its environment."""
    told = tmp_path / "told"
    command = [sys.executable, "-c", TELLS.format(str(told)), "{relay}", "{minion}"]
    how = await Local(command).run("pool-1", "127.0.0.1:7071", asyncio.Event())
    assert how == "its process ended by itself"
    assert told.read_text().split() == ["127.0.0.1:7071", "pool-1"]


async def test_it_drains_when_it_shall_leave(tmp_path: Path) -> None:
    """SIGTERM, and time to end."""
    state = tmp_path / "state"
    leave = asyncio.Event()
    running = asyncio.create_task(Local(program(DRAINS, state)).run("pool-1", "here:1", leave))
    await asyncio.to_thread(eventually, lambda: state.exists() and state.read_text() == "ready")
    leave.set()
    assert await running == "it was told to go, exit code 0"
    assert state.read_text() == "drained"


async def test_one_that_does_not_go_is_killed(tmp_path: Path) -> None:
    """When its grace time is over."""
    state = tmp_path / "state"
    deaf = DRAINS.replace("over.set()", "None")
    leave = asyncio.Event()
    running = asyncio.create_task(Local(program(deaf, state), grace_s=0.05).run("pool-1", "here:1", leave))
    await asyncio.to_thread(eventually, lambda: state.exists() and state.read_text() == "ready")
    leave.set()
    assert await running == "it was told to go, exit code -9"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ([sys.executable, "-c", "raise SystemExit(3)"], "its process ended by itself, exit code 3"),
        (["/no/such/program"], "its process ended by itself, exit code 1"),
    ],
)
async def test_one_that_crashes_is_told(command: list[str], sentence: str) -> None:
    """With its exit code, so that the pool backs off."""
    with pytest.raises(LaunchFailed) as failed:
        await Local(command).run("pool-1", "here:1", asyncio.Event())
    assert sentence in str(failed.value)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")
def test_one_whose_relay_is_killed_drains(tmp_path: Path) -> None:
    """The relay cannot tell it any more; the kernel does."""
    state = tmp_path / "state"
    relay = subprocess.Popen(
        [sys.executable, "-c", PARENT, TETHER, str(int(signal.SIGTERM)), *program(DRAINS, state)],
        stdin=subprocess.PIPE,
    )
    eventually(lambda: state.exists() and state.read_text() == "ready")
    relay.send_signal(signal.SIGKILL)
    eventually(lambda: state.read_text() == "drained")
    relay.communicate()
