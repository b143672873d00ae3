"""The page about testing is true: its examples run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"
SETTINGS = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
ON_KAFKA = "test_cluster.py"


def write_examples(folder: Path) -> list[str]:
    """Writes the page's modules, each named by its first line; their names."""
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for name, text in blocks:
        (folder / name).write_text(text)
    return [name for name, _ in blocks]


def run_examples(folder: Path, names: list[str], **environment: str) -> str:
    """Runs modules as a user would, in a process of their own; what pytest said."""
    options = ["-q", "-p", "no:cacheprovider", "-W", "error", "--strict-markers"]
    (folder / "pytest.ini").write_text(SETTINGS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *names],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_page_s_examples_run(tmp_path: Path) -> None:
    """All but the one on a real Kafka, with the plugin as it is installed."""
    names = [name for name in write_examples(tmp_path) if name.startswith("test_")]
    assert len(names) == 3
    assert "7 passed" in run_examples(tmp_path, [name for name in names if name != ON_KAFKA])
