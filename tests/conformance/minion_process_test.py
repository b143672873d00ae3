"""A minion as a process of its own: signals, exit codes, a blocked event loop, and what it imports."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from schemas.proto.relay_pb2 import INTERRUPTED, SUCCESS
from tests.fakes.relay import FakeRelay, FakeSession, fake_relay
from tests.waiting import eventually_async

pytestmark = pytest.mark.slow  # each test starts a process or two

ROOT = Path(__file__).parents[2]
FUNCTIONS = "tests.fakes.functions"


class MinionProcess:
    """One `python -m jobstream.minion`, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode())

    async def exit_code(self, timeout_s: float = 20.0) -> int:
        """How it ended."""
        async with asyncio.timeout(timeout_s):
            code = await self.process.wait()
            await self._reading
        return code


async def start(*arguments: str, relay: str) -> MinionProcess:
    """Starts a minion."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jobstream.minion", *arguments, "--relay", relay),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    return MinionProcess(process)


@asynccontextmanager
async def running(*options: str) -> AsyncIterator[tuple[MinionProcess, FakeSession, FakeRelay]]:
    """A minion with the test functions, connected."""
    async with fake_relay() as relay:
        minion = await start(FUNCTIONS, *options, relay=relay.address)
        try:
            yield minion, await relay.session(timeout_s=20), relay
        finally:
            if minion.process.returncode is None:
                minion.process.kill()
                await minion.exit_code()


async def test_sigterm_drains() -> None:
    """A minion that is told to end finishes what runs, and leaves with 0."""
    async with running("--grace", "20") as (minion, session, _):
        done = await session.give("echo", {"value": [1]})
        assert json.loads((await session.receipt(done)).result) == [1]
        job = await session.give("linger", [0.5])
        await session.beat(job)
        minion.process.send_signal(signal.SIGTERM)
        receipt = await session.receipt(job)
        assert receipt.outcome == SUCCESS
        assert await minion.exit_code() == 0
        assert session.draining == 20_000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_end_of_the_grace(number: signal.Signals) -> None:
    """What still runs at the end of the grace is handed back with its last step; the exit code is 0."""
    async with running("--grace", "0.3") as (minion, session, _):
        job = await session.give("linger")
        await session.beat(job)
        minion.process.send_signal(number)
        receipt = await session.receipt(job)
        assert (receipt.outcome, receipt.step) == (INTERRUPTED, "lingering")
        assert await minion.exit_code() == 0


@pytest.mark.parametrize(
    "numbers", [(signal.SIGQUIT,), (signal.SIGTERM, signal.SIGTERM), (signal.SIGINT,) * 2]
)
async def test_leaving_at_once(numbers: tuple[signal.Signals, ...]) -> None:
    """SIGQUIT, or any signal a second time, hands back at once."""
    async with running("--grace", "60") as (minion, session, _):
        job = await session.give("linger")
        await session.beat(job)
        minion.process.send_signal(numbers[0])
        for number in numbers[1:]:
            await eventually_async(lambda: _is(session.draining == 60_000))
            minion.process.send_signal(number)
        assert (await session.receipt(job, 10)).outcome == INTERRUPTED
        assert await minion.exit_code() == 0


async def test_a_blocked_event_loop() -> None:
    """A function that blocks the event loop stops neither heartbeats nor its timeout, nor the way out."""
    async with running("--grace", "0.2") as (minion, session, _):
        job = await session.give("block", [60])
        await eventually_async(lambda: _is(len(session.beats) >= 2))
        late = await session.give("block", [60], timeout_ms=500)
        receipt = await session.receipt(late)
        assert (receipt.error_type, receipt.started_at_ms) == ("Timeout", 0)
        minion.process.send_signal(signal.SIGTERM)
        assert (await session.receipt(job)).outcome == INTERRUPTED
        assert await minion.exit_code() == 0


async def test_a_timeout_shows_what_blocks() -> None:
    """The receipt of a timed-out function that blocks its loop names the line."""
    async with running() as (_, session, _):
        receipt = await session.receipt(await session.give("block", [60], timeout_ms=700))
        assert receipt.error_type == "Timeout"
        assert receipt.error_trace.index("in block") < receipt.error_trace.index("in deaf")


async def test_a_thread_that_will_not_end() -> None:
    """A plain function that is deaf does not keep the process."""
    async with running("--grace", "0.2", "--concurrency", "3") as (minion, session, _):
        job = await session.give("sleep-in-thread", [60])
        await session.beat(job)
        minion.process.send_signal(signal.SIGTERM)
        assert (await session.receipt(job)).outcome == INTERRUPTED
        assert await minion.exit_code() == 0
        assert any("leaves functions behind" in line for line in minion.lines)


async def test_processes_end_with_their_minion() -> None:
    """A function in a process is handed back and killed on the way out; it goes with a killed minion too."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        async with running("--concurrency", "1") as (minion, session, _):
            pid = json.loads((await session.receipt(await session.give("where"), 30)).result)["pid"]
            job = await session.give("tell")
            await session.beat(job, lambda each: each.progress)
            minion.process.send_signal(number)
            if number is signal.SIGQUIT:
                receipt = await session.receipt(job)
                assert (receipt.outcome, receipt.step, receipt.checkpoint) == (
                    INTERRUPTED,
                    "digging",
                    b'{"row": 3}',
                )
            await minion.exit_code()
            await _gone(pid)


