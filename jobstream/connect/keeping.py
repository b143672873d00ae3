"""Stays beside a Connect of somebody else's, and starts tasks again that fail, until it is told to go."""

import signal
import threading
from types import FrameType

from jobstream.connect.applying import Keeper

KEEP_S = 2.0
"""How often is looked whether a task has failed."""


def keep_running(keeper: Keeper) -> int:
    """Looks after connectors until SIGTERM or Ctrl-C; the exit code."""
    told = threading.Event()

    def hear(_number: int, _frame: FrameType | None) -> None:
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)
    while not told.wait(KEEP_S):
        keeper.look()
    return 0
