"""A streams worker in a process of its own, and the topics around it as clients and relays see them."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from jobstream.cluster import free_port
from schemas.codec import decode, encode
from schemas.events import Beat, Dispatch, Fact, Heartbeat, Receipt, Reject
from schemas.keys import home
from schemas.topics import Topics
from tests.waiting import eventually

PARTITIONS = 4
READY_S = 60.0
STOP_S = 60.0
READ_S = 30.0

Event = TypeVar("Event")


class Worker:
    """One worker process."""

    def __init__(
        self,
        bootstrap: str,
        prefix: str,
        logs: Path,
        *command: str,
        partitions: int = PARTITIONS,
        web: str | None = None,
    ) -> None:
        self.web = web or f"127.0.0.1:{free_port()}"
        self._command = command or (sys.executable, "-m", "streams")
        self._environment = {
            **os.environ,
            "JOBSTREAM_BOOTSTRAP": bootstrap,
            "JOBSTREAM_PREFIX": prefix,
            "JOBSTREAM_PARTITIONS": str(partitions),
            "JOBSTREAM_WEB": self.web,
            "JOBSTREAM_DATA": str(logs),
            "PYTHONFAULTHANDLER": "1",
        }
        self._log = logs / f"worker-{id(self)}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> "Worker":
        """Starts it, and waits until it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        if wait:
            eventually(self.is_ready, READY_S)
        return self

    @property
    def said(self) -> str:
        """All it wrote, over all its lives."""
        return self._log.read_text()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """Its process."""
        assert self._process is not None, "it was started"
        return self._process

    def is_ready(self) -> bool:
        """True when its pages say so; fails at once if it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the worker ended with {self.process.returncode}: {self.said}")
        try:
            return bool(self.page("health")["ready"])
        except OSError:
            return False

    @property
    def partitions(self) -> list[int]:
        """The partitions it has and has recovered."""
        try:
            found: list[int] = self.page("health")["partitions"]
        except OSError:  # it recovers, or is not there yet
            return []
        return found

    def page(self, path: str, accept: str = "application/json", root: str = "/jobstream/") -> Any:
        """One of its pages, decoded if it is JSON."""
        request = urllib.request.Request(f"http://{self.web}{root}{path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            body = answer.read()
        return json.loads(body) if accept == "application/json" else body.decode()

    def refusal(self, path: str) -> tuple[int, str]:
        """The status and the sentence of a page that has no answer."""
        try:
            self.page(path)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())["error"]
        raise AssertionError(f"{path} has an answer")

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.process.kill()
        self.process.wait(STOP_S)

    def abort(self) -> None:
        """Ends it, and lets it say where each of its threads was."""
        self.process.send_signal(signal.SIGABRT)
        self.process.wait(STOP_S)

    def stop(self) -> int:
        """Asks it to end, and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def close(self) -> None:
        """Makes sure that it has ended."""
        if self._process is not None and self._process.poll() is None:
            self.kill()


class Log:
    """The topics of one prefix, for a test to write to and to read from their beginning."""

    def __init__(self, bootstrap: str, prefix: str, partitions: int = PARTITIONS) -> None:
        self.topics = Topics(prefix, partitions)
        self._bootstrap = bootstrap
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})

    def write(self, topic: str, value: bytes | None, key: bytes | None = None, partition: int = -1) -> None:
        """One record, to the partition that librdkafka's own partitioner takes unless one is given."""
        self._producer.produce(topic, value=value, key=key, partition=partition)
        assert self._producer.flush(10) == 0

    def ask(self, key: str | None = None, **fields: Any) -> None:
        """A request in JSON, as any client may write it."""
        value = json.dumps(fields).encode()
        self.write(self.topics.requests, value, None if key is None else key.encode())

    def receipt(self, dispatch: Dispatch, outcome: str = "success", **fields: Any) -> None:
        """What a relay writes when an attempt ended."""
        receipt = Receipt(
            job=dispatch.job,
            key=dispatch.key,
            partition=dispatch.partition,
            attempt=dispatch.attempt,
            epoch=dispatch.epoch,
            outcome=outcome,
            at_ms=time.time_ns() // 1_000_000,
            **fields,
        )
        self.write(self.topics.receipts, encode(receipt), partition=dispatch.partition)

    def started(self, dispatch: Dispatch) -> None:
        """What a relay writes when an attempt runs."""
        now_ms = time.time_ns() // 1_000_000
        beat = Beat(
            job=dispatch.job,
            key=dispatch.key,
            epoch=dispatch.epoch,
            attempt=dispatch.attempt,
            kind="started",
            minion="m",
            session="s",
            assigned_at_ms=now_ms,
            deadline_ms=now_ms + dispatch.timeout_ms,
        )
        heartbeat = Heartbeat(partition=dispatch.partition, relay="r", at_ms=now_ms, beats=(beat,))
        self.write(self.topics.heartbeats, encode(heartbeat), partition=dispatch.partition)

    def read(self, topic: str, kind: type[Event]) -> list[Event]:
        """Every record of a topic up to now."""
        return [decode(value, (kind,)) for value in self.values(topic)]

    def values(self, topic: str) -> list[bytes]:
        """Every committed value in a topic up to now."""
        with self._consumer() as consumer:
            listed = consumer.list_topics(topic, timeout=10).topics[topic]
            if listed.error is not None:
                return []
            consumer.assign([TopicPartition(topic, number, 0) for number in listed.partitions])
            return list(self._values(consumer, set(listed.partitions)))

    @staticmethod
    def _values(consumer: Consumer, unread: set[int]) -> Iterator[bytes]:
        """By partition until its end is told: transactions have markers, so offsets tell no counts."""
        deadline_s = time.monotonic() + READ_S
        message: Any  # the stubs have None where a fetched message has none
        while unread and time.monotonic() < deadline_s:
            for message in consumer.consume(500, timeout=1):
                if message.error() is None:
                    if message.value() is not None:
                        yield message.value()
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    unread.discard(message.partition())
                elif not message.error().retriable():
                    raise KafkaException(message.error())
        assert not unread, f"partitions {sorted(unread)} of a topic could not be read to their ends"

    @contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": f"{self.topics.prefix}reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
            }
        )
        try:
            yield consumer
        finally:
            consumer.close()

    def dispatches(self, queue: str = "default") -> list[Dispatch]:
        """Every dispatch of a queue."""
        return self.read(self.topics.dispatch(queue), Dispatch)

    def dispatch(self, job: str, epoch: int = 1, queue: str = "default", timeout_s: float = 20.0) -> Dispatch:
        """The dispatch of an epoch, when it is there."""
        return eventually(
            lambda: next((d for d in self.dispatches(queue) if (d.job, d.epoch) == (job, epoch)), None),  # type: ignore[return-value]
            timeout_s,
        )

    def fact(self, job: str, word: str, timeout_s: float = 20.0) -> Fact:
        """A fact about a job, when it is told."""
        return eventually(
            lambda: next((f for f in self.facts() if (f.job, f.fact) == (job, word)), None),  # type: ignore[return-value]
            timeout_s,
        )

    def facts(self) -> list[Fact]:
        """Every fact."""
        return self.read(self.topics.facts, Fact)

    def rejects(self) -> list[Reject]:
        """Every refusal."""
        return self.read(self.topics.rejects, Reject)

    def home(self, key: str) -> int:
        """The home partition of a key."""
        return home(key, self.topics.partitions)


Start = Callable[..., Worker]
