"""What a relay does with jobs, minions and time: each rule of the machine by an example."""

from dataclasses import replace

import pytest

from relay.core import edge as edge_module
from relay.core import window as window_module
from relay.core.beats import OVERDUE_MS
from relay.core.session import Breach, Refusal
from relay.core.window import Window
from schemas.defaults import (
    CHECKPOINT_BYTES_MAX,
    HEARTBEAT_MS,
    HEARTBEAT_TIMEOUT_MS,
    RESULT_BYTES_MAX,
    RESUME_GRACE_MS,
    STARTED_AFTER_MS,
)
from schemas.events import Control
from schemas.proto.relay_pb2 import CANCELLED, FAILURE, INTERRUPTED, SNOOZE, Beat, Job
from tests.unit.relay.world import START_MS, TICK_MS, World, held


def test_a_job_that_ends_at_once_has_one_record() -> None:
    """Below 50 ms there is no `started`: the receipt says it all, and finishes the offset."""
    world = World()
    session = world.hello(credit=1)
    dispatch = world.dispatch()
    window = world.windows[dispatch.partition]
    offset = world.read(dispatch)
    [job] = world.sent(session)
    assert window.point == offset
    world.wait(STARTED_AFTER_MS - TICK_MS)
    number = world.answer(
        session, job, result=b"7", result_type="application/json", started_at_ms=9, run_ms=3
    )
    world.wait(1_000)
    assert world.beats == []
    [receipt] = world.receipts
    assert (receipt.job, receipt.epoch, receipt.outcome, receipt.result) == (dispatch.job, 1, "success", b"7")
    assert (receipt.minion, receipt.session, receipt.relay) == ("m1", session.id, "relay-1")
    assert (receipt.assigned_at_ms, receipt.started_at_ms, receipt.run_ms) == (START_MS, 9, 3)
    assert window.point == offset + 1
    assert session.outbox.stored_up_to == number
    assert not world.edge.busy()


def test_a_longer_job_is_told_of_after_50_ms_and_then_every_second() -> None:
    """`started` finishes the offset once it is durable; alive beats follow while the session is heard of."""
    world = World()
    session = world.hello(credit=1)
    dispatch = world.dispatch()
    offset = world.read(dispatch)
    window = world.windows[dispatch.partition]
    world.slow = True
    world.wait(STARTED_AFTER_MS + TICK_MS, session)
    [beat] = world.beats
    assert (beat.kind, beat.job, beat.session) == ("started", dispatch.job, session.id)
    assert beat.deadline_ms == beat.assigned_at_ms + dispatch.timeout_ms
    assert window.point == offset
    world.store()
    assert window.point == offset + 1
    world.slow = False
    world.wait(10 * HEARTBEAT_MS, session)
    assert [beat.kind for beat in world.beats[1:]] == ["alive"] * 10


def test_progress_is_told_at_once() -> None:
    """A change goes out with the next flush; before `started` it goes as `started`."""
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch())
    [job] = world.sent(session)
    world.beat(session, Beat(job=job.id, epoch=1, step="parse", done=1, total=4, progress=True))
    world.wait(TICK_MS)
    world.beat(session, Beat(job=job.id, epoch=1, done=2, total=4, checkpoint=b"c", progress=True))
    world.wait(TICK_MS)
    first, second = world.beats
    assert (first.kind, first.step, first.done, first.total) == ("started", "parse", 1, 4)
    assert (second.kind, second.step, second.done, second.checkpoint) == ("progress", "parse", 2, b"c")


def test_beats_of_one_partition_share_a_record() -> None:
    """Leases of one home partition that are due together are one Heartbeat record."""
    world = World()
    world.hello(credit=20)
    for number in range(20):
        world.read(world.dispatch(key=f"key-{number}"))
    world.wait(STARTED_AFTER_MS + TICK_MS)
    assert len(world.beats) == 20
    assert len(world.heartbeats) == len({beat.partition for beat in world.heartbeats})


