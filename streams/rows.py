"""The rows of one partition: jobs, schedules, large arguments, settings, their counts, and when they are due.

Owns their keys in the state topic, their reading from it, and the form in which they are kept. Must never
decide anything, nor write: what changes a row is `streams.partition`, and what writes it `streams.outbox`.

A job that something happens to is *hot*: its row is kept as it is, 2.7 KB. One that waits for its time, has
ended, or is the longest untouched of very many, is *cold*: some 300 bytes, packed. Nobody sees the
difference: `jobs` gives every row whole, and a change of it says anew which it is.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from struct import Struct
from typing import Final, NamedTuple, TypeVar, overload

from schemas.codec import Undecodable, decode, encode
from schemas.events import ArgsRow, ConfigRow, FunctionConfig, JobRow, QueueConfig, ScheduleRow
from schemas.words import Phase, WaitReason
from streams.core import job, schedule
from streams.core.config import NOTHING_SAID, Config
from streams.created import SLOT_MS, Created
from streams.dues import Dues
from streams.packing import Packing

JOB_ROW, ARGS_ROW, SCHEDULE_ROW, CONFIG_ROW = "j:", "a:", "s:", "c:"
"""How the key of a row in the state topic begins; the id follows."""

KIND_CHARS = 2

COLD_MS: Final = 60_000
"""A job that waits so long, or longer, waits packed. Packing and unpacking take some 10 us."""

HOT_JOBS_MAX: Final = 5_000
"""Of one partition; with more, the one that has been hot for longest is packed."""

ACTIVE: Final = frozenset({Phase.READY, Phase.LEASED})
"""Phases in which something other than time is to happen to a job soon."""

HEAD: Final = Struct(">qqH")
"""What is known of a cold job without unpacking it: when it was created and is due, epoch ms, and the number
of its kind.
"""

NEVER_MS: Final = -(1 << 63)
"""In a head: not due at all."""

NO_HEAD: Final = bytes(HEAD.size)

Kind = tuple[str, str]
"""Queue and phase."""

T = TypeVar("T")


class BadRow(Exception):
    """A row of the state topic that can't be read: it is not ours, or of another release."""

    def __init__(self, key: bytes, partition: int, reason: str) -> None:
        """`reason` is the end of the sentence."""
        super().__init__(f"row {key!r:.250} of partition {partition} can't be read: {reason}")


class Glance(NamedTuple):
    """What a list of jobs is sorted and sifted by. The newest is the largest."""

    created_at_ms: int
    id: str
    queue: str
    phase: str


def split(key: str) -> tuple[str, str]:
    """The kind of a row and its id, from its key."""
    return key[:KIND_CHARS], key[KIND_CHARS:]


def _listed_as(row: JobRow) -> tuple[str, str, int]:
    return row.phase, row.spec.queue, row.spec.created_at_ms


def _is_linked(row: JobRow) -> bool:
    spec = row.spec
    return spec.lane is not None or spec.unique is not None or row.wait_reason == WaitReason.UNSERVED


