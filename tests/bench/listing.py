"""Lists over a million jobs: how long a page takes, and how long the decisions beside it stand still.

Owns the measurement: the rows and the answers of a worker in this process, without Kafka; another task asks
for its turn all the while, as the agent would.
"""

import asyncio
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any, Final

from schemas.events import JobRequest, JobRow, JobSpec
from schemas.keys import home
from schemas.topics import Topics
from streams.core import job
from streams.core.admission import Position, admit
from streams.core.events import Source, Submitted
from streams.partition import Partition
from streams.queues import Queues
from streams.web.answers import Answers
from tests.bench.figures import Figure, Say, figure

NAMES: Final = (
    "list_first_page_ms_1m",
    "list_next_page_ms_1m",
    "list_by_tag_ms_1m",
    "list_none_by_phase_ms_1m",
    "list_pause_ms_1m",
)
JOBS: Final = 1_000_000
PARTITIONS: Final = 8
APART_MS: Final = 5
"""Between two jobs: so they came within an hour and a half."""
DAY_MS: Final = 86_400_000
PAGE: Final = 100


async def measure(runs: int, say: Say) -> list[Figure]:
    """Each list `runs` times over the same million."""
    say(f"making {JOBS} rows")
    answers, now_ms = _worker()
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for run in range(1, runs + 1):
        say(f"run {run} of {runs}")
        first = await _timed(answers, found, NAMES[0], {"limit": str(PAGE)})
        middle = f"{now_ms - JOBS * APART_MS // 2}/x"
        await _timed(answers, found, NAMES[1], {"limit": str(PAGE), "after": middle})
        await _timed(answers, found, NAMES[2], {"limit": str(PAGE), "tag": "even"})
        await _timed(answers, found, NAMES[3], {"limit": str(PAGE), "phase": "dead"})
        assert len(first["jobs"]) == PAGE
    return [figure(name, "ms", found[name], jobs=JOBS) for name in NAMES]


async def _timed(
    answers: Answers, found: dict[str, list[float]], name: str, asked: dict[str, str]
) -> dict[str, Any]:
    """One list, and the longest that another task waited for its turn meanwhile."""
    over = asyncio.Event()
    pauses = Counter[str]()

    async def others() -> None:
        last_s = time.perf_counter()
        while not over.is_set():
            await asyncio.sleep(0)
            now_s = time.perf_counter()
            pauses["worst"] = max(pauses["worst"], round((now_s - last_s) * 1e6))
            last_s = now_s

    beside = asyncio.create_task(others())
    await asyncio.sleep(0)
    began_s = time.perf_counter()
    page = await answers.jobs(asked)
    found[name].append((time.perf_counter() - began_s) * 1e3)
    over.set()
    await beside
    found[NAMES[-1]].append(pauses["worst"] / 1e3)
    return page


def _worker() -> tuple[Answers, int]:
    """The answers of a worker with all partitions, and the time in it, epoch ms."""
    topics = Topics("bench.", PARTITIONS)
    partitions = {number: Partition(number, topics, Queues(["default"])) for number in range(PARTITIONS)}
    start_ms = 1_790_000_000_000
    for number in range(JOBS):
        row = _row(number, start_ms + number * APART_MS)
        rows = partitions[row.spec.partition].rows
        rows.at(row.spec.created_at_ms)
        rows.keep_job(row.spec.id, row)
    now_ms = start_ms + JOBS * APART_MS
    shell = SimpleNamespace(
        partitions=partitions,
        topics=topics,
        recovered_line="recovered",
        ticker=SimpleNamespace(now_ms=lambda: now_ms),
    )
    return Answers(shell), now_ms  # type: ignore[arg-type]  # the parts that answers look at


def _row(number: int, at_ms: int) -> JobRow:
    id = f"job-{number:07}"
    request = JobRequest(
        function="bench.noop",
        id=id,
        key=id,
        args=b'{"to":"somebody@example.org"}',
        tags=("even",) if number % 2 == 0 else (),
        run_at_ms=at_ms + DAY_MS,
    )
    spec = admit(request, None, Position("r", home(id, PARTITIONS), number, at_ms), PARTITIONS)
    assert isinstance(spec, JobSpec), spec
    step = job.step(None, Submitted(at_ms, Source.REQUESTS, number, spec))
    assert isinstance(step, job.Step)
    assert step.job is not None
    return step.job
