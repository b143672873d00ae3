"""Writes with librdkafka, and knows when what it wrote is durable.

Owns the producers of a worker and the one thread that waits for them. Stands in for Faust's producer, which
swallows failed deliveries and whose flush gives up after 0.1 s (hazards H3, H4), and for its exactly-once
mode (H1). Must never report a write that the broker did not confirm, and never go on after one that failed:
it ends the process.

All batches that were handed over while the last write was under way are written as one group: an idle worker
answers each at once, a busy one makes fewer and larger writes. Two modes, one path (`_write`): `first`
atomically, then `then`, then the report. What "atomically" means is the mode's: `_Idempotent` produces and
waits for all acknowledgements (offsets are committed later, by the consumer, from the report),
`_Transactional` puts records and offsets in one transaction (KIP-98, KIP-447).
"""

import asyncio
import contextlib
import enum
import itertools
import logging
import queue
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from streams.transport.batch import Batch, Writes
from streams.transport.crash import Exit, die
from streams.transport.offsets import offsets_of

log = logging.getLogger(__name__)

DELIVERY_TIMEOUT_MS: Final = 10_000
"""After this a record counts as failed, and an open transaction may be aborted by the broker."""

FLUSH_S: Final = 2 * DELIVERY_TIMEOUT_MS / 1000
"""How long to wait for confirmations: longer than any record may take."""

STUCK_S: Final = 15.0
"""How long one group may take before the process ends. Every record has failed by then, and the broker may
give the transaction up; but librdkafka does not keep its time limits everywhere (see `transport.RECOVERY`).
"""

LOOK_S: Final = 1.0
"""How often that is looked at."""

ABORT_S: Final = 5.0
"""How long a failed transaction may take to abort before the process ends. It saves readers the wait for its
timeout, and is how librdkafka finds out that this producer was fenced.
"""

START_S: Final = 30.0
"""How long the broker may take to let the producers in."""

IDLE_POLL_S: Final = 1.0
"""How often librdkafka's callbacks (errors, tokens) are served when nothing is written."""

QUEUE_RECORDS_MAX: Final = 1_000_000
QUEUE_KIB_MAX: Final = 1024 * 1024
"""Bounds of librdkafka's own queue; a full one makes the writer wait, not fail."""

FULL_WAIT_S: Final = 0.01

NO_LIMIT: Final = -1
"""For commit_transaction: "other values risk internal state desynchronization" (librdkafka)."""

RETRY_BACKOFF_MS: Final = 1
"""A transaction begun right after another finds it still ending (CONCURRENT_TRANSACTIONS): with librdkafka's
default of 100 ms every second one takes 100 ms, with 1 ms it takes 5.
"""


class Mode(enum.StrEnum):
    """How a batch's records and its offsets are made one."""

    TRANSACTIONAL = "transactional"
    IDEMPOTENT = "idempotent"


class _Job(NamedTuple):
    """One thing for the writer's thread to do; `batch` is None for what is sent apart from batches."""

    batch: Batch | None
    writes: Writes
    done: asyncio.Future[None]


class _Failed(Exception):
    """A write was not confirmed. `error` is the first that librdkafka told of, which may be a consequence of
    what it only tells when asked: see `Writer._end`.
    """

    def __init__(self, reason: Exit, sentence: str, error: KafkaError | None = None) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
        self.error = error