class Jobs(Mapping[str, JobRow]):
    """Rows of jobs by id, hot and cold. A cold one is unpacked whenever it is asked for."""

    def __init__(self, packing: Packing) -> None:
        """No jobs yet."""
        self.hot: OrderedDict[str, JobRow] = OrderedDict()
        """By id, the last that changed at the end."""
        self.cold: dict[str, bytes] = {}
        """By row key: head and packed value."""
        self.counts: Counter[Kind] = Counter()
        """How many there are, by queue and phase."""
        self._packing = packing
        self.created = Created()
        """Their ids by the time of their creation."""
        self.linked: set[str] = set()
        """Ids of those that say something of others too: members of lanes, unique ones, those without a
        minion. A restore must look at each.
        """
        self.kinds: list[Kind] = []
        """By the number that heads have for them."""
        self._kind_numbers: dict[Kind, int] = {}
        self._read_last: tuple[bytes, JobRow] | None = None  # a change reads its row more than once

    def __len__(self) -> int:
        return len(self.hot) + len(self.cold)

    def __iter__(self) -> Iterator[str]:
        yield from list(self.hot)
        yield from [key[KIND_CHARS:] for key in self.cold]

    def __contains__(self, id: object) -> bool:
        return id in self.hot or (isinstance(id, str) and JOB_ROW + id in self.cold)

    def __getitem__(self, id: str) -> JobRow:
        row = self.get(id)
        if row is None:
            raise KeyError(id)
        return row

    @overload
    def get(self, id: str, /) -> JobRow | None: ...
    @overload
    def get(self, id: str, /, default: JobRow) -> JobRow: ...
    @overload
    def get(self, id: str, /, default: T) -> JobRow | T: ...
    def get(self, id: str, /, default: object = None) -> object:
        """The row, or `default` if there is none."""
        row = self.hot.get(id)
        if row is None:
            kept = self.cold.get(JOB_ROW + id)
            return default if kept is None else self._read(kept)
        return row

    def _read(self, kept: bytes) -> JobRow:
        if self._read_last is None or self._read_last[0] is not kept:
            self._read_last = kept, decode(self._packing.unpack(kept, HEAD.size), (JobRow,))
        return self._read_last[1]

    def due_ms(self, id: str) -> int | None:
        """When the job is due, epoch ms; None: never, or there is none."""
        row = self.hot.get(id)
        if row is not None:
            return job.next_due_ms(row)
        return self.cold_due_ms(JOB_ROW + id)

    def cold_due_ms(self, key: str) -> int | None:
        """The same of the row with this key, if it is cold."""
        kept = self.cold.get(key)
        if kept is None:
            return None
        due_ms: int = HEAD.unpack_from(kept)[1]
        return None if due_ms == NEVER_MS else due_ms

    def keep_hot(self, id: str, row: JobRow) -> None:
        """The job is now so, and something is to happen to it soon."""
        before = self.hot.get(id)
        if before is not None and _listed_as(before) == _listed_as(row):
            self.hot[id] = row
            self.hot.move_to_end(id)
            return
        self._move(id, row.spec.created_at_ms)
        self.hot[id] = row
        self.counts[row.spec.queue, row.phase] += 1
        if len(self.hot) > HOT_JOBS_MAX:
            oldest_id, oldest = next(iter(self.hot.items()))
            self.keep_cold(JOB_ROW + oldest_id, oldest, job.next_due_ms(oldest), encode(oldest))

    def keep_cold(
        self, key: str, row: JobRow, due_ms: int | None, value: bytes, kept: bytes | None = None
    ) -> None:
        """The job with this row key is now so, and waits. `value` is its row encoded, `kept` that packed
        already, behind any head.
        """
        self._move(key[KIND_CHARS:], row.spec.created_at_ms)
        kind = row.spec.queue, row.phase
        due_ms = NEVER_MS if due_ms is None else due_ms
        head = HEAD.pack(row.spec.created_at_ms, due_ms, self.kind_number(kind))
        self.cold[key] = head + (self._packing.pack(value) if kept is None else kept[HEAD.size :])
        self.counts[kind] += 1

    def drop(self, id: str) -> bool:
        """The job is no more; False if it never was."""
        created_ms = self._take_out(id)
        if created_ms is None:
            return False
        self.created.remove(created_ms, self.__contains__)
        return True

    def load_cold(self, key: str, kept: bytes) -> int | None:
        """A cold job as it was saved; when it is due, epoch ms."""
        self.cold[key] = kept
        self.counts[self.kind_of(kept)] += 1
        created_ms, due_ms, _ = HEAD.unpack_from(kept)
        self.created.add(key[KIND_CHARS:], created_ms)
        return None if due_ms == NEVER_MS else due_ms

    def glance(self, id: str) -> Glance | None:
        """What a list sifts a job by; None: there is none. Unpacks nothing."""
        row = self.hot.get(id)
        if row is not None:
            return Glance(row.spec.created_at_ms, id, row.spec.queue, row.phase)
        kept = self.cold.get(JOB_ROW + id)
        if kept is None:
            return None
        created_ms, _, kind = HEAD.unpack_from(kept)
        return Glance(created_ms, id, *self.kinds[kind])

    def _move(self, id: str, created_ms: int) -> None:
        """Takes the row out, to be put elsewhere, and knows when its job was created: perhaps it is another
        one than before, with the same id.
        """
        before_ms = self._take_out(id)
        if before_ms != created_ms:
            if before_ms is not None:
                self.created.remove(before_ms, self.__contains__)
            self.created.add(id, created_ms)

    def _take_out(self, id: str) -> int | None:
        """Takes the row out; when its job was created, epoch ms; None: there is none."""
        row = self.hot.pop(id, None)
        if row is not None:
            kind = row.spec.queue, row.phase
            created_ms: int = row.spec.created_at_ms
        else:
            kept = self.cold.pop(JOB_ROW + id, None)
            if kept is None:
                return None
            kind = self.kind_of(kept)
            created_ms = HEAD.unpack_from(kept)[0]
        self.counts[kind] -= 1
        if not self.counts[kind]:
            del self.counts[kind]
        return created_ms

    def kind_number(self, kind: Kind) -> int:
        """The number by which heads know a queue and phase."""
        number = self._kind_numbers.get(kind)
        if number is None:
            number = self._kind_numbers[kind] = len(self.kinds)
            self.kinds.append(kind)
        return number

    def in_phase(self, phase: Phase) -> list[str]:
        """The ids of all jobs in this phase; looks at the cold ones only if there must be some among them."""
        found = [id for id, row in self.hot.items() if row.phase == phase]
        if len(found) == sum(many for (_, each), many in self.counts.items() if each == phase):
            return found
        numbers = {number for kind, number in self._kind_numbers.items() if kind[1] == phase}
        found += [key[KIND_CHARS:] for key, kept in self.cold.items() if HEAD.unpack_from(kept)[2] in numbers]
        return found

    def phase_of(self, id: str) -> str | None:
        """The phase of a job, without unpacking it; None: there is none."""
        row = self.hot.get(id)
        if row is not None:
            return row.phase
        kept = self.cold.get(JOB_ROW + id)
        return None if kept is None else self.kind_of(kept)[1]

    def kind_of(self, kept: bytes) -> Kind:
        """Queue and phase of a cold job."""
        number: int = HEAD.unpack_from(kept)[2]
        return self.kinds[number]

    def glances(self, number: int) -> Iterator[Glance]:
        """Every job that was created in that slot of time and is there now, in no order; those that change
        meanwhile as they are then. Unpacks none.
        """
        for id in self.created.ids(number):
            found = self.glance(id)
            if found is not None and found.created_at_ms // SLOT_MS == number:
                yield found


