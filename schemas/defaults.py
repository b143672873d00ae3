"""Every default and every limit, with its unit in its name, on one page. Data only; relations hold at import.

A request may say otherwise within the limits. A number that two rooms must agree on belongs here.
"""

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
KIB = 1_024
MIB = 1_024 * KIB

# Queues and partitions.
QUEUE = "default"
PARTITIONS = 8  # of a development cluster; fixed for the life of a prefix
PARTITIONS_PRODUCTION = 32
PARTITIONS_MAX = 512
QUEUES_MAX = 200  # that come into being when first named

# One attempt.
TIMEOUT_MS = MINUTE_MS
TIMEOUT_MS_MIN = 1
TIMEOUT_MS_MAX = 7 * DAY_MS
HEARTBEAT_MS = SECOND_MS  # how often a session beats for what it runs
HEARTBEAT_TIMEOUT_MS = 4 * SECOND_MS  # silence after which an attempt counts as lost
HEARTBEAT_TIMEOUT_MS_MIN = 2 * HEARTBEAT_MS
HEARTBEAT_TIMEOUT_MS_MAX = DAY_MS
STARTED_AFTER_MS = 50  # a lease without a receipt for so long gets a `started` beat
RESUME_GRACE_MS = 300  # a session that broke may come back within this before its leases are lost
BEAT_AFTER_MS = SECOND_MS  # a minion beats for an attempt that has run so long

# Over all attempts.
ATTEMPTS_MAX = 5
ATTEMPTS_MAX_MAX = 1_000
LOST_MAX = 3
LOST_MAX_MAX = 1_000
ATTEMPTS_REMEMBERED_MAX = 10  # in the row; older ones are counted
DEADLINE_MS_MAX = 400 * DAY_MS  # total deadline; there is none by default
UNSERVED_DELAY_MS = (
    5 * MINUTE_MS
)  # before a job whose function no minion has is offered without being asked for
SNOOZE_MS_MAX = 400 * DAY_MS
DISPATCH_AGE_MS_MAX = 3 * DAY_MS  # of a ready job's dispatch, half what its topic keeps: then it is sent anew

# Backoff between attempts.
RETRY_KIND = "exponential"
RETRY_INITIAL_MS = SECOND_MS
RETRY_INITIAL_MS_MAX = DAY_MS
RETRY_FACTOR = 2.0  # of exponential; the power of polynomial
RETRY_FACTOR_MIN = 1.0
RETRY_FACTOR_MAX = 100.0
RETRY_CAP_MS = 5 * MINUTE_MS
RETRY_CAP_MS_MAX = 30 * DAY_MS
RETRY_JITTER = 0.1  # share of the delay
RETRY_JITTER_MAX = 1.0
RETRY_AFTER_MS_MAX = 30 * DAY_MS  # a delay that an error asks for

# Sizes.
ARGS_BYTES_MAX = 256 * KIB
ARGS_INLINE_BYTES_MAX = KIB  # larger arguments lie in a row of their own
RESULT_BYTES_MAX = 256 * KIB
CHECKPOINT_BYTES_MAX = 16 * KIB
VALUE_BYTES_MAX = 768 * KIB  # of any record's value; JSON may need three bytes for one of the arguments
RECORD_BYTES_MAX = MIB  # what the broker accepts for one record batch
REJECT_VALUE_BYTES_MAX = 64 * KIB  # of a refused value that is kept
ERROR_TYPE_CHARS_MAX = 200
ERROR_MESSAGE_CHARS_MAX = 2_000
ERROR_TRACE_CHARS_MAX = 16_000
STEP_CHARS_MAX = 200
REASON_CHARS_MAX = 1_000
NAME_CHARS_MAX = 200  # of ids, keys and functions
QUEUE_CHARS_MAX = 63
CONTENT_TYPE = "application/json"
CONTENT_TYPE_CHARS_MAX = 200
TRACE_CHARS_MAX = 200
TAGS_MAX = 20
TAG_CHARS_MAX = 100
NON_RETRYABLE_MAX = 50
JSON_DEPTH_MAX = 64  # of nested objects and arrays in a JSON request

# Foreground calls.
CALL_BYTES_MAX = 4 * MIB  # of arguments, of a result, and of one piece of data
ROUTING_MS = 5 * SECOND_MS  # how long a relay looks for a minion that takes the call
ROUTING_MS_MAX = HOUR_MS
AREAS_MAX = 16  # that one session, or one call, may name
CACHE_MS_MAX = DAY_MS  # for which an answer may be given again

