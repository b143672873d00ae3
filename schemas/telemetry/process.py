"""What one process tells of itself, begun by its settings: lines, metrics for Prometheus, metrics and traces
over OTLP.

Owns the order of beginning and ending. Must never keep a process from starting: what cannot be had is told
in the log, and the process goes on without it.
"""

import logging
from collections.abc import Iterator
from importlib import metadata
from typing import Final

from schemas.settings import Settings, measures, traces
from schemas.telemetry import catalogue, logs
from schemas.telemetry.meter import Meter, Sample
from schemas.telemetry.otlp import NoExporter, Push
from schemas.telemetry.prometheus import Endpoint
from schemas.telemetry.spans import Tracer

log = logging.getLogger("jobstream.telemetry")


FULL: Final = "full"
COUNTERS: Final = "counters"
OFF: Final = "off"


class Telemetry:
    """Of one process: `meter` counts, `tracer` keeps spans; None where nothing is traced."""

    def __init__(self, settings: Settings, service: str, meter: Meter | None = None) -> None:
        """Nothing is told before `begin`."""
        self.meter = Meter() if meter is None else meter
        self.tracer = Tracer(traces(settings.trace)) if settings.otlp else None
        self._measures = measures(settings.measure)
        self._measure = self._measures.pop("*", FULL)
        self._settings = settings
        self._service = service
        self._endpoint: Endpoint | None = None
        self._push: Push | None = None
        self.meter.watch(self._look)

    def closeness(self, function: str) -> str:
        """How closely a function's jobs are measured: FULL, COUNTERS or OFF."""
        return self._measures.get(function, self._measure)

    def begin(self, *, listen: bool = True) -> None:
        """Lines are written, the endpoint listens, and the collector is sent to, as the settings say.

        Args:
            listen: False for a process that shows its metrics on pages of its own.
        """
        logs.begin(self._settings, self._service)
        if listen and self._settings.metrics:
            try:
                self._endpoint = Endpoint(self._settings.metrics, self.meter.read)
                log.info("metrics url=http://%s/metrics", self._endpoint.address)
            except (OSError, ModuleNotFoundError) as error:
                log.warning("metrics are not shown address=%s reason=%r", self._settings.metrics, str(error))
        if self.tracer is not None:
            about = {
                name: value
                for name, value in logs.about_process(self._service).items()
                if isinstance(value, str | int)
            }
            try:
                self._push = Push(self._settings.otlp, about, self.meter.read, self.tracer)
            except NoExporter as missing:
                log.warning("nothing is sent to the collector: %s", missing)

    def end(self) -> None:
        """Tells what is left, and no more."""
        if self._endpoint is not None:
            self._endpoint.stop()
        if self._push is not None:
            self._push.stop()
        logs.end()

    @property
    def address(self) -> str | None:
        """host:port where the metrics are; None where nothing listens."""
        return None if self._endpoint is None else self._endpoint.address

    def _look(self) -> Iterator[Sample]:
        yield catalogue.INFO, (self._service, version()), 1
        yield catalogue.TELEMETRY_DROPPED, ("lines",), logs.dropped()
        push, tracer = self._push, self.tracer
        if tracer is not None:
            yield catalogue.TELEMETRY_DROPPED, ("spans",), tracer.dropped + (push.spans_lost if push else 0)
            yield catalogue.TELEMETRY_DROPPED, ("metrics",), push.exports_lost if push else 0


def version() -> str:
    """Of Jobstream, as installed."""
    try:
        return metadata.version("jobstream")
    except metadata.PackageNotFoundError:
        return "unknown"
