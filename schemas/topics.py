"""The catalogue of topics: names, partitions, what is in them, how long it is kept, and why. Data only.

Talks to no broker: whoever creates or checks topics takes `config` and the rules from here. Replication is
the broker's default.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas import defaults, events
from schemas.names import check_queue

PREFIX = "jobs."
DISPATCH = "dispatch."
FOREVER_MS = -1
SEGMENT_BYTES = 64 * defaults.MIB
SEGMENT_MS = 10 * defaults.MINUTE_MS
# What keeps a compacted topic short enough to be read whole at every start.
COMPACT_FAST = {
    "segment.bytes": str(SEGMENT_BYTES),
    "segment.ms": str(SEGMENT_MS),
    "min.cleanable.dirty.ratio": "0.1",
}


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One topic as it shall be. `role` is its name without the prefix, `dispatch.` for each queue's."""

    name: str
    role: str
    doc: str
    partitions: int
    key: str
    values: tuple[type, ...]
    cleanup: str = "delete"
    retention_ms: int = FOREVER_MS
    append_time: bool = False
    """True: the broker sets each record's time (LogAppendTime); decisions use it."""
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, str]:
        """The topic's settings as Kafka wants them."""
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "message.timestamp.type": "LogAppendTime" if self.append_time else "CreateTime",
            "max.message.bytes": str(defaults.RECORD_BYTES_MAX),
            **self.extra,
        }


class Topics:
    """The topics of one prefix: `topics.requests` is a name, `topics.catalogue()` tells all about them."""

    def __init__(self, prefix: str = PREFIX, partitions: int = defaults.PARTITIONS) -> None:
        self.prefix = prefix
        self.partitions = partitions
        self.requests = prefix + "requests"
        self.receipts = prefix + "receipts"
        self.heartbeats = prefix + "heartbeats"
        self.timers = prefix + "timers"
        self.state = prefix + "state"
        self.schedules = prefix + "schedules"
        self.config = prefix + "config"
        self.control = prefix + "control"
        self.workers = prefix + "workers"
        self.facts = prefix + "facts"
        self.dead = prefix + "dead"
        self.rejects = prefix + "rejects"

    def dispatch(self, queue: str) -> str:
        """The dispatch topic of a queue. BadName if it can be none."""
        check_queue(queue)
        return f"{self.prefix}{DISPATCH}{queue}"

    def queue_of(self, topic: str) -> str | None:
        """The queue of a dispatch topic; None for any other topic."""
        start = self.prefix + DISPATCH
        return topic[len(start) :] if topic.startswith(start) else None

    def dispatch_topic(self, queue: str) -> Topic:
        """All about the dispatch topic of a queue."""
        return Topic(
            name=self.dispatch(queue),
            role=DISPATCH,
            doc="One epoch of a job each, ready for a minion. There is one such topic for each queue.",
            partitions=self.partitions,
            key="key",
            values=(events.Dispatch,),
            retention_ms=6 * defaults.DAY_MS,
        )

    def catalogue(self, queues: Iterable[str] = (defaults.QUEUE,)) -> tuple[Topic, ...]:
        """Every topic, with the dispatch topics of these queues."""
        dispatches = [self.dispatch_topic(queue) for queue in queues]
        return (*self._asked(), *self._kept(), *dispatches, *self._told())

    def _asked(self) -> tuple[Topic, ...]:
        """What the state machine decides on."""
        return (
            Topic(
                name=self.requests,
                role="requests",
                doc="Asks for jobs, or to change one. Any client may write here, in Avro or JSON.",
                partitions=self.partitions,
                key="key",
                values=(events.JobRequest, events.Command, events.ConfigChanged),
                retention_ms=3 * defaults.DAY_MS,
                append_time=True,
            ),
            Topic(
                name=self.receipts,
                role="receipts",
                doc="How attempts ended.",
                partitions=self.partitions,
                key="key",
                values=(events.Receipt,),
                retention_ms=3 * defaults.DAY_MS,
                append_time=True,
            ),
            Topic(
                name=self.heartbeats,
                role="heartbeats",
                doc="Which attempts are alive, with progress: many leases of one partition in one record. "
                "And which functions have a minion.",
                partitions=self.partitions,
                key="none",
                values=(events.Heartbeat, events.Announcement),
                retention_ms=3 * defaults.DAY_MS,
                append_time=True,
            ),
            Topic(
                name=self.timers,
                role="timers",
                doc="The clock of each partition, as data: what is due is decided on these.",
                partitions=self.partitions,
                key="none",
                values=(events.Tick,),
                retention_ms=defaults.HOUR_MS,
                append_time=True,
                extra={"segment.ms": str(SEGMENT_MS)},
            ),
            Topic(
                name=self.schedules,
                role="schedules",
                doc="Recurring requests, as people write them. An empty value removes one.",
                partitions=self.partitions,
                key="schedule id",
                values=(events.Schedule,),
                cleanup="compact",
                append_time=True,
                extra=COMPACT_FAST,
            ),
        )

    def _kept(self) -> tuple[Topic, ...]:
        """What is read whole at a start."""
        return (
            Topic(
                name=self.state,
                role="state",
                doc="The latest state of every job and schedule: the changelog of the job table.",
                partitions=self.partitions,
                key="row id: j:<job>, a:<job>, s:<schedule> or c:<config entry>",
                values=(events.JobRow, events.ArgsRow, events.ScheduleRow, events.ConfigRow),
                cleanup="compact",
                extra=COMPACT_FAST,
            ),
            Topic(
                name=self.config,
                role="config",
                doc="Settings of queues and functions, as operators write them.",
                partitions=1,
                key="queue/<name> or function/<name>",
                values=(events.QueueConfig, events.FunctionConfig),
                cleanup="compact",
                extra=COMPACT_FAST,
            ),
            Topic(
                name=self.control,
                role="control",
                doc="What relays must know at once. Each reads it whole before it assigns anything.",
                partitions=1,
                key="job id",
                values=(events.Control,),
                cleanup="compact,delete",
                retention_ms=7 * defaults.DAY_MS,
                extra=COMPACT_FAST,
            ),
            Topic(
                name=self.workers,
                role="workers",
                doc="Where each worker's pages are, and which partitions it has.",
                partitions=1,
                key="instance",
                values=(events.Worker,),
                cleanup="compact",
                extra=COMPACT_FAST,
            ),
        )

    def _told(self) -> tuple[Topic, ...]:
        """What others read."""
        return (
            Topic(
                name=self.facts,
                role="facts",
                doc="What each step did to a job, for those who wait, sinks and dashboards.",
                partitions=self.partitions,
                key="key",
                values=(events.Fact,),
                retention_ms=7 * defaults.DAY_MS,
            ),
            Topic(
                name=self.dead,
                role="dead",
                doc="Jobs without a further attempt: the request, every error, and how to run it again.",
                partitions=self.partitions,
                key="key",
                values=(events.DeadLetter,),
                retention_ms=90 * defaults.DAY_MS,
            ),
            Topic(
                name=self.rejects,
                role="rejects",
                doc="What could not be accepted, byte for byte, and why.",
                partitions=1,
                key="topic, partition and offset of the record",
                values=(events.Reject,),
                retention_ms=30 * defaults.DAY_MS,
            ),
        )


