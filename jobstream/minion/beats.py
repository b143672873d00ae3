"""Which leases beat now. Pure: time comes in as milliseconds of any clock that does not go back.

Every lease has its own phase, a hash of its job id, and beats on the grid of that phase: phase, phase +
interval, and so on. So the beats of many leases are spread evenly whatever started them together, and after
an outage they go on where the grid is now; nothing is made up for. It must never let one lease beat for
progress more than once a second.
"""

import heapq
import itertools
import zlib

from schemas.defaults import BEAT_AFTER_MS

Key = tuple[str, int]
"""A lease: id of the job, and epoch."""

PROGRESS_EVERY_MS = 1_000
"""How far apart two beats of a lease are that are sent because something changed."""
PROGRESS_AFTER_MS = 200
"""How long an attempt has run before the first of those: of a shorter one, the receipt tells it all."""

STALE_MAX = 1_000
"""How many times that no longer count are kept in the heap, above a few for each lease."""


class _Entry:
    """One lease: when it beat, and when it beats next."""

    __slots__ = (
        "alive_at_ms",
        "due_ms",
        "interval_ms",
        "key",
        "progress_at_ms",
        "quiet_until_ms",
        "sent_ms",
        "told_ms",
    )

    def __init__(self, key: Key, interval_ms: int, started_ms: int) -> None:
        self.key = key
        self.interval_ms = interval_ms
        self.sent_ms = started_ms
        self.told_ms: int | None = None
        self.quiet_until_ms = started_ms + PROGRESS_AFTER_MS
        self.alive_at_ms: int | None = None
        self.progress_at_ms: int | None = None
        self.due_ms: int | None = None


def on_grid(job: str, interval_ms: int, after_ms: int) -> int:
    """The first time after `after_ms` on the job's grid."""
    phase_ms = zlib.crc32(job.encode()) % interval_ms
    return after_ms + ((phase_ms - after_ms) % interval_ms or interval_ms)


class Beats:
    """The leases that may beat, in the order in which they do."""

    def __init__(self) -> None:
        self._entries: dict[Key, _Entry] = {}
        self._heap: list[tuple[int, int, _Entry]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, key: Key, interval_ms: int, started_ms: int, now_ms: int) -> None:
        """A lease that beats every `interval_ms` once it has run a second; 0: for changes only. Known ones
        stay.
        """
        assert interval_ms >= 0, interval_ms
        if key in self._entries:
            return
        entry = self._entries[key] = _Entry(key, interval_ms, started_ms)
        if interval_ms:
            entry.alive_at_ms = on_grid(key[0], interval_ms, max(now_ms, started_ms + BEAT_AFTER_MS))
        self._arm(entry)

    def drop(self, key: Key) -> None:
        """The lease is no more."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            entry.due_ms = None

    def changed(self, key: Key, now_ms: int) -> None:
        """Something changed that the lease should tell soon."""
        entry = self._entries[key]
        if entry.progress_at_ms is None:
            entry.progress_at_ms = max(now_ms, entry.quiet_until_ms)
            self._arm(entry)

    def resume(self, now_ms: int) -> None:
        """A new session begins: what was due meanwhile is let go, and every lease waits for its place on the
        grid.
        """
        self._heap.clear()
        for entry in self._entries.values():
            entry.due_ms = None
            at_ms = on_grid(entry.key[0], entry.interval_ms or PROGRESS_EVERY_MS, now_ms)
            if entry.interval_ms:
                entry.alive_at_ms = at_ms
            if entry.progress_at_ms is not None:
                entry.progress_at_ms = at_ms
            self._arm(entry)

    def due(self, now_ms: int) -> list[Key]:
        """The leases that beat now; each is taken to have beaten."""
        found = []
        while self._heap and self._heap[0][0] <= now_ms:
            due_ms, _, entry = heapq.heappop(self._heap)
            if entry.due_ms != due_ms:
                continue
            entry.due_ms = None
            if self._beats(entry, now_ms):
                found.append(entry.key)
            self._arm(entry)
        return found

    def next_ms(self) -> int | None:
        """When to ask again, None while no lease beats."""
        while self._heap and self._heap[0][2].due_ms != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _beats(self, entry: _Entry, now_ms: int) -> bool:
        """Notes what of the entry is due; False where a beat sent lately stands in for it."""
        told = entry.progress_at_ms is not None and entry.progress_at_ms <= now_ms
        alive = entry.alive_at_ms is not None and entry.alive_at_ms <= now_ms
        if alive:
            told_lately = entry.told_ms is not None and now_ms - entry.told_ms < entry.interval_ms
            alive = not told_lately and now_ms - entry.sent_ms >= entry.interval_ms // 2
            entry.alive_at_ms = on_grid(entry.key[0], entry.interval_ms, now_ms)
        if told or (alive and entry.progress_at_ms is not None):
            entry.told_ms = now_ms
            entry.quiet_until_ms = now_ms + PROGRESS_EVERY_MS
            entry.progress_at_ms = None
        if told or alive:
            entry.sent_ms = now_ms
        return told or alive

    def _arm(self, entry: _Entry) -> None:
        times = [at for at in (entry.alive_at_ms, entry.progress_at_ms) if at is not None]
        due_ms = min(times, default=None)
        if due_ms is not None and due_ms != entry.due_ms:
            heapq.heappush(self._heap, (due_ms, next(self._order), entry))
        entry.due_ms = due_ms
        if len(self._heap) > 4 * len(self._entries) + STALE_MAX:
            self._heap = [each for each in self._heap if each[2].due_ms == each[0]]
            heapq.heapify(self._heap)
