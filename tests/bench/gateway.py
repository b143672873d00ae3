"""What the HTTP service costs beside a bare FastAPI endpoint that only produces to Kafka with acks=all.

`python -m tests.bench.gateway [--seconds 5] [--rounds 3]`. Both run as processes on Hypercorn with the same
settings and the same producer, on one broker, in turns; the load comes from this process over kept-alive
HTTP/1.1 connections. Prints JSON. Owns its topics, and its processes.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request

from jobstream.client.writer import Record, Writer
from jobstream.cluster import free_port
from jobstream.cluster.child import Child
from jobstream.topics import apply
from relay.doors.http.serve import Listen, serve
from schemas.defaults import PARTITIONS
from schemas.topics import Topics
from tests.bench.relay import broker
from tests.waiting import eventually_async

BODY = json.dumps({"function": "bench.noop", "args": {"text": "x" * 180}}).encode()
BATCH = 100
MANY = b'{"jobs":[' + b",".join([BODY] * BATCH) + b"]}"
RATE_PER_S = 100
CONNECTIONS = 32
MANY_CONNECTIONS = 4
CREATED = b"201"


async def bare(bootstrap: str, topic: str, address: str) -> None:
    """The endpoint to compare with."""
    app, writer, count = FastAPI(), Writer(bootstrap), iter(range(1 << 60))

    @app.post("/job", status_code=201)
    async def job(request: Request) -> dict[str, str]:
        body = await request.json()
        value = json.dumps(body).encode()
        await writer.write([Record(topic, next(count) % PARTITIONS, b"", value)], 10)
        return {"id": str(uuid.uuid4())}

    async def never() -> None:
        await asyncio.Event().wait()

    await serve(app, Listen(address), never)


class Connection:
    """One kept-alive connection, that asks one thing after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str) -> "Connection":
        """Connects."""
        host, _, port = address.partition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def post(self, path: str, body: bytes) -> float:
        """How long the answer took, ms."""
        began_s = time.perf_counter()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
        )
        self._writer.write(head.encode() + str(len(body)).encode() + b"\r\n\r\n" + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        assert answer.split(b" ", 2)[1] == CREATED, answer
        length = next(
            line.split(b":")[1]
            for line in answer.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        await self._reader.readexactly(int(length))
        return (time.perf_counter() - began_s) * 1_000


async def latency(address: str, seconds: float) -> dict[str, float]:
    """Submits at a steady rate, each on a connection that is free."""
    free = [await Connection.open(address) for _ in range(8)]
    took: list[float] = []

    async def one() -> None:
        connection = free.pop()
        took.append(await connection.post("/job", BODY))
        free.append(connection)

    began_s = time.perf_counter()
    tasks = []
    for number in range(round(seconds * RATE_PER_S)):
        await asyncio.sleep(max(0.0, began_s + number / RATE_PER_S - time.perf_counter()))
        if free:
            tasks.append(asyncio.create_task(one()))
    await asyncio.gather(*tasks)
    took.sort()
    return {"p50_ms": round(took[len(took) // 2], 2), "p99_ms": round(took[len(took) * 99 // 100], 2)}


async def throughput(address: str, seconds: float, path: str, body: bytes, connections: int) -> float:
    """Calls a second, each connection as fast as it is answered."""
    ends_s = time.perf_counter() + seconds
    opened = [await Connection.open(address) for _ in range(connections)]

    async def ask(connection: Connection) -> int:
        count = 0
        while time.perf_counter() < ends_s:
            await connection.post(path, body)
            count += 1
        return count

    return sum(await asyncio.gather(*map(ask, opened))) / seconds


async def measure(seconds: float, rounds: int) -> dict[str, Any]:
    """All of it, in turns."""
    prefix = f"bench-http-{uuid.uuid4().hex[:8]}."
    topics = Topics(prefix, PARTITIONS)
    addresses = {name: f"127.0.0.1:{free_port()}" for name in ("gateway", "bare")}
    with broker() as (bootstrap, _), tempfile.TemporaryDirectory(prefix="jobstream-bench-") as logs:
        await asyncio.to_thread(apply, bootstrap, topics)
        env = {**os.environ, "JOBSTREAM_BOOTSTRAP": bootstrap, "JOBSTREAM_PREFIX": prefix}
        env["JOBSTREAM_HTTP"] = addresses["gateway"]
        commands = {
            "gateway": ["-m", "jobstream", "gateway"],
            "bare": [
                *("-m", "tests.bench.gateway", "--bare", bootstrap, topics.requests, addresses["bare"]),
            ],
        }
        children = [
            Child.start([sys.executable, *command], log=Path(logs) / f"{name}.log", env=env)
            for name, command in commands.items()
        ]
        try:
            return await _rounds(addresses, seconds, rounds)
        finally:
            for child in children:
                child.stop(10)


async def _rounds(addresses: dict[str, str], seconds: float, rounds: int) -> dict[str, Any]:
    for address in addresses.values():

        async def answers(address: str = address) -> bool:
            try:
                await (await Connection.open(address)).post("/job", BODY)
            except OSError:
                return False
            return True

        await eventually_async(answers, timeout_s=60)
        await throughput(address, 1, "/job", BODY, CONNECTIONS)  # warm
    figures: dict[str, list[float]] = {"gateway": [], "bare": [], "batched": []}
    slow: dict[str, list[dict[str, float]]] = {"gateway": [], "bare": []}
    for _ in range(rounds):
        for name, address in addresses.items():
            slow[name].append(await latency(address, seconds))
            figures[name].append(await throughput(address, seconds, "/job", BODY, CONNECTIONS))
        many = await throughput(addresses["gateway"], seconds, "/jobs", MANY, MANY_CONNECTIONS)
        figures["batched"].append(many * BATCH)
    medians = {name: round(statistics.median(values)) for name, values in figures.items()}
    return {
        "jobs_per_s": medians,
        "gateway_over_bare": round(medians["gateway"] / medians["bare"], 2),
        "submit_at_100_per_s": slow,
        "values": {name: [round(value) for value in values] for name, values in figures.items()},
        "load_1m": os.getloadavg()[0],
    }


def main() -> None:
    """Measures, or is the bare endpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", nargs=3)
    given = parser.parse_args()
    if given.bare:
        asyncio.run(bare(*given.bare))
    else:
        print(json.dumps(asyncio.run(measure(given.seconds, given.rounds)), indent=1))


if __name__ == "__main__":
    main()
