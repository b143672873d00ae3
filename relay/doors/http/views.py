"""Asks the streams workers' pages over HTTP, and makes one answer of several. Keeps nothing but connections.

A worker tells of the partitions it has. What no worker that answers has cannot be told: that is 503 with
Retry-After, never an answer that leaves something out.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from relay.doors.http.desk import Answer
from relay.doors.http.problem import Problem, unavailable
from schemas.times import parse_time

log = logging.getLogger("gateway.views")

ANSWER_S = 10.0
"""How long a worker may take to answer."""

CONNECT_S = 2.0
"""How long it may take to be reached."""

CONNECTIONS_MAX = 100

AGAIN_S = (0.05, 0.2, 0.5)
"""Pauses before a worker is asked again that was not there or was just taking over partitions."""

Find = Callable[[], Sequence[str]]
"""Where workers are at the moment, host:port."""


class WorkerPages:
    """The pages of all workers as one."""

    def __init__(self, find: Find, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Of the workers that `find` names; `transport` is how they are reached, if not over the network."""
        self._find = find
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
            headers={"Accept": "application/json"},
            trust_env=False,
            transport=transport,
        )

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()

    async def job(self, id: str, key: str | None) -> Answer:
        """One job. Problem 404 if all partitions where it may be were asked, 503 if that can't be told."""
        query = {} if key is None else {"key": key}
        return await _patiently(lambda: self._job(f"/jobstream/job/{quote(id, safe='')}", query))

    async def jobs(self, query: Mapping[str, str]) -> Answer:
        """Jobs of all workers, the newest first."""
        return await _patiently(lambda: self._jobs(query))

    async def counts(self) -> Answer:
        """The counts of all workers, added up."""
        return await _patiently(self._counts)

    async def duties(self) -> Answer:
        """The duties of all workers: their counts added up, the latest of their times."""
        return await _patiently(self._duties)

    async def schedules(self) -> Answer:
        """The schedules of all workers, by id."""
        return await _patiently(self._schedules)

    async def schedule(self, id: str) -> Answer:
        """One schedule, with its fires to come."""
        return await _patiently(lambda: self._job("/jobstream/schedules", {"id": id}))

    async def workers(self) -> list[Answer]:
        """Each worker with what it says of its health; one that does not answer says why, as `away`."""
        found = list(self._find())
        answers = await asyncio.gather(*(self._ask(worker, "/jobstream/health", {}) for worker in found))
        return [
            {"web": worker, "away": answer.get("error"), **answer}
            for worker, (_, answer) in zip(found, answers, strict=True)
        ]

    async def check(self) -> None:
        """Problem 503 unless every partition is some worker's that is ready."""
        await self._all("/jobstream/health", {})

    async def _job(self, path: str, query: Mapping[str, str]) -> Answer:
        answers = await self._ask_all(path, query)
        sure = [found for found in answers if found[0] in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}]
        lacks = [set(answer["missing"]) for _, answer in answers if "missing" in answer]
        if sure:
            status, answer = sure[0]
            where = answer.get("partition")
            if len(sure) > 1 or any(where is not None and where not in each for each in lacks):
                raise unavailable("it can't be told at the moment: two workers say that they have it")
            if status == HTTPStatus.OK:
                return answer
            raise Problem(HTTPStatus.NOT_FOUND, str(answer.get("error", "there is none")), "unknown_job")
        if lacks and not set.intersection(*lacks):  # together they have every partition, and none has it
            raise Problem(
                HTTPStatus.NOT_FOUND, "no such job is kept; ended jobs are forgotten", "unknown_job"
            )
        why = next(str(answer.get("error", f"a worker answered {status}")) for status, answer in answers)
        raise unavailable(f"it can't be told at the moment: {why}")

    async def _jobs(self, query: Mapping[str, str]) -> Answer:
        answers = await self._all("/jobstream/jobs", query)
        count = int(query.get("limit") or 100)
        found = sorted((job for answer in answers for job in answer["jobs"]), key=_age, reverse=True)
        more = len(found) > count or any(answer["next"] is not None for answer in answers)
        return {
            **{name: answers[0][name] for name in ("now", "queue", "phase")},
            "total": None if answers[0]["total"] is None else sum(answer["total"] for answer in answers),
            "jobs": found[:count],
            "next": _cursor(found[:count]) if more and found else None,
        }

    async def _counts(self) -> Answer:
        answers = await self._all("/jobstream/counts", {})
        queues: dict[str, dict[str, int]] = {}
        for answer in answers:
            for queue, phases in answer["queues"].items():
                _add(queues.setdefault(queue, {}), phases)
        total: dict[str, int] = {}
        for found in queues.values():
            _add(total, found)
        return {"now": answers[0]["now"], "total": sum(total.values()), "phases": total, "queues": queues}

    async def _duties(self) -> Answer:
        answers = await self._all("/jobstream/duties", {})
        told = [answer["duties"] for answer in answers]
        duties = {name: _one_duty([each[name] for each in told]) for name in told[0]}
        return {"now": answers[0]["now"], "duties": duties}

    async def _schedules(self) -> Answer:
        answers = await self._all("/jobstream/schedules", {})
        found = sorted(
            (each for answer in answers for each in answer["schedules"]), key=lambda each: str(each["id"])
        )
        return {"now": answers[0]["now"], "schedules": found}

    async def _all(self, path: str, query: Mapping[str, str]) -> list[Answer]:
        """Answers that together are about every partition, each of them once."""
        answers = await self._ask_all(path, query)
        bad = next((found for found in answers if found[0] == HTTPStatus.BAD_REQUEST), None)
        if bad is not None:
            raise Problem(HTTPStatus.BAD_REQUEST, str(bad[1].get("error")), "bad_request")
        told = [answer for status, answer in answers if status == HTTPStatus.OK]
        numbers = [number for answer in told for number in answer["partitions"]]
        total = told[0]["partitions_total"] if told else 0
        if not told or sorted(numbers) != list(range(total)):
            why = next((str(answer.get("error")) for status, answer in answers if "error" in answer), None)
            raise unavailable(
                f"{len(set(numbers))} of {total or 'all'} partitions can be told of" + _because(why)
            )
        return told

    async def _ask_all(self, path: str, query: Mapping[str, str]) -> list[tuple[int, Answer]]:
        workers = self._find()
        if not workers:
            raise unavailable("no streams worker is known")
        return list(await asyncio.gather(*(self._ask(worker, path, query) for worker in workers)))

    async def _ask(self, worker: str, path: str, query: Mapping[str, str]) -> tuple[int, Answer]:
        """What a worker answers; 503 for one that does not."""
        try:
            response = await self._client.get(f"http://{worker}{path}", params=dict(query))
            answer = response.json()
            if isinstance(answer, dict):
                return response.status_code, answer
            said = f"got {type(answer).__name__}"
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
        except ValueError:
            said = "no JSON"
        return HTTPStatus.SERVICE_UNAVAILABLE, {"error": f"the worker at {worker} does not answer ({said})"}


