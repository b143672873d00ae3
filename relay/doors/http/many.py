"""Many jobs at once over HTTP: those that a filter chooses are cancelled.

Owns which jobs are meant. Must never take a filter that says nothing for one that means all of them.
"""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from relay.core.tokens import Grant, Scope
from relay.doors.http.desk import Answer, Ask
from relay.doors.http.door import BY, DECIDED_S, DONE_WORDS, Door, Reply
from relay.doors.http.moment import moment_ms
from relay.doors.http.problem import refusal
from relay.doors.http.shapes import parse_body, snaked
from schemas import defaults
from schemas.codec import encode
from schemas.events import Command
from schemas.limits import Refused
from schemas.undecodable import shown
from schemas.words import CommandName, FactKind, Phase, RejectCode

CANCELLED_MAX = 10_000
"""Jobs that one call cancels; the answer says that there are more."""

AT_ONCE = 500
"""Commands that are written together."""

PAGE = 1_000
SHOWN = 100
"""Ids in an answer."""

FILTERS = ("queue", "phase", "function", "key", "tag", "since", "until")
FIELDS = (*FILTERS, "reason", "all", "dry_run", "limit")
CANCELLABLE = (Phase.SCHEDULED, Phase.RETRYING, Phase.READY, Phase.LEASED)
"""The phases of jobs that can be cancelled; those that wait go first."""

FITS = frozenset({*DONE_WORDS[CommandName.CANCEL], FactKind.REJECTED})


async def cancel_many(door: Door, body: bytes, grant: Grant) -> Reply:
    """`POST /jobs/cancel`: cancels what fits the filter; the answer counts what came of it."""
    given = _given(body)
    queue = given.get("queue")
    grant.check(Scope.OPERATE, queue or (None if grant.sees(None) else "all of them; name one as queue"))
    reason, limit = given.pop("reason", None), given.pop("limit", None) or CANCELLED_MAX
    dry = given.pop("dry_run", None) is True
    given.pop("all", None)
    jobs, more = await _chosen(door, given, limit)
    counts: Counter[str] = Counter()
    for first in () if dry else range(0, len(jobs), AT_ONCE):
        asks = [_cancel(door, job, reason) for job in jobs[first : first + AT_ONCE]]
        facts = await door.desk.decide(asks, lambda fact: fact.fact in FITS, DECIDED_S)
        counts.update("written" if fact is None else str(fact.fact) for fact in facts)
    ids = [job["id"] for job in jobs[:SHOWN]]
    return Reply({"found": len(jobs), "more": more, "dry_run": dry, "counts": dict(counts), "ids": ids})


def _given(body: bytes) -> dict[str, Any]:
    try:
        given = {name: found for name, found in snaked(parse_body(body)).items() if found is not None}
    except Refused as refused:
        raise refusal(refused.code, refused.sentence) from None
    for name, found in given.items():
        if name not in FIELDS:
            there = ", ".join(FIELDS)
            raise refusal(RejectCode.UNKNOWN_FIELD, f"the body has no field {shown(name)}; there are {there}")
        _check(name, found)
    if given.get("all") is not True and not any(name in given for name in FILTERS):
        words = ", ".join(FILTERS)
        raise refusal(
            RejectCode.BAD_FIELD, f"the body must say which by {words}, or all: true, got {shown(given)}"
        )
    if given.get("phase") not in {None, *CANCELLABLE}:
        words = ", ".join(CANCELLABLE)
        raise refusal(RejectCode.BAD_FIELD, f"phase must be one of {words}, got {shown(given['phase'])}")
    now_ms = time.time_ns() // 1_000_000
    for name in ("since", "until"):
        if name in given:
            given[name] = str(_at(name, given[name], now_ms))
    return given


def _check(name: str, found: Any) -> None:
    if name in {"all", "dry_run"}:
        if not isinstance(found, bool):
            raise refusal(RejectCode.BAD_FIELD, f"{name} must be true or false, got {shown(found)}")
    elif name == "limit":
        if type(found) is not int or not 1 <= found <= CANCELLED_MAX:
            reason = f"limit must be a whole number from 1 to {CANCELLED_MAX}, got {shown(found)}"
            raise refusal(RejectCode.BAD_FIELD, reason)
    elif name not in {"since", "until"} and (
        not isinstance(found, str) or len(found) > defaults.REASON_CHARS_MAX
    ):
        most = defaults.REASON_CHARS_MAX
        raise refusal(RejectCode.BAD_FIELD, f"{name} must be a text of {most} characters, got {shown(found)}")


def _at(name: str, found: Any, now_ms: int) -> int:
    try:
        return moment_ms(name, found, None, now_ms)
    except ValueError as error:
        raise refusal(RejectCode.BAD_TIME, str(error)) from None


async def _chosen(door: Door, chosen: Mapping[str, str], limit: int) -> tuple[list[Answer], bool]:
    """The jobs that fit and have not ended, and whether there are more of them than so many."""
    found: list[Answer] = []
    for phase in CANCELLABLE if "phase" not in chosen else (chosen["phase"],):
        query = {**chosen, "phase": str(phase), "limit": str(PAGE)}
        while True:
            page = await door.pages.jobs(query)
            found += page["jobs"]
            if len(found) > limit:
                return found[:limit], True
            if page["next"] is None:
                break
            query["after"] = page["next"]
    return found, False


def _cancel(door: Door, job: Answer, reason: str | None) -> Ask:
    id, key = job["id"], job["key"]
    command = Command(command=CommandName.CANCEL, id=id, key=key, reason=reason, by=BY)
    return Ask(door.desk.topics.requests, job["partition"], key, encode(command), id, key)
