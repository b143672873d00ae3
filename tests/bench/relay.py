"""How many no-ops a second a relay moves: a full dispatch topic, one relay process, one minion stream; and
what memory that takes.

Owns its topics, with a prefix of their own, and its processes. Takes the broker of JOBSTREAM_BOOTSTRAP, else
starts one. The figure without receipts is the push alone: the minion only grants credits, and each lease
stays with it. The raw gRPC stream that it is held against has the same batches of the same jobs.
"""

import asyncio
import multiprocessing
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from jobstream.cluster import Broker, Child, free_port
from schemas.codec import encode
from schemas.defaults import PARTITIONS
from schemas.events import Dispatch
from schemas.keys import home
from schemas.proto.relay_pb2 import (
    SUCCESS,
    BeatBatch,
    Credit,
    FromMinion,
    FromRelay,
    Hello,
    Receipt,
    ReceiptBatch,
)
from schemas.topics import Topics
from tests.bench.figures import Figure, Say, figure, percentile

METHOD = "/jobstream.Relay/Session"
CAPACITY = 500
PUSHED = 30_000
JOBS = 200_000
MANY = 1_000_000
SESSIONS = 500
PROBES = 500
WARM = 20
BATCH = 256
NAMES: Final = (
    "relay_push_per_s",
    "relay_receipts_per_s",
    "grpc_push_per_s",
    "grpc_receipts_per_s",
    "relay_dispatch_ms_p50",
    "relay_dispatch_ms_p99",
)
UNITS: Final = {name: "ms" if "_ms_" in name else "jobs/s" for name in NAMES}
MEMORY_NAMES: Final = (
    "relay_rss_mib_100k",
    "relay_rss_mib_1m",
    "relay_rss_mib_100k_beside_sessions",
    "relay_rss_mib_1m_beside_sessions",
)
NOW_MS = 1_800_000_000_000
EVERY_S = 0.001
OPTIONS = (("grpc.max_receive_message_length", 1 << 25), ("grpc.max_send_message_length", 1 << 25))


@dataclass(frozen=True)
class Run:
    """What one run found."""

    per_s: float
    relay_us: float
    kafka_us: float
    minion_us: float
    rss_first_mib: int
    rss_last_mib: int

    def costs(self) -> dict[str, float]:
        """CPU for each job."""
        found = {"relay": self.relay_us, "kafka": self.kafka_us, "minion": self.minion_us}
        return {name: round(cost_us, 1) for name, cost_us in found.items()}


@contextmanager
def broker() -> Iterator[tuple[str, int | None]]:
    """The address of a broker, and its process if it is ours."""
    if given := os.environ.get("JOBSTREAM_BOOTSTRAP"):
        yield given, None
        return
    with (
        tempfile.TemporaryDirectory(prefix="jobstream-bench-") as data,
        Broker.start(f"{data}/kafka") as started,
    ):
        yield started.bootstrap, started.pid


def make_topics(bootstrap: str, topics: Topics, partitions: int = PARTITIONS) -> None:
    """Makes what a relay needs."""
    names = (topics.receipts, topics.heartbeats, topics.dispatch("default"))
    new = [NewTopic(name, partitions, 1) for name in names]
    new += [NewTopic(name, 1, 1) for name in (topics.control, topics.config)]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.create_topics(new).values():
        done.result(timeout=30)


