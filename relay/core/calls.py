"""Foreground calls: callers who wait, workers who take them, and who is told what. A machine without input
or output.

For whoever writes a door (gRPC, Gearman, HTTP): this page and `call.py` are all there is to know. Nothing
here waits, logs or looks at a clock; every method gets `now_ms`, ms on one clock that never goes back. Owns
the promise that a call which ended as `routing_timeout` or `refused` was given to nobody for its caller,
and never will be.

How a door uses it
------------------
In: method calls. Out: `effects`, a list that the shell takes away after each call into the machine
(`relay/switchboard.py` does that for all doors of a process, and calls the door's `tell`, `assign`, ...).

*Callers.* Make a `Call` (function, args, `unique`, `areas`, `routing_ms`, `running_ms`, `priority`, and
your own `tag`), and `ask` it. `BadCall` means that it is outside the limits: say its sentence. From then on
the caller gets `Tell(call, word)` any number of times (assigned, data, status, warning, exception) and
`Ended(call)` exactly once, also when it is ended at once. `change_limit` sets how long it may run from now
on, `leave` takes a caller that vanished (or cancels) away: its call ends as `cancelled`, and its run is
stopped if nobody else waits for it. `assigned` is told only of runs that last longer than
ASSIGNED_AFTER_MS, so that short ones cost one message.

*Workers.* Make a `Worker` (name, functions, areas, rules), `join` it, and `gone` when its connection ends.
Two ways to get work, to be mixed as one likes:

- pushed (gRPC sessions): `credit(worker, more)` lets so many more runs be sent; each comes as
  `Assign(worker, run)` and spends one. A subclass may override `room` and `spend` when its credits are
  counted elsewhere; then call `fill(worker)` whenever its room has grown.
- pulled (Gearman): on GRAB_JOB call `grab(worker)`: it gives a run (JOB_ASSIGN) or None (NO_JOB). On
  PRE_SLEEP call `sleep(worker)`: `Wake(worker)` (NOOP) follows as soon as something waits that it can run,
  perhaps at once.

CAN_DO and CANT_DO are `can_do(worker, function, timeout_ms)` and `cannot_do`. While it runs: `said(worker,
number, word)`, and at its end `ended(worker, number, end)`. A run that it did not begin (it drains, it is
full) it gives back with `give_back`: the run goes to somebody else as long as its callers look.
`Stop(worker, run, reason)` says that nobody waits any longer: the run is forgotten already, so no answer is
needed, and one that comes all the same is ignored (`said` and `ended` give False). `Limit` tells a worker
of a new limit; a worker that cannot be told ignores both, the machine watches over the limits by itself.

*Time.* `tick` does what is due, `next_ms()` says when to call it again (None: not before something else
happens). It is never wrong to call it too often; each method first does what was due before.

What happens to a call
----------------------
1. An answer that is known (`Rule.cache_ms`) ends it at once, `end.cached`.
2. It joins the run of an equal call that waits or runs: equal by `unique`, or by function and arguments
   where the function's rule says `coalesce`. It sees what is said from then on, and the same end.
3. Else it is looked for a worker: first in its first area, then in its first two, ..., then anywhere; each
   step takes its own timeout, or `routing_ms` where it has none, so one area doubles the whole and two
   triple it. Among the workers that may have it, earlier areas go first, and workers with room take turns.
   Which areas exist is what workers say; nothing is configured.
4. While nobody has room it waits: higher priorities first, within one the older. When its last step is over
   it ends as `routing_timeout`. With several callers each has its own time; the run waits on for the
   others.
5. Once it is assigned only `running_ms` counts, from the assignment on (or from `change_limit` on). Whoever
   waited as long as he would gets `running_timeout`; when the last of a run's callers is gone its worker is
   told to stop.
6. A worker that vanishes ends its runs as `lost`, but those that were never sent to it (`gone(...,
   unsent)`) look for another one. Nothing is run twice by the machine's own will.

Bounds: WAITING_MAX runs and WAITING_BYTES_MAX of arguments wait or run at once (above: `refused`),
CALLS_PER_RUN_MAX callers share one, the cache has its own. Unknown functions are no error: their worker may
be starting. They are counted by name, up to UNSERVED_MAX names.
"""

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