def test_alive_beats_are_spread_over_the_second() -> None:
    """10,000 leases that a minion brings along at once do not beat at once: no 100 ms has twice its share."""
    world = World()
    jobs = [world.dispatch(key=f"key-{number}") for number in range(2_000)]
    session = world.hello(credit=2_000, capacity=2_000)
    for job in jobs:
        world.read(job)
    carried = tuple(held(job) for job in world.sent(session))
    other = World()
    session = other.hello(capacity=2_000, held=carried)
    other.wait(TICK_MS, session)
    assert len(other.beats) == 2_000, "each is announced by its new relay"
    counts = []
    for _ in range(20):
        before = len(other.beats)
        other.wait(100, session)
        counts.append(len(other.beats) - before)
    assert max(counts) < 2 * 200


def test_a_broken_stream_has_a_grace() -> None:
    """Nothing is lost before resume_grace_ms; then every lease is, with the last that was known of it."""
    world = World()
    session = world.hello(credit=2)
    dispatches = [world.dispatch(), world.dispatch()]
    for dispatch in dispatches:
        world.read(dispatch)
    job, _ = world.sent(session)
    world.beat(
        session, Beat(job=job.id, epoch=1, step="parse", done=1, total=4, checkpoint=b"c", progress=True)
    )
    world.breaks(session)
    world.wait(RESUME_GRACE_MS - TICK_MS)
    assert world.receipts == []
    world.wait(2 * TICK_MS)
    assert [(receipt.job, receipt.outcome) for receipt in world.receipts] == [
        (dispatch.job, "lost") for dispatch in dispatches
    ]
    first = world.receipts[0]
    assert (first.step, first.done, first.total, first.checkpoint) == ("parse", 1, 4, b"c")
    assert first.error_message == "its stream broke"
    assert world.edge.leases == {}
    assert world.windows[dispatches[0].partition].point == 2


def test_a_minion_that_returns_keeps_its_leases() -> None:
    """A hello with the lease within the grace resumes it: nothing is lost, and the new session is told of."""
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch())
    [job] = world.sent(session)
    world.breaks(session)
    world.wait(100)
    again = world.hello(held=(held(job),))
    world.wait(RESUME_GRACE_MS * 2, again)
    assert world.receipts == []
    assert world.beats[-1].session == again.id
    assert world.beats[0].kind == "started"
    world.answer(again, job, lease=True)
    assert [receipt.outcome for receipt in world.receipts] == ["success"]


def test_a_minion_may_return_before_its_break_is_seen() -> None:
    """A hello takes the lease over from a session that still looks alive; that one is closed, and
    gets no more.
    """
    world = World()
    session = world.hello(credit=5)
    world.read(world.dispatch())
    [job] = world.sent(session)
    lost = world.dispatch()
    world.read(lost)
    world.sent(session)
    again = world.hello(held=(held(job),))
    assert list(again.leases) == [job.id]
    assert session.outbox.closing is not None
    world.read(world.dispatch())
    assert world.sent(session) == []
    world.breaks(session)
    world.wait(RESUME_GRACE_MS * 2, again)
    assert [(receipt.job, receipt.outcome) for receipt in world.receipts] == [(lost.job, "lost")]


def test_a_lease_of_another_minion_is_not_given() -> None:
    """Whoever names a lease that another minion holds is told to drop it."""
    world = World()
    session = world.hello("m1", credit=1)
    world.read(world.dispatch())
    [job] = world.sent(session)
    thief = world.hello("m2", held=(held(job),))
    [note] = world.notes(thief)
    assert [lease.job for lease in note.drop.leases] == [job.id]
    assert list(session.leases) == [job.id]


def test_what_was_lost_is_dropped_by_its_minion() -> None:
    """A minion that returns after the grace must stop what was given up."""
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch())
    [job] = world.sent(session)
    world.breaks(session)
    world.wait(RESUME_GRACE_MS + TICK_MS)
    again = world.hello(held=(held(job),))
    [note] = world.notes(again)
    assert [lease.job for lease in note.drop.leases] == [job.id]
    assert again.leases == {}


def test_what_was_never_sent_is_handed_back() -> None:
    """A job that was still in the outbox when the stream broke counts against nothing."""
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch())
    world.breaks(session)
    assert [receipt.outcome for receipt in world.receipts] == ["interrupted"]


