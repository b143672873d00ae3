"""The rows of one partition: jobs, schedules, large arguments, their counts, and when they are due.

Owns their keys in the state topic, and their reading from it. Must never decide anything, nor write: what
changes a row is `streams.partition`, and what writes it `streams.outbox`.
"""

from collections import Counter
from collections.abc import Iterator

from schemas.codec import Undecodable, decode
from schemas.events import ArgsRow, JobRow, ScheduleRow
from schemas.words import Phase
from streams.core import job, schedule
from streams.dues import Dues

JOB_ROW, ARGS_ROW, SCHEDULE_ROW = "j:", "a:", "s:"
"""How the key of a row in the state topic begins; the id follows."""

KIND_CHARS = 2


class BadRow(Exception):
    """A row of the state topic that can't be read: it is not ours, or of another release."""

    def __init__(self, key: bytes, partition: int, reason: str) -> None:
        """`reason` is the end of the sentence."""
        super().__init__(f"row {key!r:.250} of partition {partition} can't be read: {reason}")


def split(key: str) -> tuple[str, str]:
    """The kind of a row and its id, from its key."""
    return key[:KIND_CHARS], key[KIND_CHARS:]


class Rows:
    """What a partition knows."""

    def __init__(self, number: int) -> None:
        """No rows yet, of partition `number`."""
        self.jobs: dict[str, JobRow] = {}
        self.schedules: dict[str, ScheduleRow] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        """How many jobs there are, by queue and phase."""
        self.dues = Dues(self.due_ms)
        """The keys of the rows that time will bring something."""
        self._number = number
        self._args: dict[str, bytes] = {}
        self._raw: dict[bytes, bytes] = {}  # as restored, until they are read

    def __len__(self) -> int:
        """How many jobs and schedules there are."""
        return len(self.jobs) + len(self.schedules)

    # From the log.

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Takes one record of the state topic; the last of a key counts, None is a row that was dropped."""
        if value is None:
            self._raw.pop(key, None)
        else:
            self._raw[key] = value

    def read(self) -> None:
        """Reads what was restored: each row once, however often it was written.

        Raises:
            BadRow: one cannot be read.
        """
        for key, value in self._raw.items():
            self._read_row(key, value)
        self._raw.clear()
        self.dues.fill(self._all_dues())

    def _read_row(self, key: bytes, value: bytes) -> None:
        kind, id = split(key.decode(errors="replace"))
        try:
            if kind == JOB_ROW:
                self._count(None, row := decode(value, (JobRow,)))
                self.jobs[id] = row
            elif kind == ARGS_ROW:
                self._args[id] = decode(value, (ArgsRow,)).args
            elif kind == SCHEDULE_ROW:
                self.schedules[id] = decode(value, (ScheduleRow,))
            else:
                known = f"{JOB_ROW}, {ARGS_ROW} or {SCHEDULE_ROW}"
                raise BadRow(key, self._number, f"its key must begin with {known}")
        except Undecodable as error:
            raise BadRow(key, self._number, error.sentence) from error

    def _all_dues(self) -> Iterator[tuple[int, str]]:
        for id, row in self.jobs.items():
            if (due_ms := job.next_due_ms(row)) is not None:
                yield due_ms, JOB_ROW + id
        for id, plan in self.schedules.items():
            if (due_ms := schedule.next_due_ms(plan)) is not None:
                yield due_ms, SCHEDULE_ROW + id

    # What is in them.

    def args(self, row: JobRow) -> bytes | None:
        """A job's arguments, wherever they are kept."""
        return self._args.get(row.spec.id) if row.spec.args_apart else row.spec.args

    def due_ms(self, key: str) -> int | None:
        """When the row with this key is due now, epoch ms; None: never, or there is no such row."""
        kind, id = split(key)
        if kind == JOB_ROW:
            row = self.jobs.get(id)
            return None if row is None else job.next_due_ms(row)
        plan = self.schedules.get(id)
        return None if plan is None else schedule.next_due_ms(plan)

    @property
    def leases(self) -> int:
        """How many jobs a minion has."""
        return sum(count for (_, phase), count in self.counts.items() if phase == Phase.LEASED)

    # How they change.

    def keep_job(self, id: str, row: JobRow | None) -> None:
        """The job is now so; None: it is no more."""
        before = self.jobs.get(id)
        self._count(before, row)
        if row is not None:
            self.jobs[id] = row
            self.dues.put(JOB_ROW + id, job.next_due_ms(row))
        elif before is not None:
            del self.jobs[id]
            self._args.pop(id, None)
            self.dues.put(JOB_ROW + id, None)

    def keep_args(self, id: str, args: bytes) -> None:
        """Arguments of a job that lie apart from its row."""
        self._args[id] = args

    def keep_schedule(self, id: str, row: ScheduleRow | None) -> None:
        """The schedule is now so; None: it is no more."""
        if row is not None:
            self.schedules[id] = row
            self.dues.put(SCHEDULE_ROW + id, schedule.next_due_ms(row))
        elif self.schedules.pop(id, None) is not None:
            self.dues.put(SCHEDULE_ROW + id, None)

    def _count(self, before: JobRow | None, after: JobRow | None) -> None:
        old = None if before is None else (before.spec.queue, before.phase)
        new = None if after is None else (after.spec.queue, after.phase)
        if old == new:
            return
        if old is not None:
            self.counts[old] -= 1
            if not self.counts[old]:
                del self.counts[old]
        if new is not None:
            self.counts[new] += 1
