"""The sessions of one minion: one at each relay that it knows, and for leases whose relay is gone one more.

Owns which relays there are, and where leases go on when theirs stays away. It must never let a lease be held
by two links, nor lose a receipt between them.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import replace

from jobstream.minion.lease import Lease
from jobstream.minion.link import Link, Offer, Runner
from jobstream.minion.session import SessionThread
from jobstream.minion.shares import Shares
from jobstream.minion.wire import Wire
from schemas.defaults import TIMEOUT_MS_MAX
from schemas.proto.relay_pb2 import Receipt

log = logging.getLogger(__name__)

ADOPT_AFTER_S = 1.0
"""A relay that is away for so long loses its leases to another one, where a session is open. The state
machine waits four seconds for a beat.
"""


class Fleet:
    """All sessions of a minion.

    Attributes:
        opened: Set when a session was opened, by any of them.
        finished: Ends when all sessions have: with the number of receipts that no relay has confirmed.
    """

    def __init__(self, offer: Offer, runner: Runner, addresses: Iterable[str], wire: Wire) -> None:
        self.offer = offer
        self._wire = wire
        self.opened = threading.Event()
        self.finished: Future[int] = Future()
        self._runner = runner
        self._shares = Shares(offer.capacity)
        self._lock = threading.RLock()
        self._draining: float | None = None
        self._unstored = 0
        self._started = False
        self._sessions: list[SessionThread] = [
            self._made(address, Link(offer, runner, self._shares)) for address in dict.fromkeys(addresses)
        ]

    @property
    def session(self) -> str:
        """Id of a session that is open; of one that was, if none is."""
        with self._lock:
            found = sorted(self._sessions, key=lambda each: (each.link.open, bool(each.link.session)))
            return found[-1].link.session

    @property
    def busy(self) -> bool:
        """True if something runs, or a receipt waits to be stored."""
        with self._lock:
            return any(each.link.occupied or each.link.has_something for each in self._sessions)

    def addresses(self) -> list[str]:
        """The relays that it knows."""
        with self._lock:
            return [each.address for each in self._sessions if not each.is_guest]

    # Any thread.

    def start(self) -> None:
        """Starts a thread for each relay."""
        with self._lock:
            self._started = True
            for session in self._sessions:
                session.start()

    def add(self, addresses: Iterable[str]) -> None:
        """Relays that it may not know yet."""
        with self._lock:
            for address in addresses:
                if self._draining is None and address not in self.addresses():
                    log.info("relay found relay=%s", address)
                    self._begin(self._made(address, Link(self.offer, self._runner, self._shares)))

    def drain(self, grace_s: float) -> None:
        """Takes no more jobs, from any relay; see SessionThread.drain."""
        with self._lock:
            self._draining = grace_s
            sessions = list(self._sessions)
        for session in sessions:
            session.drain(grace_s)

    def ended(self, ends: Iterable[tuple[Lease, Receipt | None]], *, soon: bool = False) -> None:
        """These functions have left their slots: tells each to the link that has its lease now. `soon`: the
        relay may hear of them a moment later.
        """
        by_link: dict[Link, list[tuple[Lease, Receipt | None]]] = {}
        for lease, receipt in ends:
            assert isinstance(lease.home, Link), "a lease that runs has a link"
            by_link.setdefault(lease.home, []).append((lease, receipt))
        for link, some in by_link.items():
            link.ended(some, soon=soon)

    # The sessions' threads.

    def _made(self, address: str, link: Link) -> SessionThread:
        session = SessionThread(link, address, self._wire)
        session.on_open = self.opened.set
        session.on_away = self._away
        session.finished.add_done_callback(self._ended_callback(session))
        return session

    def _ended_callback(self, session: SessionThread) -> Callable[[Future[int]], None]:
        def ended(finished: Future[int]) -> None:
            self._over(session, finished)

        return ended

    def _begin(self, session: SessionThread) -> None:
        self._sessions.append(session)
        session.start()
        if self._draining is not None:
            session.drain(self._draining)

    def _away(self, session: SessionThread, away_s: float) -> None:
        """A relay does not come back: what it gave goes on at another."""
        if away_s < ADOPT_AFTER_S:
            return
        with self._lock:
            other = next((each for each in self._sessions if each is not session and each.link.open), None)
            if other is None or not session.link.has_something:
                return
            link = Link(
                replace(self.offer, capacity=max(len(session.link.held), 1)),
                self._runner,
                self._shares,
                guest=True,
            )
            leases, receipts = session.link.give_up(link)
            link.take_over(leases, receipts)
            log.warning(
                "leases go on at another relay leases=%d receipts=%d relay=%s instead_of=%s",
                len(leases),
                len(receipts),
                other.address,
                session.address,
            )
            guest = self._made(other.address, link)
            guest.is_guest = True
            self._sessions.append(guest)
        guest.start()
        guest.drain(TIMEOUT_MS_MAX / 1_000 if self._draining is None else self._draining)
        if session.is_guest:
            session.drain(0)

    def _over(self, session: SessionThread, finished: Future[int]) -> None:
        with self._lock:
            self._sessions = [each for each in self._sessions if each is not session] or [session]
            session.link.leave()
            error = finished.exception()
            if error is not None and not self.finished.done():
                self.finished.set_exception(error)
                return
            self._unstored += finished.result() if error is None else 0
            last = self._sessions == [session]
            if last and not self.finished.done():
                self.finished.set_result(self._unstored)
