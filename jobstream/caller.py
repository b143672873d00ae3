"""Foreground calls: asks relays, one after the other, for a minion that runs a function now, and waits for
its answer.

Owns one stream per relay, and the rule by which a call goes from relay to relay: only when nobody has it. A
relay that was not heard of for a moment is asked for a sign of life before it gets a call, so that one that
is frozen or cut off is passed by with the call still in hand. It must never make a call twice that somebody
may have begun, unless its caller says that this does no harm.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

import grpc

from jobstream.context import current
from jobstream.errors import (
    BadRequest,
    CallCancelled,
    CallFailed,
    CallLost,
    CallNotTaken,
    CallTimedOut,
    WaitTimedOut,
)
from jobstream.functions import BYTES_TYPE, Function, Options, Unique, encode_json, option_fields
from jobstream.minion.session import CHANNEL_OPTIONS
from jobstream.minion.wire import Wire, wire_of
from jobstream.times import Seconds, milliseconds, milliseconds_within
from schemas.defaults import CALL_BYTES_MAX, CONTENT_TYPE, ROUTING_MS_MAX, TIMEOUT_MS_MAX, TIMEOUT_MS_MIN
from schemas.events import JobRequest
from schemas.names import new_id
from schemas.proto import relay_pb2
from schemas.proto.relay_pb2 import (
    AreaStep,
    Ask,
    CallReply,
    CallRequest,
    CallWord,
    FromCaller,
    RunLimit,
    ToCaller,
)
from schemas.requests import to_json
from schemas.settings import Settings, load
from schemas.telemetry.context import traceparent

log = logging.getLogger(__name__)

METHOD = "/jobstream.Relay/Calls"

FIRST_S = 0.25
"""How long the first relay may look for a minion, before the next one is asked."""

GROWTH = 2.0
"""How much longer each has after all were asked in vain."""

LONGEST_S = 30.0
"""How long one relay looks at most."""

WITHIN_S = 15.0
"""How long a minion is looked for in all, at all relays."""

SLACK_S = 0.25
"""A relay that said nothing so long after it should have is taken to be away."""

FRESH_S = 0.1
"""A relay that was heard of within this is alive; another one is asked for a sign of life before a call."""

AWAY_S = 1.0
"""A relay that could not be reached, or was silent, is asked last for so long."""

SIGN_EVERY_S = 1.0
"""While calls are under way a relay that said nothing for so long is asked for a sign of life."""

SIGN_WITHIN_S = 4.0
"""One that said nothing for so long while calls were under way is away, and has lost them."""

TAKEN_S = 5.0
"""How long a relay may take to have the request of a durable call in Kafka, before another one is asked."""

ROUND_MIN_S = 0.05
"""A round over relays that all say no at once takes so long at least."""

ASKS_PER_MESSAGE = 256
"""Calls in one message."""

MESSAGE_BYTES = 1024 * 1024
"""A message is full when the arguments in it reach this."""

Priority = Literal["high", "normal", "low"]
_PRIORITIES = {
    "high": relay_pb2.PRIORITY_HIGH,
    "normal": relay_pb2.PRIORITY_NORMAL,
    "low": relay_pb2.PRIORITY_LOW,
}

Areas = Iterable[str | tuple[str, Seconds]]
"""Areas in the order in which they are looked in, each with its own time if it has one."""


class _Elsewhere(Exception):
    """This relay has not the call, and nobody there will: it may be made elsewhere. The text says why."""

    def __init__(self, sentence: str, *, away: bool = False) -> None:
        super().__init__(sentence)
        self.away = away


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended well.

    Attributes:
        value: What the function returned: a JSON value, bytes, or None.
        content_type: Of the bytes that the value was read from.
        relay, minion: Who served it; no minion where the answer was known.
        area: The area of the caller's list that the minion is in; empty: none of them.
        waited_ms, ran_ms: How long it looked for a minion at that relay, and ran.
        cached: The answer was known, and nothing ran for it.
        tries: How many relays were asked, each time counted.
    """

    value: Any
    content_type: str
    relay: str
    minion: str
    area: str
    waited_ms: int
    ran_ms: int
    cached: bool
    tries: int


