"""Makes the topics of a prefix be what the catalogue says, or tells where they are not. It owns no names or
numbers: `schemas.topics` has them.

`apply` only adds and sets: it never removes a topic, and never changes a number of partitions, since that
would send the jobs of a key elsewhere. `check` only reads.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from jobstream.errors import NotReachable, TopicRefused
from schemas.defaults import QUEUE
from schemas.kafka import librdkafka
from schemas.topics import DISPATCH, Topic, Topics, broker_faults, retention_faults

ANSWER_S = 10.0
"""How long Kafka may take to answer one question."""
REACH_S = 5.0
"""How long it may take to reach it."""
THERE_S = 15.0
"""How long new topics may take until they have leaders."""
POLL_S = 0.05
REPLICAS_WANTED = 3
"""Of each partition, where there are so many brokers."""
BROKERS_REPLICATED = 2
"""With so many brokers, a partition that is on one of them alone is a fault."""
BY_BROKER = -1
"""Replication factor of new topics: what the broker's own default says."""


@dataclass(frozen=True)
class Change:
    """What apply did to one topic."""

    topic: str
    done: str
    """`created` or `altered`."""
    detail: str


@dataclass(frozen=True)
class Found:
    """A topic as it is."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


def apply(bootstrap: str, topics: Topics, queues: Iterable[str] = ()) -> list[Change]:
    """Creates the topics that are missing, and sets the settings that differ. Safe to repeat. Blocks.

    Args:
        bootstrap: Kafka's address.
        topics: The prefix, and the partitions of topics that are made.
        queues: Queues whose dispatch topics shall be there, besides those that are.

    Returns:
        What was changed: nothing at the second time.

    Raises:
        NotReachable: Kafka does not answer.
        TopicRefused: Kafka refused to create or alter a topic.
    """
    admin = _admin(bootstrap)
    wanted = _wanted(admin, topics, queues)
    found = _find(admin, wanted)
    missing = [topic for topic in wanted if topic.name not in found]
    _create(admin, missing)
    changes = [Change(topic.name, "created", f"{topic.partitions} partitions") for topic in missing]
    for topic in wanted:
        if topic.name in found:
            differing = _differences(topic, found[topic.name].config)
            if differing:
                _alter(admin, topic.name, {name: wants for name, (_, wants) in differing.items()})
                changes += [
                    Change(topic.name, "altered", _said(name, *both)) for name, both in differing.items()
                ]
    return changes


def check(bootstrap: str, topics: Topics) -> list[str]:
    """Every way in which the topics and the broker are not as they shall be, as a sentence each. Blocks.

    Raises:
        NotReachable: Kafka does not answer.
    """
    admin = _admin(bootstrap)
    wanted = _wanted(admin, topics, ())
    found = _find(admin, wanted)
    brokers = _ask(admin, lambda: admin.list_topics(timeout=ANSWER_S)).brokers
    faults = []
    for topic in wanted:
        if topic.name in found:
            faults += _topic_faults(topic, found[topic.name], len(brokers))
        else:
            faults.append(f"topic {topic.name} is missing: `jobstream topics apply` creates it")
    kept = {
        topic.role: int(found[topic.name].config["retention.ms"]) for topic in wanted if topic.name in found
    }
    faults += retention_faults(kept)
    for number in sorted(brokers):
        faults += broker_faults(_configs(admin, ResourceType.BROKER, [str(number)])[str(number)])
    return faults


def _topic_faults(topic: Topic, found: Found, brokers: int) -> list[str]:
    faults = []
    if found.partitions != topic.partitions:
        faults.append(
            f"topic {topic.name} must have {topic.partitions} partitions, got {found.partitions}: that is"
            f" fixed for the life of a prefix, so set it to what is there, or take another prefix"
        )
    faults += [
        f"topic {topic.name} must have {name}={wants}, got {has}: `jobstream topics apply` sets it"
        for name, (has, wants) in _differences(topic, found.config).items()
    ]
    replicas = min(brokers, REPLICAS_WANTED)
    if brokers >= BROKERS_REPLICATED and found.replicas < replicas:
        faults.append(
            f"topic {topic.name} must have {replicas} replicas with {brokers} brokers, got {found.replicas}:"
            f" jobs would be lost with a broker"
        )
    insync = int(found.config.get("min.insync.replicas", "1"))
    if found.replicas >= REPLICAS_WANTED and insync < REPLICAS_WANTED - 1:
        faults.append(
            f"topic {topic.name} must have min.insync.replicas={REPLICAS_WANTED - 1} with {found.replicas}"
            f" replicas, got {insync}: a confirmed record could be on one broker alone"
        )
    return faults


def docs(topics: Topics) -> str:
    """The catalogue as a page in Markdown."""
    lines = [
        "# Topics",
        "",
        f"Names with the prefix `{topics.prefix}`. Made by `jobstream topics docs`.",
        "",
        "| topic | partitions | key | values | kept | time | what for |",
        "|---|---|---|---|---|---|---|",
    ]
    for topic in topics.catalogue():
        name = f"{topics.prefix}{DISPATCH}<queue>" if topic.role == DISPATCH else topic.name
        values = ", ".join(value.__name__ for value in topic.values) or "-"
        time_of = "broker's" if topic.append_time else "writer's"
        key = topic.key.replace("<", "&lt;")
        cells = (f"`{name}`", str(topic.partitions), key, values, _kept(topic), time_of, topic.doc)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _kept(topic: Topic) -> str:
    """How long records are kept, in words."""
    hours = topic.retention_ms // 3_600_000
    age = f"{hours // 24} d" if hours >= 24 else f"{hours} h"  # noqa: PLR2004  # a day
    match topic.cleanup.split(","):
        case ["compact"]:
            return "latest per key"
        case ["delete"]:
            return age if topic.retention_ms >= 0 else "for ever"
        case _:
            return f"latest per key, {age}"


def _wanted(admin: AdminClient, topics: Topics, queues: Iterable[str]) -> tuple[Topic, ...]:
    """The catalogue, with the dispatch topics that are there, those that are asked for, and that of the
    default queue.
    """
    names = _ask(admin, lambda: admin.list_topics(timeout=REACH_S)).topics
    there = {queue for name in names if (queue := topics.queue_of(name)) is not None}
    return topics.catalogue(sorted({QUEUE, *there, *queues}))


def _find(admin: AdminClient, wanted: Iterable[Topic]) -> dict[str, Found]:
    """Those of the topics that are there, as they are."""
    metadata = _ask(admin, lambda: admin.list_topics(timeout=ANSWER_S)).topics
    names = [topic.name for topic in wanted if topic.name in metadata]
    configs = _configs(admin, ResourceType.TOPIC, names)
    return {
        name: Found(
            partitions=len(metadata[name].partitions),
            replicas=min(len(partition.replicas) for partition in metadata[name].partitions.values()),
            config=configs[name],
        )
        for name in names
    }


def _configs(admin: AdminClient, kind: ResourceType, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    answers = admin.describe_configs([ConfigResource(kind, name) for name in names], request_timeout=ANSWER_S)
    return {
        resource.name: {
            name: entry.value for name, entry in _ask(admin, answer.result).items() if entry.value is not None
        }
        for resource, answer in answers.items()
    }


def _differences(topic: Topic, config: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What the topic has and what it shall have, by the name of the setting."""
    return {
        name: (config.get(name, "nothing"), wants)
        for name, wants in topic.config.items()
        if not _equal(config.get(name), wants)
    }


