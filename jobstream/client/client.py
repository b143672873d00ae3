"""The client: asks for jobs, waits for their ends, changes them, and looks at them. What users import.

It composes the parts beside it and owns their lives. Writing and waiting need Kafka alone; looking (status,
list, counts) asks the status pages. It must never return from a submit before Kafka has the job.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, Unpack

from jobstream import schedules
from jobstream.client.address import bootstrap_of, web_of
from jobstream.client.config import PARTITION, Entry, changed, fields_of, read_entries
from jobstream.client.letters import read_letters
from jobstream.client.metadata import Metadata
from jobstream.client.pages import Pages
from jobstream.client.reader import FactReader
from jobstream.client.request import Place, key_of, place_of, request_record
from jobstream.client.schedules import Declared, declared_records, schedule_record
from jobstream.client.status import end_of
from jobstream.client.waiting import Waiting
from jobstream.client.watch import Watch, Watches
from jobstream.client.workers import read_workers
from jobstream.client.writer import TRY_MS, NotWritten, Record, Writer
from jobstream.errors import BadRequest, CommandRefused, NotReachable, SubmitFailed, SubmitTimedOut
from jobstream.functions import (
    BYTES_TYPE,
    Function,
    Options,
    Submission,
    option_fields,
    set_submitter,
)
from jobstream.schedules import Overlaps
from jobstream.times import Seconds, epoch_ms, milliseconds
from schemas.codec import encode
from schemas.defaults import CONTENT_TYPE, QUEUE, TIMEZONE
from schemas.events import Command, DeadLetter, Fact, Schedule
from schemas.kafka import Brokers, Security
from schemas.letters import request_again, settled
from schemas.registered import RegistryFailed, adopt
from schemas.settings import load
from schemas.topics import Topics
from schemas.words import ENDS, SCHEDULE_ANSWERS, CommandName, FactKind, RejectCode, Settled

if TYPE_CHECKING:
    from jobstream.caller import Caller

log = logging.getLogger(__name__)

SUBMIT_TIMEOUT_S = 30.0
"""How long a submit may take over all its tries."""
TRIES = 3
"""How many tries fit into that time, if each takes as long as it may."""
BY = "client"
"""Who asks, in commands."""
ANSWER_WITHIN_S = 30.0
"""How long submit_decided waits for the service's answer."""
REDRIVE_WITHIN_S = 30.0
"""How long redrive waits for the service's answer."""
MANY_RECORDS = 2_000
"""How many jobs of submit_many are made before they are handed to librdkafka."""


ANSWERS = {
    CommandName.CANCEL: frozenset({FactKind.CANCEL_REQUESTED, *ENDS}),
    CommandName.RETRY: frozenset({FactKind.RETRIED, FactKind.PARKED}),
    CommandName.RESCHEDULE: frozenset({FactKind.RESCHEDULED}),
}
"""The facts that tell what came of a command about a job."""


class Job:
    """A handle of one job. Handles are cheap; the job goes on without them."""

    __slots__ = ("_client", "_watch")

    def __init__(self, client: "Client", watch: Watch) -> None:
        self._client = client
        self._watch = watch

    @property
    def id(self) -> str:
        """Id of the job."""
        return self._watch.id

    @property
    def key(self) -> str:
        """Partition key of the job."""
        assert self._watch.key is not None, "a job has a key"
        return self._watch.key

    @property
    def partition(self) -> int:
        """Home partition of the job."""
        return self._watch.partition

    def __repr__(self) -> str:
        return f"Job(id={self.id!r}, key={self.key!r}, partition={self.partition})"

    async def result(self, timeout: Seconds | None = None) -> Any:
        """Waits for the job's end; what the function returned.

        Raises:
            JobDead, JobCancelled, JobExpired, JobRejected: It ended otherwise.
            WaitTimedOut: It had not ended in `timeout` seconds.
        """
        return await self._client._result(self._watch, timeout)  # noqa: SLF001  # a handle is a part of its client

    def follow(self) -> AsyncGenerator[Fact]:
        """What happens to the job, fact by fact, until its end. Use asyncio.timeout to bound it."""
        return self._client._follow(self._watch)  # noqa: SLF001

    async def status(self) -> dict[str, Any]:
        """Where the job is; see Client.status."""
        return await self._client.status(self)

    async def cancel(self, reason: str | None = None, *, within: Seconds | None = None) -> Fact | None:
        """Asks to cancel it; see Client.cancel."""
        return await self._client.cancel(self, reason=reason, within=within)

    async def retry(self, *, within: Seconds | None = None) -> Fact | None:
        """Asks to run it again now; see Client.retry."""
        return await self._client.retry(self, within=within)

    async def reschedule(self, run_at: datetime, *, within: Seconds | None = None) -> Fact | None:
        """Asks to run it at another time; see Client.reschedule."""
        return await self._client.reschedule(self, run_at, within=within)