@dataclass(frozen=True, slots=True)
class Said:
    """Something that a function says while it runs: `data`, `warning`, `exception` (bytes), or `status`."""

    kind: str
    data: bytes = b""
    done: int = 0
    total: int = 0


class OpenCall:
    """A call under way, as its `said` gets it."""

    def __init__(self, line: "_Line", number: int) -> None:
        self._line = line
        self._number = number

    def limit(self, seconds: Seconds | None) -> None:
        """From now on it may run for so long; None: without limit. Returns at once."""
        self._line.limit(self._number, _limit_ms(seconds))


Listener = Callable[[Said, OpenCall], None]


@dataclass(slots=True)
class _Asked:
    """A call that was given to a relay, and what it has heard of it."""

    ended: asyncio.Future[CallReply]
    said: Listener | None
    heard: bool = False
    sent: bool = False


@dataclass(frozen=True, slots=True)
class _Wish:
    """A call before it goes to a relay."""

    function: str
    args: bytes
    content_type: str
    unique: str
    areas: tuple[tuple[str, int | None], ...]
    running_ms: int
    priority: str
    trace: str
    caller: str
    said: Listener | None
    job: str = ""
    """Id of the job of a durable call; empty: it is none."""
    key: str = ""
    queue: str = ""
    options: bytes = b""

    def request(self, routing_ms: int) -> CallRequest:
        """As a relay gets it, that looks so long."""
        return CallRequest(
            function=self.function,
            args=self.args,
            content_type=self.content_type,
            unique=self.unique,
            areas=[AreaStep(area=area, timeout_ms=timeout_ms) for area, timeout_ms in self.areas],
            routing_ms=routing_ms,
            running_ms=self.running_ms,
            priority=_PRIORITIES[self.priority],
            trace=self.trace,
            caller=self.caller,
            words=self.said is not None,
            durable=bool(self.job),
            job=self.job,
            key=self.key,
            queue=self.queue,
            options=self.options,
        )

    def looking_s(self, routing_ms: int) -> float:
        """How long a relay looks in all, its areas included."""
        steps_ms = [routing_ms if each is None else each for _, each in self.areas]
        return (sum(steps_ms) + routing_ms) / 1_000