class Rows:
    """What a partition knows."""

    def __init__(self, number: int) -> None:
        """No rows yet, of partition `number`."""
        self.packing = Packing()
        self.jobs = Jobs(self.packing)
        self.schedules: dict[str, ScheduleRow] = {}
        self.configs: dict[str, ConfigRow] = {}
        """Entries of the config topic, by key."""
        self.config = NOTHING_SAID
        """What they say together."""
        self.counts = self.jobs.counts
        """How many jobs there are, by queue and phase."""
        self.dues = Dues(self.due_ms)
        """The keys of the rows that time will bring something."""
        self._number = number
        self.packed_args: dict[str, bytes] = {}
        """Arguments that lie apart from their job, by its id."""
        self._raw: dict[
            str, bytes
        ] = {}  # as restored, until they are read; in the form of a cold row, so that
        # the second one takes the memory of the first
        self._cold_from_ms = 0

    def __len__(self) -> int:
        """How many jobs and schedules there are."""
        return len(self.jobs) + len(self.schedules)

    def at(self, now_ms: int) -> None:
        """It is `now_ms` now, epoch ms: tells what waits for long."""
        self._cold_from_ms = now_ms + COLD_MS
        self.dues.at(now_ms)

    # From the log.

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Takes one record of the state topic; the last of a key counts, None is a row that was dropped."""
        name = key.decode(errors="replace")
        if value is None:
            self._raw.pop(name, None)
            self._drop_saved(*split(name))
        else:
            self._raw[name] = NO_HEAD + self.packing.pack(value)

    def _drop_saved(self, kind: str, id: str) -> None:
        """Drops a row that came from a snapshot, if it did; its due time finds out by itself."""
        if kind == JOB_ROW:
            self.jobs.drop(id)
        elif kind == ARGS_ROW:
            self.packed_args.pop(id, None)

    def read(self, wanted: Callable[[JobRow], bool]) -> list[JobRow]:
        """Reads what was restored: each row once, however often it was written. Gives the jobs that are
        `wanted`.

        Raises:
            BadRow: one cannot be read.
        """
        found: list[JobRow] = []
        while self._raw:
            row = self._read_row(*self._raw.popitem())
            if row is not None and wanted(row):
                found.append(row)
        found.reverse()
        return found

    def _read_row(self, key: str, kept: bytes) -> JobRow | None:
        kind, id = split(key)
        value = self.packing.unpack(kept, HEAD.size)
        try:
            if kind == JOB_ROW:
                row = decode(value, (JobRow,))
                self._keep(key, row, value, kept)
                return row
            if kind == ARGS_ROW:
                self.keep_args(id, decode(value, (ArgsRow,)).args)
            elif kind == SCHEDULE_ROW:
                self.keep_schedule(id, decode(value, (ScheduleRow,)))
            elif kind == CONFIG_ROW:
                self.keep_config(decode(value, (ConfigRow,)))
            else:
                known = f"{JOB_ROW}, {ARGS_ROW}, {SCHEDULE_ROW} or {CONFIG_ROW}"
                raise BadRow(key.encode(), self._number, f"its key must begin with {known}")
        except Undecodable as error:
            raise BadRow(key.encode(), self._number, error.sentence) from error
        return None

    # What is in them.

    def args(self, row: JobRow) -> bytes | None:
        """A job's arguments, wherever they are kept."""
        if not row.spec.args_apart:
            return row.spec.args
        packed = self.packed_args.get(row.spec.id)
        return None if packed is None else self.packing.unpack(packed)

    def due_ms(self, key: str) -> int | None:
        """When the row with this key is due now, epoch ms; None: never, or there is no such row."""
        kind, id = split(key)
        if kind == JOB_ROW:
            return self.jobs.due_ms(id)
        plan = self.schedules.get(id)
        return None if plan is None else schedule.next_due_ms(plan)

    @property
    def leases(self) -> int:
        """How many jobs a minion has."""
        return sum(count for (_, phase), count in self.counts.items() if phase == Phase.LEASED)

    # How they change.

    def keep_job(self, id: str, row: JobRow | None, value: bytes | None = None) -> None:
        """The job is now so; None: it is no more. `value` is the row encoded, if it is at hand."""
        key = JOB_ROW + id
        if row is not None:
            self._keep(key, row, value)
            return
        self.jobs.linked.discard(id)
        if self.jobs.drop(id):
            self.packed_args.pop(id, None)
            self.dues.put(key, None)

    def _keep(self, key: str, row: JobRow, value: bytes | None, kept: bytes | None = None) -> None:
        due_ms = job.next_due_ms(row)
        if _is_linked(row):
            self.jobs.linked.add(row.spec.id)
        else:
            self.jobs.linked.discard(row.spec.id)
        if row.phase in ACTIVE or (due_ms is not None and due_ms < self._cold_from_ms):
            self.jobs.keep_hot(row.spec.id, row)
            self.dues.put(key, due_ms)
            return
        known_ms = self.jobs.cold_due_ms(key)
        self.jobs.keep_cold(key, row, due_ms, encode(row) if value is None else value, kept)
        if due_ms is None or due_ms != known_ms:  # else every duplicate request would leave an entry
            self.dues.put(key, due_ms)

    def keep_args(self, id: str, args: bytes) -> None:
        """Arguments of a job that lie apart from its row."""
        self.packed_args[id] = self.packing.pack(args)

    def keep_config(self, row: ConfigRow) -> None:
        """The entry is now so, and with it what is in force.

        Raises:
            Undecodable: its value is none of ours.
        """
        entries = {key: value for key, each in self.configs.items() if (value := each.value) is not None}
        if row.value is not None:
            entries[row.entry] = row.value
        else:
            entries.pop(row.entry, None)
        self.config = Config.of(decode(value, (QueueConfig, FunctionConfig)) for value in entries.values())
        self.configs[row.entry] = row

    def keep_schedule(self, id: str, row: ScheduleRow | None) -> None:
        """The schedule is now so; None: it is no more."""
        if row is not None:
            self.schedules[id] = row
            self.dues.put(SCHEDULE_ROW + id, schedule.next_due_ms(row))
        elif self.schedules.pop(id, None) is not None:
            self.dues.put(SCHEDULE_ROW + id, None)
