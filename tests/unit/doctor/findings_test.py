"""What the doctor says of what was seen: one sentence with what was found and what to do."""

from dataclasses import replace
from typing import Any

import pytest

from jobstream.doctor.findings import (
    Asked,
    ConnectorSeen,
    Finding,
    Grade,
    Minion,
    RelaySeen,
    Seen,
    SlotSeen,
    WorkerSeen,
    findings,
)
from jobstream.doctor.look import samples_of
from schemas.events import Fact
from schemas.telemetry import catalogue, prometheus
from schemas.telemetry.meter import Meter

NOW_MS = 1_800_000_000_000
WORKER = WorkerSeen("w:6066", ready=True, partitions=tuple(range(8)), now_ms=NOW_MS, version="1")
RELAY = RelaySeen("r:7071", (Minion("m1", ("default",), 1, 10),), assigned=1_000, spilled=10)
ASKED = tuple(Asked("default", f"k{number}", number % 8) for number in range(400))


def seen(**fields: Any) -> Seen:
    """A cluster that is well, but for these."""
    well = Seen(
        partitions=8,
        now_ms=NOW_MS,
        version="1",
        brokers=1,
        workers=[WORKER],
        relays=[RELAY],
        http=True,
        jobs={"default": {"succeeded": 5}},
        source_lags={"jobs.requests": 3},
        asked=ASKED,
    )
    return replace(well, **fields)


def bad(cluster: Seen) -> list[Finding]:
    """What is not well."""
    return [finding for finding in findings(cluster) if finding.grade is not Grade.OK]


def test_a_cluster_that_is_well() -> None:
    """Everything is told as well, and nothing else."""
    assert bad(seen()) == []
    assert {
        "broker",
        "topics",
        "schemas",
        "streams",
        "clocks",
        "versions",
        "relay",
        "http",
        "lag",
        "keys",
    } <= {finding.about for finding in findings(seen())}


def test_the_log_as_tables() -> None:
    """Nothing is said of tables where there are none; else each fault, with its reason and what to do."""
    assert "tables" not in {finding.about for finding in findings(seen())}
    sink = ConnectorSeen("jobs.sql", runs=True, state="RUNNING", behind=7)
    slot = SlotSeen("jobstream_outbox", read=True, bytes=5)
    assert bad(seen(connectors=[sink], slots=[slot])) == []
    said = bad(
        seen(
            connectors=[replace(sink, runs=False, why="disk full", behind=20_000, refused=2)],
            slots=[replace(slot, read=False, bytes=3 << 20)],
            silent={"Connect": "Kafka Connect at http://c:8083 does not answer: refused"},
        )
    )
    assert [finding.grade for finding in said if "disk full" in finding.sentence] == [Grade.FAULT]
    text = " ".join(finding.sentence for finding in said)
    for part in ("c:8083 does not answer", "20000 records behind", "2 records of the log", "keeps 3 MiB"):
        assert part in text


def test_a_planted_hot_key() -> None:
    """The key, its share and its queue are named, with what to do; the skew it causes is not told twice."""
    hot = tuple(
        Asked("mail", "customer-9", 3) if number % 2 else Asked("mail", f"k{number}", 1)
        for number in range(400)
    )
    (finding,) = bad(seen(asked=hot))
    assert finding.grade is Grade.ADVICE
    assert "key customer-9 has 50% of the last 400 jobs of queue mail" in finding.sentence
    assert "keys of their own" in finding.sentence


def test_jobs_without_keys_are_never_hot() -> None:
    """Each has its id for a key."""
    assert bad(seen(asked=tuple(Asked("q", None, number % 8) for number in range(400)))) == []


def test_a_starved_queue() -> None:
    """Jobs wait in a queue that no minion serves: how many, and the flag that starts one."""
    cluster = seen(jobs={"mail": {"ready": 57}}, oldest_ready_s={"mail": 12.0})
    (finding,) = bad(cluster)
    assert finding.grade is Grade.FAULT
    assert "queue mail starves: 57 jobs wait" in finding.sentence
    assert "--queue mail" in finding.sentence
    served = RelaySeen("r:7071", (Minion("m", ("mail",), 0, 10),))
    assert bad(replace(cluster, relays=[served])) == []


def test_what_a_silent_relay_serves_is_not_guessed() -> None:
    """A relay that does not answer is told of; its queues are not called starved."""
    cluster = seen(jobs={"mail": {"ready": 57}}, relays=[], silent={"relay at r:7071": "UNAVAILABLE"})
    assert [finding.about for finding in bad(cluster)] == ["relay"]


