"""The connectors' settings as data: what Connect is told, and why. Pure; nothing here talks to anybody.

One sink writes facts and dead letters. One source reads an outbox table, if there is one. Both are stock
Debezium; the converter is Apicurio's, which reads the Confluent wire format.
"""

from dataclasses import dataclass

from jobstream.connect import names
from jobstream.connect.names import Database
from schemas.topics import Topics

Config = dict[str, str]

FACTS_TABLE = "facts"
LETTERS_TABLE = "dead_letters"
OFFSET = "record_offset"
"""The column with the offset of the record behind a row; with `partition` it is the row's key."""

BATCH = 2_000
"""Rows in one statement. Twice as many bring nothing; a tenth costs half of the rate."""
SESSION_MS = 6_000
"""How long a worker that was killed keeps its partitions. Kafka's 45 s would be the age of the tables."""
RETRY_MS = 1_000
RETRIES = 2**31 - 1
"""How often a write is tried again while the database is away: until it is back."""
POLL_MS = 100
"""How often the outbox is looked at when nothing comes."""
HEARTBEAT_MS = 10_000
"""How often it confirms how far it has read, so that the database may drop its log."""
CACHE_MS = 24 * 3600 * 1000
"""How long the converter keeps a schema: an id never gets another meaning, so for long."""

_STRINGS = "org.apache.kafka.connect.storage.StringConverter"
_CCOMPAT = "/apis/ccompat/"
_APICURIO = "/apis/registry/v2"


@dataclass(frozen=True)
class Place:
    """What connectors must know of where they are."""

    topics: Topics
    database: Database
    schema: str
    registry: str
    """URL of the registry that has the schemas of the topics."""
    confluent: bool = False
    """Whether to use Confluent's converter, which is not free to ship; else Apicurio's."""
    password: str = ""
    """What connectors are told in place of the database's password, for their worker to fill in."""

    @property
    def told_password(self) -> str:
        """What connectors are told: their settings are in Kafka, and Connect shows them to whoever asks."""
        return self.password or self.database.password or "none"


def sink(place: Place) -> Config:
    """Facts and dead letters into their tables, one row for each record, written again without a trace."""
    topics = place.topics
    return {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": f"{topics.facts},{topics.dead}",
        **_connection(place),
        **_avro(place),
        **_in_order(),
        **_tables(place),
        **_refusals(topics.prefix),
        "flush.max.retries": str(RETRIES),
        "flush.retry.delay.ms": str(RETRY_MS),
        "connection.restart.on.errors": "true",
    }


def _connection(place: Place) -> Config:
    mark = "&" if place.database.query else "?"
    return {
        # The driver puts rows into one statement: Debezium's own way (unnest) writes the name of a Java
        # object in place of bytes. And what waits for a database that is silent would wait for ever.
        "connection.url": f"{place.database.jdbc}{mark}currentSchema={place.schema}"
        "&ApplicationName=jobstream&reWriteBatchedInserts=true&connectTimeout=10&socketTimeout=300&tcpKeepAlive=true",
        "connection.username": place.database.user,
        "connection.password": place.told_password,
        "connection.pool.min_size": "1",
        "connection.pool.max_size": "2",
        "connection.pool.acquire_increment": "1",
    }


