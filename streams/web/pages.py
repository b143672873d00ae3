"""The status pages as Faust views: an address, its parameters, and the answer as JSON or as a page for
people.

Owns the addresses. Only reads; listens where the setting `web` says, which is loopback unless someone says
otherwise.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import faust
from faust.web import Request, Response, View

from schemas.telemetry import prometheus
from schemas.telemetry.meter import Meter
from streams.shell import Shell
from streams.web.answers import FILTERS, Answer, Answers, NoAnswer, check_parameters
from streams.web.html import as_page

ROOT = "/jobstream"

PAGING = ("limit", "after")

OK, NOT_READY = 200, 503

Ask = Callable[[], Answer | Awaitable[Answer]]


def add_pages(app: faust.App, shell: Shell, meter: Meter) -> None:
    """Gives the app its status pages."""
    answers = Answers(shell)

    @app.page(f"{ROOT}/job/{{id:.+}}", name="jobstream-job")
    async def job(view: View, request: Request, id: str) -> Response:
        """One job: ?key= says where it is."""
        return await _answer(view, request, ("key",), lambda: answers.job(id, request.query.get("key")))

    @app.page(f"{ROOT}/jobs", name="jobstream-jobs")
    async def jobs(view: View, request: Request) -> Response:
        """Jobs, the newest first: ?queue= &phase= &function= &key= &tag= &since= &until= &limit= &after=."""
        return await _answer(view, request, (*FILTERS, *PAGING), lambda: answers.jobs(request.query))

    @app.page(f"{ROOT}/queue/{{queue}}", name="jobstream-queue")
    async def queue_jobs(view: View, request: Request, queue: str) -> Response:
        """The jobs of one queue: as jobs, but for ?queue=."""
        known = tuple(name for name in (*FILTERS, *PAGING) if name != "queue")
        return await _answer(view, request, known, lambda: answers.jobs({**request.query, "queue": queue}))

    @app.page(f"{ROOT}/counts", name="jobstream-counts")
    async def counts(view: View, request: Request) -> Response:
        """How many jobs there are in each phase of each queue."""
        return await _answer(view, request, (), answers.counts)

    @app.page(f"{ROOT}/schedules", name="jobstream-schedules")
    async def schedules(view: View, request: Request) -> Response:
        """Every schedule with its next fire; or one with those to come: ?id=."""
        return await _answer(view, request, ("id",), lambda: answers.schedules(request.query.get("id")))

    @app.page("/metrics", name="jobstream-metrics")
    async def metrics(view: View, _: Request) -> Response:
        """What the worker measures, for Prometheus."""
        text = await asyncio.to_thread(prometheus.text, meter.read())
        return view.text(text.decode(), headers={"Content-Type": prometheus.MEDIA})

    @app.page(f"{ROOT}/duties", name="jobstream-duties")
    async def duties(view: View, request: Request) -> Response:
        """How what time asks was done: due, timed out, recurring, purge."""
        return await _answer(view, request, (), answers.duties)

    @app.page(f"{ROOT}/health", name="jobstream-health")
    async def health(view: View, request: Request) -> Response:
        """Whether the worker is ready, and what it has."""
        return await _answer(view, request, (), answers.health)


async def _answer(view: View, request: Request, known: tuple[str, ...], ask: Ask) -> Response:
    """The answer, or the sentence that says why there is none, in the form that was asked for."""
    try:
        check_parameters(request.query, known)
        found = ask()
        answer: Answer = await found if isinstance(found, Awaitable) else found
        status = OK if answer.get("ready", True) else NOT_READY
    except NoAnswer as no:
        answer, status = {"error": str(no)}, no.status
        if no.missing:
            answer["missing"] = list(no.missing)
    return _as_asked(view, request, answer, status)


def _as_asked(view: View, request: Any, answer: Answer, status: int) -> Response:
    if "text/html" in request.headers.get("Accept", ""):
        return view.html(as_page(request.path, answer), status=status)
    text = json.dumps(answer, ensure_ascii=False)
    return view.text(text, content_type="application/json", status=status)
