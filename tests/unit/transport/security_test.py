"""One set of TLS and SASL settings for both clients."""

import re
from typing import Any

import pytest
from faust import SASLCredentials
from faust.exceptions import ImproperlyConfigured

from schemas.kafka import Security
from streams.transport.security import for_faust, security_of


def test_plaintext_tells_neither_client_anything() -> None:
    """The default."""
    assert for_faust(Security()) is None
    assert Security().for_librdkafka() == {"security.protocol": "PLAINTEXT"}


def test_sasl_reaches_both() -> None:
    """The same mechanism, user and password."""
    security = Security("SASL_PLAINTEXT", mechanism="SCRAM-SHA-256", username="u", password="p")  # noqa: S106
    credentials: Any = for_faust(security)
    assert security.for_librdkafka() == {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "u",
        "sasl.password": "p",
    }
    assert (credentials.mechanism.value, credentials.username, credentials.password) == (
        "SCRAM-SHA-256",
        "u",
        "p",
    )
    assert credentials.protocol.value == "SASL_PLAINTEXT"
    assert security_of(credentials) is security


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
def test_tls_reaches_both(protocol: str) -> None:
    """Faust gets a context that checks names, librdkafka the protocol."""
    sasl = {"mechanism": "PLAIN", "username": "u", "password": "p"} if protocol == "SASL_SSL" else {}
    credentials: Any = for_faust(Security(protocol, **sasl))
    context = getattr(credentials, "context", None) or credentials.ssl_context
    assert credentials.protocol.value == protocol
    assert context.check_hostname


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"protocol": "TLS"}, "protocol must be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, got 'TLS'"),
        ({"protocol": "SASL_SSL"}, "mechanism must be given for SASL and only then, got None with SASL_SSL"),
        (
            {"mechanism": "PLAIN"},
            "mechanism must be given for SASL and only then, got 'PLAIN' with PLAINTEXT",
        ),
        ({"protocol": "SASL_SSL", "mechanism": "X"}, "mechanism must be one of PLAIN, SCRAM-SHA-256"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, str], sentence: str) -> None:
    """With the value found."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Security(**settings)


def test_no_password_is_shown() -> None:
    """Neither by the settings nor by Faust's credentials."""
    security = Security("SASL_PLAINTEXT", mechanism="PLAIN", username="u", password="geheim")  # noqa: S106
    assert "geheim" not in repr(security) + repr(for_faust(security))


def test_credentials_made_by_hand_are_refused() -> None:
    """Half of the transport would not know them."""
    with pytest.raises(ImproperlyConfigured, match="must come from for_faust"):
        security_of(SASLCredentials(username="u", password="p"))  # noqa: S106
