"""The life of a schedule: a recurring request, whose fires are requests of their own.

The same shape as `job`: events, facts, a fold, effects, and the time as data. A schedule has no phases,
only a next fire.

**Fires** are derived from the expression and the fire before, never from the time at which the machine
looks: late ticks move nothing. A fire is a JobRequest `<schedule>@<fire time>`; since its id is derived and
admission is insert-if-absent, a fire that is sent twice runs once.

**Catching up.** After an outage, fires missed by no more than the catch-up window happen, in order; older
ones are counted as missed and told. A step handles at most `CATCHUP_FIRES_MAX` times; the next is due at
once.

**A change** of the expression, the zone or the pause starts anew from the time of the change: nothing is
caught up for a time when the schedule was paused or another one. Any other change keeps the next fire.

**Replays.** The row remembers the fires of its latest step, which is what a crash may have lost.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, assert_never

from schemas import defaults
from schemas.events import JobRequest, Schedule, ScheduleRow
from schemas.limits import BARE
from schemas.names import BadName, check_id
from schemas.records import replace
from schemas.words import RejectCode
from streams.core import admission, cron
from streams.core.effect import Effect, Submit
from streams.core.events import APPLIED, Occurrence, RemoveAsked, Source
from streams.core.facts import Change
from streams.core.rejection import Rejection

FIRE_TIME = "%Y-%m-%dT%H:%M:%SZ"
FIRE_ID_CHARS = len("@0000-00-00T00:00:00Z")
"""How much longer the id of a fire is than that of its schedule."""

ID_CHARS_MAX = defaults.NAME_CHARS_MAX - FIRE_ID_CHARS

FIRED = ("function", "queue", "args", "content_type", "timeout_ms", "attempts_max")
"""What each fire takes over from its schedule, beside the key."""

CARRIED = frozenset({*FIRED, "id", "key", "schedule", "trace"})
"""What a request with a schedule may say; the rest would be lost, so it is refused."""

WRITTEN = ("cron", "timezone", "key", "catchup_window_ms", "paused", "note", *FIRED)
"""What another version of a schedule replaces in its row."""

RULE = {"cron": str, "timezone": str, "catchup_window_ms": int, "paused": bool, "note": str}
"""The fields of a request's schedule rule and their types."""


# What can happen to a schedule.


@dataclass(frozen=True, slots=True)
class SchedulePut(Occurrence):
    """Someone wrote a schedule: a new one, or another version of one that exists."""

    schedule: Schedule
    partition: int


@dataclass(frozen=True, slots=True)
class FireDue(Occurrence):
    """The next fire's time has come."""


ScheduleEvent = SchedulePut | RemoveAsked | FireDue


# What has happened.


@dataclass(frozen=True, slots=True)
class ScheduleSaved(Change):
    """The schedule is in force as written."""

    schedule: Schedule
    partition: int
    next_fire_at_ms: int | None


@dataclass(frozen=True, slots=True)
class ScheduleMissed(Change):
    """So many fires were missed by more than the catch-up window, and will not happen."""

    count: int
    next_fire_at_ms: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class ScheduleFired(Change):
    """These times fired."""

    times_ms: tuple[int, ...]
    next_fire_at_ms: int | None


@dataclass(frozen=True, slots=True)
class ScheduleRemoved(Change):
    """The schedule is no more; jobs that it fired go on."""


ScheduleFact = ScheduleSaved | ScheduleFired | ScheduleMissed | ScheduleRemoved


@dataclass(frozen=True, slots=True)
class ScheduleStep:
    """What one event did: as `job.Step`."""

    row: ScheduleRow | None
    facts: tuple[ScheduleFact, ...]
    effects: tuple[Effect, ...]
    durable: bool


def step(row: ScheduleRow | None, event: ScheduleEvent) -> ScheduleStep | Rejection:
    """What the event does to the schedule. A replay changes nothing and brings the latest fires back."""
    if row is not None and is_applied(row, event.source, event.offset):
        return ScheduleStep(row, (), outstanding(row), durable=False)
    facts = decide(row, event)
    if isinstance(facts, Rejection):
        return facts
    for fact in facts:
        row = evolve(row, fact)
    found = outstanding(row) if row is not None else ()
    return ScheduleStep(row, facts, found, durable=bool(facts))


def is_applied(row: ScheduleRow, source: Source, offset: int) -> bool:
    """True if the row has seen this record of the source, or a later one."""
    applied: int = getattr(row, APPLIED[source])
    return offset <= applied


def decide(row: ScheduleRow | None, event: ScheduleEvent) -> tuple[ScheduleFact, ...] | Rejection:
    """What the event does to the schedule, or why it does nothing. Reads only."""
    match event:
        case SchedulePut():
            return _put(row, event)
        case RemoveAsked():
            if row is None:
                reason = f"schedule {event.schedule} is not known in this partition"
                return Rejection(RejectCode.UNKNOWN_SCHEDULE, f"removal refused: {reason}")
            return (ScheduleRemoved(event.at_ms, event.source, event.offset),)
        case FireDue():
            return _fire_due(row, event)
        case _:
            assert_never(event)


