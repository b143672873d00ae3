"""The vocabulary of foreground calls: what a caller asks, who can run it, and what either is told.

Owns the limits of a call, and the sentence that refuses one outside of them. Data only; what happens to a
call is the machine's in `calls.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from schemas.defaults import (
    AREAS_MAX,
    CALL_BYTES_MAX,
    CONTENT_TYPE_CHARS_MAX,
    NAME_CHARS_MAX,
    ROUTING_MS_MAX,
    TIMEOUT_MS_MAX,
    TRACE_CHARS_MAX,
)

UNIQUE_CHARS_MAX = 1_000
"""Of a unique id: longer than a name, since callers make them of what they ask."""


class BadCall(Exception):
    """A call is outside the limits, and nobody was asked to run it: the sentence has the value that was
    found.
    """


class Priority(IntEnum):
    """Of the calls that wait, those of a smaller number are given out first."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


class CallOutcome(StrEnum):
    """How a call ended, for its caller."""

    COMPLETE = "complete"
    FAILED = "failed"  # the function raised, or its worker said that it failed
    ROUTING_TIMEOUT = "routing_timeout"  # nobody took it in time, and nobody will
    REFUSED = "refused"  # this relay takes it not, and nobody else here will: ask another relay
    RUNNING_TIMEOUT = "running_timeout"  # it ran longer than its caller would wait
    LOST = "lost"  # its worker vanished, or gave it up while it ran: it may have done a part
    CANCELLED = "cancelled"


NEVER_RAN = frozenset({CallOutcome.ROUTING_TIMEOUT, CallOutcome.REFUSED})
"""Outcomes after which the same call may be made elsewhere: here nobody has run it for this caller, nor
will.
"""


class WordKind(StrEnum):
    """What a worker says while it runs a call, and `assigned`, which is the machine's own."""

    ASSIGNED = "assigned"
    DATA = "data"
    STATUS = "status"
    WARNING = "warning"
    EXCEPTION = "exception"


@dataclass(frozen=True, slots=True)
class Word:
    """Something that is told of a call before its end. `done` and `total` are those of a status."""

    kind: WordKind
    data: bytes = b""
    done: int = 0
    total: int = 0


ASSIGNED = Word(WordKind.ASSIGNED)


@dataclass(frozen=True, slots=True)
class End:
    """How a call ended. The error's fields are empty unless it failed, `error_message` is a sentence in any
    case.
    """

    outcome: CallOutcome
    result: bytes = b""
    result_type: str = ""
    error_type: str = ""
    error_message: str = ""
    error_trace: str = ""
    non_retryable: bool = False
    """The function says that trying again is in vain."""
    cached: bool = False
    """The answer was known: nobody ran anything for it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a function's declaration says of calls to it.

    Attributes:
        coalesce: Calls with equal arguments that are under way share one run.
        cache_ms: For how long an answer is given again to calls with equal arguments; 0: never.
        cache_fields: The keyword arguments that count for both, where arguments are a JSON object; none: all.
    """

    coalesce: bool = False
    cache_ms: int = 0
    cache_fields: tuple[str, ...] = ()


NO_RULE = Rule()


