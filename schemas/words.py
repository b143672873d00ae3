"""The words of the wire: every value that a string field may have, as enumerations. No logic.

The Avro fields stay strings, so that a word added later breaks no reader of today. A member is a `str`,
compares equal to its word, and is written as it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where a job is in its life."""

    SCHEDULED = "scheduled"  # waits for run_at
    READY = "ready"  # dispatched, or about to be; no minion has it yet
    LEASED = "leased"  # a minion has it
    SUCCEEDED = "succeeded"
    RETRYING = "retrying"  # waits for its next attempt
    DEAD = "dead"  # no further attempt; its dead letter is written
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # not started in time


PHASES_TERMINAL = frozenset({Phase.SUCCEEDED, Phase.DEAD, Phase.CANCELLED, Phase.EXPIRED})


class Outcome(StrEnum):
    """How an attempt ended, as its receipt says."""

    SUCCESS = "success"
    FAILURE = "failure"
    SNOOZE = "snooze"  # the function asks to be put off
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"  # handed back by a minion that drains
    LOST = "lost"  # its session broke, or it fell silent
    UNSERVED = "unserved"  # no connected minion has the function
    PARKED = "parked"  # one before it in its lane did not succeed


class Verdict(StrEnum):
    """How an attempt ended that no receipt told of: the state machine's own word, beside the outcomes."""

    TIMEOUT = "timeout"  # no receipt by the end of its lease
    SILENT = "silent"  # no beat for heartbeat_timeout_ms
    WITHDRAWN = "withdrawn"  # called off by a cancel, an expiry or the total deadline


class FactKind(StrEnum):
    """What a step did to a job or a schedule, past tense."""

    ADMITTED = "admitted"
    READIED = "readied"
    STARTED = "started"
    PROGRESSED = "progressed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    SNOOZED = "snoozed"
    HANDED_BACK = "handed_back"
    PARKED = "parked"  # it waits for its turn in its lane again
    DIED = "died"
    CANCEL_REQUESTED = "cancel_requested"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    RETRIED = "retried"
    RESCHEDULED = "rescheduled"  # someone asked for another time
    RESULT_DROPPED = "result_dropped"  # its retention is over; the job is kept
    PURGED = "purged"
    DEDUPLICATED = "deduplicated"
    REJECTED = "rejected"
    SCHEDULE_SAVED = "schedule_saved"
    SCHEDULE_FIRED = "schedule_fired"
    SCHEDULE_MISSED = "schedule_missed"  # by more than the catch-up window
    SCHEDULE_SKIPPED = "schedule_skipped"  # by the overlap policy
    SCHEDULE_BUFFERED = "schedule_buffered"  # waits for the end of the job before
    SCHEDULE_DROPPED = "schedule_dropped"  # was buffered, or to be backfilled, and will not happen
    SCHEDULE_PAUSED = "schedule_paused"
    SCHEDULE_RESUMED = "schedule_resumed"
    SCHEDULE_BACKFILLING = "schedule_backfilling"
    SCHEDULE_ORPHANED = "schedule_orphaned"  # the code that declared it does so no more
    SCHEDULE_REMOVED = "schedule_removed"


ENDS = frozenset({FactKind.SUCCEEDED, FactKind.DIED, FactKind.CANCELLED, FactKind.EXPIRED})
"""Facts that end a job: it does nothing any more, unless it is asked to run again. Others may follow."""


