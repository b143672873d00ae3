"""The wheel: it holds what running needs and nothing else, and works outside the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.tidy.source import ROOMS, ROOT, tracked


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the working tree, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return next(folder.glob("jobstream-*.whl"))


def test_data_files_are_in_it(wheel: Path) -> None:
    """Every schema, every lock and every py.typed of the four packages ships, and no other folder does."""
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ours = {
        path.relative_to(ROOT).as_posix() for path in tracked() if path.relative_to(ROOT).parts[0] in ROOMS
    }
    data = {name for name in ours if not name.endswith(".py")}
    assert data - shipped == set()
    assert {f"{room}/py.typed" for room in ROOMS} <= shipped
    assert {name.split("/")[0] for name in shipped} == set(ROOMS)


def test_it_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, the packages find their data and not the checkout's."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import schemas.codec, jobstream.cluster.artifacts as artifacts
assert artifacts.locked_jars()
print(schemas.codec.__file__, artifacts.__file__)
"""
    command = [sys.executable, "-I", "-c", script]
    done = subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True)
    assert all(place.startswith(str(tmp_path)) for place in done.stdout.split())
