"""The AsyncAPI document of all topics and records, made from the catalogue of topics and the avsc files.

Pure, but for reading the avsc files that ship with this package. `make generate` writes docs/asyncapi.yaml.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from schemas import defaults
from schemas.settings import Settings
from schemas.topics import DISPATCH, Topic, Topics

VERSION: Final = "3.0.0"
"""Of AsyncAPI."""

AVRO_FORMAT: Final = "application/vnd.apache.avro+json;version=1.9.0"
"""How the payload's schemas are written."""

AVRO: Final = Path(__file__).parent / "avro"

ASKED: Final = frozenset({"requests", "schedules", "config"})
"""Topics that clients write; the others they read."""

OWN: Final = frozenset({"receipts", "heartbeats", "timers", "state", "control", "workers", DISPATCH})
"""Topics between the services, which clients have no need of."""

ABOUT: Final = (
    "Background jobs on Apache Kafka. Records are in Avro with the Confluent wire format; requests,"
    " commands and"
    " schedules may also be JSON or Avro single-object encoding, and are recognised by their first"
    " bytes. Names are"
    " those of the prefix `jobs.`."
)


def document(topics: Topics | None = None, version: str = "1") -> dict[str, Any]:
    """The whole of it, ready for YAML."""
    topics = topics or Topics()
    catalogue = topics.catalogue()
    records = sorted({value.__name__ for topic in catalogue for value in topic.values})
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Jobstream",
            "version": version,
            "description": ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/vnd.apache.avro+binary",
        "servers": {"kafka": _server()},
        "channels": {_name(topic): _channel(topic, topics) for topic in catalogue},
        "operations": dict(_operation(topic) for topic in catalogue),
        "components": {
            "messages": {name: _message(name) for name in records} | {"RequestAsJson": _request_as_json()}
        },
    }


def _server() -> dict[str, Any]:
    return {
        "host": Settings().bootstrap,
        "protocol": "kafka",
        "description": "Where the development cluster is. `jobstream registry` serves the schemas.",
        "bindings": {
            "kafka": {"schemaRegistryUrl": "http://127.0.0.1:8081", "schemaRegistryVendor": "confluent"}
        },
    }


def _name(topic: Topic) -> str:
    return "dispatch" if topic.role == DISPATCH else topic.role


def _messages(topic: Topic) -> list[str]:
    return [value.__name__ for value in topic.values] + (
        ["RequestAsJson"] if topic.role == "requests" else []
    )


def _channel(topic: Topic, topics: Topics) -> dict[str, Any]:
    config = topic.config
    channel: dict[str, Any] = {
        "address": f"{topics.prefix}{DISPATCH}{{queue}}" if topic.role == DISPATCH else topic.name,
        "description": f"{topic.doc} Key of a record: {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages(topic)},
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": config["cleanup.policy"].split(","),
                    "retention.ms": int(config["retention.ms"]),
                    "max.message.bytes": int(config["max.message.bytes"]),
                },
            }
        },
    }
    if topic.role == DISPATCH:
        channel["parameters"] = {"queue": {"description": "Name of the queue.", "default": defaults.QUEUE}}
    return channel


def _operation(topic: Topic) -> tuple[str, dict[str, Any]]:
    """What the service does with a topic, as AsyncAPI has it: it receives what clients write, and sends the
    rest.
    """
    name = _name(topic)
    action = "receive" if topic.role in ASKED else "send"
    who = "Clients write it." if topic.role in ASKED else "Clients read it."
    if topic.role in OWN:
        who = "Between the services; not for clients."
    return f"{action}_{name}", {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": who,
        "messages": [{"$ref": f"#/channels/{name}/messages/{each}"} for each in _messages(topic)],
    }


def _message(name: str) -> dict[str, Any]:
    schema = json.loads((AVRO / f"{name}.avsc").read_text())
    return {
        "name": name,
        "title": name,
        "summary": schema["doc"],
        "payload": {"schemaFormat": AVRO_FORMAT, "schema": schema},
        "bindings": {
            "kafka": {
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "key": {"type": "string"},
            }
        },
    }


def _request_as_json() -> dict[str, Any]:
    """The smallest request from any client; schemas/README.md has all fields."""
    return {
        "name": "RequestAsJson",
        "title": "A request or a command in JSON",
        "summary": "Exactly one of function or command; all other fields are optional, and unknown"
        " ones refused.",
        "contentType": "application/json",
        "payload": {
            "type": "object",
            "oneOf": [{"required": ["function"]}, {"required": ["command", "id"]}],
            "properties": {
                "function": {"type": "string"},
                "command": {"type": "string"},
                "id": {"type": "string"},
                "queue": {"type": "string", "default": defaults.QUEUE},
                "key": {"type": "string"},
                "args": {
                    "description": "Any JSON value: an object for keyword arguments, an array for positional."
                },
            },
        },
        "headers": {
            "type": "object",
            "properties": {"traceparent": {"type": "string", "description": "W3C trace context."}},
        },
        "examples": [{"name": "smallest", "payload": {"function": "mail.send", "args": {"to": "a@b.c"}}}],
    }


def references(found: Any) -> Iterable[str]:
    """Every reference in a document."""
    if isinstance(found, dict):
        for name, value in found.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(found, list):
        for value in found:
            yield from references(value)
