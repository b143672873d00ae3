"""Calls of one function that wait, and who can run it.

Owns the pairing: a run goes to the first of its areas that has a worker with room, workers take turns, and a
worker that gets room takes the run of the highest priority, the oldest first, among those that may come to
it.
"""

import heapq
from collections.abc import Collection

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

    __slots__ = ("_turn", "function", "granted", "groups", "size", "workers")

    def __init__(self, function: str) -> None:
        self.function = function
        self.workers: list[Worker] = []
        self.granted: list[Worker] = []
        """Those of them that may be given a run without coming for it."""
        self.groups: dict[Group, list[tuple[int, int, Run]]] = {}
        self.size = 0
        self._turn = 0

    def join(self, worker: Worker) -> None:
        """The worker has the function."""
        self.workers.append(worker)
        if not worker.pulls:
            self.granted.append(worker)

    def leave(self, worker: Worker) -> None:
        """It has it no more."""
        self.workers.remove(worker)
        if not worker.pulls:
            self.granted.remove(worker)

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
        count = len(self.granted)
        for step in range(count):
            worker = self.granted[(self._turn + step) % count]
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

    def wakes(self, run: Run, sleeping: Collection[Worker], woken: Collection[Worker]) -> Worker | None:
        """Who shall be woken for a run that waits; None: nobody, or as many as wait were woken already.

        Args:
            run: it waits here.
            sleeping: of all functions, who sleeps and was not woken, in their order.
            woken: who was, and has not come.
        """
        group = run.group
        assert group is not None
        if len(self.workers) < len(sleeping):
            sleeping = [each for each in self.workers if each.woken_at_ms is None]
        if len(self.workers) < len(woken):
            woken = [each for each in self.workers if each.woken_at_ms is not None]
        fresh = next((each for each in sleeping if self._could(each, group, run)), None)
        if fresh is None or sum(self._could(each, group, run) for each in woken) >= self.size:
            return None
        return fresh

    def _could(self, worker: Worker, group: Group, run: Run) -> bool:
        return worker.asleep and self.function in worker.functions and may_take(worker, group, run)


def may_take(worker: Worker, group: Group, run: Run) -> bool:
    """True if the worker is among those that the group waits for."""
    areas, _ = group
    return (areas is None or not areas.isdisjoint(worker.areas)) and worker not in run.avoid


def areas_of(run: Run) -> tuple[list[str], bool]:
    """The areas that its callers look in now, in their order, and whether any of them looks anywhere."""
    areas = [area for call in run.calls for area, _ in call.areas[: call.step + 1]]
    return areas, any(call.looks_anywhere() for call in run.calls)
