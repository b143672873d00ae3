"""Dispatches that wait, and the sessions that may take them.

Owns the pairing: a dispatch goes to the home of its key if that has room, else to the next in the key's
order that has, else it waits in the line of its home, by priority and age. A session with room takes the head
of its own line, then the head of the others whose turn is first. Never makes leases, and knows nothing of
epochs.
"""

import itertools
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from operator import attrgetter

from relay.core.assign import Ranking
from relay.core.limits import Limits
from relay.core.parcel import Parcel
from relay.core.session import Session
from relay.core.traffic import Offers
from relay.core.window import Window
from schemas.defaults import PRIORITY
from schemas.proto import relay_pb2

SPILL_AFTER_MS = 1_000
"""A dispatch that waited so much longer than the head of a session's own line is taken by that session first.
"""

UNSERVED_AFTER_MS = 1_000
"""A dispatch whose function no session of its queue has is handed back after so long."""

OUTAGE_MS = 5_000
"""A function whose last minion went within this is thought to be down for a moment: what waits for it stays,
unless few such jobs hold up a partition of which all else is finished.
"""


class Shelf:
    """The dispatches of one queue and function that wait, in one line for each home."""

    __slots__ = ("function", "lines", "queue", "ranking", "size", "stale")

    def __init__(self, queue: str, function: str) -> None:
        self.queue = queue
        self.function = function
        self.ranking = Ranking(())
        self.lines: dict[Session | None, list[Parcel]] = {}
        """Heaps by the order of their turns."""
        self.size = 0
        self.stale = True

    def append(self, parcel: Parcel) -> None:
        """Puts a dispatch into the line of its home."""
        heappush(self.lines.setdefault(self.ranking.home(parcel.slot), []), parcel)
        self.size += 1

    def refresh(self, sessions: tuple[Session, ...]) -> None:
        """Lets other sessions serve the shelf: all that waits finds the line of its home anew, in the same
        order.
        """
        waiting = sorted(
            (parcel for line in self.lines.values() for parcel in line if not parcel.gone),
            key=attrgetter("order"),
        )
        self.ranking = Ranking(sessions)
        self.lines = {}
        self.size = 0
        for parcel in waiting:
            self.append(parcel)
        self.stale = False

    def heads(self) -> Iterator[tuple[Session | None, Parcel]]:
        """The first of each line; lines that ran empty are removed on the way."""
        for home in list(self.lines):
            head = self._head(home)
            if head is not None:
                yield home, head

    def take(self, session: Session, now_ms: int) -> tuple[Parcel, bool] | None:
        """Removes what the session shall run next, and says whether another is its home; None:
        nothing waits.
        """
        own = self._head(session)
        if own is not None and len(self.lines) == 1:
            return self._pop(session), False
        oldest_home, oldest = min(self.heads(), key=lambda entry: entry[1].order, default=(None, None))
        if oldest is None:
            return None
        if (
            own is not None
            and own.priority <= oldest.priority
            and now_ms - oldest.arrived_ms <= SPILL_AFTER_MS
        ):
            return self._pop(session), False
        return self._pop(oldest_home), oldest_home is not session

    def _head(self, home: Session | None) -> Parcel | None:
        line = self.lines.get(home)
        if line is None:
            return None
        while line and line[0].gone:
            heappop(line)
        if not line:
            del self.lines[home]
            return None
        return line[0]

    def _pop(self, home: Session | None) -> Parcel:
        line = self.lines[home]
        parcel = heappop(line)
        if not line:
            del self.lines[home]
        self.size -= 1
        return parcel


