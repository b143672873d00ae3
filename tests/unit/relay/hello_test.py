"""What a minion may say: each thing that it may not is refused with a sentence that names what was found."""

import pytest

from relay.core.hello import CAPACITY_MAX
from relay.core.session import Breach, Refusal
from schemas.defaults import AREAS_MAX
from schemas.keys import home
from schemas.proto.relay_pb2 import OUTCOME_UNSPECIFIED, SUCCESS, Held, Receipt
from tests.unit.relay.world import PARTITIONS, START_MS, World


def test_a_version_that_is_not_spoken() -> None:
    """Another protocol version is told which one is spoken."""
    with pytest.raises(Breach, match="protocol must be 1, got 2") as caught:
        World().hello(protocol=2)
    assert caught.value.refusal is Refusal.VERSION


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"queues": []}, "queues in hello must be 1 to 200, got 0"),
        ({"functions": []}, "functions in hello must be 1 to 10000, got 0"),
        ({"areas": ["a"] * (AREAS_MAX + 1)}, "areas in hello must be 0 to 16, got 17"),
        ({"areas": [""]}, "an area must have 1 to 200 characters, got 0"),
        ({"queues": ["Default"]}, "queue must match .* got 'Default'"),
        ({"functions": ["no spaces"]}, "function must match .* got 'no spaces'"),
        ({"minion": ""}, "the minion's name must be like an id: .* got ''"),
        ({"capacity": 0}, "capacity in hello must be 1 to 100000, got 0"),
        ({"capacity": CAPACITY_MAX + 1}, "capacity in hello must be 1 to 100000, got 100001"),
    ],
)
def test_a_hello_that_makes_no_sense(said: dict[str, object], sentence: str) -> None:
    """No session is opened, and nothing is left of it."""
    world = World()
    with pytest.raises(Breach, match=sentence) as caught:
        world.hello(**{"minion": "m1", **said})  # type: ignore[arg-type]
    assert caught.value.refusal is Refusal.INVALID
    assert world.edge.sessions == {}
    assert world.edge.router.sessions == {}


def told(**fields: object) -> Held:
    """A held lease that makes sense, but for these fields."""
    sound = {
        "job": "j",
        "epoch": 1,
        "key": "k",
        "partition": home("k", PARTITIONS),
        "attempt": 1,
        "queue": "default",
        "function": "f",
        "assigned_at_ms": START_MS,
        "timeout_ms": 1_000,
    }
    return Held(**{**sound, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"job": ""}, "a held lease must name what it was told: id must match .* got ''"),
        ({"key": "two words"}, "key must match .* got 'two words'"),
        ({"epoch": 0}, "epoch of the held lease of j must be 1 to .* got 0"),
        ({"epoch": 2**63}, "epoch of the held lease of j must be 1 to .* got 9223372036854775808"),
        ({"attempt": 2**31}, "attempt of the held lease of j must be 1 to .* got 2147483648"),
        ({"timeout_ms": 0}, "timeout_ms of the held lease of j must be 1 to .* got 0"),
        ({"assigned_at_ms": 0}, "assigned_at_ms of the held lease of j must be 1 to .* got 0"),
        ({"partition": home("k", PARTITIONS) + 1}, "the home of key k is partition"),
        ({"partition": -1}, "the home of key k is partition .* says -1"),
    ],
)
def test_a_held_lease_that_cannot_be(fields: dict[str, object], sentence: str) -> None:
    """It would be written where it does not belong: the session is refused, and no lease is made."""
    world = World()
    with pytest.raises(Breach, match=sentence):
        world.hello(held=(told(**fields),))
    assert world.edge.leases == {}
    assert world.edge.sessions == {}


def test_more_held_leases_than_capacity() -> None:
    """A minion can't hold more than it says it can."""
    with pytest.raises(Breach, match="held leases must be at most the capacity of 1, got 2"):
        World().hello(capacity=1, held=(told(), told(job="k")))


def test_a_lease_that_is_told_twice() -> None:
    """To drop the second one would drop the first: such a hello is refused."""
    with pytest.raises(Breach, match="held leases must differ in job or epoch, got 2"):
        World().hello(held=(told(), told()))


def test_two_epochs_of_a_job() -> None:
    """A minion that did not hear of a drop holds an old epoch too: it keeps the new one and drops
    the old one.
    """
    for epochs in ((1, 2), (2, 1)):
        world = World()
        session = world.hello(held=tuple(told(epoch=epoch) for epoch in epochs))
        assert [lease.epoch for lease in session.leases.values()] == [2]
        [note] = world.notes(session)
        assert [(lease.job, lease.epoch) for lease in note.drop.leases] == [("j", 1)]


def test_credits_above_the_capacity() -> None:
    """What is unspent may never exceed it, however it was granted."""
    world = World()
    session = world.hello(capacity=5, credit=3)
    with pytest.raises(
        Breach, match="unspent credits must be at most the capacity of 5, got 3 more with 3 unspent"
    ):
        world.credit(session, 3)
    assert session.credits == 3


def test_no_more_leases_than_capacity() -> None:
    """Credits that are granted while leases are held do not lead beyond the capacity."""
    world = World()
    session = world.hello(capacity=2, credit=2)
    for number in range(4):
        world.read(world.dispatch(key=f"k{number}"))
    jobs = world.sent(session)
    world.credit(session, 2)
    assert len(jobs) == 2
    assert world.sent(session) == []
    world.answer(session, jobs[0])
    assert len(world.sent(session)) == 1


@pytest.mark.parametrize("number", [0, 1])
def test_receipt_numbers_grow(number: int) -> None:
    """A number that is not above the last is a mistake that would lose a receipt, and ends the session."""
    world = World()
    session = world.hello(credit=2)
    world.read(world.dispatch("a"))
    world.read(world.dispatch("b"))
    first, second = world.sent(session)
    world.answer(session, first)
    with pytest.raises(Breach, match=f"receipt numbers must grow within a session from 1 on, got {number}"):
        world.answer(session, second, number=number)


def test_an_outcome_that_is_none() -> None:
    """A receipt says how its attempt ended, in a word that is known."""
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch())
    [job] = world.sent(session)
    with pytest.raises(
        Breach, match=r"the outcome in the receipt of 'job-0' must be one of CANCELLED, .* got 0"
    ):
        world.answer(session, job, outcome=OUTCOME_UNSPECIFIED)
    assert list(session.leases) == [job.id]


def test_a_receipt_that_tells_of_another_lease() -> None:
    """The lease in a receipt must be its own."""
    world = World()
    session = world.hello()
    said = Receipt(number=1, job="mine", epoch=1, outcome=SUCCESS, lease=told(job="other"))
    with pytest.raises(Breach, match="must tell its own lease, got other epoch 1 in the receipt of 'mine'"):
        world.edge.receipts(session, [said], world.now_ms)
