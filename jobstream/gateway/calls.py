"""Foreground calls beside the HTTP service, or in its place where there is no Kafka.

Owns who may call what: the tokens and the host of the service hold for calls too.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from jobstream.caller import Caller
from jobstream.calls_app import CALL, WHOLE, CallsApp, Check, Refusal, Scope, Send
from schemas.asgi import Message, Receive
from schemas.settings import Settings
from schemas.telemetry import logs
from schemas.telemetry.process import Telemetry

if TYPE_CHECKING:
    from relay.core.tokens import Tokens
    from relay.doors.http.guard import App
    from relay.doors.http.metrics import Metrics

log = logging.getLogger("gateway")

NS_PER_S = 1_000_000_000


def check_of(tokens: "Callable[[], Tokens]", *, loopback_only: bool) -> Check:
    """The rules of the HTTP service, for calls."""
    from relay.core.tokens import Denied
    from relay.core.tokens import Scope as May
    from relay.doors.http.guard import check_asked
    from relay.doors.http.problem import Problem
    from relay.doors.http.tokens import grant_of, problem_of

    def check(scope: Scope, function: str) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            check_asked(headers, loopback_only=loopback_only)
            grant_of(tokens(), headers.get(b"authorization")).check(May.SUBMIT, None, function)
        except Denied as denied:
            problem = problem_of(denied)
            raise Refusal(problem.status, problem.sentence) from None
        except Problem as problem:
            raise Refusal(problem.status, problem.sentence) from None

    return check


@dataclass(frozen=True)
class Route:
    """What the service's counts and lines call an address of a call."""

    path: str


ROUTES = {CALL: Route(f"{CALL}{{function}}"), WHOLE: Route(f"{WHOLE}{{function}}/{{path}}")}
NOWHERE = Route("none")


def _route(path: str) -> Route:
    return next((route for prefix, route in ROUTES.items() if path.startswith(prefix)), NOWHERE)


def counted(calls: CallsApp, metrics: "Metrics") -> "App":
    """An app that counts and times what it answers, with a line of the access log for each, as the service
    does.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await calls(scope, receive, send)
            return
        began_s, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        scope["route"] = _route(scope["path"])
        try:
            await calls(scope, receive, noting)
        finally:
            took_s = time.perf_counter() - began_s
            metrics.request(scope, status, took_s)
            _tell(scope, status, took_s)

    return app


def _tell(scope: Scope, status: int, took_s: float) -> None:
    """The line of one request. What its relay has to say of the call is in that one's line."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    address, port = scope.get("client") or (None, None)
    fields = {
        logs.DOOR: "http",
        logs.CLIENT: address,
        "client.port": port,
        logs.TRACE: logs.trace_id(headers.get(b"traceparent")),
        "http.request.method": scope["method"],
        "http.response.status_code": status,
        "http.version": scope.get("http_version"),
        "url.path": scope["path"],
    }
    outcome = logs.FAILURE if not status or status >= HTTPStatus.BAD_REQUEST else logs.SUCCESS
    logs.access(f"{scope['method']} {scope['route'].path}", outcome, int(took_s * NS_PER_S), fields)


def beside(calls: CallsApp, metrics: "Metrics", service: "App") -> "App":
    """An app that gives calls their requests, and the service all others."""
    ours = counted(calls, metrics)

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        is_ours = scope["type"] == "http" and calls.serves(scope["path"])
        await (ours if is_ours else service)(scope, receive, send)

    return both


async def run_alone(settings: Settings) -> None:
    """Serves calls only, until SIGTERM or SIGINT. CannotServe if it cannot listen."""
    from relay.doors.http.metrics import Metrics
    from relay.doors.http.serve import Listen, check_listen, serve, tokens_of

    listen = Listen(settings.http, settings.http_cert, settings.http_key)
    tokens = tokens_of(settings.http_tokens)
    loopback_only = check_listen(listen, tokens.value, may_be_open=settings.http_open == "yes")
    telemetry = Telemetry(settings, "gateway")
    telemetry.begin()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with Caller(settings.relay, name="gateway") as caller:
        calls = CallsApp(caller, check=check_of(lambda: tokens.value, loopback_only=loopback_only))
        app = counted(calls, Metrics(telemetry.meter))
        log.info("gateway listens for calls only url=%s relays=%s", listen.url, settings.relay)

        async def stopped() -> None:
            await stop.wait()

        await serve(app, listen, stopped)
    await asyncio.to_thread(telemetry.end)
    log.info("gateway stopped")
