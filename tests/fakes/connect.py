"""A Connect worker with one connector, for tests of who looks after it: it says how the connector is, and
does as it is told, until it is away.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeConnect:
    """What it is told, and how its connector is.

    Attributes:
        state: Of the connector.
        task: The state of its one task; None if it is stopped.
        away: Whether nobody answers.
        away_after: The word after which it does not answer any more.
        told: Every word, in order.
    """

    def __init__(self) -> None:
        self.state = "RUNNING"
        self.task: str | None = "RUNNING"
        self.away = False
        self.away_after = ""
        self.told: list[str] = []
        self.address = ""

    def answer(self, method: str, word: str) -> Any:
        """One request; None if nobody answers."""
        if self.away:
            return None
        if method != "GET":
            self.told.append(word)
        match word:
            case "stop":
                self.state, self.task = "STOPPED", None
            case "resume" | "restart":
                self.state, self.task = "RUNNING", "RUNNING"
        self.away = self.away or word == self.away_after
        if self.away:
            return None
        tasks = [] if self.task is None else [{"state": self.task, "trace": "a.B: full\n"}]
        return {"connector": {"state": self.state}, "tasks": tasks}


@contextmanager
def fake_connect() -> Iterator[FakeConnect]:
    """One that listens on loopback."""
    fake = FakeConnect()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        do_PUT = do_POST = do_GET  # noqa: N815  # the standard library's names

        def _answer(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            said = fake.answer(self.command, self.path.partition("?")[0].rpartition("/")[2])
            if said is None:
                self.close_connection = True
                return
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.address = f"127.0.0.1:{server.server_port}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield fake
        finally:
            server.shutdown()
            serving.join()
