"""Every metric that a process of ours tells, as data: dashboards, alerts and tests go by it. No logic.

Names are Prometheus' (snake case, unit at the end, counters with `_total`). Labels have few values: a queue,
a function, an outcome, a partition, a minion; never a job, a key or a session. Whatever a label may be, a
metric has at most SERIES_MAX series in a process, and one for all the rest, whose labels are OTHER.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SERIES_MAX: Final = 2_000
"""Series of one counter or gauge in one process."""

HISTOGRAMS_MAX: Final = 300
"""Series of one histogram in one process; each is as many numbers as it has buckets."""

OTHER: Final = "other"
"""The value of every label of the series that is for what is beyond the limit: the sum of what is counted, of
times and shares the greatest.
"""

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
"""Upper bounds of times: a millisecond to half an hour."""


class Kind(StrEnum):
    """What kind of number."""

    COUNTER = "counter"  # grows for as long as the process lives
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Service(StrEnum):
    """Who tells it."""

    STREAMS = "streams"
    RELAY = "relay"
    GATEWAY = "gateway"
    MINION = "minion"
    CONNECT = "connect"
    ALL = "all"


@dataclass(frozen=True)
class Metric:
    """One metric."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    service: Service
    doc: str
    buckets: tuple[float, ...] = ()

    @property
    def series_max(self) -> int:
        """How many series of it one process tells."""
        return HISTOGRAMS_MAX if self.kind is Kind.HISTOGRAM else SERIES_MAX


def _counter(name: str, labels: tuple[str, ...], service: Service, doc: str, unit: str = "1") -> Metric:
    return Metric(name, Kind.COUNTER, unit, labels, service, doc)


def _gauge(name: str, labels: tuple[str, ...], service: Service, doc: str, unit: str = "1") -> Metric:
    return Metric(name, Kind.GAUGE, unit, labels, service, doc)


def _times(name: str, labels: tuple[str, ...], service: Service, doc: str) -> Metric:
    return Metric(name, Kind.HISTOGRAM, "s", labels, service, doc, SECONDS)


# Every process.
INFO = _gauge("jobstream_info", ("service", "version"), Service.ALL, "1; which process this is.")
TELEMETRY_DROPPED = _counter(
    "jobstream_telemetry_dropped_total",
    ("signal",),
    Service.ALL,
    "Lines, spans and metric exports that could not be written or sent, so that nothing waited for them.",
)
SERIES_DROPPED = _counter(
    "jobstream_telemetry_other_total",
    ("metric",),
    Service.ALL,
    "What was counted under `other`, since a metric has its most series already.",
)

