"""Listens: the app on Hypercorn, over HTTP/1.1 and HTTP/2, and with a certificate over TLS and HTTP/3 too.

Owns the limits of connections, and who may listen where.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from relay.core.tokens import Tokens
from relay.doors.http.guard import App
from relay.listen import is_loopback, why_not
from relay.watched import BadFile, Watched, watched_tokens

log = logging.getLogger("gateway")

IDLE_S = 30.0
"""How long a connection may be idle, or take to send the head of a request."""

STOP_S = 5.0
"""How long answers under way may take when it is told to stop."""

HANDSHAKE_S = 10.0

BACKLOG = 1_024

HEAD_BYTES_MAX = 16 * 1_024

REQUESTS_MAX = 1_000_000
"""On one connection, before it is closed."""


class CannotServe(Exception):
    """The service cannot listen so; the text is a sentence."""


@dataclass(frozen=True)
class Listen:
    """Where and how."""

    address: str
    cert: str = ""
    key: str = ""

    @property
    def host(self) -> str:
        """The host, without brackets."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def url(self) -> str:
        """For people."""
        return f"{'https' if self.cert else 'http'}://{self.address}"


def tokens_of(path: str) -> Watched[Tokens]:
    """The tokens of a file; none if there is no path. CannotServe with a sentence."""
    try:
        return watched_tokens("http_tokens", path)
    except BadFile as bad:
        raise CannotServe(str(bad)) from None


def check_listen(listen: Listen, tokens: Tokens, *, may_be_open: bool) -> bool:
    """Whether only this machine is listened to. CannotServe if others could do what they like."""
    if bool(listen.cert) != bool(listen.key):
        raise CannotServe("http_cert and http_key must be set together, got one of them")
    keys = "http_tokens to a file of tokens"
    refused = why_not("http", listen.address, keys, locked=bool(tokens), may_be_open=may_be_open)
    if refused is not None:
        raise CannotServe(refused)
    return is_loopback(listen.host) and not tokens


async def serve(app: App, listen: Listen, stop: Callable[[], Awaitable[None]]) -> None:
    """Serves until `stop` returns. CannotServe if it cannot listen."""
    config = _config(listen)
    try:
        await hypercorn_serve(app, config, shutdown_trigger=stop)  # type: ignore[arg-type]  # is ASGI
    except OSError as error:
        raise CannotServe(f"cannot listen at {listen.address}: {error.strerror or error}") from None


def _config(listen: Listen) -> Config:
    config = Config()
    config.bind = [listen.address]
    config.backlog = BACKLOG
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn")
    config.loglevel = "WARNING"
    config.include_server_header = False
    config.keep_alive_timeout = IDLE_S
    config.keep_alive_max_requests = REQUESTS_MAX
    config.graceful_timeout = STOP_S
    config.shutdown_timeout = STOP_S
    config.ssl_handshake_timeout = HANDSHAKE_S
    config.h11_max_incomplete_size = HEAD_BYTES_MAX
    if listen.cert:
        for path in (listen.cert, listen.key):
            if not Path(path).is_file():
                raise CannotServe(f"http_cert and http_key must be files, got {path!r}")
        config.certfile, config.keyfile = listen.cert, listen.key
        config.quic_bind = [listen.address]
        port = listen.address.rpartition(":")[2]
        config.alt_svc_headers = [f'h3=":{port}"; ma=3600']
    return config
