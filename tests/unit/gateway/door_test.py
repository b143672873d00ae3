"""The HTTP service on the real state machine, without Kafka: every route, every no."""

import asyncio
import hashlib
import json
from typing import Any

import pytest

from relay.core.tokens import read_tokens
from relay.doors.http.attempt import Attempt, sign
from schemas.codec import decode
from schemas.events import JobRequest, Receipt
from schemas.names import new_id
from schemas.times import parse_time
from schemas.words import Outcome
from tests.fakes.gateway import SECRET, Gateway

NOW_MS = parse_time("2027-01-15T08:00:00Z")
HOUR_MS = 3_600_000


@pytest.fixture
def gateway() -> Gateway:
    """A service without tokens."""
    return Gateway(now_ms=NOW_MS, trusting=frozenset({"trusted"}))


async def test_the_smallest_request_is_a_job(gateway: Gateway) -> None:
    """201 with the id and where it is, once it is written; the record is what was asked."""
    status, job = await gateway.ask("POST", "/job", {"function": "f", "args": {"to": "a"}})
    assert (status, job["outcome"], job["queue"]) == (201, "accepted", "default")
    assert gateway.machine.job(job["id"]) is not None
    request = decode(gateway.desk.written[0].value or b"", (JobRequest,))
    assert (request.function, request.args, request.key) == ("f", b'{"to":"a"}', job["id"])


# What the first users wrote, byte for byte.
SHAPES = [
    b'{"worker": "worker-name", "args": {"to": "a@b.c"}}',
    b'{"worker": "worker-name", "args": {"to": "a@b.c"}, "runAt": "2020-01-01 10:00:00 AM"}',
    b'{"worker": "worker-name", "args": {"to": "a@b.c"}, "cron": "0 * * * *"}',
]


