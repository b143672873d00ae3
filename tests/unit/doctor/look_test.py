"""What the doctor makes of who does not answer as it should: a reason, never an end."""

import pytest

from jobstream.cluster import free_port
from jobstream.doctor import look
from jobstream.doctor.findings import Seen
from schemas.settings import Settings
from schemas.topics import Topics
from tests.fakes.garbled import BROKEN_OFF, NO_HTTP, answering


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (NO_HTTP, "it speaks no HTTP: BadStatusLine"),
        (BROKEN_OFF, "it speaks no HTTP: IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "its answer is no worker's"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "its answer is no worker's"),
    ],
)
def test_who_is_no_worker_is_told_as_silent(answer: bytes, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may listen where a worker was."""
    with answering(answer) as address:
        monkeypatch.setattr(look, "_workers", lambda *_: [address])
        seen = Seen(8, 0, "1")
        look._look_at_workers(seen, Settings(), Topics("t.", 8))
    assert seen.silent == {f"streams worker at {address}": why}
    assert seen.workers == []


def test_the_gearman_door_is_knocked_at() -> None:
    """Where the settings name one: it takes connections, or is told as silent."""
    seen = Seen(8, 0, "1")
    with answering(NO_HTTP) as address:
        look._look_at_gearman(seen, Settings(gearman=address))
    assert seen.gearman
    assert seen.silent == {}
    gone = f"127.0.0.1:{free_port()}"
    look._look_at_gearman(seen, Settings(gearman=gone))
    assert list(seen.silent) == [f"Gearman door at {gone}"]
    look._look_at_gearman(seen, Settings())
    assert len(seen.silent) == 1
