"""Runs leases: async functions on the user's event loop, plain ones in threads or processes.

It owns the tasks and the pools, and makes of every end a receipt. It must never run user code on the
session's thread, and tells the link of each lease exactly once that its function has left.
"""

import asyncio
import contextlib
import contextvars
import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Protocol

from jobstream.context import Stop, enter
from jobstream.functions import Function
from jobstream.minion import outcome
from jobstream.minion.calls import Call
from jobstream.minion.lanes import Lanes
from jobstream.minion.lease import Lease
from jobstream.minion.link import ids
from jobstream.minion.processes import Processes
from jobstream.minion.threads import Threads
from schemas.proto.relay_pb2 import CANCELLED, FAILURE, INTERRUPTED, SNOOZE, SUCCESS, Outcome, Receipt

if TYPE_CHECKING:
    from jobstream.minion.telling import Telling

log = logging.getLogger(__name__)


class Ended(Protocol):
    """Where ends are told: Link.ended."""

    def __call__(self, ends: Iterable[tuple[Lease, Receipt | None]], *, soon: bool = False) -> None:
        """These functions have left their slots."""


_LEVELS = {
    SUCCESS: logging.DEBUG,
    FAILURE: logging.WARNING,
    SNOOZE: logging.INFO,
    CANCELLED: logging.INFO,
    INTERRUPTED: logging.DEBUG,
}

UNWIND_S = 2.0
"""How long async functions that were asked to stop may take before the minion leaves without them."""
FRAMES_MAX = 100
"""How many frames of a function that ran out of time are told."""


