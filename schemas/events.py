"""The records as frozen dataclasses, one for each record in avro/*.avsc. Generated: do not edit.

`python -m schemas.generate` writes this page from the avsc files. Arrays are tuples, an optional field is
`T | None`, `_ms` is milliseconds, defaults are those of the schema. Constructed by keyword only.
"""

from dataclasses import dataclass

from schemas.records import quick

__all__ = [
    "Announcement",
    "ArgsRow",
    "Attempt",
    "Beat",
    "Command",
    "ConfigChanged",
    "ConfigRow",
    "Control",
    "DeadLetter",
    "Dispatch",
    "Fact",
    "FunctionConfig",
    "Happening",
    "Heartbeat",
    "JobRequest",
    "JobRow",
    "JobSpec",
    "QueueConfig",
    "Receipt",
    "Reject",
    "Schedule",
    "ScheduleRow",
    "Tick",
    "Worker",
]


@quick
@dataclass(frozen=True, kw_only=True)
class Announcement:
    """What a relay can run of a queue, of the partitions that it reads, and what its jobs wait for there."""

    partition: int
    """Home partition that it is about."""
    relay: str
    """Relay that writes: it reads this partition of the queue's dispatches."""
    at_ms: int
    """When it was written, by the relay's clock, epoch ms."""
    queue: str
    """The queue."""
    functions: tuple[str, ...] = ()
    """Functions that its minions have."""
    limits: tuple[str, ...] | None = None
    """Limits of the relay that are reached while jobs of the queue wait for them: `queue/<name>` or
    `function/<name>`."""


@quick
@dataclass(frozen=True, kw_only=True)
class ArgsRow:
    """Arguments too large for the job's row, written once."""

    job: str
    """Id of the job."""
    args: bytes
    """Arguments."""


@quick
@dataclass(frozen=True, kw_only=True)
class Command:
    """Asks to change a job, or a schedule."""

    command: str
    """What is asked: cancel, terminate, retry, reschedule, remove_schedule, pause_schedule, resume_schedule,
    trigger_schedule, backfill_schedule, orphan_schedule; schedule_job_ended is the machine's own."""
    id: str
    """Id of the job or schedule."""
    key: str | None = None
    """Partition key of the job; null: the record's key, else the id."""
    reason: str | None = None
    """Why, in the asker's words."""
    by: str | None = None
    """Who asks."""
    since_at_ms: int | None = None
    """Of a backfill: the fires after this time, epoch ms."""
    until_at_ms: int | None = None
    """Of a backfill: and until this one, epoch ms."""
    overlap: str | None = None
    """Of a trigger or a backfill: how it overlaps, in place of the schedule's own policy."""
    job: str | None = None
    """Of schedule_job_ended: the job that has ended."""
    phase: str | None = None
    """Of schedule_job_ended: the phase in which it ended, or rejected."""
    run_at_ms: int | None = None
    """Of reschedule: not before this time, epoch ms."""


@quick
@dataclass(frozen=True, kw_only=True)
class ConfigChanged:
    """A worker's word to one partition that an entry of the config topic changed."""

    entry: str
    """Key of the entry: queue/<name> or function/<name>."""
    offset: int
    """Offset of the entry in the config topic; an older one than was applied changes nothing."""
    value: bytes | None = None
    """The entry as it was written, a QueueConfig or FunctionConfig; null: it was removed."""


@quick
@dataclass(frozen=True, kw_only=True)
class ConfigRow:
    """An entry of the config topic as a partition decides by it; one row in the state topic."""

    entry: str
    """Key of the entry: queue/<name> or function/<name>."""
    offset: int
    """Offset of the entry in the config topic."""
    value: bytes | None = None
    """The entry as it was written; null: it was removed."""
    applied_requests: int
    """Offset of the last applied record of the requests partition, -1 for none."""


@quick
@dataclass(frozen=True, kw_only=True)
class Control:
    """What relays must know at once."""

    control: str
    """What is asked: cancel."""
    job: str
    """Id of the job."""
    epoch: int
    """Epoch of the dispatch it is about."""
    partition: int
    """Home partition of the job."""
    at_ms: int
    """When it was decided, epoch ms."""


