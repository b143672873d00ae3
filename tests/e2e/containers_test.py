"""docker-compose.yml and testcontainers, tried for real on an engine of this machine."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from jobstream import Caller, Client, Minion, function
from jobstream.cluster import free_port
from jobstream.cluster.artifacts import CONNECT, CONNECTORS, class_path
from jobstream.cluster.cache import cache_directory
from jobstream.errors import JobstreamError
from schemas.times import parse_time
from tests.containers import ROOT, NoContainer, observing_images
from tests.e2e.sql_tables import Rows, asked
from tests.tidy.observe_test import DASHBOARDS, alerts, expressions
from tests.waiting import eventually, eventually_async

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

UP_S = 300.0
DOWN_S = 90.0
HEAL_S = 60.0
SERVICES = ("streams", "relay", "gateway", "registry", "minion", "kafka")
OBSERVING = ("collector", "traces", "prometheus")
"""Of the profile `observe`; Grafana is nowhere to be had as a package."""

SAMPLED_S = 60.0
"""Within which what was told is there: Prometheus asks every 15 s."""

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TABLES = ("postgres", "connect-files", "connect", "connectors")
REPLACED = 3
"""How often a relay is replaced; the machine may have been busy with something else once."""
SERVES_S = 5.0
IMAGE_BYTES_MAX = 200 * 1024 * 1024
"""Bytes that our image may have beyond its base."""
PORTS = (
    "KAFKA_PORT",
    "WEB_PORT",
    "RELAY_PORT",
    "REGISTRY_PORT",
    "HTTP_PORT",
    "POSTGRES_PORT",
    "CONNECT_PORT",
    "PROMETHEUS_PORT",
    "TRACES_PORT",
)
OFFLINE = {
    "BASE": "jobstream-base:dev",
    "PIP_ARGS": "--no-index --find-links=/src/deploy/offline/wheels",
    **{f"{name.upper()}_IMAGE": f"jobstream-{name}:dev" for name in OBSERVING},
    # Where nobody listens before and after the test that is about it.
    "JOBSTREAM_OTLP": "http://collector:4318",
}


@function(name="twice")
async def twice(number: int) -> int:
    """Runs on this side of the containers."""
    return 2 * number


def compose_command() -> list[str]:
    """COMPOSE, or whichever of its two spellings is there; skips without."""
    if given := os.environ.get("COMPOSE"):
        return given.split()
    plugin = subprocess.run(["docker", "compose", "version"], check=False, capture_output=True)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    pytest.skip("neither docker compose nor docker-compose is there")


@dataclass(frozen=True)
class Containers:
    """The parts, as one project of compose."""

    command: list[str]
    project: str
    environment: dict[str, str]

    def compose(self, *arguments: str, timeout_s: float = UP_S) -> str:
        """Runs a compose verb; what it said."""
        done = subprocess.run(
            [*self.command, "-p", self.project, *arguments],
            check=False,
            cwd=ROOT,
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    def inspect(self, service: str) -> dict[str, object]:
        """What the engine says of a service's container."""
        box = self.compose("ps", "-q", service).split()[0]
        said = subprocess.run(["docker", "inspect", box], check=True, capture_output=True, text=True)
        found: dict[str, object] = json.loads(said.stdout)[0]
        return found

    def healthy(self, service: str) -> bool:
        """Whether the engine's own check of it passes."""
        state = self.inspect(service)["State"]
        assert isinstance(state, dict)
        return bool(state.get("Health", {}).get("Status", "healthy") == "healthy" and state["Running"])

    def heals(self, service: str) -> None:
        """Returns when it is healthy."""
        eventually(lambda: self.healthy(service), timeout_s=HEAL_S)

    def kill(self, service: str) -> None:
        """`docker kill`."""
        box = str(self.inspect(service)["Id"])
        subprocess.run(["docker", "kill", box], check=True, capture_output=True)

    def client(self) -> Client:
        """A client outside of the containers."""
        return Client(
            f"kafka://127.0.0.1:{self.environment['KAFKA_PORT']}",
            web=f"http://127.0.0.1:{self.environment['WEB_PORT']}",
        )


@pytest.fixture(scope="module")
def containers(docker_engine: None) -> Iterator[Containers]:
    """Everything up, at free ports, with images built on this machine; gone afterwards, volumes too."""
    assert docker_engine is None
    ports = {name: str(free_port()) for name in PORTS}
    cache = {"CONNECT_CACHE": str(cache_directory())}
    up = Containers(compose_command(), f"js{uuid.uuid4().hex[:6]}", {**OFFLINE, **ports, **cache})
    try:
        up.compose("build")
        up.compose("up", "-d")
        yield up
    finally:
        up.compose("down", "-v", "-t", "5", timeout_s=DOWN_S)


async def says_hello(containers: Containers, name: str) -> None:
    """A job submitted from outside succeeds, as soon as Kafka answers."""

    async def hello() -> object:
        try:
            async with containers.client() as client:
                job = await client.submit("demo.hello", {"name": name}, queue="demo", id=f"hello-{name}")
                return await job.result(timeout=HEAL_S)
        except JobstreamError as error:
            raise AssertionError(str(error)) from error

    assert await eventually_async(hello, timeout_s=HEAL_S) == f"hello {name}"


