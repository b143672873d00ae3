"""Functions behind URLs: called with their job, ended by their receipt or their response."""

import asyncio
import contextlib
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobstream import Context, Fail, NonRetryable, Snooze, wrap
from jobstream.cluster import free_port
from jobstream.cluster.child import Child
from jobstream.context import Attempt
from jobstream.functions import function
from jobstream.gateway.push import RESULT_BYTES_MAX, BadPushes, Pushed, Pushes, read_pushes
from relay.doors.http.serve import Listen
from schemas.times import parse_time
from tests.fakes.gateway import SECRET, Gateway
from tests.fakes.served import served
from tests.waiting import eventually_async

NOW_MS = parse_time("2027-01-15T08:00:00Z")


@pytest.fixture
async def gateway() -> AsyncIterator[str]:
    """A service that takes receipts, and the address of its pushes' functions in `PUSHES`."""
    listen = Listen(f"127.0.0.1:{free_port()}")
    one = Gateway(now_ms=NOW_MS)
    one.door.taken_here = lambda job, epoch, fields: bool(TAKES and TAKES[-1].take(job, epoch, fields))
    async with served(one.app, listen):
        yield listen.url
    TAKES.clear()


TAKES: list[Pushes] = []


async def push(gateway: str, url: str, **args: Any) -> Any:
    """What a minion would be told of one attempt."""
    pushes = Pushes((Pushed("f", url, "default"),), gateway, SECRET, 1)
    TAKES.append(pushes)
    try:
        call = pushes.functions()[0].call
        return await call(**args, ctx=Context(Attempt(job="j", key="j", function="f", deadline_ms=60_000)))
    finally:
        await pushes.close()


@contextlib.asynccontextmanager
async def behind(app: Any) -> AsyncIterator[str]:
    """The URL of an app."""
    listen = Listen(f"127.0.0.1:{free_port()}")
    async with served(app, listen):
        yield f"{listen.url}/"


class ItsOwn(Exception):
    """An error of the function."""


def plain(value: int) -> int:
    """A function as people write them."""
    if value > 100:
        raise ItsOwn(f"{value} is too much")
    return 2 * value


@function(name="declared")
async def declared(value: int) -> int:
    """A declared one."""
    return 3 * value


async def test_a_wrapped_function_is_called_with_its_arguments(gateway: str) -> None:
    """Plain, or declared and async: its value is the result."""
    async with behind(wrap(plain)) as url:
        assert await push(gateway, url, value=21) == 42
    async with behind(wrap(declared)) as url:
        assert await push(gateway, url, value=5) == 15


async def test_what_a_wrapped_function_raises_is_its_failure(gateway: str) -> None:
    """With its own type and words, whatever the response says."""
    async with behind(wrap(plain)) as url:
        with pytest.raises(Fail, match="101 is too much") as failed:
            await push(gateway, url, value=101)
        assert type(failed.value).__name__.endswith("ItsOwn")
        with pytest.raises(Fail, match="unexpected keyword") as failed:
            await push(gateway, url, other=1)
        assert type(failed.value).__name__ == "TypeError"


async def test_a_wrapped_function_answers_whoever_calls_it() -> None:
    """200 with the value, 500 with the error, 400 for what is no job; nobody need take the receipt."""
    async with behind(wrap(plain)) as url, httpx.AsyncClient() as http:
        nowhere = f"http://127.0.0.1:{free_port()}/"
        fine = await http.post(url, json={"args": [4], "receipt": nowhere, "token": "t"})
        assert (fine.status_code, fine.json()) == (200, 8)
        failed = await http.post(url, json={"args": {"value": 101}})
        assert (failed.status_code, failed.json()["error"]["message"]) == (500, "101 is too much")
        assert (await http.post(url, content=b"[1]")).status_code == 400