@quick
@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A job that will not be tried again, with what is needed to redrive it."""

    job: str
    """Id of the job."""
    key: str
    """Partition key of the job."""
    partition: int
    """Home partition of the job."""
    function: str
    """Function of the job."""
    queue: str
    """Queue of the job."""
    at_ms: int
    """When it died, epoch ms."""
    reason: str
    """Sentence that says why there is no further attempt."""
    attempts: int
    """How many attempts there were."""
    args: bytes | None = None
    """Arguments of the job."""
    content_type: str
    """Media type of args."""
    request: str
    """The request without its arguments, as JSON in the form that jobs.requests accepts."""
    errors: str
    """Every remembered attempt with its error, as a JSON list."""
    redrive: str
    """How to run it again, as a sentence."""
    settled: str | None = None
    """What became of the letter that was written with the same at_ms: redriven or discarded; null: it
    stands."""
    settled_at_ms: int | None = None
    """When it was settled, epoch ms."""


@quick
@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """One epoch of a job, ready for a minion."""

    job: str
    """Id of the job."""
    key: str
    """Partition key of the job."""
    partition: int
    """Home partition of the job."""
    queue: str
    """Queue of the job."""
    function: str
    """What a minion shall run."""
    attempt: int
    """The attempt, from 1."""
    epoch: int
    """Epoch of this dispatch: the fencing token."""
    args: bytes | None = None
    """Arguments, opaque bytes."""
    content_type: str
    """Media type of args."""
    timeout_ms: int
    """Time allowed for this attempt, ms."""
    heartbeat_timeout_ms: int
    """Silence after which the attempt counts as lost, ms."""
    expires_at_ms: int | None = None
    """Not to be assigned after this time, epoch ms."""
    created_at_ms: int
    """When the job was admitted, epoch ms."""
    dispatched_at_ms: int
    """When this dispatch was decided, epoch ms."""
    checkpoint: bytes | None = None
    """State left by an earlier attempt."""
    trace: str | None = None
    """W3C traceparent of the submitter."""
    order: str | None = None
    """key: jobs of this queue and key run one at a time, in this order; null: no order."""
    after_job: str | None = None
    """It may run only when this job of the same lane has succeeded here; null: it is the first of its
    lane."""
    after_epoch: int | None = None
    """Epoch of after_job."""
    priority: int | None = None
    """From 1, the most urgent, to 5; null: 3."""


@quick
@dataclass(frozen=True, kw_only=True)
class Fact:
    """What one step did to a job or a schedule; flat, for sinks and watchers."""

    fact: str
    """What happened, past tense: admitted, readied, started, progressed, succeeded, failed, lost, snoozed,
    handed_back, parked, died, cancel_requested, cancelled, expired, retried, rescheduled, result_dropped,
    purged, deduplicated, rejected, schedule_saved, schedule_fired, schedule_missed, schedule_skipped,
    schedule_buffered, schedule_dropped, schedule_paused, schedule_resumed, schedule_backfilling,
    schedule_orphaned or schedule_removed."""
    job: str
    """Id of the job; of the schedule for a schedule's fact."""
    key: str
    """Partition key of the job."""
    partition: int
    """Home partition."""
    at_ms: int
    """When it was decided, broker's time, epoch ms."""
    phase: str | None = None
    """Phase after the step."""
    function: str | None = None
    """Function of the job."""
    queue: str | None = None
    """Queue of the job."""
    attempt: int = 0
    """Current attempt, from 1; 0 before the first."""
    epoch: int = 0
    """Current epoch."""
    created_at_ms: int | None = None
    """When the job was admitted, epoch ms."""
    next_at_ms: int | None = None
    """When the next attempt or fire is due, epoch ms."""
    ended_at_ms: int | None = None
    """When the job ended, epoch ms."""
    queued_ms: int | None = None
    """From dispatch to assignment to a minion, ms."""
    start_ms: int | None = None
    """From assignment to the function's begin, ms."""
    run_ms: int | None = None
    """How long the function ran, ms."""
    minion: str | None = None
    """Minion of the attempt."""
    session: str | None = None
    """Session of the attempt."""
    relay: str | None = None
    """Relay of the attempt."""
    step: str | None = None
    """Step the attempt is or was in."""
    done: int | None = None
    """Progress: units done."""
    total: int | None = None
    """Progress: units in all."""
    result: bytes | None = None
    """Result, in the fact of a success."""
    result_type: str | None = None
    """Media type of result."""
    error_type: str | None = None
    """Type of the error."""
    error_message: str | None = None
    """Words of the error."""
    reason: str | None = None
    """Sentence that says why, where there is more to say."""
    scheduled_by: str | None = None
    """Schedule that fired the job."""
    parent: str | None = None
    """Job that asked for this one."""
    fire_at_ms: int | None = None
    """Of a schedule's fact: time of the fire, of the first of several, epoch ms."""
    fire_until_ms: int | None = None
    """Of a schedule's fact: time of the last of several fires, epoch ms."""
    fires: int | None = None
    """Of a schedule's fact: how many fires it is about."""
    duplicate_of: str | None = None
    """Of a request that asked for nothing new: the job with its unique key that is the answer."""
    replaced: str | None = None
    """Of an admission: the job with its unique key that was cancelled for it."""
    cached: bool | None = None
    """Of an end that is a success: the function's get_cache had the answer, and nothing ran for it."""


