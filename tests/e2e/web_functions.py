"""Functions that are called over HTTP."""

from typing import Any

from jobstream import function


@function(name="shop.add")
async def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@function(name="shop.web")
async def web(method: str, path: str, query: str, headers: list[list[str]], body: str = "") -> dict[str, Any]:
    """Serves a whole request."""
    return {"status": 202, "body": f"{method} {path} {query} {dict(headers)['x-own']}{body}"}