async def test_a_killed_minion_breaks_its_stream() -> None:
    """A minion that is killed is gone at once, as its relay sees it."""
    async with running() as (minion, session, _):
        await session.give("linger")
        minion.process.kill()
        await eventually_async(lambda: _is(session.closed), 2)


async def test_log_lines() -> None:
    """A minion says what it does in single lines with ids; never arguments, results or an error's words."""
    async with running() as (minion, session, _):
        job = await session.give("echo", {"value": "a secret"})
        await session.receipt(job)
        bad = await session.give("echo", {"valeu": "a secret"}, attempt=3)
        await session.receipt(bad)
        minion.process.send_signal(signal.SIGTERM)
        assert await minion.exit_code() == 0
    text = "".join(minion.lines)
    assert "a secret" not in text
    assert "valeu" not in text
    started = next(line for line in minion.lines if "minion started" in line)
    assert "recovered=nothing" in started
    failed = next(line for line in minion.lines if "attempt ended" in line)
    for part in (
        f"job_id={bad.id}",
        "attempt=3",
        "session=session-1",
        "error=BadArguments",
        "outcome=failure",
    ):
        assert part in failed
    assert any("minion drained unstored=0" in line for line in minion.lines)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["tests.fakes.broken_functions"],
            3,
            "'broken_database' could not be opened: ConnectionError: no route to host",
        ),
        (["no.such.module"], 2, "module 'no.such.module' must be importable from the working directory"),
        (
            ["tests.waiting"],
            2,
            "module tests.waiting must have functions declared with @jobstream.function, got none",
        ),
        ([FUNCTIONS, "--concurrency", "0"], 2, "concurrency must be from 1 to 10000, got 0"),
        ([FUNCTIONS, "--grace", "-1"], 2, "grace must be seconds from 0 up, got -1.0"),
        ([FUNCTIONS, "--queue", "No"], 2, "got 'No'"),
    ],
)
async def test_what_cannot_start(arguments: list[str], code: int, sentence: str) -> None:
    """A minion that cannot start says why in one line, and its exit code says whose fault it is."""
    minion = await start(*arguments, relay="127.0.0.1:9")
    assert await minion.exit_code() == code
    assert sentence in minion.lines[-1]
    assert "minion cannot start: " in minion.lines[-1]


async def test_an_address_that_is_none() -> None:
    """A relay is host and port."""
    minion = await start(FUNCTIONS, relay="localhost")
    assert await minion.exit_code() == 2
    assert "relay must be host:port, got 'localhost'" in minion.lines[-1]


async def test_the_sdk_is_light() -> None:
    """A minion loads gRPC, protobuf and the schemas; nothing of Kafka, of the services or of the command
    line.
    """
    script = "import sys, jobstream.minion; print(*{name.split('.')[0] for name in sys.modules})"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    third_party = {
        "rich",
        "typer",
        "click",
        "fastavro",
        "confluent_kafka",
        "aiokafka",
        "faust",
        "mode",
        "aiohttp",
    }
    assert set(out.decode().split()) & (third_party | {"streams", "relay"}) == set()
    assert process.returncode == 0


async def _gone(pid: int) -> None:
    """Waits until there is no such process."""
    await eventually_async(lambda: _is(not Path(f"/proc/{pid}").exists()))


async def _is(found: bool) -> bool:  # noqa: FBT001  # a condition as a coroutine
    return found
