"""Any bytes on any source: a partition never raises, never loses count, and its log restores what it has."""

import json

from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.events import Beat, Command, Heartbeat, JobRequest, Receipt, Tick
from schemas.words import BeatKind, CommandName, Outcome
from streams.core.job import next_due_ms
from tests.fakes.desk import HOME, KEYS, START_MS, Desk

IDS = st.sampled_from(["j1", "j2", KEYS[0]])
WORDS = st.sampled_from(["", "x", "mail.send", "a b", "default", "mail"]) | st.text(max_size=5)
NUMBERS = st.integers(-1, 3) | st.integers(-(2**31), 2**31 - 1)
EPOCHS = st.integers(0, 3)
BYTES = st.binary(max_size=20)

requests = st.builds(
    JobRequest,
    id=st.none() | IDS | WORDS,
    function=st.just("mail.send") | WORDS,
    queue=st.sampled_from(["default", "mail", "-"]),
    key=st.none() | st.sampled_from(KEYS[:2]) | WORDS,
    args=st.none() | BYTES,
    run_at_ms=st.none() | st.integers(START_MS - 5, START_MS + 2_000),
    attempts_max=st.none() | NUMBERS,
    schedule=st.none() | st.just(json.dumps({"cron": "* * * * * *"})) | WORDS,
)
commands = st.builds(
    Command, command=st.sampled_from(list(CommandName)) | WORDS, id=IDS | WORDS, key=st.none() | WORDS
)
receipts = st.builds(
    Receipt,
    job=IDS,
    key=st.just(KEYS[0]),
    partition=st.just(HOME) | NUMBERS,
    attempt=EPOCHS,
    epoch=EPOCHS,
    outcome=st.sampled_from(list(Outcome)) | WORDS,
    at_ms=st.just(START_MS),
    snooze_ms=st.none() | NUMBERS,
    retry_after_ms=st.none() | NUMBERS,
    result=st.none() | BYTES,
    non_retryable=st.booleans(),
)
beats = st.builds(
    Beat,
    job=IDS,
    key=st.just(KEYS[0]),
    epoch=EPOCHS,
    attempt=EPOCHS,
    kind=st.sampled_from(list(BeatKind)),
    minion=WORDS,
    session=WORDS,
    assigned_at_ms=st.just(START_MS),
    deadline_ms=st.just(START_MS),
    step=st.none() | WORDS,
    done=st.none() | NUMBERS,
)
heartbeats = st.builds(
    Heartbeat,
    partition=st.just(HOME),
    relay=WORDS,
    at_ms=st.just(START_MS),
    beats=st.lists(beats, max_size=3).map(tuple),
)
ticks = st.builds(
    Tick,
    partition=st.just(HOME),
    at_ms=st.just(START_MS),
    receipts_end=st.integers(0, 5),
    heartbeats_end=st.integers(0, 5),
)
values = st.one_of(requests, commands, receipts, heartbeats, ticks).map(encode) | BYTES | st.none()
records = st.tuples(
    st.sampled_from(["requests", "receipts", "heartbeats", "timers", "schedules"]),
    st.none() | st.sampled_from([key.encode() for key in KEYS[:2]]) | BYTES,
    values,
    st.integers(0, 5_000),
)


@given(st.lists(records, max_size=25))
def test_any_records(sequence: list[tuple[str, bytes | None, bytes | None, int]]) -> None:
    """Whatever comes, in whatever order: no exception, counts and due times as the rows say, and a log that
    restores.
    """
    desk = Desk()
    for source, key, value, wait_ms in sequence:
        desk.now_ms += wait_ms
        written = desk.put(desk.topics.prefix + source, key, value)
        assert not [reject for reject in written.rejects if reject.code == "fault"], written.rejects
    partition = desk.partition
    assert sum(partition.rows.counts.values()) == len(partition.jobs)
    dues = [due_ms for row in partition.jobs.values() if (due_ms := next_due_ms(row)) is not None]
    dues += [row.next_fire_at_ms for row in partition.schedules.values() if row.next_fire_at_ms is not None]
    assert partition.next_due_ms() == min(dues, default=None)
    other = desk.restored()
    other.begin(desk.ends(), desk.ends())
    assert other.jobs.keys() == partition.jobs.keys()
    assert other.schedules == partition.schedules
    for id, row in other.jobs.items():
        live = partition.jobs[id]
        assert (row.spec, row.phase, row.epoch, row.attempts) == (
            live.spec,
            live.phase,
            live.epoch,
            live.attempts,
        )