def remove_topics(bootstrap: str, topics: Topics) -> None:
    """Removes all topics of the prefix."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    own = [name for name in admin.list_topics(timeout=10).topics if name.startswith(topics.prefix)]
    for done in admin.delete_topics(own).values():
        done.result(timeout=30)


def fill(bootstrap: str, topics: Topics, jobs: int) -> None:
    """Writes the dispatches."""
    producer = Producer({"bootstrap.servers": bootstrap, "queue.buffering.max.messages": jobs + 1})
    for number in range(jobs):
        dispatch = one(f"01M7Z32DHVY365BZR0TKDM{number:06d}", f"key-{number % 10_000}")
        producer.produce(topics.dispatch("default"), encode(dispatch), dispatch.key, dispatch.partition)
        if number % 10_000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0


def one(job: str, key: str) -> Dispatch:
    """A dispatch of a no-op with 200 bytes of arguments."""
    return Dispatch(
        job=job,
        key=key,
        partition=home(key, PARTITIONS),
        queue="default",
        function="noop",
        attempt=1,
        epoch=1,
        args=b"x" * 200,
        content_type="application/json",
        timeout_ms=60_000,
        heartbeat_timeout_ms=4_000,
        created_at_ms=NOW_MS,
        dispatched_at_ms=NOW_MS,
    )


class Minion:
    """One raw stream that answers whole batches at once."""

    def __init__(self, address: str, *, answers: bool, name: str = "bench") -> None:
        self._name = name
        channel: Any = grpc.aio.insecure_channel(address, options=OPTIONS)
        self._channel = channel
        self._call: Any = channel.stream_stream(METHOD)(wait_for_ready=True)
        self._answers = answers
        self._number = 0
        self.jobs = 0
        self.stored = 0
        self.first_s = 0.0
        self._beat_s = 0.0

    async def open(self, more: int | None = None) -> None:
        """Says hello and grants all it has, or so many."""
        capacity = CAPACITY if self._answers else PUSHED
        hello = Hello(
            protocol=1, minion=self._name, queues=["default"], functions=["noop"], capacity=capacity
        )
        await self._call.write(FromMinion(hello=hello).SerializeToString())
        await self._call.read()
        credit = Credit(more=capacity if more is None else more)
        await self._call.write(FromMinion(credit=credit).SerializeToString())

    async def run(self, jobs: int, look: Callable[[], None] | None = None) -> None:
        """Works until so many jobs came and, if it answers, were stored; looks once after a tenth of them."""
        while self.jobs < jobs or (self._answers and self.stored < jobs):
            message = FromRelay.FromString(await self._call.read())
            kind = message.WhichOneof("message")
            if kind == "receipts_stored":
                self.stored = message.receipts_stored.up_to
            elif kind == "jobs":
                await self._work(message.jobs.jobs)
            if look is not None and self.jobs > jobs // 10:
                look()
                look = None
            if time.monotonic() - self._beat_s > 1:
                self._beat_s = time.monotonic()
                await self._call.write(FromMinion(beats=BeatBatch()).SerializeToString())

    async def _work(self, jobs: Any) -> None:
        if not self.jobs:
            self.first_s = time.monotonic()
        self.jobs += len(jobs)
        if not self._answers:
            return
        receipts = []
        for job in jobs:
            self._number += 1
            receipts.append(
                Receipt(
                    number=self._number, job=job.id, epoch=job.epoch, outcome=SUCCESS, started_at_ms=NOW_MS
                )
            )
        await self._call.write(FromMinion(receipts=ReceiptBatch(receipts=receipts)).SerializeToString())
        await self._call.write(FromMinion(credit=Credit(more=len(jobs))).SerializeToString())

    async def one(self) -> float:
        """Takes one job and answers it; gives when it came."""
        while True:
            message = FromRelay.FromString(await self._call.read())
            if message.WhichOneof("message") == "jobs":
                came_s = time.monotonic()
                await self._work(message.jobs.jobs)
                return came_s

    async def close(self) -> None:
        """Hangs up."""
        self._call.cancel()
        await self._channel.close()


@contextmanager
def relay(bootstrap: str, prefix: str) -> Iterator[tuple[str, int]]:
    """A relay process: its address and pid."""
    address = f"127.0.0.1:{free_port()}"
    environ = {
        **os.environ,
        "JOBSTREAM_BOOTSTRAP": bootstrap,
        "JOBSTREAM_PREFIX": prefix,
        "JOBSTREAM_RELAY": address,
    }
    child = Child.start([sys.executable, "-m", "relay"], log=Path(os.devnull), env=environ)
    try:
        yield address, child.pid
    finally:
        child.stop()


def cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    parts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> int:
    """Memory of a process, resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20


async def throughput(bootstrap: str, kafka: int | None, jobs: int, *, answers: bool, idle: int = 0) -> Run:
    """One run from a full topic, beside so many idle sessions; `kafka` is the broker's process."""
    topics = Topics(f"bench{uuid.uuid4().hex[:6]}.")
    make_topics(bootstrap, topics)
    fill(bootstrap, topics, jobs)
    with relay(bootstrap, topics.prefix) as (address, pid):
        others = [Minion(address, answers=False, name=f"idle-{number}") for number in range(idle)]
        for other in others:
            await other.open(0)
        minion = Minion(address, answers=answers)
        await minion.open()
        began_cpu_s, own_cpu_s = cpu_s(pid), time.process_time()
        kafka_cpu_s = cpu_s(kafka) if kafka else 0.0
        rss_first = 0

        def look() -> None:
            nonlocal rss_first
            rss_first = rss_first or rss_mib(pid)

        await minion.run(jobs, look)
        took_s = time.monotonic() - minion.first_s
        found = Run(
            per_s=minion.jobs / took_s,
            relay_us=(cpu_s(pid) - began_cpu_s) / minion.jobs * 1e6,
            kafka_us=(cpu_s(kafka) - kafka_cpu_s) / minion.jobs * 1e6 if kafka else 0.0,
            minion_us=(time.process_time() - own_cpu_s) / minion.jobs * 1e6,
            rss_first_mib=rss_first,
            rss_last_mib=rss_mib(pid),
        )
        for each in (minion, *others):
            await each.close()
    await asyncio.to_thread(remove_topics, bootstrap, topics)
    return found


