"""A worker that has nothing to read does not look stuck, whatever lies at the ends of its topics."""

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from faust.types import TP

from streams.transport.restore import Log
from streams.transport.source import Source
from tests.waiting import eventually_async

pytestmark = pytest.mark.kafka


async def test_the_end_of_a_topic_is_reached_whatever_its_last_records_are(
    bootstrap: str, prefix: str
) -> None:
    """Markers, aborted records and an open transaction are not for readers: the position comes to lie at the
    end that the broker tells, and stays there.
    """
    source_topic = f"{prefix}source"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(source_topic, 1, 1)])[source_topic].result()
    config = {"bootstrap.servers": bootstrap}
    place = TP(source_topic, 0)
    reader = Log(config, f"{prefix}group")
    source = Source(config, f"{prefix}group", 100)
    await source.warm_up()
    await source.begin(1, {place: 0})
    writer = Producer({**config, "transactional.id": f"{prefix}writer"})
    writer.init_transactions(30)

    async def caught_up() -> bool:
        fetched = await source.fetch()
        assert fetched is None or set(fetched.records) == {place}
        return source.positions() == reader.stable_ends([place])

    for end in (writer.commit_transaction, writer.abort_transaction, None):
        writer.begin_transaction()
        writer.produce(source_topic, b"x", partition=0)
        writer.flush(30)
        if end is not None:
            end(30)
        await eventually_async(caught_up, 30)
    assert reader.stable_ends([place]) == {place: 4}, "two records, two markers; the open one does not count"
    writer.abort_transaction(30)
    await source.close()
    reader.close()
