"""The declared functions of modules behind one entry point, for whoever runs a handler for each request: an
ASGI server, Google's functions-framework, AWS Lambda.

A gateway pushes a job as JSON; its function is called by name, and the answer is what it returned (200) or
how it failed (500). Owns no server. Needs the standard library and what names are checked with.
"""

import asyncio
import base64
import importlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from jobstream.errors import BadFunction
from jobstream.functions import Function
from jobstream.wrapping import Receive, Scope, Send, Wrapped, answer_asgi

NOT_FOUND, BAD = 404, 400
MEDIA = {"Content-Type": "application/json"}


class Host:
    """Functions by name. `host.app` is an ASGI app, `host.handle` a target of functions-framework,
    `host.handler` a handler of Lambda.
    """

    def __init__(self, modules: Iterable[str]) -> None:
        """Imports the modules, and takes the functions that they declare.

        Raises:
            BadFunction: There are none, or two of one name.
        """
        found: dict[str, Function[..., Any]] = {}
        for module in modules:
            for each in vars(importlib.import_module(module)).values():
                if isinstance(each, Function) and found.setdefault(each.name, each) is not each:
                    raise BadFunction(f"functions must have names of their own, got {each.name} twice")
        if not found:
            raise BadFunction("modules must have functions declared with @jobstream.function, got none")
        self.functions = {name: Wrapped(each.call) for name, each in found.items()}

    async def answer(self, body: bytes) -> tuple[int, Any]:
        """Runs the job of a request; the status and the JSON of the answer."""
        try:
            job = json.loads(body)
        except ValueError:
            job = None
        if not isinstance(job, dict):
            return BAD, {"error": "the body must be a job as a JSON object"}
        wrapped = self.functions.get(str(job.get("function")))
        if wrapped is None:
            known = ", ".join(sorted(self.functions))
            return NOT_FOUND, {"error": f"function must be one of {known}, got {job.get('function')!r:.200}"}
        return await wrapped.handle(job)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await answer_asgi(self.answer, scope, receive, send)

    def handle(self, request: Any) -> tuple[str, int, dict[str, str]]:
        """A request as functions-framework gives it (Flask's)."""
        status, answer = asyncio.run(self.answer(request.get_data()))
        return json.dumps(answer), status, MEDIA

    def handler(self, event: Mapping[str, Any], _context: object = None) -> dict[str, Any]:
        """An event of Lambda: of a function URL or an API gateway, or the job itself."""
        body = event.get("body")
        if body is None:
            text = json.dumps(event).encode()
        else:
            text = base64.b64decode(body) if event.get("isBase64Encoded") else str(body).encode()
        status, answer = asyncio.run(self.answer(text))
        return {"statusCode": status, "headers": MEDIA, "body": json.dumps(answer)}
