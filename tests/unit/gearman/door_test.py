"""The Gearman door, packet by packet, over real connections: what clients and workers say, and what they
hear.
"""

import asyncio
import logging

import pytest

from relay.core.call import Call, CallOutcome, End, Run, Word, Worker
from relay.doors.gearman.desk import Standing
from relay.doors.gearman.door import RETRIES_MAX
from relay.doors.gearman.packets import P, packet, request
from tests.fakes.gearman import FakeDesk, House, Peer
from tests.waiting import eventually_async


async def test_a_foreground_job() -> None:
    """A sleeping worker is woken, gets the job, and its client gets the result, under one handle."""
    async with House() as house:
        client, worker = await house.pair(b"reverse")
        worker.say(P.PRE_SLEEP)
        handle = await client.submits(b"reverse", b"test")
        await worker.expect(P.NOOP)
        worker.say(P.GRAB_JOB)
        await worker.expect(P.JOB_ASSIGN, handle, b"reverse", b"test")
        worker.say(P.WORK_COMPLETE, handle, b"tset")
        await client.expect(P.WORK_COMPLETE, handle, b"tset")
        worker.say(P.GRAB_JOB)
        await worker.expect(P.NO_JOB)
        assert house.door.entries == {}


async def test_a_job_before_its_worker() -> None:
    """A job waits for a worker; PRE_SLEEP is answered at once when there is something to do."""
    async with House() as house:
        client = await house.peer()
        handle = await client.submits(b"late", b"1")
        worker = await house.peer()
        worker.say(P.CAN_DO, b"late")
        worker.say(P.PRE_SLEEP)
        await worker.expect(P.NOOP)
        assert await worker.takes(b"1") == handle


async def test_data_may_be_anything() -> None:
    """Data and results with NULs, of nothing, and of a megabyte go through as they are."""
    async with House() as house:
        client, worker = await house.pair(b"f")
        for data in (b"", b"a\0b\0\0", bytes(1024 * 1024)):
            handle = await client.submits(b"f", data)
            assert await worker.takes(data) == handle
            worker.say(P.WORK_COMPLETE, handle, data)
            await client.expect(P.WORK_COMPLETE, handle, data)


async def test_what_is_said_of_a_running_job() -> None:
    """Data, warnings and status reach the client in order; GET_STATUS tells the last status."""
    async with House() as house:
        client, worker = await house.pair(b"f")
        handle = await client.submits(b"f")
        client.say(P.GET_STATUS, handle)
        await client.expect(P.STATUS_RES, handle, b"1", b"0", b"0", b"0")
        await worker.takes()
        worker.say(P.WORK_DATA, handle, b"a\0b")
        worker.say(P.WORK_WARNING, handle, b"hm")
        worker.say(P.WORK_STATUS, handle, b"3", b"10")
        await client.expect(P.WORK_DATA, handle, b"a\0b")
        await client.expect(P.WORK_WARNING, handle, b"hm")
        await client.expect(P.WORK_STATUS, handle, b"3", b"10")
        client.say(P.GET_STATUS, handle)
        await client.expect(P.STATUS_RES, handle, b"1", b"1", b"3", b"10")
        client.say(P.GET_STATUS, b"H:none:1")
        await client.expect(P.STATUS_RES, b"H:none:1", b"0", b"0", b"0", b"0")


async def test_a_status_that_is_none() -> None:
    """A status must be two numbers; parts of one are cut off."""
    async with House() as house:
        client, worker = await house.pair(b"f")
        handle = await client.submits(b"f")
        await worker.takes()
        worker.say(P.WORK_STATUS, handle, b"some", b"10")
        await worker.expect(
            P.ERROR, b"INVALID_ARGUMENT", b"a status must be two whole numbers, got b'some' of b'10'"
        )
        worker.say(P.WORK_STATUS, handle, b"0.5", b"1.0")
        await client.expect(P.WORK_STATUS, handle, b"0", b"1")


async def test_a_failure() -> None:
    """WORK_FAIL reaches the client."""
    async with House() as house:
        client, worker = await house.pair(b"f")
        handle = await client.submits(b"f")
        await worker.takes()
        worker.say(P.WORK_FAIL, handle)
        await client.expect(P.WORK_FAIL, handle)


