"""What the fires of a schedule are called: `<schedule>@<fire time>`, the same whoever derives it.

The time is RFC 3339 in UTC: to the second for a fire of the schedule's own, to the millisecond for one that
somebody triggered, whose time is no whole second (`trigger_time_ms`). So two fires never share a name.
"""

from datetime import UTC, datetime

from schemas import defaults
from schemas.times import parse_time

FIRE_TIME = "%Y-%m-%dT%H:%M:%S"
FIRE_ID_CHARS = len("@0000-00-00T00:00:00.000Z")
"""How much longer the id of a fire may be than that of its schedule."""

ID_CHARS_MAX = defaults.NAME_CHARS_MAX - FIRE_ID_CHARS


def fire_id(schedule: str, time_ms: int) -> str:
    """The id of the job of a schedule's fire at this time, epoch ms."""
    second = datetime.fromtimestamp(time_ms // 1000, UTC).strftime(FIRE_TIME)
    return f"{schedule}@{second}.{time_ms % 1000:03}Z" if is_triggered(time_ms) else f"{schedule}@{second}Z"


def fire_time_ms(schedule: str, job: str) -> int | None:
    """The time of the fire that a job is of, epoch ms; None if it is none of this schedule."""
    if not job.startswith(f"{schedule}@"):
        return None
    try:
        return parse_time(job[len(schedule) + 1 :])
    except ValueError:
        return None


def is_triggered(time_ms: int) -> bool:
    """True for the time of a fire that somebody triggered."""
    return time_ms % 1000 != 0


def trigger_time_ms(at_ms: int, latest_ms: int | None) -> int:
    """The time of a fire that is triggered now: one that no other fire has.

    Args:
        at_ms: now, epoch ms.
        latest_ms: the time of the fire triggered last.
    """
    time_ms = at_ms if latest_ms is None else max(at_ms, latest_ms + 1)
    return time_ms if is_triggered(time_ms) else time_ms + 1
