"""Schedules and their jobs across partitions: who tells whom, and where; and after a crash."""

from typing import Any

from schemas.events import Command, JobRequest
from schemas.keys import home
from schemas.words import RejectCode
from tests.fakes.desk import FOREIGN, HOME, KEYS, PARTITIONS, Desk, Written

ID = KEYS[0]
AWAY = home(FOREIGN, PARTITIONS)


def scheduled(desk: Desk, **fields: Any) -> Written:
    """Writes a schedule of every minute, and lets it fire once."""
    desk.schedule(ID, {"cron": "* * * * *", "function": "f", "key": FOREIGN, **fields})
    return minute(desk)


def minute(desk: Desk) -> Written:
    """A tick when the schedule wants one."""
    due_ms = desk.partition.next_due_ms()
    assert due_ms is not None
    return desk.tick(due_ms)


def fired(written: Written) -> list[str | None]:
    """The jobs that a record asked for."""
    return [request.id for request in written.of(JobRequest)]


def hand_over(written: Written, desk: Desk) -> Written:
    """Applies at a desk what another wrote to the topic of requests for it."""
    (out,) = [
        out
        for out in written.first + written.then
        if out.topic == desk.topics.requests and out.partition == desk.number
    ]
    return desk.put(out.topic, out.key, out.value, out.headers)


def test_a_job_reports_its_end_to_its_schedule_in_another_partition() -> None:
    """The job lives at the home of its key, the schedule at that of its id; the fire that waited comes."""
    here, there = Desk(), Desk(number=AWAY)
    first = scheduled(here, overlap="buffer_one")
    (job,) = fired(first)
    assert job is not None
    hand_over(first, there)
    assert minute(here).told == ["schedule_buffered"]
    ended = there.receipt(job, key=FOREIGN)
    assert ended.of(Command) == [Command(command="schedule_job_ended", id=ID, job=job, phase="succeeded")]
    assert [out.partition for out in ended.then if out.topic == here.topics.requests] == [HOME]
    released = hand_over(ended, here)
    assert released.told == ["schedule_fired"]
    assert len(fired(released)) == 1
    assert here.partition.schedules[ID].succeeded == 1


def test_a_job_that_is_asked_for_twice_reports_once_more() -> None:
    """The schedule may have missed the first report; one that is not awaited changes nothing."""
    here, there = Desk(), Desk(number=AWAY)
    first = scheduled(here)
    (job,) = fired(first)
    hand_over(first, there)
    there.receipt(str(job), key=FOREIGN)
    again = hand_over(first, there)
    assert [command.job for command in again.of(Command)] == [job]
    assert hand_over(again, here).told == []
    twice = hand_over(again, here)
    assert (twice.told, twice.rejects) == ([], [])
    here.schedule(ID, None)
    assert not hand_over(again, here).rejects, "the schedule may be gone by then"


def test_a_job_that_is_refused_is_not_waited_for() -> None:
    """Its schedule is told, counts it as failed, and goes on."""
    here, there = Desk(), Desk((f"q{number}" for number in range(200)), number=AWAY)
    first = scheduled(here)
    refused = hand_over(first, there)
    assert refused.reject.code == RejectCode.QUEUES_FULL
    hand_over(refused, here)
    row = here.partition.schedules[ID]
    assert (row.running, row.failed) == (None, 1)
    assert minute(here).told == ["schedule_fired"]


def test_other_content_under_the_id_of_a_fire_reports_when_that_job_ends() -> None:
    """There is a job of that id, whoever asked for it: its end is the one that counts."""
    here, there = Desk(), Desk(number=AWAY)
    first = scheduled(here)
    (job,) = fired(first)
    there.request(id=job, key=FOREIGN, function="another")
    conflict = hand_over(first, there)
    assert conflict.reject.code == RejectCode.ID_CONFLICT
    assert conflict.of(Command) == []


def test_after_a_crash_what_is_awaited_is_asked_for_again() -> None:
    """Every fire whose job has not reported, and the words to those that shall end."""
    desk = Desk()
    scheduled(desk, overlap="cancel_other")
    minute(desk)
    again = desk.crash({desk.topics.timers: 0})
    assert len(fired(again)) == 1
    assert [command.command for command in again.of(Command)] == ["cancel"]
    assert fired(desk.crash()) == []


def test_commands_reach_a_schedule_from_any_partition() -> None:
    """Pause, resume, trigger and backfill; each is told as a fact of the schedule, or refused by name."""
    here, there = Desk(), Desk(number=AWAY)
    scheduled(here)
    for command, told in (
        ("pause_schedule", ["schedule_paused"]),
        ("resume_schedule", ["schedule_resumed"]),
        ("trigger_schedule", ["schedule_skipped"]),
    ):
        assert hand_over(there.command(command, ID, key=None, reason="why"), here).told == told
    fact = here.command("trigger_schedule", ID, key=None, overlap="allow_all").facts[0]
    assert (fact.fact, fact.job, fact.fires, fact.fire_at_ms) == ("schedule_fired", ID, 1, here.now_ms)
    refused = here.command("backfill_schedule", ID, key=None, since_at_ms=1, until_at_ms=2)
    assert refused.told == ["rejected"]
    assert refused.reject.reason.startswith("a backfill must be 1 to 10000 fires, got none")
    unknown = here.command("pause_schedule", KEYS[1], key=None)
    assert unknown.reject.code == RejectCode.UNKNOWN_SCHEDULE
