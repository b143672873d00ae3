"""A worker that has records to read and does not get on is no use, however well its heart beats.

Owns the comparison of where each source partition is read with where it ends. Must never call a busy worker
stuck: what moves at all, or has nothing to read, or waits for the agent, is well.

librdkafka may stop to fetch a partition for good, as after a broker that stood still and lost its leadership
for a moment (seen with 2.16, one time in ten); group membership lives on, so nobody takes the partition over.
A restart goes on from the last commit.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from faust.types import TP

log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
"""How often positions are compared with ends."""

STUCK_S: Final = 20.0
"""How long a partition may have records and not move. More than two looks, and than a broker's pause."""


class Progress:
    """How long each partition has stood still before records."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._stood: dict[TP, tuple[int, float]] = {}

    def look(self, positions: Mapping[TP, int], ends: Mapping[TP, int]) -> str | None:
        """Takes note; a sentence if a partition is stuck.

        Args:
            positions: the next offset to read of each partition, noted before `ends` were asked for.
            ends: where each can be read to; those that are missing are taken as read.
        """
        now_s = self._clock()
        stood = {}
        for tp, position in positions.items():
            if ends.get(tp, position) > position:
                before, since_s = self._stood.get(tp, (position, now_s))
                stood[tp] = (position, since_s if before == position else now_s)
        self._stood = stood
        for tp, (position, since_s) in stood.items():
            if now_s - since_s >= STUCK_S:
                stood_s = now_s - since_s
                return (
                    f"{tp.topic}/{tp.partition} has records from offset {position} to {ends[tp]},"
                    f" and none came in {stood_s:.0f} s"
                )
        return None

    def forget(self) -> None:
        """Nothing is read now, or nobody can tell how far."""
        self._stood.clear()
