"""TLS and SASL for both halves of the transport, from one Security.

Owns the translation to Faust's credentials for aiokafka, which fetches; that for librdkafka, which writes and
restores, is Security's own. Must never put a secret into a URL, a log line or a repr.
"""

import ssl
from typing import Any

from faust import SASLCredentials, SSLCredentials
from faust.exceptions import ImproperlyConfigured
from faust.types.auth import CredentialsT

from schemas.kafka import Security


def for_faust(security: Security) -> CredentialsT | None:
    """The Faust setting `broker_credentials`; it remembers where it came from, see `security_of`."""
    credentials: Any = None
    if security.sasl:
        credentials = SASLCredentials(
            username=security.username,
            password=security.password,
            ssl_context=_context(security),
            mechanism=security.mechanism,
        )
    elif security.tls:
        credentials = SSLCredentials(_context(security))
    if credentials is not None:
        credentials.security = security
    return credentials  # type: ignore[no-any-return]


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
            f"broker_credentials must come from for_faust(Security(...)), got {credentials!r}"
        )
    return security


def _context(security: Security) -> ssl.SSLContext | None:
    if not security.tls:
        return None
    context = ssl.create_default_context(cafile=security.ca_file)
    if security.cert_file is not None:
        context.load_cert_chain(security.cert_file, security.key_file)
    return context
