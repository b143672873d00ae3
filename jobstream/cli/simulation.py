"""The next fires of a schedule that need not exist, computed here with the code of the service.

Owns nothing but the way from what people typed, or from a status page, to that code; it writes nothing and
asks nobody.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import typer

from jobstream.schedules import Schedule
from schemas import events
from schemas.times import format_time, parse_time

ID = "simulated"


def of_flags(
    cron: Sequence[str],
    timezone: str,
    excluded: Sequence[str],
    start_at: datetime | None,
    end_at: datetime | None,
    jitter: float | None,
) -> events.Schedule:
    """The schedule that the flags of a verb describe."""
    rule = Schedule(
        cron, timezone=timezone, excluded=excluded, start_at=start_at, end_at=end_at, jitter=jitter
    )
    return events.Schedule(id=ID, function=ID, **rule.fields())


def of_page(page: dict[str, Any]) -> events.Schedule:
    """The schedule that a status page shows."""
    start_at, end_at = page["start_at"], page["end_at"]
    return events.Schedule(
        id=page["id"],
        function=page["function"],
        cron=page["cron"],
        crons=tuple(page["crons"]),
        excluded=tuple(page["excluded"]),
        timezone=page["timezone"],
        jitter_ms=page["jitter_ms"],
        start_at_ms=None if start_at is None else parse_time(start_at),
        end_at_ms=None if end_at is None else parse_time(end_at),
    )


def coming(schedule: events.Schedule, after: datetime, count: int) -> dict[str, Any]:
    """The next fires, ready for JSON.

    Raises:
        typer.BadParameter: The schedule is none, or the count.
    """
    from streams.core import fires
    from streams.core.cron import BadCron

    after_ms = round(after.timestamp() * 1000)
    try:
        plan = fires.read(schedule)
        fires.check(plan, after_ms)
        found = fires.simulate(plan, after_ms, count)
    except (BadCron, ValueError) as error:
        raise typer.BadParameter(str(error)) from None
    shown = [
        {
            "fire_at": format_time(each.time_ms),
            "due_at": format_time(each.due_ms),
            "local": each.wall.isoformat(),
            "marks": list(each.marks),
        }
        for each in found
    ]
    return {"fires": shown, "remarks": list(fires.remarks(plan))}
