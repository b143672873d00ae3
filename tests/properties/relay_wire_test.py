"""Strangers on the wire: whatever comes over a connection, a relay that listens ends that stream with a
status and
a sentence, or goes on with it; a minion beside it is not touched, and the relay has no fault of its own.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from relay import server
from schemas.proto import relay_pb2 as pb
from tests.fakes.edge import EdgeRelay, edge_relay
from tests.fakes.minion import Ended, FakeMinion
from tests.properties.relay_words_test import HELLO, SAID, SOUND_HELLO

METHOD = "/jobstream.Relay/Session"
ENDS_S = 30.0
STATUSES = {grpc.StatusCode.OK, *server.STATUS.values()}
OWN_DOING = {
    (grpc.StatusCode.CANCELLED, ""),
    (grpc.StatusCode.CANCELLED, "Locally cancelled by application!"),
    (grpc.StatusCode.INTERNAL, "Internal error from Core"),
}
"""What the stranger's own library says: it hung up, or wrote to a stream that had ended already."""
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


def message(said: Any) -> bytes:
    """Credits, receipts or beats as they go over the wire."""
    if isinstance(said, int):
        return pb.FromMinion(credit=pb.Credit(more=said)).SerializeToString()
    if said and isinstance(said[0], pb.Receipt):
        return pb.FromMinion(receipts=pb.ReceiptBatch(receipts=said)).SerializeToString()
    return pb.FromMinion(beats=pb.BeatBatch(beats=said)).SerializeToString()


OTHER = st.sampled_from(
    [
        pb.FromMinion(hello=pb.Hello(protocol=1)).SerializeToString(),
        pb.FromMinion(draining=pb.Draining(grace_ms=1)).SerializeToString(),
        pb.FromMinion(recall=pb.Recall(up_to=2**32 - 1)).SerializeToString(),
        pb.FromMinion().SerializeToString(),
    ]
)
MESSAGES = st.lists(st.one_of(SAID.map(message), OTHER, st.binary(max_size=200)), max_size=6)
FIRST = st.one_of(
    st.one_of(SOUND_HELLO, HELLO).map(lambda said: pb.FromMinion(hello=said).SerializeToString()),
    st.binary(max_size=50),
    OTHER,
)


@dataclass
class Street:
    """A relay, a minion at it that keeps every rule, and the loop that both live in."""

    runner: asyncio.Runner
    relay: EdgeRelay
    steady: FakeMinion
    jobs: int = 0
    told: set[str] = field(default_factory=set)

    async def steady_goes_on(self) -> None:
        """It gets a job that is its own, and its receipt is taken."""
        self.jobs += 1
        job = self.relay.dispatch(job=f"steady-{self.jobs}", function="steady")
        [got] = await self.steady.take()
        assert got.id == job.job
        await self.steady.answer(got)
        await self.steady.grant(1)
        assert not self.relay.faults, self.relay.faults


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    """One for all examples: what one of them left behind must not trouble the next."""
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()

        async def open_up() -> Street:
            relay = await stack.enter_async_context(edge_relay())
            steady = await stack.enter_async_context(
                FakeMinion(relay.address, "steady", functions=["steady"])
            )
            await steady.grant(10)
            return Street(runner, relay, steady)

        yield runner.run(open_up())
        runner.run(stack.aclose())


async def stranger(address: str, words: list[bytes], *, hang_up: bool) -> tuple[grpc.StatusCode, str]:
    """Says all that, and how its stream ended: by the relay, or since it hung up at the end."""
    channel: Any = grpc.aio.insecure_channel(address, options=OPTIONS)
    async with channel:
        call = channel.stream_stream(METHOD)()
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            for each in words:
                await call.write(each)
            if hang_up:
                call.cancel()
            else:
                await call.done_writing()
        async with asyncio.timeout(ENDS_S):
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
                while await call.read() is not grpc.aio.EOF:  # type: ignore[attr-defined]  # its types forgot it
                    pass
            with contextlib.suppress(asyncio.CancelledError):
                return await call.code(), await call.details() or ""
    return grpc.StatusCode.CANCELLED, ""


@given(first=FIRST, words=MESSAGES, hang_up=st.booleans())
@example(first=b"", words=[], hang_up=True)
def test_any_stream_ends_with_a_sentence_and_harms_nobody(
    street: Street,
    first: bytes,
    words: list[bytes],
    hang_up: bool,  # noqa: FBT001
) -> None:
    """Garbage, wrong versions, empty hellos, receipts of others' leases, twice, out of order, too many
    credits.
    """

    async def run() -> None:
        code, sentence = await stranger(street.relay.address, [first, *words], hang_up=hang_up)
        if (code, sentence) not in OWN_DOING:
            assert code in STATUSES, (code, sentence)
            assert code == grpc.StatusCode.OK or 0 < len(sentence) < 1_000
        await street.steady_goes_on()

    street.runner.run(run())


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@given(raw=st.one_of(st.binary(max_size=2_000), st.binary(max_size=500).map(lambda rest: PREFACE + rest)))
@example(raw=b"\x16\x03\x01\x02\x00\x01")
@example(raw=PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\xff" * 500)
def test_bytes_that_are_no_http_2_harm_nobody(street: Street, raw: bytes) -> None:
    """The connection is closed, or waits for more until its time is over; either way the others go on."""

    async def run() -> None:
        host, port = street.relay.address.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(raw)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        await street.steady_goes_on()
        writer.transport.abort()

    street.runner.run(run())


def test_many_that_connect_and_say_nothing(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told so when its time is over; nobody waits for them."""
    monkeypatch.setattr(server, "HELLO_S", 0.3)

    async def run() -> None:
        mute = [FakeMinion(street.relay.address, f"mute-{n}", mute=True) for n in range(20)]
        opening = [asyncio.create_task(each.__aenter__()) for each in mute]
        await street.steady_goes_on()
        for ended in await asyncio.gather(*opening, return_exceptions=True):
            assert isinstance(ended, Ended)
            assert ended.code == grpc.StatusCode.DEADLINE_EXCEEDED
            assert ended.details == "hello must come within 0.3 s, got nothing"
        await street.steady_goes_on()

    street.runner.run(run())


def test_a_message_above_the_limit(street: Street) -> None:
    """It is refused by its size alone."""

    async def run() -> None:
        code, _ = await stranger(street.relay.address, [bytes(server.MESSAGE_BYTES_MAX + 1)], hang_up=False)
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        await street.steady_goes_on()

    street.runner.run(run())
