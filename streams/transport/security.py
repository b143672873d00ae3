"""TLS and SASL for both halves of the transport, from one set of settings.

Owns the translation: to Faust's credentials for aiokafka, which fetches, and to librdkafka's properties,
which writes and restores. Must never put a secret into a URL, a log line or a repr.
"""

import ssl
from dataclasses import dataclass, field
from typing import Any, Final

from faust import SASLCredentials, SSLCredentials
from faust.exceptions import ImproperlyConfigured
from faust.types.auth import CredentialsT

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
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {self.protocol!r}")
        if self.sasl != (self.mechanism is not None):
            raise ValueError(
                f"mechanism must be given for SASL and only then, got {self.mechanism!r} with {self.protocol}"
            )
        if self.sasl and self.mechanism not in MECHANISMS:
            raise ValueError(f"mechanism must be one of {', '.join(MECHANISMS)}, got {self.mechanism!r}")

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

    def for_faust(self) -> CredentialsT | None:
        """The Faust setting `broker_credentials`; it remembers where it came from, see `security_of`."""
        credentials: Any = None
        if self.sasl:
            credentials = SASLCredentials(
                username=self.username,
                password=self.password,
                ssl_context=self._context(),
                mechanism=self.mechanism,
            )
        elif self.tls:
            credentials = SSLCredentials(self._context())
        if credentials is not None:
            credentials.security = self
        return credentials  # type: ignore[no-any-return]

    def _context(self) -> ssl.SSLContext | None:
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context


def security_of(credentials: CredentialsT | None) -> Security:
    """What `for_faust` made the credentials from.

    Raises:
        ImproperlyConfigured: they were made by hand, so librdkafka can't be told about them.
    """
    if credentials is None:
        return Security()
    security = getattr(credentials, "security", None)
    if not isinstance(security, Security):
        raise ImproperlyConfigured(
            f"broker_credentials must come from Security(...).for_faust(), got {credentials!r}"
        )
    return security
