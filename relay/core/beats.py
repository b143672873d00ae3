"""Heartbeats of the leases a relay looks after: when each is due, and which go into one record.

Owns the 50 ms rule (`started`), the even spread of alive beats, and the merging of beats into records of one
home partition. Never judges silence.
"""

import zlib
from collections import deque
from collections.abc import Iterable

from relay.core.record import Record
from relay.core.session import Lease, SessionPhase
from relay.core.translate import beat
from schemas.defaults import ALIVE_EVERY_MS, HEARTBEAT_MS, STARTED_AFTER_MS
from schemas.events import Heartbeat
from schemas.words import BeatKind

TICK_MS = 20
"""How often beats are merged into records, and so how much later than its time one may be written."""

BUCKETS = ALIVE_EVERY_MS // TICK_MS
"""Places in the wheel: it turns once in ALIVE_EVERY_MS, and each lease beats when its place comes up."""

HEARD_MS = 2 * HEARTBEAT_MS
"""Alive beats are written for a session from which something came within this."""

OVERDUE_MS = 2_000
"""A lease that is so long past its deadline is taken away: its minion did not end it, and the state machine
has.
"""

BEATS_PER_RECORD_MAX = 200
"""Leases in one Heartbeat record."""

CHECKPOINTS_PER_RECORD_MAX = 24
"""Checkpoints in one Heartbeat record: at 16 KiB each it stays far below the size that a record may have."""

assert BUCKETS * TICK_MS == ALIVE_EVERY_MS


class Beater:
    """Knows for each lease when it must be told of."""

    def __init__(self, relay: str, now_ms: int) -> None:
        self._relay = relay
        self._fresh: deque[Lease] = deque()
        self._wheel: list[list[Lease]] = [[] for _ in range(BUCKETS)]
        self._turned = now_ms // TICK_MS
        self._due: dict[Lease, BeatKind] = {}

    def given(self, lease: Lease) -> None:
        """A lease was assigned just now: it is told of when it has lived STARTED_AFTER_MS."""
        self._fresh.append(lease)

    def taken_over(self, lease: Lease) -> None:
        """Another session holds the lease now: `started` is told (again) at the next flush."""
        self._due[lease] = BeatKind.STARTED

    def progressed(self, lease: Lease) -> None:
        """A minion told a change: it is written at the next flush, as `started` where that was
        not yet told.
        """
        if self._due.get(lease) is not BeatKind.STARTED:
            self._due[lease] = BeatKind.PROGRESS if lease.announced else BeatKind.STARTED

    def announce(self, leases: Iterable[Lease]) -> None:
        """Tells `started` of these leases at the next flush, however young they are."""
        for lease in leases:
            if not lease.announced:
                self._due[lease] = BeatKind.STARTED

    def turn(self, now_ms: int) -> list[Lease]:
        """Finds what is due now; gives the leases that are OVERDUE_MS past their deadline."""
        while self._fresh and now_ms - self._fresh[0].assigned_at_ms >= STARTED_AFTER_MS:
            lease = self._fresh.popleft()
            if not lease.over and not lease.announced:
                self._due[lease] = BeatKind.STARTED
        overdue: list[Lease] = []
        place = now_ms // TICK_MS
        for turned in range(max(self._turned, place - BUCKETS) + 1, place + 1):
            self._wheel[turned % BUCKETS] = self._pass(self._wheel[turned % BUCKETS], now_ms, overdue)
        self._turned = max(self._turned, place)
        return overdue

    def flush(self, now_ms: int) -> list[Record]:
        """The records of all that is due, each for one home partition."""
        homes: dict[int, list[tuple[Lease, BeatKind]]] = {}
        for lease, kind in self._due.items():
            if not lease.over:
                homes.setdefault(lease.partition, []).append((lease, kind))
        self._due = {}
        return [
            record for partition, due in homes.items() for record in self._records(partition, due, now_ms)
        ]

    def pending(self) -> bool:
        """True if a flush would write something."""
        return bool(self._due)

    def _pass(self, bucket: list[Lease], now_ms: int, overdue: list[Lease]) -> list[Lease]:
        """Lets the leases of one place beat; gives those that stay in it."""
        stay: list[Lease] = []
        for lease in bucket:
            if lease.over:
                continue
            late_ms = now_ms - lease.deadline_ms
            if late_ms >= OVERDUE_MS:
                overdue.append(lease)
                continue
            stay.append(lease)
            heard = now_ms - lease.session.heard_at_ms <= HEARD_MS
            if late_ms < 0 and heard and lease.session.phase is not SessionPhase.GONE:
                self._due.setdefault(lease, BeatKind.ALIVE)
        return stay

    def _records(self, partition: int, due: list[tuple[Lease, BeatKind]], now_ms: int) -> Iterable[Record]:
        batch: list[tuple[Lease, BeatKind]] = []
        checkpoints = 0
        for lease, kind in due:
            heavy = kind is not BeatKind.ALIVE and lease.checkpoint is not None
            if len(batch) >= BEATS_PER_RECORD_MAX or checkpoints + heavy > CHECKPOINTS_PER_RECORD_MAX:
                yield self._record(partition, batch, now_ms)
                batch, checkpoints = [], 0
            batch.append((lease, kind))
            checkpoints += heavy
        yield self._record(partition, batch, now_ms)

    def _record(self, partition: int, batch: list[tuple[Lease, BeatKind]], now_ms: int) -> Record:
        for lease, kind in batch:
            if kind is BeatKind.STARTED:
                self._settle(lease)
        beats = tuple(beat(lease, kind) for lease, kind in batch)
        leases = tuple(lease for lease, kind in batch if kind is BeatKind.STARTED)
        event = Heartbeat(partition=partition, relay=self._relay, at_ms=now_ms, beats=beats)
        return Record(event, None, leases=leases)

    def _settle(self, lease: Lease) -> None:
        """Gives a lease its place in the wheel, by its id, so that leases taken over together beat apart."""
        lease.announced = True
        if not lease.beating:
            lease.beating = True
            self._wheel[zlib.crc32(lease.job.encode()) % BUCKETS].append(lease)
