"""What a client makes of the facts about a job."""

import asyncio
import gc
from typing import Any

import pytest

from jobstream.client.status import end_of
from jobstream.client.watch import NEWS, Watch, Watches, result_of
from jobstream.errors import JobCancelled, JobDead, JobEnded, JobExpired, JobRejected
from schemas.events import Fact
from schemas.words import FactKind, Phase, RejectCode


def fact(kind: str, **fields: Any) -> Fact:
    """A fact about job-1."""
    said: dict[str, Any] = {"fact": kind, "job": "job-1", "key": "key-1", "partition": 3, "at_ms": 1}
    return Fact(**(said | fields))


def watch() -> Watch:
    """A watch of job-1."""
    return Watch("job-1", "key-1", 3, 100, foreign=False)


ENDS = {
    FactKind.SUCCEEDED: Phase.SUCCEEDED,
    FactKind.DIED: Phase.DEAD,
    FactKind.CANCELLED: Phase.CANCELLED,
    FactKind.EXPIRED: Phase.EXPIRED,
}


@pytest.mark.parametrize("kind", FactKind)
def test_which_facts_end_a_job(kind: FactKind) -> None:
    """The four ends and the refusal of the request end it, and no other fact does."""
    seen = watch()
    seen.take(100, fact(kind, phase=ENDS.get(kind, Phase.READY)))
    assert (seen.end is not None) == (kind in ENDS or kind == FactKind.REJECTED)
    assert seen.end is None or kind in NEWS


def test_older_facts_are_not_about_this_submit() -> None:
    """A fact that lay there before the job was submitted changes nothing."""
    seen = watch()
    seen.take(99, fact(FactKind.REJECTED))
    assert seen.end is None


@pytest.mark.parametrize(
    ("phase", "ended"),
    [(Phase.READY, False), (Phase.RETRYING, False), (Phase.SUCCEEDED, True), (Phase.DEAD, True)],
)
def test_a_duplicate_is_answered_with_the_job_that_exists(phase: Phase, ended: bool) -> None:  # noqa: FBT001
    """An equal request of a job that goes on is waited for; of one that has ended, its end is the answer."""
    seen = watch()
    seen.take(100, fact(FactKind.DEDUPLICATED, phase=phase, result=b"7", result_type="application/json"))
    assert (seen.end is not None) == ended
    if phase == Phase.SUCCEEDED:
        assert seen.end is not None
        assert result_of(seen.end) == 7


@pytest.mark.parametrize("code", [RejectCode.NOT_NOW, RejectCode.WRONG_EPOCH, RejectCode.UNKNOWN_JOB])
def test_a_refused_command_ends_no_job(code: RejectCode) -> None:
    """A rejection of a cancel that came too late says nothing about the job itself."""
    seen = watch()
    seen.take(100, fact(FactKind.REJECTED, error_type=code, phase=Phase.LEASED))
    assert seen.end is None


def test_a_retried_job_has_not_ended() -> None:
    """A job that is asked to run again is open again, until its next end."""
    seen = watch()
    seen.take(100, fact(FactKind.DIED, phase=Phase.DEAD))
    seen.take(101, fact(FactKind.RETRIED, phase=Phase.READY))
    assert seen.end is None
    seen.take(102, fact(FactKind.SUCCEEDED, phase=Phase.SUCCEEDED))
    assert seen.end is not None


@pytest.mark.parametrize(
    ("result", "result_type", "value"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b"null", "application/json; charset=utf-8", None),
        (b"\x00\x01", "application/octet-stream", b"\x00\x01"),
        (None, None, None),
    ],
)
def test_a_result_is_what_the_function_returned(
    result: bytes | None, result_type: str | None, value: object
) -> None:
    """JSON is decoded, other bytes stay bytes, and none is None."""
    end = fact(FactKind.SUCCEEDED, phase=Phase.SUCCEEDED, result=result, result_type=result_type)
    assert result_of(end) == value


