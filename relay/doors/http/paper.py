"""The OpenAPI document: what each route says of itself, the shape of bodies, an example of each. Data only.

The routes read bodies themselves, so what stands here is held against what they do by a fuzz test.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from relay.doors.http import metrics, problem
from relay.doors.http.receipts import STATUSES
from relay.doors.http.shapes import JOBS_MAX
from schemas import defaults
from schemas.names import NAME, QUEUE
from schemas.unique import FIELDS_MAX, Then, While
from schemas.words import PHASES_TERMINAL, PRIORITIES, Backoff, FactKind, Overlap, Phase

try:
    VERSION = version("jobstream")
except PackageNotFoundError:  # run from a checkout that is not installed
    VERSION = "0"

ABOUT = (
    "Asks for background jobs, tells how they are, changes them. Every refusal is a problem document "
    "(RFC 9457) whose `detail` is one sentence with the value found. Names may be written in camelCase."
)
TAGS = [
    {"name": "jobs", "description": "Ask for jobs, look at them, change them"},
    {"name": "dead letters", "description": "Jobs that were given up"},
    {"name": "schedules", "description": "Jobs that recur"},
    {"name": "minions", "description": "What functions behind a URL tell of their attempts"},
    {"name": "calls", "description": "Functions run now, their answers waited for"},
    {"name": "operation", "description": "Queues, facts, health"},
]

LIST_QUERY = ("queue", "phase", "limit", "after", "function", "key", "tag", "since", "until")

EXAMPLE_ID = "01JGFJJZ3VMQRPET8N9GZX9B03"
_NAME = {"type": "string", "pattern": f"^{NAME}$"}
_TIME = {"type": ["string", "integer"], "description": "ISO 8601, as people write it, or epoch milliseconds"}
_DURATION = {"type": ["number", "string"], "description": "Seconds, or a text like `1h 30m`"}
_MS = {"type": "integer", "description": "Milliseconds"}

RETRY_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "kind": {"enum": [str(kind) for kind in Backoff]},
        "attempts_max": {"type": "integer", "minimum": 1, "maximum": defaults.ATTEMPTS_MAX_MAX},
        "lost_max": {"type": "integer", "minimum": 1, "maximum": defaults.LOST_MAX_MAX},
        "initial_ms": _MS,
        "cap_ms": _MS,
        "factor": {"type": "number"},
        "jitter": {"type": "number", "minimum": 0, "maximum": 1},
        "non_retryable": {"type": "array", "items": {"type": "string"}},
    },
}
UNIQUE_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "description": "No other job of this function, queue, key and arguments",
    "properties": {
        "while": {"enum": [str(each) for each in While]},
        "window": {"type": ["number", "string"], "description": "Seconds, or a text like `1h 30m`"},
        "fields": {"type": "array", "items": {"type": "string"}, "maxItems": FIELDS_MAX},
        "then": {"enum": [str(each) for each in Then]},
    },
}
JOB_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["function"],
    "properties": {
        "function": _NAME | {"description": "What a minion runs; `worker` is the same"},
        "args": {"description": "Any JSON: an object for keyword arguments, an array for positional ones"},
        "queue": {"type": "string", "pattern": f"^{QUEUE}$", "default": defaults.QUEUE},
        "key": _NAME | {"description": "Jobs of a key belong together"},
        "id": _NAME | {"description": "Makes asking again harmless; made if left out"},
        "run_at": _TIME,
        "delay": _DURATION,
        "expires_at": _TIME | {"description": "Not started after this time; `start_before` is the same"},
        "expires_after": _DURATION | {"description": "Not started so long after it could have been"},
        "retention": _DURATION | {"description": "How long it is known after its end"},
        "result_retention": _DURATION | {"description": "How long its result is kept; 0: not at all"},
        "timezone": {"type": "string", "description": "IANA name, for times without a zone and for cron"},
        "timeout": _DURATION,
        "deadline": _DURATION,
        "heartbeat_timeout": _DURATION,
        "expected": _DURATION,
        "retry": {"anyOf": [RETRY_SCHEMA, {"type": "integer", "minimum": 1}, {"const": False}]},
        "priority": {"enum": [*PRIORITIES, *range(1, 6)]},
        "unique": {"anyOf": [UNIQUE_SCHEMA, {"type": "boolean"}]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": defaults.TAGS_MAX},
        "parent": _NAME,
        "trace": {"type": "string"},
        "cron": {"type": "string", "description": "Makes a schedule instead of a job"},
        "wait": {"type": ["number", "boolean"], "description": "Seconds to wait for the end"},
    },
}
SCHEDULE_SCHEMA = {
    "type": "object",
    "required": ["function"],
    "anyOf": [{"required": ["cron"]}, {"required": ["crons"]}],
    "properties": {
        "cron": {"type": "string"},
        "crons": {"type": "array", "items": {"type": "string"}},
        "timezone": {"type": "string"},
        "function": _NAME,
        "queue": {"type": "string", "pattern": f"^{QUEUE}$"},
        "key": _NAME,
        "args": {},
        "timeout": _DURATION,
        "attempts_max": {"type": "integer"},
        **{
            name: JOB_SCHEMA["properties"][name]
            for name in (
                *("deadline", "heartbeat_timeout", "expected", "expires_after", "retry", "priority", "tags"),
                *("retention", "result_retention"),
            )
        },
        "catchup_window": _DURATION,
        "paused": {"type": "boolean"},
        "note": {"type": "string"},
    },
}
RECEIPT_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["status"],
    "properties": {
        "status": {"enum": list(STATUSES)},
        "result": {},
        "error": {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {name: {"type": "string"} for name in ("type", "message", "trace")},
                },
            ]
        },
        "retry_after": _DURATION,
        "non_retryable": {"type": "boolean"},
        "snooze": _DURATION,
        "token": {"type": "string"},
    },
}
BEAT_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "token": {"type": "string"},
        "step": {"type": "string"},
        "done": {"type": "integer", "minimum": 0},
        "total": {"type": "integer", "minimum": 0},
        "checkpoint": {},
    },
}
_REASON = {"reason": {"type": "string", "maxLength": defaults.REASON_CHARS_MAX}}
REASON_SCHEMA = {"type": "object", "additionalProperties": False, "properties": _REASON}
_OVERLAP = {"enum": [str(overlap) for overlap in Overlap]}
TRIGGER_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {**_REASON, "overlap": _OVERLAP},
}
BACKFILL_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["since", "until"],
    "properties": {**_REASON, "overlap": _OVERLAP, "since": _TIME, "until": _TIME},
}
PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "One word for machines"},
        "detail": {"type": "string", "description": "One sentence with the value found"},
    },
}

_ANY_JSON = {"application/json": {"schema": {"type": "object"}}}
_PROBLEM = {problem.MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_NOES = {
    400: "What is asked cannot be; `detail` says why",
    401: "A token must be given",
    403: "The token is not for that",
    404: "There is no such thing",
    408: "The body came too slowly",
    409: "It cannot be now, or the id is another job's",
    413: "Too large",
    415: "The body must be JSON",
    421: "Another machine's name in Host",
    503: "Not at the moment; Retry-After says when",
}


def _route(
    tag: str,
    summary: str,
    done: dict[int, str],
    noes: tuple[int, ...] = (),
    *,
    body: dict[str, Any] | None = None,
    examples: dict[str, Any] | None = None,
    query: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """What FastAPI takes of a route beside its address."""
    yes = {status: {"description": words, "content": _ANY_JSON} for status, words in done.items()}
    no = {
        status: {"description": _NOES[status], "content": _PROBLEM} for status in (400, 401, 403, 421, *noes)
    }
    extra: dict[str, Any] = {}
    if body is not None:
        shown = {name: {"value": value} for name, value in (examples or {}).items()}
        content = {"application/json": {"schema": body, "examples": shown}}
        extra["requestBody"] = {"required": body.get("required") is not None, "content": content}
        no |= {status: {"description": _NOES[status], "content": _PROBLEM} for status in (408, 413, 415)}
    if query:
        extra["parameters"] = [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in query.items()
        ]
    first = next(iter(done))
    return {
        "tags": [tag],
        "summary": summary,
        "status_code": first,
        "responses": {**yes, **no},
        "openapi_extra": extra,
        "response_model": None,
    }


SUBMIT = _route(
    "jobs",
    "Ask for a job, or make a schedule",
    {201: "Kafka has it", 200: "The equal job that exists", 202: "Kafka has it; it is not decided yet"},
    (409, 503),
    body=JOB_SCHEMA,
    examples={
        "smallest": {"function": "mail.send", "args": {"to": "a@b.c"}},
        "later": {"worker": "mail.send", "args": {"to": "a@b.c"}, "runAt": "2026-01-01 10:00:00 AM"},
        "recurring": {"worker": "mail.send", "args": {}, "cron": "0 9 * * 1-5", "timezone": "Europe/Berlin"},
        "wait": {"function": "mail.send", "args": {"to": "a@b.c"}, "wait": 30},
    },
)
SUBMIT_MANY = _route(
    "jobs",
    "Ask for many jobs, all or none of them",
    {201: "Kafka has all of them", 207: "Some whose ids were given were refused; each says so"},
    (409, 503),
    body={
        "type": "object",
        "required": ["jobs"],
        "additionalProperties": False,
        "properties": {"jobs": {"type": "array", "minItems": 1, "maxItems": JOBS_MAX, "items": JOB_SCHEMA}},
    },
    examples={"two": {"jobs": [{"function": "mail.send", "args": {"to": "a"}}, {"function": "mail.send"}]}},
)
_KEY = {"key": _NAME | {"description": "Finds it faster, and only with that key"}}
STATUS = _route(
    "jobs",
    "Where a job is: its phase, what it waits for, each attempt",
    {200: "The job"},
    (404, 503),
    query={**_KEY, "wait": {"type": "number", "minimum": 0, "maximum": 60}},
)
CANCEL = _route(
    "jobs",
    "Cancel it",
    {200: "Cancelled, or asked to stop", 202: "Kafka has the command; it is not decided yet"},
    (404, 409, 503),
    body=REASON_SCHEMA,
    query=_KEY,
)
RETRY = {**CANCEL, "summary": "Run it now: a dead, cancelled or expired one, or one that waits"}
RESCHEDULE = _route(
    "jobs",
    "Run it at another time: one that waits, or that no minion has yet",
    {200: "It waits for that time", 202: "Kafka has the command; it is not decided yet"},
    (404, 409, 503),
    body={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **_REASON,
            "run_at": _TIME,
            "delay": _DURATION,
            "timezone": {"type": "string"},
        },
    },
    examples={"tomorrow": {"delay": "1d", "reason": "the mail server is down"}},
    query=_KEY,
)
LIST = _route(
    "jobs",
    "Jobs, the newest first",
    {200: "A page; `next` is the `after` of the next one"},
    (503,),
    query={
        "queue": {"type": "string", "pattern": f"^{QUEUE}$"},
        "phase": {"enum": [str(phase) for phase in Phase]},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
        "after": {"type": "string"},
        "function": _NAME,
        "key": _NAME,
        "tag": {"type": "string"},
        "since": {"type": "string", "description": "Asked for at this time or later"},
        "until": {"type": "string", "description": "Asked for before this time"},
    },
)
_CHOICE: dict[str, Any] = {
    "queue": {"type": "string", "pattern": f"^{QUEUE}$"},
    "function": _NAME,
    "key": _NAME,
    "since": _TIME,
    "until": _TIME,
}
CANCEL_MANY = _route(
    "jobs",
    "Cancel what fits a filter: 10,000 at most, those that wait first",
    {200: "What came of it, counted"},
    (503,),
    body={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **_CHOICE,
            **_REASON,
            "phase": {"enum": [str(phase) for phase in Phase if phase not in PHASES_TERMINAL]},
            "tag": {"type": "string"},
            "all": {"type": "boolean", "description": "All of them, where nothing else says which"},
            "dry_run": {"type": "boolean"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 10_000},
        },
    },
    examples={"a function": {"function": "mail.send", "phase": "scheduled", "reason": "the list was wrong"}},
)
HISTORY = _route(
    "jobs",
    "Everything that happened to a job in the last seven days, fact by fact",
    {200: "Facts in order; `complete` is false where there was too much to read"},
    (404, 503),
    query=_KEY,
)
_LETTER_CHOICE = {**_CHOICE, "error": {"type": "string", "description": "In its reason or an error"}}
LETTERS = _route(
    "dead letters",
    "Jobs that were given up, the newest first: of the last day, or of those 90 that `since` names",
    {200: "A page; `next` is the `after` of the next one"},
    (503,),
    query={
        **_LETTER_CHOICE,
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
        "after": {"type": "string"},
    },
)
LETTER = _route("dead letters", "The dead letter of one job", {200: "The letter"}, (404, 503))
_SETTLED = {200: "What came of it", 202: "Kafka has the command; it is not decided yet"}
REDRIVE = _route("dead letters", "Run a dead job again", _SETTLED, (404, 409, 503))
DISCARD = _route("dead letters", "Want no more of a dead letter", {200: "Discarded"}, (404, 503))
_WHICH = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **_LETTER_CHOICE,
        "ids": {"type": "array", "items": _NAME},
        "all": {"type": "boolean", "description": "All of them, where nothing else says which"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
    },
}
REDRIVE_MANY = _route(
    "dead letters",
    "Run many dead jobs again: those of these ids, or that fit",
    {200: "What came of each, the oldest first"},
    (503,),
    body=_WHICH,
    examples={
        "an error": {"function": "mail.send", "error": "SMTPServerDisconnected", "since": "2026-11-20"}
    },
)
DISCARD_MANY = {**REDRIVE_MANY, "summary": "Want no more of many dead letters"}
SCHEDULES = _route("schedules", "Every schedule with its next fire", {200: "By id"}, (503,))
SCHEDULE = _route("schedules", "One schedule", {200: "The schedule"}, (404, 503))
PUT_SCHEDULE = _route(
    "schedules",
    "Make a schedule, or replace it",
    {201: "The state machine has it", 202: "Kafka has it; it is not decided yet"},
    (404, 503),
    body=SCHEDULE_SCHEMA,
    examples={"hourly": {"cron": "0 * * * *", "function": "report", "timezone": "Europe/Berlin"}},
)
REMOVE_SCHEDULE = _route(
    "schedules",
    "Remove a schedule; the jobs that it fired go on",
    {200: "Removed", 202: "Kafka has it; it is not decided yet"},
    (404, 503),
)
_ASKED = {200: "What came of it", 202: "Kafka has the command; it is not decided yet"}
PAUSE_SCHEDULE = _route("schedules", "No more fires for now", _ASKED, (404, 409, 503), body=REASON_SCHEMA)
RESUME_SCHEDULE = _route("schedules", "Fires again, from now on", _ASKED, (404, 409, 503), body=REASON_SCHEMA)
TRIGGER = _route("schedules", "One more fire, now", _ASKED, (404, 409, 503), body=TRIGGER_SCHEMA)
ORPHAN = _route(
    "schedules",
    "The code that declared it does so no more: it goes on, and is shown as orphaned",
    _ASKED,
    (404, 409, 503),
    body=REASON_SCHEMA,
)
BACKFILL = _route(
    "schedules",
    "The fires of a range in the past: after `since`, and until `until` with it",
    _ASKED,
    (404, 409, 503),
    body=BACKFILL_SCHEMA,
    examples={"a day": {"since": "2026-11-01 00:00", "until": "2026-11-02 00:00"}},
)
RECEIPT = _route(
    "minions",
    "How an attempt ended",
    {200: "Kafka has it"},
    (404, 409, 503),
    body=RECEIPT_SCHEMA,
    examples={"success": {"status": "success", "result": 7}, "failure": {"status": "failure", "error": "no"}},
)
HEARTBEAT = _route(
    "minions",
    "An attempt is alive, and how far it is",
    {200: "Kafka has it"},
    (404, 409, 503),
    body=BEAT_SCHEMA,
    examples={"progress": {"step": "render", "done": 3, "total": 10}},
)
QUEUES = _route(
    "operation",
    "Queues: how many jobs are in each phase, and the lag of their dispatches",
    {200: "By name"},
    (503,),
)
DUTIES = _route(
    "operation",
    "What time asks: jobs that are due, what timed out, schedules that recur, what is to be purged",
    {200: "Of each duty: when it was last looked at, when last done, how much, and what is overdue"},
    (503,),
)
OVERVIEW = _route(
    "operation",
    "What goes on now, by queue and function; minions, relays, workers",
    {200: "As the dashboard shows it; what can't be told is null, and `away` says why"},
    (503,),
)
PAUSE = _route(
    "operation",
    "Pause a queue: its jobs are taken and wait, those that run go on",
    {200: "Kafka has it"},
    (404, 503),
    body={
        "type": "object",
        "additionalProperties": False,
        "properties": {"note": {"type": "string", "maxLength": defaults.REASON_CHARS_MAX}},
    },
)
RESUME = {**PAUSE, "summary": "End a pause: the jobs that waited are given to minions"}
_SECONDS = {"type": "number", "minimum": 0}
_CALL_NOES = {
    **{status: _NOES[status] for status in (400, 401, 403, 404, 408, 413, 421)},
    409: "It was called off",
    500: "The function raised an error; `error_type` names it",
    502: "The minion was lost, or its answer can be none",
    503: "No minion took it in time",
    504: "It did not end in time",
}
CALL: dict[str, Any] = {
    "tags": ["calls"],
    "summary": "Run a function now, and wait for its answer",
    "description": "Served beside these routes, by the same tokens: no job is made, and nothing is kept.",
    "operationId": "call",
    "parameters": [
        {"name": "function", "in": "path", "required": True, "schema": _NAME},
        *(
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in {
                "within": _SECONDS | {"description": "Seconds until a minion must have taken it"},
                "limit": _SECONDS | {"description": "Seconds until it must have ended"},
                "unique": {"type": "string", "description": "Equal calls with it share one run"},
                "priority": {"enum": list(PRIORITIES)},
                "area": {"type": "string", "description": "Where it may run: a name, or `name:seconds`"},
                "again": {"enum": ["yes", "no"]},
            }.items()
        ),
    ],
    "requestBody": {
        "required": False,
        "content": {"application/json": {"schema": {}, "examples": {"sum": {"value": {"a": 1, "b": 2}}}}},
    },
    "responses": {
        "200": {"description": "What the function gave", "content": {"application/json": {"schema": {}}}},
        **{str(status): {"description": words, "content": _PROBLEM} for status, words in _CALL_NOES.items()},
    },
}
"""Of the door for calls, which knows no framework; what is relayed whole has the routes of its function."""
HEALTH = _route("operation", "Whether the process is alive", {200: "It is"})
READY = _route("operation", "Whether Kafka and the streams workers answer", {200: "They do"}, (503,))
METRICS = _route("operation", "Counters", {200: "Prometheus' text"})
METRICS["responses"][200] = {"description": "Prometheus' text", "content": {metrics.MEDIA: {}}}
FACTS = _route(
    "operation",
    "What happens to jobs, as it happens (server-sent events)",
    {200: "A stream of facts"},
    (503,),
    query={
        "job": _NAME,
        "key": _NAME,
        "queue": {"type": "string"},
        "function": _NAME,
        "fact": {"enum": [str(kind) for kind in FactKind]},
    },
)
FACTS["responses"][200] = {"description": "A stream of facts", "content": {"text/event-stream": {}}}


def complete(app: FastAPI) -> None:
    """Gives the document what its routes point to."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            for route in (each for on in made["paths"].values() for each in on.values()):
                route["responses"].pop("422", None)  # the framework's word for what it checks: nothing here
            made["paths"]["/call/{function}"] = {"post": CALL}
            made.setdefault("components", {})["schemas"] = {"Problem": PROBLEM_SCHEMA}
            made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            made["security"] = [{}, {"token": []}]
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way FastAPI documents
