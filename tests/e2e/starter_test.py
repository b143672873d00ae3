"""The project that `jobstream init` writes, on a real cluster, with the commands of its README."""

import os
import subprocess
import sys
from pathlib import Path

from jobstream.cluster.child import Child
from jobstream.cluster.up import Cluster
from jobstream.starter import write


def test_the_starter_runs(cluster: Cluster, tmp_path: Path) -> None:
    """A worker for its function, and the code that asks for a job and prints the result."""
    folder = tmp_path / "greetings"
    write(folder)
    (folder / "jobstream.toml").write_text(
        f'bootstrap = "{cluster.bootstrap}"\nprefix = "{cluster.prefix}"\nrelay = "{cluster.relay}"\n'
        f'web = "{cluster.web}"\n'
    )
    ours = Path(__file__).parents[2]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("JOBSTREAM_")}
    environ["PYTHONPATH"] = str(ours)
    script = f"import os; os.chdir({str(folder)!r}); from jobstream.cli import main; raise SystemExit(main())"
    minion = Child.start([sys.executable, "-c", script, "minion", "tasks"], log=tmp_path / "minion.log")
    try:
        asked = subprocess.run(
            [sys.executable, "ask.py", "Ada"],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    finally:
        minion.kill()
    assert asked.returncode == 0, asked.stderr + (tmp_path / "minion.log").read_text()
    assert "Hello Ada! This is attempt 1 of job " in asked.stdout
