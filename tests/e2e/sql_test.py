"""The log as tables: a real Kafka Connect, a real PostgreSQL, and what holds between them and the log."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel,
    Schema,
    SchemaRegistryClient,
    ServerConfig,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from jobstream import Client
from jobstream.client import Job
from jobstream.cluster import free_port
from jobstream.cluster.child import Child
from jobstream.cluster.up import Cluster, connects
from jobstream.connect import applying, names
from jobstream.connect.connectors import Place
from jobstream.connect.postgres import PostgresMissing
from jobstream.connect.up import Connect
from jobstream.doctor.look import look
from jobstream.registry import serving
from schemas.codec import decode, encode
from schemas.events import Fact
from schemas.topics import Topics
from tests.apicurio import apicurio
from tests.containers import ROOT
from tests.e2e.functions import QUICK, echo
from tests.e2e.sql_tables import Rows, asked, digest_of_log, digest_of_rows, everything, facts
from tests.secured import PASSWORD, USER, Secured, secured_broker
from tests.waiting import eventually, eventually_async

pytestmark = pytest.mark.full

PREFIX = "sql."
QUERIES = sorted((ROOT / "deploy" / "connect" / "queries").glob("*.sql"))
REASON = "__connect.errors.exception.message"
TABLES = ("facts", "jobs", "attempts", "schedules", "dead_letters")
AT_MS = 1_795_000_000_000
CAUGHT_UP_S = 60.0
VICTIMS = [("postgres",), ("postgres",), ("connect",), ("connect", "postgres")]
"""What is killed, each time in another order."""
KILLS = int(os.environ.get("ROUNDS") or len(VICTIMS))
ROWS_BETWEEN_KILLS = 400
VERB_S = 60.0
AT_ONCE, PAUSE_S = 20, 0.1
"""Jobs that are asked for at once, and the time between two such handfuls."""
FLOW = 30
"""Records."""


@dataclass(frozen=True)
class Stage:
    """A cluster and what makes tables of its log."""

    cluster: Cluster
    connect: Connect
    url: str
    """Of the database."""

    def rows(self, query: str, *values: object) -> Rows:
        """The rows of a query."""
        return asked(self.url, query, *values)

    def caught_up(self) -> None:
        """Waits until the table has the facts and no other rows, by their number and by their hash; but those
        that were put aside.
        """

        def same() -> bool:
            places = facts(self.cluster.bootstrap, f"{PREFIX}facts", names.refused(PREFIX))
            count = self.rows("select count(*) from facts")[0]["count"]
            assert count == len(places), f"{count} rows of {len(places)} facts"
            return digest_of_rows(self.url) == digest_of_log(places)

        def now() -> bool:
            try:
                return same()
            except psycopg.OperationalError:  # it is away, or just back
                return False

        eventually(now, CAUGHT_UP_S)

    def produce(self, topic: str, value: bytes, key: str = "x", partition: int = 0) -> None:
        """Writes a record, whatever it is."""
        producer = Producer({"bootstrap.servers": self.cluster.bootstrap})
        producer.produce(topic, value, key, partition)
        assert producer.flush(30) == 0


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One of two addresses: the cluster is at that without security, Connect at the other."""
    with secured_broker(tmp_path_factory.mktemp("secured")) as found:
        yield found


@pytest.fixture(scope="module")
def stage(brokers: Secured, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Both, started once for all. A database of root's runs as another user, who must get at its folder."""
    data = Path(tempfile.mkdtemp(prefix="jobstream-sql-"))
    data.chmod(0o755)
    folder = tmp_path_factory.mktemp("cluster")
    try:
        with Cluster.start(data=folder, bootstrap=brokers.plain, prefix=PREFIX, free_ports=True) as cluster:
            settings = replace(cluster.settings, data=str(data), **security(brokers))
            with Connect.start(settings, outbox=True, free_ports=True) as connect:
                yield Stage(cluster, connect, connect.database.url)
    except PostgresMissing as missing:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(missing))
    finally:
        shutil.rmtree(data, ignore_errors=True)


def security(brokers: Secured) -> dict[str, Any]:
    """The settings of whoever talks to Kafka with all there is: TLS, a certificate, and a password."""
    return {
        "bootstrap": brokers.secure,
        "kafka_security": "SASL_SSL",
        "kafka_ca": str(brokers.ca),
        "kafka_cert": str(brokers.client.cert),
        "kafka_key": str(brokers.client.key),
        "kafka_mechanism": "PLAIN",
        "kafka_username": USER,
        "kafka_password": PASSWORD,
    }


