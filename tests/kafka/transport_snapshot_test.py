"""Snapshots on a real broker: a restore from one and the tail is a restore from the whole log."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka.transport_harness import PARTITIONS, Harness, Worker, harness
from tests.waiting import eventually

pytestmark = pytest.mark.kafka


@pytest.fixture
def run(bootstrap: str, prefix: str) -> Iterator[Harness]:
    """Topics, workers and load of one test."""
    with harness(bootstrap, prefix) as own:
        yield own


def shelf(run: Harness) -> list[Path]:
    """The snapshots that there are."""
    return sorted((run.data / "snapshots").glob("*/*.snapshot"))


def hashes(worker: Worker) -> dict[int, str]:
    """What each partition held after its restore."""
    return {told["partition"]: told["hash"] for told in worker.heard("restored")}


def used(worker: Worker) -> tuple[int, int]:
    """How many snapshots a worker used, and how many changelog records it read besides."""
    found = eventually(lambda: re.search(r"snapshots=(\d+) changelog=(\d+)", worker.log.read_text()))
    return int(found[1]), int(found[2])  # type: ignore[index]


@pytest.mark.parametrize("mode", ["transactional", "idempotent"])
def test_a_restore_reads_only_the_tail(run: Harness, mode: str) -> None:
    """Killed at a random moment under load, while snapshots are taken all the time: state is that of the log,
    and of 50 rows changed a hundred times each only the last changes are read.
    """
    snapshots = {"SNAPSHOTS": run.data / "snapshots"}
    worker = run.start(mode, "slot", **snapshots).ready(PARTITIONS)
    run.send(4000)
    run.all_told()
    eventually(lambda: len(shelf(run)) == PARTITIONS)
    with run.load():
        enough = run.sent + random.randint(200, 2000)
        eventually(lambda: run.sent > enough)
        worker.kill()
    again = run.start(mode, "slot", **snapshots).ready(PARTITIONS)
    verdict = run.all_told()
    assert (verdict.applied_once, verdict.lost, verdict.in_order) == (True, 0, True)
    count, tail = used(again)
    assert count == PARTITIONS
    assert tail < len(run.read("state")) / 2
    assert again.stop() == 0
    by_snapshot = hashes(run.start(mode, "slot", **snapshots).ready(PARTITIONS))
    assert run.workers[-1].stop() == 0
    assert by_snapshot == hashes(run.start(mode, "slot").ready(PARTITIONS))


def test_a_snapshot_with_another_byte_is_ignored(run: Harness) -> None:
    """The partition is restored from the whole changelog then, and the others from theirs."""
    snapshots = {"SNAPSHOTS": run.data / "snapshots"}
    worker = run.start("transactional", "slot", **snapshots).ready(PARTITIONS)
    run.send(2000)
    run.all_told()
    eventually(lambda: len(shelf(run)) == PARTITIONS)
    worker.kill()
    victim = random.choice(shelf(run))
    content = bytearray(victim.read_bytes())
    content[random.randrange(len(content))] ^= 1
    victim.write_bytes(content)
    again = run.start("transactional", "slot", **snapshots).ready(PARTITIONS)
    assert used(again)[0] == PARTITIONS - 1
    assert "is not used" in again.log.read_text()
    restored = hashes(again)
    assert again.stop() == 0
    assert restored == hashes(run.start("transactional", "slot").ready(PARTITIONS))
    assert run.all_told().applied_once
