"""What a relay shows of itself when someone asks."""

from relay.core.call import Call
from relay.gauges import gauges
from schemas.telemetry import catalogue
from tests.unit.relay.world import World


def test_what_a_relay_shows() -> None:
    """Sessions, leases, credits, how busy a minion is, what waits and for how long, spill-over, receipts by
    outcome, and how far behind each partition is.
    """
    world = World()
    session = world.hello("m1", credit=1, capacity=4)
    dispatch = world.dispatch()
    world.read(dispatch)
    world.read(world.dispatch(dispatch.key))
    (job,) = world.sent(session)
    world.wait(2_000, session)
    place = ("t.dispatch.default", dispatch.partition)
    told = {
        (metric.name, labels): value
        for metric, labels, value in gauges(world.edge, world.windows.values(), {place: 5}, world.now_ms)
    }
    assert told[catalogue.SESSIONS.name, ()] == 1
    assert told[catalogue.RELAY_LEASES.name, ()] == 1
    assert told[catalogue.MINION_LEASES.name, ("m1",)] == 1
    assert told[catalogue.MINION_CREDITS.name, ("m1",)] == 0
    assert told[catalogue.MINION_BUSY.name, ("m1",)] == 0.25
    assert told[catalogue.WAITING.name, ("default", "f")] == 1
    assert told[catalogue.OLDEST_WAITING.name, ("default",)] == 2
    assert (
        told[catalogue.RELAY_LAG.name, ("default", str(dispatch.partition))] == 4
    )  # the first has `started`
    assert told[catalogue.ASSIGNED.name, ()] == 1
    assert told[catalogue.SPILLED.name, ()] == 0
    world.answer(session, job)
    told = {
        (metric.name, labels): value
        for metric, labels, value in gauges(world.edge, world.windows.values(), {}, world.now_ms)
    }
    assert told[catalogue.RECEIPTS.name, ("success",)] == 1
    assert not any(name == catalogue.RELAY_LAG.name for name, _ in told)


def test_what_a_relay_shows_of_calls() -> None:
    """Their ends by outcome, what runs and waits, and for how long a function has been asked for in vain."""
    world = World()
    world.hello("m1", credit=1, capacity=4, calls=True)
    for function, routing_ms in (("f", None), ("f", 0), ("nobody", None)):
        world.edge.calls.ask(Call(function, routing_ms=routing_ms), world.now_ms)
    told = {
        (metric.name, labels): value
        for metric, labels, value in gauges(world.edge, (), {}, world.now_ms + 3_000)
    }
    assert told[catalogue.CALLS.name, ("routing_timeout",)] == 1
    assert told[catalogue.CALLS_RUNNING.name, ()] == 1
    assert told[catalogue.MINION_LEASES.name, ("m1",)] == 0
    assert told[catalogue.MINION_BUSY.name, ("m1",)] == 0.25
    assert told[catalogue.CALLS_WAITING.name, ()] == 1
    assert told[catalogue.CALLS_UNSERVED.name, ("nobody",)] == 3
