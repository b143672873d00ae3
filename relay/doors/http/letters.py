"""Dead letters over HTTP: read, redriven, discarded, by id or by what they have in common.

Owns which letters are meant and what is said of each. Whether a job may run again is the state machine's to
say; a letter is settled only after it has said so.
"""

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

from relay.core.tokens import Grant, Scope
from relay.doors.http.desk import Ask, Desk
from relay.doors.http.door import BY, DECIDED_S, Reply, admits
from relay.doors.http.moment import moment_ms
from relay.doors.http.problem import Problem, refusal
from relay.doors.http.shapes import parse_body, snaked
from schemas import defaults
from schemas.codec import encode
from schemas.events import Command, DeadLetter, Fact
from schemas.keys import home
from schemas.letters import request_again, settled
from schemas.limits import Refused
from schemas.times import format_time
from schemas.undecodable import shown
from schemas.words import CommandName, FactKind, RejectCode, Settled

LIMIT = 100
LIMIT_MAX = 1_000
"""Letters in one answer, and settled by one call."""

SINCE_MS = defaults.DAY_MS
"""How far back is looked if nothing says so."""

AT_ONCE = 200
"""Jobs that are asked for together."""

QUERY = ("queue", "function", "key", "error", "since", "until", "limit", "after")
FIELDS = (*QUERY[:6], "limit", "ids", "all")
TEXTS = ("queue", "function", "key", "error")
RETRIED = frozenset({FactKind.RETRIED, FactKind.PARKED, FactKind.REJECTED})


@dataclass(frozen=True)
class Chosen:
    """Which letters; None: whatever it is."""

    since_ms: int
    until_ms: int | None
    limit: int
    ids: frozenset[str] | None
    texts: Mapping[str, str]

    @classmethod
    def of(cls, given: Mapping[str, Any], now_ms: int) -> Self:
        """From parameters or the fields of a body. Problem if one cannot be."""
        texts = {name: given[name] for name in TEXTS if given.get(name) is not None}
        for name, found in texts.items():
            if not isinstance(found, str):
                raise refusal(RejectCode.BAD_FIELD, f"{name} must be a text, got {shown(found)}")
        since_ms = _at("since", given, now_ms)
        return cls(
            now_ms - SINCE_MS if since_ms is None else since_ms,
            _at("until", given, now_ms),
            _limit(given.get("limit")),
            _ids(given.get("ids")),
            texts,
        )

    def takes(self, letter: DeadLetter) -> bool:
        """Whether it is one of them."""
        texts = self.texts
        error = texts.get("error")
        return (
            (self.ids is None or letter.job in self.ids)
            and (self.until_ms is None or letter.at_ms < self.until_ms)
            and all(getattr(letter, name) == texts.get(name, getattr(letter, name)) for name in TEXTS[:3])
            and (error is None or error in letter.reason or error in letter.errors)
        )