def _equal(has: str | None, wants: str) -> bool:
    if has is None:
        return False
    try:
        return float(has) == float(wants)
    except ValueError:
        return sorted(has.split(",")) == sorted(wants.split(","))


def _said(name: str, has: str, wants: str) -> str:
    return f"{name} {has} -> {wants}"


def _create(admin: AdminClient, missing: list[Topic]) -> None:
    """Creates topics, and returns when they have leaders: a client that comes next finds them."""
    if not missing:
        return
    made = [NewTopic(topic.name, topic.partitions, BY_BROKER, config=topic.config) for topic in missing]
    for name, answer in admin.create_topics(made, operation_timeout=ANSWER_S).items():
        try:
            _ask(admin, answer.result)
        except KafkaException as exception:
            if exception.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicRefused(
                    f"Kafka refused to create topic {name}: {exception.args[0].str()}"
                ) from None
    asked = {
        TopicPartition(topic.name, number): _LATEST for topic in missing for number in range(topic.partitions)
    }
    ends_at = time.monotonic() + THERE_S
    while unled := _unled(admin, asked):
        if time.monotonic() > ends_at:
            raise NotReachable(f"new topics had no leaders after {THERE_S:g} s: {', '.join(sorted(unled))}")
        time.sleep(POLL_S)


def _unled(admin: AdminClient, asked: dict[TopicPartition, OffsetSpec]) -> set[str]:
    """The topics of those partitions whose leader does not serve yet.

    librdkafka remembers for long which topics it did not know: only asking for all makes it look again.
    """
    _ask(admin, lambda: admin.list_topics(timeout=ANSWER_S))
    unled = set()
    for partition, answer in admin.list_offsets(asked, request_timeout=ANSWER_S).items():
        try:
            _ask(admin, answer.result)
        except KafkaException:
            unled.add(partition.topic)
    return unled


def _alter(admin: AdminClient, name: str, settings: Mapping[str, str]) -> None:
    entries = [
        ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        for setting, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
    for answer in admin.incremental_alter_configs([resource], request_timeout=ANSWER_S).values():
        try:
            _ask(admin, answer.result)
        except KafkaException as exception:
            raise TopicRefused(f"Kafka refused to alter topic {name}: {exception.args[0].str()}") from None


class _Admin(AdminClient):
    """An admin client that remembers its address, for sentences."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(
            {
                **librdkafka(bootstrap),
                "client.id": "jobstream-topics",
                "log_level": 2,  # the rest comes as errors
            }
        )
        self.bootstrap = bootstrap


def _admin(bootstrap: str) -> _Admin:
    return _Admin(bootstrap)


_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library's
_UNREACHABLE = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001  # the library's way to name its local errors
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._AUTHENTICATION,  # noqa: SLF001
        KafkaError.REQUEST_TIMED_OUT,
    }
)


def _ask(admin: AdminClient, question: Callable[[], Any]) -> Any:
    """The answer of Kafka.

    Raises:
        NotReachable: There is none.
        KafkaException: It is a refusal.
    """
    try:
        return question()
    except KafkaException as exception:
        if exception.args[0].code() in _UNREACHABLE:
            where = getattr(admin, "bootstrap", "its address")
            raise NotReachable(f"Kafka does not answer at {where}: {exception.args[0].str()}") from None
        raise
