"""Turns what the core decided into records to write, in two stages; emptied for each record.

Owns which topic, partition, key and stage each thing goes to. Must never decide anything, nor keep anything
from one record to the next.

A job's end is told in the second stage, after its row is durable: whoever waits for it may act on it, and a
crash between two topics must not take it back. Every other fact goes beside its row.

Only what a row awaits may be in the second stage: after a crash between the two it is sent again because the
row says so. What no row tells of, a record on its way to its home or the word that a fire was refused, goes
into the first, where it is one with the offset of the record it comes from.
"""

from schemas import defaults
from schemas.codec import encode
from schemas.events import ArgsRow, Command, ConfigRow, Fact, JobRequest, JobRow, JobSpec, Reject, ScheduleRow
from schemas.keys import home
from schemas.records import replace
from schemas.topics import Topics
from schemas.words import FactKind, Phase
from streams.cloudevents import HeadersOf
from streams.core import facts, records, schedule_fold
from streams.core.effect import TellRelays
from streams.core.events import Source
from streams.core.rejection import Rejection
from streams.core.schedule_facts import ScheduleFact
from streams.observer import Observer
from streams.record import ROUTED_HEADER, Header, Out, Record, Writes
from streams.rows import ARGS_ROW, CONFIG_ROW, JOB_ROW, SCHEDULE_ROW

CONTROL_PARTITION = REJECTS_PARTITION = 0
"""Of topics with one partition."""

RECORD_KEY_BYTES_MAX = 1_024
"""Of a refused record's key that is kept."""

ENDS = {
    Phase.SUCCEEDED: FactKind.SUCCEEDED,
    Phase.DEAD: FactKind.DIED,
    Phase.CANCELLED: FactKind.CANCELLED,
    Phase.EXPIRED: FactKind.EXPIRED,
}
"""How the end of a job is told, by the phase it is in then."""

Mark = tuple[int, int, int]
"""How much an outbox held."""


