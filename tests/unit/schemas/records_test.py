"""The records are frozen dataclasses in every respect, only quicker to make."""

import dataclasses

import pytest

from schemas.events import Command, Fact, JobRow, Tick
from schemas.records import replace
from tests.unit.schemas.samples import RECORDS, sample

TICK = Tick(partition=1, at_ms=2, receipts_end=3, heartbeats_end=4)


def test_construction() -> None:
    """A record is made by keyword, with its defaults filled in."""
    command = Command(command="cancel", id="x")
    assert (command.command, command.id) == ("cancel", "x")
    assert {found for name, found in vars(command).items() if name not in ("command", "id")} == {None}
    assert command == Command(id="x", command="cancel", reason=None)
    assert repr(command).startswith("Command(command='cancel', id='x', key=None")


def test_wrong_construction() -> None:
    """A missing field, an unknown one, and one without its name are TypeErrors that name the field."""
    with pytest.raises(TypeError, match=r"Command must be given its fields: \['id'\] missing, \[\] unknown"):
        Command(command="cancel")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"\[\] missing, \['nope'\] unknown"):
        Command(command="cancel", id="x", nope=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"\['id'\] missing, \['nope'\] unknown"):
        Command(command="cancel", nope=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Command("cancel", "x")  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_frozen_and_hashable(kind: type) -> None:
    """A record does not change, equals its like, and can be in a set."""
    event = sample(kind, full=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, dataclasses.fields(event)[0].name, 1)
    assert {event, sample(kind, full=True)} == {event}
    assert event != sample(kind, full=False) or not any(
        field.default is not dataclasses.MISSING for field in dataclasses.fields(event)
    )


def test_replace() -> None:
    """A changed record is a new one; both ways to change are the same."""
    changed = replace(TICK, at_ms=7)
    assert (
        changed
        == dataclasses.replace(TICK, at_ms=7)
        == Tick(partition=1, at_ms=7, receipts_end=3, heartbeats_end=4)
    )
    assert TICK.at_ms == 2
    assert vars(changed) is not vars(TICK)


def test_replace_with_what_is_no_field() -> None:
    """A name that is no field is a TypeError."""
    with pytest.raises(TypeError, match=r"Tick has no field \['at'\]"):
        replace(TICK, at=7)


def test_records_do_not_share() -> None:
    """The defaults of one record are not another's."""
    first = Fact(fact="admitted", job="a", key="k", partition=0, at_ms=1)
    second = Fact(fact="readied", job="b", key="k", partition=0, at_ms=1, minion="m")
    assert (first.minion, second.minion) == (None, "m")
    assert sample(JobRow, full=False).attempts == ()
