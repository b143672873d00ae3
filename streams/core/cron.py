"""When a cron expression fires: an expression and a time zone, read once, then asked for the fires after
a time.

A wrapper of `cronsim` that never asks for the time, whose errors name the field and the value, and whose
fires grow strictly. The rules:

- Five fields (minute, hour, day of month, month, day of week) or six (second first), with names of months
  and days, ranges, lists and steps, `L` for the last day of the month, `LW` for its last weekday, `MON#2`
  for its second Monday, `5L` for its last Friday; or a macro (`@hourly` and friends).
- If neither day of month nor day of week begins with `*`, a day that matches either counts, as in Vixie
  cron.
- Daylight saving, as in Debian's cron: an expression of five fields with a fixed minute and hour fires once
  on every day, at the end of the gap if the clock skips its time, the first time if the clock shows it
  twice. All others (a wildcard in minute or hour, or six fields) follow the clock on the wall: a skipped
  time does not fire, a doubled one fires twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from schemas import defaults

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

MACHINE_ZONES = frozenset({"localtime", "posixrules", "Factory"})
"""Files beside the zones that mean another thing on each machine, or none."""

MACHINE_ZONE_FOLDERS = ("posix/", "right/")
"""Copies of the zones that not every machine has; one of them counts leap seconds."""


class BadCron(ValueError):
    """A cron expression or a time zone that cannot be used; says which, and the value found."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression in a time zone, known to be good."""

    expression: str
    """Five or six fields."""
    zone: ZoneInfo

    def after(self, at_ms: int) -> Iterator[int]:
        """The fires after this time, epoch ms, in order, each once; ends if there is none within 50 years."""
        last_ms = at_ms
        start = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(self.zone)
        for fire in CronSim(self.expression, start):
            fire_ms = int(fire.timestamp()) * 1000
            if fire_ms > last_ms:  # two times in one gap of the clock are one fire
                yield fire_ms
                last_ms = fire_ms


def read(cron: str, timezone: str) -> Cron:
    """The expression and the zone.

    Raises:
        BadCron: the expression or the zone is none, or the expression can never fire.
    """
    expression = _expression(cron)
    fires = Cron(expression, _zone(timezone))
    if next(fires.after(0), None) is None:
        raise BadCron(f"cron must fire at some time, got {cron!r}, which never does")
    return fires


def _expression(cron: str) -> str:
    if len(cron) > defaults.CRON_CHARS_MAX:
        raise BadCron(f"cron must be at most {defaults.CRON_CHARS_MAX} characters, got {len(cron)}")
    text = cron.strip()
    if text.startswith("@"):
        if text.lower() not in MACROS:
            raise BadCron(f"cron must be five or six fields or one of {', '.join(MACROS)}, got {cron!r}")
        return MACROS[text.lower()]
    try:
        CronSim(text, datetime.fromtimestamp(0, UTC))
    except CronSimError as error:
        wrong = str(error)[:1].lower() + str(error)[1:]
        raise BadCron(f"cron must be five or six fields or a macro, got {cron!r}: {wrong}") from error
    return text


def _zone(timezone: str) -> ZoneInfo:
    if timezone not in MACHINE_ZONES and not timezone.startswith(MACHINE_ZONE_FOLDERS):
        try:
            return ZoneInfo(timezone)
        except (KeyError, ValueError, OSError):  # unknown, no path that may be, a folder
            pass
    raise BadCron(f"timezone must be an IANA time zone such as Europe/Berlin, got {timezone[:100]!r}")
