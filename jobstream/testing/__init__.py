"""What users import to test their own functions: the whole state machine in memory, with a clock to move.

Each name is loaded when it is first used. Must never be imported by what runs in production.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobstream.testing.jobs import Jobs, Mode, Submitted

__all__ = ["Jobs", "Mode", "Submitted"]


if not TYPE_CHECKING:  # a type checker shall go on finding names that are not there

    def __getattr__(name: str) -> object:
        """Loads the names when one of them is first asked for (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module("jobstream.testing.jobs"), name)
        globals()[name] = value
        return value
