"""The window of one partition: which offsets were delivered, which are finished, up to where may be
committed.

Owns the rule that an offset is committed only when it and all before it are finished, and the memory that
drops an equal dispatch. Never talks to Kafka. The same arithmetic acknowledges the receipts of a session.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from relay.core.finished import METADATA_BYTES_FULL, Finished, told
from schemas.defaults import QUEUE
from schemas.events import Dispatch

SEEN_MAX = 10_000
"""Dispatches of one partition that are surely remembered, to drop an equal one (at most twice as many, 4 MB).
"""

WAITING_MAX = 2_000
"""Dispatches of one partition that may wait for a minion, however many wait from others."""

WAITING_ALL_MAX = 24_000
"""Dispatches of all partitions that may wait: until there are so many, one of them may have more than
WAITING_MAX. An urgent one is found behind those, so this is how far priorities reach.
"""

WAITING_BYTES_MAX = 8 * 1024 * 1024
"""Bytes that their values may have together; at so many the partition is paused."""

SPAN_MAX = 50_000
"""Offsets from the first unfinished to the last delivered one; at so many the partition is paused."""

HEAD_FINISHED_SHARE = 0.98
"""A crowded partition of which so much is finished is held up by its head, not by minions that are away."""

RESUME_SHARE = 4
"""A paused partition goes on when it is below its limits divided by this, or as soon as all have a share of
what may wait to spare.
"""

Identity = tuple[str, int, int]
"""What makes two dispatches the same: job, epoch, and when the job was admitted, since a purged id may come
again.
"""


def identity(dispatch: Dispatch) -> Identity:
    """The identity of a dispatch: one that was sent again has the same."""
    return (dispatch.job, dispatch.epoch, dispatch.created_at_ms)


class Progress:
    """Growing numbers, of which each gets finished at some time, in any order.

    `finished` is the last number before the first unfinished one: it and all delivered before it are
    finished.
    """

    __slots__ = ("_order", "_undone", "done_end", "finished")

    def __init__(self, start: int) -> None:
        self._order: deque[int] = deque()
        self._undone: set[int] = set()
        self.finished = start - 1
        self.done_end = start
        """The number after the highest that is finished."""

    @property
    def next(self) -> int:
        """The lowest number that may be delivered now."""
        return self._order[-1] + 1 if self._order else self.finished + 1

    @property
    def point(self) -> int:
        """The first unfinished number; if there is none, the one after the last delivered."""
        return self._order[0] if self._order else self.finished + 1

    @property
    def undone(self) -> AbstractSet[int]:
        """The numbers that were delivered and are not finished."""
        return self._undone

    def gaps(self) -> Iterator[int]:
        """The unfinished numbers with a finished one behind them, in order: few, as long as most get finished
        in their order, however many were delivered.
        """
        for number in self._order:
            if number >= self.done_end:
                return
            if number in self._undone:
                yield number

    def deliver(self, number: int) -> None:
        """Takes in a number, at least `next`; numbers may be left out for ever, as Kafka leaves
        out offsets.
        """
        assert number >= self.next, f"numbers grow: got {number}, expected at least {self.next}"
        self._order.append(number)
        self._undone.add(number)

    def done(self, number: int) -> None:
        """Finishes a delivered number; to do so twice changes nothing."""
        order, undone = self._order, self._undone
        if number in undone:
            undone.remove(number)
            self.done_end = max(self.done_end, number + 1)
        while order and order[0] not in undone:
            self.finished = order.popleft()


class Window:
    """One partition of a dispatch topic, for as long as it is assigned to this relay.

    Offsets below `start`, the committed one, are only read back, to know what was finished before. Records
    below `end_at_start` may be held by minions that have not come back yet: they wait until `hold_until_ms`.
    """

    __slots__ = (
        "_changed",
        "_finished",
        "_progress",
        "_seen",
        "_seen_before",
        "_told",
        "closed",
        "committed",
        "cramped",
        "end_at_start",
        "hold_until_ms",
        "partition",
        "paused",
        "queue",
        "start",
        "topic",
        "waiting",
        "waiting_bytes",
    )

    def __init__(
        self,
        topic: str,
        partition: int,
        start: int,
        *,
        queue: str = QUEUE,
        end_at_start: int = 0,
        hold_until_ms: int = 0,
        finished: Finished | None = None,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.queue = queue
        self.start = start
        self.committed = start
        self.end_at_start = end_at_start
        self.hold_until_ms = hold_until_ms
        self.closed = False
        self.paused = False
        self.waiting = 0
        self.waiting_bytes = 0
        self.cramped = False
        self._finished = finished
        self._changed = False
        self._told = finished is not None
        self._progress = Progress(start)
        self._seen: set[Identity] = set()
        self._seen_before: set[Identity] = set()

    def __repr__(self) -> str:
        return f"Window({self.topic}/{self.partition} point={self.point} waiting={self.waiting})"

    @property
    def point(self) -> int:
        """The offset that may be committed now."""
        return self._progress.point

    @property
    def span(self) -> int:
        """How many offsets lie between the commit point and the end of what was delivered."""
        return self._progress.next - self._progress.point

    def deliver(self, offset: int, same: Identity) -> bool:
        """Takes in a record; True if it is to be run.

        False: it lies before the committed offset, or was delivered before, or an equal one was seen (then it
        is finished at once: the commit point waits for the earlier one all the same).
        """
        if offset < self.start:
            self._remember(same)
            return False
        if offset < self._progress.next:
            return False
        self._progress.deliver(offset)
        if self._finished is not None and offset in self._finished:
            self._remember(same)
            self.done(offset)
            return False
        if same in self._seen or same in self._seen_before:
            self.done(offset)
            return False
        self._remember(same)
        return True

    def take(self, offset: int) -> bool:
        """Takes in a record that cannot be run at all; False if it was finished before."""
        if offset < self._progress.next:
            return False
        self._progress.deliver(offset)
        if self._finished is not None and offset in self._finished:
            self.done(offset)
            return False
        return True

    def done(self, offset: int) -> None:
        """Finishes an offset: what became of it is durable elsewhere."""
        self._progress.done(offset)
        self._changed = True

    def commit(self) -> tuple[int, str] | None:
        """What shall be committed now, with the text that says what is finished beyond it; None: nothing has
        changed since the last time.
        """
        if not self._changed:
            return None
        self._changed = False
        point = self.point
        text = told(point, *self._beyond())
        self.cramped = len(text) >= METADATA_BYTES_FULL
        if point == self.committed and not text and not self._told:
            return None
        self.committed, self._told = point, bool(text)
        return point, text

    def _beyond(self) -> tuple[Iterable[int], int]:
        """What is not finished, as far as something behind it is, and the end of that. Of what was finished
        before, and is yet to come, too.
        """
        progress, before = self._progress, self._finished
        if before is None or progress.next >= before.end:
            return progress.gaps(), progress.done_end
        return [*sorted(progress.undone), *before.missing(progress.next)], max(progress.next, before.end)

    def wait(self, size_bytes: int) -> None:
        """A delivered record waits for a minion."""
        self.waiting += 1
        self.waiting_bytes += size_bytes

    def go(self, size_bytes: int) -> None:
        """A record that waited does so no longer."""
        self.waiting -= 1
        self.waiting_bytes -= size_bytes

    def crowded(self, waiting_all: int) -> bool:
        """True if no more should be fetched for now; `waiting_all` dispatches wait from all partitions."""
        return (
            self.cramped
            or (self.waiting >= WAITING_MAX and waiting_all >= WAITING_ALL_MAX)
            or self.waiting_bytes >= WAITING_BYTES_MAX
            or self.span >= SPAN_MAX
        )

    def blocked(self, waiting_all: int) -> bool:
        """True if few records hold up very many that are finished: the two-sided test of uForwarder. Where a
        crowded partition is mostly unfinished, those who run it are away, and no record of it is amiss.
        """
        return (
            self.crowded(waiting_all) and len(self._progress.undone) <= (1 - HEAD_FINISHED_SHARE) * self.span
        )

    def roomy(self, waiting_all: int) -> bool:
        """True if a paused partition should go on."""
        return (
            not self.cramped
            and (
                self.waiting * RESUME_SHARE < WAITING_MAX
                or waiting_all * RESUME_SHARE < WAITING_ALL_MAX * (RESUME_SHARE - 1)
            )
            and self.waiting_bytes * RESUME_SHARE < WAITING_BYTES_MAX
            and self.span * RESUME_SHARE < SPAN_MAX
        )

    def _remember(self, same: Identity) -> None:
        """Remembers a dispatch; when the younger half is full, the older half is forgotten at once."""
        self._seen.add(same)
        if len(self._seen) >= SEEN_MAX:
            self._seen_before, self._seen = self._seen, set()
