"""Reading changelogs: what does not get on says so, and ends."""

import threading
from collections.abc import Sequence

import pytest
from confluent_kafka import TopicPartition
from faust.types import TP

from streams.transport import restore
from streams.transport.restore import Log, Stuck
from streams.transport.snapshot import Bounds


class Silent:
    """A consumer that is given no record, as librdkafka's was once after a broker had been restarted."""

    def assign(self, places: Sequence[TopicPartition]) -> None:
        """Takes them."""
        self.places = list(places)

    def consume(self, *_: object) -> list[object]:
        """Nothing."""
        return []

    def position(self, _: object) -> list[TopicPartition]:
        """Where it began."""
        return self.places


def test_a_restore_that_hears_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """With where it stands; a restart asks with new connections."""
    monkeypatch.setattr(restore, "STUCK_S", 0.01)
    log = Log.__new__(Log)
    log._consumer = Silent()  # type: ignore[assignment]
    with pytest.raises(Stuck, match=r"nothing came of state/1 at 3 of 9 in 0.01 s"):
        list(log.read({TP("state", 1): Bounds(3, 9)}, (), threading.Event()))
