"""A minion that speaks the raw protocol and does only what a test tells it: for what a real minion never
does.

Owns one stream. It answers nothing by itself: credits, receipts and beats are sent when the test says so.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import grpc

from schemas.proto.relay_pb2 import (
    SUCCESS,
    Beat,
    BeatBatch,
    Cancel,
    Credit,
    Draining,
    Drop,
    FromMinion,
    FromRelay,
    Held,
    Hello,
    Job,
    Receipt,
    ReceiptBatch,
    Welcome,
)

METHOD = "/jobstream.Relay/Session"
MESSAGE_BYTES_MAX = 32 * 1024 * 1024
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.use_local_subchannel_pool", 1),  # every fake has a connection of its own
)
DEADLINE_S = 45.0


class Ended(Exception):
    """The relay ended the stream, with this status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


class FakeMinion:
    """`async with FakeMinion(address, "m1") as minion:` has said hello and got its welcome.

    Attributes:
        jobs: Jobs that came and were not fetched by `take`.
        stored: Highest number that was acknowledged.
        cancels, drops, drains: What else came, oldest first.
    """

    def __init__(self, address: str, minion: str, **hello: Any) -> None:
        """`hello` overrides fields of the Hello; functions and queues default to f and default, capacity to
        100.

        `credentials` make it speak TLS. `raw` is sent in place of the Hello, and nothing by one that is
        `mute`. `deaf` reads nothing after the welcome.
        """
        self._mute: bool = hello.pop("mute", False)
        self._raw: bytes | None = hello.pop("raw", None)
        self._deaf: bool = hello.pop("deaf", False)
        self._credentials: grpc.ChannelCredentials | None = hello.pop("credentials", None)
        self.address = address
        self.said = Hello(
            protocol=hello.pop("protocol", 1),
            minion=minion,
            queues=hello.pop("queues", ["default"]),
            functions=hello.pop("functions", ["f"]),
            capacity=hello.pop("capacity", 100),
            **hello,
        )
        self.welcome = Welcome()
        self.jobs: asyncio.Queue[Job] = asyncio.Queue()
        self.stored = 0
        self.cancels: list[Cancel] = []
        self.drops: list[Drop] = []
        self.drains: list[Any] = []
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._numbers = 0
        self._channel: Any = None
        self._call: Any = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connects, says hello, and waits for the welcome; raises Ended if the relay refuses."""
        if self._credentials is None:
            self._channel = grpc.aio.insecure_channel(self.address, options=OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(self.address, self._credentials, options=OPTIONS)
        self._call = self._channel.stream_stream(METHOD)()
        if not self._mute:
            await self.send_raw(self._first())
        first = await self._next()
        if first is None:
            self._channel, channel = None, self._channel
            ended = await self._status()
            await channel.close()
            raise ended
        assert first.WhichOneof("message") == "welcome", first
        self.welcome = first.welcome
        if not self._deaf:
            self._reading = asyncio.create_task(self._read())
        return self

    def _first(self) -> bytes:
        return FromMinion(hello=self.said).SerializeToString() if self._raw is None else self._raw

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cuts the connection, as a process that dies does."""
        await self.cut()

    async def cut(self) -> None:
        """Cuts the connection without a word; twice is once."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        if self._channel is not None:
            self._call.cancel()
            await self._channel.close()
            self._channel = None

    async def hang_up(self) -> None:
        """Ends its side of the stream in order."""
        await self._call.done_writing()

    async def send_raw(self, message: bytes) -> None:
        """Sends any bytes as a message."""
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await self._call.write(message)

    async def send(self, **message: Any) -> None:
        """Sends a message: `send(credit=Credit(more=1))`."""
        await self.send_raw(FromMinion(**message).SerializeToString())

    async def grant(self, more: int) -> None:
        """Grants credits."""
        await self.send(credit=Credit(more=more))

    async def drain(self) -> None:
        """Says that it wants no more jobs."""
        await self.send(draining=Draining(grace_ms=1_000))

    async def beat(self, jobs: Iterable[Job] = (), **beat: Any) -> None:
        """Beats for these jobs, with these fields of Beat; for none, it only shows that it lives."""
        await self.send(beats=BeatBatch(beats=[Beat(job=job.id, epoch=job.epoch, **beat) for job in jobs]))

    async def answer(self, *jobs: Job, lease: bool = False, **receipt: Any) -> int:
        """Sends one receipt for each job, success unless said otherwise; returns the last number."""
        receipt.setdefault("outcome", SUCCESS)
        batch = []
        for job in jobs:
            self._numbers += 1
            said = Receipt(**{"number": self._numbers, "job": job.id, "epoch": job.epoch, **receipt})
            if lease:
                said.lease.CopyFrom(held(job))
            batch.append(said)
        await self.send(receipts=ReceiptBatch(receipts=batch))
        return self._numbers

    async def take(self, count: int = 1, timeout_s: float = DEADLINE_S) -> list[Job]:
        """The next jobs; fails if they do not come."""
        async with asyncio.timeout(timeout_s):
            return [await self.jobs.get() for _ in range(count)]

    async def end(self) -> Ended:
        """How the relay ends the stream."""
        async with asyncio.timeout(DEADLINE_S):
            return await asyncio.shield(self.ended)

    async def _next(self) -> FromRelay | None:
        try:
            raw = await self._call.read()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return None
        return None if raw is grpc.aio.EOF else FromRelay.FromString(raw)  # type: ignore[attr-defined]

    async def _status(self) -> Ended:
        return Ended(await self._call.code(), await self._call.details() or "")

    async def _read(self) -> None:
        while (message := await self._next()) is not None:
            match message.WhichOneof("message"):
                case "jobs":
                    for job in message.jobs.jobs:
                        self.jobs.put_nowait(job)
                case "receipts_stored":
                    self.stored = message.receipts_stored.up_to
                case "cancel":
                    self.cancels.append(message.cancel)
                case "drop":
                    self.drops.append(message.drop)
                case "drain":
                    self.drains.append(message.drain)
        self.ended.set_result(await self._status())


def held(job: Job) -> Held:
    """A job as the minion tells of it on a later session."""
    return Held(
        job=job.id,
        epoch=job.epoch,
        key=job.key,
        partition=job.partition,
        attempt=job.attempt,
        queue=job.queue,
        function=job.function,
        assigned_at_ms=job.assigned_at_ms,
        timeout_ms=job.timeout_ms,
    )
