"""The embedded broker's settings: only what differs from Kafka's defaults, each with its reason. Data,
nothing else.
"""

from collections.abc import Mapping

MESSAGE_BYTES_MAX = 2 * 1024 * 1024

# One machine, few clients, quick group changes.
SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # The service makes its own topics, with their own partitions and retention.
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(MESSAGE_BYTES_MAX),
    "replica.fetch.max.bytes": str(MESSAGE_BYTES_MAX),
    # One broker holds the only replica. One partition loads fastest, and is warm for all groups and
    # producers.
    "default.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Groups form and notice a loss at once.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "200",
    "group.consumer.heartbeat.interval.ms": "500",
    # A broker that was killed may register again once its old session is over: 9 s by default.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    # Threads and buffers for one machine; the cleaner's buffer alone is 128 MiB by default.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    "log.index.size.max.bytes": str(1024 * 1024),
}


def as_properties(settings: Mapping[str, str]) -> str:
    """The settings as a Java properties file (java.util.Properties); a value may be any text."""
    return "".join(f"{name}={_escaped(value)}\n" for name, value in settings.items())


def _escaped(value: str) -> str:
    """Its white space at the front, backslashes and what is not printable ASCII, as such a file has them."""
    text = "".join(
        f"\\{each}" if each == "\\" else each if " " <= each <= "~" else _units(each) for each in value
    )
    return f"\\{text}" if text.startswith(" ") else text


def _units(character: str) -> str:
    """A character as its UTF-16 code units."""
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