class Outbox:
    """What one record asks to write."""

    def __init__(
        self,
        number: int,
        topics: Topics,
        observer: Observer | None = None,
        headers_of: HeadersOf | None = None,
    ) -> None:
        """`number` is the partition whose decisions these are; `observer` is told of what is new in them;
        `headers_of` makes the headers of facts, if they shall have some.
        """
        self._headers_of = headers_of
        self._number = number
        self._observer = observer
        self._topics = topics
        self._first: list[Out] = []
        self._then: list[Out] = []
        self._early: list[Out] = []

    def take(self) -> Writes:
        """What was put in, in order; it is empty afterwards."""
        writes = Writes(tuple(self._first), tuple(self._then), tuple(self._early))
        self._first, self._then, self._early = [], [], []
        return writes

    def mark(self) -> Mark:
        """Where it stands, for `rewind`."""
        return len(self._first), len(self._then), len(self._early)

    def rewind(self, mark: Mark) -> None:
        """Takes out what was put in since `mark`."""
        del self._first[mark[0] :], self._then[mark[1] :], self._early[mark[2] :]

    # Rows.

    def job_row(self, row: JobRow) -> bytes:
        """The latest state of a job; gives the value that is written."""
        value = encode(row)
        self._state(JOB_ROW + row.spec.id, value)
        return value

    def args_row(self, id: str, args: bytes) -> None:
        """Arguments that are too large for the job's row."""
        self._state(ARGS_ROW + id, encode(ArgsRow(job=id, args=args)))

    def schedule_row(self, row: ScheduleRow) -> None:
        """The latest state of a schedule."""
        self._state(SCHEDULE_ROW + row.id, encode(row))

    def config_row(self, row: ConfigRow) -> None:
        """An entry of the config topic, as this partition goes by it."""
        self._state(CONFIG_ROW + row.entry, encode(row))

    def no_row(self, key: str) -> None:
        """The row with this key is no more."""
        self._state(key, None)

    def _state(self, key: str, value: bytes | None) -> None:
        self._first.append(Out(self._topics.state, self._number, key.encode(), value))

    # Facts.

    def fact(self, before: JobRow | None, fact: facts.Fact, after: JobRow | None) -> None:
        """What happened to a job, if it is told at all."""
        if type(fact) in records.KINDS:
            stage = self._then if type(fact) in _END_FACTS else self._first
            told = records.fact_record(before, fact, after)
            self._tell(told, stage)
            if self._observer is not None:
                self._observer.fact(told, fact, before, after)

    def duplicate(self, spec: JobSpec, row: JobRow, at_ms: int) -> None:
        """A request asked for nothing new: the job with its unique key is the answer."""
        told = records.duplicate_record(spec, row, at_ms)
        self._tell(told, self._first)
        if self._observer is not None:
            answer = facts.Deduplicated(at_ms, Source.REQUESTS, row.applied_requests)
            self._observer.fact(told, answer, row, row)

    def schedule_fact(
        self, before: ScheduleRow | None, fact: ScheduleFact, after: ScheduleRow | None
    ) -> None:
        """What happened to a schedule, if it is told at all."""
        if type(fact) in schedule_fold.KINDS:
            told = records.schedule_fact_record(before, fact, after)
            self._tell(told, self._first)
            if self._observer is not None:
                self._observer.other_fact(told)

    def end_again(self, row: JobRow) -> None:
        """The fact that told the end of a job that has ended, once more, from its row alone."""
        assert row.ended_at_ms is not None, f"job {row.spec.id} has not ended, but is {row.phase}"
        answer = facts.Deduplicated(row.ended_at_ms, Source.REQUESTS, row.applied_requests)
        told = records.fact_record(row, answer, row)  # what who asks twice is told: the end, error and result
        self._tell(replace(told, fact=ENDS[Phase(row.phase)]), self._then)

    def _tell(self, fact: Fact, stage: list[Out]) -> None:
        headers = () if self._headers_of is None else self._headers_of(fact)
        stage.append(Out(self._topics.facts, fact.partition, fact.key.encode(), encode(fact), headers))

    # Refusals.

    def reject(self, record: Record, rejection: Rejection, id: str | None) -> None:
        """A record that was refused: why, where it stood, and its bytes."""
        if self._observer is not None:
            self._observer.refused(rejection.code)
        value, reason = record.value or b"", rejection.reason
        if record.routed_from is not None:
            reason = f"{reason} (first written to {record.routed_from})"
        reject = Reject(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            record_at_ms=record.timestamp_ms,
            at_ms=record.timestamp_ms,
            code=rejection.code,
            reason=reason,
            id=id,
            record_key=None if record.key is None else record.key[:RECORD_KEY_BYTES_MAX],
            value=None if record.value is None else value[: defaults.REJECT_VALUE_BYTES_MAX],
            value_bytes=len(value),
        )
        self._first.append(
            Out(self._topics.rejects, REJECTS_PARTITION, record.place.encode(), encode(reject))
        )

    def tell_refused(
        self, record: Record, rejection: Rejection, id: str, key: str, row: JobRow | None
    ) -> None:
        """The same for the client, at the home of its key. `row` is the job that has the id, if any."""
        fact = Fact(
            fact=FactKind.REJECTED,
            job=id,
            key=key,
            partition=home(key, self._topics.partitions),
            at_ms=record.timestamp_ms,
            phase=None if row is None else row.phase,
            error_type=rejection.code,
            reason=rejection.reason,
        )
        self._tell(fact, self._first)
        if self._observer is not None:
            self._observer.other_fact(fact)

    # What makes something run.

    def call_off(self, row: JobRow, effect: TellRelays, at_ms: int) -> None:
        """An epoch that must not run (any more), to the relays."""
        control = encode(records.control_record(row, effect, at_ms))
        self._then.append(Out(self._topics.control, CONTROL_PARTITION, row.spec.id.encode(), control))

    def dead_letter(self, row: JobRow, args: bytes | None) -> None:
        """A dead job, with all that is needed to run it again."""
        letter = encode(records.dead_letter_record(row, args))
        self._then.append(Out(self._topics.dead, self._number, row.spec.key.encode(), letter))

    def dispatch(self, row: JobRow, args: bytes | None, *, early: bool) -> None:
        """The current epoch of a ready job, to the relays; `early` if it may leave before its row."""
        dispatch = encode(records.dispatch_record(row, args))
        topic = self._topics.dispatch(row.spec.queue)
        stage = self._early if early else self._then
        stage.append(Out(topic, self._number, row.spec.key.encode(), dispatch))

    def submit(self, request: JobRequest) -> None:
        """A request of a schedule's, to its home; the schedule's row awaits the end of its job."""
        key = request.key or request.id
        assert key is not None, "a request of the machine's own has an id"
        self._then.append(self._request(request, key, home(key, self._topics.partitions), ()))

    def ask(self, command: Command, home_of: str) -> None:
        """A command that a row awaits, to the home of a job's key, or of a schedule's id."""
        self._then.append(self._request(command, home_of, home(home_of, self._topics.partitions), ()))

    # What no row tells of.

    def report(self, command: Command) -> None:
        """To the home of a schedule, that a request of its own was refused."""
        self._first.append(self._request(command, command.id, home(command.id, self._topics.partitions), ()))

    def route(self, record: Record, event: JobRequest | Command, key: str | None, partition: int) -> None:
        """A request or command that landed elsewhere, to its home, with where it was first written."""
        kept = tuple(header for header in record.headers if header[0] != ROUTED_HEADER)
        headers = (*kept, (ROUTED_HEADER, record.place.encode()))
        self._first.append(self._request(event, key, partition, headers))

    def _request(
        self, event: JobRequest | Command, key: str | None, partition: int, headers: tuple[Header, ...]
    ) -> Out:
        record_key = None if key is None else key.encode()
        return Out(self._topics.requests, partition, record_key, encode(event), headers)


_END_FACTS = frozenset({facts.Succeeded, facts.Died, facts.Cancelled, facts.Expired})
