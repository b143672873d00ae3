"""The gateway's tail of a topic, without a broker."""

import asyncio

import pytest

from jobstream.errors import NotReachable
from jobstream.gateway import tail
from schemas.events import Fact


class Broken:
    """A consumer that fails."""

    def __init__(self, *_: object) -> None:
        self.closed = False

    def assign(self, _: object) -> None:
        """Does nothing."""

    def consume(self, *_: object) -> None:
        """Fails."""
        raise RuntimeError("it is broken")

    def close(self) -> None:
        """Is closed."""
        self.closed = True


async def test_who_listens_hears_when_nothing_is_read_any_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence would look like a topic without news."""
    monkeypatch.setattr(tail, "Consumer", Broken)
    one = tail.Tail("127.0.0.1:9", "t.facts", Fact, {0: 0})
    with pytest.raises(NotReachable, match="it is broken"):
        await asyncio.wait_for(anext(aiter(one.records())), 30)
    await one.close()
