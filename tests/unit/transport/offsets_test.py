"""What is noted with a committed offset, and how it is read."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, TopicPartition
from faust.types import TP

from streams.transport.batch import Position
from streams.transport.offsets import committed, offsets_of


def test_a_group_commits_its_end_and_is_settled_up_to_its_beginning() -> None:
    """Of several batches the last end and the first start count, per partition."""
    batches: Any = [
        SimpleNamespace(positions={TP("a", 0): Position(5, 8), TP("a", 1): Position(1, 2)}),
        SimpleNamespace(positions={TP("a", 0): Position(8, 9)}),
    ]
    found = {(place.topic, place.partition): place for place in offsets_of(batches, "w1")}
    assert (found["a", 0].offset, found["a", 0].metadata) == (9, "settled=5 writer=w1;")
    assert (found["a", 1].offset, found["a", 1].metadata) == (2, "settled=1 writer=w1;")


def test_what_was_noted_is_read_again() -> None:
    """The records of the last group are in doubt, and its writer is known."""
    at = committed(TopicPartition("a", 0, 9, metadata="settled=5 writer=w1 later=x;"), first=0)
    assert (at.offset, at.doubtful, at.writer) == (9, range(5, 9), "w1")


def test_what_follows_the_note_is_not_read() -> None:
    """Librdkafka may append what else was in its memory."""
    at = committed(TopicPartition("a", 0, 9, metadata="settled=5 writer=w1;7 writer=w2; x=\x07"), first=0)
    assert (at.settled, at.writer) == (5, "w1")


@pytest.mark.parametrize("metadata", ["", "settled=;", "settled=x;", "settled=5", "something else"])
def test_without_a_note_nothing_is_in_doubt(metadata: str) -> None:
    """The idempotent mode, and other tools, commit what is confirmed."""
    at = committed(TopicPartition("a", 0, 9, metadata=metadata), first=0)
    assert (at.offset, list(at.doubtful), at.writer) == (9, [], None)


def test_without_an_offset_a_partition_begins_with_its_first_record() -> None:
    """Which need not be number 0."""
    at = committed(TopicPartition("a", 0, OFFSET_INVALID), first=70)
    assert (at.offset, list(at.doubtful)) == (70, [])


def test_an_offset_whose_records_are_gone_begins_with_the_first_that_is_left() -> None:
    """What was in doubt stays so."""
    at = committed(TopicPartition("a", 0, 9, metadata="settled=5;"), first=70)
    assert (at.offset, at.settled) == (70, 5)
