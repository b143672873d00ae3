"""Foreground calls: who is asked, for how long, and what callers hear."""

import pytest

from relay.core import calls as machine
from relay.core.call import (
    Assign,
    BadCall,
    Call,
    CallOutcome,
    Effect,
    End,
    Ended,
    Limit,
    Priority,
    Rule,
    Stop,
    Tell,
    Wake,
    Word,
    WordKind,
    Worker,
)
from relay.core.call_cache import Cache
from relay.core.calls import ASSIGNED_AFTER_MS, LATE_MS, WAKE_AGAIN_MS, Calls
from relay.core.limits import Limits

DONE = End(CallOutcome.COMPLETE, b"r", "text/plain")


def took(calls: Calls) -> list[Effect]:
    """Takes what the machine says."""
    effects, calls.effects = calls.effects, []
    return effects


def worker(
    calls: Calls,
    name: str = "w",
    *functions: str,
    credit: int = 1,
    areas: tuple[str, ...] = (),
    rule: Rule | None = None,
) -> Worker:
    """A worker that has joined."""
    names = functions or ("f",)
    rules = {} if rule is None else dict.fromkeys(names, rule)
    found = Worker(name, frozenset(names), frozenset(areas), rules=rules)
    calls.join(found, 0)
    calls.credit(found, credit, 0)
    return found


def ask(calls: Calls, now_ms: int = 0, function: str = "f", **fields: object) -> Call:
    """A call that was asked."""
    call = Call(function, **fields)  # type: ignore[arg-type]
    calls.ask(call, now_ms)
    return call


def outcome(call: Call) -> CallOutcome | None:
    """How a call ended; None: it has not."""
    return None if call.end is None else call.end.outcome


def test_a_call_goes_to_a_worker_and_its_end_comes_back() -> None:
    """The caller hears what the worker says, then the end, and how long it waited and ran."""
    calls = Calls()
    one = worker(calls)
    call = ask(calls, 5, args=b"a")
    run = call.run
    assert run is not None
    assert took(calls) == [Assign(one, run)]
    data = Word(WordKind.DATA, b"d")
    assert calls.said(one, run.number, data, 7)
    assert [each.word.kind for each in took(calls) if isinstance(each, Tell)] == ["assigned", "data"]
    assert calls.ended(one, run.number, DONE, 9)
    assert took(calls) == [Ended(call)]
    assert (call.end, call.waited_ms, call.ran_ms, call.worker) == (DONE, 0, 4, "w")
    assert not calls.ended(one, run.number, DONE, 9)


def test_assigned_is_told_only_of_what_lasts() -> None:
    """A run that is over soon costs its caller one message."""
    calls = Calls()
    worker(calls)
    ask(calls)
    took(calls)
    calls.tick(ASSIGNED_AFTER_MS - 1)
    assert took(calls) == []
    assert calls.next_ms() == ASSIGNED_AFTER_MS
    calls.tick(ASSIGNED_AFTER_MS)
    assert [each.word.kind for each in took(calls) if isinstance(each, Tell)] == ["assigned"]


def test_routing_timeout() -> None:
    """A call that nobody takes ends when its time is over, and not before; 0 is now or never."""
    calls = Calls()
    call = ask(calls, 0, routing_ms=100)
    calls.tick(99)
    assert call.end is None
    calls.tick(100)
    assert outcome(call) is CallOutcome.ROUTING_TIMEOUT
    assert call.waited_ms == 100
    assert outcome(ask(calls, 100, routing_ms=0)) is CallOutcome.ROUTING_TIMEOUT
    worker(calls)
    assert outcome(ask(calls, 100, routing_ms=0)) is None


@pytest.mark.parametrize(
    ("areas", "total_ms"),
    [((), 100), (("a",), 200), (("a", "b"), 300)],
)
def test_each_area_takes_the_whole_routing_timeout(areas: tuple[str, ...], total_ms: int) -> None:
    """Without timeouts of their own one area doubles it, and two triple it."""
    calls = Calls()
    call = ask(calls, 0, routing_ms=100, areas=tuple((area, None) for area in areas))
    for now_ms in range(0, total_ms, 10):
        calls.tick(now_ms)
        assert call.end is None
    calls.tick(total_ms)
    assert outcome(call) is CallOutcome.ROUTING_TIMEOUT
    assert call.waited_ms == total_ms


