"""The routes: which address means what, and how answers and problems look on the wire. FastAPI's part.

Holds no logic: each route hands the body to the Door. Bodies are read by us and not by the framework, so that
every refusal is one sentence with the value found; the OpenAPI document tells their shape.
"""

import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException

from relay.core.tokens import Denied, Grant, Scope, Tokens
from relay.doors.http import metrics, paper
from relay.doors.http.door import Door, Reply
from relay.doors.http.facts import Filter, stream
from relay.doors.http.guard import App, Guard
from relay.doors.http.letters import QUERY as LETTER_QUERY
from relay.doors.http.letters import Letters
from relay.doors.http.many import cancel_many
from relay.doors.http.problem import MEDIA, Problem, refusal
from relay.doors.http.shapes import wait_s
from relay.doors.http.tokens import problem_of
from schemas import registry
from schemas.undecodable import shown
from schemas.words import CommandName, RejectCode, Settled

if TYPE_CHECKING:
    from relay.doors.dashboard.app import Dashboard

log = logging.getLogger("gateway")

Excuses = Mapping[type[Exception], int]
"""Errors of the desk, with the status that each stands for; its text is the sentence."""


def create_app(
    door: Door,
    tokens: Callable[[], Tokens],
    excuses: Excuses,
    *,
    loopback_only: bool,
    dashboard: "Dashboard | None" = None,
) -> App:
    """The service as an ASGI app.

    Args:
        door: What it does.
        tokens: Who may do it, as of now.
        excuses: What of the desk's errors is no fault of the service.
        loopback_only: It is for this machine: another name in `Host` is refused.
        dashboard: Its pages for people, if it has any.
    """
    app = FastAPI(
        title="Jobstream",
        description=paper.ABOUT,
        version=paper.VERSION,
        openapi_tags=paper.TAGS,
        docs_url=None,  # its pages are fetched from elsewhere
        redoc_url=None,
    )
    _add_submits(app, door)
    _add_jobs(app, door)
    _add_letters(app, Letters(door.desk))
    _add_schedules(app, door)
    _add_minions(app, door)
    _add_operation(app, door)
    _add_registry(app, door)
    if dashboard is not None:
        dashboard.add_to(app)
    _add_problems(app, excuses)
    paper.complete(app)
    trail = None if dashboard is None else dashboard.trail
    return Guard(app, tokens, door.metrics, trail, loopback_only=loopback_only)


def _add_submits(app: FastAPI, door: Door) -> None:
    @app.post("/job", **paper.SUBMIT)
    async def submit(request: Request) -> Response:
        return _answer(await door.submit(await request.body(), _grant(request), _trace(request)))

    @app.post("/jobs", **paper.SUBMIT_MANY)
    async def submit_many(request: Request) -> Response:
        return _answer(await door.submit_many(await request.body(), _grant(request), _trace(request)))


def _add_jobs(app: FastAPI, door: Door) -> None:
    @app.get("/jobs", **paper.LIST)
    async def jobs(request: Request) -> Response:
        return _answer(await door.jobs(_query(request, paper.LIST_QUERY), _grant(request)))

    @app.post("/job/{id:path}/cancel", **paper.CANCEL)
    async def cancel(id: str, request: Request) -> Response:
        return await _command(door, CommandName.CANCEL, id, request)

    @app.post("/job/{id:path}/retry", **paper.RETRY)
    async def retry(id: str, request: Request) -> Response:
        return await _command(door, CommandName.RETRY, id, request)

    @app.post("/job/{id:path}/reschedule", **paper.RESCHEDULE)
    async def reschedule(id: str, request: Request) -> Response:
        return await _command(door, CommandName.RESCHEDULE, id, request)

    @app.post("/jobs/cancel", **paper.CANCEL_MANY)
    async def cancel_some(request: Request) -> Response:
        return _answer(await cancel_many(door, await request.body(), _grant(request)))

    @app.get("/job/{id:path}/history", **paper.HISTORY)
    async def history(id: str, request: Request) -> Response:
        return _answer(await door.history(id, _query(request, ("key",)).get("key"), _grant(request)))

    @app.get("/job/{id:path}", **paper.STATUS)
    async def job(id: str, request: Request) -> Response:
        query = _query(request, ("key", "wait"))
        return _answer(await door.job(id, query.get("key"), wait_s(query.get("wait")), _grant(request)))

    @app.delete("/job/{id:path}", **paper.CANCEL)
    async def delete(id: str, request: Request) -> Response:
        return await _command(door, CommandName.CANCEL, id, request)


