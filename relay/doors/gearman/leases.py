"""Durable jobs on Gearman workers: each worker is a session of the relay's edge too, which takes one job
at a time.

Owns those sessions. A worker is granted a credit when it comes for a job or goes to sleep, and loses it
again when it takes a foreground job, so nothing waits behind a worker that is busy. Calls and durable jobs
take turns where both wait. A worker that is connected counts as alive: Gearman has no heartbeats.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from relay.core.call import CallOutcome, End, Priority, Run
from relay.core.edge import Edge
from relay.core.session import Breach, Lease, Session
from relay.doors.gearman.telling import Telling
from relay.doors.gearman.ticket import Entry
from relay.doors.gearman.work import content_type_of
from schemas.defaults import HEARTBEAT_MS, QUEUE
from schemas.events import Dispatch
from schemas.names import BadName, check_function, new_id
from schemas.proto import relay_pb2
from schemas.telemetry.spans import JobTrace

if TYPE_CHECKING:
    from relay.doors.gearman.connection import Connection

log = logging.getLogger("relay.gearman")

CAPACITY: Final = 1_000
"""Jobs that one worker may hold at once; it is granted one at a time."""

FUNCTIONS_MAX: Final = 10_000
PROGRESS_MS: Final = 1_000
"""The least time between two words on the progress of one job."""

SDK: Final = "gearman"


class Bridge(Protocol):
    """The relay's bridge to Kafka, as far as this is concerned."""

    wake: Callable[[Session], None]

    @property
    def sent(self) -> Callable[[Lease, Dispatch], None] | None:
        """Is told of each job that a worker is given; None: nobody wants to know."""

    @property
    def edge(self) -> Edge:
        """Who decides about durable jobs."""

    @property
    def clock(self) -> Callable[[], int]:
        """Tells the time, ms."""

    def pump(self) -> None:
        """Takes out of the edge what the last call put there."""

    def follow(self) -> None:
        """Reads the queues that sessions serve."""


@dataclass(slots=True, eq=False)
class Shift:
    """What a connection's worker is to the edge."""

    session: Session | None = None
    functions: frozenset[str] = frozenset()
    """Those of its session."""
    changed: bool = True
    """The worker's may be others by now."""
    older: list[Session] = field(default_factory=list)
    """Sessions of functions that it had before, for as long as it holds their jobs."""
    numbers: int = 0
    """Receipts that it has sent."""
    asleep: bool = False
    called: bool = False
    """It was last given a call."""
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    """By job: when the worker's own limit for the function is over."""
    traces: dict[str, JobTrace] = field(default_factory=dict)
    """Of the jobs that it holds and that are traced."""


