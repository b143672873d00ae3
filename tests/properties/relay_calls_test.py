"""Foreground calls under any order of events: who was told what, and what was given to whom."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from relay.core.call import (
    NEVER_RAN,
    Assign,
    Call,
    CallOutcome,
    End,
    Ended,
    Priority,
    Rule,
    Run,
    Stop,
    Tell,
    Wake,
    Word,
    WordKind,
    Worker,
)
from relay.core.calls import Calls
from relay.core.limits import Limits

FUNCTIONS = ("f", "g", "h")
AREAS = ("east", "west")
LIMIT = 2  # of g
IN_TIME_MS = st.one_of(st.none(), st.integers(0, 300))
CallNumber = st.integers(0, 10**6)


class CallsMachine(RuleBasedStateMachine):
    """Callers and workers do as they like; what the machine says of it is kept beside it."""

    @initialize()
    def begin(self) -> None:
        """Nobody is there."""
        self.now_ms = 1_000
        self.calls = Calls(Limits({"function/g": LIMIT}))
        self.open: list[Call] = []
        self.ended: dict[Call, End] = {}
        self.left: set[Call] = set()
        self.workers: list[Worker] = []
        self.given: dict[Call, int] = {}
        """How often each call was given to somebody, less how often it came back untouched."""

    def drain(self) -> None:
        """Looks at what the machine says, as a door would."""
        effects, self.calls.effects = self.calls.effects, []
        for effect in effects:
            match effect:
                case Assign(worker, run):
                    assert worker in self.workers
                    self.hand_out(run)
                case Ended(call):
                    assert call.end is not None
                    assert call not in self.ended, "a call ends once"
                    self.ended[call] = call.end
                    self.open.remove(call)
                    if call.end.outcome in NEVER_RAN:
                        assert self.given.get(call, 0) == 0, "nobody has it, or had it"
                case Tell(call, _):
                    assert call not in self.ended, "nothing is told after the end"
                    assert self.given.get(call, 0) == 1
                case Stop(worker, run, _):
                    assert run.number not in worker.runs
                case Wake(worker):
                    assert worker.asleep

    def hand_out(self, run: Run) -> None:
        """A run was given to its worker."""
        for call in run.calls:
            self.given[call] = self.given.get(call, 0) + 1
            assert self.given[call] == 1, "no call is given out twice"

    def take_back(self, run: Run) -> None:
        """A run comes back that nobody began."""
        for call in run.calls:
            self.given[call] -= 1

    @rule(
        function=st.sampled_from(FUNCTIONS),
        areas=st.lists(
            st.tuples(st.sampled_from(AREAS), st.integers(0, 200)), max_size=2, unique_by=lambda x: x[0]
        ),
        unique=st.sampled_from(("", "", "u1", "u2")),
        routing_ms=IN_TIME_MS,
        running_ms=st.one_of(st.none(), st.integers(1, 300)),
        priority=st.sampled_from(Priority),
        late_ms=st.integers(0, 400),
    )
    def ask(  # one for each thing that a caller says
        self,
        function: str,
        areas: list[tuple[str, int | None]],
        unique: str,
        routing_ms: int | None,
        running_ms: int | None,
        priority: Priority,
        late_ms: int,
    ) -> None:
        """Somebody calls, perhaps through a connection that stood still."""
        call = Call(
            function,
            b"x",
            unique=unique,
            areas=tuple(areas),
            routing_ms=routing_ms,
            running_ms=running_ms,
            priority=priority,
            since_ms=self.now_ms - late_ms if late_ms > 200 else None,
        )
        self.open.append(call)
        self.calls.ask(call, self.now_ms)
        run = call.run
        given = any(isinstance(each, Assign) and each.run is run for each in self.calls.effects)
        if run is not None and run.worker is not None and not given:
            self.given[call] = 1  # it joined a run that somebody has
        self.drain()

    @rule(
        functions=st.sets(st.sampled_from(FUNCTIONS), min_size=1),
        areas=st.sets(st.sampled_from(AREAS)),
        coalesces=st.booleans(),
        credit=st.integers(0, 3),
    )
    def join(self, functions: set[str], areas: set[str], *, coalesces: bool, credit: int) -> None:
        """A worker connects, and takes some."""
        rules = {"h": Rule(coalesce=coalesces, cache_ms=50 if coalesces else 0)}
        worker = Worker(f"w{len(self.workers)}", frozenset(functions), frozenset(areas), rules=rules)
        self.workers.append(worker)
        self.calls.join(worker, self.now_ms)
        self.calls.credit(worker, credit, self.now_ms)
        self.drain()

    @precondition(lambda self: self.workers)
    @rule(which=CallNumber, how=st.sampled_from(("credit", "grab", "sleep", "end", "fail", "say", "back")))
    def work(self, which: int, how: str) -> None:
        """A worker does something."""
        worker = self.workers[which % len(self.workers)]
        number = next(iter(worker.runs), 0)
        match how:
            case "credit":
                self.calls.credit(worker, 1, self.now_ms)
            case "grab":
                run = self.calls.grab(worker, self.now_ms)
                if run is not None:
                    self.hand_out(run)
            case "sleep":
                self.calls.sleep(worker, self.now_ms)
            case "end":
                self.calls.ended(worker, number, End(CallOutcome.COMPLETE, b"r"), self.now_ms)
            case "fail":
                self.calls.ended(worker, number, End(CallOutcome.FAILED), self.now_ms)
            case "say":
                self.calls.said(worker, number, Word(WordKind.DATA, b"d"), self.now_ms)
            case "back":
                self.calls.tick(self.now_ms)
                self.drain()
                if number in worker.runs:
                    self.take_back(worker.runs[number])
                    self.calls.give_back(worker, number, self.now_ms)
        self.drain()

    @precondition(lambda self: self.workers)
    @rule(which=CallNumber, sent=st.booleans())
    def vanish(self, which: int, *, sent: bool) -> None:
        """A worker's connection ends, before or after its runs were sent."""
        worker = self.workers[which % len(self.workers)]
        self.calls.tick(self.now_ms)
        self.drain()
        unsent = [] if sent else list(worker.runs)
        for number in unsent:
            self.take_back(worker.runs[number])
        self.calls.gone(worker, self.now_ms, "it was told to", unsent)
        self.drain()
        self.workers.remove(worker)
        assert not worker.runs

    @precondition(lambda self: self.open)
    @rule(which=CallNumber, limit_ms=st.one_of(st.none(), st.integers(1, 300)), leaves=st.booleans())
    def change_mind(self, which: int, limit_ms: int | None, *, leaves: bool) -> None:
        """A caller goes away, or sets another limit."""
        call = self.open[which % len(self.open)]
        if leaves:
            self.calls.leave(call, self.now_ms)
        else:
            self.calls.change_limit(call, limit_ms, self.now_ms)
        self.drain()

    @rule(ms=st.integers(0, 150))
    def wait(self, ms: int) -> None:
        """Time passes; the machine is told of it when it asked to be, and not a moment later."""
        end_ms = self.now_ms + ms
        while True:
            next_ms = self.calls.next_ms()
            if next_ms is None or next_ms > end_ms:
                break
            self.now_ms = max(next_ms, self.now_ms)
            self.calls.tick(self.now_ms)
            self.drain()
        self.now_ms = end_ms

    @invariant()
    def nobody_idles(self) -> None:
        """No worker has room for a call that waits and that it may take, and limits are kept."""
        for worker in self.workers:
            if worker.room() > 0:
                assert not self.calls.waits_for(worker)
            assert worker.room() >= 0
        assert sum(run.function == "g" for worker in self.workers for run in worker.runs.values()) <= LIMIT
        assert self.calls.running == sum(run.worker is not None for run in self.calls.runs.values())

    @invariant()
    def nobody_waits_too_long(self) -> None:
        """A call that waits is within its routing time, one that runs within its limit."""
        for call in self.open:
            if call.run is not None and call.run.worker is None:
                ends_ms = call.routing_ends_ms(len(call.areas))
                assert ends_ms is None or ends_ms >= self.now_ms

    def teardown(self) -> None:
        """When all workers and all patience are gone, nothing is left."""
        if not hasattr(self, "calls"):
            return
        while self.workers:
            self.vanish(0, sent=True)
        for call in list(self.open):
            if call.routing_ms is None:
                self.calls.leave(call, self.now_ms)
                self.drain()
        self.wait(5_000)
        assert not self.open
        assert not self.calls.runs
        assert not self.calls._waiting  # a leak would be there
        assert not self.calls._lines
        assert not self.calls._equal
        assert self.calls._bytes == self.calls._open == 0


TestCalls = CallsMachine.TestCase
TestCalls.settings = settings(deadline=None, stateful_step_count=60, max_examples=60)