@pytest.mark.parametrize("body", SHAPES)
async def test_the_first_shapes_of_a_request(gateway: Gateway, body: bytes) -> None:
    """A worker and its arguments, at once, at a time that has passed, and by cron: 201 with an id."""
    answer = await gateway.http.post("/job", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["function"] == "worker-name"
    if b"cron" in body:
        assert made["next_at"] == "2027-01-15T09:00:00.000Z"
        assert answer.headers["location"] == f"/schedules/{made['id']}"
    else:
        assert (await gateway.ask("GET", f"/job/{made['id']}"))[1]["phase"] == "ready"


RECEIPTS = [
    (b'{"status": "success"}', Outcome.SUCCESS),
    (b'{"status": "failure", "error": "the message"}', Outcome.FAILURE),
]


@pytest.mark.parametrize(("body", "outcome"), RECEIPTS)
async def test_the_first_shapes_of_a_receipt(gateway: Gateway, body: bytes, outcome: Outcome) -> None:
    """Success, and a failure with its message, for the attempt that the token names."""
    id = (await gateway.ask("POST", "/job", {"function": "f", "id": "j"}))[1]["id"]
    token = sign(attempt(id, epoch=1), SECRET)
    answer = await gateway.http.post(
        f"/job/{id}/receipt", content=body, headers={"Content-Type": "application/json", "X-Job-Token": token}
    )
    assert answer.status_code == 200, answer.text
    receipt = decode(gateway.desk.written[-1].value or b"", (Receipt,))
    assert (receipt.outcome, receipt.epoch, receipt.job) == (outcome, 1, id)
    row = gateway.machine.job(id)
    assert row is not None
    assert row.phase == ("succeeded" if outcome == Outcome.SUCCESS else "retrying")


def attempt(id: str, epoch: int) -> Attempt:
    """An attempt of a job without a key."""
    return Attempt(id, id, 0, "default", "f", 1, epoch, NOW_MS, 60_000, "push")


async def test_an_equal_duplicate_is_the_job_that_exists(gateway: Gateway) -> None:
    """200 with that job; another content is 409 and changes nothing."""
    first = await gateway.ask("POST", "/job", {"function": "f", "id": "one", "args": [1]})
    again = await gateway.ask("POST", "/job", {"function": "f", "id": "one", "args": [1]})
    other = await gateway.ask("POST", "/job", {"function": "f", "id": "one", "args": [2]})
    assert (first[0], again[0], other[0]) == (201, 200, 409)
    assert (again[1]["outcome"], again[1]["phase"]) == ("duplicate", "ready")
    assert (other[1]["code"], other[1]["id"]) == ("id_conflict", "one")
    assert "exists with other content" in other[1]["detail"]


async def test_what_is_not_decided_in_time_is_said_to_be_written(gateway: Gateway) -> None:
    """202: Kafka has it, and nobody knows yet whether the id is new."""
    gateway.desk.silent = True
    assert (await gateway.ask("POST", "/job", {"function": "f", "id": "x"}))[0] == 202
    assert (await gateway.ask("PUT", "/schedules/s", {"function": "f", "cron": "@daily"}))[0] == 202


@pytest.mark.parametrize("waits", [True, False])
async def test_what_kafka_has_just_accepted_is_not_unknown(gateway: Gateway, *, waits: bool) -> None:
    """Who waits for a job, or asks by an id of this moment, is answered once the state machine has it."""
    id, query = ("late", "?wait=0.01") if waits else (new_id(), "")
    gateway.desk.silent = True
    await gateway.ask("POST", "/job", {"function": "f", "id": id})
    asking = asyncio.create_task(gateway.ask("GET", f"/job/{id}{query}"))
    await gateway.pages.asked.wait()
    (ask,) = gateway.desk.written
    gateway.machine.write(ask.topic, ask.value, ask.record_key.encode())
    status, job = await asking
    assert (status, job.get("id")) == (200, id), job


async def test_kafka_away_is_503_with_retry_after(gateway: Gateway) -> None:
    """Never accepted, never an error of the service."""
    gateway.desk.away = True
    answer = await gateway.http.post("/job", json={"function": "f"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["detail"] == "Kafka does not answer at nowhere"
    assert (await gateway.ask("GET", "/readyz"))[0] == 503
    assert (await gateway.ask("GET", "/healthz"))[0] == 200


async def test_options_as_people_write_them(gateway: Gateway) -> None:
    """camelCase, seconds, texts with units, a number for retry; what is in ms stays in ms."""
    body = {
        "function": "f",
        "id": "o",
        "runAt": "in 1 hour",
        "timeout": 30,
        "deadline": "2h",
        "heartbeatTimeout": "10s",
        "retry": {"attempts": 7, "initial": "5s", "capMs": 60_000},
        "tags": ["vip"],
    }
    status, answer = await gateway.ask("POST", "/job", body)
    assert status == 201, answer
    request = decode(gateway.desk.written[-1].value or b"", (JobRequest,))
    assert (request.timeout_ms, request.deadline_ms, request.heartbeat_timeout_ms) == (
        30_000,
        7_200_000,
        10_000,
    )
    assert (request.attempts_max, request.retry_initial_ms, request.retry_cap_ms) == (7, 5_000, 60_000)
    assert request.tags == ("vip",)
    for retry, attempts in ((3, 3), (False, 1)):
        await gateway.ask("POST", "/job", {"function": "f", "retry": retry})
        assert decode(gateway.desk.written[-1].value or b"", (JobRequest,)).attempts_max == attempts


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({}, 400, "exactly one of function and command, got neither"),
        ({"function": "f", "worker": "g"}, 400, "function must be given once, got it also as 'worker'"),
        ({"function": "f", "argz": 1}, 400, "a request has no field 'argz'; did you mean args?"),
        ({"function": "f", "command": "cancel"}, 400, "a job has no field 'command'"),
        ({"function": "no such!"}, 400, "function must match"),
        ({"function": "f", "queue": "UPPER"}, 400, "queue must match"),
        ({"function": "f", "id": "no id!"}, 400, "id must match"),
        ({"function": "f", "runAt": "tomorrow-ish"}, 400, "run_at must be a time like"),
        ({"function": "f", "runAt": "2030-01-01"}, 400, "run_at_ms must be at most 400 days ahead"),
        ({"function": "f", "runAt": "now", "delay": 5}, 400, "run_at or delay must be given, got both"),
        ({"function": "f", "timezone": "Mars/Base"}, 400, "timezone must be a time zone like Europe/Berlin"),
        ({"function": "f", "timeout": True}, 400, "timeout must be seconds, or a duration"),
        ({"function": "f", "timeout": 1, "timeoutMs": 5}, 400, "timeout and timeout_ms are the same"),
        ({"function": "f", "timeout": "30d"}, 400, "timeout_ms must be from 1 to 604800000, got 2592000000"),
        ({"function": "f", "retry": {"kind": "magic"}}, 400, "retry_kind must be one of"),
        ({"function": "f", "retry": {"x": 1}}, 400, "a retry has no field 'x'"),
        ({"function": "f", "wait": 61}, 400, "wait must be at most 60 seconds, got 61"),
        ({"function": "f", "wait": "soon"}, 400, "wait must be seconds"),
        ({"function": "f", "cron": "* * *"}, 400, "cron must be five or six fields"),
        (
            {"function": "f", "cron": "@daily", "retry": {"factor": 0.5}},
            400,
            "retry_factor must be from 1.0 to 100.0, got 0.5",
        ),
        ({"function": "f", "cron": "@daily", "retry": 0.5}, 400, "retry must be an object, got 0.5"),
        ({"function": "f", "cron": "@daily", "wait": 5}, 400, "a schedule has no end to wait for"),
        ({"function": "f", "args": "x" * 300_000}, 413, "args must be at most 262144 bytes, got 300002"),
        ({"function": "f", "priority": 6}, 400, "priority must be from 1, the most urgent, to 5"),
        ({"function": "f", "unique": {"whilst": "both"}}, 400, "unique has no field 'whilst'"),
        (
            {"function": "f", "unique": {"fields": ["to"]}},
            400,
            "unique.fields must be names of a JSON object",
        ),
    ],
)
async def test_a_bad_request_is_told_in_one_sentence(
    gateway: Gateway, body: dict[str, Any], status: int, sentence: str
) -> None:
    """A problem document with the value found; nothing is a job."""
    answer = await gateway.http.post("/job", json=body)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert sentence in problem["detail"]
    assert "\n" not in problem["detail"]
    assert not gateway.machine.jobs()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the body must be a JSON object, got nothing"),
        (b"[]", "the body must be a JSON object, got '[]'"),
        (b"\xff\xfe", "the body must be a JSON object"),
        (b'{"function": "f"', "must go on as it"),
        (b'{"function": "\xff"}', "JSON must be UTF-8"),
        (b'{"function": "f", "args": NaN}', "NaN is no number in JSON"),
        (b'{"function": "f", "args": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested deeper"),
        (b'{"function": "f", "args": "\\ud800"}', "half of a pair"),
        (b'{"function": "f", "args": 1e999}', "finite"),
    ],
)
async def test_what_is_no_json_is_told(gateway: Gateway, content: bytes, sentence: str) -> None:
    """400 with a sentence, whatever the bytes."""
    answer = await gateway.http.post("/job", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert sentence in answer.json()["detail"]


async def test_many_jobs_in_one_call(gateway: Gateway) -> None:
    """All or none: the first that cannot be is named by its place; an array alone will do."""
    made = await gateway.ask("POST", "/jobs", {"jobs": [{"function": "f"}, {"worker": "g", "key": "k"}]})
    assert (made[0], [job["outcome"] for job in made[1]["jobs"]]) == (201, ["accepted", "accepted"])
    assert (await gateway.ask("POST", "/jobs", [{"function": "f"}]))[0] == 201
    bad = await gateway.ask("POST", "/jobs", [{"function": "f"}, {"function": "f", "x": 1}])
    assert (bad[0], bad[1]["detail"]) == (400, "jobs[1]: a request has no field 'x'")
    assert len(gateway.machine.jobs()) == 3
    bodies: list[Any] = [{"jobs": []}, {"jobs": 5}, {"jobs": [1]}, {"x": 1}, [{"function": "f"}] * 1_001]
    for body in bodies:
        assert (await gateway.ask("POST", "/jobs", body))[0] == 400


async def test_of_many_jobs_each_with_an_id_has_its_answer(gateway: Gateway) -> None:
    """Accepted, a duplicate, refused: 207, and the others are there all the same."""
    await gateway.ask("POST", "/job", {"function": "f", "id": "a"})
    jobs = [{"function": "f", "id": "a"}, {"function": "g", "id": "a"}, {"function": "f", "id": "b"}]
    status, answer = await gateway.ask("POST", "/jobs", jobs)
    assert (status, [job["outcome"] for job in answer["jobs"]]) == (207, ["duplicate", "refused", "accepted"])


async def test_a_wait_that_is_over_tells_how_the_job_is(gateway: Gateway) -> None:
    """With the submit or with a look: the job as it is then."""
    status, job = await gateway.ask("POST", "/job", {"function": "f", "wait": 0.01})
    assert (status, job["phase"]) == (201, "ready")
    assert (await gateway.ask("GET", f"/job/{job['id']}?wait=0.01"))[1]["phase"] == "ready"
    token = sign(attempt(job["id"], 1), SECRET)
    await gateway.ask("POST", f"/job/{job['id']}/receipt", {"status": "success", "result": 7, "token": token})
    assert (await gateway.ask("GET", f"/job/{job['id']}?wait=30"))[1]["result"] == 7


async def test_commands(gateway: Gateway) -> None:
    """Cancelled once; again is 409 with the reason; retried; an unknown job is 404; a body is a reason."""
    await gateway.ask("POST", "/job", {"function": "f", "id": "c", "delay": "1h"})
    done = await gateway.ask("POST", "/job/c/cancel", {"reason": "too late"})
    assert (done[0], done[1]["outcome"], done[1]["phase"]) == (200, "cancelled", "cancelled")
    assert (await gateway.ask("GET", "/job/c"))[1]["end_reason"] == "too late"
    again = await gateway.ask("DELETE", "/job/c")
    assert (again[0], again[1]["code"]) == (409, "not_now")
    assert (await gateway.ask("POST", "/job/c/retry"))[1]["outcome"] == "retried"
    assert (await gateway.ask("POST", "/job/nobody/cancel"))[0] == 404
    assert (await gateway.ask("POST", "/job/c/cancel", {"why": 1}))[1]["code"] == "unknown_field"
    assert (await gateway.ask("POST", "/job/c/cancel", {"reason": 1}))[1]["code"] == "bad_field"


async def test_queues_are_paused(gateway: Gateway) -> None:
    """And resumed; a queue that can be none is told."""
    paused = await gateway.ask("POST", "/queues/mail/pause", {"note": "it moves"})
    assert paused == (200, {"queue": "mail", "paused": True, "version": 1})
    assert (await gateway.ask("POST", "/queues/mail/resume"))[1]["paused"] is False
    assert gateway.desk.pauses == [("mail", "it moves", True), ("mail", None, False)]
    assert (await gateway.ask("POST", "/queues/NONE/pause"))[1]["code"] == "bad_name"
    assert (await gateway.ask("POST", "/queues/mail/pause", {"why": 1}))[1]["code"] == "unknown_field"


async def test_ids_may_hold_slashes(gateway: Gateway) -> None:
    """Written as they are, or escaped."""
    assert (await gateway.ask("POST", "/job", {"function": "f", "id": "a/b@c:1"}))[0] == 201
    assert (await gateway.ask("GET", "/job/a/b@c:1"))[1]["id"] == "a/b@c:1"
    assert (await gateway.ask("GET", "/job/a%2Fb%40c%3A1"))[1]["id"] == "a/b@c:1"
    assert (await gateway.ask("POST", "/job/a/b@c:1/cancel"))[0] == 200


async def test_schedules_are_commanded(gateway: Gateway) -> None:
    """Paused, resumed, fired once more, and fired for a time that is past; each answer is what came of it."""
    rule = {"function": "f", "cron": "0 9 * * *", "overlap": "allow_all"}
    assert (await gateway.ask("PUT", "/schedules/daily", rule))[0] == 201
    paused = await gateway.ask("POST", "/schedules/daily/pause", {"reason": "the report moves"})
    assert (paused[0], paused[1]["outcome"], paused[1]["next_at"]) == (200, "schedule_paused", None)
    resumed = await gateway.ask("POST", "/schedules/daily/resume")
    assert (resumed[0], resumed[1]["outcome"]) == (200, "schedule_resumed")
    assert (await gateway.ask("POST", "/schedules/daily/resume"))[0] == 409
    fired = await gateway.ask("POST", "/schedules/daily/trigger", {"overlap": "allow_all"})
    assert (fired[0], fired[1]["outcome"]) == (200, "schedule_fired")
    span = {"since": "2027-01-10 00:00", "until": "2027-01-12 00:00", "overlap": "allow_all"}
    filled = await gateway.ask("POST", "/schedules/daily/backfill", span)
    assert (filled[0], filled[1]["outcome"]) == (200, "schedule_backfilling")


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("none/pause", {}, 404, "none"),
        ("daily/pause", {"why": "x"}, 400, "pause_schedule has no field 'why'"),
        ("daily/pause", {"reason": 5}, 400, "reason must be a text of"),
        ("daily/trigger", {"overlap": "sometimes"}, 400, "overlap"),
        (
            "daily/backfill",
            {"since": "2027-01-10"},
            400,
            "a backfill must have since and until, got no until",
        ),
        ("daily/backfill", {"since": "soon", "until": "now"}, 400, "since must be"),
        ("daily/backfill", {"since": "2027-01-12", "until": "2027-01-10"}, 400, "until"),
    ],
)
async def test_wrong_commands_of_schedules(
    gateway: Gateway, path: str, body: dict[str, Any], status: int, sentence: str
) -> None:
    """Each is refused with a sentence, and changes nothing."""
    assert (await gateway.ask("PUT", "/schedules/daily", {"function": "f", "cron": "0 9 * * *"}))[0] == 201
    answer = await gateway.ask("POST", f"/schedules/{path}", body)
    assert (answer[0], sentence in answer[1]["detail"]) == (status, True), answer[1]


