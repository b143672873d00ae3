"""The whole cluster on this machine: Kafka, the topics, a streams worker, a relay, each in a process of its
own.

    with Cluster.start(data="/tmp/try", free_ports=True) as cluster:
        ...  # cluster.bootstrap, cluster.relay, cluster.web

Owns the processes from start to end: what ends by itself is started again, more slowly each time; when this
process ends, in whatever way, they end too. It decides nothing about jobs, and is never needed by code that
is given addresses.
"""

import importlib.util
import os
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Protocol, Self

from jobstream.cluster.broker import Broker, to_stderr
from jobstream.cluster.child import Child
from jobstream.cluster.errors import ClusterError
from jobstream.cluster.ports import LOOPBACK, claim_port, free_port
from schemas.settings import NAMES, Settings, environment_name, load
from schemas.topics import Topics

READY_S = 60.0
"""How long a part may take until it is ready."""
POLL_S = 0.02
"""How often a part that starts is asked."""
ASK_S = 2.0
"""How long a part may take to answer that question."""
STOP_S = 8.0
"""How long a part that was told to stop may take before it is ended by force."""
BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Pauses before a part is started again, for each time it ended soon after its start; the last one stays."""
EXIT_FENCED = 75
"""Of a worker whose slot another process has taken (`Exit.FENCED` of its transport)."""
FENCED_S = 30.0
"""Pause before such a worker is started again: at once the two would throw each other out for ever."""
SETTLED_S = 30.0
"""A part that lived so long is started again at once."""
LOG_BYTES_MAX = 32 * 1024 * 1024
"""A log that is larger at the start is put aside; the one that was put aside before is dropped."""

PLAIN: dict[str, Any] = {
    field.name: field.default for field in fields(Settings) if field.name.startswith("kafka_")
}
"""How a Kafka is talked to that this starts."""

Say = Callable[[str], None]


class PartFailed(ClusterError):
    """A part of the cluster ended, or was not ready in time."""


class Running(Protocol):
    """A process, as Child and Broker have it."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for its end; False when it still runs after so long."""

    def send(self, signum: signal.Signals) -> None:
        """Sends it a signal."""

    def kill(self) -> None:
        """Ends it with SIGKILL, and waits until it is gone."""


@dataclass(frozen=True)
class Plan:
    """How to start one part, and how to tell that it is ready."""

    name: str
    start: Callable[[], Running]
    ready: Callable[[], bool]
    stop: Callable[[Running], None]
    why: Callable[[Running], str]
    told: str
    """What to say of it when it is ready."""


class Part:
    """One part and the thread that starts it again."""

    def __init__(self, plan: Plan, say: Say) -> None:
        self.plan = plan
        self.running: Running | None = None
        self._say = say
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        """Held while the process is replaced or ended."""
        self._began_s = 0.0

    def start(self) -> None:
        """Starts it for the first time."""
        self._began_s = time.monotonic()
        with self._lock:
            self.running = self.plan.start()

    def mind(self) -> None:
        """From now on it is started again when it ends."""
        took_s = time.monotonic() - self._began_s
        self._say(f"{self.plan.name} ready in {took_s:.1f} s: {self.plan.told}")
        threading.Thread(target=self._mind, name=f"mind-{self.plan.name}", daemon=True).start()

    def became_ready(self) -> bool:
        """Whether it answers; if so, it is minded from now on.

        Raises:
            PartFailed: It ended, or was not ready in time.
        """
        if self.plan.ready():
            self.mind()
            return True
        assert self.running is not None
        if not self.running.alive:
            raise PartFailed(f"{self.plan.name} ended before it was ready: {self.plan.why(self.running)}")
        if time.monotonic() > self._began_s + READY_S:
            raise self.late()
        return False

    def wait_until_ready(self) -> None:
        """Returns when it answers (again).

        Raises:
            PartFailed: It does not in time.
        """
        ends_at = time.monotonic() + READY_S
        while not self.plan.ready():
            if time.monotonic() > ends_at:
                raise self.late()
            time.sleep(POLL_S)

    def late(self) -> "PartFailed":
        """What to raise when it is not ready in time."""
        why = "" if self.running is None else f": {self.plan.why(self.running)}"
        return PartFailed(f"{self.plan.name} was not ready within {READY_S:g} s{why}")

    def stop(self) -> None:
        """Ends it for good, politely first."""
        self._stopping.set()
        with self._lock:
            if self.running is not None:
                self.plan.stop(self.running)

    def kill(self) -> None:
        """Ends it for good, by force."""
        self._stopping.set()
        if self.running is not None:
            self.running.kill()

    def _mind(self) -> None:
        soon = 0
        while True:
            assert self.running is not None
            began_s = time.monotonic()
            self.running.wait()
            if self._stopping.is_set():
                return
            soon = 0 if time.monotonic() - began_s > SETTLED_S else soon + 1
            pause_s = pause_before(soon, _exit_code(self.running))
            when = f"in {pause_s:g} s" if pause_s else "now"
            self._say(
                f"{self.plan.name} ended by itself ({self.plan.why(self.running)}); it starts again {when}"
            )
            if self._stopping.wait(pause_s) or not self._again():
                return

    def _again(self) -> bool:
        """Starts it once more, as often as that takes; False if it shall stop meanwhile."""
        while True:
            with self._lock:
                if self._stopping.is_set():
                    return False
                try:
                    self.running = self.plan.start()
                    return True
                except (ClusterError, OSError) as error:
                    self._say(f"{self.plan.name} could not start again: {error}")
            if self._stopping.wait(BACKOFF_S[-1]):
                return False


