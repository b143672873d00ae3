"""The routes of the dashboard: pages, live fragments, questions before actions, sign-in, files.

Owns what browsers are told: a content security policy that allows nothing inline and nothing from elsewhere,
cookies that no script reads. Every action is a form with a word that only our pages know.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from relay.core.tokens import Denied, Grant, Scope
from relay.doors.dashboard import draw, words
from relay.doors.dashboard.actions import ACTIONS, Action
from relay.doors.dashboard.live import Live
from relay.doors.dashboard.outlook import Outlook
from relay.doors.dashboard.signin import COOKIE, SAID, SAID_S, SESSION_S, SignIn, Visitor
from relay.doors.dashboard.trail import Trail
from relay.doors.dashboard.views import (
    ENDED_WELL,
    ROOT,
    Asked,
    Moved,
    Pace,
    Page,
    Views,
    job_url,
    schedule_url,
)
from relay.doors.http import paper
from relay.doors.http.door import Door
from relay.doors.http.guard import Send
from relay.doors.http.problem import Problem
from relay.doors.http.tokens import problem_of

log = logging.getLogger("gateway.dashboard")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

MEDIA = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

FILES = {path.name: path.read_bytes() for path in files("relay.doors.dashboard").joinpath("static").iterdir()}

LIST_SHARE = 20
"""A list that took so long to make is made again after so many times that: workers spend at most a twentieth
of a core on all that are open."""

LIST_S = 2.0
"""And not sooner than after this."""

JOB_BEATS = 5
"""A page about a job is made again every so many seconds, though no fact came."""

RETRY_MS = 2_000
"""What a browser that was cut off is told to wait."""

Excuses = Mapping[type[Exception], int]


class Stream(StreamingResponse):
    """A stream that is closed when its browser is gone, wherever that was noticed."""

    async def stream_response(self, send: Send) -> None:
        """Sends on what comes."""
        try:
            await super().stream_response(send)
        finally:
            if isinstance(self.body_iterator, AsyncGenerator):
                await self.body_iterator.aclose()


class Dashboard:
    """The pages of one service."""

    def __init__(
        self, door: Door, live: Live, outlook: Outlook, signin: SignIn, excuses: Excuses, *, secure: bool
    ) -> None:
        """Of these parts.

        Args:
            door: Does what is done.
            live: The look that all pages share.
            outlook: Relays, settings, traces.
            signin: Who asks.
            excuses: What of the desk's errors is no fault of the service, with its status.
            secure: It is served over TLS, so its cookies go over nothing else.
        """
        self.trail = Trail()
        self._door = door
        self._live = live
        self._signin = signin
        self._excuses = excuses
        self._secure = secure
        self._views = Views(door, live, outlook, self.trail)
        self._fragments: dict[tuple[str, str], tuple[float, asyncio.Task[str]]] = {}
        self._lists_free_s = 0.0
        self._templates = _environment()

    def add_to(self, app: FastAPI) -> None:
        """Gives the app its routes."""

        @app.get("/overview", **paper.OVERVIEW)
        async def overview(request: Request) -> Response:
            grant: Grant = request.scope["grant"]
            return _json(await self._views.overview(grant))

        def add(path: str, method: str, answer: Callable[[Request], Awaitable[Response]]) -> None:
            app.add_api_route(path, self._kept(answer), methods=[method], include_in_schema=False)

        add("/", "GET", _to_overview)
        add(ROOT, "GET", _to_overview)
        app.add_api_route(f"{ROOT}/static/{{name}}", _file, methods=["GET"], include_in_schema=False)
        add(f"{ROOT}/signin", "GET", self._ask_token)
        add(f"{ROOT}/signin", "POST", self._sign_in)
        add(f"{ROOT}/signout", "POST", self._sign_out)
        add(f"{ROOT}/live", "GET", self._stream)
        add(f"{ROOT}/raw/{{what}}/{{id:path}}", "GET", self._raw)
        for action in ACTIONS.values():
            add(f"{ROOT}/do/{action.name}/{{id:path}}", "GET", self._asking(action))
            add(f"{ROOT}/do/{action.name}/{{id:path}}", "POST", self._doing(action))
        add(f"{ROOT}/{{page:path}}", "GET", self._page)

    def _kept(
        self, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Every answer has the headers; what can't be answered is a page that says why."""

        async def kept(request: Request) -> Response:
            try:
                response = await answer(request)
            except Moved as moved:
                response = RedirectResponse(moved.url, HTTPStatus.SEE_OTHER)
            except Exception as error:  # noqa: BLE001  # what is none of ours is raised again
                response = self._refused(request, error)
            response.headers.update(
                {name: value for name, value in HEADERS.items() if name not in response.headers}
            )
            return response

        return kept

    def _refused(self, request: Request, error: Exception) -> Response:
        if isinstance(error, Denied):
            error = problem_of(error)
        if isinstance(error, Problem):
            status, sentence, headers = error.status, error.sentence, error.headers
        else:
            known = [status for kind, status in self._excuses.items() if isinstance(error, kind)]
            if not known:
                raise error
            status, sentence, headers = known[0], str(error), {"Retry-After": "1"}
        visitor = self._signin.of(request.cookies.get(COOKIE))
        if status == HTTPStatus.UNAUTHORIZED and request.method == "GET":
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            to = f"{ROOT}/signin?{urlencode({'next': here})}"
            return RedirectResponse(to, HTTPStatus.SEE_OTHER)
        shows: dict[str, Any] = {
            "status": status,
            "phrase": HTTPStatus(status).phrase,
            "sentence": words.plain(sentence),
        }
        response = self._whole(
            Page("refused.html", shows["phrase"], shows, Pace.NEVER, status=status), visitor, None
        )
        response.headers.update({name: value for name, value in headers.items() if name == "Retry-After"})
        return response

    def _visitor(self, request: Request) -> Visitor:
        """Who asks. Problem 401 if that is not known."""
        visitor = self._signin.of(request.cookies.get(COOKIE))
        if visitor is None:
            given: Grant | None = request.scope.get("grant")
            if self._signin.needed and given is not None:  # by its header, as a program
                return Visitor(given, "", "", signed_in=True)
            if self._signin.needed:
                raise Problem(HTTPStatus.UNAUTHORIZED, "sign in with a token")
            visitor = self._signin.anybody()
        request.scope["grant"] = visitor.grant
        return visitor

    # Pages.

    async def _page(self, request: Request) -> Response:
        visitor = self._visitor(request)
        asked = Asked(request.path_params["page"].rstrip("/"), dict(request.query_params), visitor.grant)
        page = await self._views.page(asked)
        names = await self._views.names(visitor.grant)
        return self._whole(page, visitor, asked, request, names)

    def _whole(
        self,
        page: Page,
        visitor: Visitor | None,
        asked: Asked | None,
        request: Request | None = None,
        names: Mapping[str, list[str]] | None = None,
    ) -> Response:
        """A page in its frame. Sets the cookie of who had none."""
        said = None if request is None else self._signin.said(request.cookies.get(SAID))
        live = None
        if asked is not None and page.pace is not Pace.NEVER:
            live = f"{ROOT}/live?{urlencode({'at': asked.url})}"
        frame = {
            "page": page,
            "visitor": visitor,
            "signin": self._signin.needed,
            "live": live,
            "said": None if said is None else words.plain(said),
            "here": "" if asked is None else asked.path.partition("/")[0],
            "names": names or {"queues": [], "functions": []},
            "may": _may(visitor),
        }
        text = self._templates.get_template(page.template).render(**page.shows, **frame)
        response = Response(
            text.encode("utf-8", "replace"), page.status, media_type="text/html; charset=utf-8"
        )
        if visitor is not None and request is not None and visitor.cookie != request.cookies.get(COOKIE, ""):
            self._set(response, COOKIE, visitor.cookie, SESSION_S)
        if said is not None:
            response.delete_cookie(SAID, path=ROOT, httponly=True, samesite="strict", secure=self._secure)
        return response

    async def _raw(self, request: Request) -> Response:
        """The arguments or the result of a job as they are, to be saved."""
        visitor = self._visitor(request)
        what, id = request.path_params["what"], request.path_params["id"]
        job = (await self._door.job(id, request.query_params.get("key"), None, visitor.grant)).body
        found = words.raw(job, what) if what in {"args", "result"} else None
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"job {id} has no such value", "no_value")
        name = f"{what}{'.json' if what in job else '.bin'}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(found, media_type="application/octet-stream", headers=headers)

    # Live.

    async def _stream(self, request: Request) -> Response:
        visitor = self._visitor(request)
        self._live.check_room()
        at = urlsplit(request.query_params.get("at", ROOT))
        asked = Asked(at.path.removeprefix(ROOT).strip("/"), dict(parse_qsl(at.query)), visitor.grant)
        page = await self._views.page(asked)
        lines = self._lines(asked, page, self._lasting(visitor, request))
        return Stream(lines, media_type="text/event-stream")

    def _lasting(self, visitor: Visitor, request: Request) -> Callable[[], bool]:
        """Says whether who looks may go on: by the cookie if they have one, else by their header."""
        if not visitor.cookie:
            lasting: Callable[[], bool] = request.scope["lasting"]
            return lasting

        def still() -> bool:
            now = self._signin.of(visitor.cookie)
            return now is not None and now.grant == visitor.grant

        return still

    async def _lines(
        self, asked: Asked, page: Page, lasting: Callable[[], bool]
    ) -> AsyncGenerator[bytes, None]:
        """Fragments as they change, for as long as `lasting` says that who looks may. What can't be made is
        told as away, and tried again.
        """
        yield f"retry: {RETRY_MS}\n\n".encode()
        last, beats = "", 0
        async with aclosing(self._live.beats(page.job)) as coming:
            async for touched in coming:
                beats += 1
                if not lasting():
                    return
                if not self._due(page.pace, beats, touched=touched):
                    yield b": nothing new\n\n"
                    continue
                try:
                    text = await self._fragment(asked, page.pace)
                except (Problem, Denied) as no:
                    yield _event("away", no.sentence)
                    continue
                except tuple(self._excuses) as away:
                    yield _event("away", str(away))
                    continue
                except Moved:  # a word that was searched for is the id of a job by now
                    continue
                if text != last:
                    last = text
                    yield _event("page", text)

    def _due(self, pace: Pace, beats: int, *, touched: bool) -> bool:
        if pace is Pace.LIST:
            return time.monotonic() >= self._lists_free_s
        return pace is Pace.BEAT or touched or beats % JOB_BEATS == 0

    async def _fragment(self, asked: Asked, pace: Pace) -> str:
        """What of a page changes. Made once for all that look at the same."""
        what, now_s = (asked.url, asked.grant.name), time.monotonic()
        for old in [
            key for key, (made_s, _) in self._fragments.items() if now_s - made_s > self._live.look_s
        ]:
            del self._fragments[old]
        if what not in self._fragments:
            task = asyncio.create_task(self._make(asked))
            self._fragments[what] = (now_s, task)
            try:
                return await asyncio.shield(task)
            finally:
                if pace is Pace.LIST:
                    ended_s = time.monotonic()
                    self._lists_free_s = ended_s + max(LIST_S, LIST_SHARE * (ended_s - now_s))
        return await asyncio.shield(self._fragments[what][1])

    async def _make(self, asked: Asked) -> str:
        page = await self._views.page(asked)
        template = self._templates.get_template(page.template)
        context = template.new_context({**page.shows, "page": page, "may": _may_of(asked.grant)})
        return "".join(template.blocks["live"](context))

    # Actions.

    def _asking(self, action: Action) -> Callable[[Request], Awaitable[Response]]:
        async def ask(request: Request) -> Response:
            visitor = self._visitor(request)
            visitor.grant.check(Scope.OPERATE)
            target, query = request.path_params["id"], dict(request.query_params)
            shows = {"action": action, "target": words.plain(target), "query": query, "url": _here(request)}
            shows["back"] = action.back(target, query)
            page = Page("ask.html", action.question.format(target=words.plain(target)), shows, Pace.NEVER)
            return self._whole(page, visitor, None, request)

        return ask

    def _doing(self, action: Action) -> Callable[[Request], Awaitable[Response]]:
        async def do(request: Request) -> Response:
            visitor = self._visitor(request)
            form = await _form(request)
            self._signin.check_word(visitor, form.get("word", ""))
            target = request.path_params["id"]
            done = await action.run(self._door, target, {**request.query_params, **form}, visitor.grant)
            await self._live.again()
            response = RedirectResponse(action.back(target, request.query_params), HTTPStatus.SEE_OTHER)
            self._set(response, SAID, self._signin.say(done), SAID_S)
            return response

        return do

    # Who asks.

    async def _ask_token(self, request: Request) -> Response:
        if not self._signin.needed:
            return RedirectResponse(f"{ROOT}/", HTTPStatus.SEE_OTHER)
        return self._token_page(request.query_params.get("next", ""), None)

    def _token_page(self, next_: str, wrong: str | None) -> Response:
        status = HTTPStatus.OK if wrong is None else HTTPStatus.UNAUTHORIZED
        shows = {"next": next_, "wrong": wrong}
        return self._whole(Page("signin.html", "Sign in", shows, Pace.NEVER, status=status), None, None)

    async def _sign_in(self, request: Request) -> Response:
        form = await _form(request)
        next_ = form.get("next", "")
        try:
            visitor = self._signin.by_token(form.get("token", ""))
        except Denied:
            return self._token_page(next_, "this token is not known here")
        request.scope["grant"] = visitor.grant
        to = next_ if next_.startswith(f"{ROOT}/") and "\\" not in next_ else f"{ROOT}/"
        response = RedirectResponse(quote(to, safe="/?&=%:@+"), HTTPStatus.SEE_OTHER)
        self._set(response, COOKIE, visitor.cookie, SESSION_S)
        return response

    async def _sign_out(self, request: Request) -> Response:
        visitor = self._visitor(request)
        self._signin.check_word(visitor, (await _form(request)).get("word", ""))
        response = RedirectResponse(f"{ROOT}/signin", HTTPStatus.SEE_OTHER)
        response.delete_cookie(COOKIE, path=ROOT, httponly=True, samesite="strict", secure=self._secure)
        return response

    def _set(self, response: Response, name: str, value: str, age_s: int) -> None:
        response.set_cookie(
            name, value, max_age=age_s, path=ROOT, httponly=True, samesite="strict", secure=self._secure
        )


