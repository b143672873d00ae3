"""How Kafka is reached: addresses, and with them TLS and SASL. One word of it for all that is built on
librdkafka.

Owns the translation into librdkafka's properties. Must never put a secret into a log line or a repr.

    AdminClient({**librdkafka(settings.kafka), "client.id": "..."})
"""

from dataclasses import dataclass, field
from typing import Any, Final, Self

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True)
class Security:
    """How to talk to the brokers. Files are PEM, paths; without `ca_file` the system's authorities are
    trusted.
    """

    protocol: str = "PLAINTEXT"
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError, with a sentence, for what does not go together."""
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {self.protocol!r}")
        if self.sasl != (self.mechanism is not None):
            raise ValueError(
                f"mechanism must be given for SASL and only then, got {self.mechanism!r} with {self.protocol}"
            )
        if self.sasl and self.mechanism not in MECHANISMS:
            raise ValueError(f"mechanism must be one of {', '.join(MECHANISMS)}, got {self.mechanism!r}")
        if self.sasl and not self.username:
            raise ValueError(f"username must be given for SASL, got {self.username!r}")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file must be given together, got one of them")
        if not self.tls and (self.ca_file is not None or self.cert_file is not None):
            raise ValueError(f"certificates must be given for TLS only, got them with {self.protocol}")

    @property
    def sasl(self) -> bool:
        """True if a user is named."""
        return self.protocol.startswith("SASL_")

    @property
    def tls(self) -> bool:
        """True if the connection is encrypted."""
        return self.protocol.endswith("SSL")

    def for_librdkafka(self) -> dict[str, Any]:
        """Properties of librdkafka."""
        properties = {
            "security.protocol": self.protocol,
            "ssl.ca.location": self.ca_file,
            "ssl.certificate.location": self.cert_file,
            "ssl.key.location": self.key_file,
            "sasl.mechanism": self.mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password,
        }
        return {name: value for name, value in properties.items() if value is not None}


class Brokers(str):
    """Where Kafka is, `host:port[,host:port]`, and how it is talked to. It is what it prints as, the
    addresses alone, so it may be given wherever a plain address may.
    """

    __slots__ = ("security",)

    security: Security

    def __new__(cls, bootstrap: str, security: Security) -> Self:
        """Addresses, as a setting has them."""
        made = super().__new__(cls, bootstrap)
        made.security = security
        return made


def librdkafka(bootstrap: str) -> dict[str, Any]:
    """What every librdkafka client's configuration begins with; a plain address is talked to in the clear."""
    security = bootstrap.security if isinstance(bootstrap, Brokers) else Security()
    return {"bootstrap.servers": str(bootstrap), **security.for_librdkafka()}
