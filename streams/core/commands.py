"""From a command as it was written to the event that it is for a job or a schedule. Decides nothing: what
makes no sense is the machine's to refuse.
"""

from typing import assert_never

from schemas.events import Command
from schemas.words import CommandName
from streams.core.events import CancelAsked, RemoveAsked, RescheduleAsked, RetryAsked, Source
from streams.core.schedule_facts import (
    BackfillAsked,
    JobEnded,
    OrphanAsked,
    PauseAsked,
    ResumeAsked,
    ScheduleEvent,
    TriggerAsked,
)

Place = tuple[int, Source, int]
"""Time, topic and offset of the record that held the command."""


def to_job(command: Command, place: Place) -> CancelAsked | RetryAsked | RescheduleAsked:
    """What the command is for the job that it names."""
    if command.command == CommandName.RETRY:
        return RetryAsked(*place, command.id, command.reason, command.by)
    if command.command == CommandName.RESCHEDULE:
        return RescheduleAsked(*place, command.id, command.run_at_ms, command.reason, command.by)
    terminate = command.command == CommandName.TERMINATE
    return CancelAsked(*place, command.id, command.reason, command.by, terminate)


def to_schedule(command: Command, place: Place) -> ScheduleEvent:
    """What the command is for the schedule that it names; it is one of SCHEDULE_COMMANDS."""
    id, reason = command.id, command.reason or (f"by {command.by}" if command.by else None)
    name = CommandName(command.command)
    match name:
        case CommandName.REMOVE_SCHEDULE:
            return RemoveAsked(*place, id)
        case CommandName.PAUSE_SCHEDULE:
            return PauseAsked(*place, id, reason)
        case CommandName.RESUME_SCHEDULE:
            return ResumeAsked(*place, id, reason)
        case CommandName.TRIGGER_SCHEDULE:
            return TriggerAsked(*place, id, command.overlap, reason)
        case CommandName.BACKFILL_SCHEDULE:
            return BackfillAsked(
                *place, id, command.since_at_ms, command.until_at_ms, command.overlap, reason
            )
        case CommandName.ORPHAN_SCHEDULE:
            return OrphanAsked(*place, id, reason)
        case CommandName.SCHEDULE_JOB_ENDED:
            return JobEnded(*place, id, command.job or "", command.phase or "", reason)
        case CommandName.CANCEL | CommandName.TERMINATE | CommandName.RETRY | CommandName.RESCHEDULE:
            raise AssertionError(f"{name} is about a job")
        case _:
            assert_never(name)
