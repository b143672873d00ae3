"""Lanes in a partition: what a receipt of one job does to the next, also across restarts."""

from schemas.codec import encode
from schemas.events import QueueConfig, Receipt
from schemas.words import LanePolicy
from streams.core.lane import AHEAD, AHEAD_FAR
from streams.core.status import waiting_for
from tests.fakes.desk import HOME, KEYS, Desk, Written

LANES = {"default": LanePolicy.GOES_ON}


def sent(written: Written) -> list[tuple[str, int, str | None]]:
    """The dispatches: job, epoch, and whom it comes after."""
    return [(found.job, found.epoch, found.after_job) for found in written.dispatches]


def receipt(job: str) -> Receipt:
    """A success of its first epoch."""
    return Receipt(job=job, key=KEYS[0], partition=HOME, attempt=1, epoch=1, outcome="success", at_ms=1)


def desk_with(count: int, policy: LanePolicy = LanePolicy.GOES_ON) -> Desk:
    """So many jobs of one key, j0 the first."""
    desk = Desk(lanes={"default": policy})
    for number in range(count):
        desk.request(id=f"j{number}")
    return desk


def test_a_few_jobs_are_dispatched_ahead_each_after_the_one_before() -> None:
    """The others wait, until one of those has succeeded."""
    desk = Desk(lanes=LANES)
    asked = [sent(desk.request(id=f"j{number}")) for number in range(AHEAD + 1)]
    assert asked[0] == [("j0", 1, None)]
    assert asked[1] == [("j1", 1, "j0")]
    assert asked[AHEAD] == []
    assert sent(desk.receipt("j0")) == [(f"j{AHEAD}", 1, f"j{AHEAD - 1}")]


def test_no_dispatch_of_a_lane_leaves_before_its_row() -> None:
    """Whom it comes after is told by receipts too, so a replay could lead to another dispatch."""
    assert Desk(lanes=LANES).request(id="j0").early == ()
    assert len(Desk().request(id="j0").early) == 1


def test_other_keys_and_other_queues_do_not_wait() -> None:
    """A lane is one key of one queue with key order."""
    desk = Desk(("default", "plain"), lanes=LANES)
    desk.request(id="j0")
    desk.receipt("j0", outcome="failure")
    assert sent(desk.request(id="other", key=KEYS[1])) == [("other", 1, None)]
    (plain,) = desk.request(id="plain", queue="plain").dispatches
    assert (plain.order, plain.after_job) == (None, None)
    assert sent(desk.request(id="j1")) == []


def test_a_failure_holds_its_key_up_until_it_has_succeeded() -> None:
    """What was dispatched behind it comes back first; then the lane begins anew, in the same order."""
    desk = desk_with(3)
    assert sent(desk.receipt("j0", outcome="failure")) == []
    assert sent(desk.receipt("j1", outcome="parked")) == []
    assert sent(desk.receipt("j2", outcome="parked")) == []
    assert sent(desk.tick(desk.now_ms + 60_000)) == [("j0", 2, None), ("j1", 2, "j0"), ("j2", 2, "j1")]


def test_a_retry_whose_time_has_come_waits_for_what_is_still_with_a_relay() -> None:
    """Two jobs of a key never run at once."""
    desk = desk_with(2)
    desk.receipt("j0", outcome="failure")
    desk.beat("j1")
    assert sent(desk.tick(desk.now_ms + 2_000)) == []
    assert sent(desk.receipt("j1")) == [("j0", 2, None)]


def test_a_dead_job_holds_its_lane_up_where_the_queue_says_so() -> None:
    """Until someone retries or cancels it."""
    desk = desk_with(2)
    desk.receipt("j0", outcome="failure", non_retryable=True)
    assert sent(desk.receipt("j1", outcome="parked")) == [("j1", 2, None)]
    desk = desk_with(2, LanePolicy.WAITS)
    desk.receipt("j0", outcome="failure", non_retryable=True)
    assert sent(desk.receipt("j1", outcome="parked")) == []
    assert sent(desk.command("cancel", "j0")) == [("j1", 2, None)]


def test_a_lost_head_begins_anew_when_the_others_came_back() -> None:
    """In its place."""
    desk = desk_with(2)
    assert sent(desk.receipt("j0", outcome="lost")) == []
    assert sent(desk.receipt("j1", outcome="parked")) == [("j0", 2, None), ("j1", 2, "j0")]


