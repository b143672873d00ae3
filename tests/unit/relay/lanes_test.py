"""Key order at the edge: one job of a key at a time, in order, going on only after success."""

from dataclasses import replace

from relay.core.session import Session
from schemas.defaults import RESUME_GRACE_MS
from schemas.events import Dispatch
from schemas.proto.relay_pb2 import CANCELLED, FAILURE, INTERRUPTED, Job
from schemas.words import ORDER_KEY_AHEAD
from tests.unit.relay.world import World, held


def chain(world: World, count: int, key: str = "k") -> list[Dispatch]:
    """Dispatches of one lane, each after the one before, not yet read."""
    found: list[Dispatch] = []
    for _ in range(count):
        before = found[-1] if found else None
        after = {"after_job": before.job, "after_epoch": before.epoch} if before else {}
        found.append(world.dispatch(key, order="key", **after))
    return found


def read(world: World, dispatches: list[Dispatch]) -> None:
    """The relay reads them."""
    for dispatch in dispatches:
        world.read(dispatch)


def ends(world: World) -> list[tuple[str, str]]:
    """What was written: job and outcome."""
    return [(receipt.job, receipt.outcome) for receipt in world.receipts]


def test_jobs_of_a_key_run_one_at_a_time_in_order() -> None:
    """The next goes out with the receipt of the one before; other keys do not wait."""
    world = World()
    session = world.hello(credit=50)
    lane = chain(world, 3)
    read(world, lane)
    world.read(world.dispatch("other", order="key"))
    first, other = world.sent(session)
    assert (first.id, other.key) == (lane[0].job, "other")
    for dispatch in lane[1:]:
        world.answer(session, first)
        [first] = world.sent(session)
        assert first.id == dispatch.job
    world.answer(session, first)
    assert [end for _, end in ends(world)] == ["success"] * 3


def test_after_any_other_end_the_rest_is_handed_back() -> None:
    """A failure, a hand-back, a lost session."""
    for outcome in (FAILURE, INTERRUPTED, None):
        world = World()
        session = world.hello(credit=50)
        lane = chain(world, 3)
        read(world, lane)
        [first] = world.sent(session)
        if outcome is None:
            world.breaks(session)
            world.wait(1_000)
        else:
            world.answer(session, first, outcome=outcome)
        assert ends(world)[1:] == [(lane[1].job, "parked"), (lane[2].job, "parked")]
        assert world.windows[lane[0].partition].point == 3


def test_what_comes_after_an_unknown_job_is_handed_back() -> None:
    """As after a relay that died: whether that job succeeded is for the state machine to know."""
    world = World()
    session = world.hello(credit=50)
    first, second, third = chain(world, 3)
    read(world, [second, third])
    assert world.sent(session) == []
    assert ends(world) == [(second.job, "parked"), (third.job, "parked")]
    world.read(first)
    assert [job.id for job in world.sent(session)] == [first.job]


def test_a_lane_goes_on_with_what_comes_later() -> None:
    """Its last success is remembered while no job of it is here."""
    world = World()
    session = world.hello(credit=50)
    first, second = chain(world, 2)
    world.read(first)
    world.answer(session, *world.sent(session))
    world.read(second)
    assert [job.id for job in world.sent(session)] == [second.job]


def test_a_job_that_began_anew_waits_for_one_of_its_key_that_still_runs() -> None:
    """A minion that did not end what was called off holds its key until it does."""
    world = World()
    session = world.hello(credit=50)
    [slow] = chain(world, 1)
    world.read(slow)
    [job] = world.sent(session)
    [head] = chain(world, 1)
    world.read(head)
    assert world.sent(session) == []
    world.answer(session, job, outcome=FAILURE)
    assert [job.id for job in world.sent(session)] == [head.job]


def test_a_cancel_in_the_line_hands_back_what_comes_after() -> None:
    """And the one before goes on running."""
    world = World()
    session = world.hello(credit=50)
    lane = chain(world, 4)
    read(world, lane)
    world.cancel(lane[1])
    world.wait(40, session)
    assert ends(world) == [(lane[2].job, "parked"), (lane[3].job, "parked")]
    [job] = world.sent(session)
    world.answer(session, job)
    assert world.sent(session) == []


def test_a_cancel_of_one_that_waits_for_a_minion_frees_its_lane() -> None:
    """Nobody has its lane then."""
    world = World()
    session = world.hello()
    first, second = chain(world, 2)
    read(world, [first, second])
    world.cancel(first)
    world.wait(40, session)
    assert ends(world) == [(second.job, "parked")]


def test_a_later_dispatch_of_one_in_the_line_takes_its_place() -> None:
    """The earlier one is void, and so is what comes after it."""
    world = World()
    session = world.hello(credit=50)
    lane = chain(world, 3)
    read(world, lane)
    anew = world.dispatch(order="key", job=lane[1].job, epoch=2, after_job=lane[0].job, after_epoch=1)
    world.read(anew)
    world.wait(40, session)
    assert ends(world) == [(lane[2].job, "parked")]
    world.answer(session, *world.sent(session))
    assert [(job.id, job.epoch) for job in world.sent(session)] == [(lane[1].job, 2)]


