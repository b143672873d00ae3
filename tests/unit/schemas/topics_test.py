"""The catalogue of topics: names, settings, and rules between them."""

import pytest

from schemas import defaults, events
from schemas.names import BadName
from schemas.topics import BROKER_RULES, RETENTION_RULES, Topics, broker_faults, retention_faults

TOPICS = Topics("jobs.", 8)
BY_ROLE = {topic.role: topic for topic in TOPICS.catalogue()}


def retentions(**changed: int) -> dict[str, int]:
    """The retentions of the catalogue, by role, with some changed."""
    return {role: topic.retention_ms for role, topic in BY_ROLE.items()} | changed


def test_every_topic_is_in_the_catalogue() -> None:
    """Each name that a room can ask for is told about once."""
    names = [value for name, value in vars(TOPICS).items() if name not in ("prefix", "partitions")]
    assert sorted([*names, TOPICS.dispatch("default")]) == sorted(topic.name for topic in TOPICS.catalogue())


def test_dispatch_topics() -> None:
    """There is a dispatch topic for each queue, and its name leads back to it."""
    names = {topic.name for topic in TOPICS.catalogue(["a", "b-2"])}
    assert {"jobs.dispatch.a", "jobs.dispatch.b-2"} <= names
    assert TOPICS.queue_of("jobs.dispatch.b-2") == "b-2"
    assert TOPICS.queue_of("jobs.requests") is None
    assert TOPICS.queue_of("other.dispatch.a") is None
    with pytest.raises(BadName):
        TOPICS.dispatch("A.b")


def test_prefixes_do_not_meet() -> None:
    """All names begin with the prefix."""
    assert all(topic.name.startswith("x-1.") for topic in Topics("x-1.", 3).catalogue())


@pytest.mark.parametrize("role", ["requests", "receipts", "heartbeats", "timers", "schedules"])
def test_the_broker_says_the_time(role: str) -> None:
    """What is decided on carries the broker's time, not that of whoever wrote it."""
    assert BY_ROLE[role].config["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize("role", ["state", "schedules", "config", "control", "workers"])
def test_what_is_read_whole_is_compacted_fast(role: str) -> None:
    """A topic that is read whole at a start is kept short."""
    config = BY_ROLE[role].config
    assert "compact" in config["cleanup.policy"]
    assert config["segment.bytes"] == str(64 * 1024 * 1024)
    assert config["segment.ms"] == "600000"
    assert config["min.cleanable.dirty.ratio"] == "0.1"


def test_partitions() -> None:
    """What belongs to a key has all partitions; what is for everybody has one."""
    single = {role for role, topic in BY_ROLE.items() if topic.partitions == 1}
    assert single == {"config", "control", "workers", "rejects"}
    assert {topic.partitions for role, topic in BY_ROLE.items() if role not in single} == {8}


def test_settings_are_strings() -> None:
    """Kafka takes all settings as strings, and every record fits."""
    for topic in TOPICS.catalogue():
        assert all(isinstance(value, str) for value in topic.config.values())
        assert int(topic.config["max.message.bytes"]) > defaults.VALUE_BYTES_MAX
        assert topic.doc.endswith(".")


def test_every_record_has_a_topic() -> None:
    """Each record with an id is the value of a topic."""
    from schemas.wire import IDS

    assert {kind for topic in TOPICS.catalogue() for kind in topic.values} == set(IDS)
    assert events.JobRow in BY_ROLE["state"].values


def test_the_catalogue_keeps_the_rules() -> None:
    """The retentions that we ship break none of the rules between them."""
    assert retention_faults(retentions()) == []


@pytest.mark.parametrize("rule", RETENTION_RULES, ids=lambda rule: f"{rule.longer}-{rule.shorter}")
def test_each_rule_is_held(rule: object) -> None:
    """A topic that is kept no longer than what it must outlive is told, with the reason."""
    shorter = rule.shorter if isinstance(rule.shorter, int) else retentions()[rule.shorter]  # type: ignore[attr-defined]
    faults = retention_faults(retentions(**{rule.longer: shorter}))  # type: ignore[attr-defined]
    assert any(fault.startswith(f"{rule.longer} must be kept longer than") for fault in faults)  # type: ignore[attr-defined]
    assert any(fault.endswith(rule.why) for fault in faults)  # type: ignore[attr-defined]


def test_for_ever_is_longest() -> None:
    """A negative retention is for ever: longer than all, and nothing is longer."""
    assert retention_faults(retentions(dispatch=-1)) == retention_faults({"requests": 1, "dispatch": -1})
    assert any(
        "facts must be kept longer than requests" in fault
        for fault in retention_faults(retentions(requests=-1))
    )


def test_broker_rules() -> None:
    """A broker that forgets offsets before records is told so; its other settings are its own."""
    assert broker_faults({name: str(least) for name, (least, _) in BROKER_RULES.items()}) == []
    assert broker_faults({"log.dirs": "/x"}) == []
    faults = broker_faults({"offsets.retention.minutes": "60"})
    assert len(faults) == 1
    assert faults[0].startswith("the broker's offsets.retention.minutes must be at least 8640, got 60: ")