class FunctionRunner:
    """Runs the functions of one minion; made and closed on the user's event loop.

    Attributes:
        ended: Where ends are told; set before the first lease.
    """

    def __init__(
        self,
        functions: Mapping[str, Function[..., Any]],
        opened: Mapping[str, Any],
        capacity: int,
        telling: "Telling | None" = None,
    ) -> None:
        self.ended: Ended = _nowhere
        self._telling = telling
        self._calls = {name: Call(function, opened) for name, function in functions.items()}
        self._loop = asyncio.get_running_loop()
        # What was set while resources were opened is seen by every function; what one sets, by no other.
        self._context = contextvars.copy_context()
        self._loop_thread = threading.get_ident()
        self._arrived: deque[Lease] = deque()
        self._told_arrived = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: list[tuple[Lease, Receipt | None]] = []
        self._lanes = Lanes()
        self._threads = Threads(capacity, self._run_in_thread)
        self._processes = Processes(capacity, functions, self._end_plain)
        self._counting = threading.Lock()
        self.taken = 0
        """How many leases it was given."""

    # The session's thread.

    def start(self, leases: list[Lease]) -> None:
        """Runs the leases; the loop is told once for all of them."""
        with self._counting:  # each relay's session has a thread
            self.taken += len(leases)
        for lease in leases:
            if self._telling is not None:
                self._telling.comes(lease)
            if lease.leads:
                self._lanes.lead(lease.name)
            if lease.after is None:
                self._put(lease)
                continue
            match self._lanes.wait(lease, lease.after):
                case True:
                    self._turn_came(lease)
                case False:
                    self._pass_over(lease)
        self._hurry()

    def _put(self, lease: Lease) -> None:
        """Has it run where its function runs."""
        run = self._calls[lease.function].function.run
        if run == "async":
            self._arrived.append(lease)
        elif run == "threads":
            self._threads.put(lease)
        else:
            self._processes.put(lease)

    def _hurry(self) -> None:
        if self._arrived and not self._told_arrived:
            self._told_arrived = True
            self._on_loop(self._start_arrived)

    # Leases that come after another one; any thread.

    def _tell_of_leader(self, lease: Lease, receipt: Receipt | None) -> None:
        """A lease that others may come after has ended: what waits for it begins, or is handed back."""
        success = receipt is not None and receipt.outcome == SUCCESS and lease.stop in (None, Stop.CANCELLED)
        behind = self._lanes.ended(lease.name, success=success)
        self.ended(((lease, receipt),), soon=success and behind is not None)
        if behind is None:
            return
        if success:
            self._turn_came(behind)
            self._hurry()
        else:
            self._pass_over(behind)

    def _turn_came(self, lease: Lease) -> None:
        lease.turn_came(time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000)
        self._put(lease)

    def _pass_over(self, lease: Lease) -> None:
        """What it came after did not succeed."""
        receipt = outcome.interrupted(lease) if lease.stop is None else None
        if lease.stop is Stop.CANCELLED:
            receipt = outcome.cancelled(lease)
        self._end_plain(lease, receipt)

    def stop(self, lease: Lease) -> None:
        """Cancels the task, or what there is of it; a thread sees the flag of its context. What comes after a
        lease that is over does not wait for its function.
        """
        if lease.leads and lease.stop is not Stop.CANCELLED:
            behind = self._lanes.ended(lease.name, success=False)
            if behind is not None:
                self._pass_over(behind)
        if lease.child is not None:
            if lease.stop is Stop.CANCELLED:
                lease.child.cancel(lease, lease.stop_reason)
            else:
                lease.child.kill(lease)
        elif self._calls[lease.function].function.is_async:
            self._on_loop(self._cancel, lease)

    def where(self, lease: Lease) -> str:
        """The stack of the lease's function, outermost frame first; empty where it cannot be had."""
        try:
            return _stack_text(self._frames(lease))
        except (RuntimeError, ValueError, AttributeError):  # the function moves on while it is looked at
            return ""

    def _frames(self, lease: Lease) -> list[tuple[CodeType, int]]:
        if lease.thread is not None:
            return _thread_frames(lease.thread)
        if lease.task is None:
            return []
        return _coroutine_frames(lease.task.get_coro(), self._loop_thread)

    def _on_loop(self, what: Callable[..., Any], *args: Any) -> None:
        # The loop may be closed: the process is about to end, and nobody waits for these any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, *args)

    # The user's event loop.

    def _start_arrived(self) -> None:
        self._told_arrived = False
        while self._arrived:
            lease = self._arrived.popleft()
            task = self._loop.create_task(self._run_async(lease), context=self._context.copy())
            lease.task = task
            self._tasks.add(task)

    async def _run_async(self, lease: Lease) -> None:
        call = self._calls[lease.function]
        receipt: Receipt | None
        if lease.stop is not None:
            receipt = outcome.cancelled(lease)
        else:
            try:
                enter(lease)
                args, kwargs = call.arguments(lease, lease.args, lease.content_type)
                known = (
                    await call.known_async(lease, lease.args, lease.content_type)
                    if call.function.get_cache is not None
                    else None
                )
                lease.args = b""
                if self._telling is not None:
                    self._telling.begins(lease)
                lease.start()
                receipt = (
                    outcome.success(lease, await call.target(*args, **kwargs))
                    if known is None
                    else outcome.cached(lease, known)
                )
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:  # noqa: BLE001  # a function may end in any way, and cancellation is one
                receipt = self._of_error(lease, error)
        self._log(lease, receipt)
        task = lease.task
        lease.task = None
        if task is not None:
            self._tasks.discard(task)
        if lease.foreground:  # somebody waits: a turn of the loop counts
            self.ended(((lease, receipt),))
            return
        if lease.leads:
            self._tell_of_leader(lease, receipt)
            return
        if not self._done:
            self._loop.call_soon(self._tell_done)
        self._done.append((lease, receipt))

    def _tell_done(self) -> None:
        """Tells the link of all that ended in one turn of the loop."""
        done, self._done = self._done, []
        self.ended(done)

    def _cancel(self, lease: Lease) -> None:
        """Cancels the task, unless it has not begun: then it sees the flag first of all."""
        if lease.task is not None and lease.started_at_ms:
            lease.task.cancel(lease.stop_reason)

    async def close(self) -> int:
        """Stops what still runs; returns how many functions would not stop."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=UNWIND_S)
        self._threads.close()
        self._processes.close()
        stuck = await asyncio.to_thread(self._threads.busy, UNWIND_S / 2)
        return stuck + len(self._tasks) + await asyncio.to_thread(self._processes.busy, UNWIND_S / 2)

    # The threads of the pools.

    def _run_in_thread(self, lease: Lease) -> None:
        self._context.copy().run(self._run_plain, lease)

    def _run_plain(self, lease: Lease) -> None:
        call = self._calls[lease.function]
        lease.thread = threading.get_ident()
        receipt: Receipt | None
        if lease.stop is not None:
            receipt = outcome.cancelled(lease)
        else:
            try:
                enter(lease)
                args, kwargs = call.arguments(lease, lease.args, lease.content_type)
                known = call.known(lease, lease.args, lease.content_type)
                lease.args = b""
                if self._telling is not None:
                    self._telling.begins(lease)
                lease.start()
                receipt = (
                    outcome.success(lease, call.target(*args, **kwargs))
                    if known is None
                    else outcome.cached(lease, known)
                )
            except BaseException as error:  # noqa: BLE001  # a function may end in any way, sys.exit among them
                receipt = self._of_error(lease, error)
        lease.thread = None
        self._end_plain(lease, receipt)

    def _end_plain(self, lease: Lease, receipt: Receipt | None) -> None:
        """A lease outside the loop has left its slot."""
        self._log(lease, receipt)
        if lease.leads:
            self._tell_of_leader(lease, receipt)
        else:
            self.ended(((lease, receipt),))

    # Any thread.

    def _of_error(self, lease: Lease, error: BaseException) -> Receipt | None:
        """The receipt of an error; None if the lease has ended already, and the error is but its echo."""
        if lease.stop not in (None, Stop.CANCELLED):
            return None
        return outcome.of_error(lease, error, self._calls[lease.function].function.retry)

    def _log(self, lease: Lease, receipt: Receipt | None) -> None:
        """One line for an end; neither arguments nor results nor an error's words are told."""
        if self._telling is not None:
            self._telling.ended(lease, receipt)
        level = logging.DEBUG if receipt is None else _LEVELS[receipt.outcome]
        if not log.isEnabledFor(level):
            return
        if receipt is None:
            log.log(level, "function left after its lease had ended %s", ids(lease))
            return
        error = (
            f" error={receipt.error_type} non_retryable={receipt.non_retryable}" if receipt.error_type else ""
        )
        name = Outcome.Name(receipt.outcome).lower()
        log.log(level, "attempt ended outcome=%s run_ms=%d%s %s", name, receipt.run_ms, error, ids(lease))