def test_a_function_without_a_minion_holds_up_its_key_alone() -> None:
    """It is handed back, and what comes after it too."""
    world = World()
    session = world.hello(credit=50)
    lonely = world.dispatch(order="key", function="g")
    behind = world.dispatch(order="key", after_job=lonely.job, after_epoch=1)
    read(world, [lonely, behind])
    world.wait(1_300, session)
    assert ends(world) == [(lonely.job, "unserved"), (behind.job, "parked")]


def test_a_minion_that_comes_back_holds_its_key() -> None:
    """Another relay had given it the job; the next of the key waits for it."""
    old = World()
    giver = old.hello(credit=1)
    lane = chain(old, 2)
    old.read(lane[0])
    [job] = old.sent(giver)
    world = World()
    session = world.hello(credit=50, held=(held(job),))
    world.read(lane[1])
    assert world.sent(session) == []
    world.answer(session, job, lease=True)
    assert [job.id for job in world.sent(session)] == [lane[1].job]


def test_a_held_job_whose_dispatch_waits_in_a_line_is_not_run_again() -> None:
    """Its record is bound to the lease of the minion that has it."""
    world = World()
    session = world.hello(credit=50)
    lane = chain(world, 2)
    read(world, lane)
    [first] = world.sent(session)
    job = world.edge.leases[lane[0].job]
    assert job.ordered
    second = held(first)
    second.job = lane[1].job
    back = world.hello("m2", held=(second,))
    world.answer(session, first)
    assert world.sent(session) == []
    assert world.edge.leases[lane[1].job].session is back


def test_a_receipt_from_elsewhere_lets_the_lane_go_on() -> None:
    """The minion answers here what another relay had given it."""
    old = World()
    giver = old.hello(credit=1)
    lane = chain(old, 3)
    old.read(lane[0])
    [job] = old.sent(giver)
    world = World()
    session = world.hello()
    read(world, lane[:2])
    world.answer(session, job, lease=True)
    world.credit(session, 5)
    assert [job.id for job in world.sent(session)] == [lane[1].job]


def test_partitions_that_go_take_their_lines_along() -> None:
    """What waited is another relay's; what runs goes on, and nothing follows it here."""
    world = World()
    session = world.hello(credit=50)
    lane = chain(world, 3)
    read(world, lane)
    [first] = world.sent(session)
    window = world.windows[lane[0].partition]
    world.edge.revoked([window])
    assert (window.waiting, window.waiting_bytes) == (0, 0)
    world.answer(session, first)
    assert world.sent(session) == []
    assert ends(world) == [(lane[0].job, "success")]


def test_a_dispatch_in_a_line_that_is_too_late_is_handed_back_at_its_turn() -> None:
    """It must not be started any more."""
    world = World()
    session = world.hello(credit=50)
    first, _ = lane = chain(world, 2)
    late = world.dispatch(order="key", after_job=lane[0].job, after_epoch=1, expires_at_ms=world.now_ms + 100)
    read(world, [first, late])
    world.wait(200, session)
    world.answer(session, *world.sent(session))
    assert ends(world)[-1] == (late.job, "unserved")


def test_the_next_of_a_key_begins_when_the_end_before_it_is_durable() -> None:
    """Until Kafka has the receipt, a crash could make the first run again: after the second had begun."""
    world = World()
    session = world.hello(credit=5)
    first, second = chain(world, 2)
    read(world, [first, second])
    [job] = world.sent(session)
    world.slow = True
    world.answer(session, job)
    world.wait(200, session)
    assert world.sent(session) == []
    world.store()
    assert [job.id for job in world.sent(session)] == [second.job]


def test_a_word_that_comes_after_lost_lets_nobody_go_on() -> None:
    """The state machine goes by what it was told first: the job runs again, before what comes after it."""
    world = World()
    session = world.hello(credit=5)
    first, second = chain(world, 2)
    read(world, [first, second])
    [job] = world.sent(session)
    world.breaks(session)
    world.wait(RESUME_GRACE_MS + 100)
    assert ends(world) == [(first.job, "lost"), (second.job, "parked")]
    again = world.hello(credit=5)
    read(world, [replace(second, epoch=2, after_job=first.job, after_epoch=1)])
    world.answer(again, job, lease=True)
    assert world.sent(again) == []


def test_what_comes_after_a_kept_dispatch_is_kept_too() -> None:
    """While a new relay waits for minions to come back; else it would be handed back again and again."""
    world = World()
    first, second = chain(world, 2)
    window = world.windows[first.partition]
    window.end_at_start, window.hold_until_ms = 1, world.now_ms + 500
    session = world.hello(credit=5)
    read(world, [first, second])
    assert (world.sent(session), world.receipts) == ([], [])
    world.wait(600, session)
    assert [job.id for job in world.sent(session)] == [first.job]
    assert world.receipts == []


