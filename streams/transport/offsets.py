"""What is committed for a source partition, besides the offset.

Owns the format of the committed metadata. A transaction commits offsets before the `then` of its batches is
sent, so it notes from where on that is in doubt; and who wrote it, so that the next owner need not wait for
what a dead one left open. Must be readable by any later version: unknown words are ignored, missing ones have
a safe meaning.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from confluent_kafka import OFFSET_INVALID, KafkaException, TopicPartition

from streams.transport.batch import Batch

END: Final = ";"
"""What was committed ends here. librdkafka copies metadata without an end (seen in 2.16), so that bytes of
something else may follow.
"""

SETTLED: Final = "settled"
WRITER: Final = "writer"


class Committed(NamedTuple):
    """Where a source partition goes on."""

    offset: int
    """The next record to read: the first there is where nothing was ever committed, or where that is gone."""

    settled: int
    """Everything that records before this one led to is confirmed."""

    writer: str | None = None
    """The client id of whoever committed it, in a transaction."""

    @property
    def doubtful(self) -> range:
        """Records that are done, but what they led to may not have been sent."""
        return range(self.settled, self.offset)


def offsets_of(batches: Sequence[Batch], writer: str) -> list[TopicPartition]:
    """What to commit for a group of batches: where it ends, and that effects are settled up to where it
    began, as the group before was confirmed whole.
    """
    ends = {tp: position.end for batch in batches for tp, position in batch.positions.items()}
    starts = {tp: position.start for batch in reversed(batches) for tp, position in batch.positions.items()}
    return [TopicPartition(*tp, end, metadata=metadata(starts[tp], writer)) for tp, end in ends.items()]


def metadata(settled: int, writer: str) -> str:
    """What is committed beside an offset."""
    return f"{SETTLED}={settled} {WRITER}={writer}{END}"


def committed(place: TopicPartition, first: int) -> Committed:
    """The opposite, from what librdkafka answers; `first` is the offset of the first record there is.

    Raises:
        KafkaException: the broker had no answer for this partition.
    """
    if place.error is not None:
        raise KafkaException(place.error)
    if place.offset == OFFSET_INVALID:
        return Committed(first, first)
    note, end, _ = _text(place).partition(END)
    words = dict(word.split("=", 1) for word in note.split() if "=" in word) if end else {}
    settled = words.get(SETTLED, "")
    return Committed(
        max(place.offset, first), int(settled) if settled.isdecimal() else place.offset, words.get(WRITER)
    )


def _text(place: TopicPartition) -> str:
    try:
        return place.metadata or ""
    except UnicodeDecodeError as error:  # what follows the end need not be text
        return error.object.decode(errors="replace")
