"""How many rows a second the sink writes into PostgreSQL, and how old the tables are while jobs run.

`python -m tests.bench.sql [--rows 60000] [--rate 500] [--seconds 20]`. Starts a whole cluster, Kafka Connect
and a PostgreSQL, and prints JSON. Each row tells when it was written, by a column of this benchmark's own.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Producer

from jobstream import Client
from jobstream.cluster.child import Child
from jobstream.cluster.up import Cluster
from jobstream.connect.up import Connect
from schemas.codec import encode
from schemas.events import Fact
from schemas.keys import home
from schemas.topics import Topics
from tests.bench.functions import noop
from tests.waiting import eventually

WARM_ROWS = 20_000
LANDED_S = 60.0
TICK_S = 0.02
SHARES = """
select percentile_cont(array[0.5, 0.95, 0.99, 1])
    within group (order by extract(epoch from landed_at - at) * 1000)
from facts where at_ms > %s
"""
VALUE = "x" * 180


def write_facts(bootstrap: str, topics: Topics, rows: int, tag: str) -> None:
    """What the service tells of jobs that succeed at once: two facts each, as fast as Kafka takes them."""
    settings = {"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 500_000}
    producer = Producer(settings)
    now_ms = round(time.time() * 1000)
    for number in range(rows // 2):
        job = f"{tag}-{number}"
        partition = home(job, topics.partitions)
        about: dict[str, Any] = {"job": job, "key": job, "partition": partition, "created_at_ms": now_ms}
        about |= {"function": "bench.noop", "queue": "default", "attempt": 1, "epoch": 1}
        ended: dict[str, Any] = {"queued_ms": 2, "start_ms": 1, "run_ms": 3, "ended_at_ms": now_ms + 9}
        ended |= {"minion": "m-1", "session": "s-1", "relay": "r-1"}
        ended |= {"result": b'"done"', "result_type": "application/json"}
        for fact in (
            Fact(fact="admitted", at_ms=now_ms, phase="ready", **about),
            Fact(fact="succeeded", at_ms=now_ms + 9, phase="succeeded", **about, **ended),
        ):
            producer.produce(topics.facts, encode(fact), job, partition)
    assert producer.flush(60) == 0


def one(connection: "psycopg.Connection[tuple[Any, ...]]", query: str, *values: object) -> Any:
    """The first value of a query."""
    row = connection.execute(query, values or None).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def rate(connect: Connect, connection: "psycopg.Connection[tuple[Any, ...]]", rows: int, tag: str) -> float:
    """Rows a second, from the first to the last."""
    write_facts(connect.settings.bootstrap, connect.place.topics, rows, tag)
    count = "select count(*) from facts where job like %s"
    eventually(lambda: one(connection, count, f"{tag}-%") == rows, LANDED_S)
    span = "select extract(epoch from max(landed_at) - min(landed_at))::float from facts where job like %s"
    return rows / float(one(connection, span, f"{tag}-%"))


async def freshness(
    cluster: Cluster, connection: "psycopg.Connection[tuple[Any, ...]]", per_s: int, seconds: float
) -> dict[str, float]:
    """How long after its decision each fact of jobs at a steady rate is a row, ms."""
    since_ms = round(time.time() * 1000)
    at_once = max(1, round(per_s * TICK_S))
    async with Client(f"kafka://{cluster.bootstrap}", prefix=cluster.prefix) as client:
        began_s, asked = time.perf_counter(), 0
        while asked < per_s * seconds:
            await asyncio.sleep(max(0.0, began_s + asked / per_s - time.perf_counter()))
            await client.submit_many(noop.request(VALUE) for _ in range(at_once))
            asked += at_once
        took_s = time.perf_counter() - began_s
    done = "select count(*) from jobs where phase = 'succeeded' and created_at >= to_timestamp(%s / 1000.0)"
    eventually(lambda: one(connection, done, since_ms) >= asked, LANDED_S)
    p50, p95, p99, most = one(connection, SHARES, since_ms)
    found = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": most, "jobs_per_s": asked / took_s}
    return {name: round(float(value), 1) for name, value in found.items()}


def measure(rows: int, per_s: int, seconds: float, data: Path) -> dict[str, Any]:
    """All of it."""
    with Cluster.start(data=data / "cluster", free_ports=True) as cluster:
        settings = replace(cluster.settings, data=str(data / "connect"))
        minion = Child.start(
            [sys.executable, "-m", "jobstream.minion", "tests.bench.functions", "--relay", cluster.relay],
            log=data / "minion.log",
        )
        with (
            Connect.start(settings, free_ports=True) as connect,
            psycopg.connect(
                connect.database.url, autocommit=True, options="-c search_path=jobstream"
            ) as connection,
        ):
            connection.execute("alter table facts add landed_at timestamptz default clock_timestamp()")
            load_1m = os.getloadavg()[0]
            rate(connect, connection, WARM_ROWS, "warm")
            rates = [round(rate(connect, connection, rows, f"run{number}")) for number in range(2)]
            fresh = asyncio.run(freshness(cluster, connection, per_s, seconds))
        minion.kill()
    return {"rows_per_s": rates, "freshness": fresh, "load_1m": [load_1m, os.getloadavg()[0]]}


def main() -> None:
    """Measures, and leaves nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    data = Path(tempfile.mkdtemp(prefix="jobstream-bench-"))
    data.chmod(0o755)  # a database of root's runs as another user
    (data / "connect").mkdir()
    try:
        print(json.dumps(measure(given.rows, given.rate, given.seconds, data), indent=1))
    finally:
        shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    main()
