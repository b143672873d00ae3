"""What a Gearman door tells of what its workers run, as minions tell it of themselves."""

import json
from functools import partial
from pathlib import Path

from relay.core.call import CallOutcome, End, Priority, Run
from relay.doors.gearman.door import Door
from relay.doors.gearman.packets import P
from relay.doors.gearman.telling import Telling
from relay.traces import trace_sent
from schemas.settings import Settings
from schemas.telemetry import catalogue, logs, spans
from schemas.telemetry.meter import value_of
from schemas.telemetry.process import Telemetry
from schemas.telemetry.spans import Span, Tracer
from tests.fakes.edge import edge_relay
from tests.fakes.gearman import FakeDesk, House, Peer
from tests.waiting import eventually_async

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def telemetry(**settings: str) -> Telemetry:
    """Traces, and measures in full; nothing is sent."""
    return Telemetry(Settings(otlp="http://127.0.0.1:1", **settings), "relay")  # type: ignore[arg-type]


def count(told: Telemetry, metric: catalogue.Metric, *labels: str) -> float:
    """One value."""
    return value_of(told.meter.read(), metric, labels)


def spans_of(told: Telemetry) -> dict[str, Span]:
    """The spans so far, by name."""
    assert told.tracer is not None
    return {span.name: span for span in told.tracer.take(100)}


async def test_a_foreground_job_is_counted() -> None:
    """Runs of Gearman workers by outcome, how long they took, and how many are connected."""
    told = telemetry()
    async with House(telemetry=told) as house:
        client, worker = await house.pair(b"f")
        for end in ((P.WORK_COMPLETE, b"1"), (P.WORK_FAIL,)):
            await client.submits(b"f")
            handle = await worker.takes()
            worker.say(end[0], handle, *end[1:])
            await client.hear()
        assert count(told, catalogue.ATTEMPTS, "f", "success") == 1
        assert count(told, catalogue.ATTEMPTS, "f", "failure") == 1
        assert count(told, catalogue.ATTEMPT_TIME, "f") == 2
        assert count(told, catalogue.GEARMAN_CONNECTIONS) == 2


async def test_a_background_job_is_timed_until_kafka_has_it() -> None:
    """From its packet to its handle; one that Kafka refused is not among them."""
    told, desk = telemetry(), FakeDesk()
    async with House(desk=desk, telemetry=told) as house:
        client = await house.peer()
        for refusal in (None, "no"):
            client.say(P.SUBMIT_JOB_BG, b"f", b"", b"1")
            await eventually_async(partial(asked, desk))
            desk.waiting.pop().set_result(refusal)
            await client.hear()
        assert count(told, catalogue.GEARMAN_KEEP) == 1


async def test_a_background_job_is_a_line(tmp_path: Path) -> None:
    """Of the access log: which job, of what function, who asked, and why it was refused if it was."""
    path, desk = tmp_path / "lines.json", FakeDesk()
    logs.begin(Settings(access_log=str(path)), "relay")
    try:
        async with House(desk=desk) as house:
            client = await house.peer()
            for refusal in (None, "the log is full"):
                client.say(P.SUBMIT_JOB_BG, b"f", b"", b"1")
                await eventually_async(partial(asked, desk))
                desk.waiting.pop().set_result(refusal)
                await client.hear()
    finally:
        logs.end()
    kept, refused = (json.loads(line) for line in path.read_text().splitlines())
    assert (kept["event.action"], kept["event.outcome"]) == ("background job", "success")
    assert (kept[logs.JOB], kept[logs.FUNCTION], kept[logs.DOOR]) == ("job-1", "f", "gearman")
    assert kept[logs.CLIENT].startswith("127.0.0.1")
    assert (refused["event.outcome"], refused[logs.REASON]) == ("failure", "the log is full")


async def asked(desk: FakeDesk) -> bool:
    """Whether something waits for Kafka."""
    return bool(desk.waiting)


async def test_a_durable_job_has_the_spans_of_a_minions() -> None:
    """Its dispatch and its run are below the attempt, in its submitter's trace; a failure says why."""
    told = telemetry()
    assert told.tracer is not None
    async with edge_relay() as core:
        core.sent = partial(trace_sent, told.tracer, core.clock)
        door = Door(core.board, desk=FakeDesk(), bridge=core, telemetry=told)
        worker = await Peer.connect(await door.start("127.0.0.1", 0))
        try:
            await worker.works(b"f")
            worker.say(P.GRAB_JOB)
            await worker.expect(P.NO_JOB)
            job = core.dispatch(trace=TRACE)
            handle = await worker.takes()
            worker.say(P.WORK_FAIL, handle)

            async def ended() -> bool:
                return bool(core.receipts)

            await eventually_async(ended)
        finally:
            worker.close()
            await door.stop("the test is over")
    found = spans_of(told)
    trace = Tracer({}).of_job(TRACE, job.job, job.created_at_ms, "f")
    assert trace is not None
    assert found["run f"].context == trace.part(1, "run")
    assert found["dispatch default"].context == trace.part(1, "dispatch")
    assert {span.parent for span in found.values()} == {trace.attempt(1).span}
    assert found["run f"].error is not None
    assert found["run f"].attributes[spans.JOB] == job.job
    assert count(told, catalogue.ATTEMPTS, "f", "failure") == 1


def test_a_calls_run_is_below_the_call() -> None:
    """In its trace; of one that is not sampled there is none, nor of a function that is not traced."""
    told = telemetry(trace="quiet=off", measure="quiet=off")
    telling = Telling(told)
    end = End(CallOutcome.COMPLETE)
    for function, trace in (("f", TRACE), ("unsampled", TRACE[:-1] + "0"), ("none", ""), ("quiet", "")):
        run = Run(1, function, b"", "", "", trace, Priority.NORMAL, assigned_at_ms=1_000)
        telling.call_ended(run, end, 1_020)
    (span,) = spans_of(told).values()
    assert (span.name, span.end_ns - span.start_ns, span.error) == ("run f", 20_000_000, None)
    assert (f"{span.context.trace:032x}", f"{span.parent:016x}") == (TRACE[3:35], TRACE[36:52])
    assert count(told, catalogue.ATTEMPTS, "unsampled", "success") == 1
    assert count(told, catalogue.ATTEMPTS, "quiet", "success") == 0


def test_a_run_that_is_left_is_told_as_such() -> None:
    """Nobody waits for it any more: that is neither a success nor an error."""
    told = telemetry()
    Telling(told).call_ended(Run(1, "f", b"", "", "", TRACE, Priority.NORMAL), None, 5)
    (span,) = spans_of(told).values()
    assert (span.attributes[spans.OUTCOME], span.error) == ("left", None)
