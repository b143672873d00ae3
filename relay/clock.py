"""The clock of a relay: ms since the epoch that never go back.

Owns the only look at the time. It starts at the wall clock and goes on with the monotonic one, so that a step
of the wall clock neither ends leases nor makes minions silent. After a machine slept it lags by as long,
until a restart.
"""

import time


class Clock:
    """Tells the time in ms."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def __call__(self) -> int:
        """Milliseconds since the epoch."""
        return (time.monotonic_ns() + self._offset_ns) // 1_000_000
