"""What code that asks for jobs imports: the client and the handle of a job.

Each name is loaded when it is first used: the client loads librdkafka, and the parts beside it that only ask
the status pages shall not. Must never import anything at import.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobstream.client.client import Client, Job, open_default

__all__ = ["Client", "Job", "open_default"]


if not TYPE_CHECKING:  # a type checker shall go on finding names that are not there

    def __getattr__(name: str) -> object:
        """Loads the client when one of its names is first asked for (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module("jobstream.client.client"), name)
        globals()[name] = value
        return value