class _Producer(Producer):
    """librdkafka's producer. Its callbacks only note what went wrong: a dropped record may be told of before
    the reason for dropping it, and nothing can be asked inside a callback.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._failed: _Failed | None = None
        super().__init__(
            {
                "acks": "all",
                "linger.ms": 0,
                "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
                "delivery.report.only.error": True,  # a callback per record costs a tenth
                "queue.buffering.max.messages": QUEUE_RECORDS_MAX,
                "queue.buffering.max.kbytes": QUEUE_KIB_MAX,
                "error_cb": _on_error,
                **config,
            }
        )

    def write(self, outs: Iterable[tuple[Any, ...]]) -> None:
        """Hands records over; `confirm` tells whether they arrived.

        Raises:
            _Failed: one was refused.
        """
        produce, noted = self.produce, self._on_failure
        for topic, partition, key, value, headers in outs:
            while True:
                try:
                    produce(topic, value, key, partition, noted, headers=list(headers) if headers else None)
                except BufferError:
                    self.poll(FULL_WAIT_S)
                except KafkaException as error:
                    sentence = f"a record for {topic}/{partition} was refused"
                    raise _Failed(Exit.DELIVERY, sentence, error.args[0]) from error
                else:
                    break

    def confirm(self) -> None:
        """Returns when every record handed over is acknowledged by all replicas in sync.

        Raises:
            _Failed: one was not.
        """
        left = self.flush(FLUSH_S)
        self.check()
        if left:
            raise _Failed(Exit.DELIVERY, f"{left} records were not confirmed within {FLUSH_S:g} s")

    def check(self) -> None:
        """Raises _Failed if a record was not confirmed so far."""
        if self._failed is not None:
            raise self._failed

    def _on_failure(self, error: KafkaError | None, message: Message) -> None:
        if self._failed is None:
            sentence = f"a record for {message.topic()}/{message.partition()} was not confirmed"
            self._failed = _Failed(Exit.DELIVERY, sentence, error)


class Writer:
    """Takes writes from the event loop, does them in order in its own thread, resolves a future for each."""

    def __init__(self, config: Mapping[str, Any], group: str, mode: Mode) -> None:
        """`config` is librdkafka's: servers, security, a `client.id` that no other worker of `group` has."""
        self._plain = _Producer({**config, "enable.idempotence": True})
        self._atomic: _Idempotent | _Transactional
        if mode is Mode.IDEMPOTENT:
            self._atomic = _Idempotent(self._plain)
        else:
            self._atomic = _Transactional(config, group)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="transport-writer", daemon=True)
        self._began_s: float | None = None  # the group that is being written; None: none is
        self._watch: asyncio.Task[None] | None = None
        self.groups = 0
        """Groups that were confirmed."""
        self.writing_s = 0.0
        """How long they took together."""

    async def start(self) -> None:
        """Returns when the producers have their ids and know the cluster, so that the first batch waits for
        neither.
        """
        await asyncio.to_thread(self._warm_up)
        self._thread.start()
        self._watch = asyncio.create_task(self._end_if_stuck())

    async def stop(self) -> None:
        """Finishes what was submitted and lets go."""
        if self._thread.is_alive():
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
        if self._watch is not None:
            self._watch.cancel()

    async def _end_if_stuck(self) -> NoReturn:
        while True:
            await asyncio.sleep(LOOK_S)
            began_s = self._began_s
            if began_s is not None and time.monotonic() - began_s > STUCK_S:
                die(Exit.DELIVERY, f"a write has not ended for {STUCK_S:g} s")

    def submit(self, batch: Batch, writes: Writes) -> asyncio.Future[None]:
        """Writes a batch after all that was submitted before; the future resolves when all of it is
        confirmed.
        """
        return self._enqueue(batch, writes)

    def send_early(self, outs: Iterable[tuple[Any, ...]]) -> None:
        """Sends at once and outside of transactions; confirmed no later than the batch that is submitted
        next.
        """
        self._hand_over(outs)

    async def send(self, outs: Iterable[tuple[Any, ...]]) -> None:
        """Sends apart from any batch, at once; returns when all is confirmed."""
        self._hand_over(outs)
        await self._enqueue(None, Writes())

    def _hand_over(self, outs: Iterable[tuple[Any, ...]]) -> None:
        try:
            self._plain.write(outs)
        except _Failed as failed:
            self._end(failed)

    def _enqueue(self, batch: Batch | None, writes: Writes) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(batch, writes, done))
        return done

    def _warm_up(self) -> None:
        try:
            self._plain.list_topics(timeout=START_S)
            self._atomic.start()
        except KafkaException as error:
            die(Exit.DELIVERY, f"the broker did not let the writer in within {START_S:g} s", error)

    def _work(self) -> None:
        while True:
            group = self._group()
            stopping = bool(group) and group[-1] is None
            jobs = [job for job in group if job is not None]
            self._began_s = time.monotonic()
            try:
                self._write(jobs) if jobs else self._look()
            except _Failed as failed:
                self._end(failed)
            except BaseException as error:  # noqa: BLE001  # whatever it is: not confirmed
                self._end(_Failed(Exit.DELIVERY, f"a write failed with {error!r}", _kafka_error(error)))
            if jobs:
                self.groups += 1
                self.writing_s += time.monotonic() - self._began_s
            self._began_s = None
            for job in jobs:
                job.done.get_loop().call_soon_threadsafe(_resolve, job.done)
            if stopping:
                return

    def _group(self) -> list[_Job | None]:
        """All that was submitted while the group before was written: one batch when idle, more the busier it
        is. A None ends it.
        """
        group: list[_Job | None] = []
        with contextlib.suppress(queue.Empty):
            group.append(self._jobs.get(timeout=IDLE_POLL_S))
            while group[-1] is not None:
                group.append(self._jobs.get_nowait())
        return group

    def _write(self, jobs: Sequence[_Job]) -> None:
        batches = [job.batch for job in jobs if job.batch is not None]
        if batches:
            self._atomic.write(batches, itertools.chain.from_iterable(job.writes.first for job in jobs))
            self._atomic.fence(batches)
        self._plain.write(itertools.chain.from_iterable(job.writes.then for job in jobs))
        self._plain.confirm()

    def _look(self) -> None:
        """Serves librdkafka's callbacks while nothing is written."""
        for producer in (self._plain, self._atomic.producer):
            producer.poll(0)
            producer.check()

    def _end(self, failed: _Failed) -> NoReturn:
        """Ends the process, for the reason behind what failed: records are dropped because of it, and tell of
        themselves first.
        """
        error = self._atomic.cause() or failed.error
        reason, blame = _blame(error) or (failed.reason, "")
        die(reason, failed.sentence + blame + ("" if error is None else f": {error.str()}"))


