"""The pages: which template each address has, and what it shows. Asks the Door, so a token sees no more here
than by the API. Changes nothing.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from relay.core.tokens import Denied, Grant, Scope
from relay.doors.dashboard import draw, words
from relay.doors.dashboard.live import Live
from relay.doors.dashboard.outlook import Outlook
from relay.doors.dashboard.overview import overview
from relay.doors.dashboard.pulse import WINDOW_S
from relay.doors.dashboard.trail import Trail
from relay.doors.http.door import Door
from relay.doors.http.letters import Letters
from relay.doors.http.moment import duration_ms, moment_ms
from relay.doors.http.problem import Problem, unavailable
from schemas.times import format_time, parse_time
from schemas.words import Phase

ROOT = "/dashboard"

LIST_ANSWER_S = 8.0
"""How long a list may take; workers look into every row for a function, key or tag."""

JOBS_SHOWN = 50
"""Jobs on a page of a list."""

FIRES_SHOWN = 10
"""Past fires of a schedule."""

NAMES_SHOWN_MAX = 200
"""Rows of queues and functions on one page."""

ERRORS_SHOWN_MAX = 8
"""Kinds of errors on the overview."""

LETTER_FILTERS = ("queue", "function", "error", "since", "after")

LETTERS_SINCE = "1d"
"""How far back dead letters are shown if nothing else is said."""

FILTERS = ("queue", "phase", "function", "key", "tag", "since", "until")

ENDED_WELL = frozenset({Phase.SUCCEEDED, Phase.CANCELLED, Phase.EXPIRED})

_FILTER = re.compile(rf"({'|'.join(FILTERS)}|id)[:=](\S+)")

_AGO = re.compile(r"\d{1,9}(ms|s|m|h|d|w)", re.ASCII)


class Pace(Enum):
    """When a page that is open is made again."""

    BEAT = "beat"  # every second: it costs the workers nothing of its own
    JOB = "job"  # when a fact about its job came, and every few seconds
    LIST = "list"  # as often as may be without costing the workers much
    NEVER = "never"


@dataclass(frozen=True)
class Asked:
    """What a page is asked for."""

    path: str
    """Below the root."""
    query: Mapping[str, str]
    grant: Grant

    @property
    def url(self) -> str:
        """The address."""
        return f"{ROOT}/{self.path}" + (f"?{urlencode(self.query)}" if self.query else "")


@dataclass(frozen=True)
class Page:
    """What a template is given."""

    template: str
    title: str
    shows: dict[str, Any]
    pace: Pace = Pace.BEAT
    job: str | None = None
    """Of a page about one job."""
    status: int = HTTPStatus.OK


class Moved(Exception):
    """Another page is meant."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


Make = Callable[[Asked, str], Awaitable[Page]]


