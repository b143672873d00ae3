"""The topics verbs against a real broker: made once, mended, checked, never shrunk or grown."""

import json
import sys

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from jobstream.cli import main
from jobstream.errors import NotReachable, TopicRefused
from jobstream.topics import Change, apply, check, docs
from schemas.topics import Topics


def alter(bootstrap: str, topic: str, name: str, value: str) -> None:
    """Sets one setting of a topic by hand."""
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result(timeout=10)


def test_apply_makes_what_is_missing_and_nothing_twice(bootstrap: str, prefix: str) -> None:
    """The whole catalogue is there afterwards, as it shall be; the second time nothing is changed."""
    topics = Topics(prefix, 3)
    first = apply(bootstrap, topics, ["mails"])
    assert {change.topic for change in first} == {
        topic.name for topic in topics.catalogue(["default", "mails"])
    }
    assert {change.done for change in first} == {"created"}
    assert apply(bootstrap, topics, ["mails"]) == []
    assert check(bootstrap, topics) == []


def test_check_finds_each_difference_and_apply_mends_what_it_may(bootstrap: str, prefix: str) -> None:
    """A setting that differs is told and set again; a number of partitions is told and left alone."""
    topics = Topics(prefix, 2)
    apply(bootstrap, topics)
    alter(bootstrap, topics.facts, "retention.ms", "3600000")
    faults = check(bootstrap, topics)
    assert any(
        f"topic {topics.facts} must have retention.ms=604800000, got 3600000" in fault for fault in faults
    )
    assert any("facts must be kept longer than requests" in fault for fault in faults)

    grown = Topics(prefix, 4)
    assert any(
        f"{topics.requests} must have 4 partitions, got 2" in fault for fault in check(bootstrap, grown)
    )
    changes = apply(bootstrap, grown)
    assert changes == [Change(topics.facts, "altered", "retention.ms 3600000 -> 604800000")]
    assert check(bootstrap, topics) == []


def test_check_tells_of_missing_topics(bootstrap: str, prefix: str) -> None:
    """Each topic that is not there is a sentence that says what makes it."""
    faults = check(bootstrap, Topics(prefix, 2))
    assert len(faults) == len(Topics(prefix).catalogue())
    assert all("is missing: `jobstream topics apply` creates it" in fault for fault in faults)


def test_queues_that_came_into_being_are_part_of_it(bootstrap: str, prefix: str) -> None:
    """The dispatch topic of a queue that the catalogue does not know is checked and mended like the
    others.
    """
    topics = Topics(prefix, 2)
    apply(bootstrap, topics, ["mails"])
    alter(bootstrap, topics.dispatch("mails"), "retention.ms", "1000")
    assert any(topics.dispatch("mails") in fault for fault in check(bootstrap, topics))
    assert [change.topic for change in apply(bootstrap, topics)] == [topics.dispatch("mails")]


def test_a_refusal_names_the_topic(bootstrap: str, prefix: str) -> None:
    """What Kafka does not accept is told with its own words."""
    long = prefix + "x" * 240 + "."
    with pytest.raises(TopicRefused, match=r"Kafka refused to create topic .*: "):
        apply(bootstrap, Topics(long, 1))


def test_nobody_answers(prefix: str) -> None:
    """A port that nobody listens on is a sentence with the address, within seconds."""
    with pytest.raises(NotReachable, match=r"Kafka does not answer at 127\.0\.0\.1:9: "):
        check("127.0.0.1:9", Topics(prefix))


def test_the_verbs_exit_by_what_they_found(
    bootstrap: str, prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Check exits 1 while something differs, apply and then check exit 0."""
    where = ["--bootstrap", bootstrap, "--prefix", prefix, "--partitions", "2"]

    def verb(*args: str) -> int:
        monkeypatch.setattr(sys, "argv", ["jobstream", "topics", *args, *where])
        return main()

    assert verb("check") == 1
    assert "is missing" in capsys.readouterr().out
    assert verb("apply", "--json") == 0
    assert {change["done"] for change in json.loads(capsys.readouterr().out)} == {"created"}
    assert verb("check", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_the_catalogue_is_a_page() -> None:
    """Each topic is a line of the table, dispatch topics are one line for all queues."""
    page = docs(Topics("jobs."))
    for topic in Topics("jobs.").catalogue():
        name = "jobs.dispatch.<queue>" if topic.role == "dispatch." else topic.name
        assert page.count(f"| `{name}` |") == 1
