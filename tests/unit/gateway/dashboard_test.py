"""The dashboard on the real state machine, without Kafka: what pages show, to whom, and how safely."""

import asyncio
import base64
import hashlib
import html
import json
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from relay.core.tokens import read_tokens
from relay.doors.dashboard.app import HEADERS
from relay.doors.dashboard.outlook import RelayWord
from schemas.codec import encode
from schemas.events import JobRequest, QueueConfig
from schemas.proto.relay_pb2 import RunningStatus, SessionStatus, StatusReply
from schemas.times import parse_time
from tests.fakes.gateway import Gateway

NOW_MS = parse_time("2027-01-15T08:00:00Z")
LATER = "2027-06-01T00:00:00Z"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAGES = ("", "queues", "jobs", "schedules", "dead", "minions", "trail")
READER, OPERATOR = "reader-token", "operator-token"


def digest(token: str) -> str:
    """As the file of tokens has it."""
    return hashlib.sha256(token.encode()).hexdigest()


TOKENS = read_tokens(
    f"""
[reader]
sha256 = "{digest(READER)}"
scopes = ["read"]
queues = ["mail"]
[operator]
sha256 = "{digest(OPERATOR)}"
scopes = ["read", "operate", "submit"]
"""
)
OTHER_TOKENS = read_tokens(f'[other]\nsha256 = "{digest("other-token")}"\nscopes = ["read"]')


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A service without tokens."""
    one = Gateway(now_ms=NOW_MS)
    yield one
    await one.live.__aexit__()


@pytest.fixture
async def guarded() -> AsyncIterator[Gateway]:
    """One with tokens, and a job in two queues."""
    one = Gateway(now_ms=NOW_MS, tokens=TOKENS)
    bearer = {"Authorization": f"Bearer {OPERATOR}"}
    for queue in ("mail", "secret"):
        body = {"function": f"{queue}.run", "queue": queue, "id": f"in-{queue}", "runAt": LATER}
        assert (await one.ask("POST", "/job", body, headers=bearer))[0] == 201
    yield one
    await one.live.__aexit__()


async def page(gateway: Gateway, path: str = "", status: int = 200, **more: Any) -> str:
    """The text of a page."""
    answer = await gateway.http.get(f"/dashboard/{path}", **more)
    assert answer.status_code == status, (answer.status_code, answer.headers.get("location"), answer.text)
    return answer.text


async def sign_in(gateway: Gateway, token: str) -> httpx.Response:
    """Through the form."""
    data = {"token": token, "next": "/dashboard/queues"}
    return await gateway.http.post("/dashboard/signin", data=data)


def word_of(text: str) -> str:
    """What a form of ours brings."""
    found = re.search(r'name="word" value="([0-9a-f]{64})"', text)
    assert found is not None, text
    return found[1]


class Tags(HTMLParser):
    """The tags of a page, and what of them would be a script or a style of its own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.inline: list[str] = []
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects."""
        self.names.append(tag)
        self.inside = tag
        self.inline += [f"{tag} {name}" for name, _ in attrs if name.startswith("on") or name == "style"]
        self.inline += [
            f"{tag} {value}"
            for name, value in attrs
            if name in {"href", "src"} and value and ":" in value.partition("?")[0]
        ]

    def handle_data(self, data: str) -> None:
        """A script or style with content is one of its own."""
        if self.inside in {"script", "style"} and data.strip():
            self.inline.append(f"{self.inside} {data}")

    def handle_endtag(self, _: str) -> None:
        """Outside again."""
        self.inside = ""


async def test_every_page_is_there_when_nothing_is(gateway: Gateway) -> None:
    """Empty pages say so; each has the headers, a title, one heading, and nothing inline."""
    for path in PAGES:
        answer = await gateway.http.get(f"/dashboard/{path}")
        assert answer.status_code == 200, (path, answer.text)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        tags = Tags(answer.text)
        assert (tags.inline, tags.names.count("h1"), tags.names.count("title")) == ([], 1, 1), path
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert (await gateway.http.get("/")).headers["location"] == "/dashboard/"
    for name in ("dashboard.css", "dashboard.js", "theme.js", "icon.svg"):
        assert (await gateway.http.get(f"/dashboard/static/{name}")).status_code == 200
    await page(gateway, "nothing", 404)
    await page(gateway, "static/../app.py", 404)
    await page(gateway, "job/unknown", 404)


async def test_the_overview_counts_what_happened(gateway: Gateway) -> None:
    """Jobs that ended in the last minutes: rates, waits, what fails; as JSON and on the page."""
    for number in range(10):
        await gateway.ask("POST", "/job", {"function": "mail.send", "queue": "mail", "id": f"j{number}"})
        finish(gateway, f"j{number}", fails=number == 9)
    gateway.machine.now_ms += 5_000
    told = (await gateway.ask("GET", "/overview"))[1]
    (queue,) = told["queues"]
    assert (queue["queue"], queue["phases"]["succeeded"], queue["phases"]["retrying"]) == ("mail", 9, 1)
    assert (told["done_per_s"], told["failed_per_s"], told["run_p50_ms"]) == (0.9, 0.1, 40)
    assert sum(told["bars"]["succeeded"]) == 9
    (error,) = told["errors"]
    assert (error["error_type"], error["count"], error["job"]) == ("SMTPError", 1, "j9")
    text = await page(gateway)
    assert "SMTPError" in text
    assert "0.9" in text


def finish(gateway: Gateway, id: str, *, fails: bool = False) -> None:
    """A minion took it, and says how it went."""
    from schemas.events import Receipt

    machine = gateway.machine
    receipt = Receipt(
        job=id,
        key=id,
        partition=0,
        epoch=1,
        attempt=1,
        outcome="failure" if fails else "success",
        at_ms=machine.now_ms,
        minion="m1",
        session="s1",
        relay="r1",
        assigned_at_ms=machine.now_ms,
        started_at_ms=machine.now_ms,
        run_ms=40,
        error_type="SMTPError" if fails else None,
        error_message="<b>no</b>" if fails else None,
    )
    machine.write(machine.topics.receipts, encode(receipt))


async def test_who_is_away_is_shown_as_away_and_not_as_zero(gateway: Gateway) -> None:
    """Counts that can't be told are a dash and null; the reason is on the page; a relay likewise."""
    await gateway.ask("POST", "/job", {"function": "f", "queue": "mail"})
    assert (await gateway.ask("GET", "/overview"))[1]["queues"][0]["phases"]["ready"] == 1
    gateway.pages.away = "the worker at h:1 does not answer"
    gateway.outlook.words = [RelayWord("edge:7071", None, "UNAVAILABLE: nobody")]
    await gateway.live.again()
    told = (await gateway.ask("GET", "/overview"))[1]
    assert (told["away"], set(told["phases"].values())) == ("the worker at h:1 does not answer", {None})
    assert told["queues"][0]["phases"] is None
    assert told["relays"] == [{"address": "edge:7071", "away": "UNAVAILABLE: nobody"}]
    for path in ("", "queues"):
        text = await page(gateway, path)
        assert "A streams worker is away" in text
        assert "the worker at h:1 does not answer" in text
    gateway.pages.away = None
    await gateway.live.again()
    assert "is away" not in await page(gateway)


