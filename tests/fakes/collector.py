"""A collector of telemetry: takes what OTLP brings, or does what a bad one does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from gzip import decompress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Mood(StrEnum):
    """How it answers."""

    GOOD = "good"
    SLOW = "slow"  # takes the question, and answers when the test is over
    GARBAGE = "garbage"
    REFUSES = "refuses"


class Collector:
    """What it was sent."""

    def __init__(self, mood: Mood) -> None:
        self.mood = mood
        self.spans: list[Any] = []
        self.metrics: dict[str, Any] = {}
        self.asked = 0
        self.over = threading.Event()
        self.url = ""

    def take(self, path: str, body: bytes) -> None:
        """One question."""
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self.spans += scope.spans
        elif path == "/v1/metrics":
            for told in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for found in told.scope_metrics:
                    self.metrics |= {metric.name: metric for metric in found.metrics}

    def names(self) -> list[str]:
        """The names of the spans."""
        return sorted(span.name for span in self.spans)


@contextmanager
def collector(mood: Mood = Mood.GOOD) -> Iterator[Collector]:
    """One that listens on loopback."""
    kept = Collector(mood)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.asked += 1
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.headers.get("Content-Encoding") == "gzip":
                body = decompress(body)
            if kept.mood is Mood.SLOW:
                kept.over.wait(60)
            elif kept.mood is Mood.GARBAGE:
                self.wfile.write(b"\x00\xff not http at all\r\n")
                self.close_connection = True
                return
            elif kept.mood is Mood.GOOD:
                kept.take(self.path, body)
            self.send_response(200 if kept.mood is Mood.GOOD else 400)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Who went away is gone."""

    server = Server(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        kept.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
