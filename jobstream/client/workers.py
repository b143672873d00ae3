"""Where the status pages of every streams worker are, as `jobs.workers` says now. Only ever reads."""

from jobstream.client import whole
from schemas.codec import Undecodable, decode
from schemas.defaults import WORKER_GONE_MS
from schemas.events import Worker

PARTITION = 0
"""The topic of workers has one."""


def read_workers(bootstrap: str, topic: str, now_ms: int) -> list[str]:
    """host:port of the pages of each worker that said so lately. Blocks.

    Raises:
        NotReachable, TopicsMissing: As whole.read.
    """
    known: dict[str, Worker] = {}
    for message in whole.read(bootstrap, topic, [PARTITION]):
        value = message.value()
        try:
            worker = None if value is None else decode(value, (Worker,))
        except Undecodable:
            continue
        if worker is not None:
            known[worker.instance] = worker
    fresh = (worker.web for worker in known.values() if worker.at_ms > now_ms - WORKER_GONE_MS)
    return sorted(set(fresh))
