"""Settings of queues and functions as operators say them: from names and values to an entry of the config
topic, and back.

What a setting means, and which values it may have, is the state machine's to say (`streams.core.config`).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from jobstream.client import whole
from jobstream.errors import BadRequest
from jobstream.times import milliseconds
from schemas.codec import Undecodable, decode
from schemas.events import FunctionConfig, QueueConfig
from schemas.records import replace

Entry = QueueConfig | FunctionConfig

PARTITION = 0
"""The config topic has one."""


class Setting(NamedTuple):
    """What a setting is called in an entry, and how its value is told."""

    field: str
    kind: Literal["seconds", "number", "whole number", "word"]


SETTINGS = {
    "timeout": Setting("timeout_ms", "seconds"),
    "heartbeat_timeout": Setting("heartbeat_timeout_ms", "seconds"),
    "expected": Setting("expected_ms", "seconds"),
    "retry_kind": Setting("retry_kind", "word"),
    "retry_initial": Setting("retry_initial_ms", "seconds"),
    "retry_factor": Setting("retry_factor", "number"),
    "retry_cap": Setting("retry_cap_ms", "seconds"),
    "retry_jitter": Setting("retry_jitter", "number"),
    "attempts": Setting("attempts_max", "whole number"),
    "lost": Setting("lost_max", "whole number"),
    "retention": Setting("retention_ms", "seconds"),
    "result_retention": Setting("result_retention_ms", "seconds"),
    "priority": Setting("priority", "word"),
    "order": Setting("order", "word"),
}
"""Every setting by the name that people use; durations are told in seconds."""
KINDS: dict[str, tuple[type, ...]] = {"number": (int, float), "whole number": (int,), "word": (str,)}


def read_entries(bootstrap: str, topic: str) -> dict[str, Entry]:
    """Every entry that there is, by its key. Blocks.

    Raises:
        NotReachable, TopicsMissing: As whole.read.
    """
    messages = whole.read(bootstrap, topic, [PARTITION])
    return entries_of((message.key() or b"", message.value()) for message in messages)


def entries_of(records: Iterable[tuple[bytes, bytes | None]]) -> dict[str, Entry]:
    """The entries of records in the order of the topic. One that cannot be changes nothing, as in the
    service.
    """
    from streams.core.config import check

    found: dict[str, Entry] = {}
    for key, value in records:
        name = key.decode(errors="replace")
        if value is None:
            found.pop(name, None)
            continue
        try:
            entry: Entry = decode(value, (QueueConfig, FunctionConfig))
        except Undecodable:
            continue
        if check(name, entry) is None:
            found[name] = entry
    return dict(sorted(found.items()))


def changed(key: str, before: Entry | None, given: Mapping[str, Any], by: str | None) -> Entry:
    """The entry with these fields changed, and its version one higher.

    Raises:
        BadRequest: The key is none, or a value is outside its limits.
    """
    from streams.core.config import check

    entry = before if before is not None else _blank(key)
    if "order" in given and not isinstance(entry, QueueConfig):
        raise BadRequest(f"order is of a queue, got {key!r}")
    entry = replace(entry, version=entry.version + 1, by=by, **given)
    refusal = check(key, entry)
    if refusal is not None:
        raise BadRequest(refusal.reason)
    return entry


def _blank(key: str) -> Entry:
    kind, slash, name = key.partition("/")
    if slash and kind == "queue":
        return QueueConfig(queue=name)
    if slash and kind == "function":
        return FunctionConfig(function=name)
    raise BadRequest(f"settings are of queue/<name> or function/<name>, got {key!r}")


def fields_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name, in seconds where they are durations, as fields of an entry; None clears one.

    Raises:
        BadRequest: There is no such setting, or a value of another kind.
    """
    fields: dict[str, Any] = {}
    for name, value in options.items():
        setting = SETTINGS.get(name)
        if setting is None:
            raise BadRequest(f"a setting must be one of {', '.join(SETTINGS)}, got {name!r}")
        if value is None:
            fields[setting.field] = None
        elif setting.kind == "seconds":
            fields[setting.field] = milliseconds(name, value)
        elif type(value) in KINDS[setting.kind]:
            fields[setting.field] = value
        else:
            raise BadRequest(f"{name} must be a {setting.kind}, got {value!r}")
    return fields
