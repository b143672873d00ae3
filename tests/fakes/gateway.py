"""The HTTP service without Kafka: the real state machine in this process is its desk and pages."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx

from jobstream.errors import JobUnknown
from jobstream.testing.machine import Machine
from jobstream.testing.pages import LocalPages
from relay.core.tokens import Tokens
from relay.doors.dashboard.app import Dashboard
from relay.doors.dashboard.live import Live
from relay.doors.dashboard.signin import SignIn
from relay.doors.http.app import create_app
from relay.doors.http.desk import Ask, Fits, Told
from relay.doors.http.door import Door
from relay.doors.http.metrics import Metrics
from relay.doors.http.problem import Problem
from schemas.events import DeadLetter, Fact
from schemas.letters import standing
from schemas.times import format_time
from schemas.topics import Topics
from schemas.words import PHASES_TERMINAL
from tests.fakes.outlook import FakeOutlook

SECRET = b"a secret of sixteen bytes or more"


class Away(Exception):
    """Kafka does not answer."""


class MachineDesk:
    """Kafka with one partition, decided at once."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.written: list[Ask] = []
        self.pauses: list[tuple[str, str | None, bool]] = []
        self.away = False
        self.silent = False
        self._facts: list[tuple[int, Fact]] = []
        self.facts_so_far: list[Fact] = []
        machine.on_fact = self._keep

    def _keep(self, offset: int, fact: Fact) -> None:
        self._facts.append((offset, fact))
        self.facts_so_far.append(fact)

    @property
    def topics(self) -> Topics:
        """The topics."""
        return self.machine.topics

    async def write(self, asks: Sequence[Ask]) -> None:
        """Appends and decides; with `silent` it only appends."""
        await self.check()
        for ask in asks:
            self.written.append(ask)
            if not self.silent:
                self.machine.write(ask.topic, ask.value, ask.record_key.encode())

    async def decide(self, asks: Sequence[Ask], fits: Fits, within_s: float) -> list[Fact | None]:
        """The first fact of each that came with its write."""
        assert within_s > 0
        found: list[Fact | None] = []
        for ask in asks:
            before = len(self._facts)
            await self.write([ask])
            facts = [fact for _, fact in self._facts[before:] if fact.job == ask.id and fits(fact)]
            found.append(facts[0] if facts else None)
        return found

    async def run(self, ask: Ask, within_s: float) -> bool:
        """Writes; jobs end only by what the test does."""
        await self.write([ask])
        return await self.ended(ask.id, ask.job_key or ask.id, ask.partition, within_s)

    async def ended(self, id: str, key: str, partition: int, within_s: float) -> bool:
        """Waits until the job has ended."""
        assert key
        assert partition == 0
        try:
            async with asyncio.timeout(within_s):
                while (  # noqa: ASYNC110  # the machine tells nobody
                    row := self.machine.job(id)
                ) is None or row.phase not in PHASES_TERMINAL:
                    await asyncio.sleep(0.001)
        except TimeoutError:
            return False
        return True

    async def facts(self, start: dict[int, int]) -> AsyncIterator[Told | None]:
        """Facts from an offset on, then one None, then the end."""
        first = start.setdefault(0, self.machine.facts_end())
        for offset, fact in self._facts:
            if offset >= first:
                yield Told(0, offset, fact)
        yield None

    async def history(
        self, id: str, partition: int, since_ms: int, until_ms: int | None
    ) -> tuple[list[Fact], bool]:
        """All of them."""
        assert partition == 0
        assert until_ms is None or since_ms <= until_ms
        return [fact for _, fact in self._facts if fact.job == id], True

    async def dead_letters(self, since_ms: int) -> list[DeadLetter]:
        """Those that stand."""
        return [letter for letter in standing(self.machine.dead) if letter.at_ms >= since_ms]

    async def lags(self) -> Mapping[str, int]:
        """Dispatches that nobody has begun."""
        return Counter(dispatch.queue for dispatch in self.machine.ready.values())

    async def pause(self, queue: str, note: str | None, *, paused: bool) -> int:
        """Remembered."""
        await self.check()
        self.pauses.append((queue, note, paused))
        return len(self.pauses)

    async def check(self) -> None:
        """Away if the test says so."""
        if self.away:
            raise Away("Kafka does not answer at nowhere")


