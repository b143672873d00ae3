"""Joins the machine to Kafka: what it reads goes in, what it says goes out.

Owns the edge, and the order in which things are taken out of it: after every call into the edge its records
are written, its sessions woken, its remarks logged. All on the event loop; only reader, writer and control
have threads.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec

from confluent_kafka import TopicPartition

from relay.clock import Clock
from relay.control import ControlTail
from relay.core.beats import TICK_MS
from relay.core.edge import Edge
from relay.core.record import Record
from relay.core.refused import refused
from relay.core.session import Session
from relay.core.traffic import Traffic
from relay.core.window import Window
from relay.gauges import gauges
from relay.reader import POLL_S, Place, Reader
from relay.scheduler.hooks import Scheduler, offers_of, tell
from relay.switchboard import Switchboard
from relay.traces import trace_sent
from relay.writer import Writer
from schemas.codec import Undecodable, decode
from schemas.events import Control, Dispatch, QueueConfig
from schemas.proto.relay_pb2 import StatusReply
from schemas.settings import Settings
from schemas.telemetry import catalogue
from schemas.telemetry.meter import Sample
from schemas.telemetry.process import Telemetry
from schemas.topics import Topics
from schemas.words import RejectCode

log = logging.getLogger("relay.bridge")

COMMIT_EVERY_S = 0.1
"""How long a finished offset may wait to be committed."""

SERVE_SOON_S = 0.02
"""How long what is new to announce may wait for more of it."""

QUEUE_ENTRY = "queue/"
"""How the key of a queue's entry in the config topic begins."""

QUEUE_LINGER_S = 3.0
"""A queue whose last session went is read on for so long, since minions come back."""

SETTLE_S = 3.0
"""How long Kafka may take to take what is written when partitions are given up, or the relay ends."""


P = ParamSpec("P")


