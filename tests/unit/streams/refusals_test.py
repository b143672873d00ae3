"""Bad input: each kind gets one rejection, a sentence with its source position, and the partition goes on."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from schemas import defaults
from schemas.codec import encode
from schemas.events import Dispatch, Fact, Heartbeat, JobRequest, Tick
from schemas.keys import home
from schemas.words import FactKind, RejectCode
from streams.core import job
from tests.fakes.desk import FOREIGN, HOME, KEYS, PARTITIONS, Desk, Written

KEY = KEYS[0]


@dataclass(frozen=True)
class Bad:
    """One bad request: its record's key and value, and what must be said about it."""

    value: bytes | None
    code: RejectCode
    says: str
    key: bytes | None = KEY.encode()
    told: bool = True
    """Whether the client can be told, since the id could be read."""


def asks(**fields: object) -> bytes:
    """A request in JSON, good but for these fields."""
    return json.dumps({"id": "j1", "function": "mail.send", **fields}).encode()


def avro(**fields: Any) -> bytes:
    """A request in Avro, good but for these fields."""
    return encode(JobRequest(**{"id": "j1", "function": "mail.send", **fields}))


WIRE = avro()

BAD = {
    "undecodable bytes": Bad(b"\xff\xfe\x00", RejectCode.UNDECODABLE, "must be Avro", told=False),
    "no value at all": Bad(None, RejectCode.UNDECODABLE, "must have a value", told=False),
    "an empty value": Bad(b"", RejectCode.UNDECODABLE, "must be", told=False),
    "broken JSON": Bad(b'{"function": ', RejectCode.UNDECODABLE, "JSON", told=False),
    "broken Avro": Bad(WIRE[:-3], RejectCode.UNDECODABLE, "breaks off", told=False),
    "an unknown schema id": Bad(
        b"\x00\x00\x0f\x42\x3f" + WIRE[5:], RejectCode.UNKNOWN_SCHEMA, "999999", told=False
    ),
    "an unknown fingerprint": Bad(
        b"\xc3\x01" + bytes(8) + WIRE[5:], RejectCode.UNKNOWN_SCHEMA, "fingerprint", told=False
    ),
    "a record that belongs elsewhere": Bad(
        encode(Tick(partition=HOME, at_ms=0, receipts_end=0, heartbeats_end=0)),
        RejectCode.UNEXPECTED_TYPE,
        "got a Tick",
        told=False,
    ),
    "a job without a function": Bad(
        json.dumps({"id": "j1", "args": 1}).encode(), RejectCode.BAD_FIELD, "exactly one of function"
    ),
    "a function outside its pattern": Bad(asks(function="rm -rf"), RejectCode.BAD_NAME, "'rm -rf'"),
    "a function outside its pattern, in Avro": Bad(avro(function="a b"), RejectCode.BAD_NAME, "'a b'"),
    "a queue outside its pattern": Bad(asks(queue="Mail_Out"), RejectCode.BAD_NAME, "'Mail_Out'"),
    "a payload above the limit": Bad(
        avro(args=b"x" * (defaults.ARGS_BYTES_MAX + 1)), RejectCode.OVERSIZE, "262145"
    ),
    "a value above the limit": Bad(
        b"{" + b" " * defaults.VALUE_BYTES_MAX, RejectCode.OVERSIZE, "bytes", told=False
    ),
    "a run_at a thousand years off": Bad(
        asks(run_at="3999-01-01T00:00:00Z"), RejectCode.BAD_TIME, "run_at_ms"
    ),
    "a run_at that is no time": Bad(asks(run_at="tomorrow"), RejectCode.BAD_TIME, "'tomorrow'"),
    "a bad cron expression": Bad(
        asks(id=KEY, schedule={"cron": "61 * * * *"}), RejectCode.BAD_SCHEDULE, "61 * * * *"
    ),
    "a bad time zone": Bad(
        asks(id=KEY, schedule={"cron": "* * * * *", "timezone": "Mars/Olympus"}),
        RejectCode.BAD_SCHEDULE,
        "Mars/Olympus",
    ),
    "a record key that contradicts the body's": Bad(
        asks(key="other"), RejectCode.KEY_CONFLICT, "must not differ"
    ),
    "a malformed id": Bad(asks(id="-x"), RejectCode.BAD_NAME, "'-x'", told=False),
    "a field that does not exist": Bad(asks(functoin="x"), RejectCode.UNKNOWN_FIELD, "functoin"),
    "a retry policy that can't be": Bad(
        asks(retry={"attempts_max": 0}), RejectCode.BAD_RETRY, "attempts_max"
    ),
    "an unknown command": Bad(
        json.dumps({"command": "explode", "id": "j1"}).encode(), RejectCode.BAD_FIELD, "explode"
    ),
    "a key that is no text": Bad(asks(), RejectCode.BAD_NAME, "UTF-8", key=b"\xff\xff", told=False),
}


