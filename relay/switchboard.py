"""Foreground calls of one process: the machine of `core/calls.py`, with a clock and a timer, and whom to
tell.

Owns the order in which effects reach callers and workers, the access log (one line per call), and what the
scheduler of minions hears of calls. Every door of the process works on the same one, so that a caller of
any door is served by the workers of all. All on one event loop. It must never wait for a caller or a
worker: what they are told they put aside.

A door makes its callers and workers objects with the methods of `Caller` and `Hand`, puts them into
`Call.tag` and `Worker.tag`, and goes on like this:

    board.ask(call)                                       # BadCall: say its sentence
    board.calls.join(worker, board.clock()); board.pump() # whatever else the machine can do, and then pump
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from relay.call_notes import CallNotes
from relay.clock import Clock
from relay.core.call import Assign, Call, CallOutcome, Effect, Ended, Limit, Run, Stop, Tell, Wake, Word
from relay.core.calls import Calls
from relay.core.traffic import Traffic
from schemas.defaults import QUEUE
from schemas.telemetry.process import Telemetry

log = logging.getLogger("relay.calls")

TICK_MS_MIN = 5
"""The timer is set no nearer than this: what is due waits so long at most."""


class Caller(Protocol):
    """The side of a door that waits for a call: `Call.tag`."""

    def told(self, call: Call, word: Word) -> None:
        """Something is said of the call."""

    def over(self, call: Call) -> None:
        """The call ended, as `call.end` says; nothing follows."""


class Hand(Protocol):
    """The side of a door that has a worker: `Worker.tag`."""

    def assigned(self, run: Run) -> None:
        """Send the run."""

    def stopped(self, run: Run, reason: str) -> None:
        """Nobody waits for the run any more."""

    def limited(self, run: Run, running_ms: int | None) -> None:
        """The run's limit is another one, from now on; None: none."""

    def woken(self) -> None:
        """There is something for the worker, which sleeps."""


class Switchboard:
    """Joins callers and workers. To be made in its event loop."""

    def __init__(
        self,
        calls: Calls | None = None,
        clock: Callable[[], int] | None = None,
        relay: str = "",
        traffic: Traffic | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`traffic` tells the scheduler of minions; None: there is none. `telemetry`: None for the access
        log alone.
        """
        self.calls = Calls() if calls is None else calls
        self.clock = Clock() if clock is None else clock
        self.relay = relay
        self.notes = CallNotes(relay, telemetry)
        self.after: Callable[[], None] = lambda: None
        """Called after effects were given out: what else the process has to do then."""
        self.fault: Callable[[Exception], None] = _tell_fault
        """Told what a caller or a worker raised when it was told something."""
        self._traffic = traffic or Traffic()
        self._queues = {
            name: queue for queue, names in self._traffic.offers.functions.items() for name in names
        }
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0

    def ask(self, call: Call) -> None:
        """Takes a call in; it may be over on return. BadCall: it is outside the limits."""
        self.notes.comes(call)
        self.calls.ask(call, self.clock())
        self._traffic.inbound(self._queue(call), call.function, (area for area, _ in call.areas))
        self.pump()

    def leave(self, call: Call, reason: str = "its caller went away") -> None:
        """Its caller waits no longer. A call that is over already stays as it is."""
        self.calls.leave(call, self.clock(), reason)
        self.pump()

    def change_limit(self, call: Call, running_ms: int | None) -> None:
        """From now on the call may run for so long; None: without limit. BadCall: no such limit can be."""
        self.calls.change_limit(call, running_ms, self.clock())
        self.pump()

    def pump(self) -> None:
        """Gives out what the machine says. To be called after every call into it."""
        self.give_out()
        self.after()

    def give_out(self) -> None:
        """The same, for whoever does all the rest by itself."""
        calls = self.calls
        while calls.effects:
            effects, calls.effects = calls.effects, []
            for effect in effects:
                try:
                    self._give(effect)
                except Exception as error:  # noqa: BLE001 - one caller's or worker's; all others wait for theirs
                    self.fault(error)
        self._set_timer()

    def _give(self, effect: Effect) -> None:
        match effect:
            case Assign(worker, run):
                worker.tag.assigned(run)
            case Ended(call):
                self._ended(call)
            case Tell(call, word):
                call.tag.told(call, word)
            case Stop(worker, run, reason):
                worker.tag.stopped(run, reason)
            case Limit(worker, run, running_ms):
                worker.tag.limited(run, running_ms)
            case Wake(worker):
                worker.tag.woken()

    def close(self) -> None:
        """Watches over time no longer."""
        if self._timer is not None:
            self._timer.cancel()

    # Ends.

    def _ended(self, call: Call) -> None:
        end = call.end
        assert end is not None, "a call that ended has an end"
        areas = (area for area, _ in call.areas)
        if end.outcome is CallOutcome.ROUTING_TIMEOUT:
            self._traffic.timedout(self._queue(call), call.function, areas)
        else:
            self._traffic.done(self._queue(call), call.function, areas)
        self.notes.ended(call, end)
        call.tag.over(call)

    def _queue(self, call: Call) -> str:
        """The queue under which a scheduler offers the function: calls have none."""
        return self._queues.get(call.function, QUEUE)

    # Time.

    def _set_timer(self) -> None:
        """Sets the timer for what is due next. One that is set for something earlier stays, and finds out."""
        next_ms = self.calls.next_ms()
        if next_ms is None or (self._timer is not None and self._timer_ms <= next_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ms = next_ms
        self._timer = self._loop.call_later(max(next_ms - self.clock(), TICK_MS_MIN) / 1_000, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.calls.tick(self.clock())
        self.pump()


def _tell_fault(error: Exception) -> None:
    log.error("a fault of the process's own", exc_info=error)
