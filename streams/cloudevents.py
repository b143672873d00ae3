"""Facts as CloudEvents: the headers of the binary mode (CloudEvents 1.0, Kafka binding, section 3.2),
for whoever routes events by them. The value stays what it is.

Pure. The id is made from the fact, so a fact that is written again has the same.
"""

from collections.abc import Callable
from typing import Final

from schemas.events import Fact
from schemas.times import format_time
from schemas.words import FactKind
from streams.record import Header

TYPE: Final = "jobstream."
"""What the type of an event begins with; the fact's word follows: jobstream.succeeded."""

CONTENT_TYPE: Final = b"application/vnd.apache.avro+binary"

HeadersOf = Callable[[Fact], tuple[Header, ...]]


def headers_of(prefix: str) -> HeadersOf:
    """What makes the headers of a prefix's facts. The source is `/jobstream/<prefix>` and the partition."""
    types = {kind.value: (TYPE + kind).encode() for kind in FactKind}
    version, content = ("ce_specversion", b"1.0"), ("content-type", CONTENT_TYPE)

    def headers(fact: Fact) -> tuple[Header, ...]:
        id = f"{fact.job}/{fact.created_at_ms or 0}/{fact.epoch}/{fact.fact}/{fact.at_ms}"
        return (
            version,
            ("ce_id", id.encode()),
            ("ce_source", f"/jobstream/{prefix}/{fact.partition}".encode()),
            ("ce_type", types[fact.fact]),
            ("ce_time", format_time(fact.at_ms).encode()),
            ("ce_subject", fact.job.encode()),
            content,
        )

    return headers