def _add_letters(app: FastAPI, letters: Letters) -> None:
    @app.get("/dead-letters", **paper.LETTERS)
    async def page(request: Request) -> Response:
        return _answer(await letters.page(_query(request, LETTER_QUERY), _grant(request)))

    def add_many(word: str, what: Settled, route: dict[str, Any]) -> None:
        @app.post(f"/dead-letters/{word}", operation_id=f"{word}_many", **route)
        async def settle_many(request: Request) -> Response:
            return _answer(await letters.settle_many(what, await request.body(), _grant(request)))

    add_many("redrive", Settled.REDRIVEN, paper.REDRIVE_MANY)
    add_many("discard", Settled.DISCARDED, paper.DISCARD_MANY)

    @app.post("/dead-letters/{id:path}/redrive", **paper.REDRIVE)
    async def redrive(id: str, request: Request) -> Response:
        return _answer(await letters.settle_one(Settled.REDRIVEN, id, _grant(request)))

    @app.get("/dead-letters/{id:path}", **paper.LETTER)
    async def letter(id: str, request: Request) -> Response:
        return _answer(await letters.one(id, _grant(request)))

    @app.delete("/dead-letters/{id:path}", **paper.DISCARD)
    async def discard(id: str, request: Request) -> Response:
        return _answer(await letters.settle_one(Settled.DISCARDED, id, _grant(request)))


def _add_schedules(app: FastAPI, door: Door) -> None:
    @app.get("/schedules", **paper.SCHEDULES)
    async def schedules(request: Request) -> Response:
        _query(request, ())
        return _answer(await door.schedules(_grant(request)))

    @app.get("/schedules/{id:path}", **paper.SCHEDULE)
    async def schedule(id: str, request: Request) -> Response:
        return _answer(await door.schedule(id, _grant(request)))

    def add_command(word: str, name: CommandName, route: dict[str, Any]) -> None:
        @app.post(f"/schedules/{{id:path}}/{word}", operation_id=name, **route)
        async def command(id: str, request: Request) -> Response:
            return _answer(await door.command_schedule(name, id, await request.body(), _grant(request)))

    add_command("pause", CommandName.PAUSE_SCHEDULE, paper.PAUSE_SCHEDULE)
    add_command("resume", CommandName.RESUME_SCHEDULE, paper.RESUME_SCHEDULE)
    add_command("trigger", CommandName.TRIGGER_SCHEDULE, paper.TRIGGER)
    add_command("orphan", CommandName.ORPHAN_SCHEDULE, paper.ORPHAN)
    add_command("backfill", CommandName.BACKFILL_SCHEDULE, paper.BACKFILL)

    @app.put("/schedules/{id:path}", **paper.PUT_SCHEDULE)
    async def put_schedule(id: str, request: Request) -> Response:
        return _answer(await door.put_schedule(id, await request.body(), _grant(request)))

    @app.delete("/schedules/{id:path}", **paper.REMOVE_SCHEDULE)
    async def remove_schedule(id: str, request: Request) -> Response:
        return _answer(await door.remove_schedule(id, _grant(request)))


def _add_minions(app: FastAPI, door: Door) -> None:
    @app.post("/job/{id:path}/receipt", **paper.RECEIPT)
    async def receipt(id: str, request: Request) -> Response:
        return _answer(await door.receipt(id, await request.body(), _token(request), request.scope["grant"]))

    @app.post("/job/{id:path}/heartbeat", **paper.HEARTBEAT)
    async def heartbeat(id: str, request: Request) -> Response:
        return _answer(
            await door.heartbeat(id, await request.body(), _token(request), request.scope["grant"])
        )


