"""A pool of threads that are made when needed and never wait for each other.

The standard pool joins its threads at exit, so that one stuck function would keep the process for ever; these
are daemons. It owns the threads; it must never drop a lease that was put.
"""

import logging
import queue
import threading
from collections.abc import Callable

from jobstream.minion.lease import Lease

log = logging.getLogger(__name__)


class Threads:
    """At most `size` threads, each running one lease at a time."""

    def __init__(self, size: int, run: Callable[[Lease], None]) -> None:
        self._size = size
        self._run = run
        self._waiting: queue.SimpleQueue[Lease | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []

    def put(self, lease: Lease) -> None:
        """Runs the lease as soon as a thread is free; called by one thread only."""
        self._waiting.put(lease)
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._size:
            name = f"jobstream-function-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Lets idle threads end; busy ones end after what they run."""
        for _ in self._threads:
            self._waiting.put(None)

    def busy(self, wait_s: float) -> int:
        """How many threads have not ended after close, having waited for them so long in all at most."""
        for thread in self._threads:
            thread.join(wait_s / len(self._threads))
        return sum(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (lease := self._waiting.get()) is not None:
            self._run(lease)
            del lease
            self._idle.release()
