"""Priority among what waits at a relay: what is more urgent goes first, and nothing waits for ever."""

from relay.core.parcel import AGE_MS
from tests.unit.relay.world import World


def order(world: World, count: int) -> list[str]:
    """The functions of the jobs in the order in which a minion with one credit at a time is given them."""
    session = world.hello("m", functions=["f", "g"])
    found = []
    for _ in range(count):
        world.credit(session, 1)
        (job,) = world.sent(session)
        found.append(job.key)
    return found


def test_the_more_urgent_goes_first() -> None:
    """Among equals the one that came first, whatever their functions are."""
    world = World()
    for key, priority, function in (
        ("low", 5, "f"),
        ("usual", None, "f"),
        ("usual-too", 3, "g"),
        ("high", 1, "g"),
        ("high-too", 1, "f"),
    ):
        world.read(world.dispatch(key=key, priority=priority, function=function))
    assert order(world, 5) == ["high", "high-too", "usual", "usual-too", "low"]


def test_what_is_less_urgent_does_not_starve() -> None:
    """A step down is worth so much waiting, and no more: then it goes before what came later."""
    world = World()
    world.read(world.dispatch(key="old", priority=5))
    world.wait(4 * AGE_MS + 20)
    world.read(world.dispatch(key="urgent", priority=1))
    assert order(world, 2) == ["old", "urgent"]


def test_the_oldest_that_waits_need_not_be_the_first() -> None:
    """What is told of how long jobs wait counts the less urgent too."""
    world = World()
    began_ms = world.now_ms
    world.read(world.dispatch(key="k", priority=5))
    world.wait(1_000)
    world.read(world.dispatch(key="k", priority=1))
    assert world.edge.router.oldest() == {"default": began_ms}


def test_an_urgent_job_of_another_goes_before_ones_own() -> None:
    """A session helps with what is urgent before it goes on with its own line."""
    fleet = World()
    homes: dict[str, str] = {}
    sessions = [fleet.hello(name, credit=100) for name in ("m1", "m2")]
    for number in range(20):
        fleet.read(fleet.dispatch(key=f"k{number}"))
        for session in sessions:
            homes |= {job.key: session.minion for job in fleet.sent(session)}
    own = next(key for key, name in homes.items() if name == "m1")
    foreign = next(key for key, name in homes.items() if name == "m2")
    world = World()
    m1, _ = world.hello("m1"), world.hello("m2")
    world.read(world.dispatch(key=own))
    world.read(world.dispatch(key=foreign, priority=1))
    world.credit(m1, 1)
    assert [job.key for job in world.sent(m1)] == [foreign]