@dataclass(frozen=True)
class RetentionRule:
    """One kind of topic must be kept longer than another; `shorter` may be a time in ms."""

    longer: str
    shorter: str | int
    why: str


RETENTION_RULES = (
    RetentionRule(
        DISPATCH, "requests", "a job that was asked for last must not lose its dispatch before its request"
    ),
    RetentionRule(DISPATCH, "receipts", "a receipt must never be older than the dispatch it answers"),
    RetentionRule(DISPATCH, "heartbeats", "a heartbeat must never be older than the dispatch it is about"),
    RetentionRule(
        DISPATCH,
        defaults.DISPATCH_AGE_MS_MAX,
        "a ready job is dispatched again before its first dispatch is dropped",
    ),
    RetentionRule(
        "control", DISPATCH, "a cancel must be known for as long as the dispatch it stops can be read"
    ),
    RetentionRule(
        "facts", "requests", "who submits must find the end of a job for as long as its request is kept"
    ),
    RetentionRule(
        "facts", defaults.JOB_RETENTION_MS, "a job's end must be told for longer than its row is kept"
    ),
    RetentionRule("dead", "facts", "a dead letter must outlive the facts that tell of it"),
    RetentionRule(
        "rejects", "requests", "a reject must outlive the record it is about, so that both can be seen"
    ),
    RetentionRule(
        "requests", "timers", "ticks are the first thing that may go: new ones are written at once"
    ),
)


def retention_faults(retention_ms: Mapping[str, int]) -> list[str]:
    """Each rule that these retentions (by role; negative is for ever) break, as a sentence."""
    faults = []
    for rule in RETENTION_RULES:
        longer = retention_ms.get(rule.longer)
        shorter = rule.shorter if isinstance(rule.shorter, int) else retention_ms.get(rule.shorter)
        if longer is None or shorter is None or longer < 0 or 0 <= shorter < longer:
            continue
        name = f"{rule.shorter} ms" if isinstance(rule.shorter, int) else f"{rule.shorter} ({shorter} ms)"
        faults.append(f"{rule.longer} must be kept longer than {name}, got {longer} ms: {rule.why}")
    return faults


BROKER_RULES: Mapping[str, tuple[int, str]] = {
    "offsets.retention.minutes": (
        6 * defaults.DAY_MS // defaults.MINUTE_MS,
        "a group that was away must find its offsets for as long as what it has not read is kept",
    ),
    "group.max.session.timeout.ms": (10 * defaults.SECOND_MS, "members may be silent for so long"),
}
"""The least that a broker's setting may be, and why."""


def broker_faults(settings: Mapping[str, str]) -> list[str]:
    """Each of the broker's settings that is too small, as a sentence; settings that are not given pass."""
    return [
        f"the broker's {name} must be at least {least}, got {settings[name]}: {why}"
        for name, (least, why) in BROKER_RULES.items()
        if name in settings and int(settings[name]) < least
    ]
