"""The read part of a schema registry's REST API over the schemas that we ship: a request in, an answer out.

Owns which subjects there are and what each path answers, in the words of Confluent's API
(https://docs.confluent.io/platform/current/schema-registry/develop/api.html), so that their clients and
deserializers read our topics; and, for Apicurio's Kafka Connect converter, the two calls of Apicurio's own
API v2 that it reads a schema by. It opens no connection and keeps nothing: whoever has a server mounts it.
Nothing can be changed through it; who registers a schema that is there already, as serializers do by default,
is told its id.

Subjects: `jobstream.<record>` for each record (record name strategy), and `<topic>-value` for each topic
(topic name strategy); where a topic has several records, its latest version is the one that people write.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from schemas.names import BadName
from schemas.topics import Topics

MEDIA = "application/vnd.schemaregistry.v1+json"
COMPATIBILITY = "FULL_TRANSITIVE"
"""What schemas.compat holds: readers of any release read the values of any other."""
BODY_BYTES_MAX = 1024 * 1024
NAMESPACE = "jobstream"

_SCHEMAS = Path(__file__).parent
_VALUE = "-value"

Answer = tuple[int, Any]
"""HTTP status, and what to write as JSON."""


@cache
def shipped() -> Mapping[int, Mapping[str, Any]]:
    """Every schema that is read, by its shipped id, those of older releases too, oldest first."""
    found: dict[int, Mapping[str, Any]] = {}
    folders = [
        *sorted(_SCHEMAS.glob("released/*"), key=lambda path: [int(part) for part in path.name.split(".")]),
        _SCHEMAS,
    ]
    for folder in folders:
        ids: dict[str, int] = json.loads((folder / "ids.json").read_text())
        for name, number in ids.items():
            avsc = folder / ("avro" if folder == _SCHEMAS else "") / f"{name}.avsc"
            found.setdefault(number, json.loads(avsc.read_text()))
    return found


def canonical(schema: Any) -> str:
    """A schema in Avro's parsing canonical form: two schemas with the same one have the same values."""
    from fastavro.schema import to_parsing_canonical_form  # noqa: PLC0415  # services do without fastavro

    return to_parsing_canonical_form(schema)


