"""What one partition does with requests, receipts and beats: the way of a job through its records."""

import json

from schemas import defaults
from schemas.codec import encode
from schemas.events import Dispatch, JobRequest, JobRow
from schemas.words import Phase
from tests.fakes.desk import HOME, KEYS, Desk

KEY = KEYS[0]


def test_the_way_of_a_job() -> None:
    """A request makes a row, a fact and a dispatch; its receipt ends it."""
    desk = Desk()
    asked = desk.ask(KEY.encode(), id="j1", function="mail.send", args={"to": "a@b.c"})
    assert [row.phase for row in asked.rows] == [Phase.READY]
    assert asked.told == ["admitted"]
    (dispatch,) = asked.dispatches
    assert (dispatch.job, dispatch.key, dispatch.partition, dispatch.epoch) == ("j1", KEY, HOME, 1)
    assert json.loads(dispatch.args or b"") == {"to": "a@b.c"}
    ended = desk.receipt("j1", result=b"42", result_type="application/json")
    assert [row.phase for row in ended.rows] == [Phase.SUCCEEDED]
    assert [(fact.fact, fact.result) for fact in ended.facts] == [("succeeded", b"42")]
    assert ended.dispatches == []


def test_everything_goes_to_its_home() -> None:
    """Rows, facts and dispatches are written to the home partition, by the keys that readers expect."""
    desk = Desk()
    asked = desk.request(id="j1")
    places = {(out.topic, out.partition, out.key) for out in asked.early + asked.first + asked.then}
    assert places == {
        ("jobs.state", HOME, b"j:j1"),
        ("jobs.facts", HOME, KEY.encode()),
        ("jobs.dispatch.default", HOME, KEY.encode()),
    }


def test_a_row_comes_before_what_it_makes_run() -> None:
    """A dispatch is in the second stage, after the row; so is the fact of an end. Only the first dispatch of
    a new job may leave before its row.
    """
    desk = Desk()
    asked = desk.request(id="j1")
    assert len(asked.of(Dispatch, asked.early)) == 1
    assert len(asked.of(JobRow, asked.first)) == 1
    again = desk.receipt("j1", outcome="lost")
    assert again.early == ()
    assert [dispatch.epoch for dispatch in again.of(Dispatch, again.then)] == [2]
    desk = Desk()
    desk.request(id="j1")
    ended = desk.receipt("j1")
    assert [out.topic for out in ended.first] == ["jobs.state"]
    assert [out.topic for out in ended.then] == ["jobs.facts"]


def test_a_request_without_an_id() -> None:
    """A request without an id gets one from its position, the same again in a replay."""
    first, second = Desk(), Desk()
    ids = [desk.ask(KEY.encode(), function="mail.send").rows[0].spec.id for desk in (first, second)]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 26


def test_large_arguments_lie_apart() -> None:
    """Arguments above the limit of a row are a row of their own, written first, dispatched, and dropped with
    it.
    """
    desk = Desk()
    args = b"x" * (defaults.ARGS_INLINE_BYTES_MAX + 1)
    asked = desk.request(id="j1", args=args, content_type="text/plain")
    assert [out.key for out in asked.first[:2]] == [b"a:j1", b"j:j1"]
    assert asked.rows[0].spec.args is None
    assert asked.dispatches[0].args == args
    assert desk.crash({desk.topics.requests: 0}).dispatches[0].args == args
    desk.receipt("j1")
    purged = desk.tick(desk.now_ms + defaults.JOB_RETENTION_MS + 10)
    assert [(out.key, out.value) for out in purged.first[:2]] == [(b"j:j1", None), (b"a:j1", None)]
    assert not desk.partition.jobs
    assert not desk.partition.rows.packed_args


def test_an_equal_duplicate_is_answered() -> None:
    """The same request once more changes nothing, and tells the end of the job that exists."""
    desk = Desk()
    desk.request(id="j1", args=b"1")
    desk.receipt("j1", result=b"7", result_type="application/json")
    again = desk.request(id="j1", args=b"1")
    assert again.told == ["deduplicated"]
    assert (again.facts[0].phase, again.facts[0].result) == (Phase.SUCCEEDED, b"7")
    assert again.dispatches == []


def test_a_replay_changes_nothing() -> None:
    """A record that the restored row has seen changes nothing, and brings back what the row awaits."""
    desk = Desk()
    record = desk.write(
        desk.topics.requests, None, encode(JobRequest(id="j1", function="mail.send", key=KEY))
    )
    live = desk.apply(record)
    desk.partition = desk.restored()
    desk.partition.begin({**desk.ends(), desk.topics.requests: 0}, desk.ends())
    again = desk.apply(record)
    assert again.rows == []
    assert again.facts == []
    assert again.dispatches == live.dispatches
    assert desk.apply(record).then == ()  # the same record once more is passed over


