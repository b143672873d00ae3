"""How a minion reaches its relays: in the clear or by TLS, with a certificate and a token of its own, or
without.

Owns the files, which are read again for each session, so that what was exchanged is used from then on. It
must never log what is in them.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from jobstream.errors import BadRequest
from schemas.settings import Settings, secret

SYSTEM = "system"
"""In place of a file: the authorities that this machine trusts."""


class CannotConnect(Exception):
    """Something that a connection needs is not there; the text is a sentence without any secret."""


@dataclass(frozen=True)
class Wire:
    """How to connect.

    Attributes:
        token: What is shown to relays, or @ and the file that has it; empty: nothing.
        ca: File with the authorities that sign relays' certificates, or `system`; empty: no TLS.
        cert: File with the minion's certificate, for relays that want one; empty: it has none.
        key: File with the key of that certificate.
        names: Under which name an address was found, where it was: its certificate has the name.
    """

    token: str = field(default="", repr=False)
    ca: str = ""
    cert: str = ""
    key: str = ""
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises BadRequest for what does not go together."""
        if bool(self.cert) != bool(self.key):
            raise BadRequest("cert and key must be given together, got one of them")
        if self.cert and not self.ca:
            raise BadRequest(
                "a certificate needs ca, the authorities that sign relays' certificates; got none"
            )

    def shown(self) -> str:
        """The token. CannotConnect if its file cannot be read."""
        try:
            return secret(self.token)
        except (OSError, UnicodeDecodeError) as error:
            raise CannotConnect(f"the token cannot be read: {error}") from None

    def channel(self, address: str, options: tuple[tuple[str, Any], ...]) -> grpc.aio.Channel:
        """A channel to a relay. CannotConnect if a file cannot be read."""
        credentials = self.credentials()
        if credentials is None:
            return grpc.aio.insecure_channel(address, options=options)
        if address in self.names:
            options = (*options, ("grpc.ssl_target_name_override", self.names[address]))
        return grpc.aio.secure_channel(address, credentials, options=options)

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Of a channel; None: it is in the clear. CannotConnect if a file cannot be read."""
        if not self.ca:
            return None
        return grpc.ssl_channel_credentials(
            None if self.ca == SYSTEM else _read(self.ca),
            _read(self.key) if self.key else None,
            _read(self.cert) if self.cert else None,
        )


def wire_of(settings: Settings) -> Wire:
    """How the settings say that minions connect. BadRequest for what does not go together."""
    return Wire(settings.relay_token, settings.relay_ca, settings.minion_cert, settings.minion_key)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CannotConnect(f"a file of the connection cannot be read: {error}") from None