def test_a_restart_goes_on_with_a_lane_whose_next_dispatch_was_not_written() -> None:
    """The row of the job that ended is there, that of the job whose turn it made is not."""
    desk = desk_with(AHEAD + 1)
    writes = desk.partition.apply(desk.write(desk.topics.receipts, None, encode(receipt("j0"))))
    desk.log.append_all([out for out in writes.first if out.key == b"j:j0"], desk.now_ms)
    desk.crash()
    assert sent(desk.tick()) == [(f"j{AHEAD}", 1, f"j{AHEAD - 1}")]


def test_a_job_without_a_minion_is_offered_when_a_relay_has_one() -> None:
    """At once, and no sooner."""
    desk = Desk()
    desk.request(id="j0")
    desk.request(id="j1", function="other")
    for job in ("j0", "j1"):
        desk.receipt(job, outcome="unserved")
    assert sent(desk.announce("nothing", "else")) == []
    assert sent(desk.announce("mail.send", queue="elsewhere")) == []
    assert sent(desk.announce("mail.send")) == [("j0", 2, None)]
    assert sent(desk.announce("mail.send")) == []
    desk.command("cancel", "j1")
    assert sent(desk.announce("other")) == []


def test_many_jobs_without_a_minion_are_offered_bit_by_bit() -> None:
    """One record asks for so much and no more; the next bring the rest, also after a restart."""
    desk = Desk()
    for number in range(700):
        desk.request(id=f"j{number}")
        desk.receipt(f"j{number}", outcome="unserved")
    desk.crash(desk.ends())
    assert len(desk.announce("mail.send").dispatches) == 500
    assert desk.partition.next_due_ms() == 0
    assert len(desk.command("cancel", "j650").dispatches) == 199
    assert desk.partition.next_due_ms() != 0


def test_a_queue_that_goes_ahead_has_more_of_a_lane_with_its_relay() -> None:
    """Since more of them run while word of one comes back."""
    desk = Desk(lanes={"default": LanePolicy.AHEAD})
    asked = [sent(desk.request(id=f"j{number}")) for number in range(AHEAD_FAR + 1)]
    assert all(asked[:AHEAD_FAR])
    assert asked[AHEAD_FAR] == []
    assert sent(desk.receipt("j0")) == [(f"j{AHEAD_FAR}", 1, f"j{AHEAD_FAR - 1}")]


def test_what_a_ready_job_waits_for_is_the_limit_that_its_relay_told_of() -> None:
    """For fifteen seconds, or until the relay says otherwise; others wait for others."""
    desk = Desk()
    for name in ("j0", "j1"):
        desk.request(id=name, function="mail.send" if name == "j0" else "other")
    limits = ("function/mail.send",)
    desk.announce("mail.send", "other", limits=limits)
    found = desk.partition.limits("default", desk.now_ms)
    assert found == set(limits)
    rows = desk.partition.jobs
    assert waiting_for(rows["j0"], desk.now_ms, limits=found) == "limit function/mail.send"
    assert "a minion of queue" in (waiting_for(rows["j1"], desk.now_ms, limits=found) or "")
    assert desk.partition.limits("elsewhere", desk.now_ms) == frozenset()
    assert desk.partition.limits("default", desk.now_ms + 20_000) == frozenset()
    desk.announce("mail.send")
    assert desk.partition.limits("default", desk.now_ms) == frozenset()


def test_an_announcement_for_another_partition_is_refused() -> None:
    """It was written to the wrong place."""
    desk = Desk()
    assert "announcement must be in the partition" in desk.announce("f", partition=7).reject.reason


def test_an_operator_may_order_a_queue_while_it_runs() -> None:
    """Jobs that come from then on run one after another, those that are there go on as they were; none ends
    it.
    """
    desk = Desk()
    desk.request(id="before")
    desk.config(QueueConfig(queue="default", order="key"))
    assert sent(desk.request(id="j0")) == [("j0", 1, None)]
    assert sent(desk.request(id="j1")) == [("j1", 1, "j0")]
    assert desk.partition.jobs["j1"].spec.lane == LanePolicy.GOES_ON
    desk.crash()
    desk.config(QueueConfig(queue="default", order="key_waits"))
    desk.request(id="j2")
    assert desk.partition.jobs["j2"].spec.lane == LanePolicy.WAITS
    desk.config(QueueConfig(queue="default", order="none"))
    (plain,) = desk.request(id="after").dispatches
    assert plain.order is None


def test_what_was_handed_back_does_not_come_twice_behind_the_same_dispatch() -> None:
    """Its relay does not know that one, which runs at another's minion, say: it would be handed back for
    ever.
    """
    desk = desk_with(2)
    assert sent(desk.receipt("j1", outcome="parked")) == []
    assert sent(desk.tick()) == []
    assert sent(desk.receipt("j0")) == [("j1", 2, None)]
