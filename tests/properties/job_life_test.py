"""The machine against a tiny model of it, over lives that no one would think of.

Hypothesis plays submitter, relays, minions, clock, and the crash of the service. The model knows the phase,
the epoch and two counters, in a few lines that share nothing with the machine.
"""

from collections.abc import Callable
from dataclasses import fields
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas import codec
from schemas.events import JobRow
from schemas.words import PHASES_TERMINAL, BeatKind, LanePolicy, Outcome, Phase
from streams.core import job as machine
from streams.core.effect import DispatchJob
from streams.core.events import Due, Source
from streams.core.facts import Retried
from streams.core.job import TRANSITIONS, Step
from streams.core.rejection import Rejection
from tests.life import T0, Life

NAMES = [field.name for field in fields(JobRow)]
DAY_MS = 86_400_000
LIVES_MAX = 3_000

policies = st.fixed_dictionaries(
    {
        "attempts_max": st.integers(1, 4),
        "lost_max": st.integers(1, 3),
        "timeout_ms": st.sampled_from([1, 1_000, 60_000]),
        "retry_kind": st.sampled_from(["constant", "linear", "exponential", "polynomial"]),
        "retry_jitter": st.sampled_from([0.0, 0.1, 1.0]),
        "non_retryable": st.sampled_from([(), ("OSError",)]),
        "run_at_ms": st.sampled_from([None, None, T0 - 1, T0 + 5_000]),
        "expires_at_ms": st.sampled_from([None, None, T0 - 1, T0 + 20_000, T0 + DAY_MS]),
        "ends_by_ms": st.sampled_from([None, None, T0 + 30_000, T0 + DAY_MS]),
        "retention_ms": st.sampled_from([None, 1_000, 4 * DAY_MS]),
        "result_retention_ms": st.sampled_from([None, None, 0, 1_000, 2 * DAY_MS]),
    }
)
waits = st.sampled_from([0, 1, 999, 1_000, 4_000, 60_000, DAY_MS, 4 * DAY_MS])
epochs = st.sampled_from([0, 0, 0, 0, -1, 1])
"""How far the epoch of a beat or a receipt is from the current one."""


