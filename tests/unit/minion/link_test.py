"""The protocol between a minion and its relay, without a wire and in virtual time."""

from typing import Any

import pytest

from jobstream.context import Stop
from jobstream.functions import Function, function
from jobstream.minion import outcome
from jobstream.minion.lease import Lease
from jobstream.minion.link import ENDED_DEADLINES_MAX, Link, Offer
from jobstream.minion.outbox import KEPT_BYTES_MAX
from schemas.proto.relay_pb2 import (
    FAILURE,
    INTERRUPTED,
    Beat,
    Cancel,
    Drain,
    Drop,
    FromMinion,
    FromRelay,
    Held,
    Job,
    JobBatch,
    Recalled,
    Receipt,
    ReceiptsStored,
    Welcome,
)

CAPACITY = 4


class FakeRunner:
    """Runs nothing: it notes what it was asked."""

    def __init__(self) -> None:
        self.started: list[Lease] = []
        self.stopped: list[Lease] = []

    def start(self, leases: list[Lease]) -> None:
        """Notes the leases."""
        self.started += leases

    def stop(self, lease: Lease) -> None:
        """Notes the lease."""
        self.stopped.append(lease)

    def where(self, lease: Lease) -> str:
        """A stack."""
        return f"stack of {lease.job}"


def declared(**options: Any) -> Function[..., Any]:
    """A function of jobs."""

    async def work() -> None:
        """Works."""

    return function(name="work", **options)(work)


