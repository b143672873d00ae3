"""One connection of a client, a worker, an administrator, or all three: what each packet of it means.

Owns what the connection has under way. Answers come in the order of its questions, since clients match
them by that alone; nothing that it says reaches another connection but through the calls.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from relay.core.call import CallOutcome, End, Priority, Run, Word, WordKind, Worker
from relay.doors.gearman import areas, words
from relay.doors.gearman.desk import BadJob, Unclear
from relay.doors.gearman.packets import FAULT, TEXT, Code, Decoder, P, Said, error, packet
from relay.doors.gearman.ticket import Entry, Ticket
from relay.doors.gearman.work import number_of

if TYPE_CHECKING:
    from relay.doors.gearman.door import Door

log = logging.getLogger("relay.gearman")

OUT_BYTES_MAX: Final = 64 * 1024 * 1024
"""What may wait to be read by the other side; more ends the connection."""

PENDING_MAX: Final = 10_000
"""Background jobs of one connection that Kafka has not yet confirmed; with so many no more is read from
it.
"""

UNIQUE_BYTES_MAX: Final = 64
"""Of a unique id, as gearmand has it."""

NAME_BYTES_MAX: Final = 200
"""Of a function, a worker's id and an area."""

FUNCTIONS_MAX: Final = 10_000
"""That one connection may register."""

HELD_MAX: Final = 10_000
"""Runs that one worker may hold at once."""

KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
)
"""The other side's machine is gone when it has not answered for 25 s: Gearman has no heartbeats."""

OVER_MAX: Final = 1_000
"""Jobs of one worker that nobody waits for, and that it may yet speak of."""

EXCEPTIONS: Final = b"exceptions"
NO_UNIQUE: Final = b"-"
NOOP: Final = packet(P.NOOP)
NO_JOB: Final = packet(P.NO_JOB)
BACKGROUND: Final = frozenset(
    {P.SUBMIT_JOB_BG, P.SUBMIT_JOB_HIGH_BG, P.SUBMIT_JOB_LOW_BG, P.SUBMIT_JOB_EPOCH}
)
TYPE_ERROR: Final = "GearmanError"
"""Type of the error of a job that a Gearman worker failed without saying why."""


