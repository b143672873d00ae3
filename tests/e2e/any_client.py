"""What every client is promised, whatever library, language and partitioner it has. Shared by its tests."""

import uuid

from jobstream.cluster.up import Cluster
from schemas.keys import home
from tests.e2e.foreign import Foreign, Told, cancel, request
from tests.waiting import eventually

END_S = 60.0
KEYS = ("orders-1", "orders-2", "x", None)


def submits_and_reads_the_end(cluster: Cluster, client: Foreign) -> None:
    """Keyed and keyless jobs, each written twice, in whatever partition: each runs once, in its home.

    A delayed one is cancelled by a command that lies in whatever partition. All of it is written and read by
    the client alone.
    """
    tag = uuid.uuid4().hex[:8]
    requests, facts = f"{cluster.prefix}requests", f"{cluster.prefix}facts"
    keys = {f"{tag}-{number}": key for number, key in enumerate(KEYS)}
    keys |= {f"{tag}-late": "orders-1", f"{tag}-late-too": None}
    late = [job for job in keys if "late" in job]
    lines = [
        (key, request(job, run_at="2027-09-01T00:00:00Z") if job in late else request(job))
        for job, key in keys.items()
    ]
    client.produce(cluster.bootstrap, requests, [*lines, *lines])

    def told(fact: str) -> dict[str, Told]:
        return {
            each.job: each
            for each in client.facts(cluster.bootstrap, facts)
            if each.job.startswith(tag) and each.fact == fact
        }

    eventually(lambda: told("succeeded").keys() == keys.keys() - set(late), END_S)
    eventually(lambda: told("deduplicated").keys() == keys.keys(), END_S)
    client.produce(cluster.bootstrap, requests, [(keys[job], cancel(job)) for job in late])
    eventually(lambda: told("cancelled").keys() == set(late), END_S)
    everything = [each for each in client.facts(cluster.bootstrap, facts) if each.job.startswith(tag)]
    for each in everything:
        at_home = home(keys[each.job] or each.job, cluster.settings.partitions)
        assert (each.partition, each.home, each.key) == (at_home, at_home, keys[each.job] or each.job)
    for kind in ("admitted", "succeeded", "cancelled"):
        ids = [each.job for each in everything if each.fact == kind]
        assert len(ids) == len(set(ids)), f"{kind} more than once: {ids}"