async def test_exceptions_for_who_asked_for_them() -> None:
    """An exception is an end: WORK_EXCEPTION for clients that set the option, WORK_FAIL for the others; a
    worker's WORK_FAIL after it is passed over.
    """
    async with House() as house:
        client, worker = await house.pair(b"f")
        asked = await house.peer()
        asked.say(P.OPTION_REQ, b"exceptions")
        await asked.expect(P.OPTION_RES, b"exceptions")
        handle = await client.submits(b"f", unique=b"u")
        assert await asked.submits(b"f", unique=b"u") == handle
        await worker.takes()
        worker.say(P.WORK_EXCEPTION, handle, b"oh no")
        worker.say(P.WORK_FAIL, handle)
        await asked.expect(P.WORK_EXCEPTION, handle, b"oh no")
        await client.expect(P.WORK_FAIL, handle)
        await worker.settled()
        await asked.settled()


async def test_an_unknown_option() -> None:
    """An option that is none is an error."""
    async with House() as house:
        peer = await house.peer()
        peer.say(P.OPTION_REQ, b"fast")
        await peer.expect(P.ERROR, b"UNKNOWN_OPTION", b"Server does not recognize given option")


async def test_priorities() -> None:
    """High before normal before low, whatever came first."""
    async with House() as house:
        client, worker = await house.pair(b"f")
        for number, data in (
            (P.SUBMIT_JOB_LOW, b"low"),
            (P.SUBMIT_JOB, b"normal"),
            (P.SUBMIT_JOB_HIGH, b"high"),
        ):
            client.say(number, b"f", b"", data)
            await client.expect(P.JOB_CREATED, None)
        for data in (b"high", b"normal", b"low"):
            await worker.takes(data)


async def test_equal_unique_ids_share_a_run() -> None:
    """A second job with the unique id of one under way has its handle and its result; another function's
    has not.
    """
    async with House() as house:
        client, worker = await house.pair(b"f", b"g")
        other = await house.peer()
        handle = await client.submits(b"f", b"1", b"same")
        assert await client.submits(b"g", b"1", b"same") != handle
        await worker.takes()
        assert await other.submits(b"f", b"2", b"same") == handle
        other.say(P.GET_STATUS_UNIQUE, b"same")
        await other.expect(P.STATUS_RES_UNIQUE, b"same", b"1", None, b"0", b"0", None)
        worker.say(P.WORK_COMPLETE, handle, b"done")
        for each in (client, other):
            await each.expect(P.WORK_COMPLETE, handle, b"done")
        assert await client.submits(b"f", b"1", b"same") != handle


async def test_a_dash_stands_for_the_data() -> None:
    """With `-` as unique id jobs with equal data share a run, others not."""
    async with House() as house:
        client = await house.peer()
        handle = await client.submits(b"f", b"1", b"-")
        assert await client.submits(b"f", b"1", b"-") == handle
        assert await client.submits(b"f", b"2", b"-") != handle
        assert await client.submits(b"f", b"", b"-") != await client.submits(b"f", b"", b"-")


async def test_status_by_unique_id() -> None:
    """GET_STATUS_UNIQUE tells of known, running, progress and how many wait."""
    async with House() as house:
        client, worker = await house.pair(b"f")
        client.say(P.GET_STATUS_UNIQUE, b"u")
        await client.expect(P.STATUS_RES_UNIQUE, b"u", b"0", b"0", b"0", b"0", b"0")
        await client.submits(b"f", unique=b"u")
        handle = await client.submits(b"f", unique=b"u")
        await worker.takes()
        worker.say(P.WORK_STATUS, handle, b"1", b"2")
        await client.expect(P.WORK_STATUS, None, None, None)
        client.say(P.GET_STATUS_UNIQUE, b"u")
        await client.expect(P.WORK_STATUS, None, None, None)
        await client.expect(P.STATUS_RES_UNIQUE, b"u", b"1", b"1", b"1", b"2", b"2")


async def test_a_unique_id_that_is_too_long() -> None:
    """More than 64 bytes are refused."""
    async with House() as house:
        client = await house.peer()
        client.say(P.SUBMIT_JOB, b"f", b"u" * 65, b"")
        await client.expect(P.ERROR, b"ARGUMENT_TOO_LARGE", b"Unique value too large")


