"""HTTP in front of foreground calls: an ASGI app that makes of each request a call, and of its answer the
response.

Owns how requests and answers look on the wire. To be served alone (`jobstream gateway --calls-only`),
beside the HTTP service, or mounted in an app of one's own; it imports no framework. A client that hangs up
takes its call along.

    POST /call/<function>          the body is the arguments, the response is the answer
    ANY  /relay/<function>/<path>  the request as a whole is the argument: method, path, query, headers, body
    ANY  <prefix of `routes`>      the same, for addresses that know nothing of functions
"""

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

from jobstream.caller import Answer, Caller, OpenCall, Said
from jobstream.errors import (
    BadRequest,
    CallCancelled,
    CallEnded,
    CallFailed,
    CallLost,
    CallNotTaken,
    CallTimedOut,
)
from schemas.asgi import BodyRefused, Gone, Message, Receive, read_body
from schemas.defaults import CALL_BYTES_MAX, CONTENT_TYPE, TRACE_CHARS_MAX

log = logging.getLogger(__name__)

CALL = "/call/"
WHOLE = "/relay/"

BODY_S = 30.0
"""How long a body may take to come."""

WHOLE_BYTES_MAX = CALL_BYTES_MAX // 2
"""Of the body of a request that is relayed whole: in its JSON it may take a third more, and has company."""

MEDIA = "application/problem+json"
EVENTS = "text/event-stream"

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"te", b"trailer", b"upgrade")
)
"""Headers of one connection, which are nobody else's business (RFC 9110, section 7.6.1)."""

OPTIONS = frozenset(("within", "limit", "unique", "priority", "area", "again"))
"""What the query of POST /call/<function> may say."""

STATUSES: dict[type[CallEnded], HTTPStatus] = {
    CallNotTaken: HTTPStatus.SERVICE_UNAVAILABLE,
    CallFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    CallTimedOut: HTTPStatus.GATEWAY_TIMEOUT,
    CallLost: HTTPStatus.BAD_GATEWAY,
    CallCancelled: HTTPStatus.CONFLICT,
}

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Check = Callable[[Scope, str], None]
"""Raises Refusal unless who asks may call the function."""


class Refusal(Exception):
    """A request that is answered with a problem document (RFC 9457): status, sentence, further fields."""

    def __init__(self, status: int, sentence: str, **more: Any) -> None:
        super().__init__(sentence)
        self.status = status
        self.more = more


@dataclass
class _Asked:
    """A request, read."""

    scope: Scope
    function: str
    path: str
    whole: bool
    body: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)


