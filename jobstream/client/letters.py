"""Dead letters: reads the topic of the dead once, and makes of a letter the request that asks for its work
again.

Owns a consumer for as long as one reading takes. It must never decide whether a job may run again: the
service answers that.
"""

import time
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from jobstream.errors import NotReachable
from schemas.codec import Undecodable, decode
from schemas.defaults import NAME_CHARS_MAX
from schemas.events import DeadLetter, JobRequest
from schemas.names import derived_id
from schemas.records import replace

READ_S = 60.0
"""How long reading the letters may take."""
POLL_S = 0.2
ANSWER_S = 5.0
BATCH_RECORDS_MAX = 500


def read_letters(bootstrap: str, topic: str, partitions: int, since_ms: int) -> list[DeadLetter]:
    """The last letter of each job that was written since a time, the oldest first. Blocks.

    Raises:
        NotReachable: Kafka does not answer, or not in time.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "client.id": "jobstream-client",
            "group.id": "jobstream-client",  # the library wants one; nothing joins or commits
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    try:
        begins = [TopicPartition(topic, number, since_ms) for number in range(partitions)]
        consumer.assign(consumer.offsets_for_times(begins, timeout=ANSWER_S))
        return _latest(_read(consumer, partitions), since_ms)
    except KafkaException as exception:
        raise NotReachable(f"the dead letters at {bootstrap} cannot be read: {exception}") from None
    finally:
        consumer.close()


def _read(consumer: Consumer, partitions: int) -> list[DeadLetter]:
    """Everything up to the end of each partition."""
    letters: list[DeadLetter] = []
    left = set(range(partitions))
    ends_at = time.monotonic() + READ_S
    while left:
        if time.monotonic() > ends_at:
            raise NotReachable(
                f"reading the dead letters took longer than {READ_S:g} s: give a later --since"
            )
        for message in consumer.consume(BATCH_RECORDS_MAX, POLL_S):
            error, value = message.error(), message.value()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its name
                left.discard(message.partition() or 0)
            elif error is not None:
                raise KafkaException(error)
            elif value is not None:
                letters += _decoded(value)
    return letters


def _decoded(value: bytes) -> list[DeadLetter]:
    try:
        return [decode(value, (DeadLetter,))]
    except Undecodable:
        return []  # not one of ours; nothing can be run by it


def _latest(letters: Iterable[DeadLetter], since_ms: int) -> list[DeadLetter]:
    found = {(letter.job, letter.key): letter for letter in letters if letter.at_ms >= since_ms}
    return sorted(found.values(), key=lambda letter: letter.at_ms)


def request_again(letter: DeadLetter) -> JobRequest:
    """The request for the same work as a job of its own. Its id follows from the letter, so that a letter
    that is redriven twice asks for one job.
    """
    again = f"{letter.job}@redriven-{letter.at_ms}"
    if len(again) > NAME_CHARS_MAX:
        again = derived_id(letter.job, letter.partition, letter.at_ms, letter.at_ms)
    request: JobRequest = decode(letter.request.encode(), (JobRequest,))
    return replace(
        request,
        id=again,
        key=letter.key,
        args=letter.args,
        content_type=letter.content_type,
        parent=letter.job,
    )
