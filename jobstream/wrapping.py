"""A function as an HTTP endpoint that a gateway pushes jobs to: `app = wrap(send)` is an ASGI app.

It runs the function with the job's arguments, reports what came of it to where the job says, and answers: 200
with the function's value, or 500 with its error. Needs the standard library alone.
"""

import asyncio
import contextlib
import inspect
import json
import traceback
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, MutableMapping
from http.client import HTTPException
from typing import Any

from jobstream.functions import Function, error_name

REPORT_S = 10.0
"""How long a gateway may take to take a receipt."""
REPORTS = 3
"""How often it is tried; the response tells the same."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class Wrapped:
    """A function behind HTTP."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    async def handle(self, job: dict[str, Any]) -> tuple[int, Any]:
        """Runs the function for a job as a gateway pushes it; the status and the body of the answer."""
        try:
            value = await self._run(job.get("args"))
        except Exception as error:  # noqa: BLE001  whatever it raises is its failure
            told = {"type": error_name(type(error)), "message": str(error)}
            await self._report(job, {"status": "failure", "error": {**told, "trace": traceback.format_exc()}})
            return 500, {"error": told}
        await self._report(job, {"status": "success", "result": value})
        return 200, value

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await answer_asgi(self._answer, scope, receive, send)

    async def _answer(self, body: bytes) -> tuple[int, Any]:
        try:
            job = json.loads(body)
        except ValueError:
            job = None
        if isinstance(job, dict):
            return await self.handle(job)
        return 400, {"error": "the body must be a job as a JSON object"}

    async def _run(self, args: Any) -> Any:
        positional: list[Any] = []
        named: dict[str, Any] = {}
        if isinstance(args, dict):
            named = args
        elif args is not None:
            positional = args if isinstance(args, list) else [args]
        if inspect.iscoroutinefunction(self._call):
            return await self._call(*positional, **named)
        return await asyncio.to_thread(self._call, *positional, **named)

    async def _report(self, job: dict[str, Any], receipt: dict[str, Any]) -> None:
        """Sends the receipt; if that cannot be, the response alone tells."""
        url = job.get("receipt")
        if isinstance(url, str) and url.startswith(("http://", "https://")):
            headers = {"Content-Type": "application/json", "X-Job-Token": str(job.get("token", ""))}
            body = json.dumps(receipt).encode()
            request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310  checked above
            await asyncio.to_thread(_post, request)


async def answer_asgi(
    answer: Callable[[bytes], Awaitable[tuple[int, Any]]], scope: Scope, receive: Receive, send: Send
) -> None:
    """One request of ASGI: the body goes to `answer`, whose status and JSON go back."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    assert scope["type"] == "http", f"a function is served over HTTP, got {scope['type']}"
    status, told = await answer(await _body(receive))
    body = json.dumps(told).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def wrap(function: Callable[..., Any] | Function[..., Any]) -> Wrapped:
    """The ASGI app of a function, plain, async or declared."""
    return Wrapped(function.call if isinstance(function, Function) else function)


def _post(request: urllib.request.Request) -> None:
    for _ in range(REPORTS):
        try:
            with _OPEN(request, timeout=REPORT_S):
                return
        except urllib.error.HTTPError:
            return  # refused: it is out of date, or was told already
        except (OSError, HTTPException):
            continue


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _live(receive: Receive, send: Send) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