class _Line:
    """The stream to one relay. It connects when it is needed, and again after it broke."""

    def __init__(self, address: str, wire: Wire) -> None:
        self.address = address
        self.relay = address
        self.away_until_s = 0.0
        self._wire = wire
        self._asked: dict[int, _Asked] = {}
        self._numbers = itertools.count(1)
        self._asks: deque[Ask] = deque()
        self._more = FromCaller()
        self._something = asyncio.Event()
        self._ready: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._behind_ms: int | None = None
        self._heard_s = self._pinged_s = 0.0
        self._cut = ""
        self._sign: asyncio.Future[None] | None = None
        """Ends with the next word of the relay, while one is waited for."""

    async def ask(self, wish: _Wish, routing_ms: int, within_s: float) -> CallReply:
        """One try. _Elsewhere: this relay has it not; CallLost: it may have."""
        looking_s = min(within_s, wish.looking_s(routing_ms))
        await self._connected(looking_s)
        if time.monotonic() - self._heard_s > FRESH_S:
            await self._alive(max(looking_s, ROUND_MIN_S))
        number = next(self._numbers)
        loop = asyncio.get_running_loop()
        behind_ms = self._behind_ms
        at_ms = 0 if behind_ms is None else _monotonic_ms() + behind_ms
        ask = Ask(call=number, request=wish.request(routing_ms), asked_at_ms=at_ms)
        asked = self._asked[number] = _Asked(loop.create_future(), wish.said)
        self._asks.append(ask)
        self._something.set()
        silent = loop.call_later(wish.looking_s(routing_ms) + SLACK_S, self._silent, asked)
        try:
            return await asked.ended
        finally:
            silent.cancel()
            if self._asked.pop(number, None) is not None and not _is_over(asked):
                self._more.cancels.append(number)
                self._something.set()

    def limit(self, number: int, running_ms: int) -> None:
        """Another limit for a call under way."""
        if number in self._asked:
            self._more.limits.append(RunLimit(run=number, timeout_ms=running_ms))
            self._something.set()

    async def close(self) -> None:
        """Ends the stream, and with it all that is under way."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def _silent(self, asked: _Asked) -> None:
        """It is time to have heard something of a call."""
        if not asked.heard and not asked.ended.done():
            asked.ended.set_exception(_Broken(f"relay {self.address} was given it, and said nothing in time"))

    async def _alive(self, within_s: float) -> None:
        """Returns when the relay has said something; _Elsewhere if it does not in time."""
        if self._sign is None:
            self._sign = asyncio.get_running_loop().create_future()
            self._more.ping = True
            self._something.set()
        try:
            async with asyncio.timeout(within_s):
                await asyncio.shield(self._sign)
        except TimeoutError:
            raise _Elsewhere(f"relay {self.address} gives no sign of life", away=True) from None

    async def _connected(self, within_s: float) -> None:
        """Returns when the relay has spoken; _Elsewhere if it does not in time."""
        if self._task is None or self._task.done():
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(self._ready))
        assert self._ready is not None
        if self._ready.done():
            return
        try:
            async with asyncio.timeout(max(within_s, ROUND_MIN_S)):
                await asyncio.shield(self._ready)
        except TimeoutError:
            raise _Elsewhere(f"relay {self.address} does not answer", away=True) from None

    async def _run(self, ready: asyncio.Future[None]) -> None:
        """One stream, from its beginning to its end."""
        why, self._cut = "its stream ended", ""
        try:
            async with self._wire.channel(self.address, CHANNEL_OPTIONS) as channel:
                method: Any = channel.stream_stream(
                    METHOD,
                    request_serializer=FromCaller.SerializeToString,
                    response_deserializer=ToCaller.FromString,
                )
                token = self._wire.shown()
                call = method(metadata=(("authorization", f"Bearer {token}"),) if token else None)
                writer = asyncio.create_task(self._write(call))
                watch = asyncio.create_task(self._watch(call))
                try:
                    await self._read(call, ready)
                finally:
                    writer.cancel()
                    watch.cancel()
                    call.cancel()
                    await asyncio.wait({writer, watch})
        except grpc.aio.AioRpcError as error:
            why = f"{error.code().name}: {error.details()}"
        except asyncio.CancelledError:
            why = self._cut or "the client was closed"
            if not self._cut:
                raise
        except Exception as error:
            log.exception("a caller's stream failed relay=%s", self.address)
            why = f"{type(error).__name__}: {error}"
        finally:
            self._broke(ready, why)

    async def _watch(self, call: Any) -> None:
        """Ends the stream of a relay that gives no sign of life while it has calls."""
        while True:
            await asyncio.sleep(SIGN_EVERY_S)
            silent_s = time.monotonic() - self._heard_s
            if not self._asked or silent_s < SIGN_EVERY_S:
                continue
            if silent_s > SIGN_WITHIN_S and self._pinged_s > self._heard_s:
                self._cut = f"it gave no sign of life for {silent_s:.1f} s"
                call.cancel()
                return
            self._pinged_s = time.monotonic()
            self._more.ping = True
            self._something.set()

    async def _read(self, call: Any, ready: asyncio.Future[None]) -> None:
        async for message in call:
            self._behind_ms = message.at_ms - _monotonic_ms()
            self._heard_s = time.monotonic()
            if self._sign is not None:
                self._sign.set_result(None)
                self._sign = None
            if message.relay:
                self.relay = message.relay
            if not ready.done():
                ready.set_result(None)
            for word in message.words:
                asked = self._asked.get(word.call)
                if asked is not None:
                    self._hear(word.call, asked, word)
            await asyncio.sleep(0)  # whoever waited goes on before the next read costs its time

    def _hear(self, number: int, asked: _Asked, word: CallWord) -> None:
        asked.heard = True
        kind = word.WhichOneof("word")
        if kind == "end":
            if not asked.ended.done():
                asked.ended.set_result(word.end)
        elif kind == "bad":
            if not asked.ended.done():
                asked.ended.set_exception(BadRequest(word.bad))
        elif kind != "assigned" and asked.said is not None:
            try:
                asked.said(_said(kind, word), OpenCall(self, number))
            except Exception as error:  # noqa: BLE001  # the caller's own; other calls have part in the stream
                if not asked.ended.done():
                    asked.ended.set_exception(error)

    async def _write(self, call: Any) -> None:
        """Sends what gathered; what gathers meanwhile goes with the next message."""
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while True:
                await self._something.wait()
                self._something.clear()
                while self._asks or self._more.ByteSize():
                    message, self._more = self._more, FromCaller()
                    size_bytes = 0
                    while self._asks and len(message.asks) < ASKS_PER_MESSAGE and size_bytes < MESSAGE_BYTES:
                        ask = self._asks.popleft()
                        asked = self._asked.get(ask.call)
                        if asked is not None:
                            asked.sent = True
                            message.asks.append(ask)
                            size_bytes += len(ask.request.args)
                    await call.write(message)

    def _broke(self, ready: asyncio.Future[None], why: str) -> None:
        """The stream is over: what was sent may run, what was not will not."""
        self._asks.clear()
        self._more = FromCaller()
        self._behind_ms = None
        if self._sign is not None:
            self._sign.set_exception(_Elsewhere(f"relay {self.address} went away: {why}", away=True))
            self._sign.exception()  # nobody may wait for it
            self._sign = None
        if not ready.done():
            ready.set_exception(_Elsewhere(f"relay {self.address} cannot be reached: {why}", away=True))
            ready.exception()  # nobody may wait for it
        for asked in list(self._asked.values()):
            if asked.ended.done():
                continue
            if asked.sent:
                asked.ended.set_exception(_Broken(f"relay {self.address} went away: {why}"))
            else:
                asked.ended.set_exception(_Elsewhere(f"relay {self.address} went away: {why}", away=True))


class _Broken(Exception):
    """The relay had the call, and it is not known what became of it."""


@dataclass
class _Search:
    """Which relay is asked next, and for how long."""

    first_s: float
    until_s: float
    tries: int = 0
    whys: dict[str, str] = field(default_factory=dict)


class Caller:
    """Calls functions at relays: `async with Caller("edge-1:7071,edge-2:7071") as caller:`. Needs no Kafka.

    It belongs to the event loop it was opened in. Connections are made when they are needed.

    Args:
        relays: Addresses, host:port, as a list or with commas between; those of the settings if left out.
        wire: How it connects: TLS, a token; as the settings say if left out.
        name: Who calls, for the relays' access logs.
    """

    def __init__(
        self, relays: str | Iterable[str] | None = None, *, wire: Wire | None = None, name: str = ""
    ) -> None:
        settings: Settings = load()[0]
        found = settings.relay if relays is None else relays
        addresses = found.split(",") if isinstance(found, str) else list(found)
        if not addresses or not all(":" in each for each in addresses):
            raise BadRequest(f"relays must be host:port, one or more, got {found!r}")
        self._name = name
        wire = wire_of(settings) if wire is None else wire
        self._lines = [_Line(each.strip(), wire) for each in dict.fromkeys(addresses)]
        self._first = 0

    async def __aenter__(self) -> Self:
        """Connects when it is needed."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """As close."""
        await self.close()

    async def close(self) -> None:
        """Ends the connections; calls under way end as lost."""
        await asyncio.gather(*(line.close() for line in self._lines))

    async def call(self, function: str | Function[..., Any], args: Any = None, **options: Any) -> Any:
        """What the function answers; as `answer`, but the value alone."""
        return (await self.answer(function, args, **options)).value

    async def answer(  # noqa: PLR0913  # a call's options are its arguments
        self,
        function: str | Function[..., Any],
        args: Any = None,
        *,
        unique: str = "",
        areas: Areas = (),
        within: Seconds = WITHIN_S,
        first: Seconds = FIRST_S,
        limit: Seconds | None = None,
        priority: Priority = "normal",
        again: bool = False,
        content_type: str | None = None,
        trace: str = "",
        said: Listener | None = None,
        caller: str = "",
    ) -> Answer:
        """Has a minion run the function now, and waits for its answer.

        Relays are asked one after the other, each for `first` seconds, then all again for longer, until a
        minion takes the call or `within` is over.

        Args:
            function: A name, or a declared function.
            args: A dict of keyword arguments, a list of positional ones, or bytes that it takes as they are.
            unique: Calls with the same one, while they are under way at a relay, share one run.
            areas: Where to look first, in this order, each with its own seconds if it has some.
            within: How long to look for a minion, over all relays.
            first: How long the first relay looks, before the next one is asked.
            limit: How long it may run, from its assignment; None: as long as it takes.
            priority: Before or after others that wait.
            again: It does no harm to run it twice: it is made again elsewhere when its minion or relay
                vanishes.
            content_type: What bytes are.
            trace: W3C traceparent; if left out that of the current OpenTelemetry span, or of the
                attempt that it is called in.
            said: Called with what the function says meanwhile (data, status, warning), and with the call,
                whose `limit` it may change.
            caller: Who calls, for the relays' access logs; this Caller's name if left out.

        Raises:
            CallNotTaken: No minion took it in time, and none will.
            CallFailed: The function raised.
            CallTimedOut: It ran longer than `limit`.
            CallLost: Its minion or relay vanished; it may have run.
            BadRequest: It is outside the limits.
        """
        name = function.name if isinstance(function, Function) else function
        encoded, media_type = _encoded(args, content_type)
        within_s, first_s = (
            (milliseconds("within", within) or 0) / 1_000,
            (milliseconds("first", first) or 0) / 1_000,
        )
        wish = _Wish(
            name,
            encoded,
            media_type,
            unique,
            tuple(_area(each) for each in areas),
            _limit_ms(limit),
            _known(priority),
            trace or _trace_here(),
            caller or self._name,
            said,
        )
        search = _Search(first_s, time.monotonic() + within_s)
        while True:
            line, reply = await self._taken(wish, search, again=again)
            answer = _answer(wish, line, reply, search.tries)
            if answer is not None:
                return answer
            if not again:
                raise CallLost(name, reply.error_message)

    async def job(  # noqa: PLR0913  # as answer
        self,
        function: str | Function[..., Any],
        args: Any = None,
        *,
        id: str | None = None,
        key: str = "",
        queue: str = "",
        limit: Seconds | None = None,
        priority: Priority = "normal",
        within: Seconds | None = None,
        content_type: str | None = None,
        trace: str = "",
        unique: Unique | None = None,
        options: Options | None = None,
    ) -> Answer:
        """A durable call: asks for a job, which is kept and retried as any other, and waits for its end
        over the same connection. A relay that dies meanwhile costs nothing: another one is asked for the
        same job.

        Args:
            function: As of a call.
            args: As of a call.
            content_type: As of a call.
            priority: As of a call.
            trace: As of a call.
            id: Of the job; made if left out. Calling again with it gives the end of the job that exists.
            key: Of the job.
            queue: Of the job.
            limit: How long one attempt may run.
            within: How long to wait in all; None: as long as it takes. The job goes on all the same.
            unique: That no other job does the same: where one does, its end is the answer, as for whoever
                else waits for it.
            options: What else is asked of the job, in the words of `Client.submit`: `{"tags": ["a"]}`.

        Raises:
            CallFailed: The job is dead, expired or was rejected; `error_type` and `message` say why.
            CallCancelled: It was cancelled.
            WaitTimedOut: It had not ended in time.
            BadRequest: It cannot be asked for.
        """
        name = function.name if isinstance(function, Function) else function
        encoded, media_type = _encoded(args, content_type)
        limit_ms, priority = _limit_ms(limit), _known(priority)
        id, trace = id or new_id(), trace or _trace_here()
        alone = "" if unique is None else unique.text()
        wish = _Wish(
            name,
            encoded,
            media_type,
            alone,
            (),
            limit_ms,
            priority,
            trace,
            self._name,
            None,
            id,
            key,
            queue,
            b"" if options is None else _options_json(options),
        )
        within_ms = milliseconds("within", within)
        try:
            async with asyncio.timeout(None if within_ms is None else within_ms / 1_000):
                return await self._end_of_job(wish)
        except TimeoutError:
            raise WaitTimedOut(f"job {id} had not ended within {within} s") from None

    async def _end_of_job(self, wish: _Wish) -> Answer:
        """Asks relays for it until one has its end."""
        tries = 0
        pause_s = ROUND_MIN_S
        while True:
            for line in self._order():
                tries += 1
                try:
                    reply = await line.ask(wish, int(TAKEN_S * 1_000), TAKEN_S)
                except (_Elsewhere, _Broken) as away:
                    log.info("durable call goes on elsewhere job_id=%s reason=%s", wish.job, away)
                    line.away_until_s = time.monotonic() + AWAY_S
                    continue
                answer = _answer(wish, line, reply, tries)
                if answer is not None:
                    return answer
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * GROWTH, AWAY_S)

    async def _taken(self, wish: _Wish, search: _Search, *, again: bool) -> tuple[_Line, CallReply]:
        """Asks relays until one has somebody who takes the call: how it ended there."""
        looking_s = search.first_s
        while True:
            began_s = time.monotonic()
            for line in self._order():
                left_s = max(search.until_s - time.monotonic(), 0)
                if search.tries and left_s <= 0:
                    raise CallNotTaken(wish.function, _whys(search))
                search.tries += 1
                routing_s = min(looking_s, left_s, ROUTING_MS_MAX / 1_000)
                reply = await self._tried(line, wish, routing_s, search, again=again)
                if reply is not None:
                    return line, reply
            looking_s = min(looking_s * GROWTH, LONGEST_S)
            if time.monotonic() >= search.until_s:
                raise CallNotTaken(wish.function, _whys(search))
            await asyncio.sleep(max(ROUND_MIN_S - (time.monotonic() - began_s), 0))

    @staticmethod
    async def _tried(
        line: _Line, wish: _Wish, routing_s: float, search: _Search, *, again: bool
    ) -> CallReply | None:
        """How it ended at one relay; None: nobody there has it."""
        try:
            reply = await line.ask(wish, int(routing_s * 1_000), max(routing_s, ROUND_MIN_S))
        except _Elsewhere as elsewhere:
            search.whys[line.address] = str(elsewhere)
            if elsewhere.away:
                line.away_until_s = time.monotonic() + AWAY_S
        except _Broken as broken:
            line.away_until_s = time.monotonic() + AWAY_S
            search.whys[line.address] = str(broken)
            if not again:
                raise CallLost(wish.function, str(broken)) from None
        else:
            if reply.outcome not in (relay_pb2.ROUTING_TIMEOUT, relay_pb2.REFUSED):
                return reply
            search.whys[line.address] = f"relay {line.relay}: {reply.error_message}"
        return None

    def _order(self) -> list[_Line]:
        """The relays, another one first each time, and those last that were away a moment ago."""
        now_s = time.monotonic()
        self._first = (self._first + 1) % len(self._lines)
        turned = self._lines[self._first :] + self._lines[: self._first]
        return sorted(turned, key=lambda line: line.away_until_s > now_s)


def _answer(wish: _Wish, line: _Line, reply: CallReply, tries: int) -> Answer | None:
    """What a call's end means to its caller; None: it was lost."""
    match reply.outcome:
        case relay_pb2.COMPLETE:
            return Answer(
                _decoded(reply.result, reply.result_type),
                reply.result_type,
                line.relay,
                reply.minion,
                reply.area,
                reply.waited_ms,
                reply.ran_ms,
                reply.cached,
                tries,
            )
        case relay_pb2.FAILED:
            raise CallFailed(
                wish.function,
                reply.error_type,
                reply.error_message,
                reply.error_trace,
                non_retryable=reply.non_retryable,
            )
        case relay_pb2.RUNNING_TIMEOUT:
            raise CallTimedOut(wish.function, reply.error_message)
        case relay_pb2.CALL_CANCELLED:
            raise CallCancelled(wish.function, reply.error_message or "it was cancelled")
        case _:
            return None