@dataclass
class Views:
    """All pages."""

    door: Door
    live: Live
    outlook: Outlook
    trail: Trail
    _traces: dict[tuple[str, int], str | None] = field(default_factory=dict)

    async def page(self, asked: Asked) -> Page:
        """The page at an address. Problem, or what the desk raises; Moved."""
        asked.grant.check(Scope.READ)
        first, _, rest = asked.path.partition("/")
        makes: dict[str, Make] = {
            "": self._overview,
            "queues": self._queues,
            "jobs": self._jobs,
            "schedules": self._schedules,
            "minions": self._minions,
            "dead": self._dead,
            "trail": self._trail,
        }
        of_one: dict[str, Make] = {"job": self._job, "schedule": self._schedule}
        make = (of_one if rest else makes).get(first)
        if make is None:
            raise Problem(HTTPStatus.NOT_FOUND, "there is no such page", "no_page")
        return await make(asked, rest)

    async def overview(self, grant: Grant) -> dict[str, Any]:
        """The overview, for who may see it."""
        grant.check(Scope.READ)
        return overview(await self.live.look(), self.live.pulse, grant.sees)

    async def names(self, grant: Grant) -> dict[str, list[str]]:
        """Queues and functions that are known, to be suggested."""
        told = overview(self.live.snapshot, self.live.pulse, grant.sees)
        names = {name for each in told["minions"] for name in each["function_names"]}
        names |= {each["function"] for each in told["functions"]}
        return {
            "queues": [each["queue"] for each in told["queues"]][:NAMES_SHOWN_MAX],
            "functions": sorted(names)[:NAMES_SHOWN_MAX],
        }

    async def _overview(self, asked: Asked, _: str) -> Page:
        told = await self.overview(asked.grant)
        chart = draw.chart(told["bars"], told["bin_s"])
        shows = {
            **told,
            "chart": chart,
            "errors": told["errors"][:ERRORS_SHOWN_MAX],
            "errors_more": max(0, len(told["errors"]) - ERRORS_SHOWN_MAX),
            "window": words.took(WINDOW_S * 1_000),
        }
        return Page("overview.html", "Overview", shows)

    async def _queues(self, asked: Asked, _: str) -> Page:
        return Page("queues.html", "Queues", await self.overview(asked.grant))

    async def _minions(self, asked: Asked, _: str) -> Page:
        return Page("minions.html", "Minions", await self.overview(asked.grant))

    async def _jobs(self, asked: Asked, _: str) -> Page:
        query = read_search(asked.query)
        if "id" in query:
            raise Moved(job_url(query["id"], query.get("key")))
        if "queue" not in query and not asked.grant.sees(None):  # whose token is for some queues alone
            first = min(asked.grant.queues or {""})
            raise Moved(f"{ROOT}/jobs?{urlencode({**query, 'queue': first})}")
        now_ms = self.live.now_ms()
        sent = {name: query[name] for name in (*FILTERS, "after") if query.get(name)}
        for name in ("since", "until"):
            if name in sent:
                sent[name] = _time(name, sent[name], now_ms)
        shows: dict[str, Any] = {"query": query, "text": search_text(query), "phases": list(Phase)}
        if set(query) == {"function"}:  # one bare word: perhaps it is the id of a job
            await self._move_if_job(query["function"], asked)
        try:
            async with asyncio.timeout(LIST_ANSWER_S):
                found = await self.door.jobs({**sent, "limit": str(JOBS_SHOWN)}, asked.grant)
        except TimeoutError:
            raise unavailable(
                f"the list was not made within {LIST_ANSWER_S:g} s; choose by queue, phase or time"
            ) from None
        shows |= found.body
        if found.body["next"]:
            more = {**{name: value for name, value in query.items() if value}, "after": found.body["next"]}
            shows["more"] = f"{ROOT}/jobs?{urlencode(more)}"
        return Page("jobs.html", "Jobs", shows, Pace.NEVER if "after" in query else Pace.LIST)

    async def _move_if_job(self, word: str, asked: Asked) -> None:
        try:
            await self.door.job(word, None, None, asked.grant)
        except (Problem, Denied):
            return
        raise Moved(job_url(word, None))

    async def _job(self, asked: Asked, id: str) -> Page:
        job = (await self.door.job(id, asked.query.get("key") or None, None, asked.grant)).body
        running = job["phase"] == Phase.LEASED
        shows = {
            "job": job,
            "now": job["now"],
            "timeline": draw.timeline(job),
            "args": words.payload(job, "args"),
            "result": words.payload(job, "result"),
            "trace": await self._trace(job),
            "running": running,
            "percent": words.percent(job["done"], job["total"]),
            "may_cancel": job["ended_at"] is None,
            "may_retry": job["phase"] in RETRIABLE,
        }
        return Page("job.html", f"Job {words.plain(id)}", shows, Pace.JOB, job=id)

    async def _trace(self, job: dict[str, Any]) -> str | None:
        """The trace of the latest attempt that failed."""
        failed = [each for each in job["attempts"] if each["error_type"] and each["ended_at"]]
        if not failed:
            return None
        last = failed[-1]
        what = (job["id"], last["epoch"])
        if what not in self._traces:
            at_ms = parse_time(last["ended_at"])
            found = await self.outlook.trace(job["id"], last["epoch"], job["partition"], at_ms)
            self._traces[what] = found
            if len(self._traces) > NAMES_SHOWN_MAX:
                del self._traces[next(iter(self._traces))]
        found = self._traces[what]
        return None if found is None else words.plain(found)

    async def _schedules(self, asked: Asked, _: str) -> Page:
        told = (await self.door.schedules(asked.grant)).body
        return Page("schedules.html", "Schedules", told, Pace.LIST)

    async def _schedule(self, asked: Asked, id: str) -> Page:
        told = (await self.door.schedule(id, asked.grant)).body
        recent = await self._jobs_of(id, told, asked.grant)
        shows = {"schedule": told, "now": told["now"], "args": words.payload(told, "args"), "recent": recent}
        return Page("schedule.html", f"Schedule {words.plain(id)}", shows, Pace.LIST)

    async def _jobs_of(self, id: str, told: dict[str, Any], grant: Grant) -> list[dict[str, Any]]:
        """The jobs of its latest fires, the newest first; of one that is kept no more, its id alone."""
        times = {*told["last_fires"]}
        times |= {each["fire_at"] for each in told["history"] if each["what"] == "fired" and each["fire_at"]}

        async def of(time: str) -> dict[str, Any]:
            fired = f"{id}@{time.removesuffix('.000Z').removesuffix('Z')}Z"  # as the state machine names it
            try:
                return {"fire_at": time, **(await self.door.job(fired, None, None, grant)).body}
            except Problem:
                return {"fire_at": time, "id": fired, "phase": None}

        return list(await asyncio.gather(*map(of, sorted(times, reverse=True)[:FIRES_SHOWN])))

    async def _dead(self, asked: Asked, _: str) -> Page:
        query = {name: value.strip() for name, value in asked.query.items() if value.strip()}
        query = {name: query[name] for name in LETTER_FILTERS if name in query}
        now_ms = self.live.now_ms()
        since = _time("since", query.get("since", LETTERS_SINCE), now_ms)
        sent = {**query, "since": since, "limit": str(JOBS_SHOWN)}
        told = (await Letters(self.door.desk).page(sent, asked.grant)).body
        shows = {
            **told,
            "query": {**query, "since": query.get("since", LETTERS_SINCE)},
            "letters": [{**each, "error": last_error(each)} for each in told["letters"]],
        }
        if told["next"]:
            shows["more"] = f"{ROOT}/dead?{urlencode({**query, 'after': told['next']})}"
        return Page("dead.html", "Dead letters", shows, Pace.NEVER)

    async def _trail(self, asked: Asked, _: str) -> Page:
        asked.grant.check(Scope.OPERATE)
        now = format_time(self.live.now_ms())
        return Page("trail.html", "Audit trail", {"now": now, "changes": self.trail.lately()})