def answering(status: int, body: bytes = b"", **headers: str) -> Any:
    """An app that always answers the same."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await receive()
            raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
            raw.append((b"content-length", str(len(body)).encode()))
            await send({"type": "http.response.start", "status": status, "headers": raw})
            await send({"type": "http.response.body", "body": body})

    return app


async def test_a_response_ends_the_attempt_too(gateway: str) -> None:
    """JSON, text or nothing is the result; another status is a failure, with the delay that it asks for."""
    for body, result in ((b'{"a": 1}', {"a": 1}), (b"plain words", "plain words"), (b"", None)):
        async with behind(answering(200, body)) as url:
            assert await push(gateway, url) == result
    async with behind(answering(503, b"busy", retry_after="7")) as url:
        with pytest.raises(Fail, match=r"503 .*busy") as failed:
            await push(gateway, url)
        assert (type(failed.value).__name__, failed.value.retry_after) == ("Http503", 7)
    with pytest.raises(Fail, match="does not answer") as failed:
        await push(gateway, f"http://127.0.0.1:{free_port()}/")
    assert type(failed.value).__name__ == "ConnectError"


async def test_a_response_that_is_too_long(gateway: str) -> None:
    """Is not read to its end, and not asked for again."""
    async with behind(answering(200, b"x" * (RESULT_BYTES_MAX + 1))) as url:
        with pytest.raises(NonRetryable, match="a response must have at most") as failed:
            await push(gateway, url)
    assert type(failed.value).__name__ == "ResultTooLarge"


async def test_an_attempt_that_is_over_hangs_up(gateway: str) -> None:
    """By its timeout, say: a function that never answers keeps none of the connections that others need."""
    asked, left = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del send
        if scope["type"] == "http":
            asked.set()
            while (await receive())["type"] != "http.disconnect":
                pass
            left.set()

    async with behind(app) as url, asyncio.timeout(30):
        attempt = asyncio.create_task(attempt_of(gateway, url))
        await asked.wait()
        attempt.cancel()
        await left.wait()
        with pytest.raises(asyncio.CancelledError):
            await attempt


async def attempt_of(gateway: str, url: str) -> None:
    """An attempt of a gateway that goes on after it."""
    pushes = Pushes((Pushed("f", url, "default"),), gateway, SECRET, 1)
    call = pushes.functions()[0].call
    await call(ctx=Context(Attempt(job="j", key="j", function="f", deadline_ms=60_000)))


RECEIPTS: list[tuple[dict[str, Any], type[Exception] | None]] = [
    ({"status": "success", "result": [1]}, None),
    ({"status": "failure", "error": {"type": "Odd", "message": "no"}, "non_retryable": True}, NonRetryable),
    ({"status": "error", "error": "no", "retry_after": 5}, Fail),
    ({"status": "snooze", "snooze": "5m"}, Snooze),
]


@pytest.mark.parametrize(("receipt", "raised"), RECEIPTS)
async def test_202_means_that_the_receipt_comes_later(
    gateway: str, receipt: dict[str, Any], raised: type[Exception] | None
) -> None:
    """The attempt goes on until it is there; each kind of end is the minion's own."""
    jobs: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            jobs.append(json.loads((await receive())["body"]))
            await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

    async with behind(app) as url, httpx.AsyncClient() as http:
        ended = asyncio.create_task(push(gateway, url))

        async def called() -> bool:
            return bool(jobs)

        await eventually_async(called)
        job = jobs[0]
        assert (job["id"], job["attempt"], job["epoch"], job["args"]) == ("j", 1, 1, None)
        answer = await http.post(job["receipt"], json={**receipt, "token": job["token"]})
        assert answer.status_code == 200, answer.text
        if raised is None:
            assert await ended == [1]
        else:
            with pytest.raises(raised):
                await ended


async def test_the_example_in_javascript(gateway: str, tmp_path: Path) -> None:
    """Twenty lines under Node do the same."""
    if shutil.which("node") is None:
        pytest.skip("there is no node here")
    port = free_port()
    example = str(Path(__file__).parents[3] / "examples" / "wrap.mjs")
    node = Child.start(["node", example, str(port)], log=tmp_path / "node.log")

    async def listens() -> bool:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            return True
        return False

    try:
        await eventually_async(listens, timeout_s=30)
        assert await push(gateway, f"http://127.0.0.1:{port}/", value=4) == 8
        with pytest.raises(Fail, match="value must be a number, got four") as failed:
            await push(gateway, f"http://127.0.0.1:{port}/", value="four")
        assert type(failed.value).__name__ == "TypeError"
    finally:
        node.kill()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x", "http_push must be TOML"),
        ("a = 1", "function a must be a table with url and queue, got 1"),
        ("[a]\nurls = 1", "function a must be a table"),
        ("[a]\nurl = 'ftp://x'", "url of function a must be an http or https address, got 'ftp://x'"),
        ("[a]\nqueue = 'x'", "url of function a must be"),
        ("['no such!']\nurl = 'http://x'", "http_push: .* function must match"),
        ("[a]\nurl = 'http://x'\nqueue = 'UPPER'", "http_push: .* queue must match"),
    ],
)
def test_a_file_of_pushes_that_cannot_be_is_told(text: str, sentence: str) -> None:
    """One sentence; the service does not start."""

    async def made() -> None:
        pushes = Pushes(read_pushes(text), "http://x", SECRET, 1)
        try:
            pushes.functions()
        finally:
            await pushes.close()

    with pytest.raises(BadPushes) as bad:
        asyncio.run(made())
    assert re.search(sentence, str(bad.value))