# The client has a method called list, so its other methods need another name for the type.
Jobs = list[Job]
Letters = list[DeadLetter]
Jsons = list[dict[str, Any]]
Part = list[tuple[Record, str]]
Tasks = list[asyncio.Task[None]]


class Decided(NamedTuple):
    """What the service made of a request."""

    job: Job
    """The job that is the answer."""
    outcome: Literal["accepted", "duplicate", "replaced"]
    other: str | None
    """The job that existed, or that was cancelled for this one."""


@dataclass(frozen=True)
class _Parts:
    """What an open client is made of."""

    loop: asyncio.AbstractEventLoop
    reader: FactReader
    waiting: Waiting
    writer: Writer
    partitions: int
    take_back: Callable[[], None]


class Client:
    """A connection to the job topics of one prefix. Use it as `async with Client(...) as client:`.

    What is left out comes from the environment, `jobstream.toml`, or the defaults, as `jobstream config`
    prints them. While it is open, `.submit` of decorated functions goes through it. It belongs to the event
    loop it was opened in.

    Args:
        url: `kafka://host:port`, several hosts separated by commas; or `http://host:port` or `https://...`
            of a gateway, which needs no Kafka (and the extra `http`).
        prefix: Of the topics' names.
        web: Address of the status pages.
        submit_timeout: How long a submit may take over all its tries, seconds or a timedelta.
        security: TLS and SASL, as `kafka_security` and the settings beside it say if left out.
        token: Bearer token, for an address of HTTP.

    Raises:
        BadRequest: An address that cannot be read.
    """

    def __new__(cls, url: str | None = None, **_: Any) -> Self:
        """A client for the kind of address that it is given."""
        if cls is Client and url is not None and url.startswith(("http://", "https://")):
            from jobstream.client.http import HttpClient  # clients of Kafka need no httpx

            made: Any = object.__new__(HttpClient)
            return made  # type: ignore[no-any-return]
        return object.__new__(cls)

    def __init__(
        self,
        url: str | None = None,
        *,
        prefix: str | None = None,
        web: str | None = None,
        submit_timeout: Seconds = SUBMIT_TIMEOUT_S,
        security: Security | None = None,
        token: str | None = None,
    ) -> None:
        if token is not None:
            raise BadRequest("a token is for an address of HTTP, and must be left out with kafka://")
        self._settings = settings = load({"prefix": prefix})[0]
        addresses = bootstrap_of(url if url is not None else f"kafka://{settings.bootstrap}")
        self._bootstrap = Brokers(addresses, settings.kafka.security if security is None else security)
        self._topics = Topics(settings.prefix)
        self._pages = Pages(web_of(web if web is not None else f"http://{settings.web}"))
        self._submit_s = (milliseconds("submit_timeout", submit_timeout) or 0) / 1_000
        self._watches = Watches()
        self._parts: _Parts | None = None
        self._caller: Caller | None = None

    async def __aenter__(self) -> Self:
        """As open."""
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """As close."""
        await self.close()

    async def open(self) -> None:
        """Connects.

        Raises:
            NotReachable: Kafka does not answer, or the schema registry that is configured.
            TopicsMissing: It does, but the topics of the prefix are not there.
        """
        if self._parts is not None:
            raise BadRequest("a client must be opened once, got a second open")
        try:
            await asyncio.to_thread(adopt, self._settings, patience_s=self._submit_s)
        except RegistryFailed as error:
            raise NotReachable(str(error)) from None
        metadata = Metadata(self._bootstrap)
        partitions = await asyncio.to_thread(metadata.partitions, self._topics.requests)
        reader = FactReader(self._bootstrap, self._topics.facts, self._watches)
        look_ends = partial(metadata.ends, self._topics.facts, partitions)
        waiting = Waiting(reader, self._watches, look_ends, self._look_up)
        try:
            await waiting.open()
        except BaseException:
            await asyncio.to_thread(reader.close)
            raise
        writer = Writer(self._bootstrap, try_ms=min(TRY_MS, max(1, round(self._submit_s * 1_000 / TRIES))))
        await asyncio.to_thread(writer.warm, self._topics.requests)
        take_back = set_submitter(self._submit_from_anywhere)
        self._parts = _Parts(asyncio.get_running_loop(), reader, waiting, writer, partitions, take_back)

    async def close(self) -> None:
        """Waits a little for what is under way, and lets go of the connections. Jobs are not touched."""
        parts, self._parts = self._parts, None
        caller, self._caller = self._caller, None
        if caller is not None:
            await caller.close()
        if parts is not None:
            parts.take_back()
            await parts.waiting.close()
            await asyncio.to_thread(parts.writer.close)
            await asyncio.to_thread(parts.reader.close)

    def serves(self, loop: asyncio.AbstractEventLoop) -> bool:
        """True if it is open on this event loop."""
        return self._parts is not None and self._parts.loop is loop

    @property
    def _open(self) -> _Parts:
        if self._parts is None:
            raise BadRequest(
                "a client must be open when it is used: write `async with Client(...) as client:`"
            )
        return self._parts

    async def call(self, function: str | Function[..., Any], args: Any = None, **options: Any) -> Any:
        """Has a minion run the function now, and waits for what it answers: a foreground call at the relays
        of the settings, which Kafka knows nothing of. See Caller.answer for the options and errors; a
        `Caller` needs no Kafka at all.
        """
        if self._caller is None:
            from jobstream.caller import Caller  # clients that never call need no gRPC

            self._caller = Caller()
        return await self._caller.call(function, args, **options)

    async def submit(
        self, function: str | Function[..., Any] | Submission, args: Any = None, **options: Unpack[Options]
    ) -> Job:
        """Asks for a job, and returns once Kafka has it on all replicas in sync.

        Args:
            function: The name of a function, a decorated function, or a whole Submission.
            args: A dict of keyword arguments, a list of positional ones, or bytes that the function takes as
                they are.
            options: `id, queue, key, run_at, delay, expires_at, expires_after, deadline, timeout, expected,
                retry, priority, tags, unique, retention, result_retention`.

        Raises:
            BadRequest: What is asked is outside the limits; nothing was written.
            SubmitFailed: Kafka refused the record; nothing was written.
            SubmitTimedOut: Kafka did not confirm in time; submit again with the same id.
        """
        record, watch = self._prepare(_submission(function, args, options))
        await self._written(self._open.writer.write([record], self._submit_s), [(record, watch.id)])
        return Job(self, watch)

    async def submit_decided(
        self,
        function: str | Function[..., Any] | Submission,
        args: Any = None,
        *,
        within: Seconds = ANSWER_WITHIN_S,
        **options: Unpack[Options],
    ) -> "Decided":
        """As submit, and waits for what the service makes of it: of use where a job is unique, or its id is
        another's perhaps.

        Raises:
            CommandRefused: The service refused the request.
            WaitTimedOut: No answer came within `within` seconds; the job may be accepted all the same.
            BadRequest, SubmitFailed, SubmitTimedOut: As submit.
        """
        record, watch = self._prepare(_submission(function, args, options))
        fact = await self._ask(record, watch, {FactKind.ADMITTED, FactKind.DEDUPLICATED}, within)
        assert fact is not None, "an answer was waited for"
        if fact.fact == FactKind.DEDUPLICATED:
            other = fact.duplicate_of or fact.job
            return Decided(self.job(other, fact.key), "duplicate", other)
        return Decided(Job(self, watch), "replaced" if fact.replaced else "accepted", fact.replaced)

    async def submit_many(self, submissions: Iterable[Submission]) -> Jobs:
        """Asks for many jobs, and returns once Kafka has all of them: thousands per second.

        Args:
            submissions: What to ask for; `function.request(...)` makes one. Read as it is written, so it may
                be long.

        Returns:
            The handles, in the order of the submissions.

        Raises:
            BadRequest: One of them is outside the limits; those before it may have been written.
            SubmitFailed, SubmitTimedOut: As submit; `ids` names those that were not confirmed.
        """
        jobs: Jobs = []
        under_way: Tasks = []
        part: Part = []
        try:
            for submission in submissions:
                record, watch = self._prepare(submission)
                part.append((record, watch.id))
                jobs.append(Job(self, watch))
                if len(part) == MANY_RECORDS:
                    under_way.append(await self._begin(part))
                    part = []
            under_way.append(await self._begin(part))
        except Exception:
            await asyncio.gather(*under_way, return_exceptions=True)
            raise
        _raise_merged(await asyncio.gather(*under_way, return_exceptions=True))
        return jobs

    def job(self, id: str, key: str | None = None) -> Job:
        """A handle of a job that somebody asked for.

        Args:
            id: Of the job.
            key: Its partition key, if it has one: the id alone does not tell where it is.

        Raises:
            BadRequest: A name outside its pattern.
        """
        return Job(self, self._watch(place_of(id, key, self._open.partitions), foreign=True))

    async def wait(self, job: Job | str, *, key: str | None = None, timeout: Seconds | None = None) -> Any:
        """Waits for a job's end; what the function returned. `timeout` in seconds; None: for ever.

        Raises:
            JobDead, JobCancelled, JobExpired, JobRejected: It ended otherwise.
            JobUnknown: Nobody asked for such a job, or it ended too long ago.
            WaitTimedOut: It had not ended in time; it goes on.
        """
        return await self._result((await self._found(job, key))._watch, timeout)  # noqa: SLF001

    async def reschedule(
        self,
        job: Job | str,
        run_at: datetime,
        *,
        key: str | None = None,
        reason: str | None = None,
        within: Seconds | None = None,
    ) -> Fact | None:
        """Asks to run a job at another time: one that waits, or that no minion has yet. As cancel otherwise;
        the answer is the fact `rescheduled`.
        """
        run_at_ms = epoch_ms("run_at", run_at)
        found = await self._found(job, key)
        return await self._command(CommandName.RESCHEDULE, found, reason, within, run_at_ms)

    async def cancel(
        self,
        job: Job | str,
        *,
        key: str | None = None,
        reason: str | None = None,
        within: Seconds | None = None,
    ) -> Fact | None:
        """Asks to cancel a job, and returns once Kafka has the command.

        Args:
            job: A handle, or an id; the key of an id that is given none is looked up on the status pages.
            key: Partition key of the job, with an id.
            reason: Why, for people.
            within: Wait so many seconds for what came of it.

        Returns:
            With `within`: the fact `cancelled`; `cancel_requested` if an attempt runs and was asked to stop;
            or the end that came first. Without: None.

        Raises:
            CommandRefused: The job has ended, or there is none.
            JobUnknown: The pages know no job of that id.
            NotReachable: No key was given, and the pages do not answer.
            SubmitTimedOut, SubmitFailed: As submit.
            WaitTimedOut: No answer came within `within`.
        """
        return await self._command(CommandName.CANCEL, await self._found(job, key), reason, within)

    async def retry(
        self,
        job: Job | str,
        *,
        key: str | None = None,
        reason: str | None = None,
        within: Seconds | None = None,
    ) -> Fact | None:
        """Asks to run a job again now: one that is dead, cancelled or expired, or that waits. As cancel
        otherwise.
        """
        return await self._command(CommandName.RETRY, await self._found(job, key), reason, within)

    async def dead_letters(self, since: datetime | Seconds) -> Letters:
        """The last letter of each job that died since a time, or within the last seconds, the oldest first;
        without those that were redriven or discarded.

        Letters are kept for 90 days.

        Raises:
            NotReachable: Kafka does not answer.
        """
        if isinstance(since, datetime):
            since_ms = round(since.timestamp() * 1_000)
        else:
            since_ms = self._now_ms() - (milliseconds("since", since) or 0)
        return await asyncio.to_thread(self._read_letters, since_ms)

    def _read_letters(self, since_ms: int) -> Letters:
        return read_letters(self._bootstrap, self._topics.dead, self._open.partitions, since_ms)

    async def redrive(self, letter: DeadLetter, *, within: Seconds = REDRIVE_WITHIN_S) -> Job:
        """Runs a dead job again: the job itself while it is kept, else a new one that asks for the same.

        A new job is called `<id>@redriven-<time of death>` and has the old one as its parent, so that a
        letter that is redriven twice runs once.

        Returns:
            A handle of the job that runs.

        Raises:
            CommandRefused: It is not dead any more (code `not_now`): it was redriven, and runs or has ended.
            WaitTimedOut: The service does not answer.
            SubmitTimedOut, SubmitFailed: As submit.
        """
        job = self.job(letter.job, letter.key)
        try:
            await self.retry(job, reason="redriven", within=within)
        except CommandRefused as error:
            if error.code == RejectCode.NOT_NOW:
                await self._settle(letter, Settled.REDRIVEN)
            if error.code != RejectCode.UNKNOWN_JOB:
                raise
            job = await self._ask_again(letter)
        await self._settle(letter, Settled.REDRIVEN)
        return job

    async def discard(self, letter: DeadLetter) -> None:
        """Wants no more of a dead letter: it is not among `dead_letters` from then on. The job stays as it
        is.

        Raises:
            SubmitTimedOut, SubmitFailed: As submit.
        """
        await self._settle(letter, Settled.DISCARDED)

    async def _settle(self, letter: DeadLetter, what: Settled) -> None:
        value = encode(settled(letter, what, self._now_ms()))
        record = Record(self._topics.dead, letter.partition, letter.key.encode(), value)
        await self._written(self._open.writer.write([record], self._submit_s), [(record, letter.job)])

    async def _ask_again(self, letter: DeadLetter) -> Job:
        request = request_again(letter)
        watch = self._watch(place_of(request.id, request.key, self._open.partitions))
        record = Record(self._topics.requests, watch.partition, letter.key.encode(), encode(request))
        await self._written(self._open.writer.write([record], self._submit_s), [(record, watch.id)])
        return Job(self, watch)

    async def configs(self) -> dict[str, Entry]:
        """What operators say about queues and functions, by `queue/<name>` and `function/<name>`.

        Raises:
            NotReachable: Kafka does not answer.
        """
        return await asyncio.to_thread(self._read_entries)

    def _read_entries(self) -> dict[str, Entry]:
        return read_entries(self._bootstrap, self._topics.config)

    async def configure(self, key: str, *, note: str | None = None, **settings: Any) -> Entry:
        """Changes the settings of a queue or a function; returns the entry once Kafka has it.

        They count for jobs that are asked for from then on, where the request says nothing itself; a
        function's come before its queue's.

        Args:
            key: `queue/<name>` or `function/<name>`.
            note: Why, for people.
            settings: `timeout, heartbeat_timeout, expected, retry_initial, retry_cap` in seconds,
                `retry_kind, retry_factor, retry_jitter, attempts, lost`. None clears one.

        Raises:
            BadRequest: A key or value that cannot be; nothing was written.
            SubmitTimedOut, SubmitFailed: As submit.
        """
        return await self._configure(key, {**fields_of(settings), "note": note})

    async def pause(self, queue: str, *, note: str | None = None) -> Entry:
        """Pauses a queue: its jobs are accepted and wait; those that run go on. As configure otherwise."""
        return await self._configure(f"queue/{queue}", {"paused": True, "note": note})

    async def resume(self, queue: str, *, note: str | None = None) -> Entry:
        """Ends a pause: the jobs that waited are given to minions. As configure otherwise."""
        return await self._configure(f"queue/{queue}", {"paused": False, "note": note})

    async def _configure(self, key: str, fields: dict[str, Any]) -> Entry:
        entry = changed(key, (await self.configs()).get(key), fields, BY)
        record = Record(self._topics.config, PARTITION, key.encode(), encode(entry))
        await self._written(self._open.writer.write([record], self._submit_s), [(record, key)])
        return entry

    async def status(self, job: Job | str, *, key: str | None = None) -> dict[str, Any]:
        """Where a job is: its phase, plan, what it waits for, its attempts.

        Raises:
            JobUnknown: No such job is kept.
            NotReachable: The status pages do not answer.
        """
        id, key = (job.id, job.key) if isinstance(job, Job) else (job, key)
        return await asyncio.to_thread(self._pages.status, id, key)

    async def list(
        self, queue: str = QUEUE, *, phase: str | None = None, limit: int | None = None
    ) -> dict[str, Any]:
        """The jobs of a queue, the newest first.

        Raises:
            NotReachable: The status pages do not answer.
        """
        return await asyncio.to_thread(self._pages.list, queue, phase, limit)

    async def counts(self) -> dict[str, Any]:
        """How many jobs are in each phase of each queue.

        Raises:
            NotReachable: The status pages do not answer.
        """
        return await asyncio.to_thread(self._pages.counts)

    async def schedules(self) -> dict[str, Any]:
        """Every schedule with its next fire.

        Raises:
            NotReachable: The status pages do not answer.
        """
        return await asyncio.to_thread(self._pages.schedules)

    async def schedule(  # noqa: PLR0913  # a schedule's fields are its arguments
        self,
        id: str,
        cron: str | Sequence[str],
        function: str | Function[..., Any],
        args: Any = None,
        *,
        timezone: str = TIMEZONE,
        queue: str | None = None,
        key: str | None = None,
        timeout: Seconds | None = None,
        attempts: int | None = None,
        options: Options | None = None,
        catchup_window: Seconds | None = None,
        paused: bool = False,
        note: str | None = None,
        excluded: str | Sequence[str] = (),
        start_at: datetime | None = None,
        end_at: datetime | None = None,
        jitter: Seconds | None = None,
        overlap: Overlaps | None = None,
        runs_max: int | None = None,
        pause_on_failure: bool = False,
        within: Seconds | None = None,
    ) -> Fact | None:
        """Creates a schedule, or replaces the one of that id; returns once Kafka has it.

        Args:
            id: Of the schedule; its jobs are called `<id>@<fire time>`.
            cron: One expression or several: five or six fields, @hourly and friends, or @every 90m/5m.
            function: A name, or a decorated function, whose queue and timeout then count.
            args: Of every fired job, as for submit.
            timezone: IANA name of the zone in which cron is read.
            queue: Of every fired job.
            key: Of every fired job; the id if left out.
            timeout: For one attempt.
            attempts: How many attempts may fail.
            options: What else submit takes, for each fired job: `expires_after, deadline, expected, retry,
                priority, tags, retention, result_retention`.
            catchup_window: A fire missed by less than this still happens.
            paused: No fires while true.
            note: Free words.
            excluded: Expressions at whose times it does not fire.
            start_at: No fire before.
            end_at: No fire after.
            jitter: A fire is put off by up to so long.
            overlap: What happens to a fire while a job of an earlier one has not ended; `skip` if left out.
            runs_max: So many fires, then no more.
            pause_on_failure: It pauses itself when a job of it dies.
            within: Wait so many seconds for the service's answer.

        Returns:
            With `within`: the fact `schedule_saved`, whose `next_at_ms` is the next fire. Without: None.

        Raises:
            BadRequest: A value outside its limits.
            CommandRefused: The service refused it, as a bad cron expression (only with `within`).
            SubmitTimedOut, SubmitFailed: As submit.
        """
        said: Options = {**(options or {})} if queue is None else {**(options or {}), "queue": queue}
        made = _submission(function, args, said)
        timeout_ms = milliseconds("timeout", timeout)
        made = replace(
            made,
            timeout_ms=made.timeout_ms if timeout_ms is None else timeout_ms,
            attempts_max=made.attempts_max if attempts is None else attempts,
        )
        rule = schedules.Schedule(
            cron,
            timezone=timezone,
            excluded=excluded,
            start_at=start_at,
            end_at=end_at,
            jitter=jitter,
            overlap=overlap,
            catchup_window=catchup_window,
            runs_max=runs_max,
            pause_on_failure=pause_on_failure,
            paused=paused,
            note=note,
            key=key,
        )
        return await self._put_schedule(schedule_record(id, rule, made), within)

    async def _put_schedule(self, schedule: Schedule, within: Seconds | None) -> Fact | None:
        watch = self._schedule_watch(schedule.id)
        record = Record(self._topics.schedules, watch.partition, schedule.id.encode(), encode(schedule))
        return await self._ask(record, watch, {FactKind.SCHEDULE_SAVED}, within)

    async def declare_schedules(
        self, functions: Iterable[Function[..., Any]], declared_by: str, *, within: Seconds | None = None
    ) -> Declared:
        """Puts the schedules that functions declare in force, and tells which others the same code declared
        before: those go on, and are shown as orphaned until somebody removes or writes them.

        Args:
            functions: Decorated ones; those without a schedule are left alone.
            declared_by: The code that they are of, as a module's name: what it declared before is compared.
            within: Wait so many seconds for the service's answer to each.

        Raises:
            BadRequest: A value outside its limits, or two schedules of one id.
            CommandRefused: The service refused one (only with `within`).
            NotReachable: The status pages do not answer.
            SubmitTimedOut, SubmitFailed: As submit.
        """
        records = declared_records(functions, declared_by)
        known = await self._known_schedules()
        for record in records:
            await self._put_schedule(record, within)
        ids = {record.id for record in records}
        orphans = [
            each["id"] for each in known if each["declared_by"] == declared_by and each["id"] not in ids
        ]
        for id in orphans:
            reason = f"{declared_by} declares it no more"
            await self._ask_schedule(CommandName.ORPHAN_SCHEDULE, id, within=None, reason=reason)
        return Declared(tuple(sorted(ids)), tuple(orphans))

    async def _known_schedules(self) -> Jsons:
        return await asyncio.to_thread(self._every_schedule)

    def _every_schedule(self) -> Jsons:
        """The schedules of all workers. NotReachable if some partition's cannot be told."""
        answers = [pages.schedules() for pages in self._every_page()]
        told = sorted(number for answer in answers for number in answer["partitions"])
        if told != list(range(self._open.partitions)):
            found = f"{len(told)} of {self._open.partitions} partitions"
            raise NotReachable(
                f"the schedules of {found} can be told of: ask again when every partition has a worker"
            )
        return [schedule for answer in answers for schedule in answer["schedules"]]

    def _every_page(self) -> Sequence[Pages]:
        """The pages of each worker that is there."""
        found = read_workers(self._bootstrap, self._topics.workers, self._now_ms())
        return [Pages(f"http://{web}") for web in found] or [self._pages]

    async def unschedule(self, id: str, *, within: Seconds | None = None) -> Fact | None:
        """Removes a schedule; its fired jobs go on. Returns once Kafka has the command.

        Raises:
            CommandRefused: There is no such schedule (only with `within`).
            SubmitTimedOut, SubmitFailed: As submit.
        """
        watch = self._schedule_watch(id)
        record = Record(self._topics.schedules, watch.partition, id.encode(), None)
        return await self._ask(record, watch, {FactKind.SCHEDULE_REMOVED}, within)

    async def pause_schedule(
        self, id: str, note: str | None = None, *, within: Seconds | None = None
    ) -> Fact | None:
        """No more fires of a schedule for now; what waits is given up. `note` says why, for people.

        Raises:
            CommandRefused: There is no such schedule (only with `within`).
            SubmitTimedOut, SubmitFailed: As submit.
        """
        return await self._ask_schedule(CommandName.PAUSE_SCHEDULE, id, within, reason=note)

    async def resume_schedule(
        self, id: str, note: str | None = None, *, within: Seconds | None = None
    ) -> Fact | None:
        """Fires again, from now on.

        Raises:
            CommandRefused: There is no such schedule, or it is not paused (only with `within`).
            SubmitTimedOut, SubmitFailed: As submit.
        """
        return await self._ask_schedule(CommandName.RESUME_SCHEDULE, id, within, reason=note)

    async def trigger_schedule(
        self,
        id: str,
        *,
        overlap: Overlaps | None = None,
        reason: str | None = None,
        within: Seconds | None = None,
    ) -> Fact | None:
        """One more fire, now, also of a paused schedule.

        Args:
            id: Of the schedule.
            overlap: In place of the schedule's own policy.
            reason: Why, for people.
            within: Wait so many seconds for what came of it.

        Returns:
            With `within`: the fact `schedule_fired`, `schedule_skipped`, `schedule_buffered` or
            `schedule_dropped`. Without: None.

        Raises:
            CommandRefused: There is no such schedule (only with `within`).
            SubmitTimedOut, SubmitFailed: As submit.
        """
        return await self._ask_schedule(
            CommandName.TRIGGER_SCHEDULE, id, within, overlap=overlap, reason=reason
        )

    async def backfill_schedule(
        self,
        id: str,
        since: datetime,
        until: datetime,
        *,
        overlap: Literal["buffer_all", "allow_all"] | None = None,
        reason: str | None = None,
        within: Seconds | None = None,
    ) -> Fact | None:
        """The fires of a range in the past: after `since`, and until `until` with it. A fire whose job is
        still known does not run again.

        Args:
            id: Of the schedule.
            since: A time of the past.
            until: A later one.
            overlap: `buffer_all`, one after the other, if left out; or `allow_all` at once.
            reason: Why, for people.
            within: Wait so many seconds for the service's answer.

        Raises:
            BadRequest: A time without a zone.
            CommandRefused: No such schedule, no fire in the range, too many, or a backfill is under way (only
                with `within`).
            SubmitTimedOut, SubmitFailed: As submit.
        """
        times = {"since_at_ms": epoch_ms("since", since), "until_at_ms": epoch_ms("until", until)}
        return await self._ask_schedule(
            CommandName.BACKFILL_SCHEDULE, id, within, overlap=overlap, reason=reason, **times
        )

    async def _ask_schedule(
        self, name: CommandName, id: str, within: Seconds | None, **fields: Any
    ) -> Fact | None:
        watch = self._schedule_watch(id)
        command = Command(command=name, id=id, by=BY, **fields)
        record = Record(self._topics.requests, watch.partition, id.encode(), encode(command))
        return await self._ask(record, watch, SCHEDULE_ANSWERS[name], within)

    async def _submit_from_anywhere(self, submission: Submission) -> Job:
        """What `.submit` of decorated functions calls, perhaps on another event loop than the client's."""
        loop = self._open.loop
        if loop is asyncio.get_running_loop():
            return await self.submit(submission)
        if loop.is_closed():  # nobody closed the client, as is the way of the default one
            await self.close()
            return await (await open_default()).submit(submission)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.submit(submission), loop))

    def _watch(self, place: Place, *, foreign: bool = False) -> Watch:
        since = self._open.waiting.since(place.partition)
        return self._watches.open(place.id, place.key, place.partition, since, foreign=foreign)

    def _schedule_watch(self, id: str) -> Watch:
        partition = place_of(id, None, self._open.partitions).partition
        return self._watches.open(id, None, partition, self._open.waiting.since(partition))

    def _prepare(self, submission: Submission) -> tuple[Record, Watch]:
        """The record, and the watch that is there before the record is written, so that it misses nothing."""
        place = place_of(submission.id, key_of(submission), self._open.partitions)
        record = request_record(submission, place, self._topics.requests, self._now_ms())
        return record, self._watch(place)

    def _now_ms(self) -> int:
        """The time that delays count from, epoch ms."""
        return time.time_ns() // 1_000_000

    async def _begin(self, part: Part) -> asyncio.Task[None]:
        task = await self._open.writer.begin([record for record, _ in part], self._submit_s)
        return asyncio.create_task(self._written(task, part))

    async def _written(self, writing: Awaitable[None], part: Part) -> None:
        """Awaits a write; what is not written is told by the ids."""
        try:
            await writing
        except NotWritten as error:
            ids = tuple(id for record, id in part if record.value in error.values)
            named = ids[0] if len(ids) == 1 else f"{ids[0]} and {len(ids) - 1} more"
            if error.refused:
                raise SubmitFailed(f"Kafka at {self._bootstrap} refused {named}: {error}", ids) from None
            raise SubmitTimedOut(
                f"Kafka at {self._bootstrap} did not confirm {named} in {self._submit_s:g} s ({error}); it"
                f" may or may not be accepted: submit again with the same id",
                ids,
            ) from None

    def _follow(self, watch: Watch) -> AsyncGenerator[Fact]:
        return self._open.waiting.follow(watch)

    async def _result(self, watch: Watch, timeout: Seconds | None) -> Any:
        timeout_ms = milliseconds("timeout", timeout)
        return await self._open.waiting.result(watch, None if timeout_ms is None else timeout_ms / 1_000)

    async def _found(self, job: Job | str, key: str | None) -> Job:
        """A handle; the key of a bare id is asked of the pages, since the id alone does not tell where the
        job is.
        """
        if isinstance(job, Job):
            return job
        if key is None:
            status = await self.status(job)
            key = status["key"]
        return self.job(job, key)

    async def _command(
        self,
        name: CommandName,
        job: Job,
        reason: str | None,
        within: Seconds | None,
        run_at_ms: int | None = None,
    ) -> Fact | None:
        watch = job._watch  # noqa: SLF001  # a handle is a part of its client
        command = Command(command=name, id=job.id, key=job.key, reason=reason, by=BY, run_at_ms=run_at_ms)
        record = Record(self._topics.requests, job.partition, job.key.encode(), encode(command))
        return await self._ask(record, watch, ANSWERS[name], within)

    async def _ask(
        self, record: Record, watch: Watch, wanted: AbstractSet[str], within: Seconds | None
    ) -> Fact | None:
        """Writes a record, and waits for the fact that answers it if there is time for that."""
        writing = self._written(self._open.writer.write([record], self._submit_s), [(record, watch.id)])
        within_ms = milliseconds("within", within)
        if within_ms is None:
            await writing
            return None
        answer = await self._open.waiting.answer(
            watch, {*wanted, FactKind.REJECTED}, writing, within_ms / 1_000
        )
        if answer.fact == FactKind.REJECTED:
            reason = answer.reason or f"{watch.id} was refused, and no reason was given"
            raise CommandRefused(reason, answer.error_type)
        return answer

    async def _look_up(self, watch: Watch) -> Fact | None:
        """The end of a job as the status pages have it; None if it has not ended."""
        return end_of(await asyncio.to_thread(self._pages.status, watch.id, watch.key))