def test_areas_in_their_order() -> None:
    """A call waits for its first area as long as it said, then takes its second, then anybody; earlier ones
    stay open.
    """
    calls = Calls()
    elsewhere = worker(calls, "elsewhere")
    call = ask(calls, 0, routing_ms=100, areas=(("a", 20), ("b", 30)))
    second = worker(calls, "second", credit=0, areas=("b",))
    calls.credit(second, 1, 10)
    assert call.worker == ""
    calls.tick(20)
    assert (call.worker, call.area, call.waited_ms) == ("second", "b", 20)
    other = ask(calls, 20, routing_ms=100, areas=(("a", 20), ("c", 30)))
    calls.tick(69)
    assert other.worker == ""
    calls.tick(70)
    assert (other.worker, other.area) == (elsewhere.name, "")
    near = ask(calls, 70, areas=(("a", 20), ("b", 20)), routing_ms=0)
    first = worker(calls, "first", areas=("a",))
    assert (near.worker, near.area) == (first.name, "a")


def test_earlier_areas_go_first_where_several_have_room() -> None:
    """Also if there is no time to wait for any."""
    calls = Calls()
    worker(calls, "far")
    worker(calls, "near", areas=("a",))
    assert ask(calls, 0, routing_ms=0, areas=(("a", 0),)).worker == "near"
    assert ask(calls, 0, routing_ms=0, areas=(("a", 0),)).worker == "far"


def test_priorities_then_age() -> None:
    """Of what waits the higher priority goes first, then the older."""
    calls = Calls()
    named = [
        ("low", Priority.LOW),
        ("one", Priority.NORMAL),
        ("two", Priority.NORMAL),
        ("high", Priority.HIGH),
    ]
    waiting = {name: ask(calls, 0, priority=priority) for name, priority in named}
    one = worker(calls, credit=0)
    for name in ("high", "one", "two", "low"):
        calls.credit(one, 1, 0)
        assert waiting.pop(name).worker == "w"
        assert all(call.worker == "" for call in waiting.values())


def test_workers_take_turns() -> None:
    """Calls are spread over the workers that have room."""
    calls = Calls()
    for name in ("a", "b", "c"):
        worker(calls, name, credit=10)
    assert [ask(calls).worker for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]


def test_equal_calls_share_a_run() -> None:
    """Calls of one function with one unique id run once, whether it waits or runs, and all hear of it."""
    calls = Calls()
    first, second = ask(calls, 0, unique="u"), ask(calls, 0, unique="u")
    other = ask(calls, 0, unique="u", function="g")
    one = worker(calls, credit=5)
    third = ask(calls, 2, unique="u")
    assert first.run is second.run is third.run is not other.run
    assert first.run is not None
    assert [each for each in took(calls) if isinstance(each, Assign)] == [Assign(one, first.run)]
    calls.ended(one, first.run.number, DONE, 9)
    assert [call.end for call in (first, second, third)] == [DONE] * 3
    assert (first.waited_ms, second.waited_ms, third.waited_ms) == (0, 0, 0)
    assert ask(calls, 10, unique="u").run is not first.run


def test_equal_arguments_share_a_run_where_the_function_says_so() -> None:
    """Equal arguments alone are no reason, unless the function's declaration has it."""
    calls = Calls()
    worker(calls, "w", "f", credit=0)
    worker(calls, "v", "g", credit=0, rule=Rule(coalesce=True))
    assert ask(calls, args=b"1").run is not ask(calls, args=b"1").run
    assert ask(calls, function="g", args=b"1").run is ask(calls, function="g", args=b"1").run
    assert ask(calls, function="g", args=b"1").run is not ask(calls, function="g", args=b"2").run