RETRIABLE = frozenset({Phase.DEAD, Phase.CANCELLED, Phase.EXPIRED, Phase.RETRYING, Phase.SCHEDULED})
"""Phases of which a job can be run now."""


def last_error(letter: Mapping[str, Any]) -> tuple[str, str]:
    """The type and the words of the error that a dead letter's job ended with; empty if it has none."""
    errors = letter["errors"] if isinstance(letter["errors"], list) else []
    told = [each for each in errors if isinstance(each, dict) and each.get("error_type")]
    if not told:
        return "", ""
    return str(told[-1]["error_type"]), str(told[-1].get("error_message") or "")


def read_search(query: Mapping[str, str]) -> dict[str, str]:
    """What a search is for: fields of a form, and `name:value` words in the text `q`; a bare word is the name
    of a function, or the id of a job.
    """
    found = {name: value.strip() for name, value in query.items() if name != "q" and value.strip()}
    for word in query.get("q", "").split():
        match = _FILTER.fullmatch(word)
        if match is not None:
            found[match[1]] = match[2]
        else:
            found["function"] = word
    return {name: value for name, value in found.items() if name in {*FILTERS, "id", "after"}}


def search_text(query: Mapping[str, str]) -> str:
    """A search as it can be typed."""
    return " ".join(f"{name}:{value}" for name, value in query.items() if name in FILTERS)


def job_url(id: str, key: str | None = None) -> str:
    """The page of a job."""
    return f"{ROOT}/job/{quote(id, safe='')}" + (f"?{urlencode({'key': key})}" if key and key != id else "")


def schedule_url(id: str) -> str:
    """The page of a schedule."""
    return f"{ROOT}/schedule/{quote(id, safe='')}"


def _time(name: str, found: str, now_ms: int) -> str:
    """A time as people write it, or how long ago: 2h."""
    try:
        if _AGO.fullmatch(found):
            return str(now_ms - duration_ms(name, found))
        return str(moment_ms(name, found, None, now_ms))
    except ValueError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, str(error), "bad_time") from None