def _put(row: ScheduleRow | None, event: SchedulePut) -> tuple[ScheduleFact, ...] | Rejection:
    schedule = event.schedule
    if refusal := _refusal(schedule, event.at_ms):
        return refusal
    if schedule.paused:
        next_ms = None
    elif row is not None and (row.cron, row.timezone, row.paused) == (
        schedule.cron,
        schedule.timezone,
        False,
    ):
        next_ms = row.next_fire_at_ms
    else:
        next_ms = next(cron.read(schedule.cron, schedule.timezone).after(event.at_ms), None)
    return (ScheduleSaved(event.at_ms, event.source, event.offset, schedule, event.partition, next_ms),)


def _refusal(schedule: Schedule, at_ms: int) -> Rejection | None:
    """Why a schedule cannot be in force; None if it can. Its fires must be requests that are admitted."""
    try:
        check_id(schedule.id)
    except BadName as error:
        return Rejection(RejectCode.BAD_NAME, str(error))
    if len(schedule.id) > ID_CHARS_MAX:
        reason = f"id of a schedule must be at most {ID_CHARS_MAX} characters, got {len(schedule.id)}"
        return Rejection(RejectCode.BAD_NAME, reason)
    fire = admission.admit(
        _fire(_row(schedule, 0, at_ms), at_ms), None, admission.Position("", 0, 0, at_ms), 1
    )
    if isinstance(fire, Rejection):
        return fire
    try:
        cron.read(schedule.cron, schedule.timezone)
    except cron.BadCron as error:
        return Rejection(RejectCode.BAD_SCHEDULE, str(error))
    window_ms = schedule.catchup_window_ms
    least_ms, most_ms = defaults.CATCHUP_WINDOW_MS_MIN, defaults.CATCHUP_WINDOW_MS_MAX
    if window_ms is not None and not least_ms <= window_ms <= most_ms:
        reason = f"catchup_window_ms must be from {least_ms} to {most_ms}, got {window_ms}"
        return Rejection(RejectCode.BAD_SCHEDULE, reason)
    if schedule.note is not None and len(schedule.note) > defaults.NOTE_CHARS_MAX:
        reason = f"note must be at most {defaults.NOTE_CHARS_MAX} characters, got {len(schedule.note)}"
        return Rejection(RejectCode.BAD_SCHEDULE, reason)
    return None


def _fire_due(row: ScheduleRow | None, event: FireDue) -> tuple[ScheduleFact, ...] | Rejection:
    if row is None:
        return Rejection(
            RejectCode.UNKNOWN_SCHEDULE, "fire refused: its schedule is not known in this partition"
        )
    if row.next_fire_at_ms is None or row.next_fire_at_ms > event.at_ms:
        reason = f"fire of schedule {row.id} refused at {event.at_ms} ms: the next is {row.next_fire_at_ms}"
        return Rejection(RejectCode.NOT_NOW, reason)
    at = (event.at_ms, event.source, event.offset)
    try:
        times_ms, next_ms = _come(row, row.next_fire_at_ms, event.at_ms)
    except cron.BadCron as error:  # it was good when it was saved: this machine knows other zones
        return (ScheduleMissed(*at, 1, None, f"the schedule has stopped: {error}"),)
    missed = sum(time_ms < event.at_ms - row.catchup_window_ms for time_ms in times_ms)
    found: list[ScheduleFact] = []
    if missed:
        reason = f"missed by more than the catch-up window of {row.catchup_window_ms} ms"
        found.append(ScheduleMissed(*at, missed, next_ms, reason))
    if fired_ms := times_ms[missed:]:
        found.append(ScheduleFired(*at, fired_ms, next_ms))
    return tuple(found)


def _come(row: ScheduleRow, first_ms: int, at_ms: int) -> tuple[tuple[int, ...], int | None]:
    """The fire times that have come, at most so many as one step handles, and the one after them."""
    times = chain((first_ms,), cron.read(row.cron, row.timezone).after(first_ms))
    come: list[int] = []
    next_ms = next(times, None)
    while next_ms is not None and next_ms <= at_ms and len(come) < defaults.CATCHUP_FIRES_MAX:
        come.append(next_ms)
        next_ms = next(times, None)
    return tuple(come), next_ms


