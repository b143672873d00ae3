"""How many minions of one kind there should be, from the work there is for them.

Owns the decision alone: words of traffic and of minions that came and went go in, which minions to start and
which to let go comes out. Never starts a process or calls a URL, and never looks at a clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

FIRST_BACKOFF_MS = 500
"""How long nothing is started after a minion crashed."""

BACKOFF_MS_MAX = 30_000
"""The same after many that crashed in a row; it doubles with each."""

STEADY_MS = 10_000
"""A minion that lived for so long was a good one, however it ended."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A kind of minion, and how many of it there may be."""

    name: str
    queues: frozenset[str]
    functions: frozenset[str]
    least: int = 0
    most: int = 1
    jobs_each: int = 1
    """One more minion for each so many jobs that are open."""
    idle_ms: int = 60_000
    """Minions above what the work needs are let go when that was so for so long."""
    answer_ms: int = 30_000
    """A minion that has not connected after so long, while jobs waited, is given up."""
    life_ms: int | None = None
    """A minion older than this takes no more jobs, and leaves by itself; None: it takes jobs until told."""
    leaves: bool = False
    """True if idle minions leave by themselves, and need not be told."""


@dataclass(slots=True)
class Instance:
    """A minion that was started and has not ended."""

    started_ms: int
    done_before: int
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to be done: minions to start and to let go, by the numbers they have in the pool."""

    start: list[int] = field(default_factory=list)
    stop: list[int] = field(default_factory=list)


class Pool:
    """The minions of one plan. All times are ms on one clock that never goes back."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.open = 0
        """Jobs that came and neither ended nor were given up."""
        self.instances: dict[int, Instance] = {}
        self._next = 1
        self._done = 0
        self._owed = False
        self._crashes = 0
        self._not_before_ms = 0
        self._surplus_since_ms: int | None = None
        self._peak = 0
        self._given_up: list[int] = []
        self._closed = False

    # What happens.

    def inbound(self, count: int) -> None:
        """So many jobs came."""
        self.open += count

    def done(self, count: int) -> None:
        """So many of them ended."""
        self.open = max(self.open - count, 0)
        self._done += count
        self._owed = False

    def timedout(self, count: int, now_ms: int) -> int:
        """So many were given up, since no minion with their function was connected: whoever should be by now
        is given up too, and one is owed to the jobs that wait elsewhere. Calls may be given up much sooner,
        to look elsewhere. How many minions were given up.
        """
        self.open = max(self.open - count, 0)
        self._owed = True
        before = len(self._given_up)
        for number, instance in self.instances.items():
            if not instance.leaving and now_ms - instance.started_ms >= self.plan.answer_ms:
                instance.leaving = True
                self._given_up.append(number)
        return len(self._given_up) - before

    def ended(self, number: int, now_ms: int, *, crashed: bool, again_after_ms: int = 0) -> None:
        """A minion is gone. One that ended well, but served nothing though there was work, counts as crashed:
        starting it over and over would help nobody.
        """
        instance = self.instances.pop(number)
        fruitless = self._done == instance.done_before and self.open > 0
        lived_ms = now_ms - instance.started_ms
        if lived_ms >= STEADY_MS:
            self._crashes = 0
        if (crashed or fruitless) and not instance.leaving:
            self._crashes += 1
            backoff_ms = min(FIRST_BACKOFF_MS * 2 ** min(self._crashes - 1, 16), BACKOFF_MS_MAX)
            self._not_before_ms = max(self._not_before_ms, now_ms + max(backoff_ms, again_after_ms))
        elif not instance.leaving:
            self._crashes = 0
            self._owed = False  # it was connected, so whatever waited elsewhere for its function has come

    def close(self) -> None:
        """All shall go, and none come."""
        self._closed = True

    # What follows.

    @property
    def wanted(self) -> int:
        """How many minions the work needs, within the limits."""
        if self._closed:
            return 0
        needed = max(-(-self.open // self.plan.jobs_each), int(self._owed))
        return min(self.plan.most, max(self.plan.least, needed))

    def turn(self, now_ms: int) -> Turn:
        """What is to be done now. Started minions are counted from here on."""
        stop, self._given_up = self._given_up, []
        there = list(self._there(now_ms))
        missing = self.wanted - len(there)
        if missing >= 0:
            self._surplus_since_ms = None
        return Turn(list(self._start(missing, now_ms)), stop + list(self._surplus(there, now_ms)))

    def next_ms(self, now_ms: int) -> int | None:
        """When to look again if nothing happens; None: not before something does."""
        there = list(self._there(now_ms))
        times = []
        if self.plan.life_ms is not None:
            times = [self.instances[number].started_ms + self.plan.life_ms for number in there]
        if self.wanted > len(there):
            times.append(self._not_before_ms)
            times += [each.started_ms + STEADY_MS for each in self.instances.values()]
        if self._surplus_since_ms is not None:
            times.append(self._surplus_since_ms + self.plan.idle_ms)
        return min((time_ms for time_ms in times if time_ms > now_ms), default=None)

    def _there(self, now_ms: int) -> Iterator[int]:
        """The minions that take jobs, or soon will."""
        for number, instance in self.instances.items():
            if instance.leaving:
                continue
            if self.plan.life_ms is None or now_ms - instance.started_ms < self.plan.life_ms:
                yield number

    def _on_trial(self, instance: Instance, now_ms: int) -> bool:
        return self._done == instance.done_before and now_ms - instance.started_ms < STEADY_MS

    def _start(self, missing: int, now_ms: int) -> Iterator[int]:
        if missing <= 0 or now_ms < self._not_before_ms:
            return
        if self._crashes:
            # One at a time, until it has proved good: the others would most likely crash too.
            if any(self._on_trial(each, now_ms) for each in self.instances.values()):
                return
            missing = 1
        for _ in range(missing):
            number, self._next = self._next, self._next + 1
            self.instances[number] = Instance(now_ms, self._done)
            yield number

    def _surplus(self, there: list[int], now_ms: int) -> Iterator[int]:
        """The youngest of those above what was needed at any time of the last idle time."""
        wanted = self.wanted
        if self._closed:
            surplus = len(there)
        elif len(there) <= wanted or self.plan.leaves:
            return
        elif self._surplus_since_ms is None:
            self._surplus_since_ms, self._peak = now_ms, wanted
            return
        else:
            self._peak = max(self._peak, wanted)
            if now_ms - self._surplus_since_ms < self.plan.idle_ms:
                return
            surplus, self._surplus_since_ms = len(there) - self._peak, None
            self._owed = False
        for number in there[len(there) - surplus :]:
            self.instances[number].leaving = True
            yield number
