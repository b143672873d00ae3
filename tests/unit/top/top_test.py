"""`jobstream top`: in Textual's own driver, and once in a real terminal, on the service without Kafka."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pexpect
import pyte
import pytest
from textual.widgets import DataTable, Static

from jobstream.cluster import free_port
from jobstream.errors import NotReachable
from jobstream.top.app import Job, Jobs, Overview, Top
from jobstream.top.source import Source
from relay.doors.dashboard.outlook import RelayWord
from relay.doors.http.serve import Listen
from schemas.proto.relay_pb2 import SessionStatus, StatusReply
from schemas.times import parse_time
from tests.fakes.gateway import Gateway
from tests.fakes.served import served
from tests.unit.gateway.dashboard_test import finish
from tests.waiting import eventually_async

NOW_MS = parse_time("2027-01-15T08:00:00Z")
ROOT = Path(__file__).parents[3]
SIZE = (30, 130)


@pytest.fixture
async def shop() -> AsyncIterator[tuple[str, Gateway]]:
    """A service that listens, with some jobs that ended and one that waits; and its address."""
    gateway = Gateway(now_ms=NOW_MS)
    for number in range(5):
        await gateway.ask("POST", "/job", {"function": "mail.send", "queue": "mail", "id": f"j{number}"})
        finish(gateway, f"j{number}", fails=number == 4)
    await gateway.ask("POST", "/job", {"function": "fax.send", "id": "waits"})
    session = SessionStatus(minion="minion-7", phase="ready", queues=["mail"], capacity=5, sdk="go/1")
    status = StatusReply(relay="edge-1", sessions=[session], now_ms=NOW_MS)
    gateway.outlook.words = [RelayWord("edge-1:7071", status)]
    gateway.machine.now_ms += 3_000
    address = f"127.0.0.1:{free_port()}"
    async with served(gateway.app, Listen(address)):
        yield address, gateway
        await gateway.live.__aexit__()


def cells(table: DataTable[object]) -> list[list[str]]:
    """What a table says."""
    return [[str(cell) for cell in table.get_row_at(place)] for place in range(table.row_count)]


async def test_tables_fill_and_keys_look_closer(shop: tuple[str, Gateway]) -> None:
    """Queues, functions, minions and failures; Enter to the jobs of a queue, to a job, and back."""
    top = Top(Source(f"http://{shop[0]}"))
    async with top.run_test(size=(SIZE[1], SIZE[0])) as pilot:

        async def filled(id: str, first: str) -> bool:
            await pilot.pause()
            table = top.screen.query_one(f"#{id}", DataTable)
            return table.row_count > 0 and cells(table)[0][0].startswith(first)

        await eventually_async(lambda: filled("rows1", "default"), timeout_s=20)
        assert [row[0] for row in cells(top.screen.query_one("#rows1", DataTable))] == ["default", "mail"]
        assert "Waiting 1" in str(top.screen.query_one("#numbers", Static).render())
        for key, first in (("2", "mail.send"), ("3", "minion-7"), ("4", "1 x")):
            await pilot.press(key)
            await eventually_async(partial(filled, f"rows{key}", first), timeout_s=20)
        await pilot.press("enter")
        await eventually_async(lambda: shows(top, pilot, Job, "SMTPError"), timeout_s=20)
        await pilot.press("escape")
        assert isinstance(top.screen, Overview)
        await pilot.press("1", "down", "enter")
        await eventually_async(lambda: filled("jobs", "retrying"), timeout_s=20)
        assert isinstance(top.screen, Jobs)
        await pilot.press("enter")
        await eventually_async(lambda: shows(top, pilot, Job, "mail.send"), timeout_s=20)
        await pilot.press("q")
    assert top.return_code == 0


async def shows(top: Top, pilot: object, screen: type[Job], words: str) -> bool:
    """Whether a job is shown, with these words."""
    await pilot.pause()  # type: ignore[attr-defined]
    return isinstance(top.screen, screen) and words in str(top.screen.query_one("#job", Static).render())


async def test_who_is_away_is_said_and_asked_again(shop: tuple[str, Gateway]) -> None:
    """A worker that is away, with dashes for its counts; a service that is away; all well again after."""
    address, gateway = shop
    source = Source(f"http://{address}")
    top = Top(source)
    async with top.run_test(size=(SIZE[1], SIZE[0])) as pilot:

        async def says(words: str) -> bool:
            await pilot.pause()
            wrong = top.screen.query_one("#wrong", Static)
            return words in str(wrong.render()) if words else not wrong.display

        gateway.pages.away = "the worker at h:1 does not answer"
        await gateway.live.again()
        await eventually_async(lambda: says("the worker at h:1"), timeout_s=20)
        assert "Waiting – " in str(top.screen.query_one("#numbers", Static).render())  # noqa: RUF001  # our dash
        source.url = "http://127.0.0.1:1"
        await eventually_async(lambda: says("does not answer at http://127.0.0.1:1"), timeout_s=20)
        source.url = f"http://{address}"
        gateway.pages.away = None
        await gateway.live.again()
        await eventually_async(lambda: says(""), timeout_s=20)


async def test_in_a_real_terminal(shop: tuple[str, Gateway]) -> None:
    """Started as people do: the numbers are on the screen, keys work, q leaves it as it was."""
    screen = pyte.Screen(SIZE[1], SIZE[0])
    stream = pyte.ByteStream(screen)
    command = ["-m", "jobstream", "top", "--http", shop[0]]
    env = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    env["TERM"] = "xterm-256color"
    child = pexpect.spawn(sys.executable, command, dimensions=SIZE, cwd=str(ROOT), env=env, timeout=60)

    def read() -> str:
        with contextlib.suppress(pexpect.TIMEOUT):
            stream.feed(child.read_nonblocking(65_536, timeout=0.2))  # type: ignore[arg-type]  # bytes
        return "\n".join(screen.display)

    async def sees(*words: str, typing: str = "") -> bool:
        child.send(typing)  # again and again: what is typed before a terminal is ready is lost
        text = await asyncio.to_thread(read)
        assert all(word in text for word in words), text
        return True

    try:
        await eventually_async(lambda: sees("Waiting 1", "mail", "default", "1 Queues", "Quit"), timeout_s=40)
        await eventually_async(lambda: sees("mail.send", "Run p50", typing="2"), timeout_s=20)
        child.send("q")
        await asyncio.to_thread(child.expect, pexpect.EOF)
        child.close()
        assert child.exitstatus == 0
    finally:
        child.close(force=True)


def test_what_does_not_answer_is_a_sentence() -> None:
    """No service, or another one."""
    with pytest.raises(NotReachable, match="does not answer at http:"):
        Source("http://127.0.0.1:1").overview()
