"""Queues that come into being when first named: jobs wait, say so, and are dispatched when the topic is
there.
"""

import asyncio

from schemas import defaults
from schemas.words import Phase, WaitReason
from streams.queues import QueueNotMade, Queues
from tests.fakes.desk import Desk
from tests.waiting import eventually_async


def test_a_job_waits_for_its_queue() -> None:
    """A job whose queue does not exist is ready, its row says why it waits, and the queue is asked for."""
    desk = Desk()
    asked = desk.request(id="j1", queue="mail")
    assert asked.dispatches == []
    assert (asked.rows[0].phase, asked.rows[0].wait_reason) == (Phase.READY, WaitReason.QUEUE)
    made = desk.queue_made("mail")
    assert [(dispatch.job, dispatch.epoch) for dispatch in made.dispatches] == [("j1", 1)]
    assert made.rows[0].wait_reason is None
    assert desk.partition.jobs["j1"] == made.rows[0]
    assert desk.queue_made("mail").then == ()


def test_a_waiting_job_survives_a_crash() -> None:
    """The wait is in the row: after a restore the job still waits, or is dispatched if its queue came
    meanwhile.
    """
    desk = Desk()
    desk.request(id="j1", queue="mail")
    assert desk.crash().dispatches == []
    assert [dispatch.job for dispatch in desk.queue_made("mail").dispatches] == ["j1"]

    desk = Desk()
    desk.request(id="j1", queue="mail")
    desk.queues.add("mail")
    desk.crash()
    due_ms = desk.partition.next_due_ms()
    assert due_ms is not None
    assert due_ms <= desk.now_ms
    assert [dispatch.job for dispatch in desk.tick().dispatches] == ["j1"]
    assert desk.partition.jobs["j1"].wait_reason is None


def test_a_late_dispatch_is_in_doubt_with_its_tick() -> None:
    """A dispatch that left because its queue came is sent again after a crash, until its tick is settled."""
    desk = Desk()
    desk.request(id="j1", queue="mail")
    ends = desk.ends()
    desk.queue_made("mail")
    assert [dispatch.job for dispatch in desk.crash(ends).dispatches] == ["j1"]
    assert desk.crash().dispatches == []


def test_a_waiting_job_can_be_cancelled() -> None:
    """What happens to a job while it waits for its queue counts; it is not dispatched afterwards."""
    desk = Desk()
    desk.request(id="j1", queue="mail")
    desk.command("cancel", "j1")
    assert desk.queue_made("mail").dispatches == []


def test_how_many_queues_may_come_into_being() -> None:
    """Queues that exist or are asked for always have room, others up to the limit."""
    queues = Queues(f"q{number}" for number in range(defaults.QUEUES_MAX - 1))
    assert queues.has_room("new")
    queues.want("new")
    assert queues.has_room("new")
    assert not queues.has_room("another")
    assert not queues.exists("new")
    queues.add("new")
    assert queues.exists("new")


async def test_a_wanted_queue_is_made_once() -> None:
    """Each queue that is asked for is made, and exists then."""
    queues, made = Queues(), []

    async def make(queue: str) -> None:
        made.append(queue)

    loop = asyncio.create_task(queues.make_for_ever(make))
    for queue in ("a", "b", "a"):
        queues.want(queue)
    await _until(queues, "b")
    queues.want("a")
    assert made == ["a", "b"]
    loop.cancel()


async def test_a_queue_that_could_not_be_made_is_tried_again() -> None:
    """A refusal of the broker is no end: the queue is wanted still."""
    queues, answers = Queues(), [QueueNotMade("not now"), None]

    async def make(_: str) -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    loop = asyncio.create_task(queues.make_for_ever(make, retry_s=0.01))
    queues.want("a")
    await _until(queues, "a")
    assert answers == []
    loop.cancel()


async def _until(queues: Queues, queue: str) -> None:
    async def exists() -> bool:
        return queues.exists(queue)

    await eventually_async(exists)
