"""Calls of one function that wait, and who can run it.

Owns the pairing: a run goes to the first of its areas that has a worker with room, workers take turns, and a
worker that gets room takes the run of the highest priority, the oldest first, among those that may come to
it.
"""

import heapq

from relay.core.call import Run, Worker

Group = tuple[frozenset[str] | None, int]
"""Runs that the same workers may take: the areas (None: all), and the number of a run that somebody would
not have.
"""

ANYWHERE: Group = (None, 0)

STALE_SPARE = 64
"""Entries of what waits no longer that a heap may have, above one for each that does."""


class Line:
    """What waits for one function, and its workers."""

    __slots__ = ("_turn", "function", "groups", "size", "workers")

    def __init__(self, function: str) -> None:
        self.function = function
        self.workers: list[Worker] = []
        self.groups: dict[Group, list[tuple[int, int, Run]]] = {}
        self.size = 0
        self._turn = 0

    def pick(self, run: Run) -> Worker | None:
        """Who shall run it now; None: nobody who may has room."""
        if self.size and ANYWHERE in self.groups:
            return None  # whoever has room would have taken that one
        areas, anywhere = areas_of(run)
        for area in areas:
            worker = self._next(run, area)
            if worker is not None:
                return worker
        return self._next(run, None) if anywhere else None

    def _next(self, run: Run, area: str | None) -> Worker | None:
        """The next in turn that has room."""
        count = len(self.workers)
        for step in range(count):
            worker = self.workers[(self._turn + step) % count]
            if (area is None or area in worker.areas) and worker.room() > 0 and worker not in run.avoid:
                self._turn = (self._turn + step + 1) % count
                return worker
        return None

    def push(self, run: Run) -> None:
        """The run waits, or waits from now on for others than before."""
        areas, anywhere = areas_of(run)
        group = (None if anywhere else frozenset(areas), run.number if run.avoid else 0)
        if run.group == group:
            return
        if run.group is not None:
            self.remove(run)
        run.group = group
        self.size += 1
        heapq.heappush(self.groups.setdefault(group, []), (run.priority, run.number, run))

    def remove(self, run: Run) -> None:
        """The run waits no longer. What it leaves in the heap is thrown away when it comes to the top, or
        when more than half of the heap is such.
        """
        group, run.group = run.group, None
        if group is None:
            return
        self.size -= 1
        heap = self.groups[group]
        if len(heap) > 2 * self.size + STALE_SPARE:
            heap[:] = [entry for entry in heap if entry[2].group == group]
            heapq.heapify(heap)
        while heap and heap[0][2].group != group:
            heapq.heappop(heap)
        if not heap:
            del self.groups[group]

    def best(self, worker: Worker) -> tuple[int, int, Run] | None:
        """What the worker shall run next: priority, number, run; None: nothing that may come to it."""
        found = [heap[0] for group, heap in self.groups.items() if may_take(worker, group, heap[0][2])]
        return min(found) if found else None

    def sleepers(self, run: Run) -> list[Worker]:
        """Workers that could run it, and sleep."""
        assert run.group is not None
        return [each for each in self.workers if each.asleep and may_take(each, run.group, run)]


def may_take(worker: Worker, group: Group, run: Run) -> bool:
    """True if the worker is among those that the group waits for."""
    areas, _ = group
    return (areas is None or not areas.isdisjoint(worker.areas)) and worker not in run.avoid


def areas_of(run: Run) -> tuple[list[str], bool]:
    """The areas that its callers look in now, in their order, and whether any of them looks anywhere."""
    areas = [area for call in run.calls for area, _ in call.areas[: call.step + 1]]
    return areas, any(call.looks_anywhere() for call in run.calls)
