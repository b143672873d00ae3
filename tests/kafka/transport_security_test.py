"""The transport over TLS with a password, on a broker of its own."""

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobstream.cluster import Broker, free_port
from tests.kafka.transport_harness import PARTITIONS, harness

USER, PASSWORD = "worker", uuid.uuid4().hex


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, `cert.pem`, and its `key.pem`."""
    certificate = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(["openssl", *certificate, *names], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


@pytest.fixture
def brokers(tmp_path: Path, authority: Path) -> Iterator[tuple[str, str]]:
    """One broker's addresses: without security, and with TLS and SASL/PLAIN."""
    plain, secure, controller = free_port(), free_port(), free_port()
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    users = f'{login} username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}";'
    settings = {
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{secure}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
        "listener.name.secure.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secure.plain.sasl.jaas.config": users,
        "listener.name.secure.ssl.keystore.type": "PEM",
        "listener.name.secure.ssl.keystore.key": _one_line(authority / "key.pem"),
        "listener.name.secure.ssl.keystore.certificate.chain": _one_line(authority / "cert.pem"),
    }
    with Broker.start(tmp_path / "kafka", plain, settings=settings, tell=lambda _: None):
        yield f"127.0.0.1:{plain}", f"127.0.0.1:{secure}"


def _one_line(pem: Path) -> str:
    return pem.read_text().replace("\n", "\\n")


def test_both_halves_talk_tls_with_a_password(brokers: tuple[str, str], authority: Path) -> None:
    """The member, the fetching, the writer and the restore take their security from one setting."""
    plain, secure = brokers
    security = {
        "protocol": "SASL_SSL",
        "ca_file": str(authority / "cert.pem"),
        "mechanism": "PLAIN",
        "username": USER,
        "password": PASSWORD,
    }
    with harness(plain, "secure.") as run:
        run.send(200)
        for _ in range(2):
            worker = run.start("transactional", "slot", BOOTSTRAP=secure, SECURITY=json.dumps(security))
            worker.ready(PARTITIONS)
            run.send(200)
            verdict = run.all_told()
            assert worker.stop() == 0
        assert (verdict.inputs, verdict.applied_once, verdict.lost, verdict.repeated) == (600, True, 0, 0)
        assert PASSWORD not in worker.log.read_text()
