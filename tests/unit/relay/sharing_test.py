"""Foreground calls and durable jobs on one session: what each may hold, and whose turn it is."""

from relay.core.call import Call
from relay.core.session import WANTED_MS, Session
from schemas.proto.relay_pb2 import INTERRUPTED, SUCCESS, Receipt, RunBatch, RunWord
from tests.unit.relay.world import World


def ask(world: World, **fields: object) -> Call:
    """A caller asks."""
    call = Call("f", **fields)  # type: ignore[arg-type]
    world.edge.calls.ask(call, world.now_ms)
    return call


def outcome(call: Call) -> str:
    """How it ended; empty: it has not."""
    return "" if call.end is None else call.end.outcome


def end(world: World, session: Session, *, credit: int = 1) -> None:
    """The session's oldest call ends, and its place is granted again."""
    assert session.worker is not None
    number = next(iter(session.worker.runs))
    said = RunBatch(words=[RunWord(run=number, end=Receipt(outcome=SUCCESS))], credit=credit)
    world.edge.runs(session, said, world.now_ms)
    world.settle()


def running(session: Session) -> tuple[int, int]:
    """How many jobs and calls it runs."""
    assert session.worker is not None
    return len(session.leases), len(session.worker.runs)


def test_alone_each_kind_has_all_places() -> None:
    """Nothing is kept for a kind that nobody wants."""
    for jobs in (True, False):
        world = World()
        session = world.hello(capacity=8, credit=8, calls=True)
        for number in range(8):
            if jobs:
                world.read(world.dispatch(f"k{number}"))
            else:
                ask(world)
        assert running(session) == ((8, 0) if jobs else (0, 8))


def test_neither_holds_more_than_three_quarters_while_both_want() -> None:
    """Long jobs leave a quarter of the places to calls, and long calls to jobs."""
    world = World()
    session = world.hello(capacity=8, credit=8, calls=True)
    first = ask(world)
    for number in range(20):
        world.read(world.dispatch(f"k{number}"))
    assert running(session) == (6, 1)
    assert ask(world).worker == session.minion
    assert running(session) == (6, 2)
    assert first.end is None

    world = World()
    session = world.hello(capacity=8, credit=8, calls=True)
    world.read(world.dispatch("k"))
    calls = [ask(world) for _ in range(20)]
    assert sum(bool(call.worker) for call in calls) == 6
    world.read(world.dispatch("l"))
    assert running(session) == (2, 6)


def test_a_single_place_is_taken_in_turns() -> None:
    """Where both wait, a job follows a call, and a call a job."""
    world = World()
    session = world.hello(capacity=1, calls=True)
    for number in range(3):
        world.read(world.dispatch(f"k{number}"))
        ask(world)
    turns = []
    for _ in range(6):
        world.credit(session, 1)
        jobs, calls = running(session)
        turns.append("job" if jobs else "call")
        assert jobs + calls == 1
        if jobs:
            (job,) = world.sent(session)
            world.answer(session, job)
        else:
            end(world, session, credit=0)
    assert turns in (["job", "call"] * 3, ["call", "job"] * 3)


def test_what_is_kept_is_given_out_again_when_nobody_wants_it() -> None:
    """A quarter that was kept for calls goes to the jobs that wait, once there were no calls for a while."""
    world = World()
    session = world.hello(capacity=4, credit=4, calls=True)
    ask(world)
    end(world, session)
    for number in range(8):
        world.read(world.dispatch(f"k{number}"))
    assert running(session) == (3, 0)
    world.wait(WANTED_MS + 500, session)
    assert running(session) == (4, 0)


def test_a_session_that_says_nothing_of_calls_gets_none() -> None:
    """Minions of an older protocol know no calls."""
    world = World()
    session = world.hello(capacity=4, credit=4)
    assert ask(world, routing_ms=0).end is not None
    assert session.worker is None


def test_a_broken_session_loses_its_calls_at_once_and_one_that_drains_gives_back() -> None:
    """There is no grace for calls: somebody waits. What was not begun looks for another session."""
    world = World()
    one = world.hello("m1", capacity=4, credit=4, calls=True)
    lost, back = ask(world), ask(world)
    two = world.hello("m2", capacity=4, credit=4, calls=True)
    assert one.worker is not None
    number = list(one.worker.runs)[1]
    world.edge.runs(
        one, RunBatch(words=[RunWord(run=number, end=Receipt(outcome=INTERRUPTED))]), world.now_ms
    )
    assert (back.end, back.worker) == (None, two.minion)
    world.breaks(one)
    assert lost.end is not None
    assert lost.end.outcome == "lost"


def test_a_session_that_is_silent_with_calls_is_found_out() -> None:
    """As with leases; an idle one may be quiet."""
    world = World()
    session = world.hello(capacity=4, credit=4, calls=True)
    world.wait(10_000)
    call = ask(world)
    world.wait(3_000)
    assert outcome(call) == ""
    world.wait(1_500)
    assert outcome(call) == "lost"
    assert session.id not in world.edge.sessions
