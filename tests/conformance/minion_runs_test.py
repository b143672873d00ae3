"""What becomes of a job on a minion, whichever way its function ends. Over real gRPC, with a relay that a
test plays.
"""

import asyncio
import contextvars
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from jobstream import errors
from jobstream.context import Context, current
from jobstream.functions import Function, Retry, function
from jobstream.minion import Minion
from jobstream.resources import resource
from schemas.proto.relay_pb2 import CANCELLED, FAILURE, INTERRUPTED, SNOOZE, SUCCESS, Receipt
from tests.fakes import functions as fakes
from tests.fakes.relay import FakeRelay, FakeSession, fake_relay
from tests.waiting import eventually

seen: list[Any] = []
stray: contextvars.ContextVar[str] = contextvars.ContextVar("stray", default="none")


@asynccontextmanager
async def minion_of(
    *functions: Function[..., Any], **options: Any
) -> AsyncIterator[tuple[FakeSession, FakeRelay]]:
    """A minion with these functions, and its session as the relay sees it."""
    seen.clear()
    async with fake_relay() as relay, Minion(functions, relay=relay.address, **{"grace": 5, **options}):
        yield await relay.session(), relay


async def outcome_of(declared: Function[..., Any], args: Any = None, **fields: Any) -> Receipt:
    """The receipt of one job."""
    async with minion_of(declared) as (session, _):
        return await session.receipt(await session.give(declared.name, args, **fields))


@function(name="returns")
async def returns(value: Any = None) -> Any:
    """Returns what it is given, later."""
    await asyncio.sleep(0)
    return value


@function(name="raises", retry=Retry(non_retryable=(LookupError,)))
async def raises(kind: str) -> None:
    """Raises what it is told to."""
    match kind:
        case "value":
            raise ValueError("no good")
        case "key":
            raise KeyError("gone")
        case "final":
            raise errors.NonRetryable("never again")
        case "later":
            raise errors.Fail("busy", retry_after=12)
        case "snooze":
            raise errors.Snooze(3_600)
        case "exit":
            raise SystemExit(4)
        case "cancel":
            raise asyncio.CancelledError
        case _:
            raise errors.Cancelled("changed my mind")


async def test_a_result() -> None:
    """What a function returns goes with the receipt, as JSON."""
    receipt = await outcome_of(returns, {"value": {"a": [1, None]}})
    assert (receipt.outcome, receipt.result_type) == (SUCCESS, "application/json")
    assert json.loads(receipt.result) == {"a": [1, None]}
    assert receipt.started_at_ms > 0


async def test_no_result() -> None:
    """None is no result."""
    receipt = await outcome_of(returns)
    assert (receipt.outcome, receipt.result, receipt.result_type) == (SUCCESS, b"", "")


async def test_bytes_in_and_out() -> None:
    """Arguments of another type than JSON are one bytes argument, and bytes go back as bytes."""
    receipt = await outcome_of(returns, b"\x00\xff", content_type="image/png")
    assert (receipt.result, receipt.result_type) == (b"\x00\xff", "application/octet-stream")


@pytest.mark.parametrize(
    ("kind", "outcome", "error_type", "message", "final"),
    [
        ("value", FAILURE, "ValueError", "no good", False),
        ("key", FAILURE, "KeyError", "'gone'", True),
        ("final", FAILURE, "NonRetryable", "never again", True),
        ("later", FAILURE, "Fail", "busy", False),
        ("snooze", SNOOZE, "", "", False),
        ("exit", FAILURE, "SystemExit", "4", False),
        (
            "cancel",
            FAILURE,
            "asyncio.exceptions.CancelledError",
            "the function's own code cancelled it",
            False,
        ),
        ("mind", CANCELLED, "", "changed my mind", False),
    ],
)
async def test_errors(kind: str, outcome: Any, error_type: str, message: str, final: bool) -> None:  # noqa: FBT001
    """However a function ends, the minion goes on, and the receipt says how it ended."""
    async with minion_of(raises, returns) as (session, _):
        receipt = await session.receipt(await session.give("raises", [kind]))
        assert (receipt.outcome, receipt.error_type, receipt.error_message) == (outcome, error_type, message)
        assert receipt.non_retryable is final
        assert (receipt.retry_after_ms, receipt.snooze_ms) == (
            12_000 if kind == "later" else 0,
            3_600_000 if kind == "snooze" else 0,
        )
        if kind == "value":
            assert "in raises" in receipt.error_trace
            assert "/minion/" not in receipt.error_trace
        after = await session.receipt(await session.give("returns", [1]))
        assert after.outcome == SUCCESS


