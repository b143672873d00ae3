"""A record is put aside only if the converter cannot read it either."""

from collections.abc import Iterator

import pytest

from jobstream.cluster import free_port
from jobstream.connect.rescue import insist_on_junk
from jobstream.connect.rest import ConnectFailed
from jobstream.registry import serving
from schemas.codec import decode, encode
from schemas.events import DeadLetter, Fact
from schemas.topics import Topics
from schemas.undecodable import Undecodable
from schemas.words import RejectCode

LATER = Undecodable(RejectCode.UNKNOWN_SCHEMA, "as to a release before it")
VALUE = encode(Fact(fact="admitted", job="j", key="k", partition=0, at_ms=1))


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """The URL of one that has the shipped schemas."""
    with serving(Topics("rescue."), f"127.0.0.1:{free_port()}") as address:
        yield f"http://{address}"


def test_what_a_later_release_wrote_is_not_put_aside(registry: str) -> None:
    """The registry knows its schema, so the sink can read it: whoever looks after the sink is too old."""
    with pytest.raises(ConnectFailed, match="which the registry has and this process does not"):
        insist_on_junk(registry, VALUE, LATER)


@pytest.mark.parametrize("value", [b"", b"not a fact", b"\0\0\0\x27\x0fwho knows", b"\xc3\x01" + b"x" * 20])
def test_what_nobody_can_read_is_junk(registry: str, value: bytes) -> None:
    """What is none of the wire format, and a schema that the registry does not know either."""
    with pytest.raises(Undecodable) as junk:
        decode(value, (Fact, DeadLetter))
    insist_on_junk(registry, value, junk.value)
