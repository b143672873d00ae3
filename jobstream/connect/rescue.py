"""Helps the sink over records that the database refuses, as text with a NUL in it.

Debezium's sink puts aside what cannot be read, but ends at what the database does not take, and would end
there at each start. So whoever looks after it stops it, writes the records it stands at one by one in the
same way, puts those that are refused into the topic of refused records with the reason, and has it go on
behind them. Owns that detour alone; must never put a record aside because the database is away, or because
only the converter knows its schema. Whoever calls it has adopted the registry's ids before.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobstream.connect import connectors, names
from jobstream.connect.connectors import Place
from jobstream.connect.rest import ConnectFailed, Worker
from schemas.codec import WIRE_HEAD_BYTES, WIRE_MAGIC, decode
from schemas.events import DeadLetter, Fact
from schemas.kafka import librdkafka
from schemas.registered import RegistryFailed, knows
from schemas.undecodable import Undecodable
from schemas.words import RejectCode

if TYPE_CHECKING:
    import psycopg
    from confluent_kafka import Consumer, Message

REFUSING = ("22", "23", "54")
"""Classes of SQLSTATE that say no to a row: its data, its constraints, its size (PostgreSQL, appendix A)."""
ASK_S = 10.0
WAIT_MS = 20
"""How long a broker may wait for company: at the end of each partition it would be half a second."""
STOP_S = 60.0
PAUSE_S = 0.1
MARK = "__connect.errors."
"""What the headers begin with by which Connect itself says why it put a record aside."""


@dataclass
class _Walk:
    """How far the records of one run were followed."""

    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    """Of each partition that was read, the offset to go on at."""
    refused: list[tuple["Message", str]] = field(default_factory=list)


def help_over(worker: Worker, place: Place, bootstrap: str) -> int:
    """Has the sink go on behind what the database refuses; how many records were put aside.

    Each partition is followed for one batch from where the sink stands: what it ended at is there. Rows that
    are written here and by the sink meet their own keys. However this ends, the sink may be stopped then, and
    the caller has to resume it.

    Raises:
        ConnectFailed, psycopg.Error, KafkaException: It does not get through now; the sink is started again.
    """
    import psycopg

    name = names.sink(place.topics.prefix)
    with psycopg.connect(place.database.url, options=f"-c search_path={place.schema}") as connection:
        worker.stop(name, patience_s=STOP_S)
        walk = _follow(place, bootstrap, name, connection)
        _put_aside(place, bootstrap, name, walk)
    if walk.refused:
        worker.go_on_at(name, walk.ends, patience_s=STOP_S)
    return len(walk.refused)


def _follow(place: Place, bootstrap: str, name: str, connection: "psycopg.Connection[Any]") -> _Walk:
    """Writes what the sink stands at, as far as the database takes it."""
    from confluent_kafka import Consumer

    tables = {
        place.topics.facts: (connectors.FACTS_TABLE, Fact),
        place.topics.dead: (connectors.LETTERS_TABLE, DeadLetter),
    }
    settings = {
        **librdkafka(bootstrap),
        "group.id": f"connect-{name}",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": WAIT_MS,
        "log_level": 0,
    }
    reader, walk = Consumer(settings), _Walk()
    try:
        for topic, (table, kind) in tables.items():
            for message in _batches(reader, topic):
                number, offset = message.partition(), message.offset()
                assert number is not None
                assert offset is not None
                try:
                    why = _refusal(connection, table, decode(message.value() or b"", (kind,)), offset)
                except Undecodable as junk:
                    insist_on_junk(place.registry, message.value() or b"", junk)
                    why = str(junk)  # as the sink itself would put it aside
                if why:
                    walk.refused.append((message, why))
                walk.ends[topic, number] = offset + 1
    finally:
        reader.close()
    return walk


def insist_on_junk(registry: str, value: bytes, junk: Undecodable) -> None:
    """Returns if the converter cannot read it either.

    Raises:
        ConnectFailed: It can, by a schema of a later release than this process is of; or nobody knows.
    """
    if junk.code is not RejectCode.UNKNOWN_SCHEMA or value[:1] != WIRE_MAGIC:
        return
    number = int.from_bytes(value[1:WIRE_HEAD_BYTES], "big")
    try:
        known = knows(registry, number)
    except RegistryFailed as failed:
        raise ConnectFailed(str(failed)) from None
    if known:
        raise ConnectFailed(
            f"the sink stands at one of schema {number}, which the registry has and this process does not;"
            " run `connect apply --keep` of the release that writes it"
        )


def _batches(reader: "Consumer", topic: str) -> Iterator["Message"]:
    """Of each partition one batch at most, from where the sink stands.

    Raises:
        ConnectFailed: Kafka does not answer.
    """
    from confluent_kafka import OFFSET_BEGINNING, TopicPartition

    partitions = reader.list_topics(topic, timeout=ASK_S).topics[topic].partitions
    for at in reader.committed([TopicPartition(topic, number) for number in partitions], timeout=ASK_S):
        start = at.offset if at.offset >= 0 else OFFSET_BEGINNING
        reader.assign([TopicPartition(topic, at.partition, start)])
        for _ in range(connectors.BATCH):
            message = reader.poll(ASK_S)
            if message is None:
                raise ConnectFailed(f"Kafka does not give partition {at.partition} of {topic} in {ASK_S:g} s")
            if message.error() is not None:
                break  # its end
            yield message


def _refusal(connection: "psycopg.Connection[Any]", table: str, record: object, offset: int) -> str:
    """Writes a row as the sink does; why the database does not take it, or nothing."""
    import psycopg
    from psycopg import sql

    # Not what is null: the column of a new field comes with the first value of the sink's.
    told = {name: value for name, value in vars(record).items() if value is not None}
    values = {**told, connectors.OFFSET: offset}
    query = sql.SQL("insert into {} ({}) values ({}) on conflict do nothing").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join([sql.Placeholder()] * len(values)),
    )
    try:
        with connection.transaction():
            connection.execute(query, list(values.values()))
    except psycopg.Error as error:
        state = error.sqlstate
        if isinstance(error, psycopg.DataError) or (state is not None and state[:2] in REFUSING):
            return " ".join(str(error).split())
        raise
    return ""


def _put_aside(place: Place, bootstrap: str, name: str, walk: _Walk) -> None:
    """The refused records as they were, with what Connect's own headers would say."""
    from confluent_kafka import Producer

    if not walk.refused:
        return
    producer = Producer({**librdkafka(bootstrap), "enable.idempotence": True, "log_level": 0})
    for message, why in walk.refused:
        about = {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "connector.name": name,
            "stage": "TASK_PUT",
            "exception.message": why,
        }
        headers = [(f"{MARK}{key}", str(value).encode()) for key, value in about.items()]
        kept = [*(message.headers() or ()), *headers]
        producer.produce(names.refused(place.topics.prefix), message.value(), message.key(), headers=kept)
    deadline_s = time.monotonic() + STOP_S
    while producer.flush(PAUSE_S):
        if time.monotonic() > deadline_s:
            raise ConnectFailed(f"Kafka at {bootstrap} does not take refused records")