async def test_schedules(gateway: Gateway) -> None:
    """Made, looked at, replaced, removed."""
    rule = {"function": "f", "cron": "0 9 * * *", "timezone": "Europe/Berlin", "catchupWindow": "1h"}
    made = await gateway.ask("PUT", "/schedules/daily", rule)
    assert (made[0], made[1]["next_at"]) == (201, "2027-01-16T08:00:00.000Z")
    assert (await gateway.ask("GET", "/schedules/daily"))[1]["timezone"] == "Europe/Berlin"
    assert [each["id"] for each in (await gateway.ask("GET", "/schedules"))[1]["schedules"]] == ["daily"]
    assert (await gateway.ask("PUT", "/schedules/daily", {**rule, "id": "other"}))[0] == 400
    for none in ({"function": "f"}, {"function": "f", "schedule": {}}):
        assert (await gateway.ask("PUT", "/schedules/daily", none))[0] == 400
    several = {"function": "f", "crons": ["0 9 * * *", "@every 90m"]}
    assert (await gateway.ask("PUT", "/schedules/several", several))[0] == 201
    assert (await gateway.ask("DELETE", "/schedules/daily"))[0] == 200
    assert (await gateway.ask("DELETE", "/schedules/daily"))[0] == 404
    assert (await gateway.ask("GET", "/schedules/daily"))[0] == 404


