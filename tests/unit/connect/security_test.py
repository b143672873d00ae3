"""One configuration of TLS and SASL, as Java's clients want it."""

from pathlib import Path

import pytest

from jobstream.cluster.settings import as_properties
from jobstream.connect.security import for_worker
from jobstream.connect.worker import settings
from schemas.kafka import Brokers, Security
from schemas.settings import BadSetting

KEY = "-----BEGIN PRIVATE KEY-----\nk\n-----END PRIVATE KEY-----\n"


def pem(folder: Path, name: str, text: str) -> str:
    """The path of a file."""
    (folder / name).write_text(text)
    return str(folder / name)


def test_without_security_nothing_is_said_of_it() -> None:
    """A plain address, and brokers that want nothing."""
    for bootstrap in ("kafka:9092", Brokers("kafka:9092", Security())):
        assert for_worker(bootstrap) == {"bootstrap.servers": "kafka:9092"}


def test_every_client_of_a_worker_is_told(tmp_path: Path) -> None:
    """The worker's own, and those of sinks, of sources, and for topics of refused records."""
    ca, cert, key = (pem(tmp_path, name, text) for name, text in [("ca", "CA"), ("cert", "C"), ("key", KEY)])
    security = Security("SASL_SSL", ca, cert, key, "SCRAM-SHA-512", "me", "pass")
    told = settings(Brokers("kafka:9093", security), "shop.", "127.0.0.1:8083", tmp_path)
    for client in ("", "producer.", "consumer.", "admin."):
        found = {
            name.removeprefix(client): value
            for name, value in told.items()
            if name.startswith((f"{client}security.", f"{client}sasl.", f"{client}ssl."))
        }
        assert found == {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required"
            ' username="me" password="pass";',
            "ssl.truststore.type": "PEM",
            "ssl.truststore.certificates": "CA",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": "C",
            "ssl.keystore.key": KEY,
        }


def test_what_a_password_may_have_in_it() -> None:
    """It is escaped for the JAAS configuration, and that again for the file."""
    security = Security("SASL_PLAINTEXT", mechanism="PLAIN", username="me", password='a"b\\c;€')  # noqa: S106
    told = for_worker(Brokers("kafka:9093", security))["sasl.jaas.config"]
    assert told.endswith(r'password="a\"b\\c;€";')
    assert as_properties({"x": told}).endswith('password="a\\\\"b\\\\\\\\c;\\u20ac";\n')


def test_a_file_of_properties_keeps_any_text() -> None:
    """White space at the front, lines, and what is beyond sixteen bits."""
    assert as_properties({"x": "  a\n😀"}) == "x=\\  a\\u000a\\ud83d\\ude00\n"


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (("none", "cert", "key"), "kafka_ca must be a PEM file that can be read, got '.*none'"),
        (("ca", "cert", "old"), "kafka_key must be a PKCS #8 key without a password .*got '.*old'; openssl"),
    ],
)
def test_files_that_java_cannot_use_are_named(
    tmp_path: Path, files: tuple[str, str, str], sentence: str
) -> None:
    """Before a worker starts, and not in its log."""
    for name, text in (("ca", "CA"), ("cert", "C"), ("key", KEY), ("old", "-----BEGIN EC PRIVATE KEY-----")):
        pem(tmp_path, name, text)
    security = Security("SSL", *(str(tmp_path / name) for name in files))
    with pytest.raises(BadSetting, match=sentence):
        for_worker(Brokers("kafka:9093", security))
