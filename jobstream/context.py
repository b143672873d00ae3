"""What a running function is told and may tell: its attempt, and the Context that it is handed as `ctx`.

An Attempt holds plain values, written by the function's own thread and read by the one that sends heartbeats:
every field that changes is replaced whole, so that no reader sees half of a change. A Context must work the
same in async functions, threads and processes, and in a unit test without any Jobstream: `Context()` is
enough there.
"""

import contextvars
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from jobstream.errors import BadRequest, Cancelled, CheckpointTooLarge
from schemas.defaults import CHECKPOINT_BYTES_MAX, STEP_CHARS_MAX, TIMEOUT_MS

_event_lock = threading.Lock()
"""Guards the making of the rare Event of an attempt: one lock for all, since few attempts ever wait."""


class Stop(Enum):
    """Why an attempt shall stop."""

    CANCELLED = "cancelled"  # somebody asked for it; its receipt is still wanted
    TIMED_OUT = "timed_out"
    DROPPED = "dropped"  # the relay says that the lease is no longer ours
    INTERRUPTED = "interrupted"  # the minion goes away and has handed the job back


class Attempt:
    """One try at a job, as its minion holds it. Times are epoch ms; 0 stands for "not yet" and "none"."""

    __slots__ = (
        "_event",
        "assigned_at_ms",
        "attempt",
        "checkpoint",
        "created_at_ms",
        "deadline_ms",
        "epoch",
        "foreground",
        "function",
        "job",
        "key",
        "partition",
        "previous",
        "progress",
        "queue",
        "started_at_ms",
        "started_s",
        "step",
        "stop",
        "stop_reason",
        "timeout_ms",
        "trace",
    )

    def __init__(  # noqa: PLR0913  # one keyword for each thing that a dispatch says
        self,
        *,
        job: str = "test",
        epoch: int = 1,
        attempt: int = 1,
        key: str = "test",
        partition: int = 0,
        queue: str = "default",
        function: str = "test",
        timeout_ms: int = TIMEOUT_MS,
        assigned_at_ms: int = 0,
        created_at_ms: int = 0,
        deadline_ms: int = 0,
        previous: bytes = b"",
        trace: str = "",
        foreground: bool = False,
    ) -> None:
        self.job = job
        self.foreground = foreground
        """Somebody waits for the end of this very attempt: it is a call, and no durable job."""
        self.epoch = epoch
        self.attempt = attempt
        self.key = key
        self.partition = partition
        self.queue = queue
        self.function = function
        self.timeout_ms = timeout_ms
        self.assigned_at_ms = assigned_at_ms
        self.created_at_ms = created_at_ms
        self.deadline_ms = deadline_ms
        self.previous = previous
        self.trace = trace
        self.started_at_ms = 0
        self.started_s = 0.0
        """The same by the clock that does not go back."""
        self.step: tuple[str, int] | None = None
        """Name and time of the last step."""
        self.progress: tuple[int, int] | None = None
        """Units done and in all."""
        self.checkpoint: bytes | None = None
        self.stop: Stop | None = None
        self.stop_reason = ""
        self._event: threading.Event | None = None

    def start(self) -> None:
        """Notes that the function begins now."""
        self.started_at_ms = time.time_ns() // 1_000_000
        self.started_s = time.monotonic()

    def run_ms(self) -> int:
        """For how long the function has run; 0 if it did not begin."""
        return int((time.monotonic() - self.started_s) * 1_000) if self.started_at_ms else 0

    def changed(self) -> None:
        """Called after step, progress or checkpoint changed; whoever sends heartbeats overrides it."""

    def say(self, kind: str, data: bytes) -> None:
        """A piece of `data`, or a `warning`, for whoever waits for a call; nobody does for a durable job."""

    def ask_to_stop(self, stop: Stop, reason: str) -> None:
        """Sets the flag that the function sees; the first reason stays. Never blocks."""
        with _event_lock:
            if self.stop is None:
                self.stop_reason = reason
                self.stop = stop
            if self._event is not None:
                self._event.set()

    def wait_for_stop(self, seconds: float) -> bool:
        """Blocks the calling thread for so long at most; True as soon as the attempt shall stop."""
        with _event_lock:
            if self.stop is not None:
                return True
            if self._event is None:
                self._event = threading.Event()
            event = self._event
        return event.wait(seconds)