async def test_facts_as_events(gateway: Gateway) -> None:
    """Each with an id to go on from, filtered; a bad filter or id is told before the stream begins."""
    async with gateway.http.stream("GET", "/facts", headers={"Last-Event-ID": "0"}) as none:
        assert none.headers["content-type"].startswith("text/event-stream")
    for id in ("a", "b"):
        await gateway.ask("POST", "/job", {"function": "f", "id": id})
    events = (await gateway.http.get("/facts?job=b", headers={"Last-Event-ID": "0"})).text.split("\n\n")
    assert events[0] == "retry: 1000"
    lines = dict(line.split(": ", 1) for line in events[1].splitlines())
    assert (lines["event"], json.loads(lines["data"])["job"], lines["id"]) == ("admitted", "b", "2")
    assert (await gateway.ask("GET", "/facts?fact=sneezed"))[0] == 400
    assert (await gateway.ask("GET", "/facts", headers={"Last-Event-ID": "1.2"}))[0] == 400


async def test_a_receipt_needs_the_token_of_its_attempt(gateway: Gateway) -> None:
    """None, a forged one, another job's: no; a function that is trusted needs none."""
    await gateway.ask("POST", "/job", {"function": "f", "id": "r"})
    path = "/job/r/receipt"
    for token in (None, "x.y", sign(attempt("other", 1), SECRET), sign(attempt("r", 1), b"not the secret")):
        status, _ = await gateway.ask("POST", path, {"status": "success", "token": token})
        assert status == (401 if token is None else 403)
    await gateway.ask("POST", "/job", {"function": "trusted", "id": "t"})
    assert (await gateway.ask("POST", "/job/t/receipt", {"status": "success"}))[1]["code"] == "not_now"
    token = sign(attempt("t", 1), SECRET)
    beat = await gateway.ask(
        "POST", "/job/t/heartbeat", {"token": token, "step": "half", "done": 1, "total": 2}
    )
    assert beat[0] == 200
    assert (await gateway.ask("GET", "/job/t"))[1]["step"] == "half"
    assert (await gateway.ask("POST", "/job/t/receipt", {"status": "error", "error": "no"}))[0] == 200
    assert (await gateway.ask("GET", "/job/t"))[1]["phase"] == "retrying"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "status must be one of success"),
        ({"status": "maybe"}, "got 'maybe'"),
        ({"status": "success", "error": "x"}, "error is for a failure"),
        ({"status": "failure", "error": 5}, "error must be a text, or an object"),
        ({"status": "failure", "error": {"type": 5}}, "error.type must be a string"),
        ({"status": "failure", "nonRetryable": "yes"}, "non_retryable must be true or false"),
        ({"status": "failure", "retryAfter": "later"}, "retry_after must be seconds"),
        ({"status": "success", "reslt": 1}, "did you mean result?"),
        ({"status": "success", "result": "x" * 300_000}, "result must be at most 262144 bytes"),
        ({"status": "success", "token": 5}, "token must be a string"),
    ],
)
async def test_a_bad_receipt_is_told(gateway: Gateway, body: dict[str, Any], sentence: str) -> None:
    """One sentence; nothing is written."""
    status, problem = await gateway.ask("POST", "/job/j/receipt", body)
    assert 400 <= status < 500
    assert sentence in problem["detail"]
    assert not gateway.desk.written