@pytest.mark.parametrize("grab", [P.GRAB_JOB_UNIQ, P.GRAB_JOB_ALL])
async def test_grabs_with_the_unique_id(grab: P) -> None:
    """Both give the unique id as it was sent; no job here has a reducer, so that is how GRAB_JOB_ALL is
    answered.
    """
    async with House() as house:
        client, worker = await house.pair(b"f")
        handle = await client.submits(b"f", b"x", b"u-1")
        worker.say(grab)
        await worker.expect(P.JOB_ASSIGN_UNIQ, handle, b"f", b"u-1", b"x")


async def test_cant_do() -> None:
    """A function that was taken back is not woken for and not assigned; the others are."""
    async with House() as house:
        client, worker = await house.pair(b"f", b"g")
        worker.say(P.CANT_DO, b"f")
        worker.say(P.CANT_DO, b"never had")
        await worker.settled()
        await client.submits(b"f")
        worker.say(P.GRAB_JOB)
        await worker.expect(P.NO_JOB)
        await client.submits(b"g", b"1")
        await worker.takes(b"1")


async def test_reset_abilities() -> None:
    """After it the worker can do nothing, until it says so again."""
    async with House() as house:
        client, worker = await house.pair(b"f", b"g")
        worker.say(P.RESET_ABILITIES)
        await worker.settled()
        await client.submits(b"f", b"1")
        worker.say(P.GRAB_JOB)
        await worker.expect(P.NO_JOB)
        worker.say(P.CAN_DO, b"f")
        await worker.takes(b"1")


async def test_a_worker_that_exceeds_its_timeout() -> None:
    """CAN_DO_TIMEOUT: the job fails then, its client is told, and what the worker says later is passed
    over.
    """
    async with House() as house:
        client, worker = await house.peer(), await house.peer()
        worker.say(P.CAN_DO_TIMEOUT, b"f", b"30")
        await worker.settled()
        handle = await client.submits(b"f")
        await worker.takes()
        await client.expect(P.WORK_FAIL, handle)
        worker.say(P.WORK_DATA, handle, b"x")
        worker.say(P.WORK_COMPLETE, handle, b"late")
        await worker.settled()
        await client.settled()


async def test_only_with_timeouts() -> None:
    """A door that requires timeouts takes no CAN_DO, and no timeout of 0."""
    async with House(timeouts_required=True) as house:
        worker = await house.peer()
        worker.say(P.CAN_DO, b"f")
        await worker.expect(
            P.ERROR, b"INVALID_ARGUMENT", b"this door takes CAN_DO_TIMEOUT only, got CAN_DO of b'f'"
        )
        worker.say(P.CAN_DO_TIMEOUT, b"f", b"0")
        await worker.expect(P.ERROR, b"INVALID_ARGUMENT", None)
        worker.say(P.CAN_DO_TIMEOUT, b"f", b"1000")
        await worker.settled()
        assert house.calls.workers


async def test_names_of_workers() -> None:
    """SET_CLIENT_ID is shown by `workers`, and must be a word."""
    async with House() as house:
        client, worker = await house.pair(b"f")
        worker.say(P.SET_CLIENT_ID, b"two words")
        await worker.expect(P.ERROR, b"INVALID_ARGUMENT", None)
        worker.say(P.SET_CLIENT_ID, b"w-17")
        worker.say(P.ALL_YOURS)
        await worker.settled()
        rows = await client.ask_list("workers")
        assert sorted(row.partition(" ")[2] for row in rows) == ["127.0.0.1 - :", "127.0.0.1 w-17 : f"]


async def test_echo() -> None:
    """What is sent comes back."""
    async with House() as house:
        peer = await house.peer()
        peer.say(P.ECHO_REQ, b"a\0b")
        await peer.expect(P.ECHO_RES, b"a\0b")


@pytest.mark.parametrize("number", [P.SUBMIT_JOB_SCHED, P.SUBMIT_REDUCE_JOB, P.SUBMIT_REDUCE_JOB_BACKGROUND])
async def test_packets_without_a_place(number: P) -> None:
    """What gearmand never ran, and reducers, are refused; the connection lives on."""
    async with House() as house:
        peer = await house.peer()
        peer.say(number, b"f", b"u", *[b"1"] * 6)
        await peer.expect(P.ERROR, b"INVALID_COMMAND", None)
        await peer.settled()


