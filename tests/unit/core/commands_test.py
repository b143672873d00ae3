"""Commands as they were written become the events that they are."""

import pytest

from schemas.events import Command
from schemas.words import SCHEDULE_COMMANDS, CommandName
from streams.core import commands
from streams.core.events import CancelAsked, RemoveAsked, RetryAsked, Source
from streams.core.schedule_facts import (
    BackfillAsked,
    JobEnded,
    OrphanAsked,
    PauseAsked,
    ResumeAsked,
    TriggerAsked,
)

PLACE = (5, Source.REQUESTS, 7)


def test_each_command_about_a_job_is_an_event() -> None:
    """A termination is a cancel that does not wait."""
    asked = [
        commands.to_job(Command(command=name, id="j", reason="r"), PLACE)
        for name in ("cancel", "terminate", "retry")
    ]
    assert asked == [
        CancelAsked(*PLACE, "j", "r", None, terminate=False),
        CancelAsked(*PLACE, "j", "r", None, terminate=True),
        RetryAsked(*PLACE, "j", "r", None),
    ]


def test_each_command_about_a_schedule_is_an_event() -> None:
    """With what it says; who asks is the reason if there is no other."""
    expected = {
        CommandName.REMOVE_SCHEDULE: RemoveAsked(*PLACE, "s"),
        CommandName.PAUSE_SCHEDULE: PauseAsked(*PLACE, "s", "by ops"),
        CommandName.RESUME_SCHEDULE: ResumeAsked(*PLACE, "s", "by ops"),
        CommandName.TRIGGER_SCHEDULE: TriggerAsked(*PLACE, "s", "skip", "by ops"),
        CommandName.BACKFILL_SCHEDULE: BackfillAsked(*PLACE, "s", 1, 2, "skip", "by ops"),
        CommandName.ORPHAN_SCHEDULE: OrphanAsked(*PLACE, "s", "by ops"),
        CommandName.SCHEDULE_JOB_ENDED: JobEnded(*PLACE, "s", "", "dead", "by ops"),
    }
    assert {*expected} == SCHEDULE_COMMANDS
    for name, event in expected.items():
        command = Command(
            command=name, id="s", by="ops", overlap="skip", since_at_ms=1, until_at_ms=2, phase="dead"
        )
        assert commands.to_schedule(command, PLACE) == event
    bare = commands.to_schedule(Command(command="pause_schedule", id="s"), PLACE)
    assert bare == PauseAsked(*PLACE, "s", None)
    for name in {*CommandName} - SCHEDULE_COMMANDS:
        with pytest.raises(AssertionError, match="is about a job"):
            commands.to_schedule(Command(command=name, id="s"), PLACE)