async def test_arguments_that_do_not_fit() -> None:
    """A misfit is a failure for good: another attempt would not fit either."""
    receipt = await outcome_of(returns, {"valu": 1})
    assert (receipt.outcome, receipt.error_type, receipt.non_retryable) == (FAILURE, "BadArguments", True)
    assert receipt.error_message.endswith("got an unknown 'valu'")
    assert receipt.started_at_ms == 0


async def test_results_that_do_not_fit() -> None:
    """Neither does a result that is too large, or none that JSON knows."""

    @function(name="large")
    async def large(size: int) -> Any:
        """Returns bytes, or what is no value."""
        return bytes(size) if size else object()

    async with minion_of(large) as (session, _):
        receipt = await session.receipt(await session.give("large", [300_000]))
        assert (receipt.error_type, receipt.non_retryable) == ("ResultTooLarge", True)
        assert "at most 262144 bytes, got 300000 bytes" in receipt.error_message
        receipt = await session.receipt(await session.give("large", [0]))
        assert (receipt.error_type, receipt.non_retryable) == ("BadResult", True)


async def test_the_context() -> None:
    """A function knows its attempt, and what an earlier one left."""

    @function(name="knows")
    async def knows(ctx: Context, x: int) -> Any:
        """Tells what it knows."""
        inner = current()
        assert inner is not None
        ctx.step("first")
        ctx.step("second")
        ctx.progress(2, 5)
        ctx.checkpoint({"row": x})
        left_s = ctx.deadline_ms / 1_000 - time.time()
        return [
            ctx.job_id,
            inner.job_id,
            ctx.key,
            ctx.attempt,
            ctx.epoch,
            ctx.previous_json(),
            25 < left_s <= 30,
        ]

    fields = {
        "id": "j",
        "key": "k",
        "attempt": 2,
        "epoch": 7,
        "checkpoint": b'{"row": 3}',
        "timeout_ms": 30_000,
    }
    receipt = await outcome_of(knows, [4], **fields)
    assert json.loads(receipt.result) == ["j", "j", "k", 2, 7, {"row": 3}, True]
    assert (receipt.step, receipt.done, receipt.total, receipt.checkpoint) == ("second", 2, 5, b'{"row": 4}')


async def test_resources_are_opened_once_and_closed_after_the_last_job() -> None:
    """A resource is there before the first job, the same for all, and closed once nothing runs."""

    @resource(name="runs_base")
    def base() -> Iterator[str]:
        """What the other is made of."""
        seen.append("+base")
        yield "base"
        seen.append("-base")

    @resource(name="runs_pool")
    async def pool(runs_base: str) -> AsyncIterator[list[str]]:
        """Opened on the loop of the functions."""
        seen.append("+pool")
        yield [runs_base]
        seen.append("-pool")

    @function(name="uses")
    async def uses(runs_pool: list[str], x: int) -> int:
        """Uses it from the loop."""
        runs_pool.append("async")
        seen.append(f"began {x}")
        await asyncio.sleep(0.05)
        seen.append(f"ended {x}")
        return len(runs_pool)

    @function(name="uses-plain")
    def uses_plain(runs_pool: list[str]) -> int:
        """Uses it from a thread."""
        runs_pool.append("plain")
        return len(runs_pool)

    async with minion_of(uses, uses_plain) as (session, _):
        first = await session.receipt(await session.give("uses", {"x": 1}))
        second = await session.receipt(await session.give("uses-plain", {}))
        assert (first.result, second.result) == (b"2", b"3")
        await session.give("uses", {"x": 2})
        await _until(lambda: "began 2" in seen)
    assert seen == ["+base", "+pool", "began 1", "ended 1", "began 2", "ended 2", "-pool", "-base"]


