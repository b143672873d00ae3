"""Wheel and sdist, installed into empty environments of every Python that is here, and run from there."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.containers import ROOT

pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]

PYTHONS = ("3.11", "3.12", "3.13")
INSTALL_S = 300.0
RUN_S = 120.0

JOB = '''
"""Starts the parts, runs one job by its own function, and prints its result; all of it as installed."""
import asyncio, sys
from pathlib import Path
import jobstream, relay, schemas, streams
from jobstream.cluster.child import Child
from jobstream.cluster.up import Cluster

for room in (jobstream, relay, schemas, streams):
    assert Path(room.__file__).is_relative_to(sys.prefix), room.__file__

async def run(cluster):
    async with jobstream.Client(f"kafka://{cluster.bootstrap}", prefix=cluster.prefix) as client:
        job = await client.submit("mail.send", {"to": "a@b.c"})
        print(await job.result(timeout=60))

bootstrap, prefix = sys.argv[1:]
with Cluster.start(data="data", bootstrap=bootstrap, prefix=prefix, partitions=2, free_ports=True) as cluster:
    command = [sys.executable, "-m", "jobstream", "minion", "tasks", "--relay", cluster.relay]
    minion = Child.start(command, log=Path("minion.log"))
    try:
        asyncio.run(run(cluster))
    finally:
        minion.stop()
'''

TASKS = '''
"""A function as the README shows one."""
from jobstream import Client, Context, Retry, function


@function(name="mail.send", retry=Retry(attempts=5), timeout=30)
async def send(to: str, *, ctx: Context) -> str:
    """Says where it sent."""
    ctx.step("connect")
    return f"sent to {to} at attempt {ctx.attempt}"


async def ask() -> str:
    """Submits it."""
    async with Client() as client:
        job = await client.submit(send.request(to="a@b.c"))
        return job.id
'''

WRONG = '''
"""The same, with a result that is none."""
from jobstream import Job


def wrong(job: Job) -> int:
    """An id is no number."""
    return job.id
'''


def python_of(version: str) -> str:
    """An interpreter of a version, one that was seen to run; skips without."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    asked = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    for name in map(
        str, (sys.executable, f"python{version}", *pyenv.glob(f"versions/{version}.*/bin/python3"))
    ):
        if shutil.which(name):
            told = subprocess.run([name, "-c", asked], check=False, capture_output=True, text=True)
            if told.stdout.strip() == version:
                return name
    pytest.skip(f"there is no Python {version} here")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel and the sdist of the working tree."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return {"wheel": next(folder.glob("*.whl")), "sdist": next(folder.glob("*.tar.gz"))}


def run(*command: str | Path, cwd: Path, timeout_s: float = RUN_S) -> str:
    """Runs a program away from the checkout; what it printed."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JOBSTREAM_", "PYTHON", "VIRTUAL_ENV")) or name == "JOBSTREAM_CACHE"
    }
    done = subprocess.run(
        command, check=False, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout_s
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("version", PYTHONS)
def test_it_installs_into_an_empty_environment_and_runs_there(
    version: str, built: dict[str, Path], bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    """The newest Python gets the sdist, the others the wheel; a job succeeds, and its types are seen."""
    python = python_of(version)
    environment = tmp_path / "env"
    run(python, "-m", "venv", environment, cwd=tmp_path)
    own = environment / "bin" / "python"
    artifact = built["sdist" if version == PYTHONS[-1] else "wheel"]
    run(own, "-m", "pip", "install", "--quiet", "--no-compile", artifact, cwd=tmp_path, timeout_s=INSTALL_S)
    assert run(environment / "bin" / "jobstream", "version", cwd=tmp_path).startswith("jobstream ")
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "job.py").write_text(JOB)
    assert run(own, "job.py", bootstrap, prefix, cwd=tmp_path) == "sent to a@b.c at attempt 1\n"
    (tmp_path / "wrong.py").write_text(WRONG)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(own), "--cache-dir", "mypy"]
    run(*mypy, "tasks.py", cwd=tmp_path)
    with pytest.raises(AssertionError, match='got "str", expected "int"'):
        run(*mypy, "wrong.py", cwd=tmp_path)


def test_the_sdist_gives_the_same_wheel(built: dict[str, Path], tmp_path: Path) -> None:
    """A wheel made from the sdist holds what the wheel made from the checkout holds."""
    with tarfile.open(built["sdist"]) as packed:
        packed.extractall(tmp_path, filter="data")
    source = next(tmp_path.glob("jobstream-*"))
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path), cwd=source)
    again = zipfile.ZipFile(next(tmp_path.glob("*.whl")))
    assert sorted(again.namelist()) == sorted(zipfile.ZipFile(built["wheel"]).namelist())