async def test_work_for_a_job_that_is_not_the_workers() -> None:
    """Another worker's job, or none at all, can't be spoken for."""
    async with House() as house:
        client, worker = await house.pair(b"f")
        thief = await house.peer()
        handle = await client.submits(b"f")
        await worker.takes()
        for say in ((P.WORK_COMPLETE, handle, b"x"), (P.WORK_FAIL, handle), (P.WORK_DATA, handle, b"x")):
            thief.say(*say)
            await thief.expect(P.ERROR, b"JOB_NOT_FOUND", None)
        worker.say(P.WORK_COMPLETE, handle, b"mine")
        await client.expect(P.WORK_COMPLETE, handle, b"mine")


@pytest.mark.parametrize("name", [b"", b"f" * 201, b"\xff"])
async def test_names_that_no_function_has(name: bytes) -> None:
    """Empty, too long, or no UTF-8: refused for clients and workers alike."""
    async with House() as house:
        peer = await house.peer()
        peer.say(P.CAN_DO, name)
        await peer.expect(P.ERROR, b"INVALID_FUNCTION_NAME", None)
        peer.say(P.SUBMIT_JOB, name, b"", b"")
        await peer.expect(P.ERROR, b"INVALID_FUNCTION_NAME", None)


# Who vanishes.


async def test_a_worker_that_vanishes() -> None:
    """Its job is given to another one under the same handle; after so many the client is told that it
    failed.
    """
    async with House() as house:
        client = await house.peer()
        handle = await client.submits(b"f", b"1", b"u")
        for _ in range(RETRIES_MAX + 1):
            worker = await house.peer()
            await worker.works(b"f")
            assert await worker.takes(b"1") == handle
            worker.close()
            await eventually_async(lambda: nobody_works(house))
        await client.expect(P.WORK_FAIL, handle)
        assert house.door.entries == {}


async def nobody_works(house: House) -> bool:
    """All workers are gone."""
    return not house.calls.workers


async def test_all_clients_of_a_job_go_on_with_another_worker() -> None:
    """Clients that shared a run share the next one, when its worker vanished."""
    async with House() as house:
        client, worker = await house.pair(b"f")
        other, next_worker = await house.pair(b"f")
        handle = await client.submits(b"f", b"", b"u")
        await other.submits(b"f", b"", b"u")
        await worker.takes()
        worker.close()
        next_worker.say(P.PRE_SLEEP)
        await next_worker.expect(P.NOOP)
        assert await next_worker.takes() == handle
        next_worker.say(P.WORK_COMPLETE, handle, b"x")
        for each in (client, other):
            await each.expect(P.WORK_COMPLETE, handle, b"x")


async def test_a_client_that_vanishes() -> None:
    """What waited for it alone is forgotten; what runs for it goes on, and its end is taken without an
    error.
    """
    async with House() as house:
        client, worker = await house.pair(b"f")
        running = await client.submits(b"f", b"runs")
        await worker.takes(b"runs")
        await client.submits(b"f", b"waits")
        client.close()
        watcher = await house.peer()
        await eventually_async(lambda: empty(watcher))
        worker.say(P.WORK_STATUS, running, b"1", b"2")
        worker.say(P.WORK_COMPLETE, running, b"x")
        worker.say(P.GRAB_JOB)
        await worker.expect(P.NO_JOB)


async def empty(peer: Peer) -> bool:
    """Nothing waits or runs."""
    return await peer.ask_list("show jobs") == []


async def test_a_client_that_vanishes_from_a_shared_job() -> None:
    """The others still get the result."""
    async with House() as house:
        client, worker = await house.pair(b"f")
        other = await house.peer()
        handle = await client.submits(b"f", b"", b"u")
        await other.submits(b"f", b"", b"u")
        await worker.takes()
        client.close()
        worker.say(P.WORK_COMPLETE, handle, b"x")
        await other.expect(P.WORK_COMPLETE, handle, b"x")


