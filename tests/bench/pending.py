"""A million delayed jobs: what they cost in memory, how long they take to restore, what they do to others.

Owns the measurement. Their rows are written to the state topic as the service would have left them, before
anything else starts; then a whole cluster comes up on them.
"""

import json
import os
import re
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from jobstream.cluster import Broker
from schemas.codec import encode
from schemas.events import JobRequest, JobRow
from schemas.keys import home
from schemas.records import replace
from schemas.topics import Topics
from streams.broker import Broker as Topicmaker
from streams.core import job
from streams.core.admission import Position, admit
from streams.core.events import Source, Submitted
from streams.core.rejection import Rejection
from tests.bench import pages
from tests.bench.figures import Figure, Say, figure, percentile
from tests.bench.functions import noop
from tests.bench.stage import ARGS, PREFIX, Stage, stage_on
from tests.bench.timers import late_ms
from tests.waiting import eventually

NAMES: Final = (
    "restore_s_100k",
    "restore_s_1m",
    "restore_snapshot_s_1m",
    "restore_s_20k_of_1m",
    "restore_snapshot_s_20k_of_1m",
    "rss_mb_1m_delayed",
    "timer_lateness_1m_ms_p50",
    "timer_lateness_1m_ms_p99",
    "streams_us_per_job_1m",
    *pages.NAMES,
)
FEWEST: Final = 10_000
FEW: Final = 100_000
MANY: Final = 1_000_000
LIVE: Final = 20_000
VERSIONS: Final = 50
"""Of each of so many rows in a changelog that was never compacted."""
JOBS: Final = 5_000
"""Ended beside those that wait, for what they cost."""
TIMED: Final = 1_000
DAY_MS: Final = 86_400_000
PATIENCE_S: Final = 120.0
RECOVERED: Final = re.compile(r"recovered partitions=\d+ rows=(\d+) .* in ([\d.]+) s")
KIB_PER_MB: Final = 1_000_000 / 1_024


async def measure(runs: int, say: Say) -> list[Figure]:
    """Each number of waiting jobs once: a run takes minutes."""
    del runs
    restores, costs, lateness = {}, {}, {}
    rss_mb = again_s = 0.0
    shown: list[Figure] = []
    for pending in (0, FEWEST, FEW, MANY):
        with ExitStack() as stack:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobstream-bench-")))
            broker = stack.enter_context(Broker.start(data / "kafka", tell=lambda _: None))
            say(f"writing {pending} delayed jobs")
            await write(broker.bootstrap, pending)
            async with stage_on(say, data, bootstrap=broker.bootstrap) as made:
                restores[pending] = _restored_s(made, pending)
                rss_mb = _rss_mb(made)
                say(f"jobs beside {pending} delayed ones")
                costs[pending] = await _cost_us(made)
                lateness[pending] = await late_ms(made, TIMED)
                if pending == MANY:
                    say("the dashboard beside them")
                    shown = await pages.measure(made)
                    again_s = _again_s(made, say, pending)
    long_s, tail_s = await _long_log(say)
    late = {many: [percentile(found, share) for share in (0.5, 0.99)] for many, found in lateness.items()}
    figures = [
        figure("restore_s_100k", "s", [restores[FEW]]),
        figure("restore_s_1m", "s", [restores[MANY]]),
        figure("restore_snapshot_s_1m", "s", [again_s]),
        figure("restore_s_20k_of_1m", "s", [long_s]),
        figure("restore_snapshot_s_20k_of_1m", "s", [tail_s]),
        figure("rss_mb_1m_delayed", "MB", [rss_mb]),
    ]
    for place, name in enumerate(("p50", "p99")):
        none, fewest, few, many = (late[pending][place] for pending in (0, FEWEST, FEW, MANY))
        beside = {"beside_none": none, "beside_10k": fewest, "beside_100k": few}
        figures.append(figure(f"timer_lateness_1m_ms_{name}", "ms", [many], **beside))
    beside = {"beside_none": costs[0], "beside_100k": costs[FEW]}
    return [*figures, figure("streams_us_per_job_1m", "us", [costs[MANY]], **beside), *shown]


