"""The logs of releases, read and decided by the code of today.

What fails here says that jobs of that release would be others after an upgrade. If it is the version that is
being made, and the change is meant: `python -m tests.upgrade.record` writes its log again.
"""

from importlib.metadata import version

import pytest

from tests.upgrade.log import LOGS, History, read, replayed, restored, unpacked, versions

HISTORIES = [
    pytest.param(history, id=f"{path.stem}, {history.name}")
    for path in sorted(LOGS.glob("*.gz"))
    for history in read(path)
]


@pytest.mark.parametrize("history", HISTORIES)
def test_every_row_is_read_as_it_was_written(history: History) -> None:
    """Each version of each row in the state topic has the values that the release gave it."""
    assert versions(unpacked(history.state)) == history.versions


@pytest.mark.parametrize("history", HISTORIES)
def test_the_state_topic_gives_the_same_rows(history: History) -> None:
    """A worker that takes the prefix over begins with the rows that the release ended with."""
    assert restored(history) == history.rows


@pytest.mark.parametrize("history", HISTORIES)
def test_the_sources_give_the_same_rows(history: History) -> None:
    """Every record decided again, in the order in which the release decided, gives the same rows."""
    assert replayed(history) == history.rows


def test_there_is_a_log_of_this_version() -> None:
    """Each version has its log from its first commit on, so that a release cannot forget it."""
    assert (LOGS / f"{version('jobstream')}.gz").exists()
    assert HISTORIES
