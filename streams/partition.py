"""One partition of jobs: what each record of its topics does to its rows, and what must be written for it.

Owns how far each source was applied, and every change of a row. Pure of hosts: no Faust, no Kafka, no clock,
no thread; the time is the broker's, in the records. `apply` is the whole of it:

    partition = Partition(3, topics, queues)
    partition.restore(key, value)                   # each record of the state topic's partition, in order
    writes = partition.begin(begins, settled)       # where its sources go on; what may not have left before
    writes = partition.apply(record)                # each record of its sources, in the order of offsets

Must never raise for what a record holds, nor decide by anything but the rows, the record and its time. What
cannot be accepted is rejected with a sentence; a fault of our own is rejected with its trace; both go on with
the next record.
"""

import traceback
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice

from schemas import defaults
from schemas.codec import Undecodable, decode
from schemas.events import (
    Announcement,
    Command,
    ConfigChanged,
    FunctionConfig,
    Heartbeat,
    JobRequest,
    JobRow,
    JobSpec,
    QueueConfig,
    Receipt,
    Schedule,
    ScheduleRow,
    Tick,
)
from schemas.keys import home
from schemas.names import BadName, check_id, check_key, likely_homes
from schemas.records import replace
from schemas.requests import rule_json
from schemas.topics import Topics
from schemas.unique import Then, Unique, read_unique
from schemas.words import (
    PRIORITIES,
    SCHEDULE_COMMANDS,
    BeatKind,
    CommandName,
    Phase,
    Priority,
    RejectCode,
    WaitReason,
)
from streams.cloudevents import HeadersOf
from streams.core import admission, commands, config, job, records, schedule, schedule_rule
from streams.core.admission import Position
from streams.core.decide import OFFERED
from streams.core.effect import (
    Ask,
    DispatchJob,
    Effect,
    Submit,
    TellRelays,
    TellSchedule,
    WriteDeadLetter,
)
from streams.core.events import (
    Beaten,
    CancelAsked,
    Due,
    Ended,
    Event,
    Restored,
    Served,
    Silent,
    Source,
    Submitted,
    TimeEvent,
    TurnCame,
)
from streams.core.lane import Lanes, Predecessor
from streams.core.rejection import Rejection
from streams.core.schedule_facts import ScheduleEvent, SchedulePut
from streams.core.unique import Uniques
from streams.duties import Duties
from streams.observer import Observer
from streams.outbox import Outbox
from streams.queues import Queues
from streams.record import NOTHING, Record, Writes
from streams.rows import ARGS_ROW, JOB_ROW, SCHEDULE_ROW, Rows, split

REPLACEABLE = frozenset({Phase.SCHEDULED, Phase.RETRYING, Phase.READY})
"""Phases of a job that may be cancelled for another one: no minion has told that it runs it."""

LIMITS_TOLD_MS = 15_000
"""How long a relay's word counts that jobs wait for its limits: it says so every ten seconds."""

DUES_PER_TICK_MAX = 500
"""Rows that one tick decides; the rest is still due, and comes with the next tick."""

WOKEN_PER_RECORD_MAX = 500
"""Jobs that waited for a minion and are offered by one record; the rest comes with the next ticks."""

OUTAGE_MS = 2_000
"""A silence that is found out so much later than it could have been was no silence: nobody listened
meanwhile.
"""

TRACEPARENT = "traceparent"
"""Header in which trace context travels."""


