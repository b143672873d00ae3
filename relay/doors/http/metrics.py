"""What the service counts of itself, with the names of the catalogue; and its text for Prometheus."""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.telemetry import catalogue, prometheus
from schemas.telemetry.meter import Meter, Sample

MEDIA = prometheus.MEDIA
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


class Metrics:
    """The counts of one service."""

    def __init__(self, meter: Meter | None = None) -> None:
        """`meter` is the process's own, if it tells of more than this."""
        self._meter = Meter() if meter is None else meter
        self._requests = self._meter.counter(catalogue.HTTP_REQUESTS)
        self._times = self._meter.histogram(catalogue.HTTP_TIME)
        self._jobs = self._meter.counter(catalogue.HTTP_JOBS)
        self.streams = 0
        """Streams of facts that are open."""
        self._meter.watch(self._look)

    def request(self, scope: Mapping[str, Any], status: int, took_s: float) -> None:
        """Counts an answer; what met no route is counted under one name."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._requests.add((method, route, str(status)))
        self._times.observe((route,), took_s)

    def jobs(self, many: int = 1) -> None:
        """So many more requests for jobs that Kafka has."""
        self._jobs.add((), many)

    def text(self) -> bytes:
        """All of it."""
        return prometheus.text(self._meter.read())

    def _look(self) -> Iterator[Sample]:
        yield catalogue.HTTP_STREAMS, (), self.streams