from relay.core.call import (
    ASSIGNED,
    NO_RULE,
    Assign,
    Call,
    CallOutcome,
    Effect,
    End,
    Ended,
    Limit,
    Rule,
    Run,
    Stop,
    Tell,
    Wake,
    Word,
    Worker,
    check_call,
    check_running_ms,
)
from relay.core.call_cache import Cache, arguments_key
from relay.core.call_lines import Line
from relay.core.limits import Limits
from schemas.proto import relay_pb2

WAITING_MAX = 100_000
"""Runs that wait or run at once; a call above that is refused."""

WAITING_BYTES_MAX = 256 * 1024 * 1024
"""Of their arguments."""

CALLS_PER_RUN_MAX = 10_000
"""Callers that share one run; the next equal call gets a run of its own."""

ASSIGNED_AFTER_MS = 20
"""A run that lasts so long is told to its callers as assigned."""

LATE_MS = 50
"""How much later than its caller's own end of looking a call may still come in: messages take a while."""

WAKE_AGAIN_MS = 50
"""A sleeping worker that was woken and did not come for so long is thought to be slow: another one is
woken.
"""

UNSERVED_MAX = 1_000
"""Functions without worker that are remembered by name."""

UNSERVED_KEEP_MS = 600_000
"""For how long, since they were last asked for."""

ALARMS_SPARE = 1_000
"""Alarms of what is over that are kept, above one for each that is not."""


@dataclass(slots=True)
class Unserved:
    """A function that was asked for and that no worker here has."""

    function: str
    since_ms: int
    asked_at_ms: int
    asked: int = 0