class Connection(asyncio.Protocol):
    """One of the door's connections."""

    def __init__(self, door: "Door", number: int) -> None:
        self.door = door
        self.number = number
        self.peer = ""
        self.id = b"-"
        self.tickets: set[Ticket] = set()
        """Foreground jobs that its client waits for."""
        self.worker: Worker | None = None
        self.held: dict[bytes, Entry] = {}
        """Runs that its worker has, by handle."""
        self._over: dict[bytes, None] = {}
        """Handles that its worker may yet speak of, though nobody waits for them any longer; oldest first."""
        self.exceptions = False
        self._areas: tuple[tuple[str, int | None], ...] = ()
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._pending: deque[list[bytes | None]] = deque()
        self._later: deque[Said] = deque()
        self._paused = False
        self._settling = False
        """Answers are given out just now, further up: what is answered meanwhile comes behind them."""
        self._asleep = False
        """Its worker waits for a NOOP, and was not sent one."""
        self._asking: asyncio.Task[None] | None = None

    # The transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has connected."""
        self._transport = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=OUT_BYTES_MAX)
        for level, option, value in KEEPALIVE:
            transport.get_extra_info("socket").setsockopt(level, option, value)
        host, port, *_ = transport.get_extra_info("peername") or ("?", 0)
        self.peer = f"{host}:{port}"
        self.door.opened(self)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        decoder = self._decoder
        try:
            for said in decoder.feed(data):
                if (self._pending and said[0] not in BACKGROUND) or self._later:
                    self._later.append(said)
                else:
                    self._take(said)
        except Exception as fault:  # noqa: BLE001 - one connection's, and no other's
            self._own_fault(fault)
        self.door.board.pump()
        if decoder.broken is not None:
            self.close(decoder.broken)
        elif len(self._pending) + len(self._later) >= PENDING_MAX:
            self._pause()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over: what it waited for is left, what it ran is lost."""
        self._transport = None
        self._later.clear()
        self._pending.clear()
        if self._asking is not None:
            self._asking.cancel()
        self.door.closed(self, "the connection was lost" if exc is None else str(exc))
        self.door.board.pump()

    def pause_writing(self) -> None:
        """The other side reads nothing, and too much waits for it."""
        self.close(f"it must read what it is sent, and left more than {OUT_BYTES_MAX} bytes", at_once=True)

    # What the calls say to a worker.

    def assigned(self, run: Run) -> None:
        """Never: Gearman's workers come for their jobs, and are granted nothing before."""
        raise AssertionError(f"a Gearman worker must not be sent run {run.number}")

    def stopped(self, run: Run, reason: str) -> None:
        """Nobody waits for a run of its worker; Gearman has no word for that."""
        self.door.stopped(self, run, reason)

    def limited(self, run: Run, running_ms: int | None) -> None:
        """The limit of a run is another one; Gearman has no word for that."""

    def woken(self) -> None:
        """There is something for its worker, which sleeps; it is told once."""
        if self._asleep:
            self._asleep = False
            self.write(NOOP)

    def dropped(self, jobs: set[str]) -> None:
        """These durable jobs are its worker's no longer."""
        for handle, entry in list(self.held.items()):
            if entry.lease is not None and entry.lease.job in jobs:
                del self.held[handle]
                self.passed_over(handle)

    def passed_over(self, handle: bytes) -> None:
        """What its worker yet says of this job is no error, and reaches nobody."""
        self._over[handle] = None
        if len(self._over) > OVER_MAX:
            del self._over[next(iter(self._over))]

    @property
    def functions(self) -> frozenset[str]:
        """What its worker can do."""
        return frozenset() if self.worker is None else frozenset(self.worker.functions)

    @property
    def minion(self) -> str:
        """Its worker's name among minions."""
        return f"gearman:{self.peer.replace('[', '').replace(']', '')}:{self.number}"

    # Writing.

    @property
    def is_open(self) -> bool:
        """Whether it may still be written to."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def host(self) -> str:
        """Where it comes from."""
        return self.peer.rpartition(":")[0]

    def write(self, data: bytes) -> None:
        """Sends something with all else that this turn of the loop brings."""
        if not self._out:
            self.door.mark(self)
        self._out.append(data)

    def flush(self) -> None:
        """Sends what was written."""
        out, self._out = self._out, []
        if out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(out) if len(out) > 1 else out[0])

    def close(self, reason: str, *, at_once: bool = False) -> None:
        """Ends the connection, with a line in the log; `at_once`: what it was not yet sent is dropped."""
        if self.is_open:
            log.warning("connection closed: %s peer=%s", reason, self.peer)
            assert self._transport is not None
            if at_once:
                self._transport.abort()
            else:
                self.end()

    def _own_fault(self, fault: Exception) -> None:
        """Ends the connection for what went wrong here."""
        log.error("a fault of the door's own peer=%s", self.peer, exc_info=fault)
        self.door.faults += 1
        self.close(f"a fault of the door's own: {type(fault).__name__}")

    def end(self) -> None:
        """Ends the connection once it was sent what was written."""
        if self._transport is not None and not self._transport.is_closing():
            self.flush()
            self._transport.close()

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    # Packets.

    def _take(self, said: Said) -> None:
        number, arguments = said
        handler = HANDLERS.get(number)
        if handler is None:
            name = P(number).name
            self._error(
                Code.INVALID_COMMAND, f"{name} is not served here: background jobs are plain or EPOCH"
            )
        else:
            handler(self, *arguments)

    def _error(self, code: Code, sentence: str) -> None:
        self.write(error(code, sentence))

    def _fault(self, code: bytes, sentence: bytes) -> None:
        self.write(packet(P.ERROR, code, sentence))

    def _text(self, *line: bytes) -> None:
        self.write(words.answer(list(line), self.door.office_for(self)))

    def _echo(self, data: bytes) -> None:
        self.write(packet(P.ECHO_RES, data))

    def _option(self, option: bytes) -> None:
        if option.lower() == EXCEPTIONS:
            self.exceptions = True
            self.write(packet(P.OPTION_RES, option))
        else:
            self._error(Code.UNKNOWN_OPTION, "Server does not recognize given option")

    # What clients say.

    def _submit(
        self,
        function: bytes,
        unique: bytes,
        data: bytes,
        priority: Priority = Priority.NORMAL,
        routing_ms: int | None = None,
    ) -> None:
        name = self._function(function)
        if name is None or not self._is_unique(unique):
            return
        if self.door.takes_delayed(function):
            self.door.delayed(self, data)
            return
        self.door.ask(self, name, unique, data, priority, self._areas, routing_ms)

    def _submit_high(self, function: bytes, unique: bytes, data: bytes) -> None:
        self._submit(function, unique, data, Priority.HIGH)

    def _submit_low(self, function: bytes, unique: bytes, data: bytes) -> None:
        self._submit(function, unique, data, Priority.LOW)

    def _submit_timeout(
        self, function: bytes, unique: bytes, priority: bytes, routing_ms: bytes, data: bytes
    ) -> None:
        band = PRIORITIES.get(priority.lower())
        if band is None:
            self._error(Code.INVALID_ARGUMENT, f"priority must be high, normal or low, got {priority[:50]!r}")
            return
        timeout_ms = number_of(routing_ms)
        if timeout_ms is None:
            self._error(Code.INVALID_ARGUMENT, f"routing timeout must be whole ms, got {routing_ms[:50]!r}")
            return
        self._submit(function, unique, data, band, timeout_ms)

    def _areas_first(self, said: bytes) -> None:
        self._prefer(said, timed=False)

    def _areas_timed(self, said: bytes) -> None:
        self._prefer(said, timed=True)

    def _prefer(self, said: bytes, *, timed: bool) -> None:
        try:
            self._areas = areas.timed(said) if timed else areas.plain(said)
        except areas.BadAreas as bad:
            self._error(Code.INVALID_ARGUMENT, str(bad))

    def _background(
        self,
        function: bytes,
        unique: bytes,
        data: bytes,
        priority: Priority = Priority.NORMAL,
        run_at_ms: int | None = None,
    ) -> None:
        slot: list[bytes | None] = [None]
        name = self._function(function, slot)
        if name is None or not self._is_unique(unique, slot):
            self._answered(slot)
            return

        def taken(handle: str, refusal: str | None) -> None:
            slot[0] = (
                packet(P.JOB_CREATED, handle.encode())
                if refusal is None
                else error(Code.QUEUE_ERROR, refusal)
            )
            self._settle_pending()

        try:
            self.door.background(name, unique, data, priority, run_at_ms, taken, self.peer)
        except BadJob as bad:
            slot[0] = error(Code.QUEUE_ERROR, str(bad))
            self._answered(slot)
        else:
            self._pending.append(slot)

    def _background_high(self, function: bytes, unique: bytes, data: bytes) -> None:
        self._background(function, unique, data, Priority.HIGH)

    def _background_low(self, function: bytes, unique: bytes, data: bytes) -> None:
        self._background(function, unique, data, Priority.LOW)

    def _background_at(self, function: bytes, unique: bytes, epoch_s: bytes, data: bytes) -> None:
        at_s = number_of(epoch_s)
        if at_s is None:
            refusal = error(Code.INVALID_ARGUMENT, f"epoch must be whole seconds, got {epoch_s[:50]!r}")
            self._answered([refusal])
            return
        self._background(function, unique, data, Priority.NORMAL, at_s * 1000)

    def _answered(self, slot: list[bytes | None]) -> None:
        """An answer that is known, behind those that are not."""
        self._pending.append(slot)
        self._settle_pending()

    def _settle_pending(self) -> None:
        """Gives out the answers that are known, in order, and goes on with what waited for them."""
        if self._settling:
            return
        self._settling = True
        try:
            self._settle()
        except Exception as fault:  # noqa: BLE001 - one connection's, and no other's
            self._own_fault(fault)
        finally:
            self._settling = False
        if len(self._pending) + len(self._later) < PENDING_MAX // 2:
            self._resume()
        self.door.board.pump()

    def _settle(self) -> None:
        pending, later = self._pending, self._later
        while True:
            while pending and (known := pending[0][0]) is not None:
                self.write(known)
                pending.popleft()
            if not later or (pending and later[0][0] not in BACKGROUND):
                return
            self._take(later.popleft())

    def _status(self, handle: bytes) -> None:
        if self.door.must_ask(handle):
            slot: list[bytes | None] = [None]
            self._pending.append(slot)
            self._asking = asyncio.get_running_loop().create_task(self._ask(slot, handle))
            return
        known, running, done, total, _ = self.door.status_of(handle)
        self.write(packet(P.STATUS_RES, handle, known, running, done, total))

    async def _ask(self, slot: list[bytes | None], handle: bytes) -> None:
        """Asks how far a background job is; what the client says meanwhile waits."""
        try:
            slot[0] = packet(P.STATUS_RES, handle, *await self.door.standing(handle))
        except Unclear as unclear:
            slot[0] = error(Code.QUEUE_ERROR, str(unclear))
        except Exception as fault:  # noqa: BLE001 - one connection's, and no other's
            self._own_fault(fault)
        self._settle_pending()

    def _status_unique(self, unique: bytes) -> None:
        known, running, done, total, clients = self.door.status_of_unique(unique)
        self.write(packet(P.STATUS_RES_UNIQUE, unique, known, running, done, total, clients))

    # What workers say.

    def _can_do(self, function: bytes) -> None:
        if self.door.timeouts_required:
            sentence = f"this door takes CAN_DO_TIMEOUT only, got CAN_DO of {function[:50]!r}"
            self._error(Code.INVALID_ARGUMENT, sentence)
            return
        self._able(function, 0)

    def _can_do_timeout(self, function: bytes, timeout_ms: bytes) -> None:
        limit_ms = number_of(timeout_ms)
        if limit_ms is None or (self.door.timeouts_required and not limit_ms):
            self._error(Code.INVALID_ARGUMENT, f"timeout must be whole ms, got {timeout_ms[:50]!r}")
            return
        self._able(function, limit_ms)

    def _able(self, function: bytes, timeout_ms: int) -> None:
        name = self._function(function)
        if name is None:
            return
        worker = self._as_worker()
        if len(worker.functions) >= FUNCTIONS_MAX and name not in worker.functions:
            sentence = f"a worker has at most {FUNCTIONS_MAX} functions, got one more"
            self._error(Code.INVALID_ARGUMENT, sentence)
            return
        self.door.able(self, worker, name, timeout_ms)

    def _cant_do(self, function: bytes) -> None:
        if self.worker is not None:
            self.door.unable(self, self.worker, [function.decode(errors="replace")])

    def _reset(self) -> None:
        if self.worker is not None:
            self.door.unable(self, self.worker, list(self.worker.functions))

    def _pre_sleep(self) -> None:
        self._asleep = True
        self.door.sleep(self, self._as_worker())

    def _grab(self) -> None:
        entry = self._grabbed()
        if entry is not None:
            run = entry.run
            self.write(packet(P.JOB_ASSIGN, entry.handle, run.function.encode(), run.args))

    def _grab_unique(self) -> None:
        entry = self._grabbed()
        if entry is not None:
            run = entry.run
            self.write(packet(P.JOB_ASSIGN_UNIQ, entry.handle, run.function.encode(), entry.unique, run.args))

    def _grabbed(self) -> Entry | None:
        """What the worker is given; None: nothing, and that it was told."""
        self._asleep = False
        if len(self.held) >= HELD_MAX:
            self.close(f"a worker holds at most {HELD_MAX} jobs, and came for one more")
            return None
        entry = self.door.grab(self, self._as_worker())
        if entry is None:
            self.write(NO_JOB)
            return None
        self.held[entry.handle] = entry
        return entry

    def _data(self, handle: bytes, data: bytes) -> None:
        self._says(handle, Word(WordKind.DATA, data))

    def _warning(self, handle: bytes, data: bytes) -> None:
        self._says(handle, Word(WordKind.WARNING, data))

    def _work_status(self, handle: bytes, numerator: bytes, denominator: bytes) -> None:
        done, total = number_of(numerator), number_of(denominator)
        if done is None or total is None:
            shown = f"{numerator[:20]!r} of {denominator[:20]!r}"
            self._error(Code.INVALID_ARGUMENT, f"a status must be two whole numbers, got {shown}")
            return
        entry = self.held.get(handle)
        if entry is not None:
            entry.done, entry.total = done, total
        self._says(handle, Word(WordKind.STATUS, done=done, total=total))

    def _says(self, handle: bytes, word: Word) -> None:
        entry = self.held.get(handle)
        if entry is None:
            if handle not in self._over:
                self._error(Code.JOB_NOT_FOUND, "Job does not exist on server")
            return
        assert self.worker is not None
        self.door.said(self, self.worker, entry, word)

    def _complete(self, handle: bytes, data: bytes) -> None:
        self._ends(handle, End(CallOutcome.COMPLETE, result=data))

    def _fail(self, handle: bytes) -> None:
        sentence = "its worker said that it failed, and not why"
        self._ends(handle, End(CallOutcome.FAILED, error_type=TYPE_ERROR, error_message=sentence))

    def _exception(self, handle: bytes, data: bytes) -> None:
        self._says(handle, Word(WordKind.EXCEPTION, data))
        if handle in self.held:
            text = data.decode(errors="replace")
            self._ends(handle, End(CallOutcome.FAILED, error_type=TYPE_ERROR, error_message=text))
            self.passed_over(handle)  # many workers say WORK_FAIL after it

    def _ends(self, handle: bytes, end: End) -> None:
        entry = self.held.pop(handle, None)
        if entry is not None:
            assert self.worker is not None
            self.door.finished(self, self.worker, entry, end)
        elif handle in self._over:
            del self._over[handle]
        else:
            self._error(Code.JOB_NOT_FOUND, "Job given in work result not found")

    def _set_id(self, id: bytes) -> None:
        if not id or len(id) > NAME_BYTES_MAX or b" " in id:
            sentence = f"a worker's id must be 1 to {NAME_BYTES_MAX} bytes without spaces, got {id[:50]!r}"
            self._error(Code.INVALID_ARGUMENT, sentence)
            return
        self.id = id
        if self.worker is not None:
            self.worker.name = id.decode(errors="replace")

    def _identify(self, said: bytes) -> None:
        try:
            where = areas.names(said)
        except areas.BadAreas as bad:
            self._error(Code.INVALID_ARGUMENT, str(bad))
            return
        self._as_worker().areas = frozenset(where)

    def _all_yours(self) -> None:
        """Nothing follows from it, as with gearmand."""

    # Smaller things.

    def _as_worker(self) -> Worker:
        if self.worker is None:
            name = self.peer if self.id == b"-" else self.id.decode(errors="replace")
            self.worker = Worker(name, pulls=True, tag=self)
            self.door.joined(self.worker)
        return self.worker

    def _function(self, function: bytes, slot: list[bytes | None] | None = None) -> str | None:
        """The function's name; None if it can be none, and that was told."""
        try:
            if 0 < len(function) <= NAME_BYTES_MAX:
                return function.decode()
        except UnicodeDecodeError:
            pass
        sentence = f"a function must have 1 to {NAME_BYTES_MAX} bytes of UTF-8, got {function[:50]!r}"
        self._refuse(Code.INVALID_FUNCTION_NAME, sentence, slot)
        return None

    def _is_unique(self, unique: bytes, slot: list[bytes | None] | None = None) -> bool:
        if len(unique) <= UNIQUE_BYTES_MAX:
            return True
        self._refuse(Code.ARGUMENT_TOO_LARGE, "Unique value too large", slot)
        return False

    def _refuse(self, code: Code, sentence: str, slot: list[bytes | None] | None) -> None:
        if slot is None:
            self._error(code, sentence)
        else:
            slot[0] = error(code, sentence)