def test_one_caller_of_several_leaves() -> None:
    """A run goes on for those who wait, and is stopped when the last has gone."""
    calls = Calls()
    one = worker(calls)
    first, second = ask(calls, unique="u"), ask(calls, unique="u")
    run = first.run
    assert run is not None
    took(calls)
    calls.leave(first, 1)
    assert [type(each) for each in took(calls)] == [Ended]
    calls.leave(second, 2)
    effects = took(calls)
    assert effects[0] == Ended(second)
    assert isinstance(effects[1], Stop)
    assert (effects[1].worker, effects[1].run) == (one, run)
    assert not calls.ended(one, run.number, DONE, 3)
    calls.leave(second, 4)
    assert took(calls) == []


def test_running_limit_is_set_lengthened_and_shortened() -> None:
    """The limit counts from the assignment, and from each change of it."""
    calls = Calls()
    one = worker(calls, credit=2)
    call = ask(calls, 0, running_ms=100)
    calls.change_limit(call, 500, 90)
    assert call.run is not None
    assert Limit(one, call.run, 500) in took(calls)
    calls.tick(589)
    assert call.end is None
    calls.tick(590)
    assert outcome(call) is CallOutcome.RUNNING_TIMEOUT
    assert call.ran_ms == 590
    free = ask(calls, 600)
    calls.change_limit(free, 10, 700)
    calls.tick(710)
    assert outcome(free) is CallOutcome.RUNNING_TIMEOUT
    waiting = ask(calls, 800, running_ms=10)
    calls.change_limit(waiting, 50, 805)
    calls.credit(one, 1, 900)
    calls.tick(949)
    assert waiting.end is None
    calls.tick(950)
    assert outcome(waiting) is CallOutcome.RUNNING_TIMEOUT


def test_a_workers_own_limit_fails_the_run() -> None:
    """As Gearman's CAN_DO_TIMEOUT has it."""
    calls = Calls()
    one = worker(calls, "w", "g")
    calls.can_do(one, "f", 0, timeout_ms=100)
    call = ask(calls)
    calls.tick(100)
    assert outcome(call) is CallOutcome.FAILED
    assert call.end is not None
    assert call.end.error_type == "Timeout"


def test_a_worker_that_vanishes() -> None:
    """What it ran is lost; what was never sent to it goes to another one; what others run is untouched."""
    calls = Calls()
    one = worker(calls, "one", credit=2)
    sent, unsent = ask(calls), ask(calls)
    assert unsent.run is not None
    two = worker(calls, "two", credit=1)
    calls.gone(one, 10, "its stream broke", [unsent.run.number])
    assert outcome(sent) is CallOutcome.LOST
    assert sent.end is not None
    assert sent.end.error_message == "worker one vanished while it ran the call: its stream broke"
    assert (unsent.end, unsent.worker) == (None, two.name)


def test_what_a_worker_gives_back_goes_to_another_one_or_nowhere() -> None:
    """A run that was not begun looks on as long as its caller does, and never comes to the same worker
    again.
    """
    calls = Calls()
    one = worker(calls, "one", credit=5)
    call = ask(calls, 0, routing_ms=100)
    assert call.run is not None
    assert calls.give_back(one, call.run.number, 10)
    assert call.worker == ""
    calls.tick(100)
    assert outcome(call) is CallOutcome.ROUTING_TIMEOUT


@pytest.mark.parametrize("strangers", [0, 5])
def test_one_sleeping_worker_is_woken_for_each_run(strangers: int) -> None:
    """However many sleep who have other functions; who was woken already is not woken again."""
    calls = Calls()
    workers = [Worker(name, frozenset({"f"}), pulls=True) for name in "abc"]
    others = [Worker(f"other-{number}", frozenset({"g"}), pulls=True) for number in range(strangers)]
    for each in (*others, *workers):
        calls.join(each, 0)
        calls.sleep(each, 0)
    for number in range(2):
        ask(calls, number)
    woken = [each.worker for each in took(calls) if isinstance(each, Wake)]
    assert len({*woken} & {*workers}) == len(woken) == 2
    for each in woken:
        assert calls.grab(each, 2) is not None
    ask(calls, 3)
    assert took(calls) == [Wake(*({*workers} - {*woken}))]


