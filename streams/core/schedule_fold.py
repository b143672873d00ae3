"""The row of a schedule after a fact: the fold of `schedule`. Decides nothing, and cannot say no.

Owns the history in the row: the last `SCHEDULE_HISTORY_MAX` lines of what became of its fires and of itself.
All of them are in the topic of facts.
"""

from typing import Any, assert_never

from schemas import defaults
from schemas.events import Happening, ScheduleRow
from schemas.records import replace
from schemas.words import FactKind, Phase
from streams.core.events import APPLIED
from streams.core.schedule_facts import (
    BackfillAdvanced,
    FireFact,
    ScheduleAdvanced,
    ScheduleBackfilling,
    ScheduleBuffered,
    ScheduleDropped,
    ScheduleFact,
    ScheduleFired,
    ScheduleJobEnded,
    ScheduleMissed,
    ScheduleOrphaned,
    SchedulePaused,
    ScheduleRemoved,
    ScheduleResumed,
    ScheduleSaved,
    ScheduleSkipped,
    ScheduleStopping,
    TurnFact,
)
from streams.core.schedule_names import is_triggered
from streams.core.schedule_rule import WRITTEN, new_row

KINDS: dict[type[ScheduleFact], FactKind] = {
    ScheduleSaved: FactKind.SCHEDULE_SAVED,
    ScheduleFired: FactKind.SCHEDULE_FIRED,
    ScheduleMissed: FactKind.SCHEDULE_MISSED,
    ScheduleSkipped: FactKind.SCHEDULE_SKIPPED,
    ScheduleBuffered: FactKind.SCHEDULE_BUFFERED,
    ScheduleDropped: FactKind.SCHEDULE_DROPPED,
    SchedulePaused: FactKind.SCHEDULE_PAUSED,
    ScheduleResumed: FactKind.SCHEDULE_RESUMED,
    ScheduleBackfilling: FactKind.SCHEDULE_BACKFILLING,
    ScheduleOrphaned: FactKind.SCHEDULE_ORPHANED,
    ScheduleRemoved: FactKind.SCHEDULE_REMOVED,
}
"""The word of each fact that is told; the others are not."""

COUNTED_AS: dict[str, str] = {Phase.SUCCEEDED: "succeeded", Phase.CANCELLED: "cancelled"}
"""By which counter the end of a job is counted; all others are failures."""

LISTED = frozenset({FactKind.SCHEDULE_SKIPPED, FactKind.SCHEDULE_MISSED})
"""What is one line of the history, however often it happens in a row for the same reason."""


def evolve(row: ScheduleRow | None, fact: ScheduleFact) -> ScheduleRow | None:
    """The row after the fact; None: there is no schedule any more."""
    if isinstance(fact, ScheduleRemoved):
        return None
    applied = {APPLIED[fact.source]: fact.offset}
    if isinstance(fact, ScheduleSaved):
        return _noted(replace(_saved(row, fact), **applied), fact)
    assert row is not None, f"{type(fact).__name__} needs a schedule"
    return _noted(replace(row, **_changed(row, fact), **applied), fact)


def _saved(row: ScheduleRow | None, fact: ScheduleSaved) -> ScheduleRow:
    saved = new_row(fact.schedule, fact.partition, fact.at_ms)
    if row is not None:
        kept = {} if row.key == saved.key else {"running": None, "stopping": None}  # they live elsewhere
        runs = row.runs if row.runs_max == saved.runs_max else None
        written = {name: getattr(saved, name) for name in WRITTEN}
        saved = replace(row, **written, **kept, runs=runs, fired=(), orphaned_at_ms=None)
    note = row.pause_note if row is not None and row.paused and fact.paused else None
    return replace(
        saved,
        paused=fact.paused,
        pause_note=note,
        next_fire_at_ms=fact.next_fire_at_ms,
        next_due_at_ms=fact.next_due_at_ms,
    )


