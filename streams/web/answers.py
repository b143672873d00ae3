"""What the status pages say, as JSON-ready values. Reads the rows of this worker's partitions and changes
nothing.

Owns the shapes that streams/README.md documents. Knows no HTTP.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import nlargest
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Any, Self

from schemas.events import JobRow, ScheduleRow
from schemas.keys import home
from schemas.names import BadName, check_id, check_key, check_queue, likely_homes
from schemas.times import format_time, parse_time
from schemas.words import Phase, WaitReason
from streams.core.status import job_status, schedule_status
from streams.created import SLOT_MS
from streams.duties import LOOKED_AT_MAX, Duty, overdue
from streams.partition import Partition
from streams.rows import Glance
from streams.shell import Shell

LIMIT = 100
LIMIT_MAX = 1_000
"""Jobs in one answer."""

LOOKED_AT = 1_000
"""Rows looked at before other work of the event loop gets its turn; less than a millisecond."""

LOOKED_AT_CLOSELY = 500
"""The same where rows must be looked into."""

TOLD_AT_ONCE = 10
"""Jobs told in full before other work of the event loop gets its turn."""

TIME_DIGITS_MAX = 15
"""Of an epoch time in milliseconds."""

FILTERS = ("queue", "phase", "function", "key", "tag", "since", "until")
"""What chooses the jobs of a list."""

SCHEDULES_AT_ONCE = 50
"""Schedules told before other work of the event loop gets its turn."""

LISTED = (
    "id",
    "phase",
    "function",
    "queue",
    "key",
    "partition",
    "attempt",
    "waiting_for",
    "located",
    "slow",
    "frozen_since",
    "created_at",
    "ended_at",
    "end_reason",
    "error_type",
    "error_message",
    "scheduled_by",
)
"""What a list tells of each job: a part of its status."""

Answer = dict[str, Any]
Seen = tuple[Glance, Partition]


class NoAnswer(Exception):
    """There is nothing to show; the text is a sentence for people."""

    def __init__(self, status: int, sentence: str, missing: tuple[int, ...] = ()) -> None:
        """`status` is the HTTP one; `missing` are partitions that others would have to be asked for."""
        super().__init__(sentence)
        self.status = status
        self.missing = missing


BAD_QUESTION, NOT_FOUND, NOT_NOW = 400, 404, 503


class Answers:
    """Answers from one worker's partitions."""

    def __init__(self, shell: Shell) -> None:
        """`shell` has the partitions."""
        self._shell = shell

    def job(self, id: str, key: str | None) -> Answer:
        """One job, found by its id; its key says at once where it is.

        Raises:
            NoAnswer: no such job is kept here, or that can't be told now.
        """
        self._check_ready()
        try:
            check_id(id)
            if key is not None:
                check_key(key)
        except BadName as error:
            raise NoAnswer(NOT_FOUND, str(error)) from error
        found = self._find(id, key)
        if found is None:
            missing = self._missing(id, key)
            if missing:
                where = ", ".join(map(str, missing))
                raise NoAnswer(
                    NOT_NOW, f"job {id} may be in partition {where}, which this worker does not have", missing
                )
            raise NoAnswer(NOT_FOUND, f"no job {id} is kept; ended jobs are forgotten after a day")
        partition, row = found
        return _status(row, self._shell.ticker.now_ms(), partition, partition.rows.args(row))

    async def jobs(self, asked: Mapping[str, str]) -> Answer:
        """Jobs, the newest first.

        Args:
            asked: `queue`, `phase`, `function`, `key`, `tag`, `since` and `until` choose; `limit` and `after`
                page. `total` is told only where queue and phase alone choose.

        Raises:
            NoAnswer: a parameter can't be, or the worker recovers.
        """
        self._check_ready()
        chosen = Chosen.of(asked)
        queue, phase, count = chosen.queue, chosen.phase, _limit(asked.get("limit"))
        seen = await self._newest(chosen, count + 1)
        now_ms = self._shell.ticker.now_ms()
        found = [(partition.jobs.get(glance.id), partition) for glance, partition in seen[:count]]
        shown = []
        for number, (row, partition) in enumerate(found, 1):
            if row is not None:
                shown.append(_status(row, now_ms, partition))
            if number % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
        counts = self._counts()
        return {
            "now": format_time(now_ms),
            "queue": queue,
            "phase": phase,
            "total": sum(many for (q, p), many in counts.items() if queue in {None, q} and phase in {None, p})
            if not chosen.closely
            else None,
            "jobs": [{name: status[name] for name in LISTED} for status in shown],
            "next": _cursor_of(seen[count - 1][0]) if len(seen) > count else None,
            **self._whose(),
        }

    def counts(self) -> Answer:
        """How many jobs there are in each phase of each queue.

        Raises:
            NoAnswer: the worker recovers.
        """
        self._check_ready()
        queues: dict[str, dict[str, int]] = {}
        phases: Counter[str] = Counter()
        for (queue, phase), many in sorted(self._counts().items()):
            queues.setdefault(queue, {})[str(phase)] = many
            phases[str(phase)] += many
        return {
            "now": format_time(self._shell.ticker.now_ms()),
            "total": phases.total(),
            "phases": dict(phases),
            "queues": queues,
            **self._whose(),
        }

    async def schedules(self, id: str | None = None) -> Answer:
        """Every schedule, by id; or one, with its fires to come.

        Raises:
            NoAnswer: the worker recovers, or there is no such schedule.
        """
        self._check_ready()
        now_ms = self._shell.ticker.now_ms()
        if id is not None:
            shown = [schedule_status(self._schedule(id), now_ms)]
            return {"now": format_time(now_ms), "schedules": shown, **self._whose()}
        rows = [row for partition in self._partitions() for row in partition.schedules.values()]
        shown = []
        for number, row in enumerate(sorted(rows, key=attrgetter("id"))):
            shown.append(schedule_status(row, now_ms, coming=False))
            if number % SCHEDULES_AT_ONCE == 0:
                await asyncio.sleep(0)
        return {"now": format_time(now_ms), "schedules": shown, **self._whose()}

    def _schedule(self, id: str) -> ScheduleRow:
        for partition in self._partitions():
            if (row := partition.schedules.get(id)) is not None:
                return row
        at_home = home(id, self._shell.topics.partitions)
        if at_home not in {partition.number for partition in self._partitions()}:
            sentence = f"schedule {id} is in partition {at_home}, which this worker does not have"
            raise NoAnswer(NOT_NOW, sentence, (at_home,))
        raise NoAnswer(NOT_FOUND, f"no schedule {id} is kept")

    def duties(self) -> Answer:
        """What time asks of the worker, and how that was done: jobs that are due, what timed out, schedules
        that recur, what is to be purged.

        Raises:
            NoAnswer: the worker recovers.
        """
        self._check_ready()
        now_ms = self._shell.ticker.now_ms()
        partitions = list(self._partitions())
        late = sum((overdue(partition.rows, now_ms) for partition in partitions), Counter[Duty]())
        return {
            "now": format_time(now_ms),
            "duties": {
                duty: {
                    "checked_at": _latest(partition.duties.checked_at_ms for partition in partitions),
                    "last_at": _latest(partition.duties.last_at_ms.get(duty) for partition in partitions),
                    "done": sum(partition.duties.done[duty] for partition in partitions),
                    "overdue": late[duty],
                }
                for duty in Duty
            },
            **self._whose(),
        }

    def health(self) -> Answer:
        """What the worker says of itself; `ready` tells whether it has recovered."""
        shell = self._shell
        now_ms = shell.ticker.now_ms()
        partitions = list(self._partitions())
        return {
            "now": format_time(now_ms),
            "ready": self._ready,
            "recovered": shell.recovered_line,
            "prefix": shell.topics.prefix,
            **self._whose(),
            "jobs": sum(len(partition.jobs) for partition in partitions),
            "schedules": sum(len(partition.schedules) for partition in partitions),
            "leases": sum(partition.rows.leases for partition in partitions),
            "overdue": sum(partition.rows.dues.count(now_ms, LOOKED_AT_MAX) for partition in partitions),
            "refused": sum(partition.refused for partition in partitions),
        }

    @property
    def _ready(self) -> bool:
        return self._shell.recovered_line is not None

    def _check_ready(self) -> None:
        if not self._ready:
            raise NoAnswer(NOT_NOW, "the worker is recovering its partitions; ask again in a moment")

    def _partitions(self) -> Iterator[Partition]:
        yield from list(self._shell.partitions.values())

    def _counts(self) -> Counter[tuple[str, str]]:
        total: Counter[tuple[str, str]] = Counter()
        for partition in self._partitions():
            total.update(partition.rows.counts)
        return total

    def _find(self, id: str, key: str | None) -> tuple[Partition, JobRow] | None:
        for number in self._likely(id, key):
            partition = self._shell.partitions.get(number)
            row = None if partition is None else partition.jobs.get(id)
            if partition is not None and row is not None and key in {None, row.spec.key}:
                return partition, row
        return None

    def _likely(self, id: str, key: str | None) -> list[int]:
        """Where a job may be: at the home of its key; without one anywhere, most likely where its id hints
        at.
        """
        total = self._shell.topics.partitions
        if key is not None:
            return [home(key, total)]
        hinted = likely_homes(id, total)
        return [*hinted, *(number for number in range(total) if number not in hinted)]

    def _missing(self, id: str, key: str | None) -> tuple[int, ...]:
        """The partitions that this worker would have to ask others for."""
        return tuple(number for number in self._likely(id, key) if number not in self._shell.partitions)

    def _whose(self) -> Answer:
        """Which partitions an answer is about; the others are another worker's."""
        return {
            "partitions": sorted(self._shell.partitions),
            "partitions_total": self._shell.topics.partitions,
        }

    async def _newest(self, chosen: "Chosen", count: int) -> list[Seen]:
        """The newest jobs that fit, the newest first, and where they are: looks at one slot of time after
        another, back from the newest, until there are enough.
        """
        best: list[Seen] = []
        at_once = LOOKED_AT_CLOSELY if chosen.sifts else LOOKED_AT
        left = self._fitting(chosen)
        looked = 0
        for number in self._slots(chosen):
            for partition in self._partitions():
                glances = partition.jobs.glances(number)
                while looked_at := list(islice(glances, at_once - looked)):
                    oldest = best[-1][0] if len(best) == count else None
                    fits = [
                        (glance, partition)
                        for glance in looked_at
                        if (oldest is None or glance > oldest)
                        and chosen.takes(glance)
                        and (not chosen.sifts or chosen.takes_row(partition.jobs.get(glance.id)))
                    ]
                    if fits:
                        best = nlargest(count, (*best, *fits), key=itemgetter(0))
                    looked += len(looked_at)
                    if looked >= at_once:
                        looked = 0
                        await asyncio.sleep(0)
            if len(best) >= min(count, left):
                break
        return best

    def _slots(self, chosen: "Chosen") -> list[int]:
        """The slots of time in which jobs were created that may fit, the newest first."""
        first_ms, last_ms = chosen.since_ms or 0, chosen.latest_ms
        numbers = {number for partition in self._partitions() for number in partition.jobs.created.slots}
        return sorted(
            (
                number
                for number in numbers
                if (number + 1) * SLOT_MS > first_ms and (last_ms is None or number * SLOT_MS <= last_ms)
            ),
            reverse=True,
        )

    def _fitting(self, chosen: "Chosen") -> int:
        """How many jobs can fit at most, by queue and phase."""
        return sum(
            many
            for (queue, phase), many in self._counts().items()
            if chosen.queue in {None, queue} and chosen.phase in {None, phase}
        )