class MachinePages:
    """The pages of the machine."""

    def __init__(self, machine: Machine) -> None:
        self._pages = LocalPages(machine)
        self._machine = machine
        self.away: str | None = None
        """If set, no worker can tell of counts, with this sentence."""
        self.asked = asyncio.Event()
        """They were asked for a job."""

    async def job(self, id: str, key: str | None) -> dict[str, Any]:
        """One job."""
        self.asked.set()
        try:
            return self._pages.status(id, key)
        except JobUnknown as unknown:
            raise Problem(HTTPStatus.NOT_FOUND, str(unknown), "unknown_job") from None

    async def jobs(self, query: Mapping[str, str]) -> dict[str, Any]:
        """The jobs of a queue; of all of them without one."""
        queues = sorted({row.spec.queue for row in self._machine.jobs()}) or ["default"]
        wanted = [query["queue"]] if "queue" in query else queues
        lists = [self._pages.list(queue, query.get("phase")) for queue in wanted]
        jobs = [
            job
            for each in lists
            for job in each["jobs"]
            if all(job[name] == query.get(name, job[name]) for name in ("function", "key"))
            and query.get("tag", "") in ("", *job["tags"])
        ]
        total = sum(each["total"] for each in lists)
        return {**lists[0], "queue": query.get("queue"), "total": total, "jobs": jobs}

    async def counts(self) -> dict[str, Any]:
        """Counts."""
        if self.away is not None:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, self.away, "unavailable")
        return self._pages.counts()

    async def duties(self) -> dict[str, Any]:
        """Nothing is ever overdue here."""
        never = {"checked_at": None, "last_at": None, "done": 0, "overdue": 0}
        return {
            "now": format_time(self._machine.now_ms),
            "duties": dict.fromkeys(("due", "timed_out", "recurring", "purge"), never),
        }

    async def schedules(self) -> dict[str, Any]:
        """Schedules."""
        return self._pages.schedules()

    async def schedule(self, id: str) -> dict[str, Any]:
        """One schedule."""
        found = self._pages.schedules(id)
        if not found["schedules"]:
            raise Problem(HTTPStatus.NOT_FOUND, "none", "unknown_job")
        return found

    async def workers(self) -> list[dict[str, Any]]:
        """One, which has everything."""
        jobs = len(self._machine.jobs())
        told = {
            "web": "127.0.0.1:6066",
            "away": None,
            "ready": True,
            "partitions": [0],
            "partitions_total": 1,
        }
        return [{**told, "jobs": jobs, "schedules": 0, "leases": 0, "overdue": 0}]

    async def check(self) -> None:
        """They are always there."""


class Gateway:
    """A whole service in this process, and a client of it."""

    def __init__(
        self, *, tokens: Tokens | None = None, trusting: frozenset[str] = frozenset(), now_ms: int
    ) -> None:
        self.machine = Machine(Topics("t.", 1), now_ms)
        self.desk = MachineDesk(self.machine)
        self.pages = MachinePages(self.machine)
        self.door = Door(self.desk, self.pages, Metrics(), SECRET, "gateway:test", frozenset(trusting))
        self.tokens = Tokens({}) if tokens is None else tokens
        self.outlook = FakeOutlook(self.desk.facts_so_far)
        self.live = Live(self.pages, self.outlook, lambda: self.machine.now_ms)
        signin = SignIn(lambda: self.tokens, SECRET, lambda: self.machine.now_ms // 1_000)
        dashboard = Dashboard(self.door, self.live, self.outlook, signin, {Away: 503}, secure=False)
        self.app = create_app(
            self.door, lambda: self.tokens, {Away: 503}, loopback_only=not self.tokens, dashboard=dashboard
        )
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8088")

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        answer = await self.http.request(method, path, json=body, **more)
        return answer.status_code, answer.json()
