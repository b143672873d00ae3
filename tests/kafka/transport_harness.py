"""Runs the small app of `transport_worker` and holds what it did against what it was given.

Owns worker processes, their topics, the load and the journal's verdict. Must never leave a process behind.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.waiting import eventually

PARTITIONS = 4
SOURCES = ("a", "b")
STOCK = "stock"
"""In place of a mode: Faust's own transport."""


class Verdict(NamedTuple):
    """What the topics say, read committed."""

    inputs: int
    applied_once: bool
    lost: int
    """Inputs without an output."""
    repeated: int
    """Outputs beyond the first of an input."""
    in_order: bool
    """True if outputs of one key and source came in the order of the inputs, repeats aside."""


class Worker:
    """One process; `said` is what it told so far."""

    def __init__(self, harness: "Harness", mode: str, slot: str | None, **environment: Any) -> None:
        self.log = harness.data / f"worker-{len(harness.workers)}.log"
        wanted = {
            "APP": harness.app,
            "BOOTSTRAP": harness.bootstrap,
            "PARTITIONS": PARTITIONS,
            "MODE": mode,
            "DATA": harness.data,
            **({"SLOT": slot} if slot else {}),
            **environment,
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.kafka.stock_worker" if mode == STOCK else "tests.kafka.transport_worker",
                    "worker",
                    "--without-web",
                    "-l",
                    "info",
                ],
                env={**os.environ, **{name: str(value) for name, value in wanted.items()}},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.said: list[dict[str, Any]] = []
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                if line.startswith('{"said"'):
                    self.said.append(json.loads(line))

    def close(self) -> None:
        """Ends it if need be, and what belongs to it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._listener.join()

    def heard(self, what: str) -> list[dict[str, Any]]:
        """Everything it said of one kind."""
        return [told for told in self.said if told["said"] == what]

    def ready(self, partitions: int = 1) -> "Worker":
        """Returns when it has restored that many partitions."""

        def restored() -> bool:
            if self.process.poll() is not None:
                raise ChildProcessError(f"{self.log.name} ended: {self.last_line or self.log.read_text()}")
            return len(self.heard("restored")) >= partitions

        eventually(restored, 30)
        return self

    def ended(self, timeout_s: float = 30) -> int:
        """Its exit code, when it has one."""
        return self.process.wait(timeout_s)

    def signal(self, number: signal.Signals) -> "Worker":
        """Sends it a signal."""
        self.process.send_signal(number)
        return self

    def stop(self) -> int:
        """A clean leave."""
        return self.signal(signal.SIGTERM).ended()

    def kill(self) -> int:
        """No leave at all."""
        return self.signal(signal.SIGKILL).ended()

    @property
    def last_line(self) -> str:
        """What it said last on standard error by way of the transport."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("transport: ")]
        return lines[-1] if lines else ""