_OWN_FILES = str(Path(__file__).parent)


def _nowhere(ends: Iterable[tuple[Lease, Receipt | None]], *, soon: bool = False) -> None:  # noqa: ARG001
    raise AssertionError("a runner must be told where ends go before it is given leases")


def _thread_frames(ident: int) -> list[tuple[CodeType, int]]:
    frame: FrameType | None = sys._current_frames().get(ident)  # noqa: SLF001  # the documented way to see a thread
    found = []
    while frame is not None:
        found.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return found[::-1]


def _coroutine_frames(waiting: Any, loop_thread: int) -> list[tuple[CodeType, int]]:
    """The frames of a coroutine and of what it awaits; of the loop's thread if it runs at this moment."""
    found: list[tuple[CodeType, int]] = []
    while waiting is not None and len(found) < FRAMES_MAX:
        if getattr(waiting, "cr_running", False):
            return found + _thread_frames(loop_thread)
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame is not None:
            found.append((frame.f_code, frame.f_lineno))
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
    return found


def _stack_text(frames: list[tuple[CodeType, int]]) -> str:
    theirs = [(code, line) for code, line in frames if not code.co_filename.startswith(_OWN_FILES)]
    lines = (
        traceback.FrameSummary(code.co_filename, line, code.co_name) for code, line in theirs[-FRAMES_MAX:]
    )
    return "".join(traceback.format_list(list(lines)))