async def _long_log(say: Say) -> tuple[float, float]:
    """Seconds to restore few rows of which the log has many versions: from the log, and from snapshots."""
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobstream-bench-")))
        broker = stack.enter_context(Broker.start(data / "kafka", tell=lambda _: None))
        say(f"writing {LIVE} delayed jobs {VERSIONS} times")
        await write(broker.bootstrap, LIVE, VERSIONS)
        async with stage_on(say, data, bootstrap=broker.bootstrap) as made:
            return _restored_s(made, LIVE), _again_s(made, say, LIVE)


async def write(bootstrap: str, count: int, versions: int = 1) -> None:
    """Rows of delayed jobs, due over a day from tomorrow on; so many times each, in rounds."""
    topics = Topics(PREFIX)
    await Topicmaker(bootstrap, topics).prepare()
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 50})
    now_ms = time.time_ns() // 1_000_000
    pattern = _row(topics, now_ms)
    for number in range(count * versions):
        id = f"{number % count:015d}{now_ms:011X}"
        at_ms = now_ms + DAY_MS + DAY_MS * (number % count) // count
        number_home = home(id, topics.partitions)
        spec = replace(
            pattern.spec,
            id=id,
            key=id,
            partition=number_home,
            created_at_ms=now_ms + number,
            run_at_ms=at_ms,
            content_hash=os.urandom(16).hex(),
        )
        row = encode(replace(pattern, spec=spec, due_at_ms=at_ms))
        while True:
            try:
                producer.produce(topics.state, row, f"j:{id}", number_home)
            except BufferError:
                producer.poll(0.1)
            else:
                break
    assert producer.flush(60) == 0


def _row(topics: Topics, now_ms: int) -> JobRow:
    request = JobRequest(
        id="x",
        function=noop.name,
        key="x",
        args=json.dumps([ARGS]).encode(),
        content_type="application/json",
        run_at_ms=now_ms + DAY_MS,
    )
    spec = admit(request, None, Position(topics.requests, 0, 0, now_ms), topics.partitions)
    assert not isinstance(spec, Rejection), spec
    step = job.step(None, Submitted(now_ms, Source.REQUESTS, -1, spec))
    assert not isinstance(step, Rejection)
    assert step.job is not None
    return step.job


def _restored_s(made: Stage, pending: int) -> float:
    """What the worker's first recovery took, from its assignment on."""
    if not pending:
        return 0.0
    said = (made.cluster.logs / "streams.log").read_text()
    found = [match for match in RECOVERED.finditer(said) if int(match[1]) >= pending]
    assert found, f"the worker must have recovered {pending} rows"
    return float(found[-1][2])


def _again_s(made: Stage, say: Say, pending: int) -> float:
    """The same after kill -9, from the snapshots of before."""
    say("waiting for snapshots")
    shelf = made.cluster.logs.parent / "snapshots"
    eventually(lambda: len(list(shelf.glob("*/*/*.snapshot"))) == Topics(PREFIX).partitions, PATIENCE_S)
    log = made.cluster.logs / "streams.log"
    before = len(RECOVERED.findall(log.read_text()))
    os.kill(made.cluster.pid("streams"), 9)
    eventually(lambda: len(RECOVERED.findall(log.read_text())) > before, PATIENCE_S)
    return _restored_s(made, pending)


def _rss_mb(made: Stage) -> float:
    status = Path(f"/proc/{made.cluster.pid('streams')}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None, "Linux tells the most memory that a process has had"
    return int(match[1]) / KIB_PER_MB


async def _cost_us(made: Stage) -> float:
    """CPU of the streams worker for one no-op job."""
    made.ends.begin(JOBS)
    before = made.usage()
    await made.client.submit_many(noop.request(ARGS) for _ in range(JOBS))
    await made.reached(PATIENCE_S)
    return made.usage().since(before).per(JOBS)["streams"]