def test_one_image_of_nobody_and_not_large(containers: Containers) -> None:
    """Ours is one image, run as nobody in particular, with no more in it than what was installed."""
    images, users = set(), set()
    for service in SERVICES[:-1]:
        found = containers.inspect(service)
        images.add(found["Image"])
        config = found["Config"]
        assert isinstance(config, dict)
        users.add(config["User"])
    assert users == {"65534:65534"}
    assert len(images) == 1
    sizes = [
        int(subprocess.check_output(["docker", "image", "inspect", "--format", "{{.Size}}", image]))
        for image in (str(images.pop()), OFFLINE["BASE"])
    ]
    assert sizes[0] - sizes[1] < IMAGE_BYTES_MAX


async def test_a_job_from_outside_succeeds(containers: Containers) -> None:
    """All that says something of its health is healthy, and a job runs."""
    for service in SERVICES:
        containers.heals(service)
    await says_hello(containers, "world")
    asked = urllib.request.Request(  # http on loopback
        f"http://127.0.0.1:{containers.environment['HTTP_PORT']}/job",
        b'{"function": "demo.hello", "queue": "demo", "args": {"name": "door"}, "wait": 30}',
        {"Content-Type": "application/json"},
    )
    with await asyncio.to_thread(urllib.request.urlopen, asked, timeout=HEAL_S) as answer:
        assert json.load(answer)["phase"] == "succeeded"


@pytest.mark.parametrize("service", SERVICES)
async def test_a_crash_heals_by_itself(containers: Containers, service: str) -> None:
    """Whatever part is ended by SIGKILL, the engine starts it again, and the next job succeeds."""
    state = containers.inspect(service)["State"]
    assert isinstance(state, dict)
    os.kill(int(state["Pid"]), signal.SIGKILL)
    await says_hello(containers, f"after-{service}")
    containers.heals(service)


@pytest.mark.parametrize("service", SERVICES)
async def test_docker_kill_heals_with_the_next_up(containers: Containers, service: str) -> None:
    """What `docker kill` ended stays down by Docker's rule; up, started a second time, mends just that."""
    containers.kill(service)
    containers.compose("up", "-d")
    await says_hello(containers, f"killed-{service}")
    containers.heals(service)


@contextmanager
def bare_relay(image: str, address: str) -> Iterator[str]:
    """A relay of foreground calls in a container of its own, with nothing but its address: no volume, no
    setting, no place to write to. Gives its id, and leaves nothing behind.
    """
    command = ["run", "-d", "--network", "host", "--read-only", image]
    box = engine(*command, "relay", "--calls-only", "--relay", address).strip()
    try:
        yield box
    finally:
        engine("rm", "-f", box)


def engine(*arguments: str) -> str:
    """A verb of the engine; what it said."""
    done = subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def started_s(box: str) -> float:
    """When the engine started a container, which has no volume, epoch s."""
    found = json.loads(engine("inspect", box))[0]
    assert not found["Mounts"]
    return parse_time(found["State"]["StartedAt"]) / 1_000


async def test_a_killed_relay_is_replaced_by_an_empty_one(containers: Containers) -> None:
    """A container with no volume and no settings but the address serves within five seconds of its start:
    the minions and callers of the one that was killed are back by then.
    """
    image, address = str(containers.inspect("relay")["Image"]), f"127.0.0.1:{free_port()}"
    took_s = []
    async with Minion([twice], relay=address, grace=0.2), Caller(address) as caller:
        for _ in range(REPLACED):
            with bare_relay(image, address) as box:
                assert await caller.call("twice", {"number": 4}, within=HEAL_S, again=True) == 8
                took_s.append(time.time() - await asyncio.to_thread(started_s, box))
                await asyncio.to_thread(engine, "kill", box)
    assert sorted(took_s)[1] < SERVES_S, took_s


async def test_the_volumes_survive_a_restart(containers: Containers) -> None:
    """Down and up again: the job of before is still known, with its result, and a new one runs."""
    await says_hello(containers, "before")
    containers.compose("down", "-t", "10", timeout_s=DOWN_S)
    containers.compose("up", "-d")

    async def known() -> object:
        async with containers.client() as client:
            try:
                return (await client.status("hello-before"))["phase"]
            except JobstreamError as error:
                raise AssertionError(str(error)) from error

    assert await eventually_async(known, timeout_s=HEAL_S) == "succeeded"
    await says_hello(containers, "afterwards")


def test_a_taken_port_is_told(containers: Containers) -> None:
    """A second project at the same ports ends with a sentence that names one; the first is not touched."""
    second = Containers(containers.command, f"{containers.project}b", containers.environment)
    try:
        with pytest.raises(AssertionError, match=containers.environment["KAFKA_PORT"]):
            second.compose("up", "-d")
    finally:
        second.compose("down", "-v", timeout_s=DOWN_S)
    assert containers.healthy("kafka")


