"""What the Gearman door needs of the rest of the world beside the calls: somewhere to put background jobs.

Interfaces and values alone. Without a desk the door runs foreground jobs only, and says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from relay.core.call import Priority


@dataclass(frozen=True, slots=True)
class Background:
    """A job that nobody waits for."""

    function: str
    data: bytes
    content_type: str
    unique: str
    priority: Priority
    run_at_ms: int | None
    once: bool = False
    """No second one with equal data until it has ended: its unique id is `-`."""


class BadJob(ValueError):
    """No such job can be; the text is a sentence with the value found."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a background job is."""

    known: bool
    """It has not ended."""
    running: bool = False
    done: int = 0
    total: int = 0


class Unclear(Exception):
    """Nobody can tell how far a job is; the text is a sentence."""


class Desk(Protocol):
    """Takes background jobs, durably."""

    def submit(self, job: Background, taken: Callable[[str | None], None]) -> str:
        """Hands a job on and returns its id; BadJob if it cannot be one.

        `taken` is called later, on the event loop, with None once the job is durable, else with a sentence
        why nobody can say that it is.
        """

    async def standing(self, job: str) -> Standing:
        """How far a job is; Unclear if nobody can tell."""
