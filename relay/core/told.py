"""What a relay tells of itself, for people and for tools: its sessions, what they run, what it reads.

Pure; only reads. Decides nothing, and nothing is decided by it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from relay.core.session import Lease, Session
from relay.core.window import Window
from schemas.proto import relay_pb2

NAMES_MAX = 50
"""Functions of a session that are told by name; how many there are is told in any case."""


def session_status(session: Session) -> relay_pb2.SessionStatus:
    """One session. Times are the relay's."""
    return relay_pb2.SessionStatus(
        session=session.id,
        minion=session.minion,
        phase=session.phase,
        queues=sorted(session.queues),
        functions=len(session.functions),
        capacity=session.capacity,
        credits=session.credits,
        leases=len(session.leases),
        runs=0 if session.worker is None else len(session.worker.runs),
        heard_at_ms=session.heard_at_ms,
        opened_at_ms=session.opened_at_ms,
        sdk=session.sdk,
        function_names=sorted(session.functions)[:NAMES_MAX],
    )


def partition_statuses(
    windows: Iterable[Window], ends: Mapping[tuple[str, int], int]
) -> list[relay_pb2.PartitionStatus]:
    """The partitions that are read, in order. `ends`: where they end, by topic and number, as far as
    known.
    """
    told = [
        relay_pb2.PartitionStatus(
            queue=window.queue,
            partition=window.partition,
            offset=window.point,
            unfinished_span=window.span,
            waiting=window.waiting,
            paused=window.paused,
            lag=_lag(window, ends.get((window.topic, window.partition))),
        )
        for window in windows
    ]
    return sorted(told, key=lambda each: (each.queue, each.partition))


def _lag(window: Window, end: int | None) -> int | None:
    """How far behind the end of its partition the commit point is; None: not known."""
    return None if end is None else max(0, end - window.point)


def running_statuses(leases: Iterable[Lease]) -> list[relay_pb2.RunningStatus]:
    """How many leases there are of each function in each queue."""
    counts = Counter((lease.queue, lease.function) for lease in leases)
    return [
        relay_pb2.RunningStatus(queue=queue, function=function, running=running)
        for (queue, function), running in sorted(counts.items())
    ]
