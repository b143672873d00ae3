"""Stays beside a Connect of somebody else's, and starts tasks again that fail, until it is told to go."""

import signal
import threading
from types import FrameType

from jobstream.connect.applying import Keeper
from jobstream.connect.telling import telling
from schemas.settings import Settings

KEEP_S = 2.0
"""How often is looked whether a task has failed."""


def keep_running(keeper: Keeper, settings: Settings) -> int:
    """Looks after connectors until SIGTERM or Ctrl-C, and tells of them; the exit code."""
    told = threading.Event()

    def hear(_number: int, _frame: FrameType | None) -> None:
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)
    with telling(settings):
        while not told.wait(KEEP_S):
            keeper.look()
    return 0
