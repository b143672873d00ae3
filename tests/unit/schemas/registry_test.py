"""The read part of a registry: what each path answers, and that nothing can be changed through it."""

import json

import pytest

from schemas.registry import Registry, shipped
from schemas.topics import Topics
from schemas.wire import IDS

REQUESTS = "jobs.requests-value"
REQUEST_ID = next(number for kind, number in IDS.items() if kind.__name__ == "JobRequest")


@pytest.fixture
def registry() -> Registry:
    """The registry of the default prefix."""
    return Registry(Topics())


def said(registry: Registry, path: str) -> object:
    """The answer to a GET, which must be one."""
    status, answer = registry.answer("GET", path)
    assert status == 200, answer
    return answer


def asked(schema: object) -> bytes:
    """The body that a client sends with a schema."""
    return json.dumps({"schema": json.dumps(schema)}).encode()


def test_every_shipped_id_is_served(registry: Registry) -> None:
    """Each id that the service writes leads to its schema, by whatever path."""
    for kind, number in IDS.items():
        answer = said(registry, f"/schemas/ids/{number}")
        assert isinstance(answer, dict)
        assert json.loads(answer["schema"])["name"] == kind.__name__
        assert said(registry, f"/schemas/ids/{number}/schema?format=") == shipped()[number]
        assert {"subject": f"jobstream.{kind.__name__}", "version": 1} in said(
            registry, f"/schemas/ids/{number}/versions"
        )  # type: ignore[operator]


def test_every_topic_has_a_subject(registry: Registry) -> None:
    """The latest version of a topic's subject is the record that it is mainly for."""
    topics = Topics()
    for topic in topics.catalogue():
        if topic.values:
            latest = said(registry, f"/subjects/{topic.name}-value/versions/latest")
            assert isinstance(latest, dict)
            assert latest["id"] == IDS[topic.values[0]]
            assert said(registry, f"/subjects/{topic.name}-value/versions") == [
                *range(1, len(topic.values) + 1)
            ]


def test_a_queue_that_came_into_being_has_a_subject_too(registry: Registry) -> None:
    """Dispatch topics are known by their form, not by a list."""
    assert said(registry, "/subjects/jobs.dispatch.mails-value/versions") == [1]


def test_who_looks_up_a_schema_is_told_its_id(registry: Registry) -> None:
    """A serializer that looks its schema up, or registers what is there, goes on; docs do not matter."""
    schema = json.loads(json.dumps(shipped()[REQUEST_ID]))
    schema["doc"] = "In other words."
    status, found = registry.answer("POST", f"/subjects/{REQUESTS}?normalize=true", asked(schema))
    assert (status, found["id"], found["subject"]) == (200, REQUEST_ID, REQUESTS)
    assert registry.answer("POST", f"/subjects/{REQUESTS}/versions", asked(schema)) == (
        200,
        {"id": REQUEST_ID},
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/subjects/nobody/versions", 404, 40401),
        ("GET", "/subjects/jobs.dispatch.NO-value/versions", 404, 40401),
        ("GET", f"/subjects/{REQUESTS}/versions/99", 404, 40402),
        ("GET", f"/subjects/{REQUESTS}/versions/x", 404, 40402),
        ("GET", "/schemas/ids/7", 404, 40403),
        ("GET", "/schemas/ids/99999999999999999999", 404, 40403),
        ("GET", "/nothing", 404, 404),
        ("GET", "/schemas/nothing", 404, 404),
        ("POST", f"/subjects/{REQUESTS}", 422, 42201),
        ("POST", f"/subjects/{REQUESTS}/versions", 422, 42201),
        ("DELETE", f"/subjects/{REQUESTS}", 405, 405),
        ("PUT", "/config", 405, 405),
    ],
)
def test_what_is_not_there_is_told(
    registry: Registry, method: str, path: str, status: int, code: int
) -> None:
    """The status and the code are those that clients of the API know."""
    told, answer = registry.answer(method, path, b"nonsense")
    assert (told, answer["error_code"]) == (status, code)
    assert answer["message"]


def test_a_schema_that_is_new_cannot_be_registered(registry: Registry) -> None:
    """It is not there to look up, and registering it is refused with a sentence."""
    other = {"type": "record", "name": "Other", "fields": []}
    assert registry.answer("POST", f"/subjects/{REQUESTS}", asked(other))[1]["error_code"] == 40403
    status, answer = registry.answer("POST", f"/subjects/{REQUESTS}/versions", asked(other))
    assert (status, answer["error_code"]) == (422, 42205)
    assert "read-only" in answer["message"]


def test_small_words(registry: Registry) -> None:
    """What clients ask on their way."""
    assert said(registry, "/") == {}
    assert said(registry, "/schemas/types") == ["AVRO"]
    assert said(registry, "/mode") == {"mode": "READONLY"}
    assert said(registry, f"/config/{REQUESTS}") == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert REQUESTS in said(registry, "/subjects")  # type: ignore[operator]
    assert REQUESTS in said(registry, f"/schemas/ids/{REQUEST_ID}/subjects")  # type: ignore[operator]


def test_apicurios_converter_finds_each_schema(registry: Registry) -> None:
    """By the two calls of Apicurio's own API that its Kafka Connect converter makes for an id."""
    for number, schema in shipped().items():
        assert said(registry, f"/apis/registry/v2/ids/contentIds/{number}") == schema
        assert said(registry, f"/apis/registry/v2/ids/globalIds/{number}/references") == []
    assert registry.answer("GET", "/apis/registry/v2/ids/contentIds/1")[0] == 404
    assert registry.answer("GET", f"/apis/registry/v2/ids/contentIds/{REQUEST_ID}/other")[0] == 404
