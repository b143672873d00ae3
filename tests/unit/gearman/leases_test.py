"""Both worlds at one relay: durable jobs and calls on Gearman workers, and Gearman clients' calls on
minions over gRPC.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc

from relay.doors.gearman.door import Door
from relay.doors.gearman.packets import P
from schemas.proto.relay_pb2 import (
    COMPLETE,
    SUCCESS,
    CallReply,
    CallRequest,
    Credit,
    FromMinion,
    FromRelay,
    Hello,
    Receipt,
    RunBatch,
    RunStatus,
    RunWord,
)
from schemas.words import Outcome
from tests.fakes.edge import EdgeRelay, edge_relay
from tests.fakes.gearman import FakeDesk, Peer
from tests.waiting import eventually_async


class Relay:
    """A relay with a Gearman door, and connections to that."""

    def __init__(self, core: EdgeRelay, door: Door, port: int) -> None:
        self.core = core
        self.door = door
        self.port = port
        self.peers: list[Peer] = []

    async def peer(self, *functions: bytes) -> Peer:
        """A connection; with functions it is a worker's."""
        peer = await Peer.connect(self.port)
        self.peers.append(peer)
        if functions:
            await peer.works(*functions)
        return peer

    async def until(self, check: Callable[[], object]) -> None:
        """Returns when something is so."""

        async def is_so() -> bool:
            return bool(check())

        await eventually_async(is_so)


@asynccontextmanager
async def relay() -> AsyncIterator[Relay]:
    """One that runs; its log takes every record at once."""
    async with edge_relay() as core:
        door = Door(core.board, desk=FakeDesk(), bridge=core, version="1.0")
        port = await door.start("127.0.0.1", 0)
        found = Relay(core, door, port)
        try:
            yield found
        finally:
            for peer in found.peers:
                peer.close()
            await door.stop("the test is over")


async def test_a_sleeping_worker_runs_a_durable_job() -> None:
    """It is woken for it as for any other job, and its result is a receipt."""
    async with relay() as its:
        worker = await its.peer(b"f")
        worker.say(P.PRE_SLEEP)
        await worker.settled()
        job = its.core.dispatch(args=b"21", attempt=2)
        await worker.expect(P.NOOP)
        handle = await worker.takes(b"21")
        worker.say(P.WORK_DATA, handle, b"nobody reads this")
        worker.say(P.WORK_COMPLETE, handle, b'{"n":42}')
        await its.until(lambda: its.core.receipts)
        (receipt,) = its.core.receipts
        assert (receipt.job, receipt.outcome, receipt.result) == (job.job, Outcome.SUCCESS, b'{"n":42}')
        assert receipt.result_type == "application/json"
        worker.say(P.GRAB_JOB)
        await worker.expect(P.NO_JOB)


async def test_a_durable_job_that_waits_for_a_worker() -> None:
    """A worker that comes for a job is given one that waits, with the job's id as its unique id."""
    async with relay() as its:
        worker = await its.peer(b"f")
        worker.say(P.GRAB_JOB)
        await worker.expect(P.NO_JOB)
        job = its.core.dispatch(args=b"1")
        worker.say(P.GRAB_JOB_UNIQ)
        await worker.expect(P.JOB_ASSIGN_UNIQ, None, b"f", job.job.encode(), b"1")


async def test_a_worker_is_woken_once() -> None:
    """However much waits for it, one NOOP is sent for one PRE_SLEEP."""
    async with relay() as its:
        client, worker = await its.peer(), await its.peer(b"f")
        worker.say(P.GRAB_JOB)
        await worker.expect(P.NO_JOB)
        its.core.dispatch()
        its.core.dispatch()
        await client.submits(b"f")
        worker.say(P.PRE_SLEEP)
        await worker.expect(P.NOOP)
        await worker.settled()
        for _ in range(3):
            await worker.takes()


