"""Foreground calls beside the HTTP service, or in its place where there is no Kafka.

Owns who may call what: the tokens and the host of the service hold for calls too.
"""

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from jobstream.caller import Caller
from jobstream.calls_app import CallsApp, Check, Refusal, Scope, Send
from schemas.asgi import Receive
from schemas.settings import Settings

if TYPE_CHECKING:
    from relay.core.tokens import Tokens
    from relay.doors.http.guard import App

log = logging.getLogger("gateway")


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


def beside(calls: CallsApp, service: "App") -> "App":
    """An app that gives calls their requests, and the service all others."""

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and calls.serves(scope["path"])
        await (calls if ours else service)(scope, receive, send)

    return both


async def run_alone(settings: Settings) -> None:
    """Serves calls only, until SIGTERM or SIGINT. CannotServe if it cannot listen."""
    from relay.doors.http.serve import Listen, check_listen, serve, tokens_of

    listen = Listen(settings.http, settings.http_cert, settings.http_key)
    tokens = tokens_of(settings.http_tokens)
    loopback_only = check_listen(listen, tokens.value, may_be_open=settings.http_open == "yes")
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with Caller(settings.relay, name="gateway") as caller:
        app = CallsApp(caller, check=check_of(lambda: tokens.value, loopback_only=loopback_only))
        log.info("gateway listens for calls only url=%s relays=%s", listen.url, settings.relay)

        async def stopped() -> None:
            await stop.wait()

        await serve(app, listen, stopped)
    log.info("gateway stopped")