def evolve(row: ScheduleRow | None, fact: ScheduleFact) -> ScheduleRow | None:
    """The row after the fact; None: there is no schedule any more."""
    applied = {APPLIED[fact.source]: fact.offset}
    if isinstance(fact, ScheduleSaved):
        saved = _row(fact.schedule, fact.partition, fact.at_ms)
        if row is not None:
            saved = replace(row, **{name: vars(saved)[name] for name in WRITTEN}, fired=())
        return replace(saved, next_fire_at_ms=fact.next_fire_at_ms, **applied)
    assert row is not None, f"{type(fact).__name__} needs a schedule"
    match fact:
        case ScheduleFired():
            return replace(
                row,
                fired=fact.times_ms,
                fires=row.fires + len(fact.times_ms),
                next_fire_at_ms=fact.next_fire_at_ms,
                **applied,
            )
        case ScheduleMissed():
            return replace(
                row, fired=(), missed=row.missed + fact.count, next_fire_at_ms=fact.next_fire_at_ms, **applied
            )
        case ScheduleRemoved():
            return None
        case _:
            assert_never(fact)


def outstanding(row: ScheduleRow) -> tuple[Effect, ...]:
    """The requests of the latest fires, from the row alone: the effects of the step that made it, and what
    is sent again after a crash.
    """
    return tuple(Submit(_fire(row, time_ms)) for time_ms in row.fired)


def next_due_ms(row: ScheduleRow) -> int | None:
    """When time brings something to the schedule, epoch ms; None: never, as it stands."""
    return row.next_fire_at_ms


def due(row: ScheduleRow, at_ms: int, *, offset: int) -> FireDue | None:
    """What time has brought to the schedule by `at_ms`, broker's time of the tick at that offset; at most
    one event for each tick.
    """
    if row.next_fire_at_ms is None or row.next_fire_at_ms > at_ms or is_applied(row, Source.TIMERS, offset):
        return None
    return FireDue(at_ms, Source.TIMERS, offset)


def fire_id(schedule: str, time_ms: int) -> str:
    """The id of a schedule's fire at this time, epoch ms: the same whoever derives it."""
    return f"{schedule}@{datetime.fromtimestamp(time_ms // 1000, UTC).strftime(FIRE_TIME)}"


def from_request(
    request: JobRequest, record_key: bytes | None, position: admission.Position, partitions: int
) -> Schedule | Rejection:
    """The schedule that a request with a `schedule` rule asks for: its fires are the request without the
    rule.

    The request's id is the schedule's, so it must have one. What a fire would not carry is refused by name.
    """
    assert request.schedule is not None, "only a request with a schedule makes one"
    if request.id is None:
        return Rejection(RejectCode.BAD_SCHEDULE, "a request with a schedule must have an id: the schedule's")
    if lost := [name for name, value in vars(request).items() if name not in CARRIED and value != BARE[name]]:
        reason = f"a request with a schedule cannot have {', '.join(lost)}: a fire would not carry it"
        return Rejection(RejectCode.BAD_SCHEDULE, reason)
    spec = admission.admit(replace(request, schedule=None), record_key, position, partitions)
    rule = _rule(request.schedule)
    if isinstance(spec, Rejection):
        return spec
    if isinstance(rule, str):
        return Rejection(RejectCode.BAD_SCHEDULE, rule)
    carried = {name: getattr(request, name) for name in FIRED}
    return Schedule(id=spec.id, key=spec.key, **carried, **rule)


def _rule(text: str) -> dict[str, Any] | str:
    """The fields of a schedule rule, or a sentence that says what is wrong with it."""
    try:
        rule = json.loads(text)
    except (ValueError, RecursionError):
        rule = None
    if not isinstance(rule, dict):
        return f'schedule must be a JSON object such as {{"cron": "0 3 * * *"}}, got {text[:100]!r}'
    if unknown := sorted(rule.keys() - RULE.keys()):
        return f"schedule must have only the fields {', '.join(RULE)}, got {', '.join(unknown)[:100]}"
    if "cron" not in rule:
        return "schedule must have a cron expression, got none"
    for name, value in rule.items():
        if type(value) is not RULE[name]:  # exactly: true is no number
            return f"schedule.{name} must be {RULE[name].__name__}, got {str(value)[:100]!r}"
    return rule


def _row(schedule: Schedule, partition: int, at_ms: int) -> ScheduleRow:
    """The row of a new schedule, with every default filled in and nothing to come."""
    return ScheduleRow(
        id=schedule.id,
        partition=partition,
        key=schedule.id if schedule.key is None else schedule.key,
        cron=schedule.cron,
        timezone=schedule.timezone,
        catchup_window_ms=(
            defaults.CATCHUP_WINDOW_MS if schedule.catchup_window_ms is None else schedule.catchup_window_ms
        ),
        paused=schedule.paused,
        note=schedule.note,
        created_at_ms=at_ms,
        fires=0,
        missed=0,
        applied_requests=-1,
        applied_schedules=-1,
        applied_timers=-1,
        **{name: getattr(schedule, name) for name in FIRED},
    )


def _fire(row: ScheduleRow, time_ms: int) -> JobRequest:
    """The request of one fire."""
    fired = {name: getattr(row, name) for name in FIRED}
    return JobRequest(id=fire_id(row.id, time_ms), key=row.key, scheduled_by=row.id, **fired)