class Elsewhere:
    """A caller and a worker of another door: what they are told is nobody's."""

    def told(self, call: Call, word: Word) -> None:
        """Nothing follows."""

    def over(self, call: Call) -> None:
        """Nothing follows."""

    def assigned(self, run: Run) -> None:
        """Nothing follows."""


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_run_that_goes_on_for_a_caller_of_another_door(*, leaves: bool) -> None:
    """The door forgets it with the last of its own clients, or it would never hear of its end."""
    async with House() as house:
        client = await house.peer()
        if leaves:
            await client.submits(b"f", b"", b"u")
        else:
            client.say(P.SUBMIT_JOB_TIMEOUT, b"f", b"u", b"", b"50", b"")
            await client.expect(P.JOB_CREATED, None)
        elsewhere = Call("f", unique="u", tag=Elsewhere())
        house.board.ask(elsewhere)
        assert len(house.calls.runs) == len(house.door.entries) == 1
        if leaves:
            client.close()
        watcher = await house.peer()
        await eventually_async(lambda: empty(watcher))
        assert elsewhere.end is None
        worker = Worker("minion", frozenset({"f"}), tag=Elsewhere())
        house.calls.join(worker, house.board.clock())
        house.calls.credit(worker, 1, house.board.clock())
        (number,) = worker.runs
        assert house.calls.ended(worker, number, End(CallOutcome.COMPLETE), house.board.clock())
        assert house.door.entries == {}


# Extensions.


async def test_a_routing_timeout() -> None:
    """Nobody took the job in time: the client hears so, and no worker that comes later is given it."""
    async with House() as house:
        client = await house.peer()
        client.say(P.SUBMIT_JOB_TIMEOUT, b"f", b"", b"high", b"20", b"x")
        (handle,) = await client.expect(P.JOB_CREATED, None)
        _, waited_ms = await client.expect(P.ROUTING_TIMEOUT, handle, None)
        assert 20 <= int(waited_ms) < 20_000
        worker = await house.peer()
        await worker.works(b"f")
        worker.say(P.GRAB_JOB)
        await worker.expect(P.NO_JOB)


async def test_a_job_in_time() -> None:
    """A job that was assigned within its routing timeout runs as any other; its loss is its end."""
    async with House() as house:
        client, worker = await house.pair(b"f")
        client.say(P.SUBMIT_JOB_TIMEOUT, b"f", b"", b"", b"10000", b"x")
        (handle,) = await client.expect(P.JOB_CREATED, None)
        assert await worker.takes(b"x") == handle
        worker.close()
        await client.expect(P.WORK_FAIL, handle)


@pytest.mark.parametrize(("priority", "timeout_ms"), [(b"urgent", b"1"), (b"high", b"soon"), (b"low", b"-1")])
async def test_routing_timeouts_that_cannot_be(priority: bytes, timeout_ms: bytes) -> None:
    """Refused by a sentence; no job is created."""
    async with House() as house:
        client = await house.peer()
        client.say(P.SUBMIT_JOB_TIMEOUT, b"f", b"", priority, timeout_ms, b"")
        await client.expect(P.ERROR, b"INVALID_ARGUMENT", None)


async def test_areas() -> None:
    """A job goes to a worker of its first area, though others wait; each area has its time, then anybody
    may.
    """
    async with House() as house:
        client, far = await house.pair(b"f")
        near = await house.peer()
        near.say(P.IDENTIFY_AREA, b"DC1,north")
        await near.works(b"f")
        for worker in (far, near):
            worker.say(P.PRE_SLEEP)
            await worker.settled()
        client.say(P.AREA_PRIORITY, b"DC1,DC3")
        client.say(P.SUBMIT_JOB_TIMEOUT, b"f", b"", b"", b"10000", b"1")
        await client.expect(P.JOB_CREATED, None)
        await near.expect(P.NOOP)
        far.say(P.GRAB_JOB)
        await far.expect(P.NO_JOB)
        await near.takes(b"1")


async def test_areas_with_timeouts() -> None:
    """When the time of its areas is over the job goes to anybody."""
    async with House() as house:
        client, far = await house.pair(b"f")
        far.say(P.IDENTIFY_AREA, b"DC9")
        far.say(P.PRE_SLEEP)
        await far.settled()
        client.say(P.AREA_PRIORITY_TIMEOUT, b"DC1,20,DC3,20")
        client.say(P.SUBMIT_JOB_TIMEOUT, b"f", b"", b"", b"10000", b"1")
        await client.expect(P.JOB_CREATED, None)
        await far.expect(P.NOOP)
        await far.takes(b"1")


