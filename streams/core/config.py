"""What operators say about queues and functions: which entries can be, what a partition takes over, and what
is in force for a job.

    jobs.config --a worker--> ConfigChanged in each of its partitions --> ConfigRow --> Config

A request's own word comes first, then the function's entry, then the queue's, then what is built in. Options
count for jobs that are admitted from then on, a pause for all that are not with a minion. Knows nothing of
jobs; must never read an entry in another order than the config topic has it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from schemas import defaults
from schemas.events import ConfigChanged, ConfigRow, FunctionConfig, QueueConfig
from schemas.limits import Refused, check_given, check_text
from schemas.names import BadName, check_function, check_queue
from schemas.records import replace
from schemas.words import LanePolicy, QueueOrder, RejectCode
from streams.core.rejection import Rejection

Entry = QueueConfig | FunctionConfig

QUEUE, FUNCTION = "queue/", "function/"
"""How the key of an entry begins."""

OPTIONS = (
    "timeout_ms",
    "heartbeat_timeout_ms",
    "expected_ms",
    "retry_kind",
    "retry_initial_ms",
    "retry_factor",
    "retry_cap_ms",
    "retry_jitter",
    "attempts_max",
    "lost_max",
    "retention_ms",
    "result_retention_ms",
    "priority",
)
"""What an entry may say about the jobs of its queue or function."""

BUILT_IN = "built-in"

LANES = {
    QueueOrder.NONE: None,
    QueueOrder.KEY: LanePolicy.GOES_ON,
    QueueOrder.KEY_WAITS: LanePolicy.WAITS,
    QueueOrder.KEY_AHEAD: LanePolicy.AHEAD,
}
"""What the lanes of a queue do when a job dies, by its order; None: it has no lanes."""


def key_of(entry: Entry) -> str:
    """The key of an entry in the config topic."""
    return QUEUE + entry.queue if isinstance(entry, QueueConfig) else FUNCTION + entry.function


def check(key: str, entry: Entry) -> Rejection | None:
    """Why an entry cannot be, or None if it can."""
    try:
        if isinstance(entry, QueueConfig):
            check_queue(entry.queue)
        else:
            check_function(entry.function)
        check_given(options_of(entry))
        _check_order(entry)
        for name in ("note", "by"):
            text = getattr(entry, name)
            if text is not None:
                check_text(name, text, defaults.NOTE_CHARS_MAX)
    except BadName as error:
        return Rejection(RejectCode.BAD_NAME, str(error))
    except Refused as refused:
        return Rejection(refused.code, refused.sentence)
    if key != key_of(entry):
        reason = f"the record's key must be {key_of(entry)}, which it is about, got {key:.250}"
        return Rejection(RejectCode.KEY_CONFLICT, reason)
    return None


def _check_order(entry: Entry) -> None:
    if isinstance(entry, QueueConfig) and entry.order is not None and entry.order not in set(QueueOrder):
        words = ", ".join(QueueOrder)
        raise Refused(RejectCode.BAD_FIELD, f"order must be one of {words}, got {entry.order!r:.80}")


def step(row: ConfigRow | None, event: ConfigChanged, offset: int) -> ConfigRow | None:
    """The row after a change that stands at `offset` of the requests partition; None: nothing changes, since
    as late a change was applied.
    """
    if row is None:
        return ConfigRow(entry=event.entry, offset=event.offset, value=event.value, applied_requests=offset)
    if event.offset <= row.offset:
        return None
    return replace(row, offset=event.offset, value=event.value, applied_requests=offset)


def options_of(entry: Entry) -> dict[str, Any]:
    """What an entry says, without what it leaves to others."""
    return {name: found for name in OPTIONS if (found := getattr(entry, name)) is not None}


def said_of(entry: Entry) -> dict[str, Any]:
    """The same, and the order of a queue, which is no option of one job."""
    order = getattr(entry, "order", None)
    return options_of(entry) | ({} if order is None else {"order": order})


@dataclass(frozen=True, slots=True)
class Option:
    """One option in force, and why."""

    name: str
    value: Any
    origin: str
    """Key of the entry that says so, or `built-in`."""


@dataclass(frozen=True)
class Config:
    """All entries that a partition goes by."""

    queues: dict[str, QueueConfig] = field(default_factory=dict)
    functions: dict[str, FunctionConfig] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Config":
        """Those that there are, the last of a key."""
        made = cls()
        for entry in entries:
            if isinstance(entry, QueueConfig):
                made.queues[entry.queue] = entry
            else:
                made.functions[entry.function] = entry
        return made

    def entries(self, queue: str, function: str) -> tuple[Entry, ...]:
        """What is said about a job of this queue and function, the weaker first."""
        found = (self.queues.get(queue), self.functions.get(function))
        return tuple(entry for entry in found if entry is not None)

    def options(self, queue: str, function: str) -> dict[str, Any]:
        """What a job of this queue and function takes over, where its request says nothing itself."""
        said: dict[str, Any] = {}
        for entry in self.entries(queue, function):
            said |= options_of(entry)
        return said

    def paused(self, queue: str) -> bool:
        """True if no job of the queue may be given to a minion."""
        entry = self.queues.get(queue)
        return entry is not None and entry.paused

    def lane(self, queue: str, otherwise: LanePolicy | None) -> LanePolicy | None:
        """What the lanes of a queue do when a job dies, None if it has none; `otherwise` if no entry says."""
        entry = self.queues.get(queue)
        if entry is None or entry.order is None:
            return otherwise
        return LANES[QueueOrder(entry.order)]

    def order(self, queue: str) -> Option:
        """In which order the queue's jobs run, and who says so."""
        entry = self.queues.get(queue)
        if entry is None or entry.order is None:
            return Option("order", str(QueueOrder.NONE), BUILT_IN)
        return Option("order", entry.order, key_of(entry))

    def in_force(self, queue: str, function: str, built_in: dict[str, Any]) -> tuple[Option, ...]:
        """Every option of a job whose request says nothing itself, and which entry says so.

        Args:
            queue: of the job.
            function: of the job.
            built_in: the values where no entry says anything.
        """
        found = {name: Option(name, built_in[name], BUILT_IN) for name in OPTIONS}
        for entry in self.entries(queue, function):
            key = key_of(entry)
            found |= {name: Option(name, value, key) for name, value in options_of(entry).items()}
        return tuple(found.values())


NOTHING_SAID = Config()
