"""Asks the broker: which topics there are, what offsets they have, how short the silence of a member may be.

Owns the patience of a relay with its broker's answers: it asks again while the cluster settles, since a topic
just made has no leader yet. Blocks: for threads only.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from schemas.settings import Settings
from schemas.topics import Topics

log = logging.getLogger("relay.broker")

T = TypeVar("T")

BROKER_S = 10.0
"""How long the broker may take to give an answer, asked again and again."""

AGAIN_S = 0.02
"""How long to wait before it is asked again."""


TOPICS_S = 30.0
"""How long the broker and the topics may take to be there at the start."""

TOPICS_AGAIN_S = 0.5
"""How often it is looked for them."""

SESSION_TIMEOUT_MS = 3_000
"""Silence after which the broker takes a relay for dead and gives its partitions to others, where
it allows that.
"""

SESSION_TIMEOUT_SAFE_MS = 6_000
"""What every broker allows by default."""

SESSION_TIMEOUT_LEAST = "group.min.session.timeout.ms"
"""The broker's setting that says how short it may be."""


class RelayFailed(Exception):
    """The relay cannot start or cannot go on; the text is one clear sentence."""


class GivenUp(Exception):
    """The relay was told to go before it had started."""


def find_topics(admin: AdminClient, settings: Settings, given_up: Callable[[], bool]) -> Topics:
    """The topics of the prefix, with as many partitions as they have.

    Raises:
        RelayFailed: They, or the broker, are not there in time.
        GivenUp: `given_up` became true meanwhile.
    """
    wanted = Topics(settings.prefix, settings.partitions)
    names = (wanted.receipts, wanted.heartbeats, wanted.control)
    end_s = time.monotonic() + TOPICS_S
    while True:
        try:
            found = admin.list_topics(timeout=TOPICS_AGAIN_S).topics
            missing = ", ".join(name for name in names if name not in found)
            reason = f"{settings.bootstrap} has no topic {missing}; `jobstream topics apply` makes them"
            if not missing:
                break
        except KafkaException as error:
            reason = f"no broker answers at {settings.bootstrap}: {error.args[0].str()}"
        if given_up():
            raise GivenUp
        if time.monotonic() > end_s:
            raise RelayFailed(reason)
        time.sleep(TOPICS_AGAIN_S)
    partitions = len(found[wanted.receipts].partitions)
    if partitions != settings.partitions:
        log.info("partitions are those of %s: %d, not %d", wanted.receipts, partitions, settings.partitions)
    return Topics(settings.prefix, partitions)


def session_timeout_ms(admin: AdminClient) -> int:
    """SESSION_TIMEOUT_MS, or the least that the brokers allow; what they allow by default if they
    do not tell.
    """
    try:
        brokers = admin.list_topics(timeout=BROKER_S).brokers
        resources = [ConfigResource(ResourceType.BROKER, str(broker)) for broker in brokers]
        answers = admin.describe_configs(resources, request_timeout=BROKER_S).values()
        least_ms = max(int(answer.result()[SESSION_TIMEOUT_LEAST].value) for answer in answers)
    except (KafkaException, KeyError, TypeError, ValueError) as error:
        log.info("brokers do not tell %s: %s", SESSION_TIMEOUT_LEAST, error)
        return SESSION_TIMEOUT_SAFE_MS
    return max(SESSION_TIMEOUT_MS, least_ms)


def ends(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """The first offset that a partition has, and the one after its last. KafkaException if it
    can't be told.
    """

    def ask() -> tuple[int, int]:
        found = consumer.get_watermark_offsets(place, timeout=BROKER_S)
        assert found is not None, f"no answer about {place}"
        return found

    return _patiently(ask)


def committed(consumer: Consumer, places: list[TopicPartition]) -> list[TopicPartition]:
    """What the consumer's group has committed for these partitions. KafkaException if it can't be told."""

    def ask() -> list[TopicPartition]:
        found = consumer.committed(places, timeout=BROKER_S)
        for place in found:
            if place.error is not None:
                raise KafkaException(place.error)
        return found

    return _patiently(ask)


def _patiently(ask: Callable[[], T]) -> T:
    end_s = time.monotonic() + BROKER_S
    while True:
        try:
            return ask()
        except KafkaException:
            if time.monotonic() > end_s:
                raise
            time.sleep(AGAIN_S)
