"""Runs a relay: starts its parts in order, stops them in order, and ends the process when it cannot go on.

Owns signals and the order of starting and stopping. Crash-only: what Kafka does not confirm ends the relay
with one line, and a restart goes on from the log.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

import grpc
from confluent_kafka.admin import AdminClient

from relay import kafka_log
from relay.alone import Alone
from relay.bridge import Bridge
from relay.broker import GivenUp, RelayFailed, find_topics, session_timeout_ms
from relay.doors.gearman.relayed import RelayedDoor
from relay.doors.gearman.serve import CannotListen
from relay.durable import Durables
from relay.lock import Lock
from relay.scheduler.hooks import Scheduler
from relay.scheduler.settings import SECTION, scheduler_of
from relay.server import Server
from relay.watched import BadFile
from schemas import loops
from schemas.kafka import librdkafka
from schemas.registered import RegistryFailed, adopt
from schemas.settings import DNS, BadSetting, Settings, limits, load, section
from schemas.telemetry.process import Telemetry
from schemas.topics import Topics

log = logging.getLogger("relay")

DRAIN_S = 5.0
"""How long a relay that was told to go waits for receipts. Leases that last longer are adopted by another
relay.
"""

DRAIN_LOOK_S = 0.05
"""How often it looks whether there is something left to wait for."""

GC_YOUNG_MAX = 100_000
"""Objects made, less those freed, before the collector looks at the young ones."""

EXIT_FAILED = 70
"""EX_SOFTWARE of sysexits.h: a supervisor may start it again."""

EXIT_CONFIG = 78
"""EX_CONFIG: starting it again will not help."""


class RelayMayNot(RelayFailed):
    """The settings do not let it start; starting again will not help."""


class Relay:
    """One relay in this event loop: `async with Relay(settings) as relay`. Stopping it drains it."""

    def __init__(
        self,
        settings: Settings,
        *,
        drain_s: float = DRAIN_S,
        scheduler: Scheduler | None = None,
        into: grpc.aio.Server | None = None,
    ) -> None:
        """`scheduler` brings minions; None: nobody does. `into` is a gRPC server of one's own that the relay
        takes part in; None: it listens by itself.
        """
        self._into = into
        self._settings = settings
        self._scheduler = scheduler
        self._drain_s = drain_s
        self._failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._bridge: Bridge | None = None
        self._durables: Durables | None = None
        self._alone: Alone | None = None
        """In its place, where there is no Kafka."""
        self._server: Server | None = None
        self._gearman: RelayedDoor | None = None
        self._kafka: tuple[dict[str, Any], Topics] | None = None
        """The settings of its clients, and its topics."""
        self._given_up = threading.Event()
        self.telemetry = Telemetry(settings, "relay")
        """What it tells of itself, once that has begun."""
        self.address = settings.relay
        """host:port where it listens, the port in force where 0 was asked for."""

    async def __aenter__(self) -> Self:
        """Starts it; RelayFailed if it cannot."""
        try:
            await self._start()
        except BaseException:
            await self._abandon()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drains and stops it; after a failure it only ends."""
        if kind is None and not self._failed.done():
            await self._stop()
        else:
            await self._abandon()

    def lock_again(self) -> None:
        """Reads tokens and certificates again."""
        if self._server is not None:
            self._server.lock_again(again=True)

    def give_up(self) -> None:
        """Ends a start that still waits for the broker; a relay that has started is not touched."""
        self._given_up.set()

    @property
    def gearman(self) -> str:
        """host:port where it listens for Gearman clients and workers; empty: nowhere."""
        return "" if self._gearman is None else self._gearman.address

    @property
    def failure(self) -> str | None:
        """Why the relay cannot go on; None while it can."""
        return self._failed.result() if self._failed.done() else None

    async def failed(self) -> str:
        """Returns when the relay cannot go on, with a sentence why."""
        return await asyncio.shield(self._failed)

    async def _start(self) -> None:
        began_s = time.monotonic()
        host, port = listening(self._settings).rsplit(":", 1)
        try:
            lock = Lock(self._settings)
        except BadFile as bad:
            raise RelayMayNot(str(bad)) from None
        name = f"{socket.gethostname()}:{port if port != '0' else os.getpid()}"
        if self._settings.calls_only == "yes":
            self._alone = Alone(
                name, self._fail, limits(self._settings.limits), self._scheduler, self.telemetry
            )
            self.telemetry.meter.watch(self._alone.look, asyncio.get_running_loop())
            told = "without Kafka: foreground calls only"
        else:
            told = await self._join_kafka(name)
        core = self._alone or self._bridge
        assert core is not None
        self._server = Server(core, lock, self._into, self._durables)
        try:
            port_in_force = await self._server.start(self._settings.relay)
        except RuntimeError as error:
            raise RelayFailed(f"cannot listen at {self._settings.relay}: {error}") from None
        self.address = f"{host}:{port_in_force}"
        if self._settings.gearman:
            try:
                self._gearman = await RelayedDoor.open(self._settings, core, self._kafka, self.telemetry)
            except CannotListen as cannot:
                raise RelayFailed(str(cannot)) from None
        if self._scheduler is not None:
            await self._scheduler.open(self.address)
            core.follow()
        log.info(
            "relay started relay=%s address=%s %s %s in %.2f s",
            name,
            self.address,
            lock,
            told,
            time.monotonic() - began_s,
        )

    async def _join_kafka(self, name: str) -> str:
        """Begins to read and write the topics; what was found there, for people."""
        try:
            await asyncio.to_thread(adopt, self._settings)
        except RegistryFailed as error:
            raise RelayFailed(str(error)) from None
        config: dict[str, Any] = {
            **librdkafka(self._settings.kafka),
            "client.id": "jobstream-relay",
        }
        admin = AdminClient({**config, "log_level": 0})
        topics = await asyncio.to_thread(find_topics, admin, self._settings, self._given_up.is_set)
        patience_ms = await asyncio.to_thread(session_timeout_ms, admin)
        self._kafka = config, topics
        self._durables = Durables(config, topics)
        self._bridge = Bridge(
            config,
            topics,
            name,
            patience_ms,
            self._fail,
            limits(self._settings.limits),
            self._scheduler,
            self.telemetry,
        )
        cancels = await self._or_failed(self._bridge.ready())
        return f"prefix={topics.prefix} partitions={topics.partitions} recovered cancels={cancels}"

    async def _or_failed(self, step: Any) -> Any:
        """What a step of the start gives, unless the relay fails before."""
        task = asyncio.ensure_future(step)
        await asyncio.wait({task, self._failed}, return_when=asyncio.FIRST_COMPLETED)
        if self._failed.done():
            task.cancel()
            raise RelayFailed(self._failed.result())
        return task.result()

    async def _stop(self) -> None:
        """Tells minions to go elsewhere, gives its partitions to others, waits for receipts, and ends."""
        core = self._alone or self._bridge
        assert core is not None
        assert self._server is not None
        edge = core.edge
        log.info(
            "relay drains sessions=%d leases=%d calls=%d",
            len(edge.sessions),
            len(edge.leases),
            len(edge.calls.runs),
        )
        await self._server.leave()
        edge.drain("the relay is going away", int(self._drain_s * 1000), core.clock())
        core.pump()
        answers = self._bridge is None or await self._bridge.leave()
        closing = asyncio.ensure_future(self._close_scheduler())
        if answers:
            answers = await self._drained(core)
        left = len(edge.leases)
        if answers:
            await self._end()
        else:
            log.warning("Kafka does not answer: what it has not confirmed is told again by minions")
            await self._abandon("the relay went away")
        await closing
        log.info("relay stopped leases_left=%d", left)

    async def _drained(self, core: Alone | Bridge) -> bool:
        """Waits for receipts, for a while; False if Kafka does not take what was written."""
        edge = core.edge
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s):
                while (edge.leases or edge.calls.runs) and not self._failed.done():  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(DRAIN_LOOK_S)
        return self._bridge is None or await self._bridge.writer.settle(self._drain_s)

    async def _end(self) -> None:
        """Ends all parts in their order."""
        if self._gearman is not None:
            await self._gearman.stop("the relay went away")
        assert self._server is not None
        await self._server.stop("the relay went away")
        if self._durables is not None:
            await self._durables.stop()
        if self._bridge is not None:
            await self._bridge.stop()
        if self._alone is not None:
            self._alone.stop()

    async def _abandon(self, reason: str = "the relay failed") -> None:
        """Ends at once, without a word to Kafka: what is not confirmed must not be committed."""
        if self._gearman is not None:
            await self._gearman.abandon(reason)
        if self._server is not None:
            await self._server.stop(reason)
        if self._durables is not None:
            self._durables.abandon()
        if self._bridge is not None:
            self._bridge.abandon()
        if self._alone is not None:
            self._alone.stop()

    async def _close_scheduler(self) -> None:
        """Lets the scheduler's minions go; what it raises keeps nobody."""
        if self._scheduler is not None:
            try:
                await self._scheduler.close()
            except Exception:
                log.exception("the scheduler could not be closed")

    def _fail(self, sentence: str) -> None:
        if not self._failed.done():
            self._failed.set_result(sentence)


