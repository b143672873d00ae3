"""The Gearman door as a whole: its connections, and what runs and calls are called in their language.

Owns handles, and the bridge to the calls that all doors share: a Gearman client's job is a call like any
other, a Gearman worker a worker like any other. Decides nothing about who runs what. All of it belongs to
one event loop.

Handles name runs, so clients whose jobs share a run have the same one. A foreground job whose worker
vanished is asked for again under its handle, as Gearman's users expect, up to RETRIES_MAX times; one that
came with a routing timeout is not, since its client was promised to know whether anybody was given it.
"""

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from relay.core.call import (
    NEVER_RAN,
    BadCall,
    Call,
    CallOutcome,
    End,
    Priority,
    Run,
    Word,
    WordKind,
    Worker,
)
from relay.doors.gearman import delayed
from relay.doors.gearman.areas import AREA_MS
from relay.doors.gearman.connection import NO_UNIQUE, Connection
from relay.doors.gearman.desk import Background, BadJob, Desk
from relay.doors.gearman.leases import Bridge, Leases
from relay.doors.gearman.office import DoorOffice
from relay.doors.gearman.packets import Code, P, error, packet
from relay.doors.gearman.telling import Telling
from relay.doors.gearman.ticket import Entry, Ticket
from relay.doors.gearman.work import content_type_of, unique_of
from relay.switchboard import Switchboard
from schemas.telemetry import logs
from schemas.telemetry.process import Telemetry

log = logging.getLogger("relay.gearman")

DOOR: Final = "gearman"

BACKGROUND: Final = "background job"
"""What a line of the access log says was asked for."""

NS_PER_S: Final = 1_000_000_000

RETRIES_MAX: Final = 3
"""How often a foreground job whose worker vanished is given to another one."""

CONNECTIONS_MAX: Final = 10_000
"""At once."""

KNOWN_MAX: Final = 10_000
"""Functions that are known without having a worker, and quotas."""

HOST_CHARS_MAX: Final = 30
"""Of this machine's name in a handle, which has 63 bytes at most."""

DURABLE: Final = b"J:"
"""How the handle of a background job begins; its id follows."""

UNKNOWN: Final = (b"0", b"0", b"0", b"0", b"0")
NO_DESK: Final = (
    "background jobs need Kafka, which keeps them; this door has none and runs foreground jobs only"
)

Quota = tuple[int, int, int]
"""Of a function: the most calls when one more of high, normal, low priority comes; 0: any number."""


