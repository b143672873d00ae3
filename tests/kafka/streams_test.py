"""The streams worker as it runs: a real broker, a real Faust worker in a process of its own."""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.keys import home
from schemas.words import Phase
from streams.crash import EXIT_CODE
from tests.kafka.streams_harness import PARTITIONS, READY_S, STOP_S, Log, Start, Worker
from tests.waiting import eventually


@pytest.fixture
def log(bootstrap: str, prefix: str) -> Log:
    """The topics of this test."""
    return Log(bootstrap, prefix)


@pytest.fixture
def start(bootstrap: str, prefix: str, tmp_path: Path) -> Iterator[Start]:
    """Starts workers; none of them outlives the test."""
    workers = []

    def begin(*command: str, wait: bool = True, partitions: int = PARTITIONS) -> Worker:
        worker = Worker(bootstrap, prefix, tmp_path, *command, partitions=partitions)
        workers.append(worker)
        return worker.start(wait=wait)

    yield begin
    for worker in workers:
        worker.close()


def test_from_a_request_to_its_end(start: Start, log: Log) -> None:
    """The smallest request, from a client that knows no key and no partitioner of ours, is dispatched at its
    home; its receipt ends it, and the page shows how.
    """
    worker = start()
    assert "nothing to recover" in worker.said
    log.ask(id="job/1", function="mail.send", args={"to": "a@b.c"})
    dispatch = log.dispatch("job/1")
    assert dispatch.partition == log.home("job/1")
    log.receipt(dispatch, result=b"42", result_type="application/json", minion="m1")
    assert log.fact("job/1", "succeeded").result == b"42"
    page = worker.page("job/job%2F1")
    assert (page["phase"], page["result"], page["args"]) == (Phase.SUCCEEDED, 42, {"to": "a@b.c"})
    assert page["attempts"][0]["minion"] == "m1"
    assert worker.page("job/job/1?key=job/1")["phase"] == Phase.SUCCEEDED


def test_what_a_worker_measures(start: Start, log: Log) -> None:
    """Its page for Prometheus tells of facts, times, rows, and how far each source partition is behind."""
    worker = start()
    log.ask(id="j1", function="f")
    log.receipt(log.dispatch("j1"), assigned_at_ms=1, started_at_ms=2, run_ms=20)
    log.fact("j1", "succeeded")
    lag = f'jobstream_lag_records{{partition="{log.home("j1")}",topic="{log.topics.receipts}"}} '

    def told() -> str:
        text: str = worker.page("metrics", "text/plain", "/")
        return text if lag in text else ""

    text = eventually(told, READY_S)
    for line in (
        'jobstream_facts_total{fact="succeeded",function="f",queue="default"} 1.0',
        'jobstream_run_seconds_sum{function="f",queue="default"} 0.02',
        'jobstream_jobs{phase="succeeded",queue="default"} 1.0',
        "jobstream_partitions_owned 4.0",
        "jobstream_ready 1.0",
        "jobstream_rebalances_total 1.0",
        "jobstream_restore_ratio 1.0",
        'jobstream_info{service="streams",version=',
    ):
        assert line in text
    assert not [line for line in text.splitlines() if "j1" in line]


def test_a_killed_worker_goes_on(start: Start, log: Log) -> None:
    """After kill -9 the same worker restores its rows and says so, keeps what was asked meanwhile, and is
    back within seconds although nobody told the broker of its death.
    """
    worker = start()
    log.ask("k", id="before", function="f")
    dispatch = log.dispatch("before")
    worker.kill()
    log.ask("k", id="meanwhile", function="f")
    log.receipt(dispatch)
    worker.start()
    assert log.dispatch("meanwhile").epoch == 1
    log.fact("before", "succeeded")
    assert "recovered partitions=4 rows=1 leases=0" in worker.said
    assert {d.epoch for d in log.dispatches()} == {1}
    assert worker.page("counts")["queues"] == {"default": {"ready": 1, "succeeded": 1}}


