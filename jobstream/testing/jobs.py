"""Jobs of a test: a client whose service is in memory, the functions that run, and a clock to move.

Owns what runs when: at once (`inline`), when the test says so (`manual`), or when somebody waits for it
(`drain`). Decisions are those of the state machine, calls those of the minion. It must never touch a network,
nor sleep.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self, cast

from jobstream.client.client import Client, Job, _Parts
from jobstream.client.config import Entry, entries_of
from jobstream.client.pages import Pages
from jobstream.client.reader import FactReader
from jobstream.client.waiting import Waiting
from jobstream.client.watch import Watch
from jobstream.client.writer import Record, Writer
from jobstream.context import Stop
from jobstream.errors import BadRequest, JobUnknown, WaitTimedOut
from jobstream.functions import DECLARED, Function, set_submitter
from jobstream.minion.calls import decode_args
from jobstream.testing.attempts import LocalAttempt, named
from jobstream.testing.machine import HOME, Machine
from jobstream.testing.pages import LocalPages
from jobstream.times import Seconds, milliseconds
from schemas.codec import encode
from schemas.events import Control, DeadLetter, Dispatch, Fact, JobRow
from schemas.letters import standing
from schemas.topics import Topics
from schemas.words import ENDS, PHASES_TERMINAL, BeatKind, FactKind, Phase

Mode = Literal["manual", "inline", "drain"]

ATTEMPTS_MAX = 10_000
"""How many attempts one call may run: jobs that ask for ever more jobs end with a sentence."""
MANUAL_WAIT_S = 5.0
"""How long a wait without a time of its own waits in manual mode, seconds: nobody may ever run the job."""


@dataclass(frozen=True)
class Submitted:
    """A job that was asked for, as a test looks at it. `phase` and `attempt` are those of now."""

    id: str
    function: str
    args: dict[str, Any] | list[Any] | None
    """Keyword arguments, positional ones, or a list with the one bytes value."""
    key: str
    queue: str
    tags: tuple[str, ...]
    run_at: datetime | None
    scheduled_by: str | None
    """Id of the schedule that fired it."""
    jobs: "Jobs" = field(repr=False, compare=False)

    @property
    def phase(self) -> str | None:
        """Where it is in its life; None once it is forgotten, a day after its end."""
        row = self.jobs.machine.job(self.id)
        return None if row is None else str(row.phase)

    @property
    def attempt(self) -> int:
        """The number of its latest attempt; 0 before the first."""
        row = self.jobs.machine.job(self.id)
        return row.attempt if row is not None and row.epoch else 0

    @property
    def facts(self) -> list[str]:
        """What has happened to it, in order: `admitted`, `started`, `succeeded`."""
        return [fact.fact for fact in self.jobs.facts if fact.job == self.id]

    def __str__(self) -> str:
        words = [f"{self.function} {self.args!r:.200}", str(self.phase)]
        words += [f"queue {self.queue}"] if self.queue != "default" else []
        words += [f"key {self.key}"] if self.key != self.id else []
        return ", ".join(words)


class Jobs(Client):
    """A client for tests: everything that Client has, and no service behind it.

    While it is open, `.submit` of decorated functions goes to it; code that takes a client is given it.

    Args:
        mode: "manual": nothing runs until the test calls `run`, `drain` or `finish`. "inline": a submit runs
            the job, and whatever that submits, before it returns. "drain": jobs run when somebody waits for a
            result, and the clock moves as far as that takes.
        start: Where the clock stands at first; the time of day if left out. It moves by `advance` alone.
        resources: Values for the resources of functions, by name; others are opened for each attempt.
        propagate: What a function raises is raised to whoever ran it too, after it was recorded.
    """

    def __init__(
        self,
        mode: Mode = "manual",
        *,
        start: datetime | None = None,
        resources: Mapping[str, Any] | None = None,
        propagate: bool = False,
    ) -> None:
        if mode not in ("manual", "inline", "drain"):
            raise BadRequest(f"mode must be manual, inline or drain, got {mode!r}")
        if start is not None and start.tzinfo is None:
            raise BadRequest(f"start must be a datetime with a time zone, got {start!r}")
        super().__init__("kafka://127.0.0.1", prefix="test.", web="http://127.0.0.1")
        self.mode: Mode = mode
        self.propagate = propagate
        self.resources = dict(resources or {})
        self.facts: list[Fact] = []
        """All that has happened, in order."""
        self._topics = Topics("test.", 1)
        begins = datetime.now(UTC) if start is None else start
        self.machine = Machine(self._topics, round(begins.timestamp() * 1_000))
        self.machine.on_fact = self._on_fact
        self.machine.on_call_off = self._on_call_off
        self._pages = LocalPages(self.machine)
        self._specs: dict[str, Submitted] = {}
        self._fakes: dict[str, Function[..., Any]] = {}
        self._running: dict[tuple[str, int], LocalAttempt] = {}
        self._ends: dict[str, Fact] = {}
        self._take_back: Callable[[], None] | None = None

    # Its life.

    def install(self) -> None:
        """Takes what decorated functions submit. Needs no event loop; `uninstall` ends it."""
        if self._take_back is None:
            self._take_back = set_submitter(self._submit_from_anywhere, anywhere=True)

    def uninstall(self) -> None:
        """Takes nothing any more."""
        if self._take_back is not None:
            self._take_back()
            self._take_back = None

    async def open(self) -> None:
        """As install."""
        self.install()

    async def close(self) -> None:
        """As uninstall."""
        self.uninstall()

    async def __aenter__(self) -> Self:
        """As open."""
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """As close."""
        await self.close()

    @property
    def _open(self) -> _Parts:
        """The parts of a client, made of memory for the event loop that runs."""
        if self._parts is None or self._parts.loop.is_closed():
            reader = cast("FactReader", _NoReader())
            waiting = _LocalWaiting(reader, self._watches, lambda: [self.machine.facts_end()], self._look_up)
            writer = cast("Writer", _LocalWriter(self))
            self._parts = _Parts(asyncio.get_running_loop(), reader, waiting, writer, 1, self.uninstall)
        return self._parts

    # The clock.

    @property
    def now(self) -> datetime:
        """The time in the test, in UTC."""
        return datetime.fromtimestamp(self.machine.now_ms / 1_000, UTC)

    def _now_ms(self) -> int:
        return self.machine.now_ms

    async def advance(self, by: Seconds) -> None:
        """Moves the clock by seconds or a timedelta, from one thing that is due to the next.

        Delays, retries, schedules and timeouts come as in production; what then may run is run at its time in
        inline mode, and waits in the others.
        """
        by_ms = milliseconds("by", by)
        assert by_ms is not None
        await self._advance_to(self.machine.now_ms + by_ms)

    async def advance_to(self, time: datetime) -> None:
        """Moves the clock to a time, as `advance`.

        Raises:
            BadRequest: It has no time zone, or lies in the past: the clock never goes back.
        """
        if time.tzinfo is None or time < self.now:
            raise BadRequest(f"time must have a time zone and not be before {self.now}, got {time}")
        await self._advance_to(round(time.timestamp() * 1_000))

    async def _advance_to(self, to_ms: int) -> None:
        while (due_ms := self._next_due_ms()) is not None and due_ms <= to_ms:
            self._move(due_ms)
            if self.mode == "inline":
                await self.drain()
        self._move(to_ms)

    def _next_due_ms(self) -> int | None:
        """When time brings something next, having heard of all that runs: a running attempt is never silent
        by itself.
        """
        for attempt in self._running.values():
            if attempt.started_at_ms:
                attempt.beat(BeatKind.PROGRESS if attempt.dirty else BeatKind.ALIVE)
        return self.machine.next_due_ms()

    def _move(self, to_ms: int) -> None:
        self.machine.now_ms = max(self.machine.now_ms, to_ms)
        self.machine.tick()

    # Running.

    async def run(self, job: Job | Submitted | str | None = None, *, lost: bool = False) -> Submitted:
        """Runs one attempt of a job that is ready; of the one that was ready first if none is named.

        Args:
            job: Which; a handle, an entry of `submitted`, or an id.
            lost: The minion's connection breaks before the end is known: the function ran, and its job runs
                again with a higher epoch.

        Raises:
            AssertionError: It is not ready, with the reason why it waits; or no job is.
            Exception: What the function raised, with `propagate`.
        """
        dispatch = self._dispatch_of(job)
        await self._attempt(dispatch, lost=lost)
        return self._specs[dispatch.job]

    async def drain(self, *, queue: str | None = None) -> int:
        """Runs everything that may run now, and all that this submits; returns how many attempts that were.

        The clock stands still: what waits for a time goes on waiting.

        Args:
            queue: Of this queue alone.

        Raises:
            AssertionError: There is no end of it: jobs ask for ever more jobs.
            Exception: What a function raised, with `propagate`.
        """
        count = 0
        while (found := next(self._runnable(queue), None)) is not None:
            if count == ATTEMPTS_MAX:
                raise AssertionError(f"jobs must end, got {count} attempts and {found.function} waiting")
            await self._attempt(found)
            count += 1
        return count

    async def finish(self, job: Job | Submitted | str | None = None) -> int:
        """Runs all there is and moves the clock whenever nothing can run, until a job, or every job, has
        ended; returns how many attempts that were.

        Raises:
            AssertionError: A job can never end: no imported module declares its function, or its queue is
                paused.
            Exception: What a function raised, with `propagate`.
        """
        count = 0
        while True:
            count += await self.drain()
            left = self._not_ended(job)
            if not left:
                return count
            waits = [row for row in left if row.phase in (Phase.SCHEDULED, Phase.RETRYING)]
            due_ms = self._next_due_ms()
            if not waits:
                raise AssertionError(f"jobs must be able to end, got {self._list(left)}")
            assert due_ms is not None, "what waits for a time has one"
            if count >= ATTEMPTS_MAX:
                raise AssertionError(f"jobs must end, got {count} attempts and {self._list(left)}")
            self._move(due_ms)

    def replace(self, function: str | Function[..., Any], call: Callable[..., Any]) -> None:
        """Runs `call` instead of a function: of one that is costly, or that only another service has.

        It is called with the job's arguments, and with `ctx` and resources if it has such parameters.
        """
        name = function if isinstance(function, str) else function.name
        self._fakes[name] = named(name, call)

    async def _attempt(self, dispatch: Dispatch, *, lost: bool = False) -> None:
        """One attempt, from its dispatch to what its end led to."""
        machine, loop = self.machine, self._open.loop
        assert loop is asyncio.get_running_loop(), "the jobs of a test must be run on one event loop"
        name = (dispatch.job, dispatch.epoch)
        del machine.ready[name]
        function = self._function(dispatch.function)
        assert function is not None, f"{dispatch.function} is declared"
        attempt = self._running[name] = LocalAttempt(dispatch, machine)
        try:
            receipt = await attempt.run(function, self.resources)
        finally:
            del self._running[name]
        if attempt.started_at_ms and attempt.dirty:
            attempt.beat(BeatKind.PROGRESS)
        machine.write(machine.topics.receipts, encode(attempt.lost() if lost else receipt))
        if self.propagate and isinstance(attempt.error, Exception):
            raise attempt.error

    def _function(self, name: str) -> Function[..., Any] | None:
        """What runs for a name: its replacement, else what was declared last."""
        found = self._fakes.get(name)
        for each in DECLARED.values() if found is None else ():
            found = each if each.name == name else found
        return found

    def _runnable(self, queue: str | None) -> Iterator[Dispatch]:
        """What a minion could be given now, the oldest first."""
        for dispatch in [*self.machine.ready.values()]:
            wanted = queue in (None, dispatch.queue) and self._is_current(dispatch)
            wanted = wanted and not self.machine.config.paused(dispatch.queue)
            if wanted and self._function(dispatch.function) is not None:
                yield dispatch

    def _is_current(self, dispatch: Dispatch) -> bool:
        row = self.machine.job(dispatch.job)
        if row is not None and row.phase == Phase.READY and row.epoch == dispatch.epoch:
            return True
        del self.machine.ready[dispatch.job, dispatch.epoch]
        return False

    def _dispatch_of(self, job: Job | Submitted | str | None) -> Dispatch:
        if job is None:
            found = next(self._runnable(None), None)
            if found is None:
                raise AssertionError(f"a job must be ready, got {self._list(self._not_ended(None))}")
            return found
        row = self._row(job)
        name = (row.spec.id, row.epoch)
        ready = (
            row.phase == Phase.READY
            and name in self.machine.ready
            and not self.machine.config.paused(row.spec.queue)
        )
        if not ready or self._function(row.spec.function) is None:
            raise AssertionError(f"the job must be able to run, got {self._why(row)}")
        return self.machine.ready[name]

    # Looking.

    @property
    def submitted(self) -> list[Submitted]:
        """Every job that was asked for and accepted, those of schedules too, in order."""
        return list(self._specs.values())

    @property
    def rejected(self) -> list[str]:
        """A sentence for each record that was refused."""
        return [reject.reason for reject in self.machine.rejects]

    def find(
        self,
        function: str | Function[..., Any] | None = None,
        args: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        queue: str | None = None,
        key: str | None = None,
        tag: str | None = None,
        phase: str | None = None,
    ) -> list[Submitted]:
        """The submitted jobs that fit all that is given.

        Args:
            function: A name, or a decorated function.
            args: Keyword arguments that were given, others may have been; or all positional ones.
            queue: Of the job.
            key: Of the job.
            tag: One of its tags.
            phase: Where it is now.
        """
        name = function.name if isinstance(function, Function) else function
        return [
            job
            for job in self.submitted
            if name in (None, job.function)
            and queue in (None, job.queue)
            and key in (None, job.key)
            and phase in (None, job.phase)
            and (tag is None or tag in job.tags)
            and _fits(args, job.args)
        ]

    def assert_submitted(
        self,
        function: str | Function[..., Any],
        args: Mapping[str, Any] | Sequence[Any] | None = None,
        **more: Any,
    ) -> Submitted:
        """The one job that fits, as `find`.

        Raises:
            AssertionError: None does, or several; it lists what was submitted.
        """
        found = self.find(function, args, **more)
        if len(found) != 1:
            wanted = _wanted(function, args, more)
            raise AssertionError(
                f"one job {wanted} must have been submitted, got {len(found)} of{self._told()}"
            )
        return found[0]

    def assert_not_submitted(
        self,
        function: str | Function[..., Any],
        args: Mapping[str, Any] | Sequence[Any] | None = None,
        **more: Any,
    ) -> None:
        """No job fits, as `find`.

        Raises:
            AssertionError: One does.
        """
        found = self.find(function, args, **more)
        if found:
            wanted = _wanted(function, args, more)
            raise AssertionError(f"no job {wanted} must have been submitted, got {found[0]}")

    def assert_all_succeeded(self) -> None:
        """Every job that was submitted has succeeded, and nothing was refused.

        Raises:
            AssertionError: Some has not; it says why.
        """
        left = [job for job in self.submitted if not self._succeeded(job)]
        if left:
            raise AssertionError(f"every job must have succeeded, got {'; '.join(map(self._why_job, left))}")
        if self.rejected:
            raise AssertionError(f"every request must be accepted, got: {'; '.join(self.rejected)}")

    def _succeeded(self, job: Submitted) -> bool:
        end = self._ends.get(job.id)
        return end is not None and end.fact == FactKind.SUCCEEDED

    def _why_job(self, job: Submitted) -> str:
        row = self.machine.job(job.id)
        return f"{job.function} ({job.id}), which is forgotten" if row is None else self._why(row)

    def _told(self) -> str:
        jobs = "".join(f"\n  {job}" for job in self.submitted) or " none"
        return f"{jobs}" + "".join(f"\n  refused: {reason}" for reason in self.rejected)

    def _list(self, rows: list[JobRow]) -> str:
        return "; ".join(map(self._why, rows)) or "none that has not ended"

    def _why(self, row: JobRow) -> str:
        """A job and why it is not done, as a phrase."""
        from streams.core.status import waiting_for

        words = f"{row.spec.function} ({row.spec.id}), which is {row.phase}"
        if row.error_message and row.phase in PHASES_TERMINAL:
            return f"{words}: {row.error_type}: {row.error_message}"
        if row.phase == Phase.READY and self._function(row.spec.function) is None:
            return f"{words}: no imported module declares it, and nothing replaces it"
        why = waiting_for(row, self.machine.now_ms, self.machine.config)
        return words if why is None else f"{words} and waits for {why}"

    def _row(self, job: Job | Submitted | str) -> JobRow:
        id = job if isinstance(job, str) else job.id
        row = self.machine.job(id)
        if row is None:
            raise JobUnknown(f"no job {id} is kept")
        return row

    def _not_ended(self, job: Job | Submitted | str | None) -> list[JobRow]:
        rows = self.machine.jobs() if job is None else [self._row(job)]
        return [row for row in rows if row.phase not in PHASES_TERMINAL]

    # What the machine tells.

    def _on_fact(self, offset: int, fact: Fact) -> None:
        self.facts.append(fact)
        if fact.fact == FactKind.ADMITTED:
            row = self.machine.job(fact.job)
            if row is not None:
                self._specs[fact.job] = self._submitted(row)
        if fact.fact in ENDS:
            self._ends[fact.job] = fact
        elif fact.fact == FactKind.RETRIED:
            self._ends.pop(fact.job, None)
        watch = self._watches.find(fact)
        if watch is not None:
            watch.take(offset, fact)

    def _submitted(self, row: JobRow) -> Submitted:
        spec = row.spec
        run_at = None if spec.run_at_ms is None else datetime.fromtimestamp(spec.run_at_ms / 1_000, UTC)
        args = decode_args(self.machine.args(row) or b"", spec.content_type)
        return Submitted(
            spec.id, spec.function, args, spec.key, spec.queue, spec.tags, run_at, spec.scheduled_by, self
        )

    def _on_call_off(self, control: Control) -> None:
        attempt = self._running.get((control.job, control.epoch))
        if attempt is not None:
            row = self.machine.job(control.job)
            reason = row.cancel_reason if row is not None else None
            attempt.ask_to_stop(Stop.CANCELLED, reason or "it was called off")

    async def _result(self, watch: Watch, timeout: Seconds | None) -> Any:
        if self.mode == "drain" and watch.end is None:
            await self.finish(watch.id)
        if timeout is None and watch.end is None:
            try:
                return await super()._result(watch, MANUAL_WAIT_S)
            except WaitTimedOut:
                why = self._why(self._row(watch.id))
                raise WaitTimedOut(f"nobody ran the job: {why}; call drain(), or use mode='drain'") from None
        return await super()._result(watch, timeout)

    def _read_entries(self) -> dict[str, Entry]:
        return entries_of(self.machine.entries)

    def _every_page(self) -> Sequence[Pages]:
        return [self._pages]

    def _read_letters(self, since_ms: int) -> list[DeadLetter]:
        return [letter for letter in standing(self.machine.dead) if letter.at_ms >= since_ms]

    async def _wrote(self) -> None:
        """Something was written: in inline mode all that can run is run."""
        if self.mode == "inline":
            await self.drain()


class _LocalWriter:
    """Writes to the machine."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def write(self, records: Sequence[Record], _within_s: float) -> None:
        for record in records:
            assert record.partition == HOME, "there is one partition"
            self._jobs.machine.write(record.topic, record.value, record.key)
        await self._jobs._wrote()  # noqa: SLF001  # the other half of Jobs

    async def begin(self, records: Sequence[Record], within_s: float) -> asyncio.Task[None]:
        return asyncio.ensure_future(self.write(records, within_s))


class _LocalWaiting(Waiting):
    """Waits for facts that come by themselves."""

    def since(self, partition: int) -> int:
        """The offset of the next fact: nothing is looked up late."""
        self._ends = self._look_ends()
        return super().since(partition)

    async def _note_ends(self) -> None:
        self._ends = self._look_ends()
        self._ends_at = self._loop.time()

    def _hold(self, watch: Watch) -> None:
        """Nothing has to be read."""

    def _release(self, partition: int) -> None:
        """Nothing was read."""


class _NoReader:
    """Facts come by themselves."""

    def want_everything(self, _more: int) -> None:
        """They all come."""


def _fits(wanted: Mapping[str, Any] | Sequence[Any] | None, found: Any) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, Mapping):
        return isinstance(found, dict) and all(
            name in found and found[name] == value for name, value in wanted.items()
        )
    return bool(list([wanted] if isinstance(wanted, bytes) else wanted) == found)


def _wanted(function: str | Function[..., Any], args: Any, more: Mapping[str, Any]) -> str:
    name = function.name if isinstance(function, Function) else function
    words = [name] + ([f"with {args!r}"] if args is not None else [])
    return " ".join(words + [f"{option}={value!r}" for option, value in more.items()])
