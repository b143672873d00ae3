"""Somebody who listens where a service was, and says something else: another program, or half an answer."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

NO_HTTP = b"\x00\x00\x12\x04\x00 this is no HTTP\r\n"
BROKEN_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"
"""An answer whose process ended meanwhile."""


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Says the same to everybody; where, host:port."""

    class Says(socketserver.StreamRequestHandler):
        """One question."""

        def handle(self) -> None:
            """Reads it, and says what it always says."""
            self.request.recv(65_536)
            self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Says) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
