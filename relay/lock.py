"""The lock of the minions' edge: TLS, certificates of minions, tokens. All of it read again when it changes.

Owns what is asked of who connects, and the credentials of the server. Never keeps a token, only its hash;
never logs either.
"""

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc

from relay.core.tokens import Credential, Grant
from relay.listen import why_not
from relay.watched import BadFile, Watched, watched_tokens
from schemas.settings import Settings

log = logging.getLogger("relay.lock")

NAMES = ("x509_common_name", "x509_subject_alternative_name")
"""Where gRPC tells the names of a certificate that it has verified."""


@dataclass(frozen=True)
class Pair:
    """What a server shows, and whose certificates it asks for; None: it asks for none."""

    cert: bytes
    key: bytes
    clients: bytes | None

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """As gRPC wants it."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.cert)], self.clients)


class Lock:
    """What is asked of who connects to a relay."""

    def __init__(self, settings: Settings) -> None:
        """Reads its files; BadFile if they cannot be used, or the address would be open."""
        cert, key, clients = settings.relay_cert, settings.relay_key, settings.relay_clients
        if bool(cert) != bool(key):
            raise BadFile("relay_cert and relay_key must be set together, got one of them")
        if clients and not cert:
            raise BadFile("relay_clients must come with relay_cert and relay_key, got it alone")
        self._tokens = watched_tokens("relay_tokens", settings.relay_tokens)
        self._pair: Watched[Pair | None] = Watched(
            "relay_cert", [path for path in (cert, key, clients) if path], lambda: _pair(cert, key, clients)
        )
        open_word = settings.relay_open == "yes"
        sentence = why_not(
            "relay",
            settings.relay,
            "relay_tokens to a file of tokens, or relay_cert, relay_key and relay_clients",
            locked=bool(settings.relay_tokens or clients),
            may_be_open=open_word,
        )
        if sentence is not None:
            raise BadFile(sentence)

    def credentials(self) -> grpc.ServerCredentials | None:
        """Of the server; None: it speaks in the clear. Each new connection gets the certificate in force."""
        pair = self._pair.value
        if pair is None:
            return None
        return grpc.dynamic_ssl_server_credentials(
            pair.configuration(), self._configuration, require_client_authentication=pair.clients is not None
        )

    def grant(self, credential: Credential) -> Grant:
        """What who connects may do; Denied with a sentence."""
        return self._tokens.value.grant(credential)

    def look(self, *, again: bool = False) -> bool:
        """Reads again what changed, or all of it; True if other tokens are in force."""
        self._pair.look(again=again)
        return self._tokens.look(again=again)

    def __str__(self) -> str:
        """For people."""
        pair = self._pair.value
        tls = "no" if pair is None else "yes" if pair.clients is None else "mutual"
        return f"tls={tls} tokens={'yes' if self._tokens.value else 'no'}"

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        pair = self._pair.value
        assert pair is not None, "certificates that were there do not go away"
        return pair.configuration()


def _pair(cert: str, key: str, clients: str) -> Pair | None:
    """ValueError or OSError if they do not belong together: gRPC would find out at the first connection
    only.
    """
    if not cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if clients:
        context.load_verify_locations(clients)
    return Pair(
        Path(cert).read_bytes(), Path(key).read_bytes(), Path(clients).read_bytes() if clients else None
    )


def credential_of(token: str, told: Mapping[str, object] | None) -> Credential:
    """What who connects shows: a token, and what gRPC tells of a verified certificate."""
    names: set[str] = set()
    for field in NAMES:
        found = (told or {}).get(field)
        if isinstance(found, list | tuple):
            names.update(each.decode("utf-8", "replace") for each in found)
    return Credential.of(token, names)