def test_a_sleeping_worker_is_woken_and_another_one_when_it_does_not_come() -> None:
    """One is woken for one call; the rest when that one is slow."""
    calls = Calls()
    workers = [worker(calls, name, credit=0) for name in ("a", "b", "c")]
    for each in workers:
        calls.sleep(each, 0)
    call = ask(calls, 0)
    assert took(calls) == [Wake(workers[0])]
    assert calls.next_ms() == WAKE_AGAIN_MS
    calls.tick(WAKE_AGAIN_MS)
    assert {each.worker.name for each in took(calls) if isinstance(each, Wake)} == {"b", "c"}
    assert calls.grab(workers[1], 60) is call.run
    assert calls.grab(workers[2], 60) is None
    assert call.worker == "b"
    ask(calls, 70)
    calls.sleep(workers[2], 71)
    assert took(calls)[-1] == Wake(workers[2])


def test_answers_are_given_again() -> None:
    """An answer is kept as long as its function says, by its arguments; failures are not."""
    calls = Calls()
    one = worker(calls, credit=9, rule=Rule(cache_ms=100, cache_fields=("user",)))
    first = ask(calls, 0, args=b'{"user": 1, "trace": "x"}')
    assert first.run is not None
    calls.ended(one, first.run.number, End(CallOutcome.FAILED), 1)
    again = ask(calls, 2, args=b'{"user": 1, "trace": "x"}')
    assert again.run is not None
    calls.ended(one, again.run.number, DONE, 3)
    known = ask(calls, 102, args=b'{"trace": "y", "user": 1}')
    assert known.end is not None
    assert (known.end.result, known.end.cached, known.worker) == (b"r", True, "")
    assert ask(calls, 102, args=b'{"user": 2}').end is None
    assert ask(calls, 103, args=b'{"user": 1}').end is None


def test_a_rule_goes_with_its_declaration() -> None:
    """What the latest worker says counts, nothing once it says nothing, and what was kept under another rule
    is given to nobody; a worker without declarations changes nothing.
    """
    calls = Calls()
    kept = Rule(cache_ms=1_000)
    first = worker(calls, "first", rule=kept)
    ask(calls, 0)
    calls.ended(first, next(iter(first.runs)), End(CallOutcome.COMPLETE, b"1"), 1)
    calls.join(Worker("gearman", frozenset("f")), 1)
    assert ask(calls, 2).end == End(CallOutcome.COMPLETE, b"1", cached=True)
    second = worker(calls, "second", rule=Rule(cache_ms=500))
    assert outcome(ask(calls, 3)) is None
    calls.retire(second, 4)
    assert ask(calls, 5).end == End(CallOutcome.COMPLETE, b"1", cached=True)
    worker(calls, "third")
    assert outcome(ask(calls, 6)) is None


def test_the_cache_is_bounded() -> None:
    """In number and in bytes; the answer longest not asked for goes first."""
    cache = Cache(entries_max=2, bytes_max=3_000)
    for key in ("a", "b"):
        cache.put((key,), DONE, 100, 0)
    assert cache.get(("a",), 1) is DONE
    cache.put(("c",), DONE, 100, 0)
    assert cache.get(("b",), 1) is None
    cache.put(("d",), End(CallOutcome.COMPLETE, bytes(2_000)), 100, 0)
    assert cache.size_bytes <= 3_000
    cache.put(("e",), End(CallOutcome.COMPLETE, bytes(4_000)), 100, 0)
    assert cache.get(("e",), 1) is None
    assert cache.get(("d",), 100) is None
    assert cache.size_bytes <= 1_100


def test_limits_hold_and_freed_places_are_used() -> None:
    """No more run at once than the relay's limit for the function allows, however many workers have room."""
    calls = Calls(Limits({"function/f": 1}))
    one = worker(calls, "one", "f", "g", credit=5)
    first, second, other = ask(calls), ask(calls), ask(calls, function="g")
    assert [call.worker for call in (first, second, other)] == ["one", "", "one"]
    assert first.run is not None
    calls.ended(one, first.run.number, DONE, 5)
    assert second.worker == "one"