@pytest.mark.parametrize(
    ("end", "error", "sentence"),
    [
        (
            fact(
                FactKind.DIED,
                phase=Phase.DEAD,
                attempt=3,
                error_type="ValueError",
                error_message="no such address",
            ),
            JobDead,
            "job job-1 is dead after 3 attempts: ValueError: no such address",
        ),
        (
            fact(FactKind.CANCELLED, phase=Phase.CANCELLED, reason="too late"),
            JobCancelled,
            "cancelled: too late",
        ),
        (fact(FactKind.EXPIRED, phase=Phase.EXPIRED), JobExpired, "job job-1 expired"),
        (fact(FactKind.REJECTED, reason="key must match"), JobRejected, "was rejected: key must match"),
    ],
)
def test_other_ends_are_errors(end: Fact, error: type[JobEnded], sentence: str) -> None:
    """Each end but success is an error of its own, whose sentence says why."""
    with pytest.raises(error, match=sentence) as raised:
        result_of(end)
    assert raised.value.id == "job-1"


def test_a_dead_job_tells_its_error() -> None:
    """The error's type, words and attempts can be read from the exception."""
    end = fact(FactKind.DIED, phase=Phase.DEAD, attempt=2, error_type="KeyError", error_message="'x'")
    with pytest.raises(JobDead) as raised:
        result_of(end)
    assert (raised.value.error_type, raised.value.message, raised.value.attempts) == ("KeyError", "'x'", 2)


def test_facts_find_the_watch_of_their_job() -> None:
    """By partition, id and key; a schedule's facts have the key of its jobs, and find it all the same."""
    watches = Watches()
    job = watches.open("job-1", "key-1", 3, 0)
    schedule = watches.open("nightly", None, 3, 0)
    assert watches.find(fact(FactKind.ADMITTED)) is job
    assert watches.find(fact(FactKind.ADMITTED, partition=4)) is None
    assert watches.find(fact(FactKind.REJECTED, key="another")) is None
    assert watches.find(fact(FactKind.SCHEDULE_SAVED, job="nightly", key="reports")) is schedule


def test_a_watch_lives_as_long_as_its_handles() -> None:
    """Two handles of one job share a watch; with the last one it is gone."""
    watches = Watches()
    first = watches.open("job-1", "key-1", 3, 0)
    assert watches.open("job-1", "key-1", 3, 50) is first
    assert list(watches.open_ended(3)) == [first]
    del first
    gc.collect()
    assert list(watches.open_ended(3)) == []


async def test_an_end_wakes_all_who_wait() -> None:
    """Every waiter is woken, also when some have given up."""
    seen = watch()
    seen.waiters = [asyncio.get_running_loop().create_future() for _ in range(3)]
    seen.waiters[1].cancel()
    seen.take(100, fact(FactKind.EXPIRED, phase=Phase.EXPIRED))
    assert [waiter.done() for waiter in seen.waiters] == [True, True, True]


STATUS = {
    "id": "job-1",
    "key": "key-1",
    "partition": 3,
    "attempt": 2,
    "error_type": "ValueError",
    "error_message": "no",
    "end_reason": "why",
}


def test_a_status_page_tells_the_end_too() -> None:
    """The page of a job that has ended gives the same result or error as the fact; of any other, none."""
    assert end_of({**STATUS, "phase": "leased"}) is None
    succeeded = end_of({**STATUS, "phase": "succeeded", "result": [1, 2]})
    assert succeeded is not None
    assert result_of(succeeded) == [1, 2]
    binary = end_of({**STATUS, "phase": "succeeded", "result_base64": "AAE=", "result_type": "image/png"})
    assert binary is not None
    assert result_of(binary) == b"\x00\x01"
    dead = end_of({**STATUS, "phase": "dead", "result": None})
    assert dead is not None
    with pytest.raises(JobDead, match="after 2 attempts: ValueError: no"):
        result_of(dead)