@quick
@dataclass(frozen=True, kw_only=True)
class FunctionConfig:
    """What an operator says about a function; what is null is left to the queue's entry."""

    function: str
    """Name of the function."""
    version: int = 0
    """Grows by one with each change of this entry, from 1."""
    timeout_ms: int | None = None
    """Allowed for one attempt, in ms."""
    heartbeat_timeout_ms: int | None = None
    """Silence after which an attempt counts as lost, in ms."""
    expected_ms: int | None = None
    """How long an attempt usually takes, in ms; longer is shown as slow."""
    retry_kind: str | None = None
    """Curve of the delays: constant, linear, exponential or polynomial."""
    retry_initial_ms: int | None = None
    """First delay, in ms."""
    retry_factor: float | None = None
    """Growth per attempt (exponential), or the power of the attempt's number (polynomial)."""
    retry_cap_ms: int | None = None
    """Longest delay, in ms."""
    retry_jitter: float | None = None
    """Share of a delay that is added or taken away, 0 to 1."""
    attempts_max: int | None = None
    """How many attempts may fail before the job is dead."""
    lost_max: int | None = None
    """How many attempts may be lost before the job is dead."""
    note: str | None = None
    """Why, in the operator's words."""
    by: str | None = None
    """Who wrote it."""
    retention_ms: int | None = None
    """How long a job is known after its end, in ms."""
    result_retention_ms: int | None = None
    """How long a result is kept after the end of its job, in ms; 0: not at all."""
    priority: str | None = None
    """1, the most urgent, to 5; or high, normal or low."""


@quick
@dataclass(frozen=True, kw_only=True)
class Beat:
    """One lease in a heartbeat."""

    job: str
    """Id of the job."""
    key: str
    """Partition key of the job."""
    epoch: int
    """Epoch of the dispatch."""
    attempt: int
    """The attempt, from 1."""
    kind: str
    """started, alive or progress."""
    minion: str
    """Name of the minion."""
    session: str
    """Session that holds the lease."""
    assigned_at_ms: int
    """When the relay gave the lease, epoch ms."""
    started_at_ms: int | None = None
    """When the function began, epoch ms."""
    deadline_ms: int
    """When the lease ends if no receipt came, by the relay's clock, epoch ms."""
    spilled: bool = False
    """True if the key's usual minion was passed over."""
    step: str | None = None
    """Step the attempt is in."""
    step_at_ms: int | None = None
    """When the step began, epoch ms."""
    done: int | None = None
    """Progress: units done."""
    total: int | None = None
    """Progress: units in all."""
    checkpoint: bytes | None = None
    """State that the next attempt would be given."""


@quick
@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """Attempts of one partition that are alive, as one relay sees them."""

    partition: int
    """Home partition of every job in it."""
    relay: str
    """Relay that writes."""
    at_ms: int
    """When it was written, by the relay's clock, epoch ms."""
    beats: tuple[Beat, ...] = ()
    """One entry for each lease."""