TOKENS = {"ci": "submit-and-read", "ops": "operates", "boss": "may-everything", "mails": "mails-alone"}


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture
def guarded() -> Gateway:
    """A service with tokens."""
    text = f"""
[ci]
sha256 = "{_sha256(TOKENS["ci"])}"
scopes = ["submit", "read"]
queues = ["mail"]
[ops]
sha256 = "{_sha256(TOKENS["ops"])}"
scopes = ["operate", "read"]
[boss]
sha256 = "{_sha256(TOKENS["boss"])}"
scopes = ["admin"]
[mails]
sha256 = "{_sha256(TOKENS["mails"])}"
scopes = ["submit"]
functions = ["mail.*"]
"""
    return Gateway(now_ms=NOW_MS, tokens=read_tokens(text))


async def test_tokens_have_scopes_and_queues(guarded: Gateway) -> None:
    """Without one 401; outside its scopes, queues or functions 403; admin may do everything."""

    async def ask(who: str | None, method: str, path: str, body: Any = None) -> int:
        headers = {} if who is None else {"Authorization": f"Bearer {TOKENS.get(who, who)}"}
        return (await guarded.ask(method, path, body, headers=headers))[0]

    mail, other = {"function": "f", "queue": "mail", "id": "m"}, {"function": "f", "queue": "other"}
    asked: list[tuple[str | None, str, str, Any, int]] = [
        (None, "POST", "/job", mail, 401),
        ("nobody", "POST", "/job", mail, 401),
        ("ci", "POST", "/job", mail, 201),
        ("ci", "POST", "/job", other, 403),
        ("ci", "POST", "/jobs", [mail, other], 403),
        ("ops", "POST", "/job", mail, 403),
        ("mails", "POST", "/job", {"function": "mail.send"}, 201),
        ("mails", "POST", "/job", mail, 403),
        ("mails", "POST", "/jobs", [{"function": "mail.send"}, mail], 403),
        ("mails", "PUT", "/schedules/daily", {"function": "f", "cron": "@daily"}, 403),
        ("boss", "POST", "/job", {**other, "id": "o"}, 201),
        ("ci", "GET", "/job/m", None, 200),
        ("ci", "GET", "/job/o", None, 403),
        ("ci", "GET", "/jobs", None, 403),
        ("ci", "GET", "/jobs?queue=mail", None, 200),
        ("ci", "POST", "/job/m/cancel", None, 403),
        ("ops", "POST", "/job/m/cancel", None, 200),
        (None, "GET", "/queues", None, 401),
        (None, "POST", "/job/m/receipt", {"status": "success"}, 401),
        (None, "GET", "/healthz", None, 200),
        (None, "GET", "/readyz", None, 200),
    ]
    for who, method, path, body, expected in asked:
        assert await ask(who, method, path, body) == expected, (who, method, path)
    headers = {"Authorization": f"Bearer {TOKENS['ci']}"}
    assert list((await guarded.ask("GET", "/queues", headers=headers))[1]["queues"]) == ["mail"]
    assert TOKENS["ci"] not in (await guarded.http.get("/queues")).text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Length": "99999999999"}, 413),
    ],
)
async def test_strangers_in_a_browser_get_nothing(
    gateway: Gateway, headers: dict[str, str], status: int
) -> None:
    """Another name for this machine, another site, a form that is no JSON, more than may be sent."""
    given = {"Content-Type": "application/json", **headers}
    answer = await gateway.http.post("/job", content=b'{"function": "f"}', headers=given)
    assert answer.status_code == status, answer.text
    assert not gateway.desk.written


