"""How a client waits when the status pages are away for a while."""

from collections.abc import Iterator
from typing import cast

import pytest

from jobstream.client import waiting
from jobstream.client.reader import FactReader
from jobstream.client.waiting import Waiting
from jobstream.client.watch import Watch, Watches
from jobstream.errors import NotReachable
from schemas.events import Fact
from schemas.words import FactKind, Phase

ENDED = Fact(
    fact=FactKind.SUCCEEDED,
    job="job-1",
    key="key-1",
    partition=0,
    at_ms=1,
    phase=Phase.SUCCEEDED,
    result=b"7",
    result_type="application/json",
)


class SilentReader:
    """Reads nothing, so that only the pages can tell."""

    def begin(self, partition: int, offset: int) -> None:
        """Nothing is read."""

    def want_everything(self, change: int) -> None:
        """Nothing is read."""


def waits_with(answers: Iterator[Fact | Exception]) -> Waiting:
    """A Waiting whose pages give these answers in turn."""

    async def look_up(_: Watch) -> Fact | None:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Waiting(cast("FactReader", SilentReader()), Watches(), lambda: [0], look_up)


def somebody_elses() -> Watch:
    """A watch of a job that this client did not submit."""
    return Watch("job-1", "key-1", 0, 0, foreign=True)


async def test_pages_that_come_back_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is being started again is asked again, and the waiter notices nothing."""
    monkeypatch.setattr(waiting, "AWAY_POLL_S", 0.001)
    away = NotReachable("the status pages do not answer")
    one = waits_with(iter([away, away, ENDED]))
    assert await one.result(somebody_elses(), 5) == 7
    await one.close()


async def test_pages_that_stay_away_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time in which a worker is replaced, the waiter learns that nobody answers."""
    monkeypatch.setattr(waiting, "AWAY_POLL_S", 0.001)
    monkeypatch.setattr(waiting, "AWAY_GRACE_S", 0.01)

    def away() -> Iterator[Exception]:
        while True:
            yield NotReachable("the status pages do not answer")

    one = waits_with(away())
    with pytest.raises(NotReachable, match="the status pages do not answer"):
        await one.result(somebody_elses(), 5)
    await one.close()
