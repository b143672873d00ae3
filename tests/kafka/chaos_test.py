"""Faults under load, on a broker and workers in processes of their own: every accepted request ends exactly
once, whatever happens, and what a worker holds is what the log says.

`SEED=7` plays one again; `ROUNDS=20` kills more often (`make chaos`).
"""

import os
import random
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from streams.transport import Exit
from tests.kafka.chaos_harness import Chaos
from tests.kafka.streams_harness import Worker
from tests.waiting import eventually

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SESSION_S = 6.0
"""After so long without a heartbeat a worker's partitions are given to others."""


@pytest.fixture
def chaos() -> Iterator[Chaos]:
    """Everything but workers; the seed is shown if the test fails."""
    seed = int(os.environ.get("SEED") or random.randrange(1_000_000))
    print(f"SEED={seed}")
    with tempfile.TemporaryDirectory(prefix="jobstream-chaos-") as data, ExitStack() as stack:
        yield Chaos(Path(data), seed, stack)


def is_working(worker: Worker) -> bool:
    """True if it has partitions, and has recovered them."""
    try:
        health = worker.page("health")
    except OSError:
        return False
    return bool(health["ready"] and health["partitions"])


def test_killed_again_and_again(chaos: Chaos) -> None:
    """Kill -9 at random moments, also while it recovers, and started again by a supervisor."""
    worker = chaos.worker()
    chaos.begin()
    for _ in range(ROUNDS):
        chaos.for_a_while(0.2, 4)
        worker.kill()
        worker.start(wait=chaos.random.random() < 0.7)
    chaos.check()


def test_a_worker_that_was_frozen_decides_nothing(chaos: Chaos) -> None:
    """Stopped for longer than its session, its partitions are another's; awake again it ends with a sentence
    or joins anew, and what it was about to write is not written.
    """
    frozen, other = chaos.worker(), chaos.worker()
    eventually(lambda: is_working(frozen) and is_working(other), 60)
    chaos.begin()
    chaos.for_a_while(0.5, 3)
    frozen.process.send_signal(signal.SIGSTOP)
    chaos.for_a_while(1.3 * SESSION_S, 1.5 * SESSION_S)
    eventually(lambda: len(other.partitions) == chaos.log.topics.partitions, 60)
    frozen.process.send_signal(signal.SIGCONT)
    chaos.for_a_while(1, 3)
    if (code := frozen.process.poll()) is not None:
        assert code in (Exit.FENCED, Exit.MEMBERSHIP, Exit.TRANSACTION)
        assert "transport: " in frozen.said
    chaos.check()


def test_workers_come_and_go(chaos: Chaos) -> None:
    """A second one joins and leaves in order, joins and is killed, while the first works."""
    chaos.worker()
    chaos.begin()
    second = chaos.worker()
    for leave in (second.stop, second.kill, second.stop):
        eventually(lambda: is_working(second), 60)
        chaos.for_a_while(0.2, 3)
        leave()
        second.start(wait=False)
    chaos.check()


def test_the_broker_is_restarted(chaos: Chaos) -> None:
    """The only broker goes down and comes back, under load."""
    chaos.worker()
    chaos.begin()
    for _ in range(2):
        chaos.for_a_while(0.5, 3)
        chaos.restart_broker()
    chaos.for_a_while(0.5, 3)
    chaos.check()


@pytest.mark.xfail(
    strict=False,
    reason="a broker that stood still may not let itself be read or written for a minute: one run of six",
)
def test_the_broker_stalls(chaos: Chaos) -> None:
    """The broker stands still for three seconds, at moments between, in and after commits."""
    chaos.worker()
    chaos.begin()
    for _ in range(ROUNDS):
        chaos.for_a_while(0.2, 2)
        with chaos.frozen_broker():
            chaos.for_a_while(3, 3.1)
    chaos.check()