async def test_how_durable_jobs_fail() -> None:
    """WORK_FAIL and WORK_EXCEPTION are failures, which the state machine tries again; the latter says why."""
    async with relay() as its:
        worker = await its.peer(b"f")
        for _ in range(2):
            its.core.dispatch()
        first, second = await worker.takes(), await worker.takes()
        worker.say(P.WORK_EXCEPTION, first, b"it is broken")
        worker.say(P.WORK_FAIL, first)
        worker.say(P.WORK_FAIL, second)
        await its.until(lambda: len(its.core.receipts) == 2)
        assert [(each.outcome, each.error_message) for each in its.core.receipts] == [
            (Outcome.FAILURE, "it is broken"),
            (Outcome.FAILURE, "its worker said that it failed, and not why"),
        ]
        await worker.settled()


async def test_a_worker_that_vanishes_with_a_durable_job() -> None:
    """The job is lost after the grace that every minion has, so that it is tried again."""
    async with relay() as its:
        worker = await its.peer(b"f")
        job = its.core.dispatch()
        await worker.takes()
        worker.close()
        await its.until(lambda: its.core.receipts)
        assert [(each.job, each.outcome) for each in its.core.receipts] == [(job.job, Outcome.LOST)]


async def test_nothing_waits_behind_a_worker_that_is_busy() -> None:
    """A worker that runs a call is given no durable job beside it: another one gets that."""
    async with relay() as its:
        client, busy = await its.peer(), await its.peer(b"f")
        busy.say(P.PRE_SLEEP)
        await busy.settled()
        await client.submits(b"f", b"call")
        await busy.expect(P.NOOP)
        await busy.takes(b"call")
        its.core.dispatch(args=b"durable")
        idle = await its.peer(b"f")
        await idle.takes(b"durable")


async def test_calls_and_durable_jobs_take_turns() -> None:
    """Where both wait for one worker neither starves."""
    async with relay() as its:
        client, worker = await its.peer(), await its.peer(b"f")
        for _ in range(3):
            its.core.dispatch(args=b"durable")
            await client.submits(b"f", b"call")
        taken = []
        for _ in range(6):
            worker.say(P.GRAB_JOB)
            handle, _, data = await worker.expect(P.JOB_ASSIGN, None, None, None)
            taken.append(data)
            worker.say(P.WORK_COMPLETE, handle, b"")
        assert taken == [b"call", b"durable"] * 3


async def test_how_far_a_durable_job_is() -> None:
    """WORK_STATUS is its progress, and GET_STATUS of its handle tells it."""
    async with relay() as its:
        client, worker = await its.peer(), await its.peer(b"f")
        job = its.core.dispatch()
        handle = await worker.takes()
        worker.say(P.WORK_STATUS, handle, b"3", b"10")
        await worker.settled()
        client.say(P.GET_STATUS, b"J:" + job.job.encode())
        await client.expect(P.STATUS_RES, None, b"1", b"1", b"3", b"10")


async def test_functions_that_come_and_go() -> None:
    """A worker with other functions than before is given jobs of those; the one that it runs goes on."""
    async with relay() as its:
        worker = await its.peer(b"f")
        first = its.core.dispatch()
        handle = await worker.takes()
        worker.say(P.CANT_DO, b"f")
        worker.say(P.CAN_DO, b"g")
        worker.say(P.PRE_SLEEP)
        await worker.settled()
        its.core.dispatch(function="f")
        second = its.core.dispatch(function="g", args=b"g")
        await worker.expect(P.NOOP)
        other = await worker.takes(b"g")
        for each in (handle, other):
            worker.say(P.WORK_COMPLETE, each, b"")
        await its.until(lambda: len(its.core.receipts) == 2)
        assert [each.job for each in its.core.receipts] == [first.job, second.job]


async def test_a_durable_job_that_exceeds_its_workers_timeout() -> None:
    """CAN_DO_TIMEOUT holds for durable jobs too: the attempt fails, and what comes later is passed over."""
    async with relay() as its:
        worker = await its.peer()
        worker.say(P.CAN_DO_TIMEOUT, b"f", b"30")
        await worker.settled()
        job = its.core.dispatch()
        handle = await worker.takes()
        await its.until(lambda: its.core.receipts)
        (receipt,) = its.core.receipts
        assert (receipt.job, receipt.outcome, receipt.error_type) == (job.job, Outcome.FAILURE, "Timeout")
        worker.say(P.WORK_COMPLETE, handle, b"late")
        await worker.settled()


