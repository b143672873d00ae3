"""Metrics in Prometheus' text format, and a small endpoint for processes that have no HTTP of their own.

Owns one listening socket and its threads, all of them daemons. Must never block what it measures: a reader
that is slow costs a thread, and there are READERS_MAX of them at most.
"""

import errno
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate
from typing import Any, Final

from schemas.telemetry.catalogue import Kind, Metric
from schemas.telemetry.meter import Family, Spread

log = logging.getLogger("jobstream.telemetry")

PATH: Final = "/metrics"

MEDIA: Final = "text/plain; version=0.0.4; charset=utf-8"

PORTS_TRIED: Final = 100
"""How many ports are tried, from the one asked for up, since many processes of a machine share a setting."""

READERS_MAX: Final = 4
"""Readers at once; further ones are told to come again."""

CONNECTIONS_MAX: Final = 32
"""At once; further ones are closed. Each has a thread for as long as its reader takes."""

STOP_LOOK_S: Final = 0.2
"""How often it looks whether it shall stop."""

READER_S: Final = 10.0
"""How long a reader may take to ask or to take the answer."""


def text(families: Iterable[Family]) -> bytes:
    """What Prometheus reads."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415  # minions may do without

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(list(families)))
    return generate_latest(registry)


class _Collector:
    """Gives families to prometheus_client as it wants them."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        """Each family, in prometheus_client's form."""
        from prometheus_client import core  # noqa: PLC0415

        for family in self._families:
            metric = family.metric
            kind: Any = {
                Kind.COUNTER: core.CounterMetricFamily,
                Kind.GAUGE: core.GaugeMetricFamily,
                Kind.HISTOGRAM: core.HistogramMetricFamily,
            }[metric.kind]
            made = kind(metric.name, metric.doc, labels=metric.labels)
            for labels, value in family.values.items():
                if isinstance(value, Spread):
                    made.add_metric(labels, buckets=_buckets(metric, value), sum_value=value.total)
                else:
                    made.add_metric(labels, value)
            yield made


def _buckets(metric: Metric, spread: Spread) -> list[tuple[str, int]]:
    """Cumulative, the last one of all."""
    bounds = [*(f"{bound:g}" for bound in metric.buckets), "+Inf"]
    return list(zip(bounds, accumulate(spread.counts), strict=True))


class Endpoint:
    """Answers GET /metrics at an address, or at the next free port above it."""

    def __init__(self, address: str, read: Callable[[], Iterable[Family]]) -> None:
        """Listens, and answers on threads of its own.

        Raises:
            OSError: none of the ports can be had.
        """
        host, _, port = address.rpartition(":")
        self._server = _bound(host.strip("[]"), int(port), _handler(read))
        self.address = f"{host}:{self._server.server_address[1]}"
        """host:port where it listens."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(STOP_LOOK_S,), name="jobstream-metrics", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Listens no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False  # two processes must not share a port
    request_queue_size = CONNECTIONS_MAX

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._room = threading.Semaphore(CONNECTIONS_MAX)

    def process_request(self, request: Any, client_address: Any) -> None:
        """On a thread, if there is room for one."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """On its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  # its base's signature
        """A reader that went away is none of our business."""
        log.debug("a reader of metrics failed client=%s", client_address)


def _bound(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> _Server:
    for tried in range(port, min(port + PORTS_TRIED, 1 << 16) if port else 1):
        try:
            return _Server((host, tried), handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"no port from {port} to {port + PORTS_TRIED - 1} is free")


def _handler(read: Callable[[], Iterable[Family]]) -> type[BaseHTTPRequestHandler]:
    room = threading.Semaphore(READERS_MAX)

    class Handler(BaseHTTPRequestHandler):
        timeout = READER_S

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != PATH:
                self._say(HTTPStatus.NOT_FOUND, b"metrics are at /metrics\n", "text/plain")
            elif not room.acquire(blocking=False):
                self._say(HTTPStatus.SERVICE_UNAVAILABLE, b"too many readers\n", "text/plain")
            else:
                try:
                    self._say(HTTPStatus.OK, text(read()), MEDIA)
                finally:
                    room.release()

        def _say(self, status: HTTPStatus, body: bytes, media: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Readers are not logged."""

    return Handler
