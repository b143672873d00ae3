"""Runs one attempt of a job in this process, the way a minion would, by the clock of the test.

Owns how a function is called and what its end is called; arguments, results and errors are handled by the
minion's own code. It must never decide what follows.
"""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from jobstream import resources
from jobstream.context import Attempt, Stop, running
from jobstream.functions import Function
from jobstream.minion import outcome
from jobstream.minion.calls import Call
from jobstream.testing.machine import Machine
from schemas.codec import encode
from schemas.events import Beat, Dispatch, Heartbeat, Receipt
from schemas.proto import relay_pb2
from schemas.words import BeatKind, Outcome

MINION, SESSION, RELAY = "test", "test", "test"
"""Who runs things here, as status pages tell it."""
UNWIND_S = 2.0
"""How long an async function that was asked to stop may take."""


class LocalAttempt(Attempt):
    """An attempt whose time is the test's. What it tells is read when somebody looks."""

    __slots__ = ("dirty", "dispatch", "error", "machine", "task")

    def __init__(self, dispatch: Dispatch, machine: Machine) -> None:
        super().__init__(
            job=dispatch.job,
            epoch=dispatch.epoch,
            attempt=dispatch.attempt,
            key=dispatch.key,
            partition=dispatch.partition,
            queue=dispatch.queue,
            function=dispatch.function,
            timeout_ms=dispatch.timeout_ms,
            assigned_at_ms=machine.now_ms,
            created_at_ms=dispatch.created_at_ms,
            deadline_ms=machine.now_ms + dispatch.timeout_ms,
            previous=dispatch.checkpoint or b"",
            trace=dispatch.trace or "",
        )
        self.dispatch = dispatch
        self.machine = machine
        self.dirty = False
        self.error: BaseException | None = None
        self.task: asyncio.Task[Any] | None = None

    def start(self) -> None:
        """Notes that the function begins now."""
        self.started_at_ms = self.machine.now_ms

    def run_ms(self) -> int:
        """For how long the function has run by the clock of the test."""
        return self.machine.now_ms - self.started_at_ms if self.started_at_ms else 0

    def changed(self) -> None:
        """It is told when somebody looks."""
        self.dirty = True

    def ask_to_stop(self, stop: Stop, reason: str) -> None:
        """Sets the flag, and cancels the task of an async function as a minion does."""
        super().ask_to_stop(stop, reason)
        if self.task is not None:
            self.task.get_loop().call_soon_threadsafe(self.task.cancel, reason)

    def wait_for_stop(self, seconds: float) -> bool:
        """Moves the clock instead of sleeping; True if the attempt shall stop by then."""
        if self.stop is None:
            self.machine.now_ms += round(seconds * 1_000)
            if self.machine.now_ms >= self.deadline_ms:
                self.ask_to_stop(Stop.TIMED_OUT, "the attempt ran longer than its timeout")
        return self.stop is not None

    def beat(self, kind: BeatKind) -> None:
        """Tells the machine that the attempt is alive, and where it is."""
        now_ms = self.machine.now_ms
        self.dirty = False
        beat = Beat(
            job=self.job,
            key=self.key,
            epoch=self.epoch,
            attempt=self.attempt,
            kind=kind,
            minion=MINION,
            session=SESSION,
            assigned_at_ms=self.assigned_at_ms,
            started_at_ms=self.started_at_ms or None,
            deadline_ms=self.deadline_ms,
            step=self.step[0] if self.step is not None else None,
            step_at_ms=now_ms if self.step is not None else None,
            done=self.progress[0] if self.progress is not None else None,
            total=self.progress[1] if self.progress is not None else None,
            checkpoint=self.checkpoint,
        )
        heartbeat = Heartbeat(partition=self.partition, relay=RELAY, at_ms=now_ms, beats=(beat,))
        self.machine.write(self.machine.topics.heartbeats, encode(heartbeat))

    async def run(self, function: Function[..., Any], given: Mapping[str, Any]) -> Receipt:
        """Runs the function, and says how it ended; `error` is what it raised.

        Args:
            function: What to call.
            given: Values for its resources; those that are left out are opened for this attempt.
        """
        async with AsyncExitStack() as stack:
            try:
                wanted = function.hidden() - {function.context_name}
                opened = await resources.open_all(wanted - given.keys(), stack)
                said = await self._call(Call(function, {**opened, **given}))
            except (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError):
                raise  # whoever runs the attempt is cancelled, not the function
            except BaseException as error:  # noqa: BLE001  # a function may end in any way, sys.exit among them
                self.error = error
                said = outcome.of_error(self, error, function.retry)
        if self.stop is Stop.TIMED_OUT:
            said = outcome.timed_out(self, "")
        return self.receipt(said)

    async def _call(self, call: Call) -> relay_pb2.Receipt:
        """Calls it: an async function on this loop, with its real timeout; a plain one in a thread."""
        with running(self):
            args, kwargs = call.arguments(self, self.dispatch.args or b"", self.dispatch.content_type)
            self.start()
            self.beat(BeatKind.STARTED)
            if not inspect.iscoroutinefunction(call.target):
                return outcome.success(self, await asyncio.to_thread(call.target, *args, **kwargs))
            self.task = task = asyncio.ensure_future(call.target(*args, **kwargs))
        try:
            await asyncio.wait({task}, timeout=self.timeout_ms / 1_000)
            if not task.done():
                self.ask_to_stop(Stop.TIMED_OUT, "the attempt ran longer than its timeout")
                await asyncio.wait({task}, timeout=UNWIND_S)
        finally:
            self.task = None
            task.cancel()
        if task.cancelled():
            self.error = asyncio.CancelledError()
            return outcome.of_error(self, self.error, call.function.retry)
        return outcome.success(self, task.result())

    def receipt(self, said: relay_pb2.Receipt) -> Receipt:
        """What a relay would write for a minion's receipt."""
        told = said.done > 0 or said.total > 0
        return Receipt(
            job=self.job,
            key=self.key,
            partition=self.partition,
            attempt=self.attempt,
            epoch=self.epoch,
            outcome=relay_pb2.Outcome.Name(said.outcome).lower(),
            at_ms=self.machine.now_ms,
            minion=MINION,
            session=SESSION,
            relay=RELAY,
            assigned_at_ms=self.assigned_at_ms,
            started_at_ms=said.started_at_ms or None,
            run_ms=said.run_ms,
            result=said.result if said.result or said.result_type else None,
            result_type=said.result_type or None,
            error_type=said.error_type or None,
            error_message=said.error_message or None,
            error_trace=said.error_trace or None,
            non_retryable=said.non_retryable,
            retry_after_ms=said.retry_after_ms or None,
            snooze_ms=said.snooze_ms if said.outcome == relay_pb2.SNOOZE else None,
            step=said.step or None,
            done=said.done if told else None,
            total=said.total or None,
            checkpoint=said.checkpoint or None,
            cached=said.cached or None,
        )

    def lost(self) -> Receipt:
        """What a relay would write if the minion's connection broke: nobody knows how it ended."""
        return Receipt(
            job=self.job,
            key=self.key,
            partition=self.partition,
            attempt=self.attempt,
            epoch=self.epoch,
            outcome=Outcome.LOST,
            at_ms=self.machine.now_ms,
            minion=MINION,
            session=SESSION,
            relay=RELAY,
            assigned_at_ms=self.assigned_at_ms,
        )


def named(name: str, call: Callable[..., Any]) -> Function[..., Any]:
    """Any callable as a function of that name, declared for nobody else."""
    return Function(call, name=name, queue="default", run=None)