class Fleet:
    """The minions of all tests; more than one where a test wants it."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.minions: list[Child] = []
        self._relay = stage.cluster.relay
        self._folder = folder

    def begin(self) -> Child:
        """One more."""
        name = f"m-{len(self.minions) + 1}"
        command = [sys.executable, "-m", "jobstream.minion", "tests.e2e.functions", "--relay", self._relay]
        self.minions.append(Child.start([*command, "--name", name], log=self._folder / f"{name}.log"))
        return self.minions[-1]

    def kill(self, pid: int) -> None:
        """Ends one, as a crash would."""
        next(each for each in self.minions if each.pid == pid).kill()


@pytest.fixture(scope="module")
def fleet(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One minion."""
    found = Fleet(stage, tmp_path_factory.mktemp("minions"))
    found.begin()
    yield found
    for minion in found.minions:
        minion.kill()


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[Client]:
    """A client of the cluster."""
    cluster = stage.cluster
    async with Client(f"kafka://{cluster.bootstrap}", prefix=PREFIX, web=f"http://{cluster.web}") as one:
        yield one


@pytest.fixture
def ways(tmp_path: Path) -> Path:
    """Where `held` tells who has it, and waits for a word."""
    return tmp_path


async def test_jobs_become_rows(stage: Stage, fleet: Fleet, client: Client, ways: Path) -> None:
    """Facts, jobs, attempts, schedules and dead letters say what happened; also of who changed minion."""
    fleet.begin()
    moved = await client.submit("e2e.held", {"folder": str(ways)}, key="moved")
    fleet.kill(eventually(lambda: _holder(ways), 30))
    (ways / "go").touch()
    fine = await client.submit_many(echo.request(number) for number in range(30))
    again = await client.submit("e2e.flaky", {"fails": 2}, key="again", retry=QUICK)
    dead = await client.submit("e2e.hopeless", {}, key="dead")
    await client.schedule("sql-nightly", "0 3 * * *", "e2e.echo", [1])
    for job in [moved, again, *fine]:
        await job.result(timeout=60)
    await eventually_async(lambda: _letters(stage, dead.id), 30)
    stage.caught_up()
    jobs = {row["job"]: row for row in stage.rows("select * from jobs")}
    assert [jobs[job.id]["phase"] for job in fine] == ["succeeded"] * 30
    assert [jobs[job.id]["result"] for job in fine] == [str(number).encode() for number in range(30)]
    assert all(jobs[job.id]["ended_at"] >= jobs[job.id]["created_at"] for job in fine)
    assert (jobs[dead.id]["phase"], jobs[dead.id]["error_type"]) == ("dead", "NonRetryable")
    tries = stage.rows("select * from attempts where job = %s order by epoch", again.id)
    assert [row["outcome"] for row in tries] == ["failed", "failed", "succeeded"]
    assert [row["attempt"] for row in tries] == [1, 2, 3]
    assert tries[0]["error_message"] == "attempt 1 finds nobody"
    assert all(row["offered_at"] <= row["started_at"] <= row["ended_at"] for row in tries)
    both = stage.rows("select * from attempts where job = %s order by epoch", moved.id)
    assert [row["outcome"] for row in both] == ["lost", "succeeded"]
    assert {row["minion"] for row in both} == {"m-1", "m-2"}
    schedule = stage.rows("select * from schedules where schedule = 'sql-nightly'")[0]
    assert (schedule["state"], schedule["function"]) == ("active", "e2e.echo")
    assert schedule["next_fire_at"].strftime("%H:%M") == "03:00"


def _holder(folder: Path) -> int:
    """The process that has the held job; 0 if none has."""
    return next((int(path.suffix[1:]) for path in folder.iterdir() if path.name.count(".") == 2), 0)


async def _letters(stage: Stage, job: str) -> Rows:
    return stage.rows("select * from dead_letters where job = %s", job)


def test_queries_answer(stage: Stage) -> None:
    """Each query of the page runs, and finds what the test before has brought about."""
    answers = {path.stem: stage.rows(path.read_text()) for path in QUERIES}
    assert {row["function"] for row in answers["p99_by_function_and_hour"]} >= {"e2e.echo", "e2e.flaky"}
    assert all(row["p99_ms"] >= row["p50_ms"] for row in answers["p99_by_function_and_hour"])
    cost = {row["function"]: row for row in answers["retry_cost"]}
    assert (cost["e2e.flaky"]["attempts"], cost["e2e.flaky"]["failed"]) == (3, 2)
    assert cost["e2e.flaky"]["waited_s"] > 0.19  # two pauses of 0.1 s
    reasons = {(row["function"], row["error_type"]): row for row in answers["failure_reasons"]}
    assert reasons["e2e.hopeless", "NonRetryable"]["dead"] == 1
    assert reasons["e2e.flaky", "ConnectionError"]["failures"] == 2
    assert answers["slowest_keys"][0]["worst_s"] > 0
    assert [(row["key"], row["minions"]) for row in answers["changed_minion"]] == [("moved", 2)]
    assert sum(row["jobs"] for row in answers["outcomes_by_day"]) == len(stage.rows("select from jobs"))
    assert answers["schedules_behind"] == []
    assert [row["function"] for row in answers["dead_letters_to_redrive"]] == ["e2e.hopeless"]