class JobLife(RuleBasedStateMachine):
    """One job, from no row to no row, and on."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life()
        self.durable: JobRow | None = None

    @initialize(policy=policies)
    def begin(self, policy: dict[str, Any]) -> None:
        """A request with a policy of its own."""
        self.policy = policy
        self.submit()

    @rule()
    def submit(self) -> None:
        """The same request comes (again)."""
        before = self.phase
        self.check(lambda: self.life.submit(**self.policy))
        assert self.phase == before or before is None, "a duplicate changes nothing"

    @rule()
    def conflict(self) -> None:
        """Another request comes under the same id."""
        if self.life.job is not None:
            self.check(lambda: self.life.submit(content_hash="other"), phases=set())

    @rule()
    def cancel(self) -> None:
        """Someone asks to cancel."""
        before = self.phase
        self.check(self.life.cancel)
        if before in {Phase.SCHEDULED, Phase.READY, Phase.RETRYING}:
            assert self.phase == Phase.CANCELLED

    @rule()
    def retry(self) -> None:
        """Someone asks to run it now."""
        before = self.phase
        self.check(self.life.retry)
        if before in {Phase.DEAD, Phase.CANCELLED, Phase.EXPIRED}:
            assert self.phase == Phase.READY
            assert (self.life.row.failed, self.life.row.lost, self.life.row.attempt) == (0, 0, 1)

    @rule(ahead_ms=waits)
    def reschedule(self, ahead_ms: int) -> None:
        """Someone asks for another time."""
        before = self.phase
        step = self.check(lambda: self.life.reschedule(ahead_ms))
        if isinstance(step, Step):
            assert before in {Phase.SCHEDULED, Phase.READY, Phase.RETRYING}
            assert self.phase == (Phase.RETRYING if before == Phase.RETRYING else Phase.SCHEDULED)

    @rule(kind=st.sampled_from(list(BeatKind)), off=epochs, done=st.none() | st.integers(0, 9), late_ms=waits)
    def beat(self, kind: BeatKind, off: int, done: int | None, late_ms: int) -> None:
        """A beat of this epoch or of another."""
        before, row = self.phase, self.life.job
        said = {"epoch": (row.epoch if row else 1) + off, "assigned_at_ms": self.life.now_ms - late_ms}
        self.check(lambda: self.life.beat(kind, done=done, **said))
        alive = self.counts(before, off)
        assert self.phase == (Phase.LEASED if alive else before)

    @rule(
        outcome=st.sampled_from([*Outcome, "nonsense"]),
        off=epochs,
        error=st.sampled_from(["ValueError", "OSError"]),
        result_bytes=st.sampled_from([1, 1, 300_000]),
        more=st.fixed_dictionaries(
            {},
            optional={
                "non_retryable": st.booleans(),
                "retry_after_ms": st.integers(-1, 10**7),
                "snooze_ms": st.integers(-1, 10**7),
                "checkpoint": st.sampled_from([1, 20_000]).map(bytes),
            },
        ),
    )
    def receipt(self, outcome: str, off: int, error: str, result_bytes: int, more: dict[str, Any]) -> None:
        """A receipt of this epoch or of another, sane or not."""
        before, row, result = self.phase, self.life.job, bytes(result_bytes)
        epoch = (row.epoch if row else 1) + off
        self.check(lambda: self.life.end(outcome, epoch=epoch, error_type=error, result=result, **more))
        if not self.counts(before, off) or outcome == "nonsense":
            assert self.phase == before, "a stale receipt is refused"
        elif outcome == Outcome.SUCCESS and len(result) == 1 and len(more.get("checkpoint", b"")) < 2:
            assert self.phase == Phase.SUCCEEDED
        else:
            assert self.phase not in {Phase.LEASED, Phase.SUCCEEDED}, "the lease is over, without success"

    @precondition(lambda self: self.life.job is not None)
    @rule(after_ms=waits, heard=st.booleans())
    def tick(self, after_ms: int, heard: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        """Time passes."""
        row = self.life.row
        next_ms = machine.next_due_ms(row)
        offered = row.phase in {Phase.READY, Phase.LEASED}
        is_due = next_ms is not None and next_ms <= self.life.now_ms + after_ms and (heard or not offered)
        step = self.check(lambda: self.life.tick(after_ms, heard=heard))
        assert (step is not None) == is_due, "due says the same as next_due_ms"
        assert not isinstance(step, Rejection), "what is due is not refused"
        if self.life.job is not None and step is not None:
            assert machine.due(self.life.row, self.life.now_ms, offset=10**9) is None, "one tick is enough"

    @precondition(lambda self: self.life.job is not None)
    @rule()
    def restore(self) -> None:
        """The partition was without an owner for a while."""
        self.check(self.life.restore)

    @rule()
    def crash(self) -> None:
        """The service dies and another reads the row: what was not written is gone."""
        if self.durable is not None:
            (self.life.job,) = (codec.decode(codec.encode(self.durable), (JobRow,)),)
            assert self.life.job == self.durable
        else:
            self.life.job = None

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """Any event that was applied comes again."""
        row = self.life.job
        event = data.draw(st.sampled_from(self.life.events))
        if row is not None and machine.is_applied(row, event.source, event.offset):
            assert machine.step(row, event) == Step(row, (), machine.outstanding(row), durable=False)

    @invariant()
    def each_row_is_whole(self) -> None:
        """A row has the fields of its phase and no others, and its counters are bounded."""
        row = self.life.job
        if row is None:
            return
        assert sorted(vars(row)) == sorted(NAMES)
        assert (
            (row.due_at_ms is not None)
            == (row.wait_reason is not None)
            == (row.phase in {"scheduled", "retrying"})
        )
        assert (row.dispatched_at_ms is not None) == (row.phase in {"ready", "leased"})
        leased = row.phase == Phase.LEASED
        assert leased == (row.lease_ends_at_ms is not None) == (row.beat_at_ms is not None)
        ended = row.phase in PHASES_TERMINAL
        assert ended == (row.ended_at_ms is not None) == (row.purge_at_ms is not None)
        assert (row.end_reason is not None) == (ended and row.phase != Phase.SUCCEEDED)
        assert row.failed <= row.spec.attempts_max
        assert row.lost <= row.spec.lost_max
        assert 1 <= row.attempt <= row.failed + row.lost + 1
        assert len(row.attempts) <= 10
        assert machine.next_due_ms(row) is not None or row.phase not in {"scheduled", "retrying", "leased"}

    @staticmethod
    def counts(before: str | None, off: int) -> bool:
        """True if a word about an epoch so far from the current one counts: about that which is offered, or
        about the next one of a job that waits, which may have left before its row said so.
        """
        if before in {Phase.SCHEDULED, Phase.RETRYING}:
            return off == 1
        return off == 0 and before in {Phase.READY, Phase.LEASED}

    @property
    def phase(self) -> str | None:
        """The phase now; None without a row."""
        return None if self.life.job is None else self.life.job.phase

    def check(self, act: Any, phases: set[str] | None = None) -> Any:
        """Does something, and checks what holds for every step."""
        before = self.life.job
        step = act()
        if not isinstance(step, Step):
            assert self.life.job is before, "a rejection changes nothing"
            assert step is None or (step.reason and step.code)
            return step
        assert phases is None, "it should have been refused"
        assert self.life.job == self.folded(before, step), "the fold of the facts is the row"
        self.check_dispatches(before, step)
        if step.job is not None and step.facts:
            outstanding = machine.outstanding(step.job)
            assert set(step.effects) <= set(outstanding), "no effect lives only in memory"
        if before is not None and before.phase in PHASES_TERMINAL and self.phase != before.phase:
            assert self.phase is None or isinstance(step.facts[0], Retried), "an end is final"
        if step.durable:
            self.durable = step.job
        return step

    def folded(self, before: JobRow | None, step: Step) -> JobRow | None:
        """The row before with the facts of the step folded in, each as the table says."""
        row = before
        for fact in step.facts:
            phase = row.phase if row else None
            row = machine.evolve(row, fact)
            assert TRANSITIONS[phase][type(fact)] == (row.phase if row else None)
        return row

    def check_dispatches(self, before: JobRow | None, step: Step) -> None:
        """Epochs grow by one with each decision to dispatch, and with nothing else; but that after an end is
        passed over. A word about the next epoch of a waiting job says that it was dispatched.
        """
        minted = [effect.epoch for effect in step.effects if isinstance(effect, DispatchJob)]
        if before is None:
            return
        anew = before.phase in PHASES_TERMINAL
        left = len(step.facts) > 1
        if step.facts:
            for epoch in minted:
                assert epoch == before.epoch + 1 + anew + left, "an epoch is one more than the one before"
                assert before.phase != Phase.SUCCEEDED, "never dispatched after success"
        if step.job is not None:
            assert step.job.epoch == before.epoch + left + len(minted) * (1 + anew), "no epoch for nothing"


JobLife.TestCase.settings = settings(stateful_step_count=40)
TestJobLife = JobLife.TestCase


def test_random_lives_reach_every_transition() -> None:
    """Nothing in the table of transitions is out of reach."""
    possible = {(phase, fact) for phase, ways in TRANSITIONS.items() for fact in ways}
    random, reached = Random(1), set[tuple[str | None, type]]()
    for _ in range(LIVES_MAX):
        reached |= _walk(random)
        if reached == possible:
            return
    assert reached == possible, f"not reached: {possible - reached}"


def _walk(random: Random) -> set[tuple[str | None, type]]:
    """The transitions of one life of some forty events."""
    life, reached = Life(), set[tuple[str | None, type]]()
    limits: dict[str, Any] = {
        name: random.choice([None, T0 + 3_000, T0 + DAY_MS]) for name in ("expires_at_ms", "ends_by_ms")
    }
    limits["result_retention_ms"] = random.choice([None, 1_000])
    limits["lane"] = random.choice([None, None, *LanePolicy])
    turn = random.random() < 0.5
    acts: list[Callable[[], Any]] = [
        lambda: life.submit(turn=turn, run_at_ms=random.choice([None, T0 + 5_000]), **limits),
        life.turn_came,
        life.served,
        life.cancel,
        life.retry,
        lambda: life.reschedule(random.choice([0, 1_000])),
        life.start,
        lambda: life.beat(BeatKind.PROGRESS),
        lambda: life.end(random.choice(list(Outcome)), result=b"1", non_retryable=random.random() < 0.1),
        lambda: life.job and life.tick(random.choice([0, 1_000, 4_000, DAY_MS, 4 * DAY_MS])),
        lambda: life.apply(Due(*life.place(Source.TIMERS))),
        life.restore,
    ]
    for _ in range(40):
        before = life.job.phase if life.job else None
        step = random.choice(acts)()
        if isinstance(step, Step):
            reached |= {(before, type(fact)) for fact in step.facts}
    return reached
