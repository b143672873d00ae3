"""What is told of connectors by who looks after them: whether they run, and how far behind they are.

Only reads, on the thread of whoever asks. Must never fail for what Connect or Kafka does not answer.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from jobstream.connect import status
from jobstream.connect.status import Row
from jobstream.errors import JobstreamError
from schemas.settings import Settings
from schemas.telemetry import catalogue
from schemas.telemetry.meter import Sample
from schemas.telemetry.process import Telemetry

FRESH_S: Final = 10.0
"""For how long an answer is told again before Connect and Kafka are asked anew."""


class Telling:
    """Of the connectors of one prefix."""

    def __init__(
        self, look: Callable[[], Sequence[Row]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`look` asks for them, and may take seconds or fail."""
        self._look = look
        self._clock = clock
        self._asked_s: float | None = None
        self._last: list[Sample] = []

    def samples(self) -> list[Sample]:
        """What is told; nothing of connectors while nobody answers."""
        now_s = self._clock()
        if self._asked_s is None or now_s - self._asked_s >= FRESH_S:
            self._asked_s = now_s
            self._last = self._ask()
        return self._last

    def _ask(self) -> list[Sample]:
        try:
            rows = self._look()
        except JobstreamError:
            return [(catalogue.CONNECT_ANSWERS, (), 0)]
        told: list[Sample] = [(catalogue.CONNECT_ANSWERS, (), 1)]
        for row in rows:
            told.append((catalogue.CONNECTOR_RUNS, (row.connector,), row.runs))
            if row.behind is not None:
                told.append((catalogue.CONNECTOR_LAG, (row.connector,), row.behind))
            if row.refused is not None:
                told.append((catalogue.CONNECTOR_REFUSED, (row.connector,), row.refused))
        return told


@contextmanager
def telling(settings: Settings) -> Iterator[None]:
    """Tells of the connectors of the settings' prefix, as every process tells of itself, while it is open."""
    telemetry = Telemetry(settings, "connect")
    telemetry.meter.watch(Telling(partial(status.look, settings)).samples)
    telemetry.begin()
    try:
        yield
    finally:
        telemetry.end()
