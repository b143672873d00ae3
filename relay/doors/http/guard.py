"""What stands before every route: who asks, how much they may send and how long that may take, and counting.

An ASGI layer. It reads the whole body within its limits before anything parses it, so that neither an endless
nor a creeping one costs more than its bytes. Every refusal is a problem document.
"""

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from relay.core.tokens import Denied, Grant, Tokens
from relay.doors.http import lines
from relay.doors.http.metrics import Metrics
from relay.doors.http.problem import MEDIA, Problem
from relay.doors.http.tokens import Lasting, grant_of, problem_of
from relay.listen import is_loopback
from schemas import defaults
from schemas.asgi import BodyRefused, Gone, Message, Receive, read_body

log = logging.getLogger("gateway")

BODY_BYTES_MAX = defaults.VALUE_BYTES_MAX
"""Of one call, but for those that bring many jobs."""

MANY_BYTES_MAX = 16 * defaults.MIB
"""Of one call with many jobs."""

FORM_BYTES_MAX = 64 * defaults.KIB
"""Of a form of a page."""

PAGES = "/dashboard"
"""Where the addresses for people begin."""

BODY_S = 15.0
"""How long a body may take to come."""

ATTEMPT_PATHS = ("/receipt", "/heartbeat")

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""What may be asked without a token: it tells nothing about jobs."""

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guard:
    """Stands before an app."""

    def __init__(
        self,
        app: App,
        tokens: Callable[[], Tokens],
        metrics: Metrics,
        trail: lines.Trail | None = None,
        *,
        loopback_only: bool,
    ) -> None:
        """`tokens` are those in force when asked. `loopback_only`: the service is for this machine, so no
        other name for it is right.
        """
        self.trail = trail
        """Who shows what was changed."""
        self._app = app
        self._tokens = tokens
        self._metrics = metrics
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":  # a web socket: nothing here speaks that
            await send({"type": "websocket.close", "code": 1008})
            return
        began_s = time.monotonic()
        sent = _Sent(send)
        try:
            await self._admit(scope, receive, sent)
        except Problem as problem:
            await _refuse(problem, sent)
        except BodyRefused as refused:
            await _refuse(_unread(refused), sent)
        except Denied as denied:
            await _refuse(problem_of(denied), sent)
        except Gone:
            sent.status = sent.status or 499
        finally:
            took_s = time.monotonic() - began_s
            self._metrics.request(scope, sent.status, took_s)
            lines.tell(scope, sent.status, sent.location, took_s, self.trail)

    async def _admit(self, scope: Scope, receive: Receive, send: "_Sent") -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        check_asked(headers, loopback_only=self._loopback_only)
        if scope["path"] not in OPEN_PATHS:
            find = partial(self._grant, scope["path"], headers.get(b"authorization"))
            lasting = scope["lasting"] = Lasting(self._tokens, find)
            scope["grant"] = lasting.grant
        pages = _is_page(scope["path"])
        if scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        limit = MANY_BYTES_MAX if scope["path"] == "/jobs" else FORM_BYTES_MAX if pages else BODY_BYTES_MAX
        body = await read_body(receive, headers.get(b"content-length", ""), limit, BODY_S)
        if body:
            _check_media(headers, "application/x-www-form-urlencoded" if pages else "application/json")
        await self._app(scope, _Replayed(body, receive), send)

    def _grant(self, path: str, authorization: str | None) -> Grant | None:
        """What who asks may do; None for a word about an attempt, which has a token of its own, and for a
        page, which has a cookie.
        """
        tokens = self._tokens()
        if authorization is None and tokens and (path.endswith(ATTEMPT_PATHS) or _is_page(path)):
            return None
        return grant_of(tokens, authorization)


async def _live(receive: Receive, send: Send) -> None:
    """Nothing begins or ends with the app itself."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


class _Sent:
    """Sends on, and remembers the status and where the answer points."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.location = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.location = next((said for name, said in message["headers"] if name == b"location"), b"")
        await self._send(message)


class _Replayed:
    """Gives a body that was read once more, then what else comes."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _unread(refused: BodyRefused) -> Problem:
    """The rest of a body that is not read would be taken for the next question, so the connection ends."""
    code = "oversize" if refused.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else None
    return Problem(refused.status, refused.sentence, code, headers={"Connection": "close"})


def _is_page(path: str) -> bool:
    """Whether an address is for people."""
    return path in {"/", PAGES} or path.startswith(f"{PAGES}/")


def _check_media(headers: dict[bytes, str], right: str) -> None:
    """A form of another site can post text, but not JSON; the forms of pages bring a word of their own."""
    media = headers.get(b"content-type", right).partition(";")[0].strip().lower()
    if media != right and not (right == "application/json" and media.endswith("+json")):
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type must be {right}, got {media!r:.100}")


def check_asked(headers: dict[bytes, str], *, loopback_only: bool) -> None:
    """A page of a stranger whose name was made to point here must not pass for this machine's own, and a
    browser says which site asks: only this one may. Problem otherwise.
    """
    if loopback_only:
        name = urlsplit(f"//{headers.get(b'host', '')}").hostname or "localhost"
        if not is_loopback(name):
            raise Problem(
                HTTPStatus.MISDIRECTED_REQUEST, f"Host must be a name of this machine, got {name!r:.100}"
            )
    origin = headers.get(b"origin")
    if origin is not None and urlsplit(origin).netloc.lower() != headers.get(b"host", "").lower():
        raise Problem(
            HTTPStatus.FORBIDDEN, f"other sites must not ask from a browser, got Origin {origin!r:.100}"
        )


async def _refuse(problem: Problem, send: _Sent) -> None:
    body = problem.body()
    headers = {"Content-Type": MEDIA, "Content-Length": str(len(body)), **problem.headers}
    raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