@quick
@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """Asks for a job."""

    id: str | None = None
    """Id of the job, a ULID if the client made one; null: derived from the record's position."""
    function: str
    """What a minion shall run."""
    queue: str = "default"
    """Queue of the job."""
    key: str | None = None
    """Partition key; jobs of one key belong together. Null: the record's key, else the id."""
    args: bytes | None = None
    """Arguments, opaque bytes."""
    content_type: str = "application/json"
    """Media type of args."""
    run_at_ms: int | None = None
    """Not before this time, epoch ms; null or past: at once."""
    expires_at_ms: int | None = None
    """Not started after this time, epoch ms: the job expires instead."""
    deadline_ms: int | None = None
    """Total time allowed from admission to end over all attempts, ms."""
    timeout_ms: int | None = None
    """Time allowed for one attempt, ms."""
    heartbeat_timeout_ms: int | None = None
    """Silence after which a running attempt counts as lost, ms."""
    expected_ms: int | None = None
    """How long an attempt is expected to run, ms; longer is shown as slow."""
    retry_kind: str | None = None
    """Backoff curve: constant, linear, exponential or polynomial; null: the default in force."""
    retry_initial_ms: int | None = None
    """First delay of the backoff curve, ms."""
    retry_factor: float | None = None
    """Growth of the backoff curve: the factor of exponential, the power of polynomial."""
    retry_cap_ms: int | None = None
    """Longest delay of the backoff curve, ms."""
    retry_jitter: float | None = None
    """Random share added to or taken from a delay, 0 to 1; derived from job id and attempt, never drawn."""
    attempts_max: int | None = None
    """How many attempts may fail before the job is dead."""
    lost_max: int | None = None
    """How many leases may be lost before the job is dead."""
    non_retryable: tuple[str, ...] = ()
    """Error types after which there is no further attempt."""
    priority: str | None = None
    """Band: high, normal or low; null: normal."""
    tags: tuple[str, ...] = ()
    """Words to find the job by."""
    unique: str | None = None
    """Uniqueness rule as JSON; null: none."""
    schedule: str | None = None
    """Schedule rule as JSON: the record then creates or replaces a schedule whose fires are this request."""
    scheduled_by: str | None = None
    """Id of the schedule that fired this request."""
    parent: str | None = None
    """Id of the job that asked for this one."""
    trace: str | None = None
    """W3C traceparent of the submitter."""
    expires_after_ms: int | None = None
    """Not to be started when so long has passed since it was asked for, or since run_at_ms, ms."""
    retention_ms: int | None = None
    """How long the job is known after its end, ms; null: what is said for its function or queue."""
    result_retention_ms: int | None = None
    """How long its result is kept after its end, ms; 0: not at all; null: as long as the job."""


@quick
@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """What was asked, with every default filled in at admission."""

    id: str
    """Id of the job."""
    key: str
    """Partition key."""
    partition: int
    """Home partition."""
    function: str
    """What a minion shall run."""
    queue: str
    """Queue of the job."""
    args: bytes | None = None
    """Arguments; null when there are none or they lie in a row of their own."""
    args_apart: bool
    """True if the arguments lie in a row of their own."""
    content_type: str
    """Media type of the arguments."""
    content_hash: str
    """Hash of the request's content: tells an equal duplicate from an unequal one."""
    created_at_ms: int
    """When it was admitted, epoch ms."""
    run_at_ms: int | None = None
    """Not before this time, epoch ms."""
    expires_at_ms: int | None = None
    """Not started after this time, epoch ms."""
    ends_by_ms: int | None = None
    """Total deadline, epoch ms."""
    timeout_ms: int
    """Time allowed for one attempt, ms."""
    heartbeat_timeout_ms: int
    """Silence after which an attempt counts as lost, ms."""
    expected_ms: int | None = None
    """Expected run time of an attempt, ms."""
    retry_kind: str
    """Backoff curve."""
    retry_initial_ms: int
    """First delay, ms."""
    retry_factor: float
    """Growth."""
    retry_cap_ms: int
    """Longest delay, ms."""
    retry_jitter: float
    """Share of jitter, 0 to 1."""
    attempts_max: int
    """How many attempts may fail."""
    lost_max: int
    """How many leases may be lost."""
    non_retryable: tuple[str, ...] = ()
    """Error types after which there is no further attempt."""
    priority: str
    """Band."""
    tags: tuple[str, ...] = ()
    """Words to find the job by."""
    scheduled_by: str | None = None
    """Schedule that fired it."""
    parent: str | None = None
    """Job that asked for it."""
    trace: str | None = None
    """W3C traceparent of the submitter."""
    lane: str | None = None
    """For a queue with key order, what its lane does when the job dies: goes_on or waits; null: the job is in
    no lane."""
    unique: str | None = None
    """Its unique key: what it must not do twice, as a hash; null: it is not unique."""
    unique_until_ms: int | None = None
    """Until when no other job of its unique key is wanted, whatever became of it, epoch ms; null: that is a
    question of its phase."""
    retention_ms: int | None = None
    """How long it is known after its end, ms; null: as is built in."""
    result_retention_ms: int | None = None
    """How long its result is kept after its end, ms; 0: not at all; null: as long as the job."""


@quick
@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try, as remembered in the job's row."""

    attempt: int
    """Number of the attempt, from 1."""
    epoch: int
    """Epoch of its dispatch."""
    dispatched_at_ms: int
    """When its dispatch was decided, epoch ms."""
    minion: str | None = None
    """Minion that had it."""
    session: str | None = None
    """Session that had it."""
    relay: str | None = None
    """Relay that had it."""
    spilled: bool
    """True if the key's usual minion was passed over."""
    assigned_at_ms: int | None = None
    """When a relay gave the lease, epoch ms."""
    started_at_ms: int | None = None
    """When the function began, epoch ms."""
    ended_at_ms: int | None = None
    """When it ended, epoch ms."""
    outcome: str | None = None
    """How it ended: a receipt's outcome, or the machine's verdict timeout, silent or withdrawn; null while it
    has not."""
    error_type: str | None = None
    """Type of its error."""
    error_message: str | None = None
    """Words of its error."""
    step: str | None = None
    """Last step it named."""
    done: int | None = None
    """Progress: units done."""
    total: int | None = None
    """Progress: units in all."""


