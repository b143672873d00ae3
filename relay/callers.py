"""Callers over gRPC: one call in a request, or many on a stream.

Owns what a caller's stream holds: its calls under way, and the words that wait to be sent to it. What
becomes of a call is the switchboard's. A caller that vanishes takes its calls along; one that takes nothing
off its stream is cut off, and no other feels it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from relay.core.call import BadCall, Call, Priority, Word, WordKind
from relay.core.call_session import REPLIES
from relay.core.tokens import Denied
from relay.durable import BadDurable, CannotSay, Durables, reply_of_fact
from relay.switchboard import Switchboard
from schemas.defaults import CONTENT_TYPE, MIB, NAME_CHARS_MAX, QUEUE, ROUTING_MS
from schemas.proto import relay_pb2
from schemas.proto.relay_pb2 import CallReply, CallRequest, CallWord, FromCaller, RunStatus, ToCaller

DOOR = "grpc"

OPEN_MAX = 20_000
"""Calls of one stream that are under way at once."""

UNSENT_BYTES_MAX = 64 * MIB
"""Words that wait for a caller that does not read; with more its stream is cut off."""

WORDS_PER_MESSAGE = 512
"""Words in one message."""

MESSAGE_BYTES = MIB
"""A message is full when its words reach this."""

CLOCK_EVERY_S = 10.0
"""How often a caller is told the relay's clock when there is nothing else to tell it."""

LAST_WORDS_S = 5.0
"""How long a caller that asks no more may take to read its last words."""

WORD_BYTES = 100
"""What a word takes beside its data, about."""

_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # its types forgot it

PRIORITIES = {0: Priority.NORMAL, 1: Priority.HIGH, 2: Priority.LOW}


May = Callable[[str, str | None], None]
"""Raises Denied unless who calls may call the function; the queue is that of a durable call."""


class CutOff(Exception):
    """A caller's stream must end: the sentence says why."""


def call_of(asked: CallRequest, peer: str, tag: object, since_ms: int | None = None) -> Call:
    """The call that a caller asks for."""
    return Call(
        asked.function,
        asked.args,
        asked.content_type or CONTENT_TYPE,
        asked.unique,
        tuple((each.area, each.timeout_ms if each.HasField("timeout_ms") else None) for each in asked.areas),
        asked.routing_ms if asked.HasField("routing_ms") else ROUTING_MS,
        asked.running_ms or None,
        PRIORITIES.get(asked.priority, Priority.NORMAL),
        asked.caller[:NAME_CHARS_MAX] or peer,
        asked.trace,
        DOOR,
        tag,
        since_ms,
    )


def reply_of(call: Call) -> CallReply:
    """How a call ended, for its caller."""
    end = call.end
    assert end is not None, "a call that is answered has ended"
    return CallReply(
        outcome=REPLIES[end.outcome],
        result=end.result,
        result_type=end.result_type,
        error_type=end.error_type,
        error_message=end.error_message,
        error_trace=end.error_trace,
        cached=end.cached,
        minion=call.worker,
        area=call.area,
        waited_ms=call.waited_ms,
        ran_ms=call.ran_ms,
        non_retryable=end.non_retryable,
    )


class Waiter:
    """A caller who waits for the end alone."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[Call] = asyncio.get_running_loop().create_future()

    def told(self, call: Call, word: Word) -> None:
        """What is said before the end is not for it."""

    def over(self, call: Call) -> None:
        """The end."""
        if not self.ended.done():
            self.ended.set_result(call)


async def wait_for(board: Switchboard, call: Call, waiter: Waiter) -> Call:
    """Asks, and gives the call when it is over; when the waiting task is cancelled, its caller is gone."""
    board.ask(call)
    try:
        return await waiter.ended
    finally:
        board.leave(call)


class Asked:
    """One call of a stream, under its caller's number."""

    __slots__ = ("line", "number", "words")

    def __init__(self, line: "CallerStream", number: int, *, words: bool) -> None:
        self.line = line
        self.number = number
        self.words = words

    def told(self, call: Call, word: Word) -> None:
        """A word for the caller, if it wants them."""
        del call
        if word.kind is WordKind.ASSIGNED:
            self.line.say(CallWord(call=self.number, assigned=True), 0)
        elif self.words:
            self.line.say(_worded(self.number, word), len(word.data))

    def over(self, call: Call) -> None:
        """The end."""
        assert call.end is not None
        self.line.say(CallWord(call=self.number, end=reply_of(call)), len(call.end.result))
        self.line.over(self.number)