async def run(settings: Settings) -> None:
    """Runs a relay until SIGTERM or SIGINT, then drains it; SIGHUP has it read its locks again. RelayFailed
    if it cannot start or cannot go on, BadSetting if its scheduler cannot be had.
    """
    scheduler = scheduler_of(settings, section(SECTION))
    _spare_the_collector()
    told = asyncio.Event()
    relay = Relay(settings, scheduler=scheduler)
    relay.telemetry.begin()
    kafka_log.quieten()

    def tell() -> None:
        told.set()
        relay.give_up()

    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, tell)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, relay.lock_again)
    try:
        with contextlib.suppress(GivenUp):
            async with relay:
                await _first(told.wait(), relay.failed())
                if relay.failure is not None:
                    raise RelayFailed(relay.failure)
    finally:
        await asyncio.to_thread(relay.telemetry.end)


async def _first(*steps: Coroutine[Any, Any, object]) -> None:
    """Waits until one of the steps is done, and lets the others go."""
    tasks = [asyncio.create_task(step) for step in steps]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _spare_the_collector() -> None:
    """Lets the cycle collector run rarely: a relay makes many small objects that free themselves, and walking
    over them was measured at a third of its CPU time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG_MAX, 50, 100)


def main() -> None:
    """Runs a relay with the settings of the environment; exits 0 when told to go, 70 when it failed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings, _ = load()
        loops.run(run(settings))
    except (BadSetting, RelayMayNot) as bad:
        sys.exit(_say(str(bad), EXIT_CONFIG))
    except RelayFailed as failed:
        sys.exit(_say(str(failed), EXIT_FAILED))


def _say(sentence: str, code: int) -> int:
    sys.stderr.write(f"jobstream relay: {' '.join(sentence.split())}\n")
    return code


def listening(settings: Settings) -> str:
    """Where a relay listens. RelayMayNot if the setting names several, as it may for minions."""
    if "," in settings.relay or settings.relay.startswith(DNS):
        raise RelayMayNot(f"a relay must have one address to listen at, got {settings.relay!r}")
    return settings.relay
