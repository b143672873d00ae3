"""Adds up facts: what became of every job, as anybody can learn it from the topic of facts alone. Pure.

Owns no connection and no clock. Facts may come twice (a replay writes them again): adding one again changes
nothing that is counted by job.
"""

import json
from collections import Counter
from dataclasses import dataclass, field

from schemas.events import Fact
from schemas.words import PHASES_TERMINAL, FactKind, Phase


@dataclass
class Story:
    """What is known of one job."""

    function: str
    phase: str
    facts: Counter[str] = field(default_factory=Counter)
    start_ms: int | None = None
    step: str | None = None
    done: int | None = None
    total: int | None = None
    result: bytes | None = None

    @property
    def ended(self) -> bool:
        """True once the job is in a terminal phase."""
        return self.phase in PHASES_TERMINAL


class Tally:
    """The stories of all jobs, by id."""

    def __init__(self) -> None:
        self.stories: dict[str, Story] = {}
        self.fires = 0
        self._seen: set[tuple[str, str, int, int]] = set()

    def add(self, fact: Fact) -> None:
        """Take one fact in."""
        if fact.fact == FactKind.SCHEDULE_FIRED:
            self.fires += 1
        if fact.phase is None or fact.function is None or fact.fact == FactKind.PURGED:
            return
        story = self.stories.setdefault(fact.job, Story(fact.function, fact.phase))
        story.phase = fact.phase
        story.step, story.done, story.total = fact.step, fact.done, fact.total
        if self._is_new(fact):
            story.facts[fact.fact] += 1
        if fact.fact == FactKind.SUCCEEDED:
            story.result = fact.result
            story.start_ms = waited_ms(fact)

    def _is_new(self, fact: Fact) -> bool:
        identity = (fact.job, fact.fact, fact.epoch, fact.at_ms)
        new = identity not in self._seen
        self._seen.add(identity)
        return new

    def phases(self) -> Counter[str]:
        """Count jobs by phase."""
        return Counter(story.phase for story in self.stories.values())

    def facts(self, kind: FactKind) -> int:
        """Count facts of one kind over all jobs."""
        return sum(story.facts[kind] for story in self.stories.values())

    def ended(self, function: str | None = None) -> int:
        """Count jobs that ended, of one function or of all."""
        return sum(story.ended for story in self.stories.values() if function in (None, story.function))

    def running(self, function: str) -> Story | None:
        """Return the story of a job of that function that is running now, if there is one."""
        leased = (story for story in self.stories.values() if story.phase == Phase.LEASED)
        return next((story for story in leased if story.function == function), None)

    def results(self, function: str) -> dict[str, dict[str, int]]:
        """Return the JSON results of a function's jobs that succeeded, by job id."""
        return {
            job: json.loads(story.result)
            for job, story in self.stories.items()
            if story.function == function and story.result is not None
        }


def waited_ms(fact: Fact) -> int | None:
    """Return how long a job waited from admission until its function began, ms; None after a first try."""
    if fact.attempt != 1 or fact.queued_ms is None or fact.start_ms is None:
        return None
    return fact.queued_ms + fact.start_ms


def percentile(values: list[int], share: float) -> int:
    """Return the value that `share` of the values do not exceed (nearest rank); 0 of no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0