def _said(kind: str | None, word: CallWord) -> Said:
    if kind == "status":
        return Said(kind, b"", word.status.done, word.status.total)
    assert kind is not None, "a word has a kind"
    return Said(kind, getattr(word, kind))


def _is_over(asked: _Asked) -> bool:
    """True if the relay knows no longer of a call: it said its end, or that it is bad."""
    if not asked.ended.done() or asked.ended.cancelled():
        return False
    return not isinstance(asked.ended.exception(), _Elsewhere | _Broken)


def _whys(search: _Search) -> str:
    return "; ".join(search.whys.values()) or "there was no time to ask"


def _area(found: str | tuple[str, Seconds]) -> tuple[str, int | None]:
    if isinstance(found, str):
        return found, None
    area, time = found
    return area, milliseconds_within(f"the time of area {area!r:.80}", time, 0, ROUTING_MS_MAX)


def _trace_here() -> str:
    """The span that the calling code is in: the program's own, else that of the attempt it runs in."""
    outer = current()
    return traceparent() or (outer.trace if outer is not None else None) or ""


def _limit_ms(limit: Seconds | None) -> int:
    """As a relay is told it; 0: there is none."""
    return milliseconds_within("limit", limit, TIMEOUT_MS_MIN, TIMEOUT_MS_MAX) or 0