@quick
@dataclass(frozen=True, kw_only=True)
class JobRow:
    """The latest state of one job: the row of the job table."""

    spec: JobSpec
    """What was asked."""
    phase: str
    """scheduled, ready, leased, succeeded, retrying, dead, cancelled or expired."""
    attempt: int
    """Current attempt, from 1."""
    epoch: int
    """Current epoch: one more for each decision to dispatch."""
    failed: int
    """Attempts that failed."""
    lost: int
    """Leases that were lost."""
    snoozed: int
    """How often it was put off by a snooze or handed back."""
    dispatched_at_ms: int | None = None
    """When the current dispatch was decided, epoch ms."""
    due_at_ms: int | None = None
    """When a scheduled or retrying job becomes ready, epoch ms."""
    wait_reason: str | None = None
    """Why a job waits for due_at_ms: delay, retry, snooze or handed_back; without a time: lane (its turn),
    unserved (a minion with its function); queue: ready, but the topic of its queue is still being made;
    paused: ready, but its queue is paused."""
    lease_ends_at_ms: int | None = None
    """Deadline of the running attempt, broker's time, epoch ms."""
    beat_at_ms: int | None = None
    """When the running attempt was last heard of, broker's time, epoch ms."""
    step_at_ms: int | None = None
    """When its current step began, epoch ms."""
    checkpoint: bytes | None = None
    """State that the next attempt is given."""
    cancel_reason: str | None = None
    """Why it was asked to be cancelled; null: it was not."""
    ended_at_ms: int | None = None
    """When it reached its end, epoch ms."""
    end_reason: str | None = None
    """Why it ended without success, as a sentence; null: it has not, or it succeeded."""
    purge_at_ms: int | None = None
    """When the row may be dropped, epoch ms."""
    result: bytes | None = None
    """Result."""
    result_type: str | None = None
    """Media type of result."""
    error_type: str | None = None
    """Type of the last error."""
    error_message: str | None = None
    """Words of the last error."""
    attempts: tuple[Attempt, ...] = ()
    """The latest attempts, oldest first, the current one last."""
    attempts_dropped: int
    """How many older attempts were forgotten."""
    applied_requests: int
    """Offset of the last request or command applied to it; -1: none."""
    applied_receipts: int
    """Offset of the last receipt applied to it; -1: none."""
    applied_heartbeats: int
    """Offset of the last heartbeat applied to it; -1: none."""
    applied_timers: int
    """Offset of the last tick applied to it; -1: none."""
    lane_place: int | None = None
    """Its place in its lane: lanes run in the order of places; null: it is in none (now)."""
    after_job: str | None = None
    """The job of its lane that must succeed before this dispatch may run; null: none."""
    after_epoch: int | None = None
    """Epoch of after_job."""
    cached: bool | None = None
    """The result came from the function's get_cache, and nothing ran for it."""


@quick
@dataclass(frozen=True, kw_only=True)
class QueueConfig:
    """What an operator says about a queue; what is null is left to what is built in."""

    queue: str
    """Name of the queue."""
    version: int = 0
    """Grows by one with each change of this entry, from 1."""
    paused: bool = False
    """True: no job of the queue is given to a minion; those that run go on."""
    timeout_ms: int | None = None
    """Allowed for one attempt, in ms."""
    heartbeat_timeout_ms: int | None = None
    """Silence after which an attempt counts as lost, in ms."""
    expected_ms: int | None = None
    """How long an attempt usually takes, in ms; longer is shown as slow."""
    retry_kind: str | None = None
    """Curve of the delays: constant, linear, exponential or polynomial."""
    retry_initial_ms: int | None = None
    """First delay, in ms."""
    retry_factor: float | None = None
    """Growth per attempt (exponential), or the power of the attempt's number (polynomial)."""
    retry_cap_ms: int | None = None
    """Longest delay, in ms."""
    retry_jitter: float | None = None
    """Share of a delay that is added or taken away, 0 to 1."""
    attempts_max: int | None = None
    """How many attempts may fail before the job is dead."""
    lost_max: int | None = None
    """How many attempts may be lost before the job is dead."""
    note: str | None = None
    """Why, in the operator's words."""
    by: str | None = None
    """Who wrote it."""
    retention_ms: int | None = None
    """How long a job is known after its end, in ms."""
    result_retention_ms: int | None = None
    """How long a result is kept after the end of its job, in ms; 0: not at all."""
    priority: str | None = None
    """1, the most urgent, to 5; or high, normal or low."""
    order: str | None = None
    """none; key: jobs of one key run one at a time, in order, and go on behind a dead one; key_waits: they
    wait for it; key_ahead: as key, but the next begins before the receipt of the one before is durable."""