class Door:
    """Takes connections, and joins them to the calls."""

    def __init__(
        self,
        board: Switchboard,
        *,
        desk: Desk | None = None,
        bridge: Bridge | None = None,
        timeouts_required: bool = False,
        version: str = "",
        told_to_stop: Callable[[bool], None] | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.board = board
        self.calls = board.calls
        self.clock = board.clock
        self.timeouts_required = timeouts_required
        self.version = version
        self.told_to_stop = told_to_stop
        """What an administrator's shutdown does, graceful or not; None: it is refused."""
        self.faults = 0
        self.connections: dict[int, Connection] = {}
        self.entries: dict[int, Entry] = {}
        """By the run's number."""
        self.known: set[str] = set()
        """Functions that an administrator made known."""
        self.quotas: dict[str, Quota] = {}
        self._desk = desk
        self._telling = None if telemetry is None else Telling(telemetry)
        self._leases = None if bridge is None else Leases(bridge, self._new_handle, self._telling)
        self._handles: dict[bytes, Entry] = {}
        self._uniques: dict[bytes, Entry] = {}
        self._open: Counter[str] = Counter()
        self.prefix = f"H:{socket.gethostname()[:HOST_CHARS_MAX]}:".encode()
        """How handles begin; a number follows."""
        self._handled = 0
        self._numbers = 0
        self._loop = asyncio.get_running_loop()
        self._dirty: list[Connection] = []
        self._server: asyncio.Server | None = None

    # Coming and going.

    async def start(self, host: str, port: int) -> int:
        """Listens; the port in force where 0 was asked for. OSError if it cannot."""
        self._server = await self._loop.create_server(self.connection, host, port, backlog=1024)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def stop(self, reason: str) -> None:
        """Listens no more, and ends all connections."""
        if self._server is not None:
            self._server.close()
        if self.connections:
            log.info("connections closed: %s connections=%d", reason, len(self.connections))
        for connection in list(self.connections.values()):
            connection.end()
        if self._leases is not None:
            self._leases.close()
        await asyncio.sleep(0)

    def connection(self) -> Connection:
        """What speaks to somebody who connects."""
        self._numbers += 1
        return Connection(self, self._numbers)

    def opened(self, connection: Connection) -> None:
        """A connection is there."""
        self.connections[connection.number] = connection
        self._count()
        if len(self.connections) > CONNECTIONS_MAX:
            connection.close(f"this door takes {CONNECTIONS_MAX} connections, and has as many")

    def closed(self, connection: Connection, reason: str) -> None:
        """A connection is gone: nobody waits for its calls, and what its worker ran is lost."""
        self.connections.pop(connection.number, None)
        self._count()
        now_ms = self.clock()
        for ticket in connection.tickets:
            self.calls.leave(ticket.call, now_ms)
            if ticket.entry is not None:
                self._let_go(ticket.entry)
        connection.tickets.clear()
        if self._leases is not None:
            self._leases.closed(connection, reason)
        if connection.worker is not None:
            held = len(connection.held)
            self.calls.gone(connection.worker, now_ms, reason)
            entries = list(connection.held.values())
            connection.held.clear()
            for entry in entries:
                self._let_go(entry)
            if held:
                log.warning("worker vanished: %s peer=%s jobs=%d", reason, connection.peer, held)

    def _count(self) -> None:
        if self._telling is not None:
            self._telling.connected(len(self.connections))

    # What clients ask.

    def ask(
        self,
        client: Connection,
        function: str,
        unique: bytes,
        data: bytes,
        priority: Priority,
        areas: tuple[tuple[str, int | None], ...],
        routing_ms: int | None,
    ) -> None:
        """A foreground job."""
        if function in self.quotas and self._is_full(function, unique, priority):
            client.write(error(Code.QUEUE_ERROR, "Job queue is full"))
            return
        if areas and routing_ms is None:
            areas = tuple((name, AREA_MS if limit is None else limit) for name, limit in areas)
        call = Call(
            function,
            data,
            content_type_of(data),
            unique_of(unique, data) if unique else "",
            areas,
            routing_ms,
            None,
            priority,
            client.peer,
            "",
            DOOR,
        )
        call.tag = ticket = Ticket(client, unique, call, routed=routing_ms is not None)
        try:
            self.board.ask(call)
        except BadCall as bad:
            client.write(error(Code.INVALID_ARGUMENT, str(bad)))
            return
        if call.end is None:
            self._created(ticket)

    def _created(self, ticket: Ticket) -> None:
        """Tells a client the handle of its job."""
        run = ticket.call.run
        if run is None:  # its answer was known
            ticket.client.tickets.add(ticket)
            ticket.entry = Entry(self._new_handle(), _NO_RUN, ticket.unique, counted=False)
        else:
            ticket.entry = self._entry_of(run, ticket.unique)
            ticket.client.tickets.add(ticket)
        ticket.client.write(packet(P.JOB_CREATED, ticket.entry.handle))

    def _entry_of(self, run: Run, unique: bytes, *, counted: bool = True) -> Entry:
        entry = self.entries.get(run.number)
        if entry is None:
            entry = Entry(self._new_handle(), run, unique, counted)
            self._keep(entry)
        return entry

    def _new_handle(self) -> bytes:
        self._handled += 1
        return self.prefix + b"%d" % self._handled

    def _keep(self, entry: Entry) -> None:
        self.entries[entry.run.number] = self._handles[entry.handle] = entry
        if entry.unique:
            self._uniques[entry.unique] = entry
        if entry.counted:
            self._open[entry.run.function] += 1

    def _let_go(self, entry: Entry) -> None:
        """Drops a run that no client or worker of this door has a part in any more. Callers of other doors
        may still wait for it, of whose end this one is told nothing.
        """
        run = entry.run
        holder = None if run.worker is None else run.worker.tag
        if isinstance(holder, Connection) and entry.handle in holder.held:
            return
        if not any(isinstance(call.tag, Ticket) for call in run.calls):
            self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        if self.entries.pop(entry.run.number, None) is not entry:
            return
        del self._handles[entry.handle]
        if entry.unique and self._uniques.get(entry.unique) is entry:
            del self._uniques[entry.unique]
        if entry.counted:
            self._open[entry.run.function] -= 1
            if not self._open[entry.run.function]:
                del self._open[entry.run.function]

    def _is_full(self, function: str, unique: bytes, priority: Priority) -> bool:
        quota = self.quotas[function][priority]
        shared = self._uniques.get(unique) if unique else None
        return bool(
            quota and self._open[function] >= quota and (shared is None or shared.run.function != function)
        )

    def takes_delayed(self, function: bytes) -> bool:
        """True for Gearsloth's function, unless a worker has it."""
        return function == delayed.FUNCTION and self._desk is not None

    def delayed(self, client: Connection, data: bytes) -> None:
        """Gearsloth's job: one that asks for another one, and is complete when Kafka has that."""
        handle = self._new_handle()
        client.write(packet(P.JOB_CREATED, handle))

        def refuse(sentence: str) -> None:
            client.write(packet(P.WORK_WARNING, handle, sentence.encode()))
            client.write(packet(P.WORK_FAIL, handle))

        def taken(durable: str, refusal: str | None) -> None:
            if refusal is None:
                client.write(packet(P.WORK_COMPLETE, handle, durable.encode()))
            else:
                refuse(refusal)
            self.board.pump()

        try:
            task = delayed.read(data, self.clock())
            self.background(
                task.function, b"", task.payload, Priority.NORMAL, task.run_at_ms, taken, client.peer
            )
        except (delayed.BadTask, BadJob) as bad:
            refuse(str(bad))

    def background(
        self,
        function: str,
        unique: bytes,
        data: bytes,
        priority: Priority,
        run_at_ms: int | None,
        taken: Callable[[str, str | None], None],
        client: str = "",
    ) -> None:
        """A job that nobody waits for; `taken` gets its handle, and None once it is durable. BadJob if it
        is none.
        """
        if self._desk is None:
            raise BadJob(NO_DESK)
        job = Background(
            function,
            data,
            content_type_of(data),
            unique_of(unique, data) if unique else "",
            priority,
            run_at_ms,
            once=unique == NO_UNIQUE and bool(data),
        )
        handle, asked_s = "", self._loop.time()

        def done(refusal: str | None) -> None:
            if self._telling is not None and refusal is None:
                self._telling.kept(self._loop.time() - asked_s)
            if logs.has_access_log():
                fields = {logs.FUNCTION: function, logs.JOB: job_of(handle.encode()), logs.DOOR: DOOR}
                fields |= {logs.CLIENT: client, logs.REASON: refusal or ""}
                took_ns = int((self._loop.time() - asked_s) * NS_PER_S)
                logs.access(BACKGROUND, logs.FAILURE if refusal else logs.SUCCESS, took_ns, fields)
            taken(handle, refusal)

        handle = DURABLE.decode() + self._desk.submit(job, done)

    def status_of(self, handle: bytes) -> tuple[bytes, bytes, bytes, bytes, bytes]:
        """Of a job: known, running, done, total, clients, each as its packet has it."""
        entry = self._handles.get(handle)
        if entry is not None:
            return _status(entry)
        if self._leases is not None and handle.startswith(DURABLE):
            running = self._leases.running(job_of(handle))
            if running is not None:
                return b"1", b"1", b"%d" % running[0], b"%d" % running[1], b"0"
        return UNKNOWN

    def must_ask(self, handle: bytes) -> bool:
        """Whether `status_of` can't tell of a job by itself, and `standing` can."""
        return self._desk is not None and handle.startswith(DURABLE) and self.status_of(handle) == UNKNOWN

    async def standing(self, handle: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        """Of a background job: known, running, done, total. Unclear if nobody can tell."""
        assert self._desk is not None
        found = await self._desk.standing(job_of(handle))
        return b"%d" % found.known, b"%d" % found.running, b"%d" % found.done, b"%d" % found.total

    def status_of_unique(self, unique: bytes) -> tuple[bytes, bytes, bytes, bytes, bytes]:
        """The same of the job with a unique id."""
        entry = self._uniques.get(unique)
        return UNKNOWN if entry is None else _status(entry)

    def cancel(self, handle: bytes) -> bool:
        """Ends a job that waits; its clients are told that it failed."""
        entry = self._handles.get(handle)
        if entry is None or entry.run.worker is not None:
            return False
        now_ms = self.clock()
        for call in list(entry.run.calls):
            if isinstance(call.tag, Ticket):
                call.tag.client.tickets.discard(call.tag)
                call.tag.client.write(packet(P.WORK_FAIL, handle))
                self.calls.leave(call, now_ms, "an administrator cancelled it")
        self._let_go(entry)
        return True

    # What workers say.

    def joined(self, worker: Worker) -> None:
        """A connection is a worker's."""
        self.calls.join(worker, self.clock())

    def able(self, connection: Connection, worker: Worker, function: str, timeout_ms: int) -> None:
        """It can run a function."""
        self.calls.can_do(worker, function, self.clock(), timeout_ms or None)
        if self._leases is not None:
            self._leases.changed(connection)

    def unable(self, connection: Connection, worker: Worker, functions: Iterable[str]) -> None:
        """It can no longer run some."""
        for function in functions:
            self.calls.cannot_do(worker, function)
        if self._leases is not None:
            self._leases.changed(connection)

    def sleep(self, connection: Connection, worker: Worker) -> None:
        """It waits to be woken."""
        self.calls.sleep(worker, self.clock())
        if self._leases is not None:
            self._leases.sleep(connection)

    def grab(self, connection: Connection, worker: Worker) -> Entry | None:
        """It comes for a job."""
        leases = self._leases
        if leases is not None and leases.goes_first(connection):
            entry = leases.grab(connection)
            if entry is not None:
                worker.asleep = False
                return entry
        run = self.calls.grab(worker, self.clock())
        if run is not None:
            if leases is not None:
                leases.took_call(connection)
            return self._entry_of(run, run.unique.encode(errors="surrogateescape"), counted=False)
        return None if leases is None else leases.grab(connection)

    def said(self, _: Connection, worker: Worker, entry: Entry, word: Word) -> None:
        """It says something of a run."""
        if entry.lease is None:
            self.calls.said(worker, entry.run.number, word, self.clock())
        elif self._leases is not None and word.kind is WordKind.STATUS:
            self._leases.progressed(entry.lease, word.done, word.total)

    def finished(self, connection: Connection, worker: Worker, entry: Entry, end: End) -> None:
        """A run of it is over."""
        if entry.lease is None:
            now_ms = self.clock()
            if self._telling is not None:
                self._telling.call_ended(entry.run, end, now_ms)
            self.calls.ended(worker, entry.run.number, end, now_ms)
            self._drop(entry)
        elif self._leases is not None:
            self._leases.ended(connection, entry.lease, end)

    # What follows.

    def mark(self, connection: Connection) -> None:
        """The connection has something to send, with all else that this turn of the loop brings."""
        if not self._dirty:
            self._loop.call_soon(self._flush)
        self._dirty.append(connection)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()

    def stopped(self, connection: Connection, run: Run, reason: str) -> None:
        """Nobody waits for a run of a worker: what it yet says of it is passed over."""
        entry = self.entries.get(run.number)
        if entry is not None and connection.held.pop(entry.handle, None) is not None:
            connection.passed_over(entry.handle)
            self._drop(entry)
            if self._telling is not None:
                self._telling.call_ended(run, None, self.clock())
            log.info(
                "worker is not waited for: %s job=%s peer=%s", reason, entry.handle.decode(), connection.peer
            )

    def told(self, ticket: Ticket, word: Word) -> None:
        """Something is said of a client's job."""
        client, entry, kind = ticket.client, ticket.entry, word.kind
        if entry is None:
            return
        if kind is WordKind.DATA:
            client.write(packet(P.WORK_DATA, entry.handle, word.data))
        elif kind is WordKind.WARNING:
            client.write(packet(P.WORK_WARNING, entry.handle, word.data))
        elif kind is WordKind.STATUS:
            entry.done, entry.total = word.done, word.total
            client.write(packet(P.WORK_STATUS, entry.handle, b"%d" % word.done, b"%d" % word.total))
        elif kind is WordKind.EXCEPTION and client.exceptions:
            ticket.excepted = True
            client.write(packet(P.WORK_EXCEPTION, entry.handle, word.data))

    def over(self, ticket: Ticket) -> None:
        """A client's job has ended."""
        call, client = ticket.call, ticket.client
        end = call.end
        assert end is not None
        if ticket.entry is None:
            if end.outcome is CallOutcome.REFUSED:
                client.write(error(Code.QUEUE_ERROR, end.error_message))
                return
            self._created(ticket)
        entry = ticket.entry
        assert entry is not None
        if ticket not in client.tickets:
            return  # it left by itself
        if end.outcome is CallOutcome.LOST and not ticket.routed and ticket.retries < RETRIES_MAX:
            self._again(ticket, entry)
            return
        client.tickets.discard(ticket)
        self._let_go(entry)
        if client.is_open:
            client.write(_end_packet(ticket, entry, end))

    def _again(self, ticket: Ticket, lost: Entry) -> None:
        """Asks once more for a job whose worker vanished, under the handle that its client knows."""
        old = ticket.call
        self._drop(lost)
        call = Call(
            old.function,
            old.args,
            old.content_type,
            old.unique,
            old.areas,
            None,
            None,
            old.priority,
            old.caller,
            old.trace,
            DOOR,
            ticket,
        )
        ticket.call = call
        ticket.retries += 1
        self.board.ask(call)
        run = call.run
        if run is None or call.end is not None:
            return
        entry = self.entries.get(run.number)
        if entry is None:
            entry = Entry(lost.handle, run, lost.unique, counted=True, retries=ticket.retries)
            self._keep(entry)
        ticket.entry = entry

    # For administrators.

    def office_for(self, connection: Connection) -> DoorOffice:
        """What the door tells and does for whom speaks text there."""
        return DoorOffice(self, connection)

    @property
    def pid(self) -> int:
        """Of this process."""
        return os.getpid()


def job_of(handle: bytes) -> str:
    """The id of a background job."""
    return handle.removeprefix(DURABLE).decode(errors="replace")


def _status(entry: Entry) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    running = b"1" if entry.run.worker is not None else b"0"
    return b"1", running, b"%d" % entry.done, b"%d" % entry.total, b"%d" % len(entry.run.calls)


def _end_packet(ticket: Ticket, entry: Entry, end: End) -> bytes:
    """What the client is told of the end."""
    if end.outcome is CallOutcome.COMPLETE:
        return packet(P.WORK_COMPLETE, entry.handle, end.result)
    if end.outcome in NEVER_RAN and ticket.routed:
        return packet(P.ROUTING_TIMEOUT, entry.handle, b"%d" % ticket.call.waited_ms)
    if end.outcome is CallOutcome.FAILED and ticket.client.exceptions:
        return b"" if ticket.excepted else packet(P.WORK_EXCEPTION, entry.handle, end.error_message.encode())
    return packet(P.WORK_FAIL, entry.handle)


_NO_RUN: Final = Run(0, "", b"", "", "", "", Priority.NORMAL)
"""Of a call whose answer was known."""