def _known(priority: Priority) -> Priority:
    if priority not in _PRIORITIES:
        raise BadRequest(f"priority must be high, normal or low, got {priority!r:.80}")
    return priority


def _encoded(args: Any, content_type: str | None) -> tuple[bytes, str]:
    if isinstance(args, bytes | bytearray | memoryview):
        found, media_type = bytes(args), content_type or BYTES_TYPE
    elif args is None:
        found, media_type = b"", content_type or CONTENT_TYPE
    else:
        try:
            found, media_type = encode_json(args), CONTENT_TYPE
        except (TypeError, ValueError) as error:
            raise BadRequest(f"arguments must be JSON values, or bytes, got: {error}") from error
    if len(found) > CALL_BYTES_MAX:
        raise BadRequest(
            f"arguments of a call must be at most {CALL_BYTES_MAX} bytes, got {len(found)} bytes"
        )
    return found, media_type


def _decoded(result: bytes, result_type: str) -> Any:
    if result_type.partition(";")[0].strip() == CONTENT_TYPE:
        return json.loads(result) if result else None
    return result if result or result_type else None


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _options_json(options: Options) -> bytes:
    """Options of a job that a durable call has no field for, as a request in JSON says them."""
    fields = option_fields(options)
    delay_ms = fields.pop("delay_ms", None)
    if delay_ms is not None:
        if "run_at_ms" in fields:
            raise BadRequest(f"a job must be given run_at or delay, got both (delay {delay_ms} ms)")
        fields["run_at_ms"] = time.time_ns() // 1_000_000 + delay_ms
    said = json.loads(to_json(JobRequest(function="", **fields), with_args=False))
    said.pop("function", None)
    return json.dumps(said).encode()
