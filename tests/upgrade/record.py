"""Records a log of this release: `python -m tests.upgrade.record` writes logs/<version>.gz.

Plays a few histories of the simulation, without crashes: what a crash repeats is decided twice, and here one
order of decisions shall be told. Until a version is released its log may be written again, whenever schemas
or decisions change on purpose; from then on it stays.
"""

import sys
from importlib.metadata import version
from typing import Final

from schemas.generate import releases
from streams.queues import Queues
from tests.simulation.world import CRASHES_MAX, PARTITIONS, QUEUES, World
from tests.upgrade.log import LOGS, History, packed, rows, versions, write

SEEDS: Final = (3, 7, 8, 19)


def history(seed: int) -> History:
    """Plays one."""
    world = World(seed)
    world.crashes = CRASHES_MAX
    world.queues = Queues(QUEUES)
    world.run()
    state = [
        record for number in range(PARTITIONS) for record in world.log.records(world.topics.state, number)
    ]
    return History(
        name=f"seed {seed}",
        partitions=PARTITIONS,
        queues=list(QUEUES),
        decided=packed(world.decided),
        state=packed(state),
        versions=versions(state),
        rows={key: row for live in world.worker.partitions.values() for key, row in rows(live).items()},
    )


def main() -> int:
    """Writes the file; returns the exit code."""
    this = version("jobstream")
    path = LOGS / f"{this}.gz"
    if this in {folder.name for folder in releases()}:
        print(f"{path.name} must stay as it is: {this} was released", file=sys.stderr)
        return 1
    write(path, map(history, SEEDS))
    print(f"{path.name}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
