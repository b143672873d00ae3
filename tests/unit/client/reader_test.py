"""The reader of facts, without a broker."""

import pytest
from confluent_kafka import KafkaError

from jobstream.client import reader
from jobstream.client.watch import Watches
from tests.waiting import eventually


class Message:
    """Says that a partition cannot be read at the moment; its offset is none."""

    def error(self) -> KafkaError:
        """The reason."""
        return KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)

    def partition(self) -> int:
        """Which."""
        return 0

    def offset(self) -> int:
        """As librdkafka has it where there is none."""
        return -1001


class Consumer:
    """Gives that message once."""

    def __init__(self, *_: object) -> None:
        self.polls = 0

    def incremental_assign(self, _: object) -> None:
        """Does nothing."""

    def poll(self, _: float) -> Message | None:
        """The message, then nothing."""
        self.polls += 1
        return Message() if self.polls == 1 else None

    def consume(self, *_: object) -> list[Message]:
        """No more."""
        return []

    def close(self) -> None:
        """Does nothing."""


async def test_what_cannot_be_read_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading goes on later where it was: not at an offset that is none."""
    monkeypatch.setattr(reader, "Consumer", Consumer)
    one = reader.FactReader("127.0.0.1:9", "t.facts", Watches())
    one.begin(0, 17)
    consumer = one._consumer
    eventually(lambda: consumer.polls > 2, timeout_s=30)  # type: ignore[attr-defined]
    assert one.end(0) is None
    one.close()
