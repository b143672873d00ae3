"""The AsyncAPI document tells of every topic and every record in it."""

from schemas.asyncapi import document, references
from schemas.codec import encode
from schemas.events import Fact
from schemas.topics import Topics
from tests.tidy.source import ROOT


def test_every_topic_and_record_is_there() -> None:
    """Each topic is a channel with an operation; each of its records a message with its Avro schema."""
    found, catalogue = document(), Topics().catalogue()
    assert len(found["channels"]) == len(found["operations"]) == len(catalogue)
    addresses = {channel["address"].replace("{queue}", "default") for channel in found["channels"].values()}
    assert addresses == {topic.name for topic in catalogue}
    messages = found["components"]["messages"]
    records = {value.__name__ for topic in catalogue for value in topic.values}
    assert records | {"RequestAsJson"} == set(messages)
    fields = {field["name"] for field in messages["Fact"]["payload"]["schema"]["fields"]}
    assert fields == set(Fact.__dataclass_fields__)
    fact = Fact(fact="admitted", job="j", key="k", partition=0, at_ms=1)
    assert encode(fact)[0] == 0  # Confluent's wire format, as the document says


def test_every_reference_leads_somewhere() -> None:
    """No operation or channel names what is not in the document."""
    found = document()
    for reference in references(found):
        place = found
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_the_page_is_there() -> None:
    """`make verify` holds it fresh."""
    assert (ROOT / "docs" / "asyncapi.yaml").read_text().splitlines()[1] == "asyncapi: 3.0.0"