# Streams workers: the life of jobs.
FACTS = _counter(
    "jobstream_facts_total",
    ("fact", "queue", "function"),
    Service.STREAMS,
    "Facts decided: admitted, started, succeeded, failed, lost, died, ...",
)
RETRIES = _counter(
    "jobstream_retries_total",
    ("queue", "function", "reason"),
    Service.STREAMS,
    "Attempts that ended and are followed by another, by why: error, timeout, lost, snoozed, handed_back.",
)
REFUSED = _counter("jobstream_refused_total", ("code",), Service.STREAMS, "Records that were refused.")
SUBMIT_TO_START = _times(
    "jobstream_submit_to_start_seconds",
    ("queue", "function"),
    Service.STREAMS,
    "From when a job might run first (admitted, or its run_at) to the begin of its function, first attempts.",
)
QUEUE_TIME = _times(
    "jobstream_queue_seconds",
    ("queue", "function"),
    Service.STREAMS,
    "From an attempt's dispatch to its assignment to a minion.",
)
START_TIME = _times(
    "jobstream_start_seconds",
    ("queue", "function"),
    Service.STREAMS,
    "From an attempt's assignment to the begin of its function.",
)
RUN_TIME = _times(
    "jobstream_run_seconds",
    ("queue", "function"),
    Service.STREAMS,
    "How long functions ran, by the minions' clocks.",
)
TIMER_LATENESS = _times(
    "jobstream_timer_lateness_seconds",
    (),
    Service.STREAMS,
    "How late delayed jobs and retries became ready, after they were due.",
)
JOBS = _gauge("jobstream_jobs", ("queue", "phase"), Service.STREAMS, "Jobs that are kept, by phase.")
OLDEST_READY = _gauge(
    "jobstream_oldest_ready_seconds",
    ("queue",),
    Service.STREAMS,
    "For how long the oldest ready job that is at hand has waited for a minion; 0 if none waits.",
    "s",
)
UNSERVED = _gauge(
    "jobstream_unserved_jobs",
    ("queue", "function"),
    Service.STREAMS,
    "Jobs that wait because no minion has their function.",
)
HOT_KEY = _gauge(
    "jobstream_hot_key_share",
    ("queue",),
    Service.STREAMS,
    "Share of the most frequent key among the latest jobs of a queue, 0 to 1.",
    "ratio",
)
PARTITION_JOBS = _counter(
    "jobstream_partition_jobs_total", ("partition",), Service.STREAMS, "Jobs admitted, by home partition."
)
ROWS = _gauge("jobstream_rows", (), Service.STREAMS, "Jobs and schedules that this worker keeps.")
LEASES = _gauge("jobstream_leases", (), Service.STREAMS, "Jobs that a minion has, as the rows say.")
OVERDUE = _gauge(
    "jobstream_overdue_rows",
    (),
    Service.STREAMS,
    "Rows that are due and not yet decided; of a partition at most 20,000 are counted.",
)
DUTY_RUN = _gauge(
    "jobstream_duty_run_timestamp_seconds",
    ("duty",),
    Service.STREAMS,
    "When it was last looked what is due, Unix time; duties are due, timed_out, recurring, purge.",
    "s",
)
DUTY_LAST = _gauge(
    "jobstream_duty_done_timestamp_seconds",
    ("duty",),
    Service.STREAMS,
    "When something of that duty was last done, Unix time.",
    "s",
)
DUTY_DONE = _counter(
    "jobstream_duty_done_total", ("duty",), Service.STREAMS, "Rows that were decided since their time came."
)
DUTY_OVERDUE = _gauge(
    "jobstream_duty_overdue_rows", ("duty",), Service.STREAMS, "Rows whose time has come, not yet decided."
)
OWNED = _gauge("jobstream_partitions_owned", (), Service.STREAMS, "Partitions that this worker has.")
READY = _gauge("jobstream_ready", (), Service.STREAMS, "1 when it has recovered, else 0.")
REBALANCES = _counter(
    "jobstream_rebalances_total", (), Service.STREAMS, "How often its partitions were assigned anew."
)
RESTORED = _gauge(
    "jobstream_restore_ratio",
    (),
    Service.STREAMS,
    "How much of the state topic's tail was read, 0 to 1, while it restores; 1 when it has.",
    "ratio",
)
LAG = _gauge(
    "jobstream_lag_records",
    ("topic", "partition"),
    Service.STREAMS,
    "Offsets between what was applied and the end of a source partition.",
)
WRITES = _counter("jobstream_writes_total", (), Service.STREAMS, "Groups of records written, confirmed.")
WRITE_TIME = _counter(
    "jobstream_write_seconds_total", (), Service.STREAMS, "How long these writes took together.", "s"
)

# Relays: the way to minions.
SESSIONS = _gauge("jobstream_relay_sessions", (), Service.RELAY, "Sessions of minions.")
RELAY_LEASES = _gauge("jobstream_relay_leases", (), Service.RELAY, "Attempts that its minions have.")
MINION_LEASES = _gauge(
    "jobstream_minion_leases", ("minion",), Service.RELAY, "Attempts that a minion has of this relay."
)
MINION_CREDITS = _gauge(
    "jobstream_minion_credits", ("minion",), Service.RELAY, "Unspent credits that a minion has granted."
)
MINION_CAPACITY = _gauge(
    "jobstream_minion_capacity", ("minion",), Service.RELAY, "The most attempts that a minion takes."
)
MINION_BUSY = _gauge(
    "jobstream_minion_busy_share",
    ("minion",),
    Service.RELAY,
    "Leases and calls by capacity of a minion at this moment, 0 to 1.",
    "ratio",
)
ASSIGNED = _counter("jobstream_relay_assigned_total", (), Service.RELAY, "Attempts given to minions.")
SPILLED = _counter(
    "jobstream_relay_spilled_total",
    (),
    Service.RELAY,
    "Of these, attempts that went to another minion than their key's.",
)
RECEIPTS = _counter(
    "jobstream_relay_receipts_total", ("outcome",), Service.RELAY, "Attempts that ended here, by outcome."
)
WAITING = _gauge(
    "jobstream_relay_waiting", ("queue", "function"), Service.RELAY, "Dispatches read that wait for room."
)
OLDEST_WAITING = _gauge(
    "jobstream_relay_oldest_waiting_seconds",
    ("queue",),
    Service.RELAY,
    "For how long the oldest of them has been here.",
    "s",
)
RELAY_LAG = _gauge(
    "jobstream_relay_lag_records",
    ("queue", "partition"),
    Service.RELAY,
    "Offsets between what is finished and the end of a dispatch partition.",
)
RELAY_PAUSED = _gauge(
    "jobstream_relay_paused_partitions", (), Service.RELAY, "Partitions not fetched, since too much waits."
)
RELAY_REBALANCES = _counter(
    "jobstream_relay_rebalances_total", (), Service.RELAY, "How often partitions came or went."
)
CALLS = _counter(
    "jobstream_relay_calls_total",
    ("outcome",),
    Service.RELAY,
    "Foreground calls that ended here, by outcome.",
)
CALLS_SHARED = _counter(
    "jobstream_relay_calls_shared_total",
    (),
    Service.RELAY,
    "Foreground calls that joined the run of an equal one.",
)
CALLS_KNOWN = _counter(
    "jobstream_relay_calls_known_total",
    (),
    Service.RELAY,
    "Foreground calls that were answered from the cache.",
)
CALLS_RUNNING = _gauge(
    "jobstream_relay_calls_running", (), Service.RELAY, "Foreground calls that minions run."
)
CALLS_WAITING = _gauge(
    "jobstream_relay_calls_waiting", (), Service.RELAY, "Foreground calls that wait for one."
)
CALLS_UNSERVED = _gauge(
    "jobstream_relay_unserved_seconds",
    ("function",),
    Service.RELAY,
    "For how long a function has been called that no worker here has.",
    "s",
)
CALL_TIME = _times(
    "jobstream_relay_call_seconds",
    ("door", "function"),
    Service.RELAY,
    "From when a call was asked at a door of the relay (grpc, gearman, durable) to its answer.",
)
CALL_WAIT = _times(
    "jobstream_relay_call_wait_seconds",
    ("function",),
    Service.RELAY,
    "From when a call was asked to when a worker had it.",
)
UNCONFIRMED = _gauge(
    "jobstream_relay_unconfirmed_records", (), Service.RELAY, "Records written that Kafka has not confirmed."
)
CONTROL_LAG = _times(
    "jobstream_control_lag_seconds",
    (),
    Service.RELAY,
    "From the decision to call a job off to its arrival here.",
)

