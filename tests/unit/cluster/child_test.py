"""Child processes: stopped politely, then by force; they outlive neither their parent nor a stop."""

import signal
import sys
import threading
from pathlib import Path

import pytest

from jobstream.cluster import Child
from tests.waiting import eventually

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('deaf', flush=True)
time.sleep(60)
"""
POLITE = "import time; print('ready', flush=True); time.sleep(60)"


def start(tmp_path: Path, code: str) -> Child:
    """Runs a few lines of Python as a child and waits for their first word."""
    child = Child.start([sys.executable, "-c", code], log=tmp_path / "log")
    eventually((tmp_path / "log").read_text)
    return child


def test_a_child_stops_by_sigterm(tmp_path: Path) -> None:
    """SIGTERM ends a child that does not mind, and its exit code tells so."""
    child = start(tmp_path, POLITE)
    assert (child.alive, child.exit_code) == (True, None)
    assert child.stop() == -signal.SIGTERM
    assert not child.alive
    assert child.stop() == -signal.SIGTERM


def test_a_deaf_child_is_killed(tmp_path: Path) -> None:
    """A child that ignores SIGTERM is killed when the time is up."""
    assert start(tmp_path, DEAF).stop(timeout_s=0.1) == -signal.SIGKILL


def test_a_child_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    """The kernel ties a child to a thread; ours ties it to the process, whichever thread started it."""
    children: list[Child] = []
    thread = threading.Thread(target=lambda: children.append(start(tmp_path, POLITE)))
    thread.start()
    thread.join()
    assert not children[0].wait(0.2)
    children[0].kill()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    """A chain of two children ends with its first when that is killed with SIGKILL."""
    inner = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    outer = f"""
import pathlib, sys, time
from jobstream.cluster import Child
Child.start([sys.executable, '-c', {inner!r}], log=pathlib.Path({str(tmp_path / "inner")!r}))
time.sleep(60)
"""
    parent = Child.start([sys.executable, "-c", outer], log=tmp_path / "outer")
    pid = int(eventually(lambda: (tmp_path / "inner").exists() and (tmp_path / "inner").read_text()))
    parent.kill()
    stat = Path(f"/proc/{pid}/stat")
    eventually(lambda: not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_the_last_words_of_a_child(tmp_path: Path) -> None:
    """The tail is the end of the output, standard error included, also when that is short."""
    child = Child.start([sys.executable, "-c", "print('one'); raise SystemExit('two')"], log=tmp_path / "log")
    assert child.wait(10)
    assert child.exit_code == 1
    assert child.tail(1) in {"one", "two"}
    assert sorted(child.tail().split()) == ["one", "two"]


def test_a_command_that_is_not_there_is_an_early_exit(tmp_path: Path) -> None:
    """A missing program shows as a failed exit with its name in the log."""
    child = Child.start([str(tmp_path / "nothing")], log=tmp_path / "log")
    assert child.wait(10)
    assert child.exit_code == 1
    assert "No such file or directory" in child.tail()
