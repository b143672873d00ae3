"""Structured lines: JSON, one object a line, with the field names of the Elastic Common Schema (ECS 8.11), so
that an ELK stack takes them as they are. Three kinds: access (one for each call of a door), audit (one for
each thing that a person changed) and facts (one for each fact).

Owns the names of the fields and the threads that write. Must never make its caller wait: a line is put aside
and written by a thread; above LINES_MAX that wait, access and fact lines are dropped and counted, audit lines
never.

    logs.begin(settings, "gateway")                      # once, where the process starts
    logs.access("GET /jobs", logs.SUCCESS, took_ns, {logs.QUEUE: "mail", "http.response.status_code": 200})
    logs.audit("cancel", logs.SUCCESS, {logs.USER: "ops", logs.JOB: id})
"""

import atexit
import json
import logging
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from schemas.events import Fact
from schemas.settings import Settings
from schemas.telemetry import spans

log = logging.getLogger("jobstream.telemetry")
audit_log = logging.getLogger("jobstream.audit")

ECS_VERSION: Final = "8.11.0"

LINES_MAX: Final = 20_000
"""Lines that may wait to be written, for each place they are written to."""

VALUE_CHARS_MAX: Final = 2_000
"""Of one text in a line; what is longer is cut."""

WRITE_EVERY_S: Final = 0.2
"""How long a line may wait for others."""

STDOUT: Final = "-"
"""As the name of a file: standard output."""

# How a call ended: `event.outcome`.
SUCCESS: Final = "success"
FAILURE: Final = "failure"
UNKNOWN: Final = "unknown"

# Fields that ECS has no name for; the same everywhere.
JOB: Final = "jobstream.job.id"
KEY: Final = "jobstream.key"
QUEUE: Final = "jobstream.queue"
FUNCTION: Final = "jobstream.function"
PARTITION: Final = "jobstream.partition"
EPOCH: Final = "jobstream.epoch"
ATTEMPT: Final = "jobstream.attempt"
PHASE: Final = "jobstream.phase"
MINION: Final = "jobstream.minion"
SESSION: Final = "jobstream.session"
RELAY: Final = "jobstream.relay"
DOOR: Final = "jobstream.door"
SCHEDULE: Final = "jobstream.schedule"
PARENT: Final = "jobstream.parent"
QUEUED_MS: Final = "jobstream.queued_ms"
START_MS: Final = "jobstream.start_ms"
RUN_MS: Final = "jobstream.run_ms"

# Fields of ECS that more than one room writes.
USER: Final = "user.name"
CLIENT: Final = "client.address"
TRACE: Final = "trace.id"
REASON: Final = "event.reason"
ERROR_TYPE: Final = "error.type"
ERROR_MESSAGE: Final = "error.message"

# What is told, by the name of its dataset.
ACCESS: Final = "jobstream.access"
AUDIT: Final = "jobstream.audit"
FACTS: Final = "jobstream.facts"

_CATEGORY: Final = {
    ACCESS: {"event.category": ["api"], "event.type": ["access"]},
    AUDIT: {"event.category": ["configuration"], "event.type": ["change"]},
    FACTS: {"event.category": ["process"], "event.type": ["info"]},
}

_FACT_FIELDS: Final = {
    "job": JOB,
    "key": KEY,
    "partition": PARTITION,
    "phase": PHASE,
    "function": FUNCTION,
    "queue": QUEUE,
    "attempt": ATTEMPT,
    "epoch": EPOCH,
    "minion": MINION,
    "session": SESSION,
    "relay": RELAY,
    "queued_ms": QUEUED_MS,
    "start_ms": START_MS,
    "run_ms": RUN_MS,
    "scheduled_by": SCHEDULE,
    "parent": PARENT,
    "error_type": ERROR_TYPE,
    "error_message": ERROR_MESSAGE,
    "reason": REASON,
}

