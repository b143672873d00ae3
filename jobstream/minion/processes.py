"""A pool of processes, one for each plain function that runs in them, made when needed and replaced when they
end.

A process runs one lease at a time, so its crash, or its end by our hand, costs the one attempt. Each is owned
by one thread, which feeds it and waits for it. Processes are spawned, never forked: gRPC does not survive a
fork.
"""

import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from jobstream.context import Stop
from jobstream.errors import BadRequest, ProcessDied
from jobstream.functions import Function
from jobstream.minion import child, outcome
from jobstream.minion.lease import Lease
from jobstream.minion.threads import Threads
from schemas.proto.relay_pb2 import Receipt

log = logging.getLogger(__name__)

_spawn = multiprocessing.get_context("spawn")

EXIT_S = 2.0
"""How long a process may take to end when its pipe is closed, before it is killed."""
CANCEL_S = 5.0
"""How long a function in a process may go on after it was asked to stop, before its process is killed."""


class Child:
    """One process. `run` belongs to the thread that owns it, `cancel` and `kill` to any."""

    def __init__(self) -> None:
        work, work_there = _spawn.Pipe()
        control_there, control = _spawn.Pipe(duplex=False)
        self._work: Connection[Any, Any] = work
        self._control: Connection[Any, Any] = control
        self._lock = threading.Lock()
        self._current: Lease | None = None
        level = logging.getLogger().level if logging.getLogger().handlers else None
        self._process: SpawnProcess = _spawn.Process(
            target=child.main, args=(work_there, control_there, level), name="jobstream-function"
        )
        self._process.start()
        work_there.close()
        control_there.close()

    def run(self, lease: Lease, function: Function[..., Any]) -> Receipt:
        """Runs the lease and returns how it ended.

        Raises:
            ProcessDied: The process ended first; this object is of no more use.
        """
        with self._lock:
            self._current = lease
        try:
            lease.child = self
            if lease.stop is not None:
                return outcome.cancelled(lease)
            lease.start()
            self._work.send(child.Task.of(lease, function))
            lease.args = b""
            while not isinstance(told := self._work.recv(), child.Ended):
                if isinstance(told, child.Said):
                    self._say(lease, told)
                    continue
                lease.step, lease.progress, lease.checkpoint = told.step, told.progress, told.checkpoint
                lease.changed()
            return Receipt.FromString(told.receipt)
        except (EOFError, OSError):
            raise ProcessDied(self._last_words()) from None
        finally:
            with self._lock:
                self._current = None

    def _say(self, lease: Lease, said: child.Said) -> None:
        """What the function says to whoever waits. Its process is further already: too much is left out."""
        try:
            lease.say(said.kind, said.data)
        except BadRequest as bad:
            log.warning("left out: %s job_id=%s", bad, lease.job)

    def _last_words(self) -> str:
        self._process.join(EXIT_S)
        code = self._process.exitcode
        if code is None:
            return "the process closed its pipe without an answer"
        name = f" ({signal.Signals(-code).name})" if code < 0 else ""
        return f"the process ended with exit code {code}{name} while it ran the function"

    def cancel(self, lease: Lease, reason: str) -> None:
        """Sets the flag of the function's context, if it still runs this lease; ends the process if the
        function is deaf to it.
        """
        with self._lock:
            if self._current is lease:
                try:
                    self._control.send((lease.name, reason))
                except OSError:
                    log.debug("process is gone job_id=%s", lease.job)
                    return
                deaf = threading.Timer(CANCEL_S, self.kill, (lease,))
                deaf.daemon = True
                deaf.start()

    def kill(self, lease: Lease) -> None:
        """Ends the process, if it still runs this lease."""
        with self._lock:
            if self._current is lease:
                self._process.kill()

    def close(self) -> None:
        """Lets the process end if it is idle, ends it if not."""
        with self._lock:
            if self._current is not None:
                self._process.kill()
            self._control.close()
            if self._current is None:
                self._work.close()

    def gone(self, wait_s: float) -> bool:
        """True if the process has ended within this time; else it is killed."""
        self._process.join(wait_s)
        if self._process.exitcode is None:
            self._process.kill()
            return False
        return True


class Processes:
    """At most `size` processes."""

    def __init__(
        self,
        size: int,
        functions: Mapping[str, Function[..., Any]],
        end: Callable[[Lease, Receipt | None], None],
    ) -> None:
        self._functions = functions
        self._end = end
        self._threads = Threads(size, self._run)
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._all: list[Child] = []
        self._closed = False

    def put(self, lease: Lease) -> None:
        """Runs the lease as soon as a process is free."""
        self._threads.put(lease)

    def close(self) -> None:
        """Ends every process."""
        self._threads.close()
        with self._lock:
            self._closed = True
            for each in self._all:
                each.close()

    def busy(self, wait_s: float) -> int:
        """How many processes had to be killed, having waited for all of them so long at most."""
        with self._lock:
            left = list(self._all)
        return sum(not each.gone(wait_s / len(left)) for each in left)

    def _run(self, lease: Lease) -> None:
        """One lease in one process, on one of the pool's threads."""
        function = self._functions[lease.function]
        process: Child | None = None
        try:
            process = self._take()
            receipt = process.run(lease, function)
        except (ProcessDied, OSError) as error:
            self._forget(process)
            asked = lease.stop is Stop.CANCELLED  # it was killed since it would not stop
            receipt = (
                outcome.cancelled(lease) if asked else outcome.of_error(lease, _died(error), function.retry)
            )
        else:
            with self._lock:
                self._idle.append(process)
        lease.child = None
        self._end(lease, None if lease.stop not in (None, Stop.CANCELLED) else receipt)

    def _take(self) -> Child:
        with self._lock:
            if self._closed:
                raise ProcessDied("the minion goes away")
            if self._idle:
                return self._idle.pop()
            made = Child()
            self._all.append(made)
            return made

    def _forget(self, process: Child | None) -> None:
        with self._lock:
            if process in self._all:
                self._all.remove(process)
        if process is not None:
            process.close()
            process.gone(EXIT_S)


def _died(error: Exception) -> ProcessDied:
    return error if isinstance(error, ProcessDied) else ProcessDied(f"no process could be started: {error}")
