"""A minion for as long as one call of a function host lasts: Cloud Functions, Lambda, or any other that runs
a handler for each request.

A relay calls the function's URL when there is work; the handler hands the request to `invoked`, which
connects back, serves as many jobs as come, and returns when there are none any more or the time is up. It
must never return while it holds a job: what does not end in time is handed back, and runs elsewhere.
"""

import asyncio
import base64
import json
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from jobstream.errors import BadRequest, JobstreamError
from jobstream.functions import Function
from jobstream.minion.minion import Minion
from jobstream.minion.wire import Wire, wire_of
from schemas.defaults import MINION_CONCURRENCY
from schemas.settings import load

log = logging.getLogger(__name__)

IDLE_S = 2.0
"""After so long without a job it leaves, where the request does not say."""

LIMIT_S = 60.0
"""It has left after so long, where neither the request nor the caller says."""

CONNECT_S = 10.0
"""How long the relay may take to give a session."""

GRACE_SHARE = 5
"""Running jobs may end within the last but one of so many parts of the limit; in the last one what is left is
handed back, and its receipts are stored.
"""

GRACE_S_MAX = 30.0
"""The longest that running jobs may take to end. A host with hours of time need not go early."""

STORE_S_MAX = 6.0
"""The longest that handing back is given: what a minion waits for its receipts, and a little."""


class NotConnected(JobstreamError):
    """The relay gave no session, so nothing was served: the handler should answer with a 503."""


def invoked(
    request: Mapping[str, Any],
    functions: Iterable[Function[..., Any]] | None = None,
    *,
    limit: float | None = None,
    relay: str | None = None,
    wire: Wire | None = None,
) -> dict[str, Any]:
    """Serves jobs until there are none for a while, or the time is up. To be called by a handler, in any
    thread; blocks.

    Whoever may call the handler names the relay, and with it the jobs: let the platform check who calls, or
    give `relay`.

    Args:
        request: What the relay sent, as JSON says it: `relay`, `minion`, and optionally `concurrency`,
            `queues`, `idle_ms`, `limit_ms`. Also as the `body` of an event, as Lambda has it behind a URL.
        functions: What it runs; by default every function that any imported module declares.
        limit: Seconds until the platform ends the call, if it is known better than by the relay.
        relay: Where the relay is, whatever the request says.
        wire: How it connects; by default as the settings say, which hosts have in their environment
            (JOBSTREAM_RELAY_TOKEN, JOBSTREAM_RELAY_CA, ...).

    Returns:
        What the handler must answer, as JSON, with status 200: how many jobs came, and why it left.

    Raises:
        BadRequest: The request is none of a relay.
        BadSetting: The environment has settings that cannot be.
        NotConnected: The relay gave no session.
    """
    began_s = time.monotonic()
    said = _said(request)
    idle_s = _number(said, "idle_ms", IDLE_S)
    limit_s = min(each for each in (limit, _number(said, "limit_ms", LIMIT_S)) if each is not None)
    minion = Minion(
        functions,
        relay=relay or _text(said, "relay"),
        name=_text(said, "minion"),
        concurrency=said.get("concurrency", MINION_CONCURRENCY),
        queues=said.get("queues"),
        wire=wire_of(load()[0]) if wire is None else wire,
    )
    why = asyncio.run(_serve(minion, idle_s, began_s + limit_s, limit_s))
    served = {"jobs": minion.taken, "why": why, "ms": int((time.monotonic() - began_s) * 1_000)}
    log.info("minion leaves its host minion=%s jobs=%d why=%s", minion.offer.minion, minion.taken, why)
    return served


async def _serve(minion: Minion, idle_s: float, until_s: float, limit_s: float) -> str:
    """Serves, and says why it ended."""
    store_s = min(limit_s / GRACE_SHARE, STORE_S_MAX)
    grace_s = min(limit_s / GRACE_SHARE, GRACE_S_MAX)
    async with minion:
        try:
            await minion.opened(min(CONNECT_S, limit_s / 2))
        except TimeoutError as error:
            minion.drain(0)
            raise NotConnected(str(error)) from None
        try:
            async with asyncio.timeout(until_s - time.monotonic() - grace_s - store_s):
                await minion.idle(idle_s)
            why = "idle"
        except TimeoutError:
            why = "time is up"
        minion.drain(max(until_s - time.monotonic() - store_s, 0) if why != "idle" else grace_s)
        await minion.drained()
    return why


def _said(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request itself; that of an event is in its body."""
    if not isinstance(request, Mapping):
        raise BadRequest(f"a request must be a JSON object with relay and minion, got {request!r:.100}")
    body = request.get("body")
    if not isinstance(body, str):
        return request
    try:
        found = json.loads(base64.b64decode(body) if request.get("isBase64Encoded") else body)
    except ValueError:
        raise BadRequest(f"the body of a request must be JSON, got {body!r:.100}") from None
    return _said(found)


def _text(said: Mapping[str, Any], name: str) -> str:
    found = said.get(name)
    if not isinstance(found, str) or not found:
        raise BadRequest(f"{name} of a request must be a text, got {found!r:.100}")
    return found


def _number(said: Mapping[str, Any], name: str, default_s: float) -> float:
    """Milliseconds of the request, as seconds."""
    found = said.get(name, default_s * 1_000)
    if not isinstance(found, int | float) or isinstance(found, bool) or found < 0:
        raise BadRequest(f"{name} of a request must be milliseconds from 0 up, got {found!r:.100}")
    return found / 1_000