class _Idempotent:
    """Records first; the offsets follow when the writer reported them. No broker fences a former owner in
    this mode, so it fences itself, by the age of its last heartbeat.
    """

    def __init__(self, plain: _Producer) -> None:
        self.producer = plain

    def start(self) -> None:
        """Nothing to do."""

    def cause(self) -> KafkaError | None:
        """Nothing is behind a failure."""

    def fence(self, batches: Sequence[Batch]) -> None:
        batches[-1].membership.check_alive()

    def write(self, batches: Sequence[Batch], outs: Iterable[tuple[Any, ...]]) -> None:
        self.fence(batches)
        self.producer.write(outs)
        self.producer.confirm()


class _Transactional:
    """Records and offsets in one transaction, with the group's generation and member id for the broker to
    check.
    """

    def __init__(self, config: Mapping[str, Any], group: str) -> None:
        self._writer: str = config["client.id"]
        self._config, self._group = config, group
        self.producer = _Producer(
            {
                **config,
                "transactional.id": _transactional_id(group, self._writer),
                "transaction.timeout.ms": DELIVERY_TIMEOUT_MS,
                "retry.backoff.ms": RETRY_BACKOFF_MS,
            }
        )

    def start(self) -> None:
        """Fences whoever wrote under this id before, and ends what he left open."""
        _take_over(self.producer, self._config, self._group)

    def fence(self, batches: Sequence[Batch]) -> None:
        """The broker did."""

    def write(self, batches: Sequence[Batch], outs: Iterable[tuple[Any, ...]]) -> None:
        metadata = batches[-1].membership.metadata
        producer = self.producer
        try:
            producer.begin_transaction()
            producer.write(outs)
            producer.confirm()
            producer.send_offsets_to_transaction(offsets_of(batches, self._writer), metadata, FLUSH_S)
            producer.commit_transaction(NO_LIMIT)
        except KafkaException as error:
            raise _Failed(Exit.TRANSACTION, "a transaction did not commit", error.args[0]) from error

    def cause(self) -> KafkaError | None:
        """Aborts what is open, and so hears from the broker whether another has taken this id over."""
        try:
            self.producer.abort_transaction(ABORT_S)
        except Exception as error:  # noqa: BLE001  # a fatal one may come wrapped
            told = _kafka_error(error)
            return told if told is not None and told.fatal() else None
        return None


_FENCED: Final = {
    KafkaError._FENCED,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.FENCED_INSTANCE_ID,
}
_NOT_A_MEMBER: Final = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
}


def _blame(error: KafkaError | None) -> tuple[Exit, str] | None:
    """Who else is to blame, if anyone."""
    if error is not None and error.code() in _FENCED:
        return Exit.FENCED, ", as another process claims the slot of this one"
    if error is not None and error.code() in _NOT_A_MEMBER:
        return Exit.MEMBERSHIP, ", as the group gave its partitions to others"
    return None


def _kafka_error(error: BaseException | None) -> KafkaError | None:
    """What Kafka said. A fatal error is raised by whatever call serves librdkafka's callbacks; if that call
    then tells of a dropped record, it is the cause of a SystemError.
    """
    while error is not None and not isinstance(error, KafkaException):
        error = error.__cause__ or error.__context__
    return None if error is None else error.args[0]


def _on_error(error: KafkaError) -> None:
    """What is not fatal: librdkafka tries again by itself."""
    log.warning("kafka: %s", error.str())


def _transactional_id(group: str, writer: str) -> str:
    return f"{group}-{writer}"


def end_transactions(config: Mapping[str, Any], group: str, writer: str) -> None:
    """Fences a former worker of `group` by its client id, and aborts what it left open. Blocks.

    Raises:
        KafkaException: the broker did not do so within START_S.
    """
    log.warning("ending the transaction that %s left open", writer)
    _take_over(_Producer({**config, "transactional.id": _transactional_id(group, writer)}), config, group)


def _take_over(producer: _Producer, config: Mapping[str, Any], group: str) -> None:
    """Fences who wrote under the producer's id before, and ends all that he left in the group. Blocks.

    A broker that stood still may read the offsets of a former owner after it has aborted their transaction.
    Nobody ends those, and who asks for stable offsets then waits in vain (KIP-890 has the same of records).
    The end of any later transaction of this id that has offsets of the group ends them too: so one is begun
    here, with an offset of any topic, and aborted.
    """
    producer.init_transactions(START_S)
    topics = [topic for topic in producer.list_topics(timeout=START_S).topics if not topic.startswith("__")]
    if not topics:
        return
    member = Consumer({**config, "group.id": group})
    try:
        producer.begin_transaction()
        with contextlib.suppress(KafkaException):  # the group is part of it before an offset is refused
            anywhere = [TopicPartition(min(topics), 0, 0)]
            producer.send_offsets_to_transaction(anywhere, member.consumer_group_metadata(), START_S)
        producer.abort_transaction(START_S)
    finally:
        member.close()


def _resolve(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
