"""A relay for tests of minions: a real gRPC server on loopback that speaks the protocol and does what a test
says.

It owns no Kafka, no policy and no state beyond its sessions; it checks that the minion keeps the protocol and
notes every breach, so that a test that ends with `assert not relay.breaches` holds the minion to it.
"""

import asyncio
import itertools
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from schemas.proto.relay_pb2 import (
    Beat,
    Cancel,
    Drain,
    Drop,
    FromMinion,
    FromRelay,
    Held,
    Hello,
    Job,
    JobBatch,
    Recalled,
    Receipt,
    ReceiptsStored,
    Welcome,
)
from tests.waiting import eventually_async

EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs lack it
METHOD = "/jobstream.Relay/Session"


class FakeSession:
    """One stream, from the relay's side.

    Attributes:
        hello: What the minion said first.
        receipts: Every receipt, in the order of arrival, those sent again too.
        beats: Every beat with its time of arrival (monotonic seconds), empty batches not among them.
        batches: How many jobs' beats each BeatBatch had.
        credits: How many more jobs may be sent.
        draining: Grace in ms, once the minion said that it goes away.
        crossing: Jobs that are on their way when credits are asked back.
        closed: True once the stream has ended.
    """

    def __init__(self, relay: "FakeRelay", hello: Hello, number: int) -> None:
        self.hello = hello
        self.id = f"session-{number}"
        self.receipts: list[Receipt] = []
        self.beats: list[tuple[float, Beat]] = []
        self.batches: list[int] = []
        self.credits = 0
        self.draining: int | None = None
        self.crossing: list[Job] = []
        self.closed = False
        self.held = {(each.job, each.epoch) for each in hello.held}
        self._relay = relay
        self._outgoing: asyncio.Queue[FromRelay | grpc.StatusCode] = asyncio.Queue()
        self._number = 0

    async def give(self, function: str, args: Any = None, **fields: Any) -> Job:
        """Sends one job, once there is a credit. `args` is a JSON value, or bytes with a content_type."""
        job = self._relay.job(function, args, **fields)
        await self.give_many([job])
        return job

    async def give_many(self, jobs: list[Job]) -> None:
        """Sends jobs in one message, once there are credits for all."""
        await eventually_async(lambda: _is(self.credits >= len(jobs)))
        self.push(jobs)

    def push(self, jobs: list[Job]) -> None:
        """Sends jobs in one message, credits or not."""
        self.credits -= len(jobs)
        self.held.update((job.id, job.epoch) for job in jobs)
        self.send(FromRelay(jobs=JobBatch(jobs=jobs)))

    def cancel(self, job: Job, reason: str = "") -> None:
        """Asks to cancel an attempt."""
        self.send(FromRelay(cancel=Cancel(job=job.id, epoch=job.epoch, reason=reason)))

    def drain(self, grace_ms: int = 1_000) -> None:
        """Says that the relay goes away."""
        self.send(FromRelay(drain=Drain(reason="test", grace_ms=grace_ms)))

    def drop(self, *jobs: Job) -> None:
        """Takes leases away."""
        for job in jobs:
            self.held.discard((job.id, job.epoch))
        leases = [Held(job=job.id, epoch=job.epoch) for job in jobs]
        self.send(FromRelay(drop=Drop(leases=leases, reason="test")))

    def store(self, up_to: int | None = None) -> None:
        """Confirms receipts up to a number, by default all that came."""
        if up_to is None:
            up_to = max((each.number for each in self.receipts), default=0)
        self.send(FromRelay(receipts_stored=ReceiptsStored(up_to=up_to)))

    def send(self, message: FromRelay) -> None:
        """Sends any message."""
        self._outgoing.put_nowait(message)

    def abort(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        """Ends the stream with a status, after what was sent before."""
        self._outgoing.put_nowait(code)

    async def receipt(self, job: Job, timeout_s: float = 10.0) -> Receipt:
        """The receipt of a job, as soon as it came on this session."""

        async def find() -> Receipt | None:
            found = (each for each in self.receipts if (each.job, each.epoch) == (job.id, job.epoch))
            return next(found, None)

        found = await eventually_async(find, timeout_s)
        assert found is not None
        return found

    async def beat(
        self, job: Job, wanted: Callable[[Beat], bool] = lambda _: True, timeout_s: float = 10.0
    ) -> Beat:
        """The first beat of a job that is wanted, as soon as it came on this session."""

        async def find() -> Beat | None:
            found = (
                each
                for _, each in self.beats
                if (each.job, each.epoch) == (job.id, job.epoch) and wanted(each)
            )
            return next(found, None)

        found = await eventually_async(find, timeout_s)
        assert found is not None
        return found

    async def serve(self, stream: Any, context: Any) -> None:
        """Talks until either side ends."""
        writer = asyncio.create_task(self._write(context))
        reader = asyncio.create_task(self._read(stream))
        try:
            await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.closed = True
            writer.cancel()
            reader.cancel()
            results = await asyncio.gather(writer, reader, return_exceptions=True)
        for each in results:
            if isinstance(each, grpc.StatusCode):
                await context.abort(each, "the test said so")

    async def _write(self, context: Any) -> grpc.StatusCode:
        while not isinstance(message := await self._outgoing.get(), grpc.StatusCode):
            await context.write(message)
        return message

    async def _read(self, stream: Any) -> None:
        async for message in stream:
            self._receive(message)

    def _receive(self, message: FromMinion) -> None:
        kind = message.WhichOneof("message")
        if kind == "receipts":
            for receipt in message.receipts.receipts:
                self._receive_receipt(receipt)
            if self._relay.stores and self.receipts:
                self.store()
        elif kind == "credit":
            self.credits += message.credit.more
            if self.credits > self.hello.capacity:
                self._relay.breaches.append(
                    f"{self.credits} credits above the capacity of {self.hello.capacity}"
                )
        elif kind == "beats":
            self.batches.append(len(message.beats.beats))
            self.beats += [(time.monotonic(), beat) for beat in message.beats.beats]
        elif kind == "recall":
            if self.crossing:
                self.push(self.crossing)
            count = min(self.credits, message.recall.up_to)
            self.credits -= count
            self._outgoing.put_nowait(FromRelay(recalled=Recalled(count=count)))
        elif kind == "draining":
            self.draining = message.draining.grace_ms
        else:
            self._relay.breaches.append(f"a second hello, or nothing known: {kind}")

    def _receive_receipt(self, receipt: Receipt) -> None:
        name = (receipt.job, receipt.epoch)
        if receipt.number <= self._number:
            self._relay.breaches.append(f"receipt {receipt.number} after {self._number} on one session")
        if name not in self.held and not receipt.HasField("lease"):
            self._relay.breaches.append(
                f"receipt for {name}, which this session does not hold, without its lease"
            )
        self.held.discard(name)
        self._number = receipt.number
        self.receipts.append(receipt)
        self._relay.receipts[name].append(receipt)


class FakeRelay:
    """The server.

    Attributes:
        stores: True: every receipt is confirmed when it comes. False: when the test says so.
        welcomes: False: hellos are not answered.
        refuses: Hellos are answered with this status, if any.
        refused: When that was, monotonic seconds.
        sessions: Every session, the latest last.
        receipts: Receipts of all sessions, by (job, epoch).
        breaches: What the minion did against the protocol.
    """

    def __init__(
        self,
        *,
        heartbeat_ms: int = 1_000,
        heartbeat_timeout_ms: int = 4_000,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self.stores = True
        self.welcomes = True
        self.refuses: grpc.StatusCode | None = None
        self.refused: list[float] = []
        self.heartbeat_ms = heartbeat_ms
        self.heartbeat_timeout_ms = heartbeat_timeout_ms
        self._credentials = credentials
        self.sessions: list[FakeSession] = []
        self.receipts: dict[tuple[str, int], list[Receipt]] = defaultdict(list)
        self.breaches: list[str] = []
        self.port = 0
        self._server: grpc.aio.Server | None = None
        self._jobs = itertools.count(1)

    @property
    def address(self) -> str:
        """Where it listens, host:port."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listens: the first time on any free port, afterwards on the same again."""
        server = grpc.aio.server(
            options=(("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 32 << 20))
        )
        server.add_generic_rpc_handlers((_Handler(self),))
        address = f"127.0.0.1:{self.port}"
        if self._credentials is None:
            self.port = server.add_insecure_port(address)
        else:
            self.port = server.add_secure_port(address, self._credentials)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Breaks every stream and stops listening."""
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    async def session(self, count: int = 1, timeout_s: float = 10.0) -> FakeSession:
        """The session with this number, from 1, as soon as it is there."""
        await eventually_async(lambda: _is(len(self.sessions) >= count), timeout_s)
        return self.sessions[count - 1]

    def job(self, function: str, args: Any = None, **fields: Any) -> Job:
        """A job that was not sent yet."""
        number = next(self._jobs)
        now_ms = time.time_ns() // 1_000_000
        given = {
            "id": f"job-{number}",
            "epoch": 1,
            "attempt": 1,
            "key": f"key-{number}",
            "partition": number % 8,
            "queue": "default",
            "function": function,
            "args": args if isinstance(args, bytes) else b"" if args is None else json.dumps(args).encode(),
            "content_type": "application/json",
            "timeout_ms": 60_000,
            "heartbeat_timeout_ms": self.heartbeat_timeout_ms,
            "assigned_at_ms": now_ms,
            "created_at_ms": now_ms - 5,
        }
        return Job(**{**given, **fields})

    async def converse(self, stream: AsyncIterator[FromMinion], context: Any) -> None:
        """One stream, from hello on."""
        first = await context.read()
        if first is EOF or first.WhichOneof("message") != "hello" or first.hello.protocol != 1:
            self.breaches.append(f"a stream must begin with a hello, got {first}")
            return
        if self.refuses is not None:
            self.refused.append(time.monotonic())
            await context.abort(self.refuses, "the test said so")
        if not self.welcomes:
            await asyncio.Event().wait()
        session = FakeSession(self, first.hello, len(self.sessions) + 1)
        welcome = Welcome(
            protocol=1,
            session=session.id,
            relay="fake",
            heartbeat_ms=self.heartbeat_ms,
            heartbeat_timeout_ms=self.heartbeat_timeout_ms,
        )
        await context.write(FromRelay(welcome=welcome))
        self.sessions.append(session)
        await session.serve(stream, context)


class _Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs alone
    """Serves the one method, without generated stubs."""

    def __init__(self, relay: FakeRelay) -> None:
        self._method = grpc.stream_stream_rpc_method_handler(
            relay.converse,
            request_deserializer=FromMinion.FromString,
            response_serializer=FromRelay.SerializeToString,
        )

    def service(self, handler_call_details: Any) -> Any:
        """The method, None for any other."""
        return self._method if handler_call_details.method == METHOD else None


async def _is(found: bool) -> bool:  # noqa: FBT001  # a condition as a coroutine
    return found


@asynccontextmanager
async def fake_relay(**options: Any) -> AsyncIterator[FakeRelay]:
    """A relay that listens; at the end it stops, and the minion must have kept the protocol."""
    relay = FakeRelay(**options)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()
    assert not relay.breaches
