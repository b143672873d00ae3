"""The life of one job in a few words, for tests of the core: growing offsets, and a clock set by hand.

    life = Life()
    life.submit()
    life.start()
    assert life.fail().facts == ...

Every method applies one event and returns the step, or the rejection; `life.job` is the row after it.
"""

from collections.abc import Callable
from typing import Any

from schemas.events import Beat, JobRow, JobSpec, Receipt
from schemas.words import BeatKind, Outcome, Phase
from streams.core import job as machine
from streams.core.events import (
    Beaten,
    CancelAsked,
    Ended,
    Event,
    RescheduleAsked,
    Restored,
    RetryAsked,
    Served,
    Source,
    Submitted,
    TurnCame,
)
from streams.core.facts import Fact
from streams.core.rejection import Rejection

T0 = 1_700_000_000_000
"""When every life begins: 2023-11-14T22:13:20Z, epoch ms."""

SPEC = JobSpec(
    id="job-1",
    key="key-1",
    partition=3,
    function="mail.send",
    queue="default",
    args=b'{"to":"a@b.c"}',
    args_apart=False,
    content_type="application/json",
    content_hash="hash-1",
    created_at_ms=T0,
    timeout_ms=60_000,
    heartbeat_timeout_ms=4_000,
    retry_kind="exponential",
    retry_initial_ms=1_000,
    retry_factor=2.0,
    retry_cap_ms=300_000,
    retry_jitter=0.0,
    attempts_max=5,
    lost_max=3,
    priority="normal",
)


def spec(**fields: Any) -> JobSpec:
    """The specification of most tests, with these fields instead."""
    return JobSpec(**(vars(SPEC) | fields))


class Life:
    """One job, what happened to it, and the time."""

    def __init__(self) -> None:
        self.job: JobRow | None = None
        self.now_ms = T0
        self.facts: list[Fact] = []
        self.events: list[Event] = []
        self.offsets = dict.fromkeys(Source, -1)

    @property
    def row(self) -> JobRow:
        """The row, which must exist."""
        assert self.job is not None, "there is no job"
        return self.job

    def place(self, source: Source) -> tuple[int, Source, int]:
        """The time and the next place in a source."""
        self.offsets[source] += 1
        return self.now_ms, source, self.offsets[source]

    def apply(self, event: Event) -> machine.Step | Rejection:
        """Applies an event, and keeps what came of it."""
        step = machine.step(self.job, event)
        self.events.append(event)
        if isinstance(step, machine.Step):
            self.job = step.job
            self.facts += step.facts
        return step

    def submit(self, *, turn: bool = True, **fields: Any) -> machine.Step | Rejection:
        """The request is read, with these fields of its specification."""
        return self.apply(Submitted(*self.place(Source.REQUESTS), spec(**fields), turn))

    def turn_came(self) -> machine.Step | Rejection:
        """Its turn in its lane comes."""
        return self.apply(TurnCame(*self.place(Source.TIMERS)))

    def served(self) -> machine.Step | Rejection:
        """A minion with its function comes."""
        return self.apply(Served(*self.place(Source.HEARTBEATS)))

    def cancel(
        self, reason: str | None = None, by: str | None = None, *, terminate: bool = False
    ) -> machine.Step | Rejection:
        """Someone asks to cancel it, or to end it at once."""
        return self.apply(CancelAsked(*self.place(Source.REQUESTS), SPEC.id, reason, by, terminate))

    def retry(self, reason: str | None = None, by: str | None = None) -> machine.Step | Rejection:
        """Someone asks to run it now."""
        return self.apply(RetryAsked(*self.place(Source.REQUESTS), SPEC.id, reason, by))

    def reschedule(self, ahead_ms: int = 1_000) -> machine.Step | Rejection:
        """Someone asks for a time so far ahead."""
        place = self.place(Source.REQUESTS)
        return self.apply(RescheduleAsked(*place, SPEC.id, self.now_ms + ahead_ms))

    def beat(
        self, kind: BeatKind = BeatKind.ALIVE, *, relay_clock_ms: int = 0, **fields: Any
    ) -> machine.Step | Rejection:
        """A beat of the current epoch, of a lease given now, by a relay whose clock is so much ahead."""
        relay_now_ms = self.now_ms + relay_clock_ms
        said: dict[str, Any] = {"epoch": self.job.epoch if self.job else 1, "attempt": 1}
        said |= {"minion": "m-1", "session": "s-1"}
        said |= {"assigned_at_ms": relay_now_ms, "deadline_ms": relay_now_ms + SPEC.timeout_ms}
        beat = Beat(job=SPEC.id, key=SPEC.key, kind=kind, **(said | fields))
        return self.apply(Beaten(*self.place(Source.HEARTBEATS), beat, "r-1", relay_now_ms))

    def start(self, **fields: Any) -> machine.Step | Rejection:
        """The first beat of the current epoch."""
        return self.beat(BeatKind.STARTED, **fields)

    def end(self, outcome: str, **fields: Any) -> machine.Step | Rejection:
        """A receipt of the current epoch."""
        said: dict[str, Any] = {"epoch": self.job.epoch if self.job else 1, "attempt": 1}
        said |= {"job": SPEC.id, "key": SPEC.key, "partition": SPEC.partition, "at_ms": self.now_ms}
        receipt = Receipt(outcome=outcome, **(said | fields))
        return self.apply(Ended(*self.place(Source.RECEIPTS), receipt))

    def succeed(self, result: bytes = b"1") -> machine.Step | Rejection:
        """A receipt of success."""
        return self.end(Outcome.SUCCESS, result=result, result_type="application/json")

    def fail(self, error_type: str = "ValueError", **fields: Any) -> machine.Step | Rejection:
        """A receipt of a failure."""
        return self.end(Outcome.FAILURE, error_type=error_type, error_message="no", **fields)

    def tick(self, after_ms: int = 0, *, heard: bool = True) -> machine.Step | Rejection | None:
        """Lets time pass and applies what has come by then; None if nothing has."""
        self.now_ms += after_ms
        at_ms, _, offset = self.place(Source.TIMERS)
        event = machine.due(self.row, at_ms, offset=offset, heard=heard)
        return None if event is None else self.apply(event)

    def restore(self) -> machine.Step | Rejection:
        """The partition has an owner again, after a while without."""
        return self.apply(Restored(*self.place(Source.TIMERS)))


def in_phase(phase: Phase | None) -> Life:
    """A life that has come to this phase, in the shortest way."""
    life = Life()
    for act in WAYS[phase]:
        act(life)
    assert (life.job.phase if life.job else None) == phase, f"the way to {phase} led to {life.job}"
    return life


WAYS: dict[Phase | None, tuple[Callable[[Life], object], ...]] = {
    None: (),
    Phase.SCHEDULED: (lambda life: life.submit(run_at_ms=T0 + 10_000, expires_at_ms=T0 + 20_000),),
    Phase.READY: (Life.submit,),
    Phase.LEASED: (Life.submit, Life.start),
    Phase.RETRYING: (Life.submit, Life.start, Life.fail),
    Phase.SUCCEEDED: (Life.submit, Life.start, Life.succeed),
    Phase.DEAD: (Life.submit, Life.start, lambda life: life.fail(non_retryable=True)),
    Phase.CANCELLED: (Life.submit, Life.cancel),
    Phase.EXPIRED: (lambda life: life.submit(expires_at_ms=T0), Life.tick),
}
"""The shortest way to each phase."""