@quick
@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A minion's (or, for a lost lease, a relay's) word that an attempt ended."""

    job: str
    """Id of the job."""
    key: str
    """Partition key of the job."""
    partition: int
    """Home partition of the job."""
    attempt: int
    """The attempt that ended, from 1."""
    epoch: int
    """Epoch of the dispatch that ended; another than the job's current one is rejected."""
    outcome: str
    """success, failure, snooze, cancelled, interrupted (graceful hand-back), lost (session broken), unserved
    (no minion has the function) or parked (one before it in its lane did not succeed)."""
    at_ms: int
    """When it ended, by the writer's clock, epoch ms."""
    minion: str | None = None
    """Name of the minion."""
    session: str | None = None
    """Session that held the lease."""
    relay: str | None = None
    """Relay that held the session."""
    assigned_at_ms: int | None = None
    """When the relay gave the lease, epoch ms."""
    started_at_ms: int | None = None
    """When the function began, epoch ms."""
    run_ms: int | None = None
    """How long the function ran, ms."""
    spilled: bool = False
    """True if the key's usual minion was passed over."""
    result: bytes | None = None
    """What the function returned."""
    result_type: str | None = None
    """Media type of result."""
    error_type: str | None = None
    """Type of the error."""
    error_message: str | None = None
    """Words of the error, cut to the limit."""
    error_trace: str | None = None
    """Trace of the error, cut to the limit."""
    non_retryable: bool = False
    """True if there shall be no further attempt."""
    retry_after_ms: int | None = None
    """Delay the error itself asks for before the next attempt, ms."""
    snooze_ms: int | None = None
    """Delay a snooze asks for, ms."""
    step: str | None = None
    """Last step the attempt named."""
    done: int | None = None
    """Progress: units done."""
    total: int | None = None
    """Progress: units in all."""
    checkpoint: bytes | None = None
    """State that the next attempt is given."""
    cached: bool | None = None
    """The function's get_cache had the answer: nothing ran for it."""


@quick
@dataclass(frozen=True, kw_only=True)
class Reject:
    """Raw bytes of what could not be accepted, and why."""

    topic: str
    """Topic of the record that was refused."""
    partition: int
    """Its partition."""
    offset: int
    """Its offset."""
    record_at_ms: int
    """Its time, epoch ms."""
    at_ms: int
    """When it was refused, epoch ms."""
    code: str
    """What is wrong, as one word for machines."""
    reason: str
    """What is wrong, as a sentence with the value found."""
    id: str | None = None
    """Id of the job, where it could be read."""
    record_key: bytes | None = None
    """Key of the record."""
    value: bytes | None = None
    """Value of the record, cut to the limit."""
    value_bytes: int
    """Size of the value before it was cut, bytes."""


