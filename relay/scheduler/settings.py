"""The scheduler that the settings ask for: one's own by its name, the pools of jobstream.toml, or none.

Owns the form of the section `pools`. Says no with the value found; starts nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from relay.core.pool import Plan
from relay.scheduler.hooks import Scheduler, find
from relay.scheduler.invoked import Invoked
from relay.scheduler.local import Local, module_command
from relay.scheduler.pools import Kind, Pools
from schemas.defaults import QUEUE
from schemas.names import BadName, check_function, check_id, check_queue
from schemas.settings import BadSetting, Settings

SECTION = "pools"

MINIONS_MAX = 10_000
"""Of one pool."""

CONCURRENCY = 10
"""Jobs that a minion of a pool runs at once, where the section does not say."""

LIMIT_MS = 60_000
"""How long one call of a function behind a URL may last, where the section does not say: what most platforms
allow without being asked.
"""

KILL_AFTER_S = 5.0
"""A process that has not gone so long after its grace time is killed."""

LIMIT_SHARE = 10
"""A called minion is counted on no longer for the last of so many parts of its time, since it then leaves."""

_DEFAULTS: Mapping[str, int] = {
    "concurrency": CONCURRENCY,
    "min": 0,
    "max": 1,
    "answer_ms": 30_000,
    "grace_ms": 30_000,
    "limit_ms": LIMIT_MS,
}
_IDLE_MS = {"command": 60_000, "modules": 60_000, "url": 2_000}
_WAYS = tuple(_IDLE_MS)
_NAMES = frozenset(
    {*_DEFAULTS, *_WAYS, "functions", "queues", "idle_ms", "jobs_each", "headers", "token_file"}
)


def scheduler_of(settings: Settings, pools: Mapping[str, Any]) -> Scheduler | None:
    """The scheduler in force; None: nobody brings minions. BadSetting if it cannot be had."""
    if settings.scheduler and pools:
        raise BadSetting(
            f"{SECTION} of jobstream.toml must not be given with a scheduler of one's own, got both"
        )
    if settings.scheduler:
        return find(settings.scheduler)
    if not pools:
        return None
    return Pools((_kind(name, entry) for name, entry in pools.items()), settings.scheduler_relay)


def _kind(name: str, entry: Any) -> Kind:
    """One pool, as its table says."""
    way = _way(name, entry)
    numbers = {key: _number(name, entry, key, default) for key, default in _DEFAULTS.items()}
    if numbers["min"] > numbers["max"]:
        raise _bad(name, f"min of at most {numbers['max']}, its max", numbers["min"])
    called = way == "url"
    plan = Plan(
        name=name,
        queues=_names(name, entry, "queues", check_queue, (QUEUE,)),
        functions=_names(name, entry, "functions", check_function),
        least=numbers["min"],
        most=numbers["max"],
        jobs_each=_number(name, entry, "jobs_each", numbers["concurrency"]),
        idle_ms=_number(name, entry, "idle_ms", _IDLE_MS[way]),
        answer_ms=numbers["answer_ms"],
        life_ms=numbers["limit_ms"] * (LIMIT_SHARE - 1) // LIMIT_SHARE if called else None,
        leaves=called,
    )
    if called:
        return Kind(plan, _invoked(name, entry, plan, numbers))
    command = _command(name, entry, sorted(plan.queues), numbers)
    return Kind(plan, Local(command, grace_s=numbers["grace_ms"] / 1_000 + KILL_AFTER_S))


def _way(name: str, entry: Any) -> str:
    """How the minions of a pool are started; BadSetting if the table is none, or has what it must not."""
    try:
        check_id(name)
    except BadName as bad:
        raise BadSetting(f"a pool's name must be like an id: {bad}") from None
    if not isinstance(entry, dict):
        raise _bad(name, "a table", entry)
    for key in entry:
        if key not in _NAMES:
            raise BadSetting(f"pool {name} has no setting {key!r}; there are {', '.join(sorted(_NAMES))}")
    ways = [way for way in _WAYS if way in entry]
    if len(ways) != 1:
        raise BadSetting(f"pool {name} must have one of {', '.join(_WAYS)}, got {', '.join(ways) or 'none'}")
    return ways[0]


def _command(
    name: str, entry: Mapping[str, Any], queues: Sequence[str], numbers: Mapping[str, int]
) -> Sequence[str]:
    if "command" in entry:
        return _texts(name, entry, "command")
    grace = ["--grace", f"{numbers['grace_ms'] / 1_000:g}"]
    return (*module_command(_texts(name, entry, "modules"), queues, numbers["concurrency"]), *grace)


def _invoked(name: str, entry: Mapping[str, Any], plan: Plan, numbers: Mapping[str, int]) -> Invoked:
    url = entry["url"]
    if (
        not isinstance(url, str)
        or urlsplit(url).scheme not in {"http", "https"}
        or not urlsplit(url).hostname
    ):
        raise _bad(name, "a url with http or https", url)
    headers = entry.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise BadSetting(f"pool {name} must have headers as a table of texts, got something else")
    if "token_file" in entry:
        headers = {**headers, "Authorization": f"Bearer {_token(name, entry['token_file'])}"}
    return Invoked(
        url,
        concurrency=numbers["concurrency"],
        queues=tuple(sorted(plan.queues)),
        functions=tuple(sorted(plan.functions)),
        idle_s=plan.idle_ms / 1_000,
        limit_s=numbers["limit_ms"] / 1_000,
        headers=headers,
    )


def _token(name: str, path: Any) -> str:
    """The token that a file holds; it is never told."""
    try:
        return Path(str(path)).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"pool {name} must have a token_file that can be read: {error}") from None


def _names(
    name: str,
    entry: Mapping[str, Any],
    key: str,
    check: Callable[[str], object],
    default: tuple[str, ...] = (),
) -> frozenset[str]:
    """The functions or queues of a pool."""
    found = _texts(name, entry, key, default)
    try:
        for each in found:
            check(each)
    except BadName as bad:
        raise BadSetting(f"pool {name}: {bad}") from None
    return frozenset(found)


def _texts(name: str, entry: Mapping[str, Any], key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    found = entry.get(key, default)
    if not isinstance(found, list | tuple) or not found or not all(isinstance(each, str) for each in found):
        raise _bad(name, f"{key} as a list of texts", found)
    return tuple(found)


def _number(name: str, entry: Mapping[str, Any], key: str, default: int) -> int:
    found = entry.get(key, default)
    least = 0 if key in {"min", "idle_ms", "grace_ms"} else 1
    most = MINIONS_MAX if key in {"min", "max"} else 1 << 31
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
        raise _bad(name, f"{key} as a whole number from {least} to {most}", found)
    return found


def _bad(name: str, wanted: str, found: object) -> BadSetting:
    return BadSetting(f"pool {name} must have {wanted}, got {found!r:.100}")
