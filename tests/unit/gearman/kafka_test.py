"""Background jobs as the requests that Kafka is given, and what the status pages say of them."""

from collections.abc import Mapping
from typing import Any

import pytest

from relay.core.call import Priority
from relay.doors.gearman.desk import Background, BadJob, Standing, Unclear
from relay.doors.gearman.kafka import FRESH_MS, KafkaDesk
from relay.requests import Refused, Taken
from relay.standings import Unclear as Untold
from schemas.events import JobRequest
from schemas.keys import home
from schemas.names import likely_homes, new_id

PARTITIONS = 8
NOW_MS = 1_800_000_000_000


class Requests:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written: list[JobRequest] = []
        self.full = False

    def new_id(self, key: str | None = None) -> str:
        """As the real one."""
        return new_id(None if key is None else home(key, PARTITIONS))

    def write(self, request: JobRequest, taken: Taken) -> None:
        """Keeps it; Kafka has it at once."""
        if self.full:
            raise Refused("Kafka is behind")
        self.written.append(request)
        taken(None)


class Standings:
    """What a test says that the pages show."""

    def __init__(self) -> None:
        self.jobs: dict[str, Mapping[str, Any]] = {}
        self.away = False

    async def job(self, id: str) -> Mapping[str, Any] | None:
        """A job; Unclear while the pages are away."""
        if self.away:
            raise Untold("no worker")
        return self.jobs.get(id)


class Desk:
    """The real desk between them, and its clock."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.requests, self.standings = Requests(), Standings()
        self.desk = KafkaDesk(self.requests, self.standings, lambda: self.now_ms)  # type: ignore[arg-type]
        self.taken: list[str | None] = []

    def submit(self, **fields: Any) -> str:
        """A job that is sound but for the fields."""
        sound = {
            "function": "f",
            "data": b"x",
            "content_type": "application/octet-stream",
            "unique": "",
            "priority": Priority.NORMAL,
            "run_at_ms": None,
        }
        return self.desk.submit(Background(**{**sound, **fields}), self.taken.append)


def test_a_request() -> None:
    """The data are the arguments, priorities are bands, a time is kept; no unique id is a policy but `-`."""
    its = Desk()
    id = its.submit(priority=Priority.HIGH, run_at_ms=NOW_MS + 1, unique="u")
    assert its.requests.written == [
        JobRequest(
            id=id,
            function="f",
            args=b"x",
            content_type="application/octet-stream",
            priority="high",
            run_at_ms=NOW_MS + 1,
        )
    ]
    assert its.taken == [None]


def test_equal_jobs_meet() -> None:
    """Two jobs whose data are their id have one key and a policy; their ids lead to its partition."""
    its = Desk()
    ids = [its.submit(once=True), its.submit(once=True), its.submit(once=True, data=b"y")]
    keys = [request.key for request in its.requests.written]
    assert keys[0] == keys[1] != keys[2]
    assert {request.unique for request in its.requests.written} == {"{}"}
    for id, key in zip(ids, keys, strict=True):
        assert likely_homes(id, PARTITIONS)[0] == home(str(key), PARTITIONS)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"function": "two words"}, "function must match"),
        ({"data": bytes(300_000)}, "data of a background job must be at most 262144 bytes, got 300000"),
        ({"run_at_ms": NOW_MS * 2}, "a job must be due within 400 days, got "),
    ],
)
def test_what_cannot_be(fields: dict[str, Any], sentence: str) -> None:
    """What the service would refuse is refused at once, and so is what Kafka has no room for."""
    its = Desk()
    with pytest.raises(BadJob, match=sentence):
        its.submit(**fields)
    its.requests.full = True
    with pytest.raises(BadJob, match="Kafka is behind"):
        its.submit()
    assert its.requests.written == []


async def test_how_far_a_job_is() -> None:
    """Known until it has ended; a job that was just submitted is known though no page shows it yet."""
    its = Desk()
    id = its.submit()
    assert await its.desk.standing(id) == Standing(known=True)
    its.standings.jobs[id] = {"phase": "leased", "done": 3, "total": 9}
    assert await its.desk.standing(id) == Standing(known=True, running=True, done=3, total=9)
    its.standings.jobs[id] = {"phase": "retrying", "done": None}
    assert await its.desk.standing(id) == Standing(known=True)
    its.standings.jobs[id] = {"phase": "succeeded"}
    assert await its.desk.standing(id) == Standing(known=False)
    its.standings.jobs.clear()
    its.now_ms += FRESH_MS + 1
    assert await its.desk.standing(id) == Standing(known=False)
    its.standings.away = True
    with pytest.raises(Unclear, match="no worker"):
        await its.desk.standing(id)
