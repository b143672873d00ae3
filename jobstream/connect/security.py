"""Kafka's TLS and SASL for Connect, from the one configuration of all parts.

Owns the translation into the properties of Java's clients; that for librdkafka is Security's own. What it
returns has the password and the key in it: it goes into the worker's file, which only its user reads.
"""

from pathlib import Path
from typing import Final

from schemas.kafka import Brokers, Security
from schemas.settings import BadSetting

CLIENTS: Final = ("", "producer.", "consumer.", "admin.")
"""Whose properties they are: the worker's own clients, and what it makes for connectors (KIP-458)."""
_PACKAGE = "org.apache.kafka.common.security"
_LOGINS = {
    "PLAIN": f"{_PACKAGE}.plain.PlainLoginModule",
    "SCRAM-SHA-256": f"{_PACKAGE}.scram.ScramLoginModule",
    "SCRAM-SHA-512": f"{_PACKAGE}.scram.ScramLoginModule",
}
_KEY = "-----BEGIN PRIVATE KEY-----"


def for_worker(bootstrap: str) -> dict[str, str]:
    """What a worker is told of Kafka: where it is, and for all of its clients how it is talked to.

    Raises:
        BadSetting: A file of the configuration is not there, or a key is in a form that Java does not read.
    """
    security = bootstrap.security if isinstance(bootstrap, Brokers) else Security()
    told = {} if security == Security() else for_java(security)
    return {
        "bootstrap.servers": str(bootstrap),
        **{f"{client}{name}": value for client in CLIENTS for name, value in told.items()},
    }


def for_java(security: Security) -> dict[str, str]:
    """Properties of a client of Kafka's own library. Certificates and the key are in them (KIP-651).

    Raises:
        BadSetting: As above.
    """
    told = {"security.protocol": security.protocol}
    if security.mechanism is not None:
        told["sasl.mechanism"] = security.mechanism
        told["sasl.jaas.config"] = (
            f"{_LOGINS[security.mechanism]} required"
            f" username={quoted(security.username or '')} password={quoted(security.password or '')};"
        )
    if security.ca_file is not None:
        told["ssl.truststore.type"] = "PEM"
        told["ssl.truststore.certificates"] = _pem("kafka_ca", security.ca_file)
    if security.cert_file is not None and security.key_file is not None:
        told["ssl.keystore.type"] = "PEM"
        told["ssl.keystore.certificate.chain"] = _pem("kafka_cert", security.cert_file)
        told["ssl.keystore.key"] = _key(security.key_file)
    return told


def quoted(text: str) -> str:
    """Text as a quoted value of a JAAS configuration, which has the escapes of java.io.StreamTokenizer."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def _pem(name: str, file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{name} must be a PEM file that can be read, got {file!r}: {error}") from None


def _key(file: str) -> str:
    text = _pem("kafka_key", file)
    if _KEY not in text:
        raise BadSetting(
            f"kafka_key must be a PKCS #8 key without a password ({_KEY}) for Connect, got {file!r};"
            " openssl pkcs8 -topk8 -nocrypt makes it one"
        )
    return text
