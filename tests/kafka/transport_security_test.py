"""TLS and a password from one configuration: for the transport, and for everything from a request to its
result.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from os import environ
from pathlib import Path

import httpx
import pytest

from jobstream.client import Client
from jobstream.cluster.up import Cluster
from jobstream.errors import NotReachable
from jobstream.functions import function
from jobstream.minion import Minion
from schemas.kafka import Security
from schemas.settings import NAMES, Settings, environment_name
from tests.kafka.transport_harness import PARTITIONS, harness
from tests.secured import PASSWORD, USER, Secured, secured_broker


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One broker for both tests."""
    with secured_broker(tmp_path_factory.mktemp("secured")) as found:
        yield found


def test_both_halves_talk_tls_with_a_password(brokers: Secured) -> None:
    """The member, the fetching, the writer and the restore take their security from one setting."""
    security = {
        "protocol": "SASL_SSL",
        "ca_file": str(brokers.ca),
        "mechanism": "PLAIN",
        "username": USER,
        "password": PASSWORD,
    }
    with harness(brokers.plain, "secure.") as run:
        run.send(200)
        for _ in range(2):
            worker = run.start(
                "transactional", "slot", BOOTSTRAP=brokers.secure, SECURITY=json.dumps(security)
            )
            worker.ready(PARTITIONS)
            run.send(200)
            verdict = run.all_told()
            assert worker.stop() == 0
        assert (verdict.inputs, verdict.applied_once, verdict.lost, verdict.repeated) == (600, True, 0, 0)
        assert PASSWORD not in worker.log.read_text()


DOUBLE = "locked.double"


@function(name=DOUBLE)
async def double(number: int) -> int:
    """Twice as much."""
    return 2 * number


@pytest.mark.full
async def test_a_job_runs_with_everything_behind_tls_and_a_password(brokers: Secured, tmp_path: Path) -> None:
    """One configuration for topics, streams, relay, gateway, registry of none, client and command line: a
    request has
    its result, and nothing is said of the password. Without it the client is told that Kafka does not answer.
    """
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    settings = Settings(
        bootstrap=brokers.secure,
        prefix="locked.",
        partitions=2,
        data=str(tmp_path / "data"),
        kafka_security="SASL_SSL",
        kafka_ca=str(brokers.ca),
        kafka_mechanism="PLAIN",
        kafka_username=USER,
        kafka_password=f"@{secret}",
    )

    def start() -> Cluster:
        return Cluster.start(settings, bootstrap=brokers.secure, free_ports=True)

    cluster = await asyncio.to_thread(start)
    try:
        url, web, security = f"kafka://{brokers.secure}", f"http://{cluster.web}", settings.kafka.security
        async with Minion([double], relay=cluster.relay):
            async with Client(url, prefix="locked.", web=web, security=security) as client:
                job = await client.submit(DOUBLE, {"number": 21})
                assert await client.wait(job, timeout=60) == 42
            async with httpx.AsyncClient(base_url=f"http://{cluster.http}", timeout=60) as http:
                asked = {"function": DOUBLE, "args": {"number": 4}, "wait": 60}
                answer = (await http.post("/job", json=asked)).json()
                assert answer["phase"] == "succeeded", answer
            said = await asyncio.to_thread(command_line, cluster.settings)
        with pytest.raises(NotReachable):
            async with Client(url, prefix="locked.", web=web, submit_timeout=1, security=Security()):
                pass
        assert PASSWORD not in said + logs(cluster)
    finally:
        await asyncio.to_thread(cluster.stop)


def command_line(settings: Settings) -> str:
    """What `jobstream` says: its settings, the topics, and a job through the gateway's own Kafka clients."""
    settings = replace(settings, kafka_password=PASSWORD)
    env = {**environ, **{environment_name(name): str(getattr(settings, name)) for name in NAMES}}
    said = ""
    for verb in (["config"], ["topics", "check"], ["submit", DOUBLE, '{"number": 4}', "--wait"]):
        command = [sys.executable, "-m", "jobstream", *verb]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, (verb, done.stdout, done.stderr)
        said += done.stdout + done.stderr
    return said


def logs(cluster: Cluster) -> str:
    """What all parts said."""
    return "".join(path.read_text() for path in cluster.logs.glob("*.log"))
