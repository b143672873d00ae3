"""What a function is told by its context, and what it may tell; without any Jobstream around."""

import threading

import pytest

from jobstream.context import Attempt, Context, Stop, current, running
from jobstream.errors import BadRequest, Cancelled, CheckpointTooLarge
from schemas.defaults import CHECKPOINT_BYTES_MAX, STEP_CHARS_MAX
from tests.waiting import eventually


def test_a_context_needs_nothing() -> None:
    """In a unit test `Context()` is enough, and everything can be called."""
    ctx = Context()
    ctx.step("a")
    ctx.progress(1, 2)
    ctx.checkpoint({"row": 1})
    ctx.raise_if_cancelled()
    assert (ctx.attempt, ctx.epoch, ctx.cancelled, ctx.cancel_reason) == (1, 1, False, None)
    assert (ctx.deadline, ctx.trace, ctx.previous, ctx.previous_json()) == (None, None, None, None)
    assert not ctx.wait(0)


def test_a_context_tells_its_attempt() -> None:
    """Every field of the attempt can be read."""
    attempt = Attempt(
        job="a",
        key="k",
        queue="q",
        function="f",
        attempt=3,
        epoch=9,
        timeout_ms=500,
        created_at_ms=7,
        deadline_ms=1_000,
        previous=b'{"row": 4}',
        trace="t",
    )
    ctx = Context(attempt)
    assert (ctx.job_id, ctx.key, ctx.queue, ctx.function) == ("a", "k", "q", "f")
    assert (ctx.attempt, ctx.epoch, ctx.timeout_ms, ctx.created_at_ms) == (3, 9, 500, 7)
    assert (ctx.previous, ctx.previous_json(), ctx.trace) == (b'{"row": 4}', {"row": 4}, "t")
    assert ctx.deadline_ms == 1_000
    assert ctx.deadline is not None
    assert ctx.deadline.isoformat() == "1970-01-01T00:00:01+00:00"
    assert repr(ctx) == "Context(job_id='a', attempt=3, epoch=9)"


@pytest.mark.parametrize("name", ["", "x" * (STEP_CHARS_MAX + 1), None, 5])
def test_steps_are_short_texts(name: object) -> None:
    """A step is a text within its limit."""
    with pytest.raises(BadRequest, match="a step must be a text of 1 to 200 characters, got"):
        Context().step(name)  # type: ignore[arg-type]


@pytest.mark.parametrize(("done", "total"), [(-1, 2), (1, 0), (0.5, 1), ("1", 2)])
def test_progress_counts_whole_units(done: int, total: int) -> None:
    """Progress is in whole units of a positive total."""
    with pytest.raises(BadRequest, match="progress must be whole numbers done >= 0 and total >= 1, got"):
        Context().progress(done, total)


def test_checkpoints_are_bytes_or_json() -> None:
    """A checkpoint is kept as it is if it is bytes, as JSON if not, up to its limit."""
    attempt = Attempt()
    ctx = Context(attempt)
    ctx.checkpoint(b"\x00")
    assert attempt.checkpoint == b"\x00"
    ctx.checkpoint([1])
    assert attempt.checkpoint == b"[1]"
    ctx.checkpoint(bytes(CHECKPOINT_BYTES_MAX))
    with pytest.raises(CheckpointTooLarge, match=f"at most {CHECKPOINT_BYTES_MAX} bytes, got 16385 bytes"):
        ctx.checkpoint(bytes(CHECKPOINT_BYTES_MAX + 1))
    with pytest.raises(TypeError):
        ctx.checkpoint(object())


def test_being_asked_to_stop() -> None:
    """The first reason stays, and a function may raise it."""
    attempt = Attempt()
    ctx = Context(attempt)
    attempt.ask_to_stop(Stop.CANCELLED, "enough")
    attempt.ask_to_stop(Stop.TIMED_OUT, "too late")
    assert (ctx.cancelled, ctx.cancel_reason) == (True, "enough")
    assert ctx.wait(60)
    with pytest.raises(Cancelled, match="enough"):
        ctx.raise_if_cancelled()


def test_waiting_ends_when_asked_to_stop() -> None:
    """A plain function that waits wakes at once."""
    attempt = Attempt()
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(Context(attempt).wait(60)))
    thread.start()
    eventually(lambda: attempt._event is not None)
    attempt.ask_to_stop(Stop.CANCELLED, "enough")
    thread.join(10)
    assert woken == [True]


def test_the_current_attempt() -> None:
    """Code finds the context of the attempt it runs in, and none outside."""
    assert current() is None
    with running(Attempt(job="a")):
        found = current()
        assert found is not None
        assert found.job_id == "a"
    assert current() is None