async def test_a_durable_job_that_is_taken_away() -> None:
    """A job that is dispatched anew is the worker's no longer, and what it says of it is passed over."""
    async with relay() as its:
        worker = await its.peer(b"f")
        job = its.core.dispatch()
        handle = await worker.takes()
        its.core.dispatch(job=job.job, key=job.key, epoch=2, args=b"again")
        worker.say(P.WORK_COMPLETE, handle, b"late")
        again = await worker.takes(b"again")
        worker.say(P.WORK_COMPLETE, again, b"good")
        await its.until(lambda: its.core.receipts)
        assert [(each.epoch, each.result) for each in its.core.receipts] == [(2, b"good")]


async def test_names_that_no_minion_may_have() -> None:
    """A function whose name durable jobs can't have is served to calls alone."""
    async with relay() as its:
        client, worker = await its.peer(), await its.peer("Wörter zählen".encode())
        handle = await client.submits("Wörter zählen".encode(), b"x")
        assert await worker.takes(b"x") == handle
        await asyncio.sleep(0)
        assert its.core.edge.sessions == {}


async def minion_that_answers(address: str, ready: asyncio.Event) -> None:
    """A minion over gRPC that runs one call of `f`: tells a status, a piece of data, and the end."""
    async with grpc.aio.insecure_channel(address) as untyped:
        channel: Any = untyped
        stream = channel.stream_stream("/jobstream.Relay/Session")()
        hello = Hello(
            protocol=1,
            minion="m1",
            queues=["default"],
            functions=["f"],
            capacity=4,
            calls=True,
            areas=["DC1"],
        )
        await stream.write(FromMinion(hello=hello).SerializeToString())
        await stream.read()
        await stream.write(FromMinion(credit=Credit(more=4)).SerializeToString())
        ready.set()
        while True:
            said = FromRelay.FromString(await stream.read())
            for run in said.calls.runs:
                words = [
                    RunWord(run=run.run, status=RunStatus(done=1, total=2)),
                    RunWord(run=run.run, data=b"part"),
                    RunWord(run=run.run, end=Receipt(outcome=SUCCESS, result=b"over gRPC: " + run.args)),
                ]
                batch = RunBatch(words=words, credit=1)
                await stream.write(FromMinion(runs=batch).SerializeToString())


async def test_a_gearman_client_is_served_by_a_minion() -> None:
    """Its job is a call like any other: a minion over gRPC runs it, in the client's area, shared by equal
    ones.
    """
    async with relay() as its:
        ready = asyncio.Event()
        minion = asyncio.create_task(minion_that_answers(its.core.address, ready))
        await asyncio.wait_for(ready.wait(), 20)
        client, other = await its.peer(), await its.peer()
        client.say(P.AREA_PRIORITY, b"DC1")
        handle = await client.submits(b"f", b"1", b"u")
        await client.expect(P.WORK_STATUS, handle, b"1", b"2")
        await client.expect(P.WORK_DATA, handle, b"part")
        await client.expect(P.WORK_COMPLETE, handle, b"over gRPC: 1")
        status = await other.ask_list("status")
        assert status == ["f\t0\t0\t1"]
        minion.cancel()


async def test_a_caller_over_grpc_is_served_by_a_gearman_worker() -> None:
    """The other way round; equal calls of both doors share a run."""
    async with relay() as its, grpc.aio.insecure_channel(its.core.address) as channel:
        client, worker = await its.peer(), await its.peer(b"f")
        call = cast("Any", channel).unary_unary("/jobstream.Relay/Call")
        asked = CallRequest(function="f", args=b"1", unique="u", routing_ms=20_000)
        replying = asyncio.ensure_future(call(asked.SerializeToString()))
        await its.until(lambda: its.core.board.calls.runs)
        handle = await client.submits(b"f", b"1", b"u")
        worker.say(P.GRAB_JOB_UNIQ)
        await worker.expect(P.JOB_ASSIGN_UNIQ, handle, b"f", b"u", b"1")
        worker.say(P.WORK_COMPLETE, handle, b"by Gearman")
        await client.expect(P.WORK_COMPLETE, handle, b"by Gearman")
        reply = CallReply.FromString(await replying)
        assert (reply.outcome, reply.result) == (COMPLETE, b"by Gearman")