@quick
@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A recurring request, as people write it."""

    id: str
    """Id of the schedule; its home partition is that of the id."""
    cron: str
    """Cron expression with five or six fields, @hourly and friends, or @every 90m/5m; empty: crons has all of
    them."""
    timezone: str = "UTC"
    """IANA time zone in which the expressions are read."""
    function: str
    """Function of each fired job."""
    queue: str = "default"
    """Queue of each fired job."""
    key: str | None = None
    """Partition key of each fired job; null: the schedule's id."""
    args: bytes | None = None
    """Arguments of each fired job."""
    content_type: str = "application/json"
    """Media type of args."""
    timeout_ms: int | None = None
    """Time allowed for one attempt, ms."""
    attempts_max: int | None = None
    """How many attempts of a fired job may fail before it is dead."""
    catchup_window_ms: int | None = None
    """A fire missed by less than this still happens, ms; null: the default in force."""
    paused: bool = False
    """No fires while true."""
    note: str | None = None
    """Free words, for people."""
    crons: tuple[str, ...] | None = None
    """More expressions: it fires at the times of any of them."""
    excluded: tuple[str, ...] | None = None
    """Expressions at whose times it does not fire; five fields are the whole minute."""
    start_at_ms: int | None = None
    """No fire before this time, epoch ms."""
    end_at_ms: int | None = None
    """No fire after this time, epoch ms."""
    jitter_ms: int | None = None
    """A fire is put off by up to so many ms, derived from the schedule's id and the fire's time."""
    overlap: str | None = None
    """What happens to a fire while a job of an earlier one has not ended: skip, buffer_one, buffer_all,
    cancel_other, terminate_other or allow_all; null: the default in force."""
    runs_max: int | None = None
    """So many fires, then no more; null: without end. Those that someone triggers or backfills do not
    count."""
    pause_on_failure: bool | None = None
    """True: it pauses itself when a job of it dies or expires."""
    declared_by: str | None = None
    """The code that declares it, such as a module; null: somebody wrote it. A declaration leaves a pause as
    it is."""
    heartbeat_timeout_ms: int | None = None
    """Silence after which an attempt of a fired job counts as lost, ms."""
    expected_ms: int | None = None
    """How long an attempt usually takes, ms; longer is shown as slow."""
    retry_kind: str | None = None
    """Curve of the delays: constant, linear, exponential or polynomial."""
    retry_initial_ms: int | None = None
    """First delay, ms."""
    retry_factor: float | None = None
    """Growth per attempt (exponential), or the power of the attempt's number (polynomial)."""
    retry_cap_ms: int | None = None
    """Longest delay, ms."""
    retry_jitter: float | None = None
    """Share of a delay that is added or taken away, 0 to 1."""
    lost_max: int | None = None
    """How many attempts of a fired job may be lost before it is dead."""
    non_retryable: tuple[str, ...] | None = None
    """Error types after which there is no further attempt."""
    deadline_ms: int | None = None
    """Total time for all attempts of a fired job, ms."""
    expires_after_ms: int | None = None
    """Not to be started when so long has passed since it was asked for, or since run_at_ms, ms."""
    priority: str | None = None
    """1, the most urgent, to 5; or high, normal or low."""
    tags: tuple[str, ...] | None = None
    """Free words of each fired job."""
    retention_ms: int | None = None
    """How long the job is known after its end, ms; null: what is said for its function or queue."""
    result_retention_ms: int | None = None
    """How long its result is kept after its end, ms; 0: not at all; null: as long as the job."""


@quick
@dataclass(frozen=True, kw_only=True)
class Happening:
    """What became of a fire of a schedule, or of the schedule: one line of its history."""

    at_ms: int
    """When it was decided, broker's time, epoch ms."""
    what: str
    """The fact: schedule_fired, schedule_skipped and so on."""
    fire_at_ms: int | None = None
    """Time of the fire, of the first of several, epoch ms."""
    fire_until_ms: int | None = None
    """Time of the last of several fires, epoch ms."""
    fires: int | None = None
    """How many fires."""
    reason: str | None = None
    """Sentence that says why."""


