"""The Faust app: its settings and why, the table, the agent, the pages.

Owns how Faust is set up. Must hold no decision about a job. `faust -A streams.app worker` finds `app` here,
made from the environment and jobstream.toml when it is first asked for; `create_app` makes one from any
settings.
"""

import re
import socket
from collections.abc import Mapping
from typing import Any, cast

from faust.types import TP

from schemas.settings import Settings, load
from streams import stock
from streams.agents import add_agent
from streams.committer import Place
from streams.crash import crash
from streams.shell import Shell
from streams.tables import JobTable
from streams.web import add_pages

SESSION_TIMEOUT_S = 6.0
"""How long a worker may be silent before its partitions go to another: the least that brokers allow by
default.
"""

HEARTBEAT_S = 1.5
"""Three of them in a session timeout, and one to spare."""

BUFFERED_MAX = 1_024
"""Fetched records that wait to be decided: what a tick may have to queue behind."""

REBALANCE_TIMEOUT_S = 30.0
"""How long the members of the group have to finish what they are at when it changes."""

_INSTANCE_UNFIT = re.compile(r"[^A-Za-z0-9._-]")


class StreamsApp(stock.App):
    """Faust's app with the shell's life tied to its own."""

    shell: Shell

    async def on_start(self) -> None:
        """Before anything is read: pages, topics and writer can be, or the process ends with a sentence."""
        await super().on_start()
        try:
            _check_free(self.conf.web_bind, self.conf.web_port)
            await self.shell.start()
        except Exception as error:  # noqa: BLE001  whatever it is, there is nothing to run on
            crash("can't start", error)

    async def on_stop(self) -> None:
        """No more records come: finishes what was decided, then lets Faust leave the group."""
        await super().on_stop()
        await self.shell.stop()


def create_app(settings: Settings) -> StreamsApp:
    """The streams service of a prefix."""
    host, _, port = settings.web.rpartition(":")
    app = StreamsApp(
        f"{settings.prefix}streams",
        broker=[f"kafka://{address}" for address in settings.bootstrap.split(",")],
        origin="streams",
        autodiscover=False,
        store="memory://",
        # All topics are ours to make, with partitions and retention that Faust knows nothing of.
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        # Its exactly_once does not hold; the Committer writes first and commits then.
        processing_guarantee="at_least_once",
        table_standby_replicas=0,
        recovery_consistency_check=True,
        TableManager=stock.TableManager,
        Router=stock.Router,
        stream_recovery_delay=0.0,
        stream_buffer_maxsize=BUFFERED_MAX,
        # Faust's own waiting goes by acknowledgements, which are off; `on_partitions_revoked` below waits.
        stream_wait_empty=False,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=_instance_id(settings),
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=HEARTBEAT_S,
        broker_rebalance_timeout=REBALANCE_TIMEOUT_S,
        # Faust binds to all addresses and shows its tables on them.
        web_bind=host.strip("[]"),
        web_host=host.strip("[]"),
        web_port=int(port),
        worker_redirect_stdouts=False,
    )
    app.shell = Shell(settings, _commit_of(app))
    app.tables.add(JobTable(app, app.shell, app.shell.topics))
    app.on_partitions_revoked.connect(cast("Any", _settle), weak=False)
    add_agent(app, app.shell)
    add_pages(app, app.shell)
    return app


def _commit_of(app: StreamsApp) -> Any:
    """Commits with Faust's membership, which leaves out partitions that are not ours any more."""

    async def commit(offsets: Mapping[Place, int]) -> bool:
        by_partition = {TP(topic, number): offset for (topic, number), offset in offsets.items()}
        return bool(await cast("Any", app.consumer)._commit(by_partition))

    return commit


async def _settle(app: StreamsApp, *_: object, **__: object) -> None:
    """Partitions are taken away: what was decided becomes durable and committed before anyone else begins."""
    await app.shell.settle()


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


def _instance_id(settings: Settings) -> str:
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
