"""What a worker looks up when someone asks for its metrics: how many jobs, how old, how far behind.

Only reads, on the event loop, and looks at no more than some rows of each partition: a million jobs make it
no slower.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from schemas.telemetry import catalogue
from schemas.telemetry.meter import Sample
from schemas.words import Phase
from streams.duties import Duties, Duty, overdue
from streams.partition import Partition
from streams.shell import Shell

MS: Final = 1_000

READY_LOOKED_AT_MAX: Final = 1_000
"""Rows of a partition that are looked at for the oldest ready one of each queue: those that changed longest
ago.
"""

Ends = Iterable[tuple[tuple[str, int], int]]
"""Topic and partition, and the offset at which it ends."""


def gauges(shell: Shell, ends: Ends) -> Iterator[Sample]:
    """All of them. `ends`: of source partitions."""
    partitions = list(shell.partitions.values())
    now_ms = shell.ticker.now_ms()
    yield catalogue.READY, (), int(shell.recovered_line is not None)
    yield catalogue.OWNED, (), len(partitions)
    yield catalogue.REBALANCES, (), shell.rebalances
    yield catalogue.ROWS, (), sum(len(partition.rows) for partition in partitions)
    yield catalogue.LEASES, (), sum(partition.rows.leases for partition in partitions)
    yield from _duties(shell.duties_before, partitions, now_ms)
    jobs: Counter[tuple[str, str]] = Counter()
    unserved: Counter[tuple[str, str]] = Counter()
    for partition in partitions:
        jobs.update(partition.rows.counts)
        unserved.update(partition.unserved())
    for kind, many in jobs.items():
        yield catalogue.JOBS, kind, many
    for named, many in unserved.items():
        yield catalogue.UNSERVED, named, many
    yield from _oldest(partitions, now_ms, {queue for queue, _ in jobs})
    yield from _lags(partitions, ends)


def _duties(before: Duties, partitions: list[Partition], now_ms: int) -> Iterator[Sample]:
    """The four duties; what was never looked at or never done has no time."""
    all_of_them, late = Duties(), Counter[Duty]()
    all_of_them.add(before)
    for partition in partitions:
        all_of_them.add(partition.duties)
        late += overdue(partition.rows, now_ms)
    yield catalogue.OVERDUE, (), late.total()
    for duty in Duty:
        yield catalogue.DUTY_DONE, (duty,), all_of_them.done[duty]
        yield catalogue.DUTY_OVERDUE, (duty,), late[duty]
        if all_of_them.checked_at_ms is not None:
            yield catalogue.DUTY_RUN, (duty,), all_of_them.checked_at_ms / MS
        if duty in all_of_them.last_at_ms:
            yield catalogue.DUTY_LAST, (duty,), all_of_them.last_at_ms[duty] / MS


def _oldest(partitions: list[Partition], now_ms: int, queues: set[str]) -> Iterator[Sample]:
    """For how long the oldest ready job of each queue has waited: at least, as rows that have not changed for
    long may be packed, and are not looked at.
    """
    oldest_ms = dict.fromkeys(queues, now_ms)
    for partition in partitions:
        missing = {queue for queue, phase in partition.rows.counts if phase == Phase.READY}
        for row in islice(partition.jobs.hot.values(), READY_LOOKED_AT_MAX):
            if not missing:
                break
            queue = row.spec.queue
            if row.phase == Phase.READY and queue in missing:
                missing.discard(queue)
                since_ms = row.dispatched_at_ms or row.spec.created_at_ms
                oldest_ms[queue] = min(oldest_ms[queue], since_ms)
    for queue, since_ms in oldest_ms.items():
        yield catalogue.OLDEST_READY, (queue,), (now_ms - since_ms) / MS


def _lags(partitions: list[Partition], ends: Ends) -> Iterator[Sample]:
    told = {(topic, number): end for (topic, number), end in ends}
    for partition in partitions:
        for topic, at in partition.positions().items():
            end = told.get((topic, partition.number))
            if end is not None:
                yield catalogue.LAG, (topic, str(partition.number)), max(0, end - at)
