"""The log and the tables, side by side: what Kafka has and what PostgreSQL has, in one form, to be compared.

Owns how each is read. Facts are read with the service's own codec, rows with SQL; neither knows the other.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import psycopg
from confluent_kafka import Consumer, TopicPartition
from psycopg.rows import dict_row

from schemas.codec import decode
from schemas.events import Fact
from schemas.undecodable import Undecodable

ASK_S = 10.0
POLL_S = 0.05
"""How long is waited for company: a call ends with its time or its number of records, whatever comes."""
COLUMNS = tuple(field.name for field in fields(Fact))

MARK = "__connect.errors."
PLACE = ("topic", "partition", "offset")

Rows = list[dict[str, Any]]
Places = dict[tuple[int, int], Fact]


def everything(bootstrap: str, topic: str) -> list[Any]:
    """Every record of a topic that was committed, up to its end as of now."""
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "sql-tables",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    }
    reader = Consumer(settings)
    try:
        partitions = reader.list_topics(topic, timeout=ASK_S).topics[topic].partitions
        reader.assign([TopicPartition(topic, number, 0) for number in partitions])
        found, open_ = list[Any](), set(partitions)
        while open_:
            for record in reader.consume(1_000, POLL_S):
                if record.error() is not None:
                    open_.discard(record.partition())
                else:
                    found.append(record)
        return found
    finally:
        reader.close()


def facts(bootstrap: str, topic: str, refused: str) -> Places:
    """Every fact that can be read and was not put aside, by its place in the log."""
    aside = {
        tuple(dict(record.headers()).get(f"{MARK}{name}") for name in PLACE)
        for record in everything(bootstrap, refused)
    }
    found: Places = {}
    for record in everything(bootstrap, topic):
        if (topic.encode(), b"%d" % record.partition(), b"%d" % record.offset()) in aside:
            continue
        try:
            fact = decode(record.value(), (Fact,))
        except Undecodable:
            continue
        assert isinstance(fact, Fact)
        found[record.partition(), record.offset()] = fact
    return found


def asked(url: str, query: str, *values: object) -> Rows:
    """The rows of a query."""
    with psycopg.connect(url, row_factory=dict_row, options="-c search_path=jobstream") as connection:
        return connection.execute(query, values or None).fetchall()


def digest_of_log(places: Places) -> str:
    """One hash of all facts, in the order of their places."""
    return _digest([*place, *_told(vars(fact))] for place, fact in sorted(places.items()))


def digest_of_rows(url: str) -> str:
    """The same hash of the rows of the table."""
    rows = asked(url, "select * from facts order by partition, record_offset")
    return _digest([row["partition"], row["record_offset"], *_told(row)] for row in rows)


def _told(fields: dict[str, Any]) -> list[object]:
    values = (fields.get(column) for column in COLUMNS)  # a later field has a column once it has a value
    return [value.hex() if isinstance(value, bytes) else value for value in values]


def _digest(rows: Iterable[list[object]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()
