"""The client over HTTP: the same interface, for whoever reaches the gateway and not Kafka.

Owns the connections to one gateway, and the translation of its answers to facts, handles and errors. Must
never say that a job is accepted before the gateway does, which does so when Kafka has it.

What is Kafka's alone is refused with a sentence: `configs` and `configure`.
"""

import asyncio
import base64
import dataclasses
import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import quote

import httpx

from jobstream.client.client import (
    ANSWER_WITHIN_S,
    REDRIVE_WITHIN_S,
    SUBMIT_TIMEOUT_S,
    Client,
    Decided,
    Job,
    Jobs,
    Jsons,
    Letters,
    _submission,
)
from jobstream.client.request import Place, place_of, request_of
from jobstream.client.status import end_of
from jobstream.client.watch import Watch, Watches, result_of
from jobstream.errors import (
    BadRequest,
    CommandRefused,
    JobRejected,
    JobstreamError,
    JobUnknown,
    NotReachable,
    SubmitFailed,
    SubmitTimedOut,
    WaitTimedOut,
)
from jobstream.functions import Function, Options, Submission, set_submitter
from jobstream.times import Seconds, milliseconds
from schemas.defaults import CONTENT_TYPE, QUEUE
from schemas.events import DeadLetter, Fact, Schedule
from schemas.requests import to_json
from schemas.times import parse_time
from schemas.words import ENDS, CommandName, FactKind, RejectCode

if TYPE_CHECKING:
    from jobstream.client.config import Entry

WAIT_S_MAX = 30.0
"""How long the gateway is asked to wait in one call."""

AWAY_GRACE_S = 10.0
"""How long it may be away, or not able to tell, before who waits is told."""

AWAY_POLL_S = 0.25
MANY = 1_000
"""Jobs of one call."""

PAGE = 1_000
ROUTES = {
    CommandName.PAUSE_SCHEDULE: "pause",
    CommandName.RESUME_SCHEDULE: "resume",
    CommandName.TRIGGER_SCHEDULE: "trigger",
    CommandName.BACKFILL_SCHEDULE: "backfill",
    CommandName.ORPHAN_SCHEDULE: "orphan",
}


