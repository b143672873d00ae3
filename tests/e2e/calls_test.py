"""Foreground calls over three relays of which two are killed, and one is frozen: real processes, no Kafka."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from jobstream import Caller, CallLost
from jobstream.cluster import Child, free_port
from tests.waiting import eventually_async

ROOT = Path(__file__).parents[2]
CALLERS = 16
WITHIN_S = 15.0
LIMIT_S = 10.0
START_S = 5.0
PATIENCE_S = 60.0
FRESH_S = 0.5
SHORT_S = 8.0
"""What a call may take that was under way at a relay when it froze, and hears that it is lost."""


class Stage:
    """Three relays and two minions that are connected to all of them; each run leaves a line in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.relays = [f"127.0.0.1:{free_port()}" for _ in range(3)]
        self.processes: dict[str, Child] = {}

    def start_relay(self, address: str) -> None:
        """A relay that knows nothing but its address: no data of an earlier one, no other setting."""
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "jobstream", "relay", "--calls-only", "--relay", address]
        self._start(address, command, environ)

    def start_minion(self, name: str) -> None:
        """A minion at all relays."""
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "RUNS": str(self.runs)}
        command = [sys.executable, "-m", "jobstream.minion", "tests.e2e.calls_functions", "--name", name]
        self._start(name, [*command, "--concurrency", "4", "--relay", ",".join(self.relays)], environ)

    def _start(self, name: str, command: list[str], environ: dict[str, str]) -> None:
        log = self.folder / f"{name.replace(':', '-')}.log"
        self.processes[name] = Child.start(command, log=log, cwd=self.folder, env=environ)

    def end(self) -> None:
        """Ends all processes."""
        for each in self.processes.values():
            each.kill()

    def ran(self) -> Counter[str]:
        """How often each call ran."""
        return Counter(self.runs.read_text().split()) if self.runs.exists() else Counter()


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """All processes, ended at the end."""
    made = Stage(folder)
    with ExitStack() as stack:
        stack.callback(made.end)
        for address in made.relays:
            made.start_relay(address)
        for name in ("w-1", "w-2"):
            made.start_minion(name)
        yield made


class Load:
    """Callers that call all the while: what became of each call, and how long the longest took."""

    def __init__(self, caller: Caller) -> None:
        self.outcomes: dict[str, str] = {}
        self.errors: list[str] = []
        self.longest_s = 0.0
        self.began_s: dict[str, float] = {}
        self._caller = caller
        self._stopping = False

    async def run(self, number: int) -> None:
        """One caller."""
        count = 0
        while not self._stopping:
            count += 1
            await self.once(f"{number}-{count}")

    async def once(self, name: str, **options: float) -> None:
        """One call."""
        began_s = self.began_s[name] = time.monotonic()
        wanted = {"within": WITHIN_S, "limit": LIMIT_S, **options}
        try:
            assert await self._caller.call("mark", {"name": name}, **wanted) == name
            self.outcomes[name] = "answered"
        except CallLost as lost:
            self.outcomes[name] = "lost"
            self.errors.append(str(lost))
        self.longest_s = max(self.longest_s, time.monotonic() - began_s)

    def stop(self) -> None:
        """No more calls."""
        self._stopping = True


@asynccontextmanager
async def load(made: Stage) -> AsyncIterator[Load]:
    """Sixteen callers, until the end of the block; they wait for the minions first."""
    async with Caller(made.relays) as caller:
        for address in made.relays:
            async with Caller(address) as one:
                await one.call("mark", {"name": f"warm-{address}"}, within=PATIENCE_S)
        found = Load(caller)
        tasks = [asyncio.create_task(found.run(number)) for number in range(CALLERS)]
        yield found
        found.stop()
        await asyncio.gather(*tasks)


async def answered(found: Load, more: int) -> None:
    """So many more calls are answered."""
    goal = sum(outcome == "answered" for outcome in found.outcomes.values()) + more

    async def looked() -> bool:
        return sum(outcome == "answered" for outcome in found.outcomes.values()) >= goal

    await eventually_async(looked, PATIENCE_S)


