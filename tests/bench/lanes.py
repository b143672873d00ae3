"""Parallel Consumer's table on the whole service: 10,000 jobs of 0 to 5 ms on ONE partition, 100 at once,
with key order, retries and dead letters on.

Owns the measurement. Its own (README of confluentinc/parallel-consumer, "Comparative performance of order
modes and key spaces", 16 threads): 26.743 s with one key (22.221 s in partition order), 3.310 s with 10,
2.056 s with 1,000; these without a broker, for its consumer and producer were mocks in memory.

Here the jobs are in their dispatch topic, as far as lanes go ahead, before the clock runs: from the word that
lets the minion connect until the last final fact was read from Kafka.

Measured for both kinds of key order: `lanes_s_...` where the next of a key waits until the receipt of the one
before is durable, which is more than Parallel Consumer promises, and `lanes_ahead_s_...` where it does not,
as there.
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, Producer, TopicPartition

from jobstream.client import Client
from jobstream.cluster.up import Cluster, connects
from jobstream.functions import Submission
from schemas.codec import decode, encode
from schemas.events import Dispatch, Fact, Receipt
from schemas.settings import Settings
from schemas.topics import Topics
from schemas.words import ORDER_KEY, ORDER_KEY_AHEAD, FactKind, LanePolicy
from tests.bench.ends import Ends, JobFailed
from tests.bench.figures import ROOT, Figure, Say, figure
from tests.bench.lane_minion import FAILS, FAILS_ONCE, FUNCTION, lane
from tests.bench.relay import broker, make_topics, one, relay, remove_topics
from tests.bench.usage import Spent, Usage
from tests.fakes.minion import FakeMinion
from tests.waiting import eventually

JOBS: Final = 10_000
MS_END: Final = 5
"""As theirs, a job takes whole milliseconds below this: 2 on average."""
PREFIX: Final = "bench."
PATIENCE_S: Final = 120.0
FAILING_ONCE: Final = 100
FAILING: Final = 10
LANES: Final = "default"


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    keys: int
    policy: LanePolicy = LanePolicy.GOES_ON
    failing: bool = False

    @property
    def name(self) -> str:
        """Of its figure."""
        ahead = "_ahead" if self.policy is LanePolicy.AHEAD else ""
        return f"lanes{ahead}_s_keys_{self.keys}{'_failing' if self.failing else ''}"

    def queue(self, run: int) -> str:
        """Its own in each run."""
        return f"{self.name.replace('_', '-')}-{run}"


KEYS: Final = (1, 10, 1_000)
CASES: Final = tuple(Case(keys) for keys in KEYS)
AHEAD_CASES: Final = tuple(Case(keys, LanePolicy.AHEAD) for keys in KEYS)
RELAY_NAMES: Final = tuple(f"relay_{case.name}" for case in (*CASES, *AHEAD_CASES))
STRICT: Final = (*CASES, Case(1_000, failing=True))
AHEAD: Final = (*AHEAD_CASES, Case(1_000, LanePolicy.AHEAD, failing=True))
NAMES: Final = tuple(case.name for case in STRICT)
AHEAD_NAMES: Final = tuple(case.name for case in AHEAD)


async def measure(runs: int, say: Say) -> list[Figure]:
    """Where the next waits for a durable receipt."""
    return await _measure(STRICT, runs, say)


async def measure_ahead(runs: int, say: Say) -> list[Figure]:
    """Where it does not."""
    return await _measure(AHEAD, runs, say)


async def _measure(cases: Sequence[Case], runs: int, say: Say) -> list[Figure]:
    """Every case `runs` times, on one cluster, each with a queue of its own."""
    ordered = [f"{case.queue(run)}={case.policy}" for run in range(runs) for case in cases]
    found: dict[Case, list[float]] = {case: [] for case in cases}
    spent: dict[Case, list[Spent]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory(prefix="jobstream-bench-") as data, ExitStack() as stack:
        say("starting a cluster")
        settings = Settings(ordered=",".join(ordered), partitions=1)
        cluster = stack.enter_context(
            Cluster.start(settings, data=Path(data), prefix=PREFIX, free_ports=True, say=lambda _: None)
        )
        ends = stack.enter_context(Ends(cluster.bootstrap, Topics(PREFIX).facts))
        async with Client(
            f"kafka://{cluster.bootstrap}", prefix=PREFIX, web=f"http://{cluster.web}"
        ) as client:
            for run in range(runs):
                for case in cases:
                    say(f"run {run + 1} of {runs}: {case.name}")
                    took_s, used = await _run(
                        cluster, client, ends, case.queue(run), case.keys, failing=case.failing
                    )
                    found[case].append(took_s)
                    spent[case].append(used)
                    say(f"{took_s:.2f} s, others {used.others_percent:.0f} %")
    return [
        figure(
            case.name,
            "s",
            found[case],
            jobs=JOBS,
            keys=case.keys,
            us_per_job=[used.per(JOBS) for used in spent[case]],
            others_cpu_percent=[round(used.others_percent, 1) for used in spent[case]],
        )
        for case in cases
    ]


async def relay_alone(runs: int, say: Say) -> list[Figure]:
    """The same on a relay alone: the jobs are in the dispatch topic of one partition, and the clock runs
    until the last receipt was read from Kafka. Nothing decides about retries here.
    """
    cases = (*CASES, *AHEAD_CASES)
    found: dict[Case, list[float]] = {case: [] for case in cases}
    with broker() as (bootstrap, _):
        for run in range(1, runs + 1):
            for case in cases:
                say(f"run {run} of {runs}: relay alone, {case.name}")
                found[case].append(await asyncio.to_thread(_run_alone, bootstrap, case))
                say(f"{found[case][-1]:.2f} s")
    return [figure(f"relay_{case.name}", "s", found[case], jobs=JOBS, keys=case.keys) for case in cases]


def _run_alone(bootstrap: str, case: Case) -> float:
    topics = Topics(f"bench{uuid.uuid4().hex[:6]}.", 1)
    make_topics(bootstrap, topics, 1)
    producer = Producer({"bootstrap.servers": bootstrap, "queue.buffering.max.messages": JOBS + 1})
    for dispatch in _dispatches(case):
        producer.produce(topics.dispatch(LANES), encode(dispatch), dispatch.key, 0)
    assert producer.flush(60) == 0
    receipts = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "fetch.wait.max.ms": 20})
    receipts.assign([TopicPartition(topics.receipts, 0, 0)])
    try:
        with relay(bootstrap, topics.prefix) as (address, _):
            eventually(lambda: connects(address), 30)
            with _minion(address, LANES) as minion:
                began_s = time.monotonic()
                _say(minion)
                seen: list[Receipt] = []
                while len(seen) < JOBS:
                    if time.monotonic() - began_s > PATIENCE_S:
                        raise JobFailed(f"{len(seen)} of {JOBS} jobs ended within {PATIENCE_S:g} s")
                    messages = receipts.consume(JOBS, 0.02)
                    seen += [decode(message.value() or b"", (Receipt,)) for message in messages]
                took_s = time.monotonic() - began_s
    finally:
        receipts.close()
        remove_topics(bootstrap, topics)
    if Counter(receipt.outcome for receipt in seen) != {"success": JOBS}:
        raise JobFailed(f"each job must succeed once, got {Counter(receipt.outcome for receipt in seen)}")
    return took_s


def _dispatches(case: Case) -> Iterator[Dispatch]:
    """Every job after the one before it of its key."""
    order = ORDER_KEY_AHEAD if case.policy is LanePolicy.AHEAD else ORDER_KEY
    before: dict[str, str] = {}
    for number, submission in enumerate(_submissions(LANES, case.keys, failing=False)):
        key, job = submission.key or "", f"01M7Z32DHVY365BZR0TKDM{number:06d}"
        yield replace(
            one(job, key),
            partition=0,
            queue=LANES,
            function=FUNCTION,
            args=json.dumps(submission.args).encode(),
            order=order,
            after_job=before.get(key),
            after_epoch=1 if key in before else None,
        )
        before[key] = job


async def _run(
    cluster: Cluster, client: Client, ends: Ends, queue: str, keys: int, *, failing: bool
) -> tuple[float, Spent]:
    """Seconds for all jobs, and the CPU meanwhile."""
    submissions = list(_submissions(queue, keys, failing=failing))
    async with FakeMinion(cluster.relay, "gate", functions=[FUNCTION], queues=[queue], capacity=1):
        ends.begin(JOBS)
        await client.submit_many(submissions)
        await asyncio.to_thread(eventually, lambda: _admitted(cluster, queue) == JOBS, 60)
        with _minion(cluster.relay, queue) as minion:
            before = Usage.now({name: cluster.pid(name) for name in cluster.names} | {"minion": minion.pid})
            began_s = time.monotonic()
            _say(minion)
            reached_s = await asyncio.to_thread(ends.reached, PATIENCE_S)
            spent = Usage.now(
                {name: cluster.pid(name) for name in cluster.names} | {"minion": minion.pid}
            ).since(before)
    _check(ends, failing=failing)
    return reached_s - began_s, spent


def _submissions(queue: str, keys: int, *, failing: bool) -> Iterator[Submission]:
    chance = random.Random(keys)
    fails = dict.fromkeys(range(0, FAILING_ONCE * 50, 50), FAILS_ONCE) if failing else {}
    fails |= dict.fromkeys(range(25, FAILING * 500, 500), FAILS) if failing else {}
    for number in range(JOBS):
        args = {"ms": int(chance.random() * MS_END), "fails": fails.get(number, "")}
        yield replace(lane.request(**args), queue=queue, key=f"key-{number % keys}")


def _admitted(cluster: Cluster, queue: str) -> int:
    """How many jobs of the queue wait for their turn or for a minion."""
    with urllib.request.urlopen(f"http://{cluster.web}/jobstream/counts", timeout=5) as answer:
        counts = json.load(answer)
    return sum(counts["queues"].get(queue, {}).values())


@contextmanager
def _minion(relay: str, queue: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.bench.lane_minion", relay, queue]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        _say(child)
        child.communicate(timeout=30)


def _say(child: "subprocess.Popen[str]") -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def _check(ends: Ends, *, failing: bool) -> None:
    """Every job ended once, as it was told to."""
    facts = [decode(value, (Fact,)) for value in ends._facts]
    kinds = Counter(fact.fact for fact in facts)
    wanted = {FactKind.SUCCEEDED: JOBS - (FAILING if failing else 0)}
    if failing:
        wanted[FactKind.DIED] = FAILING
    if kinds != wanted or len({fact.job for fact in facts}) != JOBS:
        raise JobFailed(f"each job must end once, as it was told to: wanted {wanted}, got {kinds}")