def _changed(row: ScheduleRow, fact: TurnFact) -> dict[str, Any]:  # one case for each fact
    match fact:
        case ScheduleFired() | ScheduleMissed() | ScheduleSkipped() | ScheduleBuffered() | ScheduleDropped():
            return _fires(row, fact)
        case ScheduleAdvanced():
            return {"next_fire_at_ms": fact.next_fire_at_ms, "next_due_at_ms": fact.next_due_at_ms}
        case ScheduleStopping():
            stopping = (*(row.stopping or ()), *fact.times_ms)[-defaults.SCHEDULE_RUNNING_MAX :]
            return {"stopping": stopping} | ({"running": None} if fact.terminated else {})
        case ScheduleJobEnded():
            counter = COUNTED_AS.get(fact.phase, "failed")
            return {
                "running": _without(row.running, (fact.time_ms,)),
                "stopping": _without(row.stopping, (fact.time_ms,)),
                counter: (getattr(row, counter) or 0) + 1,
            }
        case SchedulePaused():
            return {
                "paused": True,
                "pause_note": fact.reason,
                "next_fire_at_ms": None,
                "next_due_at_ms": None,
            }
        case ScheduleResumed():
            return {"paused": False, "pause_note": None}
        case ScheduleBackfilling():
            return {
                "backfill_at_ms": fact.since_at_ms,
                "backfill_until_ms": fact.until_at_ms,
                "backfill_overlap": fact.overlap,
            }
        case BackfillAdvanced():
            over = {"backfill_until_ms": None, "backfill_overlap": None} if fact.at_ms_done is None else {}
            return {"backfill_at_ms": fact.at_ms_done} | over
        case ScheduleOrphaned():
            return {"orphaned_at_ms": fact.at_ms}
        case _:
            assert_never(fact)


def _fires(row: ScheduleRow, fact: FireFact) -> dict[str, Any]:
    times_ms, count = fact.times_ms, len(fact.times_ms)
    triggered = max((time_ms for time_ms in times_ms if is_triggered(time_ms)), default=0)
    latest = {"triggered_at_ms": max(row.triggered_at_ms or 0, triggered)} if triggered else {}
    match fact:
        case ScheduleFired():
            return latest | {
                "fired": times_ms,
                "fires": row.fires + count,
                "runs": (row.runs or 0) + fact.counted,
                "running": (*(row.running or ()), *times_ms)[-defaults.SCHEDULE_RUNNING_MAX :],
                "buffer": _without(row.buffer, times_ms),
            }
        case ScheduleMissed():
            return {"missed": row.missed + count}
        case ScheduleSkipped():
            return latest | {"skipped": (row.skipped or 0) + count}
        case ScheduleBuffered():
            return latest | {"buffer": (*(row.buffer or ()), *times_ms)}
        case ScheduleDropped():
            return latest | {
                "buffer": _without(row.buffer, times_ms),
                "dropped": (row.dropped or 0) + count,
            }
        case _:
            assert_never(fact)


def _without(times_ms: tuple[int, ...] | None, gone_ms: tuple[int, ...]) -> tuple[int, ...] | None:
    """The times that are left; None for none, which takes one byte of the row."""
    gone = frozenset(gone_ms)
    return tuple(time_ms for time_ms in times_ms or () if time_ms not in gone) or None


def _noted(row: ScheduleRow, fact: ScheduleFact) -> ScheduleRow:
    """The row with the fact in its history."""
    what = KINDS.get(type(fact))
    if what is None:
        return row
    happening = Happening(at_ms=fact.at_ms, what=what, reason=reason_of(row, fact))
    history = row.history or ()
    if isinstance(fact, FireFact):
        first_ms, last_ms, fires = fact.times_ms[0], fact.times_ms[-1], len(fact.times_ms)
        before = history[-1] if history else None
        if what in LISTED and before is not None and (before.what, before.reason) == (what, fact.reason):
            first_ms, fires = before.fire_at_ms or first_ms, fires + (before.fires or 0)
            history = history[:-1]
        happening = replace(happening, fire_at_ms=first_ms, fire_until_ms=last_ms, fires=fires)
    return replace(row, history=(*history, happening)[-defaults.SCHEDULE_HISTORY_MAX :])


def reason_of(row: ScheduleRow, fact: ScheduleFact) -> str | None:
    """Why, as a sentence, where there is more to say than the fact's name does."""
    match fact:
        case ScheduleFired() | ScheduleMissed() | ScheduleSkipped() | ScheduleBuffered() | ScheduleDropped():
            return fact.reason
        case SchedulePaused() | ScheduleResumed() | ScheduleBackfilling() | ScheduleOrphaned():
            return fact.reason
        case ScheduleSaved():
            named = "; ".join((*((row.cron,) if row.cron else ()), *(row.crons or ())))
            return f"{named} in {row.timezone}" + (", paused" if row.paused else "")
        case _:
            return None