class Refusal(Exception):
    """An answer that is none: HTTP status, the API's own code, a sentence."""

    def __init__(self, status: int, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code


class Registry:
    """The registry of one prefix's topics."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def answer(self, method: str, target: str, body: bytes = b"") -> Answer:
        """Answers a request: its method, its path (a query is ignored), its body. Never raises."""
        path = tuple(unquote(part) for part in urlsplit(target).path.split("/") if part)
        try:
            return 200, self._route(method, path, body)
        except Refusal as refusal:
            return refusal.status, {"error_code": refusal.code, "message": str(refusal)}

    @cached_property
    def subjects(self) -> Mapping[str, tuple[int, ...]]:
        """The ids of each subject, version 1 first; of dispatch topics, that of the default queue."""
        found = {f"{NAMESPACE}.{name}": ids for name, ids in _by_name().items()}
        for topic in self._topics.catalogue():
            if topic.values:
                found[topic.name + _VALUE] = _of_values(topic.values)
        return found

    def versions(self, subject: str) -> tuple[int, ...]:
        """The ids of a subject; Refusal if there is none."""
        ids = self.subjects.get(subject)
        topic = subject.removesuffix(_VALUE)
        if ids is None and subject.endswith(_VALUE) and (queue := self._topics.queue_of(topic)):
            try:
                ids = _of_values(self._topics.dispatch_topic(queue).values)
            except BadName:
                ids = None
        if ids is None:
            raise Refusal(404, 40401, f"Subject '{subject}' not found.")
        return ids

    def _route(self, method: str, path: tuple[str, ...], body: bytes) -> Any:
        match method, path:
            case "GET", ():
                return {}
            case "GET", ("subjects", *rest):
                return self._subjects(rest)
            case "POST", ("subjects", subject):
                return self._look_up(subject, body)
            case "POST", ("subjects", subject, "versions"):
                return {"id": self._look_up(subject, body, _read_only)["id"]}
            case "GET", ("schemas", *rest):
                return self._schemas(rest)
            case "GET", ("apis", "registry", "v2", "ids", ("contentIds" | "globalIds"), number, *rest):
                return _by_apicurio(number, rest)
            case "GET", ("config", *_):
                return {"compatibilityLevel": COMPATIBILITY}
            case "GET", ("mode", *_):
                return {"mode": "READONLY"}
            case (("GET" | "POST"), _):
                raise Refusal(404, 404, f"there is nothing at /{'/'.join(path)}")
        raise Refusal(405, 405, f"this registry can only be read, got {method}")

    def _subjects(self, rest: list[str]) -> Any:
        match rest:
            case []:
                return sorted(self.subjects)
            case [subject, "versions"]:
                return list(range(1, len(self.versions(subject)) + 1))
            case [subject, "versions", version]:
                return self._version(subject, version)
            case [subject, "versions", version, "schema"]:
                return json.loads(self._version(subject, version)["schema"])
        raise Refusal(404, 404, f"there is nothing at /subjects/{'/'.join(rest)}")

    def _schemas(self, rest: list[str]) -> Any:
        match rest:
            case ["types"]:
                return ["AVRO"]
            case ["ids", number]:
                return {"schema": _text(_id(number))}
            case ["ids", number, "schema"]:
                return shipped()[_id(number)]
            case ["ids", number, "subjects"]:
                return [subject for subject, _ in self._places(_id(number))]
            case ["ids", number, "versions"]:
                return [{"subject": s, "version": v} for s, v in self._places(_id(number))]
        raise Refusal(404, 404, f"there is nothing at /schemas/{'/'.join(rest)}")

    def _places(self, number: int) -> list[tuple[str, int]]:
        return sorted((s, ids.index(number) + 1) for s, ids in self.subjects.items() if number in ids)

    def _version(self, subject: str, version: str) -> dict[str, Any]:
        ids = self.versions(subject)
        at = len(ids) if version in ("latest", "-1") else int(version) if version.isdecimal() else 0
        if not 1 <= at <= len(ids):
            raise Refusal(404, 40402, f"Version {version} not found.")
        return {"subject": subject, "version": at, "id": ids[at - 1], "schema": _text(ids[at - 1])}

    def _look_up(
        self, subject: str, body: bytes, refuse: Callable[[str], Refusal] | None = None
    ) -> dict[str, Any]:
        """The version of a subject that has this schema."""
        asked = _asked(body)
        for version, number in enumerate(self.versions(subject), start=1):
            if _canonical_of(number) == asked:
                return self._version(subject, str(version))
        raise refuse(subject) if refuse else Refusal(404, 40403, "Schema not found")


def _read_only(subject: str) -> Refusal:
    return Refusal(
        422, 42205, f"Subject {subject} is read-only: its schemas are those that the service was built with"
    )


@cache
def _by_name() -> Mapping[str, tuple[int, ...]]:
    """The ids of each record, oldest first."""
    found: dict[str, tuple[int, ...]] = {}
    for number, schema in shipped().items():
        found[schema["name"]] = (*found.get(schema["name"], ()), number)
    return found


def _of_values(values: tuple[type, ...]) -> tuple[int, ...]:
    """The ids of a topic's records; those of the first one last, since it is what people write."""
    return tuple(number for kind in reversed(values) for number in _by_name()[kind.__name__])


@cache
def _canonical_of(number: int) -> str:
    return canonical(shipped()[number])


def _id(number: str) -> int:
    if number.isdecimal() and len(number) <= len(str(2**31)) and int(number) in shipped():
        return int(number)
    raise Refusal(404, 40403, f"Schema {number} not found")


def _by_apicurio(number: str, rest: list[str]) -> Any:
    """A schema as Apicurio's API v2 gives it: bare; and what other schemas it refers to, which is none."""
    schema = shipped()[_id(number)]
    match rest:
        case []:
            return schema
        case ["references"]:
            return []
    raise Refusal(404, 404, f"there is nothing about schema {number} at /{'/'.join(rest)}")


def _text(number: int) -> str:
    return json.dumps(shipped()[number], separators=(",", ":"))


def _asked(body: bytes) -> str:
    """The canonical form of the schema in a body."""
    try:
        return canonical(json.loads(json.loads(body[:BODY_BYTES_MAX])["schema"]))
    except Exception as error:  # noqa: BLE001  # what fastavro raises for a schema that is none is of many kinds
        sentence = f"the body must be JSON with an Avro schema as a string in `schema`: {error}"
        raise Refusal(422, 42201, sentence) from None