def is_fine(desk: Desk) -> bool:
    """True if the partition takes the next good request."""
    return desk.request(id="good").told == ["admitted"]


@pytest.mark.parametrize("kind", BAD)
def test_bad_requests(kind: str) -> None:
    """A bad request is rejected by one sentence with the value found, and nothing else happens."""
    desk, bad = Desk(), BAD[kind]
    record = desk.write(desk.topics.requests, bad.key, bad.value)
    written = desk.apply(record)
    reject = written.reject
    assert (reject.code, bad.says in reject.reason) == (bad.code, True), reject.reason
    assert (reject.topic, reject.partition, reject.offset) == record[:3]
    assert reject.record_at_ms == record.timestamp_ms
    assert reject.value == (None if bad.value is None else bad.value[: defaults.REJECT_VALUE_BYTES_MAX])
    assert reject.value_bytes == len(bad.value or b"")
    assert not desk.partition.jobs
    assert not written.dispatches
    assert ("rejected" in written.told) == bad.told
    assert is_fine(desk)


def test_the_client_is_told_where_it_listens() -> None:
    """The fact of a rejection is in the home of the client's key, with the code and the sentence."""
    desk = Desk()
    written = desk.ask(FOREIGN.encode(), id="j1", function="a b")
    (fact,) = written.facts
    assert (fact.fact, fact.job, fact.key) == (FactKind.REJECTED, "j1", FOREIGN)
    assert (fact.error_type, fact.reason) == (RejectCode.BAD_NAME, written.reject.reason)
    assert fact.phase is None
    assert [out.partition for out in written.first if out.topic == "jobs.facts"] == [
        home(FOREIGN, PARTITIONS)
    ]


def test_a_duplicate_id_with_other_content() -> None:
    """The same id for another job is rejected, and the job that exists is untouched; the fact names its
    phase.
    """
    desk = Desk()
    desk.request(id="j1", args=b"1")
    before = desk.partition.jobs["j1"]
    written = desk.request(id="j1", args=b"2")
    assert written.reject.code == RejectCode.ID_CONFLICT
    assert [(fact.fact, fact.phase) for fact in written.facts] == [("rejected", "ready")]
    assert desk.partition.jobs["j1"] is before
    assert is_fine(desk)


def test_a_queue_too_many() -> None:
    """A job in one queue more than may come into being is rejected; queues that exist go on."""
    desk = Desk(["default", *(f"q{number}" for number in range(defaults.QUEUES_MAX - 1))])
    written = desk.request(id="j1", queue="one-more")
    assert written.reject.code == RejectCode.QUEUES_FULL
    assert "one-more" in written.reject.reason
    assert desk.request(id="j2", queue="q7").told == ["admitted"]
    assert desk.avro_schedule(id=KEY, cron="* * * * *", function="f", queue="one-more").reject.code == (
        RejectCode.QUEUES_FULL
    )


@pytest.mark.parametrize(
    ("act", "code", "says"),
    [
        (lambda desk: desk.receipt("nobody"), RejectCode.UNKNOWN_JOB, "nobody"),
        (lambda desk: desk.receipt("j1", epoch=7), RejectCode.WRONG_EPOCH, "epoch 7"),
        (lambda desk: desk.receipt("j1", outcome="meh"), RejectCode.BAD_FIELD, "meh"),
        (lambda desk: desk.receipt("j1", partition=5), RejectCode.BAD_FIELD, "got 5"),
        (lambda desk: desk.beat("nobody"), RejectCode.UNKNOWN_JOB, "nobody"),
        (lambda desk: desk.beat("j1", epoch=9), RejectCode.WRONG_EPOCH, "epoch 9"),
        (lambda desk: desk.tick(partition=5), RejectCode.BAD_FIELD, "got 5"),
        (lambda desk: desk.command("cancel", "nobody"), RejectCode.UNKNOWN_JOB, "nobody"),
        (lambda desk: desk.command("retry", "j1"), RejectCode.NOT_NOW, "offered"),
        (lambda desk: desk.command("cancel", "j1", key=KEYS[1]), RejectCode.UNKNOWN_JOB, KEYS[1]),
        (lambda desk: desk.command("remove_schedule", KEY), RejectCode.UNKNOWN_SCHEDULE, KEY),
        (
            lambda desk: desk.schedule(KEY, {"cron": "61 * * * *", "function": "f"}),
            RejectCode.BAD_SCHEDULE,
            "61",
        ),
        (lambda desk: desk.schedule(KEY, None), RejectCode.UNKNOWN_SCHEDULE, KEY),
        (lambda desk: desk.put("jobs.schedules", b"-", b"{}"), RejectCode.BAD_NAME, "'-'"),
        (
            lambda desk: desk.put(
                "jobs.schedules", KEY.encode(), b'{"id":"x","cron":"* * * * *","function":"f"}'
            ),
            RejectCode.KEY_CONFLICT,
            "'x'",
        ),
        (lambda desk: desk.put("jobs.receipts", None, b"junk"), RejectCode.UNDECODABLE, "junk"),
        (lambda desk: desk.put("jobs.receipts", None, None), RejectCode.UNDECODABLE, "receipt"),
        (lambda desk: desk.put("jobs.heartbeats", None, b"{}"), RejectCode.UNEXPECTED_TYPE, "Avro"),
        (lambda desk: desk.put("jobs.timers", None, b"\x00"), RejectCode.UNDECODABLE, "must be"),
    ],
)
def test_bad_records_of_every_source(act: Callable[[Desk], Written], code: RejectCode, says: str) -> None:
    """What cannot be accepted from relays, tickers and operators is rejected too, and changes no row."""
    desk = Desk()
    desk.request(id="j1")
    before = desk.partition.jobs["j1"]
    written = act(desk)
    assert (written.reject.code, says in written.reject.reason) == (code, True), written.reject.reason
    assert written.rows == []
    assert desk.partition.jobs["j1"] is before
    assert is_fine(desk)