class World:
    """A link with a relay that the test plays."""

    def __init__(self, **options: Any) -> None:
        self.runner = FakeRunner()
        offer = Offer(
            minion="m", queues=("q",), functions={"work": declared(**options)}, capacity=CAPACITY, sdk="x"
        )
        self.link = Link(offer, self.runner)
        self.now_ms = 100_000

    def connect(self) -> list[FromMinion]:
        """Opens a session; what the minion says then."""
        self.link.hello()
        self.link.welcomed(Welcome(session="s", heartbeat_ms=1_000, heartbeat_timeout_ms=4_000), self.now_ms)
        return self.collect()

    def give(self, *names: str, **fields: Any) -> list[Lease]:
        """Gives jobs; the leases that began."""
        given = {"epoch": 1, "attempt": 1, "function": "work", "timeout_ms": 60_000, **fields}
        self.receive(FromRelay(jobs=JobBatch(jobs=[Job(**{"id": name, **given}) for name in names])))
        begun, self.runner.started = self.runner.started, []
        return begun

    def receive(self, message: FromRelay) -> None:
        """The relay says something."""
        self.link.receive(message, self.now_ms, 1_700_000_000_000)

    def end(self, lease: Lease, receipt: Receipt | None = None) -> None:
        """The function of a lease has ended."""
        self.link.ended([(lease, receipt if receipt is not None else outcome.success(lease, None))])

    def wait(self, for_ms: int) -> list[Beat]:
        """Time goes by in ticks; the beats of it."""
        beats: list[Beat] = []
        for _ in range(for_ms // 50):
            self.now_ms += 50
            if self.link.tick(self.now_ms):
                beats += [beat for each in self.collect() for beat in each.beats.beats]
        return beats

    def collect(self) -> list[FromMinion]:
        """What the minion sends now."""
        return self.link.collect(self.now_ms)

    def receipts(self) -> list[Receipt]:
        """The receipts that are sent now."""
        return [receipt for each in self.collect() for receipt in each.receipts.receipts]


@pytest.fixture
def world() -> World:
    """A link with an open session."""
    made = World()
    made.connect()
    return made


def asked(lease: Lease) -> Stop | None:
    """Why the function was asked to stop."""
    return lease.stop


def kinds(messages: list[FromMinion]) -> list[str | None]:
    """What kind each message is."""
    return [each.WhichOneof("message") for each in messages]


def test_hello_says_what_the_minion_is() -> None:
    """A hello names queues, functions and capacity, and holds nothing at first."""
    hello = World().link.hello().hello
    assert (hello.protocol, hello.minion, hello.capacity, hello.sdk) == (1, "m", CAPACITY, "x")
    assert (list(hello.queues), list(hello.functions), list(hello.held)) == (["q"], ["work"], [])


def test_credits_are_free_slots() -> None:
    """A session begins with as many credits as there are slots, and each end gives one back."""
    world = World()
    assert [each.credit.more for each in world.connect()] == [CAPACITY]
    leases = world.give("a", "b", "c")
    assert world.collect() == []
    world.end(leases[0])
    world.end(leases[1])
    sent = world.collect()
    assert kinds(sent) == ["receipts", "credit"]
    assert sent[1].credit.more == 2


def test_a_lease_that_ended_may_keep_its_slot() -> None:
    """A function that runs on after its timeout keeps its slot until it returns."""
    world = World()
    world.connect()
    (lease,) = world.give("a", timeout_ms=500)
    world.wait(450)
    assert not asked(lease)
    world.wait(100)
    assert asked(lease) is Stop.TIMED_OUT
    assert world.runner.stopped == [lease]
    assert world.link.held == {}
    assert world.link.occupied == 1
    assert world.collect() == []
    world.end(lease)
    assert [each.credit.more for each in world.collect()] == [1]


def test_an_old_function_ends_no_new_lease(world: World) -> None:
    """A function whose lease was dropped, and that ends after the same job was given again, ends nothing."""
    (old,) = world.give("a")
    world.receive(FromRelay(drop=Drop(leases=[Held(job="a", epoch=1)])))
    (new,) = world.give("a")
    world.end(old)
    assert world.receipts() == []
    assert list(world.link.held.values()) == [new]
    world.end(new)
    assert len(world.receipts()) == 1


@pytest.mark.parametrize("timeout_ms", [300, 999, 1_000, 5_000])
def test_timeouts(world: World, timeout_ms: int) -> None:
    """An attempt that is over its time fails with where it was, within a tick."""
    (lease,) = world.give("a", timeout_ms=timeout_ms)
    lease.start()
    began_ms = world.now_ms
    while not world.link.outbox:
        world.now_ms += 50
        world.link.tick(world.now_ms)
    assert timeout_ms <= world.now_ms - began_ms <= timeout_ms + 50
    (receipt,) = world.receipts()
    assert (receipt.outcome, receipt.error_type, receipt.error_trace) == (FAILURE, "Timeout", "stack of a")


@pytest.mark.parametrize("timeout_ms", [300, 5_000])
def test_the_time_of_what_follows_begins_with_its_turn(world: World, timeout_ms: int) -> None:
    """Not with its arrival."""
    assert World().link.hello().hello.follows
    (lease,) = world.give("b", timeout_ms=timeout_ms, after_job="a", after_epoch=1)
    world.wait(10_000)
    assert not world.link.outbox
    lease.turn_came(world.now_ms, 1_700_000_000_000)
    began_ms = world.now_ms
    while not world.link.outbox:
        world.now_ms += 50
        world.link.tick(world.now_ms)
    assert timeout_ms <= world.now_ms - began_ms <= timeout_ms + 50


def test_deadlines_of_ended_leases_are_forgotten(world: World) -> None:
    """However long timeouts are, a minion remembers about as many deadlines as it holds leases."""
    for number in range(3 * ENDED_DEADLINES_MAX):
        (lease,) = world.give(f"job-{number}", timeout_ms=86_400_000)
        world.now_ms += 1_000
        world.link.tick(world.now_ms)
        world.end(lease)
        world.receipts()
        world.receive(FromRelay(receipts_stored=ReceiptsStored(up_to=number + 1)))
    assert len(world.link._deadlines) <= ENDED_DEADLINES_MAX + 2


def test_an_end_comes_before_a_timeout(world: World) -> None:
    """A function that ended in the same moment has not timed out."""
    (lease,) = world.give("a", timeout_ms=500)
    world.now_ms += 500
    world.end(lease)
    world.link.tick(world.now_ms)
    assert [receipt.error_type for receipt in world.receipts()] == [""]


def test_jobs_that_cannot_be_taken_are_handed_back(world: World) -> None:
    """What is above the capacity, or names a function that is not there, goes back uncounted."""
    assert world.give("x", function="other") == []
    leases = world.give("a", "b", "c", "d", "e")
    assert [lease.job for lease in leases] == ["a", "b", "c", "d"]
    assert [(each.job, each.outcome) for each in world.receipts()] == [("x", INTERRUPTED), ("e", INTERRUPTED)]


def test_a_lease_is_run_once(world: World) -> None:
    """A job that is given twice in one epoch runs once; another epoch is another lease."""
    assert len(world.give("a")) == 1
    assert world.give("a") == []
    assert len(world.give("a", epoch=2)) == 1
    assert world.link.occupied == 2


def test_cancel_reaches_the_function(world: World) -> None:
    """A cancel asks the function to stop, and its receipt is still wanted."""
    (lease,) = world.give("a")
    world.receive(FromRelay(cancel=Cancel(job="a", epoch=2)))
    assert not asked(lease)
    world.receive(FromRelay(cancel=Cancel(job="a", epoch=1, reason="enough")))
    assert (asked(lease), lease.stop_reason) == (Stop.CANCELLED, "enough")
    assert world.runner.stopped == [lease]
    world.end(lease, outcome.cancelled(lease))
    assert len(world.receipts()) == 1


def test_dropped_leases_send_nothing(world: World) -> None:
    """A lease that was taken away stops without a receipt, whatever its function gives."""
    (lease,) = world.give("a")
    world.receive(FromRelay(drop=Drop(leases=[Held(job="a", epoch=1), Held(job="other", epoch=1)])))
    assert lease.stop is Stop.DROPPED
    world.end(lease)
    assert world.receipts() == []
    assert world.link.occupied == 0


def test_receipts_survive_a_session(world: World) -> None:
    """What was not stored is sent again on the next session, with the same number and its lease."""
    first, second, third = world.give("a", "b", "c", key="k")
    world.end(first)
    world.end(second)
    assert [each.number for each in world.receipts()] == [1, 2]
    world.receive(FromRelay(receipts_stored=ReceiptsStored(up_to=1)))
    world.link.broke()
    assert [each.job for each in world.link.hello().hello.held] == ["c"]
    again = [receipt for each in world.connect() for receipt in each.receipts.receipts]
    assert [(each.number, each.job, each.lease.key) for each in again] == [(2, "b", "k")]
    world.end(third)
    assert [(each.number, each.lease.job) for each in world.receipts()] == [(3, "c")]


def test_a_new_session_knows_what_is_occupied(world: World) -> None:
    """The credits of a new session leave room for what still runs."""
    world.give("a", "b")
    world.link.broke()
    assert [each.credit.more for each in world.connect()] == [CAPACITY - 2]


def test_no_credit_while_receipts_pile_up(world: World) -> None:
    """A minion whose receipts are not stored takes no more jobs, and does again when they are."""
    large = bytes(KEPT_BYTES_MAX // 2)
    for lease in world.give("a", "b"):
        world.end(lease, Receipt(job=lease.job, epoch=1, result=large))
    assert kinds(world.collect()) == ["receipts", "receipts"]
    world.receive(FromRelay(receipts_stored=ReceiptsStored(up_to=2)))
    assert [each.credit.more for each in world.collect()] == [2]


def test_a_drain_of_the_minion(world: World) -> None:
    """It is told, no more credits are given, late jobs go back, and at the end so does what runs."""
    (lease,) = world.give("a")
    lease.start()
    lease.step = ("digging", 1)
    world.link.drain(5_000)
    assert kinds(world.collect()) == ["draining", "recall"]
    assert world.give("late") == []
    assert [(each.job, each.outcome) for each in world.receipts()] == [("late", INTERRUPTED)]
    assert world.link.held
    world.link.hand_back()
    assert lease.stop is Stop.INTERRUPTED
    assert [(each.job, each.outcome, each.step) for each in world.receipts()] == [
        ("a", INTERRUPTED, "digging")
    ]
    world.receive(FromRelay(receipts_stored=ReceiptsStored(up_to=2)))
    world.receive(FromRelay(recalled=Recalled(count=CAPACITY - 2)))
    assert world.link.settled
    world.end(lease)
    assert world.collect() == []


def test_a_minion_that_drains_waits_for_the_jobs_on_their_way(world: World) -> None:
    """What the relay sent before it heard of it would be lost with the stream: its answer ends that."""
    world.link.drain(0)
    draining, recall = world.collect()
    assert (draining.draining.grace_ms, recall.recall.up_to) == (0, CAPACITY)
    assert not world.link.settled
    world.give("late")
    assert [(each.job, each.outcome) for each in world.receipts()] == [("late", INTERRUPTED)]
    world.receive(FromRelay(receipts_stored=ReceiptsStored(up_to=1)))
    assert not world.link.settled
    world.receive(FromRelay(recalled=Recalled(count=CAPACITY - 1)))
    assert world.link.settled


def test_a_drain_is_told_to_every_session(world: World) -> None:
    """A relay that the minion meets while it drains is told so too, and gets no credits to spend."""
    world.link.drain(5_000)
    world.collect()
    world.link.broke()
    assert kinds(world.connect()) == ["draining"]


def test_a_drain_of_the_relay(world: World) -> None:
    """A relay that goes away is given no more credits; the next session is as any other."""
    (lease,) = world.give("a")
    world.receive(FromRelay(drain=Drain(reason="deploy", grace_ms=1_000)))
    world.end(lease)
    assert kinds(world.collect()) == ["receipts"]
    world.receive(FromRelay(receipts_stored=ReceiptsStored(up_to=1)))
    assert world.link.settled
    assert kinds(world.connect()) == ["credit"]


def test_beats_begin_after_a_second(world: World) -> None:
    """An attempt beats once it has run a second, first with the time when it began, then once a second."""
    (lease,) = world.give("a")
    lease.start()
    assert world.wait(950) == []
    beats = world.wait(5_100)
    assert len(beats) in (4, 5)
    assert [beat.started_at_ms for beat in beats] == [lease.started_at_ms, *[0] * (len(beats) - 1)]
    assert not any(beat.progress for beat in beats)


def test_an_idle_session_beats_for_itself(world: World) -> None:
    """A session whose leases do not beat still shows that it lives, once per interval."""
    empty = 0
    for _ in range(100):
        world.now_ms += 50
        if world.link.tick(world.now_ms):
            empty += kinds(world.collect()).count("beats")
    assert empty == 5


def test_progress_is_told_once(world: World) -> None:
    """A beat tells what changed since the last one, and nothing twice."""
    (lease,) = world.give("a")
    lease.start()
    world.wait(500)
    lease.step = ("parse", 7)
    lease.changed()
    lease.progress = (1, 3)
    lease.changed()
    (beat,) = [beat for each in _tick(world) for beat in each.beats.beats]
    assert (beat.progress, beat.step, beat.step_at_ms, beat.done, beat.total) == (True, "parse", 7, 1, 3)
    lease.checkpoint = b"c"
    lease.changed()
    told = [beat for beat in world.wait(1_200) if beat.progress]
    assert [(beat.step, beat.total, beat.checkpoint) for beat in told] == [("", 0, b"c")]


def _tick(world: World) -> list[FromMinion]:
    """What is sent after a change: the writer collects it, and the tick finds it due."""
    sent = world.collect()
    world.now_ms += 50
    world.link.tick(world.now_ms)
    return sent + world.collect()


def test_a_new_session_is_told_everything_again(world: World) -> None:
    """A relay that did not hear the old session learns step, progress and checkpoint from the next beat."""
    (lease,) = world.give("a")
    lease.start()
    lease.step, lease.progress, lease.checkpoint = ("parse", 7), (1, 3), b"c"
    world.wait(3_000)
    world.link.broke()
    world.connect()
    beat = world.wait(1_100)[0]
    assert (beat.step, beat.total, beat.checkpoint) == ("parse", 3, b"c")
    assert beat.started_at_ms == lease.started_at_ms


@pytest.mark.parametrize(
    ("options", "fields", "interval_ms"),
    [
        ({}, {}, 1_000),  # as the relay asks
        ({}, {"heartbeat_timeout_ms": 60_000}, 1_000),
        ({}, {"heartbeat_timeout_ms": 2_000}, 500),  # the job's silence is shorter
        ({"heartbeat": 10}, {"heartbeat_timeout_ms": 40_000}, 10_000),
        (
            {"heartbeat": 10},
            {"heartbeat_timeout_ms": 4_000},
            1_000,
        ),  # asked for by a client that knows no better
        ({"heartbeat": 10}, {}, 1_000),
        ({"heartbeat": "off"}, {"heartbeat_timeout_ms": 60_000}, 0),
        ({"heartbeat": "off"}, {"heartbeat_timeout_ms": 4_000}, 1_000),  # silence would be taken for death
        ({"heartbeat": "off"}, {"timeout_ms": 4_000}, 0),
    ],
)
def test_policies(options: dict[str, Any], fields: dict[str, Any], interval_ms: int) -> None:
    """A function's policy holds as long as the job's own silence allows it."""
    world = World(**options)
    world.connect()
    (lease,) = world.give("a", **fields)
    assert lease.interval_ms == interval_ms


def test_what_this_version_does_not_know(world: World) -> None:
    """A message of a later version is passed over."""
    world.receive(FromRelay())
    assert world.link.open


def test_more_jobs_than_credits(world: World) -> None:
    """A relay that sends more than it was granted gets no credits for that."""
    leases = world.give("a", "b", "c", "d")
    for lease in leases:
        world.end(lease)
    assert [each.credit.more for each in world.collect()][-1] == CAPACITY
    for lease in world.give("e", "f", "g", "h"):
        world.end(lease)
    assert [each.credit.more for each in world.collect()][-1] == CAPACITY
