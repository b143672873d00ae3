"""What a beginning needs: a project that runs as it is written, and a shell that completes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobstream.errors import BadRequest
from jobstream.starter import write

JOBSTREAM = (sys.executable, "-m", "jobstream")


@pytest.mark.slow
def test_the_starter_s_tests_run(tmp_path: Path) -> None:
    """A project that was just written passes its own tests, with nothing changed."""
    done = subprocess.run([*JOBSTREAM, "init", "greetings"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"next in greetings: `jobstream up`" in done.stdout
    folder = tmp_path / "greetings"
    assert 'name = "greetings"' in (folder / "pyproject.toml").read_text()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    tests = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert "3 passed" in tests.stdout


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder that has one of the files stays as it is."""
    (tmp_path / "tasks.py").write_text("mine")
    with pytest.raises(BadRequest, match=r"must not have files of these names yet, got tasks\.py"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.py"]
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRequest, match="must be a folder that can be written"):
        write(tmp_path / "file" / "project")


def test_a_shell_completes() -> None:
    """Verbs and flags come as the shell asks for them, and no service is loaded for that."""
    asked = {"_JOBSTREAM_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
    asked["COMP_WORDS"] = "jobstream submit --del"
    done = subprocess.run(JOBSTREAM, env=os.environ | asked, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--delay"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_jobstream(shell: str) -> None:
    """What is printed for a shell asks with the variable that jobstream looks at."""
    done = subprocess.run([*JOBSTREAM, "completion", shell], capture_output=True, text=True, check=True)
    assert f"_JOBSTREAM_COMPLETE=complete_{shell}" in done.stdout


def test_another_shell_is_refused() -> None:
    """In one sentence, with what it can be."""
    done = subprocess.run([*JOBSTREAM, "completion", "tcsh"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in done.stderr