@dataclass(slots=True, eq=False)
class Call:
    """One caller's wish, and its fate. A door makes it, and gives it to `Calls.ask`; the second part is the
    machine's.

    Attributes:
        unique: Calls of one function with the same one, while they are under way, share one run; empty: none.
        areas: Where to look first, each with how long (ms; None: as long as `routing_ms`).
        routing_ms: How long to look anywhere, after the areas; None: as long as the caller waits. 0: now or
            never.
        running_ms: How long it may run, from its assignment on; None: as long as the caller waits.
        caller: Who asks, for the access log.
        door: Which door it came through, for the access log.
        tag: The door's own: whom to tell.
        since_ms: From when `routing_ms` counts, by the machine's clock; None: from when it is asked.
            Callers that give up by a clock of their own say it, so that a relay that stood still assigns
            nothing that they have given up by then.
    """

    function: str
    args: bytes = b""
    content_type: str = "application/octet-stream"
    unique: str = ""
    areas: tuple[tuple[str, int | None], ...] = ()
    routing_ms: int | None = None
    running_ms: int | None = None
    priority: Priority = Priority.NORMAL
    caller: str = ""
    trace: str = ""
    door: str = ""
    tag: Any = None
    since_ms: int | None = None

    asked_at_ms: int = 0
    step: int = 0
    """The area that is looked in, from 0; as many as there are areas: anywhere."""
    alarm_ms: int | None = None
    span: Any = None
    """The shell's own: the span that is open for it."""
    run: "Run | None" = None
    end: End | None = None
    waited_ms: int = 0
    ran_ms: int = 0
    worker: str = ""
    """Name of the worker that ran it; empty: none did."""
    area: str = ""
    """The area of its list that the worker is in; empty: none of them."""

    def routing_ends_ms(self, steps: int) -> int | None:
        """When the first `steps` + 1 steps of looking are over; None: never."""
        began_ms = self.asked_at_ms if self.since_ms is None else self.since_ms
        total_ms = 0
        for _, timeout_ms in self.areas[: steps + 1]:
            step_ms = self.routing_ms if timeout_ms is None else timeout_ms
            if step_ms is None:
                return None
            total_ms += step_ms
        if steps >= len(self.areas):
            if self.routing_ms is None:
                return None
            total_ms += self.routing_ms
        return began_ms + total_ms

    def looks_anywhere(self) -> bool:
        """True once its areas' times are over."""
        return self.step >= len(self.areas)


class Worker:
    """Who runs calls. A door makes one for each session or connection, and joins it to `Calls`.

    Attributes:
        functions: What it can run now. Only the machine changes it.
        areas: Where it is.
        rules: What its functions' declarations say, where they say something; None: it has no declarations.
        timeouts: The worker's own limits by function, ms: a run that is longer fails (Gearman's
            CAN_DO_TIMEOUT).
        credits: How many more runs it takes; `Calls.credit` adds to it, each run spends one.
        runs: What it runs, by number.
        asleep: It takes nothing, but will come for it once it is woken (Gearman's PRE_SLEEP).
        pulls: It comes for its runs and is never granted any, so nobody looks whether it has room.
        tag: The door's own: where to send.
    """

    def __init__(
        self,
        name: str,
        functions: frozenset[str] = frozenset(),
        areas: frozenset[str] = frozenset(),
        *,
        rules: Mapping[str, Rule] | None = None,
        pulls: bool = False,
        tag: Any = None,
    ) -> None:
        self.name = name
        self.functions = set(functions)
        self.areas = areas
        self.rules = None if rules is None else dict(rules)
        self.timeouts: dict[str, int] = {}
        self.credits = 0
        self.runs: dict[int, Run] = {}
        self.pulls = pulls
        self.asleep = False
        self.woken_at_ms: int | None = None
        self.tag = tag

    def __repr__(self) -> str:
        return f"Worker({self.name} runs={len(self.runs)} credits={self.room()})"

    def room(self) -> int:
        """How many more runs it takes now."""
        return self.credits

    def spend(self, now_ms: int) -> None:
        """A run was given to it."""
        del now_ms  # for those that look at the time
        self.credits -= 1