class Context:
    """A function's view of its attempt: a parameter named `ctx`, or annotated with this class, is given one.

    Every method may be called from any thread and returns at once (but `wait`). What is told reaches the
    status pages with the next heartbeat, at most once a second, the latest value only; what is left at the
    end goes with the receipt. In a unit test, `Context()` is a context of no job at all;
    `Context(Attempt(...))` sets what it says.
    """

    __slots__ = ("_attempt",)

    def __init__(self, attempt: Attempt | None = None) -> None:
        self._attempt = attempt if attempt is not None else Attempt()

    def __repr__(self) -> str:
        return f"Context(job_id={self.job_id!r}, attempt={self.attempt}, epoch={self.epoch})"

    @property
    def job_id(self) -> str:
        """Id of the job."""
        return self._attempt.job

    @property
    def key(self) -> str:
        """Partition key of the job."""
        return self._attempt.key

    @property
    def queue(self) -> str:
        """Queue of the job."""
        return self._attempt.queue

    @property
    def function(self) -> str:
        """Name of the function, as the job asks for it."""
        return self._attempt.function

    @property
    def attempt(self) -> int:
        """Number of this try, from 1. Snoozes and hand-backs repeat it."""
        return self._attempt.attempt

    @property
    def epoch(self) -> int:
        """The fencing token: grows with every dispatch of the job, so that a store can refuse an older one's
        writes.
        """
        return self._attempt.epoch

    @property
    def created_at_ms(self) -> int:
        """When the job was admitted, epoch ms."""
        return self._attempt.created_at_ms

    @property
    def timeout_ms(self) -> int:
        """How long this attempt may take, ms."""
        return self._attempt.timeout_ms

    @property
    def deadline_ms(self) -> int:
        """When this attempt times out, epoch ms by this machine's clock; 0 in a unit test."""
        return self._attempt.deadline_ms

    @property
    def deadline(self) -> datetime | None:
        """`deadline_ms` as an aware datetime in UTC; None in a unit test."""
        at_ms = self._attempt.deadline_ms
        return datetime.fromtimestamp(at_ms / 1000, UTC) if at_ms else None

    @property
    def trace(self) -> str | None:
        """W3C traceparent for what the function asks of others: this attempt's span where it is traced, else
        that of whoever submitted the job, None where there was none.
        """
        return self._attempt.trace or None

    @property
    def previous(self) -> bytes | None:
        """The checkpoint that an earlier attempt left, None where there was none."""
        return self._attempt.previous or None

    def previous_json(self) -> Any:
        """The value that an earlier attempt gave to `checkpoint`, None where there was none.

        Raises:
            ValueError: The checkpoint is not JSON.
        """
        return json.loads(self._attempt.previous) if self._attempt.previous else None

    def step(self, name: str) -> None:
        """Tells where the function is: `ctx.step('parse')`.

        Raises:
            BadRequest: The name is empty, too long, or no text.
        """
        if not isinstance(name, str) or not 0 < len(name) <= STEP_CHARS_MAX:
            raise BadRequest(f"a step must be a text of 1 to {STEP_CHARS_MAX} characters, got {name!r:.80}")
        attempt = self._attempt
        attempt.step = (name, time.time_ns() // 1_000_000)
        attempt.changed()

    def progress(self, done: int, total: int) -> None:
        """Tells how much of the work is done, in whatever units the function counts.

        Raises:
            BadRequest: Not whole numbers, below 0, or a total of 0.
        """
        if not isinstance(done, int) or not isinstance(total, int) or done < 0 or total < 1:
            raise BadRequest(
                f"progress must be whole numbers done >= 0 and total >= 1, got {done!r}, {total!r}"
            )
        attempt = self._attempt
        attempt.progress = (done, total)
        attempt.changed()

    @property
    def foreground(self) -> bool:
        """True in a call that somebody waits for, False in a durable job."""
        return self._attempt.foreground

    def data(self, value: Any) -> None:
        """Sends a piece of the answer to whoever waits for this call, at once: bytes as they are, anything
        else as JSON. In a durable job nobody waits, and nothing happens.

        Text goes as UTF-8.

        Raises:
            BadRequest: Above 4 MiB, or so much waits to be sent that more must wait.
            TypeError: Neither bytes nor JSON.
        """
        if self._attempt.foreground:
            self._attempt.say("data", value.encode() if isinstance(value, str) else _encoded(value))

    def warning(self, value: Any) -> None:
        """The same as `data`, but as a warning."""
        if self._attempt.foreground:
            self._attempt.say("warning", value.encode() if isinstance(value, str) else _encoded(value))

    def status(self, done: int, total: int) -> None:
        """The same as `progress`; whoever waits for a call is told at once.

        Raises:
            BadRequest: Not whole numbers, below 0, or a total of 0.
        """
        self.progress(done, total)

    def checkpoint(self, value: Any) -> None:
        """Leaves a value that the next attempt finds in `previous`: bytes as they are, anything else as JSON.

        It is kept once a heartbeat or the receipt has carried it, which takes about a second.

        Raises:
            CheckpointTooLarge: Above 16 KiB when encoded.
            TypeError: Neither bytes nor JSON.
        """
        encoded = _encoded(value)
        if len(encoded) > CHECKPOINT_BYTES_MAX:
            raise CheckpointTooLarge(
                f"a checkpoint must be at most {CHECKPOINT_BYTES_MAX} bytes, got {len(encoded)} bytes"
            )
        attempt = self._attempt
        attempt.checkpoint = encoded
        attempt.changed()

    @property
    def cancelled(self) -> bool:
        """True once the attempt shall stop: it was cancelled, timed out, or is no longer this minion's."""
        return self._attempt.stop is not None

    @property
    def cancel_reason(self) -> str | None:
        """Why it shall stop, None while it need not."""
        return self._attempt.stop_reason if self._attempt.stop is not None else None

    def raise_if_cancelled(self) -> None:
        """Ends the function here if its attempt shall stop.

        Raises:
            Cancelled: It shall.
        """
        if self._attempt.stop is not None:
            raise Cancelled(self._attempt.stop_reason)

    def wait(self, seconds: float) -> bool:
        """Sleeps in a plain function, but wakes when the attempt shall stop, and says so with True."""
        return self._attempt.wait_for_stop(seconds)


def _encoded(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else json.dumps(value).encode()


_running: contextvars.ContextVar[Attempt | None] = contextvars.ContextVar("jobstream_attempt", default=None)


def current() -> Context | None:
    """The context of the attempt that the calling code runs in, None outside of one."""
    attempt = _running.get()
    return None if attempt is None else Context(attempt)


def enter(attempt: Attempt) -> contextvars.Token[Attempt | None]:
    """Makes the attempt current in the calling context; for what runs functions."""
    return _running.set(attempt)


@contextmanager
def running(attempt: Attempt) -> Iterator[Context]:
    """Makes the attempt current for a block; for tests and for what runs functions."""
    token = enter(attempt)
    try:
        yield Context(attempt)
    finally:
        _running.reset(token)