@pytest.mark.full
async def test_two_of_three_relays_are_killed_under_load(tmp_path: Path) -> None:
    """Every call ends in an answer or in a clear error within its time, none runs twice, and a relay that
    is started again from nothing serves within five seconds.
    """
    with stage(tmp_path) as made:
        async with load(made) as found:
            await answered(found, 200)
            for address in made.relays[:2]:
                made.processes[address].kill()
                await answered(found, 200)
                began_s = time.monotonic()
                made.start_relay(address)
                async with Caller(address) as one:
                    await one.call("mark", {"name": f"back-{address}"}, within=PATIENCE_S)
                assert time.monotonic() - began_s < START_S * 3  # the machine is shared
                await answered(found, 200)
        assert set(found.outcomes.values()) <= {"answered", "lost"}
        lost = [name for name, outcome in found.outcomes.items() if outcome == "lost"]
        assert len(lost) <= 2 * CALLERS, found.errors
        assert found.longest_s < WITHIN_S + LIMIT_S
        ran = made.ran()
        assert not [name for name, times in ran.items() if times > 1], "no call runs twice"
        assert all(ran[name] == 1 for name, outcome in found.outcomes.items() if outcome == "answered")


@pytest.mark.full
async def test_a_frozen_relay_is_passed_by(tmp_path: Path) -> None:
    """Calls pass it within the first, short time; what was sent to it does not run when it thaws."""
    with stage(tmp_path) as made:
        async with load(made) as found:
            await answered(found, 100)
            frozen = made.processes[made.relays[0]]
            frozen.send(signal.SIGSTOP)
            frozen_s = time.monotonic()
            await answered(found, 300)
            later = {name for name in found.outcomes if found.began_s[name] > frozen_s + FRESH_S}
            assert later, "calls go on beside the frozen relay"
            assert all(found.outcomes[name] == "answered" for name in later), found.errors
            assert found.longest_s < SHORT_S, "the frozen relay costs its calls a short timeout"
            frozen.send(signal.SIGCONT)
            await answered(found, 200)
        assert not [name for name, times in made.ran().items() if times > 1], "no call runs twice"


POOL = """
[pools.marks]
modules = ["tests.e2e.calls_functions"]
functions = ["mark"]
max = 1
idle_ms = 500
"""


@pytest.mark.full
async def test_calls_start_a_minion_and_wait_for_it(tmp_path: Path) -> None:
    """Nobody is there: the calls have a process started, wait for it within their routing timeout, and it
    goes when there are no more.
    """
    write(tmp_path / "jobstream.toml", POOL)
    address, runs = f"127.0.0.1:{free_port()}", tmp_path / "runs"
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "RUNS": str(runs)}
    command = [sys.executable, "-m", "jobstream", "relay", "--calls-only"]
    log = tmp_path / "relay.log"
    relay = Child.start([*command, "--relay", address], log=log, cwd=tmp_path, env=environ)
    try:
        async with Caller(address) as caller:
            names = [f"cold-{number}" for number in range(8)]
            calls = (
                caller.call("mark", {"name": name}, first=PATIENCE_S, within=PATIENCE_S) for name in names
            )
            assert await asyncio.gather(*calls) == names

        async def gone() -> bool:
            return log.read_text().count("session closed") == 1

        await eventually_async(gone, PATIENCE_S)
    finally:
        relay.stop()
    assert sorted(runs.read_text().split()) == names


def write(path: Path, text: str) -> None:
    """A file."""
    path.write_text(text)


@pytest.mark.full
async def test_all_minions_are_overloaded(tmp_path: Path) -> None:
    """Timeouts grow, and every call ends: in an answer, or as not taken by anybody."""
    from jobstream import CallNotTaken

    with stage(tmp_path) as made:
        async with load(made) as found, Caller(made.relays) as caller:
            found.stop()

            async def one(number: int) -> str:
                try:
                    return str(await caller.call("slow", {"name": f"slow-{number}"}, within=2.0))
                except CallNotTaken:
                    return "not taken"

            ends = Counter(await asyncio.gather(*(one(number) for number in range(40))))
        answered_count = 40 - ends["not taken"]
        assert ends["not taken"] > 0
        assert answered_count > 0
        ran = made.ran()
        assert sum(ran[f"slow-{number}"] for number in range(40)) == answered_count, (
            "what was not taken never ran"
        )
