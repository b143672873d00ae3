"""Schedules as records: what a client writes for one.

Pure: no Kafka, no clock. Whether an expression fires, and when, is the service's to say.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jobstream import schedules
from jobstream.errors import BadRequest
from jobstream.functions import Function, Submission, encode_args
from schemas.events import Schedule

CARRIED = (
    *("function", "queue", "content_type", "timeout_ms", "heartbeat_timeout_ms", "expected_ms"),
    *("deadline_ms", "expires_after_ms", "priority", "attempts_max", "lost_max", "retry_kind"),
    *("retry_initial_ms", "retry_factor", "retry_cap_ms", "retry_jitter"),
    *("retention_ms", "result_retention_ms"),
)
"""What each fire takes over from a submission as it is."""

NOT_CARRIED = ("id", "run_at_ms", "delay_ms", "expires_at_ms", "unique", "parent")
"""What is said of one job alone."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What became of the schedules that code declares."""

    declared: tuple[str, ...]
    """Ids of those that it declares: they are in force."""
    orphaned: tuple[str, ...]
    """Ids of those that it declared before and does not any more: they go on, and are shown so."""


def schedule_record(
    id: str, rule: schedules.Schedule, made: Submission, *, declared_by: str | None = None
) -> Schedule:
    """The record of a schedule whose fires are like a submission.

    Raises:
        BadRequest: A value of the wrong kind.
    """
    lost = [name for name in NOT_CARRIED if getattr(made, name) is not None]
    if lost:
        raise BadRequest(f"a schedule's jobs cannot have {', '.join(lost)}: a fire would not carry it")
    carried = {name: getattr(made, name) for name in CARRIED}
    return Schedule(
        id=id,
        key=rule.key if made.key is None else made.key,
        args=encode_args(made.args),
        tags=made.tags or None,
        non_retryable=made.non_retryable or None,
        declared_by=declared_by,
        **carried,
        **rule.fields(),
    )


def declared_records(functions: Iterable[Function[..., Any]], declared_by: str) -> list[Schedule]:
    """The records of the schedules that functions declare, by id.

    Raises:
        BadRequest: A value of the wrong kind, or two schedules of one id.
    """
    found: dict[str, Schedule] = {}
    for function in functions:
        for rule in function.schedules:
            id = rule.id or function.name
            if id in found:
                raise BadRequest(f"schedules must have ids of their own, got {id} twice in {declared_by}")
            made = _asked(function, rule.args)
            found[id] = schedule_record(id, rule, made, declared_by=declared_by)
    return list(found.values())


def _asked(function: Function[..., Any], args: Any) -> Submission:
    match args:
        case None:
            return function.request()
        case dict():
            return function.request(**args)
        case bytes():
            return function.request(args)
        case list() | tuple():
            return function.request(*args)
        case _:
            found = type(args).__name__
            raise BadRequest(f"args of a schedule must be a dict, a list or bytes, got {found}")
