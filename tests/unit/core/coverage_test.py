"""The pure core is covered whole: every line and every branch, by the statements of this folder alone."""

import subprocess
import sys
from os import environ
from pathlib import Path

HERE = Path(__file__)
ROOT = HERE.parents[3]


def test_every_branch_of_the_core_is_covered(tmp_path: Path) -> None:
    """A branch that no statement needs is one too many, or lacks its statement."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(HERE.parent),
        f"--ignore={HERE}",
    ]
    options = ["--cov=streams.core", "--cov-branch", "--cov-report=term-missing", "--cov-fail-under=100"]
    run = subprocess.run(
        [*command, *options],
        cwd=ROOT,
        env={**environ, "COVERAGE_FILE": str(tmp_path / "coverage")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5_000:] + run.stderr[-5_000:]
