"""Asks the broker about offsets, and asks again while the cluster settles: a topic just made has no leader
yet.

Owns the patience of a relay with its broker's answers. Blocks: for threads only.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

T = TypeVar("T")

BROKER_S = 10.0
"""How long the broker may take to give an answer, asked again and again."""

AGAIN_S = 0.02
"""How long to wait before it is asked again."""


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
