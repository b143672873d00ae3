"""A lease: an attempt that this minion holds. Plain state; each field says whose thread writes it."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from jobstream.context import Attempt
from schemas.proto.relay_pb2 import Held, Job


class Stoppable(Protocol):
    """What runs an attempt outside of this process."""

    def cancel(self, lease: "Lease", reason: str) -> None:
        """Lets the function know that it shall stop."""

    def kill(self, lease: "Lease") -> None:
        """Ends the function's process, if it still runs this lease."""


class Lease(Attempt):
    """An attempt with what the minion needs to run it, to beat for it and to end it.

    Attributes:
        name: (job, epoch): what the relay calls it.
        args, content_type: Arguments as they came; let go once the function has them.
        session: Id of the session that gave it, for log lines.
        given_on: Number of that session, counted by this process.
        received_ms: When it came, by the clock that does not go back.
        interval_ms: How far apart its heartbeats are; 0: only when something changed.
        leads: Others may come that shall begin when this one has succeeded.
        after: The lease that must succeed first; None: there is none, or it has.
        home: The link that looks after it.
        submitter_trace: What `trace` was before it became the span of this attempt; None: it did not.
        task, thread, child: Where it runs; set by whoever runs it.
    """

    __slots__ = (
        "after",
        "args",
        "child",
        "content_type",
        "dirty",
        "given_on",
        "heartbeat_timeout_ms",
        "home",
        "interval_ms",
        "leads",
        "name",
        "notify",
        "received_ms",
        "session",
        "submitter_trace",
        "task",
        "thread",
        "told_checkpoint",
        "told_progress",
        "told_started",
        "told_step",
    )

    def __init__(self, job: Job, *, session: str, given_on: int, received_ms: int, wall_ms: int) -> None:
        timeout_ms = job.timeout_ms
        super().__init__(
            job=job.id,
            epoch=job.epoch,
            attempt=job.attempt,
            key=job.key,
            partition=job.partition,
            queue=job.queue,
            function=job.function,
            timeout_ms=timeout_ms,
            assigned_at_ms=job.assigned_at_ms,
            created_at_ms=job.created_at_ms,
            deadline_ms=wall_ms + timeout_ms,
            previous=job.checkpoint,
            trace=job.trace,
        )
        self.name = (self.job, self.epoch)
        self.args = job.args
        self.content_type = job.content_type
        self.heartbeat_timeout_ms = job.heartbeat_timeout_ms
        self.session = session
        self.given_on = given_on
        self.received_ms = received_ms
        self.interval_ms = 0
        self.leads = job.leads
        self.after = (job.after_job, job.after_epoch) if job.after_job else None
        self.submitter_trace: str | None = None
        self.task: asyncio.Task[Any] | None = None
        self.thread: int | None = None
        self.child: Stoppable | None = None
        self.home: object = None
        self.notify: Callable[[Lease], None] | None = None
        self.dirty = False
        self.forget_told()

    def forget_told(self) -> None:
        """A new session knows nothing of what was told on earlier ones. Session's thread only."""
        self.told_started = False
        self.told_step: tuple[str, int] | None = None
        self.told_progress: tuple[int, int] | None = None
        self.told_checkpoint: bytes | None = None

    def turn_came(self, now_ms: int, wall_ms: int) -> None:
        """What it came after has succeeded: its time begins. Called by whoever runs it."""
        self.received_ms = now_ms
        self.deadline_ms = wall_ms + self.timeout_ms
        self.after = None

    def changed(self) -> None:
        """Asks for a heartbeat, once until it was made; any thread."""
        if not self.dirty and self.notify is not None:
            self.dirty = True
            self.notify(self)

    def held(self) -> Held:
        """The lease as a hello or a late receipt tells of it."""
        return Held(
            job=self.job,
            epoch=self.epoch,
            key=self.key,
            partition=self.partition,
            attempt=self.attempt,
            queue=self.queue,
            function=self.function,
            assigned_at_ms=self.assigned_at_ms,
            started_at_ms=self.started_at_ms,
            timeout_ms=self.timeout_ms,
        )