CASES: list[tuple[dict[str, Any], Grade, str]] = [
    ({"topic_faults": ["topic t is missing"]}, Grade.FAULT, "topic t is missing"),
    ({"schema_fault": "the registry is down"}, Grade.FAULT, "the registry is down"),
    ({"workers": []}, Grade.FAULT, "no streams worker is known"),
    (
        {"workers": [], "silent": {"streams worker at w:1": "refused"}},
        Grade.FAULT,
        "w:1 does not answer (refused)",
    ),
    (
        {"workers": [replace(WORKER, partitions=(0, 1))]},
        Grade.FAULT,
        "nobody has the partitions 2, 3, 4, 5, 6, 7",
    ),
    ({"workers": [replace(WORKER, ready=False)]}, Grade.ADVICE, "is recovering"),
    ({"workers": [replace(WORKER, now_ms=NOW_MS - 5_000)]}, Grade.ADVICE, "5.0 s ahead of the broker's"),
    ({"workers": [replace(WORKER, version="2")]}, Grade.ADVICE, "workers run version 2, this command is 1"),
    ({"relays": [RelaySeen("r:1")]}, Grade.ADVICE, "no minion is connected"),
    ({"http": False, "silent": {"http service at h:1": "refused"}}, Grade.ADVICE, "jobstream gateway"),
    (
        {"silent": {"Gearman door at g:4730": "refused"}},
        Grade.ADVICE,
        "the Gearman door at g:4730 does not answer (refused)",
    ),
    ({"source_lags": {"jobs.receipts": 20_000}}, Grade.ADVICE, "20000 records of jobs.receipts before them"),
    ({"jobs": {"default": {"dead": 2}}}, Grade.ADVICE, "queue default has 2 dead jobs"),
    (
        {"jobs": {"default": {"ready": 3}}, "oldest_ready_s": {"default": 90}},
        Grade.ADVICE,
        "queue default is slow: 3 jobs wait, the oldest for 90 s",
    ),
    ({"unserved": {("default", "f"): 4}}, Grade.FAULT, "4 jobs of f in queue default wait, and no connected"),
    (
        {"relays": [RelaySeen("r:1", (Minion("m", ("default",), 10, 10),), waiting=5)]},
        Grade.ADVICE,
        "minions are full (10 of 10 places taken) and 5 jobs wait",
    ),
    (
        {
            "relays": [
                RelaySeen("r:1", (Minion("m1", ("default",), 10, 10), Minion("m2", ("default",), 1, 10)))
            ]
        },
        Grade.ADVICE,
        "minion m1 is full (10 of 10 places taken) while the others of queue default have 1 of 10 taken",
    ),
    ({"relays": [replace(RELAY, spilled=900)]}, Grade.ADVICE, "90% of jobs went to another minion"),
    (
        {"asked": tuple(Asked("q", f"k{n % 3}", n % 2) for n in range(400))},
        Grade.ADVICE,
        "has 34% of the last 400",
    ),
    (
        {"asked": tuple(Asked("q", f"k{n}", 5) for n in range(400))},
        Grade.ADVICE,
        "partition 5 has 400 of the last",
    ),
]


@pytest.mark.parametrize(("fields", "grade", "words"), CASES)
def test_what_is_not_well(fields: dict[str, Any], grade: Grade, words: str) -> None:
    """Each has its sentence, and nothing else is said to be wrong because of it."""
    (finding,) = bad(seen(**fields))
    assert words in finding.sentence
    assert finding.grade is grade


def test_how_run_time_divides() -> None:
    """The function that runs for longest is told; where minions are full, with what to do about it."""
    runs = {("mail", "send"): (10, 90.0), ("default", "small"): (1_000, 10.0)}
    (told,) = (each for each in findings(seen(runs=runs)) if "of the time" in each.sentence)
    assert told.sentence == "send of queue mail has 90% of the time that functions ran, 9 s each"
    assert told.grade is Grade.OK
    full = RelaySeen("r:1", (Minion("m", ("default",), 10, 10),), waiting=5)
    advised = [each.sentence for each in bad(seen(runs=runs, relays=[full]))]
    assert any("a queue and minions of its own" in sentence for sentence in advised)


def test_a_page_of_metrics_is_read() -> None:
    """Names, labels and values come back as they were counted."""
    meter = Meter()
    meter.counter(catalogue.FACTS).add(("admitted", "q", 'a"b'), 3)
    (sample,) = samples_of(prometheus.text(meter.read()).decode())
    assert sample == (catalogue.FACTS.name, {"fact": "admitted", "queue": "q", "function": 'a"b'}, 3)


def test_every_fact_has_its_words() -> None:
    """`jobstream why` knows what each fact of a job means, and shows no result."""
    from jobstream.doctor.why import lines
    from schemas.words import FactKind

    facts = [
        Fact(
            fact=kind, job="j", key="k", partition=1, at_ms=NOW_MS, function="f", queue="q", result=b"secret"
        )
        for kind in FactKind
    ]
    told = list(lines(facts, None))
    assert len(told) == len(facts) + 1
    assert told[0] == ("2027-01-15T08:00:00.000Z", "admitted: f in queue q, key k, partition 1")
    assert "secret" not in str(told)
