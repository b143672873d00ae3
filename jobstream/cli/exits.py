"""What the exit codes of `jobstream` mean: the one place that says so. Data and one look-up; it prints
nothing.
"""

import sys
from enum import IntEnum

from jobstream.errors import (
    BadArguments,
    BadFunction,
    BadRequest,
    CallNotTaken,
    CallTimedOut,
    JobstreamError,
    NotReachable,
    SubmitTimedOut,
    TopicsMissing,
    WaitTimedOut,
)


class Exit(IntEnum):
    """How `jobstream` ends."""

    OK = 0
    """It did what was asked."""
    NO = 1
    """The answer is no: the job failed, is unknown or was refused, a check found differences, a service
    ended badly.
    """
    USAGE = 2
    """What was typed makes no sense: an unknown flag, bad JSON, a setting outside its limits."""
    UNREACHABLE = 3
    """Kafka or the status pages do not answer, or the topics are not there."""
    TIMED_OUT = 4
    """Nothing is known yet: the time to wait is over."""
    INTERRUPTED = 130
    """Ctrl-C."""


_EXITS: tuple[tuple[type[Exception], Exit], ...] = (
    (BadRequest, Exit.USAGE),
    (BadArguments, Exit.USAGE),
    (BadFunction, Exit.USAGE),
    (NotReachable, Exit.UNREACHABLE),
    (TopicsMissing, Exit.UNREACHABLE),
    (SubmitTimedOut, Exit.TIMED_OUT),
    (WaitTimedOut, Exit.TIMED_OUT),
    (CallNotTaken, Exit.TIMED_OUT),
    (CallTimedOut, Exit.TIMED_OUT),
    (JobstreamError, Exit.NO),
)

_ELSEWHERE = (
    ("jobstream.cluster.errors", "ClusterError", Exit.NO),
    ("schemas.settings", "BadSetting", Exit.USAGE),
    ("relay.doors.gearman.serve", "CannotListen", Exit.NO),
)
"""Errors of modules that most verbs do not load: looked at only if something loaded them."""


def exit_of(error: Exception) -> Exit | None:
    """The exit code for an error that is expected; None for one of the program itself."""
    for module, name, code in _ELSEWHERE:
        if module in sys.modules and isinstance(error, getattr(sys.modules[module], name)):
            return code
    return next((code for kind, code in _EXITS if isinstance(error, kind)), None)