class Letters:
    """The dead letters of a desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def page(self, query: Mapping[str, str], grant: Grant) -> Reply:
        """`GET /dead-letters`: the newest first, paged; of the last day unless `since` says otherwise."""
        grant.check(Scope.READ, query.get("queue"))
        now_ms = _now_ms()
        chosen = Chosen.of(query, now_ms)
        before = _cursor(query.get("after"))
        found = await self._found(chosen, grant)
        newest = [each for each in reversed(found) if before is None or _place(each) < before]
        page = newest[: chosen.limit]
        more = len(newest) > len(page)
        return Reply(
            {
                "now": format_time(now_ms),
                "since": format_time(chosen.since_ms),
                "total": len(found),
                "letters": [told_letter(letter) for letter in page],
                "next": "/".join(map(str, _place(page[-1]))) if more else None,
            }
        )

    async def one(self, id: str, grant: Grant) -> Reply:
        """`GET /dead-letters/:id`, however old it is."""
        return Reply(told_letter(await self._one(id, grant, Scope.READ)))

    async def settle_one(self, what: Settled, id: str, grant: Grant) -> Reply:
        """`POST /dead-letters/:id/redrive`, `DELETE /dead-letters/:id`. 409 if its job is not dead any
        more.
        """
        letter = await self._one(id, grant, Scope.OPERATE)
        (told,) = [told async for told in self._settle(what, [letter])]
        if told["outcome"] in {"skipped", "failed"}:
            raise Problem(HTTPStatus.CONFLICT, told["detail"], str(RejectCode.NOT_NOW))
        status = HTTPStatus.ACCEPTED if told["outcome"] == "written" else HTTPStatus.OK
        return Reply(told, status)

    async def settle_many(self, what: Settled, body: bytes, grant: Grant) -> Reply:
        """`POST /dead-letters/redrive` and `/discard`: those that the body names, and what came of each."""
        grant.check(Scope.OPERATE)
        given = _snaked(parse_body(body))
        for name in given:
            if name not in FIELDS:
                there = ", ".join(FIELDS)
                raise refusal(
                    RejectCode.UNKNOWN_FIELD, f"the body has no field {shown(name)}; there are {there}"
                )
        if given.get("all") is not True and not any(given.get(name) for name in (*TEXTS, "ids")):
            reason = f"the body must say which by ids, {', '.join(TEXTS)}, or all: true"
            raise refusal(RejectCode.BAD_FIELD, f"{reason}, got {shown(given)}")
        chosen = Chosen.of(given, _now_ms())
        found = await self._found(chosen, grant)
        told = [each async for each in self._settle(what, found[: chosen.limit])]
        counts: dict[str, int] = {}
        for each in told:
            counts[each["outcome"]] = counts.get(each["outcome"], 0) + 1
        return Reply({"found": len(found), "counts": counts, "letters": told})

    async def _found(self, chosen: Chosen, grant: Grant) -> list[DeadLetter]:
        letters = await self._desk.dead_letters(chosen.since_ms)
        return [letter for letter in letters if chosen.takes(letter) and grant.sees(letter.queue)]

    async def _one(self, id: str, grant: Grant, scope: Scope) -> DeadLetter:
        grant.check(scope)
        found = [letter for letter in await self._desk.dead_letters(0) if letter.job == id]
        if not found or not grant.sees(found[-1].queue):
            raise Problem(
                HTTPStatus.NOT_FOUND,
                f"there is no dead letter of job {shown(id)}, or it was redriven or discarded",
                "unknown_letter",
            )
        return found[-1]

    async def _settle(self, what: Settled, letters: Sequence[DeadLetter]) -> AsyncIterator[dict[str, Any]]:
        for first in range(0, len(letters), AT_ONCE):
            some = letters[first : first + AT_ONCE]
            if what == Settled.DISCARDED:
                told = [{"id": letter.job, "outcome": "discarded"} for letter in some]
            else:
                told = await self._redrive(some)
            over = [
                letter
                for letter, each in zip(some, told, strict=True)
                if each["outcome"] not in {"written", "failed"}
            ]
            await self._desk.write([self._settling(letter, what) for letter in over])
            for each in told:
                yield each

    async def _redrive(self, letters: Sequence[DeadLetter]) -> list[dict[str, Any]]:
        """Asks for each job again: for the job itself while it is kept, else for another one."""
        facts = await self._desk.decide(
            [self._retry(letter) for letter in letters], lambda fact: fact.fact in RETRIED, DECIDED_S
        )
        told = [_outcome(letter.job, fact) for letter, fact in zip(letters, facts, strict=True)]
        gone = [number for number, each in enumerate(told) if each["outcome"] == "gone"]
        if gone:
            asks = [self._again(letters[number]) for number in gone]
            for number, ask, fact in zip(
                gone, asks, await self._desk.decide(asks, admits, DECIDED_S), strict=True
            ):
                told[number] = _new_job(letters[number].job, ask.id, fact)
        return told

    def _retry(self, letter: DeadLetter) -> Ask:
        command = Command(command=CommandName.RETRY, id=letter.job, key=letter.key, reason="redriven", by=BY)
        topic = self._desk.topics.requests
        return Ask(topic, letter.partition, letter.key, encode(command), letter.job, letter.key)

    def _again(self, letter: DeadLetter) -> Ask:
        request = request_again(letter)
        assert request.id is not None, "a request that is made of a letter has an id"
        topics = self._desk.topics
        partition = home(letter.key, topics.partitions)
        return Ask(topics.requests, partition, letter.key, encode(request), request.id, letter.key)

    def _settling(self, letter: DeadLetter, what: Settled) -> Ask:
        value = encode(settled(letter, what, _now_ms()))
        return Ask(self._desk.topics.dead, letter.partition, letter.key, value, letter.job, letter.key)


def told_letter(letter: DeadLetter) -> dict[str, Any]:
    """A letter as JSON."""
    told: dict[str, Any] = {
        "id": letter.job,
        "key": letter.key,
        "partition": letter.partition,
        "function": letter.function,
        "queue": letter.queue,
        "at": format_time(letter.at_ms),
        "reason": letter.reason,
        "attempts": letter.attempts,
        "errors": _parsed(letter.errors),
        "request": _parsed(letter.request),
        "redrive": letter.redrive,
    }
    if letter.args is not None and letter.content_type == defaults.CONTENT_TYPE:
        told["args"] = _parsed(letter.args.decode(errors="replace"))
    return told


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _outcome(id: str, fact: Fact | None) -> dict[str, Any]:
    if fact is None:
        return {"id": id, "outcome": "written"}
    if fact.fact != FactKind.REJECTED:
        return {"id": id, "outcome": "redriven"}
    if fact.error_type == RejectCode.UNKNOWN_JOB:
        return {"id": id, "outcome": "gone"}
    outcome = "skipped" if fact.error_type == RejectCode.NOT_NOW else "failed"
    return {"id": id, "outcome": outcome, "detail": fact.reason}


def _new_job(id: str, new: str, fact: Fact | None) -> dict[str, Any]:
    if fact is None:
        return {"id": id, "outcome": "written", "job": new}
    if fact.fact == FactKind.REJECTED:
        return {"id": id, "outcome": "failed", "detail": fact.reason}
    return {"id": id, "outcome": "redriven", "job": new}


def _place(letter: DeadLetter) -> tuple[int, str]:
    return letter.at_ms, letter.job


def _cursor(after: str | None) -> tuple[int, str] | None:
    if after is None:
        return None
    at, _, id = after.partition("/")
    if not at.isascii() or not at.isdigit() or not id:
        raise refusal(
            RejectCode.BAD_FIELD, f"after must be the `next` of an earlier answer, got {shown(after)}"
        )
    return int(at), id


def _at(name: str, given: Mapping[str, Any], now_ms: int) -> int | None:
    found = given.get(name)
    if found is None:
        return None
    if isinstance(found, str) and found.isascii() and found.isdigit():
        found = int(found)
    try:
        return moment_ms(name, found, None, now_ms)
    except ValueError as error:
        raise refusal(RejectCode.BAD_TIME, str(error)) from None


def _limit(found: Any) -> int:
    if found is None:
        return LIMIT
    number = int(found) if isinstance(found, str) and found.isascii() and found.isdigit() else found
    if type(number) is not int or not 1 <= number <= LIMIT_MAX:
        raise refusal(
            RejectCode.BAD_FIELD, f"limit must be a whole number from 1 to {LIMIT_MAX}, got {shown(found)}"
        )
    return number


def _ids(found: Any) -> frozenset[str] | None:
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(id, str) for id in found):
        raise refusal(RejectCode.BAD_FIELD, f"ids must be a list of ids, got {shown(found)}")
    return frozenset(found)


def _snaked(given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return snaked(given)
    except Refused as refused:
        raise refusal(refused.code, refused.sentence) from None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
