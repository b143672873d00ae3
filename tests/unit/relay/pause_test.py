"""Queues that are paused: what waits in them waits on, whoever has room."""

from tests.unit.relay.world import World

PAUSED = frozenset({"default"})


def test_a_paused_queue_gives_nothing_away() -> None:
    """Neither what comes nor what waited already; when the pause is over all of it goes, in order."""
    world = World()
    session = world.hello()
    waited = world.dispatch(key="a")
    world.read(waited)
    world.edge.pause(PAUSED, world.now_ms)
    world.credit(session, 5)
    came = world.dispatch(key="a")
    world.read(came)
    assert world.sent(session) == []
    world.edge.pause(frozenset(), world.now_ms)
    world.settle()
    assert [job.id for job in world.sent(session)] == [waited.job, came.job]


def test_what_runs_goes_on() -> None:
    """A lease is not touched, and its receipt counts."""
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch())
    (job,) = world.sent(session)
    world.edge.pause(PAUSED, world.now_ms)
    world.answer(session, job)
    assert [receipt.outcome for receipt in world.receipts] == ["success"]


def test_other_queues_go_on() -> None:
    """A pause is of the queues that it names, and a cancel counts meanwhile."""
    world = World()
    session = world.hello(credit=5)
    world.edge.pause(frozenset({"mail"}), world.now_ms)
    world.read(world.dispatch())
    assert len(world.sent(session)) == 1
    world.edge.pause(PAUSED, world.now_ms)
    called_off = world.dispatch()
    world.read(called_off)
    world.cancel(called_off)
    world.edge.pause(frozenset(), world.now_ms)
    assert world.sent(session) == []
