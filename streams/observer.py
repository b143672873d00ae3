"""Who is told what a partition decides, as an interface: so that a partition knows no clock, log or meter."""

from typing import Protocol

from schemas.events import Fact, JobRow
from schemas.words import RejectCode
from streams.core import facts


class Observer(Protocol):
    """Who is told what a partition decides, at once and once."""

    def fact(self, told: Fact, fact: facts.Fact, before: JobRow | None, after: JobRow | None) -> None:
        """A fact about a job."""

    def other_fact(self, told: Fact) -> None:
        """A fact about no job of this partition: about a schedule, or a request that was refused."""

    def refused(self, code: RejectCode) -> None:
        """A record was refused."""