@pytest.mark.parametrize(
    ("number", "areas"),
    [
        (P.AREA_PRIORITY, b",".join(b"a%d" % i for i in range(1000))),
        (P.AREA_PRIORITY, b"a,,b"),
        (P.AREA_PRIORITY, b"a,a"),
        (P.AREA_PRIORITY_TIMEOUT, b"DC1"),
        (P.AREA_PRIORITY_TIMEOUT, b"DC1,soon"),
        (P.IDENTIFY_AREA, b"x" * 300),
    ],
)
async def test_areas_that_cannot_be(number: P, areas: bytes) -> None:
    """Refused by a sentence, and what was said before holds."""
    async with House() as house:
        peer = await house.peer()
        peer.say(number, areas)
        await peer.expect(P.ERROR, b"INVALID_ARGUMENT", None)


# Background jobs.


async def test_background_jobs_are_created_when_they_are_durable() -> None:
    """JOB_CREATED comes when Kafka has the job, in the order of the submits; what was asked later is
    answered later.
    """
    desk = FakeDesk()
    async with House(desk=desk) as house:
        client = await house.peer()
        client.say(P.SUBMIT_JOB_BG, b"f", b"u", b"1")
        client.say(P.SUBMIT_JOB_HIGH_BG, b"f", b"", b"2")
        client.say(P.SUBMIT_JOB_LOW_BG, b"f", b"", b'{"a":3}')
        client.say(P.ECHO_REQ, b"after")
        client.say(P.SUBMIT_JOB_EPOCH, b"f", b"", b"1900000000", b"4")
        await eventually_async(lambda: has(desk, 3))
        assert [(job.data, job.priority.name, job.unique) for job in desk.jobs] == [
            (b"1", "NORMAL", "u"),
            (b"2", "HIGH", ""),
            (b'{"a":3}', "LOW", ""),
        ]
        assert not any(job.once for job in desk.jobs)
        assert [job.content_type for job in desk.jobs][1:] == ["application/octet-stream", "application/json"]
        for at in (2, 1, 0):
            desk.waiting[at].set_result(None)
        for at in (1, 2, 3):
            await client.expect(P.JOB_CREATED, b"J:job-%d" % at)
        await client.expect(P.ECHO_RES, b"after")
        assert desk.jobs[3].run_at_ms == 1_900_000_000_000
        desk.waiting[3].set_result("Kafka did not take it in time")
        await client.expect(P.ERROR, b"QUEUE_ERROR", b"Kafka did not take it in time")


async def has(desk: FakeDesk, count: int) -> bool:
    """So many jobs were submitted."""
    return len(desk.jobs) >= count


async def test_background_jobs_that_cannot_be() -> None:
    """What the desk refuses, a time that is none and a name that is none are errors, in their places."""
    async with House(desk=FakeDesk()) as house:
        client = await house.peer()
        client.say(P.SUBMIT_JOB_BG, b"never", b"", b"")
        client.say(P.SUBMIT_JOB_EPOCH, b"f", b"", b"soon", b"")
        client.say(P.SUBMIT_JOB_BG, b"", b"", b"")
        client.say(P.SUBMIT_JOB_BG, b"f", b"u" * 65, b"")
        await client.expect(P.ERROR, b"QUEUE_ERROR", b"function must not be never, got never")
        await client.expect(P.ERROR, b"INVALID_ARGUMENT", b"epoch must be whole seconds, got b'soon'")
        await client.expect(P.ERROR, b"INVALID_FUNCTION_NAME", None)
        await client.expect(P.ERROR, b"ARGUMENT_TOO_LARGE", None)


async def test_many_answers_behind_one_that_is_awaited() -> None:
    """However many jobs were refused behind one that Kafka has not confirmed, all are answered, in order."""
    desk = FakeDesk()
    many = 3_000
    async with House(desk=desk) as house:
        client = await house.peer()
        client.say(P.SUBMIT_JOB_BG, b"f", b"", b"")
        client.say(P.ECHO_REQ, b"after")
        for _ in range(many):
            client.say(P.SUBMIT_JOB_BG, b"never", b"", b"")
        await eventually_async(lambda: has(desk, 1))
        desk.waiting[0].set_result(None)
        await client.expect(P.JOB_CREATED, b"J:job-1")
        await client.expect(P.ECHO_RES, b"after")
        for _ in range(many):
            await client.expect(P.ERROR, b"QUEUE_ERROR", None)
        assert house.door.faults == 0


