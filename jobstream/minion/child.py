"""The inside of a process that runs functions for a minion. It owns the process's main thread.

It ends as soon as its minion does: the pipe tells. It must never import gRPC.
"""

import importlib
import logging
import os
import queue
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from jobstream.context import Attempt, Stop, running
from jobstream.functions import Function
from jobstream.minion import outcome
from jobstream.minion.calls import Call
from jobstream.minion.lease import Lease
from schemas.proto.relay_pb2 import Receipt
from schemas.telemetry import context

TOLD_EVERY_S = 0.1
"""How often at most the minion is told what changed."""
LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"

_FIELDS = (
    "job",
    "epoch",
    "attempt",
    "key",
    "partition",
    "queue",
    "function",
    "timeout_ms",
    "assigned_at_ms",
    "created_at_ms",
    "deadline_ms",
    "previous",
    "trace",
    "foreground",
)


@dataclass(frozen=True, slots=True)
class Task:
    """What a process is given to run."""

    module: str
    qualname: str
    attempt: dict[str, Any]
    args: bytes
    content_type: str

    @classmethod
    def of(cls, lease: Lease, function: Function[..., Any]) -> "Task":
        """The lease as a task."""
        attempt = {name: getattr(lease, name) for name in _FIELDS}
        return cls(
            function.call.__module__, function.call.__qualname__, attempt, lease.args, lease.content_type
        )


@dataclass(frozen=True, slots=True)
class Told:
    """What the function told meanwhile."""

    step: tuple[str, int] | None
    progress: tuple[int, int] | None
    checkpoint: bytes | None


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of data, or a warning, for whoever waits."""

    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended: a Receipt's bytes."""

    receipt: bytes


class _ChildAttempt(Attempt):
    """An attempt whose changes go through the pipe."""

    __slots__ = ("teller",)
    teller: "_Teller"

    def changed(self) -> None:
        self.teller.tell(self)

    def say(self, kind: str, data: bytes) -> None:
        self.teller.say(Said(kind, data))


class _Teller:
    """Sends what changed, the latest only and not too often, from a thread of its own."""

    def __init__(self, work: "Connection[Any, Any]") -> None:
        self._work = work
        self._lock = threading.Lock()
        self._attempt: _ChildAttempt | None = None
        self._waiting: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="jobstream-teller", daemon=True).start()

    def tell(self, attempt: _ChildAttempt) -> None:
        """Something changed."""
        with self._lock:
            if self._attempt is None:
                self._attempt = attempt
                self._waiting.put(None)

    def say(self, said: Said) -> None:
        """To be sent at once, in its order."""
        with self._lock:
            self._work.send(said)

    def end(self, receipt: Receipt) -> None:
        """The attempt has ended: nothing is told of it any more."""
        with self._lock:
            self._attempt = None
            self._work.send(Ended(receipt.SerializeToString()))

    def _run(self) -> None:
        while True:
            self._waiting.get()
            with self._lock:
                attempt, self._attempt = self._attempt, None
                if attempt is not None:
                    self._work.send(Told(attempt.step, attempt.progress, attempt.checkpoint))
            time.sleep(TOLD_EVERY_S)


class _Worker:
    """Runs tasks one after the other."""

    def __init__(self, work: "Connection[Any, Any]") -> None:
        self._work = work
        self._teller = _Teller(work)
        self._calls: dict[tuple[str, str], Call] = {}
        self._current: _ChildAttempt | None = None
        self._lock = threading.Lock()
        self._cancelled: dict[tuple[str, int], str] = {}

    def run(self) -> None:
        """Until the pipe is closed."""
        while True:
            try:
                task = self._work.recv()
            except (EOFError, OSError):
                return
            self._teller.end(self._ended(task))

    def _ended(self, task: Task) -> Receipt:
        attempt = _ChildAttempt(**task.attempt)
        attempt.teller = self._teller
        call = None
        with self._lock:
            self._current = attempt
            reason = self._cancelled.pop((attempt.job, attempt.epoch), None)
        if reason is not None:
            attempt.ask_to_stop(Stop.CANCELLED, reason)
        try:
            call = self._call(task)
            with running(attempt):
                context.enter(attempt.trace)
                args, kwargs = call.arguments(attempt, task.args, task.content_type)
                known = call.known(attempt, task.args, task.content_type)
                attempt.start()
                if known is not None:
                    return outcome.cached(attempt, known)
                return outcome.success(attempt, call.target(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  # a function may end in any way, sys.exit among them
            return outcome.of_error(attempt, error, call.function.retry if call is not None else None)
        finally:
            with self._lock:
                self._current = None

    def _call(self, task: Task) -> Call:
        name = (task.module, task.qualname)
        if name not in self._calls:
            found = getattr(importlib.import_module(task.module), task.qualname)
            assert isinstance(found, Function), f"{task.module}.{task.qualname} must be a declared function"
            self._calls[name] = Call(found, {})
        return self._calls[name]

    def watch(self, control: "Connection[Any, Any]") -> None:
        """Takes cancellations; ends the process when the minion has ended."""
        while True:
            try:
                name, reason = control.recv()
            except (EOFError, OSError):
                os._exit(0)
            with self._lock:
                current = self._current
                if current is None or (current.job, current.epoch) != name:
                    self._cancelled = {name: reason}
                    continue
            current.ask_to_stop(Stop.CANCELLED, reason)


def main(work: "Connection[Any, Any]", control: "Connection[Any, Any]", level: int | None) -> None:
    """Runs tasks from the pipe until it is closed."""
    # The minion decides when its processes end; Ctrl-C reaches the whole group.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(each, signal.SIG_IGN)
    if level is not None:
        logging.basicConfig(level=level, format=LOG_FORMAT)
    worker = _Worker(work)
    threading.Thread(target=worker.watch, args=(control,), name="jobstream-control", daemon=True).start()
    worker.run()