def test_a_failure_is_retried_and_ends_as_a_dead_letter() -> None:
    """Failures wait out their backoff; the last one writes a dead letter with the request and its args."""
    desk = Desk()
    desk.request(id="j1", args=b"1", attempts_max=2, retry_initial_ms=1_000, retry_jitter=0.0)
    failed = desk.receipt("j1", outcome="failure", error_type="ValueError", error_message="no")
    assert failed.rows[0].phase == Phase.RETRYING
    due_ms = desk.partition.next_due_ms()
    assert due_ms == desk.now_ms + 1_000
    assert desk.tick(due_ms - 1).dispatches == []
    assert [dispatch.epoch for dispatch in desk.tick(due_ms).dispatches] == [2]
    dead = desk.receipt("j1", epoch=2, outcome="failure", error_type="ValueError", error_message="no")
    (letter,) = dead.letters
    assert (letter.job, letter.args, letter.attempts) == ("j1", b"1", 2)
    assert dead.told == ["died"]


def test_a_cancel_tells_the_relays() -> None:
    """Cancelling a ready job ends it, and calls its epoch off at the relays."""
    desk = Desk()
    desk.request(id="j1")
    cancelled = desk.command("cancel", "j1", reason="changed my mind")
    assert cancelled.rows[0].phase == Phase.CANCELLED
    assert [(control.job, control.epoch) for control in cancelled.controls] == [("j1", 1)]
    assert {(out.partition, out.key) for out in cancelled.then if out.topic == "jobs.control"} == {(0, b"j1")}
    assert cancelled.told == ["cancelled"]


def test_alive_beats_are_not_written() -> None:
    """A beat that tells nothing new changes the row in memory alone."""
    desk = Desk()
    desk.request(id="j1")
    assert desk.beat("j1").told == ["started"]
    beat = desk.beat("j1", kind="alive")
    assert beat.first == beat.then == ()
    assert desk.partition.jobs["j1"].beat_at_ms == desk.now_ms


def test_the_trace_of_the_headers() -> None:
    """A request without a trace of its own takes that of its record's headers along."""
    desk = Desk()
    value = json.dumps({"id": "j1", "function": "mail.send"}).encode()
    asked = desk.put(desk.topics.requests, KEY.encode(), value, (("traceparent", b"00-ab-cd-01"),))
    assert asked.dispatches[0].trace == "00-ab-cd-01"


def test_counts_follow_the_rows() -> None:
    """The counts by queue and phase are those of the rows, at any time and after a restore."""
    desk = Desk(("default", "mail"))
    desk.request(id="j1")
    desk.request(id="j2", queue="mail")
    desk.request(id="j3", queue="mail")
    desk.receipt("j3")
    expected = {("default", "ready"): 1, ("mail", "ready"): 1, ("mail", "succeeded"): 1}
    assert dict(desk.partition.rows.counts) == expected
    desk.crash()
    assert dict(desk.partition.rows.counts) == expected


def test_a_schedule_fires_requests() -> None:
    """A schedule is saved, fires at its times to the home of its key, and is removed by a tombstone."""
    desk = Desk()
    saved = desk.schedule(KEY, {"cron": "* * * * *", "function": "report", "args": {"a": 1}})
    assert saved.told == ["schedule_saved"]
    due_ms = desk.partition.next_due_ms()
    assert due_ms is not None
    fired = desk.tick(due_ms)
    assert fired.told == ["schedule_fired"]
    (request,) = fired.of(JobRequest)
    assert request.id is not None
    assert request.id.startswith(f"{KEY}@")
    assert [out.partition for out in fired.then] == [HOME]
    assert desk.schedule(KEY, None).told == ["schedule_removed"]
    assert desk.partition.next_due_ms() is None


def test_a_request_with_a_schedule() -> None:
    """A request with a rule makes a schedule of its id."""
    desk = Desk()
    saved = desk.ask(id=KEY, function="report", schedule={"cron": "0 3 * * *", "timezone": "Europe/Zurich"})
    assert saved.told == ["schedule_saved"]
    assert desk.partition.schedules[KEY].timezone == "Europe/Zurich"
    removed = desk.put(
        desk.topics.requests, None, json.dumps({"command": "remove_schedule", "id": KEY}).encode()
    )
    assert removed.told == ["schedule_removed"]