async def test_background_jobs_without_kafka() -> None:
    """A door without Kafka says so."""
    async with House() as house:
        client = await house.peer()
        client.say(P.SUBMIT_JOB_BG, b"f", b"", b"")
        _, sentence = await client.expect(P.ERROR, b"QUEUE_ERROR", None)
        assert sentence.startswith(b"background jobs need Kafka")


async def test_how_far_a_background_job_is() -> None:
    """GET_STATUS asks who knows, and what was asked behind it waits. Nobody who can tell is an error."""
    desk = FakeDesk()
    desk.standings = {"a": Standing(known=True, running=True, done=3, total=9), "b": Standing(known=False)}
    async with House(desk=desk) as house:
        client = await house.peer()
        for handle in (b"J:a", b"J:b", b"J:c"):
            client.say(P.GET_STATUS, handle)
        client.say(P.ECHO_REQ, b"after")
        await client.expect(P.STATUS_RES, b"J:a", b"1", b"1", b"3", b"9")
        await client.expect(P.STATUS_RES, b"J:b", b"0", b"0", b"0", b"0")
        await client.expect(P.ERROR, b"QUEUE_ERROR", b"the pages are away")
        await client.expect(P.ECHO_RES, b"after")


async def test_gearsloth() -> None:
    """`submitJobDelayed` is complete when the job that it asks for is durable, and fails with a warning
    else.
    """
    desk = FakeDesk()
    async with House(desk=desk) as house:
        client = await house.peer()
        handle = await client.submits(
            b"submitJobDelayed", b'{"func_name":"log","at":1900000000000,"payload":"x"}'
        )
        await eventually_async(lambda: has(desk, 1))
        assert (desk.jobs[0].function, desk.jobs[0].data, desk.jobs[0].run_at_ms) == (
            "log",
            b"x",
            1_900_000_000_000,
        )
        desk.waiting[0].set_result(None)
        await client.expect(P.WORK_COMPLETE, handle, b"J:job-1")
        handle = await client.submits(b"submitJobDelayed", b"{}")
        await client.expect(P.WORK_WARNING, handle, b"func_name must be the name of a function, got None")
        await client.expect(P.WORK_FAIL, handle)


# Administrators.


async def test_status() -> None:
    """`status` and `prioritystatus` count what waits, runs, and who can run it."""
    async with House() as house:
        client, worker = await house.pair(b"f")
        await client.submits(b"f", b"1")
        await client.submits(b"f", b"2")
        client.say(P.SUBMIT_JOB_LOW, b"f", b"", b"3")
        await client.expect(P.JOB_CREATED, None)
        await client.submits(b"nobody", b"")
        await worker.takes(b"1")
        assert await client.ask_list("status") == ["f\t3\t1\t1", "nobody\t1\t0\t0"]
        assert await client.ask_list("prioritystatus") == ["f\t0\t1\t1\t1", "nobody\t0\t1\t0\t0"]


async def test_jobs_are_shown_and_cancelled() -> None:
    """`show jobs` has handles, `show unique jobs` unique ids; `cancel job` ends what waits, and not what
    runs.
    """
    async with House() as house:
        client, worker = await house.pair(b"f")
        first = await client.submits(b"f", b"1", b"u-1")
        second = await client.submits(b"f", b"2")
        await worker.takes(b"1")
        admin = await house.peer()
        assert await admin.ask_list("show unique jobs") == ["u-1"]
        assert await admin.ask_list("show jobs") == [f"{each.decode()}\t0\t0\t0" for each in (first, second)]
        assert await admin.ask(f"cancel job {first.decode()}") == "ERR UNKNOWN_JOB\r\n"
        assert await admin.ask(f"cancel job {second.decode()}") == "OK\r\n"
        await client.expect(P.WORK_FAIL, second)
        await client.settled()
        assert await admin.ask_list("show jobs") == [f"{first.decode()}\t0\t0\t0"]