class Leases:
    """The sessions of all Gearman workers of a door."""

    def __init__(self, bridge: Bridge, handle: Callable[[], bytes], telling: Telling | None = None) -> None:
        self._bridge = bridge
        self._telling = telling
        self._edge = bridge.edge
        self._handle = handle
        self._shifts: dict[Connection, Shift] = {}
        self._connections: dict[Session, Connection] = {}
        self._others = bridge.wake
        bridge.wake = self._wake
        self._loop = asyncio.get_running_loop()
        self._looking = self._loop.create_task(self._look())

    def close(self) -> None:
        """Ends; connections are gone by then."""
        self._looking.cancel()
        self._bridge.wake = self._others

    # What workers do.

    def sleep(self, connection: "Connection") -> None:
        """It waits for anything: what there is, or comes, is kept for it, and it is woken."""
        shift = self._shift(connection)
        shift.asleep = True
        if shift.session is not None and shift.session.room() == 0:
            self._credit(shift.session)
        if self._waiting(shift):
            connection.woken()

    def goes_first(self, connection: "Connection") -> bool:
        """True if a job goes before a call: one is kept for this worker, or it was last given a call."""
        shift = self._shift(connection)
        shift.asleep = False
        return (shift.called and bool(self._edge.router.parcels)) or self._waiting(shift)

    def grab(self, connection: "Connection") -> Entry | None:
        """It comes for a job."""
        shift = self._shift(connection)
        session = shift.session
        if session is None:
            return None
        if self._edge.router.parcels and not self._waiting(shift) and session.room() == 0:
            self._credit(session)
        while session.outbox.jobs:
            lease, dispatch = session.outbox.jobs.pop(0)
            if lease.over:
                session.refund()
                continue
            shift.called = False
            return self._entry(connection, lease, dispatch)
        session.recall(CAPACITY)
        return None

    def took_call(self, connection: "Connection") -> None:
        """It was given a call: nothing more is kept for it until it comes again."""
        shift = self._shifts.get(connection)
        if shift is not None:
            shift.called = True
            if shift.session is not None:
                shift.session.recall(CAPACITY)

    def progressed(self, lease: Lease, done: int, total: int) -> None:
        """How far a job is."""
        beat = relay_pb2.Beat(job=lease.job, epoch=lease.epoch, done=done, total=total, progress=True)
        now_ms = self._bridge.clock()
        if lease.step_at_ms is None or now_ms - lease.step_at_ms >= PROGRESS_MS:
            lease.step_at_ms = now_ms
            self._edge.beats(lease.session, [beat])
            self._bridge.pump()

    def ended(self, connection: "Connection", lease: Lease, end: End) -> None:
        """A job is over."""
        shift = self._shifts[connection]
        trace = shift.traces.get(lease.job)
        self._forget(shift, lease.job)
        shift.numbers += 1
        receipt = relay_pb2.Receipt(
            number=shift.numbers,
            job=lease.job,
            epoch=lease.epoch,
            started_at_ms=lease.assigned_at_ms,
            run_ms=max(self._bridge.clock() - lease.assigned_at_ms, 0),
        )
        if end.outcome is CallOutcome.COMPLETE:
            receipt.outcome = relay_pb2.SUCCESS
            receipt.result, receipt.result_type = end.result, content_type_of(end.result)
        else:
            receipt.outcome = relay_pb2.FAILURE
            receipt.error_type, receipt.error_message = end.error_type, end.error_message
        if self._telling is not None:
            self._telling.job_ended(lease, receipt, trace)
        self._edge.receipts(lease.session, [receipt], self._bridge.clock())
        self._bridge.pump()
        self._tidy(shift)

    def changed(self, connection: "Connection") -> None:
        """Its functions are others than before: they are told with the next session, when it next wants
        something.
        """
        shift = self._shifts.get(connection)
        if shift is not None:
            shift.changed = True
            if shift.asleep:
                self.sleep(connection)

    def closed(self, connection: "Connection", reason: str) -> None:
        """It is gone: what it held is lost, unless it comes again at once."""
        shift = self._shifts.pop(connection, None)
        if shift is None:
            return
        for job in list(shift.timers):
            self._forget(shift, job)
        for session in [shift.session, *shift.older]:
            if session is not None:
                self._end(session, reason)
        self._bridge.follow()
        self._bridge.pump()

    def running(self, job: str) -> tuple[int, int] | None:
        """How far a job is that runs on any minion of this relay; None: it does not."""
        lease = self._edge.leases.get(job)
        return None if lease is None else (lease.done or 0, lease.total or 0)

    # Sessions.

    def _shift(self, connection: "Connection") -> Shift:
        shift = self._shifts.get(connection)
        if shift is None:
            shift = self._shifts[connection] = Shift()
        if shift.changed:
            shift.changed = False
            functions = connection.functions
            if functions != shift.functions:
                self._open(connection, shift, functions)
        return shift

    def _open(self, connection: "Connection", shift: Shift, functions: frozenset[str]) -> None:
        """A session with the functions that the worker has now; one from before lives as long as its jobs."""
        shift.functions = functions
        if shift.session is not None:
            self._edge.minion_drains(shift.session, self._bridge.clock())
            shift.older.append(shift.session)
            shift.session = None
            self._tidy(shift)
        names = sorted(filter(_is_name, functions))[:FUNCTIONS_MAX]
        if names and not self._edge.draining:
            said = relay_pb2.Hello(
                protocol=1,
                minion=connection.minion,
                queues=[QUEUE],
                functions=names,
                capacity=CAPACITY,
                sdk=SDK,
            )
            try:
                shift.session = self._edge.hello(said, new_id(), self._bridge.clock())
            except Breach as breach:
                log.warning("worker gets no durable jobs: %s peer=%s", breach.sentence, connection.peer)
            else:
                self._connections[shift.session] = connection
        self._bridge.follow()
        self._bridge.pump()

    def _tidy(self, shift: Shift) -> None:
        """Ends older sessions whose jobs are over."""
        for session in [each for each in shift.older if not each.leases]:
            shift.older.remove(session)
            self._end(session, "its worker has other functions now")

    def _end(self, session: Session, reason: str) -> None:
        self._connections.pop(session, None)
        self._edge.broken(session, reason, self._bridge.clock())

    def _credit(self, session: Session) -> None:
        now_ms = self._bridge.clock()
        session.heard_at_ms = now_ms
        self._edge.credit(session, 1, now_ms)
        self._bridge.pump()

    def _waiting(self, shift: Shift) -> bool:
        """True if a job is kept for the worker."""
        return shift.session is not None and any(not lease.over for lease, _ in shift.session.outbox.jobs)

    def _entry(self, connection: "Connection", lease: Lease, dispatch: Dispatch) -> Entry:
        run = Run(
            0,
            dispatch.function,
            dispatch.args or b"",
            dispatch.content_type,
            "",
            dispatch.trace or "",
            Priority.NORMAL,
        )
        limit_ms = None if connection.worker is None else connection.worker.timeouts.get(dispatch.function)
        if limit_ms is not None:
            timer = self._loop.call_later(limit_ms / 1000, self._too_long, connection, lease, limit_ms)
            self._shifts[connection].timers[lease.job] = timer
        if self._bridge.sent is not None:
            self._bridge.sent(lease, dispatch)
        if self._telling is not None and (trace := self._telling.of_job(dispatch)) is not None:
            self._shifts[connection].traces[lease.job] = trace
        log.debug("durable job assigned job=%s peer=%s", lease.job, connection.peer)
        return Entry(self._handle(), run, lease.job.encode(), counted=False, lease=lease)

    def _too_long(self, connection: "Connection", lease: Lease, limit_ms: int) -> None:
        """A job took longer than its worker said that the function may: it fails, as a call does."""
        if connection in self._shifts and not lease.over:
            connection.dropped({lease.job})
            sentence = f"{lease.function} ran longer than the {limit_ms} ms that its worker gave for it"
            end = End(CallOutcome.FAILED, error_type="Timeout", error_message=sentence)
            self.ended(connection, lease, end)

    def _forget(self, shift: Shift, job: str) -> None:
        shift.traces.pop(job, None)
        timer = shift.timers.pop(job, None)
        if timer is not None:
            timer.cancel()

    # What the edge says.

    def _wake(self, session: Session) -> None:
        connection = self._connections.get(session)
        if connection is None:
            self._others(session)
            return
        session.outbox.stored_up_to = 0
        notes, session.outbox.notes = session.outbox.notes, []
        for note in notes:
            if note.WhichOneof("message") == "drop":
                jobs = {lease.job for lease in note.drop.leases}
                connection.dropped(jobs)
                for job in jobs:
                    self._forget(self._shifts[connection], job)
        if session.outbox.closing is not None:
            connection.close(session.outbox.closing.sentence)
        elif session.outbox.jobs and self._shifts[connection].asleep:
            connection.woken()

    async def _look(self) -> None:
        """Says for every connected worker that it is alive."""
        while True:
            await asyncio.sleep(HEARTBEAT_MS / 1000)
            now_ms = self._bridge.clock()
            for session in self._connections:
                session.heard_at_ms = now_ms


def _is_name(function: str) -> bool:
    try:
        check_function(function)
    except BadName:
        return False
    return True
