"""How many minions a pool has: each rule by an example, with a clock that the test moves."""

from dataclasses import replace

from relay.core.pool import BACKOFF_MS_MAX, FIRST_BACKOFF_MS, STEADY_MS, Plan, Pool

PLAN = Plan(
    "p", frozenset({"default"}), frozenset({"f"}), most=4, jobs_each=10, idle_ms=1_000, answer_ms=5_000
)


def pool(**fields: object) -> Pool:
    """A pool with some of its limits changed."""
    return Pool(replace(PLAN, **fields))  # type: ignore[arg-type]


def test_work_starts_as_many_as_it_needs_and_no_more_than_may_be() -> None:
    """One minion for each jobs_each open jobs, rounded up; those that are on their way count."""
    one = pool()
    assert one.turn(0).start == []
    one.inbound(11)
    assert one.turn(0).start == [1, 2]
    one.inbound(5)
    assert one.turn(1).start == []
    one.inbound(500)
    assert one.turn(2).start == [3, 4]


def test_the_least_is_there_from_the_beginning() -> None:
    """A pool with a least has as many without any work, and again when one ends."""
    one = pool(least=2)
    assert one.turn(0).start == [1, 2]
    one.ended(1, STEADY_MS, crashed=False)
    assert one.turn(STEADY_MS).start == [3]


def test_idle_minions_go_after_the_idle_time_and_the_youngest_first() -> None:
    """What was not needed at any moment of the idle time goes; work that comes back in between keeps it."""
    one = pool()
    one.inbound(30)
    assert one.turn(0).start == [1, 2, 3]
    one.done(30)
    assert one.turn(100).stop == []
    assert one.next_ms(100) == 1_100
    one.inbound(12)
    assert one.turn(500).stop == []
    one.done(12)
    assert one.turn(1_100).stop == [3], "two were needed within the idle time"
    assert one.turn(1_200).stop == []
    assert one.turn(2_200).stop == [1, 2]
    for number in (1, 2, 3):
        one.ended(number, 2_300, crashed=False)
    assert one.turn(2_300).start == []


def test_minions_that_leave_by_themselves_are_not_told() -> None:
    """A called function finds out by itself that it is idle; while it is there it counts."""
    one = pool(leaves=True)
    one.inbound(1)
    assert one.turn(0).start == [1]
    one.done(1)
    assert one.turn(60_000).stop == []
    one.inbound(1)
    assert one.turn(60_001).start == []
    one.ended(1, 60_002, crashed=False)
    assert one.turn(60_002).start == [2]


def test_a_minion_at_the_end_of_its_time_is_replaced_while_there_is_work() -> None:
    """It takes no more jobs then, so another comes before it has gone, also where there may be only one."""
    one = pool(leaves=True, life_ms=900, most=1)
    one.inbound(3)
    assert one.turn(0).start == [1]
    assert one.next_ms(0) == 900
    assert one.turn(899).start == []
    assert one.turn(900).start == [2]
    one.done(3)
    one.ended(1, 950, crashed=False)
    assert one.turn(1_800).start == []


def test_crashes_are_backed_off_and_tried_one_at_a_time() -> None:
    """The pause doubles with each crash in a row, up to a limit; one that served something ends the trial."""
    one = pool()
    one.inbound(40)
    now_ms, pause_ms = 0, FIRST_BACKOFF_MS
    assert len(one.turn(now_ms).start) == 4
    for number in (1, 2, 3, 4):
        one.ended(number, now_ms, crashed=True)
    pause_ms = FIRST_BACKOFF_MS * 8
    for _ in range(6):
        assert one.turn(now_ms + pause_ms - 1).start == []
        assert one.next_ms(now_ms) == now_ms + pause_ms
        now_ms += pause_ms
        [number] = one.turn(now_ms).start
        assert one.turn(now_ms).start == [], "one is on trial"
        one.ended(number, now_ms, crashed=True)
        pause_ms = min(pause_ms * 2, BACKOFF_MS_MAX)
    now_ms += pause_ms
    assert len(one.turn(now_ms).start) == 1
    one.done(1)
    assert len(one.turn(now_ms).start) == 1


def test_a_pause_that_the_platform_asks_for_is_kept() -> None:
    """Retry-After is longer than the backoff here, and wins."""
    one = pool()
    one.inbound(1)
    one.turn(0)
    one.ended(1, 0, crashed=True, again_after_ms=7_000)
    assert one.turn(6_999).start == []
    assert one.turn(7_000).start == [2]


def test_a_minion_that_serves_nothing_is_not_started_over_and_over() -> None:
    """A call that is answered well and at once, by what is no minion, is backed off like a crash."""
    one = pool()
    one.inbound(1)
    one.turn(0)
    one.ended(1, 10, crashed=False)
    assert one.turn(10).start == []
    assert one.turn(10 + FIRST_BACKOFF_MS).start == [2]
    one.done(1)
    one.inbound(1)
    one.ended(2, 600, crashed=False)
    assert one.turn(600).start == [3]


def test_what_was_given_up_is_owed_a_minion() -> None:
    """After a timeout one is still wanted, until something is served; who should be connected is given up."""
    one = pool()
    one.inbound(3)
    assert one.turn(0).start == [1]
    one.timedout(3, 5_000)
    turn = one.turn(5_000)
    assert (turn.start, turn.stop) == ([2], [1])
    one.ended(1, 5_100, crashed=False)
    assert (one.open, one.wanted) == (0, 1)
    one.inbound(3)
    one.done(3)
    assert one.wanted == 0


def test_what_is_owed_is_forgotten_with_a_minion_that_was_not_needed() -> None:
    """Jobs that were called off meanwhile never come: the minion that was owed to them goes as idle."""
    one = pool()
    one.inbound(1)
    one.timedout(1, 0)
    assert one.turn(0).start == [1]
    one.ended(1, STEADY_MS, crashed=False)
    assert one.wanted == 0
    local = pool(most=2)
    local.inbound(20)
    local.turn(0)
    local.timedout(20, 0)
    local.turn(0)
    assert local.turn(1_000).stop == [2]


def test_a_closed_pool_lets_all_go() -> None:
    """Also those that leave by themselves, and nothing is started any more."""
    one = pool(leaves=True)
    one.inbound(20)
    one.turn(0)
    one.close()
    assert one.turn(1).stop == [1, 2]
    one.inbound(5)
    assert one.turn(2).start == []
