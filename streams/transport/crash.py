"""How a worker ends that cannot confirm what it did: one line, one exit code, nothing else.

Owns the exit codes. Memory is ahead of the log as soon as a batch was decided, so there is no way back inside
the process: a restart reads the log. Must never flush, commit, roll back or clean up, and must never return.
"""

import enum
import os
from typing import NoReturn

STDERR = 2


class Exit(enum.IntEnum):
    """Why the process ended, for supervisors; each of them may be answered by a restart, `FENCED` not at
    once.
    """

    AGENT = 70
    """The agent raised, or broke the rules of a batch."""
    DELIVERY = 71
    """A record was not confirmed by the broker."""
    TRANSACTION = 72
    """A transaction did not commit."""
    MEMBERSHIP = 73
    """The place in the consumer group was lost while a batch was being written."""
    FETCH = 76
    """Records could not be fetched."""
    RESTORE = 74
    """State or committed offsets could not be read."""
    FENCED = 75
    """Another process uses the same transactional id or group instance id: two workers claim one slot."""


def die(reason: Exit, sentence: str, error: BaseException | None = None) -> NoReturn:
    """Ends the process now with `sentence` on one line of standard error and `reason` as the exit code."""
    cause = "" if error is None else f": {type(error).__name__}: {' '.join(str(error).split())}"
    os.write(STDERR, f"transport: {sentence}{cause}; exit {reason.value} ({reason.name})\n".encode())
    os._exit(reason.value)