class Partition:
    """The rows of one partition, and the machine that changes them."""

    def __init__(
        self,
        number: int,
        topics: Topics,
        queues: Queues,
        observer: Observer | None = None,
        headers_of: HeadersOf | None = None,
    ) -> None:
        """An empty partition; `queues` tells which queues exist, and is asked for those that do not;
        `observer` is told of what is decided; `headers_of` makes the headers of facts, if they shall have
        some.
        """
        self.number = number
        self.rows = Rows(number)
        self.jobs, self.schedules = self.rows.jobs, self.rows.schedules
        self.refused = 0
        """Records refused since it began."""
        self.latest_tick: Tick | None = None
        """The last tick that was applied."""
        self._topics = topics
        self._queues = queues
        self.duties = Duties()
        """How what time asks was done."""
        self._held: dict[str, dict[str, None]] = {}  # by queue: ready jobs that may not be dispatched now
        self._unheard = True  # nobody listened to the leases until now
        self._lanes = Lanes(self.jobs)
        self._touched: dict[tuple[str, str], None] = {}  # lanes in which a turn may have come
        self._uniques = Uniques()
        self._unserved: dict[tuple[str, str], dict[str, None]] = {}  # no minion, by function
        self._served: dict[str, None] = {}  # those of them that are to be offered now
        self._limits: dict[str, tuple[int, frozenset[str]]] = {}  # that relays told of last, by queue
        self._outbox = Outbox(number, topics, observer, headers_of)
        self._apply: dict[str, Callable[[Record], None]] = {
            topics.requests: self._on_request,
            topics.receipts: self._on_receipt,
            topics.heartbeats: self._on_heartbeat,
            topics.timers: self._on_tick,
            topics.schedules: self._on_schedule,
        }
        self._sources = {
            topics.requests: Source.REQUESTS,
            topics.receipts: Source.RECEIPTS,
            topics.heartbeats: Source.HEARTBEATS,
            topics.timers: Source.TIMERS,
            topics.schedules: Source.SCHEDULES,
        }
        self._next: dict[str, int] = dict.fromkeys(self._apply, 0)  # offset of the next record, by topic
        self._durable = dict(self._next)  # what records before this one did is in the log, by topic

    # Its life.

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Takes one record of the state topic; the last of a key counts, None is a row that was dropped."""
        self.rows.restore(key, value)

    def begin(self, begins: Mapping[str, int], settled: Mapping[str, int]) -> Writes:
        """Every row was restored: reads them, and gives what may not have left before.

        Args:
            begins: for each source topic, the offset of the record that `apply` gets next.
            settled: for each source topic, the offset before which all that a record asked for is known to
                have left. What a row awaits is sent again if a later record has changed it.

        Raises:
            BadRow: a row cannot be read. The partition must not be worked on.
        """
        self._next.update({topic: begins[topic] for topic in self._next})
        self._durable.update(self._next)
        for row in self.rows.read(lambda row: self._restored(row, settled)):
            self._job_again(row)
        self._unserved = {name: dict.fromkeys(reversed(ids)) for name, ids in self._unserved.items()}
        self._touched.update(dict.fromkeys(self._lanes.begin()))
        for plan in self.schedules.values():
            if self._in_doubt_plan(plan, settled):
                self._schedule_effects(schedule.outstanding(plan))
        return self._outbox.take()

    def _restored(self, row: JobRow, settled: Mapping[str, int]) -> bool:
        """Knows a row by what it waits for; True if what it awaits from the world may not have left."""
        self._lanes.restore(row)
        self._uniques.keep(None, row)
        self._keep_unserved(None, row)
        return self._in_doubt(row, settled)

    def _in_doubt(self, row: JobRow, settled: Mapping[str, int]) -> bool:
        """True if what the row awaits from the world may not have left."""
        topics = self._topics
        return (
            row.applied_requests >= settled[topics.requests]
            or row.applied_receipts >= settled[topics.receipts]
            or row.applied_timers >= settled[topics.timers]
            or row.applied_heartbeats >= settled[topics.heartbeats]
            or job.is_held(row)
        )

    def _in_doubt_plan(self, row: ScheduleRow, settled: Mapping[str, int]) -> bool:
        """The same of a schedule."""
        topics = self._topics
        return (
            row.applied_requests >= settled[topics.requests]
            or row.applied_schedules >= settled[topics.schedules]
            or row.applied_timers >= settled[topics.timers]
        )

    def _job_again(self, row: JobRow) -> None:
        """Sends what a job awaits once more, and tells its end once more."""
        if job.is_held(row):  # a tick dispatches it, when the queue takes jobs again
            self._hold(row)
            return
        if row.ended_at_ms is not None:
            self._outbox.end_again(row)
        at_ms = row.dispatched_at_ms or row.ended_at_ms or 0
        self._job_effects(row, job.outstanding(row), at_ms, again=True)

    def confirmed(self, topic: str, offset: int) -> None:
        """All that records of a source topic before this offset led to is in the log."""
        self._durable[topic] = max(self._durable[topic], offset)

    def next_due_ms(self) -> int | None:
        """When a tick is wanted, epoch ms; None: nothing wants one."""
        if self._served or any(map(self._takes_jobs, self._held)):
            return 0
        return self.rows.dues.next_ms()

    def is_minion_next(self) -> bool:
        """True if what is due next is about a job that a minion may have: before that is decided, all that it
        wrote must have been applied.
        """
        kind, id = split(self.rows.dues.first() or SCHEDULE_ROW)
        return kind == JOB_ROW and self.jobs.phase_of(id) in OFFERED

    def unserved(self) -> dict[tuple[str, str], int]:
        """How many jobs wait since no minion has their function, by queue and function."""
        return {named: len(ids) for named, ids in self._unserved.items()}

    def positions(self) -> Mapping[str, int]:
        """The offset of the record that comes next, by source topic."""
        return self._next

    # Records.

    def apply(self, record: Record) -> Writes:
        """What one record does. Records of one topic come in the order of their offsets; one that came before
        does nothing.

        Raises:
            KeyError: the record's topic is no source.
        """
        if record.offset < self._next[record.topic]:
            return NOTHING
        self.rows.at(record.timestamp_ms)
        self._guarded(record, None, partial(self._apply[record.topic], record))
        if self._served:
            self._offer_served(record)
        if self._touched:
            self._open_lanes(record)
        self._next[record.topic] = record.offset + 1
        return self._outbox.take()

    def _takes_jobs(self, queue: str) -> bool:
        """True if jobs of the queue may be dispatched: it exists, and is not paused."""
        return self._queues.exists(queue) and not self.rows.config.paused(queue)

    def _hold(self, row: JobRow) -> None:
        """Notes a ready job that may not be dispatched now, and asks for its queue if there is none."""
        if not self._queues.exists(row.spec.queue):
            self._queues.want(row.spec.queue)
        self._held.setdefault(row.spec.queue, {})[row.spec.id] = None

    def _guarded(self, record: Record, id: str | None, act: Callable[[], object]) -> None:
        """Does something for a record; what goes wrong is refused instead, and leaves nothing half done.

        Rows are kept as the last thing of every act, so none is changed by an act that failed.
        """
        mark = self._outbox.mark()
        try:
            act()
        except Undecodable as error:
            self._outbox.rewind(mark)
            self._refuse_undecodable(record, error)
        except Exception:  # noqa: BLE001  a fault of ours must end neither the worker nor in a loop
            self._outbox.rewind(mark)
            trace = traceback.format_exc()[-defaults.ERROR_TRACE_CHARS_MAX :]
            self._refuse(
                record, Rejection(RejectCode.FAULT, f"the service failed on this record: {trace}"), id
            )

    # Requests and commands.

    def _on_request(self, record: Record) -> None:
        event = decode(_value(record, "request"), (JobRequest, Command, ConfigChanged))
        if isinstance(event, Command):
            self._on_command(record, event)
        elif isinstance(event, ConfigChanged):
            self._on_config(record, event)
        elif event.schedule is not None:
            self._on_schedule_request(record, event)
        else:
            self._on_job_request(record, event)

    def _on_job_request(self, record: Record, request: JobRequest) -> None:
        request = _with_trace(request, record)
        position, said = _position(record), self.rows.config
        spec = admission.admit(request, record.key, position, self._topics.partitions, said)
        if isinstance(spec, Rejection):
            self._refuse_job(record, request, spec, request.id, request.key)
        elif spec.partition != self.number:
            self._route(record, replace(request, id=spec.id, key=spec.key), spec.id, spec.key, spec.partition)
        elif spec.id not in self.jobs and not self._queues.has_room(spec.queue):
            self._refuse_job(record, request, _queues_full(spec.queue), spec.id, spec.key)
        else:
            refusal = self._submit(record, request, spec)
            if refusal is not None:
                self._refuse_job(record, request, refusal, spec.id, spec.key)

    def _refuse_job(
        self, record: Record, request: JobRequest, refusal: Rejection, id: str | None, key: str | None
    ) -> None:
        """Refuses a request; the schedule that fired it, if one did, does not wait for its end."""
        self._refuse_request(record, refusal, id, key)
        if request.scheduled_by is not None and id is not None and id not in self.jobs:
            self._outbox.report(records.refusal_command(request.scheduled_by, id, refusal))

    def _submit(self, record: Record, request: JobRequest, spec: JobSpec) -> Rejection | None:
        """A new job, or one that exists; where its queue has key order, as a member of its lane."""
        policy = self.rows.config.lane(spec.queue, self._queues.lane_policy(spec.queue))
        if policy is not None:
            if PRIORITIES[request.priority or Priority.NORMAL] != defaults.PRIORITY:
                return _no_priority(spec)
            spec = replace(spec, lane=policy, priority=Priority.NORMAL)
        replaced = None
        if request.unique is not None and spec.id not in self.jobs:
            unique = read_unique(request.unique)
            found = self._same(spec, unique, record.timestamp_ms)
            if found is not None and not (unique.then == Then.REPLACE and found.phase in REPLACEABLE):
                self._outbox.duplicate(spec, found, record.timestamp_ms)
                return None
            replaced = None if found is None else self._cancel_for(record, spec, found.spec.id)
        turn, after = True, None
        if policy is not None:  # now that one that is replaced has left the lane
            turn, after = self._lanes.turn((spec.queue, spec.key))
        event = Submitted(record.timestamp_ms, Source.REQUESTS, record.offset, spec, turn, replaced)
        args = request.args if spec.args_apart else None
        return self._job_event(spec.id, event, args, after)

    def _same(self, spec: JobSpec, unique: Unique, at_ms: int) -> JobRow | None:
        """The job that stands in the way of a new one that is unique; None: none does."""
        assert spec.unique is not None, "a unique job has a unique key"
        id = self._uniques.holder((spec.key, spec.unique), unique, at_ms)
        return None if id is None else self.jobs[id]

    def _cancel_for(self, record: Record, spec: JobSpec, id: str) -> str:
        """Cancels a job that waits for the new one that replaces it; gives its id."""
        place = _place(record, Source.REQUESTS)
        refusal = self._job_event(id, CancelAsked(*place, id, f"replaced by {spec.id}"))
        assert refusal is None, f"a job that waits can be cancelled: {refusal}"
        return id

    def _on_command(self, record: Record, command: Command) -> None:
        address = admission.address(command, record.key, _position(record), self._topics.partitions)
        if isinstance(address, Rejection):
            self._refuse_request(record, address, command.id, command.key)
        elif command.command in SCHEDULE_COMMANDS:
            self._on_schedule_command(record, command)
        elif command.command not in set(CommandName):
            words = ", ".join(CommandName)
            reason = f"command must be one of {words}, got {command.command!r:.100}"
            self._refuse_request(record, Rejection(RejectCode.BAD_FIELD, reason), address.id, address.key)
        else:
            self._on_job_command(record, command, address)

    def _on_job_command(self, record: Record, command: Command, address: admission.Address) -> None:
        keyed = command.key is not None or bool(record.key)
        row = self.jobs.get(command.id)
        if row is None and (target := self._elsewhere(record, address, keyed=keyed)) is not None:
            self._outbox.route(record, command, address.key if keyed else None, target)
            return
        key = address.key if keyed or row is None else row.spec.key
        refusal: Rejection | None
        if row is not None and row.spec.key != key:
            reason = f"{command.command} refused: job {command.id} is not known with the key {key}"
            refusal = Rejection(RejectCode.UNKNOWN_JOB, reason)
        else:
            refusal = self._job_event(command.id, commands.to_job(command, _place(record, Source.REQUESTS)))
        if refusal is not None:
            self._refuse_request(record, refusal, command.id, key)

    def _elsewhere(self, record: Record, address: admission.Address, *, keyed: bool) -> int | None:
        """Where else the job of a command may be, None if nowhere: with a key at its home; without one at
        each of the likely homes of the id, one after the other.
        """
        if keyed:
            target = None if record.routed_from is not None else address.partition
            return None if target == self.number else target
        homes = likely_homes(address.id, self._topics.partitions)
        if record.routed_from is not None:
            homes = homes[homes.index(self.number) + 1 :] if self.number in homes else ()
        return next((partition for partition in homes if partition != self.number), None)

    # Settings.

    def _on_config(self, record: Record, event: ConfigChanged) -> None:
        """An operator's word about a queue or a function, as a worker hands it to each of its partitions.

        A pause holds what is ready from then on; its end lets the next ticks dispatch what was held.
        """
        if event.value is not None:
            entry = decode(event.value, (QueueConfig, FunctionConfig))
            refusal = config.check(event.entry, entry)
            if refusal is not None:
                self._refuse(record, refusal, None)
                return
        row = config.step(self.rows.configs.get(event.entry), event, record.offset)
        if row is not None:
            self._outbox.config_row(row)
            self.rows.keep_config(row)

    # Schedules.

    def _on_schedule(self, record: Record) -> None:
        """What people write to the topic of schedules, which is compacted: the key is the schedule's id."""
        id = _schedule_id(record)
        if record.value is None:
            self._on_schedule_command(record, Command(command=CommandName.REMOVE_SCHEDULE, id=id))
            return
        written = decode(record.value, (Schedule,))
        if written.id != id:
            reason = f"the record's key must be the id of the schedule, got {id!r} and {written.id!r}"
            self._refuse(record, Rejection(RejectCode.KEY_CONFLICT, reason), written.id)
        elif (partition := home(id, self._topics.partitions)) != self.number:
            self._outbox.route(record, _as_request(written), None, partition)
        else:
            self._put_schedule(record, Source.SCHEDULES, written)

    def _on_schedule_request(self, record: Record, request: JobRequest) -> None:
        written = schedule_rule.from_request(request, record.key, _position(record), self._topics.partitions)
        if isinstance(written, Rejection):
            self._refuse_request(record, written, request.id, request.key)
            return
        partition = home(written.id, self._topics.partitions)
        if partition != self.number:
            key = written.key or written.id
            self._route(record, replace(request, key=key), written.id, key, partition)
        else:
            self._put_schedule(record, Source.REQUESTS, written)

    def _put_schedule(self, record: Record, source: Source, written: Schedule) -> None:
        refusal: Rejection | None
        if self._queues.has_room(written.queue):
            event = SchedulePut(*_place(record, source), written, self.number)
            refusal = self._schedule_event(written.id, event)
        else:
            refusal = _queues_full(written.queue)
        if refusal is not None:
            self._refuse_request(record, refusal, written.id, written.id)  # told at the home of the id

    def _on_schedule_command(self, record: Record, command: Command) -> None:
        """A command about a schedule, or a tombstone in the topic of schedules, which removes it."""
        partition = home(command.id, self._topics.partitions)
        if partition != self.number:
            self._route(record, command, command.id, command.id, partition)
            return
        source = Source.SCHEDULES if record.topic == self._topics.schedules else Source.REQUESTS
        refusal = self._schedule_event(command.id, commands.to_schedule(command, _place(record, source)))
        if refusal is not None:
            self._refuse_request(record, refusal, command.id, command.id)

    # What relays tell.

    def _on_receipt(self, record: Record) -> None:
        receipt = decode(_value(record, "receipt"), (Receipt,))
        refusal = self._check_partition("receipt", receipt.partition)
        if refusal is None:
            event = Ended(record.timestamp_ms, Source.RECEIPTS, record.offset, receipt)
            refusal = self._job_event(receipt.job, event)
        if refusal is not None:
            self._refuse(record, refusal, receipt.job)

    def _on_heartbeat(self, record: Record) -> None:
        heartbeat = decode(_value(record, "heartbeat"), (Heartbeat, Announcement))
        if isinstance(heartbeat, Announcement):
            self._on_announcement(record, heartbeat)
            return
        refusal = self._check_partition("heartbeat", heartbeat.partition)
        if refusal is not None:
            self._refuse(record, refusal, None)
            return
        refused: list[tuple[str, Rejection]] = []
        for beat in heartbeat.beats:
            event = Beaten(
                record.timestamp_ms,
                Source.HEARTBEATS,
                record.offset,
                beat,
                heartbeat.relay,
                heartbeat.at_ms,
            )

            def act(event: Beaten = event) -> None:
                refusal = self._job_event(event.beat.job, event)
                if refusal is not None and event.beat.kind != BeatKind.ALIVE:  # those repeat every second
                    refused.append((event.beat.job, refusal))

            self._guarded(record, beat.job, act)
        if refused:
            id, refusal = refused[0]
            others = f" ({len(refused) - 1} more beats of this record are refused too)" if refused[1:] else ""
            self._refuse(record, Rejection(refusal.code, refusal.reason + others), id)

    def _on_announcement(self, record: Record, announcement: Announcement) -> None:
        """Functions have a minion: the jobs that waited for one are offered. Limits are for people."""
        refusal = self._check_partition("announcement", announcement.partition)
        if refusal is not None:
            self._refuse(record, refusal, None)
            return
        self._limits.pop(announcement.queue, None)
        if announcement.limits:
            self._limits[announcement.queue] = record.timestamp_ms, frozenset(announcement.limits)
        if self._unserved:
            for function in announcement.functions:
                self._served.update(self._unserved.get((announcement.queue, function), ()))

    def limits(self, queue: str, now_ms: int) -> frozenset[str]:
        """The limits of relays that jobs of a queue wait for, as far as that was told lately; for people."""
        told_ms, limits = self._limits.get(queue, (0, frozenset[str]()))
        return limits if now_ms - told_ms <= LIMITS_TOLD_MS else frozenset()

    def _offer_served(self, record: Record) -> None:
        """Offers jobs that have a minion now: so many, the rest at the next ticks."""
        for id in list(islice(self._served, WOKEN_PER_RECORD_MAX)):
            del self._served[id]
            if id in self.jobs:
                event = Served(record.timestamp_ms, self._sources[record.topic], record.offset)
                self._guarded(record, id, partial(self._opening, id, event, None))

    def _keep_unserved(self, before: JobRow | None, after: JobRow | None) -> None:
        """Knows which jobs wait for which function."""
        if before is not None and before.wait_reason == WaitReason.UNSERVED:
            named = (before.spec.queue, before.spec.function)
            waiting = self._unserved.get(named, {})
            waiting.pop(before.spec.id, None)
            if not waiting:
                self._unserved.pop(named, None)
        if after is not None and after.wait_reason == WaitReason.UNSERVED:
            self._unserved.setdefault((after.spec.queue, after.spec.function), {})[after.spec.id] = None

    # Lanes.

    def _open_lanes(self, record: Record) -> None:
        """Dispatches the jobs whose turn has come by what the record did."""
        while self._touched:
            name = next(iter(self._touched))
            opening = self._lanes.opening(name)
            if opening is None:
                del self._touched[name]
                continue
            id, after = opening
            event = TurnCame(record.timestamp_ms, self._sources[record.topic], record.offset)
            before = self.jobs[id]
            self._guarded(record, id, partial(self._opening, id, event, after))
            if self.jobs.get(id) is before:  # it failed: the lane is tried again when something happens in it
                del self._touched[name]

    def _opening(self, id: str, event: TurnCame | Served, after: Predecessor | None) -> None:
        refusal = self._job_event(id, event, after_whom=after)
        assert refusal is None, f"a job is opened only while it waits: {refusal}"

    def _in_lane(self, before: JobRow | None, after: JobRow, predecessor: Predecessor | None) -> JobRow:
        """The row with its place in its lane, and behind whom it is dispatched."""
        self._touched[after.spec.queue, after.spec.key] = None
        row = self._lanes.placed(after)
        if before is None or before.epoch != row.epoch:
            job_before, epoch_before = predecessor or (None, None)
            row = replace(row, after_job=job_before, after_epoch=epoch_before)
        return row

    def _check_partition(self, what: str, partition: int) -> Rejection | None:
        if partition == self.number:
            return None
        reason = f"a {what} must be in the partition that it names, got {partition} in {self.number}"
        return Rejection(RejectCode.BAD_FIELD, reason)

    # Time.

    def _on_tick(self, record: Record) -> None:
        tick = decode(_value(record, "tick"), (Tick,))
        refusal = self._check_partition("tick", tick.partition)
        if refusal is not None:
            self._refuse(record, refusal, None)
            return
        self.latest_tick = tick
        if self._unheard:
            self._reprieve_all(record)
        heard = (
            self._next[self._topics.receipts] >= tick.receipts_end
            and self._next[self._topics.heartbeats] >= tick.heartbeats_end
        )
        self._decide_dues(record, heard=heard)
        self._dispatch_held(record)

    def _dispatch_held(self, record: Record) -> None:
        """Queues may have come into being, or be paused no more: the jobs that were held for them are
        dispatched, so many at a tick. The tick is noted in their rows, so that they are in doubt until all of
        it has left.
        """
        left = DUES_PER_TICK_MAX
        for queue in [queue for queue in self._held if self._takes_jobs(queue)]:
            held = self._held[queue]
            while held and left > 0:
                id = next(iter(held))
                del held[id]
                row = self.jobs.get(id)
                if row is not None and job.is_held(row):
                    left -= 1
                    self._guarded(record, id, partial(self._dispatch_late, row, record))
            if not held:
                del self._held[queue]

    def _dispatch_late(self, row: JobRow, record: Record) -> None:
        after = job.released(row, record.timestamp_ms, record.offset)
        self._outbox.job_row(after)
        self._outbox.dispatch(after, self.rows.args(after), early=False)
        self.rows.keep_job(row.spec.id, after)

    def _reprieve_all(self, record: Record) -> None:
        """Nobody listened until now: every lease gets one more heartbeat timeout."""
        self._unheard = False
        for id in self.jobs.in_phase(Phase.LEASED):
            event = Restored(record.timestamp_ms, Source.TIMERS, record.offset)
            self._guarded(record, id, partial(self._time_event, id, event))

    def _decide_dues(self, record: Record, *, heard: bool) -> None:
        """Decides what is due by the time of the tick: so many rows, the rest at the next tick.

        A row whose decision fails is not due any more, until something else happens to it.
        """
        self.duties.checked(record.timestamp_ms)
        decided = 0
        put_off: list[str] = []
        while decided < DUES_PER_TICK_MAX and (key := self.rows.dues.take(record.timestamp_ms)) is not None:
            act = self._due_act(key, record, heard=heard)
            if act is None:
                put_off.append(key)
            else:
                decided += 1
                self._guarded(record, split(key)[1], act)
        for key in put_off:
            self.rows.dues.put(key, self.rows.due_ms(key))

    def _due_act(self, key: str, record: Record, *, heard: bool) -> Callable[[], object] | None:
        """What time brings to a row at this tick; None if nothing yet: what its minion wrote may not have
        been applied, or this tick has brought it something already.
        """
        kind, id = split(key)
        at_ms, offset = record.timestamp_ms, record.offset
        if kind == SCHEDULE_ROW:
            fire = schedule.due(self.schedules[id], at_ms, offset=offset)
            return None if fire is None else partial(self._fire_event, id, fire)
        row = self.jobs[id]
        event = job.due(row, at_ms, offset=offset, heard=heard)
        if event is None:
            return None
        if isinstance(event, Silent) and self._was_outage(row, at_ms):
            event = Restored(at_ms, Source.TIMERS, offset)
        return partial(self._time_event, id, event)

    @staticmethod
    def _was_outage(row: JobRow, at_ms: int) -> bool:
        assert row.beat_at_ms is not None, "a leased job was heard of"
        return at_ms - (row.beat_at_ms + row.spec.heartbeat_timeout_ms) > OUTAGE_MS

    def _time_event(self, id: str, event: TimeEvent) -> None:
        refusal = self._job_event(id, event)
        assert refusal is None, f"time never asks for what is refused: {refusal}"
        self.duties.did(event, event.at_ms)

    def _fire_event(self, id: str, event: ScheduleEvent) -> None:
        self._schedule_event(id, event)
        self.duties.did(None, event.at_ms)

    # Rows.

    def _job_event(
        self, id: str, event: Event, args: bytes | None = None, after_whom: Predecessor | None = None
    ) -> Rejection | None:
        """Steps a job, and puts into the outbox what that asks for; a rejection changes nothing.

        Args:
            id: the job's.
            event: what happened to it.
            args: arguments of a new job that lie in a row of their own.
            after_whom: in a lane, who must succeed before a dispatch that this event makes may run.
        """
        before = self.jobs.get(id)
        step = job.step(before, event)
        if isinstance(step, Rejection):
            return step
        after = step.job
        if after is not None and after.spec.lane is not None:
            after = self._in_lane(before, after, after_whom)
        if step.effects:
            assert after is not None, "a job that is no more asks for nothing"
            if args is not None and before is None:
                self.rows.keep_args(id, args)
            after = self._job_effects(
                after,
                step.effects,
                event.at_ms,
                again=not step.facts,
                early=self._may_leave_early(before, event, after),
            )
        value = None
        if step.durable:
            value = self._write_job(id, before, after, args)
            for fact in step.facts:
                self._outbox.fact(before, fact, after)
        if after is not before:
            self._keep(id, before, after, value)
        return None

    def _may_leave_early(self, before: JobRow | None, event: Event, after: JobRow) -> bool:
        """True if the job's dispatch may leave before its row is durable.

        That of a new job, if its request alone decides it: after a crash it is read again before any word of
        a minion, and leads to the same dispatch. And that of a job whose time has come, if its row is in the
        log as it was before: whatever is read first after a crash, that row says what a word about its next
        epoch means (see `core.job`).
        """
        if after.spec.lane is not None:
            return False
        if before is None:
            return after.spec.unique is None
        return isinstance(event, Due) and not self._in_doubt(before, self._durable)

    def _keep(self, id: str, before: JobRow | None, after: JobRow | None, value: bytes | None) -> None:
        self.rows.keep_job(id, after, value)
        self._keep_unserved(before, after)
        self._uniques.keep(before, after)
        self._lanes.keep(before, after)

    def _write_job(
        self, id: str, before: JobRow | None, after: JobRow | None, args: bytes | None
    ) -> bytes | None:
        """Puts the row into the outbox; gives what is written for it."""
        if after is None:
            self._outbox.no_row(JOB_ROW + id)
            if before is not None and before.spec.args_apart:
                self._outbox.no_row(ARGS_ROW + id)
            return None
        if args is not None and before is None:
            self.rows.keep_args(id, args)
            self._outbox.args_row(id, args)  # first: a row in the log is never without them
        return self._outbox.job_row(after)

    def _job_effects(
        self, row: JobRow, effects: tuple[Effect, ...], at_ms: int, *, again: bool, early: bool = False
    ) -> JobRow:
        """Puts the effects into the outbox. The row says so if its dispatch has to wait for its queue.

        Args:
            row: the job.
            effects: what it asks of the world.
            at_ms: when it asked.
            again: it has asked before; what was decided then is not decided anew.
            early: its dispatch may leave before its row is durable.
        """
        for effect in effects:
            match effect:
                case DispatchJob():
                    row = self._dispatch(row, again=again, early=early)
                case TellRelays():
                    self._outbox.call_off(row, effect, at_ms)
                case WriteDeadLetter():
                    self._outbox.dead_letter(row, self.rows.args(row))
                case TellSchedule():
                    report = records.report_command(row)
                    self._outbox.ask(report, report.id)
                case Submit() | Ask():
                    raise AssertionError(f"a job asks for no other, got {effect}")
        return row

    def _dispatch(self, row: JobRow, *, again: bool, early: bool) -> JobRow:
        if job.is_held(row):  # a replay: the job is dispatched when its queue takes jobs
            return row
        queue = row.spec.queue
        if self._takes_jobs(queue) or (again and self._queues.exists(queue)):
            self._outbox.dispatch(row, self.rows.args(row), early=early)
            return row
        self._hold(row)
        return job.held(row, WaitReason.PAUSED if self.rows.config.paused(queue) else WaitReason.QUEUE)

    def _schedule_event(self, id: str, event: ScheduleEvent) -> Rejection | None:
        """Steps a schedule, and puts into the outbox what that asks for; a rejection changes nothing."""
        before = self.schedules.get(id)
        step = schedule.step(before, event)
        if isinstance(step, Rejection):
            return step
        after = step.row
        if step.durable:
            if after is None:
                self._outbox.no_row(SCHEDULE_ROW + id)
            else:
                self._outbox.schedule_row(after)
            for fact in step.facts:
                self._outbox.schedule_fact(before, fact, after)
        self._schedule_effects(step.effects)
        self.rows.keep_schedule(id, after)
        return None

    def _schedule_effects(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Submit(request):
                    self._outbox.submit(request)
                case Ask(command):
                    self._outbox.ask(command, command.key or command.id)
                case _:
                    raise AssertionError(f"a schedule asks for jobs alone, got {effect}")

    # Saying no.

    def _route(self, record: Record, event: JobRequest | Command, id: str, key: str, partition: int) -> None:
        """Sends a record to its home; one that was sent already and is still elsewhere is refused, not sent
        again.
        """
        if record.routed_from is None:
            self._outbox.route(record, event, key, partition)
            return
        reason = (
            f"a record that was routed must have arrived home, got key {key} of partition {partition}"
            f" in {self.number}"
        )
        self._refuse_request(record, Rejection(RejectCode.KEY_CONFLICT, reason), id, key)

    def _refuse_undecodable(self, record: Record, error: Undecodable) -> None:
        rejection = Rejection(error.code, error.sentence)
        if record.topic == self._topics.requests:
            self._refuse_request(record, rejection, error.id, None)
        else:
            self._refuse(record, rejection, error.id)

    def _refuse_request(self, record: Record, rejection: Rejection, id: str | None, key: str | None) -> None:
        """Refuses what a client wrote; the client is told if it gave an id by which it can know its own."""
        self._refuse(record, rejection, id)
        if id is None:
            return
        key = key or (record.key or b"").decode(errors="replace") or id
        try:
            check_id(id)
            check_key(key)
        except BadName:
            return
        self._outbox.tell_refused(record, rejection, id, key, self.jobs.get(id))

    def _refuse(self, record: Record, rejection: Rejection, id: str | None) -> None:
        self.refused += 1
        self._outbox.reject(record, rejection, id)


def _position(record: Record) -> Position:
    return Position(record.topic, record.partition, record.offset, record.timestamp_ms)


def _place(record: Record, source: Source) -> commands.Place:
    return record.timestamp_ms, source, record.offset


def _value(record: Record, what: str) -> bytes:
    if record.value is None:
        raise Undecodable(RejectCode.UNDECODABLE, f"a {what} must have a value, got none")
    return record.value


def _schedule_id(record: Record) -> str:
    """The id that a record of the topic of schedules is about."""
    id = (record.key or b"").decode(errors="replace")
    try:
        check_id(id)
    except BadName as error:
        raise Undecodable(
            RejectCode.BAD_NAME, f"the record's key must be the id of the schedule: {error}"
        ) from error
    return id


def _as_request(written: Schedule) -> JobRequest:
    """A schedule in the form that can be written to another partition: people alone write to the topic of
    schedules.
    """
    carried = schedule_rule.fired_fields(written)
    return JobRequest(id=written.id, key=written.key, schedule=rule_json(written), **carried)


def _with_trace(request: JobRequest, record: Record) -> JobRequest:
    """The request with the trace context of its record's headers, unless it brings its own."""
    if request.trace is None:
        for name, value in record.headers:
            if name == TRACEPARENT:
                return replace(request, trace=value.decode(errors="replace")[: defaults.TRACE_CHARS_MAX])
    return request


def _no_priority(spec: JobSpec) -> Rejection:
    reason = f"priority must be left out in queue {spec.queue}, whose jobs run in order, got {spec.priority}"
    return Rejection(RejectCode.BAD_FIELD, reason)


def _queues_full(queue: str) -> Rejection:
    reason = f"queue must be one of the {defaults.QUEUES_MAX} that exist, since no more are made, got {queue}"
    return Rejection(RejectCode.QUEUES_FULL, reason)