class Router:
    """All that waits, and all sessions that may take it."""

    def __init__(self, limits: Limits | None = None, offers: Offers | None = None) -> None:
        """`offers` are functions that have no minion until there is work for them."""
        self.limits = limits or Limits()
        self._offers = offers or Offers()
        self._unanswered: set[tuple[str, str]] = set()
        self.sessions: dict[str, Session] = {}
        self.parcels: dict[str, Parcel] = {}
        self.paused: frozenset[str] = frozenset()
        """Queues whose dispatches wait, whoever has room."""
        self._shelves: dict[tuple[str, str], Shelf] = {}
        self._waiting: OrderedDict[Shelf, None] = OrderedDict()
        self._orders = itertools.count()
        self._ranked = 0
        """How many wait that are more or less urgent than others."""
        self._departed: deque[tuple[int, Session]] = deque()

    @property
    def queues(self) -> frozenset[str]:
        """Every queue that a session serves, or would be started for."""
        served = frozenset(queue for session in self.sessions.values() for queue in session.queues)
        return served | self._offers.functions.keys()

    def functions(self) -> dict[str, frozenset[str]]:
        """The functions that sessions have, by queue, and those that sessions would be started for."""
        found = {
            queue: {function for function in functions if (queue, function) not in self._unanswered}
            for queue, functions in self._offers.functions.items()
        }
        for queues, functions in {(session.queues, session.functions) for session in self.sessions.values()}:
            for queue in queues:
                found.setdefault(queue, set()).update(functions)
        return {queue: frozenset(functions) for queue, functions in found.items()}

    def join(self, session: Session) -> None:
        """A session may take jobs from now on."""
        self.sessions[session.id] = session
        self._unanswered = {place for place in self._unanswered if not session.serves(*place)}
        self._upset(session)

    def leave(self, session: Session, now_ms: int) -> None:
        """A session takes no more jobs; what it holds is not the router's business."""
        if self.sessions.pop(session.id, None) is not None:
            self._departed.append((now_ms, session))
            self._upset(session)

    def place(self, parcel: Parcel) -> tuple[Session, bool] | None:
        """The session that shall run a dispatch now, and whether it is not the key's home; None: it waits."""
        shelf = self._shelf(parcel.dispatch.queue, parcel.dispatch.function)
        if shelf.size == 0 and self._may_run(shelf):
            session = shelf.ranking.choose(parcel.slot)
            if session is not None:
                return session, session is not shelf.ranking.home(parcel.slot)
        parcel.number(next(self._orders))
        self._ranked += parcel.priority != PRIORITY
        assert parcel.dispatch.job not in self.parcels, f"job {parcel.dispatch.job} waits already"
        self.parcels[parcel.dispatch.job] = parcel
        parcel.window.wait(parcel.size_bytes)
        shelf.append(parcel)
        self._waiting[shelf] = None
        return None

    def fill(self, session: Session, now_ms: int) -> Iterator[tuple[Parcel, bool]]:
        """Hands out what waits while the session has room: one of each shelf in turn, or where something is
        more urgent than others, from the shelf whose turn is first.

        The caller spends the session's credit for each before it asks for the next.
        """
        while session.room() > 0:
            served = False
            for shelf in self._shelves_for(session):
                if not self._may_run(shelf):
                    continue
                self._fresh(shelf)
                taken = shelf.take(session, now_ms)
                if taken is None:
                    continue
                served = True
                self._waiting.move_to_end(shelf)
                self._remove(shelf, taken[0])
                yield taken
                if session.room() <= 0:
                    return
                if self._ranked:  # whose turn is next must be seen anew
                    break
            if not served:
                return

    def _shelves_for(self, session: Session) -> list[Shelf]:
        """The shelves of which the session may take something, the first first."""
        found = [shelf for shelf in self._waiting if session.serves(shelf.queue, shelf.function)]
        if self._ranked and len(found) > 1:
            turns = {
                shelf: min((head.order for _, head in self._fresh(shelf).heads()), default=(0, 0))
                for shelf in found
            }
            found.sort(key=turns.__getitem__)
        return found

    def drop(self, parcel: Parcel) -> None:
        """Takes a dispatch out of its line."""
        shelf = self._shelves[parcel.dispatch.queue, parcel.dispatch.function]
        shelf.size -= 1
        parcel.gone = True
        self._remove(shelf, parcel)

    def forget(self, window: Window) -> list[Parcel]:
        """Drops all that waits from a partition that is no longer this relay's; gives it."""
        dropped = [parcel for parcel in self.parcels.values() if parcel.window is window]
        for parcel in dropped:
            self.drop(parcel)
        return dropped

    def unserved(self, now_ms: int) -> list[Parcel]:
        """Takes out what has waited too long for a session with its function, of queues that have sessions at
        all.
        """
        late: list[Parcel] = []
        queues = self.queues
        while self._departed and now_ms - self._departed[0][0] > OUTAGE_MS:
            self._departed.popleft()
        for shelf in list(self._waiting):
            self._fresh(shelf)
            if shelf.ranking.sessions or shelf.queue not in queues:
                continue
            down = any(session.serves(shelf.queue, shelf.function) for _, session in self._departed)
            patience_ms = self._patience_ms(shelf)
            for parcel in list(shelf.lines.get(None, ())):
                if down and not parcel.window.blocked(len(self.parcels)):
                    continue
                if now_ms - parcel.arrived_ms < patience_ms:
                    continue  # a less urgent one behind it may have come before
                if not parcel.gone:
                    late.append(parcel)
                    self.drop(parcel)
        self._unanswered |= {
            (parcel.dispatch.queue, parcel.dispatch.function)
            for parcel in late
            if self._offers.has(parcel.dispatch.queue, parcel.dispatch.function)
        }
        return late

    def _patience_ms(self, shelf: Shelf) -> int:
        """How long a function may have no session: longer if one is being started, unless that was in vain
        lately.
        """
        place = shelf.queue, shelf.function
        if place in self._unanswered or not self._offers.has(*place):
            return UNSERVED_AFTER_MS
        return self._offers.answer_ms

    def waits_for(self, session: Session) -> bool:
        """True if a dispatch waits that the session could run, whether or not it has room."""
        return any(
            session.serves(shelf.queue, shelf.function) and self._may_run(shelf) for shelf in self._waiting
        )

    def oldest(self) -> dict[str, int]:
        """When the oldest that waits arrived, ms, by queue: at the head of a line, unless some are more
        urgent than others.
        """
        if self._ranked:
            parcels: Iterable[Parcel] = self.parcels.values()
        else:
            parcels = (parcel for shelf in self._waiting for _, parcel in shelf.heads())
        found: dict[str, int] = {}
        for parcel in parcels:
            queue = parcel.dispatch.queue
            found[queue] = min(parcel.arrived_ms, found.get(queue, parcel.arrived_ms))
        return found

    def status(self) -> list[relay_pb2.WaitingStatus]:
        """What waits, by queue and function."""
        return [
            relay_pb2.WaitingStatus(
                queue=shelf.queue,
                function=shelf.function,
                waiting=shelf.size,
                sessions=sum(each.serves(shelf.queue, shelf.function) for each in self.sessions.values()),
                limit=self.limits.reached(shelf.queue, shelf.function) or "",
            )
            for shelf in self._waiting
        ]

    def limited(self) -> dict[str, frozenset[str]]:
        """The limits that jobs wait for, by queue."""
        found: dict[str, frozenset[str]] = {}
        for shelf in self._waiting if self.limits else ():
            limit = self.limits.reached(shelf.queue, shelf.function)
            if limit is not None:
                found[shelf.queue] = found.get(shelf.queue, frozenset()) | {limit}
        return found

    def _may_run(self, shelf: Shelf) -> bool:
        """True unless its queue is paused, or a limit is reached."""
        return shelf.queue not in self.paused and self.limits.room(shelf.queue, shelf.function)

    def _shelf(self, queue: str, function: str) -> Shelf:
        shelf = self._shelves.get((queue, function))
        if shelf is None:
            shelf = self._shelves[queue, function] = Shelf(queue, function)
        return self._fresh(shelf)

    def _fresh(self, shelf: Shelf) -> Shelf:
        if shelf.stale:
            shelf.refresh(tuple(s for s in self.sessions.values() if s.serves(shelf.queue, shelf.function)))
        return shelf

    def _upset(self, session: Session) -> None:
        """Lets the shelves that a session serves or served find their lines anew."""
        for (queue, function), shelf in list(self._shelves.items()):
            if session.serves(queue, function):
                shelf.stale = True
                if shelf.size == 0:
                    del self._shelves[queue, function]

    def _remove(self, shelf: Shelf, parcel: Parcel) -> None:
        del self.parcels[parcel.dispatch.job]
        self._ranked -= parcel.priority != PRIORITY
        parcel.window.go(parcel.size_bytes)
        if shelf.size == 0:
            shelf.lines = {}
            self._waiting.pop(shelf, None)
            if not shelf.ranking.sessions:
                self._shelves.pop((shelf.queue, shelf.function), None)