async def latency(bootstrap: str, jobs: int) -> list[float]:
    """From the dispatch's produce to the job's arrival at the minion, one at a time, in ms."""
    topics = Topics(f"bench{uuid.uuid4().hex[:6]}.")
    make_topics(bootstrap, topics)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "acks": "all"})
    with relay(bootstrap, topics.prefix) as (address, _):
        minion = Minion(address, answers=True)
        await minion.open()
        delays_ms = []
        for number in range(jobs + WARM):
            dispatch = one(f"job-{number}", f"key-{number}")
            began_s = time.monotonic()
            producer.produce(topics.dispatch("default"), encode(dispatch), dispatch.key, dispatch.partition)
            producer.poll(0)
            delays_ms.append((await minion.one() - began_s) * 1e3)
            await asyncio.sleep(EVERY_S)
        await minion.close()
    producer.flush(10)
    await asyncio.to_thread(remove_topics, bootstrap, topics)
    return delays_ms[WARM:]


def bare_stream(address: str, jobs: int) -> None:
    """The raw gRPC stream, as a process: sends the same batches of the same jobs, made beforehand, as fast as
    they are taken, and reads what comes without looking at it.
    """

    async def session(_: Any, context: Any) -> None:
        await context.read()
        await context.write(FromRelay().SerializeToString())
        batch = FromRelay()
        for number in range(BATCH):
            made = one(f"01M7Z32DHVY365BZR0TKDM{number:06d}", f"key-{number}")
            batch.jobs.jobs.add(id=made.job, epoch=1, key=made.key, function="noop", args=made.args or b"")
        raw = batch.SerializeToString()

        async def read() -> None:
            while await context.read() is not grpc.aio.EOF:  # type: ignore[attr-defined]  # its types forgot it
                pass

        reading = asyncio.create_task(read())
        for _ in range(-(-jobs // BATCH)):
            await context.write(raw)
        await reading

    async def serve() -> None:
        server = grpc.aio.server(options=OPTIONS)
        handler = grpc.stream_stream_rpc_method_handler(session)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("jobstream.Relay", {"Session": handler}),)
        )
        server.add_insecure_port(address)
        await server.start()
        await server.wait_for_termination()

    asyncio.run(serve())


async def limit(jobs: int, *, answers: bool) -> float:
    """Jobs a second of the raw gRPC stream to the same minion, with its receipts going back or without."""
    address = f"127.0.0.1:{free_port()}"
    child = multiprocessing.get_context("spawn").Process(
        target=bare_stream, args=(address, jobs), daemon=True
    )
    child.start()
    try:
        minion = Minion(address, answers=answers)
        await minion.open()
        minion.stored = jobs  # nothing acknowledges here
        await minion.run(jobs)
        per_s = minion.jobs / (time.monotonic() - minion.first_s)
        await minion.close()
        return per_s
    finally:
        child.terminate()
        child.join()


async def measure(runs: int, say: Say) -> list[Figure]:
    """Push, and push with receipts, each beside the raw stream; then one at a time."""
    values: dict[str, list[float]] = {name: [] for name in NAMES}
    costs: list[dict[str, float]] = []
    with broker() as (bootstrap, kafka):
        for run in range(1, runs + 1):
            say(f"run {run} of {runs}")
            values["grpc_push_per_s"].append(await limit(PUSHED, answers=False))
            values["relay_push_per_s"].append(
                (await throughput(bootstrap, kafka, PUSHED, answers=False)).per_s
            )
            values["grpc_receipts_per_s"].append(await limit(JOBS, answers=True))
            found = await throughput(bootstrap, kafka, JOBS, answers=True)
            values["relay_receipts_per_s"].append(found.per_s)
            costs.append(found.costs())
            delays_ms = await latency(bootstrap, PROBES)
            values["relay_dispatch_ms_p50"].append(percentile(delays_ms, 0.5))
            values["relay_dispatch_ms_p99"].append(percentile(delays_ms, 0.99))
    more: dict[str, dict[str, Any]] = {
        "relay_receipts_per_s": {"us_per_job": costs, "jobs": JOBS},
        "relay_push_per_s": {"jobs": PUSHED},
    }
    return [figure(name, UNITS[name], values[name], **more.get(name, {})) for name in NAMES]


async def measure_memory(runs: int, say: Say) -> list[Figure]:
    """What a relay has of memory after a tenth of a million jobs and after all of them, beside idle sessions
    and without any.
    """
    values: dict[str, list[float]] = {name: [] for name in MEMORY_NAMES}
    with broker() as (bootstrap, kafka):
        for run in range(1, runs + 1):
            for idle in (0, SESSIONS):
                say(f"run {run} of {runs}: {idle} idle sessions")
                found = await throughput(bootstrap, kafka, MANY, answers=True, idle=idle)
                names = MEMORY_NAMES[:2] if not idle else MEMORY_NAMES[2:]
                for name, value in zip(names, (found.rss_first_mib, found.rss_last_mib), strict=True):
                    values[name].append(value)
    return [figure(name, "MiB", values[name], jobs=MANY, sessions=SESSIONS) for name in MEMORY_NAMES]
