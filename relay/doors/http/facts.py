"""Facts as server-sent events: which of them, from where, and in what form.

The id of an event says how far each partition was read, so a listener that was cut off goes on with
Last-Event-ID, and misses and repeats nothing that Kafka still has.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Self

from relay.core.tokens import Grant, Scope
from relay.doors.http.desk import Told
from relay.doors.http.door import Door
from relay.doors.http.problem import Problem, refusal
from relay.doors.http.told import told_fact
from schemas.events import Fact
from schemas.words import FactKind, RejectCode

STREAMS_MAX = 20
"""How many streams one gateway serves at once; each is a consumer of its own."""

RETRY_MS = 1_000
"""What a listener that was cut off is told to wait."""

_POSITION = re.compile(r"\d{1,18}(\.\d{1,18}){0,511}", re.ASCII)


@dataclass(frozen=True)
class Filter:
    """Which facts a listener wants."""

    NAMES: ClassVar[tuple[str, ...]] = ("job", "key", "queue", "function", "fact")

    grant: Grant
    wanted: Mapping[str, str]

    @classmethod
    def of(cls, query: Mapping[str, str], grant: Grant) -> Self:
        """From the parameters of an address. Problem if they cannot be."""
        grant.check(Scope.READ, query.get("queue"))
        kind = query.get("fact")
        if kind is not None and kind not in set(FactKind):
            raise refusal(
                RejectCode.BAD_FIELD, f"fact must be one of {', '.join(FactKind)}, got {kind!r:.100}"
            )
        return cls(grant, query)

    def takes(self, fact: Fact) -> bool:
        """Whether this fact is one of them."""
        return self.grant.sees(fact.queue) and all(
            getattr(fact, name) == value for name, value in self.wanted.items()
        )


async def stream(
    door: Door, chosen: Filter, after: str | None, lasting: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """The lines of the stream, for as long as `lasting` says that who listens may. Problem before the first
    if there can be none.
    """
    partitions = door.desk.topics.partitions
    positions = _positions(after, partitions)
    if door.metrics.streams >= STREAMS_MAX:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"a gateway has at most {STREAMS_MAX} streams of facts, and all are taken",
            headers={"Retry-After": "10"},
        )
    door.metrics.streams += 1
    try:
        yield f"retry: {RETRY_MS}\n\n".encode()
        async for told in door.desk.facts(positions):
            if not lasting():
                return
            if told is None:
                yield b": nothing happened\n\n"
                continue
            positions[told.partition] = told.offset + 1
            if chosen.takes(told.fact):
                yield _event(told, positions, partitions)
    finally:
        door.metrics.streams -= 1


def _event(told: Told, positions: Mapping[int, int], partitions: int) -> bytes:
    place = ".".join(str(positions[number]) for number in range(partitions))
    data = json.dumps(told_fact(told.fact), ensure_ascii=False, separators=(",", ":"))
    return f"id: {place}\nevent: {told.fact.fact}\ndata: {data}\n\n".encode("utf-8", "replace")


def _positions(after: str | None, partitions: int) -> dict[int, int]:
    if not after:
        return {}
    found = [int(part) for part in after.split(".")] if _POSITION.fullmatch(after) else []
    if len(found) != partitions:
        raise refusal(
            RejectCode.BAD_FIELD, f"Last-Event-ID must be the id of an earlier event, got {after!r:.100}"
        )
    return dict(enumerate(found))