def test_a_silent_session_is_closed() -> None:
    """A session with leases that says nothing for heartbeat_timeout_ms is closed, and its leases are lost."""
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch())
    world.sent(session)
    world.wait(HEARTBEAT_TIMEOUT_MS - 200)
    still_open = session.outbox.closing is None
    assert still_open
    assert [beat.kind for beat in world.beats].count("alive") <= 3, (
        "beats stop before the session is given up"
    )
    world.wait(400)
    assert session.outbox.closing is not None
    assert session.outbox.closing.refusal is Refusal.SILENT
    world.wait(RESUME_GRACE_MS + TICK_MS)
    assert [receipt.outcome for receipt in world.receipts] == ["lost"]


def test_an_idle_session_may_be_silent() -> None:
    """Without leases nothing is lost by silence; the clock runs from the first lease."""
    world = World()
    session = world.hello(credit=1)
    world.wait(10 * HEARTBEAT_TIMEOUT_MS)
    world.read(world.dispatch())
    world.wait(HEARTBEAT_TIMEOUT_MS - 400)
    assert session.outbox.closing is None


def test_a_relay_that_was_away_judges_nobody() -> None:
    """When the relay itself stood still, silence meanwhile is not held against its minions."""
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch())
    world.wait(100, session)
    world.now_ms += 10 * HEARTBEAT_TIMEOUT_MS
    world.wait(400)
    assert session.outbox.closing is None
    assert world.receipts == []


def test_the_state_machine_may_go_on_without_a_lease() -> None:
    """A dispatch of a later epoch takes the job from who holds it: that minion drops it, another
    one runs it.
    """
    world = World()
    first = world.hello("m1", credit=1)
    dispatch = world.dispatch()
    world.read(dispatch)
    [job] = world.sent(first)
    second = world.hello("m2", credit=1)
    world.read(world.dispatch(job=dispatch.job, epoch=2))
    [note] = world.notes(first)
    assert [(lease.job, lease.epoch) for lease in note.drop.leases] == [(dispatch.job, 1)]
    [again] = world.sent(second)
    assert again.epoch == 2
    world.answer(first, job)
    assert world.receipts == []
    assert "receipt ignored" in world.remarks[-1]


def test_a_lease_past_its_time_is_taken_away() -> None:
    """A minion that doesn't end an attempt at its deadline is told to drop it, and it beats no more."""
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch(timeout_ms=3_000))
    [job] = world.sent(session)
    world.wait(3_000, session)
    beats = len(world.beats)
    world.wait(OVERDUE_MS + 2 * HEARTBEAT_MS, session)
    assert len(world.beats) == beats
    [note] = world.notes(session)
    assert note.drop.leases[0].job == job.id
    assert world.edge.leases == {}


@pytest.mark.parametrize("when", ["before", "waiting", "leased"])
def test_a_cancel_finds_its_job_wherever_it_is(when: str) -> None:
    """Before its dispatch came, while it waits: it is not run, and its offset is finished.
    Leased: its minion is told.
    """
    world = World()
    session = world.hello(credit=1 if when == "leased" else 0)
    dispatch = world.dispatch()
    if when == "before":
        world.cancel(dispatch)
    world.read(dispatch)
    if when != "before":
        world.cancel(dispatch)
    if when == "leased":
        [job] = world.sent(session)
        [note] = world.notes(session)
        assert (note.cancel.job, note.cancel.epoch) == (job.id, 1)
        world.answer(session, job, outcome=CANCELLED)
        assert world.receipts[0].outcome == "cancelled"
    else:
        world.credit(session, 1)
        assert world.sent(session) == []
    assert world.windows[dispatch.partition].point == 1


def test_a_cancel_is_for_what_was_decided_before_it() -> None:
    """A retry has a later epoch, and an id used again a later time: neither is cancelled by the
    old cancel.
    """
    world = World()
    session = world.hello(credit=2)
    dispatch = world.dispatch(epoch=3)
    world.cancel(dispatch)
    world.read(world.dispatch(job=dispatch.job, epoch=4))
    world.answer(session, world.sent(session)[0])
    world.read(
        world.dispatch(job=dispatch.job, epoch=1, dispatched_at_ms=START_MS + 10, created_at_ms=START_MS + 10)
    )
    assert [job.epoch for job in world.sent(session)] == [1]


