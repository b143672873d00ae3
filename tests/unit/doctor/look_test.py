"""What the doctor makes of who does not answer as it should: a reason, never an end."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobstream.doctor import look
from jobstream.doctor.findings import Seen
from schemas.settings import Settings
from schemas.topics import Topics


@contextmanager
def somebody(answer: bytes) -> Iterator[str]:
    """Listens, and says the same to everybody; the address."""

    class Says(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Says) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"\x00\x00\x12\x04\x00 this is no HTTP\r\n", "it speaks no HTTP: BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "it speaks no HTTP: IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "its answer is no worker's"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "its answer is no worker's"),
    ],
)
def test_who_is_no_worker_is_told_as_silent(answer: bytes, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may listen where a worker was."""
    with somebody(answer) as address:
        monkeypatch.setattr(look, "_workers", lambda *_: [address])
        seen = Seen(8, 0, "1")
        look._look_at_workers(seen, Settings(), Topics("t.", 8))
    assert seen.silent == {f"streams worker at {address}": why}
    assert seen.workers == []