def _submission(function: str | Function[..., Any] | Submission, args: Any, options: Options) -> Submission:
    """What is asked, from any of the ways to say it.

    Raises:
        BadRequest: Arguments or options that do not fit.
    """
    if isinstance(function, Submission):
        if args is not None or options:
            raise BadRequest(
                f"a Submission must come alone, got args {args!r} and options {sorted(options)} with it"
            )
        return function
    if not isinstance(args, dict | list | tuple | bytes | None):
        raise BadRequest(
            f"args must be a dict of keyword arguments, a list of positional ones, or bytes,"
            f" got {type(args).__name__}"
        )
    if isinstance(function, Function):
        prepared = function.submit_with(**options)
        if isinstance(args, dict):
            return prepared.request(**args)
        return prepared.request(*([args] if isinstance(args, bytes) else args or []))
    content_type = BYTES_TYPE if isinstance(args, bytes) else CONTENT_TYPE
    args = list(args) if isinstance(args, tuple) else args
    return Submission(function=function, args=args, content_type=content_type, **option_fields(options))


def _raise_merged(outcomes: Iterable[BaseException | None]) -> None:
    """Raises what the parts of a long submit met, as one error that names every id."""
    errors = [outcome for outcome in outcomes if outcome is not None]
    others = [error for error in errors if not isinstance(error, SubmitTimedOut | SubmitFailed)]
    if others:
        raise others[0]
    if errors:
        first = next((error for error in errors if isinstance(error, SubmitFailed)), errors[0])
        assert isinstance(first, SubmitFailed | SubmitTimedOut)
        first.ids = tuple(id for error in errors if isinstance(error, type(first)) for id in error.ids)
        raise first


_default: Client | None = None


async def open_default() -> Client:
    """The client of code that opened none: made from the settings in force, once for each event loop.

    It stays open as long as its event loop runs.

    Raises:
        NotReachable, TopicsMissing: As opening any client.
    """
    global _default  # noqa: PLW0603  # one per process, like the settings it comes from
    if _default is None or not _default.serves(asyncio.get_running_loop()):
        if _default is not None:
            await _default.close()
        made = Client()
        await made.open()
        _default = made
    return _default
