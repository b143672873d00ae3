"""What the service does, behind its routes: reads what is asked, writes it to Kafka, asks the workers.

Knows no framework and keeps no state. A job is accepted only when all replicas in sync have its request; what
cannot be told is a Problem, never a guess.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from ulid import ULID

from relay.core.tokens import Grant, Scope
from relay.doors.http.attempt import Attempt, verify
from relay.doors.http.desk import Answer, Ask, Desk, Pages
from relay.doors.http.metrics import Metrics
from relay.doors.http.problem import Problem, refusal
from relay.doors.http.receipts import read_beat, read_receipt, receipt_of
from relay.doors.http.shapes import (
    parse_body,
    read_ask,
    read_asks,
    read_reschedule,
    read_schedule_command,
    snaked,
)
from relay.doors.http.told import told_fact
from schemas import defaults
from schemas.codec import encode
from schemas.events import Command, Fact, Heartbeat, JobRequest, Schedule
from schemas.keys import home
from schemas.names import BadName, check_id, check_key, check_queue, likely_homes, new_id
from schemas.records import replace
from schemas.telemetry.spans import parse
from schemas.times import format_time, parse_time
from schemas.undecodable import shown
from schemas.unique import read_unique, unique_key
from schemas.words import ENDS, SCHEDULE_ANSWERS, CommandName, FactKind, RejectCode

DECIDED_S = 5.0
"""How long the state machine may take to say what it makes of a request or a command."""

ADMITTED_S = 3.0
"""How long a job that Kafka has accepted may be unknown to the workers before it counts as unknown."""
ADMITTED_POLL_S = 0.02
"""How often they are asked meanwhile."""

HISTORY_MS = 7 * defaults.DAY_MS
"""How long facts are kept."""

BY = "gateway"
"""Who asks, in commands."""

ADMISSIONS = frozenset({FactKind.ADMITTED, FactKind.DEDUPLICATED})
LATE_WORDS = frozenset({RejectCode.WRONG_EPOCH, RejectCode.NOT_NOW, RejectCode.UNKNOWN_JOB})
"""Refusals of receipts and commands: they say nothing of a request for the same job."""

DONE_WORDS = {
    CommandName.CANCEL: frozenset({FactKind.CANCEL_REQUESTED, *ENDS}),
    CommandName.RESCHEDULE: frozenset({FactKind.RESCHEDULED}),
    CommandName.RETRY: frozenset({FactKind.RETRIED, FactKind.PARKED}),
}


Takes = Callable[[str, int, Mapping[str, Any]], bool]
"""Takes the receipt of an attempt (job, epoch, fields) if it waits for it."""


@dataclass(frozen=True)
class Reply:
    """An answer that is no problem."""

    body: Any
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


class Door:
    """The service. Every method raises Problem, or what the desk raises."""

    def __init__(
        self, desk: Desk, pages: Pages, metrics: Metrics, secret: bytes, name: str, trusting: frozenset[str]
    ) -> None:
        """Of these parts.

        Args:
            desk: Kafka.
            pages: The streams workers.
            metrics: What it counts.
            secret: Signs the tokens of attempts.
            name: This gateway's, for people.
            trusting: Functions whose receipts need no token of their attempt.
        """
        self.desk = desk
        self.pages = pages
        self.metrics = metrics
        self._secret = secret
        self._name = name
        self._trusting = trusting
        self.taken_here: Takes = _nobody_waits
        """Told of each receipt; whoever holds the lease here takes it."""

    # Asking for jobs.

    async def submit(self, body: bytes, grant: Grant, trace: str | None = None) -> Reply:
        """`POST /job`: 201 with the id, 200 with the job that exists, 409 if that is another one."""
        asked = read_ask(parse_body(body), _now_ms(), new_id)
        if isinstance(asked.what, Schedule):
            return await self.save_schedule(asked.what, grant)
        grant.check(Scope.SUBMIT, asked.what.queue, asked.what.function)
        request, ask = self._asking(asked.what, trace)
        if asked.what.id is None and asked.what.unique is None:  # nothing is left to be decided
            return await self._submit_new(request, ask, asked.wait_s)
        fact = (await self.desk.decide([ask], admits, DECIDED_S))[0]
        self.metrics.jobs()
        reply = await self._decided(request, ask, fact)
        if asked.wait_s is None or fact is None:
            return reply
        id = fact.duplicate_of or ask.id
        await self.desk.ended(id, request.key or ask.id, ask.partition, asked.wait_s)
        return Reply(await self.pages.job(id, ask.job_key), reply.status, reply.headers)

    async def submit_many(self, body: bytes, grant: Grant, trace: str | None = None) -> Reply:
        """`POST /jobs`: all of them, or a problem that names the first that cannot be.

        207 if the state machine refused some whose ids were given; each says so by itself.
        """
        requests = read_asks(body, _now_ms(), new_id)
        for queue, function in {(request.queue, request.function) for request in requests}:
            grant.check(Scope.SUBMIT, queue, function)
        made = [self._asking(request, trace) for request in requests]
        open_ = [request.id is not None or request.unique is not None for request in requests]
        taken = [ask for is_open, (_, ask) in zip(open_, made, strict=True) if is_open]
        fresh = [ask for is_open, (_, ask) in zip(open_, made, strict=True) if not is_open]
        await self.desk.write(fresh)
        facts = await self.desk.decide(taken, admits, DECIDED_S) if taken else []
        self.metrics.jobs(len(made))
        decided = dict(zip(taken, facts, strict=True))
        told = [_one_of_many(ask, decided) for _, ask in made]
        refused = any(each["outcome"] == "refused" for each in told)
        return Reply({"jobs": told}, HTTPStatus.MULTI_STATUS if refused else HTTPStatus.CREATED)

    async def _submit_new(self, request: JobRequest, ask: Ask, wait_s: float | None) -> Reply:
        if wait_s is None:
            await self.desk.write([ask])
        else:
            await self.desk.run(ask, wait_s)
        self.metrics.jobs()
        if wait_s is not None:
            with contextlib.suppress(Problem):  # Kafka has it; that comes before what can be told of it
                return Reply(await self.pages.job(ask.id, ask.job_key), HTTPStatus.CREATED, _where(ask))
        return _accepted(request, ask)

    async def _decided(self, request: JobRequest, ask: Ask, fact: Fact | None) -> Reply:
        if fact is None:
            body = {**_named(request, ask), "outcome": "written"}
            return Reply(body, HTTPStatus.ACCEPTED, _where(ask))
        if fact.fact == FactKind.REJECTED:
            raise refusal(str(fact.error_type), fact.reason or "the request was refused", id=ask.id)
        if fact.fact == FactKind.ADMITTED:
            reply = _accepted(request, ask)
            if fact.replaced is None:
                return reply
            body = {**reply.body, "outcome": "replaced", "replaced": fact.replaced}
            return Reply(body, reply.status, reply.headers)
        id = fact.duplicate_of or ask.id
        try:
            job = await self.pages.job(id, ask.job_key)
        except Problem:
            job = {"phase": fact.phase, **_named(request, ask), "id": id}
        twin = {} if fact.duplicate_of is None else {"duplicate_of": id}
        where = {"Location": f"/job/{quote(id)}"}
        return Reply({**job, "outcome": "duplicate", **twin}, HTTPStatus.OK, where)

    def _asking(self, request: JobRequest, trace: str | None) -> tuple[JobRequest, Ask]:
        """The request with its id, and its record: at the home of its key. `trace` is the header of the call,
        which counts where the request says nothing of its own.
        """
        if trace is not None and request.trace is None and parse(trace) is not None:
            request = replace(request, trace=trace[: defaults.TRACE_CHARS_MAX])
        partitions = self.desk.topics.partitions
        if request.key is None and request.unique is not None:  # equal ones must meet
            request = replace(request, key=unique_key(request, read_unique(request.unique)))
        partition = None if request.key is None else home(request.key, partitions)
        id = request.id if request.id is not None else new_id(partition)
        key = id if request.key is None else request.key
        request = replace(request, id=id, key=key)
        where = home(key, partitions) if partition is None else partition
        return request, Ask(self.desk.topics.requests, where, key, encode(request), id, key)

    # Looking.

    async def job(self, id: str, key: str | None, wait_s: float | None, grant: Grant) -> Reply:
        """`GET /job/:id`: where it is; with a wait, once it has ended or the wait is over."""
        job = await self._seen(id, key, grant, Scope.READ, patient=wait_s is not None)
        if wait_s is not None and job["ended_at"] is None:
            await self.desk.ended(id, job["key"], job["partition"], wait_s)
            job = await self.pages.job(id, job["key"])
        return Reply(job)

    async def jobs(self, query: Mapping[str, str], grant: Grant) -> Reply:
        """`GET /jobs`: the newest first, paged."""
        grant.check(Scope.READ)
        queue = query.get("queue")
        if queue is not None:
            _check(check_queue, queue)
        if not grant.sees(queue):
            grant.check(Scope.READ, queue or "all of them; name one with ?queue=")
        return Reply(await self.pages.jobs(query))

    async def history(self, id: str, key: str | None, grant: Grant) -> Reply:
        """`GET /job/:id/history`: every fact about it that Kafka still has, in order."""
        try:
            job = await self._seen(id, key, grant, Scope.READ)
        except Problem as problem:
            if problem.status != HTTPStatus.NOT_FOUND:
                raise
            facts, complete = await self._history_of_forgotten(id, key)
            if not facts or not grant.sees(facts[-1].queue):
                raise
        else:
            since_ms, ended = parse_time(job["created_at"]), job["ended_at"]
            until_ms = None if ended is None else parse_time(ended)
            facts, complete = await self.desk.history(id, job["partition"], since_ms, until_ms)
        told = [told_fact(fact) for fact in facts]
        return Reply({"id": id, "key": facts[-1].key if facts else key, "facts": told, "complete": complete})

    async def _history_of_forgotten(self, id: str, key: str | None) -> tuple[list[Fact], bool]:
        """The facts of a job whose row is no more; the time in its id, if any, says where they begin."""
        since_ms = max(_made_ms(id), _now_ms() - HISTORY_MS)
        partitions = self.desk.topics.partitions
        homes = likely_homes(id, partitions) if key is None else (home(key, partitions),)
        found: tuple[list[Fact], bool] = [], True
        for partition in homes:
            found = await self.desk.history(id, partition, since_ms, None)
            if found[0]:
                break
        return found

    async def queues(self, grant: Grant) -> Reply:
        """`GET /queues`: how many jobs are in each phase of each, and the lag of its dispatches."""
        grant.check(Scope.READ)
        counts, lags = await asyncio.gather(self.pages.counts(), self.desk.lags())
        names = sorted(name for name in {*counts["queues"], *lags} if grant.sees(name))
        shown_ = {name: {**counts["queues"].get(name, {}), "lag": lags.get(name, 0)} for name in names}
        return Reply({"now": counts["now"], "queues": shown_})

    async def duties(self, grant: Grant) -> Reply:
        """`GET /duties`: how what time asks was done; it tells of no queue."""
        grant.check(Scope.READ)
        return Reply(await self.pages.duties())

    async def pause(self, queue: str, body: bytes, grant: Grant, *, paused: bool) -> Reply:
        """`POST /queues/:queue/pause` and `/resume`: its jobs are taken and wait; what runs goes on."""
        _check(check_queue, queue)
        grant.check(Scope.OPERATE, queue)
        version = await self.desk.pause(queue, _text(body, "note"), paused=paused)
        return Reply({"queue": queue, "paused": paused, "version": version})

    async def schedules(self, grant: Grant) -> Reply:
        """`GET /schedules`."""
        grant.check(Scope.READ)
        answer = await self.pages.schedules()
        shown_ = [each for each in answer["schedules"] if grant.sees(each["queue"])]
        return Reply({"now": answer["now"], "schedules": shown_})

    async def schedule(self, id: str, grant: Grant) -> Reply:
        """`GET /schedules/:id`."""
        grant.check(Scope.READ)
        try:
            found = (await self.pages.schedule(id))["schedules"][0]
        except Problem as problem:
            if problem.status != HTTPStatus.NOT_FOUND:
                raise
            found = None
        if found is None or not grant.sees(found["queue"]):
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no schedule {shown(id)}", "unknown_schedule")
        return Reply(found)

    # Changing.

    async def command(self, name: CommandName, id: str, body: bytes, key: str | None, grant: Grant) -> Reply:
        """`POST /job/:id/cancel`, `/retry`, `/reschedule`: 200 once it is done, 409 if it cannot be."""
        if name == CommandName.RESCHEDULE:
            run_at_ms, reason = read_reschedule(body, _now_ms())
        else:
            run_at_ms, reason = None, _text(body, "reason")
        job = await self._seen(id, key, grant, Scope.OPERATE)
        command = Command(command=name, id=id, key=job["key"], reason=reason, by=BY, run_at_ms=run_at_ms)
        topics = self.desk.topics
        ask = Ask(topics.requests, job["partition"], job["key"], encode(command), id, job["key"])
        fact = (await self.desk.decide([ask], _fits({*DONE_WORDS[name], FactKind.REJECTED}), DECIDED_S))[0]
        if fact is None:
            return Reply({"id": id, "key": job["key"], "outcome": "written"}, HTTPStatus.ACCEPTED)
        if fact.fact == FactKind.REJECTED:
            raise _refused_command(fact, f"{name} of job {id} was refused")
        told = {"id": id, "key": job["key"], "outcome": str(fact.fact), "phase": fact.phase}
        if fact.next_at_ms is not None:
            told["next_at"] = format_time(fact.next_at_ms)
        return Reply(told)

    async def put_schedule(self, id: str, body: bytes, grant: Grant) -> Reply:
        """`PUT /schedules/:id`: made, or replaced."""
        given = snaked(parse_body(body))
        if given.setdefault("id", id) != id:
            raise refusal(RejectCode.BAD_FIELD, f"id must be the one in the path, got {shown(given['id'])}")
        what = read_ask(given, _now_ms(), new_id).what
        if not isinstance(what, Schedule):
            raise refusal(RejectCode.BAD_FIELD, "a schedule must have cron or crons, got neither")
        return await self.save_schedule(what, grant)

    async def save_schedule(self, schedule: Schedule, grant: Grant) -> Reply:
        """201 with the next fire once the state machine has it."""
        grant.check(Scope.SUBMIT, schedule.queue, schedule.function)
        fact = await self._about_schedule(schedule.id, encode(schedule), FactKind.SCHEDULE_SAVED)
        named = {"id": schedule.id, "function": schedule.function, "queue": schedule.queue}
        where = {"Location": f"/schedules/{quote(schedule.id)}"}
        if fact is None:
            return Reply({**named, "outcome": "written"}, HTTPStatus.ACCEPTED, where)
        if fact.fact == FactKind.REJECTED:
            raise refusal(str(fact.error_type), fact.reason or "the schedule was refused", id=schedule.id)
        next_at = None if fact.next_at_ms is None else format_time(fact.next_at_ms)
        return Reply({**named, "outcome": "accepted", "next_at": next_at}, HTTPStatus.CREATED, where)

    async def remove_schedule(self, id: str, grant: Grant) -> Reply:
        """`DELETE /schedules/:id`; its fired jobs go on."""
        _check(check_id, id)
        grant.check(Scope.OPERATE)
        if not grant.sees(None):
            await self.schedule(id, grant)
        fact = await self._about_schedule(id, None, FactKind.SCHEDULE_REMOVED)
        if fact is not None and fact.fact == FactKind.REJECTED:
            raise Problem(
                HTTPStatus.NOT_FOUND, fact.reason or f"there is no schedule {id}", "unknown_schedule"
            )
        outcome = "written" if fact is None else "removed"
        return Reply({"id": id, "outcome": outcome}, HTTPStatus.ACCEPTED if fact is None else HTTPStatus.OK)

    async def command_schedule(self, name: CommandName, id: str, body: bytes, grant: Grant) -> Reply:
        """`POST /schedules/:id/pause`, `/resume`, `/trigger`, `/backfill`: 200 with what came of it."""
        _check(check_id, id)
        grant.check(Scope.OPERATE)
        if not grant.sees(None):
            await self.schedule(id, grant)
        command = read_schedule_command(name, id, body, _now_ms(), BY)
        topics = self.desk.topics
        ask = Ask(topics.requests, home(id, topics.partitions), id, encode(command), id, None)
        wanted = {*SCHEDULE_ANSWERS[name], FactKind.REJECTED}
        fact = (await self.desk.decide([ask], _fits(wanted), DECIDED_S))[0]
        if fact is None:
            return Reply({"id": id, "outcome": "written"}, HTTPStatus.ACCEPTED)
        if fact.fact == FactKind.REJECTED:
            raise _refused_command(fact, f"{name} of {id} was refused")
        next_at = None if fact.next_at_ms is None else format_time(fact.next_at_ms)
        return Reply({"id": id, "outcome": str(fact.fact), "reason": fact.reason, "next_at": next_at})

    async def _about_schedule(self, id: str, value: bytes | None, done: FactKind) -> Fact | None:
        topics = self.desk.topics
        ask = Ask(topics.schedules, home(id, topics.partitions), id, value, id, None)
        return (await self.desk.decide([ask], _fits({done, FactKind.REJECTED}), DECIDED_S))[0]

    # What functions behind a URL tell.

    async def receipt(self, id: str, body: bytes, token: str | None, grant: Grant | None) -> Reply:
        """`POST /job/:id/receipt`: how an attempt ended."""
        given = parse_body(body)
        fields = read_receipt(given)
        attempt = await self._attempt(id, given.get("token") or token, grant)
        receipt = receipt_of(attempt, fields, _now_ms(), self._name)
        if self.taken_here(id, attempt.epoch, fields):  # the minion that waits for it writes it
            return Reply({"id": id, "attempt": attempt.attempt, "outcome": str(receipt.outcome)})
        topics = self.desk.topics
        await self.desk.write(
            [Ask(topics.receipts, attempt.partition, attempt.key, encode(receipt), id, None)]
        )
        return Reply({"id": id, "attempt": attempt.attempt, "outcome": str(receipt.outcome)})

    async def heartbeat(self, id: str, body: bytes, token: str | None, grant: Grant | None) -> Reply:
        """`POST /job/:id/heartbeat`: an attempt is alive, and how far it is."""
        given = parse_body(body or b"{}")
        attempt = await self._attempt(id, given.get("token") or token, grant)
        at_ms = _now_ms()
        beat = read_beat(given, attempt, at_ms)
        record = Heartbeat(partition=attempt.partition, relay=self._name, at_ms=at_ms, beats=(beat,))
        topics = self.desk.topics
        await self.desk.write(
            [Ask(topics.heartbeats, attempt.partition, attempt.key, encode(record), id, None)]
        )
        return Reply({"id": id, "attempt": attempt.attempt})

    async def _attempt(self, id: str, token: object, grant: Grant | None) -> Attempt:
        """The attempt that a word is about: by its token, else the one that runs, for who may operate."""
        if isinstance(token, str):
            return verify(token, id, self._secret)
        if token is not None:
            raise refusal(RejectCode.BAD_FIELD, f"token must be a string, got {shown(token)}")
        if grant is None or not self._trusting:
            raise Problem(
                HTTPStatus.UNAUTHORIZED, "the token that came with the attempt must be given, got none"
            )
        job = await self._seen(id, None, grant, Scope.OPERATE)
        if job["function"] not in self._trusting:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                f"function {job['function']} takes no receipt without its attempt's token",
            )
        if job["phase"] != "leased" or not job["attempts"]:
            raise Problem(
                HTTPStatus.CONFLICT, f"job {id} has no attempt that runs, it is {job['phase']}", "not_now"
            )
        last = job["attempts"][-1]
        return Attempt(
            job=id,
            key=job["key"],
            partition=job["partition"],
            queue=job["queue"],
            function=job["function"],
            attempt=job["attempt"],
            epoch=job["epoch"],
            assigned_at_ms=_now_ms(),
            timeout_ms=defaults.TIMEOUT_MS,
            minion=last["minion"] or self._name,
        )

    async def _seen(
        self, id: str, key: str | None, grant: Grant, scope: Scope, *, patient: bool = False
    ) -> Answer:
        """A job, if there is one and it may be told of; to others it does not exist.

        One that Kafka has just accepted is known a moment later: so who waits, or asks by an id that was made
        just now, is not told at once that there is none.
        """
        _check(check_id, id)
        if key is not None:
            _check(check_key, key)
        grant.check(scope)
        until = time.monotonic() + (ADMITTED_S if patient or _just_made(id) else 0)
        while True:
            try:
                job = await self.pages.job(id, key)
            except Problem as problem:
                if problem.status != HTTPStatus.NOT_FOUND or time.monotonic() > until:
                    raise
                await asyncio.sleep(ADMITTED_POLL_S)
            else:
                grant.check(scope, job["queue"])
                return job


def _just_made(id: str) -> bool:
    """Whether an id is a ULID of these seconds."""
    return abs(_now_ms() - _made_ms(id)) < ADMITTED_S * 1_000


def _made_ms(id: str) -> int:
    """When an id that is a ULID was made, epoch ms; 0 for another."""
    try:
        return round(ULID.from_str(id).timestamp * 1_000)
    except ValueError:
        return 0


def _refused_command(fact: Fact, otherwise: str) -> Problem:
    """404 for what is not there, 409 for what cannot be now, 400 for what is wrong."""
    statuses = {
        RejectCode.UNKNOWN_JOB: HTTPStatus.NOT_FOUND,
        RejectCode.UNKNOWN_SCHEDULE: HTTPStatus.NOT_FOUND,
        RejectCode.BAD_FIELD: HTTPStatus.BAD_REQUEST,
        RejectCode.BAD_TIME: HTTPStatus.BAD_REQUEST,
    }
    status = statuses.get(RejectCode(str(fact.error_type)), HTTPStatus.CONFLICT)
    return Problem(status, fact.reason or otherwise, str(fact.error_type))


def _one_of_many(ask: Ask, decided: Mapping[Ask, Fact | None]) -> dict[str, Any]:
    """What became of one job of many; those whose id was just made are accepted."""
    named: dict[str, Any] = {"id": ask.id, "key": ask.job_key}
    fact = decided.get(ask)
    if ask not in decided:
        return named | {"outcome": "accepted"}
    if fact is None:
        return named | {"outcome": "written"}
    if fact.fact == FactKind.ADMITTED:
        found = {} if fact.replaced is None else {"replaced": fact.replaced}
        return named | {"outcome": "replaced" if found else "accepted", **found}
    if fact.fact == FactKind.DEDUPLICATED:
        twin = {} if fact.duplicate_of is None else {"duplicate_of": fact.duplicate_of}
        return named | {"outcome": "duplicate", "phase": fact.phase, **twin}
    return named | {"outcome": "refused", "code": str(fact.error_type), "detail": fact.reason}


def _nobody_waits(*_: object) -> bool:
    return False


def _accepted(request: JobRequest, ask: Ask) -> Reply:
    return Reply({**_named(request, ask), "outcome": "accepted"}, HTTPStatus.CREATED, _where(ask))


def _named(request: JobRequest, ask: Ask) -> dict[str, Any]:
    return {
        "id": ask.id,
        "key": ask.job_key,
        "function": request.function,
        "queue": request.queue,
        "partition": ask.partition,
    }


def _where(ask: Ask) -> dict[str, str]:
    return {"Location": f"/job/{quote(ask.id)}"}


def admits(fact: Fact) -> bool:
    """Whether a fact says what became of a request."""
    return fact.fact in ADMISSIONS or (fact.fact == FactKind.REJECTED and fact.error_type not in LATE_WORDS)


def _fits(wanted: set[FactKind]) -> Any:
    return lambda fact: fact.fact in wanted


def _text(body: bytes, name: str) -> str | None:
    """The one field that a body may have, a text for people."""
    given = parse_body(body) if body.strip() else {}
    found = given.pop(name, None)
    if given:
        raise refusal(
            RejectCode.UNKNOWN_FIELD, f"the body has no field {shown(next(iter(given)))}; {name} alone"
        )
    if found is not None and (not isinstance(found, str) or len(found) > defaults.REASON_CHARS_MAX):
        most = defaults.REASON_CHARS_MAX
        raise refusal(RejectCode.BAD_FIELD, f"{name} must be a text of {most} characters, got {shown(found)}")
    return found


def _check(check: Any, found: str) -> None:
    try:
        check(found)
    except BadName as error:
        raise refusal(RejectCode.BAD_NAME, str(error)) from None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
