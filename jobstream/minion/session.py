"""The wire between a minion and one relay: a thread with an event loop of its own and one gRPC stream at a
time.

It owns the connection: opening it, again and again for as long as the minion lives; reading, writing, telling
the Link the time; and the order of going away. User code never runs here, so a blocked event loop or a busy
thread of the user does not stop heartbeats, timeouts or receipts. It must never decide what a message means:
that is the Link's.
"""

import asyncio
import concurrent.futures
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from jobstream.minion.link import Link
from jobstream.minion.wire import CannotConnect, Wire
from schemas import loops
from schemas.defaults import RESUME_GRACE_MS
from schemas.proto.relay_pb2 import FromMinion, FromRelay

log = logging.getLogger(__name__)

METHOD = "/jobstream.Relay/Session"
MESSAGE_BYTES_MAX = 32 * 1024 * 1024
"""Of one message in either direction: a batch of jobs with arguments at their limit."""
CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # without it a frozen peer is noticed after a minute only
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.use_local_subchannel_pool", 1),  # a new channel tries at once, whatever its predecessor met
)
_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs lack it
TICK_S = 0.05
"""How often time is looked at while leases are held: how late a timeout or a heartbeat may be."""
TICK_IDLE_S = 0.5
"""The same while none are."""
WELCOME_S = 10.0
"""How long a relay may take to answer a hello."""
AGAIN_FIRST_S = 0.05
"""About how long the first try to connect again waits: well within the grace of a relay for a broken session.
"""
AGAIN_CAP_S = 2.0
"""About the longest wait between two tries."""
STEADY_S = 1.0
"""A session that lasted so long was a good one: the next is tried at once, whatever it took to get this one.
"""
STORED_S = 5.0
"""How long a minion that goes away waits for its last receipts to be stored."""
END_S = 1.0
"""How long the other side may take to end a stream that we have ended."""
SOON_S = 0.005
"""How long receipts may wait for more of them where the next job of their key has begun already."""
QUIET_S = 30.0
"""How far apart two log lines are about a relay that still cannot be reached."""

assert AGAIN_FIRST_S * 1_000 * 4 < RESUME_GRACE_MS


class Broken(Exception):
    """The session ended; its text says how."""


def backoff_s(tries: int, chance: float) -> float:
    """How long to wait before the next try to connect: exponential, and spread by `chance` (0 to 1) over its
    half.
    """
    return min(AGAIN_FIRST_S * 2.0 ** min(tries, 30), AGAIN_CAP_S) * (0.5 + chance / 2)


