"""Which leases of a minion wait for another of its leases, and how those ended that others may come after.

Owns that memory, for any thread. It runs nothing and ends nothing: its callers do what it says.
"""

import threading
from collections import OrderedDict

from jobstream.minion.beats import Key
from jobstream.minion.lease import Lease

ENDS_MAX = 10_000
"""Ends that are remembered for what comes after them, and was sent before the relay heard of them."""


class Lanes:
    """What waits, by the lease it comes after."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leading: set[Key] = set()
        self._behind: dict[Key, Lease] = {}
        self._ends: OrderedDict[Key, bool] = OrderedDict()

    def lead(self, name: Key) -> None:
        """A lease came that others may come after."""
        with self._lock:
            self._leading.add(name)

    def wait(self, lease: Lease, after: Key) -> bool | None:
        """A lease came behind another one: True if that has succeeded already, False if it ended otherwise or
        is not known here; None: it waits, until `ended` gives it.
        """
        with self._lock:
            if after not in self._leading:
                return self._ends.get(after, False)
            self._behind[after] = lease
            return None

    def ended(self, name: Key, *, success: bool) -> Lease | None:
        """A lease ended; gives what waited for it. Its first end counts."""
        with self._lock:
            if name not in self._leading:
                return None
            self._leading.remove(name)
            self._ends[name] = success
            if len(self._ends) > ENDS_MAX:
                self._ends.popitem(last=False)
            return self._behind.pop(name, None)
