"""Replay: whatever part of the log is read again, the job and what it asks of the world stay the same."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.events import JobRow
from schemas.words import BeatKind, Outcome
from streams.core import job as machine
from streams.core.effect import Effect
from streams.core.facts import Fact
from streams.core.job import EPHEMERAL, Step
from tests.life import T0, Life

acts = st.lists(
    st.sampled_from(
        [
            Life.submit,
            Life.cancel,
            Life.retry,
            Life.start,
            Life.beat,
            lambda life: life.beat(BeatKind.PROGRESS, done=1, step="parse", step_at_ms=life.now_ms),
            Life.succeed,
            Life.fail,
            *(lambda life, outcome=outcome: life.end(outcome) for outcome in Outcome),
            *(lambda life, ms=ms: life.job and life.tick(ms) for ms in (0, 1_000, 4_000, 60_000, 90_000_000)),
            Life.restore,
        ]
    ),
    min_size=1,
    max_size=40,
)
policies = st.fixed_dictionaries(
    {
        "run_at_ms": st.sampled_from([None, T0 + 1_000]),
        "expires_at_ms": st.sampled_from([None, T0 + 9_000]),
        "ends_by_ms": st.sampled_from([None, T0 + 70_000]),
    }
)


def lived(policy: dict[str, Any], chosen: list[Any]) -> Life:
    """A life in which these things happened after its request."""
    life = Life()
    life.submit(**policy)
    for act in chosen:
        act(life)
    return life


def folded(facts: list[Fact]) -> JobRow | None:
    """The row that the facts alone make."""
    row: JobRow | None = None
    for fact in facts:
        row = machine.evolve(row, fact)
    return row


@given(policies, acts)
def test_the_fold_of_all_facts_is_the_live_row(policy: dict[str, Any], chosen: list[Any]) -> None:
    """State is only ever the fold of facts."""
    life = lived(policy, chosen)
    assert folded(life.facts) == life.job


@given(policies, acts)
def test_the_fold_of_what_was_written_differs_only_in_what_was_heard(
    policy: dict[str, Any], chosen: list[Any]
) -> None:
    """Ephemeral facts move the times of a lease, and nothing that is decided by anything but silence."""
    life = lived(policy, chosen)
    row = folded([fact for fact in life.facts if type(fact) not in EPHEMERAL])
    heard = {"beat_at_ms", "lease_ends_at_ms", "applied_heartbeats", "applied_timers"}
    if life.job is None or row is None:
        assert life.job is row is None
    else:
        assert {k: v for k, v in vars(row).items() if k not in heard} == {
            k: v for k, v in vars(life.job).items() if k not in heard
        }


@given(policies, acts)
def test_the_same_log_gives_the_same_life(policy: dict[str, Any], chosen: list[Any]) -> None:
    """No clock, no random source: applying the events again gives equal rows, facts and effects."""
    life, again = lived(policy, chosen), Life()
    for event in life.events:
        again.apply(event)
    assert (again.job, again.facts) == (life.job, life.facts)


@given(policies, acts, st.data())
def test_any_prefix_of_the_log_read_again_changes_nothing(
    policy: dict[str, Any], chosen: list[Any], data: st.DataObject
) -> None:
    """After a crash the log is read from an earlier place: what was applied is skipped, and nothing is lost.

    The rest of the log then gives the same row as if there had been no crash.
    """
    whole = lived(policy, chosen)
    crash = data.draw(st.integers(1, len(whole.events)), label="events before the crash")
    again = data.draw(st.integers(0, crash), label="events that are read again")
    life = Life()
    for event in whole.events[:crash]:
        life.apply(event)
    before = life.job
    for event in whole.events[crash - again : crash]:
        if before is not None and machine.is_applied(before, event.source, event.offset):
            life.apply(event)
            assert life.job is before
    for event in whole.events[crash:]:
        life.apply(event)
    assert life.job == whole.job


@given(policies, acts)
def test_a_crash_after_any_step_loses_no_effect(policy: dict[str, Any], chosen: list[Any]) -> None:
    """Whatever a step asks for is in what its row awaits, until another step changes that."""
    life = Life()
    life.submit(**policy)
    for act in chosen:
        step = act(life)
        if isinstance(step, Step) and step.job is not None and step.facts:
            awaited: tuple[Effect, ...] = machine.step(step.job, life.events[-1]).effects  # type: ignore[union-attr]
            assert set(step.effects) <= set(awaited)
