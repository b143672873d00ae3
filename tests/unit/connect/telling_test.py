"""What who looks after connectors tells of them."""

from collections.abc import Sequence

from jobstream.connect.status import Row
from jobstream.connect.telling import FRESH_S, Telling
from jobstream.errors import NotReachable
from schemas.telemetry import catalogue

SINK = Row("jobs.sink", "RUNNING", ("RUNNING",), runs=True, why="", behind=7, refused=2)
OUTBOX = Row("jobs.outbox", "FAILED", ("FAILED",), runs=False, why="no database")


def test_connectors_are_told_and_silence_is_too() -> None:
    """Whether each runs, and how a sink does; who asks often is told the same; nobody's answer fails it."""
    asked, now_s, answers = 0, 100.0, True

    def look() -> Sequence[Row]:
        nonlocal asked
        asked += 1
        if not answers:
            raise NotReachable("Connect is away")
        return [SINK, OUTBOX]

    telling = Telling(look, lambda: now_s)
    told = telling.samples()
    assert (
        telling.samples()
        == told
        == [
            (catalogue.CONNECT_ANSWERS, (), 1),
            (catalogue.CONNECTOR_RUNS, ("jobs.sink",), True),
            (catalogue.CONNECTOR_LAG, ("jobs.sink",), 7),
            (catalogue.CONNECTOR_REFUSED, ("jobs.sink",), 2),
            (catalogue.CONNECTOR_RUNS, ("jobs.outbox",), False),
        ]
    )
    assert asked == 1
    now_s, answers = now_s + FRESH_S, False
    assert telling.samples() == [(catalogue.CONNECT_ANSWERS, (), 0)]
