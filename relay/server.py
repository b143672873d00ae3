"""The gRPC side: one stream for each minion session.

Owns streams and their tasks: one reads, one writes. What a message means is the edge's to decide; what a
stream may not say ends that stream with a status and a sentence, and touches no other.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from relay.alone import Alone
from relay.bridge import Bridge
from relay.callers import Waiter, call_of, reply_of, serve_stream, wait_for
from relay.core.call import BadCall, Run
from relay.core.call_session import add_run
from relay.core.hello import PROTOCOL
from relay.core.session import Breach, Lease, Refusal, Session
from relay.core.tokens import Credential, Denied, Scope
from relay.core.translate import add_job
from relay.durable import Durables
from relay.lock import Lock, credential_of
from relay.services import Services
from schemas.defaults import HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS, MIB, NAME_CHARS_MAX
from schemas.events import Dispatch
from schemas.names import new_id
from schemas.proto.relay_pb2 import (
    CallBatch,
    CallRequest,
    FromMinion,
    FromRelay,
    JobBatch,
    ReceiptsStored,
    RunLimit,
    RunsOver,
    Welcome,
)
from schemas.telemetry import logs

log = logging.getLogger("relay.server")

SERVICE = "jobstream.Relay"
METHOD = "Session"
STATUS_METHOD = "Status"
CALL_METHOD = "Call"
CALLS_METHOD = "Calls"

HELLO_S = 10.0
"""How long a stream may take to say hello."""

WRITE_MAX_MS = 10_000
"""A minion that takes nothing off its stream for so long has it closed."""

CLOSE_S = 5.0
"""How long a closed stream's status may take to get out."""

STREAMS_MAX = 20_000
"""Streams and single calls at once, those included that have not said hello."""

MESSAGE_BYTES_MAX = 32 * MIB
"""Of one message, either way."""

JOBS_PER_MESSAGE = 256
"""Jobs in one message."""

JOB_BYTES_PER_MESSAGE = MIB
"""A message is full when the arguments of its jobs reach this."""

OPTIONS = (
    # A frozen or cut-off peer is found in about 13 s. Without ping_timeout_ms it takes over a minute.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.so_reuseport", 0),  # a second relay at the same address is a mistake, and shall be told
)

STATUS = {
    Refusal.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Refusal.VERSION: grpc.StatusCode.FAILED_PRECONDITION,
    Refusal.FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Refusal.SILENT: grpc.StatusCode.DEADLINE_EXCEEDED,
    Refusal.LEAVING: grpc.StatusCode.UNAVAILABLE,
    Refusal.UNKNOWN: grpc.StatusCode.UNAUTHENTICATED,
    Refusal.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
}

Sent = Callable[[Lease, Dispatch], None]
"""Told of each job that is put on a stream."""

EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined] # its types forgot it
Context = grpc.aio.ServicerContext[bytes, bytes]


class Broken(Exception):
    """The stream is over, in whichever of its ways the library tells so."""


class Stream:
    """The tasks of one session."""

    def __init__(self, session: Session, context: Context, credential: Credential) -> None:
        self.session = session
        self.context = context
        self.opened_ns = time.monotonic_ns()
        self.credential = credential
        self.something = asyncio.Event()
        self.writing_since_ms = 0
        self.closing: Breach | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    # The side of the switchboard: what the minion shall hear of calls.

    def assigned(self, run: Run) -> None:
        """Send the run."""
        self.session.outbox.runs.append(run)
        self.something.set()

    def stopped(self, run: Run, reason: str) -> None:
        """Nobody waits for the run. One that was never sent stays here, and costs no credit."""
        runs = self.session.outbox.runs
        if run in runs:
            runs.remove(run)
            self.session.refund()
            return
        self._note(FromRelay(runs_over=RunsOver(runs=[run.number], reason=reason)))

    def limited(self, run: Run, running_ms: int | None) -> None:
        """The run's limit changed."""
        self._note(FromRelay(run_limit=RunLimit(run=run.number, timeout_ms=running_ms or 0)))

    def woken(self) -> None:
        """Sessions never sleep."""

    def _note(self, note: FromRelay) -> None:
        self.session.outbox.notes.append(note)
        self.something.set()

    def close(self, breach: Breach) -> None:
        """Ends the stream with the breach's status."""
        if self.closing is None:
            self.closing = breach
            for task in self.tasks:
                task.cancel()