async def test_functions_see_what_resources_set() -> None:
    """A context variable set while a resource is opened is seen in functions, on the loop and in threads."""

    @resource(name="runs_setting")
    async def setting() -> AsyncIterator[None]:
        """Sets a context variable."""
        stray.set("set by the resource")
        yield

    @function(name="sees")
    async def sees(runs_setting: None) -> list[str]:
        """Tells what it sees, and sets another value."""
        assert runs_setting is None
        found = stray.get()
        stray.set("set by a function")
        return [found, await asyncio.to_thread(stray.get)]

    @function(name="sees-plain")
    def sees_plain(runs_setting: None) -> str:
        """Tells what it sees, and sets another value."""
        assert runs_setting is None
        found = stray.get()
        stray.set("set by a function")
        return found

    async with minion_of(sees, sees_plain, concurrency=1) as (session, _):
        for _ in range(2):
            receipt = await session.receipt(await session.give("sees", {}))
            assert json.loads(receipt.result) == ["set by the resource", "set by a function"]
            receipt = await session.receipt(await session.give("sees-plain", {}))
            assert json.loads(receipt.result) == "set by the resource"


async def test_a_resource_that_fails_keeps_the_minion_from_starting() -> None:
    """No session is opened, and what was opened before is closed."""

    @resource(name="runs_broken")
    async def broken(route: str = "") -> AsyncIterator[None]:
        """Fails."""
        if not route:
            raise OSError("no route")
        yield

    @function(name="needs")
    async def needs(runs_broken: None) -> None:
        """Needs it."""

    async with fake_relay() as relay:
        with pytest.raises(
            errors.ResourceFailed, match="'runs_broken' could not be opened: OSError: no route"
        ):
            async with Minion([needs], relay=relay.address):
                pass
        assert relay.sessions == []


async def test_plain_functions_run_in_threads() -> None:
    """A plain function does not hold up the loop, and leaves nothing in its thread for the next one."""

    @function(name="threaded")
    def threaded() -> list[Any]:
        """Tells where it runs."""
        found = [threading.get_ident(), stray.get()]
        stray.set("left behind")
        return found

    async with minion_of(threaded, concurrency=1) as (session, _):
        for _ in range(3):
            receipt = await session.receipt(await session.give("threaded"))
            ident, left = json.loads(receipt.result)
            assert ident != threading.get_ident()
            assert left == "none"


async def test_as_many_threads_as_needed() -> None:
    """All leases of a minion run at once, and threads are used again."""
    barrier = threading.Barrier(3)

    @function(name="meet")
    def meet() -> int:
        """Needs all three."""
        barrier.wait(10)
        return threading.get_ident()

    async with minion_of(meet, concurrency=3) as (session, relay):
        threads = set()
        for _ in range(2):
            jobs = [relay.job("meet") for _ in range(3)]
            await session.give_many(jobs)
            threads |= {(await session.receipt(job)).result for job in jobs}
        assert len(threads) == 3


async def test_cancelling_an_async_function() -> None:
    """Its task is cancelled, and its receipt says so; what it told before is kept."""

    @function(name="waits")
    async def waits(ctx: Context) -> None:
        """Waits for ever."""
        ctx.step("waiting")
        seen.append("began")
        await asyncio.Event().wait()

    async with minion_of(waits) as (session, _):
        job = await session.give("waits")
        await _until(lambda: seen == ["began"])
        session.cancel(job, "no longer needed")
        receipt = await session.receipt(job)
        assert (receipt.outcome, receipt.error_message, receipt.step) == (
            CANCELLED,
            "no longer needed",
            "waiting",
        )