def _in_order() -> Config:
    """How the topics are read. Facts are written in transactions: what was taken back must not be seen."""
    return {
        "consumer.override.isolation.level": "read_committed",
        "consumer.override.auto.offset.reset": "earliest",
        "consumer.override.max.poll.records": str(BATCH),
        "consumer.override.session.timeout.ms": str(SESSION_MS),
        "consumer.override.heartbeat.interval.ms": str(SESSION_MS // 4),
    }


def _tables(place: Place) -> Config:
    """Which table a record goes to, and its key there: its place in the log.

    The table is named with its schema. Without, Debezium writes to the first of that name that the database
    has, in whatever schema that is; the search path has no say.
    """
    return {
        "transforms": "offset,facts,letters",
        "transforms.offset.type": "org.apache.kafka.connect.transforms.InsertField$Value",
        "transforms.offset.offset.field": f"{OFFSET}!",
        **_renamed("facts", place.topics.facts, FACTS_TABLE),
        **_renamed("letters", place.topics.dead, LETTERS_TABLE),
        "collection.name.format": f"{place.schema}.${{topic}}",
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": f"partition,{OFFSET}",
        "schema.evolution": "basic",
        "batch.size": str(BATCH),
    }


def _renamed(name: str, topic: str, table: str) -> Config:
    return {
        f"transforms.{name}.type": "org.apache.kafka.connect.transforms.RegexRouter",
        f"transforms.{name}.regex": f"\\Q{topic}\\E",
        f"transforms.{name}.replacement": table,
    }


def _refusals(prefix: str) -> Config:
    """What cannot be read goes to a topic with the reason, and the rest goes on."""
    return {
        "errors.tolerance": "all",
        "errors.log.enable": "true",
        "errors.deadletterqueue.topic.name": names.refused(prefix),
        "errors.deadletterqueue.topic.replication.factor": "-1",
        "errors.deadletterqueue.context.headers.enable": "true",
    }


def _avro(place: Place) -> Config:
    """The converters. Apicurio's asks an Apicurio registry, or ours, in Apicurio's own words."""
    given = {"key.converter": _STRINGS}
    if place.confluent:
        return given | {
            "value.converter": "io.confluent.connect.avro.AvroConverter",
            "value.converter.schema.registry.url": place.registry,
        }
    of = "value.converter.apicurio.registry"
    return given | {
        "value.converter": "io.apicurio.registry.utils.converter.AvroConverter",
        f"{of}.url": place.registry.partition(_CCOMPAT)[0].rstrip("/") + _APICURIO,
        f"{of}.as-confluent": "true",
        f"{of}.use-id": "contentId",
        f"{of}.check-period-ms": str(CACHE_MS),
        f"{of}.fault-tolerant-refresh": "true",
    }


def outbox(place: Place) -> Config:
    """Rows that are inserted into the outbox table become records of the topic of requests, in JSON.

    It reads the database's log (wal_level must be `logical`) through a slot and a publication of its own. A
    row may be written to Kafka twice after a crash; its id is in the request, so the job runs once.
    """
    database = place.database
    own = names.slot(place.schema)
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "database.hostname": database.host,
        "database.port": str(database.port),
        "database.dbname": database.name,
        "database.user": database.user,
        "database.password": place.told_password,
        "plugin.name": "pgoutput",
        "slot.name": own,
        "publication.name": own,
        "publication.autocreate.mode": "filtered",
        "topic.prefix": own,
        "schema.include.list": place.schema,
        "table.include.list": f"{place.schema}.outbox",
        # What was inserted before the connector came is a request too.
        "snapshot.mode": "initial",
        "poll.interval.ms": str(POLL_MS),
        # A slot that never moves keeps the log of a quiet table for ever.
        "heartbeat.interval.ms": str(HEARTBEAT_MS),
        "topic.heartbeat.prefix": names.heartbeats(place.topics.prefix),
        "tombstones.on.delete": "false",
        "skipped.operations": "u,d,t",
        "key.converter": _STRINGS,
        "value.converter": _STRINGS,
        **_routed(place.topics),
        "producer.override.acks": "all",
        "producer.override.enable.idempotence": "true",
        "producer.override.linger.ms": "0",
    }


def _routed(topics: Topics) -> Config:
    """The event router: key and value of the record are columns of the row; heartbeats pass it by."""
    of = "transforms.outbox"
    return {
        "transforms": "outbox",
        f"{of}.type": "io.debezium.transforms.outbox.EventRouter",
        f"{of}.route.topic.replacement": topics.requests,
        f"{of}.table.expand.json.payload": "false",
        f"{of}.table.op.invalid.behavior": "warn",
        f"{of}.predicate": "row",
        "predicates": "row",
        "predicates.row.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        "predicates.row.pattern": ".*\\.outbox",
    }