class Overlap(StrEnum):
    """What happens to a fire while a job of an earlier one has not ended."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"  # one waits; the rest is skipped
    BUFFER_ALL = "buffer_all"
    CANCEL_OTHER = "cancel_other"  # the running one is asked to stop, then the newest fire starts
    TERMINATE_OTHER = "terminate_other"  # the running one ends at once
    ALLOW_ALL = "allow_all"


class CommandName(StrEnum):
    """What a Command asks."""

    CANCEL = "cancel"
    TERMINATE = "terminate"  # end now, without waiting for the function
    RETRY = "retry"  # run again now
    RESCHEDULE = "reschedule"  # run at another time
    REMOVE_SCHEDULE = "remove_schedule"
    PAUSE_SCHEDULE = "pause_schedule"
    RESUME_SCHEDULE = "resume_schedule"
    TRIGGER_SCHEDULE = "trigger_schedule"
    BACKFILL_SCHEDULE = "backfill_schedule"
    ORPHAN_SCHEDULE = "orphan_schedule"  # the code that declared it does so no more
    SCHEDULE_JOB_ENDED = "schedule_job_ended"  # the machine's own, from a job to its schedule


SCHEDULE_COMMANDS = frozenset(
    {
        CommandName.REMOVE_SCHEDULE,
        CommandName.PAUSE_SCHEDULE,
        CommandName.RESUME_SCHEDULE,
        CommandName.TRIGGER_SCHEDULE,
        CommandName.BACKFILL_SCHEDULE,
        CommandName.ORPHAN_SCHEDULE,
        CommandName.SCHEDULE_JOB_ENDED,
    }
)
"""Commands whose id is that of a schedule; they live at the home of it."""

SCHEDULE_ANSWERS: Final[Mapping[CommandName, frozenset[FactKind]]] = {
    CommandName.PAUSE_SCHEDULE: frozenset({FactKind.SCHEDULE_PAUSED}),
    CommandName.RESUME_SCHEDULE: frozenset({FactKind.SCHEDULE_RESUMED}),
    CommandName.TRIGGER_SCHEDULE: frozenset(
        {
            FactKind.SCHEDULE_FIRED,
            FactKind.SCHEDULE_SKIPPED,
            FactKind.SCHEDULE_BUFFERED,
            FactKind.SCHEDULE_DROPPED,
        }
    ),
    CommandName.BACKFILL_SCHEDULE: frozenset({FactKind.SCHEDULE_BACKFILLING}),
    CommandName.ORPHAN_SCHEDULE: frozenset({FactKind.SCHEDULE_ORPHANED}),
}
"""The facts that tell what came of a command about a schedule."""


class ControlName(StrEnum):
    """What a Control asks of relays."""

    CANCEL = "cancel"


class WaitReason(StrEnum):
    """Why a job waits: for due_at_ms, for its turn, for a minion, for its queue, or until that is no longer
    paused.
    """

    DELAY = "delay"  # run_at has not come
    RETRY = "retry"
    SNOOZE = "snooze"
    HANDED_BACK = "handed_back"
    UNSERVED = "unserved"  # no minion has its function; no time is set
    LANE = "lane"  # its turn among the jobs of its key; no time is set
    PAUSED = "paused"  # ready, but its queue is paused
    QUEUE = "queue"  # ready, but the topic of its queue is still being made


ORDER_KEY = "key"
"""The order of a queue whose jobs of one key run one at a time."""

ORDER_KEY_AHEAD = "key_ahead"
"""The same, where the next may begin before the receipt of the one before is durable."""


class QueueOrder(StrEnum):
    """In which order the jobs of a queue run, as its entry of the config topic says."""

    NONE = "none"
    KEY = "key"  # those of one key one at a time, as they came
    KEY_WAITS = "key_waits"  # and not behind a dead one
    KEY_AHEAD = "key_ahead"  # and the next begins before the receipt of the one before is durable


class LanePolicy(StrEnum):
    """What a lane does when a job of it dies, and how soon the next begins."""

    GOES_ON = "goes_on"  # the next one runs
    WAITS = "waits"  # until the dead one is retried or cancelled, or is forgotten
    AHEAD = "ahead"  # as goes_on, but a receipt need not be durable for the next to begin


class Backoff(StrEnum):
    """How the delay between attempts grows."""

    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"
    POLYNOMIAL = "polynomial"


class Settled(StrEnum):
    """What became of a dead letter."""

    REDRIVEN = "redriven"  # its job, or another one for the same work, was asked for again
    DISCARDED = "discarded"  # nobody wants it


class BeatKind(StrEnum):
    """What a beat tells."""

    STARTED = "started"  # the lease lives longer than STARTED_AFTER_MS
    ALIVE = "alive"
    PROGRESS = "progress"  # step, done, total or checkpoint changed


class Priority(StrEnum):
    """How urgent a job is, in a word; a number from 1, the most urgent, to 5 says it finer."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


PRIORITIES: Final[Mapping[str, int]] = {
    **{str(number): number for number in range(1, 6)},
    Priority.HIGH: 2,
    Priority.NORMAL: 3,
    Priority.LOW: 4,
}
"""The number of each way to say how urgent a job is."""


class RejectCode(StrEnum):
    """Why a record was refused, as one word for machines; the sentence beside it is for people."""

    UNDECODABLE = "undecodable"  # in none of the forms, or broken within its form
    UNKNOWN_SCHEMA = "unknown_schema"  # a schema id, fingerprint or version that is not ours
    UNEXPECTED_TYPE = "unexpected_type"  # a record of ours that has no place in this topic
    OVERSIZE = "oversize"  # the value, or a part of it, is above its limit
    BAD_FIELD = "bad_field"  # missing, of the wrong type, or out of range
    UNKNOWN_FIELD = "unknown_field"
    BAD_NAME = "bad_name"  # an id, key, function or queue outside its pattern
    BAD_TIME = "bad_time"  # not a time, or too far ahead
    BAD_RETRY = "bad_retry"
    BAD_SCHEDULE = "bad_schedule"  # cron expression, time zone, or another part of a schedule
    KEY_CONFLICT = "key_conflict"  # the record's key and the body's differ
    ID_CONFLICT = "id_conflict"  # the id is taken by a job with other content
    QUEUES_FULL = "queues_full"  # one queue more than are allowed to come into being
    UNKNOWN_JOB = "unknown_job"
    UNKNOWN_SCHEDULE = "unknown_schedule"
    WRONG_EPOCH = "wrong_epoch"  # a receipt or beat of another dispatch than the current one
    NOT_NOW = "not_now"  # the command makes no sense in the job's phase
    FAULT = "fault"  # an error of the service itself, with its trace