async def test_a_function_may_finish_although_it_was_cancelled() -> None:
    """A function that ends its work despite the cancellation has succeeded; one that raises has failed."""

    @function(name="stubborn")
    async def stubborn(fails: bool) -> str:  # noqa: FBT001
        """Goes on."""
        seen.append("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if fails:
                raise ValueError("while cleaning up") from None
        return "done anyway"

    async with minion_of(stubborn) as (session, _):
        for fails, outcome in ((False, SUCCESS), (True, FAILURE)):
            seen.clear()
            job = await session.give("stubborn", [fails])
            await _until(lambda: seen == ["began"])
            session.cancel(job)
            assert (await session.receipt(job)).outcome == outcome


async def test_cancelling_a_plain_function() -> None:
    """A plain function sees the flag, and wakes from a wait."""

    @function(name="patient")
    def patient(ctx: Context) -> None:
        """Waits politely."""
        seen.append("began")
        while not ctx.wait(0.5):
            pass
        ctx.raise_if_cancelled()

    async with minion_of(patient) as (session, _):
        job = await session.give("patient")
        await _until(lambda: seen == ["began"])
        session.cancel(job, "enough")
        receipt = await session.receipt(job, 5)
        assert (receipt.outcome, receipt.error_message) == (CANCELLED, "enough")


async def test_an_async_timeout() -> None:
    """A function over its time is cancelled, and the receipt shows where it hung."""

    @function(name="hangs")
    async def hangs() -> None:
        """Hangs."""
        try:
            await inner_wait()
        finally:
            seen.append("unwound")

    async with minion_of(hangs) as (session, _):
        receipt = await session.receipt(await session.give("hangs", timeout_ms=200))
        assert (receipt.outcome, receipt.error_type, receipt.non_retryable) == (FAILURE, "Timeout", False)
        assert receipt.error_message == "the attempt ran longer than its timeout of 0.2 s"
        assert receipt.error_trace.index("in hangs") < receipt.error_trace.index("in inner_wait")
        await _until(lambda: seen == ["unwound"])


async def inner_wait() -> None:
    """Where it hangs."""
    await asyncio.Event().wait()


async def test_a_plain_timeout() -> None:
    """A plain function over its time is reported at once, but keeps its slot until it returns."""
    go = threading.Event()

    @function(name="deaf")
    def deaf() -> None:
        """Waits for the test."""
        go.wait(20)

    async with minion_of(deaf, concurrency=1) as (session, _):
        receipt = await session.receipt(await session.give("deaf", timeout_ms=200))
        assert receipt.error_type == "Timeout"
        assert "go.wait(20)" in receipt.error_trace
        assert "/minion/" not in receipt.error_trace
        assert session.credits == 0
        go.set()
        await _until(lambda: session.credits == 1)
        assert len(session.receipts) == 1


async def test_a_dropped_lease() -> None:
    """A function whose lease was taken away is stopped, and nothing is said of it."""

    @function(name="held")
    async def held() -> None:
        """Waits for ever."""
        seen.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("stopped")

    async with minion_of(held, concurrency=1) as (session, _):
        job = await session.give("held")
        await _until(lambda: seen == ["began"])
        session.drop(job)
        await _until(lambda: session.credits == 1)
        assert seen == ["began", "stopped"]
        assert session.receipts == []


async def test_functions_in_processes() -> None:
    """A function in a process has its context there, and the process is used again."""
    async with minion_of(fakes.where, concurrency=1) as (session, _):
        pids = set()
        for _ in range(2):
            job = await session.give("where", checkpoint=b'{"row": 1}', epoch=5)
            receipt = await session.receipt(job, 30)
            found = json.loads(receipt.result)
            assert (found["job"], found["epoch"], found["previous"]) == (job.id, 5, {"row": 1})
            pids.add(found["pid"])
        assert len(pids) == 1
        assert os.getpid() not in pids


async def test_a_process_tells_and_is_cancelled() -> None:
    """Step, progress and checkpoint come out of a process while it runs, and a cancellation goes in."""
    async with minion_of(fakes.tell, concurrency=1) as (session, _):
        job = await session.give("tell")
        beat = await session.beat(job, lambda each: each.progress, 30)
        assert (beat.step, beat.done, beat.total, beat.checkpoint) == ("digging", 3, 10, b'{"row": 3}')
        session.cancel(job, "stop digging")
        receipt = await session.receipt(job)
        assert (receipt.outcome, receipt.error_message, receipt.step) == (
            CANCELLED,
            "stop digging",
            "digging",
        )


@pytest.mark.parametrize(
    ("name", "error_type", "message", "final"),
    [
        (
            "crash",
            "ProcessDied",
            "the process ended with exit code -9 (SIGKILL) while it ran the function",
            False,
        ),
        ("leave", "SystemExit", "3", False),
        ("refuse", "NonRetryable", "not this one", True),
    ],
)
async def test_processes_that_fail(name: str, error_type: str, message: str, final: bool) -> None:  # noqa: FBT001
    """A process that dies costs one attempt, and the next job finds another."""
    async with minion_of(fakes.crash, fakes.leave, fakes.refuse, fakes.where, concurrency=1) as (session, _):
        receipt = await session.receipt(await session.give(name), 30)
        assert (receipt.outcome, receipt.error_type, receipt.error_message) == (FAILURE, error_type, message)
        assert receipt.non_retryable is final
        assert (await session.receipt(await session.give("where"), 30)).outcome == SUCCESS


async def test_a_process_that_will_not_stop_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that is deaf to its cancellation loses its process; its job is cancelled, the slot free."""
    monkeypatch.setattr("jobstream.minion.processes.CANCEL_S", 0.1)
    async with minion_of(fakes.sleep_in_process, fakes.where, concurrency=1) as (session, _):
        await session.receipt(await session.give("where"), 30)  # the process is there now
        job = await session.give("sleep-in-process", [60])
        await session.beat(job, lambda each: each.started_at_ms > 0, 30)
        session.cancel(job, "enough")
        receipt = await session.receipt(job, 30)
        assert (receipt.outcome, receipt.error_message) == (CANCELLED, "enough")
        assert (await session.receipt(await session.give("where"), 30)).outcome == SUCCESS


async def test_beats_go_on_while_a_process_keeps_the_lock() -> None:
    """Code in C that keeps the lock of its own process stops no heartbeat."""
    async with minion_of(fakes.hog_in_process, fakes.where, concurrency=1) as (session, _):
        await session.receipt(await session.give("where"), 30)  # the process is there now
        job = await session.give("hog-in-process", [2])
        receipt = await session.receipt(job, 30)
        assert receipt.result == b"0"
        assert sum(beat.job == job.id for _, beat in session.beats) >= 2


async def test_a_timeout_ends_a_process() -> None:
    """A process over its time is killed, so that its slot is free at once."""
    async with minion_of(fakes.sleep_in_process, fakes.where, concurrency=1) as (session, _):
        await session.receipt(await session.give("where"), 30)  # the process is there now
        receipt = await session.receipt(await session.give("sleep-in-process", [60], timeout_ms=300))
        assert receipt.error_type == "Timeout"
        after = await session.receipt(await session.give("where"), 30)
        assert after.outcome == SUCCESS


async def test_a_job_may_ask_for_jobs() -> None:
    """A submission made by a running function names its job as the parent."""

    @function(name="asks")
    async def asks() -> str | None:
        """Prepares a submission."""
        return returns.request(1).parent

    async with minion_of(asks) as (session, _):
        receipt = await session.receipt(await session.give("asks", id="outer"))
        assert receipt.result == b'"outer"'


async def test_a_declared_function_needs_no_minion() -> None:
    """Its unit test calls it."""
    assert await returns("x") == "x"
    with pytest.raises(errors.Snooze):
        await raises("snooze")


async def _until(check: Any) -> None:
    """Waits without holding up the loop."""
    await asyncio.to_thread(eventually, check)


@function(name="plain")
def plain(value: int) -> int:
    """Returns what it is given, from a thread."""
    seen.append(value)
    return value


@function(name="stuck")
def stuck() -> None:
    """Does not look whether it shall stop."""
    threading.Event().wait(2)


async def test_what_follows_runs_in_its_turn_in_threads_too() -> None:
    """One after the other, though there are threads for all."""
    async with minion_of(plain, concurrency=10) as (session, relay):
        jobs = [relay.job("plain", [0], leads=True)]
        for number in range(1, 9):
            before = jobs[-1].id
            jobs.append(relay.job("plain", [number], leads=True, after_job=before, after_epoch=1))
        await session.give_many(jobs)
        assert (await session.receipt(jobs[-1])).outcome == SUCCESS
        assert seen == list(range(9))
        assert [receipt.job for receipt in session.receipts] == [job.id for job in jobs]


async def test_what_follows_a_timeout_is_handed_back_at_once() -> None:
    """Though the function that is over its time still runs."""
    async with minion_of(stuck, plain, concurrency=10) as (session, relay):
        first = relay.job("stuck", leads=True, timeout_ms=100)
        jobs = [relay.job("plain", [1], leads=True, after_job=first.id, after_epoch=1)]
        jobs.append(relay.job("plain", [2], leads=True, after_job=jobs[0].id, after_epoch=1))
        await session.give_many([first, *jobs])
        began_s = time.monotonic()
        assert (await session.receipt(first)).error_type == "Timeout"
        for job in jobs:
            assert (await session.receipt(job)).outcome == INTERRUPTED
        assert time.monotonic() - began_s < 1.5
        assert seen == []
