"""A minion's attempts are spans of their jobs' traces, and what a function does is below its own."""

import asyncio
import json
import threading
from typing import Any

import pytest
from opentelemetry import trace

from jobstream.context import Context, current
from jobstream.functions import function
from jobstream.minion import Minion
from schemas.settings import Settings
from schemas.telemetry import catalogue, spans
from schemas.telemetry.meter import value_of
from schemas.telemetry.process import Telemetry
from schemas.telemetry.spans import Tracer
from tests.fakes.relay import fake_relay

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SETTINGS = Settings(otlp="http://127.0.0.1:1", trace="silent=off", metrics="")


def here(ctx: Context) -> dict[str, Any]:
    """Where the calling code is, by our context, by OpenTelemetry's, and for a job that it submits."""
    found = trace.get_current_span().get_span_context()
    inner = child.request()
    return {
        "trace": f"{found.trace_id:032x}",
        "span": f"{found.span_id:016x}",
        "ctx": ctx.trace,
        "child": inner.trace,
    }


@function(name="child")
async def child() -> None:
    """Is submitted by others."""


@function(name="in_loop")
async def in_loop(ctx: Context) -> dict[str, Any]:
    """Runs on the event loop, beside others."""
    await asyncio.sleep(0.01)
    return here(ctx)


@function(name="in_thread")
def in_thread(ctx: Context) -> dict[str, Any]:
    """Runs in a thread."""
    return here(ctx) | {"thread": threading.current_thread().name}


@function(name="silent")
async def silent(ctx: Context) -> dict[str, Any]:
    """Is not traced."""
    return here(ctx)


@function(name="fails")
async def fails() -> None:
    """Fails."""
    raise ValueError("no")


@pytest.mark.parametrize("name", ["in_loop", "in_thread"])
async def test_a_function_runs_inside_its_span(name: str) -> None:
    """What it traces, submits and is told by `ctx.trace` is below its run's span, which is below the
    attempt's in the submitter's trace; beside others, and in a thread too.
    """
    telemetry = Telemetry(SETTINGS, "minion")
    async with (
        fake_relay() as relay,
        Minion([in_loop, in_thread, child], relay=relay.address, telemetry=telemetry) as _,
    ):
        session = await relay.session()
        jobs = [relay.job(name, trace=GIVEN), relay.job(name)]
        await session.give_many(jobs)
        results = [(await session.receipt(job)).result for job in jobs]
    tracer = Tracer({})
    assert telemetry.tracer is not None
    told = {span.attributes[spans.JOB]: span for span in telemetry.tracer.take(10)}
    for job, raw, given in zip(jobs, results, (GIVEN, None), strict=True):
        found = json.loads(raw)
        expected = tracer.of_job(given, job.id, job.created_at_ms, name)
        assert expected is not None
        run = expected.part(job.epoch, "run")
        assert (int(found["trace"], 16), int(found["span"], 16)) == run
        assert found["ctx"] == found["child"] == run.traceparent
        assert (told[job.id].context, told[job.id].parent) == (run, expected.attempt(job.epoch).span)
        assert told[job.id].name == f"run {name}"
    assert not trace.get_current_span().get_span_context().is_valid
    assert current() is None


async def test_what_is_not_traced() -> None:
    """A function that is not traced has no span of its own; its submitter's trace is what it goes on with."""
    telemetry = Telemetry(SETTINGS, "minion")
    async with fake_relay() as relay, Minion([silent], relay=relay.address, telemetry=telemetry):
        session = await relay.session()
        receipt = await session.receipt(await session.give("silent", trace=GIVEN))
    assert json.loads(receipt.result)["ctx"] == GIVEN
    assert telemetry.tracer is not None
    assert telemetry.tracer.take(10) == []


async def test_attempts_are_counted() -> None:
    """By function and outcome, with how long they ran; a failure's span says why."""
    telemetry = Telemetry(SETTINGS, "minion")
    async with (
        fake_relay() as relay,
        Minion([in_loop, fails, child], relay=relay.address, telemetry=telemetry, concurrency=5),
    ):
        session = await relay.session()
        for name in ("in_loop", "fails", "fails"):
            await session.receipt(await session.give(name))
        families = telemetry.meter.read()
    assert value_of(families, catalogue.ATTEMPTS, ("in_loop", "success")) == 1
    assert value_of(families, catalogue.ATTEMPTS, ("fails", "failure")) == 2
    assert value_of(families, catalogue.ATTEMPT_TIME, ("in_loop",)) == 1
    assert value_of(families, catalogue.BUSY, ("in_loop",)) >= 0.01
    assert value_of(families, catalogue.ROOM) == 5
    assert value_of(families, catalogue.RUNNING) == 0
    assert telemetry.tracer is not None
    assert [span.error for span in telemetry.tracer.take(10)] == [None, "ValueError: no", "ValueError: no"]
