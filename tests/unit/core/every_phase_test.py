"""Every phase and every event: one cell says what comes of them. The page to read beside the table of
transitions.
"""

from collections.abc import Callable

import pytest

from schemas.words import Outcome, Phase
from streams.core import decide, facts, job
from streams.core.events import (
    DeadlinePassed,
    DispatchAged,
    Due,
    ExpiryPassed,
    Occurrence,
    PurgeDue,
    ResultDue,
    Served,
    Silent,
    Source,
    TimedOut,
    TurnCame,
)
from streams.core.job import TRANSITIONS, Step
from streams.core.rejection import Rejection
from tests.life import Life, in_phase

FAR_MS = 900 * 86_400_000
"""Later than anything a job may wait for."""


def _end(outcome: Outcome) -> Callable[[Life], Step | Rejection]:
    return lambda life: life.end(outcome)


def _time(event: type[Occurrence]) -> Callable[[Life], Step | Rejection]:
    def come(life: Life) -> Step | Rejection:
        life.now_ms += FAR_MS
        return life.apply(event(*life.place(Source.TIMERS)))  # type: ignore[arg-type]

    return come


EVENTS: dict[str, Callable[[Life], Step | Rejection]] = {
    "submitted": Life.submit,
    "cancel": Life.cancel,
    "retry": Life.retry,
    "reschedule": Life.reschedule,
    "started": Life.start,
    "alive": Life.beat,
    "success": Life.succeed,
    "failure": Life.fail,
    **{outcome: _end(outcome) for outcome in set(Outcome) - {Outcome.SUCCESS, Outcome.FAILURE}},
    "due": _time(Due),
    "timed out": _time(TimedOut),
    "silent": _time(Silent),
    "expiry": _time(ExpiryPassed),
    "aged": _time(DispatchAged),
    "purge": _time(PurgeDue),
    "result": _time(ResultDue),
    "restored": Life.restore,
    "turn came": _time(TurnCame),
    "served": _time(Served),
}

TABLE = """
event       | none     | scheduled    | ready        | leased          | retrying     | succeeded    | dead         | cancelled    | expired
submitted   | Admitted | Deduplicated | Deduplicated | Deduplicated    | Deduplicated | Deduplicated | Deduplicated | Deduplicated | Deduplicated
cancel      | no       | Cancelled    | Cancelled    | CancelRequested | Cancelled    | no           | no           | no           | no
retry       | no       | Retried      | no           | no              | Retried      | no           | Retried      | Retried      | Retried
reschedule  | no       | Rescheduled  | Rescheduled  | no              | Rescheduled  | no           | no           | no           | no
started     | no       | no           | Started      | Heard           | no           | no           | no           | no           | no
alive       | no       | no           | Started      | Heard           | no           | no           | no           | no           | no
success     | no       | no           | Succeeded    | Succeeded       | no           | no           | no           | no           | no
failure     | no       | no           | Failed       | Failed          | no           | no           | no           | no           | no
snooze      | no       | no           | Snoozed      | Snoozed         | no           | no           | no           | no           | no
cancelled   | no       | no           | Cancelled    | Cancelled       | no           | no           | no           | no           | no
interrupted | no       | no           | HandedBack   | HandedBack      | no           | no           | no           | no           | no
lost        | no       | no           | Lost         | Lost            | no           | no           | no           | no           | no
unserved    | no       | no           | Unserved     | Unserved        | no           | no           | no           | no           | no
parked      | no       | no           | HandedBack   | HandedBack      | no           | no           | no           | no           | no
turn came   | no       | nothing      | nothing      | nothing         | nothing      | nothing      | nothing      | nothing      | nothing
served      | no       | nothing      | nothing      | nothing         | nothing      | nothing      | nothing      | nothing      | nothing
due         | no       | Expired      | no           | no              | Readied      | no           | no           | no           | no
timed out   | no       | no           | no           | Failed          | no           | no           | no           | no           | no
silent      | no       | no           | no           | Lost            | no           | no           | no           | no           | no
expiry      | no       | Expired      | no           | no              | no           | no           | no           | no           | no
aged        | no       | no           | Readied      | no              | no           | no           | no           | no           | no
purge       | no       | no           | no           | no              | no           | Purged       | Purged       | Purged       | Purged
result      | no       | no           | no           | no              | no           | no           | no           | no           | no
restored    | no       | nothing      | nothing      | Reprieved       | nothing      | nothing      | nothing      | nothing      | nothing
"""  # noqa: E501 - a table is read as one

HEAD, *ROWS = ([cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines())
CELLS = [(row[0], phase, expected) for row in ROWS for phase, expected in zip(HEAD[1:], row[1:], strict=True)]


def test_the_table_has_every_phase_and_every_event() -> None:
    """Nothing is left out."""
    assert set(HEAD[1:]) == {"none", *Phase}
    assert {row[0] for row in ROWS} == set(EVENTS)


@pytest.mark.parametrize(("event", "phase", "expected"), CELLS)
def test_each_event_in_each_phase_does_what_the_table_says(event: str, phase: str, expected: str) -> None:
    """A known transition, or a rejection that changes nothing."""
    life = in_phase(None if phase == "none" else Phase(phase))
    before = life.job
    step = EVENTS[event](life)
    if expected == "no":
        assert isinstance(step, Rejection)
        assert step.reason
        assert life.job is before
    else:
        assert isinstance(step, Step)
        assert [type(fact).__name__ for fact in step.facts] == ([] if expected == "nothing" else [expected])


def test_the_deadline_ends_every_job_that_has_one_and_no_other() -> None:
    """The total deadline is not in the table, for it needs a job that has one."""
    for phase in Phase:
        life = in_phase(phase)
        refused = _time(DeadlinePassed)(life)
        assert isinstance(refused, Rejection)
        assert refused.reason.startswith("total deadline of job job-1 refused")


@pytest.mark.parametrize(
    "event", [Due, TimedOut, Silent, ExpiryPassed, DeadlinePassed, DispatchAged, ResultDue, PurgeDue]
)
@pytest.mark.parametrize("phase", Phase)
def test_a_time_event_that_comes_too_early_is_refused(event: type[Occurrence], phase: Phase) -> None:
    """A timer is a hint: each is checked once more against the row."""
    life = in_phase(phase)
    before = life.job
    life.now_ms -= 1
    refused = life.apply(event(*life.place(Source.TIMERS)))  # type: ignore[arg-type]
    assert isinstance(refused, Rejection)
    assert life.job is before


def test_what_events_bring_is_in_the_table_of_transitions() -> None:
    """Both tables agree; that nothing in the other is out of reach is a property of random lives."""
    shown = {(phase, cell) for _, phase, cell in CELLS if cell not in {"no", "nothing"}}
    possible = {(phase or "none", fact.__name__) for phase, ways in TRANSITIONS.items() for fact in ways}
    assert shown <= possible


def test_every_fact_has_a_phase_after_it_and_every_phase_an_entry() -> None:
    """The table knows every phase and every fact."""
    assert set(TRANSITIONS) == {None, *Phase}
    assert {fact for ways in TRANSITIONS.values() for fact in ways} == set(facts.Fact.__args__)
    assert {Phase.READY, Phase.LEASED} == decide.OFFERED
    assert job.EPHEMERAL.issubset(facts.Fact.__args__)