@dataclass(frozen=True)
class Chosen:
    """Which jobs a list is of; None: whatever it is."""

    queue: str | None
    phase: str | None
    since_ms: int | None
    until_ms: int | None
    function: str | None
    key: str | None
    tag: str | None
    before: tuple[int, str] | None

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Self:
        """From a page's parameters. NoAnswer if one can't be."""
        queue, phase, after = asked.get("queue"), asked.get("phase"), asked.get("after")
        _check_filter(queue, phase)
        return cls(
            queue,
            phase,
            _time("since", asked.get("since")),
            _time("until", asked.get("until")),
            asked.get("function"),
            asked.get("key"),
            asked.get("tag"),
            None if after is None else _cursor(after),
        )

    @property
    def sifts(self) -> bool:
        """Whether rows must be looked into."""
        return self.function is not None or self.key is not None or self.tag is not None

    @property
    def latest_ms(self) -> int | None:
        """The latest time at which a job that fits can have been created, epoch ms; None: any."""
        before_ms = None if self.before is None else self.before[0]
        return min((at_ms for at_ms in (self.until_ms, before_ms) if at_ms is not None), default=None)

    @property
    def closely(self) -> bool:
        """Whether more than a queue and a phase chooses."""
        return self.sifts or self.since_ms is not None or self.until_ms is not None

    def takes(self, glance: Glance) -> bool:
        """Whether a job fits, as far as can be told without its row."""
        return (
            self.queue in {None, glance.queue}
            and self.phase in {None, glance.phase}
            and (self.since_ms is None or glance.created_at_ms >= self.since_ms)
            and (self.until_ms is None or glance.created_at_ms < self.until_ms)
            and (self.before is None or glance[:2] < self.before)
        )

    def takes_row(self, row: JobRow | None) -> bool:
        """Whether the rest of it fits."""
        return (
            row is not None
            and self.function in {None, row.spec.function}
            and self.key in {None, row.spec.key}
            and (self.tag is None or self.tag in row.spec.tags)
        )


