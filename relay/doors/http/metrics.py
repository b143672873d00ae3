"""What the service counts of itself, in Prometheus' text. Names begin with `jobstream_gateway_`."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

MEDIA = CONTENT_TYPE_LATEST
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The counters of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "jobstream_gateway_requests",
            "Requests answered, by route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "jobstream_gateway_request_seconds",
            "From the head of a request to the end of its answer.",
            ("route",),
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self.jobs = Counter(
            "jobstream_gateway_jobs", "Requests for jobs that Kafka has.", registry=self._registry
        )
        self.streams = Gauge(
            "jobstream_gateway_streams", "Streams of facts that are open.", registry=self._registry
        )

    def request(self, scope: Mapping[str, Any], status: int, took_s: float) -> None:
        """Counts an answer; what met no route is counted under one name."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(took_s)

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)