class SessionThread:
    """The thread that keeps one Link connected, from `start` until it has drained.

    Attributes:
        opened: Set while a session is open; for tests and for whoever waits for the first one.
        finished: Ends when the thread has: with the number of receipts that no relay has confirmed.
    """

    def __init__(self, link: Link, address: str, wire: Wire) -> None:
        self.link = link
        self.address = address
        self._wire = wire
        self.opened = threading.Event()
        self.is_guest = False
        """It looks after leases of a relay that is gone, and ends with the last of them."""
        self.on_open: Callable[[], None] = lambda: None
        self.on_away: Callable[[SessionThread, float], None] = lambda *_: None
        """Told, before each new try, for how many seconds the relay has been away."""
        self._away_since_s = time.monotonic()
        self.finished: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, name=f"jobstream-session-{address}", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._woken = self._nudged = False
        self._failure: BaseException | None = None
        self._closing = False
        self._tries = 0
        self._opened_s = 0.0
        self._last_words = ""
        self._last_words_s = 0.0

    # Any thread.

    def start(self) -> None:
        """Starts the thread; returns when it can be asked to drain."""
        self._thread.start()
        self._ready.wait()

    def drain(self, grace_s: float) -> None:
        """Takes no more jobs, lets those that run end within the grace time, hands the rest back, and
        finishes.

        Asking again with less grace shortens it; 0 hands back at once.
        """
        self._call(self._begin_drain, grace_s)

    def wake(self) -> None:
        """There is something to collect. Cheap when it was said already."""
        if not self._woken:
            self._woken = True
            self._call(self._work_set)

    def nudge(self) -> None:
        """There is something to collect that may wait SOON_S."""
        if not self._woken and not self._nudged:
            self._nudged = True
            self._call(self._collect_soon)

    def _collect_soon(self) -> None:
        assert self._loop is not None
        self._loop.call_later(SOON_S, self._work_set)

    def _call(self, what: Any, *args: Any) -> None:
        assert self._loop is not None, "the thread must have been started"
        try:
            self._loop.call_soon_threadsafe(what, *args)
        except RuntimeError:  # the loop is closed: the thread has finished
            log.debug("session thread has finished relay=%s", self.address)

    # The session's thread.

    def _run(self) -> None:
        try:
            unstored = loops.run(self._main())
        except BaseException as error:  # whatever ends the thread must reach who waits for it
            log.exception("session thread failed relay=%s", self.address)
            self.finished.set_exception(error)
        else:
            self.finished.set_result(unstored)
        finally:
            self._ready.set()

    async def _main(self) -> int:
        self._loop = asyncio.get_running_loop()
        self._work = asyncio.Event()
        self._work_set = self._work.set
        self._hurry = asyncio.Event()
        self._settled = asyncio.Event()
        self._drain_task: asyncio.Task[None] | None = None
        self._leaving = asyncio.Event()
        self._over = asyncio.Event()
        self.link.wake = self.wake
        self.link.nudge = self.nudge
        self._timer = self._loop.call_later(0, self._tick)
        self._ready.set()
        connecting = self._connecting = asyncio.create_task(self._stay_connected())
        over = asyncio.create_task(self._over.wait())
        await asyncio.wait({connecting, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        self._timer.cancel()
        if connecting.done():
            connecting.result()
        connecting.cancel()
        await asyncio.wait({connecting})
        if self._failure is not None:
            raise self._failure
        return len(self.link.outbox) + len(self.link.held)

    def _tick(self) -> None:
        """Tells the link the time. It is armed again by itself, sooner while leases are held."""
        assert self._loop is not None
        self._timer.cancel()
        self._timer = self._loop.call_later(
            TICK_S if self.link.held or self.link.wanting else TICK_IDLE_S, self._tick
        )
        try:
            if self.link.tick(_now_ms()):
                self._work.set()
            self._look()
        except Exception as error:  # noqa: BLE001  # a callback's error would be logged, and forgotten
            self._failure = error
            self._over.set()

    def _look(self) -> None:
        """Notices that nothing is left to be done."""
        if self.link.settled:
            self._settled.set()
        else:
            self._settled.clear()

    # Going away.

    def _begin_drain(self, grace_s: float) -> None:
        if self._drain_task is None:
            self._drain_task = asyncio.create_task(self._drain(grace_s))
        else:
            assert self._loop is not None
            self._loop.call_later(grace_s, self._hurry.set)

    async def _drain(self, grace_s: float) -> None:
        log.info(
            "minion drains leases=%d grace_s=%g session=%s", len(self.link.held), grace_s, self.link.session
        )
        self.link.drain(int(grace_s * 1_000))
        self._work.set()
        self._look()
        if grace_s > 0:
            await _first(self._settled, self._hurry, timeout_s=grace_s)
        self.link.hand_back()
        self._work.set()
        self._look()
        await _first(self._settled, timeout_s=STORED_S)
        self._leaving.set()
        self._work.set()
        if self.link.open:
            await asyncio.wait({self._connecting}, timeout=END_S)
        self._over.set()

    # Connections.

    async def _stay_connected(self) -> None:
        while not self._leaving.is_set():
            try:
                await self._session()
                reason = "the relay drained"
            except Broken as broken:
                reason = str(broken)
            if self._leaving.is_set():
                return
            was_open = self.link.open
            self.link.broke()
            self.opened.clear()
            if was_open:
                self._away_since_s = time.monotonic()
            self.on_away(self, time.monotonic() - self._away_since_s)
            if was_open and time.monotonic() - self._opened_s >= STEADY_S:
                self._tries = 0
            pause_s = backoff_s(self._tries, random.random())
            self._tries += 1
            self._say(reason, pause_s, was_open=was_open)
            await asyncio.sleep(pause_s)

    def _say(self, reason: str, pause_s: float, *, was_open: bool) -> None:
        """One line for a session that broke, one for the first failed try, then one every half minute."""
        now_s = time.monotonic()
        if not was_open and reason == self._last_words and now_s - self._last_words_s < QUIET_S:
            return
        self._last_words, self._last_words_s = reason, now_s
        log.warning(
            "session %s relay=%s session=%s leases=%d receipts=%d again_in_ms=%d reason=%r",
            "broke" if was_open else "could not be opened",
            self.address,
            self.link.session,
            len(self.link.held),
            len(self.link.outbox),
            int(pause_s * 1_000),
            reason,
        )

    async def _session(self) -> None:
        """One session, from hello to its end."""
        try:
            token = self._wire.shown()
            connection = self._wire.channel(self.address, CHANNEL_OPTIONS)
        except CannotConnect as cannot:
            raise Broken(str(cannot)) from None
        async with connection as channel:
            method: Any = channel.stream_stream(
                METHOD,
                request_serializer=FromMinion.SerializeToString,
                response_deserializer=FromRelay.FromString,
            )
            call = method()
            try:
                hello = self.link.hello()
                hello.hello.token = token
                await _of(call, call.write(hello))
                await self._welcome(call)
                await self._talk(call)
            finally:
                call.cancel()

    async def _welcome(self, call: Any) -> None:
        try:
            async with asyncio.timeout(WELCOME_S):
                first = await _of(call, call.read())
        except TimeoutError:
            raise Broken(f"the relay did not answer the hello within {WELCOME_S:g} s") from None
        if first.WhichOneof("message") != "welcome":
            raise Broken(f"the relay must answer a hello with a welcome, got {first.WhichOneof('message')}")
        self.link.welcomed(first.welcome, _now_ms())
        self._opened_s = time.monotonic()
        self._last_words = ""
        self.opened.set()
        self.on_open()
        log.info(
            "session opened relay=%s (%s) session=%s leases=%d receipts=%d",
            self.address,
            first.welcome.relay,
            self.link.session,
            len(self.link.held),
            len(self.link.outbox),
        )

    async def _talk(self, call: Any) -> None:
        """Reads and writes until either ends; one task owns each side."""
        self._closing = False
        reader = asyncio.create_task(self._read(call))
        writer = asyncio.create_task(self._write(call))
        try:
            await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            if not reader.done():
                writer.result()
                await asyncio.wait({reader}, timeout=END_S)
                return
            reader.result()
        finally:
            # Both end by themselves once the call is cancelled. Cancelling the tasks instead would leave the
            # library with operations under way for a loop that may be closed by then.
            call.cancel()
            self._closing = True
            self._work.set()
            await asyncio.wait({reader, writer}, timeout=END_S)
            reader.cancel()
            writer.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)

    async def _read(self, call: Any) -> None:
        link, work = self.link, self._work
        while True:
            message = await _of(call, call.read())
            idle = not link.held
            link.receive(message, _now_ms(), time.time_ns() // 1_000_000)
            if idle and link.held:
                self._tick()
            if link.has_to_say(message):
                work.set()
            await asyncio.sleep(0)  # functions begin, and what there is to say goes out, before the next read

    async def _write(self, call: Any) -> None:
        """Writes what the link collects; whatever gathers during one write goes with the next."""
        link, work = self.link, self._work
        while not self._closing:
            work.clear()
            self._woken = self._nudged = False
            for message in link.collect(_now_ms()):
                await _of(call, call.write(message))
            self._look()
            if link.settled and (link.relay_draining or self._leaving.is_set()):
                await call.done_writing()
                return
            await work.wait()


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


async def _of(call: Any, step: Awaitable[Any]) -> Any:
    """What one read or write of the call gives.

    Raises:
        Broken: The stream has ended, in whichever of its ways the library tells so.
    """
    try:
        found = await step
    except grpc.aio.AioRpcError as error:
        raise Broken(f"{error.code().name}: {error.details()}") from None
    except asyncio.InvalidStateError:
        found = _EOF
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Broken("CANCELLED: the relay cancelled the stream") from None
    if found is _EOF:
        raise Broken(f"{(await call.code()).name}: {await call.details()}")
    return found


async def _first(*events: asyncio.Event, timeout_s: float) -> None:
    """Waits until one of the events is set, or the time is over."""
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
