"""Who gets what waits: lines by home, spilling by rule, and nobody forgotten."""

from relay.core.router import SPILL_AFTER_MS
from relay.core.session import Session
from tests.unit.relay.world import World

KEYS = [f"key-{number}" for number in range(40)]


def homes(world: World, *sessions: Session) -> dict[str, str]:
    """Which minion each key went to; all have room."""
    found = {}
    for key in KEYS:
        world.read(world.dispatch(key=key))
        for session in sessions:
            for job in world.sent(session):
                found[job.key] = session.minion
    return found


def test_the_same_key_goes_to_the_same_minion() -> None:
    """As long as it lives and has room, whatever else is sent."""
    world = World()
    sessions = [world.hello(f"m{number}", credit=100) for number in range(3)]
    first, second = homes(world, *sessions), homes(world, *sessions)
    assert first == second
    assert set(first.values()) == {"m0", "m1", "m2"}


def test_what_spills_over_is_told() -> None:
    """When its minion has no room a key goes to another one, and its receipt says so."""
    world = World()
    sessions = {name: world.hello(name, credit=1) for name in ("m1", "m2")}
    world.read(world.dispatch(key="k"))
    world.read(world.dispatch(key="k"))
    for session in sessions.values():
        for job in world.sent(session):
            world.answer(session, job)
    assert sorted(receipt.spilled for receipt in world.receipts) == [False, True]


def test_what_waits_goes_home_first() -> None:
    """Under load a session takes what is its own before it helps others."""
    fleet = World()
    where = homes(fleet, fleet.hello("m1", credit=100), fleet.hello("m2", credit=100))
    world = World()
    m1, m2 = world.hello("m1"), world.hello("m2")
    for key in KEYS:
        world.read(world.dispatch(key=key))
    mine = sum(name == "m1" for name in where.values())
    world.credit(m1, mine)
    assert {where[job.key] for job in world.sent(m1)} == {"m1"}
    world.credit(m1, 1)
    assert {where[job.key] for job in world.sent(m1)} == {"m2"}
    world.credit(m2, len(KEYS))
    assert len(world.sent(m2)) == len(KEYS) - mine - 1


def test_what_waits_too_long_is_taken_by_whoever_has_room() -> None:
    """A key whose minion is stuck is not left behind by those that keep coming."""
    fleet = World()
    where = homes(fleet, fleet.hello("m1", credit=100), fleet.hello("m2", credit=100))
    [stuck, *_] = [key for key, name in where.items() if name == "m2"]
    own = [key for key, name in where.items() if name == "m1"]
    world = World()
    m1, m2 = world.hello("m1"), world.hello("m2")
    world.read(world.dispatch(key=stuck))
    world.wait(SPILL_AFTER_MS + 20, m1, m2)
    world.read(world.dispatch(key=own[0]))
    world.credit(m1, 1)
    assert [job.key for job in world.sent(m1)] == [stuck]


def test_functions_take_turns() -> None:
    """A function with a long line does not hold up one with a short line."""
    world = World()
    session = world.hello(functions=["f", "g"])
    for number in range(20):
        world.read(world.dispatch(key=f"k{number}", function="f"))
    world.read(world.dispatch(function="g"))
    world.credit(session, 2)
    assert {job.function for job in world.sent(session)} == {"f", "g"}


def test_a_queue_that_a_minion_does_not_serve() -> None:
    """A job goes only to minions of its queue that have its function."""
    world = World()
    one = world.hello("m1", queues=["a"], functions=["f"], credit=10)
    two = world.hello("m2", queues=["b"], functions=["f"], credit=10)
    world.read(world.dispatch(queue="b"))
    assert world.sent(one) == []
    assert len(world.sent(two)) == 1


def test_lines_are_kept_when_minions_come_and_go() -> None:
    """What waits finds its new home, in its old order, and nothing is lost or doubled."""
    world = World()
    first = world.hello("m1")
    ids = []
    for key in KEYS:
        dispatch = world.dispatch(key=key)
        ids.append(dispatch.job)
        world.read(dispatch)
    second = world.hello("m2")
    world.breaks(first)
    world.credit(second, 100)
    assert [job.id for job in world.sent(second)] == ids
