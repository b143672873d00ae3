"""A broker that wants TLS and a password, beside an address without either; for tests of the settings for
both.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobstream.cluster import Broker, free_port
from jobstream.connect.security import quoted
from tests.certificates import Authority, Certificate

USER, PASSWORD = "worker", f'{uuid.uuid4().hex} "quoted\\ €${{x}};'
"""With what a file of properties, and the JAAS configuration in it, must escape."""


@dataclass(frozen=True)
class Secured:
    """Its addresses, without security and with TLS and SASL/PLAIN; whom to trust, and a certificate of
    clients, who need none.
    """

    plain: str
    secure: str
    ca: Path
    client: Certificate


@contextmanager
def secured_broker(folder: Path) -> Iterator[Secured]:
    """One of its own, with its data in a folder."""
    authority = Authority(folder)
    own = authority.issue("broker")
    plain, secure, controller = free_port(), free_port(), free_port()
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    users = f'{login} username="{USER}" password="unused" user_{USER}={quoted(PASSWORD)};'
    listeners = f"PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{secure}"
    settings = {
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": listeners,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
        "listener.name.secure.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secure.plain.sasl.jaas.config": users,
        "listener.name.secure.ssl.keystore.type": "PEM",
        "listener.name.secure.ssl.keystore.key": own.key.read_text(),
        "listener.name.secure.ssl.keystore.certificate.chain": own.cert.read_text(),
        "listener.name.secure.ssl.client.auth": "requested",
        "listener.name.secure.ssl.truststore.type": "PEM",
        "listener.name.secure.ssl.truststore.certificates": authority.ca.read_text(),
    }
    with Broker.start(folder / "kafka", plain, settings=settings, tell=lambda _: None):
        yield Secured(f"127.0.0.1:{plain}", f"127.0.0.1:{secure}", authority.ca, authority.issue("client"))