class Harness:
    """Topics of one test, its workers and its load."""

    def __init__(self, bootstrap: str, prefix: str, data: Path) -> None:
        self.bootstrap = bootstrap
        self.app = f"{prefix}app"
        self.data = data
        self.workers: list[Worker] = []
        self.sent = 0
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
        wanted = [
            NewTopic(
                self.topic(name),
                PARTITIONS,
                1,
                config={"cleanup.policy": "compact"} if name == "state" else {},
            )
            for name in (*SOURCES, "state", "out")
        ]
        for done in self._admin.create_topics(wanted).values():
            done.result(30)

    def topic(self, name: str) -> str:
        """Its full name."""
        return f"{self.app}-{name}"

    def start(self, mode: str, slot: str | None = None, **environment: Any) -> Worker:
        """A worker, not yet ready."""
        worker = Worker(self, mode, slot, **environment)
        self.workers.append(worker)
        return worker

    def send(self, count: int, keys: int = 50) -> None:
        """Inputs with numbers that go on from the last, over both sources; key k always to the same
        partition.
        """
        for number in range(self.sent, self.sent + count):
            key = number % keys if keys else number
            topic = self.topic(SOURCES[number // max(keys, 1) % 2])
            self._producer.produce(topic, str(number), f"k{key}", key % PARTITIONS)
            self._producer.poll(0)
        self._producer.flush()
        self.sent += count

    def send_raw(self, value: bytes) -> None:
        """One record as it is."""
        self._producer.produce(self.topic("a"), value, b"k0", 0)
        self._producer.flush()

    @contextmanager
    def load(self, per_s: int = 2000, keys: int = 50) -> Iterator[None]:
        """Inputs at a steady rate, while the block runs."""
        stop = threading.Event()

        def send() -> None:
            while not stop.wait(0.05):
                self.send(per_s // 20, keys)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            yield
        finally:
            stop.set()
            sender.join()

    def read(self, name: str) -> list[tuple[int, bytes, bytes]]:
        """Everything committed in a topic: partition, key, value."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": f"{self.app}-reader",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
            }
        )
        consumer.assign([TopicPartition(self.topic(name), number, 0) for number in range(PARTITIONS)])
        records: list[tuple[int, bytes, bytes]] = []
        ended: set[int] = set()
        message: Any
        while len(ended) < PARTITIONS:
            for message in consumer.consume(10_000, 1.0):
                if message.error() is None:
                    records.append((message.partition(), message.key(), message.value()))
                else:
                    ended.add(message.partition())
        consumer.close()
        return records

    def verdict(self) -> Verdict:
        """Holds the outputs and the state against the inputs."""
        sources = {name: [(key, value) for _, key, value in self.read(name)] for name in SOURCES}
        inputs = [pair for pairs in sources.values() for pair in pairs]
        state = {key: json.loads(row) for _, key, row in self.read("state") if row is not None}
        outputs = [(key, value) for _, key, value in self.read("out")]
        per_key: dict[bytes, list[int]] = {}
        for key, value in inputs:
            per_key.setdefault(key, []).append(int(value or 0))
        told = Counter(outputs)
        return Verdict(
            inputs=len(inputs),
            applied_once=all(
                state.get(key, [])[:2] == [len(values), sum(values)] for key, values in per_key.items()
            ),
            lost=sum(pair not in told for pair in inputs),
            repeated=sum(count - 1 for count in told.values()),
            in_order=_in_order(
                {
                    value: (name, place)
                    for name, pairs in sources.items()
                    for place, (_, value) in enumerate(pairs)
                },
                outputs,
            ),
        )

    def all_told(self, timeout_s: float = 60) -> Verdict:
        """The verdict, when every input was applied and told of."""

        def done() -> Verdict | None:
            for worker in self.workers:
                worker.process.poll()
            verdict = self.verdict()
            return verdict if verdict.applied_once and not verdict.lost else None

        try:
            return eventually(done, timeout_s)  # type: ignore[return-value]
        except AssertionError:
            return self.verdict()

    def logs(self) -> str:
        """What all workers logged, for a test that failed."""
        return "\n".join(f"--- {worker.log.name}\n{worker.log.read_text()}" for worker in self.workers)

    def close(self) -> None:
        """Ends every worker that is left."""
        for worker in self.workers:
            worker.close()


def _in_order(places: dict[bytes, tuple[str, int]], outputs: list[tuple[bytes, bytes]]) -> bool:
    last: dict[tuple[bytes, str], int] = {}
    for key, value in dict.fromkeys(outputs):
        source, place = places[value]
        if place < last.get((key, source), -1):
            return False
        last[key, source] = place
    return True


@contextmanager
def harness(bootstrap: str, prefix: str) -> Iterator[Harness]:
    """A harness that is cleared away."""
    with tempfile.TemporaryDirectory(prefix="transport-") as data:
        own = Harness(bootstrap, prefix, Path(data))
        try:
            yield own
        finally:
            own.close()