def test_a_function_that_nobody_has_is_handed_back() -> None:
    """After a second without a minion for it a dispatch goes back as unserved; others go on meanwhile."""
    world = World()
    session = world.hello(credit=5)
    lonely = world.dispatch(function="g")
    world.read(lonely)
    world.read(world.dispatch())
    assert len(world.sent(session)) == 1
    world.wait(900, session)
    assert world.receipts == []
    world.wait(400, session)
    [receipt] = world.receipts
    assert (receipt.job, receipt.outcome, receipt.minion) == (lonely.job, "unserved", None)


def test_a_minion_that_comes_in_time_gets_what_waited() -> None:
    """A dispatch that waited for a minion with its function is sent to the one that comes."""
    world = World()
    world.hello()
    world.read(world.dispatch(function="g"))
    late = world.hello("m2", functions=["g"], credit=1)
    assert [job.function for job in world.sent(late)] == ["g"]


def test_a_dispatch_that_came_too_late_goes_back() -> None:
    """Past expires_at_ms nothing is assigned, neither on arrival nor after waiting."""
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch(expires_at_ms=START_MS))
    assert world.sent(session) == []
    assert [receipt.outcome for receipt in world.receipts] == ["unserved"]
    world.credit(session, 0)
    busy = world.dispatch()
    world.read(busy)
    waiting = world.dispatch(expires_at_ms=START_MS + 500)
    world.read(waiting)
    world.wait(600, session)
    world.credit(session, 1)
    assert [job.id for job in world.sent(session)] == [busy.job]
    assert [receipt.job for receipt in world.receipts[1:]] == [waiting.job]


def test_an_equal_dispatch_is_dropped() -> None:
    """A dispatch that was sent again is not run again, and both offsets are finished by the one receipt."""
    world = World()
    session = world.hello(credit=5)
    dispatch = world.dispatch()
    world.read(dispatch)
    world.read(dispatch)
    [job] = world.sent(session)
    assert world.windows[dispatch.partition].point == 0
    world.answer(session, job)
    world.read(dispatch)
    assert world.sent(session) == []
    assert world.windows[dispatch.partition].point == 3


def test_an_id_that_is_used_again_is_another_job() -> None:
    """After a purge the same id and epoch come with another time of admission, and are run."""
    world = World()
    session = world.hello(credit=5)
    dispatch = world.dispatch()
    world.read(dispatch)
    world.answer(session, world.sent(session)[0])
    world.read(world.dispatch(job=dispatch.job, created_at_ms=START_MS + 1))
    assert len(world.sent(session)) == 1


def test_a_dispatch_that_is_read_again_finds_its_lease() -> None:
    """After a rebalance the record of a running lease is not run again: it is finished as soon as
    it is told.
    """
    world = World()
    session = world.hello(credit=5)
    dispatch = world.dispatch()
    offset = world.read(dispatch)
    world.edge.revoked([world.windows[dispatch.partition]])
    again = Window("t.dispatch.default", dispatch.partition, 0)
    world.edge.dispatched(again, offset, dispatch, 100, world.now_ms)
    assert len(world.sent(session)) == 1
    assert again.point == offset
    world.wait(STARTED_AFTER_MS + TICK_MS, session)
    assert again.point == offset + 1
    assert world.windows[dispatch.partition].closed


def test_a_dispatch_that_is_read_again_finds_its_end() -> None:
    """What ended here is not begun again when its record is read again, be its receipt durable or not."""
    world = World()
    world.slow = True
    session = world.hello(credit=5)
    dispatch = world.dispatch()
    offset = world.read(dispatch)
    world.answer(session, world.sent(session)[0])
    world.edge.revoked([world.windows[dispatch.partition]])
    again = Window("t.dispatch.default", dispatch.partition, 0)
    world.edge.dispatched(again, offset, dispatch, 100, world.now_ms)
    assert world.sent(session) == []
    assert again.point == offset
    world.store()
    assert again.point == offset + 1


