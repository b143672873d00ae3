"""Stock Faust and the transport on the same work, in one run: events per second, CPU per event, latency at
100 per second and at half of the events per second just found, or at HALF_LOAD_MAX_PER_S.

Owns the measurement; `transport_app` is what is measured. Run with `python -m tests.bench.transport
--bootstrap host:port`.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.waiting import eventually

HOSTS: Final = ("stock", "idempotent", "transactional", "early")
PARTITIONS: Final = 4
PAYLOAD: Final = bytes(range(100))
RATE_PER_S: Final = 100
HALF_LOAD_MAX_PER_S: Final = 5_000
"""Above this the one process that produces and reads is measured, not the worker."""
HALF_LOAD_S: Final = 6
"""How long half the load lasts."""
WARM_UP_S: Final = 2
"""So much of the beginning does not count."""

START_S: Final = 60.0


def throughput(bootstrap: str, host: str, events: int) -> dict[str, float]:
    """Events per second and CPU microseconds per event of one worker that finds `events` records waiting."""
    app = _topics(bootstrap)
    _produce(bootstrap, f"{app}-source", events)
    with _worker(bootstrap, host, app, events) as worker:
        began, done = _told(worker, "began"), _told(worker, "done")
    wall_s, cpu_s = done[0] - began[0], done[1] - began[1]
    return {"per_s": events / wall_s, "cpu_us": cpu_s / events * 1e6}


def latency(bootstrap: str, host: str, count: int, rate_per_s: float = RATE_PER_S) -> dict[str, float]:
    """Milliseconds from produce to the output's arrival at a read_committed consumer, at so many events a
    second, which come at random; two hops.
    """
    from confluent_kafka import Consumer, Producer, TopicPartition

    from tests.bench import transport_app as app_module

    app = _topics(bootstrap)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": app,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 500,
        }
    )
    consumer.assign([TopicPartition(f"{app}-out", number, 0) for number in range(PARTITIONS)])
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    came: list[tuple[int, bytes]] = []  # decoded afterwards, so that the reader keeps up

    def read() -> None:
        deadline = time.monotonic() + START_S + count / rate_per_s * 2
        while len(came) < count and time.monotonic() < deadline:
            message = consumer.poll(1.0)
            if message is not None and message.error() is None:
                came.append((time.monotonic_ns(), message.value() or b""))

    with _worker(bootstrap, host, app, 1):
        reader = threading.Thread(target=read)
        reader.start()
        _send(producer, f"{app}-source", 0, app_module)
        eventually(lambda: came, START_S)
        due_s, pace = time.monotonic(), threading.Event()
        for number in range(1, count):
            due_s += random.expovariate(rate_per_s)
            pace.wait(max(0.0, due_s - time.monotonic()))
            _send(producer, f"{app}-source", number, app_module)
        reader.join()
    consumer.close()
    counted = sorted(
        (at_ns - app_module.decode(value)["sent_ns"]) / 1e6
        for at_ns, value in came[int(WARM_UP_S * rate_per_s) :]
    )
    return {"p50": counted[len(counted) // 2], "p99": counted[int(len(counted) * 0.99)]}


def _send(producer: Any, topic: str, number: int, app_module: Any) -> None:
    event: dict[str, Any] = {
        "id": str(number),
        "key": f"k{number % 1000}",
        "sent_ns": time.monotonic_ns(),
        "count": 0,
        "payload": PAYLOAD,
    }
    producer.produce(topic, app_module.encode(event), event["key"].encode(), number % PARTITIONS)
    producer.poll(0)


def _topics(bootstrap: str) -> str:
    from confluent_kafka.admin import AdminClient, NewTopic

    app = f"bench-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.create_topics(
        [NewTopic(f"{app}-{name}", PARTITIONS, 1) for name in ("source", "state", "out")]
    ).values():
        done.result()
    return app


def _produce(bootstrap: str, topic: str, events: int) -> None:
    from confluent_kafka import Producer

    from tests.bench import transport_app as app_module

    producer = Producer({"bootstrap.servers": bootstrap, "queue.buffering.max.messages": 1_000_000})
    for number in range(events):
        key = f"k{number % 10_000}"
        event = {"id": f"job-{number:020}", "key": key, "sent_ns": 0, "count": 0, "payload": PAYLOAD}
        producer.produce(topic, app_module.encode(event), key.encode(), number % PARTITIONS)
    producer.flush()


@contextmanager
def _worker(bootstrap: str, host: str, app: str, events: int) -> Iterator[Any]:
    environment = {**os.environ, "APP": app, "HOST": host, "BOOTSTRAP": bootstrap, "EVENTS": str(events)}
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.transport_app", "worker", "--without-web", "-l", "error"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


def _told(worker: Any, what: str) -> tuple[float, float]:
    for line in worker.stdout:
        if line.startswith(what + " "):
            _, wall_s, cpu_s = line.split()
            return float(wall_s), float(cpu_s)
    raise RuntimeError(f"the worker ended with {worker.wait()} before it said {what!r}")


def main() -> None:
    """Prints one JSON line per figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--latency", type=int, default=1000)
    parser.add_argument("--hosts", default=",".join(HOSTS))
    options = parser.parse_args()
    results: dict[str, list[float]] = {}
    for _ in range(options.runs):
        for host in options.hosts.split(","):
            if options.events:
                events = options.events if host != "stock" else options.events // 6
                found = throughput(options.bootstrap, host, events)
                for name, value in found.items():
                    results.setdefault(f"{host}_{name}", []).append(value)
                if options.latency:
                    half_per_s = min(found["per_s"] / 2, HALF_LOAD_MAX_PER_S)
                    count = int(half_per_s * HALF_LOAD_S)
                    for name, value in latency(options.bootstrap, host, count, half_per_s).items():
                        results.setdefault(f"{host}_half_load_ms_{name}", []).append(value)
            if options.latency:
                for name, value in latency(options.bootstrap, host, options.latency).items():
                    results.setdefault(f"{host}_latency_ms_{name}", []).append(value)
    for name, values in results.items():
        print(
            json.dumps(
                {
                    "name": name,
                    "median": round(statistics.median(values), 2),
                    "min": round(min(values), 2),
                    "max": round(max(values), 2),
                    "runs": len(values),
                }
            )
        )


if __name__ == "__main__":
    for name, value in {
        "APP": "none",
        "HOST": "idempotent",
        "BOOTSTRAP": "127.0.0.1:1",
        "EVENTS": "0",
    }.items():
        os.environ.setdefault(name, value)
    main()
