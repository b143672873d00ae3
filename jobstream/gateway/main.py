"""Runs the HTTP service with the settings of the environment until it is told to stop."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobstream.errors import (
    JobstreamError,
    JobUnknown,
    NotReachable,
    SubmitFailed,
    SubmitTimedOut,
    TopicsMissing,
)
from jobstream.gateway.desk import KafkaDesk
from jobstream.gateway.outlook import KafkaOutlook
from jobstream.gateway.workers import Workers
from schemas.registered import RegistryFailed, adopt
from schemas.settings import Settings
from schemas.telemetry.process import Telemetry
from schemas.topics import Topics

if TYPE_CHECKING:
    from relay.doors.http.door import Door
    from relay.doors.http.views import WorkerPages

log = logging.getLogger("gateway")

SECRET_BYTES_MIN = 16

LOOK_S = 1.0
"""How soon a file of tokens that changed is read again."""

EXCUSES: dict[type[Exception], int] = {
    NotReachable: HTTPStatus.SERVICE_UNAVAILABLE,
    TopicsMissing: HTTPStatus.SERVICE_UNAVAILABLE,
    SubmitTimedOut: HTTPStatus.SERVICE_UNAVAILABLE,
    SubmitFailed: HTTPStatus.BAD_GATEWAY,
}


class GatewayFailed(JobstreamError):
    """The HTTP service cannot run so; the text is one sentence."""


def main(settings: Settings) -> int:
    """Serves until SIGTERM or Ctrl-C; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(run(settings))
    return 0


async def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        GatewayFailed: The settings do not allow it, its address is taken, or the extra `http` is missing.
        NotReachable, TopicsMissing: Kafka does not answer, or the topics are not there.
    """
    try:
        from relay.doors.http.serve import CannotServe
    except ModuleNotFoundError as missing:
        raise GatewayFailed(
            f"the HTTP service needs the extra http, which is not installed ({missing.name} is missing):"
            " pip install 'jobstream[http]'"
        ) from None
    try:
        if settings.calls_only == "yes":
            from jobstream.gateway.calls import run_alone

            await run_alone(settings)
        else:
            await _run(settings)
    except CannotServe as cannot:
        raise GatewayFailed(str(cannot)) from None


async def _run(settings: Settings) -> None:
    from jobstream.caller import Caller
    from jobstream.calls_app import CallsApp
    from jobstream.gateway.calls import beside, check_of
    from relay.doors.dashboard.app import Dashboard
    from relay.doors.dashboard.live import Live
    from relay.doors.dashboard.signin import SignIn
    from relay.doors.http.app import create_app
    from relay.doors.http.door import Door
    from relay.doors.http.metrics import Metrics
    from relay.doors.http.serve import Listen, check_listen, serve, tokens_of
    from relay.doors.http.views import WorkerPages

    try:
        await asyncio.to_thread(adopt, settings)
    except RegistryFailed as failed:
        raise GatewayFailed(str(failed)) from None
    listen = Listen(settings.http, settings.http_cert, settings.http_key)
    tokens = tokens_of(settings.http_tokens)
    loopback_only = check_listen(listen, tokens.value, may_be_open=settings.http_open == "yes")
    workers = Workers(settings.kafka, Topics(settings.prefix).workers, (settings.web,))
    views = tuple(settings.views.split(","))
    pages = WorkerPages(lambda: views if settings.views else workers.addresses())
    name = f"gateway:{socket.gethostname()}:{os.getpid()}"
    trusting = frozenset(part for part in settings.http_trust.split(",") if part)
    telemetry = Telemetry(settings, "gateway")
    telemetry.begin(listen=False)
    async with (
        KafkaDesk(settings, _look_up(pages)) as desk,
        workers,
        KafkaOutlook(settings, desk.topics) as outlook,
        Live(pages, outlook) as live,
    ):
        secret = _secret(settings.http_secret)
        door = Door(desk, pages, Metrics(telemetry.meter), secret, name, trusting)
        signin = SignIn(lambda: tokens.value, secret, lambda: int(time.time()))
        dashboard = Dashboard(door, live, outlook, signin, EXCUSES, secure=bool(settings.http_cert))
        app = create_app(
            door, lambda: tokens.value, EXCUSES, loopback_only=loopback_only, dashboard=dashboard
        )
        stop = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
        log.info(
            "gateway listens url=%s prefix=%s tokens=%s",
            listen.url,
            settings.prefix,
            "yes" if tokens.value else "no",
        )

        async def stopped() -> None:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await stop.wait()
                        return
                tokens.look()

        async with (
            _pushing(settings, door, listen.url, desk.topics.partitions, secret),
            Caller(settings.relay, name="gateway") as caller,
        ):
            may = check_of(lambda: tokens.value, loopback_only=loopback_only)
            await serve(beside(CallsApp(caller, check=may), door.metrics, app), listen, stopped)
        await pages.close()
    await asyncio.to_thread(telemetry.end)
    log.info("gateway stopped")


@contextlib.asynccontextmanager
async def _pushing(
    settings: Settings, door: "Door", url: str, partitions: int, secret: bytes
) -> AsyncIterator[None]:
    """A minion for the functions behind URLs, while the service runs; nothing if there are none."""
    if not settings.http_push:
        yield
        return
    from jobstream.gateway.push import Pushes, read_pushes
    from jobstream.minion import Minion
    from jobstream.minion.wire import wire_of

    try:
        text = await asyncio.to_thread(Path(settings.http_push).read_text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GatewayFailed(f"http_push must be a file, got {settings.http_push!r}: {error}") from None
    pushes = Pushes(read_pushes(text), url, secret, partitions)
    door.taken_here = pushes.take
    async with Minion(pushes.functions(), relay=settings.relay, wire=wire_of(settings)):
        yield
    await pushes.close()


def _look_up(pages: "WorkerPages") -> Any:
    from relay.doors.http.problem import Problem

    async def look_up(id: str, key: str | None) -> dict[str, Any]:
        try:
            return await pages.job(id, key)
        except Problem as problem:
            if problem.status == HTTPStatus.NOT_FOUND:
                raise JobUnknown(problem.sentence) from None
            raise NotReachable(problem.sentence) from None

    return look_up


def _secret(path: str) -> bytes:
    """What signs tokens: of the file, else made for this process alone."""
    if not path:
        return secrets.token_bytes(32)
    try:
        secret = Path(path).read_bytes().strip()
    except OSError as error:
        raise GatewayFailed(f"http_secret must be a file, got {path!r}: {error.strerror}") from None
    if len(secret) < SECRET_BYTES_MIN:
        raise GatewayFailed(
            f"http_secret must have {SECRET_BYTES_MIN} bytes at least, got {len(secret)} in {path!r}"
        )
    return secret
