"""The Gearman door with clients and workers that nobody here wrote: Debian's gearman and gearadmin, which
are libgearman's, and the Python package gear.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import gear
import pytest

from relay.doors.gearman.packets import P
from tests.fakes.gearman import FakeDesk, House
from tests.waiting import eventually, eventually_async

RUN_S = 60.0


@pytest.fixture(autouse=True)
def _tools(gearman_tools: str) -> None:
    """All of these want Debian's gearman-tools."""
    assert gearman_tools


async def run(*command: str, given: bytes = b"") -> tuple[int, str]:
    """Runs a program to its end: its exit code, and what it printed."""
    program = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(RUN_S):
        out, _ = await program.communicate(given)
    assert program.returncode is not None
    return program.returncode, out.decode()


@asynccontextmanager
async def worker(house: House, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Debian's worker, from when it is registered."""
    before = len(house.calls.workers)
    program = await asyncio.create_subprocess_exec(
        "gearman",
        "-h",
        "127.0.0.1",
        "-p",
        str(house.port),
        "-w",
        *arguments,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def registered() -> bool:
        return len([each for each in house.calls.workers if each.functions]) > before

    try:
        await eventually_async(registered)
        yield program
    finally:
        if program.returncode is None:
            program.kill()
        await program.wait()


async def client(house: House, *arguments: str, given: bytes = b"") -> tuple[int, str]:
    """Debian's client."""
    return await run("gearman", "-h", "127.0.0.1", "-p", str(house.port), *arguments, given=given)


async def admin(house: House, *arguments: str) -> tuple[int, str]:
    """Debian's administrator."""
    return await run("gearadmin", "-h", "127.0.0.1", "-p", str(house.port), *arguments)


async def test_debians_client_and_worker() -> None:
    """Foreground jobs of all priorities, with and without unique ids, and many lines as many jobs."""
    async with House() as house, worker(house, "-f", "shout", "--", "tr", "a-z", "A-Z"):
        assert await client(house, "-f", "shout", given=b"hello") == (0, "HELLO")
        assert await client(house, "-f", "shout", "-I", "-u", "mine", "high") == (0, "HIGH")
        assert await client(house, "-f", "shout", "-L", "low") == (0, "LOW")
        code, said = await client(house, "-f", "shout", "-n", given=b"one\ntwo\nthree\n")
        assert (code, sorted(said.split())) == (0, ["ONE", "THREE", "TWO"])


async def test_debians_worker_that_sends_data() -> None:
    """WORK_DATA packets of a worker reach the client as they come, and the result after them: this worker
    sends a packet for its first line, and then all lines as the result.
    """
    async with House() as house, worker(house, "-n", "-f", "list", "--", "printf", "a\\nb\\n"):
        assert await client(house, "-f", "list", "-s") == (0, "a\na\nb\n")


async def test_debians_worker_that_fails() -> None:
    """Its failure is its client's."""
    async with House() as house, worker(house, "-f", "broken", "--", "false"):
        code, said = await client(house, "-f", "broken", "x")
        assert (code, said) == (1, "Job failed\n")


async def test_debians_client_in_the_background() -> None:
    """It ends when the job is durable; without Kafka it prints why not."""
    desk = FakeDesk()
    async with House(desk=desk) as house:
        submitting = asyncio.create_task(client(house, "-b", "-f", "mail", "hello"))

        async def asked() -> bool:
            return bool(desk.waiting)

        await eventually_async(asked)
        assert not submitting.done()
        desk.waiting[0].set_result(None)
        assert await submitting == (0, "")
        assert [(job.function, job.data) for job in desk.jobs] == [("mail", b"hello")]
    async with House() as house:
        assert "background jobs need Kafka" in (await client(house, "-b", "-f", "mail", "hello"))[1]


async def test_debians_administrator() -> None:
    """Gearadmin understands every answer."""
    async with House() as house, worker(house, "-f", "f", "--", "cat"):
        assert await admin(house, "--status") == (0, "f\t0\t0\t1\n.\n")
        assert await admin(house, "--priority-status") == (0, "f\t0\t0\t0\t1\n.\n")
        assert "127.0.0.1 - : f\n" in (await admin(house, "--workers"))[1]
        assert await admin(house, "--server-version") == (0, "1.0\n")
        assert await admin(house, "--getpid") == (0, f"{house.door.pid}\n")
        assert (await admin(house, "--server-verbose"))[0] == 0
        assert await admin(house, "--create-function", "g") == (0, "OK\n")
        assert await admin(house, "--drop-function", "g") == (0, "OK\n")
        assert await admin(house, "--show-jobs") == (0, ".\n")
        waiting = await house.peer()
        handle = await waiting.submits(b"nobody", b"", b"u-1")
        assert await admin(house, "--show-unique-jobs") == (0, "u-1\n.\n")
        assert "UNKNOWN_JOB" in (await admin(house, "--cancel-job", "H:none:1"))[1]
        assert await admin(house, "--cancel-job", handle.decode()) == (0, "OK\n")
        await waiting.expect(P.WORK_FAIL, handle)


def gear_both_ways(port: int) -> list[tuple[bool, bool, list[bytes]]]:
    """A client and a worker of gear: how some jobs ended, each with complete, failure and data."""
    its_worker, its_client = gear.Worker("gear-worker"), gear.Client("gear-client")
    try:
        for each in (its_worker, its_client):
            each.addServer("127.0.0.1", port)
            each.waitForServer()
        its_client.setOption("exceptions")
        its_worker.registerFunction("double")
        its_worker.registerFunction("fail", b"10000")
        jobs = [gear.Job("double", b"21", unique=b"u"), gear.Job("fail", b""), gear.Job("fail", b"loud")]
        for job in jobs:
            its_client.submitJob(job, precedence=gear.PRECEDENCE_HIGH)
        for _ in jobs:
            given = its_worker.getJob()
            given.sendWorkStatus(1, 2)
            given.sendWorkData(b"part")
            if given.name == "double":
                given.sendWorkComplete(b"%d" % (2 * int(given.arguments)))
            elif given.arguments:
                given.sendWorkException(b"it is broken")
            else:
                given.sendWorkFail()
        for job in jobs:
            eventually(lambda job=job: job.complete)  # type: ignore[misc] # gear has no types
        return [(job.complete, job.failure, list(job.data)) for job in jobs]
    finally:
        its_worker.shutdown()
        its_client.shutdown()


@pytest.mark.filterwarnings(
    "ignore:.*All:DeprecationWarning",
    "ignore:.*Daemon:DeprecationWarning",
    "ignore:setName:DeprecationWarning",
)
async def test_gear() -> None:
    """The client and the worker of gear meet at the door: results, failures, exceptions, data and status."""
    async with House() as house:
        ended = await asyncio.to_thread(gear_both_ways, house.port)
        assert ended == [
            (True, False, [b"part", b"42"]),
            (True, True, [b"part"]),
            (True, True, [b"part"]),
        ]
