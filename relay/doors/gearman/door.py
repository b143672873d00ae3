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
    Assign,
    BadCall,
    Call,
    CallOutcome,
    Effect,
    End,
    Ended,
    Priority,
    Run,
    Stop,
    Tell,
    Wake,
    Word,
    WordKind,
    Worker,
)
from relay.core.calls import Calls
from relay.doors.gearman import delayed
from relay.doors.gearman.areas import AREA_MS
from relay.doors.gearman.connection import NOOP, Connection
from relay.doors.gearman.desk import Background, BadJob, Desk
from relay.doors.gearman.office import DoorOffice
from relay.doors.gearman.packets import Code, P, error, packet
from relay.doors.gearman.ticket import Entry, Ticket
from relay.doors.gearman.work import content_type_of, unique_of

log = logging.getLogger("relay.gearman")

DOOR: Final = "gearman"
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
        calls: Calls,
        clock: Callable[[], int],
        *,
        desk: Desk | None = None,
        timeouts_required: bool = False,
        version: str = "",
        told_to_stop: Callable[[bool], None] | None = None,
    ) -> None:
        self.calls = calls
        self.clock = clock
        self.timeouts_required = timeouts_required
        self.version = version
        self.told_to_stop = told_to_stop
        """What an administrator's shutdown does, graceful or not; None: it is refused."""
        self.dirty: list[Connection] = []
        self.faults = 0
        self.connections: dict[int, Connection] = {}
        self.entries: dict[int, Entry] = {}
        """By the run's number."""
        self.known: set[str] = set()
        """Functions that an administrator made known."""
        self.quotas: dict[str, Quota] = {}
        self._desk = desk
        self._handles: dict[bytes, Entry] = {}
        self._uniques: dict[bytes, Entry] = {}
        self._open: Counter[str] = Counter()
        self._prefix = f"H:{socket.gethostname()[:HOST_CHARS_MAX]}:".encode()
        self._handled = 0
        self._numbers = 0
        self._loop = asyncio.get_running_loop()
        self._flushing = False
        self._timer: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None

    # Coming and going.

    async def start(self, host: str, port: int) -> int:
        """Listens; the port in force where 0 was asked for. OSError if it cannot."""
        self._server = await self._loop.create_server(self._connection, host, port, backlog=1024)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def stop(self, reason: str) -> None:
        """Listens no more, and ends all connections."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections.values()):
            connection.close(reason)
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.sleep(0)

    def _connection(self) -> Connection:
        self._numbers += 1
        return Connection(self, self._numbers)

    def opened(self, connection: Connection) -> None:
        """A connection is there."""
        self.connections[connection.number] = connection
        if len(self.connections) > CONNECTIONS_MAX:
            connection.close(f"this door takes {CONNECTIONS_MAX} connections, and has as many")

    def closed(self, connection: Connection, reason: str) -> None:
        """A connection is gone: nobody waits for its calls, and what its worker ran is lost."""
        self.connections.pop(connection.number, None)
        now_ms = self.clock()
        for ticket in connection.tickets:
            self.calls.leave(ticket.call, now_ms)
            if ticket.entry is not None and not ticket.entry.run.calls:
                self._drop(ticket.entry)
        connection.tickets.clear()
        if connection.worker is not None:
            held = len(connection.held)
            self.calls.gone(connection.worker, now_ms, reason)
            for entry in connection.held.values():
                if not entry.run.calls:
                    self._drop(entry)
            connection.held.clear()
            if held:
                log.warning("worker vanished: %s peer=%s jobs=%d", reason, connection.peer, held)

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
            self.calls.ask(call, self.clock())
        except BadCall as bad:
            client.write(error(Code.INVALID_ARGUMENT, str(bad)))
            return
        if call.end is None or call.end.outcome is not CallOutcome.REFUSED:
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
        return self._prefix + b"%d" % self._handled

    def _keep(self, entry: Entry) -> None:
        self.entries[entry.run.number] = self._handles[entry.handle] = entry
        if entry.unique:
            self._uniques[entry.unique] = entry
        if entry.counted:
            self._open[entry.run.function] += 1

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
            self.settle()

        try:
            task = delayed.read(data, self.clock())
            self.background(task.function, b"", task.payload, Priority.NORMAL, task.run_at_ms, taken)
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
        )
        handle = ""

        def done(refusal: str | None) -> None:
            taken(handle, refusal)

        handle = DURABLE.decode() + self._desk.submit(job, done)

    def status_of(self, handle: bytes) -> tuple[bytes, bytes, bytes, bytes, bytes]:
        """Of a job: known, running, done, total, clients, each as its packet has it."""
        entry = self._handles.get(handle)
        return UNKNOWN if entry is None else _status(entry)

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
                self.calls.leave(call, now_ms, "an administrator cancelled it")
                call.tag.client.tickets.discard(call.tag)
                call.tag.client.write(packet(P.WORK_FAIL, handle))
        if not entry.run.calls:
            self._drop(entry)
        return True

    # What workers say.

    def joined(self, worker: Worker) -> None:
        """A connection is a worker's."""
        self.calls.join(worker, self.clock())

    def able(self, _: Connection, worker: Worker, function: str, timeout_ms: int) -> None:
        """It can run a function."""
        self.calls.can_do(worker, function, self.clock(), timeout_ms or None)

    def unable(self, _: Connection, worker: Worker, functions: Iterable[str]) -> None:
        """It can no longer run some."""
        for function in functions:
            self.calls.cannot_do(worker, function)

    def sleep(self, _: Connection, worker: Worker) -> None:
        """It waits to be woken."""
        self.calls.sleep(worker, self.clock())

    def grab(self, _: Connection, worker: Worker) -> Entry | None:
        """It comes for a job."""
        run = self.calls.grab(worker, self.clock())
        return (
            None
            if run is None
            else self._entry_of(run, run.unique.encode(errors="surrogateescape"), counted=False)
        )

    def said(self, _: Connection, worker: Worker, entry: Entry, word: Word) -> None:
        """It says something of a run."""
        self.calls.said(worker, entry.run.number, word, self.clock())

    def finished(self, _: Connection, worker: Worker, entry: Entry, end: End) -> None:
        """A run of it is over."""
        worker.credits = 0
        self.calls.ended(worker, entry.run.number, end, self.clock())
        self._drop(entry)

    # What follows.

    def settle(self) -> None:
        """Gives on what the calls have to say. To be called after every call into them."""
        calls = self.calls
        while calls.effects:
            effects, calls.effects = calls.effects, []
            for effect in effects:
                self._effect(effect)
        if self.dirty and not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        self._set_timer()

    def _flush(self) -> None:
        self._flushing = False
        dirty, self.dirty = self.dirty, []
        for connection in dirty:
            connection.flush()

    def _effect(self, effect: Effect) -> None:
        if type(effect) is Ended:
            self._ended(effect.call)
        elif type(effect) is Wake:
            effect.worker.tag.write(NOOP)
        elif type(effect) is Tell:
            self._tell(effect.call, effect.word)
        elif type(effect) is Stop:
            self._stop(effect.worker, effect.run)
        else:
            assert type(effect) is not Assign, "Gearman workers come for their jobs"

    def _set_timer(self) -> None:
        due_ms = self.calls.next_ms()
        if self._timer is None and due_ms is not None:
            self._timer = self._loop.call_later(max(due_ms - self.clock(), 1) / 1000, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.calls.tick(self.clock())
        self.settle()

    def _stop(self, worker: Worker, run: Run) -> None:
        """Nobody waits for a run of a worker: what it yet says of it is passed over."""
        entry = self.entries.get(run.number)
        if entry is not None and worker.tag.held.pop(entry.handle, None) is not None:
            worker.tag.over.add(entry.handle)
            self._drop(entry)

    def _tell(self, call: Call, word: Word) -> None:
        ticket: Ticket = call.tag
        assert ticket.entry is not None
        client, handle, kind = ticket.client, ticket.entry.handle, word.kind
        if kind is WordKind.DATA:
            client.write(packet(P.WORK_DATA, handle, word.data))
        elif kind is WordKind.WARNING:
            client.write(packet(P.WORK_WARNING, handle, word.data))
        elif kind is WordKind.STATUS:
            ticket.entry.done, ticket.entry.total = word.done, word.total
            client.write(packet(P.WORK_STATUS, handle, b"%d" % word.done, b"%d" % word.total))
        elif kind is WordKind.EXCEPTION and client.exceptions:
            ticket.excepted = True
            client.write(packet(P.WORK_EXCEPTION, handle, word.data))

    def _ended(self, call: Call) -> None:
        ticket: Ticket = call.tag
        end, client = call.end, ticket.client
        assert end is not None
        entry = ticket.entry
        if entry is None:
            self.refused(ticket, end)
            return
        if end.outcome is CallOutcome.LOST and not ticket.routed and ticket.retries < RETRIES_MAX:
            self._again(ticket, entry)
            return
        client.tickets.discard(ticket)
        if not entry.run.calls:
            self._drop(entry)
        if end.outcome is CallOutcome.COMPLETE:
            client.write(packet(P.WORK_COMPLETE, entry.handle, end.result))
        elif end.outcome in NEVER_RAN and ticket.routed:
            client.write(packet(P.ROUTING_TIMEOUT, entry.handle, b"%d" % call.waited_ms))
        elif end.outcome is CallOutcome.FAILED and client.exceptions:
            if not ticket.excepted:
                client.write(packet(P.WORK_EXCEPTION, entry.handle, end.error_message.encode()))
        else:
            client.write(packet(P.WORK_FAIL, entry.handle))

    def refused(self, ticket: Ticket, end: End) -> None:
        """A call that was not taken at all."""
        ticket.client.write(error(Code.QUEUE_ERROR, end.error_message))

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
        self.calls.ask(call, self.clock())
        run = call.run
        if run is None:
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


def _status(entry: Entry) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    running = b"1" if entry.run.worker is not None else b"0"
    return b"1", running, b"%d" % entry.done, b"%d" % entry.total, b"%d" % len(entry.run.calls)


_NO_RUN: Final = Run(0, "", b"", "", "", "", Priority.NORMAL)
"""Of a call whose answer was known."""