def test_a_replay_changes_nothing(stage: Stage) -> None:
    """Everything is written again; no row more, none other, and all other tables stay as they are."""
    before = snapshot(stage)
    stage.rows("select 1 from (select pg_stat_reset()) as reset")
    stage.connect.worker.forget_offsets(names.sink(PREFIX))

    def written_again() -> bool:
        seen = stage.rows("select sum(n_tup_upd) as again from pg_stat_user_tables where relname = 'facts'")
        return bool(seen[0]["again"] and seen[0]["again"] >= len(before["facts"]))

    eventually(written_again, CAUGHT_UP_S)
    assert snapshot(stage) == before


def snapshot(stage: Stage) -> dict[str, list[str]]:
    """All rows of all tables."""
    return {table: sorted(map(str, stage.rows(f"table {table}"))) for table in TABLES}


def test_what_cannot_be_read_is_put_aside(stage: Stage) -> None:
    """Junk, and a value of a schema that nobody knows: each in a topic of its own, with the reason."""
    refused = names.refused(PREFIX)
    before = len(everything(stage.cluster.bootstrap, refused))
    junk = [b"not a fact", b"\x00\x00\x00\x27\x0fwho knows"]
    for value in junk:
        stage.produce(f"{PREFIX}facts", value)
    behind = tell(stage, f"after-{uuid.uuid4().hex[:6]}")
    eventually(lambda: stage.rows("select from facts where job = %s", behind), CAUGHT_UP_S)
    found = eventually(lambda: _more(stage, refused, before + 2), CAUGHT_UP_S)[before:]
    assert [record.value() for record in found] == junk
    for record in found:
        headers = dict(record.headers())
        assert headers[REASON]
        assert headers["__connect.errors.topic"] == f"{PREFIX}facts".encode()
    assert stage.connect.worker.state(names.sink(PREFIX)).runs  # type: ignore[union-attr]


def test_what_the_database_refuses_is_put_aside(stage: Stage) -> None:
    """Text with a NUL in it is none to PostgreSQL: it is put aside with its reason, and the rest goes on."""
    refused, tag = names.refused(PREFIX), uuid.uuid4().hex[:6]
    before = len(everything(stage.cluster.bootstrap, refused))
    tell(stage, f"first-{tag}")
    tell(stage, f"bad-{tag}", error_message="a\0b")
    behind = tell(stage, f"last-{tag}")
    eventually(lambda: stage.rows("select from facts where job = %s", behind), CAUGHT_UP_S)
    found = eventually(lambda: _more(stage, refused, before + 1), CAUGHT_UP_S)[before:]
    assert [decode(record.value(), (Fact,)).job for record in found] == [f"bad-{tag}"]
    assert b"NUL" in dict(found[0].headers())[REASON]
    rows = stage.rows("select job from facts where job like %s order by record_offset", f"%-{tag}")
    assert [row["job"] for row in rows] == [f"first-{tag}", behind]


def _more(stage: Stage, topic: str, count: int) -> list[Any]:
    found = everything(stage.cluster.bootstrap, topic)
    return found if len(found) >= count else []


def test_the_doctor_sees_it(stage: Stage) -> None:
    """Both connectors run, some records were refused, and somebody reads the outbox."""
    seen = look(replace(stage.connect.settings, database=stage.url))
    assert [(each.name, each.runs) for each in seen.connectors] == [("sql.sql", True), ("sql.outbox", True)]
    refused = everything(stage.cluster.bootstrap, names.refused(PREFIX))
    assert seen.connectors[0].refused == len(refused)
    assert [(slot.name, slot.read) for slot in seen.slots] == [("jobstream_outbox", True)]


def tell(stage: Stage, job: str, topic: str = f"{PREFIX}facts", **more: Any) -> str:
    """Writes a fact as the service would; the id of its job."""
    fact = Fact(fact="admitted", job=job, key="x", partition=0, at_ms=AT_MS, phase="ready", **more)
    stage.produce(topic, encode(fact))
    return job


