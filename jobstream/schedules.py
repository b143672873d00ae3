"""A schedule as code says it: when a function runs by itself.

Owns the translation from what people type (durations, datetimes) to the fields of the Schedule record. Opens
no connection and decides nothing: the service checks what only it can know, such as an expression.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from jobstream.errors import BadRequest
from jobstream.times import Seconds, epoch_ms, milliseconds
from schemas import defaults
from schemas.words import Overlap

Overlaps = Literal["skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other", "allow_all"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a function runs by itself. Times in seconds, or as datetime and timedelta.

    Attributes:
        cron: An expression, or several: it fires at the times of any. Five fields, six with the second first,
            `@daily` and friends, or `@every 90m/5m`.
        timezone: IANA name of the zone in which the expressions are read.
        excluded: Expressions at whose times it does not fire.
        start_at: No fire before.
        end_at: No fire after.
        jitter: A fire is put off by up to so long.
        overlap: What happens to a fire while a job of an earlier one has not ended; `skip` if left out.
        catchup_window: A fire missed by less than this still happens.
        runs_max: So many fires, then no more.
        pause_on_failure: It pauses itself when a job of it dies.
        paused: No fires for now.
        note: Free words.
        id: Of the schedule; the name of its function if left out.
        key: Of its jobs; the id if left out.
        args: Of its jobs, as for submit.
    """

    cron: str | Sequence[str]
    timezone: str = defaults.TIMEZONE
    excluded: str | Sequence[str] = ()
    start_at: datetime | None = None
    end_at: datetime | None = None
    jitter: Seconds | None = None
    overlap: Overlaps | None = None
    catchup_window: Seconds | None = None
    runs_max: int | None = None
    pause_on_failure: bool = False
    paused: bool = False
    note: str | None = None
    id: str | None = None
    key: str | None = None
    args: Any = None

    def fields(self) -> dict[str, Any]:
        """What it says, as fields of the record; without the id, the key and the arguments.

        Raises:
            BadRequest: A value of the wrong kind.
        """
        crons, excluded = _texts("cron", self.cron), _texts("excluded", self.excluded)
        if not crons:
            raise BadRequest(f"cron must be one expression or more, got {self.cron!r}")
        if self.overlap is not None and self.overlap not in set(Overlap):
            raise BadRequest(f"overlap must be one of {', '.join(Overlap)}, got {self.overlap!r}")
        return {
            "cron": crons[0],
            "crons": crons[1:] or None,
            "timezone": self.timezone,
            "excluded": excluded or None,
            "start_at_ms": epoch_ms("start_at", self.start_at),
            "end_at_ms": epoch_ms("end_at", self.end_at),
            "jitter_ms": milliseconds("jitter", self.jitter),
            "overlap": self.overlap,
            "catchup_window_ms": milliseconds("catchup_window", self.catchup_window),
            "runs_max": self.runs_max,
            "pause_on_failure": self.pause_on_failure or None,
            "paused": self.paused,
            "note": self.note,
        }


def schedules_of(given: str | Schedule | Iterable[Schedule] | None) -> tuple[Schedule, ...]:
    """The schedules of a function, from any of the ways to say them, checked as far as code can.

    Raises:
        BadRequest: A value of the wrong kind.
    """
    if given is None:
        return ()
    if isinstance(given, str | Schedule):
        given = (given,) if isinstance(given, Schedule) else (Schedule(given),)
    found = tuple(given)
    for each in found:
        if not isinstance(each, Schedule):
            raise BadRequest(f"schedule must be an expression, a Schedule, or several of them, got {each!r}")
        each.fields()
    return found


def _texts(name: str, given: str | Sequence[str]) -> tuple[str, ...]:
    texts = (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(text, str) for text in texts):
        raise BadRequest(f"{name} must be one expression or several, got {given!r}")
    return texts
