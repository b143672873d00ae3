"""How the connectors of a prefix are, for people: Connect's word, how far behind, what was refused."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobstream.connect import names
from jobstream.connect.rest import Worker
from jobstream.errors import NotReachable
from schemas.kafka import librdkafka
from schemas.settings import Settings
from schemas.topics import Topics

if TYPE_CHECKING:
    from confluent_kafka import Consumer

ASK_S = 10.0


@dataclass(frozen=True)
class Row:
    """One connector."""

    connector: str
    state: str
    tasks: tuple[str, ...]
    runs: bool
    why: str
    behind: int | None = None
    """Offsets that a sink has not read yet, those of transactions' markers among them; None for a source."""
    refused: int | None = None
    """Records that a sink could not take, as far as they are kept."""


def look(settings: Settings) -> list[Row]:
    """The connectors of the prefix that are there.

    Raises:
        ConnectFailed, NotReachable: Connect or Kafka does not answer.
    """
    worker, rows = Worker(settings.connect), list[Row]()
    known = worker.names()
    for name in (names.sink(settings.prefix), names.outbox(settings.prefix)):
        state = worker.state(name) if name in known else None
        if state is None:
            continue
        row = Row(name, state.connector, state.tasks, state.runs, state.why)
        if name == names.sink(settings.prefix):
            behind, refused = _counts(settings, name)
            row = Row(name, state.connector, state.tasks, state.runs, state.why, behind, refused)
        rows.append(row)
    return rows


def _counts(settings: Settings, sink: str) -> tuple[int, int]:
    """How many offsets a sink is behind, and how many records it refused."""
    from confluent_kafka import Consumer, KafkaException

    topics = Topics(settings.prefix, settings.partitions)
    reader = Consumer({**librdkafka(settings.kafka), "group.id": f"connect-{sink}", "log_level": 0})
    try:
        behind = sum(_behind(reader, topic) for topic in (topics.facts, topics.dead))
        refused = _ends(reader, names.refused(settings.prefix))
    except KafkaException as error:
        raise NotReachable(f"Kafka at {settings.bootstrap} does not answer: {error}") from None
    finally:
        reader.close()
    return behind, sum(high - low for low, high in refused.values())


def _behind(reader: "Consumer", topic: str) -> int:
    from confluent_kafka import TopicPartition

    ends = _ends(reader, topic)
    committed = reader.committed([TopicPartition(topic, number) for number in ends], timeout=ASK_S)
    return sum(
        max(0, ends[each.partition][1] - max(each.offset, ends[each.partition][0])) for each in committed
    )


def _ends(reader: "Consumer", topic: str) -> dict[int, tuple[int, int]]:
    """The first and the next offset of each partition."""
    from confluent_kafka import TopicPartition

    found = reader.list_topics(topic, timeout=ASK_S).topics[topic].partitions
    return {
        number: reader.get_watermark_offsets(TopicPartition(topic, number), timeout=ASK_S) for number in found
    }
