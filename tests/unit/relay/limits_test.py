"""A function or queue with a limit never has more jobs running on a relay than that, and loses no place."""

from relay.core.edge import Edge
from tests.unit.relay.world import PARTITIONS, START_MS, World


def limited(**limits: int) -> World:
    """A relay with these limits; `_` stands for the slash."""
    world = World()
    found = {key.replace("_", "/"): most for key, most in limits.items()}
    world.edge = Edge("relay-1", PARTITIONS, START_MS, found)
    return world


def test_a_function_with_a_limit_waits_and_others_do_not() -> None:
    """Its next job goes out when one ends, also to another minion."""
    world = limited(function_f=2)
    first = world.hello(functions=["f", "g"], credit=10)
    for key in "abcd":
        world.read(world.dispatch(key))
    world.read(world.dispatch(function="g"))
    jobs = world.sent(first)
    assert [job.function for job in jobs] == ["f", "f", "g"]
    second = world.hello("m2", credit=10)
    assert world.sent(second) == []
    world.answer(first, jobs[2])
    assert world.sent(first) + world.sent(second) == []
    world.answer(first, jobs[0])
    [third] = world.sent(first) + world.sent(second)
    assert third.function == "f"


def test_a_queue_with_a_limit() -> None:
    """Whatever the function."""
    world = limited(queue_default=1)
    session = world.hello(functions=["f", "g"], credit=10)
    world.read(world.dispatch())
    world.read(world.dispatch(function="g"))
    [job] = world.sent(session)
    world.answer(session, job)
    [other] = world.sent(session)
    assert (job.function, other.function) == ("f", "g")


def test_a_place_comes_back_however_a_lease_ends() -> None:
    """A session that is lost, a lease that is taken away."""
    world = limited(function_f=1)
    first = world.hello(credit=10)
    lost = world.dispatch("a")
    world.read(lost)
    world.read(world.dispatch("b"))
    assert [job.id for job in world.sent(first)] == [lost.job]
    second = world.hello("m2", credit=10)
    world.breaks(first)
    world.wait(500, second)
    [job] = world.sent(second)
    world.read(world.dispatch(job.key, job=job.id, epoch=2))
    [again] = world.sent(second)
    assert (again.id, again.epoch) == (job.id, 2)