def _add_operation(app: FastAPI, door: Door) -> None:
    @app.get("/queues", **paper.QUEUES)
    async def queues(request: Request) -> Response:
        _query(request, ())
        return _answer(await door.queues(_grant(request)))

    @app.get("/duties", **paper.DUTIES)
    async def duties(request: Request) -> Response:
        _query(request, ())
        return _answer(await door.duties(_grant(request)))

    @app.post("/queues/{queue}/pause", **paper.PAUSE)
    async def pause(queue: str, request: Request) -> Response:
        return _answer(await door.pause(queue, await request.body(), _grant(request), paused=True))

    @app.post("/queues/{queue}/resume", **paper.RESUME)
    async def resume(queue: str, request: Request) -> Response:
        return _answer(await door.pause(queue, await request.body(), _grant(request), paused=False))

    @app.get("/facts", **paper.FACTS)
    async def facts(request: Request) -> Response:
        chosen = Filter.of(_query(request, Filter.NAMES), _grant(request))
        after = request.headers.get("last-event-id")
        lines: AsyncIterator[bytes] = stream(door, chosen, after, request.scope["lasting"])
        first = await anext(lines)
        return StreamingResponse(
            _chained(first, lines), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    @app.get("/healthz", **paper.HEALTH)
    async def healthz() -> Response:
        return _answer(Reply({"alive": True}))

    @app.get("/readyz", **paper.READY)
    async def readyz() -> Response:
        await door.desk.check()
        await door.pages.check()
        return _answer(Reply({"ready": True}))

    @app.get("/metrics", **paper.METRICS)
    async def told(request: Request) -> Response:
        _grant(request).check(Scope.READ)
        return Response(door.metrics.text(), media_type=metrics.MEDIA)


def _add_registry(app: FastAPI, door: Door) -> None:
    """The shipped schemas, for deserializers; in words of another API, so not in our document."""
    schemas = registry.Registry(door.desk.topics)

    async def answer(path: str, request: Request) -> Response:
        _grant(request).check(Scope.READ)
        status, said = schemas.answer(request.method, f"/{quote(path)}", await request.body())
        return Response(json.dumps(said), status, media_type=registry.MEDIA)

    app.add_api_route("/registry/{path:path}", answer, methods=["GET", "POST"], include_in_schema=False)


def _add_problems(app: FastAPI, excuses: Excuses) -> None:
    async def problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return _problem(error)

    async def denied(_: Request, error: Exception) -> Response:
        assert isinstance(error, Denied)
        return _problem(problem_of(error))

    async def http(request: Request, error: Exception) -> Response:
        """What the framework refuses: no such address, or not with that method."""
        assert isinstance(error, HTTPException)
        asked = f"{request.method} {request.url.path}"
        sentence = f"there is no {shown(asked, 200)}; /openapi.json tells what there is"
        return _problem(Problem(error.status_code, sentence, headers=error.headers or {}))

    async def excuse(_: Request, error: Exception) -> Response:
        status = next(status for kind, status in excuses.items() if isinstance(error, kind))
        headers = {"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
        return _problem(Problem(status, str(error), headers=headers))

    async def fault(request: Request, error: Exception) -> Response:
        log.error("fault method=%s path=%s", request.method, request.url.path, exc_info=error)
        return _problem(
            Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the gateway failed; its log says how", "fault")
        )

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(Denied, denied)
    app.add_exception_handler(HTTPException, http)
    for kind in excuses:
        app.add_exception_handler(kind, excuse)
    app.add_exception_handler(Exception, fault)


async def _command(door: Door, name: CommandName, id: str, request: Request) -> Response:
    query = _query(request, ("key",))
    return _answer(await door.command(name, id, await request.body(), query.get("key"), _grant(request)))


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for line in rest:
        yield line


def _answer(reply: Reply) -> Response:
    body = json.dumps(reply.body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return Response(body, reply.status, dict(reply.headers), "application/json")


def _problem(problem: Problem) -> Response:
    return Response(problem.body(), problem.status, problem.headers, MEDIA)


def _grant(request: Request) -> Grant:
    grant: Grant = request.scope["grant"]
    return grant


def _trace(request: Request) -> str | None:
    return request.headers.get("traceparent")


def _token(request: Request) -> str | None:
    return request.headers.get("x-job-token")


def _query(request: Request, known: tuple[str, ...]) -> dict[str, str]:
    """The parameters of an address. Problem if one is not known, or is there twice."""
    given: dict[str, Any] = {}
    for name, found in request.query_params.multi_items():
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "there are none"
            raise refusal(RejectCode.UNKNOWN_FIELD, f"this address has no parameter {shown(name)}; {there}")
        if name in given:
            raise refusal(RejectCode.BAD_FIELD, f"{name} must be given once, got {shown(found)} again")
        given[name] = found
    return given
