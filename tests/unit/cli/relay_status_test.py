"""`jobstream relay status` says in words what a relay does, and when none answers."""

import pytest

from jobstream.cli.exits import Exit
from jobstream.cli.relay_status import lines, say
from schemas.proto.relay_pb2 import PartitionStatus, SessionStatus, StatusReply, WaitingStatus
from schemas.settings import Settings
from tests.unit.relay.world import World


def test_what_is_said() -> None:
    """A line for the relay, each minion, what waits and why, each partition."""
    reply = StatusReply(
        relay="edge-1",
        draining=True,
        leases=2,
        assigned=8,
        spilled=1,
        lanes=3,
        sessions=[SessionStatus(session="s", minion="m", phase="ready", queues=["a", "b"], capacity=4)],
        partitions=[
            PartitionStatus(queue="a", partition=3, offset=7, unfinished_span=2, waiting=1, paused=True)
        ],
        waiting=[
            WaitingStatus(queue="a", function="f", waiting=1, sessions=2),
            WaitingStatus(queue="a", function="g", waiting=2, sessions=1, limit="function/g"),
        ],
    )
    assert list(lines(reply)) == [
        "relay edge-1 goes away: 2 leases, 8 jobs given, 12.5% spilled over, 3 keys in order",
        "minion m ready: 0 of 4 leases, 0 credits, 0 functions, queues a,b, session s",
        "waiting 1 of f in a: no room at 2 minions",
        "waiting 2 of g in a: limit function/g is reached",
        "partition a/3: finished up to 7, 2 beyond, 1 waiting, paused",
    ]


def test_no_relay_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence, and the code for what can't be reached."""
    assert say(Settings(relay="127.0.0.1:1")) == Exit.UNREACHABLE
    assert "no relay answers at 127.0.0.1:1: UNAVAILABLE" in capsys.readouterr().err


def test_an_edge_tells_what_it_does() -> None:
    """What waits for whom, and how many were spilled over."""
    world = World()
    session = world.hello(credit=1, sdk="jobstream-python/1.2")
    world.hello("m2", credit=1)
    for key in ("k", "k", "k"):
        world.read(world.dispatch(key))
    world.read(world.dispatch(function="g"))
    status = world.edge.status(world.windows.values(), world.now_ms)
    assert (status.leases, status.assigned, status.spilled) == (2, 2, 1)
    assert {(each.function, each.waiting, each.sessions) for each in status.waiting} == {
        ("f", 1, 2),
        ("g", 1, 0),
    }
    assert {each.minion for each in status.sessions} == {session.minion, "m2"}
    assert sum(each.waiting for each in status.partitions) == 2
    assert [(each.queue, each.function, each.running) for each in status.running] == [("default", "f", 2)]
    told = next(each for each in status.sessions if each.minion == session.minion)
    assert (told.sdk, list(told.function_names)) == ("jobstream-python/1.2", ["f"])
    assert told.opened_at_ms <= told.heard_at_ms <= status.now_ms == world.now_ms
