"""From what people write to a schedule in force: defaults, limits, the row of a new schedule; or a sentence
that says no and names the field.

Reads only what was written and the row that is there. Knows nothing of fires that happened.
"""

from typing import Any

from schemas import defaults
from schemas.events import JobRequest, Schedule, ScheduleRow
from schemas.limits import BARE
from schemas.names import BadName, check_id
from schemas.records import replace
from schemas.requests import schedule_rule
from schemas.undecodable import Undecodable
from schemas.words import Overlap, RejectCode
from streams.core import admission, fires
from streams.core.cron import BadCron
from streams.core.rejection import Rejection
from streams.core.schedule_names import ID_CHARS_MAX, fire_id

FIRED = (
    *("function", "queue", "args", "content_type", "timeout_ms", "attempts_max"),
    *("heartbeat_timeout_ms", "expected_ms", "deadline_ms", "expires_after_ms", "priority", "tags"),
    *("retry_kind", "retry_initial_ms", "retry_factor", "retry_cap_ms", "retry_jitter", "lost_max"),
    *("non_retryable", "retention_ms", "result_retention_ms"),
)
"""What each fire takes over from its schedule, beside the key."""

CARRIED = frozenset({*FIRED, "id", "key", "schedule", "trace"})
"""What a request with a schedule may say; the rest would be lost, so it is refused."""

TIMES = ("cron", "crons", "excluded", "timezone", "start_at_ms", "end_at_ms", "jitter_ms")
"""What says when a schedule fires: another version with another of these begins anew."""

WRITTEN = (
    *("key", *FIRED, *TIMES),
    *("catchup_window_ms", "overlap", "runs_max", "pause_on_failure", "paused", "note", "declared_by"),
)
"""What another version of a schedule replaces in its row."""


def refusal(schedule: Schedule, row: ScheduleRow | None, at_ms: int) -> Rejection | None:
    """Why a schedule cannot be in force; None if it can. Its fires must be requests that are admitted."""
    try:
        check_id(schedule.id)
    except BadName as error:
        return Rejection(RejectCode.BAD_NAME, str(error))
    if len(schedule.id) > ID_CHARS_MAX:
        reason = f"id of a schedule must be at most {ID_CHARS_MAX} characters, got {len(schedule.id)}"
        return Rejection(RejectCode.BAD_NAME, reason)
    fire = admission.admit(
        fire_request(new_row(schedule, 0, at_ms), at_ms), None, admission.Position("", 0, 0, at_ms), 1
    )
    if isinstance(fire, Rejection):
        return fire
    try:
        plan = fires.read(schedule)
        if row is None or not same_times(schedule, row):  # one that has ended may be written again
            fires.check(plan, at_ms)
    except BadCron as error:
        return Rejection(RejectCode.BAD_SCHEDULE, str(error))
    if wrong := _wrong(schedule):
        return Rejection(RejectCode.BAD_SCHEDULE, wrong)
    return None


def _wrong(schedule: Schedule) -> str | None:
    """What is outside its limits, as a sentence."""
    for name, found, least, most in (
        (
            "catchup_window_ms",
            schedule.catchup_window_ms,
            defaults.CATCHUP_WINDOW_MS_MIN,
            defaults.CATCHUP_WINDOW_MS_MAX,
        ),
        ("runs_max", schedule.runs_max, 1, defaults.RUNS_MAX_MAX),
    ):
        if found is not None and not least <= found <= most:
            return f"{name} must be from {least} to {most}, got {found}"
    for name, text in (("note", schedule.note), ("declared_by", schedule.declared_by)):
        if text is not None and len(text) > defaults.NOTE_CHARS_MAX:
            return f"{name} must be at most {defaults.NOTE_CHARS_MAX} characters, got {len(text)}"
    if schedule.overlap is not None and schedule.overlap not in set(Overlap):
        return f"overlap must be one of {', '.join(Overlap)}, got {schedule.overlap!r:.100}"
    return None


def same_times(schedule: Schedule, row: ScheduleRow) -> bool:
    """True if the schedule fires when the row says."""
    return all(getattr(schedule, name) == getattr(row, name) for name in TIMES)


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
    if isinstance(spec, Rejection):
        return spec
    try:
        rule = schedule_rule(request.schedule)
    except Undecodable as refused:
        return Rejection(RejectCode.BAD_SCHEDULE, refused.sentence)
    carried = {name: getattr(request, name) or None for name in ("tags", "non_retryable")}
    carried = {name: getattr(request, name) for name in FIRED} | carried
    return Schedule(id=spec.id, key=spec.key, **carried, **rule)


def new_row(schedule: Schedule, partition: int, at_ms: int) -> ScheduleRow:
    """The row of a new schedule, with every default filled in and nothing to come."""
    written: dict[str, Any] = {name: getattr(schedule, name) for name in WRITTEN}
    if schedule.key is None:
        written["key"] = schedule.id
    if schedule.catchup_window_ms is None:
        written["catchup_window_ms"] = defaults.CATCHUP_WINDOW_MS
    if schedule.overlap is None:
        written["overlap"] = defaults.OVERLAP
    return ScheduleRow(
        id=schedule.id,
        partition=partition,
        created_at_ms=at_ms,
        fires=0,
        missed=0,
        applied_requests=-1,
        applied_schedules=-1,
        applied_timers=-1,
        **written,
    )


def fire_request(row: ScheduleRow, time_ms: int) -> JobRequest:
    """The request of one fire."""
    return JobRequest(id=fire_id(row.id, time_ms), key=row.key, scheduled_by=row.id, **fired_fields(row))


def fired_fields(written: Schedule | ScheduleRow) -> dict[str, Any]:
    """What a schedule says of its jobs, as fields of a request."""
    return {name: found for name in FIRED if (found := getattr(written, name)) is not None}