def crash_only(
    method: Callable[Concatenate["Bridge", P], None],
) -> Callable[Concatenate["Bridge", P], None]:
    """An error that the method does not handle ends the relay: what it left undone must not be committed."""

    @functools.wraps(method)
    def guarded(bridge: "Bridge", /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(bridge, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the relay ends by it
            bridge.fault(error)

    return guarded


class Bridge:
    """The Kafka side of one relay. `wake` is called with sessions that have something to send.

    `fail` is told, once or more often, that the relay cannot go on.
    """

    def __init__(
        self,
        config: dict[str, Any],
        topics: Topics,
        relay: str,
        session_timeout_ms: int,
        fail: Callable[[str], None],
        limits: Mapping[str, int] | None = None,
        scheduler: Scheduler | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`scheduler` is told of the traffic; None: nobody is."""
        self.clock = Clock()
        self._fail = fail
        self.topics = topics
        self._scheduler = scheduler
        traffic = None if scheduler is None else Traffic(offers_of(scheduler))
        self.edge = Edge(relay, topics.partitions, self.clock(), limits, traffic)
        self.board = Switchboard(self.edge.calls, self.clock, relay, self.edge.traffic, telemetry)
        self.board.after = self.pump
        self.board.fault = self.fault
        self.wake: Callable[[Session], None] = _nobody
        self.writer = Writer(config, topics, self._stored, fail)
        self._loop = asyncio.get_running_loop()
        self._reader = Reader(config, topics, session_timeout_ms, self, fail, self.clock)
        self._control = ControlTail(config, topics.control, self._controlled, fail)
        self._config = ControlTail(config, topics.config, self._configured, fail)
        self._windows: dict[Place, Window] = {}
        self._subscribed: frozenset[str] = frozenset()
        self._leaving: dict[str, asyncio.TimerHandle] = {}
        self._stirred = asyncio.Event()
        self._committing: asyncio.TimerHandle | None = None
        self._serving: asyncio.TimerHandle | None = None
        self._ticking = asyncio.create_task(self._tick())
        self._cancels = 0
        telemetry = telemetry or Telemetry(Settings(), "relay")
        self.sent = (
            None if telemetry.tracer is None else functools.partial(trace_sent, telemetry.tracer, self.clock)
        )
        """To be told of each job that is put on a stream; None: nobody wants to know."""
        self._control_lag = telemetry.meter.histogram(catalogue.CONTROL_LAG)
        telemetry.meter.watch(self._look, self._loop)

    async def ready(self) -> int:
        """Returns when the control and config topics were read whole: how many cancels there were."""
        await self._control.whole()
        await self._config.whole()
        return self._cancels

    async def room(self) -> None:
        """Returns when minions may be read: Kafka has taken enough of what they said."""
        await self.writer.room()

    async def leave(self) -> bool:
        """Gives all partitions up: others may have them from now on. Leases go on. False if Kafka does not
        answer: others have them when the relay's session is over.
        """
        for timer in (*self._leaving.values(), self._serving):
            if timer is not None:
                timer.cancel()
        return await self._reader.stop()

    async def stop(self) -> None:
        """Writes what is left, and ends the threads."""
        self.board.close()
        if self._committing is not None:
            self._committing.cancel()
        await asyncio.gather(self._control.stop(), self._config.stop())
        await self.writer.stop(SETTLE_S)
        self._ticking.cancel()

    def abandon(self) -> None:
        """Ends the tasks; the threads end with the process, and nothing more is committed."""
        self.board.close()
        for timer in (*self._leaving.values(), self._committing, self._serving):
            if timer is not None:
                timer.cancel()
        self._ticking.cancel()
        self._reader.abandon()
        self._control.abandon()
        self._config.abandon()
        self.writer.abandon()

    def fault(self, error: BaseException) -> None:
        """Ends the relay by an error of its own."""
        log.error("a fault of the relay's own", exc_info=error)
        self._fail(f"a fault of its own: {type(error).__name__}: {error}")

    def pump(self) -> None:
        """Takes out of the edge what the last call put there. To be called after every call into it."""
        edge = self.edge
        self.board.give_out()
        if edge.records:
            records, edge.records = edge.records, []
            self.writer.write(records)
        if edge.woken:
            woken, edge.woken = edge.woken, set()
            for session in woken:
                self.wake(session)
        if edge.pauses:
            pauses, edge.pauses = edge.pauses, []
            self._reader.pause([window for window in pauses if not window.closed])
        if edge.resumes:
            resumes, edge.resumes = edge.resumes, []
            self._reader.resume([window for window in resumes if not window.closed])
        if edge.remarks:
            remarks, edge.remarks = edge.remarks, []
            for remark in remarks:
                log.warning(remark)
        if edge.traffic.pending and self._scheduler is not None:
            tell(self._scheduler, edge.traffic.take())
        if not self._stirred.is_set() and edge.busy():
            self._stirred.set()

    def status(self) -> StatusReply:
        """What the relay does now."""
        return self.edge.status(self._windows.values(), self.clock(), self._reader.ends)

    async def find_out(self) -> None:
        """Has the reader find out where its partitions end, for the status; it does between two polls."""
        self._reader.look()
        await asyncio.sleep(2 * POLL_S)

    def _look(self) -> Iterable[Sample]:
        """What is measured when someone asks."""
        reader = self._reader
        reader.look()
        yield catalogue.UNCONFIRMED, (), self.writer.unconfirmed
        yield catalogue.RELAY_REBALANCES, (), reader.rebalances
        yield from gauges(self.edge, self._windows.values(), reader.ends, self.clock())

    def follow(self) -> None:
        """Reads the queues that sessions serve; one that nobody serves any longer is given up
        after a while.
        """
        served = self.edge.router.queues
        for queue in served & self._leaving.keys():
            self._leaving.pop(queue).cancel()
        for queue in self._subscribed - served - self._leaving.keys():
            self._leaving[queue] = self._loop.call_later(QUEUE_LINGER_S, self._unfollow, queue)
        self._subscribe(self._subscribed | served)
        self._serve_in(SERVE_SOON_S)

    @crash_only
    def _unfollow(self, queue: str) -> None:
        del self._leaving[queue]
        self._subscribe(self._subscribed - {queue})

    def _subscribe(self, queues: frozenset[str]) -> None:
        if queues != self._subscribed and not self.edge.draining:
            self._subscribed = queues
            log.info("reads queues queues=%s", ",".join(sorted(queues)) or "none")
            self._reader.subscribe(self.topics.dispatch(queue) for queue in queues)

    # What Kafka says.

    @crash_only
    def assigned(self, windows: Sequence[Window]) -> None:
        """These partitions are the relay's from now on; their records follow."""
        for window in windows:
            self._windows[window.topic, window.partition] = window
            self._commit_soon()
        self._serve_in(SERVE_SOON_S)
        uncommitted = sum(max(window.end_at_start - window.start, 0) for window in windows)
        log.info("partitions assigned partitions=%d uncommitted=%d", len(windows), uncommitted)

    async def let_go(self, places: Sequence[Place]) -> list[TopicPartition]:
        """These partitions go to another relay: gives what may be committed for them at last."""
        windows = [self._windows.pop(place) for place in places if place in self._windows]
        self.edge.announce(windows, self.clock())
        self.pump()
        await self.writer.settle(SETTLE_S)
        self.edge.revoked(windows)
        log.info("partitions given up partitions=%d", len(places))
        return _offsets(windows)

    @crash_only
    def lost(self, places: Sequence[Place]) -> None:
        """These partitions went to another relay already; nothing may be committed for them."""
        self.edge.revoked([self._windows.pop(place) for place in places if place in self._windows])
        log.warning("partitions lost partitions=%d", len(places))

    @crash_only
    def read(self, messages: Sequence[Any]) -> None:
        """Dispatches, in the order of each partition. What is none is told and left out."""
        windows, edge, now_ms = self._windows, self.edge, self.clock()
        for message in messages:
            window = windows.get((message.topic(), message.partition()))
            if window is None:
                continue
            offset, value = message.offset(), message.value()
            try:
                dispatch = self._dispatch_of(value or b"")
            except Undecodable as bad:
                self._refuse(window, message, bad)
                continue
            edge.dispatched(window, offset, dispatch, len(value), now_ms)
        self._commit_soon()
        self.pump()

    def _dispatch_of(self, value: bytes) -> Dispatch:
        dispatch = decode(value, (Dispatch,))
        limit = self.topics.partitions
        if not 0 <= dispatch.partition < limit:
            sentence = f"partition must be below {limit}, got {dispatch.partition}"
            raise Undecodable(RejectCode.BAD_FIELD, sentence, dispatch.job)
        return dispatch

    def _refuse(self, window: Window, message: Any, bad: Undecodable) -> None:
        """What is no dispatch is kept among the rejects; the rest of its partition goes on."""
        record = message.key(), message.value(), message.timestamp()[1]
        reject = refused(window, message.offset(), record, bad, self.clock())
        if reject is not None:
            self.edge.records.append(reject)
            log.error(
                "dispatch refused: %s topic=%s partition=%d offset=%d",
                bad,
                window.topic,
                window.partition,
                message.offset(),
            )

    @crash_only
    def _controlled(self, messages: Sequence[Any]) -> None:
        for message in messages:
            value = message.value()
            if value is None:
                continue
            try:
                control = decode(value, (Control,))
                self.edge.control(control)
                self._cancels += 1
                if self._control.is_whole:
                    self._control_lag.observe((), max(0, self.clock() - control.at_ms) / 1000)
            except Undecodable as bad:
                log.warning("control skipped: %s offset=%d", bad, message.offset())
        self._commit_soon()
        self.pump()

    @crash_only
    def _configured(self, messages: Sequence[Any]) -> None:
        """Which queues are paused, as operators say; nothing else that they say is a relay's business."""
        paused = set(self.edge.router.paused)
        for message in messages:
            key, value = (message.key() or b"").decode(errors="replace"), message.value()
            if not key.startswith(QUEUE_ENTRY):
                continue
            try:
                entry = None if value is None else decode(value, (QueueConfig,))
            except Undecodable as bad:
                log.warning("config skipped: %s offset=%d", bad, message.offset())
                continue
            queue = key.removeprefix(QUEUE_ENTRY)
            if entry is not None and entry.paused and entry.queue == queue:
                paused.add(queue)
            else:
                paused.discard(queue)
        if paused != self.edge.router.paused:
            log.info("queues paused=%s", ",".join(sorted(paused)) or "none")
            self.edge.pause(frozenset(paused), self.clock())
            self.pump()

    @crash_only
    def _stored(self, records: list[Record]) -> None:
        for record in records:
            self.edge.stored(record)
        self.edge.go_on(self.clock())
        self._commit_soon()
        self.pump()

    # What time says.

    async def _tick(self) -> None:
        """The Ticker: as long as there is something to wait for."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            await asyncio.sleep(TICK_MS / 1000)
            self._tick_once()

    @crash_only
    def _tick_once(self) -> None:
        self.edge.tick(self.clock())
        self.pump()

    def _serve_in(self, after_s: float) -> None:
        if self._serving is not None:
            self._serving.cancel()
        self._serving = self._loop.call_later(after_s, self._serve)

    @crash_only
    def _serve(self) -> None:
        """The Announcer: which functions have a minion here."""
        self._serving = None
        if self.edge.draining:
            return
        now_ms = self.clock()
        self.edge.serve(self._windows.values(), now_ms)
        self.pump()
        next_ms = self.edge.serving.next_ms()
        if next_ms is not None and self._serving is None:
            self._serve_in(max(next_ms - now_ms, 0) / 1000)

    def _commit_soon(self) -> None:
        if self._committing is None:
            self._committing = self._loop.call_later(COMMIT_EVERY_S, self._commit)

    @crash_only
    def _commit(self) -> None:
        """The Committer: what is finished, and all before it."""
        self._committing = None
        offsets = _offsets(self._windows.values())
        if offsets:
            self._reader.commit(offsets)


def _offsets(windows: Iterable[Window]) -> list[TopicPartition]:
    """What may be committed and was not."""
    offsets = []
    for window in windows:
        found = window.commit()
        if found is not None:
            offset, told = found
            offsets.append(TopicPartition(window.topic, window.partition, offset, metadata=told))
    return offsets


def _nobody(_: Session) -> None:
    """Before there is a server nobody is to be woken."""