async def test_an_endless_body_is_cut_off(gateway: Gateway) -> None:
    """By what has come, whatever was said of its length."""

    async def endless() -> Any:
        while True:
            yield b" " * 65_536

    answer = await gateway.http.post("/job", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["code"] == "oversize"


async def test_addresses_that_are_none(gateway: Gateway) -> None:
    """404 and 405 are problem documents too, and a parameter that is not known is named."""
    assert (await gateway.ask("GET", "/nothing"))[1]["code"] == "not_found"
    assert (await gateway.ask("PATCH", "/job"))[0] == 405
    assert "no parameter 'x'" in (await gateway.ask("GET", "/jobs?x=1"))[1]["detail"]
    assert "limit must be given once" in (await gateway.ask("GET", "/jobs?limit=1&limit=2"))[1]["detail"]


async def test_what_it_counts(gateway: Gateway) -> None:
    """Requests by route and status, jobs; an address that is none makes no name of its own."""
    await gateway.ask("POST", "/job", {"function": "f"})
    await gateway.ask("GET", "/nothing/at/all")
    text = (await gateway.http.get("/metrics")).text
    assert 'jobstream_gateway_requests_total{method="POST",route="/job",status="201"} 1.0' in text
    assert "jobstream_gateway_jobs_total 1.0" in text
    assert "nothing/at/all" not in text


async def test_an_error_of_its_own_is_told_without_its_insides(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 as a problem document; the trace stays in the log."""

    async def broken(*_: object) -> Any:
        raise ZeroDivisionError("secret words")

    monkeypatch.setattr(gateway.door, "queues", broken)
    answer = await gateway.http.get("/queues")
    assert (answer.status_code, answer.json()["code"]) == (500, "fault")
    assert "secret words" not in answer.text


async def test_the_document_tells_every_route_with_examples(gateway: Gateway) -> None:
    """OpenAPI: what can be asked, with a body's shape and an example, and problem documents."""
    document = (await gateway.ask("GET", "/openapi.json"))[1]
    body = document["paths"]["/job"]["post"]["requestBody"]["content"]["application/json"]
    assert body["examples"]["smallest"]["value"] == {"function": "mail.send", "args": {"to": "a@b.c"}}
    for name in ("smallest", "later", "recurring"):
        assert (await gateway.ask("POST", "/job", body["examples"][name]["value"]))[0] == 201, name
    assert "application/problem+json" in document["paths"]["/jobs"]["get"]["responses"]["400"]["content"]
