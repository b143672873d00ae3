"""What the log says of each call: one access line, and an audit line for what somebody changed.

Owns which calls are audited. Never logs a token, a body or a query.
"""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote

from schemas.telemetry import logs

ASKING = frozenset({"/job", "/jobs", "/job/{id:path}/receipt", "/job/{id:path}/heartbeat"})
"""Routes that are posted to by programs: they ask for jobs, or tell of them. Whatever else is no question is
somebody's change, and audited.
"""

LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})

JOB_PLACE = b"/job/"
"""How the header `Location` of an accepted job begins."""


class Trail(Protocol):
    """Whoever shows what was changed."""

    def add(self, at_ms: int, what: str, outcome: str, fields: Mapping[str, object]) -> None:
        """One more audit line."""


def tell(
    scope: Mapping[str, Any], status: int, location: bytes, took_s: float, trail: Trail | None = None
) -> None:
    """The lines of one call. `location`: that header of the answer, empty if there is none."""
    route = getattr(scope.get("route"), "path", "none")
    method = scope["method"]
    outcome = logs.FAILURE if not status or status >= HTTPStatus.BAD_REQUEST else logs.SUCCESS
    fields = _fields(scope, route, status, location)
    logs.access(f"{method} {route}", outcome, int(took_s * 1e9), fields)
    if (
        method not in LOOKING
        and route not in ASKING
        and route != "none"
        and not route.startswith("/registry")
    ):
        logs.audit(f"{method} {route}", outcome, fields)
        if trail is not None:
            trail.add(time.time_ns() // 1_000_000, f"{method} {route}", outcome, fields)


def _fields(scope: Mapping[str, Any], route: str, status: int, location: bytes) -> dict[str, object]:
    grant = scope.get("grant")
    named = scope.get("path_params") or {}
    id = named.get("id")
    if id is None and location.startswith(JOB_PLACE):
        id = unquote(location[len(JOB_PLACE) :].decode("latin-1"))
    traceparent = next((value for name, value in scope["headers"] if name.lower() == b"traceparent"), b"")
    client = scope.get("client") or (None, None)
    return {
        logs.DOOR: "http",
        _kind(route): id,
        **({} if "queue" not in named else {logs.QUEUE: named["queue"]}),
        logs.USER: None if grant is None else grant.name,
        logs.CLIENT: client[0],
        "client.port": client[1],
        logs.TRACE: logs.trace_id(traceparent.decode("latin-1")),
        "http.request.method": scope["method"],
        "http.response.status_code": status,
        "http.version": scope.get("http_version"),
        "url.path": scope["path"],
    }


def _kind(route: str) -> str:
    """What the id in an address is of."""
    if route.startswith("/schedules") or route.endswith("-schedule/{id:path}"):
        return logs.SCHEDULE
    return logs.QUEUE if route.endswith("-queue/{id:path}") else logs.JOB