class CallsApp:
    """The ASGI app.

    Args:
        caller: What it calls with. Opened and closed by whoever made it.
        routes: Functions that are given requests whole, by the beginning of the path: `{"/shop":
            "shop.web"}`.
        check: Who may call what; None: whoever reaches it may call anything.
    """

    def __init__(
        self, caller: Caller, *, routes: Mapping[str, str] | None = None, check: Check | None = None
    ) -> None:
        self._caller = caller
        self._routes = sorted((routes or {}).items(), key=lambda each: len(each[0]), reverse=True)
        self._check = check
        # Where somebody looks at tokens, they are for this door and not for functions.
        self._kept_back = HOP_BY_HOP if check is None else HOP_BY_HOP | {b"authorization"}

    def serves(self, path: str) -> bool:
        """True if a path is one of its own."""
        return path.startswith((CALL, WHOLE)) or any(path.startswith(prefix) for prefix, _ in self._routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            try:
                await self._serve(scope, receive, send)
            except Refusal as refusal:
                await _refuse(refusal, send)
            except Gone:
                log.debug("a client hung up path=%s", scope["path"])

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = self._asked(scope)
        if self._check is not None:
            self._check(scope, asked.function)
        asked.headers = {name.lower(): value for name, value in scope["headers"]}
        length = asked.headers.get(b"content-length", b"").decode("latin-1")
        asked.body = await _body(receive, asked, length)
        if asked.whole:
            answer = await _unless_gone(self._whole(asked), receive)
            await _send_whole(answer, send)
        elif EVENTS in asked.headers.get(b"accept", b"").decode("latin-1"):
            await _unless_gone(self._events(asked, send), receive)
        else:
            answer = await _unless_gone(self._answer(asked), receive)
            await _send_answer(answer, send)

    def _asked(self, scope: Scope) -> _Asked:
        """What a request is for."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path.startswith(CALL) and path != CALL:
            if scope["method"] != "POST":
                raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"a call must be a POST, got {scope['method']}")
            return _Asked(scope, path.removeprefix(CALL), path, whole=False)
        if path.startswith(WHOLE) and path != WHOLE:
            function, _, rest = path.removeprefix(WHOLE).partition("/")
            return _Asked(scope, unquote(function), f"/{rest}", whole=True)
        for prefix, function in self._routes:
            if path.startswith(prefix):
                return _Asked(scope, function, path, whole=True)
        raise Refusal(
            HTTPStatus.NOT_FOUND, f"there is no {path:.200}: POST {CALL}<function>, or {WHOLE}<function>/…"
        )

    # Calls.

    async def _answer(self, asked: _Asked, said: Callable[[Said, OpenCall], None] | None = None) -> Answer:
        options = _options(asked.scope["query_string"].decode("latin-1"))
        media_type = asked.headers.get(b"content-type", CONTENT_TYPE.encode()).decode("latin-1")
        return await self._called(asked, asked.body or None, content_type=media_type, said=said, **options)

    async def _whole(self, asked: _Asked) -> Answer:
        scope = asked.scope
        request: dict[str, Any] = {
            "method": scope["method"],
            "path": asked.path,
            "query": scope["query_string"].decode("latin-1"),
            "headers": [
                [name.decode("latin-1").lower(), value.decode("latin-1")]
                for name, value in scope["headers"]
                if name.lower() not in self._kept_back
            ],
        }
        try:
            request["body"] = asked.body.decode()
        except UnicodeDecodeError:
            request["body_base64"] = base64.b64encode(asked.body).decode()
        return await self._called(asked, request)

    async def _called(self, asked: _Asked, args: Any, **options: Any) -> Answer:
        client = asked.scope.get("client")
        options["caller"] = f"http:{client[0]}:{client[1]}" if client else "http"
        options["trace"] = asked.headers.get(b"traceparent", b"").decode("latin-1")[:TRACE_CHARS_MAX]
        try:
            return await self._caller.answer(asked.function, args, **options)
        except BadRequest as bad:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(bad)) from None
        except CallFailed as failed:
            raise Refusal(
                STATUSES[CallFailed],
                str(failed),
                error_type=failed.error_type,
                error_message=failed.message,
                non_retryable=failed.non_retryable,
            ) from None
        except CallEnded as ended:
            raise Refusal(STATUSES.get(type(ended), HTTPStatus.BAD_GATEWAY), str(ended)) from None

    async def _events(self, asked: _Asked, send: Send) -> None:
        """The answer as server-sent events: what is said meanwhile, then `end` or `problem`."""
        waiting: asyncio.Queue[Said] = asyncio.Queue()
        calling = asyncio.create_task(self._answer(asked, lambda said, _: waiting.put_nowait(said)))
        headers = [(b"content-type", EVENTS.encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        try:
            while not (calling.done() and waiting.empty()):
                getting = asyncio.create_task(waiting.get())
                await asyncio.wait({getting, calling}, return_when=asyncio.FIRST_COMPLETED)
                if not getting.done():
                    getting.cancel()
                    continue
                said = getting.result()
                told = (
                    {"done": said.done, "total": said.total} if said.kind == "status" else _shown(said.data)
                )
                await send({"type": "http.response.body", "body": _event(said.kind, told), "more_body": True})
            try:
                end = _event("end", _valued(calling.result()))
            except Refusal as refusal:
                end = _event("problem", _problem(refusal))
            await send({"type": "http.response.body", "body": end})
        finally:
            calling.cancel()


async def _unless_gone(work: Awaitable[Any], receive: Receive) -> Any:
    """What a call gives, unless its client hangs up before: then the call ends too."""
    working, listening = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({working, listening}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise Gone
    finally:
        working.cancel()
        listening.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive, asked: _Asked, length: str) -> bytes:
    limit = WHOLE_BYTES_MAX if asked.whole else CALL_BYTES_MAX
    try:
        return await read_body(receive, length, limit, BODY_S)
    except BodyRefused as refused:
        raise Refusal(refused.status, refused.sentence) from None


def _options(query: str) -> dict[str, Any]:
    """The options of a call, from its query: `within=2&limit=30&area=eu:0.2&area=us`; times in seconds."""
    found: dict[str, Any] = {"areas": []}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in OPTIONS:
            raise Refusal(
                HTTPStatus.BAD_REQUEST, f"the query may say {', '.join(sorted(OPTIONS))}, got {name!r:.80}"
            )
        if name == "area":
            area, separator, time = value.partition(":")
            found["areas"].append((area, _seconds(name, time)) if separator else area)
        elif name in ("within", "limit"):
            found[name] = _seconds(name, value)
        else:
            found[name] = value in ("", "yes", "true") if name == "again" else value
    return found


def _seconds(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} must be seconds, got {text!r:.80}") from None


# Responses.


def _told(answer: Answer) -> Headers:
    """What is told of a call besides its answer."""
    return [
        (b"jobstream-relay", answer.relay.encode()),
        (b"jobstream-minion", answer.minion.encode()),
        (b"jobstream-waited-ms", b"%d" % answer.waited_ms),
        (b"jobstream-ran-ms", b"%d" % answer.ran_ms),
        (b"jobstream-cached", b"true" if answer.cached else b"false"),
    ]


async def _send_answer(answer: Answer, send: Send) -> None:
    value = answer.value
    body = value if isinstance(value, bytes) else _json(value)
    media_type = answer.content_type if isinstance(value, bytes) else CONTENT_TYPE
    await _send(send, HTTPStatus.OK, [(b"content-type", media_type.encode()), *_told(answer)], body)


async def _send_whole(answer: Answer, send: Send) -> None:
    """What a function made of a request: an object with status, headers and body, or the body alone."""
    value = answer.value
    if not isinstance(value, dict) or not value.keys() & {"status", "headers", "body", "body_base64"}:
        await _send_answer(answer, send)
        return
    try:
        status = _status(value.get("status", HTTPStatus.OK))
        pairs = value.get("headers") or []
        pairs = pairs.items() if isinstance(pairs, dict) else pairs
        headers = [(str(name).lower().encode("latin-1"), str(one).encode("latin-1")) for name, one in pairs]
        body = value.get("body", "")
        if "body_base64" in value:
            raw = base64.b64decode(value["body_base64"], validate=True)
        else:
            raw = body.encode() if isinstance(body, str) else _json(body)
    except (ValueError, TypeError) as wrong:
        sentence = f"the function must answer a whole request with status, headers and body: {wrong}"
        raise Refusal(HTTPStatus.BAD_GATEWAY, sentence) from None
    kept = [(name, one) for name, one in headers if name not in HOP_BY_HOP and name != b"content-length"]
    if not any(name == b"content-type" for name, _ in kept):
        kept.append(
            (
                b"content-type",
                b"text/plain; charset=utf-8" if isinstance(body, str) else CONTENT_TYPE.encode(),
            )
        )
    await _send(send, status, [*kept, *_told(answer)], raw)


def _status(found: Any) -> int:
    if not isinstance(found, int) or not HTTPStatus.OK <= found < 600:  # noqa: PLR2004  # the last one there is
        raise ValueError(f"status must be a number from 200 to 599, got {found!r:.80}")
    return found


async def _refuse(refusal: Refusal, send: Send) -> None:
    headers: Headers = [(b"content-type", MEDIA.encode())]
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"1"))
    await _send(send, refusal.status, headers, _json(_problem(refusal)))


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _problem(refusal: Refusal) -> dict[str, Any]:
    title = HTTPStatus(refusal.status).phrase
    return {
        "type": "about:blank",
        "title": title,
        "status": int(refusal.status),
        "detail": str(refusal),
        **refusal.more,
    }


def _event(kind: str, value: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + _json(value) + b"\n\n"


def _valued(answer: Answer) -> Any:
    return _shown(answer.value) if isinstance(answer.value, bytes) else answer.value


def _shown(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


async def _live(receive: Receive, send: Send) -> None:
    """Nothing begins or ends with the app itself."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