PRIORITIES: Final = {
    b"": Priority.NORMAL,
    b"high": Priority.HIGH,
    b"normal": Priority.NORMAL,
    b"low": Priority.LOW,
}

_C = Connection
HANDLERS: Final[dict[int, Callable[..., None]]] = {
    TEXT: _C._text,  # noqa: SLF001 - the class's own table
    FAULT: _C._fault,  # noqa: SLF001
    P.ECHO_REQ: _C._echo,  # noqa: SLF001
    P.OPTION_REQ: _C._option,  # noqa: SLF001
    P.SUBMIT_JOB: _C._submit,  # noqa: SLF001
    P.SUBMIT_JOB_HIGH: _C._submit_high,  # noqa: SLF001
    P.SUBMIT_JOB_LOW: _C._submit_low,  # noqa: SLF001
    P.SUBMIT_JOB_TIMEOUT: _C._submit_timeout,  # noqa: SLF001
    P.SUBMIT_JOB_BG: _C._background,  # noqa: SLF001
    P.SUBMIT_JOB_HIGH_BG: _C._background_high,  # noqa: SLF001
    P.SUBMIT_JOB_LOW_BG: _C._background_low,  # noqa: SLF001
    P.SUBMIT_JOB_EPOCH: _C._background_at,  # noqa: SLF001
    P.AREA_PRIORITY: _C._areas_first,  # noqa: SLF001
    P.AREA_PRIORITY_TIMEOUT: _C._areas_timed,  # noqa: SLF001
    P.GET_STATUS: _C._status,  # noqa: SLF001
    P.GET_STATUS_UNIQUE: _C._status_unique,  # noqa: SLF001
    P.CAN_DO: _C._can_do,  # noqa: SLF001
    P.CAN_DO_TIMEOUT: _C._can_do_timeout,  # noqa: SLF001
    P.CANT_DO: _C._cant_do,  # noqa: SLF001
    P.RESET_ABILITIES: _C._reset,  # noqa: SLF001
    P.PRE_SLEEP: _C._pre_sleep,  # noqa: SLF001
    P.GRAB_JOB: _C._grab,  # noqa: SLF001
    P.GRAB_JOB_UNIQ: _C._grab_unique,  # noqa: SLF001
    P.GRAB_JOB_ALL: _C._grab_unique,  # noqa: SLF001 - a job without reducer is assigned so by gearmand too
    P.WORK_DATA: _C._data,  # noqa: SLF001
    P.WORK_WARNING: _C._warning,  # noqa: SLF001
    P.WORK_STATUS: _C._work_status,  # noqa: SLF001
    P.WORK_COMPLETE: _C._complete,  # noqa: SLF001
    P.WORK_FAIL: _C._fail,  # noqa: SLF001
    P.WORK_EXCEPTION: _C._exception,  # noqa: SLF001
    P.SET_CLIENT_ID: _C._set_id,  # noqa: SLF001
    P.IDENTIFY_AREA: _C._identify,  # noqa: SLF001
    P.ALL_YOURS: _C._all_yours,  # noqa: SLF001
}
"""What each packet does. SUBMIT_JOB_SCHED, which gearmand never took, and the two of reducers have no
place.
"""
