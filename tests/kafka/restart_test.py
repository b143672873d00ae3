"""What goes on asking Kafka is answered again soon after Kafka was started again."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from jobstream.client.metadata import Metadata
from jobstream.cluster import Broker as Kafka
from jobstream.errors import NotReachable
from schemas.topics import Topics
from streams.broker import Broker
from tests.waiting import eventually, eventually_async


async def test_ends_of_topics_are_known_after_a_restart(tmp_path: Path) -> None:
    """Librdkafka keeps the leader's epoch of before, which the broker refuses, until it is made to look."""
    topics = Topics("restart.", 2)
    kafka = Kafka.start(tmp_path / "kafka")
    try:
        streams, client = Broker(kafka.bootstrap, topics), Metadata(kafka.bootstrap)

        async def known() -> Mapping[int, tuple[int, int]]:
            return await streams.ends([0, 1])

        await streams.prepare()
        await eventually_async(known, timeout_s=10)
        assert client.ends(topics.facts, 2) == [0, 0]
        port = int(kafka.bootstrap.rpartition(":")[2])
        kafka.stop()
        kafka = await asyncio.to_thread(lambda: Kafka.start(tmp_path / "kafka", port=port))
        await eventually_async(known, timeout_s=10)
        assert eventually(lambda: _ends(client, topics.facts), timeout_s=10) == [0, 0]
    finally:
        kafka.stop()


def _ends(client: Metadata, topic: str) -> list[int]:
    """Where the partitions end; nothing while they have no leader yet."""
    try:
        return client.ends(topic, 2)
    except NotReachable:
        return []