def test_a_new_relay_adopts_what_minions_hold() -> None:
    """Records that a dead relay may have handed out wait for their minions: the one that is held
    is bound to its lease.
    """
    world = World()
    first, second = world.dispatch(), world.dispatch()
    window = Window("t.dispatch.default", first.partition, 0, end_at_start=2, hold_until_ms=START_MS + 500)
    before = World()
    old = before.hello(credit=1)
    before.read(first)
    [job] = before.sent(old)
    stranger = world.hello("m2", credit=5)
    world.edge.dispatched(window, 0, first, 100, world.now_ms)
    world.edge.dispatched(window, 1, second, 100, world.now_ms)
    assert world.sent(stranger) == []
    world.wait(200, stranger)
    back = world.hello("m1", held=(held(job),))
    world.wait(400, stranger, back)
    assert [one.id for one in world.sent(stranger)] == [second.job]
    assert list(back.leases) == [first.job]
    assert window.point == 2
    assert world.receipts == []


def test_a_receipt_may_come_to_another_relay() -> None:
    """A receipt that carries its lease is forwarded by a relay that never gave it, and ends the
    dispatch there.
    """
    world, before = World(), World()
    dispatch = world.dispatch(attempt=2, epoch=5)
    old = before.hello(credit=1)
    before.read(dispatch)
    [job] = before.sent(old)
    world.read(dispatch)
    session = world.hello()
    number = world.answer(session, job, lease=True, outcome=FAILURE, error_type="Boom")
    [receipt] = world.receipts
    assert (receipt.job, receipt.epoch, receipt.attempt, receipt.error_type) == (job.id, 5, 2, "Boom")
    assert receipt.assigned_at_ms == job.assigned_at_ms
    assert session.outbox.stored_up_to == number
    world.credit(session, 5)
    assert world.sent(session) == []
    assert world.windows[dispatch.partition].point == 1


def test_a_receipt_that_was_stored_is_only_acknowledged_again() -> None:
    """A minion that did not hear the acknowledgement sends again on its next session: nothing is
    written twice.
    """
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch())
    [job] = world.sent(session)
    world.answer(session, job)
    world.breaks(session)
    again = world.hello()
    number = world.answer(again, job, lease=True)
    assert len(world.receipts) == 1
    assert again.outbox.stored_up_to == number


def test_a_receipt_of_nobodys_lease_is_told_and_acknowledged() -> None:
    """Without a lease there is nowhere to send it, and to keep it would keep it for ever."""
    world = World()
    session = world.hello()
    number = world.answer(session, Job(id="stray", epoch=1))
    assert world.receipts == []
    assert session.outbox.stored_up_to == number
    assert "job_id='stray'" in world.remarks[0]


def test_receipts_are_acknowledged_in_order() -> None:
    """`up_to` waits for the earlier ones, since the minion forgets all up to it."""
    world = World()
    world.slow = True
    session = world.hello(credit=2)
    world.read(world.dispatch("a"))
    world.read(world.dispatch("b"))
    for job in world.sent(session):
        world.answer(session, job)
    first, second = world.unstored
    world.edge.stored(second)
    assert session.outbox.stored_up_to == 0
    world.edge.stored(first)
    assert session.outbox.stored_up_to == 2


def test_a_result_above_the_limit_is_a_failure_that_says_so() -> None:
    """It would not get better by being tried again."""
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch())
    world.answer(session, world.sent(session)[0], result=bytes(RESULT_BYTES_MAX + 1))
    [receipt] = world.receipts
    assert (receipt.outcome, receipt.error_type, receipt.non_retryable) == ("failure", "ResultTooLarge", True)
    assert receipt.result is None


def test_a_checkpoint_above_the_limit_is_left_out() -> None:
    """The last one within it stays."""
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch())
    [job] = world.sent(session)
    world.beat(session, Beat(job=job.id, epoch=1, checkpoint=b"good", progress=True))
    world.beat(session, Beat(job=job.id, epoch=1, checkpoint=bytes(CHECKPOINT_BYTES_MAX + 1), progress=True))
    world.answer(session, job, outcome=INTERRUPTED, checkpoint=bytes(CHECKPOINT_BYTES_MAX + 1))
    assert world.receipts[0].checkpoint == b"good"


def test_a_snooze_says_for_how_long() -> None:
    """Its delay reaches the record; other outcomes have none."""
    world = World()
    session = world.hello(credit=1)
    world.read(world.dispatch())
    world.answer(session, world.sent(session)[0], outcome=SNOOZE, snooze_ms=700)
    assert (world.receipts[0].outcome, world.receipts[0].snooze_ms) == ("snooze", 700)


