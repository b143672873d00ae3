"""How many no-ops a second a relay moves: a full dispatch topic, one relay process, one minion stream.

`python -m tests.bench.relay [--jobs 200000] [--runs 3]`. Owns its topics, with a prefix of its own, and its
processes. Takes the broker of JOBSTREAM_BOOTSTRAP, else starts one. The figure without receipts is the push
alone: the minion only grants credits, and each lease stays with it.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from jobstream.cluster import Broker, free_port
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

METHOD = "/jobstream.Relay/Session"
CAPACITY = 500
PUSHED = 30_000
NOW_MS = 1_800_000_000_000
EVERY_S = 0.001
OPTIONS = (("grpc.max_receive_message_length", 1 << 25), ("grpc.max_send_message_length", 1 << 25))


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


def make_topics(bootstrap: str, topics: Topics) -> None:
    """Makes what a relay needs."""
    names = (topics.receipts, topics.heartbeats, topics.dispatch("default"))
    new = [NewTopic(name, PARTITIONS, 1) for name in names]
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

    def __init__(self, address: str, *, answers: bool) -> None:
        channel: Any = grpc.aio.insecure_channel(address, options=OPTIONS)
        self._channel = channel
        self._call: Any = channel.stream_stream(METHOD)(wait_for_ready=True)
        self._answers = answers
        self._number = 0
        self.jobs = 0
        self.stored = 0
        self.first_s = 0.0
        self._beat_s = 0.0

    async def open(self) -> None:
        """Says hello and grants all it has."""
        capacity = CAPACITY if self._answers else PUSHED
        hello = Hello(protocol=1, minion="bench", queues=["default"], functions=["noop"], capacity=capacity)
        await self._call.write(FromMinion(hello=hello).SerializeToString())
        await self._call.read()
        await self._call.write(FromMinion(credit=Credit(more=capacity)).SerializeToString())

    async def run(self, jobs: int) -> None:
        """Works until so many jobs came and, if it answers, were stored."""
        while self.jobs < jobs or (self._answers and self.stored < jobs):
            message = FromRelay.FromString(await self._call.read())
            kind = message.WhichOneof("message")
            if kind == "receipts_stored":
                self.stored = message.receipts_stored.up_to
            elif kind == "jobs":
                await self._work(message.jobs.jobs)
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
    child = subprocess.Popen([sys.executable, "-m", "relay"], env=environ)
    try:
        yield address, child.pid
    finally:
        child.terminate()
        child.wait()


def cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    parts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> int:
    """Memory of a process, resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20


async def throughput(bootstrap: str, kafka: int | None, jobs: int, *, answers: bool) -> None:
    """One run from a full topic; `kafka` is the broker's process."""
    topics = Topics(f"bench{uuid.uuid4().hex[:6]}.")
    make_topics(bootstrap, topics)
    fill(bootstrap, topics, jobs)
    with relay(bootstrap, topics.prefix) as (address, pid):
        minion = Minion(address, answers=answers)
        await minion.open()
        began_cpu_s, own_cpu_s = cpu_s(pid), time.process_time()
        kafka_cpu_s = cpu_s(kafka) if kafka else 0.0
        await minion.run(jobs)
        took_s = time.monotonic() - minion.first_s
        relay_us = (cpu_s(pid) - began_cpu_s) / minion.jobs * 1e6
        own_us = (time.process_time() - own_cpu_s) / minion.jobs * 1e6
        kafka_us = (cpu_s(kafka) - kafka_cpu_s) / minion.jobs * 1e6 if kafka else 0.0
        what = "push and receipts" if answers else "push alone"
        print(
            f"{what}: {minion.jobs} jobs, {took_s:.2f} s, {minion.jobs / took_s:.0f} jobs/s; "
            f"CPU per job: relay {relay_us:.1f} us, Kafka {kafka_us:.1f} us, minion {own_us:.1f} us; "
            f"relay {rss_mib(pid)} MiB",
            flush=True,
        )
        await minion.close()
    remove_topics(bootstrap, topics)


async def latency(bootstrap: str, jobs: int) -> None:
    """From the dispatch's produce to the job's arrival at the minion, one at a time."""
    topics = Topics(f"bench{uuid.uuid4().hex[:6]}.")
    make_topics(bootstrap, topics)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "acks": "all"})
    with relay(bootstrap, topics.prefix) as (address, _):
        minion = Minion(address, answers=True)
        await minion.open()
        delays_ms = []
        for number in range(jobs + 20):
            dispatch = one(f"job-{number}", f"key-{number}")
            began_s = time.monotonic()
            producer.produce(topics.dispatch("default"), encode(dispatch), dispatch.key, dispatch.partition)
            producer.poll(0)
            delays_ms.append((await minion.one() - began_s) * 1e3)
            await asyncio.sleep(EVERY_S)
        await minion.close()
    delays_ms = sorted(delays_ms[20:])
    print(
        f"dispatch to minion, idle: p50 {statistics.median(delays_ms):.2f} ms, "
        f"p99 {delays_ms[int(len(delays_ms) * 0.99)]:.2f} ms",
        flush=True,
    )
    remove_topics(bootstrap, topics)


async def main() -> None:
    """All figures, one after the other."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--jobs", type=int, default=200_000)
    arguments.add_argument("--runs", type=int, default=3)
    chosen = arguments.parse_args()
    with broker() as (bootstrap, kafka):
        for _ in range(chosen.runs):
            await throughput(bootstrap, kafka, chosen.jobs, answers=True)
        await throughput(bootstrap, kafka, PUSHED, answers=False)
        await latency(bootstrap, 500)


if __name__ == "__main__":
    asyncio.run(main())
