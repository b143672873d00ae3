"""Areas as the packet extensions write them: names with commas between, each perhaps with a timeout.

Pure: `DC1,DC3` and `DC1,100,DC3,200`.
"""

from relay.doors.gearman.work import number_of
from schemas.defaults import AREAS_MAX, NAME_CHARS_MAX

AREA_MS = 5_000
"""How long is looked in an area without a timeout, for a job without a routing timeout."""


class BadAreas(ValueError):
    """No such list can be; the text is a sentence with the value found."""


def names(said: bytes) -> tuple[str, ...]:
    """`DC1,DC3`; empty: none. BadAreas if it is no such list."""
    found = tuple(part.strip().decode(errors="replace") for part in said.split(b",")) if said.strip() else ()
    if len(found) > AREAS_MAX:
        raise BadAreas(f"at most {AREAS_MAX} areas may be named, got {len(found)}")
    for name in found:
        if not 1 <= len(name) <= NAME_CHARS_MAX:
            raise BadAreas(f"an area must have 1 to {NAME_CHARS_MAX} characters, got {len(name)}")
    if len(set(found)) < len(found):
        raise BadAreas(f"areas must differ, got {said[:100]!r}")
    return found


def plain(said: bytes) -> tuple[tuple[str, int | None], ...]:
    """`DC1,DC3`: in which order to look, each as long as the routing timeout."""
    return tuple((name, None) for name in names(said))


def timed(said: bytes) -> tuple[tuple[str, int | None], ...]:
    """`DC1,100,DC3,200`: in which order to look, and how long in each, ms."""
    parts = said.split(b",") if said.strip() else []
    if len(parts) % 2:
        raise BadAreas(f"areas must be written as name,ms,name,ms, got {said[:100]!r}")
    found = names(b",".join(parts[::2]))
    timeouts_ms = [number_of(part.strip()) for part in parts[1::2]]
    if None in timeouts_ms:
        raise BadAreas(f"the timeout of an area must be whole ms, got {said[:100]!r}")
    return tuple(zip(found, timeouts_ms, strict=True))