def test_drained_sessions_get_no_more() -> None:
    """A minion that drains keeps its leases, and its keys go to others."""
    world = World()
    leaving, staying = world.hello("m1", credit=50), world.hello("m2", credit=50)
    world.edge.minion_drains(leaving, world.now_ms)
    for number in range(20):
        world.read(world.dispatch(key=f"key-{number}"))
    assert world.sent(leaving) == []
    assert len(world.sent(staying)) == 20


def test_a_relay_that_drains_lets_leases_go_on() -> None:
    """It assigns nothing, refuses new minions, tells the old ones, and calls nothing lost that leaves it."""
    world = World()
    session = world.hello(credit=2)
    world.read(world.dispatch())
    [job] = world.sent(session)
    world.edge.drain("the relay is going away", 1_000, world.now_ms)
    [note] = world.notes(session)
    assert note.drain.grace_ms == 1_000
    world.read(world.dispatch())
    assert world.sent(session) == []
    with pytest.raises(Breach, match="going away"):
        world.hello("m2")
    world.breaks(session)
    world.wait(RESUME_GRACE_MS * 2)
    assert world.receipts == []
    other = World()
    adopted = other.hello(held=(held(job),))
    assert list(adopted.leases) == [job.id]


def test_a_partition_with_much_waiting_is_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, and not before much waits from all of them; it goes on when all have room again, or
    when little waits from it.
    """
    monkeypatch.setattr(window_module, "WAITING_MAX", 10)
    monkeypatch.setattr(window_module, "WAITING_ALL_MAX", 40)
    world = World()
    session = world.hello(capacity=10_000)
    one, other = world.dispatch("k"), world.dispatch("n")
    assert one.partition != other.partition
    for _ in range(41):
        world.read(world.dispatch("k"))
    full = world.windows[one.partition]
    assert (world.edge.pauses, full.waiting) == ([full], 41)
    for _ in range(10):
        world.read(world.dispatch("n"))
    assert world.edge.pauses == [full, world.windows[other.partition]]
    world.credit(session, 20)
    world.wait(TICK_MS)
    assert world.edge.resumes == []
    world.credit(session, 2)
    world.wait(TICK_MS)
    assert set(world.edge.resumes) == set(world.edge.pauses)


def test_what_is_urgent_goes_before_twenty_thousand_of_its_partition() -> None:
    """All of them are read, and none was longer there by as much as a step of priority is worth."""
    world = World()
    session = world.hello(capacity=10)
    window = world.windows[world.dispatch().partition]
    for offset in range(20_000):
        world.edge.dispatched(window, offset, world.dispatch(priority=5), 300, world.now_ms)
    urgent = world.dispatch(priority=1)
    world.edge.dispatched(window, 20_000, urgent, 300, world.now_ms + 59_000)
    assert world.edge.pauses == []
    world.credit(session, 1)
    assert list(session.leases) == [urgent.job]


def test_revoked_partitions_leave_nothing_waiting() -> None:
    """What waits from a lost partition is forgotten; a job is then run by its new owner alone."""
    world = World()
    session = world.hello()
    dispatch = world.dispatch()
    world.read(dispatch)
    world.edge.revoked([world.windows[dispatch.partition]])
    world.credit(session, 5)
    assert world.sent(session) == []
    assert world.receipts == []


def test_young_leases_are_told_of_when_their_partition_goes() -> None:
    """Before a partition is given up, `started` is written for what runs from it, so that its
    offset can go with it.
    """
    world = World()
    world.hello(credit=1)
    dispatch = world.dispatch()
    world.read(dispatch)
    window = world.windows[dispatch.partition]
    world.edge.announce([window], world.now_ms)
    world.settle()
    assert [beat.kind for beat in world.beats] == ["started"]
    assert window.point == 1


def test_only_so_many_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than the limit is refused with a sentence."""
    monkeypatch.setattr(edge_module, "SESSIONS_MAX", 2)
    world = World()
    world.hello("m1")
    world.hello("m2")
    with pytest.raises(Breach, match="takes 2 sessions") as caught:
        world.hello("m3")
    assert caught.value.refusal is Refusal.FULL