# The Gearman door, in a relay or by itself. What its workers run is told as minions tell it.
GEARMAN_CONNECTIONS = _gauge(
    "jobstream_gearman_connections", (), Service.RELAY, "Connections of Gearman's clients and workers."
)
GEARMAN_KEEP = _times(
    "jobstream_gearman_keep_seconds",
    (),
    Service.RELAY,
    "From when a background job was asked for to when Kafka had it, and its client the handle.",
)

# The HTTP service.
HTTP_REQUESTS = _counter(
    "jobstream_gateway_requests_total",
    ("method", "route", "status"),
    Service.GATEWAY,
    "Requests answered, by route and status.",
)
HTTP_TIME = _times(
    "jobstream_gateway_request_seconds",
    ("route",),
    Service.GATEWAY,
    "From the head of a request to the end of its answer.",
)
HTTP_JOBS = _counter("jobstream_gateway_jobs_total", (), Service.GATEWAY, "Requests for jobs that Kafka has.")
HTTP_STREAMS = _gauge("jobstream_gateway_streams", (), Service.GATEWAY, "Streams of facts that are open.")

# Minions.
ATTEMPTS = _counter(
    "jobstream_minion_attempts_total",
    ("function", "outcome"),
    Service.MINION,
    "Attempts that ended here, by outcome.",
)
ATTEMPT_TIME = _times(
    "jobstream_minion_run_seconds", ("function",), Service.MINION, "How long functions ran here."
)
BUSY = _counter(
    "jobstream_minion_busy_seconds_total",
    ("function",),
    Service.MINION,
    "How long functions ran here, together: its rate by the capacity is how busy the minion is.",
    "s",
)
RUNNING = _gauge("jobstream_minion_running", (), Service.MINION, "Attempts that run now.")
ROOM = _gauge("jobstream_minion_slots", (), Service.MINION, "Attempts that may run at once.")


# Who looks after the connectors of Kafka Connect.
CONNECT_ANSWERS = _gauge(
    "jobstream_connect_answers", (), Service.CONNECT, "1 while Connect and Kafka answer, else 0."
)
CONNECTOR_RUNS = _gauge(
    "jobstream_connector_runs", ("connector",), Service.CONNECT, "1 while it and its tasks run, else 0."
)
CONNECTOR_LAG = _gauge(
    "jobstream_connector_lag_records",
    ("connector",),
    Service.CONNECT,
    "Offsets that a sink has not read yet.",
)
CONNECTOR_REFUSED = _gauge(
    "jobstream_connector_refused_records",
    ("connector",),
    Service.CONNECT,
    "Records that a sink could not take, as far as they are kept.",
)


def _all() -> Iterator[Metric]:
    yield from (each for each in list(globals().values()) if isinstance(each, Metric))


CATALOGUE: Final = {metric.name: metric for metric in _all()}
"""All of them, by name."""
