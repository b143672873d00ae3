"""docs/gearman.md: what it shows is what happens, with real processes."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobstream.cluster.ports import free_port
from tests.tidy.source import ROOT
from tests.waiting import eventually

PAGE = ROOT / "docs" / "gearman.md"
PORT = "4731"
SHOWN = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def steps() -> list[tuple[str, str]]:
    """The commands of the page, in order, each with what it shows as its output."""
    found = []
    for block in SHOWN.findall(PAGE.read_text()):
        for step in block.split("$ ")[1:]:
            command, _, output = step.partition("\n")
            found.append((command, output))
    return found


@contextmanager
def background(command: str, environment: dict[str, str]) -> Iterator[None]:
    """A command of the page that goes on."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"], env=environment, start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_the_page(gearman_tools: str) -> None:
    """The door, a worker and a client as processes of their own: every command of the page gives what it
    shows.
    """
    assert gearman_tools
    port = str(free_port())
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def output(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout

    def run(left: list[tuple[str, str]]) -> None:
        if not left:
            return
        command, shown = left[0][0].replace(PORT, port), left[0][1]
        if not command.endswith(" &"):
            eventually(lambda: output(command) == shown, timeout_s=20)
            run(left[1:])
            return
        with background(command.removesuffix(" &"), environment):
            if command.startswith("jobstream"):
                eventually(lambda: output(f"gearadmin -h 127.0.0.1 -p {port} --getpid") != "", timeout_s=20)
            else:
                status = f"gearadmin -h 127.0.0.1 -p {port} --status"
                eventually(lambda: output(status).startswith("words\t0\t0\t1"), timeout_s=20)
            run(left[1:])

    assert len(steps()) == 5
    run(steps())