def ahead(world: World, count: int) -> list[Dispatch]:
    """The same of a queue whose next job begins before a receipt is durable."""
    return [replace(dispatch, order=ORDER_KEY_AHEAD) for dispatch in chain(world, count)]


def test_where_a_queue_says_so_the_next_begins_with_the_receipt() -> None:
    """Though Kafka does not have it yet."""
    world = World()
    session = world.hello(credit=5)
    lane = ahead(world, 2)
    read(world, lane)
    world.slow = True
    world.answer(session, *world.sent(session))
    assert [job.id for job in world.sent(session)] == [lane[1].job]


def test_quick_jobs_follow_to_the_same_minion() -> None:
    """After a first quick one: each with whom it comes after, and its time begins with the end of that."""
    world = World()
    session = world.hello(credit=100, follows=True)
    lane = ahead(world, 4)
    read(world, lane)
    [first] = world.sent(session)
    assert first.leads
    world.answer(session, first)
    second, third, fourth = world.sent(session)
    assert [job.after_job for job in (second, third, fourth)] == ["", second.id, third.id]
    world.wait(100, session)
    assert {beat.job for beat in world.beats} == {second.id}
    world.answer(session, second)
    world.wait(100, session)
    assert {beat.job for beat in world.beats} == {second.id, third.id}
    assert world.edge.leases[third.id].assigned_at_ms > world.edge.leases[fourth.id].assigned_at_ms


def test_nothing_follows_where_it_would_keep_a_place_from_others() -> None:
    """A minion that cannot, or has little room; a lane that is slow; a queue that is strict."""
    for credit, follows, took_ms, make in (
        (100, False, 0, ahead),
        (25, True, 0, ahead),
        (100, True, 60, ahead),
        (100, True, 0, chain),
    ):
        world = World()
        session = world.hello(credit=credit, follows=follows)
        lane = make(world, 4)
        read(world, lane)
        [first] = world.sent(session)
        world.wait(took_ms, session)
        world.answer(session, first)
        assert [job.id for job in world.sent(session)] == [lane[1].job]


def followed(world: World) -> tuple[Session, list[Dispatch], list[Job]]:
    """A lane of five: the first has succeeded, the second runs, the others follow it."""
    session = world.hello(credit=100, follows=True)
    lane = ahead(world, 5)
    read(world, lane)
    world.answer(session, *world.sent(session))
    return session, lane, world.sent(session)


def test_what_follows_a_failure_is_handed_back_by_its_minion() -> None:
    """And the lane begins anew only then."""
    world = World()
    session, lane, jobs = followed(world)
    world.answer(session, jobs[0], outcome=FAILURE)
    again = world.dispatch(order=ORDER_KEY_AHEAD, job=jobs[0].id, epoch=2)
    world.read(again)
    for job in jobs[1:]:
        assert world.sent(session) == []
        world.answer(session, job, outcome=INTERRUPTED)
    assert ends(world)[1:] == [(lane[1].job, "failure"), *((each.job, "interrupted") for each in lane[2:])]
    assert [(job.id, job.epoch) for job in world.sent(session)] == [(again.job, 2)]


def test_of_a_lost_minion_only_what_had_begun_is_lost() -> None:
    """What followed counts as handed back."""
    world = World()
    session, lane, _ = followed(world)
    world.breaks(session)
    world.wait(RESUME_GRACE_MS + 100)
    assert ends(world)[1:] == [(lane[1].job, "lost"), *((each.job, "interrupted") for each in lane[2:])]


def test_a_minion_brings_what_follows_to_another_relay() -> None:
    """The lane goes on there when the last of them has ended."""
    old = World()
    _, lane, jobs = followed(old)
    world = World()
    session = world.hello(credit=5, held=tuple(map(held, jobs)))
    later = replace(world.dispatch(order=ORDER_KEY_AHEAD), job="later", after_job=lane[-1].job, after_epoch=1)
    world.read(later)
    for job in jobs:
        assert world.sent(session) == []
        world.answer(session, job, lease=True)
    assert [job.id for job in world.sent(session)] == ["later"]


def test_a_cancel_of_what_follows_reaches_its_minion() -> None:
    """Which answers at its turn."""
    world = World()
    session, lane, jobs = followed(world)
    world.cancel(lane[3])
    assert [note.cancel.job for note in world.notes(session)] == [lane[3].job]
    world.answer(session, jobs[0])
    world.answer(session, jobs[1])
    world.answer(session, jobs[2], outcome=CANCELLED)
    world.answer(session, jobs[3], outcome=INTERRUPTED)
    assert [end for _, end in ends(world)[1:]] == ["success", "success", "cancelled", "interrupted"]
    assert len(world.edge.status([], world.now_ms).longest_lanes) == 0
