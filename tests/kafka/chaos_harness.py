"""Faults against workers that keep jobs: a broker of one's own, a load, a relay, and the verdict of the log.

Owns the journal of what was accepted, and the rules that the log is held against. Must never leave a process
behind. Everything random comes from one seed.
"""

import json
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from confluent_kafka import Consumer, KafkaError, Producer

from jobstream.cluster import Broker
from schemas.codec import decode, encode
from schemas.events import Dispatch, Fact, JobRow, Receipt
from schemas.times import format_time
from schemas.words import FactKind, Phase, RejectCode
from tests.kafka.streams_harness import Log, Worker
from tests.waiting import PATIENCE, eventually

JOBS_PER_S = 100
ROUND_S = 0.1
"""How often a few jobs more are asked for."""

ENDED_S = 120.0
"""After the last fault, until every job has ended: one may have been given up meanwhile, and tried again."""

HARMLESS = frozenset({RejectCode.WRONG_EPOCH, RejectCode.NOT_NOW})
"""Why a receipt may be refused: its epoch was given up meanwhile, and dispatched anew."""

Shown = dict[str, tuple[str, int, str | None]]
"""What pages tell of jobs: phase, attempt, end."""


class Relay:
    """Answers each dispatch once: success, now and then a failure of the first attempt."""

    def __init__(self, bootstrap: str, log: Log, seed: int) -> None:
        self.seen: dict[tuple[str, int], Dispatch] = {}
        """By job and epoch."""
        self.unlike: list[tuple[Dispatch, Dispatch]] = []
        """Two dispatches of one epoch that differ."""
        self.failed: list[str] = []
        """Answers that could not be written."""
        self._topics = log.topics
        self._random = random.Random(seed)
        self._producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"{log.topics.prefix}relay",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "topic.metadata.refresh.interval.ms": 1_000,
            }
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="relay")

    def start(self) -> None:
        """Begins."""
        self._consumer.subscribe([self._topics.dispatch("default")])
        self._thread.start()

    def stop(self) -> None:
        """Ends, with every answer written."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        self._producer.flush(30)
        self._consumer.close()

    def _work(self) -> None:
        message: Any
        while not self._stop.is_set():
            for message in self._consumer.consume(500, 0.1):
                error = message.error()
                if error is None:
                    self._answer(decode(message.value(), (Dispatch,)))
                else:
                    assert error.code() != KafkaError._MAX_POLL_EXCEEDED, error
            self._producer.poll(0)

    def _answer(self, dispatch: Dispatch) -> None:
        before = self.seen.setdefault((dispatch.job, dispatch.epoch), dispatch)
        if before is not dispatch:
            if before != dispatch:
                self.unlike.append((before, dispatch))
            return
        failed = dispatch.attempt == 1 and self._random.random() < 0.1
        receipt = Receipt(
            job=dispatch.job,
            key=dispatch.key,
            partition=dispatch.partition,
            attempt=dispatch.attempt,
            epoch=dispatch.epoch,
            outcome="failure" if failed else "success",
            at_ms=time.time_ns() // 1_000_000,
        )
        self._producer.produce(
            self._topics.receipts, encode(receipt), partition=dispatch.partition, on_delivery=self._note
        )

    def _note(self, error: KafkaError | None, _: object) -> None:
        if error is not None:
            self.failed.append(error.str())


class Chaos:
    """One run: its broker, topics, workers, load and relay."""

    def __init__(self, data: Path, seed: int, stack: ExitStack) -> None:
        self.random = random.Random(seed)
        self.workers: list[Worker] = []
        self.accepted: list[str] = []
        """Ids of the jobs whose requests the broker has confirmed."""
        self._data = data
        self._stack = stack
        self._broker = Broker.start(data / "kafka", tell=lambda _: None)
        stack.callback(self._stop_broker)
        self.log = Log(self._broker.bootstrap, "chaos.")
        self._relay = Relay(self._broker.bootstrap, self.log, seed)
        self._requests = Producer({"bootstrap.servers": self._broker.bootstrap, "enable.idempotence": True})
        self._loading = threading.Event()
        self._load = threading.Thread(target=self._ask, name="load")

    # What runs.

    def worker(self, *, wait: bool = True) -> Worker:
        """One more, in a place of its own."""
        worker = Worker(self._broker.bootstrap, "chaos.", self._data)
        self._stack.callback(worker.close)
        self.workers.append(worker)
        return worker.start(wait=wait)

    def begin(self) -> None:
        """Load and relay run from now on."""
        self._stack.callback(self._relay.stop)
        self._stack.callback(self.end)
        self._relay.start()
        self._load.start()

    def end(self) -> None:
        """No more load; the relay goes on until all have ended."""
        self._loading.set()
        if self._load.ident is not None:
            self._load.join()
            self._requests.flush(60)

    def _ask(self) -> None:
        number = 0
        while not self._loading.wait(ROUND_S):
            for _ in range(int(JOBS_PER_S * ROUND_S)):
                number += 1
                self._request(f"job-{number}")
            self._requests.poll(0)

    def _request(self, id: str) -> None:
        wanted: dict[str, Any] = {"id": id, "function": "f", "key": f"k{self.random.randrange(50)}"}
        wanted["retry"] = {"initial_ms": 50, "attempts_max": 50, "lost_max": 50}
        if self.random.random() < 0.2:
            wanted["run_at"] = time.time_ns() // 1_000_000 + self.random.randrange(2_000)

        def accepted(error: object, _: object) -> None:
            if error is None:
                self.accepted.append(id)

        self._requests.produce(
            self.log.topics.requests, json.dumps(wanted).encode(), wanted["key"], on_delivery=accepted
        )

    # Faults.

    def for_a_while(self, least_s: float, most_s: float) -> None:
        """Time goes by, under load."""
        until_s = time.monotonic() + self.random.uniform(least_s, most_s)
        eventually(lambda: time.monotonic() > until_s, most_s)

    def restart_broker(self) -> None:
        """In order, and on the same port."""
        self._broker.stop()
        self._broker = Broker.start(self._data / "kafka", self._broker.port, tell=lambda _: None)

    @contextmanager
    def frozen_broker(self) -> Iterator[None]:
        """Stands still meanwhile."""
        self._broker.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self._broker.send(signal.SIGCONT)

    def _stop_broker(self) -> None:
        self._broker.stop()

    def revive(self) -> None:
        """What a supervisor does: every worker that has ended is started again, in its place."""
        for worker in self.workers:
            if worker.process.poll() is not None:
                worker.start(wait=False)

    # The verdict.

    def rows(self) -> dict[str, JobRow]:
        """The jobs that the log knows, by id."""
        rows: dict[str, JobRow] = {}
        for value in self.log.values(self.log.topics.state):
            row: JobRow = decode(value, (JobRow,))
            rows[row.spec.id] = row
        return rows

    def settle(self) -> dict[str, JobRow]:
        """Ends the load, waits until every accepted job has ended, and gives their rows."""
        self.end()

        left: list[str] = []

        def all_ended() -> bool:
            self.revive()
            rows = self.rows()
            left[:] = [id for id in self.accepted if id not in rows or rows[id].ended_at_ms is None]
            assert not left, f"{len(left)} of {len(self.accepted)} have not ended: {left[0]}"
            return True

        try:
            eventually(all_ended, ENDED_S / PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._told(left[0])}") from error
        self._relay.stop()
        return self.rows()

    def _told(self, id: str) -> str:
        """All that is known of one job."""
        seen = [dispatch for (job, _), dispatch in self._relay.seen.items() if job == id]
        rejects = [reject for reject in self.log.rejects() if reject.id == id]
        leaders = {
            name: [place.leader for place in topic.partitions.values()]
            for name, topic in self._requests.list_topics(timeout=10).topics.items()
        }
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.abort()
        receipts = [each for each in self.log.read(self.log.topics.receipts, Receipt) if each.job == id]
        return "\n".join(
            (
                f"row {self.rows().get(id)}",
                f"dispatches {seen}",
                f"receipts {receipts}, failed {self._relay.failed}",
                f"rejects {rejects}",
                f"leaders {leaders}",
                Path(self._broker.log).read_text()[-4_000:],
                *(worker.said[-8_000:] for worker in self.workers),
            )
        )

    def check(self) -> None:
        """Every accepted request ended exactly once, by one and the same end; nothing was dispatched after
        it; no two dispatches of an epoch differ; and what the workers show is what the log says.
        """
        rows = self.settle()
        assert len(self.accepted) > 50, "there was a load"
        assert [id for id in self.accepted if rows[id].phase != Phase.SUCCEEDED] == []
        assert self._relay.unlike == []
        ends = defaultdict(set)
        for fact in self.log.read(self.log.topics.facts, Fact):
            if fact.fact in {FactKind.SUCCEEDED, FactKind.DIED, FactKind.CANCELLED, FactKind.EXPIRED}:
                ends[fact.job].add((fact.fact, fact.epoch, fact.ended_at_ms))
        assert {id: found for id, found in ends.items() if len(found) > 1} == {}
        assert ends.keys() >= set(self.accepted)
        epochs = defaultdict(set)
        for job, epoch in self._relay.seen:
            epochs[job].add(epoch)
        late = {id: found for id, found in epochs.items() if max(found) > rows[id].epoch}
        assert late == {}, "dispatched after its end"
        assert [reject for reject in self.log.rejects() if reject.code not in HARMLESS] == []
        self._check_pages(rows)

    def _check_pages(self, rows: dict[str, JobRow]) -> None:
        """Live state is what a restore of the log would give, job by job."""
        shown: Shown = {}

        def whole() -> bool:
            self.revive()
            shown.clear()
            for worker in self.workers:
                shown.update(_shown(worker))
            return shown.keys() == rows.keys()

        eventually(whole, 40)
        assert shown == {
            id: (row.phase, row.attempt, row.ended_at_ms and format_time(row.ended_at_ms))
            for id, row in rows.items()
        }


def _shown(worker: Worker) -> Shown:
    """What the lists of a worker tell; nothing while it can't answer."""
    found: Shown = {}
    after: str | None = ""
    while after is not None:
        try:
            page = worker.page(f"jobs?limit=1000{after and '&after=' + quote(after)}")
        except OSError:
            return {}
        for job in page["jobs"]:
            found[job["id"]] = (job["phase"], job["attempt"], job["ended_at"])
        after = page["next"]
    return found
