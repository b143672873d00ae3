"""`jobstream registry`: serves the read part of a schema registry from the schemas that we ship.

Owns an HTTP server of the standard library and its end; what it answers is schemas.registry's. Listens on
loopback unless told otherwise, and asks nobody who they are: schemas are no secret. It needs no Kafka.
"""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

from jobstream.errors import JobstreamError
from schemas.registry import BODY_BYTES_MAX, MEDIA, Registry
from schemas.topics import Topics

LISTEN = "127.0.0.1:8081"
"""Where registries listen by custom."""
IDLE_S = 30
"""A connection that asks nothing for so long is closed."""


class CannotListen(JobstreamError):
    """The address cannot be had."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    registry: Registry
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S

    def do_GET(self) -> None:
        """What can be read."""
        self._answer()

    def do_POST(self) -> None:
        """A schema that is looked up."""
        self._answer()

    def _answer(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            sentence = f"a body must have its length, at most {BODY_BYTES_MAX}"
            self._write(413, {"error_code": 413, "message": sentence})
            return
        self._write(*self.registry.answer(self.command, self.path, self.rfile.read(int(length))))

    def _write(self, status: int, said: object) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", MEDIA)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing: each deserializer asks once for each schema."""


@contextmanager
def serving(topics: Topics, address: str = LISTEN) -> Iterator[str]:
    """A registry that answers, in threads of this process; its address, with the port in force for port 0.

    Raises:
        CannotListen: Somebody has the address, or it is not of this machine.
    """
    host, _, port = address.rpartition(":")
    handler = type("Handler", (_Handler,), {"registry": Registry(topics)})
    try:
        server = ThreadingHTTPServer((host.strip("[]"), int(port)), handler)
    except OSError as error:
        raise CannotListen(f"the registry cannot listen at {address}: {error.strerror}") from None
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="registry")
    thread.start()
    try:
        yield f"{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(topics: Topics, address: str, tell: Callable[[str], None]) -> int:
    """Serves until SIGTERM or Ctrl-C; the exit code."""
    told = threading.Event()

    def hear(_number: int, _frame: FrameType | None) -> None:
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)
    with serving(topics, address) as where:
        tell(f"schemas of {topics.prefix}* at http://{where}/subjects; Ctrl-C stops it")
        told.wait()
    return 0