def pause_before(soon: int, exit_code: int | None) -> float:
    """How long to wait, in seconds, before a part is started again that ended `soon` times in a row soon
    after it was started.
    """
    if exit_code == EXIT_FENCED:
        return FENCED_S
    return BACKOFF_S[min(soon, len(BACKOFF_S)) - 1] if soon else 0.0


class Cluster:
    """A running cluster. Use it as a context manager, or call stop.

    Attributes:
        settings: What all parts were started with; its addresses are those in force.
    """

    def __init__(self, settings: Settings, say: Say) -> None:
        self.settings = settings
        self._say = say
        self._parts: dict[str, Part] = {}

    @classmethod
    def start(
        cls,
        settings: Settings | None = None,
        *,
        data: Path | str | None = None,
        bootstrap: str | None = None,
        prefix: str | None = None,
        partitions: int | None = None,
        free_ports: bool = False,
        say: Say = to_stderr,
    ) -> Self:
        """Starts everything and waits until all of it is ready.

        Args:
            settings: Where things shall be; those in force if left out. The other arguments come before them.
            data: Directory for Kafka's data and the logs.
            bootstrap: A Kafka that is there already; none is started then.
            prefix: Of the topics' names.
            partitions: Of topics that are made.
            free_ports: Listen on free ports instead of those of the settings.
            say: Gets a sentence about each part, and about whatever takes seconds.

        Raises:
            ClusterError: A part cannot run here, with the reason.
            NotReachable: The Kafka that is there does not answer.
        """
        if settings is None:
            settings, origins = load()
            if bootstrap is None and origins["bootstrap"] != "default":
                bootstrap = settings.bootstrap
        settings = replace(
            settings,
            data=settings.data if data is None else str(data),
            bootstrap=settings.bootstrap if bootstrap is None else bootstrap,
            prefix=settings.prefix if prefix is None else prefix,
            partitions=settings.partitions if partitions is None else partitions,
        )
        cluster = cls(settings, say)
        try:
            cluster._start(own_kafka=bootstrap is None, free_ports=free_ports)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @property
    def bootstrap(self) -> str:
        """Kafka's address."""
        return self.settings.bootstrap

    @property
    def prefix(self) -> str:
        """What the names of the topics begin with."""
        return self.settings.prefix

    @property
    def relay(self) -> str:
        """The address that minions connect to, host:port."""
        return self.settings.relay

    @property
    def gearman(self) -> str:
        """The address of the relay's Gearman door, host:port; empty: it has none."""
        return self.settings.gearman

    @property
    def web(self) -> str:
        """The address of the status pages, host:port."""
        return self.settings.web

    @property
    def http(self) -> str:
        """The address of the HTTP service, host:port."""
        return self.settings.http

    @property
    def logs(self) -> Path:
        """Where the parts write what they say."""
        return Path(self.settings.data) / "logs"

    @property
    def names(self) -> tuple[str, ...]:
        """The parts that run: `kafka` unless it was there, `streams`, `relay`, `gateway`."""
        return tuple(self._parts)

    def pid(self, name: str) -> int:
        """The process id of a part, as of now."""
        running = self._parts[name].running
        assert running is not None
        return running.pid

    def send(self, name: str, signum: signal.Signals) -> None:
        """Sends a part a signal: SIGSTOP and SIGCONT freeze it and let it go on."""
        running = self._parts[name].running
        assert running is not None
        running.send(signum)

    def kill(self, name: str) -> None:
        """Ends a part with SIGKILL, as a crash would; it is started again."""
        running = self._parts[name].running
        assert running is not None
        running.kill()

    def wait_until_ready(self, name: str) -> None:
        """Returns when a part answers (again).

        Raises:
            PartFailed: It does not in a minute.
        """
        self._parts[name].wait_until_ready()

    def stop(self) -> None:
        """Ends every part, in order: what takes new work first. Safe to call again."""
        for part in reversed(self._parts.values()):
            part.stop()

    def kill_all(self) -> None:
        """Ends every part by force, at once."""
        for part in reversed(self._parts.values()):
            part.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self, *, own_kafka: bool, free_ports: bool) -> None:
        began_s = time.monotonic()
        self._choose_addresses(own_kafka=own_kafka, free_ports=free_ports)
        make_logs(self.logs)
        if own_kafka:
            self.settings = replace(self.settings, **PLAIN)
            self._begin(self._kafka_plan()).mind()
        self._apply_topics()
        starting = [self._begin(self._streams_plan()), self._begin(self._relay_plan())]
        if _has_http():
            starting.append(self._begin(self._gateway_plan()))
        else:
            self._say("no HTTP service: it needs the extra http (pip install 'jobstream[http]')")
        while starting:
            starting = [part for part in starting if not part.became_ready()]
            time.sleep(POLL_S)
        self._say(f"all ready in {time.monotonic() - began_s:.1f} s; logs are in {self.logs}")

    def _begin(self, plan: Plan) -> Part:
        part = self._parts[plan.name] = Part(plan, self._say)
        part.start()
        return part

    def _choose_addresses(self, *, own_kafka: bool, free_ports: bool) -> None:
        """The addresses that the parts will have; a port that is taken is told before anything starts."""
        settings = self.settings
        if free_ports:
            settings = replace(
                settings,
                gearman=settings.gearman and f"{LOOPBACK}:{free_port()}",
                relay=f"{LOOPBACK}:{free_port()}",
                web=f"{LOOPBACK}:{free_port()}",
                http=f"{LOOPBACK}:{free_port()}",
            )
            if own_kafka:
                settings = replace(settings, bootstrap=f"{LOOPBACK}:{free_port()}")
        elif own_kafka:
            settings = replace(settings, bootstrap=f"{LOOPBACK}:{_port(settings.bootstrap)}")
        wanted = {
            "the relay": settings.relay,
            "the status pages": settings.web,
            "the HTTP service": settings.http,
        }
        if settings.gearman:
            wanted["the Gearman door"] = settings.gearman
        if own_kafka:
            wanted["Kafka"] = settings.bootstrap
        for what, address in wanted.items():
            if _is_loopback(address):
                _claim(what, address)
        self.settings = settings

    def _apply_topics(self) -> None:
        from jobstream.topics import apply

        began_s = time.monotonic()
        changes = apply(self.settings.kafka, Topics(self.prefix, self.settings.partitions))
        took_s = time.monotonic() - began_s
        made = sum(change.done == "created" for change in changes)
        self._say(f"topics ready in {took_s:.1f} s: {made} created, prefix {self.prefix} at {self.bootstrap}")

    def _kafka_plan(self) -> Plan:
        data = Path(self.settings.data) / "kafka"

        def start() -> Broker:
            old = self._parts["kafka"].running
            if isinstance(old, Broker):
                old.kill()  # lets go of its data
            return Broker.start(data, _port(self.bootstrap), tell=self._say)

        return Plan(
            name="kafka",
            start=start,
            ready=lambda: connects(self.bootstrap),
            stop=_stop,
            why=lambda running: running.why() if isinstance(running, Broker) else "",
            told=f"{self.bootstrap}, data in {data}",
        )

    def _streams_plan(self) -> Plan:
        return self._service_plan(
            "streams",
            lambda: _answers(f"{self.web}/jobstream/health"),
            f"status pages at http://{self.web}/jobstream/counts",
        )

    def _relay_plan(self) -> Plan:
        told = f"minions connect to {self.relay}"
        if self.gearman:
            told += f", Gearman's clients and workers to {self.gearman}"
        return self._service_plan("relay", lambda: connects(self.relay), told)

    def _gateway_plan(self) -> Plan:
        ready = f"{self.http}/healthz"
        module = ("jobstream", "gateway")
        return self._service_plan(
            "gateway",
            lambda: _answers(ready),
            f"dashboard at http://{self.http}/, jobs at http://{self.http}/job",
            module,
        )

    def _service_plan(
        self, name: str, ready: Callable[[], bool], told: str, module: tuple[str, ...] = ()
    ) -> Plan:
        """A service of the project: `python -m <name>`, with the settings as its environment."""
        env = {**os.environ, "PYTHONUNBUFFERED": "1"}
        env |= {environment_name(each): str(getattr(self.settings, each)) for each in NAMES}
        return Plan(
            name=name,
            start=lambda: Child.start(
                [sys.executable, "-m", *(module or (name,))], log=self.logs / f"{name}.log", env=env
            ),
            ready=ready,
            stop=_stop,
            why=why_ended,
            told=told,
        )


