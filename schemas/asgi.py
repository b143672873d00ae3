"""A request to an ASGI app, as every HTTP door reads it: its body, whole, within limits of size and time.

Owns the reading, and the sentences of what it refuses. Must never keep more than the limit, nor parse
anything, and knows no framework: what becomes of a refusal is the door's.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Gone(Exception):
    """Who asks went away before the question was complete."""


class BodyRefused(Exception):
    """Too large, or too slow: a status and a sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


async def read_body(receive: Receive, length: str, limit: int, within_s: float) -> bytes:
    """The whole body.

    Args:
        receive: ASGI's.
        length: what the header Content-Length says, if there is one; a body that says itself that it is too
            large is not read.
        limit: the most bytes.
        within_s: how long it may take to come, seconds.

    Raises:
        BodyRefused: it is too large, or did not come in time.
        Gone: the client hung up.
    """
    if length.isascii() and length.isdigit() and int(length[:18]) > limit:
        raise _too_large(limit, length)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(within_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise _too_large(limit, f"{size} so far")
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise BodyRefused(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the body must come within {within_s:g} seconds, got {size} bytes by then",
        ) from None


def _too_large(limit: int, found: str) -> BodyRefused:
    return BodyRefused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body must be at most {limit} bytes, got {found:.40}"
    )