@dataclass(slots=True, eq=False)
class Run:
    """One execution, for one call or for several that are equal. `number` is unique for the life of the
    machine.
    """

    number: int
    function: str
    args: bytes
    content_type: str
    unique: str
    trace: str
    priority: Priority
    calls: list[Call] = field(default_factory=list)
    worker: Worker | None = None
    assigned_at_ms: int = 0
    told: bool = False
    """Its callers know that it is assigned."""
    equal: tuple[object, ...] | None = None
    """What equal calls have in common; None: nothing is equal to it."""
    avoid: frozenset[Worker] = frozenset()
    """Workers that would not have it."""
    group: tuple[frozenset[str] | None, int] | None = None
    """Among which runs it waits; None: it does not wait."""
    alarm_ms: int | None = None

    def running_ms(self, now_ms: int) -> int | None:
        """How long it may yet run: as long as the most patient of its callers waits, and its worker's own
        limit.
        """
        worker_ms = None if self.alarm_ms is None else max(self.alarm_ms - now_ms, 0)
        ends = [call.alarm_ms for call in self.calls]
        longest_ms = (
            None if None in ends else max((at_ms for at_ms in ends if at_ms is not None), default=now_ms)
        )
        callers_ms = None if longest_ms is None else max(longest_ms - now_ms, 0)
        known = [each for each in (worker_ms, callers_ms) if each is not None]
        return min(known) if known else None


@dataclass(frozen=True, slots=True)
class Assign:
    """Send the run to its worker."""

    worker: Worker
    run: Run


@dataclass(frozen=True, slots=True)
class Stop:
    """Nobody waits for the run any more: its worker may stop it, and need not answer."""

    worker: Worker
    run: Run
    reason: str


@dataclass(frozen=True, slots=True)
class Limit:
    """The run's limit changed: so many ms are left from now on; None: there is none."""

    worker: Worker
    run: Run
    running_ms: int | None


@dataclass(frozen=True, slots=True)
class Wake:
    """Something waits that the sleeping worker can run."""

    worker: Worker


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the caller a word."""

    call: Call
    word: Word


@dataclass(frozen=True, slots=True)
class Ended:
    """Tell the caller the end: `call.end`, with `waited_ms`, `ran_ms`, `worker` and `area`. Comes exactly
    once.
    """

    call: Call


Effect = Assign | Stop | Limit | Wake | Tell | Ended


def check_call(call: Call) -> None:
    """Raises BadCall unless the call is within the limits."""
    _check_text("function", call.function, 1, NAME_CHARS_MAX)
    _check_text("unique id", call.unique, 0, UNIQUE_CHARS_MAX)
    _check_text("content type", call.content_type, 0, CONTENT_TYPE_CHARS_MAX)
    _check_text("trace", call.trace, 0, TRACE_CHARS_MAX)
    if len(call.args) > CALL_BYTES_MAX:
        raise BadCall(f"arguments of a call must be at most {CALL_BYTES_MAX} bytes, got {len(call.args)}")
    if len(call.areas) > AREAS_MAX:
        raise BadCall(f"a call must name at most {AREAS_MAX} areas, got {len(call.areas)}")
    if len({area for area, _ in call.areas}) < len(call.areas):
        raise BadCall(
            f"areas of a call must differ, got {', '.join(area for area, _ in call.areas)[:NAME_CHARS_MAX]}"
        )
    for area, timeout_ms in call.areas:
        _check_text("area", area, 1, NAME_CHARS_MAX)
        if timeout_ms is None and call.routing_ms is None:
            raise BadCall(f"area {area!r} must have a timeout where there is no routing timeout, got none")
        _check_ms(f"timeout of area {area!r}", timeout_ms, 0, ROUTING_MS_MAX)
    _check_ms("routing timeout", call.routing_ms, 0, ROUTING_MS_MAX)
    check_running_ms(call.running_ms)


def check_running_ms(running_ms: int | None) -> None:
    """Raises BadCall unless it can be the running limit of a call."""
    _check_ms("running limit", running_ms, 1, TIMEOUT_MS_MAX)


def _check_text(what: str, found: str, least: int, most: int) -> None:
    if not least <= len(found) <= most:
        raise BadCall(f"{what} of a call must have {least} to {most} characters, got {len(found)}")


def _check_ms(what: str, found: int | None, least: int, most: int) -> None:
    if found is not None and not least <= found <= most:
        raise BadCall(f"{what} must be {least} to {most} ms, got {found}")