async def test_the_log_becomes_tables(containers: Containers) -> None:
    """With the profile `connect`, a job that ran is a row, and a row of the outbox a job that runs."""
    url = f"postgresql://jobstream:jobstream@127.0.0.1:{containers.environment['POSTGRES_PORT']}/jobstream"
    for bundle in (CONNECT, CONNECTORS):
        class_path(print, bundle)
    connect = ("--profile", "connect")
    try:
        containers.compose(*connect, "up", "-d")
        await says_hello(containers, "tables")
        eventually(lambda: rows(url, "select from jobs where job = 'hello-tables'"), HEAL_S)
        ask = "insert into outbox (function, args, options) values (%s, %s, %s) returning id::text as id"
        asking = ("demo.hello", '{"name": "outbox"}', '{"queue": "demo"}')
        id = eventually(lambda: rows(url, ask, *asking), HEAL_S)[0]["id"]
        done = "select result from jobs where job = %s and phase = 'succeeded'"
        assert eventually(lambda: rows(url, done, id), HEAL_S)[0]["result"] == b'"hello outbox"'
    finally:
        containers.compose(*connect, "rm", "-fsv", *TABLES, timeout_s=DOWN_S)


def rows(url: str, query: str, *values: object) -> Rows:
    """The rows of a query; none as long as there is no such table, or nobody who has it."""
    try:
        return asked(url, query, *values)
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return []


@pytest.fixture
def observed(containers: Containers) -> Iterator[Containers]:
    """Collector, trace viewer and Prometheus are up besides."""
    try:
        observing_images()
    except NoContainer as cannot:
        pytest.skip(str(cannot))
    try:
        containers.compose("up", "-d", *OBSERVING)
        yield containers
    finally:
        containers.compose("--profile", "observe", "rm", "-fsv", *OBSERVING, timeout_s=DOWN_S)


def page(containers: Containers, port: str, path: str, **fields: str) -> Any:
    """The JSON at a published port; AssertionError while it is not there."""
    url = f"http://127.0.0.1:{containers.environment[port]}{path}?{urllib.parse.urlencode(fields)}"
    try:
        with urllib.request.urlopen(url, timeout=HEAL_S) as answer:
            return json.load(answer)
    except OSError as error:
        raise AssertionError(f"{url}: {error}") from None


def test_traces_and_metrics_arrive(observed: Containers) -> None:
    """With the profile `observe`, all of a job's trace is at the viewer, Prometheus asks every process, has
    the alert rules, and understands what the dashboards ask.
    """

    def asked(query: str) -> list[dict[str, Any]]:
        told = page(observed, "PROMETHEUS_PORT", "/api/v1/query", query=query)
        found: list[dict[str, Any]] = told["data"]["result"]
        return found

    def spans() -> list[dict[str, Any]]:
        traces = page(observed, "TRACES_PORT", f"/api/traces/{TRACE}")["data"]
        found: list[dict[str, Any]] = traces[0]["spans"]
        assert sorted(span["operationName"] for span in found) == [
            "attempt demo.hello",
            "dispatch demo",
            "job demo.hello",
            "receipt demo",
            "run demo.hello",
        ]
        return found

    submit = urllib.request.Request(  # http on loopback
        f"http://127.0.0.1:{observed.environment['HTTP_PORT']}/job",
        b'{"function": "demo.hello", "queue": "demo", "args": {"name": "you"}, "wait": 30}',
        {"Content-Type": "application/json", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
    )
    with urllib.request.build_opener().open(submit, timeout=HEAL_S) as answer:
        assert json.load(answer)["phase"] == "succeeded"
    found = {span["operationName"].split()[0]: span for span in eventually(spans, SAMPLED_S)}
    parents = {name: span["references"][0]["spanID"] for name, span in found.items()}
    assert parents["attempt"] == found["job"]["spanID"]
    assert {parents[name] for name in ("dispatch", "run", "receipt")} == {found["attempt"]["spanID"]}

    def every_process() -> bool:
        services = {each["metric"]["service"] for each in asked("jobstream_info")}
        assert services >= {"streams", "relay", "gateway", "minion", "registry"}, services
        return bool(asked('jobstream_facts_total{fact="succeeded", function="demo.hello"} > 0'))

    eventually(every_process, SAMPLED_S)
    assert asked("up == 0") == []
    groups = page(observed, "PROMETHEUS_PORT", "/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {alert["alert"] for alert in alerts()}
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}  # unknown: not yet judged
    for path in DASHBOARDS:
        for expression in expressions(path):
            asked(expression.replace("$__rate_interval", "1m").replace("$queue", "demo"))


@pytest.mark.usefixtures("docker_engine")
def test_a_broker_in_a_container_serves_the_tests() -> None:
    """Testcontainers is a source of the broker: tests that pass on the embedded one pass on it."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/kafka/topics_test.py"],
        check=False,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "JOBSTREAM_BOOTSTRAP"}
        | {"JOBSTREAM_TEST_BROKER": "container", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:]
