"""A worker of the last release and one of this, in one group under load, and back again.

The last release is the newest tag; before there is one, the commit that is checked out, so that it is the way
that is tested and not yet a difference. UPGRADE_FROM names another commit. Both run with the packages that
are installed now.
"""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.events import JobRow
from schemas.words import Phase
from tests.kafka.streams_harness import PARTITIONS, Log, Worker
from tests.upgrade.load import Load
from tests.waiting import eventually

pytestmark = [pytest.mark.full, pytest.mark.kafka, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
SHARE_S, ENDS_S = 60.0, 60.0
JOBS = 200
"""That have to end while nothing changes, before the next change."""


def git(*command: str) -> bytes:
    """What git says of the checkout; nothing if it has no answer."""
    return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, check=False).stdout


@pytest.fixture(scope="module")
def last_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the last release, in a folder of their own."""
    tag = git("describe", "--tags", "--abbrev=0").decode().strip()
    files = git("archive", os.environ.get("UPGRADE_FROM") or tag or "HEAD")
    if not files:
        pytest.skip("the last release is in the history of git, and this is no checkout")
    place = tmp_path_factory.mktemp("last-release")
    with tarfile.open(fileobj=io.BytesIO(files)) as archive:
        archive.extractall(place, filter="data")
    return place


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    """Every worker that the test starts; none outlives it."""
    started: list[Worker] = []
    yield started
    for worker in started:
        worker.close()


def test_to_this_release_and_back(
    bootstrap: str, prefix: str, last_release: Path, tmp_path: Path, workers: list[Worker]
) -> None:
    """Partitions go from a worker of the last release to one of this and back, while jobs come in; each job
    ends once, as it should, and nothing is refused.
    """
    old_code = of_the_last_release(last_release)

    def start(*command: str) -> Worker:
        workers.append(Worker(bootstrap, prefix, tmp_path, *command))
        return workers[-1].start()

    old = start(*old_code)
    assert f"code: {last_release}/streams" in old.said
    log = Log(bootstrap, prefix)
    with Load(bootstrap, log.topics) as load:
        progress(load)
        new = start()
        share(old, new)
        progress(load)
        assert old.stop() == 0
        share(new)
        progress(load)
        back = start(*old_code)
        share(new, back)
        progress(load)
        assert new.stop() == 0
        share(back)
        progress(load)
        load.stop_asking()
        eventually(lambda: load.unfinished == 0, ENDS_S)
    told = {id: [word for word, _ in ends] for id, ends in load.ends.items()}
    assert told == {id: ["succeeded"] for id in load.asked}
    assert log.rejects() == []
    rows = {row.spec.id: row for row in log.read(log.topics.state, JobRow)}
    assert {id: row.phase for id, row in rows.items()} == dict.fromkeys(load.asked, Phase.SUCCEEDED)


def of_the_last_release(place: Path) -> list[str]:
    """The command that runs a worker of the files in a folder, and tells that it is those."""
    script = (
        f"import os, runpy, sys; os.chdir({str(place)!r}); sys.path.insert(0, {str(place)!r});"
        "import streams; print('code:', streams.__file__, flush=True);"
        "sys.argv = ['streams']; runpy.run_module('streams', run_name='__main__')"
    )
    return [sys.executable, "-P", "-c", script]


def share(*workers: Worker) -> None:
    """Waits until these workers have all partitions, each of them some."""

    def shared() -> bool:
        parts = [worker.partitions for worker in workers]
        return all(parts) and sorted(number for part in parts for number in part) == list(range(PARTITIONS))

    eventually(shared, SHARE_S)


def progress(load: Load) -> None:
    """Waits until so many more jobs have ended."""
    ended = len(load.ends)
    eventually(lambda: load.unfinished >= 0 and len(load.ends) >= ended + JOBS, ENDS_S)