class CallerStream:
    """All calls of one stream."""

    def __init__(self, board: Switchboard, peer: str, may: May, durables: Durables | None = None) -> None:
        """`may` raises Denied for a function that this caller may not call."""
        self.calls: dict[int, Call] = {}
        self.jobs: dict[int, asyncio.Task[None]] = {}
        """Durable calls."""
        self.closed = False
        self.refusal = ""
        """Why the stream is cut off; empty: it is not."""
        self.cut_off: Callable[[], object] = lambda: None
        self.something = asyncio.Event()
        """There is something to tell, or nothing will follow."""
        self.idle = asyncio.Event()
        """The caller asks no more, and all its calls are over."""
        self._asks_no_more = False
        self._board = board
        self._peer = peer
        self._may = may
        self._durables = durables
        self._words: deque[tuple[CallWord, int]] = deque()
        self._bytes = 0

    def say(self, word: CallWord, size_bytes: int) -> None:
        """Puts a word aside for the caller."""
        if self.closed or self.refusal:
            return
        self._words.append((word, size_bytes))
        self._bytes += size_bytes + WORD_BYTES
        self.something.set()
        if self._bytes > UNSENT_BYTES_MAX:
            self.refusal = f"a caller must read what it is told, got {self._bytes} bytes that wait for it"
            self.cut_off()

    def over(self, number: int) -> None:
        """A call is over."""
        self.calls.pop(number, None)
        self._look_idle()

    def asks_no_more(self) -> None:
        """The caller has ended its side."""
        self._asks_no_more = True
        self._look_idle()

    def _look_idle(self) -> None:
        if self._asks_no_more and not self.calls and not self.jobs:
            self.idle.set()
            self.something.set()

    def take(self, said: FromCaller) -> None:
        """What the caller says; raises CutOff if it may not."""
        if said.ping:
            self.something.set()
        for asked in said.asks:
            self._ask(asked.call, asked.request, asked.asked_at_ms or None)
        for limit in said.limits:
            call = self.calls.get(limit.run)
            if call is not None:
                self._change_limit(limit.run, call, limit.timeout_ms or None)
        for number in said.cancels:
            call = self.calls.get(number)
            if call is not None:
                self._board.leave(call, "its caller called it off")
            if number in self.jobs:
                self.jobs[number].cancel()

    def messages(self, relay: str = "") -> list[ToCaller]:
        """What waits for the caller, taken out, as messages."""
        found: list[ToCaller] = []
        now_ms = self._board.clock()
        while self._words or not found:
            message = ToCaller(at_ms=now_ms, relay=relay, draining=bool(self._board.calls.leaving))
            size_bytes = 0
            while self._words and len(message.words) < WORDS_PER_MESSAGE and size_bytes < MESSAGE_BYTES:
                word, word_bytes = self._words.popleft()
                self._bytes -= word_bytes + WORD_BYTES
                size_bytes += word_bytes
                message.words.append(word)
            found.append(message)
        return found

    def close(self) -> None:
        """The caller is gone, and so are its calls."""
        self.closed = True
        for call in list(self.calls.values()):
            self._board.leave(call)
        for job in list(self.jobs.values()):
            job.cancel()
        self._words.clear()

    def _ask(self, number: int, request: CallRequest, since_ms: int | None) -> None:
        if number in self.calls or number in self.jobs:
            raise CutOff(
                f"the number of a call must not be that of another one under way, got {number} twice"
            )
        if len(self.calls) + len(self.jobs) >= OPEN_MAX:
            raise CutOff(f"a stream must have at most {OPEN_MAX} calls under way, got one more")
        if request.durable:
            self._wait_for_job(number, request)
            return
        call = call_of(request, self._peer, Asked(self, number, words=request.words), since_ms)
        self.calls[number] = call
        try:
            self._may(call.function, None)
            self._board.ask(call)
        except (BadCall, Denied) as bad:
            self.over(number)
            self.say(CallWord(call=number, bad=str(bad)), 0)

    def _wait_for_job(self, number: int, request: CallRequest) -> None:
        """A durable call: it is Kafka's, and this stream only waits."""
        try:
            self._may(request.function, request.queue or QUEUE)
        except Denied as denied:
            self.say(CallWord(call=number, bad=str(denied)), 0)
            return
        if self._durables is None:
            self.say(CallWord(call=number, bad="this relay has no Kafka, and no durable calls"), 0)
            return
        self.jobs[number] = asyncio.create_task(self._job(number, request, self._durables))

    async def _job(self, number: int, request: CallRequest, durables: Durables) -> None:
        began_ns = time.monotonic_ns()
        reply = CallReply(outcome=relay_pb2.CALL_LOST, error_message="its caller waits no longer")
        try:
            ended = await durables.taken(request)
            self.say(CallWord(call=number, assigned=True), 0)
            reply = reply_of_fact(await ended)
            self.say(CallWord(call=number, end=reply), len(reply.result))
        except BadDurable as bad:
            reply = CallReply(outcome=relay_pb2.FAILED, error_message=str(bad))
            self.say(CallWord(call=number, bad=str(bad)), 0)
        except CannotSay as why:
            reply = CallReply(outcome=relay_pb2.CALL_LOST, error_message=str(why))
            self.say(CallWord(call=number, end=reply), 0)
        finally:
            self._board.notes.job_ended(request, self._peer, reply, time.monotonic_ns() - began_ns)
            self.jobs.pop(number, None)
            self._look_idle()

    def _change_limit(self, number: int, call: Call, running_ms: int | None) -> None:
        try:
            self._board.change_limit(call, running_ms)
        except BadCall as bad:
            self._board.leave(call, str(bad))
            self.say(CallWord(call=number, bad=str(bad)), 0)


