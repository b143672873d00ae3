"""Answers that are given again to equal calls.

Owns their bounds in number, bytes and time. Counts what is kept, never what it costs in memory beyond its
bytes.
"""

import json
from collections import OrderedDict

from relay.core.call import End, Rule

ENTRIES_MAX = 10_000
"""Answers that are kept at once; the one longest not asked for goes first."""

BYTES_MAX = 64 * 1024 * 1024
"""Of keys and results together."""

ENTRY_BYTES = 500
"""What an answer takes beside its bytes, about."""

Key = tuple[object, ...]


class Cache:
    """Answers by function and arguments."""

    def __init__(self, entries_max: int = ENTRIES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._entries: OrderedDict[Key, tuple[int, int, End]] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key, now_ms: int) -> End | None:
        """The answer, if it is known and not too old."""
        found = self._entries.get(key)
        if found is None:
            return None
        until_ms, _, end = found
        if until_ms <= now_ms:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return end

    def put(self, key: Key, end: End, keep_ms: int, now_ms: int) -> None:
        """Keeps an answer for so long, or for less when there is no room."""
        self._drop(key)
        size_bytes = (
            ENTRY_BYTES + len(end.result) + sum(len(each) for each in key if isinstance(each, bytes | str))
        )
        if size_bytes > self._bytes_max:
            return
        self._entries[key] = (now_ms + keep_ms, size_bytes, end)
        self.size_bytes += size_bytes
        while len(self._entries) > self._entries_max or self.size_bytes > self._bytes_max:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Key) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self.size_bytes -= found[1]


def arguments_key(function: str, args: bytes, content_type: str, rule: Rule) -> Key:
    """What calls with equal arguments have in common, as the function's rule sees it. What was kept under
    another rule is not found.
    """
    if rule.cache_fields:
        try:
            value = json.loads(args)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            counted = {name: value.get(name) for name in rule.cache_fields}
            return (function, rule.cache_ms, "fields", json.dumps(counted, sort_keys=True))
    return (function, rule.cache_ms, content_type, args)