# Uniqueness and priority.
UNIQUE_WINDOW_MS_MAX = 30 * DAY_MS
PRIORITY = 3  # from 1, the most urgent, to 5

# Time.
RUN_AT_AHEAD_MS_MAX = 400 * DAY_MS
EXPIRES_AT_AHEAD_MS_MAX = 800 * DAY_MS
JOB_RETENTION_MS = DAY_MS  # of a job that reached its end
JOB_RETENTION_MS_MIN = SECOND_MS
JOB_RETENTION_MS_MAX = 400 * DAY_MS

# Schedules.
TIMEZONE = "UTC"
CATCHUP_WINDOW_MS = 365 * DAY_MS  # a fire missed by less than this still happens
CATCHUP_WINDOW_MS_MIN = 10 * SECOND_MS
CATCHUP_WINDOW_MS_MAX = 366 * DAY_MS
CATCHUP_FIRES_MAX = 1_000  # by one schedule in one step
CRON_CHARS_MAX = 200
CRONS_MAX = 20  # expressions of one schedule, and as many exclusions
INTERVAL_MS_MAX = 400 * DAY_MS  # of @every
JITTER_MS_MAX = DAY_MS
EXCLUDED_FIRES_MAX = 5_000  # times that exclusions take out before the next fire; more, and there is none
OVERLAP = "skip"
SCHEDULE_BUFFER_MAX = 1_000  # fires of one schedule that wait for the one before
SCHEDULE_RUNNING_MAX = 1_000  # jobs of one schedule whose end is awaited; of more, the oldest is forgotten
SCHEDULE_HISTORY_MAX = 10  # entries in the row; each is written with every fire
BACKFILL_FIRES_MAX = 10_000  # in one range
SIMULATED_FIRES_MAX = 1_000
RUNS_MAX_MAX = 1_000_000_000
NOTE_CHARS_MAX = 1_000
SCHEDULE_BYTES_MAX = 4 * KIB  # of a request's schedule rule as JSON

# Streams workers.
WORKER_TOLD_S = 30  # how often a worker says again where its pages are
WORKER_GONE_MS = 100 * SECOND_MS  # one that has not said so for this long is asked no more

# Minions and relays.
MINION_CONCURRENCY = 100  # async functions at once
DRAIN_MS = 30 * SECOND_MS
ALIVE_EVERY_MS = HEARTBEAT_MS  # how often a relay writes one beat for each session's leases

assert HEARTBEAT_MS * 2 <= HEARTBEAT_TIMEOUT_MS_MIN <= HEARTBEAT_TIMEOUT_MS <= HEARTBEAT_TIMEOUT_MS_MAX
assert STARTED_AFTER_MS < RESUME_GRACE_MS < HEARTBEAT_TIMEOUT_MS, "a resume must not outlast silence"
assert TIMEOUT_MS_MIN <= TIMEOUT_MS <= TIMEOUT_MS_MAX
assert 1 <= ATTEMPTS_MAX <= ATTEMPTS_MAX_MAX
assert 1 <= LOST_MAX <= LOST_MAX_MAX
assert RETRY_FACTOR_MIN <= RETRY_FACTOR <= RETRY_FACTOR_MAX
assert 0 <= RETRY_JITTER <= RETRY_JITTER_MAX <= 1
assert RETRY_INITIAL_MS <= RETRY_CAP_MS <= RETRY_CAP_MS_MAX
assert ARGS_INLINE_BYTES_MAX < ARGS_BYTES_MAX
assert ARGS_BYTES_MAX * 4 // 3 < VALUE_BYTES_MAX, "args at their limit fit as base64"
assert ARGS_BYTES_MAX + CHECKPOINT_BYTES_MAX + 64 * KIB < VALUE_BYTES_MAX < RECORD_BYTES_MAX
assert RESULT_BYTES_MAX + CHECKPOINT_BYTES_MAX + 64 * KIB < VALUE_BYTES_MAX
assert JOB_RETENTION_MS_MIN <= JOB_RETENTION_MS <= JOB_RETENTION_MS_MAX
assert RUN_AT_AHEAD_MS_MAX < EXPIRES_AT_AHEAD_MS_MAX
assert CATCHUP_WINDOW_MS_MIN <= CATCHUP_WINDOW_MS <= CATCHUP_WINDOW_MS_MAX
assert CATCHUP_FIRES_MAX <= SCHEDULE_RUNNING_MAX, "what one step fires is known to run"
assert 1 <= PARTITIONS <= PARTITIONS_PRODUCTION <= PARTITIONS_MAX
