"""What the exit codes of `jobstream` mean: the one place that says so. Data and one look-up; it prints nothing."""

from enum import IntEnum

from jobstream.errors import (
    BadRequest,
    JobEnded,
    JobstreamError,
    JobUnknown,
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
    """The answer is no: the job failed, is unknown or was refused, a check found differences, a service ended badly."""
    USAGE = 2
    """What was typed makes no sense: an unknown flag, bad JSON, a setting outside its limits."""
    UNREACHABLE = 3
    """Kafka or the status pages do not answer, or the topics are not there."""
    TIMED_OUT = 4
    """Nothing is known yet: the time to wait is over."""
    INTERRUPTED = 130
    """Ctrl-C."""


_EXITS: tuple[tuple[type[JobstreamError], Exit], ...] = (
    (BadRequest, Exit.USAGE),
    (NotReachable, Exit.UNREACHABLE),
    (TopicsMissing, Exit.UNREACHABLE),
    (SubmitTimedOut, Exit.TIMED_OUT),
    (WaitTimedOut, Exit.TIMED_OUT),
    (JobUnknown, Exit.NO),
    (JobEnded, Exit.NO),
)


def exit_of(error: Exception) -> Exit:
    """The exit code for an error that was expected; NO for those without one of their own."""
    return next((exit for kind, exit in _EXITS if isinstance(error, kind)), Exit.NO)