def up(settings: Settings, *, given_kafka: bool, tell: Say = to_stderr) -> int:
    """Runs the cluster until Ctrl-C, SIGTERM or SIGHUP; the exit code. A second signal ends everything by
    force.

    Args:
        settings: Where things shall be.
        given_kafka: The Kafka of the settings is there already; none is started.
        tell: Gets a sentence about each part.

    Raises:
        ClusterError, NotReachable: It cannot run here.
    """
    told = threading.Event()
    given = settings.bootstrap if given_kafka else None
    with signals(told) as starting, Cluster.start(settings, bootstrap=given, say=tell) as cluster:
        starting.clear()
        tell("run your functions with `jobstream minion <module>`; Ctrl-C stops everything")
        told.wait()
        began_s = time.monotonic()
        told.clear()
        tell("stopping; once more ends everything by force")
        threading.Thread(target=insist, args=(told, cluster.kill_all), daemon=True).start()
        cluster.stop()
        tell(f"stopped in {time.monotonic() - began_s:.1f} s")
    return 0


def insist(told: threading.Event, kill_all: Callable[[], None]) -> None:
    """Ends everything by force when it is told a second time."""
    told.wait()
    kill_all()


@contextmanager
def signals(told: threading.Event) -> Iterator[threading.Event]:
    """Signals that end the cluster set `told`; as long as the given event is set, they interrupt as Ctrl-C
    does.
    """
    starting = threading.Event()
    starting.set()

    def hear(_number: int, _frame: FrameType | None) -> None:
        told.set()
        if starting.is_set():
            raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]  # as under nohup
    before = {number: signal.signal(number, hear) for number in heard}
    try:
        yield starting
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def make_logs(logs: Path) -> None:
    """Makes the folder of the logs, and puts aside what got too large.

    Raises:
        PartFailed: It cannot be made.
    """
    try:
        logs.mkdir(parents=True, exist_ok=True)
        for log in logs.glob("*.log"):
            if log.stat().st_size > LOG_BYTES_MAX:
                log.replace(log.with_suffix(".log.1"))
    except OSError as error:
        raise PartFailed(f"the logs cannot be written to {logs}: {error.strerror}") from None


