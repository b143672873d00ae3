"""A small stand-in for AWS Lambda: the Runtime API that a function's container polls, and a front door that
calls the function, as an HTTP POST with a JSON body.

It owns the environments: one process each, one event at a time, frozen (SIGSTOP) between two, killed when its
time is up, as the real one does. It bills each call in whole `BILLED_MS`. It knows nothing of minions.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BILLED_MS = 100
START_S = 60.0


@dataclass
class Event:
    """One call of the function."""

    body: bytes
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    deadline_ms: int = 0
    given_s: float = 0.0
    answer: bytes | None = None
    failed: bool = False
    over: threading.Event = field(default_factory=threading.Event)


class Environment:
    """A container of the function: awslambdaric in a process, and the API that it polls."""

    def __init__(self, handler: str, environ: Mapping[str, str]) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.event: Event | None = None
        self.waits = threading.Event()
        self.api = _server(_Api, self)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", handler],
            env={**environ, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.api.server_port}"},
        )

    def run(self, event: Event, limit_s: float) -> bool:
        """Gives it an event; False if its time was over, and it was killed."""
        os.kill(self.process.pid, signal.SIGCONT)
        self._until_it_waits()
        event.given_s = time.monotonic()
        event.deadline_ms = int((time.time() + limit_s) * 1_000)
        self.events.put(event)
        if not event.over.wait(limit_s):
            os.kill(self.process.pid, signal.SIGKILL)
            return False
        self._until_it_waits()
        os.kill(self.process.pid, signal.SIGSTOP)
        return True

    def _until_it_waits(self) -> None:
        if not self.waits.wait(START_S):
            raise TimeoutError("the function's container did not ask for an event")

    def close(self) -> None:
        """Ends the container."""
        self.process.kill()
        self.process.wait()
        self.api.shutdown()
        self.api.server_close()


class _Api(BaseHTTPRequestHandler):
    """The Runtime API, version 2018-06-01: docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The next event, as soon as there is one."""
        environment = self.server.owner  # type: ignore[attr-defined]
        environment.waits.set()
        event = environment.event = environment.events.get()
        environment.waits.clear()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": event.id,
            "Lambda-Runtime-Deadline-Ms": str(event.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:here:1:function:f",
        }
        answer(self, 200, event.body, headers)

    def do_POST(self) -> None:
        """The answer to an event, or an error."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event = self.server.owner.event  # type: ignore[attr-defined]
        answer(self, 202, b"{}")
        if event is not None:
            event.answer, event.failed = body, self.path.endswith("/error")
            event.over.set()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


class LambdaService:
    """The front door: a POST is a call of the function.

    Attributes:
        url: Where it is.
        calls: How many there were.
        billed_ms: What they cost.
        killed: How many were not over in time.
        starts: How many containers were started.
    """

    def __init__(self, handler: str, environ: Mapping[str, str], limit_s: float) -> None:
        self._handler = handler
        self._environ = environ
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._idle: list[Environment] = []
        self._all: list[Environment] = []
        self.calls = self.billed_ms = self.killed = self.starts = 0
        self.door = _server(_Door, self)
        self.url = f"http://127.0.0.1:{self.door.server_port}/2015-03-31/functions/f/invocations"

    def call(self, body: bytes) -> tuple[int, bytes]:
        """One call: the status, and the answer."""
        with self._lock:
            environment = self._idle.pop() if self._idle else None
            if environment is None:
                environment = Environment(self._handler, self._environ)
                self._all.append(environment)
                self.starts += 1
        event = Event(body)
        in_time = environment.run(event, self._limit_s)
        with self._lock:
            self.calls += 1
            took_ms = (time.monotonic() - event.given_s) * 1_000
            self.billed_ms += -(-int(took_ms) // BILLED_MS) * BILLED_MS
            if in_time:
                self._idle.append(environment)
            else:
                self.killed += 1
        if not in_time:
            return 504, json.dumps({"errorMessage": "Task timed out"}).encode()
        return (502 if event.failed else 200), event.answer or b""

    def close(self) -> None:
        """Ends everything."""
        self.door.shutdown()
        self.door.server_close()
        for environment in self._all:
            environment.close()


class _Door(BaseHTTPRequestHandler):
    """Takes calls."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """One call, answered when it is over."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer(self, *self.server.owner.call(body))  # type: ignore[attr-defined]

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def answer(
    request: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> None:
    """One response with JSON."""
    request.send_response(status)
    for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def _server(handler: type[BaseHTTPRequestHandler], owner: object) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.owner = owner  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


@contextmanager
def lambda_service(handler: str, environ: Mapping[str, str], limit_s: float) -> Iterator[LambdaService]:
    """A function behind a URL; each call may take `limit_s`."""
    service = LambdaService(handler, environ, limit_s)
    try:
        yield service
    finally:
        service.close()