HOSTILE: list[Any] = [
    '<script>alert(1)</script><img src=x onerror="alert(2)">',
    "</pre></main><style>*{display:none}</style>",
    {"a": "x" * 260_000},
    "\u202e\u0000\u001b[31m\u2028",
    '"{{ 7 * 7 }}',
]


@pytest.mark.parametrize("args", HOSTILE)
async def test_arguments_of_any_kind_are_shown_safely(gateway: Gateway, args: Any) -> None:
    """As text, whatever they are: no tag of theirs, none of them run, none turns the line around; cut if
    long, and whole to be saved.
    """
    body = json.dumps({"function": "f", "id": "hostile", "args": args}).encode()
    answer = await gateway.http.post("/job", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201, answer.text
    text = await page(gateway, "job/hostile")
    tags = Tags(text)
    assert tags.inline == []
    assert "<script>alert" not in text
    assert "49" not in re.findall(r"<pre[^>]*>(.*?)</pre>", text, re.DOTALL)[0] or args != HOSTILE[-1]
    assert not set("\u202e\u0000\u001b\u2028") & set(text)
    assert len(text) < 60_000
    raw = await gateway.http.get("/dashboard/raw/args/hostile")
    assert raw.headers["content-type"] == "application/octet-stream"
    assert raw.headers["content-disposition"] == 'attachment; filename="args.json"'
    assert json.loads(raw.content) == args


@pytest.mark.parametrize("args", [b"\x00\x01\xff" * 400, b"\xc3\x28", b"<script>alert(1)</script>"])
async def test_bytes_are_shown_in_hex_and_text_as_text(gateway: Gateway, args: bytes) -> None:
    """Whatever their type says; invalid UTF-8 breaks nothing."""
    request = JobRequest(function="f", id="bytes", key="k", args=args, content_type="text/html")
    gateway.machine.write(gateway.machine.topics.requests, encode(request))
    text = await page(gateway, "job/bytes", params={"key": "k"})
    shown = html.unescape(re.findall(r'<pre[^>]*aria-label="Arguments">(.*?)</pre>', text, re.DOTALL)[0])
    if args.startswith(b"<"):
        assert shown == args.decode()
    else:
        assert shown.startswith(f"000000  {args[:2].hex(' ')}")
    assert Tags(text).inline == []
    assert (await gateway.http.get("/dashboard/raw/args/bytes?key=k")).content == args


async def test_errors_and_traces_are_shown_safely(gateway: Gateway) -> None:
    """The error of the last attempt with its trace; markup in them is text."""
    await gateway.ask("POST", "/job", {"function": "f", "id": "broken"})
    finish(gateway, "broken", fails=True)
    gateway.outlook.traces["broken", 1] = 'Traceback\n  File "<script>", line 1'
    text = await page(gateway, "job/broken")
    assert "&lt;b&gt;no&lt;/b&gt;" in text
    assert "File &#34;&lt;script&gt;&#34;" in text
    assert "attempt 1" in text
    assert "retry until" in text


async def test_a_word_in_the_search_finds_a_job_or_a_function(gateway: Gateway) -> None:
    """An id leads to its job; filters are taken from words; what is no filter is a function."""
    await gateway.ask("POST", "/job", {"function": "f", "id": "find/me", "queue": "mail"})
    answer = await gateway.http.get("/dashboard/jobs?q=find/me")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/job/find%2Fme")
    assert "find/me" in await page(gateway, "job/find%2Fme")
    text = await page(gateway, "jobs", params={"q": "queue:mail phase:ready"})
    assert "queue: mail" in text
    assert "find/me" in text
    await page(gateway, "jobs", 400, params={"q": "since:never"})


async def test_an_action_asks_once_and_says_what_it_did(gateway: Gateway) -> None:
    """A question first; done by its form alone; the next page says it, once; it is in the trail."""
    await gateway.ask("POST", "/job", {"function": "f", "id": "stop-me", "runAt": LATER})
    url = "/dashboard/do/cancel-job/stop-me"
    asked = await page(gateway, "do/cancel-job/stop-me")
    assert "Cancel job stop-me?" in asked
    assert gateway.machine.jobs()[0].phase == "scheduled"
    done = await gateway.http.post(url, data={"word": word_of(asked), "reason": "a test"})
    assert (done.status_code, done.headers["location"]) == (303, "/dashboard/job/stop-me")
    assert gateway.machine.jobs()[0].phase == "cancelled"
    assert "Job stop-me: cancelled." in await page(gateway, "job/stop-me")
    assert "Job stop-me: cancelled." not in await page(gateway, "job/stop-me")
    again = await gateway.http.post(url, data={"word": word_of(asked)})
    assert (again.status_code, "Conflict" in again.text) == (409, True)
    trail = gateway.app.trail.lately()  # type: ignore[attr-defined]
    assert [(each.what, each.target, each.outcome) for each in trail] == [
        ("POST /dashboard/do/cancel-job/{id:path}", "stop-me", "failure"),
        ("POST /dashboard/do/cancel-job/{id:path}", "stop-me", "success"),
    ]
    assert "cancel-job" in await page(gateway, "trail")


async def test_queues_and_schedules_are_changed_from_their_pages(gateway: Gateway) -> None:
    """Pause, resume; pause, resume, fire, backfill, remove a schedule: each with its question."""
    body = {"cron": "0 * * * *", "function": "report", "queue": "reports"}
    assert (await gateway.ask("PUT", "/schedules/hourly", body))[0] == 201
    text = await page(gateway, "schedule/hourly")
    assert "Fires to come" in text
    assert "09:00:00" in text

    async def do(name: str, target: str, **fields: str) -> str:
        asked = await page(gateway, f"do/{name}/{target}")
        url = f"/dashboard/do/{name}/{target}"
        done = await gateway.http.post(url, data={"word": word_of(asked), **fields})
        assert done.status_code == 303, done.text
        return (await gateway.http.get(done.headers["location"])).text

    assert "Queue mail is paused" in await do("pause-queue", "mail", note="moves")
    assert gateway.desk.pauses == [("mail", "moves", True)]
    gateway.outlook.settings = {"queue/mail": QueueConfig(queue="mail", paused=True, note="moves")}
    await gateway.live.again()
    assert "paused: moves" in await page(gateway, "queues")
    await do("resume-queue", "mail")
    assert "Schedule hourly: paused" in await do("pause-schedule", "hourly", reason="holidays")
    assert "holidays" in await page(gateway, "schedule/hourly")
    await do("resume-schedule", "hourly")
    assert "Schedule hourly: fired" in await do("trigger-schedule", "hourly", overlap="allow_all")
    gateway.machine.now_ms += 1
    since, until = "2027-01-14 00:00", "2027-01-14 03:00"
    await do("backfill-schedule", "hourly", since=since, until=until)
    bad = await page(gateway, "do/backfill-schedule/hourly")
    wrong = await gateway.http.post(
        "/dashboard/do/backfill-schedule/hourly", data={"word": word_of(bad), "since": "soon", "until": until}
    )
    assert wrong.status_code == 400
    assert "Schedule hourly: removed" in await do("remove-schedule", "hourly")


async def test_dead_letters_are_shown_and_redriven(gateway: Gateway) -> None:
    """Each with its error; one by one, or all that fit a filter."""
    for number in range(3):
        body = {"function": "report.build", "id": f"dead-{number}", "retry": False}
        await gateway.ask("POST", "/job", body)
        finish(gateway, f"dead-{number}", fails=True)
    since = {"since": "400d"}
    text = await page(gateway, "dead", params=since)
    assert "SMTPError" in text
    assert "&lt;b&gt;no&lt;/b&gt;" in text
    assert "dead-2" not in await page(gateway, "dead", params={**since, "error": "Other"})
    asked = await page(gateway, "do/redrive/dead-0")
    done = await gateway.http.post("/dashboard/do/redrive/dead-0", data={"word": word_of(asked)})
    assert "Job dead-0: runs again." in (await gateway.http.get(done.headers["location"])).text
    url = "/dashboard/do/redrive-many/those%20of%20report.build?function=report.build&since=400d"
    asked = (await gateway.http.get(url)).text
    done = await gateway.http.post(url, data={"word": word_of(asked)})
    assert "Dead letters: 2 runs again." in (await gateway.http.get(done.headers["location"])).text
    assert {job.phase for job in gateway.machine.jobs()} == {"ready"}


async def test_a_form_of_another_page_changes_nothing(gateway: Gateway) -> None:
    """Without the word of this visitor, with that of another, from another site, or as JSON: refused."""
    await gateway.ask("POST", "/job", {"function": "f", "id": "safe", "runAt": LATER})
    url = "/dashboard/do/cancel-job/safe"
    await page(gateway, "do/cancel-job/safe")
    stranger = httpx.AsyncClient(transport=gateway.http._transport, base_url="http://127.0.0.1:8088")
    theirs = word_of((await stranger.get(url)).text)
    for data in ({}, {"word": ""}, {"word": "é"}, {"word": "0" * 64}, {"word": theirs}):
        assert (await gateway.http.post(url, data=data)).status_code == 403, data
    elsewhere = {**FORM, "Origin": "https://evil.example"}
    assert (await stranger.post(url, content=f"word={theirs}", headers=elsewhere)).status_code == 403
    assert (await gateway.http.post(url, json={"word": theirs})).status_code == 415
    assert (await gateway.http.post(url, content=b"x" * 70_000, headers=FORM)).status_code == 413
    assert gateway.machine.jobs()[0].phase == "scheduled"
    form = await gateway.http.post("/job", data={"function": "f"})
    assert form.status_code == 415, "only pages take forms"


async def test_who_has_no_token_sees_nothing(guarded: Gateway) -> None:
    """Pages lead to the sign-in; the forms are refused; a token that is not known is told so."""
    for path in (*PAGES, "job/in-mail", "live?at=/dashboard/", "do/cancel-job/in-mail", "raw/args/in-mail"):
        answer = await guarded.http.get(f"/dashboard/{path}")
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/dashboard/signin?next=%2Fdashboard%2F")
    assert (await guarded.http.post("/dashboard/do/cancel-job/in-mail", data={})).status_code == 401
    assert (await guarded.http.get("/overview")).status_code == 401
    assert (await sign_in(guarded, "wrong")).status_code == 401
    assert "in-mail" not in (await sign_in(guarded, "")).text
    guarded.http.cookies.set("jobstream_session", f"open.{'0' * 16}.99999999999.{'0' * 64}")
    assert (await guarded.http.get("/dashboard/")).status_code == 303


async def test_a_reader_sees_its_queues_and_changes_nothing(guarded: Gateway) -> None:
    """By a cookie that no script reads and that has no token in it; no action is offered or done."""
    answer = await sign_in(guarded, READER)
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/queues")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert READER not in cookie
    text = await page(guarded, "queues")
    assert "mail" in text
    assert "secret" not in text
    assert "do/pause-queue" not in text
    assert "read-only" in text
    assert "secret" not in await page(guarded)
    assert (await guarded.http.get("/dashboard/jobs")).headers["location"] == "/dashboard/jobs?queue=mail"
    await page(guarded, "jobs?queue=mail")
    await page(guarded, "jobs?queue=secret", 403)
    await page(guarded, "job/in-secret", 403)
    assert "cancel-job" not in await page(guarded, "job/in-mail")
    await page(guarded, "do/cancel-job/in-mail", 403)
    await page(guarded, "trail", 403)
    word = word_of(await page(guarded))
    refused = await guarded.http.post("/dashboard/do/cancel-job/in-mail", data={"word": word})
    assert refused.status_code == 403
    assert {job.phase for job in guarded.machine.jobs()} == {"scheduled"}


async def test_an_operator_signs_in_acts_and_signs_out(guarded: Gateway) -> None:
    """Named in the trail; after the sign-out, or once the cookie is old, nothing is shown."""
    await sign_in(guarded, OPERATOR)
    asked = await page(guarded, "do/cancel-job/in-mail")
    done = await guarded.http.post("/dashboard/do/cancel-job/in-mail", data={"word": word_of(asked)})
    assert done.status_code == 303
    change = guarded.app.trail.lately()[0]  # type: ignore[attr-defined]
    assert (change.who, change.target, change.outcome) == ("operator", "in-mail", "success")
    guarded.machine.now_ms += 11 * 3_600_000
    await page(guarded)
    guarded.machine.now_ms += 2 * 3_600_000
    await page(guarded, status=303)
    await sign_in(guarded, OPERATOR)
    out = await guarded.http.post("/dashboard/signout", data={"word": word_of(await page(guarded))})
    assert out.status_code == 303
    await page(guarded, status=303)


async def test_a_sign_in_leads_nowhere_else(guarded: Gateway) -> None:
    """Only to a page of ours."""
    for elsewhere in (
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/dashboard/\\..\\",
        "/job",
    ):
        data = {"token": OPERATOR, "next": elsewhere}
        answer = await guarded.http.post("/dashboard/signin", data=data)
        assert answer.headers["location"] == "/dashboard/", elsewhere


async def test_live_pages_come_as_fragments(gateway: Gateway) -> None:
    """What changes of a page comes when it changed: made once for all who look at the same."""
    gateway.live.look_s = 0.01
    await gateway.ask("POST", "/job", {"function": "f", "id": "seen", "queue": "mail"})
    events: list[str] = []

    headers = [(b"host", b"127.0.0.1")]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/dashboard/live",
        "query_string": b"at=/dashboard/queues",
    }
    scope |= {"headers": headers, "scheme": "http", "http_version": "1.1", "root_path": "", "raw_path": b""}

    class Enough(Exception):
        pass

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
        text = message.get("body", b"").decode()
        if "event: page" in text:
            events.append(text)
            gateway.machine.now_ms += 1_000
            await gateway.ask("POST", "/job", {"function": "f", "queue": "mail"})
            if len(events) == 3:
                raise Enough

    with pytest.raises((Enough, ExceptionGroup)):
        await gateway.app(scope, never, send)
    assert all("data: <h1>Queues</h1>" in event for event in events)
    assert all("<html" not in event and 'name="word"' not in event for event in events)
    assert len(set(events)) == 3
    assert gateway.live.listeners == 0