def _environment() -> Environment:
    """The templates: everything that is put into one is escaped."""
    environment = Environment(
        loader=PackageLoader("relay.doors.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    named: dict[str, Any] = {
        name: getattr(words, name) for name in ("count", "rate", "took", "ago", "clock", "plain", "percent")
    }
    environment.filters.update(named)
    environment.globals.update(
        ROOT=ROOT,
        ACTIONS=ACTIONS,
        ENDED_WELL=ENDED_WELL,
        spark=draw.spark,
        job_url=job_url,
        schedule_url=schedule_url,
        do_url=lambda name, target, **query: ACTIONS[name].url(quote(target, safe=""), query),
        url=_url,
    )
    for name in environment.list_templates():  # compiled now, not while somebody waits for the first page
        environment.get_template(name)
    return environment


def _url(path: str, **query: str) -> str:
    """A page with a query; what is empty is left out."""
    given = {name: value for name, value in query.items() if value}
    return f"{ROOT}/{path}" + (f"?{urlencode(given)}" if given else "")


def _may(visitor: Visitor | None) -> bool:
    return visitor is not None and _may_of(visitor.grant)


def _may_of(grant: Grant) -> bool:
    """Whether actions are offered."""
    return bool({Scope.OPERATE, Scope.ADMIN} & grant.scopes)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; each counts once."""
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))


async def _to_overview(_: Request) -> Response:
    return RedirectResponse(f"{ROOT}/", HTTPStatus.SEE_OTHER)


async def _file(name: str) -> Response:
    """Our own style and script."""
    found = FILES.get(name)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, "there is no such file", "no_file")
    media = MEDIA[name.rpartition(".")[2]]
    headers = {**HEADERS, "Cache-Control": "max-age=300"}
    return Response(found, media_type=f"{media}; charset=utf-8", headers=headers)


def _here(request: Request) -> str:
    query = request.url.query
    return quote(request.scope["path"], safe="/") + (f"?{query}" if query else "")


def _event(kind: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {kind}\n{lines}\n".encode("utf-8", "replace")


def _json(told: Any) -> Response:
    return Response(words.as_json(told), media_type="application/json")
