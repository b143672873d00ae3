"""The functions that the conformance program asks for, for the Python minion."""

import asyncio
from typing import Any

from jobstream.functions import function


class Broken(Exception):
    """As asked."""


@function(name="echo")
async def echo(*args: Any, **kwargs: Any) -> Any:
    """Returns its arguments."""
    return kwargs or list(args)


@function(name="fail")
async def fail() -> None:
    """Fails."""
    raise Broken("as asked")


@function(name="wait")
async def wait() -> None:
    """Runs until it is cancelled."""
    await asyncio.Event().wait()