async def test_functions_are_made_known_and_forgotten() -> None:
    """`create function` lists it, `drop function` forgets it unless it is in use."""
    async with House() as house:
        client, _ = await house.pair(b"f")
        assert await client.ask("create function g") == "OK\r\n"
        assert await client.ask_list("status") == ["g\t0\t0\t0", "f\t0\t0\t1"]
        assert await client.ask("drop function g") == "OK\r\n"
        assert await client.ask("drop function g") == "ERR function not found\r\n"
        assert (await client.ask("drop function f")).startswith("ERR there are still connected workers")


async def test_queues_that_are_full() -> None:
    """`maxqueue` refuses one more job than it allows, for its priority; equal ones that share a run are
    taken.
    """
    async with House() as house:
        client = await house.peer()
        assert await client.ask("maxqueue f 3 1 1") == "OK\r\n"
        await client.submits(b"f", b"", b"u")
        client.say(P.SUBMIT_JOB, b"f", b"", b"")
        await client.expect(P.ERROR, b"QUEUE_ERROR", b"Job queue is full")
        await client.submits(b"f", b"", b"u")
        client.say(P.SUBMIT_JOB_HIGH, b"f", b"", b"")
        await client.expect(P.JOB_CREATED, None)
        assert await client.ask("maxqueue f") == "OK\r\n"
        await client.submits(b"f")


async def test_what_else_administrators_ask() -> None:
    """Version, process, verbosity, an end, and nonsense."""
    async with House() as house:
        peer = await house.peer()
        assert await peer.ask("version") == "OK 1.0\n"
        assert await peer.ask("getpid") == f"OK {house.door.pid}\n"
        assert (await peer.ask("verbose")).startswith("OK ")
        assert (await peer.ask("dance")).startswith("ERR UNKNOWN_COMMAND")
        assert await peer.ask("shutdown graceful") == "OK\r\n"
        assert house.stops == [True]


# Who says what cannot be.


@pytest.mark.parametrize(
    "noise",
    [b"\0noise that is no packet", request(P.ECHO_REQ, bytes(3 * 1024 * 1024)), b"x" * 10_000],
)
async def test_noise_ends_its_connection_alone(noise: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """What can't be read ends its connection with a line in the log; others feel nothing."""
    async with House() as house:
        client, worker = await house.pair(b"f")
        bad = await house.peer()
        with caplog.at_level(logging.WARNING):
            bad.raw(noise)
            assert await bad.ended()
        assert "connection closed: a " in caplog.text
        handle = await client.submits(b"f")
        assert await worker.takes() == handle


async def test_wrong_packets_are_answered() -> None:
    """A response's magic, a number that is none, and arguments that lack: errors, and the connection lives
    on.
    """
    async with House() as house:
        peer = await house.peer()
        peer.raw(packet(P.ECHO_RES, b""))
        await peer.expect(P.ERROR, b"INVALID_MAGIC", b"Request magic expected")
        peer.raw(request(77))
        await peer.expect(P.ERROR, b"INVALID_COMMAND", b"Invalid command expected, got 77")
        peer.raw(request(P.SUBMIT_JOB, b"f"))
        await peer.expect(P.ERROR, b"INVALID_PACKET", b"SUBMIT_JOB has 3 arguments, got 1")
        await peer.settled()


async def test_packets_in_pieces() -> None:
    """A packet that comes byte by byte is one packet."""
    async with House() as house:
        peer = await house.peer()
        for byte in request(P.ECHO_REQ, b"slow"):
            peer.raw(bytes([byte]))
            await asyncio.sleep(0)
        await peer.expect(P.ECHO_RES, b"slow")


async def test_limits() -> None:
    """A relay's limit holds for Gearman workers too: who sleeps is woken when a place is free again."""
    async with House(limits={"function/f": 1}) as house:
        client, worker = await house.pair(b"f")
        other = await house.peer()
        await other.works(b"f")
        first = await client.submits(b"f", b"1")
        await client.submits(b"f", b"2")
        await worker.takes(b"1")
        other.say(P.GRAB_JOB)
        await other.expect(P.NO_JOB)
        other.say(P.PRE_SLEEP)
        await other.settled()
        worker.say(P.WORK_COMPLETE, first, b"")
        await client.expect(P.WORK_COMPLETE, first, b"")
        await other.expect(P.NOOP)
        await other.takes(b"2")