_FAILURES: Final = frozenset({"failed", "lost", "died", "expired", "rejected", "schedule_missed"})

Line = tuple[str, int, str, str, int | None, Mapping[str, object]]
"""Dataset, epoch ns, action, outcome, how long it took in ns, further fields."""


def timestamp(at_ns: int) -> str:
    """A time as ECS wants it: RFC 3339, UTC, with milliseconds."""
    moment = datetime.fromtimestamp(at_ns / 1e9, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ns // 1_000_000 % 1000:03d}Z"


def as_json(line: Line, about: Mapping[str, object]) -> str:
    """A line as it is written, with its newline; `about` names the process."""
    dataset, at_ns, action, outcome, took_ns, fields = line
    told: dict[str, object] = {
        "@timestamp": timestamp(at_ns),
        "ecs.version": ECS_VERSION,
        "log.level": "info",
        "message": f"{action} {outcome}",
        **about,
        "event.kind": "event",
        "event.dataset": dataset,
        **_CATEGORY[dataset],
        "event.action": action,
        "event.outcome": outcome,
    }
    if took_ns is not None:
        told["event.duration"] = took_ns
    for name, value in fields.items():
        if value is not None:
            told[name] = value[:VALUE_CHARS_MAX] if isinstance(value, str) else value
    return _dumped(told)


def _dumped(told: Mapping[str, object]) -> str:
    """One line, in ASCII, so that no value can break a line or an encoding."""
    return json.dumps(told, separators=(",", ":"), default=str) + "\n"


class Lines:
    """One place that lines are written to, and the thread that does it.

    A file is opened again when it was renamed or removed, as logrotate does. A place that cannot be written
    costs its lines, and is told of once.
    """

    def __init__(self, path: str, about: Mapping[str, object], lines_max: int = LINES_MAX) -> None:
        """`path`: a file that is added to, or STDOUT."""
        self.dropped = 0
        """Lines that were dropped since it began."""
        self._path = path
        self._about = dict(about)
        self._lines_max = lines_max
        self._waiting: deque[Line] = deque()
        self._stopping = threading.Event()
        self._told = False
        self._thread = threading.Thread(target=self._run, name="jobstream-lines", daemon=True)
        self._thread.start()

    def add(self, line: Line, *, must: bool = False) -> None:
        """Puts a line aside. From any thread; never waits. `must`: not to be dropped."""
        if len(self._waiting) < self._lines_max or must:
            self._waiting.append(line)
        else:
            self.dropped += 1

    def stop(self, within_s: float = 2.0) -> None:
        """Writes what waits, for so long at most, and ends the thread."""
        self._stopping.set()
        self._thread.join(within_s)

    def _run(self) -> None:
        while not self._stopping.wait(WRITE_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not lines:
            return
        text = "".join(self._text(line) for line in lines)
        try:
            if self._path == STDOUT:
                sys.stdout.write(text)
                sys.stdout.flush()
            else:
                self._append(text.encode())
        except (OSError, ValueError) as error:  # ValueError: standard output was closed
            self.dropped += len(lines)
            if not self._told:
                self._told = True
                log.warning("lines cannot be written path=%s reason=%s", self._path, error)

    def _text(self, line: Line) -> str:
        """A line as it is written; what cannot be written costs itself alone."""
        try:
            return as_json(line, self._about)
        except Exception as error:  # noqa: BLE001  # whatever someone's value does must not end this thread
            self.dropped += 1
            log.warning("a line cannot be written action=%s reason=%r", line[2], error)
            return ""

    def _append(self, text: bytes) -> None:
        """Opened for each batch: so that a file that was renamed is left alone."""
        place = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            os.write(place, text)
        finally:
            os.close(place)


class EcsFormatter(logging.Formatter):
    """What is logged in the ordinary way, as such a line."""

    def __init__(self, about: Mapping[str, object]) -> None:
        super().__init__()
        self._about = dict(about)

    def format(self, record: logging.LogRecord) -> str:
        """One line, without its newline."""
        told: dict[str, object] = {
            "@timestamp": timestamp(int(record.created * 1e9)),
            "ecs.version": ECS_VERSION,
            "log.level": record.levelname.lower(),
            "message": record.getMessage(),
            **self._about,
            "log.logger": record.name,
            "process.thread.name": record.threadName,
        }
        if record.exc_info and record.exc_info[0] is not None:
            told[ERROR_TYPE] = record.exc_info[0].__name__
            told[ERROR_MESSAGE] = str(record.exc_info[1])
            told["error.stack_trace"] = self.formatException(record.exc_info)
        return _dumped(told).rstrip("\n")


class _State:
    """Where this process writes what; None: nowhere."""

    access: Lines | None = None
    facts: Lines | None = None


def begin(settings: Settings, service: str) -> None:
    """From now on this process writes what the settings say. Call it after `logging.basicConfig`.

    Args:
        settings: `log`, `access_log` and `facts_log` count.
        service: What the process is: streams, relay, gateway, minion, ...
    """
    end()
    about = about_process(service)
    if settings.log == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(EcsFormatter(about))
    places = {path: Lines(path, about) for path in {settings.access_log, settings.facts_log} if path}
    _State.access = places.get(settings.access_log)
    _State.facts = places.get(settings.facts_log)
    atexit.unregister(end)
    atexit.register(end)


def end() -> None:
    """Writes what waits, and writes no more."""
    places = {_State.access, _State.facts} - {None}
    _State.access = _State.facts = None
    for place in places:
        assert place is not None
        place.stop()


def about_process(service: str) -> dict[str, object]:
    """The fields that name a process."""
    return {
        "service.name": f"jobstream-{service}",
        "service.type": "jobstream",
        "host.hostname": socket.gethostname(),
        "process.pid": os.getpid(),
    }


def dropped() -> int:
    """Lines that this process could not write so far."""
    return sum(place.dropped for place in {_State.access, _State.facts} if place is not None)


def has_access_log() -> bool:
    """Whether `access` writes anything: a door with thousands of calls a second asks before."""
    return _State.access is not None


def access(action: str, outcome: str, took_ns: int | None, fields: Mapping[str, object]) -> None:
    """One line for a call of a door; nothing if `access_log` is not set.

    Args:
        action: What was called, from a bounded set of words: a route, a verb.
        outcome: SUCCESS, FAILURE or UNKNOWN.
        took_ns: From the call to its answer; None if it is not known.
        fields: By the names of this module or of ECS; None is left out.
    """
    if _State.access is not None:
        _State.access.add((ACCESS, time.time_ns(), action, outcome, took_ns, fields))


def audit(action: str, outcome: str, fields: Mapping[str, object]) -> None:
    """One line for what somebody changed: where `access_log` says, else in the ordinary log. Never
    dropped for want of room.
    """
    line: Line = (AUDIT, time.time_ns(), action, outcome, None, fields)
    if _State.access is not None:
        _State.access.add(line, must=True)
    else:
        audit_log.info("%s", as_json(line, {}).rstrip("\n"))


def fact(told: Fact) -> None:
    """One line for a fact; nothing if `facts_log` is not set.

    It is written when the fact is decided, so after a crash the same one may be there twice.
    """
    if _State.facts is None:
        return
    fields: dict[str, Any] = {ecs: getattr(told, name) for name, ecs in _FACT_FIELDS.items()}
    outcome = FAILURE if told.fact in _FAILURES else SUCCESS
    _State.facts.add((FACTS, told.at_ms * 1_000_000, told.fact, outcome, None, fields))


def trace_id(traceparent: str | None) -> str | None:
    """The trace id of a W3C traceparent; None if it has none."""
    found = spans.parse(traceparent)
    return None if found is None else f"{found[0].trace:032x}"