@quick
@dataclass(frozen=True, kw_only=True)
class ScheduleRow:
    """The running state of a schedule."""

    id: str
    """Id of the schedule."""
    partition: int
    """Home partition."""
    cron: str
    """Cron expression."""
    timezone: str
    """IANA time zone."""
    function: str
    """Function of each fired job."""
    queue: str
    """Queue of each fired job."""
    key: str
    """Partition key of each fired job."""
    args: bytes | None = None
    """Arguments of each fired job."""
    content_type: str
    """Media type of args."""
    timeout_ms: int | None = None
    """Time allowed for one attempt, ms."""
    attempts_max: int | None = None
    """How many attempts may fail."""
    catchup_window_ms: int
    """A fire missed by less than this still happens, ms."""
    paused: bool
    """No fires while true."""
    note: str | None = None
    """Free words."""
    created_at_ms: int
    """When it was first saved, epoch ms."""
    next_fire_at_ms: int | None = None
    """Next fire, epoch ms; null: none to come, or paused."""
    fired: tuple[int, ...] = ()
    """Fire times of the latest step that fired, epoch ms."""
    fires: int
    """How many fires there were, triggered and backfilled ones too."""
    missed: int
    """How many were missed by policy."""
    applied_requests: int
    """Offset of the last request or command applied to it; -1: none."""
    applied_schedules: int
    """Offset of the last schedule record applied to it; -1: none."""
    applied_timers: int
    """Offset of the last tick applied to it; -1: none."""
    crons: tuple[str, ...] | None = None
    """More expressions: it fires at the times of any of them."""
    excluded: tuple[str, ...] | None = None
    """Expressions at whose times it does not fire; five fields are the whole minute."""
    start_at_ms: int | None = None
    """No fire before this time, epoch ms."""
    end_at_ms: int | None = None
    """No fire after this time, epoch ms."""
    jitter_ms: int | None = None
    """A fire is put off by up to so many ms, derived from the schedule's id and the fire's time."""
    overlap: str | None = None
    """What happens to a fire while a job of an earlier one has not ended: skip, buffer_one, buffer_all,
    cancel_other, terminate_other or allow_all; null: the default in force."""
    runs_max: int | None = None
    """So many fires, then no more; null: without end. Those that someone triggers or backfills do not
    count."""
    pause_on_failure: bool | None = None
    """True: it pauses itself when a job of it dies or expires."""
    declared_by: str | None = None
    """The code that declares it; null: somebody wrote it."""
    next_due_at_ms: int | None = None
    """When the next fire shall happen, with its jitter, epoch ms; null: at its time."""
    runs: int | None = None
    """How many fires counted against runs_max."""
    running: tuple[int, ...] | None = None
    """Fire times of the jobs whose end is awaited, epoch ms: what is asked for again after a crash."""
    stopping: tuple[int, ...] | None = None
    """Fire times of the jobs that were asked to end and have not, epoch ms."""
    buffer: tuple[int, ...] | None = None
    """Fire times that wait for the end of the jobs before, epoch ms, in order."""
    skipped: int | None = None
    """How many fires were skipped because a job of an earlier one ran."""
    dropped: int | None = None
    """How many buffered fires were given up."""
    succeeded: int | None = None
    """How many jobs of it succeeded."""
    failed: int | None = None
    """How many jobs of it died, expired or were refused."""
    cancelled: int | None = None
    """How many jobs of it were cancelled."""
    triggered_at_ms: int | None = None
    """The time that the latest triggered fire got, epoch ms."""
    backfill_at_ms: int | None = None
    """The fires after this time are yet to be backfilled, epoch ms; null: no backfill."""
    backfill_until_ms: int | None = None
    """The last time of the backfill, epoch ms."""
    backfill_overlap: str | None = None
    """How the fires of the backfill overlap: buffer_all or allow_all."""
    pause_note: str | None = None
    """Why it is paused, in the words of who paused it."""
    orphaned_at_ms: int | None = None
    """Since when the code that declared it does so no more, epoch ms."""
    history: tuple[Happening, ...] | None = None
    """What happened last, the latest at the end."""
    heartbeat_timeout_ms: int | None = None
    """Silence after which an attempt of a fired job counts as lost, ms."""
    expected_ms: int | None = None
    """How long an attempt usually takes, ms; longer is shown as slow."""
    retry_kind: str | None = None
    """Curve of the delays: constant, linear, exponential or polynomial."""
    retry_initial_ms: int | None = None
    """First delay, ms."""
    retry_factor: float | None = None
    """Growth per attempt (exponential), or the power of the attempt's number (polynomial)."""
    retry_cap_ms: int | None = None
    """Longest delay, ms."""
    retry_jitter: float | None = None
    """Share of a delay that is added or taken away, 0 to 1."""
    lost_max: int | None = None
    """How many attempts of a fired job may be lost before it is dead."""
    non_retryable: tuple[str, ...] | None = None
    """Error types after which there is no further attempt."""
    deadline_ms: int | None = None
    """Total time for all attempts of a fired job, ms."""
    expires_after_ms: int | None = None
    """Not to be started when so long has passed since it was asked for, or since run_at_ms, ms."""
    priority: str | None = None
    """1, the most urgent, to 5; or high, normal or low."""
    tags: tuple[str, ...] | None = None
    """Free words of each fired job."""
    retention_ms: int | None = None
    """How long the job is known after its end, ms; null: what is said for its function or queue."""
    result_retention_ms: int | None = None
    """How long its result is kept after its end, ms; 0: not at all; null: as long as the job."""


@quick
@dataclass(frozen=True, kw_only=True)
class Tick:
    """The clock of a partition, as data; its time is the record's own, set by the broker."""

    partition: int
    """Partition whose time this is."""
    at_ms: int
    """When it was written, by the writer's clock, epoch ms (for people; decisions use the record's time)."""
    receipts_end: int
    """End offset of the receipts of this partition when the tick was written; one beyond reach if nobody
    asked, and then the tick ends no lease."""
    heartbeats_end: int
    """End offset of the heartbeats of this partition when the tick was written; as receipts_end."""


@quick
@dataclass(frozen=True, kw_only=True)
class Worker:
    """Where the pages of a streams worker are, and which partitions it has."""

    instance: str
    """Name of the worker's place in its group; the record's key."""
    web: str
    """host:port of its pages, as others reach them."""
    partitions: tuple[int, ...] = ()
    """Partitions that it has."""
    at_ms: int
    """When it was written, by the worker's clock, epoch ms."""