async def _patiently(ask: Callable[[], Any]) -> Answer:
    """Asks again for a moment while something is not there: a worker that restarts, a group that changes.
    Who waited for a worker that froze has waited long enough.
    """
    until_s = time.monotonic() + ANSWER_S
    for pause_s in AGAIN_S:
        try:
            answer: Answer = await ask()
            return answer
        except Problem as problem:
            if problem.status != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > until_s:
                raise
        await asyncio.sleep(pause_s)
    last: Answer = await ask()
    return last


def _one_duty(told: Sequence[Mapping[str, Any]]) -> Answer:
    """What several workers say of one duty, as one."""
    latest = {
        name: max((each[name] for each in told if each[name] is not None), default=None)
        for name in ("checked_at", "last_at")
    }
    return {**latest, **{name: sum(each[name] for each in told) for name in ("done", "overdue")}}


def _because(why: str | None) -> str:
    return f": {why}" if why else "; the others are being taken over"


def _age(job: Mapping[str, Any]) -> tuple[str, str]:
    return str(job["created_at"]), str(job["id"])


def _cursor(jobs: Sequence[Mapping[str, Any]]) -> str:
    """Where the next page begins, in the form of the workers' own."""
    created_at, id = _age(jobs[-1])
    return f"{parse_time(created_at)}/{id}"


def _add(sums: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        sums[name] = sums.get(name, 0) + count
