"""Faust's own transport, held against the same rules: it shows that the tests bite, and what the project's
transport is for.
"""

from collections.abc import Iterator

import pytest

from tests.kafka.transport_harness import STOCK, Harness, harness
from tests.waiting import eventually

pytestmark = pytest.mark.full


@pytest.fixture
def run(bootstrap: str, prefix: str) -> Iterator[Harness]:
    """Topics, workers and load of one test."""
    with harness(bootstrap, prefix) as own:
        yield own


def told(run: Harness) -> list[bytes]:
    """What the agent told of."""
    return [value for _, _, value in run.read("out")]


def test_what_an_agent_failed_on_is_lost(run: Harness) -> None:
    """An agent fails once, as when something it needs is away for a moment, and its worker is started again:
    the record must have its effect then. On the project's transport it has; here it is acknowledged.
    """
    worker = run.start(STOCK)
    run.send(100)
    eventually(lambda: len(told(run)) == 100, 40)
    run.send_raw(b"poison")
    eventually((run.data / "failed").exists, 20)
    run.send(100)
    eventually(lambda: len(told(run)) >= 200, 40)
    assert worker.stop() == 0
    run.start(STOCK)
    run.send(100)
    eventually(lambda: len(told(run)) >= 300, 40)
    if b"poison" not in told(run):
        pytest.xfail("stock Faust acknowledges an event that its agent failed on")
    pytest.fail("stock Faust has learnt to deliver again what its agent failed on")