def test_time(start: Start, log: Log) -> None:
    """A delayed job comes at its time, a schedule fires, a failure is retried, and a silent minion is found
    out.
    """
    worker = start()
    log.write(
        log.topics.schedules,
        b'{"id":"tick","cron":"* * * * * *","function":"f","key":"cron-key","overlap":"allow_all"}',
        b"tick",
    )
    due_ms = time.time_ns() // 1_000_000 + 4_000
    log.ask("delayed", id="delayed", function="f", run_at=due_ms)
    log.ask("silent", id="silent", function="f", heartbeat_timeout_ms=2_000)
    log.ask("broken", id="broken", function="f", retry={"initial_ms": 200, "jitter": 0})
    log.started(log.dispatch("silent"))
    log.receipt(log.dispatch("broken"), "failure", error_type="ValueError")
    assert log.dispatch("broken", epoch=2).attempt == 2
    assert log.dispatch("silent", epoch=2).attempt == 2
    assert log.fact("silent", "lost").error_type is not None
    assert log.fact("delayed", "admitted").next_at_ms == due_ms
    assert 0 <= log.fact("delayed", "readied").at_ms - due_ms < 1_000
    eventually(lambda: worker.page("schedules")["schedules"][0]["fires"] >= 3)
    fired = [fact for fact in log.facts() if fact.scheduled_by == "tick" and fact.fact == "admitted"]
    assert len({fact.job for fact in fired}) == len(fired) >= 2
    assert {fact.partition for fact in fired} == {log.home("cron-key")}


def test_bad_bytes_go_to_the_rejects(start: Start, log: Log) -> None:
    """What can't be read is recorded with its place, the client is told where it can be, and the worker goes
    on.
    """
    worker = start()
    log.write(log.topics.requests, b"\xff\xfe", partition=2)
    log.write(log.topics.requests, None, partition=1)
    log.write(log.topics.receipts, b"junk", partition=0)
    log.write(log.topics.heartbeats, b"\x00\x00\x00\x00\x01", partition=0)
    log.write(log.topics.timers, b"", partition=3)
    log.write(log.topics.schedules, b"{}", b"x", partition=3)
    log.ask("k", id="told", function="no way")
    assert log.fact("told", "rejected").error_type == "bad_name"
    log.ask("k", id="good", function="f")
    log.dispatch("good")
    rejects = eventually(lambda: found if len(found := log.rejects()) >= 7 else None)
    assert rejects is not None
    places = {(reject.topic, reject.partition, reject.offset) for reject in rejects}
    assert (log.topics.requests, 2, 0) in places
    assert all(reject.reason and reject.code for reject in rejects)
    assert worker.page("health")["refused"] == 7


def test_pages(start: Start, log: Log) -> None:
    """Pages are JSON for machines and HTML for people; what they don't have they say in a sentence."""
    worker = start()
    for number in range(5):
        log.ask(f"k{number}", id=f"j{number}", function="f", tags=["<script>"])
    eventually(lambda: worker.page("counts")["total"] == 5)
    listed = worker.page("jobs?queue=default&phase=ready&limit=2")
    assert (len(listed["jobs"]), listed["total"]) == (2, 5)
    seen = [job["id"] for job in listed["jobs"]]
    while listed["next"]:
        listed = worker.page(f"queue/default?limit=2&after={listed['next']}")
        seen += [job["id"] for job in listed["jobs"]]
    assert sorted(seen) == [f"j{number}" for number in range(5)]
    assert worker.page("jobs?queue=other")["jobs"] == []
    assert worker.refusal("job/nobody")[0] == 404
    assert worker.refusal("job/-")[0] == 404
    for path in ("jobs?phase=asleep", "jobs?limit=0", "jobs?after=x", "jobs?colour=red", "counts?x=1"):
        code, sentence = worker.refusal(path)
        assert (code, " " in sentence) == (400, True), path
    for path in ("job/j1", "jobs", "counts", "schedules", "health"):
        page = worker.page(path, accept="text/html,*/*")
        assert page.startswith("<!doctype html>"), path
        assert "<script>" not in page
    assert worker.page("table/jobs/j:j1/", root="/")["id"] == "j1"


def test_a_queue_comes_into_being(start: Start, log: Log) -> None:
    """A job in a queue that nobody declared is dispatched to the topic that is then made, with all its
    partitions.
    """
    worker = start()
    log.ask("k", id="j1", function="f", queue="brand-new")
    assert log.dispatch("j1", queue="brand-new").queue == "brand-new"
    assert worker.page("counts")["queues"] == {"brand-new": {"ready": 1}}
    worker.kill()
    worker.start()
    assert worker.page("job/j1")["waiting_for"] == "a minion of queue brand-new with the function f"