class Server:
    """Serves minions at one address."""

    def __init__(
        self,
        bridge: Bridge | Alone,
        lock: Lock,
        into: grpc.aio.Server | None = None,
        durables: Durables | None = None,
    ) -> None:
        """`into` is a server of somebody else's that it takes part in, with its address, TLS and options;
        None: it has one of its own. `durables` are for calls that go through Kafka; None: there is none.
        """
        self._durables = durables
        self._is_guest = into is not None
        self._bridge = bridge
        self._lock = lock
        self._edge = bridge.edge
        self._streams: dict[Session, Stream] = {}
        self._looking: asyncio.Task[None] | None = None
        self._server = into or grpc.aio.server(options=OPTIONS, maximum_concurrent_rpcs=STREAMS_MAX)
        session = grpc.stream_stream_rpc_method_handler(self._session)
        status = grpc.unary_unary_rpc_method_handler(self._status)
        call = grpc.unary_unary_rpc_method_handler(self._call)
        calls = grpc.stream_stream_rpc_method_handler(self._calls)
        methods = {METHOD: session, STATUS_METHOD: status, CALL_METHOD: call, CALLS_METHOD: calls}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
        self._services = None if self._is_guest else Services(self._server)
        bridge.wake = self._wake

    async def start(self, address: str) -> int:
        """Listens at host:port, port 0 for any; returns the port. RuntimeError if it cannot."""
        if self._is_guest:
            self._looking = asyncio.create_task(self._look())
            return 0
        credentials = self._lock.credentials()
        if credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, credentials)
        await self._server.start()
        assert self._services is not None
        await self._services.serve(serving=True)
        self._looking = asyncio.create_task(self._look())
        return port

    async def leave(self) -> None:
        """Tells whoever watches its health that it goes away; streams go on."""
        if self._services is not None:
            await self._services.serve(serving=False)

    async def stop(self, reason: str) -> None:
        """Ends all streams with a status that says so, and listens no more."""
        if self._looking is not None:
            self._looking.cancel()
        for stream in list(self._streams.values()):
            stream.close(Breach(reason, Refusal.LEAVING))
        if not self._is_guest:
            await self._server.stop(CLOSE_S if self._streams else 0)

    def lock_again(self, *, again: bool = False) -> None:
        """Reads what locks the relay again, if it changed or in any case, and shows out whom it lets in no
        longer.
        """
        if not self._lock.look(again=again):
            return
        for stream in list(self._streams.values()):
            session = stream.session
            try:
                session.allowed = self._lock.grant(stream.credential)
                session.check_offer()
            except Denied as denied:
                stream.close(_denied(denied))
            except Breach as breach:
                stream.close(breach)

    async def _status(self, _: object, context: Context) -> bytes:
        """What the relay does now, for people and for tools that may read."""
        try:
            self._lock.grant(_bearer(context)).check(Scope.READ)
        except Denied as denied:
            await _refuse(context, _denied(denied))
        await self._bridge.find_out()
        return self._bridge.status().SerializeToString()

    # Callers.

    async def _call(self, raw: bytes, context: Context) -> bytes:
        """One foreground call, until its end. Its caller's deadline, or its going away, ends it."""
        try:
            request = CallRequest.FromString(raw)
        except DecodeError:
            sentence = f"a message must be a CallRequest, got {len(raw)} bytes that are not"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, sentence)
        if request.durable:
            sentence = "a durable call must be on a stream (Calls), which waits for it; got it alone (Call)"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, sentence)
        waiter = Waiter()
        call = call_of(request, context.peer(), waiter)
        try:
            self._may_call(_bearer(context), request.function, None)
            return reply_of(await wait_for(self._bridge.board, call, waiter)).SerializeToString()
        except BadCall as bad:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(bad))
        except Denied as denied:
            await context.abort(STATUS[_denied(denied).refusal], denied.sentence)
        except Exception as error:
            self._bridge.fault(error)
            raise

    async def _calls(self, _: object, context: Context) -> None:
        """Many of them on a stream."""
        credential = _bearer(context)
        try:
            self._lock.grant(credential).check(Scope.SUBMIT)
            await serve_stream(
                self._bridge.board, context, partial(self._may_call, credential), self._durables
            )
        except grpc.aio.AbortError:
            raise
        except Denied as denied:
            await context.abort(STATUS[_denied(denied).refusal], denied.sentence)
        except Exception as error:
            self._bridge.fault(error)
            raise

    def _may_call(self, credential: Credential, function: str, queue: str | None) -> None:
        """Raises Denied unless who calls may; `queue` is that of a durable call."""
        self._lock.grant(credential).check(Scope.SUBMIT, queue, function)

    # One stream.

    async def _session(self, _: object, context: Context) -> None:
        try:
            await self._live(context)
        except (Broken, grpc.aio.AbortError):
            pass  # the stream is over
        except Exception as error:
            self._bridge.fault(error)
            raise

    async def _live(self, context: Context) -> None:
        try:
            stream = await self._open(context)
        except Breach as breach:
            log.warning("session refused: %s peer=%s", breach.sentence, context.peer())
            logs.access(
                "session refused", logs.FAILURE, None, _call(context) | {logs.REASON: breach.sentence}
            )
            await _refuse(context, breach)
            return
        reason, outcome = "its stream broke", logs.FAILURE
        try:
            reason = await self._serve(stream)
            outcome = logs.SUCCESS
        except Breach as breach:
            reason = f"its stream was closed: {breach.sentence}"
            await _refuse(context, breach)
        finally:
            self._close(stream, reason, outcome)

    async def _open(self, context: Context) -> Stream:
        """Reads the hello and answers it."""
        try:
            async with asyncio.timeout(HELLO_S):
                raw = await receive(context)
        except TimeoutError:
            raise Breach(f"hello must come within {HELLO_S:g} s, got nothing", Refusal.SILENT) from None
        if raw is EOF:
            raise Breach("the first message must be hello, got the end of the stream")
        said = parse(raw)
        if said.WhichOneof("message") != "hello":
            raise Breach(f"the first message must be hello, got {said.WhichOneof('message')}")
        credential = credential_of(said.hello.token, context.auth_context())
        try:
            allowed = self._lock.grant(credential)
        except Denied as denied:
            raise _denied(denied) from None
        session = self._edge.hello(said.hello, new_id(), self._bridge.clock(), allowed)
        stream = self._streams[session] = Stream(session, context, credential)
        if session.worker is not None:
            session.worker.tag = stream
        log.info(
            "session opened session=%s minion=%s token=%s queues=%s functions=%d capacity=%d held=%d"
            " sdk=%r peer=%s",
            session.id,
            session.minion,
            allowed.name,
            ",".join(sorted(session.queues)),
            len(session.functions),
            session.capacity,
            len(session.leases),
            said.hello.sdk[:NAME_CHARS_MAX],
            context.peer(),
        )
        logs.access("session opened", logs.SUCCESS, None, _call(context) | _of(session))
        self._bridge.follow()
        self._bridge.pump()
        return stream

    async def _serve(self, stream: Stream) -> str:
        """Reads and writes until either ends; says how it ended, or raises the Breach that ended it."""
        welcome = Welcome(
            protocol=PROTOCOL,
            session=stream.session.id,
            relay=self._edge.relay,
            heartbeat_ms=HEARTBEAT_MS,
            heartbeat_timeout_ms=HEARTBEAT_TIMEOUT_MS,
        )
        await send(stream.context, FromRelay(welcome=welcome))
        reader = asyncio.create_task(self._read(stream))
        writer = asyncio.create_task(self._write(stream))
        stream.tasks = {reader, writer}
        try:
            if stream.closing is None:
                await asyncio.wait(stream.tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reader.cancel()
            writer.cancel()
            await asyncio.wait(stream.tasks)
        if stream.closing is not None:
            raise stream.closing
        for task in (reader, writer):
            if not task.cancelled() and task.exception() is not None:
                task.result()
        return "its minion ended the stream" if not reader.cancelled() else "its stream broke"

    def _close(self, stream: Stream, reason: str, outcome: str) -> None:
        session = stream.session
        took_ns = time.monotonic_ns() - stream.opened_ns
        about = _call(stream.context) | _of(session) | {logs.REASON: reason}
        logs.access("session closed", outcome, took_ns, about)
        del self._streams[session]
        leases = len(session.leases)
        self._edge.broken(session, reason, self._bridge.clock())
        log.info(
            "session closed: %s session=%s minion=%s leases=%d", reason, session.id, session.minion, leases
        )
        self._bridge.follow()
        self._bridge.pump()

    async def _read(self, stream: Stream) -> None:
        session, context, bridge = stream.session, stream.context, self._bridge
        room, clock = bridge.room, bridge.clock
        while True:
            raw = await receive(context)
            if raw is EOF:
                return
            self._take(session, parse(raw), clock())
            bridge.pump()
            await asyncio.sleep(0)  # what this had others say goes out before the next read costs its time
            await room()

    def _take(self, session: Session, said: FromMinion, now_ms: int) -> None:
        """One message of a session, to the edge."""
        session.heard_at_ms = now_ms
        match said.WhichOneof("message"):
            case "runs":
                self._edge.runs(session, said.runs, now_ms)
            case "receipts":
                self._edge.receipts(session, said.receipts.receipts, now_ms)
            case "credit":
                self._edge.credit(session, said.credit.more, now_ms)
            case "beats":
                self._edge.beats(session, said.beats.beats)
            case "recall":
                self._edge.recall(session, said.recall.up_to)
            case "draining":
                self._edge.minion_drains(session, now_ms)
                log.info("minion drains session=%s minion=%s", session.id, session.minion)
                self._bridge.follow()
            case "hello":
                raise Breach("hello must be the first message only, got another")
            case _:
                raise Breach(
                    "a message must be a hello, credit, receipts, beats, draining, recall or runs, got none"
                )

    async def _write(self, stream: Stream) -> None:
        something, context = stream.something, stream.context
        while True:
            await something.wait()
            something.clear()
            for message in messages(stream.session, self._bridge.clock(), self._bridge.sent):
                stream.writing_since_ms = self._bridge.clock()
                await send(context, message)
            stream.writing_since_ms = 0

    # All streams.

    def _wake(self, session: Session) -> None:
        stream = self._streams.get(session)
        if stream is None:
            return
        if session.outbox.closing is not None:
            stream.close(session.outbox.closing)
        stream.something.set()

    async def _look(self) -> None:
        """Finds minions that take nothing off their streams, and locks that changed."""
        while True:
            await asyncio.sleep(1)
            self.lock_again()
            now_ms = self._bridge.clock()
            for stream in list(self._streams.values()):
                since_ms = stream.writing_since_ms
                if since_ms and now_ms - since_ms > WRITE_MAX_MS:
                    what = f"minion {stream.session.minion} took nothing off its stream"
                    stream.close(Breach(f"{what} for {now_ms - since_ms} ms", Refusal.SILENT))


def _call(context: Context) -> dict[str, object]:
    """What the log says of who calls."""
    return {logs.DOOR: "grpc", logs.CLIENT: context.peer()}


def _of(session: Session) -> dict[str, object]:
    """What the log says of a session."""
    return {
        logs.SESSION: session.id,
        logs.MINION: session.minion,
        logs.QUEUE: sorted(session.queues),
        "jobstream.capacity": session.capacity,
        "jobstream.leases": len(session.leases),
    }


async def receive(context: Context) -> Any:
    """The next message of a stream, or EOF; raises Broken if there will be none."""
    try:
        return await context.read()
    except Exception as error:
        raise Broken from error


async def send(context: Context, message: FromRelay) -> None:
    """Sends a message; raises Broken if the stream takes none any longer."""
    try:
        await context.write(message.SerializeToString())
    except Exception as error:
        raise Broken from error


async def _refuse(context: Context, breach: Breach) -> None:
    """Ends a stream with a status, if it still can be told; raises Broken, or what the library ends it by."""
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await context.abort(STATUS[breach.refusal], breach.sentence)
    except grpc.aio.AbortError:
        raise
    except Exception as error:  # it was cancelled at the same time: no fault of the relay
        raise Broken from error


def _denied(denied: Denied) -> Breach:
    """How a stream ends whose token is not known, or not for this."""
    return Breach(denied.sentence, Refusal.FORBIDDEN if denied.known else Refusal.UNKNOWN)


def _bearer(context: Context) -> Credential:
    """What a call shows whose message has no place for a token: the metadata `authorization`, a
    certificate.
    """
    told = dict(context.invocation_metadata() or ())
    kind, _, token = str(told.get("authorization", "")).partition(" ")
    return credential_of(token.strip() if kind.lower() == "bearer" else "", context.auth_context())


def parse(raw: bytes) -> FromMinion:
    """A message; raises Breach for bytes that are none."""
    try:
        return FromMinion.FromString(raw)
    except DecodeError:
        raise Breach(f"a message must be a FromMinion, got {len(raw)} bytes that are not") from None


def messages(session: Session, now_ms: int, sent: Sent | None = None) -> Iterator[FromRelay]:
    """What a session's outbox holds, taken out message by message, so that what is left was never sent;
    `sent` is told of each job.
    """
    outbox = session.outbox
    while True:
        if outbox.runs:
            message = FromRelay()
            _take_runs(outbox.runs, message.calls, now_ms)
            yield message
        elif outbox.jobs:
            message = FromRelay()
            _take_jobs(session, message.jobs, sent)
            if message.jobs.jobs:
                yield message
        elif outbox.notes:
            yield outbox.notes.pop(0)
        elif outbox.stored_up_to:
            stored = ReceiptsStored(up_to=outbox.stored_up_to)
            outbox.stored_up_to = 0
            yield FromRelay(receipts_stored=stored)
        else:
            return


def _take_runs(waiting: list[Run], batch: CallBatch, now_ms: int) -> None:
    """Puts the foreground calls of the next message into it."""
    size_bytes = taken = 0
    for run in waiting:
        if taken >= JOBS_PER_MESSAGE or size_bytes >= JOB_BYTES_PER_MESSAGE:
            break
        taken += 1
        add_run(batch, run, now_ms)
        size_bytes += len(run.args)
    del waiting[:taken]


def _take_jobs(session: Session, batch: JobBatch, sent: Sent | None) -> None:
    """Puts the jobs of the next message into it. The credit of one that ended before it was sent is the
    session's again.
    """
    waiting = session.outbox.jobs
    size_bytes = taken = 0
    for lease, dispatch in waiting:
        if len(batch.jobs) >= JOBS_PER_MESSAGE or size_bytes >= JOB_BYTES_PER_MESSAGE:
            break
        taken += 1
        if lease.over:
            session.refund()
        else:
            add_job(batch, lease, dispatch)
            if sent is not None:
                sent(lease, dispatch)
            size_bytes += len(dispatch.args or b"")
    del waiting[:taken]
