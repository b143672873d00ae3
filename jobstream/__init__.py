"""Background jobs on Apache Kafka: what users import, to ask for jobs and to write functions that run them.

Owns the public names; each is loaded when it is first used, so that importing the package stays cheap and a
minion needs no Kafka client. Must never import anything at import.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobstream.caller import Caller
    from jobstream.client import Client, Job
    from jobstream.context import Context
    from jobstream.errors import (
        CallEnded,
        CallFailed,
        CallLost,
        CallNotTaken,
        CallTimedOut,
        Fail,
        JobCancelled,
        JobDead,
        JobEnded,
        JobExpired,
        JobRejected,
        JobstreamError,
        NonRetryable,
        Snooze,
        WaitTimedOut,
    )
    from jobstream.functions import Retry, Unique, function
    from jobstream.minion import Minion
    from jobstream.resources import resource
    from jobstream.schedules import Schedule
    from jobstream.wrapping import wrap

__all__ = [
    "CallEnded",
    "CallFailed",
    "CallLost",
    "CallNotTaken",
    "CallTimedOut",
    "Caller",
    "Client",
    "Context",
    "Fail",
    "Job",
    "JobCancelled",
    "JobDead",
    "JobEnded",
    "JobExpired",
    "JobRejected",
    "JobstreamError",
    "Minion",
    "NonRetryable",
    "Retry",
    "Schedule",
    "Snooze",
    "Unique",
    "WaitTimedOut",
    "function",
    "resource",
    "wrap",
]

_HOMES = {
    "Caller": "caller",
    "Client": "client",
    "Context": "context",
    "Job": "client",
    "Minion": "minion",
    "Retry": "functions",
    "Unique": "functions",
    "Schedule": "schedules",
    "function": "functions",
    "resource": "resources",
    "wrap": "wrapping",
}  # every other public name is an error's


if not TYPE_CHECKING:  # a type checker shall go on finding names that are not there

    def __getattr__(name: str) -> object:
        """Loads a public name's module when the name is first asked for (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*globals(), *__all__})