class HttpClient(Client):
    """What `Client("http://...")` makes. Belongs to the event loop it was opened in."""

    def __init__(
        self,
        url: str,
        *,
        submit_timeout: Seconds = SUBMIT_TIMEOUT_S,
        token: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        **others: object,
    ) -> None:
        """As Client; `transport` is how the gateway is reached, if not over the network."""
        if given := [name for name, value in others.items() if value is not None]:
            raise BadRequest(f"{', '.join(given)} must be left out with an address of HTTP, got {url!r}")
        self._url = url.rstrip("/")
        self._submit_s = (milliseconds("submit_timeout", submit_timeout) or 0) / 1_000
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._transport = transport
        self._watches = Watches()
        self._parts = None
        self._caller = None
        self._http: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Connects. NotReachable if the gateway does not answer."""
        if self._http is not None:
            raise BadRequest("a client must be opened once, got a second open")
        self._http = httpx.AsyncClient(
            base_url=self._url,
            headers=self._headers,
            timeout=httpx.Timeout(self._submit_s),
            transport=self._transport,
            trust_env=False,
        )
        self._loop = asyncio.get_running_loop()
        try:
            await self._ask("GET", "/healthz")
        except BaseException:
            await self._http.aclose()
            self._http = None
            raise
        self._take_back = set_submitter(self._submit_from_anywhere)

    async def close(self) -> None:
        """Lets go of the connections. Jobs are not touched."""
        http, self._http = self._http, None
        if self._caller is not None:
            await self._caller.close()
        if http is not None:
            self._take_back()
            await http.aclose()

    def serves(self, loop: asyncio.AbstractEventLoop) -> bool:
        """True if it is open on this event loop."""
        return self._http is not None and self._loop is loop

    # Asking for jobs.

    async def submit(
        self, function: str | Function[..., Any] | Submission, args: Any = None, **options: Unpack[Options]
    ) -> Job:
        """As Client.submit; a unique job that exists is the answer at once, and an id of another job is
        refused (JobRejected).
        """
        decided = await self._submitted(_submission(function, args, options))
        return decided.job

    async def submit_decided(
        self,
        function: str | Function[..., Any] | Submission,
        args: Any = None,
        *,
        within: Seconds = ANSWER_WITHIN_S,
        **options: Unpack[Options],
    ) -> Decided:
        """As Client.submit_decided; the gateway itself waits some seconds, whatever `within` says."""
        milliseconds("within", within)
        try:
            return await self._submitted(_submission(function, args, options))
        except JobRejected as rejected:
            raise CommandRefused(rejected.reason or str(rejected), RejectCode.ID_CONFLICT) from None

    async def _submitted(self, submission: Submission) -> Decided:
        ids = () if submission.id is None else (submission.id,)
        try:
            told = await self._ask("POST", "/job", self._body(submission))
        except NotReachable as error:
            raise SubmitTimedOut(f"{error}; it may or may not be accepted", ids) from None
        except _Problem as problem:
            raise self._submit_error(problem, ids) from None
        other = told.get("duplicate_of") or told.get("replaced")
        if told["outcome"] == "duplicate" and other is None:
            other = told["id"]
        outcome: Any = told["outcome"] if told["outcome"] in {"duplicate", "replaced"} else "accepted"
        return Decided(self.job(told["id"], told["key"]), outcome, other)

    async def submit_many(self, submissions: Iterable[Submission]) -> Jobs:
        """As Client.submit_many, in calls of 1,000 jobs, each of which is written whole or not at all."""
        jobs: Jobs = []
        part: Jsons = []
        for submission in submissions:
            part.append(self._body(submission))
            if len(part) == MANY:
                jobs += await self._submitted_many(part)
                part = []
        return jobs + (await self._submitted_many(part) if part else [])

    async def _submitted_many(self, bodies: Jsons) -> Jobs:
        ids = tuple(body["id"] for body in bodies if "id" in body)
        try:
            told = await self._ask("POST", "/jobs", {"jobs": bodies})
        except NotReachable as error:
            raise SubmitTimedOut(f"{error}; {len(bodies)} jobs may or may not be accepted", ids) from None
        except _Problem as problem:
            raise self._submit_error(problem, ids) from None
        return [self.job(each.get("duplicate_of") or each["id"], each["key"]) for each in told["jobs"]]

    def _body(self, submission: Submission) -> dict[str, Any]:
        request = request_of(submission, Place("", "", 0), self._now_ms())
        named = dataclasses.replace(request, id=submission.id, key=submission.key)
        body: dict[str, Any] = json.loads(to_json(named))
        return body

    def _submit_error(self, problem: "_Problem", ids: tuple[str, ...]) -> JobstreamError:
        if problem.code == RejectCode.ID_CONFLICT:
            return JobRejected(ids[0] if ids else "", problem.sentence)
        if problem.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}:
            return BadRequest(problem.sentence)
        if problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return CommandRefused(problem.sentence, problem.code)
        return SubmitFailed(problem.sentence, ids)

    async def _submit_from_anywhere(self, submission: Submission) -> Job:
        loop = self._loop
        assert loop is not None, "a client that was opened has a loop"
        if loop is asyncio.get_running_loop():
            return await self.submit(submission)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.submit(submission), loop))

    # Looking.

    def job(self, id: str, key: str | None = None) -> Job:
        """As Client.job."""
        place = place_of(id, key, 1)
        return Job(self, self._watches.open(place.id, place.key, place.partition, 0, foreign=True))

    async def _found(self, job: Job | str, key: str | None) -> Job:
        if isinstance(job, Job):
            return job
        return self.job(job, (await self.status(job))["key"] if key is None else key)

    async def status(self, job: Job | str, *, key: str | None = None) -> dict[str, Any]:
        """As Client.status."""
        id, key = (job.id, job.key) if isinstance(job, Job) else (job, key)
        return await self._known(f"/job/{quote(id)}", {"key": key})

    async def list(
        self, queue: str = QUEUE, *, phase: str | None = None, limit: int | None = None
    ) -> dict[str, Any]:
        """As Client.list."""
        return await self._ask("GET", "/jobs", query={"queue": queue, "phase": phase, "limit": limit})

    async def counts(self) -> dict[str, Any]:
        """As Client.counts."""
        answer = await self._ask("GET", "/queues")
        queues = {
            queue: {phase: many for phase, many in found.items() if phase != "lag"}
            for queue, found in answer["queues"].items()
        }
        phases: dict[str, int] = {}
        for found in queues.values():
            for phase, many in found.items():
                phases[phase] = phases.get(phase, 0) + many
        return {"now": answer["now"], "total": sum(phases.values()), "phases": phases, "queues": queues}

    async def schedules(self) -> dict[str, Any]:
        """As Client.schedules."""
        return await self._ask("GET", "/schedules")

    async def _known(self, path: str, query: Mapping[str, object]) -> dict[str, Any]:
        try:
            return await self._ask("GET", path, query=query)
        except _Problem as problem:
            if problem.status == HTTPStatus.NOT_FOUND:
                raise JobUnknown(problem.sentence) from None
            raise

    async def _result(self, watch: Watch, timeout: Seconds | None) -> Any:
        timeout_ms = milliseconds("timeout", timeout)
        loop = asyncio.get_running_loop()
        ends_at = None if timeout_ms is None else loop.time() + timeout_ms / 1_000
        away_until: float | None = None
        while True:
            left_s = WAIT_S_MAX if ends_at is None else max(0.0, ends_at - loop.time())
            wait = f"{min(WAIT_S_MAX, left_s):.3f}"
            try:
                end = end_of(await self._known(f"/job/{quote(watch.id)}", {"key": watch.key, "wait": wait}))
                away_until = None
            except NotReachable:
                away_until = away_until or loop.time() + AWAY_GRACE_S
                if loop.time() > away_until:
                    raise
                end = None
                await asyncio.sleep(AWAY_POLL_S)
            if end is not None:
                return result_of(end)
            if ends_at is not None and loop.time() >= ends_at:
                raise WaitTimedOut(f"job {watch.id} had not ended after {timeout} s; it goes on all the same")

    async def _follow(self, watch: Watch) -> AsyncGenerator[Fact]:
        lines = self._lines("/facts", {"job": watch.id})
        try:
            await anext(lines)  # from here on no fact is missed
            end = end_of(await self.status(watch.id, key=watch.key))
            if end is not None:
                yield end
                return
            async for line in lines:
                if not line.startswith("data: "):
                    continue
                fact = fact_of(json.loads(line[len("data: ") :]))
                yield fact
                if fact.fact in ENDS:
                    return
        finally:
            await lines.aclose()

    async def _lines(self, path: str, query: dict[str, str]) -> AsyncGenerator[str]:
        """The lines of a stream without an end of its own, once it has begun. Raises as _ask; NotReachable
        too when the gateway ends it.
        """
        no_end = httpx.Timeout(self._submit_s, read=None)
        try:
            async with self._open_http.stream("GET", path, params=query, timeout=no_end) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise self._no(answer, self._told(answer))
                async for line in answer.aiter_lines():
                    yield line
        except httpx.HTTPError as error:
            raise self._away(error) from None
        raise NotReachable(f"the gateway at {self._url} has ended its stream")

    # Changing.

    async def _command(
        self,
        name: CommandName,
        job: Job,
        reason: str | None,
        within: Seconds | None,
        run_at_ms: int | None = None,
    ) -> Fact | None:
        body = {"reason": reason, "run_at": run_at_ms}
        given = {field: found for field, found in body.items() if found is not None}
        told = await self._asked("POST", f"/job/{quote(job.id)}/{name}", given, query={"key": job.key})
        return self._answer(told, job.id, job.key, within)

    def _answer(self, told: Mapping[str, Any], id: str, key: str, within: Seconds | None) -> Fact | None:
        """What came of a command, as the fact that told it; None where nobody waits for it."""
        if within is None:
            return None
        if told["outcome"] == "written":
            raise WaitTimedOut(f"the service did not answer about {id} in time")
        next_at = told.get("next_at")
        return Fact(
            fact=told["outcome"],
            job=id,
            key=key,
            partition=0,
            at_ms=self._now_ms(),
            phase=told.get("phase"),
            reason=told.get("reason"),
            next_at_ms=None if next_at is None else parse_time(next_at),
        )

    async def dead_letters(self, since: datetime | Seconds) -> Letters:
        """As Client.dead_letters."""
        if isinstance(since, datetime):
            since_ms = round(since.timestamp() * 1_000)
        else:
            since_ms = self._now_ms() - (milliseconds("since", since) or 0)
        letters: Letters = []
        query: dict[str, object] = {"since": max(since_ms, 10**11), "limit": PAGE}
        while True:
            page = await self._asked("GET", "/dead-letters", query=query)
            letters += map(letter_of, page["letters"])
            if page["next"] is None:
                return letters[::-1]
            query["after"] = page["next"]

    async def redrive(self, letter: DeadLetter, *, within: Seconds = REDRIVE_WITHIN_S) -> Job:
        """As Client.redrive."""
        milliseconds("within", within)
        told = await self._asked("POST", f"/dead-letters/{quote(letter.job)}/redrive")
        return self.job(told.get("job", letter.job), letter.key)

    async def discard(self, letter: DeadLetter) -> None:
        """As Client.discard."""
        await self._asked("DELETE", f"/dead-letters/{quote(letter.job)}")

    async def configs(self) -> "dict[str, Entry]":
        """Settings are Kafka's: refused."""
        raise BadRequest(f"settings can be read over kafka:// alone, got {self._url}")

    async def _configure(self, key: str, fields: dict[str, Any]) -> "Entry":
        """A pause, or the end of one; other settings can be changed over kafka:// alone."""
        from schemas.events import QueueConfig

        kind, _, name = key.partition("/")
        if kind != "queue" or set(fields) != {"paused", "note"}:
            raise BadRequest(f"settings can be changed over kafka:// alone, got {self._url}")
        body = {} if fields["note"] is None else {"note": fields["note"]}
        word = "pause" if fields["paused"] else "resume"
        told = await self._asked("POST", f"/queues/{quote(name)}/{word}", body)
        return QueueConfig(queue=name, version=told["version"], paused=told["paused"], note=fields["note"])

    # Schedules.

    async def _put_schedule(self, schedule: Schedule, within: Seconds | None) -> Fact | None:
        body = json.loads(to_json(schedule))
        path = f"/schedules/{quote(schedule.id)}"
        try:
            told = await self._ask("PUT", path, body)
        except _Problem as problem:
            if within is None and problem.code != RejectCode.BAD_SCHEDULE:
                raise BadRequest(problem.sentence) from None
            raise CommandRefused(problem.sentence, problem.code) from None
        saved = {**told, "outcome": FactKind.SCHEDULE_SAVED if told["outcome"] == "accepted" else "written"}
        return self._answer(saved, schedule.id, schedule.key or schedule.id, within)

    def _every_schedule(self) -> Jsons:
        raise AssertionError("the gateway is asked for all schedules at once")

    async def _known_schedules(self) -> Jsons:
        found: Jsons = (await self.schedules())["schedules"]
        return found

    async def unschedule(self, id: str, *, within: Seconds | None = None) -> Fact | None:
        """As Client.unschedule."""
        told = await self._asked("DELETE", f"/schedules/{quote(id)}")
        removed = {
            **told,
            "outcome": FactKind.SCHEDULE_REMOVED if told["outcome"] == "removed" else "written",
        }
        return self._answer(removed, id, id, within)

    async def _ask_schedule(
        self, name: CommandName, id: str, within: Seconds | None, **fields: Any
    ) -> Fact | None:
        body = {field.removesuffix("_at_ms"): found for field, found in fields.items() if found is not None}
        told = await self._asked("POST", f"/schedules/{quote(id)}/{ROUTES[name]}", body)
        return self._answer(told, id, id, within)

    # The wire.

    @property
    def _open_http(self) -> httpx.AsyncClient:
        if self._http is None:
            raise BadRequest(
                "a client must be open when it is used: write `async with Client(...) as client:`"
            )
        return self._http

    async def _asked(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """As _ask, of a command: what is refused is a CommandRefused."""
        try:
            return await self._ask(method, path, body, query=query)
        except _Problem as problem:
            raise CommandRefused(problem.sentence, problem.code) from None

    async def _ask(  # type: ignore[override]  # records are not asked for over HTTP
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """The JSON of an answer.

        Raises:
            NotReachable: The gateway does not answer, or cannot at the moment.
            _Problem: It says no.
        """
        params = {name: str(found) for name, found in (query or {}).items() if found is not None}
        http, wait_s = self._open_http, float(params.get("wait", 0))
        try:
            answer = await http.request(
                method, path, json=body, params=params, timeout=self._submit_s + wait_s
            )
        except httpx.HTTPError as error:
            raise self._away(error) from None
        told = self._told(answer)
        if answer.is_success:
            return told
        raise self._no(answer, told)

    def _told(self, answer: httpx.Response) -> dict[str, Any]:
        """The JSON object of an answer. NotReachable if it is none."""
        try:
            told = answer.json()
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise NotReachable(f"what answers at {self._url} is no gateway: {answer.text:.100}")
        return told

    def _away(self, error: httpx.HTTPError) -> NotReachable:
        return NotReachable(
            f"the gateway at {self._url} does not answer: {str(error) or type(error).__name__}"
        )

    def _no(self, answer: httpx.Response, told: Mapping[str, Any]) -> JobstreamError:
        """The error that a refusal stands for."""
        sentence = str(told.get("detail", answer.reason_phrase))
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            return NotReachable(f"the gateway at {self._url} cannot at the moment: {sentence}")
        return _Problem(answer.status_code, sentence, told.get("code"))


class _Problem(CommandRefused):
    """The gateway says no."""

    def __init__(self, status: int, sentence: str, code: str | None) -> None:
        super().__init__(sentence, code)
        self.status = status
        self.sentence = sentence


def fact_of(told: Mapping[str, Any]) -> Fact:
    """A fact from its JSON."""
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(Fact):
        name = field.name
        if name.endswith("at_ms"):
            if (text := told.get(name.removesuffix("_ms"))) is not None:
                fields[name] = parse_time(text)
        elif name in told and name not in {"result", "result_type"}:
            fields[name] = told[name]
    if "result_base64" in told:
        fields |= {"result": base64.b64decode(told["result_base64"]), "result_type": told.get("result_type")}
    elif "result" in told:
        fields |= {"result": json.dumps(told["result"]).encode(), "result_type": CONTENT_TYPE}
    return Fact(**fields)


def letter_of(told: Mapping[str, Any]) -> DeadLetter:
    """A dead letter from its JSON."""
    args = json.dumps(told["args"]).encode() if "args" in told else None
    return DeadLetter(
        job=told["id"],
        key=told["key"],
        partition=told["partition"],
        function=told["function"],
        queue=told["queue"],
        at_ms=parse_time(told["at"]),
        reason=told["reason"],
        attempts=told["attempts"],
        args=args,
        content_type=CONTENT_TYPE,
        request=json.dumps(told["request"]),
        errors=json.dumps(told["errors"]),
        redrive=told["redrive"],
    )
