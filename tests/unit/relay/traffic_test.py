"""What a scheduler is told, and what changes for functions that it brings minions for."""

from relay.core.router import UNSERVED_AFTER_MS
from relay.core.traffic import Hook, Offers, Told, Traffic
from schemas.defaults import RESUME_GRACE_MS
from tests.unit.relay.world import World

OFFERS = Offers({"default": frozenset({"f"})}, answer_ms=5_000)


def calls(world: World) -> list[tuple[str, str, int]]:
    """The hooks that were called since the last look."""
    found = [(each.hook.value, each.function, each.count) for each in world.told]
    world.told.clear()
    return found


def test_equal_calls_in_a_row_are_one() -> None:
    """A burst is told once, with its count; order is kept."""
    traffic = Traffic(Offers())
    for _ in range(3):
        traffic.inbound("q", "f")
    traffic.inbound("q", "f", ["here"])
    traffic.done("q", "f")
    traffic.inbound("q", "f")
    assert traffic.take() == [
        Told(Hook.INBOUND, "q", "f", (), 3),
        Told(Hook.INBOUND, "q", "f", ("here",), 1),
        Told(Hook.DONE, "q", "f", (), 1),
        Told(Hook.INBOUND, "q", "f", (), 1),
    ]
    assert not traffic.pending


def test_without_a_scheduler_nothing_is_kept() -> None:
    """Nobody would take it away."""
    traffic = Traffic()
    traffic.inbound("q", "f")
    traffic.timedout("q", "f")
    assert not traffic.pending


def test_a_job_is_inbound_before_it_is_sent_and_done_after() -> None:
    """Whether or not there is room for it, and however it ends."""
    world = World(OFFERS)
    world.read(world.dispatch())
    assert calls(world) == [("inbound", "f", 1)]
    session = world.hello(credit=2)
    [job] = world.sent(session)
    assert calls(world) == []
    world.answer(session, job)
    assert calls(world) == [("done", "f", 1)]
    world.read(world.dispatch())
    world.breaks(session)
    world.wait(RESUME_GRACE_MS + 20)
    assert calls(world) == [("inbound", "f", 1), ("done", "f", 1)]


def test_what_is_offered_waits_for_its_minion() -> None:
    """Its queue is read and its function announced with nobody there, and its job is kept for a while."""
    world = World(OFFERS)
    assert world.edge.router.queues == {"default"}
    world.edge.serve(list(world.windows.values()), world.now_ms)
    world.settle()
    assert {one.functions for one in world.announcements} == {("f",)}
    world.read(world.dispatch())
    world.wait(4_000)
    assert world.receipts == []
    session = world.hello(credit=1)
    assert len(world.sent(session)) == 1


def test_what_nobody_took_in_time_is_timed_out_and_handed_back() -> None:
    """From then on the function is as any that nobody has, until a minion with it comes."""
    world = World(OFFERS)
    world.read(world.dispatch())
    world.wait(5_300)
    assert calls(world) == [("inbound", "f", 1), ("timedout", "f", 1)]
    assert [receipt.outcome for receipt in world.receipts] == ["unserved"]
    assert world.edge.router.functions() == {"default": frozenset()}
    world.read(world.dispatch())
    world.wait(UNSERVED_AFTER_MS + 300)
    assert calls(world) == [("inbound", "f", 1), ("timedout", "f", 1)]
    world.hello()
    assert world.edge.router.functions() == {"default": frozenset({"f"})}


def test_what_is_not_offered_is_handed_back_as_ever() -> None:
    """It is told as timed out all the same."""
    world = World(OFFERS)
    world.read(world.dispatch(function="g"))
    world.wait(UNSERVED_AFTER_MS + 300)
    assert [receipt.outcome for receipt in world.receipts] == ["unserved"]
    assert calls(world) == [("inbound", "g", 1), ("timedout", "g", 1)]


def test_partitions_that_go_take_their_work_along() -> None:
    """Another relay's scheduler is told of it."""
    world = World(OFFERS)
    dispatch = world.dispatch()
    world.read(dispatch)
    world.edge.revoked([world.windows[dispatch.partition]])
    world.settle()
    assert calls(world) == [("inbound", "f", 1), ("done", "f", 1)]