def test_an_aborted_request_is_not_run(start: Start, log: Log, bootstrap: str) -> None:
    """A request in a transaction that was aborted is none."""
    start()
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"{log.topics.prefix}client"})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(log.topics.requests, key=b"k", value=b'{"id":"aborted","function":"f"}')
    producer.flush()
    producer.abort_transaction()
    log.ask("k", id="after", function="f")
    log.dispatch("after")
    assert [dispatch.job for dispatch in log.dispatches()] == ["after"]


def test_sigterm(start: Start, log: Log) -> None:
    """A worker that is told to stop ends with 0 and has committed what it did: the next one has nothing to do
    again.
    """
    worker = start()
    log.ask("k", id="j1", function="f")
    log.dispatch("j1")
    assert worker.stop() == 0
    worker.start()
    assert "recovered partitions=4 rows=1 leases=0 overdue=0 effects_sent_again=0" in worker.said
    assert len(log.dispatches()) == 1


def test_sigint(start: Start) -> None:
    """Ctrl-C does the same."""
    worker = start()
    worker.process.send_signal(signal.SIGINT)
    assert worker.process.wait(STOP_S) == 0


def test_two_workers(start: Start, log: Log) -> None:
    """A second worker takes over half of the partitions, and gives them back when it goes: every job is
    dispatched once, and what the other worker has is not shown as missing.
    """
    jobs = [f"j{number}" for number in range(60)]
    one = start()
    for id in jobs[:20]:
        log.ask(id=id, function="f")
    two = start()
    for id in jobs[20:40]:
        log.ask(id=id, function="f")
    eventually(lambda: one.partitions and two.partitions, READY_S)
    assert sorted(one.partitions + two.partitions) == [0, 1, 2, 3]
    elsewhere = next(id for id in jobs if home(id, PARTITIONS) in two.partitions)
    assert one.refusal(f"job/{elsewhere}?key={elsewhere}")[0] == 503
    two.stop()
    for id in jobs[40:]:
        log.ask(id=id, function="f")
    eventually(lambda: one.partitions == [0, 1, 2, 3], READY_S)
    eventually(lambda: {dispatch.job for dispatch in log.dispatches()} == set(jobs), READY_S)
    eventually(lambda: one.page("counts")["total"] == len(jobs))
    assert {dispatch.epoch for dispatch in log.dispatches()} == {1}


def test_faust_s_own_command_line(start: Start, log: Log) -> None:
    """`faust -A streams.app worker` runs the same worker."""
    start(sys.executable, "-m", "faust", "-A", "streams.app", "worker", "-l", "info")
    log.ask("k", id="j1", function="f")
    log.dispatch("j1")


def test_a_topic_with_other_partitions(start: Start, log: Log, bootstrap: str) -> None:
    """A prefix whose topics were made for another number of partitions is refused in one line."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([NewTopic(log.topics.requests, PARTITIONS + 1, 1)]).values():
        made.result(10)
    worker = start(wait=False)
    assert worker.process.wait(READY_S) == EXIT_CODE
    (line,) = [line for line in worker.said.splitlines() if "can't start" in line]
    assert f"must have {PARTITIONS} partitions, got {PARTITIONS + 1}" in line


def test_a_dispatch_topic_with_too_few_partitions(start: Start, log: Log, bootstrap: str) -> None:
    """A dispatch topic that a broker made by itself gets the partitions it lacks."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([NewTopic(log.topics.dispatch("default"), 1, 1)]).values():
        made.result(10)
    start()
    ids = [f"j{number}" for number in range(12)]
    for id in ids:
        log.ask(id=id, function="f")
    eventually(lambda: {dispatch.job for dispatch in log.dispatches()} == set(ids), READY_S)


def test_a_second_worker_of_the_same_name(start: Start, log: Log, bootstrap: str, tmp_path: Path) -> None:
    """A worker whose pages would be where another's are ends at once, and does not throw that one out."""
    worker = start()
    twin = Worker(bootstrap, log.topics.prefix, tmp_path, web=worker.web).start(wait=False)
    assert twin.process.wait(READY_S) == EXIT_CODE
    assert f"the address of the pages, {worker.web}, can't be had" in twin.said
    log.ask("k", id="j1", function="f")
    log.dispatch("j1")


def test_no_broker(tmp_path: Path) -> None:
    """Without a broker a worker ends with one line that says so."""
    worker = Worker("127.0.0.1:1", "none.", tmp_path)
    worker.start(wait=False)
    try:
        assert worker.process.wait(60) == EXIT_CODE
    finally:
        worker.close()
    assert "does not answer" in worker.said
