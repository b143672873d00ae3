"""The life of a schedule: a recurring request, whose fires are requests of their own.

The same shape as `job`: events, facts (`schedule_facts`), a fold (`schedule_fold`), effects, and the time as
data. A schedule has no phases, only a next fire, and jobs whose end it awaits.

**Fires** are derived from the plan (`fires`) and the fire before, never from the time at which the machine
looks: late ticks move nothing. A fire is a JobRequest `<schedule>@<fire time>`; since its id is derived and
admission is insert-if-absent, a fire that is sent twice runs once.

**Overlap.** Every job of a schedule reports its end to it (`JobEnded`), from whatever partition. What becomes
of a fire before that is the policy's to say (`overlap`).

**Catching up.** After an outage, fires missed by no more than the catch-up window happen, in order and by the
overlap policy; older ones are missed, and told. A step handles at most `CATCHUP_FIRES_MAX` times; the next is
due at once.

**A change** of the times or the pause starts anew from the time of the change: nothing is caught up for a
time when the schedule was paused or another one. Any other change keeps the next fire. A declaration in code
leaves a pause as it is: who deploys does not know why somebody paused.

**By hand.** A triggered fire happens at once, and a backfill makes up for a range of fires; both also while
the schedule is paused, and neither counts against `runs_max`.

**Replays.** The row holds every fire whose job has not reported its end: asking for all of them again is what
a crash may have made necessary, and does no harm else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, takewhile
from typing import assert_never

from schemas import defaults
from schemas.events import Command, Schedule, ScheduleRow
from schemas.times import format_time
from schemas.words import CommandName, Overlap, Phase, RejectCode
from streams.core import fires
from streams.core.cron import BadCron
from streams.core.effect import Ask, Effect, Submit
from streams.core.events import APPLIED, Occurrence, RemoveAsked, Source
from streams.core.fires import Plan
from streams.core.overlap import Placing
from streams.core.rejection import Rejection
from streams.core.schedule_facts import (
    BackfillAdvanced,
    BackfillAsked,
    BackfillDue,
    FireDue,
    JobEnded,
    OrphanAsked,
    PauseAsked,
    ResumeAsked,
    ScheduleAdvanced,
    ScheduleBackfilling,
    ScheduleEvent,
    ScheduleFact,
    ScheduleFired,
    ScheduleJobEnded,
    ScheduleOrphaned,
    SchedulePaused,
    SchedulePut,
    ScheduleRemoved,
    ScheduleResumed,
    ScheduleSaved,
    ScheduleStopping,
    TriggerAsked,
)
from streams.core.schedule_fold import evolve
from streams.core.schedule_names import fire_id, fire_time_ms, trigger_time_ms
from streams.core.schedule_rule import fire_request, refusal, same_times

Decision = tuple[ScheduleFact, ...] | Rejection

SUCCESSES = frozenset({Phase.SUCCEEDED, Phase.CANCELLED})
"""Ends of a job after which a schedule that pauses on failure goes on."""

BACKFILL_OVERLAPS = (Overlap.BUFFER_ALL, Overlap.ALLOW_ALL)
"""One after the other, or all at once: the others would leave out what was asked for."""


@dataclass(frozen=True, slots=True)
class ScheduleStep:
    """What one event did: as `job.Step`."""

    row: ScheduleRow | None
    facts: tuple[ScheduleFact, ...]
    effects: tuple[Effect, ...]
    durable: bool


def step(row: ScheduleRow | None, event: ScheduleEvent) -> ScheduleStep | Rejection:
    """What the event does to the schedule. A replay changes nothing, and brings back what it awaits."""
    if row is not None and is_applied(row, event.source, event.offset):
        return ScheduleStep(row, (), outstanding(row), durable=False)
    facts = decide(row, event)
    if isinstance(facts, Rejection):
        return facts
    found: tuple[Effect, ...] = ()
    for fact in facts:
        found += effects(row, fact)
        row = evolve(row, fact)
    return ScheduleStep(row, facts, found, durable=bool(facts))


def is_applied(row: ScheduleRow, source: Source, offset: int) -> bool:
    """True if the row has seen this record of the source, or a later one."""
    applied: int = getattr(row, APPLIED[source])
    return offset <= applied


def decide(row: ScheduleRow | None, event: ScheduleEvent) -> Decision:  # noqa: C901  # one line for each event
    """What the event does to the schedule, or why it does nothing. Reads only."""
    if isinstance(event, SchedulePut):
        return _put(row, event)
    if isinstance(event, JobEnded):
        return () if row is None else _job_ended(row, event)  # its job may outlive a schedule
    if row is None:
        return _unknown(event)
    match event:
        case FireDue():
            return _fire_due(row, event)
        case BackfillDue():
            return _backfill_due(row, event)
        case PauseAsked():
            return _pause(row, event, event.note or "paused on request")
        case ResumeAsked():
            return _resume(row, event)
        case TriggerAsked():
            return _trigger(row, event)
        case BackfillAsked():
            return _backfill(row, event)
        case OrphanAsked():
            return _orphan(row, event)
        case RemoveAsked():
            return (ScheduleRemoved(*_place(event)),)
        case _:
            assert_never(event)


def _unknown(event: ScheduleEvent) -> Rejection:
    what = {RemoveAsked: "removal", FireDue: "fire", BackfillDue: "backfill"}.get(type(event), "command")
    name = getattr(event, "schedule", None)
    found = "its schedule" if name is None else f"schedule {name}"
    reason = f"{what} refused: {found} is not known in this partition"
    return Rejection(RejectCode.UNKNOWN_SCHEDULE, reason)


def _put(row: ScheduleRow | None, event: SchedulePut) -> Decision:
    schedule = event.schedule
    if refused := refusal(schedule, row, event.at_ms):
        return refused
    declared = row is not None and schedule.declared_by is not None
    paused = row.paused if row is not None and declared else schedule.paused
    next_ms, due_ms = _after_put(row, schedule, event.at_ms, paused=paused)
    saved = ScheduleSaved(*_place(event), schedule, event.partition, paused, next_ms, due_ms)
    if row is None or not paused:
        return (saved,)
    placing = Placing(row, event)
    placing.drop(placing.buffer, "the schedule was paused")
    return (*placing.facts, saved)


def _after_put(
    row: ScheduleRow | None, schedule: Schedule, at_ms: int, *, paused: bool
) -> tuple[int | None, int | None]:
    """The next fire of a schedule that was written: the same, if nothing about its times has changed."""
    if paused:
        return None, None
    if row is not None:
        if not row.paused and same_times(schedule, row) and row.next_fire_at_ms is not None:
            return row.next_fire_at_ms, row.next_due_at_ms
        if row.runs_max == schedule.runs_max and _used_up(row):
            return None, None
    return _next(fires.read(schedule), at_ms)


def _next(plan: Plan, after_ms: int) -> tuple[int | None, int | None]:
    """The first fire after a time, and when it is due if that is later."""
    return _due_of(plan, next(plan.after(after_ms), None))


def _due_of(plan: Plan, time_ms: int | None) -> tuple[int | None, int | None]:
    if time_ms is None or not plan.jitter_ms:
        return time_ms, None
    return time_ms, plan.due_ms(time_ms)


def _used_up(row: ScheduleRow) -> bool:
    return row.runs_max is not None and (row.runs or 0) >= row.runs_max


# Time.


def _fire_due(row: ScheduleRow, event: FireDue) -> Decision:
    due_at_ms = _due_at_ms(row)
    if row.next_fire_at_ms is None or due_at_ms is None or due_at_ms > event.at_ms:
        reason = f"fire of schedule {row.id} refused at {event.at_ms} ms: the next is due at {due_at_ms}"
        return Rejection(RejectCode.NOT_NOW, reason)
    placing = Placing(row, event)
    try:
        plan = fires.read(row)
        times_ms, next_ms = _come(plan, row.next_fire_at_ms, event.at_ms)
    except BadCron as error:  # it was good when it was saved: this machine knows other zones
        placing.miss([row.next_fire_at_ms], f"the schedule has stopped: {error}")
        return (*placing.facts, ScheduleAdvanced(*_place(event), None, None))
    late = [time_ms for time_ms in times_ms if plan.due_ms(time_ms) < event.at_ms - row.catchup_window_ms]
    placing.miss(late, f"missed by more than the catch-up window of {row.catchup_window_ms} ms")
    for time_ms in times_ms[len(late) :]:
        if placing.used_up:
            break
        placing.place(time_ms, _policy(row))
    following = (None, None) if placing.used_up else _due_of(plan, next_ms)
    return (*placing.facts, ScheduleAdvanced(*_place(event), *following))


def _come(plan: Plan, first_ms: int, at_ms: int) -> tuple[tuple[int, ...], int | None]:
    """The fire times that have come, at most so many as one step handles, and the one after them."""
    times = chain((first_ms,), plan.after(first_ms))
    come: list[int] = []
    next_ms = next(times, None)
    while next_ms is not None and plan.due_ms(next_ms) <= at_ms and len(come) < defaults.CATCHUP_FIRES_MAX:
        come.append(next_ms)
        next_ms = next(times, None)
    return tuple(come), next_ms


def _policy(row: ScheduleRow) -> Overlap:
    return Overlap(row.overlap or defaults.OVERLAP)


def _job_ended(row: ScheduleRow, event: JobEnded) -> Decision:
    """A job that is not awaited is none of ours, or has reported before."""
    time_ms = fire_time_ms(row.id, event.job)
    if time_ms is None or time_ms not in {*(row.running or ()), *(row.stopping or ())}:
        return ()
    ended = ScheduleJobEnded(*_place(event), time_ms, event.phase)
    if row.pause_on_failure and not row.paused and event.phase not in SUCCESSES:
        why = f": {event.reason}" if event.reason else ""
        note = f"paused by itself, since {event.job} ended as {event.phase}{why}"
        return (ended, *_pause(row, event, note[: defaults.NOTE_CHARS_MAX], backfill=False))
    placing = Placing(row, event)
    placing.ended(time_ms)
    placing.release()
    return (ended, *_with_backfill(row, event, placing))


# By hand.


def _pause(
    row: ScheduleRow, event: Occurrence, note: str, *, backfill: bool = True
) -> tuple[ScheduleFact, ...]:
    """The schedule pauses, and what waited is given up: the backfill too, if a failure is why."""
    placing = Placing(row, event)
    placing.drop(placing.buffer, "the schedule was paused")
    over = () if backfill or row.backfill_at_ms is None else (BackfillAdvanced(*_place(event), None),)
    return (*placing.facts, *over, SchedulePaused(*_place(event), note))


def _resume(row: ScheduleRow, event: ResumeAsked) -> Decision:
    if not row.paused:
        reason = f"resume of schedule {row.id} refused: it is not paused"
        return Rejection(RejectCode.NOT_NOW, reason)
    following = (None, None) if _used_up(row) else _next(fires.read(row), event.at_ms)
    resumed = ScheduleResumed(*_place(event), event.note or "resumed on request")
    return (resumed, ScheduleAdvanced(*_place(event), *following))


def _trigger(row: ScheduleRow, event: TriggerAsked) -> Decision:
    if event.overlap is not None and event.overlap not in set(Overlap):
        reason = f"overlap must be one of {', '.join(Overlap)}, got {event.overlap!r:.100}"
        return Rejection(RejectCode.BAD_FIELD, reason)
    policy = _policy(row) if event.overlap is None else Overlap(event.overlap)
    placing = Placing(row, event)
    time_ms = trigger_time_ms(event.at_ms, row.triggered_at_ms)
    placing.place(time_ms, policy, f"triggered: {event.reason}" if event.reason else "triggered")
    return tuple(placing.facts)


def _backfill(row: ScheduleRow, event: BackfillAsked) -> Decision:
    if row.backfill_until_ms is not None:
        until = format_time(row.backfill_until_ms)
        reason = f"backfill of schedule {row.id} refused: one until {until} is under way"
        return Rejection(RejectCode.NOT_NOW, reason)
    overlap = event.overlap or Overlap.BUFFER_ALL
    if overlap not in BACKFILL_OVERLAPS:
        words = " or ".join(BACKFILL_OVERLAPS)
        return Rejection(RejectCode.BAD_FIELD, f"overlap of a backfill must be {words}, got {overlap!r:.100}")
    since_ms, until_ms = event.since_at_ms, event.until_at_ms
    if since_ms is None or until_ms is None or not 0 <= since_ms < until_ms <= event.at_ms:
        reason = f"since and until of a backfill must be two times of the past in order, got {since_ms} and"
        return Rejection(RejectCode.BAD_TIME, f"{reason} {until_ms} at {event.at_ms}")
    plan = fires.read(row)
    count = sum(1 for _ in _range(plan, since_ms, until_ms, defaults.BACKFILL_FIRES_MAX + 1))
    if not 1 <= count <= defaults.BACKFILL_FIRES_MAX:
        found = f"more than {defaults.BACKFILL_FIRES_MAX}" if count else "none"
        between = f"from since {format_time(since_ms)} to until {format_time(until_ms)}"
        reason = f"a backfill must be 1 to {defaults.BACKFILL_FIRES_MAX} fires, got {found} {between}"
        return Rejection(RejectCode.BAD_FIELD, reason)
    why = f"{count} fires after {format_time(since_ms)} until {format_time(until_ms)}, {overlap}"
    why += f": {event.reason}" if event.reason else ""
    begun = ScheduleBackfilling(*_place(event), since_ms, until_ms, Overlap(overlap), count, why)
    after = evolve(row, begun)
    assert after is not None, "a backfill drops no row"
    return (begun, *_with_backfill(after, event, Placing(after, event)))


def _backfill_due(row: ScheduleRow, event: BackfillDue) -> Decision:
    if not _backfill_is_due(row):
        reason = f"backfill of schedule {row.id} refused: there is nothing to do for it now"
        return Rejection(RejectCode.NOT_NOW, reason)
    return _with_backfill(row, event, Placing(row, event))


def _backfill_is_due(row: ScheduleRow) -> bool:
    return row.backfill_at_ms is not None and (row.backfill_overlap == Overlap.ALLOW_ALL or not row.running)


def _with_backfill(row: ScheduleRow, event: Occurrence, placing: Placing) -> tuple[ScheduleFact, ...]:
    """What was placed, and the fires of the backfill that there is room for."""
    if row.backfill_at_ms is None:
        return tuple(placing.facts)
    assert row.backfill_until_ms is not None, "a backfill has an end"
    together = row.backfill_overlap == Overlap.ALLOW_ALL
    room = defaults.CATCHUP_FIRES_MAX if together else int(not placing.running)
    if not room:
        return tuple(placing.facts)
    times = tuple(_range(fires.read(row), row.backfill_at_ms, row.backfill_until_ms, room + 1))
    for time_ms in times[:room]:
        placing.fire(time_ms, "backfilled", counts=False)
    done_ms = times[room - 1] if len(times) > room else None
    return (*placing.facts, BackfillAdvanced(*_place(event), done_ms))


def _range(plan: Plan, since_ms: int, until_ms: int, most: int) -> Iterator[int]:
    """The fire times after one time until another, at most so many."""
    return islice(takewhile(lambda time_ms: time_ms <= until_ms, plan.after(since_ms)), most)


def _orphan(row: ScheduleRow, event: OrphanAsked) -> Decision:
    if row.declared_by is None:
        reason = f"orphaning of schedule {row.id} refused: no code declared it"
        return Rejection(RejectCode.NOT_NOW, reason)
    if row.orphaned_at_ms is not None:
        return ()
    return (ScheduleOrphaned(*_place(event), event.reason or f"{row.declared_by} declares it no more"),)


def _place(event: Occurrence) -> tuple[int, Source, int]:
    """The time and place that a fact takes over from its event."""
    return event.at_ms, event.source, event.offset


# What the world must do.


def effects(row: ScheduleRow | None, fact: ScheduleFact) -> tuple[Effect, ...]:
    """What the world must do because of the fact; `row` is the schedule before it."""
    match fact:
        case ScheduleFired():
            assert row is not None, "what fires is there"
            return tuple(Submit(fire_request(row, time_ms)) for time_ms in fact.times_ms)
        case ScheduleStopping():
            assert row is not None, "what stops its jobs is there"
            return tuple(_stop(row, time_ms, terminate=fact.terminated) for time_ms in fact.times_ms)
        case _:
            return ()


def outstanding(row: ScheduleRow) -> tuple[Effect, ...]:
    """The requests of the fires whose end is awaited, and the words to those that shall end, from the row
    alone: never less than the effects of the step that made it, and what is sent again after a crash.
    """
    running, stopping = row.running or (), row.stopping or ()
    awaited = (*(time_ms for time_ms in stopping if time_ms not in running), *running)
    submits = tuple(Submit(fire_request(row, time_ms)) for time_ms in awaited)
    stops = tuple(_stop(row, time_ms, terminate=time_ms not in running) for time_ms in stopping)
    return (*submits, *stops)


def _stop(row: ScheduleRow, time_ms: int, *, terminate: bool) -> Ask:
    name = CommandName.TERMINATE if terminate else CommandName.CANCEL
    reason = "the next fire of its schedule has come"
    return Ask(Command(command=name, id=fire_id(row.id, time_ms), key=row.key, reason=reason, by=row.id))


def next_due_ms(row: ScheduleRow) -> int | None:
    """When time brings something to the schedule, epoch ms; None: never, as it stands."""
    return row.backfill_at_ms if _backfill_is_due(row) else _due_at_ms(row)


def _due_at_ms(row: ScheduleRow) -> int | None:
    return row.next_fire_at_ms if row.next_due_at_ms is None else row.next_due_at_ms


def due(row: ScheduleRow, at_ms: int, *, offset: int) -> FireDue | BackfillDue | None:
    """What time has brought to the schedule by `at_ms`, broker's time of the tick at that offset; at most
    one event for each tick.
    """
    if is_applied(row, Source.TIMERS, offset):
        return None
    due_at_ms = _due_at_ms(row)
    if due_at_ms is not None and due_at_ms <= at_ms:
        return FireDue(at_ms, Source.TIMERS, offset)
    return BackfillDue(at_ms, Source.TIMERS, offset) if _backfill_is_due(row) else None