@pytest.mark.usefixtures("fleet")
@pytest.mark.timeout(180 + 60 * KILLS)
async def test_nothing_is_lost_when_things_are_killed(stage: Stage, client: Client) -> None:
    """SIGKILL for the worker, the database, or both, at random moments under load: jobs don't notice, and in
    the end each fact is one row, each job and each of its attempts another. SEED=7 plays one again, ROUNDS=20
    kills more often.
    """
    seed = int(os.environ.get("SEED") or random.randrange(1_000_000))
    print(f"SEED={seed}")
    dice, over = random.Random(seed), asyncio.Event()
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(KILLS)]
    asking = asyncio.create_task(keep_asking(client, over))
    try:
        for victim in dice.sample(victims, len(victims)):
            await written(stage, dice.randrange(1, ROWS_BETWEEN_KILLS))
            for each in victim:
                stage.connect.kill(each)
    finally:
        over.set()
        jobs = await asking
    stage.caught_up()
    ids = [job.id for job in jobs]
    done = "select from {} where {} = 'succeeded' and job = any(%s)"
    assert len(stage.rows(done.format("jobs", "phase"), ids)) == len(ids)
    assert len(stage.rows(done.format("attempts", "outcome"), ids)) == len(ids)


async def keep_asking(client: Client, over: asyncio.Event) -> list[Job]:
    """Submits jobs, a handful at a time, until it is over; those that it submitted, each of which has run."""
    jobs = list[Job]()
    while not over.is_set():
        some = await client.submit_many(echo.request(number) for number in range(AT_ONCE))
        assert [await job.result(timeout=60) for job in some] == list(range(AT_ONCE))
        jobs += some
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), PAUSE_S)
    return jobs


async def written(stage: Stage, rows: int) -> None:
    """Returns when so many rows more are in the table: so what was killed before is at work again."""

    async def count() -> int:
        try:
            return int((await asyncio.to_thread(stage.rows, "select count(*) from facts"))[0]["count"])
        except psycopg.OperationalError:
            return 0

    before = await eventually_async(count, CAUGHT_UP_S)

    async def more() -> bool:
        return await count() >= before + rows

    await eventually_async(more, CAUGHT_UP_S)


@pytest.mark.usefixtures("fleet")
async def test_a_database_that_is_away(stage: Stage, client: Client) -> None:
    """Jobs run as ever while there is no database, and their rows come when it is back."""
    stage.connect.end("postgres")
    jobs = await client.submit_many(echo.request(number) for number in range(100))
    assert [await job.result(timeout=60) for job in jobs] == list(range(100))
    stage.connect.begin("postgres")
    stage.caught_up()


@pytest.mark.usefixtures("fleet")
def test_an_outbox_row_becomes_a_job(stage: Stage) -> None:
    """What a transaction inserted runs once, what it took back never; no SDK takes part in asking."""
    with psycopg.connect(stage.url) as connection:
        ask = "insert into jobstream.outbox (function, key, args) values ('e2e.echo', %s, %s) returning id"
        kept = [str(connection.execute(ask, ("k", json.dumps([n]))).fetchone()[0]) for n in range(5)]  # type: ignore[index]
        connection.execute("delete from jobstream.outbox")
        connection.commit()
        taken_back = str(connection.execute(ask, ("k", "[9]")).fetchone()[0])  # type: ignore[index]
        connection.rollback()
    query = "select job, result from jobs where phase = 'succeeded' and job = any(%s) order by result"
    rows = eventually(lambda: _all(stage, query, kept), CAUGHT_UP_S)
    assert [(row["job"], row["result"]) for row in rows] == [
        (id, str(n).encode()) for n, id in enumerate(kept)
    ]
    assert stage.rows("select from facts where job = %s", taken_back) == []


def _all(stage: Stage, query: str, ids: list[str]) -> Rows:
    rows = stage.rows(query, ids)
    return rows if len(rows) == len(ids) else []