def _time(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return (
            int(text)
            if text.isascii() and text.isdigit() and len(text) <= TIME_DIGITS_MAX
            else parse_time(text)
        )
    except ValueError as error:
        raise NoAnswer(BAD_QUESTION, f"{name}: {error}") from None


def _latest(times_ms: Iterable[int | None]) -> str | None:
    """The latest of these times; None if there is none."""
    latest_ms = max((time_ms for time_ms in times_ms if time_ms is not None), default=None)
    return None if latest_ms is None else format_time(latest_ms)


def _status(row: JobRow, now_ms: int, partition: Partition, args: bytes | None = None) -> Answer:
    limits = partition.limits(row.spec.queue, now_ms)
    status: Answer = dict(job_status(row, now_ms, args, partition.rows.config, limits))
    if row.phase == Phase.READY and row.wait_reason == WaitReason.QUEUE:
        status["waiting_for"] = f"queue {row.spec.queue}, whose topic is being made"
    return status


def _cursor_of(glance: Glance) -> str:
    return f"{glance.created_at_ms}/{glance.id}"


def _cursor(text: str) -> tuple[int, str]:
    created_ms, _, id = text.partition("/")
    if not created_ms.isascii() or not created_ms.isdigit() or not id:
        raise NoAnswer(BAD_QUESTION, f"after must be the `next` of an earlier answer, got {text!r:.100}")
    return int(created_ms), id


def _check_filter(queue: str | None, phase: str | None) -> None:
    try:
        if queue is not None:
            check_queue(queue)
    except BadName as error:
        raise NoAnswer(NOT_FOUND, str(error)) from error
    if phase is not None and phase not in set(Phase):
        raise NoAnswer(BAD_QUESTION, f"phase must be one of {', '.join(Phase)}, got {phase!r:.100}")


def _limit(text: str | None) -> int:
    if text is None:
        return LIMIT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= LIMIT_MAX:
        raise NoAnswer(BAD_QUESTION, f"limit must be a whole number from 1 to {LIMIT_MAX}, got {text!r:.100}")
    return int(text)


def check_parameters(parameters: Mapping[str, str], known: tuple[str, ...]) -> None:
    """Refuses parameters that would be ignored.

    Raises:
        NoAnswer: one is unknown.
    """
    for name in parameters:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "there are none"
            raise NoAnswer(BAD_QUESTION, f"this page has no parameter {name!r:.100}; {there}")
