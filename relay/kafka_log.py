"""What librdkafka says, once: while no broker answers it repeats the same lines some twenty times a second.

Owns which of its lines reach the log. Must never drop a line that says something new.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

log = logging.getLogger("relay.kafka")
"""For librdkafka's own lines, and for what its callbacks tell."""

REPEAT_S: Final = 30.0
"""A line that is equal to an earlier one, but for how long things took, is told again after so long."""

LINES_MAX: Final = 200
"""That are remembered."""

TOOK: Final = " (after "
"""Where librdkafka begins to tell how long things took, and how often."""


class Once(logging.Filter):
    """Drops lines that were told just before, and says of the next one how many those were."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        super().__init__()
        self._clock = clock
        self._told: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """By line: when it was told last, and how often it was dropped since."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is told. Any thread may ask: at worst one is told twice."""
        line, now_s = record.getMessage(), self._clock()
        kind = line.partition(TOOK)[0]
        told_s, dropped = self._told.get(kind, (now_s - REPEAT_S, 0))
        if now_s - told_s < REPEAT_S:
            self._told[kind] = told_s, dropped + 1
            return False
        self._told[kind] = now_s, 0
        if len(self._told) > LINES_MAX:
            self._told.pop(next(iter(self._told), ""), None)
        if dropped:
            record.msg, record.args = f"{line} (and {dropped} times before)", ()
        return True


def quieten() -> None:
    """Has the log told each line once. Calling it again changes nothing."""
    if not any(isinstance(each, Once) for each in log.filters):
        log.addFilter(Once())
