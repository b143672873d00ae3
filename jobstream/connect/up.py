"""Kafka Connect beside the dev cluster: a registry, a database unless one is given, a worker, its connectors.

    with Connect.start(settings, say=print) as connect:
        ...  # connect.database, connect.worker

Owns these processes from start to end: what ends by itself is started again, and so is a connector's task
that has failed. When this process ends, in whatever way, they end too. It needs a Kafka that has the topics.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from jobstream.cluster.broker import to_stderr
from jobstream.cluster.child import Child
from jobstream.cluster.ports import LOOPBACK, claim_port, free_port
from jobstream.cluster.up import POLL_S, Part, Plan, Running, connects, insist, make_logs, signals, why_ended
from jobstream.connect import applying, postgres, tables, worker
from jobstream.connect.connectors import Place
from jobstream.connect.names import FROM_ENVIRONMENT, PLACEHOLDER, SCHEMA, Database
from jobstream.connect.rest import Worker
from jobstream.connect.telling import telling
from jobstream.registry import serving
from schemas.settings import Settings
from schemas.topics import Topics

KEEP_S = 2.0
"""How often is looked whether a task has failed."""
STOP_S = 15.0
REGISTRY_PORT = 8084
"""Of the registry that is served here: always the same, since new settings restart a connector."""

Say = Callable[[str], None]


class Connect:
    """Everything of Connect that runs here. Use it as a context manager, or call stop.

    Attributes:
        settings: With the addresses in force.
        place: What the connectors were told.
        worker: Its REST API.
    """

    def __init__(self, settings: Settings, place: Place, say: Say) -> None:
        self.settings = settings
        self.place = place
        self.worker = Worker(settings.connect)
        self._say = say
        self._parts: dict[str, Part] = {}
        self._held = ExitStack()
        self._stopping = threading.Event()

    @classmethod
    def start(
        cls,
        settings: Settings,
        *,
        schema: str = SCHEMA,
        outbox: bool = False,
        free_ports: bool = False,
        say: Say = to_stderr,
    ) -> Self:
        """Starts it and waits until the connectors run.

        Args:
            settings: `bootstrap`, `prefix`, `data`, `connect`; `database` and `registry` if there are any.
            schema: Of the database, for the tables.
            outbox: Whether there shall be an outbox table too, and its connector.
            free_ports: Whether to pick free ports, and not those of the settings.
            say: Gets a sentence for whatever takes seconds.

        Raises:
            ClusterError, JobstreamError: One sentence for the person at the terminal; nothing runs then.
        """
        tables.insist_on_driver()
        applying.learn(settings)
        held = ExitStack()
        try:
            if free_ports:
                settings = replace(settings, connect=f"{LOOPBACK}:{free_port()}")
            host, _, port = settings.connect.rpartition(":")
            if host in (LOOPBACK, "localhost"):
                claim_port(int(port))
            topics = Topics(settings.prefix, settings.partitions)
            registry = settings.registry or _serve(held, topics, 0 if free_ports else REGISTRY_PORT)
            given = settings.database
            where = given or postgres.url(claim_port(0 if free_ports else postgres.PORT))
            database = Database.of(where)
            told = "" if database.password.startswith(PLACEHOLDER) else FROM_ENVIRONMENT
            place = Place(topics, database, schema, registry, password=told)
            connect = cls(settings, place, say)
            connect._held = held
        except BaseException:
            held.close()
            raise
        try:
            connect._start(own_database=not given, outbox=outbox)
        except BaseException:
            connect.stop()
            raise
        return connect

    @property
    def database(self) -> Database:
        """Where the tables are."""
        return self.place.database

    @property
    def logs(self) -> Path:
        """Where the worker and the database write what they say."""
        return Path(self.settings.data) / "logs"

    def pid(self, name: str) -> int:
        """The process id of a part, `connect` or `postgres`, as of now."""
        return self._running(name).pid

    def send(self, name: str, signum: signal.Signals) -> None:
        """Sends a part a signal."""
        self._running(name).send(signum)

    def kill(self, name: str) -> None:
        """Ends a part with SIGKILL, as a crash would; it is started again."""
        self._running(name).kill()

    def end(self, name: str) -> None:
        """Ends a part, and leaves it so, until `begin`."""
        self._parts[name].stop()

    def begin(self, name: str) -> None:
        """Starts a part again that was ended, and waits until it answers."""
        part = self._begin(self._parts[name].plan)
        part.wait_until_ready()
        part.mind()

    def stop(self) -> None:
        """Ends all of it, in order. Safe to call again."""
        self._stopping.set()
        for part in reversed(self._parts.values()):
            part.stop()
        self._held.close()

    def kill_all(self) -> None:
        """Ends every process by force, at once."""
        self._stopping.set()
        for part in reversed(self._parts.values()):
            part.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self, name: str) -> Running:
        running = self._parts[name].running
        assert running is not None
        return running

    def _start(self, *, own_database: bool, outbox: bool) -> None:
        began_s = time.monotonic()
        make_logs(self.logs)
        worker.fetch(self._say)
        plans = [self._postgres_plan()] if own_database else []
        starting = [self._begin(plan) for plan in (*plans, self._worker_plan())]  # ended in the other order
        while starting:
            starting = [part for part in starting if not part.became_ready()]
            time.sleep(POLL_S)
        if own_database:
            server = replace(self.database, name="postgres")
            tables.make_database(server, self.database.name, patience_s=applying.PATIENCE_S)
        connectors = applying.apply(self.worker, self.place, self.settings.kafka, with_outbox=outbox)
        threading.Thread(target=self._keep, args=(connectors,), name="keep-connectors", daemon=True).start()
        took_s = time.monotonic() - began_s
        self._say(f"{' and '.join(connectors)} run after {took_s:.1f} s; logs are in {self.logs}")

    def _keep(self, connectors: tuple[str, ...]) -> None:
        keeper = applying.Keeper(self.worker, self.place, self.settings.kafka, connectors, self._say)
        while not self._stopping.wait(KEEP_S):
            keeper.look()

    def _begin(self, plan: Plan) -> Part:
        part = self._parts[plan.name] = Part(plan, self._say)
        part.start()
        return part

    def _postgres_plan(self) -> Plan:
        data = Path(self.settings.data).absolute() / "postgres"
        port = self.database.port
        return Plan(
            name="postgres",
            start=lambda: postgres.start(data, self.logs / "postgres.log", port),
            ready=lambda: connects(f"{LOOPBACK}:{port}"),
            stop=_stop_postgres,
            why=why_ended,
            told=f"psql {self.database.shown}",
        )

    def _worker_plan(self) -> Plan:
        settings = self.settings
        password = self.database.password
        secrets = {"PGPASSWORD": password or os.environ.get("PGPASSWORD") or "none"}
        if password.startswith(PLACEHOLDER):
            secrets = {}
        data = Path(settings.data).absolute() / "connect"
        data.mkdir(parents=True, exist_ok=True)
        return Plan(
            name="connect",
            start=lambda: worker.start(
                data,
                self.logs / "connect.log",
                settings.kafka,
                settings.prefix,
                settings.connect,
                self._say,
                secrets,
            ),
            ready=self.worker.answers,
            stop=_stop_worker,
            why=why_ended,
            told=f"its REST API is at http://{settings.connect}",
        )


def up(settings: Settings, *, schema: str, outbox: bool, say: Say) -> int:
    """Runs it until Ctrl-C, SIGTERM or SIGHUP; the exit code. A second signal ends everything by force.

    Raises:
        ClusterError, JobstreamError: It cannot run here.
    """
    told = threading.Event()
    with (
        signals(told) as starting,
        Connect.start(settings, schema=schema, outbox=outbox, say=say) as connect,
        telling(settings),
    ):
        starting.clear()
        say(f"the tables are in the schema {schema} of {connect.database.shown}; Ctrl-C stops everything")
        told.wait()
        told.clear()
        say("stopping; once more ends everything by force")
        threading.Thread(target=insist, args=(told, connect.kill_all), daemon=True).start()
    return os.EX_OK


def _serve(held: ExitStack, topics: Topics, port: int) -> str:
    """The URL of a registry that is served by this process."""
    return f"http://{held.enter_context(serving(topics, f'{LOOPBACK}:{port}'))}"


def _stop_postgres(running: Running) -> None:
    assert isinstance(running, Child)
    postgres.stop(running)


def _stop_worker(running: Running) -> None:
    assert isinstance(running, Child)
    running.stop(STOP_S)