def _port(address: str) -> int:
    """The port of the first of the addresses."""
    return int(address.partition(",")[0].rpartition(":")[2])


def _is_loopback(address: str) -> bool:
    return address.rpartition(":")[0] in (LOOPBACK, "localhost")


def _claim(what: str, address: str) -> None:
    try:
        claim_port(_port(address))
    except ClusterError as error:
        raise type(error)(f"{what} cannot listen: {error}") from None


def connects(address: str) -> bool:
    """Whether somebody listens there."""
    host, _, port = address.partition(",")[0].rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ASK_S):
            return True
    except OSError:
        return False


def _has_http() -> bool:
    """Whether the extra for the HTTP service is installed."""
    return all(importlib.util.find_spec(name) for name in ("fastapi", "hypercorn", "httpx"))


def _answers(page: str) -> bool:
    """Whether a part says on its page that it is ready."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{page}", timeout=ASK_S) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004  # OK
    except OSError:
        return False


def _stop(running: Running) -> None:
    """Ends a process politely, then by force."""
    assert isinstance(running, Broker | Child)
    running.stop(STOP_S)


def _exit_code(running: Running) -> int | None:
    return running.exit_code if isinstance(running, Child) else None


def why_ended(running: Running) -> str:
    """Why a service ended: how, and the last line of its log."""
    assert isinstance(running, Child)
    code = running.exit_code
    ended = "still runs" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
    last = running.tail(1).strip()
    return f"{ended}, last words: {last}" if last else ended
