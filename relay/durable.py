"""Durable foreground calls: a request through Kafka, and its end told over the connection that asked.

Owns a producer of requests and a reader of all facts, both made when the first such call comes, and who
waits for which job. A job has nothing to do with who waits for it: one that waits at a relay that dies asks
another relay for the same id, and hears of the job that exists, also if it has ended by then.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from relay.requests import Refused, Requests
from schemas.codec import Undecodable, decode
from schemas.defaults import ARGS_BYTES_MAX, CONTENT_TYPE, QUEUE
from schemas.events import Fact, JobRequest
from schemas.limits import Refused as Refusal
from schemas.names import BadName, check_function, check_id, check_key, check_queue
from schemas.proto import relay_pb2
from schemas.proto.relay_pb2 import CallReply, CallRequest
from schemas.requests import parse_object, read_object
from schemas.topics import Topics
from schemas.unique import read_unique, unique_key
from schemas.words import ENDS, PHASES_TERMINAL, FactKind, Phase, RejectCode

log = logging.getLogger("relay.durable")

POLL_S = 0.1
"""How long the thread waits for facts at a time; it is woken by each."""

BATCH_RECORDS = 500

ENDS_S = 10.0
"""How long Kafka may take to say where the facts end."""

END_S = 2.0
"""How long the thread may take to end; one that waits for the broker ends with the process."""

WAITING_MAX = 50_000
"""Callers that wait at once."""

_OF_COMMANDS = frozenset(
    {RejectCode.WRONG_EPOCH, RejectCode.NOT_NOW, RejectCode.UNKNOWN_JOB, RejectCode.UNKNOWN_SCHEDULE}
)
"""Rejections that are not about the request itself."""

OPTIONS_BYTES_MAX = 16_384
"""Of all options that have no field."""

_FIELDS = frozenset(
    {"id", "function", "queue", "key", "args", "args_base64", "content_type", "timeout_ms", "trace", "unique"}
)
"""What a durable call says in fields, as a request in JSON names it."""

_PRIORITIES = {relay_pb2.PRIORITY_HIGH: "high", relay_pb2.PRIORITY_LOW: "low"}


class BadDurable(Exception):
    """No such job can be asked for; the text is a sentence with the value that was found."""


class CannotSay(Exception):
    """Kafka did not take it, or did not answer: nobody knows whether it has the request. Asking again for
    the same id is safe.
    """


class Durables:
    """All that waits at one relay. Bound to the event loop that it is made in."""

    def __init__(self, config: Mapping[str, Any], topics: Topics) -> None:
        self._config = config
        self._topics = topics
        self._loop = asyncio.get_running_loop()
        self._requests: Requests | None = None
        self._reading: asyncio.Future[None] | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._waiting: dict[str, list[asyncio.Future[Fact]]] = {}
        self._callers = 0
        """How many wait for those jobs."""
        self._twins: dict[str, set[str]] = {}
        """By the job that is the answer: the jobs that are waited for and that it stands in the way of."""

    async def taken(self, asked: CallRequest) -> "asyncio.Future[Fact]":
        """Returns once Kafka has the request, with what will end with the job; CannotSay or BadDurable if
        not.
        """
        request = request_of(asked)
        assert request.id is not None
        if self._callers >= WAITING_MAX:
            raise BadDurable(f"this relay has {WAITING_MAX} callers that wait for jobs, and takes no more")
        await self._read()
        assert self._requests is not None
        ended: asyncio.Future[Fact] = self._loop.create_future()
        self._waiting.setdefault(request.id, []).append(ended)
        self._callers += 1
        ended.add_done_callback(lambda _: self._leave(request.id, ended))
        written: asyncio.Future[str | None] = self._loop.create_future()

        def tell(why: str | None) -> None:
            if not written.done():
                written.set_result(why)

        try:
            self._requests.write(request, tell)
            why = await written
        except Refused as refused:
            ended.cancel()
            raise CannotSay(str(refused)) from None
        except asyncio.CancelledError:
            ended.cancel()
            raise
        if why is not None:
            ended.cancel()
            raise CannotSay(why)
        return ended

    async def stop(self) -> None:
        """Ends the threads; who waits hears nothing more here."""
        self._stopping = True
        if self._requests is not None:
            await self._requests.stop()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, END_S)

    def abandon(self) -> None:
        """Lets the threads end by themselves."""
        self._stopping = True
        if self._requests is not None:
            self._requests.abandon()

    def _leave(self, id: str | None, ended: "asyncio.Future[Fact]") -> None:
        assert id is not None
        self._callers -= 1
        left = [each for each in self._waiting.get(id, ()) if each is not ended]
        if left:
            self._waiting[id] = left
        else:
            self._waiting.pop(id, None)

    async def _read(self) -> None:
        """Returns when facts are read from an end that was before now."""
        if self._reading is None:
            self._reading = self._loop.create_future()
            self._requests = Requests(self._config, self._topics)
            self._thread = threading.Thread(target=self._follow, name="relay-facts", daemon=True)
            self._thread.start()
        try:
            await asyncio.shield(self._reading)
        except KafkaException as error:
            raise CannotSay(f"the facts cannot be read: {error}") from None

    def _take(self, ends: list[tuple[str, Fact]]) -> None:
        for job, fact in ends:
            for ended in self._waiting.get(job, ()):
                if not ended.done():
                    ended.set_result(fact)

    def _lost(self, error: BaseException) -> None:
        """The facts are read no longer: who waits is told so, and the next one begins anew."""
        log.error("the facts cannot be read any longer", exc_info=error)
        reading, self._reading = self._reading, None
        if reading is not None and not reading.done():
            reading.set_exception(CannotSay(f"the facts cannot be read: {error}"))
        if self._requests is not None:
            self._requests.abandon()
        for ended in [each for waiting in self._waiting.values() for each in waiting]:
            if not ended.done():
                ended.set_exception(CannotSay(f"the facts cannot be read any longer: {error}"))

    # The thread.

    def _follow(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - whatever it is, nobody shall wait for this thread
            self._call(self._lost, error)

    def _run(self) -> None:
        consumer = Consumer(
            {
                **self._config,
                "group.id": f"{self._topics.facts}.waiting",  # required by the client, joined by nobody
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,
            },
            logger=logging.getLogger("relay.kafka"),
        )
        try:
            places = [TopicPartition(self._topics.facts, number) for number in range(self._topics.partitions)]
            for place in places:
                place.offset = consumer.get_watermark_offsets(place, ENDS_S)[1]
            consumer.assign(places)
        except KafkaException as error:
            self._call(self._fail, error)
            consumer.close()
            return
        self._call(self._began)
        while not self._stopping:
            messages = consumer.consume(BATCH_RECORDS, POLL_S)
            if self._waiting:
                found = [end for each in messages for end in self._ends_in(each)]
                if found:
                    self._call(self._take, found)
        consumer.close()

    def _ends_in(self, message: Any) -> list[tuple[str, Fact]]:
        """The ends of jobs that somebody waits for, which the record tells: of the job itself, and of those
        that it is the answer for.
        """
        if message.error() is not None or message.value() is None:
            return []
        try:
            fact = decode(message.value(), (Fact,))
        except Undecodable:
            return []
        if fact.job in self._waiting and fact.duplicate_of is not None and not ends(fact):
            self._twins.setdefault(fact.duplicate_of, set()).add(fact.job)
            self._forget_twins()
        if not (fact.job in self._waiting or fact.job in self._twins) or not ends(fact):
            return []
        return [(job, fact) for job in {fact.job, *self._twins.pop(fact.job, ())}]

    def _forget_twins(self) -> None:
        """Lets those go that nobody waits for any more, before there are too many."""
        if len(self._twins) > WAITING_MAX:
            waited = {
                twin: {job for job in jobs if job in self._waiting} for twin, jobs in self._twins.items()
            }
            self._twins = {twin: jobs for twin, jobs in waited.items() if jobs}

    def _began(self) -> None:
        assert self._reading is not None
        self._reading.set_result(None)

    def _fail(self, error: KafkaException) -> None:
        """The next one tries again."""
        assert self._reading is not None
        reading, self._reading = self._reading, None
        reading.set_exception(error)
        reading.exception()
        assert self._requests is not None
        self._requests.abandon()

    def _call(self, what: Any, *args: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *args)


def request_of(asked: CallRequest) -> JobRequest:
    """The request for a job that a durable call is; BadDurable if it cannot be one."""
    try:
        check_function(asked.function)
        check_id(asked.job)
        check_queue(asked.queue or QUEUE)
        if asked.key:
            check_key(asked.key)
    except BadName as bad:
        raise BadDurable(str(bad)) from None
    if len(asked.args) > ARGS_BYTES_MAX:
        raise BadDurable(f"arguments of a job must be at most {ARGS_BYTES_MAX} bytes, got {len(asked.args)}")
    options = _options(asked)
    request = replace(
        options,
        id=asked.job,
        queue=asked.queue or QUEUE,
        key=asked.key or None,
        args=asked.args or None,
        content_type=asked.content_type or CONTENT_TYPE,
        timeout_ms=asked.running_ms or None,
        priority=_PRIORITIES.get(asked.priority, options.priority),
        trace=asked.trace or None,
        unique=asked.unique or None,
    )
    if request.unique is None:
        return request
    try:
        only = unique_key(request, read_unique(request.unique))
    except Refusal as refusal:
        raise BadDurable(refusal.sentence) from None
    return request if request.key is not None else replace(request, key=only)


def _options(asked: CallRequest) -> JobRequest:
    """A request for its function with what its `options` say; BadDurable if they are none."""
    if not asked.options:
        return JobRequest(function=asked.function)
    try:
        if len(asked.options) > OPTIONS_BYTES_MAX:
            raise BadDurable(
                f"options of a job must be at most {OPTIONS_BYTES_MAX} bytes, got {len(asked.options)}"
            )
        if not asked.options.startswith(b"{"):
            raise BadDurable(f"options must be a JSON object, got {asked.options[:40]!r}")
        said = parse_object(asked.options)
        if "schedule" in said:
            raise BadDurable("options must not name schedule: a durable call waits for one job")
        if twice := sorted(said.keys() & _FIELDS):
            raise BadDurable(f"options must not name {twice[0]}, which has a field of its own")
        found = read_object({**said, "function": asked.function}, (JobRequest,))
    except Undecodable as bad:
        raise BadDurable(f"options: {bad.sentence}") from None
    assert isinstance(found, JobRequest), "it names a function"
    return found


def ends(fact: Fact) -> bool:
    """True if a fact tells the end of its job: one that has just come, or of a job that was asked for
    twice.
    """
    if fact.fact == FactKind.DEDUPLICATED:
        return fact.phase in PHASES_TERMINAL
    if fact.fact == FactKind.REJECTED:
        return fact.error_type not in _OF_COMMANDS
    return fact.fact in ENDS


def reply_of_fact(fact: Fact) -> CallReply:
    """How a job ended, for its caller."""
    message = fact.error_message or fact.reason or ""
    if fact.phase == Phase.SUCCEEDED and fact.fact != FactKind.REJECTED:
        return CallReply(
            outcome=relay_pb2.COMPLETE,
            result=fact.result or b"",
            result_type=fact.result_type or "",
            cached=bool(fact.cached),
            minion=fact.minion or "",
            ran_ms=fact.run_ms or 0,
        )
    if fact.phase == Phase.CANCELLED:
        return CallReply(outcome=relay_pb2.CALL_CANCELLED, error_message=message)
    return CallReply(
        outcome=relay_pb2.FAILED,
        error_type=fact.error_type or str(fact.phase or fact.fact),
        error_message=message,
        minion=fact.minion or "",
        non_retryable=True,
    )
