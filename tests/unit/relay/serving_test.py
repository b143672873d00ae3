"""Which functions have a minion is told to the state machine when that is news, and every ten seconds."""

import pytest

from relay.core.window import Window
from tests.unit.relay.world import World


def told(world: World) -> list[tuple[int, str, tuple[str, ...]]]:
    """What was announced since the last look: partition, queue, functions."""
    world.edge.serve(list(world.windows.values()), world.now_ms)
    world.settle()
    found = [(one.partition, one.queue, one.functions) for one in world.announcements]
    world.announcements.clear()
    return found


def test_what_is_new_is_told_at_once_and_once_more() -> None:
    """Then every ten seconds, and nothing is told while nobody has anything."""
    world = World()
    assert told(world) == []
    world.hello(functions=["g", "f"])
    every = [(number, "default", ("f", "g")) for number in world.windows]
    assert told(world) == every
    assert told(world) == []
    world.now_ms += 1_000
    assert told(world) == every
    world.now_ms += 9_000
    assert told(world) == []
    assert world.edge.serving.next_ms() == world.now_ms + 1_000
    world.now_ms += 1_000
    assert told(world) == every


def test_a_function_that_comes_later_is_new_and_one_that_goes_is_not() -> None:
    """A queue that no session serves has none."""
    world = World()
    first = world.hello(functions=["f"])
    told(world)
    second = world.hello("m2", functions=["g"])
    assert told(world)[0][2] == ("f", "g")
    world.breaks(second)
    assert told(world) == []
    world.breaks(first)
    world.now_ms += 60_000
    assert told(world) == []
    assert world.edge.serving.next_ms() is None


def test_partitions_of_others_are_not_told_of() -> None:
    """Whoever reads them tells."""
    world = World()
    world.hello()
    told(world)
    world.edge.revoked([world.windows.pop(0)])
    world.now_ms += 60_000
    assert [number for number, _, _ in told(world)] == [1, 2, 3]
    window = world.windows[0] = Window("t.dispatch.default", 0, 0)
    assert not window.closed
    assert told(world) == [(0, "default", ("f",))]


def test_many_functions_are_told_in_several_records() -> None:
    """Each far below the size that a record may have."""
    world = World()
    world.hello(functions=[f"f{number}" for number in range(1_500)])
    assert [len(functions) for number, _, functions in told(world) if number == 0] == [1_000, 500]


def test_a_minion_that_was_here_a_moment_ago_is_waited_for() -> None:
    """What waits for it is not moved for five seconds."""
    world = World()
    other = world.hello("m1", functions=["g"])
    gone = world.hello("m2", functions=["f"])
    world.breaks(gone)
    world.read(world.dispatch())
    world.wait(4_000, other)
    assert world.receipts == []
    world.wait(2_000, other)
    assert [receipt.outcome for receipt in world.receipts] == ["unserved"]


def test_a_full_partition_whose_minions_are_down_is_left_alone() -> None:
    """Most of it is unfinished, so no record is amiss; and while nobody serves the queue, however long."""
    world = World()
    other = world.hello("m1", functions=["g"])
    world.breaks(world.hello("m2", functions=["f"]))
    dispatch = world.dispatch()
    window = world.windows[dispatch.partition]
    while not window.crowded(len(world.edge.router.parcels)):
        world.read(world.dispatch())
    world.wait(4_000, other)
    assert world.receipts == []
    world.breaks(other)
    world.wait(60_000)
    assert world.receipts == []


def test_a_head_that_holds_up_what_is_finished_is_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its minion was here a moment ago: all else of the partition went well."""
    monkeypatch.setattr("relay.core.window.SPAN_MAX", 200)
    world = World()
    session = world.hello("m1", functions=["g"], credit=100)
    world.breaks(world.hello("m2", functions=["f"]))
    head = world.dispatch()
    world.read(head)
    while not world.windows[head.partition].crowded(len(world.edge.router.parcels)):
        world.read(world.dispatch(function="g"))
        world.answer(session, *world.sent(session))
        world.credit(session, 1)
    world.wait(1_500, session)
    assert [end.job for end in world.receipts if end.outcome == "unserved"] == [head.job]


def test_limits_that_jobs_wait_for_are_told_within_a_second() -> None:
    """And once more when they wait no longer; between that nothing is said of them."""
    world = World(limits={"function/f": 1, "queue/other": 1})
    session = world.hello(functions=["f", "g"], credit=5)
    told(world)
    world.now_ms += 1_000
    told(world)
    world.read(world.dispatch())
    world.now_ms += 1_000
    assert told(world) == []
    assert world.edge.serving.next_ms() == world.now_ms + 1_000
    world.read(world.dispatch())
    world.edge.serve(world.windows.values(), world.now_ms)
    world.settle()
    assert {each.limits for each in world.announcements} == {("function/f",)}
    assert len(world.announcements) == len(world.windows)
    told(world)
    assert told(world) == []
    world.answer(session, world.sent(session)[0])
    world.edge.serve(world.windows.values(), world.now_ms)
    world.settle()
    assert {each.limits for each in world.announcements} == {None}
    assert len(world.announcements) == len(world.windows)
