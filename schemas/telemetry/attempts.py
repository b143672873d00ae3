"""The attempts that a process ran, as metrics: the same from a minion and from a door that has workers.

Owns how closely each is told. Must never make an attempt wait.
"""

from typing import Final

from schemas.telemetry import catalogue
from schemas.telemetry.process import FULL, OFF, Telemetry

MS: Final = 1_000


class Attempts:
    """Of one process."""

    def __init__(self, telemetry: Telemetry) -> None:
        """Counts in `telemetry`, as closely as its settings say of each function."""
        meter = telemetry.meter
        self._closeness = telemetry.closeness
        self._ends = meter.counter(catalogue.ATTEMPTS)
        self._busy = meter.counter(catalogue.BUSY)
        self._times = meter.histogram(catalogue.ATTEMPT_TIME)

    def ended(self, function: str, outcome: str, ran_ms: int) -> None:
        """One has ended, after so long."""
        closeness = self._closeness(function)
        if closeness == OFF:
            return
        self._ends.add((function, outcome))
        self._busy.add((function,), ran_ms / MS)
        if closeness == FULL:
            self._times.observe((function,), ran_ms / MS)
