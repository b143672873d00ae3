"""The Faust app: its settings and why, the table, the agent, the pages.

Owns how Faust is set up. Must hold no decision about a job. `faust -A streams.app worker` finds `app` here,
made from the environment and jobstream.toml when it is first asked for; `create_app` makes one from any
settings.
"""

import asyncio
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import faust
from faust.types import TP

from schemas.registered import adopt
from schemas.settings import Settings, load
from schemas.telemetry import catalogue
from schemas.telemetry.meter import Sample
from schemas.telemetry.process import Telemetry
from schemas.topics import Topics
from streams import transport
from streams.agents import add_agent
from streams.crash import crash
from streams.gauges import gauges
from streams.record import Out
from streams.shell import Shell
from streams.tables import Router, add_table
from streams.telling import Telling
from streams.web import add_pages

BATCH_RECORDS_MAX = 500
"""Most records that are decided in one go: what pages, and a tick, may have to wait for."""

ENDS_EVERY_S = 5.0
"""How old the ends of partitions are at most that lag is reckoned from."""

_INSTANCE_UNFIT = re.compile(r"[^A-Za-z0-9._-]")


class StreamsApp(faust.App):
    """Faust's app with the shell's life tied to its own."""

    shell: Shell
    given: Settings
    telemetry: Telemetry
    ends: Mapping[TP, int]
    """Where the source partitions end, as of a few seconds ago."""

    async def on_start(self) -> None:
        """Before anything is read: pages and topics can be, or the process ends with a sentence."""
        await super().on_start()
        self.telemetry.begin(listen=False)
        self.telemetry.meter.watch(self._look, asyncio.get_running_loop())
        try:
            await asyncio.to_thread(adopt, self.given)
            _check_free(self.conf.web_bind, self.conf.web_port)
            await self.shell.start()
            self.add_future(self._look_for_ends())
        except Exception as error:  # noqa: BLE001  whatever it is, there is nothing to run on
            crash("can't start", error)

    async def on_stop(self) -> None:
        """Nothing is due any more; what was decided becomes durable as Faust's consumer stops."""
        await super().on_stop()
        self.shell.stop()
        await asyncio.to_thread(self.telemetry.end)

    async def _look_for_ends(self) -> None:
        """The Measurer: how far behind it is can only be asked where the fetching is done."""
        source = cast("transport.Transport", self.transport).source
        while not self.should_stop:
            self.ends = await source.ends()
            await self.sleep(ENDS_EVERY_S)

    def _look(self) -> Iterable[Sample]:
        """What is measured when someone asks."""
        writer: Any = cast("Any", self.transport).writer
        restore: Any = cast("Any", self.tables).recovery
        yield from gauges(self.shell, self.ends.items())
        yield catalogue.WRITES, (), writer.groups
        yield catalogue.WRITE_TIME, (), writer.writing_s
        ready = self.shell.recovered_line is not None
        yield catalogue.RESTORED, (), 1 if ready else min(1.0, restore.read / max(1, restore.wanted))

    def _create_directories(self) -> None:
        """What is kept on disk makes its own."""


def create_app(settings: Settings) -> StreamsApp:
    """The streams service of a prefix."""
    host, _, port = settings.web.rpartition(":")
    slot = _slot(settings)
    app = StreamsApp(
        f"{settings.prefix}streams",
        **transport.faust_settings(
            settings.bootstrap,
            slot=slot,
            security=settings.kafka.security,
            batch_records_max=BATCH_RECORDS_MAX,
            leading=Topics(settings.prefix).requests,
        ),
        origin="streams",
        autodiscover=False,
        topic_partitions=settings.partitions,
        Router=Router,
        # Faust binds to all addresses and shows its tables on them.
        web_bind=host.strip("[]"),
        web_host=host.strip("[]"),
        web_port=int(port),
        worker_redirect_stdouts=False,
    )

    async def send(outs: Iterable[Out]) -> None:
        await transport.writer_of(app).send(outs)

    def send_early(outs: Iterable[Out]) -> None:
        transport.writer_of(app).send_early(outs)

    async def recovered(*_: object, **__: object) -> None:
        await app.shell.recovered()

    app.given = settings
    app.ends = {}
    app.telemetry = Telemetry(settings, "streams")
    telling = Telling(app.telemetry)
    app.shell = Shell(settings, send, send_early, slot, telling)
    app.telemetry.meter.watch(telling.shares)
    app.on_rebalance_complete.connect(cast("Any", recovered), weak=False)
    add_table(app, app.shell, Path(settings.data) / "snapshots" / slot)
    add_agent(app, app.shell)
    add_pages(app, app.shell, app.telemetry.meter)
    return app


def _check_free(host: str, port: int) -> None:
    """Refuses an address at which somebody listens already, most likely a worker of the same name: it must
    not be thrown out of the group by one that will not be able to start.

    Raises:
        OSError: it is taken, or not of this machine.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise OSError(
                f"the address of the pages, {host}:{port}, can't be had ({error.strerror})"
            ) from error


def _slot(settings: Settings) -> str:
    """A name for this worker's place in the group (KIP-345), so that one that was killed and started again
    takes its place at once. Two workers of one host differ in the port of their pages.
    """
    return _INSTANCE_UNFIT.sub("-", f"{socket.gethostname()}-{settings.web}")


def __getattr__(name: str) -> StreamsApp:
    """`app`, made when Faust's command line asks for it."""
    if name != "app":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    globals()["app"] = app = create_app(load()[0])
    return app