def test_a_heartbeat_of_another_partition() -> None:
    """A heartbeat that names another partition is rejected whole."""
    desk = Desk()
    heartbeat = Heartbeat(partition=HOME + 1, relay="r1", at_ms=desk.now_ms)
    assert desk.put(desk.topics.heartbeats, None, encode(heartbeat)).reject.code == RejectCode.BAD_FIELD


def test_one_bad_beat_among_good_ones() -> None:
    """The other beats of a heartbeat count; all that are refused share one rejection."""
    desk = Desk()
    desk.request(id="j1")
    written = desk.beat("nobody", "j1", "nobody-else")
    assert written.told == ["started"]
    assert "nobody" in written.reject.reason
    assert "1 more" in written.reject.reason


def test_stale_alive_beats_are_not_recorded() -> None:
    """A minion that came back from the dead beats every second; that is harmless, and not worth a record
    each.
    """
    desk = Desk()
    desk.request(id="j1")
    written = desk.beat("j1", epoch=7, kind="alive")
    assert written.first == written.then == ()


def test_a_fault_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that makes the core assert is rejected with the trace; the row stays, and the next record is
    taken.
    """
    desk = Desk()
    desk.request(id="j1")
    before = desk.partition.jobs["j1"]

    def broken(*_: object) -> None:
        raise AssertionError("this can't be")

    with monkeypatch.context() as patch:
        patch.setattr(job, "effects", broken)
        written = desk.command("cancel", "j1")
    assert written.reject.code == RejectCode.FAULT
    assert "this can't be" in written.reject.reason
    assert "Traceback" in written.reject.reason
    assert written.rows == []
    assert desk.partition.jobs["j1"] is before
    assert is_fine(desk)


def test_a_fault_in_a_tick_concerns_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row whose decision fails at a tick is rejected and left alone; the others are decided, ticks end."""
    desk = Desk()
    for id in ("j1", "j2"):
        desk.request(id=id, run_at_ms=desk.now_ms + 1_000)
    real = job.step

    def broken_for_one(row: object, event: object) -> object:
        if getattr(row, "spec", None) is not None and row.spec.id == "j1":  # type: ignore[attr-defined]
            raise AssertionError("this can't be")
        return real(row, event)  # type: ignore[arg-type]

    monkeypatch.setattr(job, "step", broken_for_one)
    written = desk.tick(desk.now_ms + 2_000)
    assert [dispatch.job for dispatch in written.of(Dispatch)] == ["j2"]
    assert (written.reject.code, written.reject.id) == (RejectCode.FAULT, "j1")
    assert desk.tick(desk.now_ms + 10).rejects == []


def test_a_record_that_can_t_be_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be written whole is not written in part: the row that was ready to go stays behind."""
    desk = Desk()
    desk.request(id="j1")

    def without_facts(event: object) -> bytes:
        assert not isinstance(event, Fact), "must be small enough"
        return encode(event)

    with monkeypatch.context() as patch:
        patch.setattr("streams.outbox.encode", without_facts)
        written = desk.receipt("j1")
    assert written.reject.code == RejectCode.FAULT
    assert (written.rows, written.then) == ([], ())
    assert desk.partition.jobs["j1"].phase == "ready"
    assert desk.receipt("j1").told == ["succeeded"]


def test_a_receipt_with_everything_too_large() -> None:
    """A result above its limit counts as a failure that is not retried."""
    desk = Desk()
    desk.request(id="j1")
    receipt = desk.receipt("j1", result=b"x" * (defaults.RESULT_BYTES_MAX + 1))
    assert receipt.told == ["died"]
    assert receipt.facts[0].error_type == "Oversize"
