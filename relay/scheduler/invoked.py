"""Minions as functions behind a URL, as serverless platforms have them: a POST starts one, and it connects
back to the relay, serves as many jobs as come, and answers the POST when it leaves.

Owns the calls. What runs there must be a minion (`jobstream.minion.invoked`); one job per call is the HTTP
service's business, not this module's. Neither the token nor the headers are ever logged.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any

from relay.scheduler.pools import LaunchFailed

CONNECT_S = 10.0
"""How long a connection to the platform may take."""

LATE_S = 10.0
"""A platform that has not answered so long after a call's limit has lost it."""

WORDS_CHARS_MAX = 300
"""Of a response that tells of a failure, taken into the log."""

AGAIN_AFTER_S_MAX = 3_600.0
"""The longest pause that a platform may ask for."""


@dataclass(frozen=True)
class Invoked:
    """Calls a URL for each minion. Needs httpx, of the extra `http`.

    The body is JSON: `relay` (host:port to connect to), `minion` (the name it shall have), `concurrency`,
    `queues`, `functions`, `idle_ms` (leave after so long without a job) and `limit_ms` (be gone after so
    long). The call must be answered when the minion has left, with 200 and a JSON object that has `jobs`, how
    many it served; `jobstream.minion.invoked` makes it. Nothing tells a call to leave sooner: it goes when it
    is idle, or its time is up.
    """

    url: str
    concurrency: int
    queues: tuple[str, ...]
    functions: tuple[str, ...]
    idle_s: float
    limit_s: float
    headers: Mapping[str, str] = field(default_factory=dict)

    async def run(self, name: str, relay: str, leave: asyncio.Event) -> str:
        """One call. LaunchFailed if it was not answered well."""
        import httpx  # noqa: PLC0415 - relays without such pools do without it

        body = {
            "relay": relay,
            "minion": name,
            "concurrency": self.concurrency,
            "queues": self.queues,
            "functions": self.functions,
            "idle_ms": int(self.idle_s * 1_000),
            "limit_ms": int(self.limit_s * 1_000),
        }
        timeout = httpx.Timeout(self.limit_s + LATE_S, connect=CONNECT_S)
        tls = await asyncio.to_thread(_tls)
        async with httpx.AsyncClient(timeout=timeout, trust_env=False, verify=tls) as client:
            calling = asyncio.ensure_future(client.post(self.url, json=body, headers=dict(self.headers)))
            told = asyncio.ensure_future(leave.wait())
            try:
                await asyncio.wait({calling, told}, return_when=asyncio.FIRST_COMPLETED)
                if not calling.done():
                    return "its call was given up"
                return _outcome(calling.result())
            except httpx.HTTPError as error:
                raise LaunchFailed(f"{self.url} does not answer: {type(error).__name__}: {error}") from None
            finally:
                calling.cancel()
                told.cancel()
                await asyncio.gather(calling, told, return_exceptions=True)


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the authorities takes tens of milliseconds, and each client would by itself."""
    import httpx  # noqa: PLC0415 - as above

    return httpx.create_ssl_context(trust_env=False)


def _outcome(response: Any) -> str:
    """What became of a call. LaunchFailed unless a minion was there, and left by itself."""
    words = response.text[:WORDS_CHARS_MAX]
    if response.status_code != HTTPStatus.OK:
        after = response.headers.get("retry-after", "")
        again_after_s = min(float(after[:9]), AGAIN_AFTER_S_MAX) if after.isdigit() else 0.0
        raise LaunchFailed(f"its call was answered {response.status_code}: {words}", again_after_s)
    try:
        jobs = response.json()["jobs"]
    except (ValueError, LookupError, TypeError):
        raise LaunchFailed(f"its call must be answered with jobs, as a minion does, got: {words}") from None
    return f"its call ended, jobs={jobs}"