def test_a_cancel_reaches_a_minion_that_was_away() -> None:
    """A lease that was cancelled while its minion was away is adopted, and its minion told to stop."""
    world = World()
    session = world.hello(credit=1)
    dispatch = world.dispatch()
    world.read(dispatch)
    [job] = world.sent(session)
    world.breaks(session)
    world.cancel(dispatch)
    again = world.hello(held=(held(job),))
    [note] = world.notes(again)
    assert note.cancel.job == job.id


def test_a_receipt_for_another_minions_lease_is_ignored() -> None:
    """Only the minion that holds a lease can end it."""
    world = World()
    session, other = world.hello("m1", credit=1), world.hello("m2")
    world.read(world.dispatch())
    [job] = world.sent(session)
    world.answer(other, job, lease=True)
    assert world.receipts == []
    assert list(session.leases) == [job.id]
    assert "the lease is held by m1" in world.remarks[0]


def test_controls_of_another_kind_are_ignored() -> None:
    """A word that a later version brings changes nothing here."""
    world = World()
    session = world.hello(credit=1)
    dispatch = world.dispatch()
    world.edge.control(
        Control(control="pause", job=dispatch.job, epoch=1, partition=dispatch.partition, at_ms=START_MS)
    )
    world.read(dispatch)
    assert len(world.sent(session)) == 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancels and ends are forgotten beyond their limits, the oldest first; ends also after their time."""
    monkeypatch.setattr(edge_module, "CANCELS_MAX", 2)
    monkeypatch.setattr(edge_module, "ENDED_MAX", 2)
    world = World()
    session = world.hello(credit=9)
    dispatches = [world.dispatch(key) for key in "abc"]
    for dispatch in dispatches:
        world.cancel(dispatch)
        world.read(dispatch)
    assert len(world.edge._cancels) == 2
    assert world.sent(session) == []
    for _ in range(3):
        world.read(world.dispatch())
        world.answer(session, world.sent(session)[0])
    assert len(world.edge._ended) == 2
    world.read(world.dispatch())
    world.wait(edge_module.ENDED_KEEP_MS // 1000, session)
    assert len(world.edge._ended) == 2
    world.now_ms += edge_module.ENDED_KEEP_MS
    world.wait(400, session)
    assert len(world.edge._ended) == 0


def test_an_equal_dispatch_in_another_topic_is_dropped() -> None:
    """One that waits or runs is not doubled by an equal one that came another way."""
    world = World()
    session = world.hello()
    dispatch = world.dispatch()
    elsewhere = Window("t.dispatch.other", dispatch.partition, 0)
    world.read(dispatch)
    world.edge.dispatched(elsewhere, 0, dispatch, 100, world.now_ms)
    world.credit(session, 5)
    assert len(world.sent(session)) == 1
    world.edge.dispatched(elsewhere, 1, replace(dispatch, created_at_ms=START_MS + 1), 100, world.now_ms)
    assert world.sent(session) == []
    assert elsewhere.point == 2


def test_unspent_credits_can_be_recalled() -> None:
    """As many as there are; what was spent stays spent."""
    world = World()
    session = world.hello(credit=3)
    world.read(world.dispatch())
    world.edge.recall(session, 10)
    assert [note.recalled.count for note in world.notes(session)] == [2]
    assert (session.credits, len(session.leases)) == (0, 1)
    world.edge.recall(session, 1)
    assert [note.recalled.count for note in world.notes(session)] == [0]
    world.credit(session, 100)


def test_an_alive_beat_tells_who_holds_the_lease_now() -> None:
    """It is said again and again as it was, until the lease has another session or was begun."""
    world = World()
    first = world.hello(credit=1)
    world.read(world.dispatch())
    [job] = world.sent(first)
    world.wait(3 * HEARTBEAT_MS, first)
    world.beat(first, Beat(job=job.id, epoch=1, started_at_ms=7))
    world.wait(2 * HEARTBEAT_MS, first)
    world.breaks(first)
    second = world.hello(held=(held(job),))
    world.wait(2 * HEARTBEAT_MS, second)
    alive = [(beat.session, beat.started_at_ms) for beat in world.beats if beat.kind == "alive"]
    assert alive[0] == (first.id, None)
    assert (first.id, 7) in alive
    assert alive[-1] == (second.id, 7)