def test_a_call_that_comes_late_is_given_to_nobody() -> None:
    """Its caller has given up by then, by its own clock: the relay or its network stood still."""
    calls = Calls()
    worker(calls, credit=5)
    assert outcome(ask(calls, 1_000, since_ms=850, routing_ms=100)) is None
    late = ask(calls, 1_000, since_ms=1_000 - 100 - LATE_MS - 1, routing_ms=100)
    assert outcome(late) is CallOutcome.ROUTING_TIMEOUT


def test_a_relay_that_goes_away_refuses_what_waits_and_what_comes() -> None:
    """What runs goes on; the rest may ask elsewhere."""
    calls = Calls()
    one = worker(calls)
    runs, waits = ask(calls), ask(calls)
    calls.drain("this relay goes away", 10)
    assert outcome(waits) is CallOutcome.REFUSED
    assert outcome(ask(calls, 11)) is CallOutcome.REFUSED
    assert runs.run is not None
    calls.ended(one, runs.run.number, DONE, 12)
    assert outcome(runs) is CallOutcome.COMPLETE


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls above what a relay keeps under way are refused with the number."""
    monkeypatch.setattr(machine, "WAITING_MAX", 2)
    calls = Calls()
    ask(calls)
    ask(calls)
    third = ask(calls)
    assert third.end == End(
        CallOutcome.REFUSED, error_message="this relay has 2 calls under way, and takes no more"
    )


def test_functions_without_worker_are_known_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was asked for in vain, since when, and how often; bounded, and forgotten once somebody has it."""
    monkeypatch.setattr(machine, "UNSERVED_MAX", 2)
    calls = Calls()
    for now_ms, function in enumerate(("f", "g", "f", "h")):
        ask(calls, now_ms, function=function)
    assert [(each.function, each.since_ms, each.asked) for each in calls.unserved.values()] == [
        ("f", 0, 2),
        ("h", 3, 1),
    ]
    worker(calls, "w", "f")
    assert list(calls.unserved) == ["h"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"routing_ms": 31_536_000_000}, "routing timeout must be 0 to 3600000 ms, got 31536000000"),
        ({"routing_ms": -1}, "routing timeout must be 0 to 3600000 ms, got -1"),
        ({"running_ms": 0}, "running limit must be 1 to 604800000 ms, got 0"),
        ({"args": bytes(4_194_305)}, "arguments of a call must be at most 4194304 bytes, got 4194305"),
        (
            {"areas": tuple((f"a{each}", 1) for each in range(1_000))},
            "a call must name at most 16 areas, got 1000",
        ),
        (
            {"areas": (("a", None),)},
            "area 'a' must have a timeout where there is no routing timeout, got none",
        ),
        ({"areas": (("a", 1), ("a", 1))}, "areas of a call must differ, got a, a"),
        ({"function": ""}, "function of a call must have 1 to 200 characters, got 0"),
        ({"unique": "u" * 1_001}, "unique id of a call must have 0 to 1000 characters, got 1001"),
    ],
)
def test_bad_calls_are_refused_with_a_sentence(fields: dict[str, object], sentence: str) -> None:
    """Nobody is asked to run them."""
    calls = Calls()
    with pytest.raises(BadCall) as refused:
        ask(calls, **fields)  # type: ignore[arg-type]
    assert str(refused.value) == sentence
    assert not calls.runs


def test_memory_does_not_grow_with_calls() -> None:
    """Ten thousand calls with limits and timeouts leave nothing behind but a bounded number of alarms."""
    calls = Calls()
    one = worker(calls, credit=1)
    forever = ask(calls, function="unknown", priority=Priority.HIGH)
    for now_ms in range(10_000):
        call = ask(calls, now_ms, routing_ms=60_000, running_ms=60_000)
        ask(calls, now_ms, function="unknown", routing_ms=5)
        took(calls)
        assert call.run is not None
        calls.ended(one, call.run.number, DONE, now_ms)
        calls.credit(one, 1, now_ms)
    took(calls)
    assert forever.end is None
    assert len(calls.runs) < 10
    assert len(calls._alarms) < 2_000  # what a leak would fill
    assert sum(len(heap) for line in calls._lines.values() for heap in line.groups.values()) < 200