class Calls:
    """The machine. `limits` are those of the relay by `function/<name>`, shared with its durable jobs."""

    def __init__(self, limits: Limits | None = None, cache: Cache | None = None) -> None:
        self.effects: list[Effect] = []
        self.workers: set[Worker] = set()
        self.runs: dict[int, Run] = {}
        """All that wait or run."""
        self.running = 0
        """How many of them run."""
        self.cache = Cache() if cache is None else cache
        self.unserved: dict[str, Unserved] = {}
        self.outcomes: Counter[CallOutcome] = Counter()
        self.asked = self.assigned = self.coalesced = self.cached = 0
        self.leaving = ""
        """Why no calls are taken any more; empty: they are."""
        self._limits = Limits() if limits is None else limits
        self._lines: dict[str, Line] = {}
        self._waiting: dict[str, Line] = {}
        self._rules: dict[str, Rule] = {}
        self._equal: dict[tuple[object, ...], Run] = {}
        self._numbers = itertools.count(1)
        self._order = itertools.count()
        self._alarms: list[tuple[int, int, Call | Run]] = []
        self._untold: deque[Run] = deque()
        self._woken: deque[tuple[int, Worker]] = deque()
        self._sleeping: dict[Worker, None] = {}
        """Who sleeps and was not woken; who fell asleep first is first."""
        self._roused: dict[Worker, None] = {}
        """Who was woken, and has not come."""
        self._freed: set[str] = set()
        self._open = 0
        self._bytes = 0

    # Callers.

    def ask(self, call: Call, now_ms: int) -> None:
        """Takes a call in; it may be assigned or ended already on return. BadCall: it is outside the
        limits.
        """
        check_call(call)
        self.tick(now_ms)
        call.asked_at_ms = now_ms
        if call.since_ms is not None:
            call.since_ms = min(call.since_ms, now_ms)
        self.asked += 1
        rule = self._rules.get(call.function, NO_RULE)
        self._note_unserved(call, now_ms)
        refusal = self._refusal(call, now_ms)
        if refusal is not None:
            self._end(call, refusal, now_ms)
            return
        by_arguments = (
            arguments_key(call.function, call.args, call.content_type, rule)
            if rule.cache_ms or rule.coalesce
            else None
        )
        if rule.cache_ms and by_arguments is not None:
            known = self.cache.get(by_arguments, now_ms)
            if known is not None:
                self.cached += 1
                self._end(call, known, now_ms)
                return
        equal = (call.function, call.unique) if call.unique else by_arguments if rule.coalesce else None
        run = None if equal is None else self._equal.get(equal)
        if run is not None and len(run.calls) < CALLS_PER_RUN_MAX:
            self.coalesced += 1
            self._join_run(call, run, now_ms)
        else:
            self._begin(call, equal, now_ms)

    def change_limit(self, call: Call, running_ms: int | None, now_ms: int) -> None:
        """From now on the call may run for so long, from its assignment if that is yet to come; None:
        without limit.

        BadCall: no such limit can be.
        """
        check_running_ms(running_ms)
        self.tick(now_ms)
        run = call.run
        call.running_ms = running_ms
        if call.end is not None or run is None or run.worker is None:
            return
        self._set_alarm(call, None if running_ms is None else now_ms + running_ms)
        self.effects.append(Limit(run.worker, run, run.running_ms(now_ms)))

    def leave(self, call: Call, now_ms: int, reason: str = "its caller went away") -> None:
        """The caller waits no longer. A call that is over already stays as it
        is.
        """
        self.tick(now_ms)
        if call.end is None and call.run is not None:
            self._finish(call, End(CallOutcome.CANCELLED, error_message=reason), now_ms)
            self._desert(call, reason)
            self._settle(now_ms)

    # Workers.

    def join(self, worker: Worker, now_ms: int) -> None:
        """A worker is there. What waits is given to it with its first credits."""
        self.tick(now_ms)
        self.workers.add(worker)
        functions, worker.functions = worker.functions, set()
        for function in functions:
            self._serve(worker, function)
        self.fill(worker, now_ms)

    def can_do(self, worker: Worker, function: str, now_ms: int, timeout_ms: int | None = None) -> None:
        """The worker can run one more function, each time for so long at most; None: without limit of its
        own.
        """
        worker.timeouts.pop(function, None)
        if timeout_ms:
            worker.timeouts[function] = timeout_ms
        if function not in worker.functions:
            self._serve(worker, function)
        self.fill(worker, now_ms)

    def cannot_do(self, worker: Worker, function: str) -> None:
        """The worker takes no more of this function; what it runs goes on."""
        if function in worker.functions:
            worker.functions.discard(function)
            worker.timeouts.pop(function, None)
            line = self._lines[function]
            line.leave(worker)
            self._learn_rule(line)
            self._tidy(line)

    def credit(self, worker: Worker, more: int, now_ms: int) -> None:
        """The worker takes so many more runs."""
        worker.credits += more
        self.fill(worker, now_ms)

    def fill(self, worker: Worker, now_ms: int, most: int | None = None) -> int:
        """Gives a worker what waits, as far as it has room, `most` at most; how many that were."""
        self.tick(now_ms)
        given = 0
        while worker in self.workers and worker.room() > 0 and (most is None or given < most):
            run = self._best(worker)
            if run is None:
                break
            self._assign(run, worker, now_ms)
            given += 1
        return given

    def grab(self, worker: Worker, now_ms: int) -> Run | None:
        """The worker comes for a run: it is given one now, without an effect, or there is none."""
        self.tick(now_ms)
        worker.asleep = False
        worker.woken_at_ms = None
        self._up(worker)
        run = self._best(worker) if worker in self.workers else None
        if run is not None:
            worker.credits += 1
            self._assign(run, worker, now_ms, told=True)
        return run

    def sleep(self, worker: Worker, now_ms: int) -> None:
        """The worker will come when it is woken: at once, if something waits for it."""
        self.tick(now_ms)
        if worker in self.workers:
            worker.asleep = True
            worker.woken_at_ms = None
            self._up(worker)
            self._sleeping[worker] = None
            if self._best(worker) is not None:
                self._wake(worker, now_ms)

    def waits_for(self, worker: Worker) -> bool:
        """True if a call waits that this worker could run, whether or not it has room."""
        return bool(self._waiting) and self._best(worker) is not None

    def said(self, worker: Worker, number: int, word: Word, now_ms: int) -> bool:
        """The worker says something of a run; False if that is not (any longer) its."""
        self.tick(now_ms)
        run = worker.runs.get(number)
        if run is None:
            return False
        self._tell_assigned(run)
        for call in run.calls:
            self.effects.append(Tell(call, word))
        return True

    def ended(self, worker: Worker, number: int, end: End, now_ms: int) -> bool:
        """A run is over; False if it was not (any longer) the worker's."""
        self.tick(now_ms)
        run = worker.runs.get(number)
        if run is None:
            return False
        rule = self._rules.get(run.function, NO_RULE)
        if end.outcome is CallOutcome.COMPLETE and rule.cache_ms:
            key = arguments_key(run.function, run.args, run.content_type, rule)
            known = End(end.outcome, end.result, end.result_type, cached=True)
            self.cache.put(key, known, rule.cache_ms, now_ms)
        self._over(run, end, now_ms)
        self._settle(now_ms)
        return True

    def give_back(self, worker: Worker, number: int, now_ms: int) -> bool:
        """The worker has not begun a run, and will not: others may have it. False if it was not its."""
        self.tick(now_ms)
        run = worker.runs.get(number)
        if run is None:
            return False
        run.avoid |= {worker}
        self._again(run, now_ms)
        self._settle(now_ms)
        return True

    def gone(self, worker: Worker, now_ms: int, reason: str, unsent: Iterable[int] = ()) -> None:
        """The worker's connection ended: what it runs is lost, but for runs that were never sent to it."""
        self.retire(worker, now_ms)
        for number in unsent:
            if number in worker.runs:
                self._again(worker.runs[number], now_ms)
        sentence = f"worker {worker.name} vanished while it ran the call: {reason}"
        for run in list(worker.runs.values()):
            self._over(run, End(CallOutcome.LOST, error_message=sentence), now_ms)
        self._settle(now_ms)

    def retire(self, worker: Worker, now_ms: int) -> None:
        """The worker takes no more; what it runs goes on."""
        self.tick(now_ms)
        for function in list(worker.functions):
            self.cannot_do(worker, function)
        worker.asleep = False
        self._up(worker)
        self.workers.discard(worker)

    def drain(self, reason: str, now_ms: int) -> None:
        """The relay goes away: what waits is refused, and so is what comes; what runs goes on."""
        self.tick(now_ms)
        self.leaving = reason
        for run in [run for run in self.runs.values() if run.worker is None]:
            self._over(run, End(CallOutcome.REFUSED, error_message=reason), now_ms)

    def freed(self, now_ms: int) -> None:
        """Durable jobs ended that counted against limits: calls may take their places."""
        self.tick(now_ms)
        self._freed.update(self._waiting)
        self._settle(now_ms)

    # Time.

    def next_ms(self) -> int | None:
        """When `tick` has something to do next; None: not before something else happens."""
        found = [self._alarms[0][0]] if self._alarms else []
        if self._untold:
            found.append(self._untold[0].assigned_at_ms + ASSIGNED_AFTER_MS)
        if self._woken:
            found.append(self._woken[0][0] + WAKE_AGAIN_MS)
        return min(found) if found else None

    def tick(self, now_ms: int) -> None:
        """Does what is due: steps on from area to area, ends what waited or ran too long."""
        while self._alarms and self._alarms[0][0] <= now_ms:
            at_ms, _, who = heapq.heappop(self._alarms)
            if who.alarm_ms != at_ms:
                continue
            who.alarm_ms = None
            if isinstance(who, Run):
                self._worker_limit(who, now_ms)
            elif who.run is not None and who.run.worker is not None:
                self._ran_too_long(who, now_ms)
            else:
                self._step_on(who, now_ms)
        while self._untold and self._untold[0].assigned_at_ms + ASSIGNED_AFTER_MS <= now_ms:
            self._tell_assigned(self._untold.popleft())
        while self._woken and self._woken[0][0] + WAKE_AGAIN_MS <= now_ms:
            woken_at_ms, worker = self._woken.popleft()
            if worker.woken_at_ms == woken_at_ms:
                worker.woken_at_ms = None
                if worker in self._roused:
                    del self._roused[worker]
                    self._sleeping[worker] = None
                self._wake_others(worker, now_ms)
        self._settle(now_ms)

    # Looking for a worker.

    def _refusal(self, call: Call, now_ms: int) -> End | None:
        """Why a call is not taken in; None: it is."""
        if self.leaving:
            return End(CallOutcome.REFUSED, error_message=self.leaving)
        if len(self.runs) >= WAITING_MAX:
            sentence = f"this relay has {WAITING_MAX} calls under way, and takes no more"
            return End(CallOutcome.REFUSED, error_message=sentence)
        if self._bytes + len(call.args) > WAITING_BYTES_MAX:
            sentence = f"this relay has calls of {self._bytes} bytes under way, and takes no more"
            return End(CallOutcome.REFUSED, error_message=sentence)
        ends_ms = call.routing_ends_ms(len(call.areas))
        if ends_ms is not None and now_ms > ends_ms + LATE_MS:
            sentence = f"the call came in {now_ms - ends_ms} ms after its routing timeout was over"
            return End(CallOutcome.ROUTING_TIMEOUT, error_message=sentence)
        return None

    def _begin(self, call: Call, equal: tuple[object, ...] | None, now_ms: int) -> None:
        run = Run(
            next(self._numbers),
            call.function,
            call.args,
            call.content_type,
            call.unique,
            call.trace,
            call.priority,
            equal=equal,
        )
        self.runs[run.number] = run
        self._bytes += len(run.args)
        if equal is not None:
            self._equal.setdefault(equal, run)
        self._attach(call, run)
        self._look_from(call, now_ms)
        self._place(run, now_ms)
        if run.worker is None:
            self._await_step(call, now_ms)

    def _join_run(self, call: Call, run: Run, now_ms: int) -> None:
        self._attach(call, run)
        if run.worker is not None:
            self._assigned_to(call, run.worker, now_ms)
            if run.told:
                self.effects.append(Tell(call, ASSIGNED))
            return
        self._look_from(call, now_ms)
        if call.priority < run.priority:
            self._line(run.function).remove(run)
            run.priority = call.priority
        self._place(run, now_ms)
        if run.worker is None:
            self._await_step(call, now_ms)

    def _attach(self, call: Call, run: Run) -> None:
        call.run = run
        run.calls.append(call)
        self._open += 1

    def _look_from(self, call: Call, now_ms: int) -> None:
        """Finds the step in which a call looks now: a caller's own clock may have begun before it came in."""
        while not call.looks_anywhere():
            ends_ms = call.routing_ends_ms(call.step)
            if ends_ms is None or ends_ms > now_ms:
                return
            call.step += 1

    def _place(self, run: Run, now_ms: int) -> None:
        """Gives a run to a worker with room, or lets it wait for one."""
        line = self._line(run.function)
        if self._limits.room("", run.function):
            worker = line.pick(run)
            if worker is not None:
                self._assign(run, worker, now_ms)
                return
        line.push(run)
        self._waiting[run.function] = line
        sleeper = line.wakes(run, self._sleeping, self._roused)
        if sleeper is not None:
            self._wake(sleeper, now_ms)

    def _await_step(self, call: Call, now_ms: int) -> None:
        """Sets when the call looks further, or ends."""
        ends_ms = call.routing_ends_ms(call.step)
        if ends_ms is not None and ends_ms <= now_ms:
            self._step_on(call, now_ms)
        else:
            self._set_alarm(call, ends_ms)

    def _step_on(self, call: Call, now_ms: int) -> None:
        """A step of looking is over: the next one, or the end."""
        run = call.run
        if call.end is not None or run is None:
            return
        if call.looks_anywhere():
            waited_ms = now_ms - call.asked_at_ms
            sentence = f"no worker took {call.function} within {waited_ms} ms, and none will"
            self._finish(call, End(CallOutcome.ROUTING_TIMEOUT, error_message=sentence), now_ms)
            self._desert(call, sentence)
            return
        call.step += 1
        self._place(run, now_ms)
        if run.worker is None:
            self._await_step(call, now_ms)

    def _best(self, worker: Worker) -> Run | None:
        """What the worker shall run next."""
        found = None
        if len(self._waiting) < len(worker.functions):
            lines = [line for name, line in self._waiting.items() if name in worker.functions]
        else:
            lines = [self._waiting[name] for name in worker.functions if name in self._waiting]
        for line in lines:
            if self._limits.room("", line.function):
                best = line.best(worker)
                if best is not None and (found is None or best < found):
                    found = best
        return None if found is None else found[2]

    # Runs.

    def _assign(self, run: Run, worker: Worker, now_ms: int, *, told: bool = False) -> None:
        """Gives the run to the worker; `told`: it knows already."""
        line = self._lines[run.function]
        line.remove(run)
        self._unwait(line)
        run.worker = worker
        run.assigned_at_ms = now_ms
        worker.runs[run.number] = run
        worker.spend(now_ms)
        self.running += 1
        self.assigned += 1
        self._limits.begin("", run.function)
        for call in run.calls:
            self._assigned_to(call, worker, now_ms)
        worker_ms = worker.timeouts.get(run.function)
        if worker_ms is not None:
            self._set_alarm(run, now_ms + worker_ms)
        self._untold.append(run)
        if not told:
            self.effects.append(Assign(worker, run))

    def _assigned_to(self, call: Call, worker: Worker, now_ms: int) -> None:
        call.waited_ms = now_ms - call.asked_at_ms
        call.worker = worker.name
        call.area = next((area for area, _ in call.areas if area in worker.areas), "")
        self._set_alarm(call, None if call.running_ms is None else now_ms + call.running_ms)

    def _tell_assigned(self, run: Run) -> None:
        if not run.told and run.worker is not None:
            run.told = True
            for call in run.calls:
                self.effects.append(Tell(call, ASSIGNED))

    def _again(self, run: Run, now_ms: int) -> None:
        """Nobody has the run any more, and it has not begun: it looks on, for as long as its callers do."""
        self._take_from(run)
        run.told = False
        for call in list(run.calls):
            call.worker = call.area = ""
            call.waited_ms = 0
            self._set_alarm(call, None)
            self._look_from(call, now_ms)
        if self.leaving:
            self._over(run, End(CallOutcome.REFUSED, error_message=self.leaving), now_ms)
            return
        for call in list(run.calls):
            ends_ms = call.routing_ends_ms(len(call.areas))
            if ends_ms is not None and ends_ms <= now_ms:
                self._step_on(call, now_ms)
        if run.calls:
            self._place(run, now_ms)
        for call in list(run.calls):
            if run.worker is None and call.end is None:
                self._await_step(call, now_ms)

    def _ran_too_long(self, call: Call, now_ms: int) -> None:
        sentence = f"{call.function} ran longer than the {call.running_ms} ms that its caller gave it"
        self._finish(call, End(CallOutcome.RUNNING_TIMEOUT, error_message=sentence), now_ms)
        self._desert(call, sentence)

    def _worker_limit(self, run: Run, now_ms: int) -> None:
        """The worker's own limit for the function is over."""
        worker = run.worker
        if worker is None:
            return
        sentence = f"{run.function} ran longer than the limit that its worker {worker.name} gave for it"
        self.effects.append(Stop(worker, run, sentence))
        self._over(run, End(CallOutcome.FAILED, error_type="Timeout", error_message=sentence), now_ms)

    def _desert(self, call: Call, reason: str) -> None:
        """A caller that was ended leaves its run; a run that all have left is stopped."""
        run = call.run
        if run is None:
            return
        if run.calls:
            if run.group is not None:
                self._lines[run.function].push(run)  # the others may look in fewer areas
            return
        worker = run.worker
        self._forget(run)
        if worker is not None:
            self.effects.append(Stop(worker, run, reason))

    def _over(self, run: Run, end: End, now_ms: int) -> None:
        """The run is over, for all who wait for it."""
        for call in list(run.calls):
            self._finish(call, end, now_ms)
        self._forget(run)

    def _finish(self, call: Call, end: End, now_ms: int) -> None:
        """Ends a call that has a run; the run stays."""
        assert call.run is not None
        call.run.calls.remove(call)
        self._open -= 1
        if call.run.worker is not None:
            call.ran_ms = now_ms - call.asked_at_ms - call.waited_ms
        else:
            call.waited_ms = now_ms - call.asked_at_ms
        self._end(call, end, now_ms)

    def _end(self, call: Call, end: End, now_ms: int) -> None:
        assert call.end is None, f"a call must end once, got {call.end} and then {end} at {now_ms}"
        call.alarm_ms = None
        call.end = end
        self.outcomes[end.outcome] += 1
        self.effects.append(Ended(call))

    def _take_from(self, run: Run) -> None:
        """The run's worker has it no more."""
        worker, run.worker = run.worker, None
        run.alarm_ms = None
        if worker is not None:
            del worker.runs[run.number]
            self.running -= 1
            self._limits.end("", run.function)
            if self._limits.freed:
                self._freed.add(run.function)

    def _settle(self, now_ms: int) -> None:
        """Places of limits are free: what waited for them is given out."""
        while self._freed:
            function = self._freed.pop()
            line = self._waiting.get(function)
            for worker in list(line.workers) if line is not None else ():
                self._use_freed(function, worker, now_ms)

    def _use_freed(self, function: str, worker: Worker, now_ms: int) -> None:
        while function in self._waiting and self._limits.room("", function):
            best = self._waiting[function].best(worker)
            if best is None:
                return
            if worker.room() <= 0:
                if worker.asleep:
                    self._wake(worker, now_ms)
                return
            self._assign(best[2], worker, now_ms)

    def _forget(self, run: Run) -> None:
        """Takes a run that is over out of all that is kept."""
        line = self._lines.get(run.function)
        if line is not None:
            line.remove(run)
        self._take_from(run)
        self.runs.pop(run.number, None)
        self._bytes -= len(run.args)
        if run.equal is not None and self._equal.get(run.equal) is run:
            del self._equal[run.equal]
        if line is not None:
            self._unwait(line)

    # Smaller things.

    def _serve(self, worker: Worker, function: str) -> None:
        worker.functions.add(function)
        line = self._line(function)
        line.join(worker)
        self._learn_rule(line)
        self.unserved.pop(function, None)

    def _learn_rule(self, line: Line) -> None:
        """The function's rule is what the latest of its workers says that says anything, and goes with
        them.
        """
        said = next((each.rules for each in reversed(line.workers) if each.rules is not None), {})
        rule = said.get(line.function, NO_RULE)
        if rule == NO_RULE:
            self._rules.pop(line.function, None)
        else:
            self._rules[line.function] = rule

    def _line(self, function: str) -> Line:
        line = self._lines.get(function)
        if line is None:
            line = self._lines[function] = Line(function)
        return line

    def _unwait(self, line: Line) -> None:
        if not line.size:
            self._waiting.pop(line.function, None)
            self._tidy(line)

    def _tidy(self, line: Line) -> None:
        if not line.workers and not line.size:
            self._lines.pop(line.function, None)

    def _set_alarm(self, who: Call | Run, at_ms: int | None) -> None:
        who.alarm_ms = at_ms
        if at_ms is None:
            return
        heapq.heappush(self._alarms, (at_ms, next(self._order), who))
        if len(self._alarms) > 2 * (self._open + len(self.runs)) + ALARMS_SPARE:
            self._alarms = [each for each in self._alarms if each[2].alarm_ms == each[0]]
            heapq.heapify(self._alarms)

    def _up(self, worker: Worker) -> None:
        """The worker sleeps no longer."""
        self._sleeping.pop(worker, None)
        self._roused.pop(worker, None)

    def _wake(self, worker: Worker, now_ms: int) -> None:
        if worker.woken_at_ms is None:
            worker.woken_at_ms = now_ms
            self._sleeping.pop(worker, None)
            self._roused[worker] = None
            self._woken.append((now_ms, worker))
            self.effects.append(Wake(worker))

    def _wake_others(self, slow: Worker, now_ms: int) -> None:
        """A worker was woken and did not come: all others that sleep are woken for what waits."""
        for worker in self.workers:
            if worker is not slow and worker.asleep and worker.woken_at_ms is None and self.waits_for(worker):
                self._wake(worker, now_ms)

    def _note_unserved(self, call: Call, now_ms: int) -> None:
        line = self._lines.get(call.function)
        if line is not None and line.workers:
            return
        found = self.unserved.get(call.function)
        if found is None:
            if len(self.unserved) >= UNSERVED_MAX:
                self._forget_unserved(now_ms)
            found = self.unserved[call.function] = Unserved(call.function, now_ms, now_ms)
        found.asked += 1
        found.asked_at_ms = now_ms

    def _forget_unserved(self, now_ms: int) -> None:
        """Makes room for one more name: what was not asked for lately goes, else the one longest not asked
        for.
        """
        old = [each for each in self.unserved.values() if now_ms - each.asked_at_ms > UNSERVED_KEEP_MS]
        for each in old or [min(self.unserved.values(), key=lambda one: one.asked_at_ms)]:
            del self.unserved[each.function]


def calls_status(calls: Calls, now_ms: int) -> relay_pb2.CallsStatus:
    """What it does now, and what it did since it began."""
    return relay_pb2.CallsStatus(
        asked=calls.asked,
        assigned=calls.assigned,
        coalesced=calls.coalesced,
        cached=calls.cached,
        running=calls.running,
        waiting=len(calls.runs) - calls.running,
        outcomes=[
            relay_pb2.CallCount(outcome=outcome, count=count)
            for outcome, count in sorted(calls.outcomes.items())
        ],
        unserved=[
            relay_pb2.UnservedFunction(
                function=each.function, since_ms=now_ms - each.since_ms, asked=each.asked
            )
            for each in calls.unserved.values()
        ],
    )
