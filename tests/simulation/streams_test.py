"""Whole histories with every fault, from seeds: what must hold after each of them.

`SEED=17 pytest tests/simulation` plays one history, `SEEDS=5000 pytest tests/simulation` plays that many.
"""

from collections import Counter, defaultdict
from itertools import pairwise
from os import environ

import pytest

from schemas.events import Dispatch, Fact, JobRow, Reject
from schemas.records import replace
from schemas.words import PHASES_TERMINAL, Phase
from streams.outbox import ENDS
from streams.partition import Partition
from tests.simulation.world import BAD, FIRE_MS, SCHEDULE, World

FOUND = (3, 5, 48, 125)
"""Histories that tell a worker that reads receipts before the requests of an earlier life; one that forgets
what it was sending home when it died between two stages; one that runs a job again with the epoch that may
have left before it ended; and one that refuses a word about a dispatch of which its row does not know.
"""

SEEDS = (
    [int(environ["SEED"])]
    if environ.get("SEED")
    else sorted({*range(int(environ.get("SEEDS") or 200)), *FOUND})
)

Ending = tuple[str, int | None]
"""How and when a job ended."""


@pytest.mark.parametrize("seed", SEEDS)
def test_history(seed: int) -> None:
    """Every accepted request ends exactly once, whatever failed on the way; the log alone gives the same
    state.
    """
    world = World(seed)
    try:
        world.run()
        every_request_ended(world)
        every_end_was_told(world)
        ends_are_final(world)
        dispatches_follow_rows(world)
        no_fire_is_missing(world)
        everything_bad_was_refused(world)
        restored_is_live(world)
    except BaseException as error:
        error.add_note(f"reproduce it with: SEED={seed} pytest tests/simulation")
        raise


def test_the_histories_are_rich() -> None:
    """The seeds reach every end and every fault: a simulation in which nothing goes wrong shows nothing."""
    words: Counter[str] = Counter()
    for seed in range(20):
        world = World(seed)
        world.run()
        words.update(fact.fact for fact in world.decoded(world.topics.facts, Fact))
        words.update(row.phase for row in world.rows.values())
        words["crash"] += world.crashes
        words.update(row.wait_reason for row in world.decoded(world.topics.state, JobRow) if row.wait_reason)
        words["ran twice"] += sum(times > 1 for times in world.edge.ran.values())
    for word in (
        *PHASES_TERMINAL,
        "lost",
        "failed",
        "snoozed",
        "handed_back",
        "retried",
        "crash",
        "ran twice",
        "paused",
        "queue",
        "schedule_skipped",
        "schedule_buffered",
    ):
        assert words[word] > 0, (word, words)


def test_a_seed_is_a_history() -> None:
    """The same seed gives the same log, byte for byte."""
    one, other = World(3), World(3)
    one.run()
    other.run()
    for topic in (*one.sources, one.topics.state, one.topics.facts):
        assert one.log.records(topic) == other.log.records(topic)


def every_request_ended(world: World) -> None:
    """Every request that was accepted has a row, and it has ended."""
    assert world.unfinished() == []


def every_end_was_told(world: World) -> None:
    """No end is told that no row has, and the last one is told, however often. One that a retry overtook
    before the worker could tell it, and then died, was of no consequence.
    """
    told: dict[str, set[Ending]] = defaultdict(set)
    for fact in world.decoded(world.topics.facts, Fact):
        if fact.fact in set(ENDS.values()):
            told[fact.job].add((fact.fact, fact.ended_at_ms))
    for id, versions in histories(world).items():
        ended = {_ending(row) for row in versions if row.phase in PHASES_TERMINAL}
        assert _ending(versions[-1]) in told[id], id
        assert told[id] <= ended, id


def ends_are_final(world: World) -> None:
    """A job that ended stays so unless someone asked to run it again, and one that succeeded whatever is
    asked. Epochs only rise; a result is that of its own epoch.
    """
    for id, versions in histories(world).items():
        for before, after in pairwise(versions):
            assert after.epoch >= before.epoch, id
            if before.phase not in PHASES_TERMINAL:
                continue
            if (after.phase, after.epoch) == (Phase.READY, before.epoch + 2):
                assert before.phase != Phase.SUCCEEDED, id
            else:
                assert _ending(after) == _ending(before), id
        last = versions[-1]
        if last.phase == Phase.SUCCEEDED:
            assert last.result == f"{id}/{last.epoch}".encode()


def dispatches_follow_rows(world: World) -> None:
    """No dispatch is of an epoch that no row has, or would have had next when its time came; one that is sent
    again is the same, but for its time.
    """
    epochs = {
        id: {row.epoch + early for row in versions for early in range(1 + (row.due_at_ms is not None))}
        for id, versions in histories(world).items()
    }
    first: dict[tuple[str, int], Dispatch] = {}
    for queue in world.used:
        for dispatch in world.decoded(world.topics.dispatch(queue), Dispatch):
            assert dispatch.epoch in epochs[dispatch.job], dispatch
            same = first.setdefault((dispatch.job, dispatch.epoch), dispatch)
            assert replace(dispatch, dispatched_at_ms=same.dispatched_at_ms) == same


def no_fire_is_missing(world: World) -> None:
    """Every fire of the schedule between its first and its last became one job, and has ended."""
    fires = sorted(
        row.spec.created_at_ms // FIRE_MS for row in world.rows.values() if row.spec.scheduled_by == SCHEDULE
    )
    (plan,) = [row for partition in world.worker.partitions.values() for row in partition.schedules.values()]
    assert plan.fires == len(fires)
    assert plan.missed == 0
    assert (plan.running, plan.stopping, plan.buffer) == (None, None, None), "every end was reported"
    assert (plan.succeeded or 0) + (plan.failed or 0) + (plan.cancelled or 0) == plan.fires


def everything_bad_was_refused(world: World) -> None:
    """Every bad record has its rejection with its position; no fault of our own is among them."""
    rejects = world.decoded(world.topics.rejects, Reject)
    assert [reject for reject in rejects if reject.code == "fault"] == []
    bad = {record.place for record in world.log.records(world.topics.requests) if record.value in BAD}
    assert len(bad) == world.bad
    assert bad <= {f"{reject.topic}/{reject.partition}/{reject.offset}" for reject in rejects}


def restored_is_live(world: World) -> None:
    """A partition restored from the log has the rows that the live one has, but for what only memory knew."""
    for number, live in world.worker.partitions.items():
        other = Partition(number, world.topics, world.queues)
        for record in world.log.compacted(world.topics.state, number):
            other.restore(record.key or b"", record.value)
        ends = {topic: world.log.end(topic, number) for topic in world.sources}
        other.begin(ends, ends)
        assert {id: _durable(row) for id, row in other.jobs.items()} == {
            id: _durable(row) for id, row in live.jobs.items()
        }
        assert other.schedules == live.schedules
        assert other.rows.configs == live.rows.configs
        assert other.rows.config == live.rows.config
        assert other.rows.counts == live.rows.counts


def histories(world: World) -> dict[str, list[JobRow]]:
    """Every version of every row, in the order in which they became durable."""
    versions: dict[str, list[JobRow]] = defaultdict(list)
    for row in world.decoded(world.topics.state, JobRow):
        versions[row.spec.id].append(row)
    return versions


def _ending(row: JobRow) -> Ending:
    return ENDS[Phase(row.phase)], row.ended_at_ms


def _durable(row: JobRow) -> JobRow:
    """A row that has ended, without the places of what changed it in memory alone."""
    return replace(row, applied_heartbeats=-1, applied_timers=-1)
