"""What several workers show is told as one, or not at all: never with something left out or twice."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from relay.doors.http import views
from relay.doors.http.problem import Problem
from relay.doors.http.views import WorkerPages

AT = "2027-01-15T08:00:0{}.000Z"
TOTAL = 4


@dataclass
class Office:
    """Workers by their address, each with its partitions, and what a test wants them to do."""

    partitions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    """Those that have partitions and none of their jobs."""
    asked: list[str] = field(default_factory=list)
    after: list[dict[str, tuple[int, ...]]] = field(default_factory=list)
    """What the partitions become, one with each question that is answered."""

    async def __call__(self, scope: Any, _: Any, send: Any) -> None:
        """ASGI."""
        worker = next(value.decode() for name, value in scope["headers"] if name == b"host")
        self.asked.append(worker)
        status, answer = self._answer(worker, scope["path"])
        if self.after:
            self.partitions = self.after.pop(0)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    def _answer(self, worker: str, path: str) -> tuple[int, dict[str, Any]]:
        if worker in self.away:
            return 503, {"error": f"{worker} is recovering"}
        has = self.partitions[worker]
        whose = {"now": AT.format(9), "partitions": list(has), "partitions_total": TOTAL}
        number = int(worker[1])
        if path.endswith("/duties"):
            last = AT.format(number) if number == 1 else None
            duty = {"checked_at": AT.format(number), "last_at": last, "done": number, "overdue": 1}
            return 200, {**whose, "duties": {"due": duty}}
        if path.endswith("/counts"):
            return 200, {**whose, "queues": {"mail": {"ready": len(has)}}}
        if path.endswith("/jobs"):
            jobs = [{"id": f"j{each}", "created_at": AT.format(each)} for each in has]
            return 200, {**whose, "queue": None, "phase": None, "total": len(has), "jobs": jobs, "next": None}
        id = int(path.rpartition("/j")[2])
        if id in has and worker not in self.lost:
            return 200, {"id": f"j{id}", "partition": id, **whose}
        return 503, {"error": "not here", "missing": [each for each in range(TOTAL) if each not in has]}


@pytest.fixture
def office() -> Office:
    """Two workers, which have all partitions between them."""
    return Office({"w1": (0, 1), "w2": (2, 3)})


@pytest.fixture
async def pages(office: Office, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkerPages]:
    """Their pages; nobody is waited for long."""
    monkeypatch.setattr(views, "AGAIN_S", (0.0, 0.0))
    made = WorkerPages(lambda: list(office.partitions), httpx.ASGITransport(office))
    yield made
    await made.close()


async def test_several_workers_are_told_as_one(pages: WorkerPages) -> None:
    """Lists are merged, counts added up, of times the latest; a job is found where it is."""
    assert [job["id"] for job in (await pages.jobs({"limit": "3"}))["jobs"]] == ["j3", "j2", "j1"]
    assert (await pages.counts())["queues"] == {"mail": {"ready": 4}}
    assert (await pages.duties())["duties"] == {
        "due": {"checked_at": AT.format(2), "last_at": AT.format(1), "done": 3, "overdue": 2}
    }
    assert [(await pages.job(f"j{number}", None))["id"] for number in range(TOTAL)] == [
        "j0",
        "j1",
        "j2",
        "j3",
    ]


async def test_an_unknown_job_is_404_only_if_all_partitions_were_asked(
    pages: WorkerPages, office: Office
) -> None:
    """While one of them is nobody's it can't be told."""
    with pytest.raises(Problem) as unknown:
        await pages.job("j9", None)
    assert unknown.value.status == 404
    office.partitions["w2"] = (3,)
    with pytest.raises(Problem) as untold:
        await pages.job("j2", None)
    assert (untold.value.status, untold.value.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize(
    ("partitions", "away"),
    [
        ({"w1": (0, 1), "w2": (2,)}, set()),
        ({"w1": (0, 1, 2), "w2": (2, 3)}, set()),
        ({"w1": (0, 1), "w2": (2, 3)}, {"w2"}),
        ({"w1": (0, 1)}, set()),
        ({}, set()),
    ],
    ids=["one is nobody's", "one is two workers'", "one recovers", "one is not known yet", "none is known"],
)
async def test_while_partitions_move_nothing_is_left_out(
    pages: WorkerPages, office: Office, partitions: dict[str, tuple[int, ...]], away: set[str]
) -> None:
    """Lists, counts and duties are 503 with Retry-After: not a part of them, and nothing twice."""
    office.partitions, office.away = partitions, away
    for ask in (pages.counts, pages.duties, lambda: pages.jobs({}), pages.check):
        with pytest.raises(Problem) as untold:
            await ask()
        assert (untold.value.status, untold.value.headers["Retry-After"]) == (503, "1")


async def test_of_two_workers_that_have_a_job_neither_is_believed(pages: WorkerPages, office: Office) -> None:
    """One was away and does not know yet that another took over: what it shows may be old, or not there."""
    office.partitions = {"w1": (0, 1, 2), "w2": (2, 3)}
    for office.lost in (set(), {"w1"}, {"w2"}):
        with pytest.raises(Problem) as untold:
            await pages.job("j2", None)
        assert (untold.value.status, "two workers" in untold.value.sentence) == (503, True)
    office.lost = set()
    assert (await pages.job("j3", None))["id"] == "j3"


async def test_who_asks_while_they_move_waits_a_moment(pages: WorkerPages, office: Office) -> None:
    """The second look finds them where they went."""
    office.partitions = {"w1": (0, 1, 2), "w2": (2, 3)}
    office.after = [office.partitions, {"w1": (0, 1, 2, 3)}]
    assert (await pages.counts())["queues"] == {"mail": {"ready": 4}}
    assert office.asked == ["w1", "w2", "w1"]
