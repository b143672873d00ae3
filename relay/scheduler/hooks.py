"""The interface of a scheduler of minions, which is also the one that does nothing.

Owns what a relay asks of a scheduler, and how one is found by its name. Must never hold a job up: the calls
return at once, and what they start goes on beside the relay's work.
"""

import importlib
import logging
import sys
from collections.abc import Collection, Iterable, Mapping

from relay.core.traffic import ANSWER_MS, Hook, Offers, Told
from schemas.names import BadName, check_function, check_queue
from schemas.settings import BadSetting

log = logging.getLogger("relay.scheduler")


class Scheduler:
    """Brings minions when there is work, and lets them go when there is none. This one does neither; one's
    own is a subclass, named to the relay as `--scheduler module:name`.

    All methods are called on the relay's event loop. `inbound`, `done` and `timedout` must return at once (to
    start something, make a task); one that raises is told in the log, and the relay goes on. For each job
    that was `inbound` exactly one of `done` and `timedout` follows. Jobs that other minions serve are told
    too.
    """

    offers: Mapping[str, Collection[str]] = {}
    """Functions by queue that minions can be brought for. These queues are read, and these functions' jobs
    are taken and wait, even while no minion is connected.
    """
    answer_s: float = ANSWER_MS / 1_000
    """How long after its arrival a job of such a function is given up, if no minion with it is connected."""

    async def open(self, relay: str) -> None:
        """The relay has started. Minions connect to it at `relay`, host:port."""

    async def close(self) -> None:
        """The relay goes away."""

    def inbound(self, queue: str, function: str, areas: tuple[str, ...], count: int) -> None:
        """So many jobs of a function came, and are about to be given to minions, if there are some.

        `areas` are where they should run, nearest first; empty: anywhere.
        """

    def done(self, queue: str, function: str, areas: tuple[str, ...], count: int) -> None:
        """So many of them are no longer waited for: they ended, in whatever way."""

    def timedout(self, queue: str, function: str, areas: tuple[str, ...], count: int) -> None:
        """So many were given up, since no minion had the function for `answer_s`. Durable jobs wait elsewhere
        and come again when a minion with it connects, so one should still be brought.
        """


def offers_of(scheduler: Scheduler) -> Offers:
    """What a scheduler offers. BadSetting if it cannot be."""
    try:
        for queue, functions in scheduler.offers.items():
            check_queue(queue)
            for function in functions:
                check_function(function)
    except BadName as bad:
        raise BadSetting(f"what a scheduler offers must be functions by queue: {bad}") from None
    functions = {queue: frozenset(functions) for queue, functions in scheduler.offers.items() if functions}
    return Offers(functions, int(scheduler.answer_s * 1_000))


def tell(scheduler: Scheduler, told: Iterable[Told]) -> None:
    """Calls a scheduler's hooks, in order."""
    calls = {
        Hook.INBOUND: scheduler.inbound,
        Hook.DONE: scheduler.done,
        Hook.TIMEDOUT: scheduler.timedout,
    }
    for each in told:
        try:
            calls[each.hook](each.queue, each.function, each.areas, each.count)
        except Exception:
            log.exception("the scheduler failed at %s function=%s", each.hook, each.function)


def find(name: str) -> Scheduler:
    """The scheduler at `module:name`: one, or what makes one when it is called without arguments.

    Modules are looked for in the working directory too. BadSetting if there is none.
    """
    module_name, _, attribute = name.partition(":")
    if "" not in sys.path and "." not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
        made = found if isinstance(found, Scheduler) else found()
    except Exception as error:
        log.debug("no scheduler at %s", name, exc_info=True)
        raise BadSetting(
            f"scheduler must be module:name of a Scheduler that can be had, got {name!r}: "
            f"{type(error).__name__}: {error}"
        ) from None
    if not isinstance(made, Scheduler):
        raise BadSetting(
            f"scheduler must be module:name of a relay.scheduler.Scheduler, got {type(made).__name__} "
            f"at {name!r}"
        )
    return made