def test_the_verbs(stage: Stage, tmp_path: Path) -> None:
    """`jobstream connect up` writes rows, `status` says that all runs, Ctrl-C ends all of it. The tables are
    those of the schema that was named, although the database has others of their names; nobody is told the
    password.
    """
    topics, address = Topics("verbs."), f"127.0.0.1:{free_port()}"
    metrics = f"127.0.0.1:{free_port()}"
    with_topics(stage.cluster.bootstrap, topics)
    with serving(topics, f"127.0.0.1:{free_port()}") as registry:
        env = os.environ | {
            "JOBSTREAM_REGISTRY": f"http://{registry}",
            "JOBSTREAM_BOOTSTRAP": stage.cluster.bootstrap,
            "JOBSTREAM_PREFIX": topics.prefix,
            "JOBSTREAM_CONNECT": address,
            "JOBSTREAM_METRICS": metrics,
            "JOBSTREAM_DATABASE": stage.url.replace("@", ":s3cret@"),
        }
        verb = [sys.executable, "-m", "jobstream", "connect"]
        command = [*verb, "up", "--schema", "verbs", "--data", str(tmp_path)]
        with subprocess.Popen(command, env=env) as up:
            try:
                job = tell(stage, "verbs", topics.facts)
                eventually(lambda: _rows(stage, "select from verbs.facts"), CAUGHT_UP_S)
                assert stage.rows("select from jobstream.facts where job = %s", job) == []
                said = subprocess.check_output([*verb, "status", "--json"], env=env, timeout=VERB_S)
                assert [(row["connector"], row["runs"]) for row in json.loads(said)] == [("verbs.sql", True)]
                counted = httpx.get(f"http://{metrics}/metrics", trust_env=False).text
                assert 'connector="verbs.sql"' in counted
                shown = httpx.get(f"http://{address}/connectors/verbs.sql/config", trust_env=False)
                assert "${env:PGPASSWORD}" in shown.text
                assert "s3cret" not in shown.text
                up.send_signal(signal.SIGINT)
                assert up.wait(VERB_S) == 0
            finally:
                up.kill()
    assert not connects(address)


# The serializers of confluent-kafka leave a connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_field_is_added_while_data_flows(stage: Stage, tmp_path: Path) -> None:
    """With a real registry: a schema is registered under a rule, sink and table follow, old readers go on."""
    old = json.loads((ROOT / "schemas" / "avro" / "Fact.avsc").read_text())
    field = {"name": "mood", "type": ["null", "string"], "default": None, "doc": "Tomorrow's idea."}
    new = {**old, "fields": [*old["fields"], field]}
    topics = Topics("evolved.")
    with apicurio(tmp_path) as url, SchemaRegistryClient({"url": url}) as client:
        client.set_config(config=ServerConfig(compatibility=ConfigCompatibilityLevel.FULL_TRANSITIVE))
        place = Place(topics, stage.connect.database, "evolved", url)
        with_topics(stage.cluster.bootstrap, topics)
        applying.apply(stage.connect.worker, place, stage.cluster.bootstrap, with_outbox=False)
        write_old, write_new = (AvroSerializer(client, json.dumps(schema)) for schema in (old, new))
        context = SerializationContext(topics.facts, MessageField.VALUE)
        # The old release writes before the new one begins, while it does, and after it.
        values = list[bytes]()
        for number in range(3 * FLOW):
            values.append(fact_of(write_old, context, number))
            stage.produce(topics.facts, values[-1])
            if number == FLOW:
                eventually(lambda: _rows(stage, "select from evolved.facts"), CAUGHT_UP_S)
            if FLOW <= number < 2 * FLOW:
                values.append(fact_of(write_new, context, number, mood="fine"))
                stage.produce(topics.facts, values[-1])
        query = "select job, mood from evolved.facts order by record_offset"
        rows = eventually(lambda: _rows(stage, query, len(values)), CAUGHT_UP_S)
        assert [row["mood"] for row in rows].count("fine") == FLOW
        assert len(stage.rows("select from evolved.jobs")) == len(values)
        read = AvroDeserializer(client, json.dumps(old))
        assert [read(value, context)["job"] for value in values] == [row["job"] for row in rows]
        broken = {**new, "fields": [*new["fields"], {"name": "must", "type": "string"}]}
        assert not client.test_compatibility("evolved.facts-value", Schema(json.dumps(broken), "AVRO"))


def _rows(stage: Stage, query: str, count: int = 1) -> Rows:
    try:
        rows = stage.rows(query)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):  # as long as nobody needs them
        return []
    return rows if len(rows) >= count else []


def with_topics(bootstrap: str, topics: Topics) -> None:
    """The two topics that a sink reads."""
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.create_topics([NewTopic(name, 1) for name in (topics.facts, topics.dead)]).values():
        done.result()


def fact_of(write: AvroSerializer, context: SerializationContext, number: int, **more: str) -> bytes:
    """A fact as a release with that schema writes it."""
    job = f"job-{number}{''.join(more)}"
    fact = Fact(fact="admitted", job=job, key="x", partition=0, at_ms=AT_MS, phase="ready")
    value = write({**vars(fact), **more}, context)
    assert value is not None
    return value