@pytest.mark.parametrize(("path", "at"), [("/dashboard/live", "at=/dashboard/queues"), ("/facts", "")])
async def test_a_stream_ends_with_its_token(guarded: Gateway, path: str, at: str) -> None:
    """Taken out of the file while its bearer looks on: nothing more is told."""
    guarded.live.look_s = 0.01
    bearer = {"Authorization": f"Bearer {OPERATOR}"}
    headers = [(b"host", b"127.0.0.1"), (b"last-event-id", b"0")]
    if at:
        await sign_in(guarded, OPERATOR)
        headers.append((b"cookie", f"jobstream_session={guarded.http.cookies['jobstream_session']}".encode()))
    else:
        headers.append((b"authorization", bearer["Authorization"].encode()))
    scope = {"type": "http", "method": "GET", "path": path, "query_string": at.encode(), "headers": headers}
    scope |= {"scheme": "http", "http_version": "1.1", "root_path": "", "raw_path": b""}
    events: list[str] = []

    async def send(message: Any) -> None:
        text = message.get("body", b"").decode()
        if "event: " in text:
            events.append(text)
            guarded.machine.now_ms += 1_000
            await guarded.ask("POST", "/job", {"function": "f", "queue": "mail"}, headers=bearer)
            guarded.tokens = OTHER_TOKENS

    async with asyncio.timeout(30):
        await guarded.app(scope, never, send)
    assert len(events) == 1


