"""How a minion with several relays divides its capacity: what is granted and what runs, over all of them.

Owns the rule that all of it together never exceeds the capacity. A relay that has nothing to do must not sit
on credits that another one needs: who goes without asks for one to be taken back. Its methods may be called
by any thread.
"""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

IDLE_MS = 100
"""A relay that gave no job for so long may be asked for its credits."""

NEVER_MS = -(1 << 62)


@dataclass(slots=True)
class Share:
    """What one relay has of the capacity."""

    occupied: int = 0
    granted: int = 0
    busy_ms: int = NEVER_MS
    """When it last gave a job."""
    wanting: int = 0
    """When it began to go without, as a number that grows; 0: it does not."""
    open: bool = False
    recalling: int = 0
    recall: Callable[[int], None] = lambda _: None
    wake: Callable[[], None] = lambda: None


class Shares:
    """The capacity of one minion."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._lock = threading.Lock()
        self._shares: dict[Hashable, Share] = {}
        self._turns = 0

    def join(self, who: Hashable, recall: Callable[[int], None], wake: Callable[[], None]) -> None:
        """One more relay. `recall` is called, by any thread, when it shall take so many credits back, `wake`
        when it may claim some.
        """
        with self._lock:
            self._shares[who] = Share(recall=recall, wake=wake)

    def leave(self, who: Hashable) -> None:
        """A relay less."""
        with self._lock:
            self._shares.pop(who, None)

    def is_full(self) -> bool:
        """True if as many jobs run as may."""
        with self._lock:
            return sum(share.occupied for share in self._shares.values()) >= self.capacity

    def tell(self, who: Hashable, *, occupied: int, granted: int, is_open: bool, busy_ms: int) -> None:
        """What a relay has now, and when it last gave a job."""
        with self._lock:
            share = self._shares.get(who)
            if share is None:
                return
            share.occupied, share.granted, share.open, share.busy_ms = occupied, granted, is_open, busy_ms
            if not is_open:
                share.wanting = share.recalling = 0
            first = min(
                (each for each in self._shares.values() if each.wanting and each is not share),
                key=lambda each: each.wanting,
                default=None,
            )
            free = first is not None and self._free() > 0
        if first is not None and free:
            first.wake()

    def recalled(self, who: Hashable) -> None:
        """The relay has taken credits back, as it was asked to."""
        with self._lock:
            share = self._shares.get(who)
            if share is not None:
                share.recalling = 0

    def _free(self) -> int:
        return self.capacity - sum(each.occupied + each.granted for each in self._shares.values())

    def claim(self, who: Hashable, now_ms: int) -> int:
        """How many more credits the relay may be given now; they are its own from then on."""
        with self._lock:
            share = self._shares.get(who)
            if share is None or share.recalling:
                return 0
            relays = sum(each.open for each in self._shares.values())
            free = self.capacity - sum(each.occupied + each.granted for each in self._shares.values())
            before = sum(
                0 < each.wanting < (share.wanting or self._turns + 1) for each in self._shares.values()
            )
            more = min(max(self.capacity // max(relays, 1), 1) - share.granted, free - before)
            if more > 0:
                share.granted += more
                share.wanting = 0
                return more
            victim = self._victim(share, now_ms)
        if victim is not None:
            victim.recall(victim.recalling)
        return 0

    def _victim(self, share: Share, now_ms: int) -> Share | None:
        """Whose credits are taken back for one that has none left."""
        if share.granted:
            return None
        if not share.wanting:
            self._turns += 1
            share.wanting = self._turns
        if any(each.recalling for each in self._shares.values()):
            return None
        idle = [
            each
            for each in self._shares.values()
            if each is not share and each.open and each.granted and now_ms - each.busy_ms >= IDLE_MS
        ]
        if not idle:
            return None
        victim = max(idle, key=lambda each: each.granted)
        victim.recalling = max(victim.granted // 2, 1)
        return victim