def _worded(number: int, word: Word) -> CallWord:
    match word.kind:
        case WordKind.DATA:
            return CallWord(call=number, data=word.data)
        case WordKind.STATUS:
            return CallWord(call=number, status=RunStatus(done=word.done, total=word.total))
        case WordKind.WARNING:
            return CallWord(call=number, warning=word.data)
        case _:
            return CallWord(call=number, exception=word.data)


async def serve_stream(board: Switchboard, context: Any, may: May, durables: Durables | None) -> None:
    """A caller's stream, from its beginning to its end. grpc.aio.AbortError when it is cut off.

    `may` raises Denied for a function that this caller may not call.
    """
    line = CallerStream(board, context.peer(), may, durables)
    reader = asyncio.create_task(_read(line, context))
    writer = asyncio.create_task(_write(line, context, board.relay))
    clock = asyncio.create_task(_tell_clock(line))
    line.cut_off = reader.cancel
    try:
        await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
        if reader.done() and not line.refusal:
            await asyncio.wait({writer}, timeout=LAST_WORDS_S)
    finally:
        line.close()
        for task in (reader, writer, clock):
            task.cancel()
        await asyncio.wait({reader, writer, clock})
    for task in (reader, writer):
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
    if line.refusal:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, line.refusal)


async def _read(line: CallerStream, context: Any) -> None:
    """What the caller says, until it says no more and all its calls are over."""
    while True:
        try:
            raw = await context.read()
        except Exception:  # noqa: BLE001  # the caller is gone, in whichever of its ways the library tells so
            return
        if raw is _EOF:
            break
        try:
            line.take(FromCaller.FromString(raw))
        except DecodeError:
            line.refusal = f"a message must be a FromCaller, got {len(raw)} bytes that are not"
        except CutOff as cut:
            line.refusal = str(cut)
        if line.refusal:
            return
        await asyncio.sleep(0)  # what this had others say goes out before the next read costs its time
    line.asks_no_more()
    await line.idle.wait()


async def _write(line: CallerStream, context: Any, relay: str) -> None:
    """Tells the caller what waits for it, and the relay's clock."""
    messages = line.messages(relay)
    while True:
        for message in messages:
            try:
                await context.write(message.SerializeToString())
            except Exception:  # noqa: BLE001  # as above
                return
        if line.idle.is_set() and not line.something.is_set():
            return
        await line.something.wait()
        line.something.clear()
        messages = line.messages()


async def _tell_clock(line: CallerStream) -> None:
    """Has the caller told the clock now and then, without a timeout around each of its words."""
    while True:
        await asyncio.sleep(CLOCK_EVERY_S)
        line.something.set()