async def never() -> Any:
    """Nothing more comes from the browser."""
    await asyncio.Event().wait()


async def test_minions_are_shown_with_what_they_said(gateway: Gateway) -> None:
    """Leases of their capacity, credits, when last heard of, version; a silent one is told as quiet."""
    sessions = [
        SessionStatus(
            session=f"s{number}",
            minion=f"minion-{number}",
            phase="ready",
            queues=["mail"],
            functions=60,
            capacity=10,
            credits=3,
            leases=7,
            heard_at_ms=NOW_MS - silent_ms,
            opened_at_ms=NOW_MS - 60_000,
            sdk="jobstream-go/0.3",
            function_names=["mail.send"],
        )
        for number, silent_ms in enumerate((200, 5_000))
    ]
    running = [RunningStatus(queue="mail", function="mail.send", running=14)]
    status = StatusReply(relay="edge-1", sessions=sessions, running=running, now_ms=NOW_MS)
    gateway.outlook.words = [RelayWord("edge-1:7071", status)]
    told = (await gateway.ask("GET", "/overview"))[1]
    assert [(each["phase"], each["heard_ms"]) for each in told["minions"]] == [
        ("ready", 200),
        ("quiet", 5_000),
    ]
    assert [(each["function"], each["running"]) for each in told["functions"]] == [("mail.send", 14)]
    text = await page(gateway, "minions")
    assert "jobstream-go/0.3" in text
    assert "and 59 more" in text


def test_bytes_of_the_wire_survive() -> None:
    """What is shown in base64 is decoded, not repeated."""
    from relay.doors.dashboard import words

    told = words.payload(
        {"args_base64": base64.b64encode(b"plain").decode(), "args_type": "text/plain"}, "args"
    )
    assert told == {"kind": "text/plain", "size": "5 B", "text": "plain", "cut": False}
